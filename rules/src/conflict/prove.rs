//! `prove` statements: shown for every building day that can be, or not shown, and why.
//!
//! `prove a outranks b` is read off the levels. `prove never COND for D` is shown in two ways: the condition cannot be
//! (the search finds no moment), or a level rule forbids it: whenever the condition is, that rule holds a device to a
//! value with which the condition is not, from no later than `D`, and nothing outranks it there. The second rests on
//! the device obeying, which `Proof` says.

use super::search::{Found, Goal, Problem};
use super::{Drive, Driven, Scene, drives, holds_on, level_name};
use crate::diag::{Diagnostic, Span};
use crate::program::{Cond, CondId, Program, ValueExpr};
use crate::syntax::SyntaxKind;
use crate::syntax::ast::{self, AstNode, Expr, Item};
use osmose_model::command::Value;
use osmose_model::ids::RuleId;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;

/// What became of one statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// The statement as written.
    pub text: String,
    /// Its file.
    pub file: String,
    /// Where.
    pub span: Span,
    /// Whether it is shown.
    pub proven: Proven,
    /// Why, or why not, as a sentence.
    pub why: String,
    /// Of a statement that is neither shown nor refuted: the condition that must never hold, as a rule's `while` takes
    /// it; `None` where it can stand in none.
    pub watched: Option<String>,
}

/// Whether a statement is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// It holds.
    Yes,
    /// It does not hold.
    No,
    /// Neither could be shown: it is watched in every replay.
    Open,
}

/// Looks into every `prove` of the files. `program` is what [`crate::check()`] made of them.
pub fn prove(program: &Program, site: &Site, files: &[SourceFile]) -> (Vec<Proof>, Vec<Diagnostic>) {
    let mut proofs = Vec::new();
    for source in files {
        let file = crate::syntax::parse(&source.path, &source.text).file();
        for item in file.items() {
            if let Item::Prove(node) = item {
                proofs.push(one(program, site, files, source, &node));
            }
        }
    }
    let diagnostics = proofs.iter().filter_map(diagnostic).collect();
    (proofs, diagnostics)
}

fn diagnostic(proof: &Proof) -> Option<Diagnostic> {
    let Proof { file, span, why, .. } = proof;
    match proof.proven {
        Proven::Yes => None,
        Proven::No => Some(Diagnostic::error("prove", file, *span, "this does not hold").help(why.clone())),
        Proven::Open => Some(
            Diagnostic::warning("not-proven", file, *span, "not proven: every replay is watched for it")
                .help(why.clone()),
        ),
    }
}

fn one(program: &Program, site: &Site, files: &[SourceFile], source: &SourceFile, node: &ast::Prove) -> Proof {
    let span = node.span();
    let text = source.text.get(span.start as usize..span.end as usize).unwrap_or_default().to_owned();
    let (proven, why, watched) = match node.exprs().next() {
        Some(condition) => never(program, site, files, source, node, &condition),
        None => {
            let (proven, why) = outranks(program, node);
            (proven, why, None)
        }
    };
    Proof { text, file: source.path.clone(), span, proven, why, watched }
}

// ---- `prove a outranks b` ----

fn outranks(program: &Program, node: &ast::Prove) -> (Proven, String) {
    let names: Vec<String> = node.names().map(|n| n.text()).collect();
    let find = |name: &String| program.rule_named(name).ok_or_else(|| format!("no rule is called `{name}`"));
    let over = match names.first().map(find) {
        Some(Ok(id)) => id,
        Some(Err(why)) => return (Proven::No, why),
        None => return (Proven::No, "it names no rule".to_owned()),
    };
    let others: Vec<RuleId> = match names.get(1).map(find) {
        Some(Ok(id)) => vec![id],
        Some(Err(why)) => return (Proven::No, why),
        None => (0..program.rules.len() as u16).map(RuleId).filter(|id| *id != over).collect(),
    };
    let own = &program.rules[over.index()];
    let below = |id: &RuleId| {
        let other = &program.rules[id.index()];
        own.level < other.level || own.level == other.level && super::is_over(program, over, *id)
    };
    match others.iter().find(|id| !below(id)) {
        None => (
            Proven::Yes,
            format!("`{}` is at level {}, all others are below", own.name, level_name(program, own.level)),
        ),
        Some(id) => {
            let other = &program.rules[id.index()];
            let (a, b) = (level_name(program, own.level), level_name(program, other.level));
            (Proven::No, format!("`{}` is at level {a} and `{}` at level {b}", own.name, other.name))
        }
    }
}

// ---- `prove never COND for D` ----

/// The condition compiled beside the rules; `None` where it does not compile.
fn compiled(program: &Program, site: &Site, files: &[SourceFile], text: &str) -> Option<(Program, CondId)> {
    let device = site.actuators.first()?;
    let kind = device.kind.properties().first()?;
    // A rule that only carries the condition: what it would hold plays no part.
    let value = match (kind.words.first(), kind.unit) {
        (Some(word), _) => (*word).to_owned(),
        (None, Some(_)) => return None,
        (None, None) => "\"x\"".to_owned(),
    };
    let name = "prove-this-statement";
    let carrier = format!(
        "rule {name} {{ while {text} hold \"{}\".{} = {value} level {} }}\n",
        device.name,
        kind.property,
        program.levels.last()?
    );
    let mut all: Vec<SourceFile> = files.to_vec();
    all.push(SourceFile { path: "rules/~prove.rules".to_owned(), text: carrier });
    let with = crate::check(site, &all).program?;
    let rule = with.rule_named(name)?;
    let instance = with.instances.iter().find(|i| i.rule == rule)?;
    let condition = instance.condition;
    Some((with, condition))
}

fn never(
    program: &Program,
    site: &Site,
    files: &[SourceFile],
    source: &SourceFile,
    node: &ast::Prove,
    condition: &Expr,
) -> (Proven, String, Option<String>) {
    let always = ast::own_tokens(node.syntax()).any(|t| t.kind() == SyntaxKind::IDENT && t.text() == "always");
    let text = |e: &Expr| source.text.get(e.span().start as usize..e.span().end as usize).unwrap_or_default();
    let (inner, length, lasting) = match condition {
        Expr::For(held) => match held.exprs().collect::<Vec<_>>().as_slice() {
            [inner, length] => (text(inner), duration(length), text(length)),
            _ => (text(condition), DurationNs::ZERO, ""),
        },
        other => (text(other), DurationNs::ZERO, ""),
    };
    let asked = if always { format!("not ({inner})") } else { inner.to_owned() };
    let watched = Some(if lasting.is_empty() { asked.clone() } else { format!("({asked}) for {lasting}") });
    let Some((with, cond)) = compiled(program, site, files, &asked) else {
        let why = "its condition cannot stand in a `while`, so nothing can be shown of it".to_owned();
        return (Proven::Open, why, None);
    };
    let problem = Problem::new(&with, vec![Goal::is_true(cond)]);
    let scene = match problem.solve() {
        Found::Never => return (Proven::Yes, "no moment is like this, whatever happens".to_owned(), None),
        Found::TooMany => return (Proven::Open, "there are too many cases to try".to_owned(), watched),
        Found::Moment(found) => Scene::of(&with, site, &problem, &found),
    };
    if let Some(rule) = guardian(&with, site, cond, length) {
        let name = &with.rules[rule.index()].name;
        return (Proven::Yes, format!("`{name}` sees to it, as long as its device obeys"), None);
    }
    (Proven::Open, format!("nothing rules this out: {}", scene.said()), watched)
}

fn duration(expr: &Expr) -> DurationNs {
    let Expr::Quantity(quantity) = expr else { return DurationNs::ZERO };
    let number = quantity.number().and_then(|n| n.text().parse::<f64>().ok()).unwrap_or(0.0);
    let unit_ns = quantity.unit().as_deref().and_then(crate::check::nanoseconds_of).unwrap_or(0);
    DurationNs((number * unit_ns as f64) as i64)
}

/// A level rule that keeps a device at a value with which the condition cannot be, whenever the rest of it is.
fn guardian(program: &Program, site: &Site, cond: CondId, length: DurationNs) -> Option<RuleId> {
    let all = drives(program, site);
    let wanted = all.iter().filter_map(|drive| match drive.value {
        Driven::Hold(hold) => match &program.values[hold.value as usize] {
            ValueExpr::Const(value) => Some((drive, *value)),
            _ => None,
        },
        Driven::Command(_) => None,
    });
    wanted
        .into_iter()
        .find(|(drive, value)| keeps(program, &all, drive, value, cond, length))
        .map(|(d, _)| d.instance.rule)
}

fn keeps(program: &Program, all: &[Drive], drive: &Drive, value: &Value, cond: CondId, length: DurationNs) -> bool {
    let rule = &program.rules[drive.instance.rule.index()];
    // Its own condition must follow at once, or within the time that the statement leaves.
    if drive.instance.guard.is_some() || rule.settle.0 > length.0 {
        return false;
    }
    let outranked = all.iter().any(|other| {
        let level = program.rules[other.instance.rule.index()].level;
        let same = (other.device, other.property) == (drive.device, drive.property);
        same && other.number != drive.number && level <= rule.level && matches!(other.value, Driven::Hold(_))
    });
    if outranked {
        return false;
    }
    // While the condition is, the rule holds (a `for` inside it is given the statement's time).
    let own = strip_for(program, drive.instance.condition, length);
    let not_held = [holds_on(rule, Tri::True), holds_on(rule, Tri::False), holds_on(rule, Tri::Unknown)].map(|h| !h);
    let escapes = Problem::new(program, vec![Goal::is_true(cond), Goal { cond: own, moment: 0, truths: not_held }]);
    if escapes.solve() != Found::Never {
        return false;
    }
    let mut with_value = Problem::new(program, vec![Goal::is_true(cond)]);
    with_value.device_is = Some((drive.device, drive.property, *value));
    with_value.reads(drive.device, drive.property) && with_value.solve() == Found::Never
}

/// A `for` that is no longer than the statement's time counts as its condition.
fn strip_for(program: &Program, id: CondId, length: DurationNs) -> CondId {
    match &program.conds[id as usize] {
        Cond::For { inner, length: own, .. } if own.0 <= length.0 => *inner,
        _ => id,
    }
}
