//! The core with its sequencer: inputs by arrival in, every step shown to a sink. `inline` is this and nothing else;
//! the threaded topologies run it on their stepping thread; replay runs it with virtual arrivals.

use crate::outbox::Outbox;
use crate::sequencer::{Sequencer, in_time};
use crate::step::Machine;
use osmose_model::canon::{self, CanonError};
use osmose_model::input::{Input, Shed, ShedReason, Tag};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::{Observation, ScanBuf};
use osmose_model::stages::{Arbitrate, Decide, Fuse};
use osmose_model::time::{ArrivalNs, DurationNs};

/// Sees every step: before it (for the journal) and after it (for the outputs).
pub trait StepSink<F, D, A> {
    /// The input has its tag and is about to be stepped: what is journaled here can be replayed even if the step
    /// never returns.
    fn sequenced(&mut self, tag: Tag, canonical: &[u8]);
    /// The step is done; `out` holds what it decided.
    fn decided(&mut self, tag: Tag, input: &Input<'_>, out: &Outbox, machine: &Machine<F, D, A>);
}

/// The driver of the engine's own machine.
pub type CoreDriver = Driver<osmose_fusion::Fusion, osmose_rules::Rules, osmose_plan::Plan>;

/// A machine, its sequencer and the buffers between them.
pub struct Driver<F, D, A> {
    machine: Machine<F, D, A>,
    sequencer: Sequencer,
    out: Outbox,
    canonical: Vec<u8>,
}

impl<F: Fuse, D: Decide, A: Arbitrate> Driver<F, D, A> {
    /// Drives `machine` on from its last tag.
    #[must_use]
    pub fn new(machine: Machine<F, D, A>) -> Self {
        let sequencer = Sequencer::after(machine.last());
        Self { machine, sequencer, out: Outbox::new(), canonical: vec![0; INPUT_BYTES_MAX] }
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &Machine<F, D, A> {
        &self.machine
    }
    /// The machine, to make rules ready or to take a state back between steps.
    pub fn machine_mut(&mut self) -> &mut Machine<F, D, A> {
        &mut self.machine
    }
    /// Gives the machine back.
    #[must_use]
    pub fn into_machine(self) -> Machine<F, D, A> {
        self.machine
    }
    /// Times that a stage asked to be woken again and again at one instant and was not heard.
    #[must_use]
    pub fn stuck(&self) -> u64 {
        self.sequencer.stuck()
    }

    /// Emits every tick that is due by `until`.
    pub fn run_until(&mut self, until: ArrivalNs, sink: &mut impl StepSink<F, D, A>) {
        while let Some(tag) = self.sequencer.tick(self.machine.next_wakeup(), until) {
            self.step_encoded(tag, &Input::Tick, sink);
        }
    }

    /// Takes one input in that arrived at `arrival`: due ticks first, then itself. An observation that is too old by
    /// now enters as [`ShedReason::TooLate`] instead.
    pub fn feed(&mut self, arrival: ArrivalNs, input: &Input<'_>, sink: &mut impl StepSink<F, D, A>) {
        self.run_until(arrival, sink);
        let tag = self.sequencer.tag(arrival);
        match self.too_late(tag, input) {
            Some(shed) => self.step_encoded(tag, &Input::Shed(shed), sink),
            None => self.step_encoded(tag, input, sink),
        }
    }

    /// The same for an input whose canonical bytes the caller has; decoding fills `scan`.
    ///
    /// An observation that is stamped on arrival and was overtaken (by a more urgent one, or by another thread's) is taken
    /// to be true now: when exactly it was nobody knows, and in its old place it would make fusion go back for nothing.
    ///
    /// # Errors
    /// [`CanonError`] where the bytes are no input; nothing was stepped then.
    pub fn feed_canonical(
        &mut self,
        arrival: ArrivalNs,
        canonical: &[u8],
        scan: &mut ScanBuf,
        sink: &mut impl StepSink<F, D, A>,
    ) -> Result<(), CanonError> {
        let input = canon::decode_input(canonical, scan)?;
        let last = self.machine.last().at;
        if let Input::Observation(o) = input
            && o.measured.0 == arrival.0
            && o.measured < last
        {
            // A nanosecond behind what overtook it, so that several of them keep their order.
            let now = ArrivalNs(last.0.saturating_add(1));
            self.run_until(now, sink);
            let tag = self.sequencer.tag(now);
            self.step_encoded(tag, &Input::Observation(Observation { measured: tag.at, ..o }), sink);
            return Ok(());
        }
        self.run_until(arrival, sink);
        let tag = self.sequencer.tag(arrival);
        match self.too_late(tag, &input) {
            Some(shed) => self.step_encoded(tag, &Input::Shed(shed), sink),
            None => self.step_canonical(tag, &input, canonical, sink),
        }
        Ok(())
    }

    fn too_late(&self, tag: Tag, input: &Input<'_>) -> Option<Shed> {
        let o = input.observation()?;
        let site = self.machine.site();
        // A source that is always late may be as late as it declares on top of what all may: fusion sorts it in.
        let expected = site.sensors.get(o.sensor.index()).map_or(0, |s| s.expect_late.0);
        let late_max = DurationNs(site.engine.late_max.0.saturating_add(expected));
        let fits = in_time(tag, o.measured, late_max);
        (!fits).then_some(Shed { sensor: o.sensor, count: 1, reason: ShedReason::TooLate })
    }

    fn step_encoded(&mut self, tag: Tag, input: &Input<'_>, sink: &mut impl StepSink<F, D, A>) {
        let mut buffer = std::mem::take(&mut self.canonical);
        let len = crate::step::encode_growing(input, &mut buffer);
        self.step_canonical(tag, input, &buffer[..len], sink);
        self.canonical = buffer;
    }

    fn step_canonical(&mut self, tag: Tag, input: &Input<'_>, bytes: &[u8], sink: &mut impl StepSink<F, D, A>) {
        sink.sequenced(tag, bytes);
        self.machine.step_canonical(tag, input, bytes, &mut self.out);
        sink.decided(tag, input, &self.out, &self.machine);
    }
}
