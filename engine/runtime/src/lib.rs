//! The engine in real time: sockets, rings, the journal ring, pinned threads and deadlines round the pure core.
//!
//! | file | what it holds |
//! |---|---|
//! | [`fused`] | the composition for one and two cores: one pinned thread, one beside it |
//! | [`ingress`] | sockets → lanes |
//! | [`lane`] | the lock-free queue between a socket and the sequencer |
//! | [`journal`] | the mapped ring that holds every input before its effects leave |
//! | [`egress`] | commands → datagrams |
//! | [`logs`] | commands as lines, events as JSON lines |
//! | [`tap`] | the way to the side: recording, state, logs |
//! | [`cores`], [`clock`] | the machine's processors and clocks |
#![deny(unsafe_code)]

pub mod clock;
pub mod cores;
pub mod egress;
pub mod fused;
pub mod ingress;
pub mod journal;
pub mod lane;
pub mod logs;
pub mod tap;
