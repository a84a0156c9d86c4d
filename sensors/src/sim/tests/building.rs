//! Determinism: seeds, slices, added sensors; and devices that report.

use super::*;
use osmose_model::command::{Cause, Command, CommandId, Trigger, Value};
use osmose_model::ids::{ActuatorId, Name};
use osmose_model::input::Report;
use osmose_model::time::LogicalNs;

const SLICE: DurationNs = DurationNs::from_ms(100);

#[test]
fn one_seed_gives_the_same_bytes_in_any_slices_and_another_seed_gives_others() {
    let (site, script) = coworking();
    let run = |plan: &Scenario, seed, slice| {
        digest(&hear(&mut Sim::new(&site, plan.clone(), seed).unwrap(), seconds(40.0), slice))
    };
    for plan in [script, Scenario::Crowd { people: 25, stay_s: CROWD_STAY_S }] {
        let first = run(&plan, 7, SLICE);
        assert_eq!(run(&plan, 7, SLICE), first);
        assert_eq!(run(&plan, 7, DurationNs(6_999_999)), first, "the slices show");
        assert_eq!(run(&plan, 7, DurationNs::from_s(40)), first, "one slice shows");
        assert_ne!(run(&plan, 8, SLICE), first, "the seed does nothing");
    }
}

#[test]
fn everything_arrives_in_order_and_never_before_it_was_measured() {
    let (site, script) = coworking();
    let mut sim = Sim::new(&site, script, 3).unwrap();
    let (mut last, mut numbers, mut n) = ((ArrivalNs(0), Class::Safety, 0), vec![0; site.sensors.len()], 0);
    sim.advance(seconds(60.0), &mut |arrival, source, class, input| {
        let key = (arrival, class, source);
        assert!(key >= last, "{key:?} after {last:?}");
        last = key;
        if let Input::Observation(o) = input {
            // Recognising a voice takes a while; everything else is quicker.
            let most_ns = if matches!(o.body, Body::Voice { .. }) { 150_000_000 } else { 40_000_000 };
            assert!(o.measured.0 <= arrival.0 && arrival.0 - o.measured.0 < most_ns, "{o:?} arrived at {arrival}");
            assert_eq!(class, site.sensors[o.sensor.index()].class);
            numbers[o.sensor.index()] += 1;
            assert_eq!(o.source_seq, Some(numbers[o.sensor.index()]), "running numbers have no gaps");
            n += 1;
        }
    });
    assert!(n > 10_000, "only {n} observations");
}

#[test]
fn one_more_sensor_changes_nothing_that_the_others_say() {
    let (site, script) = coworking();
    let mut larger = site.clone();
    let mut extra = site.sensors[site.sensor_named("ceiling-m7-a").unwrap().index()].clone();
    (extra.name, extra.id) = ("ceiling-m7-c".into(), SensorId(site.sensors.len() as u16));
    let source = u64::from(extra.id.0);
    larger.sensors.push(extra);
    let before = hear(&mut Sim::new(&site, script.clone(), 7).unwrap(), seconds(30.0), SLICE);
    let mut after = hear(&mut Sim::new(&larger, script, 7).unwrap(), seconds(30.0), SLICE);
    let all = after.len();
    after.retain(|h| h.source != source);
    assert!(all - after.len() > 500, "the new sensor says nothing");
    assert_eq!(before.len(), after.len());
    assert!(before == after, "the others changed");
}

fn command(device: ActuatorId, verb: &str, args: &[(&str, Value)]) -> Command {
    let args = args.iter().map(|&(name, value)| (Name::new(name).unwrap(), value)).collect();
    Command {
        id: CommandId::default(),
        at: LogicalNs(0),
        source_seq: None,
        rule: None,
        device,
        verb: Name::new(verb).unwrap(),
        args,
        cause: Cause::new(Trigger::Operator),
    }
}

#[test]
fn a_device_reports_what_it_became_a_few_milliseconds_after_it_was_told() {
    let (site, script) = coworking();
    let mut sim = Sim::new(&site, script, 1).unwrap();
    let reports = |sim: &mut Sim, until| {
        let mut all = Vec::new();
        sim.advance(until, &mut |arrival, source, _, input| {
            if let Input::Report(r) = input {
                assert_eq!(source, (1 << 32) | u64::from(r.actuator.0));
                all.push((arrival, r));
            }
        });
        all
    };
    let boot = reports(&mut sim, seconds(1.0));
    let with_default = site.actuators.iter().filter(|a| a.default.is_some()).count();
    assert_eq!(boot.len(), with_default, "every device tells its default state once");
    let name = |text| Value::Name(Name::new(text).unwrap());
    let recorder = site.actuator_named("m7.recorder").unwrap();
    let light = site.actuator_named("m7.light").unwrap();
    sim.command(seconds(1.0), &command(recorder, "start", &[]));
    sim.command(seconds(1.0), &command(light, "set", &[("level", Value::Number(80.0))]));
    sim.command(seconds(1.0), &command(light, "on", &[]));
    let said = reports(&mut sim, seconds(1.2));
    let of = |id| {
        said.iter()
            .filter(|(_, r)| r.actuator == id)
            .map(|(_, r)| (r.property.as_str().to_owned(), r.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(recorder), [("state".to_owned(), name("recording"))]);
    assert_eq!(of(light), [("level".to_owned(), Value::Number(80.0)), ("state".to_owned(), name("on"))]);
    for (arrival, r) in &said {
        let after = arrival.since(seconds(1.0));
        assert!(after >= REPORT_AFTER_MIN && after <= DurationNs::from_ms(80), "{r:?} after {after}");
    }
    // Light makes light: the lamps of the lobby show in its own sensor.
    let lux = site.sensor_named("lux-lobby").unwrap();
    let lux_between = |sim: &mut Sim, until| {
        let mut last = None;
        observe(sim, until, |_, sensor, _, body| match body {
            Body::Value { value } if sensor == lux => last = Some(value),
            _ => {}
        });
        last.expect("a reading every 10 s")
    };
    let dark = lux_between(&mut sim, seconds(20.0));
    sim.command(seconds(20.0), &command(site.actuator_named("lobby.light").unwrap(), "on", &[]));
    let light = lux_between(&mut sim, seconds(40.0));
    assert!(light > 3.0 * dark, "{dark} lx, then {light} lx");
}

#[test]
fn a_late_command_never_brings_a_report_before_what_was_handed_out() {
    let (site, script) = coworking();
    let mut sim = Sim::new(&site, script, 1).unwrap();
    sim.advance(seconds(2.0), &mut |_, _, _, _| {});
    sim.command(seconds(1.0), &command(ActuatorId(0), "start", &[]));
    let mut reports = 0;
    sim.advance(seconds(2.1), &mut |arrival, _, _, input| {
        if let Input::Report(_) = input {
            assert!(arrival > seconds(2.0));
            reports += 1;
        }
    });
    assert_eq!(reports, 1);
}

#[test]
fn a_thousand_people_live_faster_than_the_clock() {
    // The figure is printed, not asserted: a busy machine proves nothing.
    let (site, _) = coworking();
    let mut sim = Sim::new(&site, Scenario::Crowd { people: 1000, stay_s: CROWD_STAY_S }, 1).unwrap();
    sim.advance(seconds(1.0), &mut |_, _, _, _| {});
    let (begun, mut n) = (std::time::Instant::now(), 0_u64);
    sim.advance(seconds(11.0), &mut |_, _, _, _| n += 1);
    let took_s = begun.elapsed().as_secs_f64();
    println!("1,000 people for 10 s: {n} inputs in {took_s:.2} s, {:.0} times real time, one core", 10.0 / took_s);
    assert!(n > 3000 && sim.truth(seconds(11.0)).count() == 1000);
}

#[test]
fn a_device_makes_itself_safe_once_its_lease_runs_out_unless_it_is_renewed() {
    let site = rooms(
        "[[actuator]]\nid = \"a.recorder\"\nkind = \"recorder\"\nzone = \"a\"\nsafe = \"paused\"\nconnect = \"log\"\n",
    );
    let recorder = site.actuator_named("a.recorder").unwrap();
    let mut sim = Sim::new(&site, morning(""), 1).unwrap();
    let states = |sim: &mut Sim, until: f64| {
        let mut said = Vec::new();
        sim.advance(seconds(until), &mut |arrival, _, _, input| {
            if let Input::Report(Report { value: Value::Name(state), .. }) = input {
                said.push((arrival, state.to_string()));
            }
        });
        said
    };
    sim.command(seconds(1.0), &command(recorder, "start", &[]));
    sim.heard(recorder, seconds(1.0), Some(DurationNs::from_s(10)));
    assert_eq!(states(&mut sim, 5.0).last().map(|(_, state)| state.as_str()), Some("recording"));
    // Renewed at five seconds, and then not any more.
    sim.heard(recorder, seconds(5.0), Some(DurationNs::from_s(10)));
    assert!(states(&mut sim, 14.9).is_empty());
    assert_eq!(states(&mut sim, 16.0), [(seconds(15.0), "paused".to_owned())]);
    // A line without a lease ends it.
    sim.command(seconds(20.0), &command(recorder, "start", &[]));
    sim.heard(recorder, seconds(20.0), Some(DurationNs::from_s(10)));
    states(&mut sim, 21.0);
    sim.heard(recorder, seconds(22.0), None);
    assert!(states(&mut sim, 60.0).is_empty());
}
