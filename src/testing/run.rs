//! Running a test: scripted ones on a machine of the site's rules and arbitration, cuts by replaying their trace.

use super::script::{Cut, Expect, Feed, Given, Instant, Script, Wanted, What, When};
use super::world::{Fact, Scripted};
use crate::outcome::Failure;
use osmose_core::{Driver, Machine, Outbox, Plan, Rules, StepSink};
use osmose_model::command::{Command, Value};
use osmose_model::ids::RuleId;
use osmose_model::input::{Anchor, Gap, GapReason, Input, OperatorAction, Report, Tag};
use osmose_model::observation::{Body, Observation};
use osmose_model::site::Site;
use osmose_model::stages::Decide;
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs, NS_PER_S, UtcNs, format_seconds};
use osmose_replay::drive::{Options, Osmose, Replay, Sinks};
use osmose_replay::trace::read::TraceReader;
use osmose_rules::Program;
use osmose_rules::diag::did_you_mean;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Scripted tests begin here, so that nothing lies before the log.
const BEGAN: LogicalNs = LogicalNs(NS_PER_S);
/// Time given to what follows the last step.
const AFTER: DurationNs = DurationNs::from_s(1);
/// Which day a test's clock is of: 2026-01-05, a Monday.
const DAY_UTC_NS: i64 = 1_767_571_200 * NS_PER_S;

/// A command that was sent while a test ran.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    /// Since the test (or the trace) began.
    pub(crate) at: DurationNs,
    pub(crate) rule: String,
    pub(crate) device: String,
    pub(crate) verb: String,
    pub(crate) args: Vec<(String, String)>,
}

impl Sent {
    pub(crate) fn text(&self) -> String {
        let args: Vec<String> = self.args.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        format!("{}.{}({})", self.device, self.verb, args.join(", "))
    }
}

/// How a test went.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Went {
    /// What failed, a sentence each; none where it passed.
    pub(crate) failures: Vec<String>,
    /// Every command of every rule, in order.
    pub(crate) sent: Vec<Sent>,
    /// Rules that acted, by name, ascending: also those that only count or forbid. A cut of a trace knows those alone
    /// that sent something.
    pub(crate) acted: Vec<String>,
    /// Why it could not run at all.
    pub(crate) broken: Option<String>,
}

impl Went {
    pub(crate) fn passed(&self) -> bool {
        self.failures.is_empty() && self.broken.is_none()
    }
}

/// What a test runs on.
pub(crate) struct Ground<'a> {
    pub(crate) site: &'a Arc<Site>,
    pub(crate) program: &'a Program,
    /// The site's folder, where traces are looked for.
    pub(crate) dir: &'a Path,
}

/// Runs one test.
pub(crate) fn run(ground: &Ground<'_>, script: &Script) -> Went {
    if !script.unreadable.is_empty() {
        return Went { broken: Some(script.unreadable.join("\n")), ..Went::default() };
    }
    if ground.program.rule_named(&script.rule).is_none() {
        let names = ground.program.rules().iter().map(|r| r.name.as_str());
        let meant = did_you_mean(&script.rule, names).map_or(String::new(), |m| format!("; did you mean `{m}`?"));
        let broken = Some(format!("{}:{}: no rule is called `{}`{meant}", script.file, script.line, script.rule));
        return Went { broken, ..Went::default() };
    }
    let ran = match &script.cut {
        Some(cut) => replayed(ground, cut),
        None => {
            let (sent, acted) = scripted(ground, script);
            Ok((sent, acted, None))
        }
    };
    match ran {
        Ok((sent, acted, midnight)) => {
            let rule = ground.program.rule_named(&script.rule).map(|rule| ground.program.drives(rule));
            let driven: Vec<&str> =
                rule.iter().flatten().map(|d| ground.site.actuators[d.index()].name.as_str()).collect();
            Went { failures: judge(script, &driven, &sent, midnight), sent, acted, broken: None }
        }
        Err(broken) => Went { broken: Some(broken), ..Went::default() },
    }
}

// ---- scripted ----

struct Notes<'a> {
    site: &'a Site,
    sent: Vec<Sent>,
}

impl StepSink<Scripted, Rules, Plan> for Notes<'_> {
    fn sequenced(&mut self, _: Tag, _: &[u8]) {}
    fn decided(&mut self, tag: Tag, _: &Input<'_>, out: &Outbox, machine: &Machine<Scripted, Rules, Plan>) {
        let at = tag.at.since(BEGAN);
        let rules = machine.rules();
        self.sent.extend(out.commands.iter().map(|c| sent(self.site, rules, c, at)));
    }
}

/// A value as tests write it.
pub(crate) fn value_text(site: &Site, value: &Value) -> String {
    match value {
        Value::Name(name) => name.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Number(number) => format!("{number}"),
        Value::Bool(yes) => yes.to_string(),
        Value::Person(p) => site.people[p.index()].name.clone(),
        Value::Zone(z) => site.zones[z.index()].name.clone(),
        Value::Track(track) => track.to_string(),
    }
}

fn sent(site: &Site, rules: &Rules, command: &Command, at: DurationNs) -> Sent {
    let value = |v: &Value| value_text(site, v);
    Sent {
        at,
        rule: command.rule.map_or_else(String::new, |r| rules.rule_name(r).to_owned()),
        device: site.actuators[command.device.index()].name.clone(),
        verb: command.verb.to_string(),
        args: command.args.iter().map(|(n, v)| (n.to_string(), value(v))).collect(),
    }
}

type Building = Machine<Scripted, Rules, Plan>;

/// An engine of the site's rules in a building that outlives it.
fn engine(ground: &Ground<'_>, building: Scripted) -> Building {
    let rules = Rules::new(ground.program.clone());
    let mut plan = Plan::with_holders(ground.site, ground.program.holder_count());
    plan.agree(&ground.program.terms());
    Machine::from_stages(ground.site.clone(), building, rules, plan)
}

/// The same after it was killed: with the state that it had, in the building as it is now.
fn resumed(ground: &Ground<'_>, killed: &Building) -> Building {
    let mut state = Vec::new();
    killed.save(&mut state);
    let mut next = engine(ground, killed.fusion().clone());
    let taken_back = next.restore(&state);
    debug_assert!(taken_back.is_ok(), "its own state: {taken_back:?}");
    next
}

fn note_acted(machine: &Building, acted: &mut BTreeSet<String>) {
    let rules = machine.rules();
    let of_all = rules.program().rules().iter().enumerate();
    let active = of_all.filter(|(number, _)| rules.acted(RuleId(*number as u16)) > 0);
    acted.extend(active.map(|(_, rule)| rule.name.clone()));
}

/// From when to when nobody listens; to the end of the test where the engine does not come back.
fn downtimes(script: &Script) -> Vec<(DurationNs, Option<DurationNs>)> {
    let mut down: Vec<(DurationNs, Option<DurationNs>)> = Vec::new();
    for given in &script.feeds {
        match (given.feed, down.last_mut()) {
            (Feed::Engine(true), Some((_, until @ None))) => *until = Some(given.at),
            (Feed::Engine(false), None | Some((_, Some(_)))) => down.push((given.at, None)),
            _ => {}
        }
    }
    down
}

/// When the engine that is down at an instant is up again (`Some(None)`: never); `None` where it runs.
fn up_again(down: &[(DurationNs, Option<DurationNs>)], at: DurationNs) -> Option<Option<DurationNs>> {
    down.iter().find(|(from, to)| at >= *from && to.is_none_or(|to| at < to)).map(|(_, to)| *to)
}

/// What was sent, and the rules that acted.
fn scripted(ground: &Ground<'_>, script: &Script) -> (Vec<Sent>, Vec<String>) {
    let after = |since: DurationNs| LogicalNs(BEGAN.0.saturating_add(since.0));
    let down = downtimes(script);
    let facts = script.feeds.iter().filter_map(|given| match (given.feed, up_again(&down, given.at)) {
        (Feed::Fact(fact), None) => Some((after(given.at), fact)),
        // Nobody hears what is only said; what has changed is seen when somebody looks again.
        (Feed::Fact(Fact::Reads(..)), Some(_)) => None,
        (Feed::Fact(fact), Some(up)) => Some((LogicalNs(after(up?).0 + 1), fact)),
        _ => None,
    });
    let facts: Vec<(LogicalNs, Fact)> = facts.collect();
    let mut driver = Driver::new(engine(ground, Scripted::new(ground.site.clone(), BEGAN, facts)));
    let mut notes = Notes { site: ground.site, sent: Vec::new() };
    let mut acted = BTreeSet::new();
    let mut down_since = None;
    driver.feed(ArrivalNs(BEGAN.0 - 1), &Input::RulesInstalled { files: &[] }, &mut notes);
    let mut feeds: Vec<&Given> = script.feeds.iter().collect();
    feeds.sort_by_key(|given| given.at);
    for Given { at, feed, .. } in feeds {
        let arrival = ArrivalNs(after(*at).0);
        match feed {
            Feed::Engine(false) => {
                driver.run_until(arrival, &mut notes);
                down_since = down_since.or(Some(LogicalNs(arrival.0)));
            }
            Feed::Engine(true) => {
                let Some(from) = down_since.take() else { continue };
                note_acted(driver.machine(), &mut acted);
                driver = Driver::new(resumed(ground, driver.machine()));
                let gap = Gap { from, lost: 0, reason: GapReason::Down };
                driver.feed(arrival, &Input::Gap(gap), &mut notes);
            }
            _ if up_again(&down, *at).is_some() => {}
            Feed::Fact(Fact::Reads(sensor, _)) => {
                // The scripted building knows what it says.
                let (measured, body) = (LogicalNs(arrival.0), Body::Binary { on: true });
                let said = Observation { sensor: *sensor, source_seq: None, measured, body };
                driver.feed(arrival, &Input::Observation(said), &mut notes);
            }
            // It comes by itself: the building is asked first.
            Feed::Fact(_) => driver.run_until(arrival, &mut notes),
            Feed::Report(actuator, property, value) => {
                let report = Report { actuator: *actuator, property: *property, value: *value, source_seq: None };
                driver.feed(arrival, &Input::Report(report), &mut notes);
            }
            Feed::Clock(time) => {
                let anchor = Anchor { utc: UtcNs(DAY_UTC_NS + time.0), offset: DurationNs::ZERO, next_change: None };
                driver.feed(arrival, &Input::Anchor(anchor), &mut notes);
            }
            Feed::Mode(mode, value) => {
                let action = OperatorAction::Mode { mode: *mode, value: *value };
                driver.feed(arrival, &Input::Operator(action), &mut notes);
            }
            Feed::Reset(rule) => {
                driver.feed(arrival, &Input::Operator(OperatorAction::Reset { rule: *rule }), &mut notes);
            }
        }
    }
    if down_since.is_none() {
        driver.run_until(ArrivalNs(after(end(script)).0), &mut notes);
    }
    note_acted(driver.machine(), &mut acted);
    (notes.sent, acted.into_iter().collect())
}

/// When a scripted test is over.
fn end(script: &Script) -> DurationNs {
    let last = script.feeds.iter().map(|given| given.at).max().unwrap_or_default();
    let spans = script.expects.iter().map(|expect| match expect {
        Expect::NothingIn(_, to) | Expect::Command(Wanted { when: When::Span(_, to), .. }) => *to,
        Expect::Command(Wanted { when: When::At(Instant::Since(at), give), .. }) => DurationNs(at.0 + give.0),
        _ => DurationNs::ZERO,
    });
    DurationNs(spans.max().unwrap_or_default().max(last).0.saturating_add(AFTER.0))
}

// ---- cut from a trace ----

/// A file in memory that the replay writes to.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Ok(mut buffer) = self.0.lock() {
            buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where a trace named in a test lies: beside the tests, or in the site's folder, or as given.
pub(crate) fn find_trace(dir: &Path, name: &str) -> PathBuf {
    let candidates = [dir.join("tests").join(name), dir.join(name)];
    candidates.into_iter().find(|p| p.exists()).unwrap_or_else(|| name.into())
}

type Replayed = (Vec<Sent>, Vec<String>, Option<DurationNs>);

/// The commands of a stretch of a trace under the site's own rules, the rules that sent them, and the trace's midnight
/// (since its beginning).
fn replayed(ground: &Ground<'_>, cut: &Cut) -> Result<Replayed, String> {
    let path = find_trace(ground.dir, &cut.trace);
    let clock = osmose_replay::info::info(&path).map_err(|e| e.to_string())?.log_clock();
    let parse = |t: &Option<String>| t.as_deref().map(|t| clock.parse(t).map_err(|e| e.to_string())).transpose();
    let (from, to) = (parse(&cut.from)?, parse(&cut.to)?);
    let midnight = clock.parse("00:00:00").ok().map(|at| DurationNs(at.0)).or_else(|| tied_midnight(&clock));
    let sent = commands(ground, &path, from, to).map_err(|e| e.to_string())?;
    let acted: BTreeSet<String> = sent.iter().map(|s| s.rule.clone()).collect();
    Ok((sent, acted.into_iter().collect(), midnight))
}

/// Midnight before a trace that does not begin at one, from an instant that is tied to the wall clock.
fn tied_midnight(clock: &osmose_replay::wall::LogClock) -> Option<DurationNs> {
    let (at, utc) = clock.tied?;
    let anchor = osmose_replay::wall::anchor(utc, &clock.timezone).ok()?;
    let local = (utc.0 + anchor.offset.0).rem_euclid(86_400 * NS_PER_S);
    Some(DurationNs(at.0 - local))
}

/// What the site's rules send on a trace's inputs.
pub(crate) fn commands(
    ground: &Ground<'_>,
    path: &Path,
    from: Option<LogicalNs>,
    to: Option<LogicalNs>,
) -> Result<Vec<Sent>, Failure> {
    let reader = TraceReader::open(path).map_err(Failure::found)?;
    let buffer = Buffer::default();
    let sinks = Sinks { commands: Some(Box::new(buffer.clone())), ..Sinks::default() };
    let rules = Some(ground.site.rule_files().cloned().collect());
    let options = Options { from, to, rules, sinks, ..Options::default() };
    let workshop = Osmose::new(ground.site.clone());
    let replay = Replay::new(reader, workshop, options).map_err(Failure::found)?;
    replay.run(&mut ()).map_err(Failure::found)?;
    let bytes = buffer.0.lock().map(|b| b.clone()).unwrap_or_default();
    let lines = String::from_utf8_lossy(&bytes).into_owned();
    lines.lines().map(|line| parse_line(line).ok_or_else(|| Failure::found(format!("no command: {line}")))).collect()
}

fn parse_line(line: &str) -> Option<Sent> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let plain = |v: &serde_json::Value| match v {
        serde_json::Value::String(s) => s.clone(),
        other => other.to_string().trim_end_matches(".0").to_owned(),
    };
    Some(Sent {
        at: DurationNs((value["t_s"].as_f64()? * 1e9).round() as i64),
        rule: text("rule").unwrap_or_default(),
        device: text("device")?,
        verb: text("command")?,
        args: value["args"].as_object()?.iter().map(|(n, v)| (n.clone(), plain(v))).collect(),
    })
}

// ---- judging ----

fn fits(wanted: &Wanted, sent: &Sent, midnight: Option<DurationNs>) -> bool {
    let what = match &wanted.what {
        What::Verb(verb, args) => {
            *verb == sent.verb && args.iter().all(|(n, v)| sent.args.iter().any(|(m, w)| n == m && v == w))
        }
        What::Property(property, value) => sent.args.iter().any(|(n, v)| n == property && v == value),
    };
    wanted.device == sent.device && what && in_time(&wanted.when, sent.at, midnight)
}

fn in_time(when: &When, at: DurationNs, midnight: Option<DurationNs>) -> bool {
    match when {
        When::Any => true,
        When::Span(from, to) => (*from..=*to).contains(&at),
        When::At(Instant::Since(wanted), give) => (at.0 - wanted.0).abs() <= give.0,
        When::At(Instant::TimeOfDay(wanted), give) => midnight.is_some_and(|midnight| {
            let time = (at.0 - midnight.0).rem_euclid(86_400 * NS_PER_S);
            (time - wanted.0).abs() <= give.0
        }),
    }
}

/// Whether a command is the test's own: its rule's, or what a device that the rule drives falls back to by itself.
fn is_own(script: &Script, driven: &[&str], sent: &Sent) -> bool {
    sent.rule == script.rule || sent.rule.is_empty() && driven.contains(&sent.device.as_str())
}

fn judge(script: &Script, driven: &[&str], all: &[Sent], midnight: Option<DurationNs>) -> Vec<String> {
    let own: Vec<&Sent> = all.iter().filter(|s| is_own(script, driven, s)).collect();
    let mut failures = Vec::new();
    let mut met = vec![false; own.len()];
    for expect in &script.expects {
        if let Expect::Command(wanted) = expect {
            match (0..own.len()).find(|i| !met[*i] && fits(wanted, own[*i], midnight)) {
                Some(i) => met[i] = true,
                None => failures.push(missing(wanted, &own, &met)),
            }
        }
    }
    for expect in &script.expects {
        let (from, to) = match expect {
            Expect::NothingIn(from, to) => (*from, *to),
            Expect::NothingElse => (DurationNs(i64::MIN), DurationNs(i64::MAX)),
            Expect::Command(_) => continue,
        };
        let others = own.iter().zip(&met).filter(|(s, met)| !**met && s.at >= from && s.at <= to);
        failures.extend(others.map(|(s, _)| format!("expected nothing, found {} at {}", s.text(), said(s.at))));
    }
    failures
}

/// What was expected and not found, with what came nearest.
fn missing(wanted: &Wanted, own: &[&Sent], met: &[bool]) -> String {
    let free = || own.iter().zip(met).filter(|(_, met)| !**met).map(|(s, _)| *s);
    let when = match &wanted.when {
        When::Any => String::new(),
        When::Span(from, to) => format!(" between {} and {}", said(*from), said(*to)),
        When::At(Instant::Since(at), give) => format!(" at {} +- {}", said(*at), said(*give)),
        When::At(Instant::TimeOfDay(at), give) => format!(" at {} since midnight +- {}", said(*at), said(*give)),
    };
    let near = free().find(|s| s.device == wanted.device).or_else(|| free().next());
    let found = near.map_or("nothing".to_owned(), |s| format!("{} at {}", s.text(), said(s.at)));
    format!("expected {}{when}, found {found}", wanted.text)
}

/// A time of the test.
pub(crate) fn said(at: DurationNs) -> String {
    let text = format_seconds(at.0).to_string();
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} s")
}
