//! Calendars: what `[[resource]] kind = "calendar"` names, as stretches of time given to zones.
//!
//! A booking is for the zone that its LOCATION names, by id or by label; one without is for the whole site (a holiday).
//! Its organiser is the person whose id is the ORGANIZER's name or the address before the `@`, or who has that address
//! as the attribute `email`.

use crate::fault::{Faults, Spot};
use crate::text::{nearest, shown};
use osmose_calendar::Occurrence;
use osmose_model::ids::{PersonId, ZoneId};
use osmose_model::site::{Attribute, Booking, Person, Resource, SourceFile, Zone};
use osmose_model::time::UtcNs;
use std::collections::BTreeSet;

/// What bookings are resolved against.
pub(crate) struct Known<'a> {
    pub(crate) timezone: &'a str,
    pub(crate) zones: &'a [Zone],
    pub(crate) people: &'a [Person],
}

/// The bookings of every calendar, ascending by calendar and beginning.
pub(crate) fn load(
    resources: &[Resource],
    files: &[SourceFile],
    known: &Known<'_>,
    faults: &mut Faults,
) -> Vec<Booking> {
    let mut bookings = Vec::new();
    let calendars = resources.iter().zip(0u16..).filter(|(r, _)| r.kind == "calendar");
    for (resource, calendar) in calendars {
        let Some(file) = files.iter().find(|f| f.path == resource.file) else {
            let message =
                format!("The file {} of resource `{}` is not there.", shown(&resource.file), shown(&resource.name));
            let help = "Put it beside site.toml, with a name that ends in `.ics`; until then the calendar is unknown.";
            faults.warning("missing-file", &Spot::file("site.toml"), &resource.name, message, help);
            continue;
        };
        read(file, calendar, known, &mut bookings, faults);
    }
    bookings
}

fn read(file: &SourceFile, calendar: u16, known: &Known<'_>, bookings: &mut Vec<Booking>, faults: &mut Faults) {
    let all = match osmose_calendar::read(crate::text::without_bom(&file.text), known.timezone) {
        Ok(all) => all,
        Err(why) => {
            let help = "Export the calendar anew as an .ics file.";
            faults.error("calendar", &Spot::file(&file.path), "", format!("The calendar cannot be read: {why}."), help);
            return;
        }
    };
    for note in all.notes {
        let spot = Spot { line: Some(note.line), ..Spot::file(&file.path) };
        faults.warning("calendar", &spot, &note.event, note.message, note.help);
    }
    let mut unknown = BTreeSet::new();
    for occurrence in &all.occurrences {
        let zone = match &occurrence.location {
            None => None,
            Some(place) => match zone(place, known.zones) {
                Some(zone) => Some(zone),
                None => {
                    if unknown.insert(place) {
                        report(place, file, occurrence, known, faults);
                    }
                    continue;
                }
            },
        };
        let ns = |s: i64| UtcNs(s.saturating_mul(1_000_000_000));
        let (from, to) = (ns(occurrence.from_s), ns(occurrence.to_s));
        bookings.push(Booking { calendar, zone, from, to, organiser: organiser(occurrence, known.people) });
    }
}

/// The zone whose id it is; else the only one whose label it is.
fn zone(place: &str, zones: &[Zone]) -> Option<ZoneId> {
    if let Some(zone) = zones.iter().find(|z| z.name.eq_ignore_ascii_case(place)) {
        return Some(zone.id);
    }
    let mut labelled = zones.iter().filter(|z| z.label.eq_ignore_ascii_case(place));
    labelled.next().filter(|_| labelled.next().is_none()).map(|z| z.id)
}

fn report(place: &str, file: &SourceFile, occurrence: &Occurrence, known: &Known<'_>, faults: &mut Faults) {
    let near = nearest(place, known.zones.iter().map(|z| z.name.as_str()));
    let help = near.map_or_else(
        || "Write a zone's id or its label as LOCATION; until then its bookings are left out.".to_owned(),
        |near| format!("Did you mean `{near}`? Until it is mended its bookings are left out."),
    );
    let message = format!("The LOCATION \"{}\" is no zone, or the label of several.", shown(place));
    let event = occurrence.summary.as_deref().unwrap_or_default();
    faults.warning("unknown-zone", &Spot::file(&file.path), event, message, help);
}

fn organiser(occurrence: &Occurrence, people: &[Person]) -> Option<PersonId> {
    let address = occurrence.organiser_address.as_deref();
    let local = address.and_then(|a| a.split_once('@')).map(|(local, _)| local);
    let has_address = |p: &&Person| {
        let email = p.attributes.get("email");
        matches!((email, address), (Some(Attribute::Text(email)), Some(a)) if email.eq_ignore_ascii_case(a))
    };
    let named = |name: Option<&str>| people.iter().find(|p| name.is_some_and(|n| p.name.eq_ignore_ascii_case(n)));
    people
        .iter()
        .find(has_address)
        .or_else(|| named(local))
        .or_else(|| named(occurrence.organiser.as_deref()))
        .map(|p| p.id)
}

#[cfg(test)]
mod tests {
    use crate::load;
    use osmose_model::site::SourceFile;

    /// The co-working building with a calendar of some events.
    fn with(events: &str) -> crate::Loaded {
        let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
        let calendar = format!("BEGIN:VCALENDAR\n{events}END:VCALENDAR\n");
        load(&[
            file("site.toml", include_str!("../../../examples/coworking/site.toml")),
            file("floorplan.geojson", include_str!("../../../examples/coworking/floorplan.geojson")),
            file("people.toml", include_str!("../../../examples/coworking/people.toml")),
            file("devices.toml", include_str!("../../../examples/coworking/devices.toml")),
            file("bookings.ics", &calendar),
        ])
    }

    fn event(lines: &str) -> String {
        format!("BEGIN:VEVENT\nDTSTART:20260302T100000\nDURATION:PT1H\n{lines}END:VEVENT\n")
    }

    #[test]
    fn a_booking_is_a_zones_and_its_organisers() {
        let by_id = event("LOCATION:M7\nORGANIZER;CN=Somebody:mailto:ana@example.org\nRRULE:FREQ=WEEKLY;COUNT=2\n");
        let loaded = with(&(by_id + &event("SUMMARY:Holiday\n")));
        let site = loaded.site.expect("loads");
        let m7 = site.zones.iter().find(|z| z.name == "m7").expect("m7").id;
        let ana = site.people.iter().find(|p| p.name == "ana").expect("ana").id;
        let told: Vec<_> = site.bookings.iter().map(|b| (b.zone, b.organiser, b.from.0 / 1_000_000_000)).collect();
        // Ten in London in winter is ten in Greenwich.
        let ten = 1_772_445_600;
        assert_eq!(told, [(None, None, ten), (Some(m7), Some(ana), ten), (Some(m7), Some(ana), ten + 7 * 86_400)]);
        assert!(site.bookings.iter().all(|b| b.to.0 - b.from.0 == 3_600_000_000_000));
    }

    #[test]
    fn unknown_rooms_are_told_once_and_left_out() {
        let loaded = with(&(event("LOCATION:m77\nRRULE:FREQ=DAILY;COUNT=3\n") + &event("LOCATION:m9\n")));
        assert_eq!(loaded.site.expect("loads").bookings.len(), 1);
        let told: Vec<_> = loaded.faults.iter().filter(|f| f.code == "unknown-zone").collect();
        assert!(told.len() == 1 && told[0].help.contains("Did you mean `m7`?"), "{told:?}");
    }

    #[test]
    fn a_file_that_is_no_calendar_is_an_error_and_a_bad_event_a_warning() {
        let loaded = with(&event("RRULE:FREQ=SOMETIMES\n"));
        let told: Vec<_> = loaded.faults.iter().filter(|f| f.code == "calendar").map(ToString::to_string).collect();
        assert!(loaded.site.is_some() && told.len() == 1 && told[0].contains("bookings.ics:2"), "{told:?}");
        let loaded = with("BEGIN:VEVENT\n");
        assert!(loaded.site.is_none() && loaded.faults.iter().any(|f| f.code == "calendar"), "{:?}", loaded.faults);
    }
}
