//! Why: the story of a command, a person, a room or a device, from what is remembered and from the newest picture.

use crate::chronicle::{Chronicle, Sent, Told, seconds, us};
use crate::request::Of;
use crate::snap::{axes, held_though_off, instant};
use crate::tell::Names;
use osmose_model::command::CommandId;
use osmose_model::device::ActuatorKind;
use osmose_model::ids::{ActuatorId, SensorId, Seq, TrackId, ZoneId};
use osmose_model::site::{CELL, Zone};
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Presence, WorldEvent};
use osmose_runtime::publish::{Picture, Somebody};
use serde_json::{Value, json};

/// A zone farther away than this is no near miss, metres.
const NEAR_MISS_M: f64 = 1.5;
/// Near misses that are told at most, and rules that one of them names.
const NEAR_MISSES_MAX: usize = 3;
const RULES_NAMED_MAX: usize = 3;
/// Rows of what followed, at most.
const FOLLOWED_MAX: usize = 8;

/// The answer to a question; a story that says that there is none is one too.
#[must_use]
pub fn story(of: Of, id: &str, chronicle: &Chronicle, picture: &Picture) -> Value {
    let names = chronicle.names();
    let told = match of {
        Of::Command => command_id(id).and_then(|c| chronicle.command(c)).map(|s| command(s, chronicle)),
        Of::Track => id.parse().ok().and_then(|t| person(TrackId(t), chronicle, picture)),
        Of::Zone => names.site.zone_named(id).map(|z| zone(z, chronicle, picture)),
        Of::Device => device(id, chronicle, picture),
    };
    let mut story = told.unwrap_or_else(|| {
        let lead = match of {
            Of::Command => "This command is not remembered any more: a recording has it.",
            Of::Track => "This track is no longer in the building.",
            Of::Zone | Of::Device => "There is nothing of this name.",
        };
        json!({"title": id, "lead": lead})
    });
    if let Some(fields) = story.as_object_mut() {
        fields.insert("type".into(), "story".into());
        fields.insert("of".into(), of.as_str().into());
        fields.insert("id".into(), id.into());
    }
    story
}

fn command_id(text: &str) -> Option<CommandId> {
    let (seq, n) = text.split_once('.')?;
    Some(CommandId { seq: Seq(seq.parse().ok()?), n: n.parse().ok()? })
}

/// A fact: what, and how it is.
fn fact(label: &str, value: impl Into<String>) -> Value {
    json!([label, value.into()])
}

// ---- a command ----

fn command(sent: &Sent, chronicle: &Chronicle) -> Value {
    let (names, c) = (chronicle.names(), &sent.command);
    let links = [frame(sent, names), track(sent, chronicle), conditions(sent, names), rule(sent, names)];
    let mut links: Vec<Value> = links.into_iter().flatten().collect();
    links.push(handed_over(sent, names));
    let t = sent.timing;
    json!({
        "title": format!("{}.{}", names.device(c.device), c.verb),
        "lead": sentence(&names.why(c)),
        "links": links,
        "rule": rule_text(sent, names),
        "budget_us": names.budget_us(c.rule),
        "engine": t.map(|t| json!([["socket", us(t.received, t.read)], ["wait", us(t.read, t.step_start)], ["decide", us(t.step_start, t.step_end)],
            ["hand over", us(t.step_end, t.sent)]])),
        "engine_us": sent.engine_us(),
        "human": sent.split.map(|s| json!([["sensing", s.sensing], ["settle", s.settle], ["engine", s.engine],
            ["device", s.device]])),
        "blame": chronicle.events().rev().find(|e| e.command == Some(c.id)).map(|e| e.entry["blame"].clone()),
        "at_s": seconds(c.at),
    })
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

fn frame(sent: &Sent, names: Names<'_>) -> Option<Value> {
    let c = &sent.command;
    let sensor = c.cause.sensor?;
    let measured = c.cause.measured.unwrap_or(sent.tag.at);
    let number = c.source_seq.map_or_else(String::new, |n| format!("frame {n}, "));
    Some(
        json!({"n": 1, "kind": "frame", "what": "Sensor frame", "title": names.sensor(sensor), "device": names.sensor(sensor),
        "detail": [format!("{number}input {}", sent.tag.seq)], "at_s": seconds(measured),
        "took_us": -(sent.tag.at.since(measured).0 / 1000), "of": "sensing", "source": "recorded"}),
    )
}

fn track(sent: &Sent, chronicle: &Chronicle) -> Option<Value> {
    let names = chronicle.names();
    let (track, person, p) = names.about(&sent.command)?;
    let event =
        chronicle.events().rev().find(|e| e.tag.seq <= sent.tag.seq && e.track == Some(track) && e.event.is_some());
    let place = event.and_then(|e| e.event).map(|e| format!("{:.2}, {:.2} m", e.place.at.x_m, e.place.at.y_m));
    let identity = match person {
        Some(_) => format!("identity {p:.2}"),
        None => "identity unknown".to_owned(),
    };
    let detail: Vec<String> = place.into_iter().chain([identity]).collect();
    let took = sent.timing.map(|t| us(t.received, t.step_start));
    Some(
        json!({"n": 2, "kind": "track", "what": "Track", "title": format!("#{track} {}", person.map_or("unknown", |p| names.person(p))),
        "track": track.0, "detail": [detail.join(", ")], "took_us": took, "of": "arrive", "source": "recorded",
        "x_m": event.and_then(|e| e.event).map(|e| e.place.at.x_m), "y_m": event.and_then(|e| e.event).map(|e| e.place.at.y_m)}),
    )
}

fn conditions(sent: &Sent, names: Names<'_>) -> Option<Value> {
    let all: Vec<Value> = names
        .conditions(&sent.command)
        .into_iter()
        .map(|(written, truth, value)| {
            let ok = match truth {
                Tri::True => "yes",
                Tri::False => "no",
                Tri::Unknown => "unknown",
            };
            let value = value.map_or_else(String::new, |v| format!(": {}", (v * 100.0).round() / 100.0));
            json!({"ok": ok, "text": format!("{written}{value}")})
        })
        .collect();
    let took = sent.timing.map(|t| us(t.step_start, t.step_end));
    (!all.is_empty()).then(|| {
        let bound = Some(names.bindings(&sent.command)).filter(|b| !b.is_empty()).map(|b| format!("where {b}"));
        json!({"n": 3, "kind": "condition", "what": "Condition", "title": "", "conditions": all,
            "detail": bound.into_iter().collect::<Vec<_>>(), "took_us": took, "of": "decide", "source": "recorded"})
    })
}

fn rule(sent: &Sent, names: Names<'_>) -> Option<Value> {
    let c = &sent.command;
    let id = c.rule?;
    let place = names.book.place(id).map_or_else(String::new, |p| format!(", {}:{}", p.file, p.line));
    let level = names.level(c.rule).unwrap_or("none");
    Some(json!({"n": 4, "kind": "rule", "what": format!("Rule, level {level}{place}"), "title": names.book.name(id),
        "source": "recorded"}))
}

/// The rule as it is written, and which of its lines decided.
fn rule_text(sent: &Sent, names: Names<'_>) -> Option<Value> {
    let c = &sent.command;
    let (id, place) = (c.rule?, names.book.place(c.rule?)?);
    let text = names.book.text(id)?;
    let offsets: Vec<u32> = c.cause.conditions.iter().map(|x| x.offset).collect();
    let decided: Vec<u32> =
        offsets.iter().filter_map(|o| names.book.condition(id, *o, &offsets)).map(|line| line.line).collect();
    let lines: Vec<Value> = text
        .lines()
        .enumerate()
        .map(|(i, line)| {
            let n = place.line + i as u32;
            let is_when =
                decided.is_empty() && (line.trim_start().starts_with("when") || line.trim_start().starts_with("while"));
            json!({"line": n, "text": line, "decides": decided.contains(&n) || is_when})
        })
        .collect();
    Some(json!({"file": place.file, "lines": lines}))
}

fn handed_over(sent: &Sent, names: Names<'_>) -> Value {
    let c = &sent.command;
    let took = sent.timing.map(|t| us(t.step_end, t.sent));
    let report = sent.split.map(|s| format!("device reported after {:.1} ms", (s.engine + s.device) as f64 / 1e3));
    let detail: Vec<String> = report.into_iter().collect();
    json!({"n": 5, "kind": "command", "what": format!("Command {}", c.id),
        "title": format!("{}.{}({})", names.device(c.device), c.verb, names.args(&c.args)), "device": names.device(c.device),
        "detail": detail, "at_s": seconds(c.at), "took_us": took, "of": "hand over", "source": "recorded"})
}

// ---- what followed ----

/// The newest of them. Coming into a loudspeaker's cell and out of it happens at every step, and is left out.
fn rows<'a>(events: impl DoubleEndedIterator<Item = &'a Told>, names: Names<'_>) -> Value {
    let is_cell = |z: ZoneId| names.site.zones.get(z.index()).is_some_and(|z| z.category == CELL);
    let is_step = |e: &Told| e.event.is_some_and(|v| v.zone.is_some_and(is_cell));
    events
        .rev()
        .filter(|e| e.command.is_some() || e.event.is_some() || e.entry["kind"] == "denied")
        .filter(|e| !is_step(e))
        .take(FOLLOWED_MAX)
        .map(|e| e.entry.clone())
        .collect()
}

// ---- a person ----

fn person(track: TrackId, chronicle: &Chronicle, picture: &Picture) -> Option<Value> {
    let names = chronicle.names();
    let who = picture.people.iter().find(|p| p.track == track)?;
    let zones: Vec<&str> = who.zones.iter().map(|z| names.zone(*z)).collect();
    let label = |z: &ZoneId| names.site.zones.get(z.index()).map_or("?", |z| &z.label);
    let within = who.zones.first().map_or_else(|| "In no zone".to_owned(), |z| format!("In {}", label(z)));
    let since = chronicle.events().rev().find(|e| {
        e.track == Some(track)
            && e.event.is_some_and(|v| v.kind == EventKind::Enters && v.zone == who.zones.first().copied())
    });
    let now = instant(picture);
    let lost_s = now.since(who.seen_at).0 as f64 / 1e9;
    let lead = match who.presence {
        Presence::Lost => format!("Not seen for {lost_s:.0} s; the last zone is kept as unknown."),
        Presence::Seen => format!("{within}."),
    };
    let (major, minor, _) = axes(who.covariance_m2);
    let speed = who.velocity_mps[0].hypot(who.velocity_mps[1]);
    let facing =
        who.heading_rad.map_or_else(String::new, |h| format!(", facing {:.0}°", h.to_degrees().rem_euclid(360.0)));
    let seen_by: Vec<&str> = seen_by(who, names);
    let level = names.site.levels.get(who.place.level.index()).map_or("?", |l| &l.label);
    let mut facts = vec![
        fact("Place", format!("{:.2}, {:.2} m, {level}", who.place.at.x_m, who.place.at.y_m)),
        fact("Uncertainty", format!("σ {major:.2} × {minor:.2} m")),
        fact("Speed", format!("{speed:.1} m/s{facing}")),
        fact("Seen by", if seen_by.is_empty() { "nobody lately".to_owned() } else { seen_by.join(", ") }),
        fact("Zones", if zones.is_empty() { "none".to_owned() } else { zones.join(", ") }),
        fact("Probably there", format!("{:.2}", who.existence)),
    ];
    if let Some(person) = who.person.and_then(|p| names.site.people.get(p.index())) {
        let groups: Vec<&str> = person.groups.iter().map(|g| names.site.groups[g.index()].name.as_str()).collect();
        facts.push(fact("Groups", if groups.is_empty() { "none".to_owned() } else { groups.join(", ") }));
    }
    let is_other = move |e: &WorldEvent| e.other == Some(track);
    let own = || chronicle.events().filter(move |e| e.track == Some(track) || e.event.as_ref().is_some_and(is_other));
    let evidence: Vec<Value> = own()
        .filter_map(|e| Some((e, e.event?)))
        .filter(|(_, v)| matches!(v.kind, EventKind::Identified | EventKind::Swapped | EventKind::Found))
        .map(|(e, v)| {
            let by = v.sensor.map_or_else(String::new, |s| format!(" by {}", names.sensor(s)));
            json!({"at_s": seconds(e.tag.at), "text": format!("{}{by}, p {:.2}", names.event(&v), v.person_p)})
        })
        .collect();
    Some(json!({
        "title": who.person.map_or_else(|| "Unknown person".to_owned(), |p| names.person(p).to_owned()),
        "track": track.0, "lead": lead, "since_s": since.map(|e| seconds(e.tag.at)),
        "identity": identity(who, names), "facts": facts, "evidence": evidence, "followed": rows(own(), names),
        "nearest_miss": nearly_entered(who, names),
    }))
}

/// The zones that somebody is nearest to entering, of those that a rule waits for: how far they are from it, and which
/// rules. What else a rule waits for is known to the engine alone; `osmose why --rule` tells it of a recording.
fn nearly_entered(who: &Somebody, names: Names<'_>) -> Vec<Value> {
    let near = names
        .site
        .zones
        .iter()
        .filter(|z| z.level == who.place.level && z.category != CELL && !who.zones.contains(&z.id));
    let mut near: Vec<(f64, &Zone)> = near
        .map(|z| (z.margins.enter_margin_m - z.area.depth(who.place.at), z))
        .filter(|(short_m, _)| (0.0..NEAR_MISS_M).contains(short_m))
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    let told = near.into_iter().filter_map(|(short_m, z)| {
        let rules = names.book.naming(&z.name);
        let more = rules.len().saturating_sub(RULES_NAMED_MAX);
        let listed = rules.into_iter().take(RULES_NAMED_MAX).collect::<Vec<_>>().join(", ");
        let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!listed.is_empty()).then(|| json!({"text": format!("{listed}{and_more}: {short_m:.2} m short of {}", z.name)}))
    });
    told.take(NEAR_MISSES_MAX).collect()
}

fn seen_by<'a>(who: &Somebody, names: Names<'a>) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    for sensor in who.moved_by.iter().rev().map(|s| names.sensor(s.sensor)) {
        if !all.contains(&sensor) {
            all.push(sensor);
        }
    }
    all
}

fn identity(who: &Somebody, names: Names<'_>) -> Value {
    let Some(posterior) = &who.identity else { return json!([]) };
    let mut all: Vec<(String, f64)> =
        posterior.candidates.iter().map(|(p, q)| (names.person(*p).to_owned(), *q)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.push(("unknown".to_owned(), posterior.unknown));
    all.iter().map(|(name, p)| json!({"person": name, "p": (p * 1e4).round() / 1e4})).collect()
}

// ---- a room ----

fn zone(id: ZoneId, chronicle: &Chronicle, picture: &Picture) -> Value {
    let names = chronicle.names();
    let zone = &names.site.zones[id.index()];
    let now = picture.zones.get(id.index()).copied().unwrap_or_default();
    let n = now.count.seen + now.count.lost;
    let lead = match (n, now.occupied) {
        (0, Tri::True) => "Motion, and nobody to be seen: somebody may be there.".to_owned(),
        (0, Tri::Unknown) => "Unknown: not every sensor that looks here is alive.".to_owned(),
        (0, Tri::False) => "Nobody here: every declared sensor is alive and silent.".to_owned(),
        (n, _) if now.count.lost > 0 => format!("{n} here, {} of them not seen any more.", now.count.lost),
        (n, _) => format!("{n} here."),
    };
    let people = picture.people.iter().filter(|p| p.zones.contains(&id));
    let people: Vec<Value> = people
        .map(|p| {
            json!({"track": p.track.0, "person": p.person.map(|q| names.person(q)), "p": p.person_p,
                "lost": p.presence == Presence::Lost})
        })
        .collect();
    let held = names.site.actuators.iter().filter(|a| a.zone == Some(id));
    let devices: Vec<Value> = held.map(|a| json!([a.name, how(a.id, names, picture)])).collect();
    let sensors = names.site.sensors.iter().filter(|s| s.zones.contains(&id)).map(|s| &s.name);
    let looks = fact("Sensors", sensors.map(String::as_str).collect::<Vec<_>>().join(", "));
    let facts: Vec<Value> = [session(id, chronicle), Some(looks), Some(fact("Kind", zone.category.clone()))]
        .into_iter()
        .flatten()
        .collect();
    json!({
        "title": zone.label, "lead": lead, "people": people, "devices": devices, "facts": facts,
        "followed": rows(chronicle.events().filter(|e| e.zone == Some(id)), names),
    })
}

/// What a room's recording was last started with: `participants: project-x`.
fn session(id: ZoneId, chronicle: &Chronicle) -> Option<Value> {
    let names = chronicle.names();
    let recorder = names.site.actuators.iter().find(|a| a.zone == Some(id) && a.kind == ActuatorKind::Recorder)?.id;
    let commands = chronicle.events().rev().filter(|e| e.device == Some(recorder)).filter_map(|e| e.command);
    let started = commands.filter_map(|c| chronicle.command(c)).find(|s| s.command.verb.as_str() == "start")?;
    Some(fact("Session", names.args(&started.command.args)))
}

/// `level 80; held by light-m7, comfort`: how a device is and who holds it.
fn how(id: ActuatorId, names: Names<'_>, picture: &Picture) -> String {
    let Some(now) = picture.devices.get(id.index()) else { return "unknown".to_owned() };
    let mut parts: Vec<String> = Vec::new();
    let is_held = held_though_off(names, now).is_some();
    for p in now {
        if let Some(value) = p.value.filter(|_| !(is_held && p.property == "state")) {
            let value = names.value(&value);
            parts.push(if p.property == "state" { value } else { format!("{} {value}", p.property) });
        }
    }
    if let Some((rule, level)) = now.iter().find_map(|p| p.held_by) {
        let level = names.level(Some(rule)).map_or_else(|| format!("level {}", level.0), str::to_owned);
        return format!("{}; held by {}, {level}", parts.join(", "), names.book.name(rule));
    }
    if parts.is_empty() { "unknown".to_owned() } else { parts.join(", ") }
}

// ---- a device ----

fn device(name: &str, chronicle: &Chronicle, picture: &Picture) -> Option<Value> {
    let names = chronicle.names();
    if let Some(id) = names.site.sensor_named(name) {
        return Some(sensor(id, chronicle, picture));
    }
    let id = names.site.actuator_named(name)?;
    let a = &names.site.actuators[id.index()];
    let word = |n: Option<osmose_model::ids::Name>| n.map_or_else(|| "none declared".to_owned(), |n| n.to_string());
    let mut facts = vec![fact("Default", word(a.default)), fact("Safe state", word(a.safe))];
    if let Some(zone) = a.zone {
        facts.push(fact("Zone", names.zone(zone)));
    }
    if let Some([forbidden, overruled]) = picture.denied.get(id.index()).filter(|d| **d != [0; 2]) {
        facts.push(fact("Denied", format!("{forbidden} commands forbidden, {overruled} overruled, since the start")));
    }
    Some(
        json!({"title": name, "lead": sentence(&format!("{}, {}", a.kind.as_str(), how(id, names, picture))), "facts": facts,
        "followed": rows(chronicle.events().filter(|e| e.device == Some(id)), names)}),
    )
}

fn sensor(id: SensorId, chronicle: &Chronicle, picture: &Picture) -> Value {
    let names = chronicle.names();
    let s = &names.site.sensors[id.index()];
    let now = picture.sensors.get(id.index()).copied().unwrap_or_default();
    let health = now.status.health;
    let (state, why) = health_of(id, names, picture);
    let age = |at: LogicalNs| format!("{:.0} ms ago", instant(picture).since(at).0.max(0) as f64 / 1e6);
    let mut facts = vec![
        fact("Covers", s.zones.iter().map(|z| names.zone(*z)).collect::<Vec<_>>().join(", ")),
        fact("Rate", s.rate_hz.map_or_else(|| "on change".to_owned(), |r| format!("{:.1} of {r} Hz", health.rate_hz))),
        fact("Last frame", now.status.heard_at.map_or_else(|| "never heard".to_owned(), age)),
        fact("Frames", now.status.count.to_string()),
    ];
    if let Some(sight) = chronicle.seen.get(&id) {
        let said = sight.said.clone().unwrap_or_else(|| format!("{} detections", sight.points.len()));
        facts.push(fact("Last said", said));
    }
    if health.compared > 0 {
        facts.push(fact("Innovation", format!("{:.1} σ (expected 1)", health.nis.max(0.0).sqrt())));
        facts.push(fact("Bias", format!("{:.3} ± {:.3}", health.bias, health.bias_sigma)));
        facts.push(fact("Clock", format!("{:+.1} ms ± {:.1}", health.clock_s * 1e3, health.clock_sigma_s * 1e3)));
        facts.push(fact("Verdict", health.verdict.as_str()));
    }
    let lead = match state {
        "ok" => format!("{} sensor, healthy.", sentence(s.kind.as_str()).trim_end_matches('.')),
        state => format!("{} sensor, {state}: {why}.", sentence(s.kind.as_str()).trim_end_matches('.')),
    };
    json!({"title": s.name, "lead": lead, "facts": facts, "health": state,
        "followed": rows(chronicle.events().filter(|e| e.sensor == Some(id)), names)})
}

/// `ok`, `degraded` or `dead`, and why in words.
#[must_use]
pub fn health_of(id: SensorId, names: Names<'_>, picture: &Picture) -> (&'static str, String) {
    let Some(now) = picture.sensors.get(id.index()) else { return ("ok", String::new()) };
    let health = now.status.health;
    if now.alive == Tri::False {
        let silent = now.status.heard_at.map(|at| instant(picture).since(at).0 as f64 / 1e9);
        return ("dead", silent.map_or_else(|| "never heard".to_owned(), |s| format!("no frame for {s:.0} s")));
    }
    let rate = names.site.sensors.get(id.index()).and_then(|s| s.rate_hz);
    if let Some(declared) = rate.filter(|r| health.rate_hz > 0.0 && health.rate_hz < 0.8 * r) {
        return ("degraded", format!("rate {:.1} of {declared} Hz", health.rate_hz));
    }
    if health.verdict.is_trouble() {
        let innovation = format!("innovation {:.1} σ", health.nis.max(0.0).sqrt());
        return ("degraded", format!("{}, {innovation}", health.verdict));
    }
    ("ok", String::new())
}
