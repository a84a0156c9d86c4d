//! The engine in real time: sockets, rings, the journal ring, pinned threads and deadlines round the pure core.
#![deny(unsafe_code)]

pub mod clock;
pub mod journal;
pub mod lane;
pub mod tap;
