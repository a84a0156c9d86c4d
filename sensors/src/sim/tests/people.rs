//! People: never in a wall, never two on one spot, up the stairs and nowhere else, and doing what the script says.

use super::*;
use osmose_model::device::SensorKind;
use osmose_model::geometry::{Point, Polygon, Segment};
use proptest::prelude::*;

/// Checks every step of everybody for `s` seconds: no wall is crossed or brushed, and nobody stands in furniture.
fn nobody_meets_a_wall(site: &Site, plan: Scenario, s: f64) {
    let mut sim = Sim::new(site, plan, 11).unwrap();
    let walls: Vec<(LevelId, Segment)> =
        site.walls.iter().flat_map(|w| w.segments.iter().map(|s| (w.level, *s))).collect();
    let furniture: Vec<(LevelId, Polygon)> = site
        .fixtures
        .iter()
        .filter(|f| f.outline.len() > 2 && f.category != "wall")
        .map(|f| (f.level, Polygon::simple(f.outline.clone())))
        .collect();
    let (mut before, mut moved_m, mut at): (Vec<Option<Place>>, f64, _) = (Vec::new(), 0.0, ArrivalNs(0));
    while at < seconds(s) {
        at = at.plus(STEP);
        sim.advance(at, &mut |_, _, _, _| {});
        for person in sim.truth(at) {
            let (i, place) = (person.id as usize, person.place);
            let same_level = |l: LevelId| l == place.level;
            let nearest =
                walls.iter().filter(|(l, _)| same_level(*l)).map(|(_, w)| w.nearest(place.at).distance(place.at));
            let nearest = nearest.fold(f64::INFINITY, f64::min);
            assert!(nearest > 0.1, "{} is {nearest} m from a wall at {:?}, {at}", person.name, place);
            let inside = furniture.iter().find(|(l, f)| same_level(*l) && f.contains(place.at));
            assert!(inside.is_none(), "{} stands in furniture at {:?}, {at}", person.name, place);
            if before.len() <= i {
                before.resize(i + 1, None);
            }
            if let Some(old) = before[i].filter(|b| same_level(b.level)) {
                let step = Segment { a: old.at, b: place.at };
                assert!(step.a.distance(step.b) < 0.1, "{} jumps from {old:?} to {place:?}, {at}", person.name);
                assert!(
                    !walls.iter().any(|(l, w)| same_level(*l) && w.crosses(step)),
                    "{} walks through a wall",
                    person.name
                );
                moved_m += step.a.distance(step.b);
            }
            before[i] = Some(place);
        }
    }
    assert!(moved_m > 3.0 * s, "they moved {moved_m} m only");
}

#[test]
fn nobody_is_ever_inside_a_wall() {
    let (site, script) = coworking();
    nobody_meets_a_wall(&site, script, 190.0);
    nobody_meets_a_wall(&site, Scenario::Crowd { people: 120, stay_s: [0.0, 10.0] }, 60.0);
}

#[test]
fn two_people_who_stay_do_not_stand_on_one_spot() {
    let (site, _) = coworking();
    let mut sim = Sim::new(&site, Scenario::Crowd { people: 60, stay_s: [30.0, 60.0] }, 5).unwrap();
    let (mut pairs, mut stays) = (0, 0);
    let mut before: Vec<(u32, Place)> = Vec::new();
    for s in 1..=120 {
        sim.advance(seconds(f64::from(s)), &mut |_, _, _, _| {});
        // On stairs people go one behind the other, and are not told apart finely.
        let is_stairs = |zones: &[ZoneId]| zones.iter().any(|z| site.zones[z.index()].category == "stairs");
        let here = sim.truth(seconds(f64::from(s))).filter(|p| !is_stairs(p.zones));
        let now: Vec<(u32, Place)> = here.map(|p| (p.id, p.place)).collect();
        let stay: Vec<Place> = now.iter().filter(|p| before.contains(p)).map(|p| p.1).collect();
        stays += stay.len();
        for (i, a) in stay.iter().enumerate() {
            for b in &stay[i + 1..] {
                assert!(a.level != b.level || a.at.distance(b.at) > 0.35, "two people stand at {:?} and {:?}", a, b);
                pairs += 1;
            }
        }
        before = now;
    }
    assert!(stays > 2000 && pairs > 10_000, "only {stays} stays");
}

#[test]
fn levels_change_on_the_stairs_and_nowhere_else() {
    let (site, _) = coworking();
    let script = "[[extras]]\nname = \"x\"\ndoes = [\"starts in cafe\", \"goes to m9\", \"goes to lobby\"]\n";
    let mut sim = Sim::new(&site, morning(script), 1).unwrap();
    let is_stairs = |zones: &[ZoneId]| zones.iter().any(|z| site.zones[z.index()].category == "stairs");
    let (mut levels, mut seen): (Vec<LevelId>, Vec<String>) = (Vec::new(), Vec::new());
    let mut was_on_stairs = false;
    for ms in (20..200_000).step_by(20) {
        let at = ArrivalNs(ms * 1_000_000);
        sim.advance(at, &mut |_, _, _, _| {});
        let Some(person) = sim.truth(at).next() else { continue };
        if levels.last() != Some(&person.place.level) {
            assert!(
                levels.is_empty() || (was_on_stairs && is_stairs(person.zones)),
                "changed levels at {:?}",
                person.place
            );
            levels.push(person.place.level);
        }
        was_on_stairs = is_stairs(person.zones);
        let names = person.zones.iter().map(|z| site.zones[z.index()].name.clone());
        for name in names {
            if !seen.contains(&name) {
                seen.push(name);
            }
        }
    }
    assert_eq!(levels, [LevelId(0), LevelId(1), LevelId(0)]);
    assert!(seen.contains(&"m9".to_owned()) && seen.contains(&"lobby".to_owned()), "{seen:?}");
    assert_eq!(sim.no_way(), 0);
}

#[test]
fn the_morning_shows_a_meeting_and_a_leave_within_half_a_minute_for_any_seed() {
    let (mut site, script) = coworking();
    // A wrong badge is honest, and not what is asked here.
    site.sensors.iter_mut().for_each(|s| s.noise.p_wrong = 0.0);
    let (m7, group) = (site.zone_named("m7").unwrap(), site.group_named("project-x").unwrap());
    for seed in 1..=12 {
        let mut sim = Sim::new(&site, script.clone(), seed).unwrap();
        let mut badges = Vec::new();
        observe(&mut sim, seconds(30.0), |_, _, _, body| {
            if let Body::Badge { badge } = body {
                badges.push(badge);
            }
        });
        let mut crossings = Vec::new();
        sim.take_crossings(&mut crossings);
        let is_member = |p: Option<PersonId>| p.is_some_and(|p| site.groups[group.index()].members.contains(&p));
        let of_m7: Vec<TrueCrossing> = crossings.into_iter().filter(|c| c.zone == m7 && is_member(c.person)).collect();
        let members = site.groups[group.index()].members.len();
        assert!(of_m7.len() > members, "seed {seed}: {of_m7:?}");
        assert!(of_m7[..members].iter().all(|c| c.entered), "seed {seed}: somebody left before all were there");
        assert!(of_m7[members - 1].at < seconds(22.5), "seed {seed}: all were there at {} only", of_m7[members - 1].at);
        let leave = of_m7[members];
        assert!(!leave.entered && leave.at < seconds(26.0), "seed {seed}: {leave:?}");
        // Who is in the room has badged, in an order that tells them apart.
        for &person in &site.groups[group.index()].members {
            let badge = site.people[person.index()].badges[0];
            assert_eq!(badges.iter().filter(|b| **b == badge).count(), 1, "seed {seed}");
        }
    }
}

#[test]
fn faults_of_a_script_say_the_line_and_the_way_to_mend_it() {
    let site = rooms("");
    let fault = |text: &str| match Sim::new(&site, morning(text), 1) {
        Err(e) => e.to_string(),
        Ok(_) => panic!("{text} was taken"),
    };
    let person = |does: &str| fault(&format!("[[person]]\nwho = \"ana\"\ndoes = [{does}]\n"));
    assert_eq!(
        fault("\n[[person]]\nwho = \"zoe\"\ndoes = [\"starts in a\"]\n"),
        "line 3 of the script: There is no person `zoe`. Name somebody of people.toml, or make them [[extras]]."
    );
    assert_eq!(person("\"starts in q\""), "line 3 of the script: `starts in q`: there is no zone `q`.");
    assert!(person("\"goes to a\"").contains("The first thing"));
    assert!(person("\"starts in a\", \"starts in b\"").contains("The first thing"));
    assert!(person("\"starts in a\", \"flies to b\"").contains("this is nothing that people do"));
    assert!(person("\"starts in a\", \"badges at nowhere\"").contains("there is no sensor `nowhere`"));
    assert!(person("\"starts in a\", \"stays -1 s\"").contains("`-1` is no time"));
    assert!(person("\"starts in a\", \"goes to 1 NaN\"").contains("`NaN` is no number"));
    assert!(person("\"starts at 100 100\"").contains("where nobody can stand"));
    assert!(fault("[[person]]\nwho = [\"ana\", \"ana\"]\ndoes = [\"starts in a\"]\n").contains("twice"));
    assert!(fault("[[person]]\nwho = \"ana\"\nspeed_mps = 9.0\ndoes = [\"starts in a\"]\n").contains("line 3"));
    assert!(fault("[[event]]\nat_s = 1.0\nsensor = \"x\"\non = true\n").contains("line 3"));
    assert!(fault("hello = 1\n").contains("line 1"));
    assert!(fault("[[extras]]\nname = \"x\"\ncount = 30000\ndoes = [\"starts in a\"]\n").contains("the most"));
}

#[test]
fn every_sensor_named_by_the_morning_is_of_the_kind_that_it_uses() {
    let (site, script) = coworking();
    let Scenario::Morning { script } = script else { unreachable!() };
    let parsed = super::super::script::parse(&script, &site).unwrap();
    let (_, panel, _) = parsed.events[0];
    assert_eq!(site.sensors[panel.index()].kind, SensorKind::Binary);
    assert!((18..=30).contains(&parsed.actors.len()), "about twenty people, not {}", parsed.actors.len());
}

proptest! {
    #[test]
    fn any_script_is_taken_or_refused_without_panic(
        words in proptest::collection::vec(
            prop_oneof![
                Just("at"), Just("s"), Just("starts"), Just("in"), Just("goes"), Just("to"), Just("a"), Just("b"), Just("3"),
                Just("wanders"), Just("among"), Just("for"), Just("staying"), Just("leaves"), Just("by"), Just("door"), Just("-1e9"),
            ],
            0..9,
        ),
        raw in ".{0,60}",
    ) {
        let site = rooms("");
        let text = format!("[[extras]]\nname = \"x\"\ndoes = [\"starts in a\", \"{}\"]\n", words.join(" "));
        if let Ok(mut sim) = Sim::new(&site, morning(&text), 1) {
            sim.advance(seconds(2.0), &mut |_, _, _, _| {});
        }
        let _ = Sim::new(&site, morning(&raw), 1);
    }

    #[test]
    fn a_way_leads_through_walkable_cells_only(ax in 0.4..17.6f64, ay in 0.4..5.6f64, bx in 0.4..17.6f64, by in 0.4..5.6f64) {
        let site = rooms("");
        let mut nav = Nav::build(&site, &mut Vec::new());
        let (from, to) = (nav.snap(LevelId(0), Point::new(ax, ay)).unwrap(), nav.snap(LevelId(0), Point::new(bx, by)).unwrap());
        let mut way = Vec::new();
        nav.walk(LevelId(0), from, to, &mut way);
        // The third room is behind glass without a door.
        prop_assert_eq!(way.is_empty(), (from.x_m > 12.0) != (to.x_m > 12.0));
        prop_assert_eq!(nav.route((LevelId(0), from), (LevelId(0), to), 0).is_none(), way.is_empty());
        let mut at = from;
        for &corner in &way {
            let line = Segment { a: at, b: corner };
            for wall in site.walls.iter().flat_map(|w| &w.segments) {
                prop_assert!(!wall.crosses(line), "{:?} crosses {:?}", line, wall);
            }
            let steps = (at.distance(corner) / 0.02).ceil().max(1.0);
            for i in 0..=steps as usize {
                let t = i as f64 / steps;
                let p = Point::new(at.x_m + t * (corner.x_m - at.x_m), at.y_m + t * (corner.y_m - at.y_m));
                prop_assert!(nav.grid(LevelId(0)).is_walkable(p), "{:?} of {:?}", p, line);
            }
            at = corner;
        }
        prop_assert!(way.is_empty() || at == to);
    }
}

/// Behind the counter is the barista's: guests who wander through the whole café never stand or walk there, nor does
/// whoever goes from one side of the café to the other.
#[test]
fn nobody_goes_behind_the_counter_but_who_works_there() {
    let (site, _) = coworking();
    let barista = site.zone_named("barista-zone").unwrap();
    assert!(site.zones[barista.index()].is_restricted());
    let script = "[[person]]\nwho = \"ben\"\ndoes = [\"starts in cafe\", \"goes to barista-zone\", \"stays 60 s\"]\n\
                  [[extras]]\nname = \"guest\"\ncount = 12\ndoes = [\"starts in cafe\", \"wanders among cafe, lobby, open-desks staying 1 to 4 s\"]\n";
    let mut sim = Sim::new(&site, Scenario::Morning { script: script.into() }, 5).unwrap();
    let (mut at, mut ben_was_there) = (ArrivalNs(0), false);
    while at < seconds(60.0) {
        at = at.plus(DurationNs::from_ms(200));
        sim.advance(at, &mut |_, _, _, _| {});
        for person in sim.truth(at).filter(|p| p.zones.contains(&barista)) {
            assert_eq!(person.name, "ben", "{at}: {:?}", person.place);
            ben_was_there = true;
        }
    }
    assert!(ben_was_there);
}

/// A corner at a door's jamb is walked out to the end: who cut it short stood before the jamb for ever.
#[test]
fn nobody_is_stuck_at_a_door() {
    let (site, _) = coworking();
    let m7 = site.zone_named("m7").unwrap();
    for seed in 1..=12 {
        let script = "[[person]]\nwho = \"ana\"\nspeed_mps = 1.6\ndoes = [\"starts in corridor-2\", \"goes to 29.2 4.4\", \"goes to corridor-2\", \"goes to 32.3 4.35\"]\n";
        let mut sim = Sim::new(&site, Scenario::Morning { script: script.into() }, seed).unwrap();
        sim.advance(seconds(60.0), &mut |_, _, _, _| {});
        let ana = sim.truth(seconds(60.0)).next().unwrap();
        assert!(ana.zones.contains(&m7), "seed {seed}: {:?}", ana.place);
        assert!(ana.place.at.distance(Point::new(32.3, 4.35)) < 0.3, "seed {seed}: {:?}", ana.place);
    }
}

/// Who faces a zone looks at the nearest point of it, not at where some sensor hangs.
#[test]
fn a_zone_is_faced_where_it_is_nearest() {
    let (site, _) = coworking();
    let script = "[[person]]\nwho = \"gil\"\ndoes = [\"starts at 2.4 7.6\", \"faces barista-zone for 5 s\"]\n";
    let mut sim = Sim::new(&site, Scenario::Morning { script: script.into() }, 1).unwrap();
    sim.advance(seconds(1.0), &mut |_, _, _, _| {});
    let gil = sim.truth(seconds(1.0)).next().unwrap();
    assert!((gil.heading_rad - std::f64::consts::FRAC_PI_2).abs() < 0.05, "{}", gil.heading_rad);
    let wrong = "[[person]]\nwho = \"gil\"\ndoes = [\"starts at 2.4 7.6\", \"faces nothing-such for 5 s\"]\n";
    let error = Sim::new(&site, Scenario::Morning { script: wrong.into() }, 1).unwrap_err().to_string();
    assert!(error.contains("there is no zone `nothing-such`"), "{error}");
}
