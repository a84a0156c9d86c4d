//! People saved anew beside a running engine.
//!
//! State names people by number, so whoever was known must keep theirs. The text that is installed therefore begins with
//! the key `order`, which a plain load follows: the site of a recording's files is then the site that ran.

use crate::{Loaded, load};
use osmose_model::site::{Site, SourceFile};

/// Where people stand.
const PEOPLE: &str = "people.toml";
/// How a text that was numbered begins.
const HEAD: &str = "order = [";

/// The site that holds once `text` is saved as people.toml while `before` runs, and the file as it is installed: numbered
/// so that everybody of `before` keeps their number, those who are gone included.
#[must_use]
pub fn with_people(before: &Site, text: &str) -> (SourceFile, Loaded) {
    let numbered = |names: &[&str]| -> (SourceFile, Loaded) {
        let list: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let file = SourceFile { path: PEOPLE.to_owned(), text: format!("{HEAD}{}]\n{text}", list.join(", ")) };
        let mut files: Vec<SourceFile> = before.files.iter().filter(|f| f.path != PEOPLE).cloned().collect();
        files.push(file.clone());
        files.sort_by(|a, b| a.path.cmp(&b.path));
        (file, load(&files))
    };
    let known: Vec<&str> = before.people.iter().map(|p| p.name.as_str()).collect();
    let (file, mut loaded) = numbered(&known);
    let Some(site) = &loaded.site else {
        // Its lines are one further down than where the text was read.
        for fault in loaded.faults.iter_mut().filter(|f| f.file == PEOPLE) {
            fault.line = fault.line.map(|line| line.saturating_sub(1).max(1));
        }
        return (file, loaded);
    };
    // Written down for all that there are now: the same text saved again is then the same file.
    let all: Vec<&str> = site.people.iter().map(|p| p.name.as_str()).collect();
    numbered(&all)
}

/// The people file of a site, where it was saved anew beside a running engine.
#[must_use]
pub fn saved_people(site: &Site) -> Option<&SourceFile> {
    site.files.iter().find(|f| f.path == PEOPLE && f.text.starts_with(HEAD))
}

/// What is installed, taken apart: the site that it is for, `None` where it brings no other people, and the rule files.
///
/// # Errors
/// What the loader found wrong, where the people that came along do not load.
pub fn installed(base: &Site, files: &[SourceFile]) -> Result<(Option<Site>, Vec<SourceFile>), Vec<crate::Fault>> {
    let (people, rules): (Vec<SourceFile>, Vec<SourceFile>) = files.iter().cloned().partition(|f| f.path == PEOPLE);
    let Some(people) = people.into_iter().next() else { return Ok((None, rules)) };
    let mut all: Vec<SourceFile> = base.files.iter().filter(|f| f.path != PEOPLE).cloned().collect();
    all.push(people);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    let loaded = load(&all);
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
}
