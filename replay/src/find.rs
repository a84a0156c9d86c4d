//! `osmose find`: every moment when a condition of the rule language became true.
//!
//! The condition becomes a rule of its own, beside the recorded ones, that tells a device of its own; then the inputs
//! are run once more, and what that device would have been told are the moments. So a condition means here what it
//! means in a rule, dwell and doubt included. In a part of a log it begins with who was where at the cut; how long a
//! condition had held before the cut is not known, so `for 30 s` counts from there.

use crate::drive::{Options, Osmose, Replay, ReplayError, Watch, Workshop, WorkshopError};
use crate::trace::recording::{Items, Recording};
use crate::words;
use osmose_model::ids::ActuatorId;
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use serde_json::{Value, json};

/// The device that is told; no site has one of this name.
const DEVICE: &str = "osmose-find";
/// The file of the rule: the last one, so that the recorded rules keep their numbers.
const FILE: &str = "rules/~osmose-find.rules";
/// Most ways of reading a condition that are tried.
const READINGS_MAX: usize = 16;

/// Why nothing was looked for.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The condition is none that the rule language has.
    #[error("{0}")]
    Condition(String),
    /// The trace's site does not load.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// The inputs cannot be run.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// One moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// When.
    pub at: LogicalNs,
    /// For whom and where: each variable and what it stood for.
    pub bindings: Vec<(String, String)>,
    /// What made it true.
    pub because: String,
    /// Whether doubt did.
    pub doubt: bool,
    /// The wall clock then, where the log has one.
    wall: words::Tied,
}

impl Moment {
    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let bindings: serde_json::Map<String, Value> =
            self.bindings.iter().map(|(name, v)| (name.clone(), json!(v))).collect();
        json!({"t_s": self.at.0 as f64 / 1e9, "time_of_day": words::time_of_day(self.at, self.wall), "bindings": bindings, "because": self.because, "doubt": self.doubt})
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}  {}", words::instant(self.at, self.wall), self.because)?;
        for (name, v) in &self.bindings {
            write!(f, "; {name} = {v}")?;
        }
        if self.doubt { f.write_str(" (by doubt)") } else { Ok(()) }
    }
}

/// The ways in which a condition can be a rule's: as written; or, where it holds an event, that event with the rest as
/// its `if`.
fn readings(condition: &str) -> Vec<String> {
    let condition = condition.trim();
    // Who writes clauses of a rule knows what he wants.
    if condition.starts_with("for each") || condition.starts_with("when ") || condition.starts_with("while ") {
        return vec![condition.replacen("while ", "when ", usize::from(condition.starts_with("while ")))];
    }
    let mut readings = vec![format!("when {condition}")];
    let parts = conjuncts(condition);
    for (i, event) in parts.iter().enumerate().take(READINGS_MAX) {
        let rest: Vec<&str> = parts.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, p)| *p).collect();
        if !rest.is_empty() {
            readings.push(format!("when {event}\n  if {}", rest.join(" and ")));
        }
    }
    readings
}

/// The parts of a condition joined by `and` outside of parentheses and texts.
fn conjuncts(condition: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, false);
    for (i, c) in condition.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ' ' if !quoted && depth == 0 && condition[i..].starts_with(" and ") => {
                parts.push(condition[start..i].trim());
                start = i + " and ".len();
            }
            _ => {}
        }
    }
    parts.push(condition.get(start..).unwrap_or_default().trim());
    parts
}

/// The recording's files with a device to tell, and the rule that tells it, by the first reading that the language
/// takes.
fn with_rule(files: &[SourceFile], condition: &str) -> Result<(Osmose, ActuatorId, SourceFile), FindError> {
    let mut files = files.to_vec();
    let device = format!("\n[[actuator]]\nid = \"{DEVICE}\"\nkind = \"notify\"\nconnect = \"log\"\n");
    match files.iter_mut().find(|f| f.path == "devices.toml") {
        Some(f) => f.text += &device,
        None => files.push(SourceFile { path: "devices.toml".to_owned(), text: device }),
    }
    let plain = Osmose::of_files(&files)?;
    let own: Vec<SourceFile> = plain.site().rule_files().cloned().collect();
    // Level of the lowest rank: it hinders nobody.
    let level = osmose_rules::check(plain.site(), &own)
        .program
        .and_then(|p| p.levels().last().cloned())
        .unwrap_or_else(|| "info".to_owned());
    let mut first = None;
    for reading in readings(condition) {
        let text =
            format!("edition 1\n\nrule osmose-find {{\n  {reading}\n  do {DEVICE}.send()\n  level {level}\n}}\n");
        let rule = SourceFile { path: FILE.to_owned(), text: text.clone() };
        let mut rules = own.clone();
        rules.push(rule.clone());
        let checked = osmose_rules::check(plain.site(), &rules);
        if checked.program.is_some() {
            return match plain.site().actuator_named(DEVICE) {
                Some(device) => Ok((plain, device, rule)),
                None => Err(FindError::Condition("the site takes no device of its own for the search".to_owned())),
            };
        }
        let errors: Vec<String> =
            checked.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.render(&text, false)).collect();
        first.get_or_insert(errors.join("\n"));
    }
    Err(FindError::Condition(first.unwrap_or_default()))
}

/// Looks for every moment from `from` to `to` when a condition became true.
///
/// # Errors
/// [`FindError`].
pub fn find(
    recording: Recording,
    condition: &str,
    from: Option<LogicalNs>,
    to: Option<LogicalNs>,
    watch: &mut dyn Watch,
) -> Result<Vec<Moment>, FindError> {
    let (workshop, device, rule) = with_rule(recording.files(), condition)?;
    let site = workshop.site().clone();
    let told = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let sink = told.clone();
    let each: crate::drive::sinks::Each = Box::new(move |tag, _, out, view| {
        if from.is_none_or(|from| tag.at >= from) {
            let wall = view.wall().map(|w| (tag.at, w));
            let told = out.commands.iter().filter(|c| c.device == device);
            sink.borrow_mut().extend(told.map(|c| (c.clone(), wall)));
        }
    });
    let sinks = crate::drive::Sinks { each: Some(each), ..Default::default() };
    Replay::new(recording, workshop, Options { from, to, beside: vec![rule], sinks, ..Options::default() })?
        .run(watch)?;
    let moment = |(c, wall): &(osmose_model::command::Command, words::Tied)| Moment {
        at: c.at,
        bindings: c.cause.bindings.iter().map(|(name, e)| (name.to_string(), words::entity(&site, e))).collect(),
        because: because(&site, condition, c),
        doubt: c.cause.doubt,
        wall: *wall,
    };
    let moments = told.borrow().iter().map(moment).collect();
    Ok(moments)
}

/// What made a condition true: an event or a reading; where only time passed, the condition itself.
fn because(site: &osmose_model::site::Site, condition: &str, c: &osmose_model::command::Command) -> String {
    match &c.cause.trigger {
        osmose_model::command::Trigger::Timer => condition.trim().to_owned(),
        trigger => words::trigger(site, trigger),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{imported, live, walk};
    use crate::trace::codec::{self, Record};
    use crate::trace::read::{Item, TraceReader};
    use osmose_model::observation::ScanBuf;
    use osmose_model::world::EventKind;

    fn found(trace: &[u8], condition: &str) -> Result<Vec<Moment>, FindError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, trace).unwrap();
        find(Recording::open(&path).unwrap(), condition, None, None, &mut ())
    }

    #[test]
    fn every_leave_of_a_known_person_is_found_and_no_other() {
        let trace = live(&walk(40), 50);
        let mut reader = TraceReader::new(&trace[..], trace.len() as u64).unwrap();
        let meeting = crate::testing::workshop().site().zone_named("meeting");
        let (mut scan, mut leaves) = (ScanBuf::new(), Vec::new());
        while let Some(item) = reader.next_item().unwrap() {
            let Item::Record(raw) = item else { panic!() };
            if let Record::Event { tag, event } = codec::decode(&raw, &mut scan).unwrap()
                && (event.kind, event.zone) == (EventKind::Leaves, meeting)
                && event.person.is_some()
            {
                leaves.push(tag.at);
            }
        }
        assert!(leaves.len() > 2);
        for trace in [&trace, &imported(&walk(40))] {
            let moments = found(trace, "any p in members(staff) leaves meeting").unwrap();
            assert_eq!(moments.iter().map(|m| m.at).collect::<Vec<_>>(), leaves);
            assert!(moments.iter().all(|m| m.because.contains("leaves meeting") && m.bindings[0].0 == "p"));
        }
        // With a state beside it: the recorder is paused from the first leave on.
        let paused = found(&trace, "any p in members(staff) leaves meeting and meeting.recorder is paused").unwrap();
        assert!(!paused.is_empty() && paused.len() <= leaves.len());
        // A state alone: its moments are where it turns true.
        let busy = found(&trace, "count(people in meeting) >= 2").unwrap();
        assert!(!busy.is_empty());
        assert!(busy.windows(2).all(|w| w[0].at < w[1].at));
    }

    /// Rules that are installed in the middle do not end the search: the same moments as without the installation.
    #[test]
    fn rules_installed_on_the_way_do_not_end_the_search() {
        let plain = walk(40);
        let mut later: Vec<_> = crate::testing::files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
        later.iter_mut().for_each(|f| f.text = f.text.replace("80 %", "60 %"));
        let (at, inputs) = crate::testing::with_install(&plain, 20, &later);
        let trace = crate::testing::live_with(&inputs, 50, &[(at, later)]);
        let condition = "any p in members(staff) leaves meeting";
        let times = |trace: &[u8]| found(trace, condition).unwrap().iter().map(|m| m.at).collect::<Vec<_>>();
        let (with, without) = (times(&trace), times(&live(&plain, 50)));
        assert_eq!(with, without);
        assert!(with.iter().filter(|at| at.0 > 20_000_000_000).count() > 1, "{with:?}");
    }

    #[test]
    fn what_is_no_condition_is_pointed_at() {
        let error = found(&live(&walk(1), 0), "nobody leaves the cellar").unwrap_err().to_string();
        assert!(error.contains("error") && error.contains("when nobody leaves the cellar"), "{error}");
    }
}
