//! The closing account as JSON (`osmose run --account`): what came in, what became of it, how long it took. A bench closes
//! its books with it; so may any test of an installation.

use osmose_bench::dist::is_told;
use osmose_bench::peer::{Counted, EngineAccount, Measured, OfRule, OfThread, WorstInput};
use osmose_model::site::Topology;
use osmose_model::stages::Refusal;
use osmose_runtime::engine::Summary;
use osmose_runtime::latency::interval::Late;
use osmose_runtime::latency::totals::{ThreadTotals, Totals};
use osmose_runtime::latency::{Kind, Segment, Span};
use osmose_sensors::reason::Reason;
use std::collections::BTreeMap;

/// Reasons under which an observation was taken all the same, and those that count what never came.
const NOT_DROPPED: &[Reason] = &[
    Reason::UnknownDevice,
    Reason::UnknownBadge,
    Reason::TooManyNames,
    Reason::TooManySenders,
    Reason::SeqBack,
    Reason::Missing,
    Reason::SourceRestarted,
    Reason::ClockStepped,
    Reason::TimeAhead,
];

/// The account of an engine that has ended; `rules` are the names of those in force.
pub(crate) fn account(topology: Topology, s: &Summary, latencies: &Totals, rules: &[String]) -> EngineAccount {
    let counted = |name: &str, count: u64| (count > 0).then(|| Counted { name: name.to_owned(), count });
    let egress = s.egress.unwrap_or_default();
    let mut dropped: BTreeMap<&str, u64> = BTreeMap::new();
    for c in s.intake.counts.iter().filter(|c| !NOT_DROPPED.contains(&c.reason)) {
        *dropped.entry(c.reason.as_str()).or_default() += c.count;
    }
    // What a newer one replaced, or found no room, never went in.
    for (name, n) in
        [("replaced under overload", s.intake.replaced), ("found the way to the engine full", s.intake.full)]
    {
        *dropped.entry(name).or_default() += n;
    }
    let unsent = [
        ("buffer full", egress.would_block),
        ("refused by the kernel", egress.errors),
        ("no address", egress.no_address),
        ("late, and not sent as its rule says", latencies.late_dropped()),
        ("lost on the way to the sending thread", s.lines_lost),
    ];
    EngineAccount {
        topology: format!("{topology:?}").to_lowercase(),
        // What was replaced had been taken in, and was never stepped.
        observations: s.intake.taken.iter().sum::<u64>().saturating_sub(s.intake.replaced),
        dropped: dropped.into_iter().filter_map(|(name, n)| counted(name, n)).collect(),
        refused_by_fusion: Refusal::ALL
            .iter()
            .zip(s.core.refused)
            .filter_map(|(why, n)| counted(&why.to_string(), n))
            .collect(),
        commands: s.core.commands,
        sent: egress.sent,
        unsent: unsent.into_iter().filter_map(|(name, n)| counted(name, n)).collect(),
        latency: measured(latencies),
        missed: latencies.missed_in_all(),
        budget_us: u64::try_from(latencies.budget().0 / 1000).unwrap_or(0),
        rules: of_rules(latencies, rules),
        worst: latencies.worst().iter().map(|late| worst(late, rules)).collect(),
        threads: latencies.threads().iter().map(of_thread).collect(),
    }
}

/// The rules that reacted; the others would be hundreds of zeros.
fn of_rules(t: &Totals, names: &[String]) -> Vec<OfRule> {
    let reacted = t.rules().iter().zip(names).filter(|(r, _)| r.react.count() > 0);
    reacted
        .map(|(r, name)| OfRule { rule: name.clone(), latency: one(name.clone(), &r.react), missed: r.missed })
        .collect()
}

fn worst(late: &Late, names: &[String]) -> WorstInput {
    let t = late.timing;
    WorstInput {
        seq: late.seq.0,
        kind: late.kind.as_str().to_owned(),
        rule: late.rule.and_then(|r| names.get(r.index()).cloned()),
        whole_ns: late.whole.0,
        wait_ns: t.read.since(t.received).0,
        queued_ns: t.step_start.since(t.read).0,
        step_ns: t.step_end.since(t.step_start).0,
        send_ns: t.sent.since(t.step_end).0,
    }
}

fn of_thread(t: &ThreadTotals) -> OfThread {
    OfThread { thread: t.name.clone(), turns: t.turns, stalls: t.stalls, longest_ns: t.longest.0 }
}

/// Every segment over all kinds, then the whole way by kind.
fn measured(t: &Totals) -> Vec<Measured> {
    let all = Segment::ALL.iter().map(|s| (s.as_str().to_owned(), t.over_all(*s)));
    let kinds = Kind::ALL
        .iter()
        .map(|k| (format!("{}, {}", Segment::React.as_str(), k.as_str()), t.span(*k, Segment::React).clone()));
    all.chain(kinds).filter(|(_, s)| s.count() > 0).map(|(what, s)| one(what, &s)).collect()
}

fn one(what: String, span: &Span) -> Measured {
    let at = |q: f64| is_told(span.count(), q).then(|| span.at(q));
    Measured {
        what,
        samples: span.count(),
        p50_ns: at(0.5),
        p99_ns: at(0.99),
        p999_ns: at(0.999),
        max_ns: span.max_ns(),
        clipped: span.beyond(),
    }
}
