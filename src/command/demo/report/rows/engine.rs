//! Who is taken for whom (B1), and how long anything takes (B3).

use super::super::{Log, Sent};
use super::{Figures, Row, members, ms, steps};
use osmose_model::time::ArrivalNs;
use std::collections::BTreeMap;

/// B1: who is who, with no beacons at all or with them. How often is reported; what counts is that nobody got what only
/// another may have: doubt about who somebody is fails closed.
pub(super) fn named(log: &Log) -> Row {
    let (named, wrong) = log.named;
    let rate = if named > 0 { wrong as f64 / named as f64 } else { 1.0 };
    let group = members(log, "project-x");
    let mut notes = log.mistaken.clone();
    let mut granted = 0;
    for s in log.sent_by("wave-at-wall", "show") {
        let at = ArrivalNs(s.command.at.0);
        let waved = log.waved.iter().rev().find(|g| g.at <= at).and_then(|g| g.person);
        if !waved.is_some_and(|p| group.contains(&p)) {
            granted += 1;
            notes.insert(
                0,
                format!("the folder was opened at {:.2} s for a wave that was no member's", at.0 as f64 / 1e9),
            );
        }
    }
    Row {
        id: "B1",
        asks: "known without wearables: who is taken for whom, and doubt fails closed",
        holds: named > 0 && granted == 0,
        found: format!(
            "{wrong} of {named} beliefs wrong ({:.2} %), {} possible swaps said; {granted} rights given to another",
            rate * 100.0,
            log.swaps
        ),
        notes,
        engine_us: vec![],
        human_ms: vec![],
        rules: vec![],
    }
}

/// B3: how long anything takes: the steps that decided, and from the sample's own time to the device's report, rule by rule.
pub(super) fn quick(log: &Log) -> Row {
    // From when the sample that decided was true to the device's next word.
    let human_ms = |s: &Sent| {
        let measured = s.command.cause.measured?;
        let said = log.reports.iter().find(|(at, r)| r.actuator == s.command.device && at.0 >= s.command.at.0);
        said.map(|(at, _)| ms(measured.0, *at))
    };
    let mut rules: BTreeMap<&str, Figures> = BTreeMap::new();
    for s in &log.sent {
        let figures = rules.entry(if s.rule.is_empty() { "(the device's default)" } else { &s.rule }).or_default();
        figures.engine_us.push(s.step_us);
        figures.human_ms.extend(human_ms(s));
    }
    let rules: Vec<(String, Figures)> = rules.into_iter().map(|(rule, f)| (rule.to_owned(), f)).collect();
    Row {
        id: "B3",
        asks: "reactions in milliseconds, not seconds",
        holds: !log.sent.is_empty(),
        found: format!(
            "{} steps, {} commands by {} rules; `osmose bench latency` loads it at 1, 2 and 10 times",
            log.steps_us.len(),
            log.sent.len(),
            rules.len()
        ),
        notes: vec![],
        engine_us: steps(log.sent.iter()),
        human_ms: rules.iter().flat_map(|(_, f)| f.human_ms.iter().copied()).collect(),
        rules,
    }
}
