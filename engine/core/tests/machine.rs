//! The machine over stages of the test's own: the order is kept, digests tell inputs apart, a saved state continues,
//! rules that wake each other are cut.

use osmose_core::{Driver, Machine, Outbox, StepSink};
use osmose_fusion::Fusion;
use osmose_model::canon;
use osmose_model::command::{Cause, Command, CommandId, Effect, Terms, Trigger, Value};
use osmose_model::geometry::Point;
use osmose_model::ids::{ActuatorId, LevelId, Name, PersonId, RuleId, SensorId, Seq, TrackId, ZoneId};
use osmose_model::input::{Input, OperatorAction, Report, Shed, ShedReason, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::{Body, Detection, Observation, ScanBuf, detection};
use osmose_model::site::Site;
use osmose_model::stages::{Arbitrate, Decide, Fuse, Refusal, RestoreError, Source};
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{Occupant, SensorStatus, Stimulus, WorldView, ZoneCount};
use std::sync::Arc;

/// Says that a track moved at every scan, and wants to be woken 5 ms after it.
#[derive(Default)]
struct Counter {
    seen: u64,
    due: Option<LogicalNs>,
}

/// Answers every movement and every change of a device with a command, `left` times.
struct Echo {
    left: u32,
}

/// Sends every effect on.
struct Relay;

fn word(bytes: &[u8]) -> Result<u64, RestoreError> {
    let short = RestoreError::Malformed { part: "the test", why: "short".into() };
    bytes.first_chunk().map(|b| u64::from_le_bytes(*b)).ok_or(short)
}

impl Fuse for Counter {
    fn observe(&mut self, tag: Tag, o: &Observation<'_>, out: &mut Vec<Stimulus>) -> Result<(), Refusal> {
        let Body::Position(items) = o.body else { return Err(Refusal::KindNotUsed) };
        self.seen += items.len() as u64;
        self.due = Some(tag.at.plus(DurationNs::from_ms(5)));
        out.push(Stimulus::Moved(TrackId(self.seen)));
        Ok(())
    }
    fn advance(&mut self, now: LogicalNs, _: &mut Vec<Stimulus>) {
        self.due = self.due.filter(|&d| d > now);
    }
    fn next_wakeup(&self) -> Option<LogicalNs> {
        self.due
    }
    fn occupant(&self, _: TrackId) -> Option<&Occupant> {
        None
    }
    fn for_each_occupant(&self, _: &mut dyn FnMut(&Occupant)) {}
    fn for_each_in(&self, _: ZoneId, _: &mut dyn FnMut(&Occupant)) {}
    fn count_in(&self, _: ZoneId) -> ZoneCount {
        ZoneCount::default()
    }
    fn occupied(&self, _: ZoneId) -> Tri {
        Tri::Unknown
    }
    fn track_of(&self, _: PersonId) -> Option<(TrackId, f64)> {
        None
    }
    fn sensor(&self, _: SensorId) -> SensorStatus {
        SensorStatus::default()
    }
    fn alive(&self, _: SensorId, _: LogicalNs) -> Tri {
        Tri::Unknown
    }
    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seen.to_le_bytes());
        out.extend_from_slice(&self.due.map_or(-1, |d| d.0).to_le_bytes());
    }
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.seen = word(bytes)?;
        self.due = Some(LogicalNs(word(&bytes[8..])? as i64)).filter(|d| d.0 >= 0);
        Ok(())
    }
}

impl Decide for Echo {
    fn step(&mut self, stimuli: &[Stimulus], _: Source, _: &dyn WorldView, out: &mut Vec<Effect>) {
        for _ in stimuli.iter().filter(|s| matches!(s, Stimulus::Moved(_) | Stimulus::Device(_))) {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let (rule, device) = (RuleId(0), ActuatorId(0));
            let (verb, args, cause) = (Name::default(), Default::default(), Cause::new(Trigger::Start));
            out.push(Effect::Do { rule, level: Default::default(), device, verb, args, cause });
        }
    }
    fn on_command(&mut self, _: &Command, _: &dyn WorldView) {}
    fn on_operator(&mut self, _: &OperatorAction, _: &dyn WorldView, _: &mut Vec<Effect>) {}
    fn next_wakeup(&self) -> Option<LogicalNs> {
        None
    }
    fn rule_name(&self, _: RuleId) -> &str {
        "echo"
    }
    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&u64::from(self.left).to_le_bytes());
    }
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.left = word(bytes)? as u32;
        Ok(())
    }
}

impl Arbitrate for Relay {
    fn step(
        &mut self,
        tag: Tag,
        source_seq: Option<u64>,
        first_n: u32,
        effects: &mut Vec<Effect>,
        out: &mut Vec<Command>,
        changed: &mut Vec<ActuatorId>,
    ) {
        for (n, effect) in (first_n..).zip(effects.drain(..)) {
            let Effect::Do { rule, device, verb, args, cause, .. } = effect else { continue };
            let id = CommandId { seq: tag.seq, n };
            out.push(Command { id, at: tag.at, source_seq, rule: Some(rule), device, verb, args, cause });
            changed.push(device);
        }
    }
    fn room_for(&self, _: &Terms) -> Self {
        Relay
    }
    fn on_report(&mut self, _: Tag, _: &Report, _: &mut Vec<ActuatorId>) {}
    fn on_operator(&mut self, _: Tag, _: u32, _: &OperatorAction, _: &mut Vec<Command>, _: &mut Vec<ActuatorId>) {}
    fn resend(&mut self, _: Tag, _: u32, _: &mut Vec<Command>) {}
    fn device(&self, _: ActuatorId, _: Name) -> Option<Value> {
        None
    }
    fn save(&self, _: &mut Vec<u8>) {}
    fn restore(&mut self, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

type TestDriver = Driver<Counter, Echo, Relay>;

fn site() -> Arc<Site> {
    Arc::new(osmose_load::load(&osmose_load::template("test")).site.expect("the template loads"))
}

fn driver(site: &Arc<Site>, echoes: u32) -> TestDriver {
    Driver::new(Machine::from_stages(site.clone(), Counter::default(), Echo { left: echoes }, Relay))
}

#[derive(Default)]
struct Log {
    tags: Vec<Tag>,
    ticks: Vec<LogicalNs>,
    commands: Vec<CommandId>,
    shed: Vec<Shed>,
    measured: Vec<LogicalNs>,
    digests: Vec<(u64, u64)>,
}

impl StepSink<Counter, Echo, Relay> for Log {
    fn sequenced(&mut self, tag: Tag, _: &[u8]) {
        self.tags.push(tag);
    }
    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, machine: &Machine<Counter, Echo, Relay>) {
        match input {
            Input::Tick => self.ticks.push(tag.at),
            Input::Shed(s) => self.shed.push(*s),
            Input::Observation(o) => self.measured.push(o.measured),
            _ => {}
        }
        self.commands.extend(out.commands.iter().map(|c| c.id));
        self.digests.push((machine.input_digest().0, machine.decision_digest().0));
    }
}

/// Feeds one scan of one detection at `x_m`, measured at `measured_ms`.
fn feed(driver: &mut TestDriver, log: &mut Log, x_m: f64, measured_ms: i64, arrival_ms: i64) {
    let items: [Detection; 1] = [detection(LevelId(0), Point::new(x_m, 1.0))];
    let measured = LogicalNs(measured_ms * 1_000_000);
    let o = Observation { sensor: SensorId(0), source_seq: Some(7), measured, body: Body::Position(&items) };
    driver.feed(ArrivalNs(arrival_ms * 1_000_000), &Input::Observation(o), log);
}

#[test]
fn due_ticks_come_before_the_input_that_arrives_after_them_at_the_instant_they_were_due() {
    let (mut driver, mut log) = (driver(&site(), 0), Log::default());
    feed(&mut driver, &mut log, 1.0, 0, 0);
    feed(&mut driver, &mut log, 1.0, 100, 100);
    assert_eq!(log.ticks, [LogicalNs(5_000_000)], "due at 5 ms, though nobody woke before 100 ms");
    assert_eq!(log.tags.iter().map(|t| t.seq.0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn an_observation_that_is_too_old_enters_as_counted_and_not_as_data() {
    let (mut driver, mut log) = (driver(&site(), 0), Log::default());
    feed(&mut driver, &mut log, 1.0, 0, 501);
    assert_eq!(log.shed, [Shed { sensor: SensorId(0), count: 1, reason: ShedReason::TooLate }]);
    feed(&mut driver, &mut log, 1.0, 1, 501);
    assert_eq!(log.shed.len(), 1, "exactly late_max old is still data");
}

#[test]
fn what_was_stamped_on_arrival_and_overtaken_is_true_when_it_is_taken() {
    let (mut driver, mut log) = (driver(&site(), 0), Log::default());
    let (mut bytes, mut scan) = (vec![0; INPUT_BYTES_MAX], ScanBuf::new());
    let ms = |n: i64| n * 1_000_000;
    // A more urgent one, read at 20 ms, went first; of those behind it one has a clock of its own.
    for (arrival, measured) in [(20, 20), (18, 18), (19, 11), (21, 21)] {
        let items = [detection(LevelId(0), Point::new(1.0, 1.0))];
        let body = Body::Position(&items);
        let o = Observation { sensor: SensorId(0), source_seq: None, measured: LogicalNs(ms(measured)), body };
        let n = canon::encode_input(&Input::Observation(o), &mut bytes).expect("it fits");
        let fed = driver.feed_canonical(ArrivalNs(ms(arrival)), &bytes[..n], &mut scan, &mut log);
        fed.expect("canonical");
    }
    let at: Vec<_> = log.tags.iter().map(|t| t.at.0).collect();
    assert_eq!(at, [ms(20), ms(20) + 1, ms(20) + 1, ms(21)]);
    let measured: Vec<_> = log.measured.iter().map(|m| m.0).collect();
    assert_eq!(measured, [ms(20), ms(20) + 1, ms(11), ms(21)]);
}

/// Where everybody is in fusion's own words, after scans of somebody walking: of the site's first sensor at once, and of
/// its second so much later each, both every 100 ms.
fn walked(site: &Arc<Site>, expect: DurationNs, late_ms: &dyn Fn(i64) -> i64) -> (Vec<u8>, u64, usize) {
    struct Seen(Vec<Shed>);
    impl StepSink<Fusion, Echo, Relay> for Seen {
        fn sequenced(&mut self, _: Tag, _: &[u8]) {}
        fn decided(&mut self, _: Tag, input: &Input<'_>, _: &Outbox, _: &Machine<Fusion, Echo, Relay>) {
            self.0.extend(if let Input::Shed(s) = input { Some(*s) } else { None });
        }
    }
    let mut site = Site::clone(site);
    let mut second = site.sensors[0].clone();
    (second.id, second.name) = (SensorId(site.sensors.len() as u16), "second".into());
    second.expect_late = expect;
    let sensors = [SensorId(0), second.id];
    site.sensors.push(second);
    let site = Arc::new(site);
    let mut inputs: Vec<(i64, i64, usize)> = Vec::new();
    for i in 0..60 {
        inputs.push((i * 100, i * 100, 0));
        inputs.push((i * 100 + 50 + late_ms(i), i * 100 + 50, 1));
    }
    inputs.sort_unstable();
    let fusion = Fusion::new(site.clone());
    let mut driver = Driver::new(Machine::from_stages(site.clone(), fusion, Echo { left: 0 }, Relay));
    let mut seen = Seen(Vec::new());
    for (arrival_ms, measured_ms, sensor) in inputs {
        let items = [detection(LevelId(0), Point::new(0.5 + measured_ms as f64 / 2000.0, 1.0))];
        let measured = LogicalNs(measured_ms * 1_000_000);
        let body = Body::Position(&items);
        let o = Observation { sensor: sensors[sensor], source_seq: None, measured, body };
        driver.feed(ArrivalNs(arrival_ms * 1_000_000), &Input::Observation(o), &mut seen);
    }
    let end = Observation {
        sensor: sensors[0],
        source_seq: None,
        measured: LogicalNs(12_000_000_000),
        body: Body::Position(&[]),
    };
    driver.feed(ArrivalNs(12_000_000_000), &Input::Observation(end), &mut seen);
    let fusion = driver.machine().fusion();
    (fusion.state_bytes(), fusion.counts().late_rerun, seen.0.len())
}

#[test]
fn a_source_that_says_it_is_always_late_is_sorted_in_and_one_that_does_not_is_shed() {
    let site = site();
    let (in_order, reruns, shed) = walked(&site, DurationNs::from_ms(2_000), &|_| 0);
    assert_eq!((reruns, shed), (0, 0));
    // Always 1.6 s late and more, out of order among themselves too.
    let late = |i: i64| 1_600 + 350 * (i % 3);
    let (sorted, reruns, shed) = walked(&site, DurationNs::from_ms(2_000), &late);
    assert_eq!((reruns, shed), (60, 0));
    assert!(sorted == in_order, "the state is that of the run in order");
    let (_, _, shed) = walked(&site, DurationNs::ZERO, &late);
    assert_eq!(shed, 60, "not declared: too late, and counted");
    let (_, _, shed) = walked(&site, DurationNs::from_ms(2_000), &|_| 2_501);
    assert_eq!(shed, 60, "later than declared");
}

#[test]
fn one_changed_coordinate_changes_the_input_digest() {
    let run = |x_m: f64| {
        let (mut driver, mut log) = (driver(&site(), 0), Log::default());
        feed(&mut driver, &mut log, x_m, 0, 0);
        log.digests[0].0
    };
    assert_eq!(run(1.0), run(1.0));
    assert_ne!(run(1.0), run(1.0 + f64::EPSILON));
}

#[test]
fn rules_that_wake_each_other_for_ever_are_cut_and_counted() {
    let (mut driver, mut log) = (driver(&site(), 1_000), Log::default());
    feed(&mut driver, &mut log, 1.0, 0, 0);
    assert_eq!(driver.machine().stats().cascades_cut, 1);
    let ids: Vec<_> = log.commands.iter().map(|c| (c.seq, c.n)).collect();
    let rounds = osmose_model::limits::CASCADE_ROUNDS_MAX as u32;
    assert_eq!(ids, (0..rounds).map(|n| (Seq(1), n)).collect::<Vec<_>>(), "ids run on through the rounds");
}

#[test]
fn a_saved_state_continues_bit_for_bit_at_every_step() {
    let site = site();
    let run = |driver: &mut TestDriver, log: &mut Log, steps: std::ops::Range<i64>| {
        steps.for_each(|i| feed(driver, log, i as f64 * 0.3, i * 3, i * 3));
    };
    let (mut whole, mut want) = (driver(&site, 25), Log::default());
    run(&mut whole, &mut want, 0..20);
    for cut in 0..20 {
        let (mut first, mut log) = (driver(&site, 25), Log::default());
        run(&mut first, &mut log, 0..cut);
        let mut state = vec![];
        first.machine().save(&mut state);
        let mut second = driver(&site, 25).into_machine();
        second.restore(&state).expect("its own state");
        run(&mut Driver::new(second), &mut log, cut..20);
        assert_eq!(log.digests, want.digests, "cut after {cut}");
    }
}

#[test]
#[should_panic(expected = "the order is broken")]
fn an_input_out_of_order_is_never_stepped() {
    let mut machine = driver(&site(), 0).into_machine();
    machine.step(Tag { at: LogicalNs(0), seq: Seq(5) }, &Input::Tick, &mut Outbox::new());
}
