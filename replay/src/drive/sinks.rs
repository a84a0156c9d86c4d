//! Where a replay's results go: tracks as CSV, events and commands as JSON lines.
//!
//! Track rows are written *between* inputs, from the state that the inputs so far made: after the last position scan
//! of a millisecond, and on a grid of 100 ms where no scan comes. Sensors that scan within one millisecond give a track one
//! row, since a score takes a millisecond for one instant (`score::frame_ms`).

use super::names::{Read, Row, Smoother};
use super::plot::Plot;
use crate::score::{Truth, frame_ms};
use osmose_core::Outbox;
use osmose_drivers::{RuleNames, lines};
use osmose_model::device::SensorKind;
use osmose_model::digest::Digest;
use osmose_model::geometry::Place;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs, UtcNs, format_seconds};
use osmose_model::world::{Presence, WorldView};
use std::io::{self, Write};

/// Rows where no scan comes, this far apart.
const GRID: DurationNs = DurationNs::from_ms(100);
/// Without a scan for this long (or for three periods of the slowest position sensor, if longer), the grid runs.
const QUIET: DurationNs = DurationNs::from_s(1);
/// Persons less likely than this are not named in track rows.
const PERSON_P_MIN: f64 = 0.5;
/// Tracks less likely than this to be somebody are not written.
const EXISTENCE_MIN: f64 = 0.5;

/// The two headers of a tracks file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TracksFormat {
    /// `t_s,track,x_m,y_m,vx_mps,vy_mps,person,person_p,z_m,level`
    #[default]
    Osmose,
    /// `t,track_id,x,y,identity`
    Eval,
}

/// Who the rows of a tracks file are named by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// What the engine believed at that moment.
    #[default]
    Live,
    /// By label: each row is of the person whom it was thought to be of at that moment, whatever they are called; a name that
    /// is heard later stands on earlier rows of its label too. Rows are kept and written at the end.
    Labels,
    /// What is likeliest by everything that was heard before and after; rows are kept and written at the end.
    Smoothed,
}

/// Somewhere to write to.
pub type Out = Box<dyn Write>;

/// Sees every step of a replay: its tag, the input, what it decided, and the world behind it.
pub type Each = Box<dyn FnMut(Tag, &Input<'_>, &Outbox, &dyn WorldView)>;

/// What is wanted of a replay, and where it goes. Give buffered writers; they are flushed at the end.
#[derive(Default)]
pub struct Sinks {
    /// `--tracks`.
    pub tracks: Option<(TracksFormat, Out)>,
    /// `--names`, of those rows.
    pub names: Names,
    /// `--events`.
    pub events: Option<Out>,
    /// `--commands`.
    pub commands: Option<Out>,
    /// `--plot`: an SVG, with the truth beside it where there is one.
    pub plot: Option<(Option<Truth>, Out)>,
    /// Whoever else looks on; also at what lies before the stretch asked for.
    pub each: Option<Each>,
    /// Whoever makes a recording of it, also of what lies before the stretch asked for.
    pub record: Option<Box<dyn Keep>>,
}

/// Keeps every step of a replay.
pub trait Keep {
    /// A step: its input, what it decided, both digests behind it; `save` gives the whole state.
    ///
    /// # Errors
    /// The disk's.
    fn step(
        &mut self,
        tag: Tag,
        input: &Input<'_>,
        out: &Outbox,
        digests: (Digest, Digest),
        save: &mut dyn FnMut(&mut Vec<u8>),
    ) -> io::Result<()>;

    /// What follows goes on from a whole state: at the beginning of a part of a log, or behind a hole.
    ///
    /// # Errors
    /// The disk's.
    fn state(&mut self, tag: Tag, state: &[u8], digests: (Digest, Digest)) -> io::Result<()>;

    /// There are no more.
    ///
    /// # Errors
    /// The disk's.
    fn finish(&mut self) -> io::Result<()>;
}

/// The sinks at work.
pub(super) struct Writing {
    pub(super) sinks: Sinks,
    plot: Option<(Plot, Out)>,
    /// The rows so far, where they are named at the end.
    smoother: Option<Smoother>,
    from: LogicalNs,
    line: Vec<u8>,
    quiet: DurationNs,
    /// The measured time of the scan after which rows are due.
    scan_due: Option<LogicalNs>,
    last_scan: Option<LogicalNs>,
    grid_next: Option<LogicalNs>,
    /// The millisecond of the last rows.
    last_rows_ms: Option<i64>,
}

/// The measured time of a position scan.
pub(super) fn scan_time(input: &Input<'_>) -> Option<LogicalNs> {
    let o = input.observation()?;
    matches!(o.body, Body::Position(_) | Body::Points(_)).then_some(o.measured)
}

impl Writing {
    pub(super) fn new(mut sinks: Sinks, from: LogicalNs, site: &Site) -> io::Result<Self> {
        if let Some((format, out)) = &mut sinks.tracks {
            out.write_all(match format {
                TracksFormat::Osmose => b"t_s,track,x_m,y_m,vx_mps,vy_mps,person,person_p,z_m,level\n",
                TracksFormat::Eval => b"t,track_id,x,y,identity\n",
            })?;
        }
        let scanning = site.sensors.iter().filter(|s| matches!(s.kind, SensorKind::Position | SensorKind::Points));
        let slowest_hz = scanning.filter_map(|s| s.rate_hz).filter(|hz| *hz > 0.0).fold(f64::INFINITY, f64::min);
        let quiet = DurationNs::from_s_f64(3.0 / slowest_hz).map_or(QUIET, |d| d.max(QUIET));
        let plot = sinks.plot.take().map(|(truth, out)| (Plot::new(truth), out));
        let smoother = (sinks.names != Names::Live && sinks.tracks.is_some()).then(Smoother::default);
        Ok(Self {
            sinks,
            plot,
            smoother,
            from,
            line: Vec::new(),
            quiet,
            scan_due: None,
            last_scan: None,
            grid_next: None,
            last_rows_ms: None,
        })
    }

    /// Whether a picture is drawn.
    pub(super) fn is_plotting(&self) -> bool {
        self.plot.is_some()
    }

    /// How far back a scan decides whether rows are due.
    pub(super) fn quiet(&self) -> DurationNs {
        self.quiet
    }

    /// Rows of a scan whose instant is over, since the next input (`None`: the end) is no scan of the same millisecond.
    pub(super) fn end_scan(&mut self, next: Option<&Input<'_>>, view: &dyn WorldView) -> io::Result<()> {
        let Some(due) = self.scan_due else { return Ok(()) };
        if next.and_then(scan_time).map(frame_ms) == Some(frame_ms(due)) {
            return Ok(());
        }
        self.scan_due = None;
        self.last_scan = Some(due);
        self.grid_next = Some(next_on_grid(due.plus(self.quiet)));
        self.rows(due, view)
    }

    /// The next instant of the grid before an input at `at`, if rows are due there.
    pub(super) fn grid_before(&mut self, at: LogicalNs) -> Option<LogicalNs> {
        if self.sinks.tracks.is_none() && self.plot.is_none() {
            return None;
        }
        let next = *self.grid_next.get_or_insert(next_on_grid(at));
        (next < at).then_some(next)
    }

    /// Rows at an instant of the grid.
    pub(super) fn grid_rows(&mut self, at: LogicalNs, view: &dyn WorldView) -> io::Result<()> {
        self.grid_next = Some(at.plus(GRID));
        self.rows(at, view)
    }

    /// An input was stepped.
    pub(super) fn stepped<'r>(
        &mut self,
        tag: Tag,
        input: &Input<'_>,
        out: &Outbox,
        view: &dyn WorldView,
        rules: &RuleNames<'r>,
    ) -> io::Result<()> {
        if let Some(measured) = scan_time(input)
            && self.last_scan.is_none_or(|last| measured > last)
        {
            self.scan_due = self.scan_due.max(Some(measured));
        }
        if let Some(each) = &mut self.sinks.each {
            each(tag, input, out, view);
        }
        if let Some((plot, _)) = self.plot.as_mut().filter(|_| tag.at >= self.from) {
            plot.input(tag.at, input);
        }
        if let Some(smoother) = self.smoother.as_mut().filter(|_| tag.at >= self.from) {
            smoother.reads.extend(badge_read(input, view.site()));
        }
        if tag.at < self.from || (out.events.is_empty() && out.commands.is_empty()) {
            return Ok(());
        }
        let site = view.site();
        let utc: Option<UtcNs> = view.wall().map(|w| w.utc);
        if let Some(file) = &mut self.sinks.events {
            for event in &out.events {
                self.line.clear();
                lines::encode_event_line(site, tag, event, utc, &mut self.line);
                file.write_all(&self.line)?;
            }
        }
        if let Some(file) = &mut self.sinks.commands {
            for command in &out.commands {
                self.line.clear();
                lines::encode_commands_line(site, rules, command, utc, &mut self.line);
                file.write_all(&self.line)?;
            }
        }
        Ok(())
    }

    /// Everything is written: the rows that waited for their names, and the picture too.
    pub(super) fn finish(&mut self, site: &Site) -> io::Result<()> {
        if let (Some(mut smoother), Some((format, out))) = (self.smoother.take(), &mut self.sinks.tracks) {
            match self.sinks.names {
                Names::Labels => smoother.label_rows(),
                Names::Live | Names::Smoothed => smoother.name_rows()?,
            }
            for rows in smoother.rows.chunk_by(|a, b| a.at == b.at) {
                self.line.clear();
                let t = format_seconds(rows[0].at.0);
                for one in rows {
                    row(*format, site, &t, one, &mut self.line)?;
                }
                out.write_all(&self.line)?;
            }
        }
        if let Some((plot, out)) = &mut self.plot {
            out.write_all(plot.render(site).as_bytes())?;
            out.flush()?;
        }
        for out in
            [self.sinks.tracks.as_mut().map(|(_, o)| o), self.sinks.events.as_mut(), self.sinks.commands.as_mut()]
                .into_iter()
                .flatten()
        {
            out.flush()?;
        }
        self.sinks.record.as_mut().map_or(Ok(()), |record| record.finish())
    }

    fn rows(&mut self, at: LogicalNs, view: &dyn WorldView) -> io::Result<()> {
        if self.last_rows_ms.replace(frame_ms(at)) == Some(frame_ms(at)) {
            return Ok(());
        }
        let is_asked = self.sinks.tracks.is_some() || self.plot.is_some() || self.smoother.is_some();
        if at < self.from || !is_asked {
            return Ok(());
        }
        let (line, site, t) = (&mut self.line, view.site(), format_seconds(at.0));
        let (tracks, plot, smoother) = (&mut self.sinks.tracks, &mut self.plot, &mut self.smoother);
        line.clear();
        let mut result = Ok(());
        view.for_each_occupant(&mut |o| {
            if o.presence != Presence::Seen || o.existence < EXISTENCE_MIN || result.is_err() {
                return;
            }
            let one = Row::of(at, o, PERSON_P_MIN);
            if let Some((plot, _)) = plot {
                plot.occupant(at, o, one.person.map(|(person, _)| person));
            }
            match (&mut *smoother, &*tracks) {
                (Some(smoother), _) => smoother.rows.push(one),
                (None, Some((format, _))) => result = row(*format, site, &t, &one, line),
                (None, None) => {}
            }
        });
        result?;
        tracks.as_mut().map_or(Ok(()), |(_, out)| out.write_all(line))
    }
}

/// The read of a known person's badge.
fn badge_read(input: &Input<'_>, site: &Site) -> Option<Read> {
    let o = input.observation()?;
    let Body::Badge { badge } = o.body else { return None };
    let reader = site.sensors.get(o.sensor.index())?;
    let place = Place::flat(reader.level, reader.pose.x_m, reader.pose.y_m);
    Some(Read { at: o.measured, place, sigma_m: reader.noise.sigma_m, person: site.owner_of_badge(badge)? })
}

/// The first instant of the grid at or after `at`.
fn next_on_grid(at: LogicalNs) -> LogicalNs {
    let over = at.0.rem_euclid(GRID.0);
    if over == 0 { at } else { at.plus(DurationNs(GRID.0 - over)) }
}

/// A CSV field, quoted where it must be (RFC 4180).
fn field(text: &str, out: &mut Vec<u8>) {
    if text.contains([',', '"', '\n', '\r']) {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

fn row(format: TracksFormat, site: &Site, t: &str, o: &Row, out: &mut Vec<u8>) -> io::Result<()> {
    let person = o.person.and_then(|(person, p)| Some((site.people.get(person.index())?, p)));
    let name = person.map_or("", |(person, _)| person.name.as_str());
    let (x, y) = (o.place.at.x_m, o.place.at.y_m);
    match format {
        TracksFormat::Eval => {
            write!(out, "{t},{},{x},{y},", o.track)?;
            field(name, out);
        }
        TracksFormat::Osmose => {
            let [vx, vy] = o.velocity_mps;
            write!(out, "{t},{},{x},{y},{vx},{vy},", o.track)?;
            field(name, out);
            match person {
                Some((_, p)) => write!(out, ",{p},")?,
                None => out.extend_from_slice(b",,"),
            }
            if let Some(z) = o.place.z_m {
                write!(out, "{z}")?;
            }
            out.push(b',');
            field(site.levels.get(o.place.level.index()).map_or("", |l| l.name.as_str()), out);
        }
    }
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::time::NS_PER_S;

    #[test]
    fn the_grid_is_of_whole_tenths() {
        assert_eq!(next_on_grid(LogicalNs(0)), LogicalNs(0));
        assert_eq!(next_on_grid(LogicalNs(1)), LogicalNs(100_000_000));
        assert_eq!(next_on_grid(LogicalNs(-1)), LogicalNs(0));
        assert_eq!(next_on_grid(LogicalNs(7 * NS_PER_S)), LogicalNs(7 * NS_PER_S));
    }

    #[test]
    fn names_are_quoted_where_csv_needs_it() {
        let mut out = Vec::new();
        field("ana", &mut out);
        field("O\"Neil, Jo", &mut out);
        assert_eq!(out, b"ana\"O\"\"Neil, Jo\"");
    }
}
