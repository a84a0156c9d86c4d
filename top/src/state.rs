//! What the messages say, kept within limits. A field that is not there has its default: an older or newer engine shows
//! what it can.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};

/// Commands and events that are kept.
const KEPT: usize = 300;
/// Most people, zones, devices and sensors that are kept.
const LISTED_MAX: usize = 20_000;

/// The connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not there yet.
    Connecting,
    /// Messages come.
    Live,
    /// None comes, and why.
    Lost(String),
}

/// Somebody, as the engine sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Somebody {
    pub(crate) track: u64,
    pub(crate) person: Option<String>,
    pub(crate) person_p: f64,
    pub(crate) level: String,
    pub(crate) x_m: f64,
    pub(crate) y_m: f64,
    pub(crate) speed_mps: f64,
    pub(crate) sigma_m: f64,
    /// Seconds for which nobody has seen them; 0 while somebody does.
    pub(crate) lost_s: f64,
    pub(crate) zones: Vec<String>,
}

/// A room.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Zone {
    pub(crate) people: u64,
    /// `known`, `motion`, `unknown`.
    pub(crate) known: String,
    pub(crate) unidentified: u64,
    pub(crate) capacity: Option<f64>,
    pub(crate) level: String,
}

/// A device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Device {
    pub(crate) kind: String,
    pub(crate) state: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) more: String,
}

/// A sensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sensor {
    pub(crate) kind: String,
    /// `ok`, or what is wrong with it.
    pub(crate) state: String,
    pub(crate) why: String,
    pub(crate) rate_hz: f64,
}

/// A command or another event, as a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Happened {
    pub(crate) t_s: f64,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) rule: String,
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) engine_us: Option<u64>,
    pub(crate) budget_us: u64,
    pub(crate) human_us: Option<u64>,
    pub(crate) is_late: bool,
}

/// How long things took in the last minute, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) n: u64,
    pub(crate) p50: Option<u64>,
    pub(crate) p99: Option<u64>,
    pub(crate) p999: Option<u64>,
    pub(crate) max: Option<u64>,
}

/// A rule in the last minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) n: u64,
    pub(crate) p50_us: u64,
    pub(crate) max_us: u64,
    pub(crate) late: u64,
}

/// Everything that is shown.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) link: Link,
    pub(crate) site: String,
    pub(crate) topology: String,
    pub(crate) cores: u64,
    pub(crate) dry_run: bool,
    pub(crate) is_replay: bool,
    pub(crate) budget_us: u64,
    pub(crate) t_s: f64,
    pub(crate) utc: Option<String>,
    pub(crate) people: Vec<Somebody>,
    pub(crate) zones: BTreeMap<String, Zone>,
    pub(crate) devices: BTreeMap<String, Device>,
    pub(crate) sensors: BTreeMap<String, Sensor>,
    /// Newest first.
    pub(crate) commands: VecDeque<Happened>,
    /// Newest first.
    pub(crate) events: VecDeque<Happened>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) rules_off: Vec<String>,
    pub(crate) engine: Spread,
    pub(crate) human: Spread,
    pub(crate) late: u64,
    pub(crate) inputs: u64,
    pub(crate) inputs_per_s: Option<f64>,
    pub(crate) sent: u64,
    /// What was dropped or refused, by name; none of them 0.
    pub(crate) drops: BTreeMap<String, u64>,
    /// What levels are called, by their ids.
    pub(crate) levels: BTreeMap<String, String>,
    /// The order of a track's values.
    pub(crate) track_fields: Vec<String>,
    /// When inputs were counted last, seconds of the log.
    pub(crate) counted_at_s: Option<f64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            link: Link::Connecting,
            site: String::new(),
            topology: String::new(),
            cores: 0,
            dry_run: false,
            is_replay: false,
            budget_us: 1000,
            t_s: 0.0,
            utc: None,
            people: Vec::new(),
            zones: BTreeMap::new(),
            devices: BTreeMap::new(),
            sensors: BTreeMap::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            rules: Vec::new(),
            rules_off: Vec::new(),
            engine: Spread::default(),
            human: Spread::default(),
            late: 0,
            inputs: 0,
            inputs_per_s: None,
            sent: 0,
            drops: BTreeMap::new(),
            levels: BTreeMap::new(),
            track_fields: Vec::new(),
            counted_at_s: None,
        }
    }
}

/// A text without what would move a terminal's cursor.
fn text(value: Option<&Value>) -> String {
    let clean = |s: &str| s.chars().take(400).map(|c| if c.is_control() { ' ' } else { c }).collect();
    match value {
        Some(Value::String(s)) => clean(s),
        Some(Value::Number(n)) => n.to_string(),
        Some(Value::Bool(b)) => b.to_string(),
        _ => String::new(),
    }
}

fn some_text(value: Option<&Value>) -> Option<String> {
    Some(text(value)).filter(|t| !t.is_empty())
}

fn number(value: Option<&Value>) -> f64 {
    value.and_then(Value::as_f64).filter(|x| x.is_finite()).unwrap_or(0.0)
}

fn count(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_u64).unwrap_or(0)
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten().take(LISTED_MAX)
}

fn table(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten().take(LISTED_MAX)
}

fn spread(value: Option<&Value>) -> Spread {
    let get = |key: &str| value.and_then(|v| v.get(key));
    let some = |key: &str| get(key).and_then(Value::as_u64);
    Spread { n: count(get("n")), p50: some("p50"), p99: some("p99"), p999: some("p999"), max: some("max") }
}

impl State {
    /// Takes a message in.
    pub(crate) fn take(&mut self, message: &Value) {
        let Some(m) = message.as_object() else { return };
        match m.get("type").and_then(Value::as_str) {
            Some("hello") => self.hello(m),
            Some("snap") => self.snap(m),
            Some("stat") => self.stat(m),
            Some("events") => list(m.get("list")).for_each(|e| self.event(e)),
            _ => {}
        }
    }

    fn hello(&mut self, m: &Map<String, Value>) {
        *self = Self { link: Link::Live, ..Self::default() };
        self.site = text(m.get("site"));
        self.topology = text(m.get("topology"));
        self.cores = count(m.get("cores"));
        self.dry_run = m.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
        self.is_replay = m.get("mode").and_then(Value::as_str) == Some("replay");
        self.budget_us = count(m.get("budget_us")).max(1);
        self.track_fields = list(m.get("track_fields")).map(|f| text(Some(f))).collect();
        let plan = m.get("plan");
        self.levels =
            list(plan.and_then(|p| p.get("levels"))).map(|l| (text(l.get("id")), text(l.get("name")))).collect();
        for unit in list(plan.and_then(|p| p.get("units"))).chain(list(plan.and_then(|p| p.get("geofences")))) {
            let level = text(unit.get("level"));
            let level = self.levels.get(&level).cloned().unwrap_or(level);
            let zone = Zone { capacity: unit.get("capacity").and_then(Value::as_f64), level, ..Zone::default() };
            self.zones.insert(text(unit.get("id")), zone);
        }
        for a in list(m.get("actuators")) {
            self.devices.insert(text(a.get("id")), Device { kind: text(a.get("kind")), ..Device::default() });
        }
        for s in list(m.get("sensors")) {
            let sensor = Sensor { kind: text(s.get("kind")), state: "ok".to_owned(), ..Sensor::default() };
            self.sensors.insert(text(s.get("id")), sensor);
        }
    }

    fn snap(&mut self, m: &Map<String, Value>) {
        self.t_s = number(m.get("t_s"));
        self.utc = some_text(m.get("utc"));
        let fields = std::mem::take(&mut self.track_fields);
        let of = |name: &str| fields.iter().position(|f| f == name);
        let [id, level, x, y, vx, vy, sigma, person, person_p, lost, zones] =
            ["id", "level", "x_m", "y_m", "vx_mps", "vy_mps", "sigma_major_m", "person", "person_p", "lost_s", "zones"]
                .map(of);
        self.people = list(m.get("tracks"))
            .map(|t| {
                let at = |i: Option<usize>| i.and_then(|i| t.get(i));
                let (vx, vy) = (number(at(vx)), number(at(vy)));
                Somebody {
                    track: count(at(id)),
                    person: some_text(at(person)),
                    person_p: number(at(person_p)),
                    level: at(level)
                        .and_then(Value::as_str)
                        .and_then(|l| self.levels.get(l))
                        .cloned()
                        .unwrap_or_default(),
                    x_m: number(at(x)),
                    y_m: number(at(y)),
                    speed_mps: (vx * vx + vy * vy).sqrt(),
                    sigma_m: number(at(sigma)),
                    lost_s: number(at(lost)),
                    zones: list(at(zones)).map(|z| text(Some(z))).collect(),
                }
            })
            .collect();
        self.track_fields = fields;
        for (id, value) in table(m.get("zones")) {
            if self.zones.len() < LISTED_MAX || self.zones.contains_key(id) {
                let zone = self.zones.entry(id.clone()).or_default();
                zone.people = count(value.get(0));
                zone.known = text(value.get(1));
                zone.unidentified = count(value.get(2));
            }
        }
        for (id, value) in table(m.get("devices")) {
            if self.devices.len() < LISTED_MAX || self.devices.contains_key(id) {
                let device = self.devices.entry(id.clone()).or_default();
                device.state = some_text(value.get(0));
                device.rule = some_text(value.get(1));
                let more = table(value.get(3)).map(|(k, v)| format!("{k} {}", text(Some(v))));
                // What stands for the state of a lamp is not said twice.
                let more: Vec<String> = more.filter(|m| device.state.as_ref() != Some(m)).collect();
                device.more = more.join(", ");
            }
        }
    }

    fn stat(&mut self, m: &Map<String, Value>) {
        let latency = m.get("latency");
        let of = |key: &str| latency.and_then(|l| l.get(key));
        self.engine = spread(of("engine_us"));
        self.human = spread(of("human_us"));
        self.late = count(of("late"));
        let rule = |r: &Value| Rule {
            id: text(r.get("id")),
            n: count(r.get("n")),
            p50_us: count(r.get("p50_us")),
            max_us: count(r.get("max_us")),
            late: count(r.get("late")),
        };
        self.rules = list(m.get("rules")).map(rule).collect();
        self.rules_off = list(m.get("rules_off")).map(|r| text(r.get("rule"))).collect();
        for sensor in self.sensors.values_mut() {
            (sensor.state, sensor.why) = ("ok".to_owned(), String::new());
        }
        for (id, value) in table(m.get("sensors")) {
            if let Some(sensor) = self.sensors.get_mut(id) {
                sensor.state = text(value.get(0));
                sensor.why = text(value.get(1));
                sensor.rate_hz = number(value.get(2));
            }
        }
        let inputs = count(m.get("inputs"));
        // The figure per second is of the log's time: a replay that runs faster says so.
        if let Some(before) = self.counted_at_s.filter(|b| self.t_s > *b) {
            self.inputs_per_s = Some(inputs.saturating_sub(self.inputs) as f64 / (self.t_s - before));
        }
        self.counted_at_s = Some(self.t_s);
        self.inputs = inputs;
        self.sent = count(m.get("commands"));
        let all = table(m.get("drops")).chain(table(m.get("refused")));
        self.drops =
            all.map(|(k, v)| (text(Some(&k.as_str().into())), count(Some(v)))).filter(|(_, n)| *n > 0).collect();
    }

    fn event(&mut self, e: &Value) {
        let get = |key: &str| e.get(key);
        let kind = text(get("kind"));
        if kind == "report" {
            let (id, human) = (text(get("id")), get("human_us").and_then(Value::as_u64));
            if let Some(command) = self.commands.iter_mut().find(|c| c.id == id) {
                command.human_us = human;
            }
            return;
        }
        let is_command = kind == "command";
        let what = if is_command {
            format!("{}.{}({})", text(get("device")), text(get("command")), text(get("written")))
        } else {
            match kind.as_str() {
                "shed" => format!("{} of {}: {}", count(get("count")), text(get("sensor")), text(get("reason"))),
                "gap" => format!("{} record(s) lost", count(get("lost"))),
                "unseen" => format!("{} event(s) that this client never got", count(get("count"))),
                _ => text(get("why")),
            }
        };
        let happened = Happened {
            t_s: number(get("t_s")),
            kind,
            id: text(get("id")),
            rule: text(get("rule")),
            what,
            why: text(get("why")),
            engine_us: get("engine_us").and_then(Value::as_u64),
            budget_us: count(get("budget_us")),
            human_us: get("human_us").and_then(Value::as_u64),
            is_late: get("late").and_then(Value::as_bool).unwrap_or(false),
        };
        let into = if is_command { &mut self.commands } else { &mut self.events };
        into.push_front(happened);
        into.truncate(KEPT);
    }

    /// Sensors that are not well.
    pub(crate) fn ill(&self) -> impl Iterator<Item = (&String, &Sensor)> {
        self.sensors.iter().filter(|(_, s)| s.state != "ok")
    }

    /// People whom nobody sees just now.
    pub(crate) fn lost(&self) -> usize {
        self.people.iter().filter(|p| p.lost_s > 0.0).count()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// A morning in a small building, as its engine tells of it.
    pub(crate) fn morning() -> State {
        let mut state = State::default();
        state.take(&json!({"type": "hello", "mode": "live", "site": "coworking", "budget_us": 1000, "topology": "fused", "cores": 2, "dry_run": false,
            "track_fields": ["id", "level", "x_m", "y_m", "vx_mps", "vy_mps", "facing_rad", "sigma_major_m", "sigma_minor_m", "sigma_angle_rad", "person", "person_p", "lost_s", "zones"],
            "plan": {"levels": [{"id": "ground", "name": "Ground"}], "units": [{"id": "m7", "level": "ground", "capacity": 12.0}, {"id": "cafe", "level": "ground", "capacity": null}], "geofences": []},
            "actuators": [{"id": "m7.recorder", "kind": "recorder"}, {"id": "m7.light", "kind": "light"}],
            "sensors": [{"id": "radar-m7", "kind": "position"}, {"id": "badge-front", "kind": "badge"}]}));
        state.take(&json!({"type": "snap", "t_s": 61.5, "utc": "2026-11-29T08:00:01Z", "seq": 900,
            "tracks": [[17, "ground", 30.0, 3.0, 0.3, 0.4, 0.1, 0.12, 0.1, 0.0, "ana", 0.981, 0.0, ["m7"]],
                       [18, "ground", 5.0, 4.0, 0.0, 0.0, null, 0.35, 0.3, 0.0, null, 0.0, 2.4, ["cafe"]]],
            "zones": {"m7": [1, "known", 0], "cafe": [1, "unknown", 1]},
            "devices": {"m7.recorder": ["paused", "pause-recording", "privacy", {}], "m7.light": ["on", null, null, {"level": "80"}]}}));
        state.take(&json!({"type": "stat", "latency": {"engine_us": {"p50": 41, "p99": 180, "p999": null, "max": 1204, "n": 312}, "human_us": {"p50": 48_000, "p99": null, "p999": null, "max": 90_000, "n": 12}, "late": 1},
            "rules": [{"id": "pause-recording", "n": 3, "p50_us": 39, "max_us": 1204, "late": 1}], "rules_off": [{"rule": "music"}],
            "sensors": {"badge-front": ["silent", "nothing for 40 s", 0.0]}, "refused": {"too_late": 4}, "drops": {"state_replaced": 12, "full": 0},
            "inputs": 50_000, "commands": 7, "topology": "fused", "cores": 2}));
        state.take(&json!({"type": "events", "list": [
            {"seq": 880, "t_s": 60.2, "kind": "leaves", "track": 17, "why": "ana left m7"},
            {"seq": 881, "t_s": 60.2, "kind": "command", "id": "881.0", "rule": "pause-recording", "device": "m7.recorder", "command": "pause", "written": "reason: \"ana left\"",
             "why": "ana left m7, identity 0.98", "engine_us": 1204, "budget_us": 1000, "late": true},
            {"seq": 882, "kind": "report", "id": "881.0", "human_us": 48_200}]}));
        state
    }

    #[test]
    fn what_is_told_is_kept() {
        let state = morning();
        assert_eq!((state.people.len(), state.lost(), state.ill().count()), (2, 1, 1));
        assert_eq!(state.people[0].speed_mps, 0.5);
        assert_eq!(state.zones["m7"].capacity, Some(12.0));
        assert_eq!(state.commands[0].human_us, Some(48_200));
        assert_eq!(state.drops, [("state_replaced".to_owned(), 12), ("too_late".to_owned(), 4)].into());
        assert_eq!(state.devices["m7.light"].more, "level 80");
    }

    #[test]
    fn text_from_outside_moves_no_cursor_and_lists_end() {
        let mut state = morning();
        for i in 0..1000 {
            state.take(&json!({"type": "events", "list": [{"kind": "operator", "t_s": i, "why": "\u{1b}[2Jx"}]}));
        }
        assert_eq!(state.events.len(), KEPT);
        assert_eq!(state.events[0].what, " [2Jx");
        state.take(&json!({"type": "hello", "site": "other"}));
        assert_eq!((state.site.as_str(), state.people.len(), state.events.len()), ("other", 0, 0));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z\u{1b}]{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            let keys = prop::sample::select(vec![
                "list", "kind", "tracks", "zones", "devices", "latency", "rules", "sensors", "drops", "id", "why",
                "t_s",
            ]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((keys, inner), 0..5)
                    .prop_map(|kv| Value::Object(kv.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_message_is_taken(mut message in any_json(), kind in prop::sample::select(vec!["hello", "snap", "stat", "events", "other"])) {
            if let Some(m) = message.as_object_mut() {
                m.insert("type".to_owned(), kind.into());
            }
            let mut state = morning();
            state.take(&message);
            state.take(&message);
        }
    }
}
