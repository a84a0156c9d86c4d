//! Two dozen bookings of one room: it is within 1 K of its preset when each begins, and no earlier than it takes.
//!
//! The whole engine in virtual time on the co-working plan, with the room's thermometer and its heating; what is learnt
//! of how long it takes to warm up is learnt on the way.

mod common;

use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_model::canon;
use osmose_model::command::{Command, Value};
use osmose_model::input::{Anchor, Input, Tag};
use osmose_model::observation::Body;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::{ArrivalNs, DurationNs, UtcNs};
use osmose_sensors::sim::{Scenario, Sim};
use std::path::Path;
use std::sync::Arc;

/// The first booking: Monday 2 March 2026, 02:00 UTC.
const FIRST_S: i64 = 1_772_416_800;
/// The building lives from three hours before it.
const BEGINS_S: i64 = FIRST_S - 3 * 3600;
const BOOKINGS: i64 = 24;
/// From booking to booking: long enough to cool down, and some follow sooner.
fn start_s(n: i64) -> i64 {
    n * 9000 - if n % 5 == 4 { 4500 } else { 0 }
}

fn calendar() -> String {
    let mut text = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//osmose//heating test//EN\n".to_owned();
    let stamp = |s: i64| {
        let of_day = s.rem_euclid(86_400);
        // The days of March count from the second on.
        let day = 2 + (s - FIRST_S.div_euclid(86_400) * 86_400).div_euclid(86_400);
        format!("202603{day:02}T{:02}{:02}{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
    };
    for n in 0..BOOKINGS {
        let from = FIRST_S + start_s(n);
        text += &format!(
            "BEGIN:VEVENT\nUID:{n}@heating.example\nDTSTAMP:20260101T000000Z\nDTSTART:{}\nDTEND:{}\nSUMMARY:{n}\nLOCATION:m7\nEND:VEVENT\n",
            stamp(from),
            stamp(from + 1200)
        );
    }
    text + "END:VCALENDAR\n"
}

fn site() -> (Arc<Site>, osmose_rules::Program) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/coworking");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("an example's file");
    let wanted = |block: &&str| block.contains("id = \"temp-m7\"") || block.contains("id = \"m7.hvac\"");
    let devices: String = read("devices.toml").split("\n[[").filter(wanted).map(|b| format!("\n[[{b}")).collect();
    let all = read("rules/coworking.rules");
    // The example's own rules: its head, and what heats.
    let head = all.split("# ----").next().expect("a head");
    let heat = all
        .split("template warm")
        .nth(1)
        .expect("the rule that heats")
        .split("use warm(r: m3")
        .next()
        .expect("its end");
    let rules = format!("{head}\ntemplate warm{heat}\nuse cool(r: m7) as cool-m7\n");
    let file = |path: &str, text: String| SourceFile { path: path.into(), text };
    let files = [
        file("site.toml", read("site.toml")),
        file("floorplan.geojson", read("floorplan.geojson")),
        file("people.toml", read("people.toml")),
        file("bookings.ics", calendar()),
        file("devices.toml", devices),
        file("rules/heat.rules", rules),
    ];
    common::loaded(&files)
}

#[derive(Default)]
struct Sink(Vec<Command>);

impl StepSink<Fusion, Rules, Plan> for Sink {
    fn sequenced(&mut self, _: Tag, _: &[u8]) {}
    fn decided(&mut self, _: Tag, _: &Input<'_>, out: &Outbox, _: &Core) {
        self.0.extend(out.commands.iter().cloned());
    }
}

#[test]
fn the_room_is_warm_when_the_booking_begins_and_not_long_before() {
    let (site, program) = site();
    assert_eq!(site.bookings.len(), BOOKINGS as usize);
    let mut sim = Sim::new(&site, Scenario::Morning { script: String::new() }, 1).expect("an empty building");
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let mut driver = CoreDriver::new(Core::new(site, program));
    let mut sink = Sink::default();
    driver.feed(ArrivalNs(0), &Input::RulesInstalled { files: &canon::encode_files(&rules) }, &mut sink);
    let anchor = Anchor { utc: UtcNs(BEGINS_S * 1_000_000_000), offset: DurationNs::ZERO, next_change: None };
    driver.feed(ArrivalNs(0), &Input::Anchor(anchor), &mut sink);
    let end = ArrivalNs((FIRST_S - BEGINS_S + start_s(BOOKINGS - 1) + 60) * 1_000_000_000);
    let (mut now, mut read, mut heats): (ArrivalNs, Vec<(i64, f64)>, Vec<i64>) = (ArrivalNs(0), vec![], vec![]);
    while now < end {
        now = now.plus(DurationNs::from_s(1)).min(end);
        sim.advance(now, &mut |arrival, _, _, input| {
            if let Some(Body::Value { value }) = input.observation().map(|o| o.body) {
                read.push((arrival.0, value));
            }
            driver.feed(arrival, &input, &mut sink);
        });
        for command in sink.0.drain(..) {
            if command.args.iter().any(|(n, v)| *n == "setpoint" && *v == Value::Number(21.0)) {
                heats.push(command.at.0);
            }
            sim.command(ArrivalNs(command.at.0), &command);
        }
    }
    let begins: Vec<i64> = (0..BOOKINGS).map(|n| (FIRST_S - BEGINS_S + start_s(n)) * 1_000_000_000).collect();
    let at = |t: i64| read.iter().take_while(|r| r.0 <= t).last().expect("it was read").1;
    let off: Vec<f64> = begins.iter().map(|t| 21.0 - at(*t)).collect();
    let leads: Vec<f64> =
        begins.iter().map(|t| (t - heats.iter().rev().find(|h| *h <= t).expect("it heats")) as f64 / 60e9).collect();
    let within = off.iter().filter(|k| k.abs() <= 1.0).count();
    println!(
        "within 1 K at {within} of {BOOKINGS} beginnings; short of it by {off:.2?} K; heated for {leads:.0?} min before"
    );
    assert!(within * 100 >= BOOKINGS as usize * 95);
    // It takes a half-hour time constant's ln(4 K / 0.6 K) = 57 min. The first time nothing is known, and it is warm too early.
    assert!(heats[0] as f64 / 60e9 < begins[0] as f64 / 60e9 - 60.0, "{heats:?}");
    assert!(leads[3..].iter().all(|min| (20.0..65.0).contains(min)), "{leads:?}");
    // What is known does not waver.
    let later = heats.iter().filter(|h| **h > begins[2]).count();
    assert_eq!(later, BOOKINGS as usize - 3, "{heats:?}");
}
