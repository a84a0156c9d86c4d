//! Replay: the same core on the recorded inputs, as fast as it can or at a given speed.
//!
//! | file | what it holds |
//! |---|---|
//! | [`workshop`] | where machines come from |
//! | `run.rs` | the loop: inputs in their order, keyframes, holes; several of them beside each other (`run/relay.rs`) |
//! | [`sinks`] | tracks as CSV, events and commands as JSON lines |
//! | `verify.rs` | recording against replay |
//! | `standing.rs` | both sides' state where they part |
//! | [`walk`] | the core along a recording, for whoever looks on |
//! | [`what_if`] | the recorded commands beside those of other rules or sensors |
//! | `sensors.rs` | how the sensors did |
//! | `ticker.rs` | how far a reading is |
//! | [`summary`] | what was found |
//!
//! A replay never copies recorded decisions: it runs the code. Where the trace has a hole, the state is not known
//! until the next keyframe; what lies between is skipped, counted and declared.

mod names;
mod plot;
mod run;
mod sensors;
pub mod sinks;
mod standing;
pub mod summary;
mod ticker;
mod verify;
pub mod walk;
pub mod what_if;
pub mod workshop;

pub use run::{Options, Replay, ReplayError, Speed, Watch};
pub use sinks::{Names, Sinks, TracksFormat};
pub use summary::{Difference, Hole, HoleKind, Summary, Verdict};
pub(crate) use ticker::Ticker;
pub use workshop::{Osmose, Workshop, WorkshopError};

#[cfg(test)]
mod tests;
