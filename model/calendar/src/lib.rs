//! Calendar files as stretches of time: a file of RFC 5545 events in, each of their occurrences out, as UTC.
//!
//! Whoever evaluates rules has no clock and no time zones, so repetitions are written out here, once, when the site is
//! loaded: up to [`REPEATS_MAX`] of one event and [`OCCURRENCES_MAX`] of a file. What is beyond, and what could not be
//! read, is told in [`Note`]s; an event that cannot be read never hides the others.
//!
//! ```
//! let text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;TZID=Europe/London:20260330T100000\r\n\
//!             DURATION:PT1H\r\nRRULE:FREQ=WEEKLY;COUNT=2\r\nLOCATION:m7\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
//! let calendar = osmose_calendar::read(text, "UTC")?;
//! assert_eq!(calendar.occurrences.len(), 2);
//! // Ten in London is nine in Greenwich, the clocks having gone forward the day before.
//! assert_eq!(calendar.occurrences[0].from_s, 1_774_861_200);
//! assert_eq!(calendar.occurrences[0].location.as_deref(), Some("m7"));
//! # Ok::<(), osmose_calendar::CalendarError>(())
//! ```
#![forbid(unsafe_code)]

mod event;
mod repeat;
mod when;

use event::Event;
use icalendar::parser::{Component, read_components, unfold};
use std::collections::BTreeSet;

/// Most repetitions of one event: a weekly one for 76 years, a daily one for eleven.
pub const REPEATS_MAX: u16 = 4_000;
/// Nobody plans farther ahead: a series that is cut off later than so many seconds after its beginning is not told of.
pub const FAR_S: i64 = 10 * 365 * 86_400;
/// Most occurrences of one file.
pub const OCCURRENCES_MAX: usize = 40_000;
/// Most bytes of a file.
pub const BYTES_MAX: usize = 8 << 20;

/// One stretch of time of a calendar.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    /// When it begins, seconds since 1970 UTC.
    pub from_s: i64,
    /// When it ends, exclusive; after the beginning.
    pub to_s: i64,
    /// Where, as written.
    pub location: Option<String>,
    /// Who calls it: the name (`CN`) as written.
    pub organiser: Option<String>,
    /// The organiser's address, without `mailto:`.
    pub organiser_address: Option<String>,
    /// What it is called.
    pub summary: Option<String>,
}

/// Something that the reader of the file should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line of the event's `BEGIN:VEVENT`, from 1.
    pub line: u32,
    /// The event, by its summary or UID.
    pub event: String,
    /// What is the matter, as a sentence.
    pub message: String,
    /// How to mend it, as a sentence.
    pub help: String,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Everything that takes place, ascending.
    pub occurrences: Vec<Occurrence>,
    /// What was left out, and why.
    pub notes: Vec<Note>,
}

/// Why a file is no calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// It is too large.
    #[error("a calendar of {0} bytes is larger than the {BYTES_MAX} that are read")]
    TooLarge(usize),
    /// Its lines are not those of a calendar.
    #[error("this is no calendar file (RFC 5545): {0}")]
    Syntax(String),
    /// The zone for times without one is unknown.
    #[error("{0:?} is no time zone's name")]
    Zone(String),
}

/// Reads a calendar. Times without a zone are in `zone` (an IANA name).
///
/// # Errors
/// [`CalendarError`] where nothing can be read; an event that cannot is a [`Note`].
pub fn read(text: &str, zone: &str) -> Result<Calendar, CalendarError> {
    if text.len() > BYTES_MAX {
        return Err(CalendarError::TooLarge(text.len()));
    }
    let zone: rrule::Tz = when::zone(zone).ok_or_else(|| CalendarError::Zone(zone.to_owned()))?;
    let unfolded = unfold(text);
    let roots = read_components(&unfolded).map_err(|e| CalendarError::Syntax(first_line(&e)))?;
    if !roots.iter().any(|root| root.name.as_str().eq_ignore_ascii_case("VCALENDAR")) {
        return Err(CalendarError::Syntax("it has no BEGIN:VCALENDAR".to_owned()));
    }
    let lines = text.lines().zip(1u32..).filter(|(line, _)| line.trim().eq_ignore_ascii_case("BEGIN:VEVENT"));
    let components = roots.iter().flat_map(|root| &root.components);
    let events = components.filter(|c| c.name.as_str().eq_ignore_ascii_case("VEVENT"));
    Ok(write_out(events.zip(lines.map(|(_, line)| line)), zone))
}

fn write_out<'a>(components: impl Iterator<Item = (&'a Component<'a>, u32)>, zone: rrule::Tz) -> Calendar {
    let mut calendar = Calendar::default();
    let mut events = Vec::new();
    for (component, line) in components {
        match Event::read(component, line, zone, &mut calendar.notes) {
            Ok(event) => events.push(event),
            Err((message, help)) => {
                let event = event::title(component);
                calendar.notes.push(Note { line, event, message, help });
            }
        }
    }
    // An event with a RECURRENCE-ID stands in the place of that one occurrence of its series.
    let replaced: BTreeSet<(String, i64)> =
        events.iter().filter_map(|e| Some((e.uid.clone()?, e.replaces_s?))).collect();
    for event in &events {
        let from = match event.beginnings(&mut calendar.notes) {
            Ok(from) => from,
            Err((message, help)) => {
                calendar.notes.push(Note { line: event.line, event: event.title.clone(), message, help });
                continue;
            }
        };
        let stands = |from_s: &i64| {
            let series = event.uid.as_ref().filter(|_| event.replaces_s.is_none());
            !event.cancelled && series.is_none_or(|uid| !replaced.contains(&(uid.clone(), *from_s)))
        };
        calendar
            .occurrences
            .extend(from.iter().filter(|from_s| stands(from_s)).map(|from_s| event.occurrence(*from_s)));
    }
    calendar.occurrences.sort_unstable();
    calendar.occurrences.dedup();
    if let Some(beyond) = calendar.occurrences.get(OCCURRENCES_MAX) {
        let message = format!(
            "More than {OCCURRENCES_MAX} occurrences: those from {} on are left out.",
            when::day(beyond.from_s)
        );
        let help = "Take old events out of the file, or split it into calendars.".to_owned();
        calendar.notes.push(Note { line: 1, event: String::new(), message, help });
        calendar.occurrences.truncate(OCCURRENCES_MAX);
    }
    calendar
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|l| !l.is_empty() && *l != "error:").take(2).collect::<Vec<_>>().join(" ")
}
