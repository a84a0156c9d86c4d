//! What talks to devices: commands as JSON lines, over UDP or as a log for people. Encoders are pure; the I/O is small
//! and counts whatever it could not hand over.
//!
//! | file | what it holds |
//! |---|---|
//! | [`json`] | JSON written straight into a byte vector: exact times, shortest floats, escaped strings |
//! | [`lines`] | a UDP command, a line of `--commands`, a line of `--events` |
//! | [`udp`], `waiting.rs` | commands to their devices' addresses, never blocking; several in one call |
//! | [`log`] | commands as lines for people |
//! | [`recorder`] | sound into files, with a hold-back buffer that a pause can reach into |
//!
//! No encoder allocates in the steady state: each appends to a vector that the caller keeps.
#![forbid(unsafe_code)]

pub mod json;
pub mod lines;
pub mod log;
pub mod recorder;
pub mod udp;
mod waiting;

use osmose_model::ids::RuleId;

/// How a rule's number becomes its name (`osmose_model::stages::Decide::rule_name`, or a table read from a trace).
///
/// ```
/// use osmose_model::ids::RuleId;
/// let table = ["pause-recording".to_owned(), "light-on-entry".to_owned()];
/// let by_table = |r: RuleId| table.get(r.index()).map_or("?", |s| s.as_str());
/// let names: &osmose_drivers::RuleNames<'_> = &by_table;
/// assert_eq!(names(RuleId(1)), "light-on-entry");
/// ```
pub type RuleNames<'a> = dyn Fn(RuleId) -> &'a str + 'a;
