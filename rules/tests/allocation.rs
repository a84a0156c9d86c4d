//! A step allocates nothing once it is warm: neither where nothing comes of it nor where rules fire, nor where other rules
//! take over, which frees nothing either.

mod common;

use common::{World, compiled, site, someone};
use osmose_model::command::Effect;
use osmose_model::geometry::Place;
use osmose_model::ids::{LevelId, PersonId, TrackId, ZoneId};
use osmose_model::stages::{Decide, Source};
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Reading, Stimulus, WorldEvent};
use osmose_rules::{Carried, Rules};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RULES: &str = "
rule pause { for each room r where r.recorder when any p in members(project-x) leaves r
  do r.recorder.pause(reason: \"{p} left {r}\", who: p) suppress 1 ms per p level privacy }
rule look { when p in lobby for 2 s once per visit do lobby-display.show(\"x\", language: p.language) level info }
rule light { for each room r while r is occupied hold r.lights.level = 80 % release after 3 s level comfort }
rule crowd { when count(people in lobby) > 2 for 1 s settle 1 s do lobby-display.wake() level info }
interlock fire { while fire-panel is active until (count(people in lobby) < 1 for 2 s) on unknown keep
  hold all lights.level = 100 % forbid recorder.start level life-safety }
mode house { day default, night }
counter visits
rule dim { while mean(lux-1, 60 s) < 50 lx hold m7.light.level = 30 % level info }
rule porch { when p enters lobby do visits.add(); m7.light.on(); wait 30 s unless p in m7; m7.light.off() level info }
";

/// What takes over: some as they were, one with another shape, one gone, some new, which hold more than all before.
fn others() -> String {
    let text = RULES.replace("for 2 s once per visit", "for 3 s once per day").replace("rule crowd", "rule throng");
    let text = text.replace("when p in lobby for 3 s", "when p in lobby for 3 s and visits > 2");
    text + "rule blue { for each room r while r is occupied hold r.lights.level = 20 % level info }"
}

/// One round of a building's day: everybody walks one zone on, the panel trips now and then, time passes.
fn round(rules: &mut Rules, world: &mut World, number: u64, out: &mut Vec<Effect>) -> usize {
    world.now += 400_000_000;
    let mut fired = 0;
    for track in 0..4_u64 {
        let from = ZoneId(((track + number) % 4) as u16);
        let to = ZoneId(((track + number + 1) % 4) as u16);
        let Some(occupant) = world.people.get_mut(&track) else { continue };
        occupant.zones.clear();
        occupant.zones.push(to);
        let event = |kind, zone| {
            Stimulus::World(WorldEvent {
                kind,
                track: TrackId(track),
                person: Some(PersonId((track % 3) as u16)),
                person_p: 0.9,
                zone: Some(zone),
                other: None,
                place: Place::flat(LevelId(0), 0.0, 0.0),
                sensor: None,
                measured: LogicalNs(world.now),
            })
        };
        let stimuli = [event(EventKind::Leaves, from), event(EventKind::Enters, to)];
        out.clear();
        rules.step(&stimuli, Source::default(), world, out);
        fired += out.len();
    }
    world.sensors[0].reading = Some(Reading::Switch(number % 50 < 5));
    out.clear();
    rules.step(&[Stimulus::Sensor(osmose_model::ids::SensorId(0))], Source::default(), world, out);
    rules.step(&[], Source::default(), world, out);
    fired + out.len()
}

#[test]
fn a_warm_step_allocates_nothing() {
    let site = site();
    let mut rules = Rules::new(compiled(&site, RULES));
    let mut world = World::new(site);
    for track in 0..4_u64 {
        let occupant = someone(track, Some((track % 3) as u16), 0.9, [track as u16]);
        world.people.insert(track, occupant);
    }
    let mut out = Vec::with_capacity(1024);
    rules.step(&[Stimulus::Start], Source::default(), &world, &mut out);
    for number in 0..200 {
        round(&mut rules, &mut world, number, &mut out);
    }
    // The counter sees every thread of the process, and the test harness has one that may allocate now and then: what a
    // round allocates would be seen in every stretch.
    let (mut effects, mut least) = (0, (usize::MAX, usize::MAX));
    for stretch in 1..6 {
        let region = Region::new(COUNTED);
        for number in 200 * stretch..200 * (stretch + 1) {
            effects += round(&mut rules, &mut world, number, &mut out);
        }
        let change = region.change();
        least = least.min((change.allocations, change.reallocations));
    }
    assert!(effects > 1000, "only {effects} effects: the test would show nothing");
    assert_eq!(least, (0, 0));

    // Three times, for the harness's thread.
    let mut least = (usize::MAX, usize::MAX, usize::MAX);
    let mut kept = 0;
    for text in [others(), RULES.to_owned()].iter().cycle().take(6) {
        let mut next = Box::new(Rules::new(compiled(&world.site, text)));
        out.clear();
        let region = Region::new(COUNTED);
        rules.take_over(&mut next, &mut |_| effects += 1);
        rules.step(&[Stimulus::Start], Source::default(), &world, &mut out);
        let change = region.change();
        least = least.min((change.allocations, change.reallocations, change.deallocations));
        let names: Vec<&str> = rules.program().rules().iter().map(|r| r.name.as_str()).collect();
        let carried = next.carried(&names);
        kept += carried.iter().filter(|c| matches!(c, Carried::Kept { instances, .. } if *instances > 0)).count();
        assert!(carried.iter().any(|c| matches!(c, Carried::Restarted { rule } if rule == "look")), "{carried:?}");
        assert!(carried.iter().any(|c| matches!(c, Carried::Gone { .. })), "{carried:?}");
    }
    assert!(kept >= 6 * 5, "{kept}");
    assert_eq!(least, (0, 0, 0), "allocated, reallocated, freed");
}
