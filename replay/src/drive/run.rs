//! The loop of a replay: inputs in their order through the core, keyframes where the state got lost, holes declared.

use super::sinks::{Sinks, Writing};
use super::summary::{HOLES_MAX, Hole, HoleKind, Summary, Verdict};
use super::verify::Verifier;
use super::what_if::{Delays, WhatIf};
use super::workshop::{Workshop, WorkshopError};
use crate::trace::ahead::Ahead;
use crate::trace::codec::{self, Record};
use crate::trace::format::Meta;
use crate::trace::read::{Ending, Item};
use crate::trace::recording::Items;
use osmose_core::{Driver, Machine, Outbox, StepSink};
use osmose_model::canon;
use osmose_model::digest::Digest;
use osmose_model::ids::{SensorId, Seq};
use osmose_model::input::{Gap, GapReason, Input, ShedReason, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::stages::Decide;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

mod keyframes;
mod other;
mod relay;

use relay::Ends;

/// How fast a replay goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// As fast as it can.
    #[default]
    Max,
    /// This many seconds of the trace in one second; 1 follows the clock.
    Times(f64),
}

/// What is asked of a replay.
#[derive(Default)]
pub struct Options {
    /// Write and compare from this instant on (the state is built from before it).
    pub from: Option<LogicalNs>,
    /// Stop behind this instant.
    pub to: Option<LogicalNs>,
    /// How fast.
    pub speed: Speed,
    /// Compare every decision with the recording.
    pub verify: bool,
    /// These rules instead of the recorded ones, throughout. (A workshop whose site has other rules than the trace's
    /// does the same.)
    pub rules: Option<Vec<SourceFile>>,
    /// Rules of whoever asks, laid beside those in force, and beside each set that the trace installs: they watch.
    pub beside: Vec<SourceFile>,
    /// What is laid beside a certain set of rules instead, by that set as [`canon::encode_files`] joins it.
    pub beside_of: Vec<(Vec<u8>, SourceFile)>,
    /// What if these sensors had not been there.
    pub without: Vec<SensorId>,
    /// What if these sensors had spoken later.
    pub delayed: Vec<(SensorId, DurationNs)>,
    /// Where results go.
    pub sinks: Sinks,
}

/// Why a replay could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No machine can be made.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// Rules installed in the middle of the trace do not compile in this build.
    #[error("the rules installed by input {seq} do not compile in this build: {source}")]
    Installed {
        /// Which input.
        seq: Seq,
        /// Why not.
        source: WorkshopError,
    },
    /// The disk refused, reading or writing.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Verifying and other rules exclude each other.
    #[error("other rules decide otherwise: --verify and --rules cannot be used together")]
    VerifyOtherRules,
    /// Verifying and a changed past exclude each other.
    #[error("with a sensor removed or delayed the past is another one: --verify cannot be used then")]
    VerifyOtherInputs,
    /// The stretch asked for is none.
    #[error("from {from} s to {to} s is no stretch of time: --to is before --from")]
    Backwards {
        /// Its beginning.
        from: LogicalNs,
        /// Its end.
        to: LogicalNs,
    },
    /// No such speed.
    #[error("a speed of {0} is none: give a number above 0, or `max`")]
    Speed(f64),
}

/// Sees how far a replay is, and may stop it. Called every few thousand records.
pub trait Watch {
    /// `done` of `total` bytes are read, the log is at `at`.
    fn progress(&mut self, done: u64, total: u64, at: LogicalNs) -> ControlFlow<()>;
}

/// Nobody watches.
impl Watch for () {
    fn progress(&mut self, _: u64, _: u64, _: LogicalNs) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Records between two looks at the watch; who is held back to the clock looks each time, since records are seconds apart.
const WATCH_EVERY: u64 = 4096;

/// A replay, ready to run.
pub struct Replay<S, W: Workshop> {
    reader: S,
    scan: ScanBuf,
    run: Run<W>,
}

/// The order in which inputs reach the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// As recorded, ticks too.
    Recorded,
    /// By arrival; ticks are added where they are due, and numbers run on.
    Arrival,
}

/// The driver of a workshop's machines.
type DriverOf<W> = Driver<<W as Workshop>::Fuse, <W as Workshop>::Decide, <W as Workshop>::Arbitrate>;
/// A machine of a workshop.
type MachineOf<W> = Machine<<W as Workshop>::Fuse, <W as Workshop>::Decide, <W as Workshop>::Arbitrate>;

struct Run<W: Workshop> {
    workshop: W,
    driver: Driver<W::Fuse, W::Decide, W::Arbitrate>,
    /// The rules that the machine was made with, as one block; `None` where others were installed since.
    made_with: Option<Vec<u8>>,
    out: Outbox,
    order: Order,
    /// The trace's own ticks are left out: they were due under the recorded rules and sensors.
    other_ticks: bool,
    /// The recorded commands beside the replayed ones, where the question is what if.
    what_if: Option<WhatIf>,
    delays: Delays,
    other_build: Option<String>,
    /// A recorded state that it was to begin at is none of this build's.
    state_refused: bool,
    options: Options,
    from: LogicalNs,
    writing: Writing,
    verifier: Option<Verifier>,
    /// The rule files in force, as one block; `None` where others than the recorded ones hold throughout.
    in_force: Option<Vec<u8>>,
    /// Those others: what an installation that was recorded installs then.
    throughout: Option<Vec<u8>>,
    /// The rule files that the trace begins with, as one block.
    recorded: Vec<u8>,
    /// Whether the machine's state is the one that the recording had here.
    valid: bool,
    /// The last input read (also where it could not be stepped).
    read: Option<Tag>,
    pace: Option<(Instant, LogicalNs)>,
    save: Vec<u8>,
    /// Where it may end, as one leg of a replay on several cores.
    ends: Ends,
    summary: Summary,
}

impl<S: Items, W: Workshop> Replay<S, W> {
    /// Makes a replay of a trace that is open, on machines of `workshop` (the trace's own site, or another).
    ///
    /// # Errors
    /// [`ReplayError`] where the options contradict each other, or no machine can be made.
    pub fn new(reader: S, workshop: W, options: Options) -> Result<Self, ReplayError> {
        Self::new_on(None, reader, workshop, options)
    }

    /// The same on a machine that is at hand: one of this site and the rules that the options ask for, as it was made or,
    /// where the replay begins at a saved state, as it was left.
    fn new_on(
        machine: Option<MachineOf<W>>,
        reader: S,
        workshop: W,
        mut options: Options,
    ) -> Result<Self, ReplayError> {
        if options.verify && options.rules.is_some() {
            return Err(ReplayError::VerifyOtherRules);
        }
        if options.verify && !(options.without.is_empty() && options.delayed.is_empty()) {
            return Err(ReplayError::VerifyOtherInputs);
        }
        if let (Some(from), Some(to)) = (options.from, options.to)
            && to < from
        {
            return Err(ReplayError::Backwards { from, to });
        }
        if let Speed::Times(x) = options.speed
            && !(x.is_finite() && x > 0.0)
        {
            return Err(ReplayError::Speed(x));
        }
        let own: Vec<SourceFile> = workshop.site().rule_files().cloned().collect();
        let rules = options.rules.as_deref().unwrap_or(&own);
        let block = canon::encode_files(rules);
        let machine = match machine {
            Some(machine) => machine,
            None => workshop.machine(compile(&workshop, &block, &options)?),
        };
        // Another site's own rules hold throughout, as rules given by the options do.
        let is_rules = |f: &&SourceFile| f.path.starts_with("rules/") && f.path.ends_with(".rules");
        let recorded: Vec<SourceFile> = reader.files().iter().filter(is_rules).cloned().collect();
        let same_rules = recorded == own;
        let follows_trace = options.rules.is_none() && same_rules;
        let from = options.from.unwrap_or(LogicalNs(i64::MIN));
        let writing = Writing::new(std::mem::take(&mut options.sinks), from, workshop.site())?;
        let Meta { has_ticks, has_decisions, .. } = reader.meta();
        let other_inputs = !(options.without.is_empty() && options.delayed.is_empty());
        let other = other_inputs || !follows_trace || reader.files() != workshop.site().files.as_slice();
        // What would be decided otherwise would be due otherwise too: ticks are then added as the sequencer adds them.
        let other_ticks = other && !options.verify;
        let run = Run {
            driver: Driver::new(machine),
            made_with: Some(block.clone()),
            out: Outbox::new(),
            order: if *has_ticks && !other_ticks { Order::Recorded } else { Order::Arrival },
            other_ticks,
            what_if: (other_ticks && *has_decisions).then(|| WhatIf::new(workshop.site().clone(), from)),
            delays: Delays::new(std::mem::take(&mut options.delayed)),
            other_build: reader.other_build(),
            state_refused: false,
            from,
            writing,
            verifier: (options.verify && *has_decisions && *has_ticks).then(Verifier::default),
            in_force: follows_trace.then(|| canon::encode_files(&own)),
            throughout: (!follows_trace).then_some(block),
            recorded: canon::encode_files(&recorded),
            valid: true,
            read: None,
            pace: None,
            save: Vec::new(),
            ends: Ends::default(),
            summary: Summary::default(),
            options,
            workshop,
        };
        Ok(Self { reader, scan: ScanBuf::new(), run })
    }

    /// The same replay with its log read ahead in a thread of its own. From here on the log is only read forwards.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn ahead(self) -> std::io::Result<Replay<Ahead, W>>
    where
        S: Send + 'static,
    {
        let Self { reader, scan, run } = self;
        Ok(Replay { reader: Ahead::new(reader)?, scan, run })
    }

    /// What is to be said before it runs: another build or architecture recorded the trace.
    #[must_use]
    pub fn caution(&self) -> Option<String> {
        let why = self.run.other_build.as_deref()?;
        let begins = if self.run.state_refused {
            "; this build cannot go on from the states that it holds, so it runs from the log's beginning"
        } else {
            ""
        };
        Some(format!(
            "another build recorded this trace ({why}): decisions may differ for that reason alone, and are then not \
             comparable{begins}"
        ))
    }

    /// What the replay is about to be compared with: the site and the rules that it runs.
    #[must_use]
    pub fn workshop(&self) -> &W {
        &self.run.workshop
    }

    /// Runs to the end, to `to`, or until the watch stops it.
    ///
    /// # Errors
    /// [`ReplayError`]; damage and holes are none, they are in the summary.
    pub fn run(mut self, watch: &mut dyn Watch) -> Result<Summary, ReplayError> {
        self.go(watch)?;
        self.run.finish(self.reader.ending().clone())
    }

    /// Runs, without the end.
    fn go(&mut self, watch: &mut dyn Watch) -> Result<(), ReplayError> {
        let mut n = 0;
        let is_held_back = self.run.options.speed != Speed::Max;
        loop {
            let (done, total) = self.reader.progress();
            let step = match self.reader.next_item()? {
                None => break,
                Some(Item::Damage(damage)) => {
                    self.run.declare(HoleKind::Damage(damage));
                    ControlFlow::Continue(())
                }
                Some(Item::Record(raw)) => match codec::decode(&raw, &mut self.scan) {
                    Ok(record) => self.run.record(&record)?,
                    Err(why) => {
                        self.run.declare(HoleKind::Record(why.to_string()));
                        ControlFlow::Continue(())
                    }
                },
            };
            n += 1;
            let look = if n % WATCH_EVERY == 0 || is_held_back {
                watch.progress(done, total, self.run.driver.machine().last().at)
            } else {
                ControlFlow::Continue(())
            };
            if step.is_break() || look.is_break() {
                self.run.summary.stopped = self.run.ends.reached.is_none();
                break;
            }
        }
        Ok(())
    }
}

/// Gets the steps of a driver that adds ticks.
struct Steps<'a> {
    what_if: Option<&'a mut WhatIf>,
    writing: &'a mut Writing,
    summary: &'a mut Summary,
    result: std::io::Result<()>,
}

impl<F, D: Decide, A> StepSink<F, D, A> for Steps<'_>
where
    F: osmose_model::stages::Fuse,
    A: osmose_model::stages::Arbitrate,
{
    fn sequenced(&mut self, _: Tag, _: &[u8]) {}

    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, machine: &Machine<F, D, A>) {
        self.summary.ticks_added += u64::from(matches!(input, Input::Tick));
        if let Input::Shed(shed) = input
            && shed.reason == ShedReason::TooLate
        {
            self.summary.too_late += shed.count;
        }
        if let Some(what_if) = &mut self.what_if {
            what_if.replayed(&out.commands);
        }
        let stepped = decided(self.writing, self.summary, tag, input, out, machine);
        if self.result.is_ok() {
            self.result = stepped;
        }
    }
}

/// Counts and writes out what a step decided.
fn decided<F, D: Decide, A>(
    writing: &mut Writing,
    summary: &mut Summary,
    tag: Tag,
    input: &Input<'_>,
    out: &Outbox,
    machine: &Machine<F, D, A>,
) -> std::io::Result<()>
where
    F: osmose_model::stages::Fuse,
    A: osmose_model::stages::Arbitrate,
{
    summary.events += out.events.len() as u64;
    summary.commands += out.commands.len() as u64;
    let first = summary.span.map_or(tag, |(first, _)| first);
    summary.span = Some((first, tag));
    if let Some(record) = &mut writing.sinks.record {
        let digests = (machine.input_digest(), machine.decision_digest());
        record.step(tag, input, out, digests, &mut |state| machine.save(state))?;
    }
    writing.stepped(tag, input, out, &machine.view(), &|rule| machine.rules().rule_name(rule))
}

impl<W: Workshop> Run<W> {
    fn record(&mut self, record: &Record<'_>) -> Result<ControlFlow<()>, ReplayError> {
        if let Some(v) = self.verifier.as_mut().filter(|v| v.difference().is_some()) {
            v.beyond(record);
        }
        match record {
            Record::Input { tag, input } => return self.input(*tag, input),
            Record::Event { tag, event } => {
                if let Some(v) = self.comparing(tag.at) {
                    v.event(*tag, event);
                }
            }
            Record::Command(command) => {
                if let Some(what_if) = &mut self.what_if {
                    what_if.recorded(command);
                }
                if let Some(v) = self.comparing(command.at) {
                    v.command(command);
                }
            }
            Record::Digest { seq, input, decision } => {
                let (last, digests) = (self.driver.machine().last(), self.digests());
                if let Some(v) = self.comparing(last.at) {
                    v.digest(*seq, (*input, *decision), last, digests);
                }
            }
            Record::Keyframe { tag, state } => {
                self.keyframe(*tag, state)?;
                return Ok(self.pause_at(*tag, state));
            }
            Record::Counter(c) if c.reason == codec::RECORDER_LOST => self.declare(HoleKind::Recorder(c.count)),
            Record::Counter(_) | Record::Latency(_) | Record::Name(_) => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The verifier, where the state is the recording's and `at` is in the stretch asked for.
    fn comparing(&mut self, at: LogicalNs) -> Option<&mut Verifier> {
        self.verifier.as_mut().filter(|v| self.valid && at >= self.from && v.difference().is_none())
    }

    fn digests(&self) -> (Digest, Digest) {
        let machine = self.driver.machine();
        (machine.input_digest(), machine.decision_digest())
    }

    fn input(&mut self, tag: Tag, input: &Input<'_>) -> Result<ControlFlow<()>, ReplayError> {
        if self.options.to.is_some_and(|to| tag.at > to) {
            return Ok(ControlFlow::Break(()));
        }
        self.check_order(tag);
        let previous = self.read.replace(tag);
        if let Input::Gap(gap) = input {
            self.declare(HoleKind::Declared(*gap));
        }
        if let Input::RulesInstalled { files } = input {
            self.install(tag, files)?;
        }
        // Under other rules an installation installs those: who replays this run's own recording must find them in it.
        let throughout = self.throughout.take();
        let step = match (input, &throughout) {
            (Input::RulesInstalled { .. }, Some(files)) => self.known(tag, &Input::RulesInstalled { files }, previous),
            _ => self.known(tag, input, previous),
        };
        self.throughout = throughout;
        step
    }

    /// Steps an input whose place in the order is known.
    fn known(&mut self, tag: Tag, input: &Input<'_>, previous: Option<Tag>) -> Result<ControlFlow<()>, ReplayError> {
        if !self.valid {
            if let Some(hole) = self.summary.holes.last_mut() {
                hole.skipped += 1;
            }
            return Ok(ControlFlow::Continue(()));
        }
        if self.is_other(tag, input)? {
            return Ok(ControlFlow::Continue(()));
        }
        self.wait_until(tag.at);
        match self.order {
            Order::Recorded => self.step_recorded(tag, input)?,
            Order::Arrival => self.step_arrived(tag, input, previous)?,
        }
        self.summary.inputs += 1;
        Ok(ControlFlow::Continue(()))
    }

    fn steps(&mut self) -> (&mut DriverOf<W>, Steps<'_>) {
        let Self { driver, what_if, writing, summary, .. } = self;
        (driver, Steps { what_if: what_if.as_mut(), writing, summary, result: Ok(()) })
    }

    /// Numbers go on by one and times never back; else something is missing here, and the state is not known.
    fn check_order(&mut self, tag: Tag) {
        let follows = match self.read {
            Some(last) => tag.seq.0 == last.seq.0.wrapping_add(1) && tag.at >= last.at,
            None => tag.seq.0 == self.driver.machine().last().seq.0 + 1,
        };
        // Damage was declared where it was met; here it shows whether inputs were in it.
        let mut known = false;
        for hole in self.summary.holes.iter_mut().rev().take_while(|h| h.before.is_none()) {
            hole.before = Some(tag);
            hole.went_on |= follows;
            known |= !matches!(hole.kind, HoleKind::Declared(_));
        }
        if follows {
            return;
        }
        if !known {
            self.declare(if self.read.is_none() { HoleKind::Beginning } else { HoleKind::Skip });
            if let Some(hole) = self.summary.holes.last_mut() {
                hole.before = Some(tag);
            }
        }
        self.valid &= self.order == Order::Arrival;
    }

    /// Puts a hole on the list. Without known order the replay only goes on behind it once a keyframe came; inputs
    /// by arrival go on, and the core is told.
    fn declare(&mut self, kind: HoleKind) {
        if let Some(v) = &mut self.verifier {
            v.forget();
        }
        if self.summary.holes.len() == HOLES_MAX {
            self.summary.holes_more += 1;
            return;
        }
        let went_on = self.order == Order::Arrival || matches!(kind, HoleKind::Declared(_));
        self.summary.holes.push(Hole { after: self.read, before: None, kind, skipped: 0, went_on });
    }

    /// Makes newly installed rules ready, unless they are the ones in force (then they keep what they remember).
    fn install(&mut self, tag: Tag, files: &[u8]) -> Result<(), ReplayError> {
        let Some(in_force) = &mut self.in_force else { return Ok(()) };
        if in_force == files {
            return Ok(());
        }
        let rules = compile(&self.workshop, files, &self.options)
            .map_err(|source| ReplayError::Installed { seq: tag.seq, source })?;
        files.clone_into(in_force);
        self.made_with = None;
        self.driver.machine_mut().stage_rules(rules);
        Ok(())
    }

    fn step_recorded(&mut self, tag: Tag, input: &Input<'_>) -> Result<(), ReplayError> {
        if let Some(v) = &mut self.verifier {
            v.close();
        }
        self.writing.end_scan(Some(input), &self.driver.machine().view())?;
        while let Some(at) = self.writing.grid_before(tag.at) {
            self.writing.grid_rows(at, &self.driver.machine().view())?;
        }
        self.driver.machine_mut().step(tag, input, &mut self.out);
        decided(&mut self.writing, &mut self.summary, tag, input, &self.out, self.driver.machine())?;
        if tag.at >= self.from
            && let Some(v) = self.verifier.as_mut().filter(|v| v.difference().is_none())
        {
            v.stepped(tag, &self.out);
        }
        Ok(())
    }

    fn step_arrived(&mut self, tag: Tag, input: &Input<'_>, previous: Option<Tag>) -> Result<(), ReplayError> {
        let missing = previous.map_or(tag.seq.0.saturating_sub(1), |p| tag.seq.0.saturating_sub(p.seq.0 + 1));
        if missing > 0 {
            let from = self.driver.machine().last().at;
            self.feed(tag.at, &Input::Gap(Gap { from, lost: missing, reason: GapReason::Journal }))?;
        }
        self.writing.end_scan(Some(input), &self.driver.machine().view())?;
        self.grid_until(tag.at)?;
        self.feed(tag.at, input)
    }

    fn grid_until(&mut self, at: LogicalNs) -> Result<(), ReplayError> {
        while let Some(grid) = self.writing.grid_before(at) {
            let (driver, mut steps) = self.steps();
            driver.run_until(ArrivalNs(grid.0), &mut steps);
            steps.result?;
            self.writing.grid_rows(grid, &self.driver.machine().view())?;
        }
        Ok(())
    }

    fn feed(&mut self, at: LogicalNs, input: &Input<'_>) -> Result<(), ReplayError> {
        let (driver, mut steps) = self.steps();
        driver.feed(ArrivalNs(at.0), input, &mut steps);
        Ok(steps.result?)
    }

    /// When the last of what was delayed is due: a replay does not end before it.
    fn last_due(&self) -> LogicalNs {
        let last = self.driver.machine().last().at;
        self.delays.last_due().map_or(last, |due| due.max(last))
    }

    /// Holds the replay back to the speed asked for.
    fn wait_until(&mut self, at: LogicalNs) {
        let Speed::Times(speed) = self.options.speed else { return };
        if at < self.from {
            return;
        }
        let (begun, at0) = *self.pace.get_or_insert_with(|| (Instant::now(), at));
        let due = Duration::try_from_secs_f64(at.since(at0).as_s_f64() / speed).unwrap_or(Duration::ZERO);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }

    fn finish(&mut self, ending: Ending) -> Result<Summary, ReplayError> {
        self.catch_up(self.options.to.unwrap_or_else(|| self.last_due()))?;
        if let (Order::Arrival, Some(to), true) = (self.order, self.options.to, self.summary.stopped) {
            self.grid_until(to)?;
            let (driver, mut steps) = self.steps();
            driver.run_until(ArrivalNs(to.0), &mut steps);
            steps.result?;
        }
        self.writing.end_scan(None, &self.driver.machine().view())?;
        if self.valid {
            // The grid's last instant may be the last input's own.
            let end = LogicalNs(self.driver.machine().last().at.0.saturating_add(1));
            self.grid_until(end)?;
        }
        self.writing.finish(self.workshop.site())?;
        let whole = !self.summary.stopped && ending == Ending::Whole;
        self.summary.digests = self.digests();
        self.summary.ending = ending;
        self.summary.what_if = self.what_if.take().map(WhatIf::finish);
        self.summary.sensors = super::sensors::lines(&self.driver.machine().view());
        self.summary.verdict = match self.verifier.take() {
            None if !self.options.verify => Verdict::NotAsked,
            None => Verdict::NothingToVerify,
            Some(mut v) => {
                // Behind a cut, the last step's decisions may be missing without a difference.
                if whole {
                    v.close();
                }
                self.summary.checked = v.checked();
                match (v.into_difference(self.workshop.site()), &self.other_build) {
                    (Some(d), Some(why)) => Verdict::NotComparable { why: why.clone(), difference: Box::new(d) },
                    (Some(d), None) => Verdict::Different(Box::new(d)),
                    (None, _) if !self.summary.checked.any() => Verdict::NothingToVerify,
                    (None, _) => Verdict::Same,
                }
            }
        };
        Ok(std::mem::take(&mut self.summary))
    }
}

/// Compiles rules that travel as one block.
fn compile<W: Workshop>(workshop: &W, files: &[u8], options: &Options) -> Result<W::Decide, WorkshopError> {
    let own = options.beside_of.iter().filter(|(set, _)| set == files).map(|(_, file)| file.clone());
    let mut beside: Vec<SourceFile> = own.collect();
    if beside.is_empty() {
        beside.extend_from_slice(&options.beside);
    }
    let mut files = canon::decode_files(files).map_err(|e| WorkshopError::Rules(e.to_string()))?;
    files.append(&mut beside);
    workshop.rules(&files)
}
