//! Deadlines that cannot be met: whom to blame, and what would make it fit.

use super::Costs;
use super::bound::{Bounds, Kick};
use super::ops::{Ops, Table};
use super::reaction::{Reaction, Reactions, Worst};
use crate::diag::{Diagnostic, Span};
use crate::program::{Program, RuleInfo};
use crate::syntax::ast::{AstNode, Clause, Item};
use osmose_model::site::{Site, SourceFile};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// Numbers of tracks that are tried in place of too many.
const TRACKS: [u64; 9] = [5000, 2000, 1000, 500, 200, 100, 50, 20, 10];

pub(super) fn check(
    program: &Program,
    site: &Site,
    files: &[SourceFile],
    table: &Table,
    costs: &Costs,
    worst: &Worst,
) -> Vec<Diagnostic> {
    let late = |(number, cost): (usize, &super::RuleCost)| cost.margin_us().filter(|m| *m < 0.0).map(|_| number);
    let late: Vec<usize> = costs.rules.iter().enumerate().filter_map(late).collect();
    if late.is_empty() {
        return Vec::new();
    }
    let case = Case::new(program, site, files, table);
    late.into_iter().map(|number| case.refuse(number, &costs.rules[number], &worst.all[number])).collect()
}

/// What every refusal of a file asks, answered once for all of them: a file with one deadline too short has more.
struct Case<'a> {
    program: &'a Program,
    site: &'a Site,
    table: &'a Table,
    bounds: Bounds<'a>,
    /// By rule: its clauses.
    clauses: Vec<Vec<Clause>>,
    /// By instance: the most that it takes when it is woken.
    woken: Vec<Ops>,
    /// By number of tracks in [`TRACKS`]: each rule's reaction, microseconds.
    with_tracks: [OnceCell<Vec<f64>>; TRACKS.len()],
}

impl<'a> Case<'a> {
    fn new(program: &'a Program, site: &'a Site, files: &'a [SourceFile], table: &'a Table) -> Self {
        let bounds = Bounds::new(program, site);
        let woken = |i| bounds.instance(i, Kick::World).or(bounds.instance(i, Kick::Other));
        let woken = program.instances.iter().map(woken).collect();
        let clauses = clauses_by_rule(program, files);
        Self { program, site, table, bounds, clauses, woken, with_tracks: [const { OnceCell::new() }; TRACKS.len()] }
    }

    fn refuse(&self, number: usize, cost: &super::RuleCost, reaction: &Reaction) -> Diagnostic {
        let rule = &self.program.rules[number];
        let clauses = &self.clauses[number];
        let own_deadline = clauses.iter().find(|c| matches!(c, Clause::Deadline(_))).map(AstNode::span);
        let deadline_us = cost.deadline_us.unwrap_or_default();
        let message = format!(
            "`{}` cannot keep its deadline: {} at worst, {} allowed",
            rule.name,
            said_us(cost.reaction_us),
            said_us(deadline_us)
        );
        let (blamed, blamed_us) = self.dearest(reaction);
        let (span, text) = if blamed == number {
            let (span, text) = self.dearest_clause(rule, clauses);
            (span, format!("{text}; {} of it", said_us(cost.us)))
        } else {
            (own_deadline.unwrap_or(rule.span), "this deadline".to_owned())
        };
        let mut diagnostic = Diagnostic::error("deadline", &rule.file, span, message).label(span, text);
        if let Some(at) = own_deadline.filter(|at| *at != span) {
            diagnostic = diagnostic.label(at, "this deadline");
        }
        diagnostic.help(self.remedy(number, cost, reaction, (blamed, blamed_us)))
    }

    /// The rule that takes most of a reaction, and how much, microseconds.
    fn dearest(&self, reaction: &Reaction) -> (usize, f64) {
        let mut by_rule = vec![Ops::NONE; self.program.rules.len()];
        for number in &reaction.woken {
            let sum = &mut by_rule[self.rule_of(*number)];
            *sum = sum.and(self.woken[*number as usize]);
        }
        let us = |ops: &Ops| self.table.us(ops);
        let dearest = (0..by_rule.len()).max_by(|a, b| us(&by_rule[*a]).total_cmp(&us(&by_rule[*b])));
        dearest.map_or((0, 0.0), |number| (number, us(&by_rule[number])))
    }

    /// The clause of the rule that takes most.
    fn dearest_clause(&self, rule: &RuleInfo, clauses: &[Clause]) -> (Span, String) {
        let Some(instance) = self.program.instances.get(rule.instances.start as usize) else {
            return (rule.span, "this rule".to_owned());
        };
        let acts = instance.sends().count() + instance.holds.len() + instance.forbids.len();
        let acts = Ops::of(super::Op::Effect, acts as u64);
        let dearest = instance.reported.iter().map(|(offset, cond)| (*offset, self.bounds.cond(*cond)));
        let dearest = dearest.max_by(|a, b| self.table.us(&a.1).total_cmp(&self.table.us(&b.1)));
        let holds = |c: &&Clause, offset: u32| (c.span().start..c.span().end).contains(&offset);
        if let Some((offset, ops)) = dearest.filter(|(_, ops)| self.table.us(ops) >= self.table.us(&acts))
            && let Some(clause) = clauses.iter().find(|c| holds(c, offset))
        {
            return (clause.span(), format!("this looks at {ops} every time"));
        }
        let acting = clauses.iter().find(|c| matches!(c, Clause::Do(_) | Clause::Hold(_)));
        let count = rule.instances.len();
        (acting.map_or(rule.span, AstNode::span), format!("this asks for {acts} in each of {count} instances"))
    }

    fn remedy(
        &self,
        number: usize,
        cost: &super::RuleCost,
        reaction: &Reaction,
        (blamed, blamed_us): (usize, f64),
    ) -> String {
        let deadline_us = cost.deadline_us.unwrap_or_default();
        let (mut ways, mut besides) = (Vec::new(), String::new());
        if let Some(tracks) = self.tracks_that_fit(number, deadline_us) {
            ways.push(format!("`tracks_max = {tracks}` in site.toml's [engine]"));
        }
        if blamed != number {
            let other = &self.program.rules[blamed];
            let instances = reaction.woken.iter().filter(|i| self.rule_of(**i) == blamed).count();
            let what = if instances == 1 { "it" } else { &format!("its {instances} instances") };
            if cost.reaction_us - blamed_us <= deadline_us {
                ways.push(format!("a cheaper `{}` in {} (one event wakes {what})", other.name, other.file));
            } else {
                let rules: BTreeSet<usize> = reaction.woken.iter().map(|i| self.rule_of(*i)).collect();
                let most = said_us(blamed_us);
                besides = format!(
                    ". One event wakes {} rules; `{}` in {} takes most of them, {most}",
                    rules.len(),
                    other.name,
                    other.file
                );
            }
        }
        ways.push(format!("`deadline {}`", rounded_up(cost.reaction_us)));
        format!("it would fit with {}{besides}", ways.join(", or with "))
    }

    fn rule_of(&self, instance: u32) -> usize {
        self.program.instances[instance as usize].rule.index()
    }

    /// The largest number of tracks, of 10, 20, 50, 100 and so on, with which the deadline is met.
    fn tracks_that_fit(&self, number: usize, deadline_us: f64) -> Option<u64> {
        let now = u64::from(self.site.engine.tracks_max);
        let fewer = TRACKS.into_iter().zip(&self.with_tracks).filter(|(n, _)| *n < now);
        let mut fewer = fewer.map(|(n, known)| (n, known.get_or_init(|| self.reactions_us(n))));
        fewer.find(|(_, us)| us[number] <= deadline_us).map(|(n, _)| n)
    }

    /// By rule: its worst reaction with so many tracks.
    fn reactions_us(&self, tracks: u64) -> Vec<f64> {
        let bounds = Bounds::new(self.program, self.site).with_tracks(tracks);
        let worst = Reactions::new(self.program, &bounds, self.site).worst_by_rule();
        worst.all.iter().map(|r| self.table.engine_us + self.table.us(&r.ops)).collect()
    }
}

fn clauses_by_rule(program: &Program, files: &[SourceFile]) -> Vec<Vec<Clause>> {
    let mut clauses = vec![Vec::new(); program.rules.len()];
    for source in files {
        let of_file = || program.rules.iter().enumerate().filter(|(_, r)| r.file == source.path);
        if of_file().next().is_none() {
            continue;
        }
        let by_place: BTreeMap<(u32, u32), usize> = of_file().map(|(n, r)| ((r.span.start, r.span.end), n)).collect();
        for item in crate::syntax::parse(&source.path, &source.text).file().items() {
            let place = (item.span().start, item.span().end);
            let Some(number) = by_place.get(&place) else { continue };
            clauses[*number] = match item {
                Item::Rule(node) => node.clauses().collect(),
                Item::Interlock(node) => node.clauses().collect(),
                _ => Vec::new(),
            };
        }
    }
    clauses
}

/// `1.2 ms`, `340 us`
pub(super) fn said_us(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{:.1} s", us / 1e6),
        us if us >= 1e3 => format!("{:.1} ms", us / 1e3),
        us if us >= 10.0 => format!("{us:.0} us"),
        us => format!("{us:.1} us"),
    }
}

/// The next length of one digit that is no shorter, as rules write it.
fn rounded_up(us: f64) -> String {
    let mut unit_us = 1.0;
    while us > 9.0 * unit_us && unit_us < 1e9 {
        unit_us *= 10.0;
    }
    let rounded = (us / unit_us).ceil() * unit_us;
    if rounded >= 1e6 {
        format!("{:.0} s", (rounded / 1e6).ceil())
    } else if rounded >= 1e3 {
        format!("{:.0} ms", rounded / 1e3)
    } else {
        format!("{rounded:.0} us")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_as_rules_write_them() {
        assert_eq!(rounded_up(1234.0), "2 ms");
        assert_eq!(rounded_up(340.0), "400 us");
        assert_eq!(rounded_up(9_400.0), "10 ms");
        assert_eq!(rounded_up(2_500_000.0), "3 s");
        assert_eq!((said_us(1234.0), said_us(3.21)), ("1.2 ms".to_owned(), "3.2 us".to_owned()));
    }
}
