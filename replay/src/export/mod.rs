//! A trace for other programs: spreadsheets, maps, timelines, robot viewers.
//!
//! | file | what it holds |
//! |---|---|
//! | [`tables`] | CSV: what sensors said, in the form that `osmose import` reads; events; commands |
//! | [`map`] | GeoJSON: where each track went |
//! | [`perfetto`] | the way of each command through the engine, on a timeline |
//! | [`foxglove`] | people, plan and log, as Foxglove and Lichtblick show them |
//! | `readers.rs` | tests: what those programs' own messages make of it |

pub mod foxglove;
pub mod map;
pub mod perfetto;
#[cfg(test)]
mod readers;
pub mod tables;

use crate::drive::walk::WalkError;
use crate::drive::{ReplayError, WorkshopError};
use crate::trace::recording::RecordingError;
use std::path::PathBuf;

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file or folder is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Its site does not load.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// The state that it begins with cannot be taken back.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// Its inputs cannot be run.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A file cannot be written.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The trace cannot be read, or the disk is full.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The MCAP writer refused.
    #[error("{0}")]
    Mcap(#[from] mcap::McapError),
}
