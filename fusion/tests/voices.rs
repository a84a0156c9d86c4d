//! Voices, gestures and facings: whose they are.

mod support;

use osmose_model::device::SensorKind;
use osmose_model::geometry::Place;
use osmose_model::ids::{CarriedKey, LevelId, Name, PersonId, SensorId, ZoneId};
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::stages::{Fuse, Refusal};
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Reading};
use support::run::{Run, S, seen_on};
use support::{add_person, add_sensor, default_margins, rooms};

const CEILING: SensorId = SensorId(1);
const MIC: SensorId = SensorId(2);
const WALL: SensorId = SensorId(3);
const ANA: PersonId = PersonId(0);

/// Rooms under an exact ceiling; a microphone at the origin that names no zone, and a sensor of gestures (0.3 m).
fn site() -> Site {
    let mut site = rooms(2, 50, default_margins());
    site.sensors[1].noise.sigma_m = 0.1;
    site.sensors[1].noise.clutter_per_scan = 0.1;
    add_sensor(&mut site, SensorKind::Voice, 0, &[], None);
    add_sensor(&mut site, SensorKind::Gesture, 0, &[], None);
    for name in ["ana", "ben"] {
        add_person(&mut site, name);
    }
    site
}

/// Two people stand there for two seconds.
fn two_at(places: [(f64, f64); 2]) -> Run {
    let mut run = Run::new(site());
    for i in 0..20 {
        run.scan(CEILING, i * S / 10, &places.map(|(x, y)| seen_on(0, x, y)));
    }
    run.events();
    run
}

/// Both stand there still: nobody is lost.
fn stand(run: &mut Run, s: i64) {
    run.scan(CEILING, s * S, &[EAST, NORTH].map(|(x, y)| seen_on(0, x, y)));
}

fn voice(run: &mut Run, s: i64, person: PersonId, likelihood: f64, bearing_rad: Option<f64>) -> Result<(), Refusal> {
    run.observe(MIC, s * S, Body::Voice { person, likelihood, bearing_rad })
}

/// How surely whoever is nearest to a place is Ana.
fn ana_at(run: &Run, (x, y): (f64, f64)) -> f64 {
    let near = |w: &&osmose_model::world::Occupant| (w.place.at.x_m - x).abs() + (w.place.at.y_m - y).abs() < 0.5;
    let track = run.everybody().iter().find(near).expect("somebody there").track;
    let posterior = run.fusion.posterior(track).unwrap();
    posterior.candidates.iter().find(|(p, _)| *p == ANA).map_or(0.0, |c| c.1)
}

const EAST: (f64, f64) = (4.0, 0.0);
const NORTH: (f64, f64) = (0.0, 4.0);
const NORTH_RAD: f64 = std::f64::consts::FRAC_PI_2;

#[test]
fn a_voice_with_a_bearing_names_who_stands_there() {
    let mut run = two_at([EAST, NORTH]);
    voice(&mut run, 3, ANA, 200.0, Some(NORTH_RAD)).unwrap();
    assert!(ana_at(&run, NORTH) > 0.8 && ana_at(&run, EAST) < 0.1, "{} {}", ana_at(&run, NORTH), ana_at(&run, EAST));
    assert!(run.events().iter().any(|e| e.kind == EventKind::Identified && e.person == Some(ANA)));
    // The same direction a whole turn on is the same.
    let mut turned = two_at([EAST, NORTH]);
    voice(&mut turned, 3, ANA, 200.0, Some(NORTH_RAD - 2.0 * std::f64::consts::TAU)).unwrap();
    assert!((ana_at(&turned, NORTH) - ana_at(&run, NORTH)).abs() < 1e-9);
}

#[test]
fn without_a_bearing_it_is_shared_and_named_nobody() {
    let mut run = two_at([EAST, NORTH]);
    for s in 3..9 {
        stand(&mut run, s);
        voice(&mut run, s, ANA, 50.0, None).unwrap();
    }
    let (a, b) = (ana_at(&run, NORTH), ana_at(&run, EAST));
    assert!((a - b).abs() < 1e-9 && a > 0.3 && a + b <= 1.0 + 1e-9, "{a} {b}");
}

#[test]
fn a_voice_elsewhere_takes_the_name_along() {
    let mut run = two_at([EAST, NORTH]);
    voice(&mut run, 3, ANA, 200.0, Some(0.0)).unwrap();
    assert!(ana_at(&run, EAST) > 0.8);
    for s in 4..7 {
        stand(&mut run, s);
        voice(&mut run, s, ANA, 200.0, Some(NORTH_RAD)).unwrap();
    }
    assert!(ana_at(&run, NORTH) > 0.8 && ana_at(&run, EAST) < 0.2, "one person is one track");
    // A voice that is not hers (less likely than an unknown speaker's) speaks against it.
    for s in 7..12 {
        stand(&mut run, s);
        voice(&mut run, s, ANA, 0.02, Some(NORTH_RAD)).unwrap();
    }
    assert!(ana_at(&run, NORTH) < 0.3, "{}", ana_at(&run, NORTH));
}

#[test]
fn who_was_surely_heard_and_lost_is_heard_again_as_somebody_new_and_left() {
    let mut site = site();
    site.sensors[MIC.index()].zones = vec![ZoneId(0), ZoneId(1)];
    let mut run = Run::new(site);
    for i in 0..40 {
        run.scan(CEILING, i * S / 2, &[seen_on(0, 4.0, 3.0)]);
        if i > 4 {
            run.observe(MIC, i * S / 2, Body::Voice { person: ANA, likelihood: 50.0, bearing_rad: None }).unwrap();
        }
    }
    assert!(ana_at(&run, (4.0, 3.0)) > 0.99);
    // The ceiling says nothing for long: she is lost, and nothing speaks against her being there.
    run.fusion.advance(LogicalNs(2999 * S), &mut run.out);
    run.events();
    for s in 3000..3010 {
        run.scan(CEILING, s * S, &[seen_on(0, 14.0, 3.0)]);
        if s > 3002 {
            run.observe(MIC, s * S, Body::Voice { person: ANA, likelihood: 50.0, bearing_rad: None }).unwrap();
        }
    }
    assert!(ana_at(&run, (14.0, 3.0)) > 0.95);
    let leaves: Vec<_> = run.events().into_iter().filter(|e| e.kind == EventKind::Leaves).collect();
    assert_eq!(leaves.iter().map(|e| (e.zone, e.person)).collect::<Vec<_>>(), [(Some(ZoneId(0)), Some(ANA))]);
    assert_eq!(run.everybody().len(), 1, "nobody stays behind");
}

#[test]
fn out_of_hearing_or_behind_a_wall_nobody_is_named() {
    let mut walled = site();
    support::add_wall(&mut walled, 0, (2.0, -2.0), (2.0, 6.0), false);
    let mut run = Run::new(walled);
    for i in 0..20 {
        run.scan(CEILING, i * S / 10, &[seen_on(0, 4.0, 0.0), seen_on(0, 0.0, 20.0)]);
    }
    voice(&mut run, 3, ANA, 200.0, None).unwrap();
    assert_eq!(run.fusion.track_of(ANA), None);
}

#[test]
fn wild_voices_are_refused() {
    let mut run = two_at([EAST, NORTH]);
    for (person, likelihood, bearing) in [
        (PersonId(9), 2.0, None),
        (ANA, f64::NAN, None),
        (ANA, 0.0, None),
        (ANA, f64::INFINITY, None),
        (ANA, 2.0, Some(f64::NAN)),
    ] {
        assert_eq!(voice(&mut run, 3, person, likelihood, bearing), Err(Refusal::NotPlausible));
    }
    let body = Body::Voice { person: ANA, likelihood: 2.0, bearing_rad: None };
    assert_eq!(run.observe(CEILING, 3 * S, body), Err(Refusal::NotPlausible), "no microphone");
}

#[test]
fn a_known_device_is_not_talked_out_of_its_name() {
    let mut run = Run::new(site());
    for i in 0..30 {
        run.scan(CEILING, i * S / 10, &[seen_on(0, 4.0, 0.0), seen_on(0, 0.0, 4.0)]);
        run.fix(SensorId(0), i * S / 10, "ana-tag", 0, EAST);
    }
    assert!(run.fusion.track_of(ANA).unwrap().1 > 0.9);
    let before = run.fusion.track_of(ANA).unwrap();
    voice(&mut run, 4, ANA, 30.0, Some(NORTH_RAD)).unwrap();
    assert_eq!(run.fusion.track_of(ANA).unwrap(), before);
    assert!(ana_at(&run, NORTH) < 0.5);
    assert_eq!(run.fusion.occupant(before.0).unwrap().device, Some(CarriedKey::of("ana-tag")));
}

#[test]
fn a_gesture_between_two_is_doubtful_and_counted() {
    let wave = Name::new("wave").unwrap();
    for (x, is_clear) in [(4.0, true), (4.35, false), (4.7, true)] {
        let mut run = two_at([(4.0, 3.0), (4.7, 3.0)]);
        let place = Place::flat(LevelId(0), x, 3.0);
        run.observe(WALL, 3 * S, Body::Gesture { place, gesture: wave }).unwrap();
        let Some(Reading::Gesture { track: Some(track), track_p, .. }) = run.fusion.sensor(WALL).reading else {
            panic!("a gesture of somebody")
        };
        assert_eq!(run.fusion.counts().ambiguous, u64::from(!is_clear), "at {x}");
        assert!(if is_clear { track_p > 0.9 } else { (0.5..0.75).contains(&track_p) }, "{track_p} at {x}");
        assert!((run.fusion.occupant(track).unwrap().place.at.x_m - x).abs() < if is_clear { 0.2 } else { 0.5 });
    }
}

#[test]
fn a_facing_is_of_whom_it_fits_and_of_nobody_where_it_fits_two() {
    for (x, owner) in [(4.0, true), (4.35, false)] {
        let mut run = two_at([(4.0, 3.0), (4.7, 3.0)]);
        let place = Place::flat(LevelId(0), x, 3.0);
        run.observe(WALL, 3 * S, Body::Facing { place, heading_rad: 1.0, sigma_rad: None }).unwrap();
        let facing: Vec<_> = run.everybody().iter().filter_map(|w| w.heading_rad).collect();
        assert_eq!(facing.len(), usize::from(owner), "at {x}");
    }
}

#[test]
fn restored_after_voices_it_continues_bit_for_bit() {
    let mut run = two_at([EAST, NORTH]);
    voice(&mut run, 3, ANA, 20.0, Some(0.3)).unwrap();
    let mut resumed = run.resumed();
    run.out.clear();
    for run in [&mut run, &mut resumed] {
        for s in 4..8 {
            voice(run, s, PersonId(s as u16 % 2), 9.0, Some(0.2 * s as f64)).unwrap();
            run.scan(CEILING, s * S + 1, &[seen_on(0, 3.9, 0.1)]);
        }
    }
    assert_eq!(run.out, resumed.out);
    assert_eq!(run.saved(), resumed.saved());
}
