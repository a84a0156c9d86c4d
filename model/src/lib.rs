//! The nouns that every part of Osmose shares.
//!
//! Data flows sensors → fusion → rules → actuators, and each stage knows this crate and not the others:
//!
//! | file | what it holds |
//! |---|---|
//! | [`time`] | the four time domains, and seconds as text ↔ integer nanoseconds |
//! | [`ids`] | newtypes for everything that has a number |
//! | [`geometry`] | points, polygons, segments, [`geometry::Place`] |
//! | [`site`] | the resolved site: levels, zones, walls, people (`site.rs`), devices (`device.rs`) |
//! | `plain.rs` | sites built in code: what things are where the files say nothing |
//! | [`observation`] | what a sensor says |
//! | [`health`] | how well a sensor agrees with the others |
//! | [`radio`] | radio maps |
//! | [`input`] | all that can reach the core, and its place in the one total order |
//! | [`canon`] | the canonical bytes of an input and of a decision: what is journaled and digested |
//! | [`world`] | what fusion tells the rules: events, occupants, the [`world::WorldView`] |
//! | [`command`] | what rules ask for, what leaves, and its recorded cause |
//! | [`stages`] | what the core asks of fusion, rules and arbitration: three traits |
//! | [`limits`] | a bound on everything |
//!
//! The crate does no I/O and knows no clock; floats are IEEE doubles and never NaN once inside.
#![forbid(unsafe_code)]

pub mod canon;
pub mod command;
pub mod device;
pub mod digest;
pub mod geometry;
pub mod health;
pub mod ids;
pub mod input;
pub mod limits;
pub mod observation;
mod plain;
pub mod radio;
pub mod site;
pub mod stages;
pub mod time;
pub mod tri;
pub mod world;
