//! The compiled evaluator against a slow and obvious one, on random rules and random days.
//!
//! The reference keeps the whole history and looks at every rule at every second and after every change; what a
//! `for` has seen it finds by walking back through that history. It knows no index, no timers and no slots.

mod common;

use common::Bench;
use osmose_model::input::OperatorAction;
use osmose_model::time::NS_PER_S;
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Reading};
use proptest::prelude::*;

const ZONES: [&str; 4] = ["m7", "m9", "lobby", "corridor"];
const LOST_S: i64 = 2;
const MODE: &str = "mode house { home default, away }";

// ---- random rules ----

#[derive(Clone, Debug)]
enum C {
    Fire,
    Dark,
    Occupied(u16),
    CountAbove(u16, u32),
    Night,
    Not(Box<C>),
    And(Vec<C>),
    Or(Vec<C>),
    For(Box<C>, i64),
    Until(Box<C>, Box<C>),
    /// The house is in mode `away`.
    Away,
    /// The rule's own person is in the zone.
    Here(u16),
}

#[derive(Clone, Debug)]
enum Kind {
    Edge(C),
    Track {
        zone: u16,
        with: Option<C>,
        dwell: i64,
    },
    Event {
        enters: bool,
        zone: u16,
    },
    Level {
        condition: C,
        release: i64,
    },
    /// Button a, then b within so many seconds.
    Sequence(i64),
    /// Button a so many times within so many seconds.
    Times(usize, i64),
}

#[derive(Clone, Debug)]
struct Rule {
    kind: Kind,
    guard: Option<C>,
    settle: i64,
    suppress: i64,
    privacy: bool,
}

fn condition() -> impl Strategy<Value = C> {
    let leaf = prop_oneof![
        Just(C::Fire),
        Just(C::Dark),
        (0u16..4).prop_map(C::Occupied),
        (0u16..4, 0u32..2).prop_map(|(z, n)| C::CountAbove(z, n)),
        Just(C::Night),
        Just(C::Away),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|c| C::Not(Box::new(c))),
            prop::collection::vec(inner.clone(), 2..3).prop_map(C::And),
            prop::collection::vec(inner.clone(), 2..3).prop_map(C::Or),
            (inner.clone(), 1i64..6).prop_map(|(c, d)| C::For(Box::new(c), d)),
            (inner.clone(), inner).prop_map(|(set, reset)| C::Until(Box::new(set), Box::new(reset))),
        ]
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let kind = prop_oneof![
        condition().prop_map(Kind::Edge),
        (0u16..4, prop::option::of(condition()), 0i64..5).prop_map(|(zone, with, dwell)| Kind::Track {
            zone,
            with: with.filter(|c| slots(c) < 3),
            dwell
        }),
        (any::<bool>(), 0u16..4).prop_map(|(enters, zone)| Kind::Event { enters, zone }),
        (condition(), 0i64..5).prop_map(|(condition, release)| Kind::Level { condition, release }),
        (1i64..5).prop_map(Kind::Sequence),
        (2usize..4, 1i64..6).prop_map(|(times, within)| Kind::Times(times, within)),
    ];
    let small = prop_oneof![2 => Just(0i64), 1 => 1i64..4];
    (kind, prop::option::of(condition()), small.clone(), small, any::<bool>()).prop_map(
        |(kind, guard, settle, suppress, privacy)| {
            let crowded = matches!(kind, Kind::Track { .. }) && guard.as_ref().is_some_and(|g| slots(g) > 1);
            Rule { guard: guard.filter(|_| !crowded), kind, settle, suppress, privacy }
        },
    )
}

fn slots(c: &C) -> usize {
    match c {
        C::Not(c) => slots(c),
        C::And(cs) | C::Or(cs) => cs.iter().map(slots).sum(),
        C::For(c, _) => 1 + slots(c),
        C::Until(set, reset) => 1 + slots(set) + slots(reset),
        _ => 0,
    }
}

fn text(c: &C) -> String {
    let join = |cs: &[C], word: &str| format!("({})", cs.iter().map(text).collect::<Vec<_>>().join(word));
    match c {
        C::Fire => "fire-panel is active".into(),
        C::Dark => "lux-1 < 50 lx".into(),
        C::Occupied(z) => format!("{} is occupied", ZONES[usize::from(*z)]),
        C::CountAbove(z, n) => format!("count(people in {}) > {n}", ZONES[usize::from(*z)]),
        C::Night => "time in 22:00..22:01".into(),
        C::Not(c) => format!("not ({})", text(c)),
        C::And(cs) => join(cs, " and "),
        C::Or(cs) => join(cs, " or "),
        C::For(c, d) => format!("({}) for {d} s", text(c)),
        C::Until(set, reset) => format!("(({}) until ({}))", text(set), text(reset)),
        C::Away => "house is away".into(),
        C::Here(z) => format!("p in {}", ZONES[usize::from(*z)]),
    }
}

/// The condition of a rule that follows persons.
fn track_condition(zone: u16, with: Option<&C>, dwell: i64) -> C {
    let here = C::Here(zone);
    let both = match with {
        Some(with) => C::And(vec![here, with.clone()]),
        None => here,
    };
    if dwell > 0 { C::For(Box::new(both), dwell) } else { both }
}

fn rule_text(number: usize, rule: &Rule) -> String {
    let act = "do lobby-display.wake()";
    let (head, act) = match &rule.kind {
        Kind::Edge(c) => (format!("when {}", text(c)), act),
        Kind::Track { zone, with, dwell } => {
            (format!("when {}", text(&track_condition(*zone, with.as_ref(), *dwell))), act)
        }
        Kind::Event { enters, zone } => {
            let verb = if *enters { "enters" } else { "leaves" };
            (format!("when p {verb} {}", ZONES[usize::from(*zone)]), act)
        }
        Kind::Sequence(within) => (format!("when desk presses a then desk presses b within {within} s"), act),
        Kind::Times(times, within) => (format!("when desk presses a {times} times within {within} s"), act),
        Kind::Level { condition, .. } => (format!("while {}", text(condition)), "hold lobby-display.page = \"x\""),
    };
    let guard = rule.guard.as_ref().map(|g| format!("if {}", text(g))).unwrap_or_default();
    let person = matches!(rule.kind, Kind::Track { .. } | Kind::Event { .. });
    let damper = match rule.kind {
        Kind::Level { release, .. } => format!("release after {release} s"),
        _ if rule.suppress > 0 && person => format!("suppress {} s per p", rule.suppress),
        _ if rule.suppress > 0 => format!("suppress {} s", rule.suppress),
        _ => String::new(),
    };
    let level = if rule.privacy { "privacy" } else { "comfort" };
    format!("rule r{number} {{ {head} {guard} {act} settle {} s {damper} level {level} }}", rule.settle)
}

// ---- random days ----

#[derive(Clone, Debug)]
enum Change {
    Wait(i64),
    Go(usize, Option<u16>),
    Lose(usize),
    Find(usize),
    Fire(bool),
    FireDies,
    Lux(u8),
    LuxDies,
    Away(bool),
    /// Button a, or b.
    Press(bool),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (1i64..4).prop_map(Change::Wait),
        4 => (0usize..3, prop::option::of(0u16..4)).prop_map(|(p, z)| Change::Go(p, z)),
        1 => (0usize..3).prop_map(Change::Lose),
        1 => (0usize..3).prop_map(Change::Find),
        2 => any::<bool>().prop_map(Change::Fire),
        1 => Just(Change::FireDies),
        2 => any::<u8>().prop_map(Change::Lux),
        1 => Just(Change::LuxDies),
        1 => any::<bool>().prop_map(Change::Away),
        3 => any::<bool>().prop_map(Change::Press),
    ]
}

#[derive(Clone, Debug, Default)]
struct Moment {
    t: i64,
    at: [Option<u16>; 3],
    lost: [bool; 3],
    fire: Option<bool>,
    lux: Option<u8>,
    away: bool,
    /// Button a (or b) was pressed right now.
    pressed: Option<bool>,
    /// What happened right now: who, whether he entered (else left), where; or was lost there.
    events: Vec<(usize, EventKind, u16)>,
}

/// Runs the day through the compiled rules and writes its history down.
fn live(text: &str, day: &[Change]) -> (Vec<String>, Vec<Moment>) {
    let mut b = Bench::asleep(text);
    b.world.alive[0] = Tri::False;
    b.world.alive[3] = Tri::False;
    b.clock(22.0 - 10.0 / 3600.0);
    for p in 0..3 {
        b.appears(p, None, None);
    }
    // The rules wake up only now, with everybody there already.
    b.rules = osmose_rules::Rules::new(common::compiled(&b.world.site, text));
    b.log.clear();
    b.step(&[osmose_model::world::Stimulus::Start]);
    let mut history = vec![Moment::default()];
    let mut t = 0;
    for change in day.iter().cloned().chain([Change::Wait(12)]) {
        let mut now =
            Moment { events: Vec::new(), pressed: None, ..history.last().expect("it begins with one").clone() };
        match change {
            Change::Wait(s) => {
                for _ in 0..s {
                    t += 1;
                    b.at(t as f64);
                    now.t = t;
                    history.push(now.clone());
                }
                continue;
            }
            Change::Go(p, to) if to == now.at[p] && now.lost[p] => {
                (now.lost[p], now.at[p]) = (false, to);
                b.is_found(p as u64);
            }
            Change::Go(p, to) if to == now.at[p] => continue,
            Change::Go(p, to) => {
                now.events.extend(now.at[p].map(|z| (p, EventKind::Leaves, z)));
                now.events.extend(to.map(|z| (p, EventKind::Enters, z)));
                (now.lost[p], now.at[p]) = (false, to);
                b.goes(p as u64, to);
            }
            Change::Lose(p) if now.lost[p] => continue,
            Change::Lose(p) => {
                now.lost[p] = true;
                now.events.extend(now.at[p].map(|z| (p, EventKind::Lost, z)));
                b.is_lost(p as u64);
            }
            Change::Find(p) if !now.lost[p] => continue,
            Change::Find(p) => {
                now.lost[p] = false;
                b.is_found(p as u64);
            }
            Change::Fire(on) => {
                now.fire = Some(on);
                b.reads(0, Reading::Switch(on));
            }
            Change::FireDies => {
                now.fire = None;
                b.dies(0);
            }
            Change::Lux(lux) => {
                now.lux = Some(lux);
                b.reads(3, Reading::Quantity(f64::from(lux)));
            }
            Change::LuxDies => {
                now.lux = None;
                b.dies(3);
            }
            Change::Away(away) if away == now.away => continue,
            Change::Away(away) => {
                now.away = away;
                let value = common::name(if away { "away" } else { "home" });
                b.operator(OperatorAction::Mode { mode: common::name("house"), value });
            }
            Change::Press(a) => {
                now.pressed = Some(a);
                b.reads(8, Reading::Button(common::name(if a { "a" } else { "b" })));
            }
        }
        history.push(now);
    }
    (b.took(), history)
}

// ---- the reference ----

/// The truth of a condition at moment `k`, for person `p` where it speaks of one.
fn truth(c: &C, h: &[Moment], k: usize, p: usize) -> Tri {
    let now = &h[k];
    let here = |p: usize, z: u16| match (now.at[p] == Some(z), now.lost[p]) {
        (false, _) => Tri::False,
        (true, false) => Tri::True,
        (true, true) => Tri::Unknown,
    };
    match c {
        C::Fire => now.fire.map_or(Tri::Unknown, Tri::from),
        C::Dark => now.lux.map_or(Tri::Unknown, |lux| Tri::from(lux < 50)),
        C::Occupied(z) => (0..3).map(|p| here(p, *z)).max().unwrap_or_default(),
        C::CountAbove(z, n) => {
            let seen = (0..3).filter(|p| here(*p, *z) == Tri::True).count() as u32;
            let maybe = (0..3).filter(|p| here(*p, *z) != Tri::False).count() as u32;
            if seen > *n {
                Tri::True
            } else if maybe <= *n {
                Tri::False
            } else {
                Tri::Unknown
            }
        }
        C::Night => Tri::from((10..70).contains(&now.t)),
        C::Not(c) => !truth(c, h, k, p),
        C::And(cs) => cs.iter().map(|c| truth(c, h, k, p)).min().unwrap_or_default(),
        C::Or(cs) => cs.iter().map(|c| truth(c, h, k, p)).max().unwrap_or_default(),
        C::For(c, d) => dwell(c, *d, h, k, p),
        C::Until(set, reset) => {
            // On from the last moment at which it was set and since when nothing ended it; what is set is not ended.
            let set_at = |j: &usize| truth(set, h, *j, p) == Tri::True;
            let ended = |j: &usize| !set_at(j) && truth(reset, h, *j, p) == Tri::True;
            let last = (0..=k).rev().find(|j| set_at(j) || ended(j));
            if last.is_some_and(|j| set_at(&j)) { Tri::True } else { truth(set, h, k, p) }
        }
        C::Away => Tri::from(now.away),
        C::Here(z) => here(p, *z),
    }
}

fn dwell(c: &C, d: i64, h: &[Moment], k: usize, p: usize) -> Tri {
    let values: Vec<Tri> = (0..=k).map(|j| truth(c, h, j, p)).collect();
    let run = (0..=k).rev().take_while(|j| values[*j] != Tri::False).last();
    let Some(run) = run else { return Tri::False };
    if values[k] == Tri::Unknown {
        return if h[k].t - h[run].t >= d { Tri::Unknown } else { Tri::False };
    }
    // Forward through the run: a stretch of unknown as long as the lost time starts the count anew.
    let (mut since, mut gap): (Option<i64>, Option<i64>) = (None, None);
    for j in run..=k {
        match values[j] {
            Tri::Unknown if since.is_some() => gap = gap.or(Some(h[j].t)),
            Tri::Unknown => {}
            _ => {
                let broken = gap.is_some_and(|from| h[j].t - from >= LOST_S);
                since = if broken { Some(h[j].t) } else { since.or(Some(h[j].t)) };
                gap = None;
            }
        }
    }
    Tri::from(since.is_some_and(|s| h[k].t - s >= d))
}

/// When the rule acts, as (moment, words).
#[expect(clippy::needless_range_loop, reason = "moments and persons are numbers that index several histories at once")]
fn expected(number: usize, rule: &Rule, h: &[Moment]) -> Vec<(usize, String)> {
    let counts = |v: Tri| v == Tri::True || rule.privacy && v == Tri::Unknown;
    let granted = |k: usize, p: usize| rule.guard.as_ref().is_none_or(|g| counts(truth(g, h, k, p)));
    let doubted = |k: usize, p: usize| rule.guard.as_ref().is_some_and(|g| truth(g, h, k, p) == Tri::Unknown);
    let line = |doubt: bool| format!("r{number}: lobby-display.wake(){}", if doubt { " (in doubt)" } else { "" });
    let mut out: Vec<(usize, String)> = Vec::new();
    // One candidate firing, through `if` and `suppress`.
    let mut last: [Option<i64>; 3] = [None; 3];
    let mut fire = |k: usize, p: usize, doubt: bool, out: &mut Vec<(usize, String)>| {
        let rested = last[p].is_none_or(|t| h[k].t - t >= rule.suppress);
        if granted(k, p) && rested {
            last[p] = Some(h[k].t);
            out.push((k, line(doubt || doubted(k, p))));
        }
    };
    match &rule.kind {
        Kind::Edge(_) | Kind::Track { .. } => {
            let (condition, people) = match &rule.kind {
                Kind::Edge(c) => (c.clone(), 1),
                Kind::Track { zone, with, dwell } => (track_condition(*zone, with.as_ref(), *dwell), 3),
                _ => unreachable!("the arm is of these two"),
            };
            let mut pending: [Option<i64>; 3] = [None; 3];
            for k in 1..h.len() {
                for p in 0..people {
                    let (before, now) = (truth(&condition, h, k - 1, p), truth(&condition, h, k, p));
                    if before == Tri::False && counts(now) {
                        pending[p] = Some(h[k].t);
                    }
                    if !counts(now) {
                        pending[p] = None;
                    }
                    if pending[p].is_some_and(|t| h[k].t - t >= rule.settle) {
                        pending[p] = None;
                        fire(k, p, now == Tri::Unknown, &mut out);
                    }
                }
            }
        }
        Kind::Event { enters, zone } => {
            let here = C::Here(*zone);
            let stands = |k: usize, p: usize| {
                let inside = truth(&here, h, k, p);
                counts(if *enters { inside } else { !inside })
            };
            let mut pending: [Option<(i64, bool)>; 3] = [None; 3];
            for k in 1..h.len() {
                for p in 0..3 {
                    let of = |kind| h[k].events.contains(&(p, kind, *zone));
                    let lost = !enters && rule.privacy && of(EventKind::Lost);
                    if pending[p].is_some() && !stands(k, p) {
                        pending[p] = None;
                    }
                    if lost || of(if *enters { EventKind::Enters } else { EventKind::Leaves }) {
                        pending[p] = Some((h[k].t, lost));
                    }
                    if let Some((_, doubt)) = pending[p].filter(|(t, _)| h[k].t - t >= rule.settle) {
                        pending[p] = None;
                        fire(k, p, doubt, &mut out);
                    }
                }
            }
        }
        Kind::Sequence(_) | Kind::Times(..) => {
            // Moments at which it happens; what made up one counts for no other.
            let presses = |a: bool| (0..h.len()).filter(move |k| h[*k].pressed == Some(a)).collect::<Vec<_>>();
            let mut happens: Vec<usize> = Vec::new();
            let unused = |j: &usize, happens: &[usize]| happens.last().is_none_or(|done| j > done);
            match rule.kind {
                Kind::Sequence(within) => {
                    for k in presses(false) {
                        let first = presses(true).into_iter().rfind(|j| *j < k && unused(j, &happens));
                        if first.is_some_and(|j| h[k].t - h[j].t <= within) {
                            happens.push(k);
                        }
                    }
                }
                Kind::Times(times, within) => {
                    for k in presses(true) {
                        let lately = |j: &usize| *j <= k && unused(j, &happens) && h[k].t - h[*j].t <= within;
                        if presses(true).iter().filter(|j| lately(j)).count() >= times {
                            happens.push(k);
                        }
                    }
                }
                _ => unreachable!("the arm is of these two"),
            }
            let mut pending: Option<i64> = None;
            for k in 1..h.len() {
                if happens.contains(&k) {
                    pending = Some(h[k].t);
                }
                if pending.is_some_and(|t| h[k].t - t >= rule.settle) {
                    pending = None;
                    fire(k, 0, false, &mut out);
                }
            }
        }
        Kind::Level { condition, release } => {
            // On and off as the settled condition says; held until `release` after it ended.
            let (mut settled, mut differs, mut held): (bool, Option<i64>, bool) = (false, None, false);
            let mut ends: Option<i64> = None;
            for (k, moment) in h.iter().enumerate() {
                let wanted = counts(truth(condition, h, k, 0));
                differs = if wanted == settled { None } else { differs.or(Some(moment.t)) };
                if differs.is_some_and(|t| moment.t - t >= rule.settle) {
                    (settled, differs) = (wanted, None);
                    if settled {
                        if !held && granted(k, 0) {
                            held = true;
                            out.push((k, format!("r{number}: hold lobby-display.page = x")));
                        }
                        ends = None;
                    } else if held {
                        ends = Some(moment.t + release);
                    }
                }
                if ends.is_some_and(|t| moment.t >= t) {
                    (held, ends) = (false, None);
                    out.push((k, "release".to_owned()));
                }
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn the_compiled_rules_do_what_the_obvious_reading_says(
        rules in prop::collection::vec(rule(), 1..4),
        day in prop::collection::vec(change(), 0..40),
    ) {
        let text: Vec<String> = rules.iter().enumerate().map(|(n, r)| rule_text(n, r)).collect();
        let text = [MODE.to_owned(), text.join("\n")];
        let (took, history) = live(&text.join("\n"), &day);
        let mut wanted: Vec<(usize, usize, String)> = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            wanted.extend(expected(number, rule, &history).into_iter().map(|(k, line)| (k, number, line)));
        }
        wanted.sort_by_key(|(k, number, _)| (*k, *number));
        let wanted: Vec<String> = wanted.iter().map(|(k, _, line)| format!("{} {line}", history[*k].t)).collect();
        // Which holder lets go is the rules' numbering and no matter of meaning.
        let took: Vec<String> = took
            .into_iter()
            .map(|line| line.split_once(" release ").map_or(line.clone(), |(t, _)| format!("{t} release")))
            .collect();
        prop_assert_eq!(took, wanted, "{}", text.join("\n"));
    }
}

#[test]
fn the_reference_sees_something() {
    // A guard against a test that compares nothing with nothing.
    let rule = Rule {
        kind: Kind::Track { zone: 2, with: None, dwell: 2 },
        guard: None,
        settle: 1,
        suppress: 0,
        privacy: false,
    };
    let day = [Change::Go(1, Some(2)), Change::Wait(5)];
    let (took, history) = live(&rule_text(0, &rule), &day);
    assert_eq!(took, ["3 r0: lobby-display.wake()"]);
    assert_eq!(expected(0, &rule, &history).len(), 1);
    assert_eq!(history.last().map(|m| m.t * NS_PER_S), Some(17 * NS_PER_S));
}
