//! Parse, check, evaluate: sentences of the language, some of them nonsense, in a small building, on a day of walks,
//! reports, clock jumps, gaps and operators. Nothing may panic, and what is saved in the middle is what is restored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osmose_core::{Core, Driver, Outbox, StepSink};
use osmose_model::command::Value;
use osmose_model::geometry::Place;
use osmose_model::ids::{ActuatorId, CarriedKey, LevelId, Name, SensorId};
use osmose_model::input::{Anchor, Gap, GapReason, Input, OperatorAction, Report, Tag};
use osmose_model::observation::{Body, Observation};
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs, NS_PER_S, UtcNs};
use osmose_rules::check;
use std::sync::{Arc, OnceLock};

/// The building that `osmose new` draws, with a button, a detector and a lux meter beside its cameras and tags.
fn site() -> &'static Arc<Site> {
    static SITE: OnceLock<Arc<Site>> = OnceLock::new();
    SITE.get_or_init(|| {
        const MORE: &str = "
[[sensor]]\nid = \"lux\"\nkind = \"value\"\nunit = \"lx\"\nstale_s = 5.0\nlevel = \"ground\"\nzones = [\"meeting\"]\n
[[sensor]]\nid = \"pir\"\nkind = \"binary\"\nrole = \"motion\"\nstale_s = 5.0\nlevel = \"ground\"\nzones = [\"meeting\"]\n
[[sensor]]\nid = \"desk-button\"\nkind = \"button\"\nlevel = \"ground\"\n
[[actuator]]\nid = \"messages\"\nkind = \"notify\"\nconnect = \"log\"\n";
        let mut files = osmose_load::template("fuzz");
        files.iter_mut().filter(|f| f.path == "devices.toml").for_each(|f| f.text += MORE);
        files.retain(|f| !f.path.starts_with("rules/"));
        Arc::new(osmose_load::load(&files).site.expect("the template loads"))
    })
}

/// Choices out of bytes; zeros where they are used up.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(b, r)| (*b, r));
        self.0 = rest;
        first
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    fn of<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.below(words.len())]
    }
}

const ZONES: &[&str] = &["meeting", "office", "desk", "r", "nowhere"];
const LENGTHS: &[&str] = &["1 s", "300 ms", "2 min", "0 s", "366 h", "5 lx"];

fn zone<'w>(b: &mut Bytes<'_>) -> &'w str {
    ZONES[b.below(ZONES.len())]
}

fn number(b: &mut Bytes<'_>, deep: u8) -> String {
    let text = |t: &str| t.to_owned();
    match b.below(if deep == 0 { 7 } else { 11 }) {
        0 => format!("{} lx", b.byte()),
        1 => format!("count(people in {})", zone(b)),
        2 => text("lux"),
        3 => text("visits"),
        4 => format!("distance(p, {})", b.of(&["q", "meeting", "r"])),
        5 => format!("{}", b.byte()),
        6 => text("meeting.light.level"),
        7 => format!("mean({}, {})", number(b, deep - 1), b.of(LENGTHS)),
        8 => format!("({} {} {})", number(b, deep - 1), b.of(&["+", "-", "*", "/"]), number(b, deep - 1)),
        9 => format!("count(q in {} where {})", zone(b), condition(b, deep - 1)),
        _ => format!("lasting({})", condition(b, deep - 1)),
    }
}

fn condition(b: &mut Bytes<'_>, deep: u8) -> String {
    match b.below(if deep == 0 { 14 } else { 24 }) {
        0 => format!("{} is {}", zone(b), b.of(&["occupied", "empty", "unknown"])),
        1 => format!("p in {}", zone(b)),
        2 => format!("p {} {}", b.of(&["enters", "leaves", "appears", "vanishes"]), zone(b)),
        3 => format!("any q in {} in {}", b.of(&["members(staff)", "participants(meeting)", "office"]), zone(b)),
        4 => format!("every q in members(staff) in {}", zone(b)),
        5 => "desk-button presses".to_owned(),
        6 => "meeting.recorder is recording".to_owned(),
        7 => "house is away".to_owned(),
        8 => format!("time in {}..{}", b.of(&["22:00", "06:00", "sunset"]), b.of(&["06:00", "23:59"])),
        9 => format!("time is {}", b.of(&["07:00", "00:00"])),
        10 => "no motion in meeting".to_owned(),
        11 => "all sensors of meeting are alive".to_owned(),
        12 => format!("p near {} (2 m)", zone(b)),
        13 => "meeting.light is manual".to_owned(),
        14 => format!("not ({})", condition(b, deep - 1)),
        15 => format!("({} and {})", condition(b, deep - 1), condition(b, deep - 1)),
        16 => format!("({} or {})", condition(b, deep - 1), condition(b, deep - 1)),
        17 => format!("({}) for {}", condition(b, deep - 1), b.of(LENGTHS)),
        18 => format!("({} until ({}))", condition(b, deep - 1), condition(b, deep - 1)),
        19 => format!("({} within {})", condition(b, deep - 1), b.of(LENGTHS)),
        20 => format!("({} then {} within {})", condition(b, deep - 1), condition(b, deep - 1), b.of(LENGTHS)),
        21 => format!("({} {} times within {})", condition(b, deep - 1), 2 + b.below(8), b.of(LENGTHS)),
        22 => format!("({}) is unknown", condition(b, deep - 1)),
        _ => format!("{} {} {}", number(b, deep - 1), b.of(&["<", ">=", "==", "!="]), number(b, deep - 1)),
    }
}

fn action(b: &mut Bytes<'_>) -> String {
    match b.below(11) {
        0 => "meeting.recorder.start(participants: people in meeting)".to_owned(),
        1 => "meeting.recorder.pause(reason: \"{p} left\")".to_owned(),
        2 => "r.light.on()".to_owned(),
        3 => format!("meeting.light.level = {}", number(b, 1)),
        4 => format!("wait {} unless {}; meeting.light.off()", b.of(LENGTHS), condition(b, 1)),
        5 => "ask ana \"well?\" answered within 2 s else meeting.light.off()".to_owned(),
        6 => format!("notify(ana, \"{{{}}} and {{list(people in office)}}\")", number(b, 1)),
        7 => format!("visits.{}({})", b.of(&["add", "take", "reset"]), b.of(&["", "2", "for: 2 s", "until: 18:00"])),
        8 => format!("house = {}", b.of(&["home", "away"])),
        9 => "meeting.light.auto()".to_owned(),
        _ => "meeting.recorder.stop()".to_owned(),
    }
}

fn rule(b: &mut Bytes<'_>, nth: usize) -> String {
    let each = b.of(&["", "for each room r", "for each zone r", "for each room r where r.light"]);
    let guard = if b.below(3) == 0 { format!("if {}", condition(b, 2)) } else { String::new() };
    let level = b.of(&["comfort", "privacy", "user", "info", "life-safety"]);
    let settle = b.of(&["", "settle 1 s"]);
    if b.below(3) == 0 {
        let (condition, release) = (condition(b, 3), b.of(&["", "release after 2 s"]));
        let unknown = b.of(&["", "on unknown keep", "on unknown release", "on unknown hold"]);
        let (value, course) = (number(b, 1), b.of(&["", "over 1 s", "every 1 s step 5 % band 1 %", "at start"]));
        let hold = match b.below(3) {
            0 => format!("hold meeting.light.level = {value} * 1 % {course}"),
            1 => "hold meeting.recorder.state = paused forbid recorder.start".to_owned(),
            _ => format!("hold r.light.level = if {} then 5 % else 80 %", self::condition(b, 1)),
        };
        format!(
            "rule a{nth} {{ {each} while {condition} {guard} {hold} {release} {settle} {unknown} level {level} }}\n"
        )
    } else {
        let once = b.of(&["", "once per visit", "once per day", "suppress 3 s per p", "once per 1 h per pair"]);
        let (condition, mut actions) = (condition(b, 3), action(b));
        if b.below(2) == 0 {
            actions = format!("{actions}; {}", action(b));
        }
        format!("rule a{nth} {{ {each} when {condition} {guard} do {actions} {once} {settle} level {level} }}\n")
    }
}

/// Half of the time the bytes are sentences of the language, else a text as it is.
fn text(b: &mut Bytes<'_>) -> String {
    let mut text = String::from("mode house { home default, away }\ncounter visits\n");
    if b.below(8) == 0 {
        let (raw, rest) = b.0.split_at(b.0.len() / 2);
        b.0 = rest;
        return text + &String::from_utf8_lossy(raw);
    }
    if b.below(2) == 0 {
        text +=
            b.of(&["manual meeting.light until vacant 1 s\n", "combine light.level = max\n", "manual meeting.light\n"]);
    }
    for nth in 0..=b.below(4) {
        text += &rule(b, nth);
    }
    text
}

/// Sees every step.
#[derive(Default)]
struct Seen {
    commands: usize,
}

impl StepSink<osmose_core::Fusion, osmose_core::Rules, osmose_core::Plan> for Seen {
    fn sequenced(&mut self, _: Tag, _: &[u8]) {}
    fn decided(&mut self, _: Tag, _: &Input<'_>, out: &Outbox, _: &Core) {
        self.commands += out.commands.len();
    }
}

fn name(word: &str) -> Name {
    Name::new(word).unwrap_or_default()
}

fn feed(
    b: &mut Bytes<'_>,
    driver: &mut Driver<osmose_core::Fusion, osmose_core::Rules, osmose_core::Plan>,
    now: &mut i64,
    seen: &mut Seen,
) {
    let site = driver.machine().site().clone();
    *now += i64::from(b.byte()) * NS_PER_S / 16;
    let sensor = |name: &str| site.sensor_named(name).expect("the site has it");
    let at = ArrivalNs(*now);
    let measured = LogicalNs(*now);
    let mut observe = |sensor: SensorId, body: Body<'_>| {
        let o = Observation { sensor, source_seq: None, measured, body };
        driver.feed(at, &Input::Observation(o), seen);
    };
    match b.below(12) {
        0..=4 => {
            let device = CarriedKey::of(b.of(&["p1", "p2", "p3"]));
            let place = Place::flat(LevelId(0), f64::from(b.byte()) / 24.0, f64::from(b.byte()) / 60.0);
            observe(sensor("tags"), Body::Location { device, place, sigma_m: None });
        }
        5 => observe(sensor("lux"), Body::Value { value: f64::from(b.byte()) }),
        6 => observe(sensor("pir"), Body::Binary { on: b.below(2) == 0 }),
        7 => observe(sensor("desk-button"), Body::Button { button: name(b.of(&["a", "b"])) }),
        8 => {
            let (property, value) = match b.below(4) {
                0 => ("state", Value::Name(name(b.of(&["on", "off", "recording", "paused"])))),
                1 => ("level", Value::Number(f64::from(b.byte()))),
                2 => ("answer", Value::Text(osmose_model::command::Text::from("1 yes").unwrap_or_default())),
                _ => ("manual", Value::Bool(true)),
            };
            let actuator = ActuatorId(b.below(3) as u16);
            driver.feed(
                at,
                &Input::Report(Report { actuator, property: name(property), value, source_seq: None }),
                seen,
            );
        }
        9 => {
            let utc = UtcNs((20_000 * 86_400 + i64::from(b.byte()) * 400) * NS_PER_S);
            driver.feed(at, &Input::Anchor(Anchor { utc, offset: DurationNs::ZERO, next_change: None }), seen);
        }
        10 => {
            let gap = Gap {
                from: LogicalNs(now.saturating_sub(i64::from(b.byte()) * NS_PER_S)),
                lost: 0,
                reason: GapReason::Down,
            };
            driver.feed(at, &Input::Gap(gap), seen);
        }
        _ => {
            let action = match b.below(4) {
                0 => OperatorAction::Reset { rule: name("a0") },
                1 => OperatorAction::Mode { mode: name("house"), value: name(b.of(&["home", "away", "x"])) },
                2 => OperatorAction::RuleOff {
                    rule: name("a0"),
                    until: LogicalNs(*now + NS_PER_S),
                    because: Default::default(),
                },
                _ => OperatorAction::Act {
                    actuator: ActuatorId(b.below(4) as u16),
                    verb: name(b.of(&["on", "off", "pause", "auto"])),
                    arg: None,
                },
            };
            driver.feed(at, &Input::Operator(action), seen);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut b = Bytes(bytes);
    let files = [SourceFile { path: "rules/a.rules".to_owned(), text: text(&mut b) }];
    let checked = check(site(), &files);
    for d in &checked.diagnostics {
        let _ = std::hint::black_box(d.render(&files[0].text, false));
    }
    let Some(program) = checked.program else { return };
    let mut driver = Driver::new(Core::new(site().clone(), program.clone()));
    let (mut now, mut seen) = (NS_PER_S, Seen::default());
    driver.feed(ArrivalNs(now), &Input::RulesInstalled { files: &[] }, &mut seen);
    for step in 0..24 {
        feed(&mut b, &mut driver, &mut now, &mut seen);
        if step == 12 {
            let (mut saved, mut again) = (Vec::new(), Vec::new());
            driver.machine().save(&mut saved);
            let mut other = Core::new(site().clone(), program.clone());
            other.restore(&saved).expect("its own state");
            other.save(&mut again);
            assert_eq!(saved, again, "what is restored is what was saved");
            driver = Driver::new(other);
        }
    }
    let _ = std::hint::black_box(seen.commands);
});
