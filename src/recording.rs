//! Plugs the trace recorder into the engine's journal thread.

use osmose_model::command::Command;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::Tag;
use osmose_model::world::WorldEvent;
use osmose_replay::record::Recorder;
use osmose_runtime::tap::{Keyframe, Tap};
use std::io::Write;

/// A recorder as a tap.
pub(crate) struct Recording<W: Write>(pub(crate) Recorder<W>);

impl<W: Write + Send> Tap for Recording<W> {
    fn input(&mut self, tag: Tag, canonical: &[u8]) {
        self.0.input(tag, canonical);
    }
    fn event(&mut self, tag: Tag, event: &WorldEvent) {
        self.0.event(tag, event);
    }
    fn command(&mut self, _: Tag, command: &Command) {
        self.0.command(command);
    }
    fn digest(&mut self, seq: Seq, input: Digest, decision: Digest) {
        self.0.digest(seq, input, decision);
    }
    fn keyframe(&mut self, keyframe: &Keyframe) -> bool {
        self.0.keyframe(keyframe.tag, &keyframe.state, keyframe.digests);
        // A recording is no state to restart from: only the state folder says that a keyframe is durable.
        false
    }
    fn gap(&mut self, lost_records: u64) {
        self.0.lost(lost_records);
    }
    fn idle(&mut self) {
        self.0.poll_flush();
    }
    fn finish(&mut self) {
        self.0.end();
        if let Some(error) = self.0.failed() {
            tracing::error!(%error, "the recording is not whole");
        }
    }
}
