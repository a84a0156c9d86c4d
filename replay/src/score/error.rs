//! What can be wrong with a score's inputs, each with the file, the line and the way to mend it.

/// Why nothing could be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// The file could not be opened or read.
    #[error("{file} cannot be read: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row is not text, or not CSV.
    #[error("{file}:{line}: this is not a row of a CSV file in UTF-8: {source}")]
    Csv {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What the reader said.
        source: csv::Error,
    },
    /// The header lacks a column of the truth.
    #[error("{file}:1: the header has no column `{column}`; truth has the columns t,id,x,y and, if wanted, level")]
    TruthColumn {
        /// The file.
        file: String,
        /// The column that is not there.
        column: &'static str,
    },
    /// The header is neither of the two that tracks may have.
    #[error(
        "{file}:1: the header has no column `{column}`; tracks have the columns t_s,track,x_m,y_m (and person, level), \
         or t,track_id,x,y (and identity, level)"
    )]
    TrackColumn {
        /// The file.
        file: String,
        /// The column that is not there.
        column: &'static str,
    },
    /// A label that may not be empty is empty, or the row ends before it.
    #[error("{file}:{line}: `{column}` is empty; give every row one")]
    Empty {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
    },
    /// A value is no number, or not a finite one, or a time too far off to count in milliseconds.
    #[error("{file}:{line}: `{column}` is `{value}`, but a finite number belongs there")]
    Number {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// The truth has no rows.
    #[error("{file} has a header but no rows: without truth there is nothing to score against")]
    NoTruth {
        /// The file.
        file: String,
    },
    /// Scoring by person was asked for, and the tracks name none.
    #[error(
        "{file} has no column `person` (or `identity`), so its rows cannot be labelled by person; score with `--ids track`"
    )]
    NoPersonColumn {
        /// The file.
        file: String,
    },
    /// An option is out of its range.
    #[error("{option} is {value}, but it must be {range}")]
    Option {
        /// Which option.
        option: &'static str,
        /// What was given.
        value: f64,
        /// What may be given.
        range: &'static str,
    },
    /// The skipped time covers the whole truth.
    #[error("skipping the first {skip_s} s leaves nothing of {file}, whose rows span {span_s} s")]
    AllSkipped {
        /// The truth's file.
        file: String,
        /// Skipped, in seconds.
        skip_s: f64,
        /// First to last time of the truth, in seconds.
        span_s: f64,
    },
}
