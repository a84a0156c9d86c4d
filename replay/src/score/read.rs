//! Truth and tracks from CSV: rows by integer millisecond, labels as small numbers, every fault with its line.
//!
//! Text times become milliseconds by rounding `t * 1000` half to even, as the reference scorer does: 0.1 s steps that were
//! written with float noise (`0.30000000000000004`) still meet. Rows of one time keep the order of the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::ScoreError;
use osmose_model::time::LogicalNs;

/// Times beyond this many milliseconds are not exact as f64, and no clock shows them.
const TIME_MAX_MS: f64 = 9.0e15;

/// Texts numbered in the order of their first appearance.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    texts: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Names {
    /// The number of `text`, a new one if it is new.
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// The number of `text`, if it has one.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// All texts, by number.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// One person of the truth at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct TruthRow {
    pub(super) id: u32,
    pub(super) x_m: f64,
    pub(super) y_m: f64,
    pub(super) level: Option<u32>,
}

/// One track at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackRow {
    pub(super) track: u32,
    pub(super) person: Option<u32>,
    pub(super) x_m: f64,
    pub(super) y_m: f64,
    pub(super) level: Option<u32>,
}

/// Where people really were: rows `t,id,x,y[,level]`, seconds and metres.
#[derive(Clone, Debug)]
pub struct Truth {
    pub(super) file: String,
    pub(super) frames: BTreeMap<i64, Vec<TruthRow>>,
    pub(super) ids: Names,
    pub(super) levels: Names,
}

/// One row of a truth, as it is in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthAt<'t> {
    /// When, milliseconds of the log.
    pub time_ms: i64,
    /// Who.
    pub id: &'t str,
    /// East, site metres.
    pub x_m: f64,
    /// North, site metres.
    pub y_m: f64,
    /// On which level, where the file says so.
    pub level: Option<&'t str>,
}

impl Truth {
    /// Every row, by time.
    pub fn rows(&self) -> impl Iterator<Item = TruthAt<'_>> {
        self.frames.iter().flat_map(move |(time_ms, rows)| {
            rows.iter().map(move |row| TruthAt {
                time_ms: *time_ms,
                id: &self.ids.texts()[row.id as usize],
                x_m: row.x_m,
                y_m: row.y_m,
                level: row.level.map(|l| self.levels.texts()[l as usize].as_str()),
            })
        })
    }
}

/// Where a tracker put them, and who it took them for.
#[derive(Clone, Debug)]
pub struct Tracks {
    pub(super) file: String,
    pub(super) frames: BTreeMap<i64, Vec<TrackRow>>,
    pub(super) tracks: Names,
    pub(super) persons: Names,
    pub(super) levels: Names,
    pub(super) has_person_column: bool,
}

/// Reads a truth file.
///
/// # Errors
/// The file cannot be read, has no such columns, no rows, or a row with an empty id or something else than a finite number.
pub fn load_truth(path: &Path) -> Result<Truth, ScoreError> {
    read_truth(open(path)?, &path.display().to_string())
}

/// Reads truth from any reader; `name` stands for the file in errors.
///
/// # Errors
/// As [`load_truth`].
pub fn read_truth(reader: impl Read, name: &str) -> Result<Truth, ScoreError> {
    let mut table = Table::new(reader, name)?;
    let need = |table: &Table<_>, column| {
        table.column(column).ok_or_else(|| ScoreError::TruthColumn { file: name.to_owned(), column: column.0 })
    };
    let (t, id) = (need(&table, Column("t"))?, need(&table, Column("id"))?);
    let (x, y) = (need(&table, Column("x"))?, need(&table, Column("y"))?);
    let level = table.column(Column("level"));
    let mut truth =
        Truth { file: name.to_owned(), frames: BTreeMap::new(), ids: Names::default(), levels: Names::default() };
    while table.next()? {
        let time_ms = table.time_ms(t)?;
        let row = TruthRow {
            id: truth.ids.number(table.label(id)?),
            x_m: table.number(x)?,
            y_m: table.number(y)?,
            level: level.and_then(|at| table.optional(at)).map(|text| truth.levels.number(text)),
        };
        truth.frames.entry(time_ms).or_default().push(row);
    }
    if truth.frames.is_empty() { Err(ScoreError::NoTruth { file: name.to_owned() }) } else { Ok(truth) }
}

/// Reads a track file, whose header is `t_s,track,x_m,y_m,vx_mps,vy_mps,person,person_p,z_m,level` or `t,track_id,x,y,identity`.
///
/// Only the first four columns must be there; others are looked up by name, and those that a score does not need are passed over.
///
/// # Errors
/// The file cannot be read, has neither header, or a row with an empty track or something else than a finite number.
pub fn load_tracks(path: &Path) -> Result<Tracks, ScoreError> {
    read_tracks(open(path)?, &path.display().to_string())
}

/// Reads tracks from any reader; `name` stands for the file in errors.
///
/// # Errors
/// As [`load_tracks`].
pub fn read_tracks(reader: impl Read, name: &str) -> Result<Tracks, ScoreError> {
    let mut table = Table::new(reader, name)?;
    // One column that only the `eval` header has settles which of the two this is.
    let eval = table.column(Column("track_id")).is_some();
    let names = if eval { ["t", "track_id", "x", "y", "identity"] } else { ["t_s", "track", "x_m", "y_m", "person"] };
    let need = |table: &Table<_>, column| {
        table.column(Column(column)).ok_or_else(|| ScoreError::TrackColumn { file: name.to_owned(), column })
    };
    let (t, track) = (need(&table, names[0])?, need(&table, names[1])?);
    let (x, y) = (need(&table, names[2])?, need(&table, names[3])?);
    let person = table.column(Column(names[4]));
    let level = table.column(Column("level"));
    let mut tracks = Tracks {
        file: name.to_owned(),
        frames: BTreeMap::new(),
        tracks: Names::default(),
        persons: Names::default(),
        levels: Names::default(),
        has_person_column: person.is_some(),
    };
    while table.next()? {
        let time_ms = table.time_ms(t)?;
        let row = TrackRow {
            track: tracks.tracks.number(table.label(track)?),
            person: person.and_then(|at| table.optional(at)).map(|text| tracks.persons.number(text)),
            x_m: table.number(x)?,
            y_m: table.number(y)?,
            level: level.and_then(|at| table.optional(at)).map(|text| tracks.levels.number(text)),
        };
        tracks.frames.entry(time_ms).or_default().push(row);
    }
    Ok(tracks)
}

/// The frame, a whole millisecond, that a row of an instant is scored in. Whoever writes rows for a score writes each
/// frame once: two rows of one track in it would count twice.
#[must_use]
pub fn frame_ms(at: LogicalNs) -> i64 {
    frame_of_s(at.0 as f64 / 1e9)
}

fn frame_of_s(time_s: f64) -> i64 {
    (time_s * 1000.0).round_ties_even() as i64
}

fn open(path: &Path) -> Result<File, ScoreError> {
    File::open(path).map_err(|source| ScoreError::Io { file: path.display().to_string(), source })
}

/// A column's name, kept static so that errors can carry it.
#[derive(Clone, Copy)]
struct Column(&'static str);

/// A column that the header has.
#[derive(Clone, Copy)]
struct Place {
    name: &'static str,
    index: usize,
}

/// A CSV file with a header, one row in hand.
struct Table<R> {
    file: String,
    reader: csv::Reader<R>,
    header: csv::StringRecord,
    row: csv::StringRecord,
}

impl<R: Read> Table<R> {
    fn new(reader: R, file: &str) -> Result<Self, ScoreError> {
        // Rows may be shorter or longer than the header: only the columns that are used matter.
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
        let header = reader.headers().map_err(|e| csv_error(file, 1, e))?.clone();
        Ok(Self { file: file.to_owned(), reader, header, row: csv::StringRecord::new() })
    }

    fn column(&self, column: Column) -> Option<Place> {
        self.header.iter().position(|name| name == column.0).map(|index| Place { name: column.0, index })
    }

    /// Moves to the next row; false at the end.
    fn next(&mut self) -> Result<bool, ScoreError> {
        let line = self.reader.position().line();
        self.reader.read_record(&mut self.row).map_err(|e| csv_error(&self.file, line, e))
    }

    fn line(&self) -> u64 {
        self.row.position().map_or(0, csv::Position::line)
    }

    /// The text of a column, `None` where it is empty or the row ends before it.
    fn optional(&self, place: Place) -> Option<&str> {
        self.row.get(place.index).filter(|text| !text.is_empty())
    }

    fn label(&self, place: Place) -> Result<&str, ScoreError> {
        self.optional(place).ok_or_else(|| ScoreError::Empty {
            file: self.file.clone(),
            line: self.line(),
            column: place.name,
        })
    }

    fn number(&self, place: Place) -> Result<f64, ScoreError> {
        let text = self.row.get(place.index).unwrap_or_default();
        match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(self.no_number(place, text)),
        }
    }

    fn time_ms(&self, place: Place) -> Result<i64, ScoreError> {
        let time_s = self.number(place)?;
        if (time_s * 1000.0).abs() > TIME_MAX_MS {
            return Err(self.no_number(place, self.row.get(place.index).unwrap_or_default()));
        }
        Ok(frame_of_s(time_s))
    }

    fn no_number(&self, place: Place, text: &str) -> ScoreError {
        ScoreError::Number { file: self.file.clone(), line: self.line(), column: place.name, value: text.to_owned() }
    }
}

/// A reader's error with the file and line that it happened at (`line` where the error itself knows none).
fn csv_error(file: &str, line: u64, error: csv::Error) -> ScoreError {
    let line = error.position().map_or(line, csv::Position::line);
    if error.is_io_error() {
        return ScoreError::Io { file: file.to_owned(), source: error.into() };
    }
    ScoreError::Csv { file: file.to_owned(), line, source: error }
}
