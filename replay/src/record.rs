//! Records what the engine did into a trace: the agent that plugs into the journal thread, and the same for a core
//! that runs in the caller's thread.
//!
//! The engine does not know the trace format. It shows its journal ([`Tap`]); here it becomes a
//! file. A disk that refuses stops the recording, not the engine: the refusal is kept, and said once.

use crate::trace::codec::{Encoder, Latency, NameOf, NameRecord, RECORDER_LOST};
use crate::trace::format::{Meta, Topic};
use crate::trace::write::{Packing, TraceWriter, WriteError};
use osmose_core::{Machine, Outbox, StepSink};
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::stages::{Arbitrate, Decide, Fuse};
use osmose_model::world::WorldEvent;
use osmose_runtime::tap::{Keyframe, Tap, Timing};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Inputs between two looks at the time while nothing idles.
const FLUSH_LOOK_EVERY: u64 = 256;

/// Writes the log of a running engine into a trace.
pub struct Recorder<W: Write> {
    /// `None` once the disk refused.
    writer: Option<TraceWriter<W>>,
    encoder: Encoder,
    scan: ScanBuf,
    last: Tag,
    failed: Option<WriteError>,
    unreadable: u64,
    begun: Instant,
}

impl Recorder<BufWriter<File>> {
    /// Begins the file `path` with the head `meta` and the site's files.
    ///
    /// # Errors
    /// [`WriteError`]; an existing file is one.
    pub fn create(path: &Path, meta: &Meta, files: &[SourceFile], packing: Packing) -> Result<Self, WriteError> {
        Ok(Self::new(TraceWriter::create(path, meta, files, &Encoder::schemas(), packing)?))
    }
}

impl<W: Write> Recorder<W> {
    /// Records into a trace that was begun.
    #[must_use]
    pub fn new(writer: TraceWriter<W>) -> Self {
        Self {
            writer: Some(writer),
            encoder: Encoder::default(),
            scan: ScanBuf::new(),
            last: Tag::default(),
            failed: None,
            unreadable: 0,
            begun: Instant::now(),
        }
    }

    /// Why the recording stopped before its end, where it did.
    #[must_use]
    pub fn failed(&self) -> Option<&WriteError> {
        self.failed.as_ref()
    }

    /// Inputs whose canonical bytes could not be read back: 0, unless the engine is wrong.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn keep(&mut self, result: Result<(), WriteError>) {
        if let Err(error) = result {
            tracing::error!(%error, "the recording ends here; the engine runs on");
            self.writer = None;
            self.failed.get_or_insert(error);
        }
    }

    /// An input entered the core.
    pub fn input(&mut self, tag: Tag, canonical: &[u8]) {
        self.last = tag;
        let Some(writer) = &mut self.writer else { return };
        let result = match canon::decode_input(canonical, &mut self.scan) {
            Ok(input) => {
                let measured = input.observation().map_or(tag.at, |o| o.measured);
                let noted = match input {
                    Input::RulesInstalled { .. } => writer.note_install(tag.seq),
                    _ => Ok(()),
                };
                noted.and_then(|()| {
                    writer.append(Topic::Input, tag.at, measured, tag.seq, self.encoder.input(tag, &input))
                })
            }
            Err(_) => {
                self.unreadable += 1;
                Ok(())
            }
        };
        self.keep(result);
    }

    /// It made an event.
    pub fn event(&mut self, tag: Tag, event: &WorldEvent) {
        let Some(writer) = &mut self.writer else { return };
        let result = writer.append(Topic::Event, tag.at, event.measured, tag.seq, self.encoder.event(tag, event));
        self.keep(result);
    }

    /// It made a command.
    pub fn command(&mut self, command: &Command) {
        let Some(writer) = &mut self.writer else { return };
        let measured = command.cause.measured.unwrap_or(command.at);
        let result = writer.append(Topic::Command, command.at, measured, command.id.seq, self.encoder.command(command));
        self.keep(result);
    }

    /// Both digests after an input.
    pub fn digest(&mut self, seq: Seq, input: Digest, decision: Digest) {
        let Some(writer) = &mut self.writer else { return };
        let at = self.last.at;
        let result = writer.append(Topic::Digest, at, at, seq, self.encoder.digest(seq, input, decision));
        self.keep(result);
    }

    /// The whole state after an input, and both digests with it.
    pub fn keyframe(&mut self, tag: Tag, state: &[u8], digests: (Digest, Digest)) {
        // A state of an input that was not shown yet begins a trace of a resumed log.
        self.last = self.last.max(tag);
        self.digest(tag.seq, digests.0, digests.1);
        let Some(writer) = &mut self.writer else { return };
        let at = self.last.at;
        let result = writer.append(Topic::Keyframe, at, tag.at, tag.seq, self.encoder.keyframe(tag, state));
        self.keep(result);
    }

    /// What a number of this trace stands for: for readers that do not load its site and rules.
    pub fn name(&mut self, of: NameOf, id: u64, text: &str) {
        let Some(writer) = &mut self.writer else { return };
        let (at, seq) = (self.last.at, self.last.seq);
        let payload = self.encoder.name(&NameRecord { of, id, text });
        let result = writer.append(Topic::Name, at, at, seq, payload);
        self.keep(result);
    }

    /// How long each hop of a step that sent commands took: one record each, with the step's own number. Host times
    /// never reach the core, so they are records beside the decisions and no part of a digest.
    pub fn timing(&mut self, tag: Tag, timing: &Timing) {
        let Timing { received, read, step_start, step_end, sent } = *timing;
        for (hop, from, to) in [
            ("kernel to read", received, read),
            ("read to step", read, step_start),
            ("step", step_start, step_end),
            ("step to sent", step_end, sent),
        ] {
            let Some(writer) = &mut self.writer else { return };
            // The stamps are of one clock; two taken in one tick of it are equal.
            let ns = u64::try_from(to.since(from).0).unwrap_or(0);
            let (p50_ns, p90_ns, p99_ns, p999_ns) = (ns, ns, ns, ns);
            let latency = Latency { at: tag.at, hop, count: 1, p50_ns, p90_ns, p99_ns, p999_ns, max_ns: ns, beyond: 0 };
            let result = writer.append(Topic::Latency, tag.at, tag.at, tag.seq, self.encoder.latency(&latency));
            self.keep(result);
        }
    }

    /// The recorder could not keep up: this many records are not in the trace.
    pub fn lost(&mut self, records: u64) {
        let Some(writer) = &mut self.writer else { return };
        let (at, seq) = (self.last.at, self.last.seq);
        let payload = self.encoder.counter(at, "recorder", RECORDER_LOST, records);
        let result = writer.append(Topic::Counter, at, at, seq, payload);
        self.keep(result);
    }

    /// Hands what waits to the operating system where it waited long enough; to be called at least every 50 ms.
    pub fn poll_flush(&mut self) {
        let now_ns = i64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(i64::MAX);
        if let Some(writer) = &mut self.writer {
            let result = writer.poll_flush(now_ns).map(drop);
            self.keep(result);
        }
    }

    /// Hands all that waits to the operating system now, as one chunk.
    pub fn flush(&mut self) {
        if let Some(writer) = &mut self.writer {
            let result = writer.flush();
            self.keep(result);
        }
    }

    /// Ends the trace with its index, and gives back what was written to.
    ///
    /// # Errors
    /// Why the recording stopped before, or why it cannot be ended.
    pub fn finish(mut self) -> Result<W, WriteError> {
        match (self.writer.take(), self.failed.take()) {
            (_, Some(e)) => Err(e),
            (Some(writer), None) => writer.finish(),
            (None, None) => Err(WriteError::Ended),
        }
    }

    /// Ends the trace with its index; later records are dropped.
    pub fn end(&mut self) {
        if let Some(writer) = self.writer.take() {
            let result = writer.finish().map(drop);
            self.keep(result);
        }
    }
}

/// Records a core that runs in the caller's thread (`inline`, `simulate`): everything, and a keyframe every so often.
pub struct InlineRecorder<W: Write> {
    recorder: Recorder<W>,
    keyframe_every: u64,
    since: u64,
    state: Vec<u8>,
}

impl<W: Write> InlineRecorder<W> {
    /// Records with a keyframe behind every `keyframe_every`-th input (0: none).
    #[must_use]
    pub fn new(recorder: Recorder<W>, keyframe_every: u64) -> Self {
        Self { recorder, keyframe_every, since: 0, state: Vec::new() }
    }

    /// Gives the recorder back, to end the trace.
    #[must_use]
    pub fn into_inner(self) -> Recorder<W> {
        self.recorder
    }
}

impl<F: Fuse, D: Decide, A: Arbitrate, W: Write> StepSink<F, D, A> for InlineRecorder<W> {
    fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
        self.recorder.input(tag, canonical);
    }

    fn decided(&mut self, tag: Tag, _: &Input<'_>, out: &Outbox, machine: &Machine<F, D, A>) {
        out.events.iter().for_each(|e| self.recorder.event(tag, e));
        out.commands.iter().for_each(|c| self.recorder.command(c));
        let digests = (machine.input_digest(), machine.decision_digest());
        self.since += 1;
        if self.keyframe_every > 0 && self.since >= self.keyframe_every {
            self.since = 0;
            self.state.clear();
            machine.save(&mut self.state);
            self.recorder.keyframe(tag, &self.state, digests);
        } else if !out.events.is_empty() || !out.commands.is_empty() {
            self.recorder.digest(tag.seq, digests.0, digests.1);
        }
    }
}

/// The recording agent of a running engine.
impl<W: Write + Send> Tap for Recorder<W> {
    fn input(&mut self, tag: Tag, canonical: &[u8]) {
        Self::input(self, tag, canonical);
        // A side that never idles must not keep records back either.
        if tag.seq.0.is_multiple_of(FLUSH_LOOK_EVERY) {
            self.poll_flush();
        }
    }

    fn event(&mut self, tag: Tag, event: &WorldEvent) {
        Self::event(self, tag, event);
    }

    fn command(&mut self, _: Tag, command: &Command) {
        Self::command(self, command);
    }

    fn timing(&mut self, tag: Tag, timing: Timing) {
        Self::timing(self, tag, &timing);
    }

    fn digest(&mut self, seq: Seq, input: Digest, decision: Digest) {
        Self::digest(self, seq, input, decision);
    }

    fn wants_keyframes(&self) -> bool {
        true
    }

    fn keyframe(&mut self, keyframe: &Keyframe) -> bool {
        Self::keyframe(self, keyframe.tag, &keyframe.state, keyframe.digests);
        // A recording does not make the state durable: that is the state folder's.
        false
    }

    fn gap(&mut self, lost_records: u64) {
        self.lost(lost_records);
    }

    fn idle(&mut self) {
        self.poll_flush();
    }

    fn finish(&mut self) {
        self.end();
    }
}
