//! Calendars as they come out of calendar programs: repetitions, exceptions, zones, whole days, and what is wrong.

use osmose_calendar::{CalendarError, OCCURRENCES_MAX, Occurrence, REPEATS_MAX, read};
use proptest::prelude::*;

/// A calendar of events, each given by its lines.
fn calendar(events: &[&str]) -> String {
    let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n".to_owned();
    for lines in events {
        text += "BEGIN:VEVENT\r\n";
        lines.lines().for_each(|line| text += &format!("{}\r\n", line.trim()));
        text += "END:VEVENT\r\n";
    }
    text + "END:VCALENDAR\r\n"
}

/// `from..to` of every occurrence, as UTC, and every note.
fn told(events: &[&str], zone: &str) -> (Vec<String>, Vec<String>) {
    let calendar = read(&calendar(events), zone).expect("a calendar");
    let utc = |s: i64| chrono::DateTime::from_timestamp(s, 0).expect("a time").format("%m-%dT%H:%M").to_string();
    let one = |o: &Occurrence| format!("{}..{}", utc(o.from_s), utc(o.to_s));
    let note = |n: &osmose_calendar::Note| format!("{}: {}", n.line, n.message);
    (calendar.occurrences.iter().map(one).collect(), calendar.notes.iter().map(note).collect())
}

fn times(event: &str, zone: &str) -> Vec<String> {
    let (times, notes) = told(&[event], zone);
    assert!(notes.is_empty(), "{notes:?}");
    times
}

#[test]
fn one_meeting_in_every_way_to_write_its_time() {
    let wanted = ["07-06T09:00..07-06T10:30"];
    assert_eq!(times("DTSTART:20260706T090000Z\nDTEND:20260706T103000Z", "Asia/Tokyo"), wanted);
    assert_eq!(times("DTSTART;TZID=Europe/Berlin:20260706T110000\nDURATION:PT1H30M", "Asia/Tokyo"), wanted);
    assert_eq!(times("DTSTART:20260706T180000\nDTEND:20260706T193000", "Asia/Tokyo"), wanted);
}

#[test]
fn a_series_keeps_its_local_hour_when_the_clocks_change() {
    let weekly = "DTSTART;TZID=Europe/London:20260323T100000\nDTEND;TZID=Europe/London:20260323T110000\n\
                  RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=3";
    let wanted = ["03-23T10:00..03-23T11:00", "03-30T09:00..03-30T10:00", "04-06T09:00..04-06T10:00"];
    assert_eq!(times(weekly, "UTC"), wanted);
}

#[test]
fn occurrences_are_taken_out_added_moved_and_cancelled() {
    let series = "UID:a\nDTSTART:20260601T080000Z\nDTEND:20260601T090000Z\nRRULE:FREQ=DAILY;UNTIL=20260605T080000Z\n\
                  EXDATE:20260602T080000Z\nRDATE:20260610T080000Z";
    let moved = "UID:a\nRECURRENCE-ID:20260603T080000Z\nDTSTART:20260603T120000Z\nDTEND:20260603T123000Z";
    let cancelled = "UID:a\nRECURRENCE-ID:20260604T080000Z\nDTSTART:20260604T080000Z\nDTEND:20260604T090000Z\n\
                     STATUS:CANCELLED";
    let (times, notes) = told(&[series, moved, cancelled], "UTC");
    assert_eq!(
        times,
        [
            "06-01T08:00..06-01T09:00",
            "06-03T12:00..06-03T12:30",
            "06-05T08:00..06-05T09:00",
            "06-10T08:00..06-10T09:00"
        ]
    );
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn whole_days_end_at_midnight_whatever_the_clocks_do() {
    // The 29th of March 2026 has 23 hours in Berlin.
    assert_eq!(times("DTSTART;VALUE=DATE:20260329", "Europe/Berlin"), ["03-28T23:00..03-29T22:00"]);
    let three = "DTSTART;VALUE=DATE:20260328\nDTEND;VALUE=DATE:20260331";
    assert_eq!(times(three, "Europe/Berlin"), ["03-27T23:00..03-30T22:00"]);
}

#[test]
fn a_time_that_the_clocks_leap_over_is_the_one_behind_the_leap() {
    // 02:30 does not exist in Berlin on the 29th of March 2026: it is 03:30 summer time.
    let night = "DTSTART;TZID=Europe/Berlin:20260329T023000\nDURATION:PT10M";
    assert_eq!(times(night, "UTC"), ["03-29T01:30..03-29T01:40"]);
}

#[test]
fn where_who_and_what_are_told_as_written() {
    let event = "SUMMARY:Project X\\, weekly\nLOCATION:m7\nORGANIZER;CN=\"Ana B\":MAILTO:ana@example.org\n\
                 DTSTART:20260706T090000Z\nDURATION:PT1H";
    let calendar = read(&calendar(&[event]), "UTC").expect("a calendar");
    let o = &calendar.occurrences[0];
    assert_eq!(o.summary.as_deref(), Some("Project X, weekly"));
    assert_eq!((o.location.as_deref(), o.organiser.as_deref()), (Some("m7"), Some("Ana B")));
    assert_eq!(o.organiser_address.as_deref(), Some("ana@example.org"));
}

#[test]
fn what_cannot_be_read_is_told_with_its_line_and_hides_nothing() {
    let good = "UID:good\nDTSTART:20260706T090000Z\nDURATION:PT1H";
    let bad = [
        ("DTSTART:tomorrow\nDURATION:PT1H", "is no time"),
        ("DURATION:PT1H", "without DTSTART"),
        ("DTSTART:20260706T090000Z", "neither DTEND nor DURATION"),
        ("DTSTART:20260706T090000Z\nDURATION:-PT1H", "is no duration"),
        ("DTSTART:20260706T090000Z\nDTEND:20260706T080000Z", "before it begins"),
        ("DTSTART:20260706T090000Z\nDURATION:PT1H\nRRULE:FREQ=SOMETIMES", "cannot be read"),
        ("DTSTART;TZID=W. Europe Standard Time:20260706T090000\nDURATION:PT1H", "is not known"),
    ];
    for (event, why) in bad {
        let (times, notes) = told(&[event, good], "UTC");
        assert!(times.contains(&"07-06T09:00..07-06T10:00".to_owned()), "{event}");
        assert!(notes.len() == 1 && notes[0].starts_with("4: ") && notes[0].contains(why), "{event}: {notes:?}");
    }
    assert!(matches!(read("hello", "UTC"), Err(CalendarError::Syntax(_))));
    assert!(matches!(read("", "UTC"), Err(CalendarError::Syntax(_))));
    assert_eq!(read(&calendar(&[]), "Mars/Base"), Err(CalendarError::Zone("Mars/Base".to_owned())));
}

#[test]
fn endless_series_end_at_the_limits_and_say_so() {
    let daily = "UID:d\nDTSTART:20260101T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY";
    // Eleven years of mornings are enough for anybody; three and a half of three meetings a day are told of.
    let (times, notes) = told(&[daily], "UTC");
    assert_eq!((times.len(), notes.len()), (usize::from(REPEATS_MAX), 0));
    let (times, notes) = told(&[&format!("{daily};BYHOUR=9,12,15")], "UTC");
    assert_eq!(times.len(), usize::from(REPEATS_MAX));
    assert!(notes.len() == 1 && notes[0].contains("known until 2029-08"), "{notes:?}");
    let many: Vec<String> =
        (0..11).map(|h| daily.replace("UID:d", &format!("UID:{h}")).replace("T09", &format!("T{h:02}"))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (times, notes) = told(&many, "UTC");
    assert_eq!(times.len(), OCCURRENCES_MAX);
    assert!(notes.iter().any(|n| n.contains("are left out")), "{notes:?}");
    // A rule that never comes true ends too.
    let never = "DTSTART:20260101T090000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30";
    assert_eq!(told(&[never], "UTC").0.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), line in "[A-Z-]{1,12}(;[A-Z]{1,5}=[ -~]{0,12})?:[ -~]{0,30}") {
        let _ = read(&text, "UTC");
        let _ = read(&calendar(&[&line]), "Europe/Berlin");
        let _ = read(&calendar(&[&format!("DTSTART:20260101T090000Z\nDURATION:PT1H\n{line}")]), "Europe/Berlin");
    }
}
