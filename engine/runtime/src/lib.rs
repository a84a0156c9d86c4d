//! The engine in real time: sockets, rings, the journal ring, pinned threads and deadlines round the pure core.
//!
//! | file | what it holds |
//! |---|---|
//! | [`engine`] | the composition: which agents run on which threads |
//! | `stepper.rs`, `outputs.rs` | the stepping agent: lanes in, the core, results out |
//! | [`inlet`], [`ingress`] | who fills lanes; sockets → lanes |
//! | [`control`] | what operators do and which rules are installed, and what is left of it |
//! | [`lane`] | the lock-free queue between a socket and the sequencer |
//! | [`journal`] | the mapped ring that holds every input before its effects leave |
//! | [`egress`] | commands → datagrams |
//! | `leases.rs` | when devices are told again what they hold under a lease |
//! | [`logs`] | commands as lines, events as JSON lines |
//! | [`tap`] | the way to the side: recording, state, logs |
//! | `shadow.rs` | the core at the side, which is saved in the place of the one that acts |
//! | [`publish`] | the picture of the world for those who look on |
//! | [`latency`] | deadline accounting: how long, which were late, where the time went |
//! | [`cores`], [`clock`] | the machine's processors and clocks |
#![deny(unsafe_code)]

pub mod clock;
pub mod control;
pub mod cores;
pub mod egress;
pub mod engine;
pub mod ingress;
pub mod inlet;
pub mod journal;
pub mod lane;
pub mod latency;
mod leases;
pub mod logs;
mod outputs;
pub mod publish;
mod shadow;
mod stepper;
pub mod tap;
