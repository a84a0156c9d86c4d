//! Fusion: from what sensors say to who is where.
//!
//! A pure library: no clock, file, thread, socket, environment or random source; time is an argument, and the same calls
//! give the same bits on every run of one processor architecture.
//!
//! - [`Fusion`]: the stage that the core runs (`osmose_model::stages::Fuse`): carried devices as located, people as
//!   tracked, their zones and identities, how the sensors are doing; and spatial questions ([`Hit`]).
//! - [`tracker`]: anonymous position detections of any number of sensors, in scans, to tracks of people. It depends on no
//!   other part of Osmose and may be used on its own.
//!
//! | file | what it holds |
//! |---|---|
//! | `fuse.rs` | one step: an observation or an instant in, stimuli out |
//! | `occupants.rs` | who is there, and every index over them |
//! | `membership.rs` | who is in which zone: margins, delays |
//! | `plan.rs`, `nearby.rs` | zones in a grid and walls in an R-tree, which stand still |
//! | `index.rs` | occupants in R-trees with enlarged boxes |
//! | `badges.rs` | who showed a badge at a reader |
//! | `identity.rs` | beliefs, and what is left of them after people met |
//! | `carried.rs` | carried devices: by the best that is known of them |
//! | `ranging.rs`, `slant.rs`, `begin.rs` | by ranges and their differences, with height and biases |
//! | `rssi.rs`, `cloud.rs` | by received strength: path loss, radio maps, a mixture of Gaussians |
//! | `bearing.rs` | directions of devices and of somebody |
//! | `calibration.rs` | what each sensor is worth: noise, bias, clock |
//! | `people.rs` | other people on a running engine |
//! | `merge.rs`, `bearers.rs` | which track carries which device: the two as one occupant |
//! | `positions.rs` | position scans through [`tracker`] |
//! | `doors.rs` | how many are in a zone, by crossings and counters |
//! | `voices.rs` | whose a voice, a gesture, a facing is |
//! | `points.rs` | radar clouds to scans |
//! | `presence.rs` | how likely somebody is in a zone, by its two-state sensors |
//! | `sensors.rs` | readings, who is alive, what a zone's sensors say |
//! | `levels.rs` | who goes on, on another level, by stairs or lift |
//! | `query.rs` | near, in a region, in a beam, in sight |
//! | `late.rs`, `history.rs` | late observations in their place: the state goes back and runs again |
//! | `snapshot.rs`, `order.rs`, `births.rs` | what it goes back to, in which order it runs, under which numbers |
//! | `difference.rs` | what a re-run changed, said |
//! | `save.rs` | save and restore |
//! | `deadlines.rs`, `keys.rs`, `sink.rs` | what is due first; slots by key; stimuli within their limit |
#![forbid(unsafe_code)]

mod badges;
mod bearers;
mod bearing;
mod begin;
mod births;
mod calibration;
mod carried;
mod cloud;
mod deadlines;
mod difference;
mod doors;
mod fuse;
mod history;
mod identity;
mod in_place;
mod index;
mod keys;
mod late;
mod levels;
mod membership;
mod merge;
mod nearby;
mod occupants;
mod order;
mod people;
mod plan;
mod points;
mod positions;
mod presence;
mod query;
mod ranging;
mod rssi;
mod rtree;
mod save;
mod sensors;
mod sink;
mod slant;
mod snapshot;
mod surely;
pub mod tracker;
mod voices;

pub use doors::{PEOPLE_MAX, People};
pub use fuse::{Counts, Fusion};
pub use identity::{CANDIDATES_MAX, Posterior};
pub use presence::ZonePresence;
pub use query::Hit;

/// The examples of `README.md`, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
