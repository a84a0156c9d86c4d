//! A thousand entries of rooms that were dark: the light is on before the door is crossed.
//!
//! The whole engine in virtual time in the co-working building, with the example's own rules of light; only that a lamp
//! goes off a second after the last one left and not after five minutes, so that nearly every entry is into the dark.

mod common;

use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan, Rules, StepSink};
use osmose_model::canon;
use osmose_model::command::{Command, Value};
use osmose_model::ids::{ActuatorId, ZoneId};
use osmose_model::input::{Input, Tag};
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::ArrivalNs;
use osmose_sensors::sim::{REPORT_AFTER_MIN, Scenario, Sim, TrueCrossing};
use std::path::Path;
use std::sync::Arc;

const ROOMS: [&str; 7] = ["m3", "m5", "m7", "m9", "workshop", "office-1", "quiet-room"];
const ENTRIES: usize = 1000;

const FIVE_WHO_GO_FROM_ROOM_TO_ROOM: &str = "
[[extras]]
name = \"x\"
count = 5
does = [\"starts in corridor\", \"wanders among m3, m5, m7, m9, workshop, office-1, quiet-room staying 1 to 4 s\"]
";

fn site() -> (Arc<Site>, osmose_rules::Program) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/coworking");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("an example's file");
    let all = read("rules/coworking.rules");
    let head = all.split("# ----").next().expect("a head");
    let light = all.split("template lit").nth(1).and_then(|t| t.split("# Heat is on").next()).expect("what lights");
    assert!(light.contains("release after 5 min"));
    let rules = format!("{head}\ntemplate lit{}", light.replace("release after 5 min", "release after 1 s"));
    let file = |path: &str, text: String| SourceFile { path: path.into(), text };
    let mut files = vec![file("rules/light.rules", rules)];
    files.extend(
        ["site.toml", "floorplan.geojson", "people.toml", "bookings.ics", "devices.toml"].map(|n| file(n, read(n))),
    );
    common::loaded(&files)
}

/// What devices were told, and what lamps said: when, which, and whether it is on.
#[derive(Default)]
struct Sink {
    commands: Vec<Command>,
    said: Vec<(ArrivalNs, ActuatorId, bool)>,
}

impl StepSink<Fusion, Rules, Plan> for Sink {
    fn sequenced(&mut self, _: Tag, _: &[u8]) {}
    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, _: &Core) {
        if let Input::Report(r) = input {
            // A level lights a lamp, `off` puts it out.
            let lit = match (r.property.as_str(), r.value) {
                ("level", Value::Number(percent)) => Some(percent > 0.0),
                ("state", Value::Name(state)) => Some(state == "on"),
                _ => None,
            };
            self.said.extend(lit.map(|lit| (ArrivalNs(tag.at.0), r.actuator, lit)));
        }
        self.commands.extend(out.commands.iter().cloned());
    }
}

/// Entries of a run: for each by how long the light came before it, milliseconds, and whether it had been dark in the ten
/// seconds before.
fn entries(seed: u64, seconds: i64) -> Vec<(f64, bool)> {
    let (site, program) = site();
    let scenario = Scenario::Morning { script: FIVE_WHO_GO_FROM_ROOM_TO_ROOM.into() };
    let mut sim = Sim::new(&site, scenario, seed).expect("the script fits the site");
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let rooms: Vec<(ZoneId, ActuatorId)> = ROOMS
        .iter()
        .map(|r| (site.zone_named(r).expect("a room"), site.actuator_named(&format!("{r}.light")).expect("its lamp")))
        .collect();
    let mut driver = CoreDriver::new(Core::new(site, program));
    let mut sink = Sink::default();
    driver.feed(ArrivalNs(0), &Input::RulesInstalled { files: &canon::encode_files(&rules) }, &mut sink);
    let (mut now, end, mut crossings) = (ArrivalNs(0), ArrivalNs(seconds * 1_000_000_000), Vec::new());
    while now < end {
        now = now.plus(REPORT_AFTER_MIN).min(end);
        sim.advance(now, &mut |arrival, _, _, input| driver.feed(arrival, &input, &mut sink));
        sink.commands.drain(..).for_each(|command| sim.command(ArrivalNs(command.at.0), &command));
        sim.take_crossings(&mut crossings);
    }
    let entered = |c: &&TrueCrossing| c.entered && c.at.0 > 2_000_000_000;
    let entries = crossings.iter().filter(entered).filter_map(|c| {
        let lamp = rooms.iter().find(|(zone, _)| *zone == c.zone)?.1;
        // Since when it is on, or when it goes on where it is late.
        let said = || sink.said.iter().filter(|s| s.1 == lamp);
        let dark_until = said().take_while(|s| s.0 <= c.at).filter(|s| !s.2).last().map_or(0, |s| s.0.0);
        let lit = said().find(|s| s.2 && s.0.0 > dark_until).map_or(end, |s| s.0);
        Some(((c.at.0 - lit.0) as f64 / 1e6, c.at.0 - lit.0 < 10_000_000_000))
    });
    entries.collect()
}

#[test]
fn the_light_is_on_before_the_door_is_crossed_a_thousand_times() {
    let mut all = Vec::new();
    for seed in 1..=20 {
        all.extend(entries(seed, 900));
        if all.len() >= ENTRIES {
            break;
        }
    }
    let mut leads: Vec<f64> = all.iter().filter(|e| e.1).map(|e| e.0).collect();
    leads.sort_by(f64::total_cmp);
    let at = |share: f64| leads[((leads.len() - 1) as f64 * share) as usize];
    let dark = all.iter().filter(|e| e.0 < 0.0).count();
    println!(
        "{} entries, {dark} into the dark; where the light came on for it ({}): before the crossing by p50 {:.0} ms, p1 {:.0} ms, \
         least {:.0} ms",
        all.len(),
        leads.len(),
        at(0.5),
        at(0.01),
        at(0.0)
    );
    assert!(all.len() >= ENTRIES && leads.len() * 2 >= ENTRIES, "{} entries, {} lit for", all.len(), leads.len());
    assert_eq!(dark, 0, "the latest: {:?} ms", &leads[..leads.len().min(5)]);
}
