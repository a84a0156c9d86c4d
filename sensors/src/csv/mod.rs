//! Recorded rows to observations: `osmose import`.
//!
//! | file | what it holds |
//! |---|---|
//! | [`columns`] | a header to columns, by name |
//! | [`reader`] | one file: rows to scans, and when each arrived |
//! | [`merge`] | several files, by arrival, through the same checks as live data |
//!
//! Rows of one sensor that stand together and have the same `t_s` are one scan; a row with empty values is a scan that
//! saw nothing. Within a file order is kept, so a late row stays late: it arrives at `arrival_t_s`, else at the running
//! maximum of `t_s`. Times become integer nanoseconds and never pass through a float.

pub mod columns;
pub mod merge;
pub mod reader;

use osmose_model::device::SensorKind;

/// Why a file, or a set of files, cannot be read at all. (A row that cannot be used is counted, and reading goes on.)
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// There is no header.
    #[error("{file}: the file is empty: its first line is to be a header, such as `{want}`")]
    Empty {
        /// The file.
        file: String,
        /// A header of its kind.
        want: String,
    },
    /// A column of the header is none that the kind has.
    #[error("{file}: line 1: a {kind} file has no column `{column}`; it has {want}")]
    UnknownColumn {
        /// The file.
        file: String,
        /// Its kind.
        kind: SensorKind,
        /// The column.
        column: String,
        /// The header of its kind.
        want: String,
    },
    /// A column that the kind needs is not there.
    #[error("{file}: line 1: a {kind} file needs the column `{column}`; its header is {want}")]
    MissingColumn {
        /// The file.
        file: String,
        /// Its kind.
        kind: SensorKind,
        /// The column.
        column: &'static str,
        /// The header of its kind.
        want: String,
    },
    /// A column stands twice.
    #[error("{file}: line 1: the column `{column}` stands twice")]
    TwiceColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// The file cannot be read.
    #[error("{file}: line {line}: {source}")]
    Read {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// Why.
        source: csv::Error,
    },
    /// Unix times in one file, seconds of a recording in another.
    #[error(
        "{unix} has Unix times and {relative} has seconds from a start: give `--epoch` (RFC 3339), the instant at which \
         the seconds are 0"
    )]
    MixedTimes {
        /// A file with Unix times.
        unix: String,
        /// A file with others.
        relative: String,
    },
}

#[cfg(test)]
mod tests;
