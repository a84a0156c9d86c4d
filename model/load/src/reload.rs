//! People and calendars saved anew beside a running engine.
//!
//! State names people by number, so whoever was known must keep theirs. The text that is installed therefore begins with
//! the key `order`, which a plain load follows: the site of a recording's files is then the site that ran.

use crate::{Loaded, load};
use osmose_model::site::{Site, SourceFile};

/// Where people stand.
const PEOPLE: &str = "people.toml";
/// How a text that was numbered begins.
const HEAD: &str = "order = [";

/// The site that holds once `saved` lie in the place of its files while `before` runs, and these files as they are
/// installed: people are numbered so that everybody of `before` keeps their number, those who are gone included;
/// calendars are as they were saved.
#[must_use]
pub fn with_saved(before: &Site, saved: &[SourceFile]) -> (Vec<SourceFile>, Loaded) {
    let numbered = |names: &[&str]| -> (Vec<SourceFile>, Loaded) {
        let list: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let installed: Vec<SourceFile> = saved
            .iter()
            .map(|file| match file.path.as_str() {
                PEOPLE => SourceFile { text: format!("{HEAD}{}]\n{}", list.join(", "), file.text), ..file.clone() },
                _ => file.clone(),
            })
            .collect();
        let loaded = load(&in_place(before, &installed));
        (installed, loaded)
    };
    let known: Vec<&str> = before.people.iter().map(|p| p.name.as_str()).collect();
    let (installed, mut loaded) = numbered(&known);
    let has_people = saved.iter().any(|f| f.path == PEOPLE);
    let Some(site) = loaded.site.as_ref().filter(|_| has_people) else {
        // Its lines are one further down than where the text was read.
        for fault in loaded.faults.iter_mut().filter(|f| has_people && f.file == PEOPLE) {
            fault.line = fault.line.map(|line| line.saturating_sub(1).max(1));
        }
        return (installed, loaded);
    };
    // Written down for all that there are now: the same text saved again is then the same file.
    let all: Vec<&str> = site.people.iter().map(|p| p.name.as_str()).collect();
    numbered(&all)
}

/// The files of a site with others in the place of those that are called as they are, ascending by path.
fn in_place(site: &Site, others: &[SourceFile]) -> Vec<SourceFile> {
    let stays = |f: &&SourceFile| !others.iter().any(|other| other.path == f.path);
    let mut files: Vec<SourceFile> = site.files.iter().filter(stays).cloned().collect();
    files.extend_from_slice(others);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The people file of a site, where it was saved anew beside a running engine.
#[must_use]
pub fn saved_people(site: &Site) -> Option<&SourceFile> {
    site.files.iter().find(|f| f.path == PEOPLE && f.text.starts_with(HEAD))
}

/// What is installed, taken apart: the site that it is for, `None` where it brings neither people nor calendars, and the
/// rule files.
///
/// # Errors
/// What the loader found wrong, where what came along does not load.
pub fn installed(base: &Site, files: &[SourceFile]) -> Result<(Option<Site>, Vec<SourceFile>), Vec<crate::Fault>> {
    let (rules, others): (Vec<SourceFile>, Vec<SourceFile>) =
        files.iter().cloned().partition(|f| f.path.ends_with(".rules"));
    if others.is_empty() {
        return Ok((None, rules));
    }
    let loaded = load(&in_place(base, &others));
    match loaded.site {
        Some(site) => Ok((Some(site), rules)),
        None => Err(loaded.faults),
    }
}

/// A name as a TOML string.
fn quoted(name: &str) -> String {
    let mut text = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => text += &format!("\\u{:04X}", u32::from(c)),
            c => text.push(c),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        load(&crate::template("reload")).site.expect("the template loads")
    }

    fn with_people(before: &Site, text: &str) -> (SourceFile, Loaded) {
        let saved = [SourceFile { path: PEOPLE.to_owned(), text: text.to_owned() }];
        let (mut files, loaded) = with_saved(before, &saved);
        (files.remove(0), loaded)
    }

    #[test]
    fn whoever_was_known_keeps_their_number() {
        let before = site();
        let text =
            "[[group]]\nid = \"staff\"\n[[person]]\nid = \"dan\"\ndevices = [\"p2\"]\n[[person]]\nid = \"ana\"\n";
        let (file, loaded) = with_people(&before, text);
        let after = loaded.site.expect("it loads");
        let names: Vec<&str> = after.people.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["ana", "ben", "dan"], "ben is gone and keeps his number");
        assert!(after.people[1].devices.is_empty() && after.people[1].groups.is_empty());
        assert_eq!(after.device_owners.len(), 1);
        // The installed file gives the same site by a plain load, and saved again it is the same file.
        let (other, rules) = installed(&before, std::slice::from_ref(&file)).expect("it loads");
        assert_eq!((other.map(|s| s.people), rules.len()), (Some(after.people.clone()), 0));
        assert_eq!(with_people(&after, text).0, file);
        assert_eq!(saved_people(&after), Some(&file));
        assert_eq!(saved_people(&before), None);
    }

    #[test]
    fn what_is_wrong_is_said_at_its_own_line() {
        let (_, loaded) = with_people(&site(), "[[person]]\nid = \"ana\"\ngroups = [\"nobodys\"]\n");
        assert!(loaded.site.is_none());
        let fault = loaded.faults.iter().find(|f| f.code == "unknown-group").expect("it is found");
        assert_eq!(fault.line, Some(3), "{fault}");
    }

    #[test]
    fn a_calendar_is_what_was_saved_last_and_people_keep_their_numbers() {
        let mut files = crate::template("reload");
        let site = files.iter_mut().find(|f| f.path == "site.toml").expect("it has one");
        site.text += "\n[[resource]]\nid = \"booking\"\nkind = \"calendar\"\nfile = \"bookings.ics\"\n";
        // The calendar is not there yet.
        let before = load(&files).site.expect("it loads");
        assert!(before.bookings.is_empty());
        let event = "BEGIN:VEVENT\nDTSTART:20260302T100000Z\nDURATION:PT1H\nLOCATION:meeting\nORGANIZER:mailto:ben@x\nEND:VEVENT\n";
        let calendar = |events: &str| SourceFile {
            path: "bookings.ics".to_owned(),
            text: format!("BEGIN:VCALENDAR\n{events}END:VCALENDAR\n"),
        };
        let (along, loaded) = with_saved(&before, &[calendar(event)]);
        let booked = loaded.site.expect("it loads");
        assert_eq!((booked.bookings.len(), along.len()), (1, 1));
        assert_eq!(booked.people, before.people);
        assert_eq!(saved_people(&booked), None, "nobody saved them");
        let (other, rules) = installed(&before, &along).expect("it loads");
        assert_eq!((other.expect("another").bookings, rules.len()), (booked.bookings.clone(), 0));
        // People saved with another calendar: who is called before keeps the number that bookings name.
        let people = SourceFile { path: PEOPLE.to_owned(), text: "[[person]]\nid = \"ben\"\n".to_owned() };
        let both = with_saved(&booked, &[people, calendar(&(event.to_owned() + &event.replace("T10", "T14")))])
            .1
            .site
            .expect("it loads");
        assert_eq!(both.bookings.len(), 2);
        assert_eq!(both.bookings[1].organiser, booked.bookings[0].organiser);
        assert!(with_saved(&booked, &[calendar("BEGIN:VEVENT\n")]).1.site.is_none(), "no calendar");
        // One without any event is a calendar too.
        assert!(with_saved(&booked, &[calendar("")]).1.site.expect("it loads").bookings.is_empty());
    }
}
