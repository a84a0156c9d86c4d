//! A morning as data: who comes, where they go and what they do, in a TOML file that reads like stage directions.
//!
//! ```toml
//! [[person]]
//! who = "ana"                       # of people.toml; or a list of them
//! speed_mps = 1.4                   # 0.9 to 1.5 by chance where absent
//! does = [
//!   "starts at 15.6 1.8",           # or `starts in ZONE`, `at 40 s enters by OPENING`
//!   "badges at badge-entrance",
//!   "goes to m7",                   # or `goes to X Y [LEVEL]`
//!   "at 21 s goes to corridor-2",   # not before 21 s
//!   "faces counter-zone for 6 s",   # or a facing sensor
//!   "gestures wave at gesture-m7-wall", "presses start at button-m7",
//!   "stays 30 s",
//!   "wanders for 120 s among cafe, desks-a staying 20 to 60 s",
//!   "leaves by door-entrance",
//! ]
//! [[extras]]                        # people whom nobody knows: no badge, no device
//! name = "guest"
//! count = 6
//! does = ["starts in cafe", "wanders among cafe, lobby staying 20 to 60 s"]
//! [[event]]
//! at_s = 120.0
//! sensor = "fire-panel"
//! on = true                         # or `button = "..."`
//! [[fault]]                         # what goes wrong between a sensor and the engine
//! sensor = "ceiling-m7"
//! from_s = 20.0
//! to_s = 26.0                       # for ever where absent
//! late_ms = 400                     # everything arrives so much later
//! # or: silent = true               nothing arrives; without `to_s` the sensor is dead
//! #     held = true                 everything arrives in one burst at `to_s`
//! #     dropped = 0.1               so large a share is lost
//! #     twice = 0.1                 so large a share arrives a second time
//! #     drift_ppm = 80.0            its own clock runs fast (a sensor with `clock = "device"`)
//! ```

use super::SimError;
use osmose_model::device::SensorKind;
use osmose_model::geometry::Point;
use osmose_model::ids::{LevelId, Name, PersonId, SensorId, ZoneId};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs};
use serde::Deserialize;
use toml::Spanned;

/// Most people of one scenario.
pub(super) const PEOPLE_MAX: usize = 20_000;
/// How fast people of a script may walk, m/s.
const SPEED_MPS: std::ops::RangeInclusive<f64> = 0.3..=2.5;
/// The most that a device's clock runs off, parts per million.
const DRIFT_PPM_MAX: f64 = 500.0;
/// How long wanderers stay somewhere where the script does not say, seconds.
const STAY_S: [f64; 2] = [20.0, 90.0];

/// Where somebody goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Where {
    /// Somewhere in a zone.
    Zone(ZoneId),
    /// To a point.
    Point(LevelId, Point),
}

/// What somebody turns to on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// A sensor that tells which way people face.
    Sensor(SensorId),
    /// The nearest point of a zone; its middle for who stands in it.
    Zone(ZoneId),
}

/// One thing that somebody does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    Start(Where),
    /// Comes in from outside by an opening (its index).
    Enter(usize),
    Go(Where),
    Badge(SensorId),
    Stay(DurationNs),
    Wander {
        among: Vec<Where>,
        lasting: Option<DurationNs>,
        stay_s: [f64; 2],
    },
    Face(Aim, DurationNs),
    Gesture(SensorId, Name),
    Press(SensorId, Name),
    /// Goes out by an opening and is gone.
    Leave(usize),
}

/// A task, and the instant before which it does not begin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Timed {
    pub(super) not_before: ArrivalNs,
    pub(super) task: Task,
}

/// Somebody of the script.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Actor {
    pub(super) name: String,
    pub(super) person: Option<PersonId>,
    pub(super) speed_mps: Option<f64>,
    pub(super) does: Vec<Timed>,
}

/// What happens without anybody's doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Happening {
    Switch(bool),
    Button(Name),
}

/// What goes wrong between a sensor and the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wrong {
    /// Nothing arrives.
    Silent,
    /// Everything arrives so much later, in its order.
    Late(DurationNs),
    /// Everything arrives when the fault ends, in its order.
    Held,
    /// So large a share is lost.
    Dropped(f64),
    /// So large a share arrives a second time.
    Twice(f64),
    /// The device's own clock runs fast by so many parts per million.
    Drift(f64),
}

/// A fault of one sensor, while it lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) sensor: SensorId,
    pub(super) from: ArrivalNs,
    pub(super) to: ArrivalNs,
    pub(super) wrong: Wrong,
}

/// A script with every name looked up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Script {
    pub(super) actors: Vec<Actor>,
    /// Ascending by time.
    pub(super) events: Vec<(ArrivalNs, SensorId, Happening)>,
    pub(super) faults: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    person: Vec<Entry>,
    #[serde(default)]
    extras: Vec<Extras>,
    #[serde(default)]
    event: Vec<Event>,
    #[serde(default)]
    fault: Vec<Broken>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Who {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    who: Spanned<Who>,
    speed_mps: Option<Spanned<f64>>,
    does: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extras {
    name: Spanned<String>,
    #[serde(default = "one")]
    count: usize,
    speed_mps: Option<Spanned<f64>>,
    does: Vec<Spanned<String>>,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    at_s: Spanned<f64>,
    sensor: Spanned<String>,
    on: Option<bool>,
    button: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Broken {
    sensor: Spanned<String>,
    from_s: Spanned<f64>,
    to_s: Option<Spanned<f64>>,
    late_ms: Option<f64>,
    #[serde(default)]
    silent: bool,
    #[serde(default)]
    held: bool,
    dropped: Option<f64>,
    twice: Option<f64>,
    drift_ppm: Option<f64>,
}

impl Broken {
    /// What is wrong with it; `None` where nothing, several things or nonsense is said.
    fn wrong(&self) -> Option<Wrong> {
        let share = |p: f64| (p > 0.0 && p <= 1.0).then_some(p);
        let said = [
            self.silent.then_some(Some(Wrong::Silent)),
            // Held back until when? It needs an end.
            self.held.then_some(self.to_s.is_some().then_some(Wrong::Held)),
            self.late_ms.map(|ms| seconds(ms / 1e3).filter(|d| d.0 > 0).map(Wrong::Late)),
            self.dropped.map(|p| share(p).map(Wrong::Dropped)),
            self.twice.map(|p| share(p).map(Wrong::Twice)),
            self.drift_ppm.map(|ppm| (ppm.abs() <= DRIFT_PPM_MAX).then_some(Wrong::Drift(ppm))),
        ];
        let mut said = said.into_iter().flatten();
        said.next().flatten().filter(|_| said.next().is_none())
    }
}

/// Reads a script against its site.
///
/// # Errors
/// [`SimError::Script`] with the line and the way to mend it.
pub(super) fn parse(text: &str, site: &Site) -> Result<Script, SimError> {
    let at = |offset: usize, message: String| SimError::Script {
        line: text.bytes().take(offset).filter(|&b| b == b'\n').count() as u32 + 1,
        message,
    };
    let file: File = toml::from_str(text).map_err(|e| at(e.span().map_or(0, |s| s.start), e.message().to_owned()))?;
    let mut script = Script::default();
    for entry in &file.person {
        let who: Vec<&String> = match entry.who.get_ref() {
            Who::One(name) => vec![name],
            Who::Several(names) => names.iter().collect(),
        };
        for name in who {
            let person = site.person_named(name).ok_or_else(|| {
                let help = "Name somebody of people.toml, or make them [[extras]].";
                at(entry.who.span().start, format!("There is no person `{name}`. {help}"))
            })?;
            let does = sentences(&entry.does, site, &at)?;
            script.actors.push(Actor {
                name: name.clone(),
                person: Some(person),
                speed_mps: speed(&entry.speed_mps, &at)?,
                does,
            });
        }
    }
    for extras in &file.extras {
        let does = sentences(&extras.does, site, &at)?;
        let speed_mps = speed(&extras.speed_mps, &at)?;
        if extras.count > PEOPLE_MAX {
            return Err(SimError::TooManyPeople(extras.count));
        }
        for i in 1..=extras.count {
            let name = format!("{}-{i}", extras.name.get_ref());
            script.actors.push(Actor { name, person: None, speed_mps, does: does.clone() });
        }
    }
    if script.actors.len() > PEOPLE_MAX {
        return Err(SimError::TooManyPeople(script.actors.len()));
    }
    let mut names: Vec<&str> = script.actors.iter().map(|a| a.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
        return Err(at(
            0,
            format!("`{}` is in the script twice. Give each person one list of what they do.", twice[0]),
        ));
    }
    for event in &file.event {
        script.events.push(scene_event(event, site, &at)?);
    }
    script.events.sort_by_key(|e| e.0);
    for broken in &file.fault {
        script.faults.push(fault(broken, site, &at)?);
    }
    Ok(script)
}

type At<'a> = &'a dyn Fn(usize, String) -> SimError;

fn speed(said: &Option<Spanned<f64>>, at: At<'_>) -> Result<Option<f64>, SimError> {
    match said {
        Some(s) if !SPEED_MPS.contains(s.get_ref()) => {
            Err(at(s.span().start, format!("Nobody walks {} m/s. Give a speed from 0.3 to 2.5.", s.get_ref())))
        }
        other => Ok(other.as_ref().map(|s| *s.get_ref())),
    }
}

fn scene_event(event: &Event, site: &Site, at: At<'_>) -> Result<(ArrivalNs, SensorId, Happening), SimError> {
    let when =
        seconds(*event.at_s.get_ref()).ok_or_else(|| at(event.at_s.span().start, "`at_s` is no time.".into()))?;
    let fault = |message: String| at(event.sensor.span().start, message);
    let name = event.sensor.get_ref();
    let sensor = site.sensor_named(name).ok_or_else(|| fault(format!("There is no sensor `{name}`.")))?;
    let kind = site.sensors[sensor.index()].kind;
    let happening = match (event.on, &event.button) {
        (Some(on), None) if kind == SensorKind::Binary => Happening::Switch(on),
        (None, Some(b)) if kind == SensorKind::Button => {
            Happening::Button(Name::new(b).ok_or_else(|| fault(format!("`{b}` is too long for a button's name.")))?)
        }
        _ => {
            return Err(fault(format!(
                "`{name}` is of kind {kind}: give `on` for a binary sensor, `button` for a button."
            )));
        }
    };
    Ok((ArrivalNs(when.0), sensor, happening))
}

fn fault(broken: &Broken, site: &Site, at: At<'_>) -> Result<Fault, SimError> {
    let time = |s: &Spanned<f64>| {
        seconds(*s.get_ref()).map(|d| ArrivalNs(d.0)).ok_or_else(|| at(s.span().start, "this is no time.".into()))
    };
    let from = time(&broken.from_s)?;
    let to = broken.to_s.as_ref().map_or(Ok(ArrivalNs(i64::MAX)), time)?;
    let wrong_at = |message: &str| at(broken.sensor.span().start, message.to_owned());
    let name = broken.sensor.get_ref();
    let sensor = site.sensor_named(name).ok_or_else(|| wrong_at(&format!("There is no sensor `{name}`.")))?;
    if to <= from {
        return Err(wrong_at("A fault ends after it begins: `to_s` is greater than `from_s`."));
    }
    let wrong = broken.wrong().ok_or_else(|| {
        wrong_at(
            "Say one thing that is wrong with it: `late_ms` above 0, `silent = true`, `held = true` with `to_s`, \
             `dropped` or `twice` above 0 to 1, or `drift_ppm` within 500.",
        )
    })?;
    Ok(Fault { sensor, from, to, wrong })
}

fn sentences(does: &[Spanned<String>], site: &Site, at: At<'_>) -> Result<Vec<Timed>, SimError> {
    let mut tasks = Vec::with_capacity(does.len());
    for (i, said) in does.iter().enumerate() {
        let timed =
            sentence(said.get_ref(), site).map_err(|m| at(said.span().start, format!("`{}`: {m}", said.get_ref())))?;
        let begins = matches!(timed.task, Task::Start(_) | Task::Enter(_));
        if begins != (i == 0) {
            let help =
                "The first thing, and only the first, is `starts in ZONE`, `starts at X Y` or `enters by OPENING`.";
            return Err(at(said.span().start, format!("`{}`: {help}", said.get_ref())));
        }
        tasks.push(timed);
    }
    Ok(tasks)
}

/// A time as a script gives it; `None` where it is negative or no number.
fn seconds(s: f64) -> Option<DurationNs> {
    DurationNs::from_s_f64(s).filter(|d| d.0 >= 0)
}

fn sentence(text: &str, site: &Site) -> Result<Timed, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (not_before, words) = match words.as_slice() {
        ["at", t, "s", rest @ ..] => (duration(t)?, rest),
        all => (DurationNs::ZERO, all),
    };
    let task = match *words {
        ["starts", "in", zone] => Task::Start(Where::Zone(zone_of(zone, site)?)),
        ["starts", "at", ref point @ ..] => Task::Start(point_of(point, site)?),
        ["enters", "by", opening] => Task::Enter(opening_of(opening, site)?),
        ["leaves", "by", opening] => Task::Leave(opening_of(opening, site)?),
        ["goes", "to", zone] => Task::Go(Where::Zone(zone_of(zone, site)?)),
        ["goes", "to", ref point @ ..] => Task::Go(point_of(point, site)?),
        ["badges", "at", sensor] => Task::Badge(sensor_of(sensor, SensorKind::Badge, site)?),
        ["stays", t, "s"] => Task::Stay(duration(t)?),
        ["faces", what, "for", t, "s"] => Task::Face(aim_of(what, site)?, duration(t)?),
        ["gestures", word, "at", sensor] => {
            Task::Gesture(sensor_of(sensor, SensorKind::Gesture, site)?, name_of(word)?)
        }
        ["presses", word, "at", sensor] => Task::Press(sensor_of(sensor, SensorKind::Button, site)?, name_of(word)?),
        ["wanders", ref rest @ ..] => wander(rest, site)?,
        _ => {
            return Err("this is nothing that people do. They start in or at, enter by, go to, badge at, stay, face, \
                        gesture, press, wander among or leave by (see the head of sim/script.rs)."
                .into());
        }
    };
    Ok(Timed { not_before: ArrivalNs(not_before.0), task })
}

fn wander(words: &[&str], site: &Site) -> Result<Task, String> {
    let (lasting, words) = match words {
        ["for", t, "s", rest @ ..] => (Some(duration(t)?), rest),
        all => (None, all),
    };
    let ["among", among @ ..] = words else { return Err("say `wanders among ZONE, ZONE`.".into()) };
    let (among, stay_s) = match among {
        [zones @ .., "staying", a, "to", b, "s"] => (zones, [duration(a)?.as_s_f64(), duration(b)?.as_s_f64()]),
        all => (all, STAY_S),
    };
    if stay_s[0] > stay_s[1] {
        return Err("the shorter stay comes first.".into());
    }
    let names = among.iter().map(|w| w.trim_end_matches(',')).filter(|w| !w.is_empty());
    let zones = names.map(|w| zone_of(w, site).map(Where::Zone)).collect::<Result<Vec<_>, _>>()?;
    if zones.is_empty() {
        return Err("name the zones to wander among.".into());
    }
    Ok(Task::Wander { among: zones, lasting, stay_s })
}

fn number(word: &str) -> Result<f64, String> {
    word.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| format!("`{word}` is no number."))
}

fn duration(word: &str) -> Result<DurationNs, String> {
    seconds(number(word)?).ok_or_else(|| format!("`{word}` is no time."))
}

fn point_of(words: &[&str], site: &Site) -> Result<Where, String> {
    let (x, y, level) = match *words {
        [x, y] => (x, y, LevelId(0)),
        [x, y, level] => (x, y, site.level_named(level).ok_or_else(|| format!("there is no level `{level}`."))?),
        [zone] => return Err(format!("there is no zone `{zone}`.")),
        _ => return Err("say a zone, or x and y in metres and a level.".into()),
    };
    let point = Point::new(number(x)?, number(y)?);
    point
        .is_plausible()
        .then_some(Where::Point(level, point))
        .ok_or_else(|| "that is far outside of any building.".into())
}

fn zone_of(word: &str, site: &Site) -> Result<ZoneId, String> {
    site.zone_named(word).ok_or_else(|| format!("there is no zone `{word}`."))
}

fn opening_of(word: &str, site: &Site) -> Result<usize, String> {
    let found = site.openings.iter().position(|o| o.name == word && !o.segments.is_empty());
    found.ok_or_else(|| format!("there is no opening `{word}`."))
}

fn sensor_of(word: &str, kind: SensorKind, site: &Site) -> Result<SensorId, String> {
    let sensor = site.sensor_named(word).ok_or_else(|| format!("there is no sensor `{word}`."))?;
    let is = site.sensors[sensor.index()].kind;
    if is == kind { Ok(sensor) } else { Err(format!("`{word}` is of kind {is}, and this takes one of kind {kind}.")) }
}

/// What one faces: a facing sensor, or a zone.
fn aim_of(word: &str, site: &Site) -> Result<Aim, String> {
    if let Some(zone) = site.zone_named(word) {
        return Ok(Aim::Zone(zone));
    }
    sensor_of(word, SensorKind::Facing, site)
        .map(Aim::Sensor)
        .map_err(|why| format!("there is no zone `{word}`, and {why}"))
}

fn name_of(word: &str) -> Result<Name, String> {
    Name::new(word).ok_or_else(|| format!("`{word}` is too long for a name."))
}
