//! Events that an event rule is known not to wait for pass it over. A rule that says `or fire-panel is active` cannot
//! be passed over, and with the panel off it means the same: both have to act alike on any day.

mod common;

use common::Bench;
use osmose_model::world::Reading;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Change {
    Goes(u64, Option<u16>),
    Lost(u64),
    Found(u64),
    /// Taken for a person, with a probability on either side of the rules' confidence; or for nobody.
    Identified(u64, Option<u16>, bool),
    Wait,
}

fn change() -> impl Strategy<Value = Change> {
    let track = 0..3_u64;
    prop_oneof![
        4 => (track.clone(), prop::option::of(0..4_u16)).prop_map(|(t, z)| Change::Goes(t, z)),
        1 => track.clone().prop_map(Change::Lost),
        1 => track.clone().prop_map(Change::Found),
        2 => (track, prop::option::of(0..3_u16), any::<bool>()).prop_map(|(t, p, sure)| Change::Identified(t, p, sure)),
        1 => Just(Change::Wait),
    ]
}

const WHO: [&str; 3] = ["p", "any p in members(project-x)", "ana"];
const VERBS: [&str; 3] = ["enters", "leaves", "leaves"];
const WITH: [&str; 3] = ["", " and count(people in lobby) < 2", " and corridor is occupied"];
const LEVELS: [&str; 2] = ["comfort", "privacy"];

/// What the gated rule and the plain one did, without their names.
fn day(who: &str, verb: &str, with: &str, level: &str, changes: &[Change]) -> [Vec<String>; 2] {
    let rule = |name: &str, open: &str| {
        format!("rule {name} {{ when ({who} {verb} lobby{with}){open} do lobby-display.wake() level {level} }}\n")
    };
    let text = rule("gated", "") + &rule("plain", " or fire-panel is active");
    let mut bench = Bench::new(&text);
    bench.reads(0, Reading::Switch(false));
    for track in 0..3 {
        bench.appears(track, Some(track as u16), Some(3));
    }
    for (second, change) in changes.iter().enumerate() {
        bench.at(second as f64 + 1.0);
        match *change {
            Change::Goes(track, zone) => bench.goes(track, zone),
            Change::Lost(track) => bench.is_lost(track),
            Change::Found(track) => bench.is_found(track),
            Change::Identified(track, person, sure) => {
                bench.is_identified(track, person, if sure { 0.99 } else { 0.2 })
            }
            Change::Wait => &mut bench,
        };
    }
    let took = bench.took();
    ["gated", "plain"].map(|name| {
        let own = took.iter().filter(|line| line.contains(&format!(" {name}: ")));
        own.map(|line| line.replace(name, "")).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn what_is_passed_over_would_have_done_nothing(
        (who, verb, with, level) in (0..3_usize, 0..3_usize, 0..3_usize, 0..2_usize),
        changes in prop::collection::vec(change(), 0..40),
    ) {
        let [gated, plain] = day(WHO[who], VERBS[verb], WITH[with], LEVELS[level], &changes);
        prop_assert_eq!(gated, plain);
    }
}

#[test]
fn the_comparison_sees_something() {
    let changes = [Change::Goes(0, Some(2)), Change::Goes(0, None), Change::Goes(2, Some(2)), Change::Lost(2)];
    for (level, acts) in [("comfort", 1), ("privacy", 1)] {
        let [gated, plain] = day(WHO[1], "leaves", "", level, &changes);
        assert_eq!((gated.len(), plain.len()), (acts, acts), "{level}");
    }
    let [gated, plain] = day("p", "leaves", "", "privacy", &changes);
    assert_eq!((gated.len(), plain.len()), (2, 2), "a loss counts as leaving at level privacy");
}
