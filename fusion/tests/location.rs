//! Carried devices as located: appearing, zones with margins and delays, lost and found, limits, save and restore.

mod support;

use osmose_fusion::{Fusion, Hit};
use osmose_model::device::SensorKind;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, SensorId, TrackId, ZoneId};
use osmose_model::observation::Body;
use osmose_model::site::{Site, ZoneMargins};
use osmose_model::stages::{Fuse, Refusal};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Presence, Sighting, Stimulus, WorldEvent, ZoneCount};
use proptest::prelude::*;
use std::sync::Arc;
use support::{add_person, add_zone, default_margins, fix, no_margins, rectangle, rooms, said, tag};

const S: i64 = 1_000_000_000;

/// Fusion with a clock: ticks come at every wake-up before an observation, as the sequencer gives them.
struct Run {
    fusion: Fusion,
    seq: u64,
    out: Vec<Stimulus>,
}

impl Run {
    fn new(site: Site) -> Self {
        Self { fusion: Fusion::new(Arc::new(site)), seq: 0, out: Vec::new() }
    }
    fn until(&mut self, ns: i64) {
        while let Some(due) = self.fusion.next_wakeup().filter(|d| d.0 <= ns) {
            self.fusion.advance(due, &mut self.out);
        }
    }
    fn fix(&mut self, device: &str, x_m: f64, y_m: f64, ns: i64) -> Result<(), Refusal> {
        self.until(ns);
        self.seq += 1;
        self.fusion.observe(tag(ns, self.seq), &fix(CarriedKey::of(device), x_m, y_m, ns), &mut self.out)
    }
    fn events(&mut self) -> Vec<WorldEvent> {
        let taken = std::mem::take(&mut self.out);
        taken.into_iter().filter_map(|s| if let Stimulus::World(e) = s { Some(e) } else { None }).collect()
    }
    /// Kinds and zones of the events since the last call.
    fn said(&mut self) -> Vec<(EventKind, Option<u16>)> {
        self.events().iter().map(|e| (e.kind, e.zone.map(|z| z.0))).collect()
    }
}

use EventKind::{Appears, Enters, Found, Identified, Leaves, Lost};

#[test]
fn first_seen_inside_appears_and_does_not_enter() {
    let mut site = rooms(4, 100, default_margins());
    let ana = add_person(&mut site, "ana");
    let mut run = Run::new(site);
    run.fix("ana-tag", 4.0, 3.0, 0).unwrap();
    run.fix("visitor", 14.0, 3.0, 0).unwrap();
    assert_eq!(run.said(), [(Appears, None), (Identified, None), (Appears, None)]);
    assert_eq!(run.fusion.track_of(ana), Some((TrackId(1), 1.0)));
    assert_eq!(run.fusion.occupant(TrackId(2)).unwrap().person, None);
    assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount { seen: 1, lost: 0 });
    assert_eq!(run.fusion.occupied(ZoneId(0)), Tri::True);
}

#[test]
fn a_walk_from_room_to_room_leaves_before_it_enters() {
    let mut run = Run::new(rooms(4, 100, default_margins()));
    for (i, x) in [4.0, 7.9, 8.1, 8.3, 9.9, 10.1].into_iter().enumerate() {
        run.fix("p17", x, 3.0, i as i64 * S / 10).unwrap();
    }
    // 8.1 m is within the exit margin of 0.2 m.
    assert_eq!(run.said(), [(Appears, None), (Leaves, Some(0)), (Enters, Some(1))]);
    // A jump shows both at once, leaves first.
    run.fix("p17", 4.0, 3.0, S).unwrap();
    assert_eq!(run.said(), [(Leaves, Some(1)), (Enters, Some(0))]);
    assert_eq!(
        run.fusion.occupied(ZoneId(1)),
        Tri::Unknown,
        "event-kind sensors are alive, the position sensor is not"
    );
}

#[test]
fn what_moved_somebody_is_remembered_the_newest_four() {
    let mut run = Run::new(rooms(1, 10, default_margins()));
    for i in 0..6 {
        run.fix("p17", 4.0 + 0.1 * i as f64, 3.0, i * S / 10).unwrap();
    }
    let moved_by = &run.fusion.occupant(TrackId(1)).expect("somebody").moved_by;
    let expected: Vec<_> = (2..6).map(|i| Sighting { sensor: SensorId(0), measured: LogicalNs(i * S / 10) }).collect();
    assert_eq!(moved_by.as_slice(), expected);
}

#[test]
fn a_move_without_an_event_is_still_told() {
    let mut run = Run::new(rooms(1, 10, default_margins()));
    run.fix("p17", 4.0, 3.0, 0).unwrap();
    run.out.clear();
    run.fix("p17", 4.1, 3.0, S / 10).unwrap();
    assert_eq!(run.out, [Stimulus::Moved(TrackId(1))]);
}

#[test]
fn exit_delay_fires_at_its_instant_and_is_called_off_by_coming_back() {
    let margins = ZoneMargins { exit_delay: DurationNs::from_ms(700), ..default_margins() };
    let mut run = Run::new(rooms(1, 10, margins));
    run.fix("p17", 4.0, 3.0, 0).unwrap();
    run.fix("p17", 9.0, 3.0, S).unwrap();
    assert_eq!(run.fusion.next_wakeup(), Some(LogicalNs(S + 700_000_000)));
    run.fix("p17", 7.0, 3.0, S + 600_000_000).unwrap();
    assert_eq!(run.fusion.next_wakeup(), Some(LogicalNs(S + 600_000_000 + 2 * S)), "only the lost time is left");
    run.fix("p17", 9.0, 3.0, 2 * S).unwrap();
    run.fix("p17", 9.5, 3.0, 2 * S + 500_000_000).unwrap();
    run.events();
    run.until(2 * S + 700_000_000);
    let events = run.events();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind, events[0].measured), (Leaves, LogicalNs(2 * S + 700_000_000)));
    assert_eq!(events[0].sensor, None, "time alone did it");
}

#[test]
fn lost_keeps_its_zone_as_unknown_and_found_outside_leaves() {
    let mut site = rooms(2, 10, default_margins());
    site.zones[0].margins.lost = DurationNs::from_s(1);
    let inner = add_zone(&mut site, "table", 0, rectangle(3.0, 2.0, 5.0, 4.0));
    let mut run = Run::new(site);
    run.fix("p17", 4.0, 3.0, 0).unwrap();
    run.until(S / 2); // The position sensor, never heard, is dead after three periods.
    run.events();
    assert_eq!(run.fusion.next_wakeup(), Some(LogicalNs(S)), "the least lost time of its zones");
    run.until(S);
    assert_eq!(run.said(), [(Lost, Some(inner.0))], "innermost zone");
    let who = run.fusion.occupant(TrackId(1)).unwrap();
    assert_eq!((who.presence, who.is_in(ZoneId(0)), who.is_in(ZoneId(1))), (Presence::Lost, Tri::Unknown, Tri::False));
    assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount { seen: 0, lost: 1 });
    // Seen inside: nothing but found.
    run.fix("p17", 4.1, 3.0, 5 * S).unwrap();
    assert_eq!(run.said(), [(Found, None)]);
    run.until(9 * S);
    run.events();
    // Seen in another room: it leaves where it was.
    run.fix("p17", 14.0, 3.0, 20 * S).unwrap();
    assert_eq!(run.said(), [(Found, None), (Leaves, Some(0)), (Leaves, Some(inner.0)), (Enters, Some(1))]);
}

#[test]
fn strangers_devices_are_forgotten_and_known_ones_are_not() {
    let mut site = rooms(1, 10, default_margins());
    add_person(&mut site, "ana");
    let mut run = Run::new(site);
    run.fix("ana-tag", 4.0, 3.0, 0).unwrap();
    run.fix("visitor", 4.0, 3.0, 0).unwrap();
    run.until(3600 * S);
    assert!(run.fusion.occupant(TrackId(1)).is_some() && run.fusion.occupant(TrackId(2)).is_none());
    assert_eq!((run.fusion.len(), run.fusion.counts().forgotten), (1, 1));
    // The position sensor of the site never spoke; nothing else is due.
    assert_eq!(run.fusion.next_wakeup(), None);
    run.fix("visitor", 4.0, 3.0, 3601 * S).unwrap();
    assert_eq!(run.fusion.occupant(TrackId(3)).unwrap().device, Some(CarriedKey::of("visitor")), "ids are not reused");
}

#[test]
fn the_longest_lost_makes_room_and_those_seen_do_not() {
    let mut run = Run::new(rooms(1, 2, default_margins()));
    run.fix("a", 1.0, 1.0, 0).unwrap();
    run.fix("b", 1.0, 1.0, S).unwrap();
    assert_eq!(run.fix("c", 1.0, 1.0, S), Err(Refusal::TracksFull));
    assert_eq!(run.fusion.counts().tracks_full, 1);
    run.fix("c", 1.0, 1.0, 2 * S + S / 2).unwrap();
    assert!(run.fusion.occupant(TrackId(1)).is_none() && run.fusion.occupant(TrackId(2)).is_some());
    assert_eq!((run.fusion.len(), run.fusion.counts().evicted), (2, 1));
    assert_eq!(run.fusion.count_in(ZoneId(0)), ZoneCount { seen: 2, lost: 0 });
}

#[test]
fn an_older_fix_does_not_put_anybody_back() {
    let mut run = Run::new(rooms(2, 10, default_margins()));
    run.fix("p17", 4.0, 3.0, S).unwrap();
    run.fix("p17", 9.0, 3.0, 2 * S).unwrap();
    let late = fix(CarriedKey::of("p17"), 4.0, 3.0, 3 * S / 2);
    let before = run.fusion.occupant(TrackId(1)).unwrap().clone();
    assert_eq!(run.fusion.observe(tag(2 * S, 9), &late, &mut run.out), Err(Refusal::LateDegraded));
    assert_eq!(run.fusion.occupant(TrackId(1)).unwrap(), &before);
}

#[test]
fn wild_numbers_are_refused_and_change_nothing() {
    let mut run = Run::new(rooms(2, 10, default_margins()));
    run.fix("p17", 4.0, 3.0, 0).unwrap();
    run.out.clear();
    for (x, y) in [(f64::NAN, 1.0), (1.0, f64::INFINITY), (1e12, 0.0), (0.0, -1e12)] {
        assert_eq!(run.fix("p17", x, y, 1), Err(Refusal::NotPlausible));
        assert_eq!(run.fix("new", x, y, 1), Err(Refusal::NotPlausible));
    }
    let device = CarriedKey::of("p17");
    let nowhere = Place::flat(LevelId(7), 0.0, 0.0);
    let bodies = [
        Body::Location { device, place: nowhere, sigma_m: None },
        Body::Location { device, place: Place::flat(LevelId(0), 0.0, 0.0), sigma_m: Some(f64::NAN) },
        Body::Value { value: f64::NAN },
        Body::Gesture { place: nowhere, gesture: Default::default() },
        Body::Facing { place: Place::default(), heading_rad: f64::NAN, sigma_rad: None },
    ];
    for body in bodies {
        assert_eq!(
            run.fusion.observe(tag(1, 9), &said(SensorId(0), 1, body), &mut run.out),
            Err(Refusal::NotPlausible)
        );
    }
    let body = Body::Count { people: 1 };
    assert_eq!(run.fusion.observe(tag(1, 9), &said(SensorId(99), 1, body), &mut run.out), Err(Refusal::NotPlausible));
    assert!(run.out.is_empty(), "{:?}", run.out);
    assert_eq!(run.fusion.occupant(TrackId(1)).unwrap().place, Place::flat(LevelId(0), 4.0, 3.0));
    assert_eq!(run.fusion.counts().not_plausible, 14);
}

#[test]
fn a_change_of_level_leaves_the_zones_below() {
    let mut site = support::site(2, 10, default_margins());
    for level in 0..2 {
        add_zone(&mut site, &format!("hall-{level}"), level, rectangle(0.0, 0.0, 10.0, 10.0));
    }
    support::add_sensor(&mut site, SensorKind::Location, 0, &[], None);
    let mut run = Run::new(site);
    run.fix("p", 5.0, 5.0, 0).unwrap();
    let device = CarriedKey::of("p");
    let up = Body::Location { device, place: Place::flat(LevelId(1), 5.0, 5.0), sigma_m: None };
    run.fusion.observe(tag(S, 9), &said(SensorId(0), S, up), &mut run.out).unwrap();
    assert_eq!(run.said(), [(Appears, None), (Leaves, Some(0)), (Enters, Some(1))]);
    let mut hits = Vec::new();
    run.fusion.within(LevelId(0), Point::new(5.0, 5.0), 5.0, &mut hits);
    assert!(hits.is_empty());
    run.fusion.within(LevelId(1), Point::new(5.0, 5.0), 5.0, &mut hits);
    assert_eq!(hits, [Hit { track: TrackId(1), distance_m: 0.0, presence: Presence::Seen }]);
}

/// A site of overlapping and touching zones, one with two parts, round the origin.
fn crowded(margins: ZoneMargins) -> Site {
    let mut site = support::site(2, 8, margins);
    for (i, (x0, y0, x1, y1)) in
        [(0., 0., 8., 6.), (2., 2., 5., 5.), (8., 0., 16., 6.), (4., -3., 12., 3.), (-5., -5., 20., 20.)]
            .into_iter()
            .enumerate()
    {
        add_zone(&mut site, &format!("z{i}"), 0, rectangle(x0, y0, x1, y1));
    }
    let mut two = rectangle(0.0, 8.0, 4.0, 12.0);
    two.parts.extend(rectangle(6.0, 8.0, 10.0, 12.0).parts);
    add_zone(&mut site, "two parts", 0, two);
    add_zone(&mut site, "above", 1, rectangle(0.0, 0.0, 8.0, 6.0));
    support::add_sensor(&mut site, SensorKind::Location, 0, &[], None);
    support::add_sensor(&mut site, SensorKind::Location, 1, &[], Some(1.0));
    add_person(&mut site, "ana");
    site
}

/// A step of somebody: who, where, on which level, how long after the last step.
fn steps() -> impl Strategy<Value = Vec<(u8, f64, f64, bool, i64)>> {
    let coordinate = prop_oneof![4 => -6.0..18.0f64, 1 => (-6i32..18).prop_map(f64::from)];
    let wait = prop_oneof![6 => 1i64..400_000_000, 1 => 1_000_000_000i64..4_000_000_000];
    prop::collection::vec((0u8..4, coordinate.clone(), coordinate, prop::bool::weighted(0.05), wait), 1..80)
}

fn location(step: &(u8, f64, f64, bool, i64)) -> Body<'static> {
    let device = if step.0 == 0 { CarriedKey::of("ana-tag") } else { CarriedKey::of(&format!("d{}", step.0)) };
    Body::Location { device, place: Place::flat(LevelId(u16::from(step.3)), step.1, step.2), sigma_m: None }
}

proptest! {
    #[test]
    fn without_margins_zones_are_those_that_contain_the_place(steps in steps()) {
        let site = crowded(no_margins());
        let mut run = Run::new(site.clone());
        let mut ns = 0;
        for (i, step) in steps.iter().enumerate() {
            ns += step.4;
            run.until(ns);
            run.fusion.observe(tag(ns, i as u64), &said(SensorId(0), ns, location(step)), &mut run.out).unwrap();
            run.fusion.for_each_occupant(&mut |who| {
                let plain: Vec<ZoneId> = site.zones.iter()
                    .filter(|z| z.level == who.place.level && z.area.depth(who.place.at) >= 0.0)
                    .map(|z| z.id).collect();
                assert_eq!(who.zones.as_slice(), plain.as_slice(), "at {:?}", who.place);
            });
            // Counts and rosters say the same as the occupants.
            for zone in &site.zones {
                let (mut seen, mut lost, mut roster) = (0, 0, Vec::new());
                run.fusion.for_each_occupant(&mut |who| if who.zones.contains(&zone.id) {
                    roster.push(who.track);
                    if who.presence == Presence::Seen { seen += 1 } else { lost += 1 }
                });
                let mut listed = Vec::new();
                run.fusion.for_each_in(zone.id, &mut |who| listed.push(who.track));
                prop_assert_eq!(&listed, &roster);
                prop_assert_eq!(run.fusion.count_in(zone.id), ZoneCount { seen, lost });
            }
        }
    }

    #[test]
    fn with_margins_zones_are_those_of_a_plain_hysteresis(
        steps in steps(), enter in 0.0..0.5f64, exit in 0.0..0.8f64,
    ) {
        let margins = ZoneMargins { enter_margin_m: enter, exit_margin_m: exit, ..no_margins() };
        let site = crowded(margins);
        let mut run = Run::new(site.clone());
        let mut inside = vec![vec![false; site.zones.len()]; 4];
        let mut ns = 0;
        for (i, step) in steps.iter().enumerate() {
            ns += step.4;
            run.until(ns);
            run.fusion.observe(tag(ns, i as u64), &said(SensorId(0), ns, location(step)), &mut run.out).unwrap();
            let at = Point::new(step.1, step.2);
            let zones: Vec<ZoneId> = site.zones.iter().filter(|z| {
                let depth = if z.level.0 == u16::from(step.3) { z.area.depth(at) } else { f64::NEG_INFINITY };
                let was = &mut inside[usize::from(step.0)][z.id.index()];
                *was = if *was { depth >= -exit } else { depth >= enter };
                *was
            }).map(|z| z.id).collect();
            let Body::Location { device, .. } = location(step) else { unreachable!() };
            let mut found = None;
            run.fusion.for_each_occupant(&mut |who| if who.device == Some(device) { found = Some(who.zones.to_vec()) });
            prop_assert_eq!(found, Some(zones));
        }
    }

    #[test]
    fn enters_and_leaves_alternate(steps in steps(), delay_ms in prop_oneof![Just(0i64), 1..900i64]) {
        let site = crowded(ZoneMargins { exit_delay: DurationNs::from_ms(delay_ms), ..default_margins() });
        let mut run = Run::new(site);
        let mut last = std::collections::BTreeMap::new();
        let mut ns = 0;
        for (i, step) in steps.iter().enumerate() {
            ns += step.4;
            run.until(ns);
            run.fusion.observe(tag(ns, i as u64), &said(SensorId(0), ns, location(step)), &mut run.out).unwrap();
        }
        run.until(ns + 5 * S);
        for e in run.events() {
            if let (Enters | Leaves, Some(zone)) = (e.kind, e.zone) {
                prop_assert_ne!(last.insert((e.track, zone), e.kind), Some(e.kind), "{:?}", e);
            }
        }
    }

    #[test]
    fn nothing_flaps_within_the_band(points in prop::collection::vec((7.81..8.19f64, 0.5..5.5f64), 1..60), start in any::<bool>()) {
        let margins = ZoneMargins { enter_margin_m: 0.2, exit_margin_m: 0.2, ..default_margins() };
        let mut run = Run::new(rooms(1, 4, margins));
        run.fix("p", if start { 4.0 } else { 9.0 }, 3.0, 0).unwrap();
        run.events();
        for (i, (x, y)) in points.into_iter().enumerate() {
            run.fix("p", x, y, (i as i64 + 1) * S / 10).unwrap();
        }
        prop_assert_eq!(run.said(), []);
        prop_assert_eq!(run.fusion.count_in(ZoneId(0)).seen, u32::from(start));
    }

    #[test]
    fn restored_at_any_step_it_continues_bit_for_bit(steps in steps(), cut in 0usize..80) {
        let site = Arc::new(crowded(ZoneMargins { exit_delay: DurationNs::from_ms(300), ..default_margins() }));
        let mut whole = Fusion::new(Arc::clone(&site));
        let mut resumed: Option<Fusion> = None;
        let mut ns = 0;
        for (i, step) in steps.iter().enumerate() {
            if i == cut % steps.len() {
                let mut bytes = Vec::new();
                whole.save(&mut bytes);
                let mut other = Fusion::new(Arc::clone(&site));
                other.restore(&bytes).unwrap();
                resumed = Some(other);
            }
            ns += step.4;
            let observation = said(SensorId(u16::from(step.3)), ns, location(step));
            let tag = tag(ns, i as u64);
            let (mut a, mut b) = (Vec::new(), Vec::new());
            let taken = whole.observe(tag, &observation, &mut a);
            if let Some(resumed) = &mut resumed {
                prop_assert_eq!(resumed.observe(tag, &observation, &mut b), taken);
                prop_assert_eq!(&a, &b);
                prop_assert_eq!(resumed.next_wakeup(), whole.next_wakeup());
                let (mut bytes_a, mut bytes_b) = (Vec::new(), Vec::new());
                whole.save(&mut bytes_a);
                resumed.save(&mut bytes_b);
                prop_assert_eq!(bytes_a, bytes_b);
            }
        }
    }

    #[test]
    fn waking_exactly_or_late_says_the_same(steps in steps()) {
        let site = crowded(ZoneMargins { exit_delay: DurationNs::from_ms(300), ..default_margins() });
        let (mut exact, mut late) = (Run::new(site.clone()), Run::new(site));
        let mut ns = 0;
        for (i, step) in steps.iter().enumerate() {
            ns += step.4;
            exact.until(ns);
            for run in [&mut exact, &mut late] {
                run.fusion.observe(tag(ns, i as u64), &said(SensorId(0), ns, location(step)), &mut run.out).unwrap();
            }
            // A wake-up is never in the past, and there is nothing to do before it.
            if let Some(due) = exact.fusion.next_wakeup() {
                prop_assert!(due.0 > ns);
                let mut nothing = Vec::new();
                exact.fusion.clone().advance(LogicalNs(due.0 - 1), &mut nothing);
                prop_assert_eq!(nothing, []);
            }
        }
        prop_assert_eq!(&exact.out, &late.out);
    }

    #[test]
    fn tree_queries_equal_brute_force(steps in steps(), x in -6.0..18.0f64, y in -6.0..18.0f64, r in 0.0..9.0f64, k in 0usize..6) {
        let mut run = Run::new(crowded(default_margins()));
        let mut ns = 0;
        let mut hits = Vec::new();
        let at = Point::new(x, y);
        for (i, step) in steps.iter().enumerate() {
            ns += step.4;
            run.fusion.observe(tag(ns, i as u64), &said(SensorId(0), ns, location(step)), &mut run.out).unwrap();
            for level in [LevelId(0), LevelId(1)] {
                let mut all = Vec::new();
                run.fusion.for_each_occupant(&mut |who| if who.place.level == level {
                    all.push((who.place.at.distance(at), who.track, who.place.at));
                });
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let pairs = |hits: &[Hit]| hits.iter().map(|h| (h.distance_m, h.track)).collect::<Vec<_>>();
                run.fusion.within(level, at, r, &mut hits);
                prop_assert_eq!(pairs(&hits), all.iter().filter(|a| a.0 <= r).map(|a| (a.0, a.1)).collect::<Vec<_>>());
                run.fusion.nearest(level, at, k, &mut hits);
                prop_assert_eq!(pairs(&hits), all.iter().take(k).map(|a| (a.0, a.1)).collect::<Vec<_>>());
                let region = rectangle(x, y, x + r + 0.1, y + 3.0);
                run.fusion.in_region(level, &region, &mut hits);
                let mut inside: Vec<TrackId> = all.iter().filter(|a| region.contains(a.2)).map(|a| a.1).collect();
                inside.sort_unstable();
                prop_assert_eq!(hits.iter().map(|h| h.track).collect::<Vec<_>>(), inside);
                run.fusion.along_ray(level, at, 0.7, r, 0.5, &mut hits);
                let end = Point::new(x + r * libm::cos(0.7), y + r * libm::sin(0.7));
                let beam = osmose_model::geometry::Segment { a: at, b: end };
                let mut met: Vec<(f64, TrackId)> = all.iter()
                    .filter(|a| beam.nearest(a.2).distance(a.2) <= 0.5)
                    .map(|a| (beam.nearest(a.2).distance(at), a.1)).collect();
                met.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                prop_assert_eq!(pairs(&hits), met);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()) {
        let mut run = Run::new(crowded(default_margins()));
        run.fix("a", 1.0, 1.0, 0).unwrap();
        run.fix("ana-tag", 3.0, 3.0, 5 * S).unwrap();
        let mut good = Vec::new();
        run.fusion.save(&mut good);
        prop_assert!(run.fusion.restore(&bytes).is_err());
        let mut again = Vec::new();
        run.fusion.save(&mut again);
        prop_assert_eq!(&good, &again, "a refused restore changes nothing");
        // A changed byte is refused or makes a sound state: never a panic, also when it is used.
        let at = flip.index(good.len());
        good[at] ^= 0x55;
        if run.fusion.restore(&good).is_ok() {
            let _ = run.fix("a", 2.0, 1.0, 6 * S);
            run.until(20 * S);
        }
    }
}

#[test]
fn walls_block_sight_and_glass_does_not() {
    let mut site = rooms(1, 4, default_margins());
    support::add_wall(&mut site, 0, (5.0, 0.0), (5.0, 4.0), false);
    support::add_wall(&mut site, 0, (2.0, 0.0), (2.0, 4.0), true);
    let fusion = Fusion::new(Arc::new(site));
    let p = Point::new;
    assert!(fusion.line_of_sight(LevelId(0), p(1.0, 1.0), p(4.9, 1.0)), "through glass");
    assert!(!fusion.line_of_sight(LevelId(0), p(4.0, 1.0), p(6.0, 1.0)));
    assert!(fusion.line_of_sight(LevelId(0), p(4.0, 5.0), p(6.0, 5.0)), "past its end");
}

#[test]
fn another_sites_state_is_refused_by_name() {
    let mut bytes = Vec::new();
    Fusion::new(Arc::new(rooms(2, 10, default_margins()))).save(&mut bytes);
    let error = Fusion::new(Arc::new(rooms(3, 10, default_margins()))).restore(&bytes).unwrap_err();
    assert!(error.to_string().contains("belongs to the site test"), "{error}");
}
