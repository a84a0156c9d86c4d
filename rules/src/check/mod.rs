//! From trees to a program: every name looked up in the site, every quantity given its unit, every rule unrolled.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the entry, the file's declarations, how findings are collected |
//! | `names.rs` | names and dotted paths to what they mean |
//! | `call.rs` | calls, `all ...`, `any ... in ...` |
//! | `units.rs` | units of quantities |
//! | `value.rs` | numbers, and values of commands and holds |
//! | `cascade.rs` | findings that only follow from others |
//! | `cond.rs` | conditions |
//! | `happening.rs` | what happens: verbs |
//! | `space.rs` | distance, facing, nearness, sight: what places say |
//! | `time.rs` | times of day, days, the sun, calendars |
//! | `sequence.rs` | what comes after what: `then`, `within`, `times` |
//! | `declare.rs` | modes, counters, `combine`, `manual`, `rule a over b` |
//! | `policy.rs` | guards on commands |
//! | `template.rs` | templates and their uses |
//! | `rule.rs` | clauses of one rule, and its unrolling |
//! | `instance.rs` | one instance: conditions, actions, dampers, what wakes it |
//! | `action.rs` | commands, holds and forbids |
//!
//! What parses and cannot be run yet is an error that says so: nothing that an integrator wrote is passed over.

mod action;
mod call;
mod cascade;
mod cond;
mod declare;
mod happening;
mod instance;
mod names;
mod policy;
mod rule;
mod sequence;
mod space;
mod template;
mod time;
mod units;
mod value;

pub(crate) use rule::VISIT_GAP;
pub(crate) use units::nanoseconds_of;

use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::program::{Index, Program};
use crate::syntax::ast::{self, AstNode, Item};
use crate::syntax::parse;
use osmose_model::device::{ActuatorKind, SensorKind};
use osmose_model::site::{Site, SourceFile};

/// The levels that hold where no file has a `levels` line, the highest first.
pub const DEFAULT_LEVELS: &[&str] = &["life-safety", "security", "privacy", "user", "comfort", "info"];

/// What checking found, and the program where nothing was wrong.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The compiled rules; `None` where there is at least one error.
    pub program: Option<Program>,
    /// Findings, by file in the order given, then by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses, checks and compiles a site's rule files.
///
/// `files` are taken in the order given, which is the rules' order. Nothing is read from disk.
pub fn check(site: &Site, files: &[SourceFile]) -> Checked {
    let mut checker = Checker::new(site);
    let parsed: Vec<(&str, ast::File)> = files
        .iter()
        .map(|source| {
            let parse = parse(&source.path, &source.text);
            checker.diagnostics.extend(parse.diagnostics.iter().cloned());
            (source.path.as_str(), parse.file())
        })
        .collect();
    for (path, file) in &parsed {
        checker.declarations(path, file);
    }
    checker.finish_levels();
    for (path, file) in &parsed {
        checker.rules(path, file);
    }
    for (path, file) in &parsed {
        checker.orders(path, file);
    }
    checker.finish_orders();
    checker.note_dampers();
    cascade::drop_what_follows(&mut checker.diagnostics, &parsed);
    let order = |file: &str| files.iter().position(|f| f.path == file);
    checker.diagnostics.sort_by_key(|d| (order(&d.file), d.span.start, d.span.end));
    let failed = checker.diagnostics.iter().any(Diagnostic::is_error);
    Checked { program: (!failed).then_some(checker.program), diagnostics: checker.diagnostics }
}

/// Where a name was defined, for "first defined here".
#[derive(Clone, Debug)]
struct Defined {
    name: String,
    file: String,
    span: Span,
}

fn pieces(site: &Site, of_zones: &[u32]) -> u32 {
    let walls: usize = site.walls.iter().map(|w| w.segments.len()).sum();
    walls as u32 + of_zones.iter().max().copied().unwrap_or(0)
}

fn zone_pieces(site: &Site) -> Vec<u32> {
    let edges = |z: &osmose_model::site::Zone| z.area.parts.iter().map(|p| p.segments().count()).sum::<usize>();
    site.zones.iter().map(|z| edges(z) as u32).collect()
}

struct Checker<'s> {
    site: &'s Site,
    program: Program,
    diagnostics: Vec<Diagnostic>,
    levels_at: Option<Defined>,
    defined: Vec<Defined>,
    /// The file being checked.
    file: String,
    templates: Vec<template::Template>,
    /// `rule a over b` as written, before what follows from it is added.
    orders: Vec<(osmose_model::ids::RuleId, osmose_model::ids::RuleId)>,
    /// How many rules the checker has written itself (`manual`).
    made: u32,
    /// The first condition of the instance that is lowered.
    first_cond: usize,
    /// Parameters of the template whose rule is checked, and what they stand for.
    given: Vec<(String, ast::Expr)>,
}

impl<'s> Checker<'s> {
    fn new(site: &'s Site) -> Self {
        let watches = |kind| matches!(kind, SensorKind::Position | SensorKind::Points | SensorKind::Count);
        let mut watchers = vec![Vec::new(); site.zones.len()];
        for sensor in site.sensors.iter().filter(|s| watches(s.kind)) {
            for zone in &sensor.zones {
                watchers[zone.index()].push(sensor.id);
            }
        }
        let recorder = |a: &&osmose_model::device::Actuator| a.kind == ActuatorKind::Recorder;
        let recorders = site.actuators.iter().filter(recorder).filter_map(|a| a.zone.map(|z| (a.id, z))).collect();
        let index = Index {
            by_zone: vec![Vec::new(); site.zones.len()],
            by_sensor: vec![Vec::new(); site.sensors.len()],
            by_device: vec![Vec::new(); site.actuators.len()],
            moved_in: vec![Vec::new(); site.zones.len()],
            ..Index::default()
        };
        let program = Program {
            rules: Vec::new(),
            levels: Vec::new(),
            modes: Vec::new(),
            instances: Vec::new(),
            conds: Vec::new(),
            nums: Vec::new(),
            children: Vec::new(),
            sensors: Vec::new(),
            values: Vec::new(),
            index,
            slots: 0,
            holders: 0,
            recorders,
            watchers,
            zones: site.zones.len(),
            people: site.people.iter().map(|p| p.name.clone()).collect(),
            groups: site.groups.iter().map(|g| g.name.clone()).collect(),
            kinds: site.actuators.iter().map(|a| a.kind).collect(),
            lost: site.margins.lost,
            sequence: Vec::new(),
            counters: Vec::new(),
            windows: Vec::new(),
            columns: declare::columns(site),
            bookings: time::bookings(site),
            of_people: Vec::new(),
            guards: Vec::new(),
            pieces: pieces(site, &zone_pieces(site)),
            zone_pieces: zone_pieces(site),
            place_deg: site.frame.origin_deg,
            over: Vec::new(),
            combine: Vec::new(),
            by_hand: Vec::new(),
        };
        Checker {
            site,
            program,
            diagnostics: Vec::new(),
            levels_at: None,
            defined: Vec::new(),
            file: String::new(),
            templates: Vec::new(),
            orders: Vec::new(),
            made: 0,
            first_cond: 0,
            given: Vec::new(),
        }
    }

    /// Adds a finding. One that stands already for the same place and reason (another instance's) is left out.
    fn report(&mut self, diagnostic: Diagnostic) {
        let same = |d: &Diagnostic| d.span == diagnostic.span && d.code == diagnostic.code && d.file == diagnostic.file;
        if !self.diagnostics.iter().any(same) {
            self.diagnostics.push(diagnostic);
        }
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        let diagnostic = Diagnostic::error(code, &self.file, span, message);
        self.report(diagnostic);
    }

    fn error_help(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let diagnostic = Diagnostic::error(code, &self.file, span, message).help(help);
        self.report(diagnostic);
    }

    /// "no X is called `word`", with the nearest of `known`.
    fn unknown_name<'c>(&mut self, span: Span, what: &str, word: &str, known: impl IntoIterator<Item = &'c str>) {
        let diagnostic = Diagnostic::error("unknown-name", &self.file, span, format!("no {what} is called `{word}`"));
        let is_anybody = matches!(word, "anybody" | "anyone" | "somebody" | "someone" | "everyone" | "person");
        let diagnostic = match did_you_mean(word, known) {
            _ if is_anybody => {
                diagnostic.help("any single letter stands for whoever does it, as in `when p enters lobby`")
            }
            Some(near) => diagnostic.label(span, format!("did you mean `{near}`?")),
            None => diagnostic,
        };
        self.report(diagnostic);
    }

    /// Levels and modes, which rules of every file may name.
    fn declarations(&mut self, path: &str, file: &ast::File) {
        path.clone_into(&mut self.file);
        for item in file.items() {
            match item {
                Item::Edition(edition) => self.edition(&edition),
                Item::Levels(levels) => self.levels(&levels),
                Item::Mode(mode) => self.mode(&mode),
                Item::Counter(counter) => self.counter(&counter),
                Item::Template(template) => self.template(&template),
                _ => {}
            }
        }
    }

    fn edition(&mut self, edition: &ast::Edition) {
        if let Some(number) = edition.number().filter(|n| n.text() != "1") {
            let message = format!("edition {} is not known; this build reads edition 1", number.text());
            self.error("edition", edition.span(), message);
        }
    }

    fn levels(&mut self, levels: &ast::Levels) {
        if let Some(first) = self.levels_at.clone() {
            let message = "levels are declared twice";
            let help = format!("the first `levels` line stands in {}; keep one for the whole site", first.file);
            self.error_help("defined-twice", levels.span(), message, help);
            return;
        }
        self.levels_at = Some(Defined { name: String::new(), file: self.file.clone(), span: levels.span() });
        for name in levels.names() {
            let text = name.text();
            if self.program.levels.contains(&text) {
                self.error("defined-twice", name.span(), format!("level `{text}` stands here twice"));
            } else if self.program.levels.len() >= 64 {
                self.error("too-many", name.span(), "there are more than 64 levels");
            } else {
                self.program.levels.push(text);
            }
        }
    }

    fn finish_levels(&mut self) {
        if self.program.levels.is_empty() {
            self.program.levels = DEFAULT_LEVELS.iter().map(|l| (*l).to_owned()).collect();
        }
    }

    /// Notes that `name` is taken; reports and returns false where it was before.
    fn define(&mut self, name: &str, what: &str, span: Span) -> bool {
        if let Some(first) = self.defined.iter().find(|d| d.name == name).cloned() {
            let message = format!("{what} `{name}` is defined twice");
            let mut diagnostic = Diagnostic::error("defined-twice", &self.file, span, message);
            if first.file == self.file {
                diagnostic = diagnostic.label(first.span, "first defined here");
            } else {
                diagnostic = diagnostic.help(format!("it is first defined in {}", first.file));
            }
            self.report(diagnostic);
            return false;
        }
        self.defined.push(Defined { name: name.to_owned(), file: self.file.clone(), span });
        true
    }

    fn rules(&mut self, path: &str, file: &ast::File) {
        path.clone_into(&mut self.file);
        let mut defaults = rule::Defaults::default();
        for item in file.items() {
            if let Item::Defaults(block) = item {
                self.defaults(&block, &mut defaults);
            }
        }
        for item in file.items() {
            match item {
                Item::Rule(node) => self.rule(rule::Source::from(&node), &defaults),
                Item::Interlock(node) => self.rule(rule::Source::from(&node), &defaults),
                Item::Policy(node) => self.policy(&node),
                Item::Use(node) => self.use_template(&node, &defaults),
                Item::Manual(node) => self.manual(&node),
                Item::Combine(node) => self.combine(&node),
                // Run by `osmose test`.
                Item::Test(_) => {}
                // Looked into by `conflict::prove`, once the rules compile.
                Item::Prove(_) => {}
                Item::Edition(_) | Item::Levels(_) | Item::Mode(_) | Item::Defaults(_) => {}
                Item::Counter(_) | Item::Template(_) | Item::RuleOrder(_) => {}
            }
        }
    }
}
