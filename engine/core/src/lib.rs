//! The deterministic step: sequenced input in, commands out.
//!
//! | file | what it holds |
//! |---|---|
//! | [`sequencer`] | the one total order: tags, ticks at due times, which queue's head is next |
//! | [`step`] | one step: fusion → rules → arbitration, digests, save and restore |
//! | [`driver`] | the machine with its sequencer: inputs by arrival in, every step shown to a sink |
//! | [`clock`] | local wall-clock time from recorded anchors |
//! | [`outbox`] | what a step decided |
//!
//! Nothing here takes a clock, a file, a thread, a socket, the environment, a random number or a hash order
//! (`clippy.toml` denies them); given the same inputs with the same tags it does the same, bit for bit, in `inline`
//! and in every threaded topology, in debug and in release.
#![forbid(unsafe_code)]

pub mod clock;
pub mod driver;
pub mod outbox;
pub mod sequencer;
pub mod step;

pub use driver::{CoreDriver, Driver, StepSink};
pub use outbox::Outbox;
pub use sequencer::Sequencer;
pub use step::{Core, Machine, Staged, StagedRules, Stats};

pub use osmose_fusion::Fusion;
pub use osmose_plan::{Plan, fail_safe};
pub use osmose_rules::{Late, Rules};
