//! What `prove` could not show is watched: whether a statement of the rules holds along a recording, and when it did not.
//!
//! A statement that `osmose check` calls *not proven* becomes a level rule of its own that holds a device of its own
//! while the condition is that must never be; then the inputs are run once more, and what that device is told is when
//! the statement was broken, and until when. So a condition means here what it means in a rule.

use crate::drive::sinks::Each;
use crate::drive::{Options, Osmose, Replay, ReplayError, Sinks, Watch, Workshop};
use crate::trace::recording::Recording;
use crate::words;
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::input::Input;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::LogicalNs;
use osmose_rules::conflict::{self, Proven};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

/// The devices that are told; no site has any of these names.
const DEVICE: &str = "osmose-promise";
/// The file of the rules: the last one, so that the others keep their numbers.
const FILE: &str = "rules/~osmose-promises.rules";
/// Most statements watched at a time.
const PROMISES_MAX: usize = 64;
/// Most breaks of one statement kept one by one.
const BREAKS_MAX: usize = 1000;

/// A statement that could not be proven, and what became of it along a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Promise {
    /// As written.
    pub text: String,
    /// The file that it stands in, and its line from 1.
    pub place: (String, u32),
    /// The stretches in which it was broken, in order; empty where it held.
    pub broken: Vec<Break>,
    /// Breaks beyond the kept ones.
    pub more: u64,
    /// Why it could not be watched, where it could not.
    pub unwatched: Option<String>,
}

/// A stretch in which a statement was broken.
#[derive(Clone, Debug, PartialEq)]
pub struct Break {
    /// From when; a `for` in the statement has passed by then.
    pub from: LogicalNs,
    /// Until when; `None` where it still was at the end.
    pub until: Option<LogicalNs>,
    /// The parts of its condition, each with its truth and what it measured.
    pub values: Vec<String>,
    /// What set it off.
    pub because: String,
    /// The wall clock then.
    wall: words::Tied,
}

impl Promise {
    /// Whether it was seen broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// For people: one paragraph, ending with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let (file, line) = &self.place;
        let head = format!("{} ({file}:{line})", self.text);
        if let Some(why) = &self.unwatched {
            return format!("{head}: cannot be watched: {why}\n");
        }
        let Some(first) = self.broken.first() else { return format!("{head}: held in all of this\n") };
        let times = self.broken.len() as u64 + self.more;
        let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
        let until = first.until.map_or_else(
            || "to the end".to_owned(),
            |u| format!("until {} ({})", words::instant(u, first.wall), words::span(u.since(first.from))),
        );
        let from = words::instant(first.from, first.wall);
        let mut text = format!("{head}: BROKEN {times}, first from {from} {until}\n");
        text += &format!("  set off by {}\n", first.because);
        first.values.iter().for_each(|v| text += &format!("  {v}\n"));
        text
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let s = |t: LogicalNs| t.0 as f64 / 1e9;
        let one = |b: &Break| {
            json!({"from_s": s(b.from), "until_s": b.until.map(s), "values": b.values, "because": b.because,
                "time_of_day": words::time_of_day(b.from, b.wall)})
        };
        json!({"statement": self.text, "file": self.place.0, "line": self.place.1, "more": self.more,
            "broken": self.broken.iter().map(one).collect::<Vec<_>>(), "unwatched": self.unwatched})
    }
}

/// The statements of the rules that are neither shown nor refuted, and for each the condition to watch.
fn open_statements(site: &Site, rules: &[SourceFile]) -> Vec<(Promise, Option<String>)> {
    // People may have been installed with them.
    let (people, rules) = osmose_load::installed(site, rules).unwrap_or_default();
    let site = people.as_ref().unwrap_or(site);
    let Some(program) = osmose_rules::check(site, &rules).program else { return Vec::new() };
    let (proofs, _) = conflict::prove(&program, site, &rules);
    let one = |p: conflict::Proof| {
        let text = rules.iter().find(|f| f.path == p.file).map_or("", |f| f.text.as_str());
        let line = text.get(..p.span.start as usize).map_or(1, |t| t.matches('\n').count() as u32 + 1);
        let unwatched = p.watched.is_none().then(|| p.why.clone());
        let promise =
            Promise { text: p.text.trim().to_owned(), place: (p.file, line), broken: Vec::new(), more: 0, unwatched };
        (promise, p.watched)
    };
    proofs.into_iter().filter(|p| p.proven == Proven::Open).take(PROMISES_MAX).map(one).collect()
}

/// Watches the unproven statements of rules along a recording. `site_files` are the files of the site that is replayed,
/// `options` say under which rules, sensors and stretch; their sinks and verification are not used.
///
/// # Errors
/// [`ReplayError`]. Nothing is run where there is nothing to watch.
pub fn watch(
    mut recording: Recording,
    site_files: &[SourceFile],
    options: Options,
    watch: &mut dyn Watch,
) -> Result<Vec<Promise>, ReplayError> {
    let is_rules = |f: &&SourceFile| f.path.starts_with("rules/") && f.path.ends_with(".rules");
    let own: Vec<SourceFile> =
        options.rules.clone().unwrap_or_else(|| site_files.iter().filter(is_rules).cloned().collect());
    let own = canon::encode_files(&own);
    // Rules that are installed on the way promise something of their own; other rules than the recorded ones hold
    // throughout, and nothing is installed.
    let mut sets = recording.rule_sets()?;
    if sets.first() != Some(&own) {
        sets = vec![own];
    }
    // To load a site and to prove is work, and most rules promise nothing.
    let promises =
        |set: &Vec<u8>| canon::decode_files(set).is_ok_and(|rules| rules.iter().any(|f| f.text.contains("prove")));
    if !sets.iter().any(promises) {
        return Ok(Vec::new());
    }
    let plain = Osmose::of_files(site_files)?;
    let (mut statements, watched) = statements_of(plain.site(), &sets);
    let Some((site, watchers)) = with_watchers(&plain, site_files, &statements, watched) else {
        return Ok(statements.into_iter().map(|(p, _)| p).collect());
    };
    let workshop = Osmose::of_files(&site)?;
    let site = workshop.site().clone();
    let devices: Vec<_> = (0..statements.len()).map(|i| site.actuator_named(&format!("{DEVICE}-{i}"))).collect();
    let told: Rc<RefCell<Vec<Told>>> = Rc::default();
    let (sink, from) = (told.clone(), options.from);
    let texts = watchers.clone();
    let mut text =
        texts.iter().find(|(set, _)| Some(set) == sets.first()).map_or(String::new(), |(_, f)| f.text.clone());
    let each: Each = Box::new(move |tag, input, out, view| {
        if let Input::RulesInstalled { files } = input {
            text = texts.iter().find(|(set, _)| set == files).map_or_else(String::new, |(_, f)| f.text.clone());
        }
        if from.is_some_and(|from| tag.at < from) {
            return;
        }
        for c in &out.commands {
            if let Some(statement) = devices.iter().position(|d| *d == Some(c.device)) {
                let (wall, command) = (view.wall().map(|w| (tag.at, w)), c.clone());
                sink.borrow_mut().push(Told { statement, command, wall, values: values(&text, c) });
            }
        }
    });
    let options = Options {
        verify: false,
        beside: Vec::new(),
        beside_of: watchers.clone(),
        sinks: Sinks { each: Some(each), ..Sinks::default() },
        ..options
    };
    let ran = Replay::new(recording, workshop, options)?.run(watch);
    for one in told.borrow().iter() {
        note(&mut statements[one.statement].0, &site, one);
    }
    match ran {
        Ok(_) => {}
        // Rules that were installed on the way may not have what a statement names.
        Err(ReplayError::Installed { seq, .. }) => {
            for (promise, _) in statements.iter_mut().filter(|(p, _)| p.unwatched.is_none()) {
                promise.unwatched = Some(format!("watched until input {seq}, whose rules lack what it names"));
            }
        }
        Err(other) => return Err(other),
    }
    Ok(statements.into_iter().map(|(p, _)| p).collect())
}

/// A statement, and the condition to watch where it can be watched.
type Statement = (Promise, Option<String>);
/// Sets of rules, joined, with the numbers of their statements.
type BySet = Vec<(Vec<u8>, Vec<usize>)>;
/// Sets of rules, joined, with the file that watches their statements.
type Watchers = Vec<(Vec<u8>, SourceFile)>;

/// The statements of all sets of rules, each once; and by set the numbers of its own, with what to watch.
fn statements_of(site: &Site, sets: &[Vec<u8>]) -> (Vec<Statement>, BySet) {
    let (mut all, mut by_set) = (Vec::<Statement>::new(), BySet::new());
    for set in sets {
        let files = canon::decode_files(set).unwrap_or_default();
        let mut numbers = Vec::new();
        for (promise, condition) in open_statements(site, &files) {
            let known = all.iter().position(|(p, c)| p.text == promise.text && *c == condition);
            let number = known.unwrap_or(all.len());
            if known.is_none() && all.len() < PROMISES_MAX {
                all.push((promise, condition));
            }
            if number < all.len() {
                numbers.push(number);
            }
        }
        by_set.push((set.clone(), numbers));
    }
    (all, by_set)
}

/// The site with a device for each statement, and for each set of rules a file with a rule for each of its statements;
/// `None` where none can be watched.
fn with_watchers(
    plain: &Osmose,
    site_files: &[SourceFile],
    statements: &[Statement],
    watched: BySet,
) -> Option<(Vec<SourceFile>, Watchers)> {
    let device =
        |i| format!("\n[[actuator]]\nid = \"{DEVICE}-{i}\"\nkind = \"light\"\ndefault = \"off\"\nconnect = \"log\"\n");
    let devices: String = (0..statements.len()).map(device).collect();
    let mut watchers = Vec::new();
    for (set, numbers) in watched {
        let files = canon::decode_files(&set).unwrap_or_default();
        let (people, files) = osmose_load::installed(plain.site(), &files).unwrap_or_default();
        let program = osmose_rules::check(people.as_ref().unwrap_or(plain.site()), &files).program;
        let Some(lowest) = program.and_then(|p| p.levels().last().cloned()) else { continue };
        let rule = |i: &usize| {
            let condition = statements[*i].1.as_ref()?;
            Some(format!(
                "\nrule {DEVICE}-{i} {{\n  while {condition}\n  hold \"{DEVICE}-{i}\".level = 100 %\n  level {lowest}\n}}\n"
            ))
        };
        let rules: String = numbers.iter().filter_map(rule).collect();
        if !rules.is_empty() {
            watchers.push((set, SourceFile { path: FILE.to_owned(), text: format!("edition 1\n{rules}") }));
        }
    }
    if watchers.is_empty() {
        return None;
    }
    let mut site = site_files.to_vec();
    match site.iter_mut().find(|f| f.path == "devices.toml") {
        Some(f) => f.text += &devices,
        None => site.push(SourceFile { path: "devices.toml".to_owned(), text: devices }),
    }
    Some((site, watchers))
}

/// What a statement's device was told.
struct Told {
    statement: usize,
    command: Command,
    wall: words::Tied,
    values: Vec<String>,
}

/// The parts of a broken statement's condition, as the watcher's file has them.
fn values(text: &str, c: &Command) -> Vec<String> {
    let value = |v: &osmose_model::command::ConditionValue| {
        let rest = text.get(v.offset as usize..).and_then(|t| t.lines().next()).unwrap_or_default().trim();
        let measured = v.value.map_or_else(String::new, |x| format!(", measured {x}"));
        format!("{}: {rest}{measured}", v.truth.as_str())
    };
    c.cause.conditions.iter().map(value).collect()
}

/// Takes what a statement's device was told: that it is broken, or that it is not any more.
fn note(promise: &mut Promise, site: &Site, told: &Told) {
    let c = &told.command;
    if c.rule.is_none() || c.verb == "off" {
        if let Some(last) = promise.broken.last_mut().filter(|b| b.until.is_none()) {
            last.until = Some(c.at);
        }
        return;
    }
    // Rules that were installed meanwhile promise the same: it was broken before, and is.
    if promise.broken.last().is_some_and(|b| b.until.is_none()) {
        return;
    }
    if promise.broken.len() >= BREAKS_MAX {
        promise.more += 1;
        return;
    }
    promise.broken.push(Break {
        from: c.at,
        until: None,
        values: told.values.clone(),
        because: words::trigger(site, &c.cause.trigger),
        wall: told.wall,
    });
}

/// For people: every statement, ending with a newline; empty where there is none.
#[must_use]
pub fn render(promises: &[Promise]) -> String {
    promises.iter().map(Promise::render).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{files, live, walk, workshop};
    use crate::trace::recording::Items;

    /// A walk recorded under the test's rules, watched for what other rules promise.
    fn watched(promises: &str, seconds: i64) -> Vec<Promise> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(seconds), 0)).unwrap();
        let recording = Recording::open(&path).unwrap();
        let mut rules: Vec<SourceFile> = workshop().site().rule_files().cloned().collect();
        rules.push(SourceFile { path: "rules/promises.rules".to_owned(), text: format!("edition 1\n{promises}") });
        let site = recording.files().to_vec();
        watch(recording, &site, Options { rules: Some(rules), ..Options::default() }, &mut ()).unwrap()
    }

    #[test]
    fn a_broken_statement_is_told_with_its_moments_and_one_that_holds_is_not() {
        let promises = "prove never (meeting is occupied and meeting.recorder is paused) for 1 s\nprove never count(people in meeting) >= 40\n";
        let all = watched(promises, 40);
        assert_eq!(all.len(), 2, "{all:#?}");
        let (broken, held) = (&all[0], &all[1]);
        assert!(
            broken.is_broken(),
            "the recorder is paused when the first has left and somebody is there: {broken:#?}"
        );
        assert_eq!(broken.place, ("rules/promises.rules".to_owned(), 2));
        let first = &broken.broken[0];
        // A second of it has passed, and it ends before the next begins.
        assert!(first.from >= LogicalNs(1_000_000_000), "{first:?}");
        assert!(broken.broken.windows(2).all(|w| w[0].until.is_some_and(|u| u > w[0].from && u <= w[1].from)));
        assert!(first.values.iter().any(|v| v.starts_with("true: ")), "{first:?}");
        let text = render(&all);
        assert!(text.contains("BROKEN") && text.contains("held in all of this"), "{text}");
        assert!(!held.is_broken() && held.unwatched.is_none());
        assert_eq!(broken.to_json()["broken"][0]["from_s"], first.from.0 as f64 / 1e9);
        assert_eq!(files().len(), workshop().site().files.len(), "nothing of the site was changed");
    }

    /// What rules promise that were installed on the way is watched from then on, and what the earlier ones promised
    /// until then.
    #[test]
    fn rules_installed_on_the_way_are_held_to_their_own_word() {
        let first = "prove never (meeting is occupied and meeting.recorder is paused) for 1 s\n";
        let second = "prove never count(people in meeting) >= 1\n";
        let with = |text: &str| {
            let mut rules: Vec<SourceFile> = workshop().site().rule_files().cloned().collect();
            rules.push(SourceFile { path: "rules/promises.rules".to_owned(), text: format!("edition 1\n{text}") });
            rules
        };
        let (at, inputs) = crate::testing::with_install(&walk(40), 10, &with(first));
        let (later_at, inputs) = crate::testing::with_install(&inputs, 25, &with(second));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        let installs = [(at, with(first)), (later_at, with(second))];
        std::fs::write(&path, crate::testing::live_with(&inputs, 50, &installs)).unwrap();
        let recording = Recording::open(&path).unwrap();
        let site = recording.files().to_vec();
        let all = watch(recording, &site, Options::default(), &mut ()).unwrap();
        assert_eq!(all.len(), 2, "{all:#?}");
        let s = |ns: LogicalNs| ns.0 as f64 / 1e9;
        for (promise, from_s, to_s) in [(&all[0], 10.0, 25.1), (&all[1], 25.0, 41.0)] {
            assert!(promise.is_broken() && promise.unwatched.is_none(), "{promise:#?}");
            let within = |b: &Break| s(b.from) >= from_s && b.until.map_or(to_s, s) <= to_s;
            assert!(promise.broken.iter().all(within), "{promise:#?}");
            assert!(promise.broken[0].values.iter().any(|v| v.starts_with("true: ")), "{promise:#?}");
        }
    }

    #[test]
    fn what_is_proven_or_promised_by_nobody_is_not_run_at_all() {
        assert_eq!(watched("", 1), []);
        assert_eq!(watched("prove pause outranks light\n", 1), []);
    }
}
