//! Two rules of one level that can drive one device to two values at the same time, and what is proven of a site.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | [`find`]: which pairs of rules are asked about, and what is said of them |
//! | `search.rs` | the search for a moment at which both hold |
//! | `scene.rs` | such a moment as facts that can be said, and played to the evaluator |
//! | `prove.rs` | `prove` statements |
//!
//! Sound: a pair counts as clashing unless the search shows that it cannot. A rule that holds on after its condition
//! ended (`release after`, `settle`) is asked for its condition at a moment that lies before by no more than that, and
//! an `if` of a level rule, which is asked at the beginning only, is taken to have been true.

mod prove;
mod scene;
mod search;

pub use prove::{Proof, Proven, prove};
pub use scene::{Fact, Scene};

use crate::diag::{Diagnostic, Span};
use crate::program::{Cond, CondId, HoldTarget, Instance, OnUnknown, Program, RuleInfo, Shape};
use crate::syntax::ast::{AstNode, Clause, Item};
use osmose_model::command::{LevelRank, Value};
use osmose_model::ids::{ActuatorId, Name, RuleId, ZoneId};
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;
use osmose_model::world::EventKind;
use search::{Found, Goal, Problem};

/// Most pairs of holds and commands that are asked about.
const PAIRS_MAX: usize = 20_000;

/// Two rules that can drive one device to two values at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The rules, in their order.
    pub rules: [RuleId; 2],
    /// The device and its property.
    pub device: ActuatorId,
    /// Its property.
    pub property: Name,
    /// What either drives it to, as text.
    pub values: [String; 2],
    /// How many devices more these two clash over.
    pub others: usize,
    /// When it happens; `None` where the search was cut short before it found or ruled out a moment.
    pub scene: Option<Scene>,
}

/// What was found out about a site's rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conflicts {
    /// The clashes, one for each pair of rules and property.
    pub conflicts: Vec<Conflict>,
    /// Each as an error.
    pub diagnostics: Vec<Diagnostic>,
    /// Pairs asked about.
    pub asked: usize,
}

/// A value that an instance drives a property to, and when.
struct Drive<'p> {
    number: u32,
    instance: &'p Instance,
    device: ActuatorId,
    property: Name,
    value: Driven<'p>,
}

#[derive(Clone, Copy)]
enum Driven<'p> {
    /// As long as a level rule holds.
    Hold(&'p HoldTarget),
    /// At an event, by a command.
    Command(Option<Value>),
}

/// Finds every clash.
pub fn find(program: &Program, site: &Site, files: &[SourceFile]) -> Conflicts {
    let mut drives = drives(program, site);
    let key = |d: &Drive| (d.device, d.property, program.rules[d.instance.rule.index()].level, d.number);
    drives.sort_by_key(key);
    let mut found = Conflicts::default();
    for group in drives.chunk_by(|a, b| (key(a).0, key(a).1, key(a).2) == (key(b).0, key(b).1, key(b).2)) {
        if is_combined(program, group[0].device, group[0].property) {
            continue;
        }
        for (i, a) in group.iter().enumerate() {
            for b in &group[i + 1..] {
                if found.asked >= PAIRS_MAX {
                    break;
                }
                clash(program, site, a, b, &mut found);
            }
        }
    }
    found.conflicts.sort_by_key(|c| (c.rules, c.device));
    found.diagnostics = found.conflicts.iter().map(|c| say(program, site, files, c)).collect();
    found
}

/// Whether a property of a device declares how its holders combine.
fn is_combined(program: &Program, device: ActuatorId, property: Name) -> bool {
    program.combine.binary_search_by_key(&(device, property), |e| (e.0, e.1)).is_ok()
}

/// Whether the first of two rules outranks the second by a statement.
fn is_over(program: &Program, a: RuleId, b: RuleId) -> bool {
    program.over.binary_search(&(a, b)).is_ok()
}

/// Whether one of two rules outranks the other by a statement.
fn is_ordered(program: &Program, a: RuleId, b: RuleId) -> bool {
    is_over(program, a, b) || is_over(program, b, a)
}

fn drives<'p>(program: &'p Program, site: &Site) -> Vec<Drive<'p>> {
    let mut drives = Vec::new();
    for (number, instance) in program.instances.iter().enumerate() {
        let number = number as u32;
        for hold in &instance.holds {
            let (device, property) = (hold.device, hold.property);
            drives.push(Drive { number, instance, device, property, value: Driven::Hold(hold) });
        }
        if instance.shape != Shape::Event {
            // Commands of rules on a state are sent when it begins: which of two comes later is the building's doing.
            continue;
        }
        for send in instance.sends() {
            let verb = site.actuators[send.device.index()].kind.verbs().iter().find(|v| send.verb == *v.verb);
            let state = verb.and_then(|v| v.leads_to).and_then(Name::new).zip(Name::new("state"));
            if let Some((to, property)) = state {
                let value = Driven::Command(Some(Value::Name(to)));
                drives.push(Drive { number, instance, device: send.device, property, value });
            } else if let Some((property, value)) = send.args.first() {
                let value = match &program.values[*value as usize] {
                    crate::program::ValueExpr::Const(value) => Some(*value),
                    _ => None,
                };
                let (device, property) = (send.device, *property);
                drives.push(Drive { number, instance, device, property, value: Driven::Command(value) });
            }
        }
    }
    drives
}

fn clash(program: &Program, site: &Site, a: &Drive, b: &Drive, found: &mut Conflicts) {
    let rules = [a.instance.rule, b.instance.rule];
    if a.number == b.number || is_ordered(program, rules[0], rules[1]) {
        return;
    }
    let Some(problem) = together(program, a, b) else { return };
    if let Some(known) = found.conflicts.iter_mut().find(|c| c.rules == rules && c.property == a.property) {
        known.others += usize::from(known.device != a.device);
        return;
    }
    found.asked += 1;
    let scene = match problem.solve() {
        Found::Never => return,
        Found::TooMany => None,
        Found::Moment(assignment) => Some(Scene::of(program, site, &problem, &assignment)),
    };
    let values = [a, b].map(|d| scene::value_text(program, site, d, scene.as_ref()));
    let (device, property) = (a.device, a.property);
    found.conflicts.push(Conflict { rules, device, property, values, others: 0, scene });
}

/// The question whether two drive at once; `None` where they do not meet, or agree.
fn together<'p>(program: &'p Program, a: &Drive, b: &Drive) -> Option<Problem<'p>> {
    match (a.value, b.value) {
        (Driven::Hold(x), Driven::Hold(y)) => {
            let mut problem = Problem::new(program, Vec::new());
            for drive in [a, b] {
                hold_goal(program, drive.instance, &mut problem);
            }
            problem.differ = Some((x.value, y.value));
            Some(problem)
        }
        (Driven::Command(x), Driven::Command(y)) => {
            if x.is_some() && x == y {
                return None;
            }
            let mut problem = Problem::new(program, Vec::new());
            problem.events = events_of(program, a.instance.condition);
            let others = events_of(program, b.instance.condition);
            problem.events.retain(|e| others.contains(e));
            if problem.events.is_empty() {
                return None;
            }
            for drive in [a, b] {
                let protective = program.rules[drive.instance.rule.index()].protective;
                let truths = [true, false, protective];
                let conditions = [Some(drive.instance.condition), drive.instance.guard];
                problem.goals.extend(conditions.into_iter().flatten().map(|cond| Goal { cond, moment: 0, truths }));
            }
            Some(problem)
        }
        // A hold keeps its device; a command at the same level is a moment in it.
        _ => None,
    }
}

/// Asks for a level rule to hold: now, or its condition a little while ago where it holds on.
fn hold_goal(program: &Program, instance: &Instance, problem: &mut Problem<'_>) {
    let rule = &program.rules[instance.rule.index()];
    let lag = DurationNs(rule.release_after.0.saturating_add(rule.settle.0));
    let truths = [true, false, rule.on_unknown != OnUnknown::Release];
    let moment = if lag.0 > 0 {
        problem.lags.push(lag);
        (problem.lags.len() - 1) as u8
    } else {
        0
    };
    problem.goals.push(Goal { cond: instance.condition, moment, truths });
}

/// The events that a condition names.
fn events_of(program: &Program, id: CondId) -> Vec<(EventKind, ZoneId)> {
    let mut events = Vec::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        match &program.conds[id as usize] {
            Cond::Event { kind, zone, .. } => events.push((*kind, *zone)),
            Cond::And { from, to } | Cond::Or { from, to } => {
                open.extend_from_slice(&program.children[*from as usize..*to as usize]);
            }
            Cond::Not(inner) => open.push(*inner),
            _ => {}
        }
    }
    events
}

// ---- saying it ----

fn clause_span(rule: &RuleInfo, files: &[SourceFile]) -> Span {
    let Some(source) = files.iter().find(|f| f.path == rule.file) else { return rule.span };
    let file = crate::syntax::parse(&source.path, &source.text).file();
    let acts = |clause: &Clause| matches!(clause, Clause::Hold(_) | Clause::Do(_));
    let found = file.items().filter(|item| item.span() == rule.span).find_map(|item| match item {
        Item::Rule(node) => node.clauses().find(acts),
        Item::Interlock(node) => node.clauses().find(acts),
        _ => None,
    });
    found.map_or(rule.span, |clause| clause.span())
}

fn say(program: &Program, site: &Site, files: &[SourceFile], c: &Conflict) -> Diagnostic {
    let [a, b] = c.rules.map(|r| &program.rules[r.index()]);
    let device = &site.actuators[c.device.index()].name;
    let level = level_name(program, a.level);
    let message = if c.rules[0] == c.rules[1] {
        format!(
            "two instances of `{}` can drive {device}.{} to two values at once, at level {level}",
            a.name, c.property
        )
    } else {
        format!(
            "`{}` and `{}` can drive {device}.{} to two values at once, at level {level}",
            a.name, b.name, c.property
        )
    };
    let span = clause_span(b, files);
    let text = format!("{} here", c.values[1]);
    let mut diagnostic = Diagnostic::error("conflict", &b.file, span, message).label(span, text);
    if c.rules[0] != c.rules[1] && a.file == b.file {
        diagnostic = diagnostic.label(clause_span(a, files), format!("{} here", c.values[0]));
    }
    let when = match &c.scene {
        Some(scene) => format!("for example: {}", scene.said()),
        None => "whether they meet could not be settled: their conditions are too many to try".to_owned(),
    };
    let more = match c.others {
        0 => String::new(),
        1 => " (and of 1 other device)".to_owned(),
        n => format!(" (and of {n} other devices)"),
    };
    let elsewhere =
        if a.file == b.file { String::new() } else { format!("`{}` stands at {}. ", a.name, place(a, files)) };
    let values = format!("then `{}` wants {}, `{}` wants {}{more}", a.name, c.values[0], b.name, c.values[1]);
    let mend = if c.rules[0] == c.rules[1] {
        "let each instance drive devices of its own".to_owned()
    } else {
        format!("write `rule {} over {}`, give one another level, or let the property combine", a.name, b.name)
    };
    diagnostic.help(format!("{elsewhere}{when}; {values}. To mend it, {mend}"))
}

/// The file and line of what a rule does.
fn place(rule: &RuleInfo, files: &[SourceFile]) -> String {
    let text = files.iter().find(|f| f.path == rule.file).map_or("", |f| f.text.as_str());
    format!("{}:{}", rule.file, crate::diag::line_column(text, clause_span(rule, files).start).0)
}

fn level_name(program: &Program, level: LevelRank) -> &str {
    program.levels.get(usize::from(level.0)).map_or("", String::as_str)
}

/// Whether a hold stands where its condition has this truth.
fn holds_on(rule: &RuleInfo, value: Tri) -> bool {
    value == Tri::True || value == Tri::Unknown && rule.on_unknown != OnUnknown::Release
}
