//! `connect`: addresses, formats, and how a JSON body becomes an observation.

use crate::doc::{Fields, Range, Val};
use crate::fault::{Faults, Spot};
use crate::text::{propose, shown};
use osmose_model::device::{ClockKind, Connect, FieldPath, Format, JsonMap, Normalise, SensorKind, TimePath};
use std::net::SocketAddr;

/// The fields of a kind's observation in a JSON map: those it must have, then those it may have; named as the
/// columns of `osmose import`. `seq` may be had by all.
const fn fields(kind: SensorKind) -> (&'static [&'static str], &'static [&'static str]) {
    use SensorKind as K;
    match kind {
        K::Location => (&["device", "x_m", "y_m"], &["z_m", "level", "sigma_m"]),
        K::Position => (&["x_m", "y_m"], &["z_m", "level", "sigma_m"]),
        K::Points => (&["x_m", "y_m"], &["z_m", "level", "doppler_mps", "intensity"]),
        K::Range => (&["device", "range_m"], &["sigma_m"]),
        K::Tdoa => (&["sensor_b", "device", "diff_m"], &["sigma_m"]),
        K::Rssi => (&["device", "rssi_dbm"], &[]),
        K::Bearing => (&["bearing_deg"], &["sigma_deg", "device"]),
        K::Voice => (&["person", "likelihood"], &["bearing_deg"]),
        K::Facing => (&["x_m", "y_m", "heading_deg"], &["z_m", "level", "sigma_deg"]),
        K::Gesture => (&["x_m", "y_m", "gesture"], &["z_m", "level"]),
        K::Binary => (&["state"], &[]),
        K::Badge => (&["badge"], &[]),
        K::Crossing => (&["direction"], &[]),
        K::Count => (&["people"], &[]),
        K::Value => (&["value"], &[]),
        K::Button => (&["button"], &[]),
    }
}

/// Whether `each` makes sense: kinds that come in scans.
const fn has_scans(kind: SensorKind) -> bool {
    matches!(kind, SensorKind::Position | SensorKind::Points | SensorKind::Bearing)
}

/// An address that can be bound or sent to.
fn address(t: &mut Fields<'_>, key: &'static str, faults: &mut Faults) -> Option<SocketAddr> {
    let (text, spot) = t.string(faults, key)?;
    let help = "Write an IP address and a port, such as \"127.0.0.1:7801\" or \"[::1]:7801\".";
    match text.parse::<SocketAddr>() {
        Ok(a) if a.port() != 0 => Some(a),
        Ok(_) => {
            let message = format!("{} is {}, whose port is 0.", describe(key, t), shown(text));
            faults.error("bad-address", &spot, t.name(), message, help);
            None
        }
        Err(_) => {
            let message = format!("{} is \"{}\", which is no address.", describe(key, t), shown(text));
            faults.error("bad-address", &spot, t.name(), message, help);
            None
        }
    }
}

/// "`udp` in `connect` of sensor `x`", at the beginning of a sentence.
fn describe(key: &str, t: &Fields<'_>) -> String {
    format!("`{key}` in {}", t.what())
}

/// `connect` of a sensor; `None` where it is only simulated or imported.
pub(super) fn sensor(t: &mut Fields<'_>, kind: SensorKind, clock: ClockKind, faults: &mut Faults) -> Option<Connect> {
    let mut c = t.table(faults, "connect")?;
    let udp = address(&mut c, "udp", faults);
    if c.get("udp").is_none() {
        let message = format!("{} has no `udp`: where the engine listens.", upper(c.what()));
        faults.error("missing-key", &c.spot(), c.name(), message, "Add `udp = \"127.0.0.1:7801\"`.");
    }
    let from = address(&mut c, "from", faults);
    let normalise = normalise(&mut c, faults);
    let key_file = key_file(&mut c, faults);
    #[derive(Clone, Copy)]
    enum Is {
        Osmose,
        Json,
    }
    let is = c.word(faults, "format", &[("osmose", Is::Osmose), ("json", Is::Json)]);
    let has_map = c.get("map").is_some();
    let format = match is {
        Some(Is::Osmose) => {
            if has_map {
                let message = format!("{} has a `map`, but the native format needs none.", upper(c.what()));
                faults.error(
                    "unknown-key",
                    &c.spot(),
                    c.name(),
                    message,
                    "Take `map` out, or write `format = \"json\"`.",
                );
            }
            Format::Osmose
        }
        Some(Is::Json) => Format::Json(Box::new(json_map(&mut c, kind, clock, faults))),
        None => {
            if c.get("format").is_none() {
                let message = format!("{} does not say its `format`.", upper(c.what()));
                faults.error(
                    "missing-key",
                    &c.spot(),
                    c.name(),
                    message,
                    "Add `format = \"osmose\"`, or `format = \"json\"` and a `map`.",
                );
            }
            Format::Osmose
        }
    };
    c.finish(faults, &[]);
    Some(Connect { udp, format, from, state_udp: None, normalise, key_file })
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// Where the device's key stands: a file inside the site's folder, so that a site can be moved.
fn key_file(c: &mut Fields<'_>, faults: &mut Faults) -> Option<String> {
    let (text, spot) = c.string(faults, "key_file")?;
    let path = std::path::Path::new(text);
    let inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if text.is_empty() || !inside {
        let message =
            format!("`key_file` in {} is \"{}\", which is no file inside the site's folder.", c.what(), shown(text));
        let help = "Write a path such as \"keys/door-1.key\"; the file holds 32 hexadecimal digits.";
        faults.error("bad-path", &spot, c.name(), message, help);
        return None;
    }
    Some(text.to_owned())
}

/// `normalise = "lower"` or `["lower", "alnum"]`.
fn normalise(c: &mut Fields<'_>, faults: &mut Faults) -> Normalise {
    let mut n = Normalise::default();
    let Some(val) = c.get("normalise") else { return n };
    let words: Vec<(&str, Spot)> = match val.as_str() {
        Some(s) => vec![(s, val.spot())],
        None => c.strings(faults, "normalise"),
    };
    for (word, spot) in words {
        match word {
            "lower" => n.lower = true,
            "alnum" => n.alnum = true,
            other => {
                let message =
                    format!("`normalise` in {} is \"{}\", which is none of its words.", c.what(), shown(other));
                faults.error("unknown-word", &spot, c.name(), message, propose(other, ["lower", "alnum"], ""));
            }
        }
    }
    n
}

/// A JSON pointer (RFC 6901): empty, or beginning with a slash.
fn pointer(val: Val<'_>, what: &str, name: &str, faults: &mut Faults) -> Option<String> {
    let Some(text) = val.as_str() else {
        let message = format!("{what} is {} where a JSON pointer belongs.", val.describe());
        faults.error("bad-pointer", &val.spot(), name, message, "Write a pointer such as \"/id\" or \"/pos/x\".");
        return None;
    };
    let escapes_hold = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if (text.is_empty() || text.starts_with('/')) && escapes_hold {
        return Some(text.to_owned());
    }
    let message = format!("{what} is \"{}\", which is no JSON pointer.", shown(text));
    let help = if text.contains('~') {
        "Write `~0` for `~` and `~1` for `/` inside a name.".to_owned()
    } else {
        format!("Write \"/{}\".", shown(&text.replace('.', "/")))
    };
    faults.error("bad-pointer", &val.spot(), name, message, help);
    None
}

fn json_map(c: &mut Fields<'_>, kind: SensorKind, clock: ClockKind, faults: &mut Faults) -> JsonMap {
    let mut map = JsonMap::default();
    let (must, may) = fields(kind);
    let Some(mut m) = c.table(faults, "map") else {
        if c.get("map").is_none() {
            let message = format!("{} is JSON, but has no `map`.", upper(c.what()));
            let wanted: Vec<String> =
                must.iter().map(|f| format!("{f} = \"/{}\"", f.split('_').next().unwrap_or(f))).collect();
            faults.error(
                "missing-key",
                &c.spot(),
                c.name(),
                message,
                format!("Add `map = {{ {} }}`.", wanted.join(", ")),
            );
        }
        return map;
    };
    let (what, name) = (m.what().to_owned(), m.name().to_owned());
    let text = |m: &mut Fields<'_>, key: &'static str, faults: &mut Faults| {
        let val = m.get(key)?;
        pointer(val, &format!("`{key}` in {what}"), &name, faults)
    };
    map.each = text(&mut m, "each", faults);
    map.sensor = text(&mut m, "sensor", faults);
    if let Some(each) = m.get("each").filter(|_| !has_scans(kind)) {
        let message = format!("`each` in {what} makes scans, but `{kind}` sensors say one thing at a time.");
        faults.error("unknown-key", &each.spot(), &name, message, "Take `each` out.");
    }
    map.time = time_path(&mut m, clock, faults);
    for (field, required) in
        must.iter().map(|f| (*f, true)).chain(may.iter().map(|f| (*f, false))).chain([("seq", false)])
    {
        match field_path(&mut m, field, faults) {
            Some(path) => map.fields.push((field.to_owned(), path)),
            None if required && m.get(field).is_none() => {
                let message = format!("{} has no `{field}`, which `{kind}` sensors must say.", upper(&what));
                faults.error(
                    "missing-key",
                    &m.spot(),
                    &name,
                    message,
                    format!("Add `{field} = \"/…\"`, a pointer into the body."),
                );
            }
            None => {}
        }
    }
    map.fields.sort_by(|a, b| a.0.cmp(&b.0));
    if clock != ClockKind::Arrival && map.time.is_none() && m.get("time").is_none() {
        let message =
            format!("{} has no `time`, though the clock is the {}'s: arrival is taken.", upper(&what), clock.as_str());
        faults.warning(
            "no-time",
            &m.spot(),
            &name,
            message,
            "Add `time = { path = \"/t\", unit = \"s\", clock = \"utc\" }`, or write `clock = \"arrival\"`.",
        );
    }
    m.finish(faults, &[]);
    map
}

/// A pointer, or `{ path, scale, offset }`.
fn field_path(m: &mut Fields<'_>, field: &'static str, faults: &mut Faults) -> Option<FieldPath> {
    let val = m.get(field)?;
    let what = format!("`{field}` in {}", m.what());
    if !val.get().is_table() {
        let path = pointer(val, &what, m.name(), faults)?;
        return Some(FieldPath { path, scale: 1.0, offset: 0.0 });
    }
    let mut t = m.table(faults, field)?;
    let scale = t.number(faults, "scale", Range::Any).unwrap_or(1.0);
    let offset = t.number(faults, "offset", Range::Any).unwrap_or(0.0);
    let path = required_path(&mut t, &what, faults);
    if scale == 0.0 {
        let message = format!("`scale` of {what} is 0: every value would be the same.");
        faults.error("out-of-range", &t.spot(), t.name(), message, "Write the factor from the body's unit to ours.");
    }
    t.finish(faults, &[]);
    Some(FieldPath { path: path?, scale, offset })
}

fn required_path(t: &mut Fields<'_>, what: &str, faults: &mut Faults) -> Option<String> {
    match t.get("path") {
        Some(val) => pointer(val, &format!("`path` of {what}"), t.name(), faults),
        None => {
            let message = format!("{what} has no `path`.");
            faults.error("missing-key", &t.spot(), t.name(), message, "Add `path = \"/…\"`, a pointer into the body.");
            None
        }
    }
}

fn time_path(m: &mut Fields<'_>, clock: ClockKind, faults: &mut Faults) -> Option<TimePath> {
    let mut t = m.table(faults, "time")?;
    let what = t.what().to_owned();
    let path = required_path(&mut t, &what, faults);
    let unit = t.word(faults, "unit", &[("s", 0), ("ms", -3), ("us", -6), ("ns", -9)]).unwrap_or(0);
    let said = t.word(faults, "clock", &[("device", ClockKind::Device), ("utc", ClockKind::Utc)]);
    let usual = if clock == ClockKind::Arrival { ClockKind::Device } else { clock };
    t.finish(faults, &[]);
    Some(TimePath { path: path?, unit_pow10: unit, clock: said.unwrap_or(usual) })
}

/// `connect` of an actuator: `"log"`, or a table; log lines (and a warning) where it has none.
pub(super) fn actuator(t: &mut Fields<'_>, faults: &mut Faults) -> Connect {
    let mut connect = Connect::log();
    let Some(val) = t.get("connect") else {
        let message = format!("The {} has no `connect`: its commands are log lines only.", t.what());
        faults.warning("no-connect", &t.spot(), t.name(), message, "Write `connect = \"log\"` where that is meant.");
        return connect;
    };
    if let Some(word) = val.as_str() {
        if word != "log" {
            let message = format!("`connect` of {} is \"{}\", which there is not.", t.what(), shown(word));
            faults.error(
                "unknown-word",
                &val.spot(),
                t.name(),
                message,
                "Write \"log\", or `{ udp = \"127.0.0.1:7802\", format = \"json\" }`.",
            );
        }
        return connect;
    }
    let Some(mut c) = t.table(faults, "connect") else { return connect };
    let log = c.word(faults, "format", &[("json", false), ("log", true)]).unwrap_or(false);
    connect.udp = address(&mut c, "udp", faults);
    connect.state_udp = address(&mut c, "state_udp", faults);
    connect.key_file = key_file(&mut c, faults);
    if !log {
        if c.get("udp").is_none() {
            let message = format!("{} has no `udp`: where commands go.", upper(c.what()));
            faults.error(
                "missing-key",
                &c.spot(),
                c.name(),
                message,
                "Add `udp = \"127.0.0.1:7802\"`, or write `connect = \"log\"`.",
            );
        }
        connect.format = Format::Json(Box::default());
    }
    c.finish(faults, &[]);
    connect
}
