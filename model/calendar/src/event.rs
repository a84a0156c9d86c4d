//! One `VEVENT`: what of it a building needs.

use crate::{Note, Occurrence, when};
use chrono::{DateTime, TimeDelta};
use icalendar::parser::{Component, Property};
use rrule::Tz;

/// What is wrong, and how to mend it.
pub(crate) type Fault = (String, String);

/// An event, its series not yet written out.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) line: u32,
    pub(crate) title: String,
    pub(crate) uid: Option<String>,
    pub(crate) from: DateTime<Tz>,
    /// Whether it takes whole days: then it lasts so many of them, whatever the clocks do.
    days: bool,
    lasts_s: i64,
    /// The lines that make it repeat, and those that take occurrences out.
    pub(crate) rules: Vec<String>,
    pub(crate) also: Vec<DateTime<Tz>>,
    pub(crate) not: Vec<DateTime<Tz>>,
    /// The occurrence of its series in whose place it stands.
    pub(crate) replaces_s: Option<i64>,
    pub(crate) cancelled: bool,
    location: Option<String>,
    organiser: Option<String>,
    address: Option<String>,
}

/// What an event is called in a note.
pub(crate) fn title(component: &Component<'_>) -> String {
    text(component, "SUMMARY").or_else(|| text(component, "UID")).unwrap_or_default()
}

fn property<'a>(component: &'a Component<'a>, name: &str) -> Option<&'a Property<'a>> {
    component.properties.iter().find(|p| p.name.as_str().eq_ignore_ascii_case(name))
}

fn text(component: &Component<'_>, name: &str) -> Option<String> {
    let value = property(component, name)?.val.clone().unescape_text();
    let value = value.as_str().trim();
    (!value.is_empty()).then(|| value.to_owned())
}

fn parameter<'a>(property: &'a Property<'a>, name: &str) -> Option<&'a str> {
    let found = property.params.iter().find(|p| p.key.as_str().eq_ignore_ascii_case(name))?;
    Some(found.val.as_ref()?.as_str().trim_matches('"'))
}

impl Event {
    pub(crate) fn read(component: &Component<'_>, line: u32, zone: Tz, notes: &mut Vec<Note>) -> Result<Self, Fault> {
        let title = title(component);
        let mut note = |message: String, help: &str| {
            notes.push(Note { line, event: title.clone(), message, help: help.to_owned() });
        };
        let mut at = |p: &Property<'_>, value: &str| {
            let named = parameter(p, "TZID").map(|name| (name, when::zone(name)));
            if let Some((name, None)) = named {
                let message = format!("The time zone {name:?} is not known; the time is read as the site's.");
                note(message, "Export the calendar with IANA names, such as Europe/Berlin.");
            }
            when::read(value, named.and_then(|(_, zone)| zone).unwrap_or(zone)).ok_or_else(|| {
                let message = format!("{value:?} of {} is no time.", p.name.as_str());
                (message, "Write it as 20260330T090000Z, as 20260330T090000 with a TZID, or as 20260330.".to_owned())
            })
        };
        let begins = property(component, "DTSTART")
            .ok_or_else(|| ("An event without DTSTART has no time.".to_owned(), "Give it one.".to_owned()))?;
        let (from, days) = at(begins, begins.val.as_str())?;
        let mut all = |name: &str| {
            let mut found = Vec::new();
            for p in component.properties.iter().filter(|p| p.name.as_str().eq_ignore_ascii_case(name)) {
                for value in p.val.as_str().split(',') {
                    // Of a period (FROM/TO) the beginning.
                    found.push(at(p, value.split('/').next().unwrap_or(value))?.0);
                }
            }
            Ok::<_, Fault>(found)
        };
        let (also, not, replaced, end) = (all("RDATE")?, all("EXDATE")?, all("RECURRENCE-ID")?, all("DTEND")?);
        let lasts_s = lasts(component, from, days, end.first())?;
        let rule = |p: &&Property<'_>| p.name.as_str().eq_ignore_ascii_case("RRULE");
        let organiser = property(component, "ORGANIZER");
        let address = organiser.map(|p| p.val.as_str().trim());
        let mail = |a: &str| a.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("mailto:"));
        Ok(Self {
            line,
            uid: text(component, "UID"),
            from,
            days,
            lasts_s,
            rules: component.properties.iter().filter(rule).map(|p| p.val.as_str().trim().to_owned()).collect(),
            also,
            not,
            replaces_s: replaced.first().map(DateTime::timestamp),
            cancelled: text(component, "STATUS").is_some_and(|s| s.eq_ignore_ascii_case("CANCELLED")),
            location: text(component, "LOCATION"),
            organiser: organiser.and_then(|p| parameter(p, "CN")).map(str::to_owned),
            address: address.map(|a| if mail(a) { a[7..].to_owned() } else { a.to_owned() }),
            title,
        })
    }

    /// The occurrence that begins at an instant.
    pub(crate) fn occurrence(&self, from_s: i64) -> Occurrence {
        let to_s = if self.days { self.midnight_after(from_s) } else { from_s.saturating_add(self.lasts_s) };
        Occurrence {
            from_s,
            to_s,
            location: self.location.clone(),
            organiser: self.organiser.clone(),
            organiser_address: self.address.clone(),
            summary: (!self.title.is_empty()).then(|| self.title.clone()),
        }
    }

    /// The midnight that ends whole days: a day on which the clocks change has 23 or 25 hours.
    fn midnight_after(&self, from_s: i64) -> i64 {
        let days = TimeDelta::seconds(self.lasts_s);
        let zone = self.from.timezone();
        let end = DateTime::from_timestamp(from_s, 0)
            .and_then(|from| from.with_timezone(&zone).naive_local().checked_add_signed(days))
            .and_then(|end| when::read(&end.format("%Y%m%d").to_string(), zone));
        end.map_or(from_s.saturating_add(self.lasts_s), |(end, _)| end.timestamp())
    }
}

/// How long an event lasts, in seconds: until DTEND, for DURATION, or a day where it is one (RFC 5545, 3.6.1).
fn lasts(component: &Component<'_>, from: DateTime<Tz>, days: bool, end: Option<&DateTime<Tz>>) -> Result<i64, Fault> {
    let never = |what: &str| (format!("The event ends {what}."), "Let it end after it begins.".to_owned());
    let lasts_s = match (end, text(component, "DURATION")) {
        (Some(end), _) if days => (end.date_naive() - from.date_naive()).num_seconds(),
        (Some(end), _) => end.timestamp() - from.timestamp(),
        (None, Some(text)) => when::duration_s(&text)
            .ok_or_else(|| (format!("{text:?} is no duration."), "Write it as PT1H30M, P1D or P2W.".to_owned()))?,
        (None, None) if days => 86_400,
        (None, None) => return Err(never("where it begins, having neither DTEND nor DURATION")),
    };
    if lasts_s > 0 { Ok(lasts_s) } else { Err(never("before it begins, or then")) }
}
