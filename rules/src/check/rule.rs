//! One rule: its clauses, whether they fit together, and its unrolling over the site.

use super::Checker;
use super::names::Meaning;
use crate::diag::{Diagnostic, Span};
use crate::fnv::Fnv;
use crate::program::{Binding, COUNTED, Cond, Late, OnUnknown, RuleInfo, Var};
use crate::syntax::SyntaxKind;
use crate::syntax::ast::{self, AstNode, Clause, Expr, own_tokens};
use osmose_model::command::LevelRank;
use osmose_model::ids::{ActuatorId, RuleId, SensorId, ZoneId};
use osmose_model::limits::BINDINGS_MAX;
use osmose_model::time::{DurationNs, NS_PER_S};
use osmose_model::tri::Tri;

/// Said of a rule without anything to do.
pub(super) const DOES_NOTHING: &str = "this rule does nothing";

/// Most instances of all rules together.
const INSTANCES_MAX: usize = 262_144;

/// What names mean while one instance is lowered, and what lowering it found out.
#[derive(Default)]
pub(super) struct Scope {
    /// `for each` variables, and parameters of a template that name something of the site.
    pub(super) bindings: Vec<(String, Binding)>,
    /// Other parameters of a template, and what they stand for.
    pub(super) values: Vec<(String, Expr)>,
    /// Parameters of a guard.
    pub(super) parameters: Vec<String>,
    /// The person variables.
    pub(super) tracks: Vec<String>,
    /// The person that a `count` with `where` looks at.
    pub(super) counted: Option<String>,
    /// What is asked of who is counted hangs on where and how fast he is.
    pub(super) counted_moves: bool,
    /// How many `count` with `where` there are.
    pub(super) counts: u8,
    /// What is to be looked at whenever the rule is, though only what it does reads it (`lasting`).
    pub(super) kept: Vec<crate::program::NumId>,
    /// A number read only when the rule acts may stand here.
    pub(super) acts: bool,
    /// Something is remembered that is kept in no slot.
    pub(super) remembers: bool,
    /// What is asked of a person hangs on where and how fast he is.
    pub(super) moves: bool,
    /// Something inside holds for an instant only.
    pub(super) instant: bool,
    /// A schedule missed by no more than this still runs.
    pub(super) catch_up: Option<DurationNs>,
    /// Whether a person variable may be bound here (in `when`).
    pub(super) may_bind_track: bool,
    /// Whether events may stand here.
    pub(super) events_allowed: bool,
    /// Whether this is inside `until (...)`.
    pub(super) in_until: bool,
    /// In `where`, a device that is not there is false and no error.
    pub(super) existence: bool,
    pub(super) events: u32,
    pub(super) track_uses: [u32; 3],
    /// How many `for` and `until` there are, and how many that speak of the person.
    pub(super) slots: u8,
    pub(super) track_slots: u8,
    pub(super) confidence: f64,
    pub(super) track_zones: Vec<ZoneId>,
    pub(super) deps: Deps,
}

/// What can change the truth of a condition.
#[derive(Default, Clone)]
pub(super) struct Deps {
    pub(super) zones: Vec<ZoneId>,
    pub(super) sensors: Vec<SensorId>,
    pub(super) devices: Vec<ActuatorId>,
    pub(super) clock: bool,
    pub(super) everywhere: bool,
    pub(super) moved_in: Vec<ZoneId>,
    /// Somebody's place matters wherever he is.
    pub(super) moved: bool,
    pub(super) modes: Vec<u16>,
    pub(super) counters: Vec<u16>,
    /// A booking that is released matters.
    pub(super) booked: bool,
}

impl Scope {
    /// What a variable stands for.
    pub(super) fn bound(&self, name: &str) -> Option<Binding> {
        self.bindings.iter().find(|(n, _)| n == name).map(|(_, binding)| *binding)
    }

    /// The zone that a variable stands for.
    pub(super) fn binding(&self, name: &str) -> Option<ZoneId> {
        match self.bound(name) {
            Some(Binding::Zone(zone)) => Some(zone),
            _ => None,
        }
    }

    pub(super) fn binding_of(&self, zone: ZoneId) -> Option<&str> {
        self.bindings.iter().find(|(_, z)| *z == Binding::Zone(zone)).map(|(n, _)| n.as_str())
    }

    /// The person variable of a name.
    pub(super) fn var(&self, name: &str) -> Option<Var> {
        if self.counted.as_deref() == Some(name) {
            return Some(COUNTED);
        }
        self.tracks.iter().position(|t| t == name).map(|at| at as Var)
    }

    pub(super) fn use_track(&mut self, var: Var) {
        self.track_uses[usize::from(var)] += 1;
    }

    /// How often persons were spoken of so far.
    pub(super) fn uses(&self) -> u32 {
        self.track_uses.iter().sum()
    }

    /// An expression with a parameter of a template replaced by what it stands for.
    pub(super) fn resolved(&self, expr: &Expr) -> Expr {
        if let Expr::Name(name) = expr
            && !self.values.is_empty()
            && let Some((_, value)) = self.values.iter().find(|(n, _)| *n == name.text())
        {
            return value.clone();
        }
        expr.clone()
    }

    /// What is asked of a person hangs on his place.
    pub(super) fn reads_motion(&mut self, var: Var) {
        if var == COUNTED {
            self.counted_moves = true;
        } else {
            self.moves = true;
        }
    }
}

/// A rule or an interlock as it stands in the tree.
pub(super) struct Source {
    name: Option<ast::Name>,
    clauses: Vec<Clause>,
    span: Span,
    interlock: bool,
    /// Parameters of the template that it comes of.
    pub(super) bindings: Vec<(String, Binding)>,
    pub(super) values: Vec<(String, Expr)>,
    /// The name that it goes by, where its node has none of its own.
    pub(super) called: Option<(String, Span)>,
}

impl Source {
    fn new(name: Option<ast::Name>, clauses: Vec<Clause>, span: Span, interlock: bool) -> Self {
        let (bindings, values) = (Vec::new(), Vec::new());
        Source { name, clauses, span, interlock, bindings, values, called: None }
    }

    /// A rule of a template's clauses.
    pub(super) fn of_template(clauses: Vec<Clause>, name: String, span: Span) -> Self {
        Source { called: Some((name, span)), ..Source::new(None, clauses, span, false) }
    }

    /// The same, said to stand elsewhere.
    pub(super) fn placed(self, span: Span) -> Self {
        Source { span, ..self }
    }
}

impl From<&ast::Rule> for Source {
    fn from(node: &ast::Rule) -> Self {
        Source::new(node.name(), node.clauses().collect(), node.span(), false)
    }
}

impl From<&ast::Interlock> for Source {
    fn from(node: &ast::Interlock) -> Self {
        Source::new(node.name(), node.clauses().collect(), node.span(), true)
    }
}

/// What a file's `defaults` block gives to rules that say nothing of their own.
#[derive(Clone, Default)]
pub(super) struct Defaults {
    settle: DurationNs,
    release_after: DurationNs,
    level: Option<LevelRank>,
    deadline: Option<(DurationNs, Late)>,
}

/// The clauses of one rule, sorted.
#[derive(Default)]
pub(super) struct Clauses {
    pub(super) for_each: Option<ast::ForEach>,
    pub(super) when: Option<ast::When>,
    pub(super) while_: Option<ast::While>,
    pub(super) ifs: Vec<ast::If>,
    pub(super) dos: Vec<ast::Do>,
    pub(super) holds: Vec<ast::Hold>,
    pub(super) forbids: Vec<ast::Forbid>,
    pub(super) release: Option<ast::Release>,
    pub(super) settle: Option<ast::Settle>,
    pub(super) deadline: Option<ast::Deadline>,
    pub(super) level: Option<ast::Level>,
    pub(super) once: Option<ast::Once>,
    pub(super) suppress: Option<ast::Suppress>,
    pub(super) on_unknown: Option<ast::OnUnknown>,
    pub(super) catch_up: Option<ast::CatchUp>,
}

impl Checker<'_> {
    pub(super) fn defaults(&mut self, block: &ast::Defaults, defaults: &mut Defaults) {
        for clause in block.clauses() {
            let duration = |c: &mut Self, expr: Option<Expr>| expr.and_then(|e| c.duration(&e)).unwrap_or_default();
            match clause {
                Clause::Settle(settle) => defaults.settle = duration(self, settle.expr()),
                Clause::Release(release) => defaults.release_after = duration(self, release.expr()),
                Clause::Level(level) => defaults.level = self.level(&level),
                Clause::Deadline(deadline) => defaults.deadline = self.deadline(&deadline),
                other => {
                    let help = "`defaults` may give settle, release after, level and deadline";
                    self.error_help("clause", other.span(), "this clause cannot be a default", help);
                }
            }
        }
    }

    pub(super) fn rule(&mut self, source: Source, defaults: &Defaults) {
        let named = source.name.as_ref().map(|n| (n.text(), n.span()));
        let Some((name, at)) = source.called.clone().or(named) else { return };
        let what = if source.interlock { "interlock" } else { "rule" };
        if !self.define(&name, what, at) {
            return;
        }
        if self.program.rules.len() >= usize::from(u16::MAX) {
            self.error("too-many", at, "there are more than 65,535 rules");
            return;
        }
        let clauses = self.sort_clauses(&source, &name);
        let Some(info) = self.info(&source, (&name, at), &clauses, defaults) else { return };
        self.check_fit(&info, &clauses, at);
        let id = RuleId(self.program.rules.len() as u16);
        self.program.rules.push(info);
        self.unroll(id, &source, &clauses);
        self.program.rules[id.index()].instances.end = self.program.instances.len() as u32;
    }

    fn sort_clauses(&mut self, source: &Source, name: &str) -> Clauses {
        let mut sorted = Clauses::default();
        macro_rules! once {
            ($field:ident, $node:expr, $word:literal) => {{
                if sorted.$field.is_some() {
                    let message = format!("`{}` stands twice in `{name}`", $word);
                    self.error("clause", $node.span(), message);
                }
                sorted.$field = Some($node);
            }};
        }
        for clause in &source.clauses {
            let span = clause.span();
            match clause.clone() {
                Clause::ForEach(node) => once!(for_each, node, "for each"),
                Clause::When(node) => once!(when, node, "when"),
                Clause::While(node) => once!(while_, node, "while"),
                Clause::If(node) => sorted.ifs.push(node),
                Clause::Do(node) => sorted.dos.push(node),
                Clause::Hold(node) => sorted.holds.push(node),
                Clause::Forbid(node) => sorted.forbids.push(node),
                Clause::Release(node) => once!(release, node, "release after"),
                Clause::Settle(node) => once!(settle, node, "settle"),
                Clause::Deadline(node) => once!(deadline, node, "deadline"),
                Clause::Level(node) => once!(level, node, "level"),
                Clause::Once(node) => once!(once, node, "once per"),
                Clause::Suppress(node) => once!(suppress, node, "suppress"),
                Clause::OnUnknown(node) => once!(on_unknown, node, "on unknown"),
                Clause::CatchUp(node) => once!(catch_up, node, "catch up"),
                Clause::Guard(_) | Clause::Allow(_) | Clause::Else(_) => {
                    self.error("clause", span, "this clause belongs to a `policy`");
                }
            }
        }
        sorted
    }

    fn level(&mut self, level: &ast::Level) -> Option<LevelRank> {
        let name = level.names().next()?;
        let text = name.text();
        if let Some(rank) = self.program.levels.iter().position(|l| *l == text) {
            return Some(LevelRank(rank as u8));
        }
        let known = self.program.levels.clone();
        self.unknown_name(name.span(), "level", &text, known.iter().map(String::as_str));
        None
    }

    fn deadline(&mut self, deadline: &ast::Deadline) -> Option<(DurationNs, Late)> {
        let length = self.duration(&deadline.expr()?)?;
        let late = match deadline.names().next() {
            None => Late::Count,
            Some(word) => match word.text().as_str() {
                "count" => Late::Count,
                "drop" => Late::Drop,
                "fail-safe" => Late::FailSafe,
                other => {
                    let known = ["count", "drop", "fail-safe"];
                    self.unknown_name(word.span(), "answer to a late command", other, known);
                    Late::Count
                }
            },
        };
        Some((length, late))
    }

    /// What holds for all instances alike; `None` where the rule cannot be gone on with.
    fn info(
        &mut self,
        source: &Source,
        (name, at): (&str, Span),
        c: &Clauses,
        defaults: &Defaults,
    ) -> Option<RuleInfo> {
        let level = match (&c.level, defaults.level) {
            // A level that is not known is reported; the rest of the rule is looked at all the same.
            (Some(node), _) => self.level(node).unwrap_or_default(),
            (None, Some(level)) => level,
            (None, None) if source.interlock => {
                let help = format!("write `level {}`", self.program.levels[0]);
                self.error_help("clause", at, "an interlock must say its level", help);
                return None;
            }
            (None, None) => {
                let comfort = self.program.levels.iter().position(|l| l == "comfort");
                LevelRank(comfort.unwrap_or(self.program.levels.len() - 1) as u8)
            }
        };
        let settle = c.settle.as_ref().and_then(|s| s.expr()).map(|e| self.duration(&e).unwrap_or_default());
        let release = c.release.as_ref().and_then(|r| r.expr()).map(|e| self.duration(&e).unwrap_or_default());
        let deadline = match &c.deadline {
            Some(node) => self.deadline(node),
            None => defaults.deadline,
        };
        // "at level privacy or above", RULES.md. Where the site's own levels have no privacy, nothing is.
        let privacy = self.program.levels.iter().position(|l| l == "privacy");
        let protective = privacy.is_some_and(|p| usize::from(level.0) <= p);
        let on_unknown = self.on_unknown(c.on_unknown.as_ref(), protective);
        let from = self.program.instances.len() as u32;
        let catch_up = c.catch_up.as_ref().and_then(|n| n.expr()).and_then(|e| self.duration(&e));
        Some(RuleInfo {
            name: name.to_owned(),
            file: self.file.clone(),
            span: source.span,
            interlock: source.interlock,
            level,
            deadline,
            shape: shape_hash(source),
            instances: from..from,
            settle: settle.unwrap_or(defaults.settle),
            release_after: release.unwrap_or(defaults.release_after),
            dampers: Vec::new(),
            on_unknown,
            protective,
            confidence: 0.5,
            track_names: [None; 2],
            catch_up,
        })
    }

    fn on_unknown(&mut self, node: Option<&ast::OnUnknown>, protective: bool) -> OnUnknown {
        let by_level = if protective { OnUnknown::Hold } else { OnUnknown::Release };
        let Some(word) = node.and_then(|n| n.names().next()) else { return by_level };
        match word.text().as_str() {
            "keep" => OnUnknown::Keep,
            "release" => OnUnknown::Release,
            "hold" => OnUnknown::Hold,
            other => {
                self.unknown_name(word.span(), "answer to unknown", other, ["keep", "release", "hold"]);
                by_level
            }
        }
    }

    /// Whether the clauses fit together.
    fn check_fit(&mut self, info: &RuleInfo, c: &Clauses, name: Span) {
        let mut misfit = |span: Option<Span>, message: &str, help: &str| {
            if let Some(span) = span {
                self.error_help("clause", span, message, help);
            }
        };
        let (level, edge) = (c.while_.is_some(), c.when.is_some());
        match (edge, level) {
            (false, false) => {
                misfit(Some(name), "this has neither `when` nor `while`", "say when it acts, or while what it holds");
            }
            (true, true) => {
                misfit(c.while_.as_ref().map(AstNode::span), "a rule has `when` or `while`, not both", "make it two");
            }
            (true, false) => {
                let holds = c.holds.first().map(AstNode::span).or(c.forbids.first().map(AstNode::span));
                misfit(holds, "`hold` and `forbid` need `while`", "an event passes: send a command with `do`");
                misfit(c.release.as_ref().map(AstNode::span), "`release after` needs `while`", "drop it");
                misfit(c.on_unknown.as_ref().map(AstNode::span), "`on unknown` needs `while`", "drop it");
                if info.interlock {
                    misfit(Some(name), "an interlock needs `while`", "it holds as long as its condition does");
                }
                if c.dos.is_empty() && holds.is_none() {
                    misfit(Some(name), DOES_NOTHING, "add `do DEVICE.COMMAND()`");
                }
            }
            (false, true) => {
                misfit(c.dos.first().map(AstNode::span), "`do` needs `when`", "in a `while`, hold a property");
                misfit(c.once.as_ref().map(AstNode::span), "`once per` needs `when`", "drop it");
                misfit(c.suppress.as_ref().map(AstNode::span), "`suppress` needs `when`", "drop it");
                if c.holds.is_empty() && c.forbids.is_empty() && c.dos.is_empty() {
                    misfit(Some(name), DOES_NOTHING, "add `hold DEVICE.PROPERTY = VALUE`");
                }
            }
        }
    }

    /// Every choice of the `for each` variables that `where` lets pass becomes an instance.
    fn unroll(&mut self, id: RuleId, source: &Source, clauses: &Clauses) {
        let mut choices: Vec<Vec<(String, Binding)>> = vec![source.bindings.clone()];
        if let Some(each) = &clauses.for_each {
            for binder in each.binders() {
                let names: Vec<ast::Name> = binder.names().collect();
                let [kind, variable] = names.as_slice() else { return };
                let Some(found) = self.all_of_kind(kind) else { return };
                let text = variable.text();
                let taken = choices[0..choices.len().min(1)].iter().any(|c| c.iter().any(|(n, _)| *n == text));
                if taken || self.site.zone_named(&text).is_some() {
                    self.error("defined-twice", variable.span(), format!("`{text}` already names something"));
                    return;
                }
                if choices.len() * found.len() > INSTANCES_MAX {
                    self.error("too-many", each.span(), format!("this unrolls to more than {INSTANCES_MAX} instances"));
                    return;
                }
                let text = &text;
                choices = choices
                    .iter()
                    .flat_map(|c| found.iter().map(move |b| [c.as_slice(), &[(text.clone(), *b)]].concat()))
                    .collect();
            }
            if each.binders().count() > BINDINGS_MAX - 1 {
                self.error("too-many", each.span(), format!("a rule binds {} variables at most", BINDINGS_MAX - 1));
                return;
            }
            if let Some(filter) = each.expr() {
                let passed: Option<Vec<bool>> =
                    choices.iter().map(|choice| self.passes(choice, source, &filter)).collect();
                let Some(passed) = passed else { return };
                let mut passed = passed.into_iter();
                choices.retain(|_| passed.next().unwrap_or(false));
            }
            if choices.is_empty() {
                let message = "nothing in this site fits, so the rule never runs";
                let diagnostic = Diagnostic::warning("no-instance", &self.file, each.span(), message);
                self.report(diagnostic);
            }
        }
        for choice in choices {
            if self.program.instances.len() >= INSTANCES_MAX {
                let span = self.program.rules[id.index()].span;
                self.error("too-many", span, format!("the rules unroll to more than {INSTANCES_MAX} instances"));
                return;
            }
            self.instance(id, clauses, choice, source.values.clone());
        }
    }

    /// Everything of the site that a kind names: zones by category, walls, people, groups, devices, sensors.
    pub(super) fn all_of_kind(&mut self, kind: &ast::Name) -> Option<Vec<Binding>> {
        let word = kind.text();
        let site = self.site;
        let known = word == "zone" || site.words.contains_key(&word) || site.zones.iter().any(|z| z.category == word);
        if known {
            let fits = |z: &&osmose_model::site::Zone| word == "zone" || site.zone_is_a(z.id, &word);
            return Some(site.zones.iter().filter(fits).map(|z| Binding::Zone(z.id)).collect());
        }
        let of_kind = |a: &&osmose_model::device::Actuator| word == "device" || a.kind.as_str() == word;
        let found: Vec<Binding> = match word.as_str() {
            "wall" => site.walls.iter().map(|w| Binding::Wall(w.id)).collect(),
            "person" => site.people.iter().map(|p| Binding::Person(p.id)).collect(),
            "group" => site.groups.iter().map(|g| Binding::Group(g.id)).collect(),
            "sensor" => site.sensors.iter().map(|s| Binding::Sensor(s.id)).collect(),
            _ if word == "device" || osmose_model::device::ActuatorKind::from_word(&word).is_some() => {
                site.actuators.iter().filter(of_kind).map(|a| Binding::Device(a.id)).collect()
            }
            _ => {
                let mut words: Vec<&str> = site.words.keys().map(String::as_str).collect();
                words.extend(["zone", "wall", "person", "group", "device", "sensor"]);
                words.extend(osmose_model::device::ActuatorKind::ALL.iter().map(|k| k.as_str()));
                words.extend(site.zones.iter().map(|z| z.category.as_str()));
                self.unknown_name(kind.span(), "kind of zone", &word, words);
                return None;
            }
        };
        Some(found)
    }

    /// Whether `where` lets a choice pass; `None` after reporting that it cannot be decided now.
    fn passes(&mut self, choice: &[(String, Binding)], source: &Source, filter: &Expr) -> Option<bool> {
        let (bindings, values) = (choice.to_vec(), source.values.clone());
        let mut scope = Scope { bindings, values, existence: true, ..Scope::default() };
        match self.cond_node(&mut scope, filter) {
            Cond::Const(value) => Some(value == Tri::True),
            _ => {
                let message =
                    "`where` chooses once, from what the site's files say; this changes while the building runs";
                self.error_help("type", filter.span(), message, "move it to `when`, `while` or `if`");
                None
            }
        }
    }

    /// The devices that a target names, and what was said of them; `None` after reporting.
    pub(super) fn devices(&mut self, scope: &mut Scope, expr: &Expr) -> Option<Vec<ActuatorId>> {
        match self.meaning(scope, expr) {
            Meaning::Devices(ids) => Some(ids),
            other => {
                self.wrong_kind(expr.span(), "a device", &other);
                None
            }
        }
    }
}

/// How long somebody may be away before the visit is over (RULES.md, "Whose memory").
pub(crate) const VISIT_GAP: DurationNs = DurationNs(30 * NS_PER_S);

/// A hash of the tokens of the clauses that a rule's state hangs on, numbers left out: a rule whose threshold or
/// delay changed keeps its timers, one whose conditions changed does not.
fn shape_hash(source: &Source) -> u64 {
    let mut hash = Fnv::new();
    let mut absorb = |text: &str| hash.absorb(text.as_bytes());
    source.values.iter().for_each(|(_, value)| absorb(&value.syntax().text().to_string()));
    for clause in &source.clauses {
        let counts = matches!(
            clause,
            Clause::ForEach(_)
                | Clause::When(_)
                | Clause::While(_)
                | Clause::If(_)
                | Clause::Hold(_)
                | Clause::Once(_)
                | Clause::Suppress(_)
                | Clause::Forbid(_)
        );
        // Steps count where a run may be under way in the middle of them.
        let waits = |a: ast::Action| matches!(a, ast::Action::Wait(_) | ast::Action::Ask(_));
        let counts = counts || matches!(clause, Clause::Do(node) if node.actions().any(waits));
        // So does what is remembered for what is said.
        let counts =
            counts || matches!(clause, Clause::Do(node) if node.syntax().text().to_string().contains("lasting("));
        if !counts {
            continue;
        }
        for node in clause.syntax().descendants() {
            for token in own_tokens(&node) {
                absorb(if token.kind() == SyntaxKind::NUMBER { "#" } else { token.text() });
            }
        }
    }
    hash.number()
}
