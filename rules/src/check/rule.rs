//! One rule: its clauses, whether they fit together, and its unrolling over the site.

use super::Checker;
use super::names::Meaning;
use crate::diag::{Diagnostic, Span};
use crate::program::{Cond, Late, OnUnknown, RuleInfo};
use crate::syntax::SyntaxKind;
use crate::syntax::ast::{self, AstNode, Clause, Expr, own_tokens};
use osmose_model::command::LevelRank;
use osmose_model::ids::{ActuatorId, RuleId, SensorId, ZoneId};
use osmose_model::limits::BINDINGS_MAX;
use osmose_model::time::{DurationNs, NS_PER_S};
use osmose_model::tri::Tri;

/// Most instances of all rules together.
const INSTANCES_MAX: usize = 262_144;

/// What names mean while one instance is lowered, and what lowering it found out.
#[derive(Default)]
pub(super) struct Scope {
    /// `for each` variables.
    pub(super) bindings: Vec<(String, ZoneId)>,
    /// The person variable.
    pub(super) track: Option<String>,
    /// Whether a person variable may be bound here (in `when`).
    pub(super) may_bind_track: bool,
    /// Whether events may stand here.
    pub(super) events_allowed: bool,
    /// Whether this is inside `until (...)`.
    pub(super) in_until: bool,
    /// In `where`, a device that is not there is false and no error.
    pub(super) existence: bool,
    pub(super) events: u32,
    pub(super) track_uses: u32,
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
}

impl Scope {
    pub(super) fn binding(&self, name: &str) -> Option<ZoneId> {
        self.bindings.iter().find(|(n, _)| n == name).map(|(_, zone)| *zone)
    }

    pub(super) fn binding_of(&self, zone: ZoneId) -> Option<&str> {
        self.bindings.iter().find(|(_, z)| *z == zone).map(|(n, _)| n.as_str())
    }

    pub(super) fn use_track(&mut self) {
        self.track_uses += 1;
    }
}

/// A rule or an interlock as it stands in the tree.
pub(super) struct Source {
    name: Option<ast::Name>,
    clauses: Vec<Clause>,
    span: Span,
    interlock: bool,
}

impl From<&ast::Rule> for Source {
    fn from(node: &ast::Rule) -> Self {
        Source { name: node.name(), clauses: node.clauses().collect(), span: node.span(), interlock: false }
    }
}

impl From<&ast::Interlock> for Source {
    fn from(node: &ast::Interlock) -> Self {
        Source { name: node.name(), clauses: node.clauses().collect(), span: node.span(), interlock: true }
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
        let Some(name) = source.name.clone() else { return };
        let what = if source.interlock { "interlock" } else { "rule" };
        if !self.define(&name.text(), what, name.span()) {
            return;
        }
        if self.program.rules.len() >= usize::from(u16::MAX) {
            self.error("too-many", name.span(), "there are more than 65,535 rules");
            return;
        }
        let clauses = self.sort_clauses(&source, &name);
        let Some(info) = self.info(&source, &name, &clauses, defaults) else { return };
        self.check_fit(&info, &clauses, name.span());
        let id = RuleId(self.program.rules.len() as u16);
        self.program.rules.push(info);
        self.unroll(id, &clauses);
        self.program.rules[id.index()].instances.end = self.program.instances.len() as u32;
    }

    fn sort_clauses(&mut self, source: &Source, name: &ast::Name) -> Clauses {
        let mut sorted = Clauses::default();
        macro_rules! once {
            ($field:ident, $node:expr, $word:literal) => {{
                if sorted.$field.is_some() {
                    let message = format!("`{}` stands twice in `{}`", $word, name.text());
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
                Clause::CatchUp(_) => self.not_yet(span, "`catch up`"),
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
    fn info(&mut self, source: &Source, name: &ast::Name, c: &Clauses, defaults: &Defaults) -> Option<RuleInfo> {
        let level = match (&c.level, defaults.level) {
            // A level that is not known is reported; the rest of the rule is looked at all the same.
            (Some(node), _) => self.level(node).unwrap_or_default(),
            (None, Some(level)) => level,
            (None, None) if source.interlock => {
                let help = format!("write `level {}`", self.program.levels[0]);
                self.error_help("clause", name.span(), "an interlock must say its level", help);
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
        Some(RuleInfo {
            name: name.text(),
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
            track_name: None,
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
                    misfit(Some(name), "this rule does nothing", "add `do DEVICE.COMMAND()`");
                }
            }
            (false, true) => {
                misfit(c.dos.first().map(AstNode::span), "`do` needs `when`", "in a `while`, hold a property");
                misfit(c.once.as_ref().map(AstNode::span), "`once per` needs `when`", "drop it");
                misfit(c.suppress.as_ref().map(AstNode::span), "`suppress` needs `when`", "drop it");
                if c.holds.is_empty() && c.forbids.is_empty() && c.dos.is_empty() {
                    misfit(Some(name), "this rule does nothing", "add `hold DEVICE.PROPERTY = VALUE`");
                }
            }
        }
    }

    /// Every choice of the `for each` variables that `where` lets pass becomes an instance.
    fn unroll(&mut self, id: RuleId, clauses: &Clauses) {
        let mut choices: Vec<Vec<(String, ZoneId)>> = vec![Vec::new()];
        if let Some(each) = &clauses.for_each {
            for binder in each.binders() {
                let names: Vec<ast::Name> = binder.names().collect();
                let [kind, variable] = names.as_slice() else { return };
                let Some(zones) = self.zones_of_kind(kind) else { return };
                let text = variable.text();
                let taken = choices[0..choices.len().min(1)].iter().any(|c| c.iter().any(|(n, _)| *n == text));
                if taken || self.site.zone_named(&text).is_some() {
                    self.error("defined-twice", variable.span(), format!("`{text}` already names something"));
                    return;
                }
                if choices.len() * zones.len() > INSTANCES_MAX {
                    self.error("too-many", each.span(), format!("this unrolls to more than {INSTANCES_MAX} instances"));
                    return;
                }
                let text = &text;
                choices = choices
                    .iter()
                    .flat_map(|c| zones.iter().map(move |z| [c.as_slice(), &[(text.clone(), *z)]].concat()))
                    .collect();
            }
            if choices.first().is_some_and(|c| c.len() > BINDINGS_MAX - 1) {
                self.error("too-many", each.span(), format!("a rule binds {} variables at most", BINDINGS_MAX - 1));
                return;
            }
            if let Some(filter) = each.expr() {
                let passed: Option<Vec<bool>> = choices.iter().map(|choice| self.passes(choice, &filter)).collect();
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
            self.instance(id, clauses, choice);
        }
    }

    fn zones_of_kind(&mut self, kind: &ast::Name) -> Option<Vec<ZoneId>> {
        let word = kind.text();
        let site = self.site;
        let known = word == "zone" || site.words.contains_key(&word) || site.zones.iter().any(|z| z.category == word);
        if known {
            let fits = |z: &&osmose_model::site::Zone| word == "zone" || site.zone_is_a(z.id, &word);
            return Some(site.zones.iter().filter(fits).map(|z| z.id).collect());
        }
        if let "wall" | "person" | "group" | "door" | "device" | "sensor" | "display" | "light" = word.as_str() {
            self.not_yet(kind.span(), &format!("`for each {word}`"));
            return None;
        }
        let mut words: Vec<&str> = site.words.keys().map(String::as_str).chain(["zone"]).collect();
        words.extend(site.zones.iter().map(|z| z.category.as_str()));
        self.unknown_name(kind.span(), "kind of zone", &word, words);
        None
    }

    /// Whether `where` lets a choice pass; `None` after reporting that it cannot be decided now.
    fn passes(&mut self, choice: &[(String, ZoneId)], filter: &Expr) -> Option<bool> {
        let mut scope = Scope { bindings: choice.to_vec(), existence: true, ..Scope::default() };
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

/// FNV-1a over the tokens of the clauses that a rule's state hangs on, numbers left out: a rule whose threshold or
/// delay changed keeps its timers, one whose conditions changed does not.
fn shape_hash(source: &Source) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut absorb = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
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
        if !counts {
            continue;
        }
        for node in clause.syntax().descendants() {
            for token in own_tokens(&node) {
                absorb(if token.kind() == SyntaxKind::NUMBER { "#" } else { token.text() });
            }
        }
    }
    hash
}
