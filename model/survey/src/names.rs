//! Ids that rules can spell: archives call a room `bad6524c-6594-…` or `316`, a rule wants `h21` or `meeting-room-large`.

use osmose_model::site::Site;
use std::collections::BTreeSet;

/// A name as a word of the rule language: small letters and digits, parts joined by single dashes. Empty where nothing
/// of the name can stand in a word.
pub(crate) fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().take(64).flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    let out = out.trim_end_matches('-').to_owned();
    // A word begins with a letter.
    if out.starts_with(|c: char| !c.is_alphabetic()) { format!("r-{out}") } else { out }
}

/// Whether a rule can name it as it is.
fn is_word(id: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p.chars().all(|c| c.is_alphanumeric() || c == '_');
    id.starts_with(|c: char| c.is_alphabetic() || c == '_') && id.split('-').all(part)
}

/// Whether it is a UUID: a word now and then, and readable never.
fn is_uuid(id: &str) -> bool {
    let lengths = id.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// An id made of what people call it, else of its sort, that is not taken yet.
fn made(label: &str, old: &str, sort: &str, taken: &BTreeSet<String>) -> String {
    let label = if is_uuid(label) || label == old && is_uuid(old) { "" } else { label };
    let base = Some(slug(label)).filter(|s| !s.is_empty() && s != "r-").unwrap_or_else(|| slug(sort));
    let base = if base.is_empty() { "room".to_owned() } else { base };
    let first = std::iter::once(base.clone());
    let mut tries = first.chain((2..).map(|n| format!("{base}-{n}")));
    tries.find(|t| !taken.contains(t)).unwrap_or(base)
}

/// Gives levels and zones whose ids no rule can spell ids made of their labels; gives back (old, new), in the plan's
/// order.
#[must_use]
pub fn make_readable(site: &mut Site) -> Vec<(String, String)> {
    let mut changed = Vec::new();
    let plain = |id: &str| is_word(id) && !is_uuid(id);
    let mut taken: BTreeSet<String> = site.levels.iter().map(|l| l.name.clone()).filter(|n| plain(n)).collect();
    for level in site.levels.iter_mut().filter(|l| !plain(&l.name)) {
        let new = made(&level.label, &level.name, "level", &taken);
        taken.insert(new.clone());
        changed.push((std::mem::replace(&mut level.name, new.clone()), new));
    }
    let mut taken: BTreeSet<String> = site.zones.iter().map(|z| z.name.clone()).filter(|n| plain(n)).collect();
    // `outside` is what doors call the street.
    taken.insert("outside".to_owned());
    for zone in site.zones.iter_mut().filter(|z| !plain(&z.name)) {
        let new = made(&zone.label, &zone.name, &zone.category, &taken);
        taken.insert(new.clone());
        changed.push((std::mem::replace(&mut zone.name, new.clone()), new));
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words_that_rules_spell() {
        assert_eq!(slug("Meeting Room  Large (3)"), "meeting-room-large-3");
        assert_eq!(slug("Café / Küche"), "café-küche");
        assert_eq!(slug("316"), "r-316");
        assert_eq!(slug("---"), "");
        assert!(is_word("corridor-2") && is_word("café") && !is_word("316") && !is_word("a--b") && !is_word("a b"));
        assert!(is_uuid("bad6524c-6594-4c77-8b8a-7ee7fcb92faa") && !is_uuid("room-1"));
    }

    #[test]
    fn an_id_made_is_nobody_elses() {
        let taken: BTreeSet<String> = ["kitchen".to_owned(), "kitchen-2".to_owned()].into();
        assert_eq!(made("Kitchen", "7", "room", &taken), "kitchen-3");
        let uuid = "bad6524c-6594-4c77-8b8a-7ee7fcb92faa";
        assert_eq!(made(uuid, uuid, "walkway", &taken), "walkway");
        assert_eq!(made("", "7", "!", &taken), "room");
    }
}
