//! Fusion: from what sensors say to who is where.
//!
//! A pure library: no clock, file, thread, socket, environment or random source; time is an argument, and the same calls
//! give the same bits on every run of one processor architecture.
//!
//! - [`tracker`]: anonymous position detections of any number of sensors, in scans, to tracks of people. It depends on no
//!   other part of Osmose and may be used on its own.
#![forbid(unsafe_code)]

pub mod tracker;
