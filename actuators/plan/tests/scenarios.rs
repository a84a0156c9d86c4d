//! What the guide promises, one scenario a promise, written as an integrator would tell it.

mod common;
use common::*;
use osmose_model::command::{Combine, LevelRank, Terms, Trigger, Value};
use osmose_model::device::LEASE_DEFAULT;
use osmose_model::ids::{ActuatorId, HolderId, RuleId};
use osmose_model::input::{OperatorAction, Report};
use osmose_model::limits::COMMANDS_PER_STEP_MAX;
use osmose_model::stages::{Arbitrate, RestoreError};
use osmose_plan::{Dropped, Plan};

const SAFETY: u8 = 0;
const PRIVACY: u8 = 2;
const COMFORT: u8 = 4;

fn report(plan: &mut Plan, actuator: ActuatorId, property: &str, value: Value) -> Vec<ActuatorId> {
    let mut changed = Vec::new();
    plan.on_report(tag(1), &Report { actuator, property: name(property), value, source_seq: None }, &mut changed);
    changed
}

fn act(plan: &mut Plan, seq: u64, actuator: ActuatorId, verb: &str, arg: Option<(&str, Value)>) -> Vec<String> {
    let (mut out, mut changed) = (Vec::new(), Vec::new());
    let action = OperatorAction::Act { actuator, verb: name(verb), arg: arg.map(|(n, v)| (name(n), v)) };
    plan.on_operator(tag(seq), 0, &action, &mut out, &mut changed);
    assert!(out.iter().all(|c| c.cause.trigger == Trigger::Operator && c.rule.is_none()));
    out.iter().map(show).collect()
}

fn resend(plan: &mut Plan, seq: u64) -> Vec<String> {
    let mut out = Vec::new();
    plan.resend(tag(seq), 0, &mut out);
    out.iter().map(show).collect()
}

#[test]
fn a_do_sends_every_time_and_a_hold_when_its_value_changes() {
    let mut p = Plan::new(&site());
    for seq in 1..4 {
        let (out, changed) = step(&mut p, seq, vec![perform(9, PRIVACY, RECORDER, "pause", &[])]);
        assert_eq!(out, ["0.pause() by 9"]);
        assert_eq!(changed.len(), usize::from(seq == 1), "known from the first on");
    }
    let level = |x| vec![hold(1, COMFORT, LIGHT, "level", Value::Number(x))];
    assert_eq!(step(&mut p, 4, level(80.0)).0, ["1.set(level: 80) by 1"]);
    assert!(step(&mut p, 5, level(80.0)).0.is_empty());
    assert_eq!(step(&mut p, 6, level(30.0)).0, ["1.set(level: 30) by 1"]);
    assert_eq!(p.device(LIGHT, name("level")), Some(Value::Number(30.0)));
    assert_eq!(p.device(LIGHT, name("colour")), None, "unknown");
}

#[test]
fn the_higher_level_holds_and_on_release_the_next_holder_then_the_default_is_sent() {
    let mut p = Plan::new(&site());
    let level = |h, l, x| vec![hold(h, l, LIGHT, "level", Value::Number(x))];
    assert_eq!(step(&mut p, 1, level(1, COMFORT, 30.0)).0, ["1.set(level: 30) by 1"]);
    assert_eq!(step(&mut p, 2, level(2, SAFETY, 100.0)).0, ["1.set(level: 100) by 2"]);
    assert!(step(&mut p, 3, level(1, COMFORT, 50.0)).0.is_empty(), "the lower one changes its mind unheard");
    assert_eq!(p.holder(LIGHT, name("level")), Some((RuleId(2), HolderId(2), LevelRank(SAFETY))));
    assert_eq!(step(&mut p, 4, vec![release(2)]).0, ["1.set(level: 50) by 1"]);
    assert_eq!(step(&mut p, 5, vec![release(1)]).0, ["1.off() by -"]);
    assert!(step(&mut p, 6, vec![release(1)]).0.is_empty());
    assert_eq!(step(&mut p, 7, level(1, COMFORT, 50.0)).0, ["1.set(level: 50) by 1"], "off undid the level");
}

#[test]
fn a_release_to_what_was_sent_last_sends_nothing() {
    let mut p = Plan::new(&site());
    assert_eq!(step(&mut p, 1, vec![hold(1, PRIVACY, RECORDER, "state", word("paused"))]).0, ["0.pause() by 1"]);
    assert!(step(&mut p, 2, vec![release(1)]).0.is_empty(), "its default is paused too");
    // But a device that has said otherwise since is told again.
    assert_eq!(report(&mut p, RECORDER, "state", word("paused")), []);
    assert!(step(&mut p, 3, vec![hold(1, PRIVACY, RECORDER, "state", word("paused"))]).0.is_empty());
    assert_eq!(report(&mut p, RECORDER, "state", word("recording")), [RECORDER]);
    assert_eq!(step(&mut p, 4, vec![release(1)]).0, ["0.pause() by -"]);
}

#[test]
fn one_leaves_as_another_enters_and_the_light_does_not_blink() {
    let mut p = Plan::new(&site());
    let on = |h| hold(h, COMFORT, LIGHT, "level", Value::Number(80.0));
    assert_eq!(step(&mut p, 1, vec![on(1)]).0.len(), 1);
    assert!(step(&mut p, 2, vec![release(1), on(2)]).0.is_empty());
    assert!(step(&mut p, 3, vec![release(2), on(2)]).0.is_empty(), "let go and held again in one step");
    assert_eq!(step(&mut p, 4, vec![release(2)]).0, ["1.off() by -"]);
}

#[test]
fn a_lamp_held_in_two_properties_is_left_alone_once_both_are_sent() {
    let mut p = Plan::new(&site());
    let both =
        || vec![hold(1, COMFORT, LIGHT, "state", word("on")), hold(2, COMFORT, LIGHT, "level", Value::Number(80.0))];
    assert_eq!(step(&mut p, 1, both()).0, ["1.on() by 1", "1.set(level: 80) by 2"]);
    assert!(step(&mut p, 2, both()).0.is_empty());
    assert!(step(&mut p, 3, vec![release(1)]).0.is_empty(), "its level is still wanted: no default yet");
    assert_eq!(step(&mut p, 4, vec![release(2)]).0, ["1.off() by -"]);
}

#[test]
fn an_interlock_forbids_what_is_below_it_and_never_the_safe_command() {
    let mut p = Plan::new(&site());
    assert_eq!(step(&mut p, 1, vec![hold(1, COMFORT, RECORDER, "state", word("recording"))]).0, ["0.start() by 1"]);
    let fire = vec![
        perform(7, COMFORT, RECORDER, "start", &[]),
        forbid(10, SAFETY, RECORDER, "start"),
        forbid(11, SAFETY, RECORDER, "pause"),
        forbid(12, SAFETY, DISPLAY, "show"),
    ];
    assert_eq!(step(&mut p, 2, fire).0, ["0.pause() by -"], "the hold cannot win, so the default does");
    assert_eq!(p.dropped(RECORDER), Dropped { forbidden: 1, overruled: 0 });
    let tries = vec![
        perform(7, COMFORT, RECORDER, "start", &[]),
        perform(7, SAFETY, RECORDER, "start", &[]),
        perform(7, PRIVACY, RECORDER, "pause", &[]),
        perform(7, COMFORT, DISPLAY, "show", &[("page", word("longread"))]),
        perform(7, COMFORT, DISPLAY, "show", &[("page", word("menu"))]),
        hold(1, COMFORT, RECORDER, "state", word("recording")),
    ];
    let out = step(&mut p, 3, tries).0;
    assert_eq!(out, ["0.start() by 7", "0.pause() by 7", "2.show(page: menu) by 7"], "its own level may");
    assert_eq!(p.dropped(RECORDER).forbidden, 3, "a do, and the hold asked for again");
    assert_eq!(p.dropped(DISPLAY).forbidden, 1);
    assert_eq!(step(&mut p, 4, vec![release(10)]).0, ["0.start() by 1"], "the hold wins again");
}

#[test]
fn a_default_that_is_forbidden_waits_for_the_forbid_to_end() {
    let mut p = Plan::new(&site());
    step(&mut p, 1, vec![hold(1, COMFORT, LIGHT, "level", Value::Number(80.0)), forbid(2, SAFETY, LIGHT, "off")]);
    assert!(step(&mut p, 2, vec![release(1)]).0.is_empty());
    assert_eq!(p.dropped(LIGHT).forbidden, 1);
    assert_eq!(step(&mut p, 3, vec![release(2)]).0, ["1.off() by -"]);
    // A command that got through in between takes the device over: the default is due no more.
    step(&mut p, 4, vec![hold(1, COMFORT, LIGHT, "level", Value::Number(80.0)), forbid(2, SAFETY, LIGHT, "off")]);
    step(&mut p, 5, vec![release(1)]);
    assert_eq!(step(&mut p, 6, vec![perform(3, COMFORT, LIGHT, "on", &[])]).0, ["1.on() by 3"]);
    assert!(step(&mut p, 7, vec![release(2)]).0.is_empty());
}

#[test]
fn a_do_does_not_go_against_what_a_higher_level_holds() {
    let mut p = Plan::new(&site());
    step(&mut p, 1, vec![hold(1, SAFETY, DISPLAY, "page", word("evacuate"))]);
    let tries = vec![
        perform(7, COMFORT, DISPLAY, "show", &[("page", word("longread"))]),
        perform(7, COMFORT, DISPLAY, "show", &[("page", word("evacuate"))]),
        perform(7, SAFETY, DISPLAY, "show", &[("page", word("assembly"))]),
    ];
    assert_eq!(step(&mut p, 2, tries).0, ["2.show(page: evacuate) by 7", "2.show(page: assembly) by 7"]);
    assert_eq!(p.dropped(DISPLAY), Dropped { forbidden: 0, overruled: 1 });
    assert_eq!(step(&mut p, 3, vec![release(1)]).0, ["2.show(page: menu) by -"], "its default is a page");
}

#[test]
fn within_a_level_the_latest_holds_and_of_one_input_the_lowest_holder() {
    let mut p = Plan::new(&site());
    let lock = |h, to| hold(h, SAFETY, DOOR, "lock", word(to));
    assert_eq!(step(&mut p, 1, vec![lock(5, "open"), lock(3, "locked")]).0, ["3.lock() by 3"]);
    assert_eq!(step(&mut p, 2, vec![lock(5, "locked"), lock(6, "open")]).0, Vec::<String>::new(), "5 over 6 and 3");
    assert_eq!(step(&mut p, 3, vec![lock(6, "locked")]).0, Vec::<String>::new());
    assert_eq!(step(&mut p, 4, vec![lock(6, "open")]).0, ["3.unlock() by 6"]);
    assert!(step(&mut p, 5, vec![release(6), release(5), release(3)]).0.is_empty(), "a door without a default stays");
}

#[test]
fn a_report_is_believed_and_a_local_change_lasts_until_a_rule_takes_hold() {
    let mut p = Plan::new(&site());
    step(&mut p, 1, vec![perform(1, COMFORT, LIGHT, "set", &[("level", Value::Number(80.0))])]);
    assert_eq!(report(&mut p, LIGHT, "level", Value::Number(79.6)), [LIGHT]);
    assert_eq!(p.device(LIGHT, name("level")), Some(Value::Number(79.6)), "its last report, as it gave it");
    assert!(resend(&mut p, 2).is_empty(), "a rounded report is no hand at the dimmer");
    assert_eq!(report(&mut p, LIGHT, "level", Value::Number(40.0)), [LIGHT]);
    assert_eq!(resend(&mut p, 3), ["1.set(level: 40) by -"], "but this is");
    assert_eq!(
        step(&mut p, 4, vec![hold(1, COMFORT, LIGHT, "level", Value::Number(80.0))]).0,
        ["1.set(level: 80) by 1"]
    );
    assert_eq!(step(&mut p, 5, vec![release(1)]).0, ["1.off() by -"], "the local change has ended");
    assert_eq!(report(&mut p, LIGHT, "battery", Value::Number(1.0)), []);
    assert_eq!(report(&mut p, LIGHT, "level", Value::Number(f64::NAN)), []);
    assert_eq!(report(&mut p, ActuatorId(77), "state", word("on")), []);
    assert_eq!(p.counts().refused_reports, 3);
}

#[test]
fn an_operator_acts_at_level_user_and_outlasts_the_hold_that_was_there() {
    let mut p = Plan::new(&site());
    step(&mut p, 1, vec![hold(1, COMFORT, LIGHT, "level", Value::Number(80.0))]);
    assert_eq!(act(&mut p, 2, LIGHT, "set", Some(("level", Value::Number(10.0)))), ["1.set(level: 10) by -"]);
    assert!(resend(&mut p, 3).is_empty(), "the hold was overridden by hand: a restart does not undo it");
    assert!(step(&mut p, 4, vec![release(1)]).0.is_empty(), "what the person set stands");
    assert_eq!(resend(&mut p, 5), ["1.set(level: 10) by -"]);
    step(&mut p, 6, vec![perform(2, COMFORT, LIGHT, "off", &[])]);
    assert!(resend(&mut p, 7).is_empty(), "a do ends it");

    step(&mut p, 8, vec![forbid(9, SAFETY, RECORDER, "start"), hold(8, PRIVACY, RECORDER, "state", word("paused"))]);
    assert!(act(&mut p, 9, RECORDER, "start", None).is_empty());
    assert!(act(&mut p, 10, RECORDER, "resume", None).is_empty(), "privacy holds it paused");
    assert_eq!(act(&mut p, 11, RECORDER, "pause", None), ["0.pause() by -"]);
    assert_eq!(p.dropped(RECORDER), Dropped { forbidden: 1, overruled: 1 });
    p.set_user_level(LevelRank(PRIVACY));
    assert_eq!(act(&mut p, 12, RECORDER, "resume", None), ["0.resume() by -"]);
}

/// The light of the test site as `manual m7.light` declares it.
fn in_hands() -> Plan {
    let mut p = Plan::new(&site());
    p.agree(&Terms { by_hand: vec![LIGHT], ..Terms::default() });
    p
}

#[test]
fn a_hand_at_a_declared_device_outranks_the_rules_below_until_it_is_let_go() {
    let mut p = in_hands();
    let level = |x| hold(1, COMFORT, LIGHT, "level", Value::Number(x));
    step(&mut p, 1, vec![level(80.0)]);
    report(&mut p, LIGHT, "state", word("on"));
    report(&mut p, LIGHT, "level", Value::Number(80.0));
    report(&mut p, LIGHT, "state", word("off"));
    assert_eq!(p.device(LIGHT, name("manual")), Some(Value::Bool(true)));
    assert!(step(&mut p, 2, vec![level(70.0)]).0.is_empty(), "the rule below waits");
    assert!(step(&mut p, 3, vec![perform(2, COMFORT, LIGHT, "on", &[])]).0.is_empty());
    assert_eq!(p.dropped(LIGHT).overruled, 1);
    // A higher level wins, and what the hand had set comes back.
    let fire = hold(3, SAFETY, LIGHT, "level", Value::Number(100.0));
    assert_eq!(step(&mut p, 4, vec![fire]).0, ["1.set(level: 100) by 3"]);
    assert_eq!(step(&mut p, 5, vec![release(3)]).0, ["1.off() by -"]);
    let auto = perform(9, LevelRank(3).0, LIGHT, "auto", &[]);
    assert_eq!(step(&mut p, 6, vec![auto]).0, ["1.set(level: 70) by 1"], "let go: the rule has it again");
}

#[test]
fn a_device_on_its_way_or_telling_of_the_command_before_is_in_no_hand() {
    let mut p = in_hands();
    for (seq, level) in [(1, 10.0), (2, 30.0), (3, 50.0)] {
        step(&mut p, seq, vec![hold(1, COMFORT, LIGHT, "level", Value::Number(level))]);
        if seq == 1 {
            report(&mut p, LIGHT, "level", Value::Number(10.0));
        }
    }
    report(&mut p, LIGHT, "level", Value::Number(42.0));
    step(&mut p, 4, vec![hold(1, COMFORT, LIGHT, "level", Value::Number(5.0))]);
    report(&mut p, LIGHT, "level", Value::Number(50.0));
    assert_eq!(p.device(LIGHT, name("manual")), Some(Value::Bool(false)));
    report(&mut p, LIGHT, "level", Value::Number(90.0));
    assert_eq!(p.device(LIGHT, name("manual")), Some(Value::Bool(true)));
}

#[test]
fn new_rules_bring_their_own_terms() {
    let mut p = Plan::new(&site());
    let two = || {
        let level = |h, x| hold(h, COMFORT, LIGHT, "level", Value::Number(x));
        vec![release(1), release(2), level(1, 80.0), level(2, 30.0)]
    };
    assert_eq!(step(&mut p, 1, two()).0, ["1.set(level: 80) by 1"], "the lowest holder of one input");
    p.agree(&Terms { order: vec![(RuleId(2), RuleId(1))], ..Terms::default() });
    assert_eq!(step(&mut p, 2, two()).0, ["1.set(level: 30) by 2"]);
    p.agree(&Terms { combine: vec![(LIGHT, name("level"), Combine::Max)], ..Terms::default() });
    assert_eq!(step(&mut p, 3, two()).0, ["1.set(level: 80) by 1"]);
}

#[test]
fn after_a_restart_every_held_value_goes_out_once() {
    let mut p = Plan::new(&site());
    let holds = vec![
        hold(1, COMFORT, LIGHT, "level", Value::Number(80.0)),
        hold(2, SAFETY, LIGHT, "level", Value::Number(100.0)),
        hold(3, PRIVACY, RECORDER, "state", word("paused")),
    ];
    step(&mut p, 1, holds);
    let mut bytes = Vec::new();
    p.save(&mut bytes);
    let mut q = Plan::new(&site());
    q.restore(&bytes).expect("its own state");
    assert_eq!(resend(&mut q, 2), ["0.pause() by 3", "1.set(level: 100) by 2"]);
    assert!(step(&mut q, 3, vec![]).0.is_empty());
    // A privacy pause over a lower hold is not undone by a restart.
    step(&mut q, 4, vec![release(3), hold(4, COMFORT, RECORDER, "state", word("recording"))]);
    step(&mut q, 5, vec![perform(9, PRIVACY, RECORDER, "pause", &[])]);
    assert_eq!(resend(&mut q, 6), ["1.set(level: 100) by 2"]);
}

#[test]
fn what_cannot_be_is_refused_and_counted() {
    let mut p = Plan::with_holders(&site(), 4);
    let bad = vec![
        hold(4, COMFORT, LIGHT, "level", Value::Number(1.0)),
        hold(1, COMFORT, LIGHT, "smell", word("nice")),
        hold(1, COMFORT, LIGHT, "level", Value::Number(f64::NAN)),
        hold(1, COMFORT, ActuatorId(99), "level", Value::Number(1.0)),
        forbid(1, COMFORT, ActuatorId(99), "off"),
        perform(1, COMFORT, ActuatorId(99), "off", &[]),
        perform(1, COMFORT, LIGHT, "set", &[("level", Value::Number(f64::INFINITY))]),
    ];
    assert!(step(&mut p, 1, bad).0.is_empty());
    assert_eq!(p.counts().refused_effects, 7);
    p.reserve_holders(5);
    assert_eq!(step(&mut p, 2, vec![hold(4, COMFORT, LIGHT, "level", Value::Number(1.0))]).0.len(), 1);
}

#[test]
fn beyond_the_limit_of_one_step_holds_go_out_with_the_next() {
    let n = COMMANDS_PER_STEP_MAX + 100;
    let mut p = Plan::new(&lights(n));
    let all = (0..n).map(|i| hold(i as u32, COMFORT, ActuatorId(i as u16), "state", word("on"))).collect();
    assert_eq!(step(&mut p, 1, all).0.len(), COMMANDS_PER_STEP_MAX);
    assert_eq!(p.counts().shed_commands, 100);
    let mut bytes = Vec::new();
    p.save(&mut bytes);
    p.restore(&bytes).expect("its own state");
    assert_eq!(step(&mut p, 2, vec![]).0.len(), 100);
    assert!(step(&mut p, 3, vec![]).0.is_empty());
}

#[test]
fn a_saved_state_of_something_else_is_refused_and_changes_nothing() {
    let mut p = Plan::new(&site());
    step(&mut p, 1, vec![hold(1, COMFORT, LIGHT, "level", Value::Number(80.0))]);
    let mut bytes = Vec::new();
    p.save(&mut bytes);
    assert!(matches!(Plan::new(&lights(4)).restore(&bytes), Err(RestoreError::Mismatch { .. })));
    let mut same = Plan::new(&site());
    for cut in 0..bytes.len() {
        assert!(same.restore(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(same.restore(&longer), Err(RestoreError::Malformed { .. })));
    assert!(resend(&mut same, 2).is_empty(), "nothing was taken over");
    bytes[0] = 9;
    assert!(matches!(same.restore(&bytes), Err(RestoreError::Mismatch { .. })));
}

/// What a device is told again, shown.
fn renewed(plan: &Plan, device: ActuatorId) -> Vec<String> {
    let mut said = Vec::new();
    plan.renew(device, |c| said.push(format!("{} #{}", show(c), c.id)));
    said
}

fn under_leases() -> Plan {
    let mut p = Plan::new(&site());
    p.agree(&Terms { lease_level: Some(LevelRank(PRIVACY)), ..Terms::default() });
    p
}

#[test]
fn what_is_held_at_privacy_or_above_is_a_lease_where_the_device_can_make_itself_safe() {
    let mut p = under_leases();
    step(&mut p, 1, vec![hold(1, COMFORT, RECORDER, "state", word("recording"))]);
    assert_eq!((p.lease(RECORDER), p.lease_changes()), (None, 0), "comfort protects nobody");
    step(&mut p, 2, vec![hold(2, PRIVACY, RECORDER, "state", word("paused"))]);
    assert_eq!(p.lease(RECORDER), Some(LEASE_DEFAULT));
    assert_eq!(renewed(&p, RECORDER), ["0.pause() by 2 #2.0"], "the command that it was sent by");
    step(&mut p, 3, vec![hold(3, SAFETY, LIGHT, "level", Value::Number(100.0))]);
    assert_eq!(p.lease(LIGHT), None, "a lamp without a safe state");
    step(&mut p, 4, vec![hold(4, SAFETY, DOOR, "lock", word("open")), hold(5, COMFORT, DOOR, "state", word("closed"))]);
    assert_eq!(renewed(&p, DOOR), ["3.unlock() by 4 #4.1"], "what comfort wants of it is no part of the lease");
    assert_eq!(p.lease_changes(), 2);
    // A state that is taken back knows what is leased.
    let (mut bytes, mut other) = (Vec::new(), under_leases());
    p.save(&mut bytes);
    other.restore(&bytes).expect("its own state");
    assert_eq!((other.lease(RECORDER), other.lease(DOOR)), (Some(LEASE_DEFAULT), Some(LEASE_DEFAULT)));
    assert_eq!(renewed(&other, DOOR), renewed(&p, DOOR));
    // Rules that lease nothing may come.
    p.agree(&Terms::default());
    assert_eq!((p.lease(RECORDER), p.lease(DOOR)), (None, None));
}

#[test]
fn a_lease_ends_with_its_hold_and_a_device_that_stays_as_it_is_can_be_told_so() {
    let mut p = under_leases();
    step(&mut p, 1, vec![hold(1, PRIVACY, RECORDER, "state", word("paused"))]);
    assert!(step(&mut p, 2, vec![release(1)]).0.is_empty(), "its default is what was held");
    assert_eq!(p.lease(RECORDER), None);
    assert_eq!(p.last_told(RECORDER).as_ref().map(show).as_deref(), Some("0.pause() by -"));
    assert_eq!(p.last_told(DOOR), None, "it was never told anything");
    // A command of a rule that may moves the device: what is held is not said against it.
    step(&mut p, 3, vec![hold(1, PRIVACY, RECORDER, "state", word("paused"))]);
    assert!(p.lease(RECORDER).is_some());
    assert_eq!(step(&mut p, 4, vec![perform(9, SAFETY, RECORDER, "stop", &[])]).0, ["0.stop() by 9"]);
    assert_eq!((p.lease(RECORDER), renewed(&p, RECORDER)), (None, vec![]));
}
