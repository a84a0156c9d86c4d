//! A moment as a scripted test: what `osmose test` runs, written from a command that is remembered.

use crate::chronicle::{Chronicle, Sent};
use crate::tell::Names;
use osmose_model::command::Trigger;
use osmose_model::ids::{PersonId, ZoneId};
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::EventKind;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The test of the command that was decided at an instant, or last before it; `None` where none is remembered.
#[must_use]
pub fn test_at(at: LogicalNs, chronicle: &Chronicle) -> Option<String> {
    // The page asks by what it shows, which is rounded to the millisecond.
    let until = LogicalNs(at.0.saturating_add(1_000_000));
    let id = chronicle.events().rev().filter(|e| e.tag.at <= until).find_map(|e| e.command)?;
    Some(test_of(chronicle.command(id)?, chronicle))
}

/// The test of a command: who was in the room, what its rule had found true, what happened, and the command.
fn test_of(sent: &Sent, chronicle: &Chronicle) -> String {
    let (names, c) = (chronicle.names(), &sent.command);
    let rule = names.sender(c);
    let mut out = format!("test \"{rule}, command {}\" of {rule} {{\n", c.id);
    let moved = match c.cause.trigger {
        Trigger::Event { kind: kind @ (EventKind::Enters | EventKind::Leaves), track, zone: Some(zone) } => {
            Some((names.about(c).filter(|(t, ..)| *t == track).and_then(|(_, person, _)| person), kind, zone))
        }
        _ => None,
    };
    let place = names.place(c);
    for (person, zone) in present(sent, chronicle) {
        let is_mover = moved.is_some_and(|(who, kind, _)| who == Some(person) && kind == EventKind::Enters);
        if place == Some(zone) && !is_mover {
            let _ = writeln!(out, "  at 0 s {} in {}", names.person(person), names.zone(zone));
        }
    }
    facts(sent, names, &mut out);
    match moved {
        Some((who, kind, zone)) => {
            let who = who.map_or("somebody", |p| names.person(p));
            let where_to =
                if kind == EventKind::Leaves { "is outside".to_owned() } else { format!("in {}", names.zone(zone)) };
            let _ = writeln!(out, "  at 5 s {who} {where_to}");
        }
        None => {
            let _ = writeln!(out, "  # set off by: {}", names.why(c));
            let _ = writeln!(out, "  # from a recording: osmose test SITE --from TRACE --at {}", c.at);
        }
    }
    let _ = writeln!(out, "  expect {}.{}({}) at 5 s +- 1 ms", names.device(c.device), c.verb, names.args(&c.args));
    out.push_str("}\n");
    out
}

/// What the rule had found true of devices: `m7.recorder is recording`.
fn facts(sent: &Sent, names: Names<'_>, out: &mut String) {
    for (written, truth, _) in names.conditions(&sent.command) {
        let device = written.split_once(" is ").filter(|(d, _)| names.site.actuator_named(d).is_some());
        if let (Some((device, state)), Tri::True) = (device, truth) {
            let _ = writeln!(out, "  at 1 s {device} is {state}");
        }
    }
}

/// Who was in which zone before the command, by what is remembered.
fn present(sent: &Sent, chronicle: &Chronicle) -> BTreeMap<PersonId, ZoneId> {
    let mut all = BTreeMap::new();
    let zone = chronicle.names().place(&sent.command);
    for e in chronicle.events().take_while(|e| e.tag.seq < sent.tag.seq).filter_map(|e| e.event) {
        let (Some(person), Some(at)) = (e.person, e.zone) else { continue };
        match e.kind {
            EventKind::Enters if Some(at) == zone => _ = all.insert(person, at),
            EventKind::Leaves if all.get(&person) == Some(&at) => _ = all.remove(&person),
            _ => {}
        }
    }
    // Who left by this very input was there before it.
    if let Trigger::Event { kind: EventKind::Leaves, zone: Some(at), .. } = sent.command.cause.trigger
        && let Some((_, Some(person), _)) = chronicle.names().about(&sent.command)
    {
        all.insert(person, at);
    }
    all
}
