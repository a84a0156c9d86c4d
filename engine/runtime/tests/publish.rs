//! Pictures cost the stepping thread nothing that grows: no allocation, and none at all where nobody looks.

use allocation_counter::measure;
use osmose_core::{Core, Outbox};
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId, Seq};
use osmose_model::input::{Input, Tag};
use osmose_model::observation::{Body, Observation};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use osmose_runtime::publish::{Picture, publisher};
use std::sync::Arc;

const PEOPLE: usize = 200;

fn site() -> Arc<Site> {
    let files = osmose_load::template("two rooms");
    Arc::new(osmose_load::load(&files).site.expect("the template is a site"))
}

fn core(site: &Arc<Site>) -> Core {
    let files: Vec<_> = site.rule_files().cloned().collect();
    Core::new(site.clone(), osmose_rules::check(site, &files).program.expect("the rules compile"))
}

/// Everybody is seen once, in a grid; `round` moves them on.
fn see_everybody(core: &mut Core, round: usize) {
    let mut out = Outbox::new();
    for i in 0..PEOPLE {
        let seq = (round * PEOPLE + i + 1) as u64;
        let at = LogicalNs(seq as i64 * 1_000_000);
        let (x_m, y_m) = ((i % 20) as f64 * 0.4 + 0.01 * round as f64, (i / 20) as f64 * 0.4);
        let place = Place { at: Point::new(x_m, y_m), z_m: None, level: LevelId(0) };
        let body = Body::Location { device: CarriedKey(i as u64 + 1), place, sigma_m: None };
        let observation = Observation { sensor: SensorId(0), source_seq: Some(seq), measured: at, body };
        core.step(Tag { at, seq: Seq(seq) }, &Input::Observation(observation), &mut out);
    }
}

#[test]
fn a_picture_of_two_hundred_people_allocates_nothing_and_is_how_the_core_stands() {
    let site = site();
    let mut core = core(&site);
    see_everybody(&mut core, 0);
    let mut picture = Picture::new(&site);
    for round in 1..20 {
        see_everybody(&mut core, round);
        let taken = measure(|| picture.take(&core, ArrivalNs(core.last().at.0)));
        assert_eq!(taken.count_total, 0, "round {round}");
    }
    assert_eq!(picture.people.len(), PEOPLE);
    assert_eq!(picture.tag, core.last());
    let in_zones: u32 = picture.zones.iter().map(|z| z.count.seen).sum();
    let expected: usize = picture.people.iter().map(|p| p.zones.len()).sum();
    assert_eq!(in_zones as usize, expected, "a zone counts those who are in it");
    assert!(in_zones > 0, "somebody is in a room");
}

#[test]
fn where_nobody_looks_one_picture_waits_and_no_more_are_made() {
    let site = site();
    let mut core = core(&site);
    let (mut publisher, mut pictures) = publisher(&site);
    let (mut made, every) = (0, DurationNs::from_ms(40));
    let mut now = ArrivalNs(0);
    for round in 0..10 {
        see_everybody(&mut core, round);
        now = now.plus(every);
        let taken = measure(|| made += u32::from(publisher.look_on(&core, now)));
        assert_eq!(taken.count_total, 0);
    }
    assert_eq!(made, 1);
    assert!(pictures.look());
    assert!(!pictures.look(), "there is one");
    // Whoever looks sees every one, and what is published is the newest.
    for round in 10..20 {
        see_everybody(&mut core, round);
        now = now.plus(every);
        assert!(publisher.look_on(&core, now), "round {round}");
        assert!(!publisher.look_on(&core, now), "not before its time");
        assert!(pictures.look());
        assert_eq!(pictures.now().tag, core.last());
    }
}
