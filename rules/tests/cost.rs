//! The cost model: bounds as golden text, deadlines that are refused, and bounds that are reached.
//!
//! That what is counted stays within the bound is held in every step of every test that uses `common::Bench`, the
//! 20,000 random days of `reference.rs` among them.

mod common;

use common::{Bench, compiled, site, source};
use osmose_model::geometry::{Point, Polygon};
use osmose_model::site::Site;
use osmose_model::time::DurationNs;
use osmose_model::world::Reading;
use osmose_rules::cost::{Class, Costs, Op, StepBound, Table, assess};

const LOOKS_AT_ALL: &str = "rule crowd {
  while any p in members(staff) in lobby
  hold  lobby-display.page = \"staff\"
  deadline 160 us else count
}
";

fn costs(site: &Site, text: &str) -> Costs {
    assess(&compiled(site, text), site, &source(text), &Table::committed())
}

fn said(site: &Site, text: &str) -> String {
    costs(site, text).diagnostics.iter().map(|d| d.render(text, false)).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn a_deadline_that_the_rule_itself_cannot_keep_is_refused_at_the_clause() {
    insta::assert_snapshot!(said(&site(), LOOKS_AT_ALL));
}

#[test]
fn a_deadline_that_others_break_names_them() {
    let text = format!(
        "rule quick {{\n  when p enters lobby\n  do lobby-display.wake()\n  deadline 155 us\n}}\n{}",
        LOOKS_AT_ALL.replace("  deadline 160 us else count\n", "")
    );
    insta::assert_snapshot!(said(&site(), &text));
}

#[test]
fn fewer_tracks_make_it_fit_as_the_help_says() {
    let mut site = site();
    site.engine.tracks_max = 100;
    assert_eq!(said(&site, LOOKS_AT_ALL), "");
}

#[test]
fn costs_grow_with_the_site_and_are_zero_where_nothing_wakes() {
    let small = costs(&site(), LOOKS_AT_ALL);
    let mut large = site();
    large.engine.tracks_max = 10_000;
    let large = costs(&large, LOOKS_AT_ALL);
    assert_eq!(small.rules[0].ops.get(Op::Occupant) * 10, large.rules[0].ops.get(Op::Occupant));
    assert_eq!(small.rules[0].class, Some(Class::People));
    let idle = costs(&site(), "rule idle { for each lobby r where r.recorder when p enters r do r.recorder.pause() }");
    assert_eq!((idle.rules[0].class, idle.rules[0].ops.total()), (None, 0));
}

#[test]
fn a_command_that_wakes_others_counts_what_they_do() {
    let alone = "rule a { when p enters lobby do m7.recorder.pause() }\n";
    let chain = format!("{alone}rule b {{ when m7.recorder is paused do lobby-display.wake() }}\n");
    let us = |text: &str| costs(&site(), text).rules[0].reaction_us;
    assert!(us(&chain) > us(alone), "{} and {}", us(&chain), us(alone));
}

/// What is said of two people concerns the zones that each may be in at once, and no more.
#[test]
fn a_person_is_in_zones_together_that_lie_over_each_other() {
    let rule = |name: &str, zone: &str| {
        format!("rule {name} {{ when p in {zone} and spread(p) < 0.3 m do lobby-display.wake() level user }}\n")
    };
    let text = [rule("a", "m7"), rule("b", "m9"), rule("c", "lobby")].concat();
    let reaction_us = |apart_m: f64, exit_delay_s: i64| {
        let mut site = site();
        for (n, zone) in site.zones.iter_mut().enumerate() {
            let x_m = n as f64 * apart_m;
            let corners = [(x_m, 0.0), (x_m + 2.0, 0.0), (x_m + 2.0, 2.0), (x_m, 2.0)];
            zone.area.parts = vec![Polygon::simple(corners.map(|(x_m, y_m)| Point::new(x_m, y_m)).to_vec())];
        }
        site.zones[0].margins.exit_delay = DurationNs::from_s(exit_delay_s);
        costs(&site, &text).rules[1].reaction_us
    };
    // Two of three rooms, one for each of the two people; all three where a third of each lies in the next.
    assert!(reaction_us(100.0, 0) < reaction_us(1.0, 0), "{} {}", reaction_us(100.0, 0), reaction_us(1.0, 0));
    // Who left a room counts as in it for a while, wherever they are by then.
    assert_eq!(reaction_us(100.0, 5), reaction_us(1.0, 0));
}

#[test]
fn what_a_person_waits_is_told_apart() {
    let text = "rule a { when p leaves lobby do lobby-display.wake() settle 2 s }
                rule b { while (lobby is occupied for 5 s) and (m7 is occupied for 3 s) hold lobby-display.page = \"x\" }";
    let mut site = site();
    site.sensors[4].rate_hz = Some(10.0);
    site.zones[2].margins.exit_delay = osmose_model::time::DurationNs::from_ms(500);
    let costs = costs(&site, text);
    let parts: Vec<_> = costs.rules.iter().map(|r| (r.human.sensing_ms, r.human.dampers_ms)).collect();
    assert_eq!(parts, [(Some(100.0), 2500.0), (Some(100.0), 5000.0)]);
    assert!(costs.rules[0].human.total_ms() > 2600.0);
}

/// The bound is no mere ceiling: the worst that a test can bring about comes to it.
#[test]
fn the_worst_case_comes_near_its_bound() {
    let text = "rule a { when count(people in lobby) > 1 and lux-1 < 50 lx if fire-panel is inactive
                do lobby-display.wake() ; m7.recorder.pause() }";
    let mut bench = Bench::new(text);
    bench.reads(0, Reading::Switch(false)).reads(3, Reading::Quantity(20.0));
    bench.appears(1, None, Some(2));
    let site = site();
    let bound = StepBound::new(bench.rules.program(), &site);
    bench.rules.counted();
    let before = bench.took().len();
    bench.counts_kept = true;
    bench.appears(2, None, Some(2));
    assert!(bench.took().len() > before, "it fired");
    let counted = bench.counted;
    let event = bound.of(&[osmose_model::world::Stimulus::Sensor(osmose_model::ids::SensorId(3))], |_| Vec::new(), 0);
    assert_eq!(counted.get(Op::Effect), event.get(Op::Effect));
    assert_eq!(counted.get(Op::Node), event.get(Op::Node), "{counted} of {event}");
}

#[test]
fn what_many_rules_take_together_is_not_blamed_on_one() {
    let many: String = (0..50)
        .map(|n| {
            format!("rule r{n} {{ while any p in members(staff) in lobby and lux-1 < {n} lx hold lobby-display.page = \"staff\" level info }}\n")
        })
        .collect();
    let text = format!("rule quick {{ when p enters lobby do lobby-display.wake() deadline 160 us }}\n{many}");
    let said = said(&site(), &text);
    assert!(!said.contains("a cheaper"), "no single one would do: {said}");
    assert!(said.contains("One event wakes 51 rules; `r49` in rules/a.rules takes most of them"), "{said}");
}

/// What dampers remember of people is looked up when somebody is identified; what they remember of nobody is not.
#[test]
fn a_damper_costs_an_event_what_it_remembers_of_people() {
    let uses: String = (1..=6).map(|n| format!("use queue(z: lobby, n: {n}) as queue-{n}\n")).collect();
    let of = |damper: &str| {
        let template = format!(
            "template queue(z: zone, n: number) {{ when p enters z if count(people in z) > n do lobby-display.wake() {damper} }}\n"
        );
        let costs = costs(&site(), &format!("{template}{uses}"));
        let people = costs.classes.iter().find(|(class, ..)| *class == Class::People).expect("they wait for people");
        (people.1.get(Op::Memory), people.2)
    };
    let (none, damped) = (of(""), of("once per 10 min"));
    assert_eq!((none.0, damped.0), (0, 18), "each asks it, writes it, and looks after visits");
    assert!(damped.1 < none.1 + 2.0, "{damped:?} us after {none:?}");
    assert_eq!(of("suppress 3 s per p").0, 18 + 12, "and two for each at an identity");
    assert!(of("suppress 3 s per p").1 < 100.0, "and not milliseconds");
}
