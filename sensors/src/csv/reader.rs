//! One file: rows to scans, and when each arrived.

use super::CsvError;
use super::columns::{Columns, header, text_at};
use crate::claim::is_scan;
use crate::reason::{Fault, Reason};
use csv::{ByteRecord, ReaderBuilder, Trim};
use osmose_model::device::SensorKind;
use osmose_model::ids::SensorId;
use osmose_model::time::{TimeTextError, parse_decimal_ns};
use std::collections::{BTreeMap, VecDeque};
use std::io::Read;

/// From here on a `t_s` is Unix time: 1e9 seconds, in nanoseconds (September 2001).
const UNIX_FROM_NS: i64 = 1_000_000_000_000_000_000;
/// Line numbers kept for each reason.
const LINES_MAX: usize = 10;

/// Rows refused for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub rows: u64,
    /// The first of their lines (the header is line 1).
    pub lines: Vec<u64>,
    /// What was wrong with the first, and with which field.
    pub first: Option<Fault>,
    /// The name that nobody knows, of the first.
    pub subject: String,
}

/// What became of a file's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub file: String,
    /// Rows read, without the header.
    pub rows: u64,
    /// Rows that went into an observation.
    pub kept: u64,
    /// Rows refused, by reason.
    pub refused: BTreeMap<Reason, Refused>,
    /// Rows taken with a remark (an unknown device), by reason.
    pub remarked: BTreeMap<Reason, u64>,
    /// First and last `t_s` kept, nanoseconds as the file gives them.
    pub span_ns: Option<(i64, i64)>,
}

impl FileReport {
    /// Counts a refused row.
    pub(super) fn refuse(&mut self, line: u64, fault: Fault, subject: &str) {
        let refused = self.refused.entry(fault.reason).or_default();
        refused.rows += 1;
        if refused.lines.len() < LINES_MAX {
            refused.lines.push(line);
        }
        if refused.first.is_none() {
            refused.first = Some(fault);
            refused.subject = subject.to_owned();
        }
    }

    /// Counts a row kept.
    pub(super) fn keep(&mut self, t_ns: i64) {
        self.kept += 1;
        let (first, last) = self.span_ns.unwrap_or((t_ns, t_ns));
        self.span_ns = Some((first.min(t_ns), last.max(t_ns)));
    }
}

/// A row whose time and sensor are known.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) record: ByteRecord,
    t_ns: i64,
    arrival_ns: i64,
    sensor: SensorId,
}

/// Rows that are one observation.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub(super) sensor: SensorId,
    /// As the file gives it.
    pub(super) t_ns: i64,
    pub(super) arrival_ns: i64,
    pub(super) rows: Vec<Row>,
}

/// The sensors of a site by name, with their kinds.
pub(super) type Sensors = BTreeMap<String, (SensorId, SensorKind)>;

/// One file of one kind.
pub struct Reader {
    kind: SensorKind,
    rows: csv::Reader<Box<dyn Read>>,
    pub(super) columns: Columns,
    pub(super) report: FileReport,
    /// Scans of one instant, ready.
    ready: VecDeque<Scan>,
    /// The row behind them.
    next: Option<Row>,
    newest_ns: i64,
    /// Whether its times are Unix times; known from the first row on.
    unix: Option<bool>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("kind", &self.kind).field("report", &self.report).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file of a kind; `file` is its name in messages.
    ///
    /// # Errors
    /// [`CsvError`] where its header is not one of the kind's.
    pub fn new(kind: SensorKind, file: &str, input: Box<dyn Read>) -> Result<Self, CsvError> {
        let mut rows = ReaderBuilder::new().flexible(true).trim(Trim::All).has_headers(true).from_reader(input);
        let names = rows.byte_headers().map_err(|source| CsvError::Read { file: file.to_owned(), line: 1, source })?;
        if names.iter().all(<[u8]>::is_empty) {
            return Err(CsvError::Empty { file: file.to_owned(), want: header(kind) });
        }
        let columns = Columns::new(kind, file, names)?;
        let report = FileReport { file: file.to_owned(), ..FileReport::default() };
        let (ready, next, newest_ns, unix) = (VecDeque::new(), None, i64::MIN, None);
        Ok(Self { kind, rows, columns, report, ready, next, newest_ns, unix })
    }

    /// Whether its times are Unix times; `None` where it has no row with a time.
    #[must_use]
    pub const fn is_unix(&self) -> Option<bool> {
        self.unix
    }

    /// What became of its rows so far.
    #[must_use]
    pub const fn report(&self) -> &FileReport {
        &self.report
    }

    /// The next scan to arrive, left in its place; `None` at the end.
    pub(super) fn peek(&mut self, sensors: &Sensors) -> Result<Option<&Scan>, CsvError> {
        if self.ready.is_empty() {
            self.fill(sensors)?;
        }
        Ok(self.ready.front())
    }

    /// Takes the scan that [`Reader::peek`] showed.
    pub(super) fn take(&mut self) -> Option<Scan> {
        self.ready.pop_front()
    }

    /// Reads the rows of one instant: those that stand together and have the same time.
    fn fill(&mut self, sensors: &Sensors) -> Result<(), CsvError> {
        let first = match self.next.take() {
            Some(row) => Some(row),
            None => self.row(sensors)?,
        };
        let Some(first) = first else { return Ok(()) };
        let (t_ns, arrival_ns) = (first.t_ns, first.arrival_ns);
        self.put(first);
        while is_scan(self.kind)
            && let Some(row) = self.row(sensors)?
        {
            if (row.t_ns, row.arrival_ns) != (t_ns, arrival_ns) {
                self.next = Some(row);
                break;
            }
            self.put(row);
        }
        Ok(())
    }

    fn put(&mut self, row: Row) {
        let (sensor, t_ns, arrival_ns) = (row.sensor, row.t_ns, row.arrival_ns);
        if is_scan(self.kind)
            && let Some(scan) = self.ready.iter_mut().find(|s| s.sensor == sensor)
        {
            scan.rows.push(row);
        } else {
            self.ready.push_back(Scan { sensor, t_ns, arrival_ns, rows: vec![row] });
        }
    }

    /// The next row whose time and sensor are known; the others are counted.
    fn row(&mut self, sensors: &Sensors) -> Result<Option<Row>, CsvError> {
        let mut record = ByteRecord::new();
        loop {
            let line = self.rows.position().line();
            let more = self.rows.read_byte_record(&mut record);
            let file = || self.report.file.clone();
            if !more.map_err(|source| CsvError::Read { file: file(), line, source })? {
                return Ok(None);
            }
            self.report.rows += 1;
            // Where the record begins: blank lines before it were skipped.
            let line = record.position().map_or(line, csv::Position::line);
            match self.placed(&record, sensors) {
                Ok((t_ns, arrival_ns, sensor)) => {
                    return Ok(Some(Row { line, record, t_ns, arrival_ns, sensor }));
                }
                Err((fault, subject)) => self.report.refuse(line, fault, &subject),
            }
        }
    }

    /// When a row was true, when it arrived, and whose it is.
    fn placed(&mut self, record: &ByteRecord, sensors: &Sensors) -> Result<(i64, i64, SensorId), (Fault, String)> {
        let plain = |fault| (fault, String::new());
        if record.len() != self.columns.len {
            return Err(plain(Fault::whole(Reason::MalformedRow)));
        }
        let name = text_at(record, self.columns.sensor).map_err(plain)?;
        let unknown = || (Fault::of(Reason::UnknownSensor, "sensor"), name.to_owned());
        let &(sensor, kind) = sensors.get(name).ok_or_else(unknown)?;
        if kind != self.kind {
            return Err((Fault::of(Reason::WrongKind, "sensor"), name.to_owned()));
        }
        let t_ns = time(record, self.columns.t_s, "t_s").map_err(plain)?;
        let arrival = match self.columns.arrival_t_s {
            Some(column) => time(record, column, "arrival_t_s").map_err(plain)?,
            None => t_ns,
        };
        let unix = t_ns >= UNIX_FROM_NS;
        if self.unix.is_some_and(|u| u != unix) || unix != (arrival >= UNIX_FROM_NS) {
            return Err(plain(Fault::of(Reason::NotPlausible, "t_s")));
        }
        self.unix = Some(unix);
        self.newest_ns = self.newest_ns.max(arrival);
        Ok((t_ns, self.newest_ns, sensor))
    }
}

fn time(record: &ByteRecord, column: usize, field: &'static str) -> Result<i64, Fault> {
    let text = text_at(record, column)?;
    if text.is_empty() {
        return Err(Fault::of(Reason::MissingField, field));
    }
    parse_decimal_ns(text, 0).map_err(|e| match e {
        TimeTextError::NotANumber => Fault::of(Reason::WrongType, field),
        TimeTextError::OutOfRange => Fault::of(Reason::NotPlausible, field),
    })
}
