//! `site.toml`: the frame, the engine, margins, recording, attributes, words and resources, each with its default.

use crate::doc::{Doc, Fields, Range};
use crate::fault::{Faults, Spot};
use crate::text::{Source, propose, shown};
use osmose_model::device::Unit;
use osmose_model::geometry::RAD_PER_DEG;
use osmose_model::site::{
    Attribute, AttributeSpec, EngineConfig, Frame, Idle, RecordConfig, Resource, Topology, ZoneMargins,
};
use osmose_model::time::DurationNs;
use std::collections::BTreeMap;

/// All of site.toml, and where what other files must agree with stands.
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) frame: Frame,
    pub(crate) engine: EngineConfig,
    pub(crate) margins: ZoneMargins,
    pub(crate) record: RecordConfig,
    pub(crate) attributes: BTreeMap<String, AttributeSpec>,
    pub(crate) words: BTreeMap<String, Vec<String>>,
    /// The categories of `words` and where each is written.
    pub(crate) word_spots: Vec<(String, Spot)>,
    pub(crate) resources: Vec<Resource>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: None,
            frame: Frame { timezone: "UTC".to_owned(), ..Frame::default() },
            engine: EngineConfig::default(),
            margins: ZoneMargins::default(),
            record: RecordConfig::default(),
            attributes: BTreeMap::new(),
            words: BTreeMap::new(),
            word_spots: Vec::new(),
            resources: Vec::new(),
        }
    }
}

/// Reads site.toml; what is absent or wrong has its default.
pub(crate) fn read(source: &Source<'_>, faults: &mut Faults) -> Settings {
    let mut settings = Settings::default();
    let doc = Doc::parse(source, faults);
    let mut root = doc.fields();
    settings.name = root.string(faults, "name").map(|(s, _)| s.to_owned());
    if let Some(t) = root.table(faults, "frame") {
        frame(t, &mut settings.frame, faults);
    }
    if let Some(t) = root.table(faults, "engine") {
        engine(t, &mut settings.engine, faults);
    }
    if let Some(mut t) = root.table(faults, "zones") {
        settings.margins = margins(&mut t, settings.margins, faults);
        t.finish(faults, &[]);
    }
    if let Some(t) = root.table(faults, "record") {
        record(t, &mut settings.record, faults);
    }
    if let Some(t) = root.table(faults, "attributes") {
        attributes(&t, &mut settings, faults);
    }
    if let Some(t) = root.table(faults, "words") {
        words(&t, &mut settings, faults);
    }
    for t in root.tables(faults, "resource") {
        resource(t, &mut settings.resources, faults);
    }
    root.finish(faults, &[]);
    settings
}

fn frame(mut t: Fields<'_>, frame: &mut Frame, faults: &mut Faults) {
    if let Some(mut origin) = t.table(faults, "origin") {
        let lat = origin.get("lat_deg").and_then(|v| v.as_number());
        let lon = origin.get("lon_deg").and_then(|v| v.as_number());
        match (lat, lon) {
            (Some(lat), Some(lon)) if lat.abs() <= 90.0 && lon.abs() <= 180.0 => frame.origin_deg = Some((lat, lon)),
            (Some(lat), Some(lon)) => {
                let swapped = if lat.abs() <= 180.0 && lon.abs() <= 90.0 {
                    "Latitude and longitude look swapped."
                } else {
                    "Metres belong into the plan; here stands where on earth its origin is."
                };
                let message = format!(
                    "The origin ({lat}, {lon}) is no place on earth: latitude is from -90 to 90 degrees, longitude from -180 to 180."
                );
                faults.error("metres-as-degrees", &origin.spot(), "frame", message, swapped);
            }
            _ => faults.error(
                "missing-key",
                &origin.spot(),
                "frame",
                "The origin of the frame needs two numbers, `lat_deg` and `lon_deg`.",
                "Write `origin = { lat_deg = 52.2053, lon_deg = 0.1218 }`.",
            ),
        }
        origin.finish(faults, &[]);
    }
    if let Some(deg) = t.number(faults, "rotation_deg", Range::Within(-360.0, 360.0)) {
        frame.rotation_rad = deg * RAD_PER_DEG;
    }
    if let Some((zone, spot)) = t.string(faults, "timezone") {
        // The zone's rules are looked up where a wall clock is anchored; here only what can be no IANA name is caught.
        let part = |p: &str| {
            p.starts_with(|c: char| c.is_ascii_alphabetic())
                && p.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+'))
        };
        if zone.split('/').all(part) {
            frame.timezone = zone.to_owned();
        } else {
            let message = format!("\"{}\" is no time zone's name.", shown(zone));
            faults.error(
                "unknown-timezone",
                &spot,
                "frame",
                message,
                "Write an IANA name such as \"Europe/London\" or \"UTC\".",
            );
        }
    }
    t.finish(faults, &[]);
}

fn engine(mut t: Fields<'_>, engine: &mut EngineConfig, faults: &mut Faults) {
    const TOPOLOGIES: &[(&str, Topology)] = &[
        ("auto", Topology::Auto),
        ("inline", Topology::Inline),
        ("fused", Topology::Fused),
        ("split", Topology::Split),
        ("dedicated", Topology::Dedicated),
    ];
    engine.topology = t.word(faults, "topology", TOPOLOGIES).unwrap_or(engine.topology);
    engine.idle = t.word(faults, "idle", &[("yield", Idle::Yield), ("spin", Idle::Spin)]).unwrap_or(engine.idle);
    engine.budget_us = t.whole(faults, "budget_us", 1, 1_000_000).unwrap_or(engine.budget_us);
    engine.tracks_max = t.whole(faults, "tracks_max", 1, 100_000).unwrap_or(engine.tracks_max);
    if let Some(ms) = t.whole(faults, "late_max_ms", 0, 60_000) {
        engine.late_max = DurationNs::from_ms(i64::from(ms));
    }
    t.finish(faults, &[]);
}

/// The four margins of `[zones]`, over `base`.
fn margins(t: &mut Fields<'_>, base: ZoneMargins, faults: &mut Faults) -> ZoneMargins {
    let length = Range::Within(0.0, 100.0);
    ZoneMargins {
        enter_margin_m: t.number(faults, "enter_margin_m", length).unwrap_or(base.enter_margin_m),
        exit_margin_m: t.number(faults, "exit_margin_m", length).unwrap_or(base.exit_margin_m),
        exit_delay: t
            .number(faults, "exit_delay_ms", Range::Within(0.0, 3.6e6))
            .and_then(|ms| DurationNs::from_s_f64(ms / 1e3))
            .unwrap_or(base.exit_delay),
        lost: t
            .number(faults, "lost_s", Range::Within(0.001, 86_400.0))
            .and_then(DurationNs::from_s_f64)
            .unwrap_or(base.lost),
    }
}

/// `1h`, `90 s`, `15min`, `7d`.
fn duration(text: &str) -> Option<DurationNs> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let scale = match text[split..].trim() {
        "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let value: f64 = text[..split].parse().ok()?;
    DurationNs::from_s_f64(value * scale).filter(|d| d.0 > 0)
}

fn record(mut t: Fields<'_>, record: &mut RecordConfig, faults: &mut Faults) {
    record.dir = t.string(faults, "dir").map_or("traces", |(dir, _)| dir).to_owned();
    if let Some((text, spot)) = t.string(faults, "rotate") {
        match duration(text) {
            Some(d) => record.rotate = d,
            None => {
                let message = format!("`rotate` is \"{}\", which is no length of time.", shown(text));
                faults.error(
                    "wrong-type",
                    &spot,
                    "record",
                    message,
                    "Write a number and a unit (s, min, h, d): \"1h\".",
                );
            }
        }
    }
    record.keep_days = t.whole(faults, "keep_days", 1, 36_500).unwrap_or(record.keep_days);
    record.max_gib = t.number(faults, "max_gib", Range::Positive).unwrap_or(record.max_gib);
    t.finish(faults, &[]);
}

/// The word of an attribute's type: what values it takes.
fn is_attribute_type(kind: &str) -> bool {
    matches!(kind, "bool" | "text") || Unit::from_word(kind).is_some()
}

fn attributes(t: &Fields<'_>, settings: &mut Settings, faults: &mut Faults) {
    for (name, value) in t.entries() {
        let spot = value.spot();
        let Some(mut spec) = t.sub(name, value) else {
            let message = format!("The attribute `{}` is {}.", shown(name), value.describe());
            let help = format!("Write `{} = {{ on = \"zone\", type = \"bool\", default = false }}`.", shown(name));
            faults.error("wrong-type", &spot, name, message, help);
            continue;
        };
        spec.call("attribute", name);
        let on = spec.word(faults, "on", &[("zone", "zone"), ("person", "person")]);
        let kind = spec.required(faults, "type");
        let default = spec.get("default");
        if on.is_none() && !spec.has_own("on") {
            let message = format!("The attribute `{}` does not say what has it.", shown(name));
            faults.error("missing-key", &spot, name, message, "Add `on = \"zone\"` or `on = \"person\"`.");
        }
        spec.finish(faults, &[]);
        let (Some(on), Some((kind, kind_spot))) = (on, kind) else { continue };
        if !is_attribute_type(kind) {
            let words: Vec<&str> = ["bool", "text"].into_iter().chain(Unit::ALL.iter().map(|u| u.as_str())).collect();
            let message =
                format!("The attribute `{}` has the type \"{}\", which there is not.", shown(name), shown(kind));
            faults.error("unknown-word", &kind_spot, name, message, propose(kind, words, ""));
            continue;
        }
        let default = match default {
            None => zero(kind),
            Some(v) => match toml_attribute(kind, v) {
                Some(a) => a,
                None => {
                    let message =
                        format!("The default of `{}` is {}, but its type is {kind}.", shown(name), v.describe());
                    faults.error("wrong-type", &v.spot(), name, message, format!("Write {}.", wanted(kind)));
                    continue;
                }
            },
        };
        let spec = AttributeSpec { on: on.to_owned(), kind: kind.to_owned(), default };
        settings.attributes.insert(name.to_owned(), spec);
    }
}

/// What an attribute of a type is where nothing was said.
fn zero(kind: &str) -> Attribute {
    match kind {
        "bool" => Attribute::Bool(false),
        "text" => Attribute::Text(String::new()),
        _ => Attribute::Number(0.0),
    }
}

/// What to write for a value of an attribute's type.
pub(crate) fn wanted(kind: &str) -> &'static str {
    match kind {
        "bool" => "`true` or `false`",
        "text" => "a text in quotes",
        _ => "a number",
    }
}

/// A TOML value as an attribute of a type.
pub(crate) fn toml_attribute(kind: &str, v: crate::doc::Val<'_>) -> Option<Attribute> {
    match kind {
        "bool" => v.get().as_bool().map(Attribute::Bool),
        "text" => v.as_str().map(|s| Attribute::Text(s.to_owned())),
        _ => v.as_number().map(Attribute::Number),
    }
}

/// A JSON value as an attribute of a type.
pub(crate) fn json_attribute(kind: &str, v: &serde_json::Value) -> Option<Attribute> {
    match kind {
        "bool" => v.as_bool().map(Attribute::Bool),
        "text" => v.as_str().map(|s| Attribute::Text(s.to_owned())),
        _ => v.as_f64().filter(|x| x.is_finite()).map(Attribute::Number),
    }
}

fn words(t: &Fields<'_>, settings: &mut Settings, faults: &mut Faults) {
    for (word, value) in t.entries() {
        let categories =
            value.items().and_then(|i| i.map(|v| Some((v.as_str()?, v.spot()))).collect::<Option<Vec<_>>>());
        let Some(categories) = categories else {
            let message =
                format!("The word `{}` is {} where a list of categories belongs.", shown(word), value.describe());
            let help = format!("Write `{} = [\"conferenceroom\", \"office\"]`.", shown(word));
            faults.error("wrong-type", &value.spot(), word, message, help);
            continue;
        };
        settings.word_spots.extend(categories.iter().map(|(c, spot)| ((*c).to_owned(), spot.clone())));
        settings.words.insert(word.to_owned(), categories.into_iter().map(|(c, _)| c.to_owned()).collect());
    }
}

fn resource(mut t: Fields<'_>, resources: &mut Vec<Resource>, faults: &mut Faults) {
    let id = t.required(faults, "id");
    if let Some((id, _)) = id {
        t.call("resource", id);
    }
    let kind = t.word(faults, "kind", &[("calendar", "calendar")]);
    let file = t.required(faults, "file");
    if kind.is_none() && !t.has_own("kind") {
        let message = format!("The {} has no `kind`.", t.what());
        faults.error("missing-key", &t.spot(), t.name(), message, "Add `kind = \"calendar\"`.");
    }
    t.finish(faults, &[]);
    let (Some((id, spot)), Some(kind), Some((file, _))) = (id, kind, file) else { return };
    if resources.iter().any(|r| r.name == id) {
        let message = format!("Two resources are called `{}`.", shown(id));
        faults.error("duplicate-id", &spot, id, message, "Give one of them another id.");
        return;
    }
    resources.push(Resource { name: id.to_owned(), kind: kind.to_owned(), file: file.to_owned() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> (Settings, Vec<String>) {
        let source = Source::new("site.toml", text);
        let mut faults = Faults::default();
        let settings = read(&source, &mut faults);
        (settings, faults.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_key_of_the_interface_is_read() {
        let text = r#"
name = "coworking"
[frame]
origin = { lat_deg = 52.2053, lon_deg = 0.1218 }
rotation_deg = 90.0
timezone = "Europe/London"
[engine]
topology = "fused"
idle = "spin"
budget_us = 500
tracks_max = 50
late_max_ms = 250
[zones]
enter_margin_m = 0.1
exit_margin_m = 0.3
exit_delay_ms = 1500
lost_s = 4.5
[record]
dir = "t"
rotate = "30 min"
keep_days = 2
max_gib = 0.5
[attributes]
bookable = { on = "zone", type = "bool", default = false }
capacity = { on = "zone", type = "people", default = 4 }
consents = { on = "person", type = "bool" }
[words]
room = ["room", "office"]
[[resource]]
id = "booking"
kind = "calendar"
file = "bookings.ics"
"#;
        let (s, faults) = settings(text);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(s.frame.origin_deg, Some((52.2053, 0.1218)));
        assert_eq!(s.frame.rotation_rad, std::f64::consts::FRAC_PI_2);
        assert_eq!((s.engine.topology, s.engine.idle, s.engine.budget_us), (Topology::Fused, Idle::Spin, 500));
        assert_eq!((s.engine.tracks_max, s.engine.late_max), (50, DurationNs::from_ms(250)));
        assert_eq!((s.margins.exit_delay, s.margins.lost), (DurationNs::from_ms(1500), DurationNs::from_ms(4500)));
        assert_eq!((s.record.rotate, s.record.keep_days), (DurationNs::from_s(1800), 2));
        assert_eq!(s.attributes["capacity"].default, Attribute::Number(4.0));
        assert_eq!(s.attributes["consents"].default, Attribute::Bool(false));
        assert_eq!(s.words["room"], ["room", "office"]);
        assert_eq!(s.resources[0].file, "bookings.ics");
    }

    #[test]
    fn faults_of_the_settings_read_well() {
        let text = r#"
nmae = "x"
[frame]
origin = { lat_deg = 120.0, lon_deg = 52.0 }
timezone = "Europe London"
[engine]
topology = "fussed"
tracks_max = 0
budget_us = 1.5
[record]
rotate = "1 fortnight"
[attributes]
capacity = { on = "zones", type = "persons", default = 0 }
bookable = { on = "zone", type = "bool", default = 3 }
[words]
room = "office"
[[resource]]
id = "booking"
"#;
        insta::assert_snapshot!(settings(text).1.join("\n"));
    }

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration("1h"), Some(DurationNs::from_s(3600)));
        assert_eq!(duration("1.5 d"), Some(DurationNs::from_s(129_600)));
        for bad in ["", "h", "1", "1 x", "-1h", "0s", "1.2.3h", "1e9h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
