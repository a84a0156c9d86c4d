//! Commands, causes and events in words, by the names of the site that they are of.

use crate::rulebook::Rulebook;
use osmose_model::command::{Args, Cause, Command, Entity, Trigger, Value};
use osmose_model::device::BinaryRole;
use osmose_model::ids::{ActuatorId, PersonId, SensorId, ZoneId};
use osmose_model::observation::Direction;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs, NS_PER_S};
use osmose_model::world::{Reading, WallTime, WorldEvent};

/// So many of something: `1 command`, `2 commands`.
///
/// ```
/// assert_eq!(osmose_replay::counted(1, "command") + " of " + &osmose_replay::counted(0, "rule"), "1 command of 0 rules");
/// ```
#[must_use]
pub fn counted<N: std::fmt::Display + PartialEq + From<u8>>(n: N, what: &str) -> String {
    let s = if n == N::from(1) { "" } else { "s" };
    format!("{n} {what}{s}")
}

/// The name of a device.
pub(crate) fn device(site: &Site, id: ActuatorId) -> &str {
    site.actuators.get(id.index()).map_or("an unknown device", |a| a.name.as_str())
}

/// The name of a sensor.
pub(crate) fn sensor(site: &Site, id: SensorId) -> &str {
    site.sensors.get(id.index()).map_or("an unknown sensor", |s| s.name.as_str())
}

/// The name of a zone.
pub(crate) fn zone(site: &Site, id: ZoneId) -> &str {
    site.zones.get(id.index()).map_or("an unknown zone", |z| z.name.as_str())
}

/// The name of a person.
pub(crate) fn person(site: &Site, id: PersonId) -> &str {
    site.people.get(id.index()).map_or("an unknown person", |p| p.name.as_str())
}

/// A value.
pub(crate) fn value(site: &Site, v: &Value) -> String {
    match v {
        Value::Bool(b) => b.to_string(),
        Value::Number(x) => x.to_string(),
        Value::Name(n) => n.to_string(),
        Value::Text(t) => format!("{t:?}", t = t.as_str()),
        Value::Person(p) => person(site, *p).to_owned(),
        Value::Zone(z) => zone(site, *z).to_owned(),
        Value::Track(t) => format!("track {t}"),
    }
}

fn args(site: &Site, list: &Args) -> String {
    let parts: Vec<String> = list.iter().map(|(name, v)| format!("{name}: {}", value(site, v))).collect();
    parts.join(", ")
}

/// `m7.recorder.pause(reason: "ana left")`
pub(crate) fn command(site: &Site, c: &Command) -> String {
    format!("{}.{}({})", device(site, c.device), c.verb, args(site, &c.args))
}

/// What set a rule off.
pub(crate) fn trigger(site: &Site, t: &Trigger) -> String {
    match *t {
        Trigger::Event { kind, track, zone: at } => {
            let at = at.map_or_else(String::new, |z| format!(" {}", zone(site, z)));
            format!("track {track} {}{at}", kind.as_str())
        }
        Trigger::Sensor(s) => format!("a reading of {}", sensor(site, s)),
        Trigger::Device(d) => format!("a change of {}", device(site, d)),
        Trigger::Timer => "a timer of the rule".to_owned(),
        Trigger::Clock => "the wall clock".to_owned(),
        Trigger::Start => "the start, or the installation of the rules".to_owned(),
        Trigger::Operator => "a person at the controls".to_owned(),
    }
}

/// What a variable stood for.
pub(crate) fn entity(site: &Site, e: &Entity) -> String {
    match *e {
        Entity::Track { track, person: Some(p), person_p } => {
            format!("track {track}, {} with probability {person_p:.3}", person(site, p))
        }
        Entity::Track { track, person: None, .. } => format!("track {track}, nobody known"),
        Entity::Person(p) => person(site, p).to_owned(),
        Entity::Zone(z) => zone(site, z).to_owned(),
        Entity::Device(d) => device(site, d).to_owned(),
    }
}

/// Why in one line: what set it off, and the variables.
pub(crate) fn cause(site: &Site, c: &Cause) -> String {
    let mut text = trigger(site, &c.trigger);
    for (name, e) in &c.bindings {
        text += &format!("; {name} = {}", entity(site, e));
    }
    if c.doubt {
        text += "; decided by doubt";
    }
    text
}

/// Who sent a command.
pub(crate) fn sender(book: &Rulebook, c: &Command) -> String {
    match (c.rule, &c.cause.trigger) {
        (Some(rule), _) => book.name(rule),
        (None, Trigger::Operator) => "an operator".to_owned(),
        (None, _) => "the device's default".to_owned(),
    }
}

/// An event in words.
pub(crate) fn event(site: &Site, e: &WorldEvent) -> String {
    let who = match e.person {
        Some(p) => format!("track {} ({}, p {:.3})", e.track, person(site, p), e.person_p),
        None => format!("track {}", e.track),
    };
    let at = e.zone.map_or_else(String::new, |z| format!(" {}", zone(site, z)));
    format!("{who} {}{at} at ({:.2}, {:.2}) m", e.kind.as_str(), e.place.at.x_m, e.place.at.y_m)
}

/// A sensor's reading.
pub(crate) fn reading(site: &Site, id: SensorId, r: &Reading) -> String {
    let role = site.sensors.get(id.index()).and_then(|s| s.role);
    match (r, role) {
        (Reading::Switch(on), Some(BinaryRole::Contact)) => if *on { "open" } else { "closed" }.to_owned(),
        (Reading::Switch(on), _) => if *on { "active" } else { "not active" }.to_owned(),
        (Reading::Quantity(x), _) => x.to_string(),
        (Reading::People(n), _) => format!("{n} people"),
        (Reading::Button(b), _) => format!("button {b}"),
        (Reading::Badge { person: Some(p), .. }, _) => format!("the badge of {}", person(site, *p)),
        (Reading::Badge { person: None, .. }, _) => "a badge of nobody known".to_owned(),
        (Reading::Crossing(Direction::In), _) => "somebody went in".to_owned(),
        (Reading::Crossing(Direction::Out), _) => "somebody went out".to_owned(),
        (Reading::Gesture { gesture, .. }, _) => format!("gesture {gesture}"),
    }
}

/// An instant of the log and its local time of day.
pub(crate) type Tied = Option<(LogicalNs, WallTime)>;

/// The local time of day of an instant, to the millisecond; `None` where the log has no wall clock.
pub(crate) fn time_of_day(at: LogicalNs, tied: Tied) -> Option<String> {
    const DAY_MS: i64 = 86_400_000;
    let (then, wall) = tied?;
    let local_ns = wall.utc.0.saturating_add(wall.offset.0).saturating_add(at.since(then).0);
    let ms = local_ns.div_euclid(NS_PER_S / 1000).rem_euclid(DAY_MS);
    let (s, ms) = (ms / 1000, ms % 1000);
    Some(format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60))
}

/// An instant as seconds of the trace, to the millisecond, which is what people compare. Programs get all digits.
pub(crate) fn seconds(at: LogicalNs) -> String {
    format!("{:.3} s", at.0.div_euclid(NS_PER_S / 1000) as f64 / 1e3)
}

/// What a condition measured, to the thousandth: programs, and whoever asks `why`, get all digits.
pub(crate) fn measured(value: f64) -> String {
    let thousandths = (value * 1e3).round();
    if thousandths.abs() < 1e15 { format!("{}", thousandths / 1e3 + 0.0) } else { value.to_string() }
}

/// A length of time: milliseconds below a second.
pub(crate) fn span(d: DurationNs) -> String {
    if d.0.unsigned_abs() < NS_PER_S as u64 {
        format!("{:.3} ms", d.0 as f64 / 1e6)
    } else {
        format!("{:.3} s", d.0 as f64 / 1e9)
    }
}

/// An instant as seconds of the trace, with the time of day where the log knows it: `20.123 s (10:02:20.123)`.
pub(crate) fn instant(at: LogicalNs, tied: Tied) -> String {
    let at_s = seconds(at);
    time_of_day(at, tied).map_or_else(|| at_s.clone(), |clock| format!("{at_s} ({clock})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::time::UtcNs;

    #[test]
    fn what_was_measured_is_told_to_the_thousandth() {
        let told = [0.065_040_833_635_898_77, 2.0, -0.000_4, 41.000_6, 1e300, f64::NAN].map(measured);
        assert_eq!(told[..4], ["0.065", "2", "0", "41.001"]);
        assert!(told[4].starts_with("1000") && told[5] == "NaN");
    }

    #[test]
    fn times_of_day_are_local_and_go_past_midnight() {
        let wall = WallTime { utc: UtcNs(86_399 * NS_PER_S), offset: DurationNs::from_s(3600) };
        let tied = Some((LogicalNs(5 * NS_PER_S), wall));
        assert_eq!(instant(LogicalNs(5 * NS_PER_S + 1_999_999), tied), "5.001 s (00:59:59.001)");
        assert_eq!(time_of_day(LogicalNs(6 * NS_PER_S), tied).as_deref(), Some("01:00:00.000"));
        assert_eq!(time_of_day(LogicalNs(0), tied).as_deref(), Some("00:59:54.000"));
        assert_eq!(instant(LogicalNs(0), None), "0.000 s");
        assert_eq!([span(DurationNs(999_999_999)), span(DurationNs(-5_250_000_000))], ["1000.000 ms", "-5.250 s"]);
    }
}
