//! What rooms do: their light (A2), the display on the wall (A3), the recorder (A6), and fire over all.

use super::super::{Log, Sent, is_word};
use super::{Row, Span, during, members, missing, ms, share, steps};
use osmose_drivers::recorder::FRAME;
use osmose_model::command::Value;
use osmose_model::device::ActuatorKind;
use osmose_model::ids::{ActuatorId, PersonId};
use osmose_model::time::ArrivalNs;

/// A belief may be ahead of a true crossing by so much where it does what it should, nanoseconds.
const AHEAD_NS: i64 = 300_000_000;

/// The spans of time in which a lamp is lit, by its reports: a level lights it, `off` and a level of nought put it out.
fn lit_spans(log: &Log, lamp: ActuatorId) -> Vec<Span> {
    let (mut all, mut since): (Vec<Span>, Option<ArrivalNs>) = (Vec::new(), None);
    for (at, report) in log.reports.iter().filter(|(_, r)| r.actuator == lamp) {
        let is_lit = match (report.property.as_str(), report.value) {
            ("level", Value::Number(percent)) => percent > 0.0,
            ("state", Value::Name(state)) => state == "on",
            _ => continue,
        };
        match since {
            None if is_lit => since = Some(*at),
            Some(from) if !is_lit => {
                all.push((from, *at));
                since = None;
            }
            _ => {}
        }
    }
    all.extend(since.map(|from| (from, log.end)));
    all
}

/// A2, the half that is light: on before the door is crossed.
pub(super) fn lit(log: &Log) -> Row {
    let (mut entries, mut dark, mut human) = (0, 0, Vec::new());
    for room in ["m3", "m5", "m7", "m9", "workshop", "office-1", "quiet-room"] {
        let (Some(zone), Some(lamp)) = (log.zone(room), log.device(&format!("{room}.light"))) else { continue };
        for c in log.crossings.iter().filter(|c| c.zone == zone && c.entered && c.at.0 > 1_000_000_000) {
            entries += 1;
            // Since when it is on that is on, or when it goes on where it comes late.
            let lit = lit_spans(log, lamp).into_iter().find(|s| s.1 > c.at).map(|s| s.0);
            dark += usize::from(lit.is_none_or(|lit| lit > c.at));
            // How long before they came it went on for them, or after; not where it was on all the while.
            human.extend(lit.map(|lit| ms(c.at.0, lit)).filter(|ms| ms.abs() < 5_000.0));
        }
    }
    Row {
        id: "A2",
        asks: "light before the door is crossed",
        holds: entries > 0 && dark == 0,
        found: format!("{} entries found the light on", share(entries - dark, entries)),
        notes: vec![],
        engine_us: steps(log.sent.iter().filter(|s| s.rule.starts_with("light-"))),
        human_ms: human,
        rules: vec![],
    }
}

/// A3: a member's wave opens the group's folder on the wall; nobody else's does, and that is told.
pub(super) fn opened(log: &Log) -> Row {
    let shows: Vec<&Sent> = log.sent_by("wave-at-wall", "show").collect();
    let refused = log.sent_by("wave-refused", "send").count();
    let group = members(log, "project-x");
    let to_members = shows.iter().filter(|s| {
        let of = s.command.args.iter().find(|(n, _)| *n == "for").map(|(_, v)| *v);
        matches!(of, Some(Value::Person(p)) if group.contains(&p))
    });
    let to_members = to_members.count();
    let human = shows.iter().filter_map(|s| {
        let made = log.waved.iter().rev().find(|g| g.at.0 <= s.command.at.0)?;
        log.said(s.command.device, "state", "showing", s.command.at.0).map(|r| ms(made.at.0, r))
    });
    let human_ms: Vec<f64> = human.collect();
    Row {
        id: "A3",
        asks: "a wave at the wall opens the shared folder, for members",
        holds: !shows.is_empty()
            && to_members == shows.len()
            && shows.len() + refused == log.waved.len()
            && refused > 0,
        found: format!("{} waves: {} opened for members, {refused} refused and told", log.waved.len(), to_members),
        notes: vec![],
        engine_us: shows.iter().map(|s| s.step_us).collect(),
        human_ms,
        rules: vec![],
    }
}

/// A3, the other half: an unauthorised person who comes in blanks the display.
pub(super) fn blanked(log: &Log) -> Row {
    let (Some(m7), Some(display)) = (log.zone("m7"), log.device("m7.display")) else { return missing("A3b") };
    let group = members(log, "project-x");
    let shown = log.spans(display, "showing");
    let (mut comes, mut blank, mut human) = (0, 0, Vec::new());
    for c in log.crossings.iter().filter(|c| c.zone == m7 && c.entered && !c.person.is_some_and(|p| group.contains(&p)))
    {
        // Blanked a little before the true crossing, because belief was ahead of it, is blanked for it.
        let near = ArrivalNs(c.at.0 - AHEAD_NS);
        if !shown.iter().any(|s| s.0 < near && near < s.1) {
            continue;
        }
        comes += 1;
        if let Some(at) = log.said(display, "state", "blank", near.0).filter(|at| at.0 - c.at.0 < 2_000_000_000) {
            blank += 1;
            human.push(ms(c.at.0, at));
        }
    }
    Row {
        id: "A3b",
        asks: "somebody who is not of the group comes in: the display is blanked",
        holds: comes > 0 && blank == comes,
        found: format!("{} such entries blanked it", share(blank, comes)),
        notes: vec![],
        engine_us: steps(log.sent_by("blank-for-strangers", "blank")),
        human_ms: human,
        rules: vec![],
    }
}

/// A6: the recording starts when all are there, pauses when one leaves and keeps nothing from then on.
pub(super) fn paused(log: &Log) -> Row {
    let (Some(m7), Some(recorder)) = (log.zone("m7"), log.device("m7.recorder")) else { return missing("A6") };
    let group = members(log, "project-x");
    let is_member = |p: &Option<PersonId>| p.is_some_and(|p| group.contains(&p));
    let starts: Vec<&Sent> = log.sent_by("start-recording", "start").collect();
    let all_there = starts.iter().filter(|s| {
        let there = log.inside(m7, ArrivalNs(s.command.at.0));
        group.iter().all(|p| there.iter().any(|(_, who)| *who == Some(*p)))
    });
    let all_there = all_there.count();
    let spans = log.spans(recorder, "recording");
    let (mut human, mut kept, mut leaves, mut notes) = (Vec::new(), 0, 0, Vec::new());
    for s in &starts {
        let there = log.inside(m7, ArrivalNs(s.command.at.0));
        let missing = group.iter().filter(|p| !there.iter().any(|(_, who)| *who == Some(**p)));
        let missing: Vec<&str> = missing.map(|p| log.site.people[p.index()].name.as_str()).collect();
        notes.push(format!("started at {:.2} s without {missing:?}", s.command.at.0 as f64 / 1e9));
    }
    let started: Vec<ArrivalNs> = starts.iter().map(|s| ArrivalNs(s.command.at.0)).collect();
    for (from, to) in &spans {
        let left = log.crossings.iter().find(|c| c.zone == m7 && !c.entered && is_member(&c.person) && c.at > *from);
        notes.push(format!(
            "recorded {}; a member truly left at {:?} s",
            during(*from, *to),
            left.map(|c| c.at.0 as f64 / 1e9)
        ));
        if let Some(c) = left.filter(|c| c.at <= *to) {
            leaves += 1;
            human.push(ms(c.at.0, *to));
            // Until it was started again, no frame with a sample from the crossing on may have been kept.
            let again = started.iter().copied().find(|at| at > to).unwrap_or(log.end);
            kept += log.written.iter().filter(|t| t.0 + FRAME.0 > c.at.0 && t.0 < again.0).count();
        }
    }
    // Paused for nothing: the recording ended while every member was truly inside.
    let needless = spans.iter().filter(|(from, to)| {
        let gone = log
            .crossings
            .iter()
            .any(|c| c.zone == m7 && !c.entered && is_member(&c.person) && *from < c.at && c.at <= *to);
        let burns = log.fires.iter().any(|f| f.0 <= to.0);
        *to < log.end && !gone && !burns
    });
    let needless = needless.count();
    let pauses = log.sent_by("pause-recording", "pause");
    let back = human.iter().copied().fold(0.0, f64::max);
    Row {
        id: "A6",
        asks: "the recording starts when all are there, and pauses when one leaves",
        holds: !starts.is_empty() && all_there == starts.len() && leaves > 0 && kept == 0,
        found: format!(
            "{} starts with all there; {leaves} leaves, at most {back:.0} ms to the pause; {kept} frames kept from after one, \
             {} dropped; {needless} pauses in doubt, {} ms of which may have been after a leave",
            share(all_there, starts.len()),
            log.recorder.dropped,
            log.recorder.leaked.0 / 1_000_000
        ),
        notes,
        engine_us: steps(pauses),
        human_ms: human,
        rules: vec![],
    }
}

/// Fire overrides all.
pub(super) fn fire(log: &Log) -> Row {
    let Some(&alarm) = log.fires.first() else { return missing("fire") };
    let doors = log.site.actuators.iter().filter(|a| a.kind == ActuatorKind::Door).count();
    let after: Vec<&Sent> = log.sent.iter().filter(|s| s.command.at.0 >= alarm.0).collect();
    let opened = after.iter().filter(|s| s.rule == "fire" && s.command.verb == "unlock").count()
        + after.iter().filter(|s| s.rule == "fire" && is_word(&s.command.args, "lock", "open")).count();
    // What the interlock holds or forbids, nobody of a lower level does.
    let defied = after.iter().filter(|s| {
        let is_sound = matches!(s.command.verb.as_str(), "play" | "start" | "resume");
        s.rule != "fire" && is_sound && s.command.at.0 > alarm.0
    });
    let defied = defied.count();
    let of_fire: Vec<&&Sent> =
        after.iter().filter(|s| s.rule == "fire" && s.command.at.0 - alarm.0 < 1_000_000_000).collect();
    let last = |s: &&&Sent| {
        let said = log.reports.iter().find(|(at, r)| r.actuator == s.command.device && at.0 >= s.command.at.0);
        said.map(|(at, _)| ms(alarm.0, *at))
    };
    Row {
        id: "fire",
        asks: "fire overrides all",
        holds: opened == doors && defied == 0,
        found: format!("{} doors released, {} commands; {defied} defied it", share(opened, doors), of_fire.len()),
        notes: vec![],
        engine_us: of_fire.iter().map(|s| s.step_us).collect(),
        human_ms: of_fire.iter().filter_map(last).collect(),
        rules: vec![],
    }
}
