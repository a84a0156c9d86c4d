//! Why something was done, and why something was not.
//!
//! | file | what it holds |
//! |---|---|
//! | [`chain`] | from a command back to the sensor frames that it came of |
//! | [`nearest`] | a rule that did nothing: how near each of its conditions came |
//! | `misses` | how near, in words: in space, time, identity and sensor health |
//!
//! What was recorded with a command is told as it was; what the code finds out today, by running it again along the
//! recording, is told as that. Every link says which of the two it is.

pub mod chain;
mod misses;
pub mod nearest;

use crate::drive::WorkshopError;
use crate::drive::walk::WalkError;
use crate::trace::recording::RecordingError;
use osmose_model::command::CommandId;
use osmose_model::ids::Seq;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// The file or folder is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The core cannot be run along it.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// Its site or rules do not load.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// The disk refused.
    #[error("the trace cannot be read on: {0}")]
    Io(#[from] std::io::Error),
    /// No id of a command.
    #[error("{0:?} is no command's id: ids look like 482.0, as `osmose replay --commands` and the devices show them")]
    Id(String),
    /// No such command.
    #[error("there is no command {id} in this trace{near}")]
    NoCommand {
        /// Which.
        id: String,
        /// What there is instead.
        near: String,
    },
    /// No such rule.
    #[error("the trace's rules have no rule {name:?}; they are {known}")]
    NoRule {
        /// Which.
        name: String,
        /// The rules there are.
        known: String,
    },
    /// The instant is not in the trace, or behind a hole.
    #[error("at {0} s the state is not known: the trace has a hole there, or does not reach so far")]
    NotKnown(osmose_model::time::LogicalNs),
}

/// Reads the id of a command: `482.0`.
///
/// # Errors
/// [`WhyError::Id`].
pub fn parse_id(text: &str) -> Result<CommandId, WhyError> {
    let parts = text.trim().split_once('.').and_then(|(seq, n)| Some((seq.parse().ok()?, n.parse().ok()?)));
    let (seq, n) = parts.ok_or_else(|| WhyError::Id(text.to_owned()))?;
    Ok(CommandId { seq: Seq(seq), n })
}
