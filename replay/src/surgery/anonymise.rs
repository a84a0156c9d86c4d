//! `osmose trace anonymise`: people, their devices and badges under names that mean nothing outside of this trace.
//!
//! Positions and times are kept: that is what the trace is for, and it is also why nobody can promise that a person
//! cannot be found again by the desk that he sits at. What is and what is not done is said with the result.
//!
//! Decisions, digests and states hold names and keys too, so they are not copied: the changed inputs are run once
//! more, and what that decides is recorded. A trace that begins inside a log (it was cut, or what came before has
//! expired) begins with such a state: it is refused, unless who asks lets that state go.

use super::SurgeryError;
use super::index::EVERY;
use crate::drive::{Osmose, Watch, Workshop};
use crate::record::Recorder;
use crate::trace::format::{Build, Meta};
use crate::trace::recording::{Items, Recording};
use crate::trace::write::Packing;
use crate::wall::format_rfc3339;
use crate::words::counted;
use osmose_core::CoreDriver;
use osmose_model::canon;
use osmose_model::command::{Text, Value};
use osmose_model::ids::{CarriedKey, Seq};
use osmose_model::input::{Input, OperatorAction, Report};
use osmose_model::observation::{BearingHit, Body, Observation};
use osmose_model::site::{Attribute, Site, SourceFile};
use osmose_model::time::ArrivalNs;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What was replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anonymised {
    /// People with a pseudonym.
    pub people: usize,
    /// Devices and badges with a pseudonym, declared or not.
    pub carried: usize,
    /// Files that were emptied, because nobody can know whom they speak of.
    pub emptied: Vec<String>,
    /// Inputs written.
    pub inputs: u64,
    /// Inputs before the first that is there: what was known of them was let go.
    pub begins_behind: u64,
    /// Inputs that are missing further on: what is decided anew goes on without them.
    pub missing: u64,
}

/// What becomes of the state that a trace begins with, where it begins inside a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It bears names and cannot be taken over: such a trace is refused.
    Refused,
    /// It is let go: nobody is known until sensors say something of them.
    Forgotten,
}

impl Anonymised {
    /// For people: what it claims, and what it does not. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!(
            "{}; with pseudonyms of this trace alone: people {}, devices and badges {}\n\
             removed: languages, texts and folders of people, what bookings are called, comments, operators' reasons, the recorded decisions (they were made anew)\n",
            counted(self.inputs, "input"),
            self.people,
            self.carried
        );
        if self.begins_behind > 0 {
            text += "let go: who was where at its beginning, and what devices had been told: decisions differ until sensors have \
                     spoken of everybody\n";
        }
        if self.missing > 0 {
            text += &format!(
                "missing: {} of the recording, and what is decided anew goes on without\n",
                counted(self.missing, "input")
            );
        }
        if !self.emptied.is_empty() {
            text += &format!("emptied: {}\n", self.emptied.join(", "));
        }
        text += "NOT removed: where people went and when, times of day, names of rooms, sensors, devices, groups and rules. \
                 Who knows where somebody sits finds him again: treat the trace as personal data\n";
        text
    }
}

/// Whole words that are replaced in texts, the longest first.
struct Words(Vec<(String, String)>);

impl Words {
    fn learn(&mut self, word: &str, instead: &str) {
        if !self.0.iter().any(|(known, _)| known == word) {
            self.0.push((word.to_owned(), instead.to_owned()));
        }
    }

    /// The longest first, so that no name is taken for a part of another.
    fn sort(&mut self) {
        self.0.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    }

    fn replaced(&self, text: &str) -> String {
        let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let begins = text[..at].chars().next_back().is_none_or(|b| !part(b));
            let found = self.0.iter().find(|(word, _)| {
                let rest = &text[at..];
                begins && rest.starts_with(word.as_str()) && !rest[word.len()..].chars().next().is_some_and(part)
            });
            match found {
                Some((word, instead)) => {
                    out += instead;
                    at += word.len();
                }
                None => {
                    out.push(c);
                    at += c.len_utf8();
                }
            }
        }
        out
    }
}

/// Text of a TOML string.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// The people file, from what it resolved to: nothing of its text is kept. Everybody is called by his number, which he
/// keeps where people were saved anew beside the engine; what they carry keeps the name that it was given first.
fn people_file(site: &Site, words: &mut Words, keys: &mut Keys) -> String {
    let mut text = String::new();
    let is_saved_anew = osmose_load::saved_people(site).is_some();
    if is_saved_anew {
        let order: Vec<String> = (0..site.people.len()).map(|i| quoted(&pseudonym(i))).collect();
        let _ = writeln!(text, "order = [{}]", order.join(", "));
    }
    for group in &site.groups {
        let _ = writeln!(text, "[[group]]\nid = {}\n", quoted(&group.name));
    }
    for (i, person) in site.people.iter().enumerate() {
        words.learn(&person.name, &pseudonym(i));
        let has_nothing = person.groups.is_empty() && person.devices.is_empty() && person.badges.is_empty();
        if is_saved_anew && has_nothing && person.attributes.is_empty() {
            // Gone, and known by the number in `order` alone.
            continue;
        }
        let _ = writeln!(text, "[[person]]\nid = {}", quoted(&pseudonym(i)));
        let groups: Vec<String> =
            person.groups.iter().filter_map(|g| site.groups.get(g.index())).map(|g| quoted(&g.name)).collect();
        let _ = writeln!(text, "groups = [{}]", groups.join(", "));
        let mut list = |carried: &[CarriedKey], kind: &'static str| {
            let mut names = Vec::new();
            for key in carried {
                let alias = keys.alias(*key, kind);
                if let Some(old) = site.carried_name(*key) {
                    words.learn(old, &alias);
                }
                names.push(quoted(&alias));
            }
            names.join(", ")
        };
        let _ = writeln!(text, "devices = [{}]", list(&person.devices, "device"));
        let _ = writeln!(text, "badges = [{}]", list(&person.badges, "badge"));
        for (key, value) in &person.attributes {
            // A yes, a no and a number decide rules; a text names things.
            match value {
                Attribute::Bool(b) => _ = writeln!(text, "{key} = {b}"),
                Attribute::Number(x) => _ = writeln!(text, "{key} = {x:?}"),
                Attribute::Text(_) => {}
            }
        }
        text.push('\n');
    }
    words.sort();
    text
}

/// A calendar, from what it resolved to: when which zone is booked, and by which pseudonym.
fn calendar_file(site: &Site, calendar: usize) -> String {
    let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//osmose//anonymised//EN\r\n".to_owned();
    let time = |utc| format_rfc3339(utc).replace(['-', ':'], "");
    let of_it = site.bookings.iter().filter(|b| usize::from(b.calendar) == calendar);
    for (i, booking) in of_it.enumerate() {
        let (from, to) = (time(booking.from), time(booking.to));
        let _ = write!(text, "BEGIN:VEVENT\r\nUID:{i}\r\nDTSTART:{from}\r\nDTEND:{to}\r\n");
        if let Some(zone) = booking.zone.and_then(|z| site.zones.get(z.index())) {
            let _ = write!(text, "LOCATION:{}\r\n", zone.name);
        }
        if let Some(who) = booking.organiser {
            let name = pseudonym(who.index());
            let _ = write!(text, "ORGANIZER;CN={name}:mailto:{name}@invalid\r\n");
        }
        text += "END:VEVENT\r\n";
    }
    text + "END:VCALENDAR\r\n"
}

/// What a person is called in this trace.
fn pseudonym(person: usize) -> String {
    format!("person-{}", person + 1)
}

/// A text without what stands behind `#`, where that is no part of a quoted one.
fn without_comments(text: &str) -> String {
    let line = |line: &str| {
        let mut quote = None;
        for (i, c) in line.char_indices() {
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(q)) if c == q => quote = None,
                ('#', None) => return line[..i].trim_end().to_owned(),
                _ => {}
            }
        }
        line.to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// Every file of the site, and the names of those that were emptied.
fn files(old: &Site, site_files: &[SourceFile], people: &str, words: &Words) -> (Vec<SourceFile>, Vec<String>) {
    let mut emptied = Vec::new();
    let calendar = |path: &str| old.resources.iter().position(|r| r.kind == "calendar" && r.file == path);
    let one = |f: &SourceFile| {
        let kind = f.path.rsplit('.').next().unwrap_or_default();
        let text = match (f.path.as_str(), kind) {
            ("people.toml", _) => people.to_owned(),
            (path, "ics") if calendar(path).is_some() => {
                calendar(path).map_or_else(String::new, |c| calendar_file(old, c))
            }
            (_, "toml" | "rules") => words.replaced(&without_comments(&f.text)),
            (_, "geojson" | "json") => words.replaced(&f.text),
            _ => {
                emptied.push(f.path.clone());
                String::new()
            }
        };
        SourceFile { path: f.path.clone(), text }
    };
    (site_files.iter().map(one).collect(), emptied)
}

/// Keys of what is carried, old to new, and what the new ones are called.
#[derive(Default)]
struct Keys {
    by: BTreeMap<CarriedKey, CarriedKey>,
    /// How many of each kind were given names.
    given: BTreeMap<&'static str, usize>,
    texts: BTreeMap<CarriedKey, String>,
}

impl Keys {
    /// What a carried thing is called, and was from its first appearance on.
    fn alias(&mut self, old: CarriedKey, kind: &'static str) -> String {
        let key = self.key(old, kind);
        self.texts.get(&key).cloned().unwrap_or_default()
    }

    fn key(&mut self, old: CarriedKey, kind: &'static str) -> CarriedKey {
        if let Some(key) = self.by.get(&old) {
            return *key;
        }
        let number = self.given.entry(kind).or_default();
        *number += 1;
        let name = format!("{kind}-{number}");
        let key = CarriedKey::of(&name);
        self.by.insert(old, key);
        self.texts.insert(key, name);
        key
    }

    /// Of something that may be nobody's.
    fn new_key(&mut self, old: CarriedKey) -> CarriedKey {
        self.key(old, "unknown")
    }
}

/// Writes `out`: the recording `path` without names.
///
/// # Errors
/// [`SurgeryError`]; where the site without names does not load, or the trace begins with a state that is not to be let
/// go, nothing is written.
pub fn anonymise(path: &Path, opening: Opening, out: &Path, watch: &mut dyn Watch) -> Result<Anonymised, SurgeryError> {
    let mut recording = Recording::open(path)?;
    let old = Osmose::of_files(recording.files())?.site().clone();
    let (mut words, mut keys) = (Words(Vec::new()), Keys::default());
    let people = people_file(&old, &mut words, &mut keys);
    let (attached, emptied) = files(&old, recording.files(), &people, &words);
    let workshop = Osmose::of_files(&attached)?;
    let (build, wall) = (Build::this(), recording.meta().wall);
    let meta = Meta { build, has_ticks: true, has_decisions: true, wall, ..recording.meta().clone() };
    let recorder = Recorder::create(out, &meta, &attached, Packing::Lz4)?;
    let mut sink = super::index::Run::new(recorder, EVERY);
    let mut driver = CoreDriver::new(workshop.core()?);
    let own: Vec<SourceFile> = workshop.site().rule_files().cloned().collect();
    let in_force = canon::encode_files(&own);
    let known = old.people.len();
    let (now, holes) = ((*old).clone(), Holes { opening, last: None, begins_behind: 0, missing: 0 });
    let mut run = Feed { now, old: &old, known, words, people, workshop: &workshop, in_force, holes };
    let result = run.all((&mut recording, watch), &mut keys, &mut driver, &mut sink);
    if result.is_err() {
        let _ = std::fs::remove_file(out);
    }
    result?;
    let (recorder, indexed) = sink.into_parts();
    recorder.finish()?;
    let carried = keys.by.len();
    let Holes { begins_behind, missing, .. } = run.holes;
    Ok(Anonymised { people: run.known, carried, emptied, inputs: indexed.inputs, begins_behind, missing })
}

/// Inputs that are not in the recording.
struct Holes {
    opening: Opening,
    last: Option<Seq>,
    begins_behind: u64,
    missing: u64,
}

impl Holes {
    fn see(&mut self, seq: Seq) -> Result<(), SurgeryError> {
        match self.last.replace(seq) {
            Some(last) => self.missing += seq.0.saturating_sub(last.0 + 1),
            None => self.begins_behind = seq.0.saturating_sub(1),
        }
        if self.begins_behind > 0 && self.opening == Opening::Refused {
            return Err(SurgeryError::Refused(
                "this trace begins inside a log, with a state that bears names (it was cut, or what came before has \
                 expired): anonymise the whole first, and cut that; or give --forget-state to let that state go"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

struct Feed<'a> {
    /// The site as it was at the beginning, with its names.
    old: &'a Site,
    /// The site in force, with its names.
    now: Site,
    /// How many people there were at most.
    known: usize,
    words: Words,
    /// The people file in force, without names.
    people: String,
    workshop: &'a Osmose,
    in_force: Vec<u8>,
    holes: Holes,
}

impl Feed<'_> {
    fn all(
        &mut self,
        (recording, watch): (&mut Recording, &mut dyn Watch),
        keys: &mut Keys,
        driver: &mut CoreDriver,
        sink: &mut super::index::Run,
    ) -> Result<(), SurgeryError> {
        super::for_each_input(recording, watch, |tag, input| {
            self.holes.see(tag.seq)?;
            self.one(ArrivalNs(tag.at.0), input, keys, driver, sink)
        })
    }

    fn one(
        &mut self,
        at: ArrivalNs,
        input: &Input<'_>,
        keys: &mut Keys,
        driver: &mut CoreDriver,
        sink: &mut super::index::Run,
    ) -> Result<(), SurgeryError> {
        match input {
            // Ticks come where they are due.
            Input::Tick => {}
            Input::Observation(o) => self.observation(at, o, keys, driver, sink),
            Input::Named { key, .. } => {
                let key = keys.new_key(*key);
                let text = keys.texts.get(&key).cloned().unwrap_or_default();
                driver.feed(at, &Input::Named { key, text: &text }, sink);
            }
            Input::RulesInstalled { files: block } => {
                self.meet(block, keys)?;
                let files = self.renamed(block)?;
                let block = canon::encode_files(&files);
                if block != self.in_force {
                    driver.machine_mut().stage_rules(self.workshop.rules(&files)?);
                    self.in_force.clone_from(&block);
                }
                driver.feed(at, &Input::RulesInstalled { files: &block }, sink);
            }
            Input::SiteInstalled { files: block } => {
                let block = canon::encode_files(&self.renamed(block)?);
                driver.feed(at, &Input::SiteInstalled { files: &block }, sink);
            }
            Input::Report(r) => {
                let value = match r.value {
                    Value::Text(t) => Value::Text(clipped(&self.words.replaced(&t))),
                    other => other,
                };
                driver.feed(at, &Input::Report(Report { value, ..*r }), sink);
            }
            Input::Operator(OperatorAction::RuleOff { rule, until, .. }) => {
                let because = clipped("(removed)");
                let action = OperatorAction::RuleOff { rule: *rule, until: *until, because };
                driver.feed(at, &Input::Operator(action), sink);
            }
            Input::Operator(OperatorAction::Act { actuator, verb, arg }) => {
                let arg = arg.map(|(name, value)| match value {
                    Value::Text(t) => (name, Value::Text(clipped(&self.words.replaced(&t)))),
                    other => (name, other),
                });
                let action = OperatorAction::Act { actuator: *actuator, verb: *verb, arg };
                driver.feed(at, &Input::Operator(action), sink);
            }
            other => driver.feed(at, other, sink),
        }
        Ok(())
    }

    /// People and calendars that were saved anew beside the engine: whoever is new among them gets a name of his own.
    fn meet(&mut self, block: &[u8], keys: &mut Keys) -> Result<(), SurgeryError> {
        let sources = canon::decode_files(block).map_err(|e| SurgeryError::Refused(e.to_string()))?;
        let loaded = osmose_load::installed(self.old, &sources);
        let refused = || SurgeryError::Refused("what was saved while it was recorded does not load".to_owned());
        if let Some(site) = loaded.map_err(|_| refused())?.0 {
            self.people = people_file(&site, &mut self.words, keys);
            self.known = self.known.max(site.people.len());
            self.now = site;
        }
        Ok(())
    }

    fn renamed(&self, block: &[u8]) -> Result<Vec<SourceFile>, SurgeryError> {
        let sources = canon::decode_files(block).map_err(|e| SurgeryError::Refused(e.to_string()))?;
        Ok(files(&self.now, &sources, &self.people, &self.words).0)
    }

    fn observation(
        &self,
        at: ArrivalNs,
        o: &Observation<'_>,
        keys: &mut Keys,
        driver: &mut CoreDriver,
        sink: &mut super::index::Run,
    ) {
        let mut hits: Vec<BearingHit> = Vec::new();
        if let Body::Bearing(all) = o.body {
            hits.extend(all.iter().map(|h| BearingHit { device: h.device.map(|d| keys.new_key(d)), ..*h }));
        }
        let body = match o.body {
            Body::Location { device, place, sigma_m } => {
                Body::Location { device: keys.new_key(device), place, sigma_m }
            }
            Body::Range { device, range_m, sigma_m } => Body::Range { device: keys.new_key(device), range_m, sigma_m },
            Body::Tdoa { other, device, diff_m, sigma_m } => {
                Body::Tdoa { other, device: keys.new_key(device), diff_m, sigma_m }
            }
            Body::Rssi { device, rssi_dbm } => Body::Rssi { device: keys.new_key(device), rssi_dbm },
            Body::Badge { badge } => Body::Badge { badge: keys.new_key(badge) },
            Body::Bearing(_) => Body::Bearing(&hits),
            other => other,
        };
        driver.feed(at, &Input::Observation(Observation { body, ..*o }), sink);
    }
}

/// A text within its bound, cut at a character.
fn clipped(text: &str) -> Text {
    let mut out = Text::new();
    for c in text.chars() {
        if out.try_push(c).is_err() {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{Options, Replay, Verdict};
    use crate::testing::{live, walk};
    use crate::trace::read::Item;
    use osmose_model::time::LogicalNs;

    #[test]
    fn no_name_is_left_in_any_byte_and_the_same_is_decided() {
        let dir = tempfile::tempdir().unwrap();
        let (path, out) = (dir.path().join("walk.mcap"), dir.path().join("out.mcap"));
        std::fs::write(&path, live(&walk(20), 50)).unwrap();
        let done = anonymise(&path, Opening::Refused, &out, &mut ()).unwrap();
        assert_eq!((done.people, done.carried), (2, 3), "{done:?}");
        assert!(done.render().contains("NOT removed"));
        let count = |path: &Path, verify: bool| {
            let recording = Recording::open(path).unwrap();
            let workshop = Osmose::of_files(recording.files()).unwrap();
            let options = Options { verify, ..Options::default() };
            let summary = Replay::new(recording, workshop, options).unwrap().run(&mut ()).unwrap();
            (summary.verdict.clone(), summary.events, summary.commands)
        };
        let (a, b) = (count(&path, false), count(&out, true));
        assert_eq!((b.0, b.1, b.2), (Verdict::Same, a.1, a.2));
        // Look into the unpacked records and files: names and keys of people, and of what they carry.
        let mut reader = crate::trace::read::TraceReader::open(&out).unwrap();
        let mut bytes: Vec<u8> = reader.files().iter().flat_map(|f| f.text.bytes()).collect();
        while let Some(item) = reader.next_item().unwrap() {
            let Item::Record(raw) = item else { panic!() };
            bytes.extend_from_slice(raw.data);
        }
        let has = |what: &[u8]| bytes.windows(what.len()).any(|w| w == what);
        assert!(has(b"person-1") && has(b"device-1"));
        for key in ["p1", "p2", "04A2"].map(CarriedKey::of) {
            assert!(!has(&key.0.to_le_bytes()), "the key of a device is left");
        }
        assert!(!has(b"\"ana\"") && !has(b"\"ben\"") && !has(b"04A2") && !has(b"\"p1\""));
    }

    #[test]
    fn a_cut_begins_with_a_state_that_bears_names_and_is_refused_unless_that_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        std::fs::write(file("walk"), live(&walk(20), 50)).unwrap();
        let cut = |from: &str, to: &str| {
            let mut whole = Recording::open(&file(from)).unwrap();
            let (a, b) = (LogicalNs(5_000_000_000), LogicalNs(15_000_000_000));
            crate::surgery::cut::cut(&mut whole, a, b, &file(to), &mut ()).unwrap()
        };
        let verified = |name: &str| {
            let recording = Recording::open(&file(name)).unwrap();
            let workshop = Osmose::of_files(recording.files()).unwrap();
            let options = Options { verify: true, ..Options::default() };
            Replay::new(recording, workshop, options).unwrap().run(&mut ()).unwrap()
        };
        let before = cut("walk", "cut").after.seq.0;
        let said = anonymise(&file("cut"), Opening::Refused, &file("out"), &mut ()).unwrap_err().to_string();
        assert!(said.contains("anonymise the whole first, and cut that"), "{said}");
        assert!(!file("out").exists());
        let done = anonymise(&file("cut"), Opening::Forgotten, &file("out"), &mut ()).unwrap();
        assert_eq!((done.begins_behind, done.missing), (before, 0));
        assert!(done.render().contains("let go: who was where"), "{}", done.render());
        assert_eq!(verified("out").verdict, Verdict::Same);
        // As the sentence says: the whole first, and then a cut of that, which decides what the cut with names does.
        anonymise(&file("walk"), Opening::Refused, &file("shared"), &mut ()).unwrap();
        cut("shared", "shared-cut");
        let (a, b) = (verified("cut"), verified("shared-cut"));
        assert_eq!((a.verdict, b.verdict), (Verdict::Same, Verdict::Same));
        assert_eq!((a.inputs, a.events, a.commands), (b.inputs, b.events, b.commands));
    }

    #[test]
    fn a_calendar_keeps_its_stretches_and_loses_its_words() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/coworking");
        let old = osmose_load::load_dir(&dir).site.unwrap();
        let (mut words, mut keys) = (Words(Vec::new()), Keys::default());
        let people = people_file(&old, &mut words, &mut keys);
        let (attached, emptied) = files(&old, &old.files, &people, &words);
        assert_eq!(emptied, [""; 0]);
        let new = Osmose::of_files(&attached).unwrap();
        assert!(old.bookings.len() > 10 && old.bookings.iter().any(|b| b.organiser.is_some()));
        assert_eq!(old.bookings, new.site().bookings);
        let text = &attached.iter().find(|f| f.path == "bookings.ics").unwrap().text;
        assert!(!text.contains("Project") && !text.contains("Ana") && text.contains("person-"), "{text}");
    }

    #[test]
    fn words_are_replaced_whole_and_the_longest_first() {
        let words = Words(vec![("ana-maria".into(), "person-2".into()), ("ana".into(), "person-1".into())]);
        assert_eq!(
            words.replaced("ana, ana-maria; banana \"ana\" ana_b anä"),
            "person-1, person-2; banana \"person-1\" ana_b anä"
        );
        assert_eq!(without_comments("a = \"#1\" # Ana's\n# all\nb = 2"), "a = \"#1\"\n\nb = 2\n");
    }
}
