//! Surveying a floor plan before anything runs on it: from the files that people have to a site's own plan, placed on
//! the ground by control points, and with its faults named where they are.
//!
//! A plan is read by the one loader (`osmose-load`) whatever its format; this crate brings it the formats that it does
//! not know, moves what it resolved, writes it down again, and looks at it as somebody would who has to walk it.
//!
//! | file | what it does |
//! |---|---|
//! | `hand_over` | a folder, an archive, GeoJSON or YAML as the files of a site |
//! | `archive` | the members of a zip archive, within limits |
//! | `yaml` | polygons in metres, written as YAML: `tree` reads any YAML within limits, `plan` knows the words |
//! | `control` | control points: the same place in the plan and on the ground |
//! | `fit` | rigid, similarity and affine maps by least squares, with what remains at each point |
//! | `ground` | a plan moved by a fit, and the frame that site.toml then needs |
//! | `names` | ids that rules can spell |
//! | `write` | a resolved plan as GeoJSON in metres |
//! | `faults` | rooms without doors, overlaps, gaps, doors to nowhere, what cannot be reached, idle sensors |
#![forbid(unsafe_code)]

mod archive;
pub mod control;
pub mod faults;
pub mod fit;
pub mod ground;
mod hand_over;
mod names;
mod write;
mod yaml;

pub use hand_over::{Form, Handed, from_bytes, hand_over};
pub use names::make_readable;
pub use write::write;

use osmose_load::{Fault, Severity};

/// A fault of a file as a whole.
pub(crate) fn fault(code: &'static str, file: &str, message: impl Into<String>, help: &str) -> Box<Fault> {
    at_line(code, file, None, message, help)
}

/// A fault at a line and column, from 1.
pub(crate) fn at_line(
    code: &'static str,
    file: &str,
    at: Option<(u32, u32)>,
    message: impl Into<String>,
    help: &str,
) -> Box<Fault> {
    Box::new(Fault {
        severity: Severity::Error,
        code,
        file: file.to_owned(),
        line: at.map(|(line, _)| line),
        column: at.map(|(_, column)| column),
        feature: None,
        message: message.into(),
        help: help.to_owned(),
    })
}
