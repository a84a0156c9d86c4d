//! Several files as one stream, by arrival, through the same checks as live data.

use super::CsvError;
use super::reader::{FileReport, Reader, Scan, Sensors};
use crate::carried::News;
use crate::claim::is_scan;
use crate::edge::ledger::Whom;
use crate::edge::{Sink, SourceKey};
use crate::reason::{Fault, Reason};
use crate::resolve::{Resolver, SensorPlan};
use osmose_model::input::{Shed, ShedReason};
use osmose_model::observation::{Body, Observation, ScanBuf};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, LogicalNs, UtcNs};

/// The files of an import on their way to a sink.
#[derive(Debug)]
pub struct Merge {
    readers: Vec<Reader>,
    sensors: Sensors,
    plans: Vec<SensorPlan>,
    resolver: Resolver,
    scan: ScanBuf,
    /// What is taken off each file's times to give the log's; nanoseconds.
    zero_ns: Vec<i64>,
    zero_utc: Option<UtcNs>,
}

impl Merge {
    /// Opens a merge. `epoch` is the instant at which the seconds of files without Unix times are 0.
    ///
    /// # Errors
    /// [`CsvError::MixedTimes`] where only some files have Unix times and no epoch is given; [`CsvError::Read`].
    pub fn new(site: &Site, readers: Vec<Reader>, epoch: Option<UtcNs>) -> Result<Self, CsvError> {
        let mut readers = readers;
        let sensors: Sensors = site.sensors.iter().map(|s| (s.name.clone(), (s.id, s.kind))).collect();
        let mut firsts = Vec::with_capacity(readers.len());
        for reader in &mut readers {
            firsts.push(reader.peek(&sensors)?.map(|s| s.arrival_ns));
        }
        let file_of = |unix| readers.iter().find(|r| r.is_unix() == Some(unix)).map(|r| r.report().file.clone());
        if let (Some(unix), Some(relative), None) = (file_of(true), file_of(false), epoch) {
            return Err(CsvError::MixedTimes { unix, relative });
        }
        // Unix times where there are any; the log then begins at the first arrival. Seconds from a start otherwise,
        // which are the log's own.
        let any_unix = readers.iter().any(|r| r.is_unix() == Some(true));
        let epoch_ns = epoch.map_or(0, |e| e.0);
        let shift = |r: &Reader| if any_unix && r.is_unix() == Some(false) { epoch_ns } else { 0 };
        let begins = readers.iter().zip(&firsts).filter_map(|(r, first)| first.map(|f| f.saturating_add(shift(r))));
        let zero = if any_unix { begins.min().unwrap_or(0) } else { 0 };
        let zero_ns = readers.iter().map(|r| zero.saturating_sub(shift(r))).collect();
        let zero_utc = if any_unix { Some(UtcNs(zero)) } else { epoch };
        let plans = site.sensors.iter().map(|s| SensorPlan::new(s, site.engine.late_max)).collect();
        let (resolver, scan) = (Resolver::new(site), ScanBuf::new());
        Ok(Self { readers, sensors, plans, resolver, scan, zero_ns, zero_utc })
    }

    /// The wall clock at the log's zero; `None` where the files do not tell and no epoch was given.
    #[must_use]
    pub const fn zero_utc(&self) -> Option<UtcNs> {
        self.zero_utc
    }

    /// What became of each file's rows so far.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = &FileReport> + '_ {
        self.readers.iter().map(Reader::report)
    }

    /// When the next observation arrives, in the log's time; `None` at the end.
    ///
    /// # Errors
    /// [`CsvError::Read`].
    pub fn next_arrival(&mut self) -> Result<Option<ArrivalNs>, CsvError> {
        Ok(self.next_file()?.map(|(_, arrival)| arrival))
    }

    /// Hands the next observation over, with the names that it brings; `false` at the end. What is refused is
    /// counted, and what is too late is shed.
    ///
    /// # Errors
    /// [`CsvError::Read`].
    pub fn next(&mut self, sink: &mut impl Sink) -> Result<bool, CsvError> {
        let Some((file, arrival)) = self.next_file()? else { return Ok(false) };
        if let Some(scan) = self.readers[file].take() {
            self.hand_over(file, arrival, &scan, sink);
        }
        Ok(true)
    }

    /// The file whose next scan arrives first (of equals the first file), and when.
    fn next_file(&mut self) -> Result<Option<(usize, ArrivalNs)>, CsvError> {
        let mut first: Option<(usize, i64)> = None;
        for (i, reader) in self.readers.iter_mut().enumerate() {
            let Some(scan) = reader.peek(&self.sensors)? else { continue };
            let arrival = scan.arrival_ns.saturating_sub(self.zero_ns[i]);
            if first.is_none_or(|(_, best)| arrival < best) {
                first = Some((i, arrival));
            }
        }
        Ok(first.map(|(i, arrival)| (i, ArrivalNs(arrival))))
    }

    fn hand_over(&mut self, file: usize, arrival: ArrivalNs, rows: &Scan, sink: &mut impl Sink) {
        let sensor = rows.sensor;
        let plan = self.plans[sensor.index()];
        let report = &mut self.readers[file].report;
        // A time after its own arrival is the arrival's.
        let claimed = LogicalNs(rows.t_ns.saturating_sub(self.zero_ns[file]));
        let measured = claimed.min(LogicalNs(arrival.0));
        let mut remark = |reason: Reason, sink: &mut dyn FnMut(Fault)| {
            *report.remarked.entry(reason).or_default() += 1;
            sink(Fault::whole(reason));
        };
        if claimed > measured {
            remark(Reason::TimeAhead, &mut |fault| sink.remarked(arrival, Whom::Sensor(sensor), fault));
        }
        if LogicalNs(arrival.0).since(measured) > plan.late_max {
            for row in &rows.rows {
                report.refuse(row.line, Fault::of(Reason::TooLate, "t_s"), "");
            }
            sink.remarked(arrival, Whom::Sensor(sensor), Fault::whole(Reason::TooLate));
            return sink.shed(arrival, Shed { sensor, count: 1, reason: ShedReason::TooLate });
        }
        let Some(body) = self.body(file, arrival, rows, sink) else { return };
        let observation = Observation { sensor, source_seq: None, measured, body };
        let source = SourceKey((file as u64) << 16 | u64::from(sensor.0));
        sink.observation(arrival, source, plan.class, &observation);
    }

    /// Checks and places the rows of one observation; `None` where none of them can be used.
    fn body(&mut self, file: usize, arrival: ArrivalNs, rows: &Scan, sink: &mut impl Sink) -> Option<Body<'_>> {
        let Self { readers, plans, resolver, scan, .. } = self;
        let Reader { columns, report, .. } = &mut readers[file];
        let (plan, whom) = (plans[rows.sensor.index()], Whom::Sensor(rows.sensor));
        let mut single = None;
        scan.clear();
        let mut kept = 0usize;
        for row in &rows.rows {
            let remarked = &mut report.remarked;
            let mut news = |n: News<'_>| {
                *remarked.entry(n.reason).or_default() += 1;
                sink.remarked(arrival, whom, Fault::whole(n.reason));
                if n.name_it {
                    sink.named(arrival, n.key, n.text);
                }
            };
            let taken = match columns.claim(&row.record) {
                Err(fault) => Err(fault),
                // A row with empty values: the sensor looked and saw nothing.
                Ok(None) if is_scan(plan.kind) => Ok(()),
                Ok(claim) if is_scan(plan.kind) => {
                    resolver.scan_item(&plan, &claim.unwrap_or_default(), scan, &mut news)
                }
                Ok(claim) => resolver.single(&plan, &claim.unwrap_or_default(), &mut news).map(|b| single = Some(b)),
            };
            match taken {
                Ok(()) => {
                    kept += 1;
                    report.keep(rows.t_ns);
                }
                Err(fault) => {
                    report.refuse(row.line, fault, "");
                    sink.remarked(arrival, whom, fault);
                }
            }
        }
        (kept > 0).then(|| single.unwrap_or_else(|| Resolver::scan_body(plan.kind, scan)))
    }
}
