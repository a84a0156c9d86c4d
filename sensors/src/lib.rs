//! From bytes to observations.
//!
//! | file | what it holds |
//! |---|---|
//! | [`reason`] | why something a device sent was not taken, each under its own name |
//! | [`carried`] | ids of tags and badges to keys |
//! | [`claim`] | what one item of a body claims, whatever the body is encoded in |
//! | [`resolve`] | claims to observations: checked, placed in site coordinates, names looked up |
//! | [`json`] | JSON bodies through the `map` of devices.toml |
//! | [`native`] | native frames (`docs/wire.md`) |
//! | [`edge`] | one datagram in; observations, reports and what was lost out |
//! | [`mod@csv`] | recorded rows in; the same out |
//! | [`sim`] | the simulated building |
//!
//! Everything here is pure: sockets and files belong to the runtime, and the time of arrival is an argument. In the
//! steady state nothing allocates; what is sent by strangers is bounded by [`osmose_model::limits`].
#![forbid(unsafe_code)]

pub mod carried;
pub mod claim;
pub mod csv;
pub mod edge;
pub mod json;
pub mod native;
pub mod reason;
pub mod resolve;
pub mod sim;

#[cfg(test)]
mod testing;
