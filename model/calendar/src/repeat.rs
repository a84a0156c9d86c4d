//! When an event takes place: once, or by its repetition rules (the `rrule` library's reading of RFC 5545, 3.3.10).

use crate::event::{Event, Fault};
use crate::{FAR_S, Note, REPEATS_MAX, when};
use rrule::{RRule, RRuleSet, Unvalidated};

impl Event {
    /// Every beginning, seconds since 1970 UTC, ascending.
    pub(crate) fn beginnings(&self, notes: &mut Vec<Note>) -> Result<Vec<i64>, Fault> {
        let mut set = RRuleSet::new(self.from);
        for rule in &self.rules {
            let wrong = |e: rrule::RRuleError| {
                (format!("The repetition {rule:?} cannot be read: {e}."), "Write it as RFC 5545 has it.".to_owned())
            };
            let parsed: RRule<Unvalidated> = rule.parse().map_err(wrong)?;
            set = set.rrule(parsed.validate(self.from).map_err(wrong)?);
        }
        let first = if self.rules.is_empty() { vec![self.from] } else { vec![] };
        set = first.iter().chain(&self.also).fold(set, |set, at| set.rdate(*at));
        set = self.not.iter().fold(set, |set, at| set.exdate(*at));
        let found = set.all(REPEATS_MAX);
        let mut from: Vec<i64> = found.dates.iter().map(chrono::DateTime::timestamp).collect();
        from.sort_unstable();
        from.dedup();
        if let (true, Some(first), Some(last)) = (found.limited, from.first(), from.last())
            && last - first < FAR_S
        {
            notes.push(Note {
                line: self.line,
                event: self.title.clone(),
                message: format!("Its repetitions are known until {}, the first {REPEATS_MAX}.", when::day(*last)),
                help: "Give the series a later beginning where that is too soon.".to_owned(),
            });
        }
        Ok(from)
    }
}
