//! From trees to a program: every name looked up in the site, every quantity given its unit, every rule unrolled.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the entry, the file's declarations, how findings are collected |
//! | `names.rs` | names and dotted paths to what they mean |
//! | `units.rs` | units of quantities |
//! | `value.rs` | numbers, and values of commands and holds |
//! | `cond.rs` | conditions |
//! | `rule.rs` | clauses of one rule, and its unrolling |
//! | `instance.rs` | one instance: conditions, actions, dampers, what wakes it |
//! | `action.rs` | commands, holds and forbids |
//!
//! What parses and cannot be run yet is an error that says so: nothing that an integrator wrote is passed over.

mod action;
mod cond;
mod instance;
mod names;
mod rule;
mod units;
mod value;

pub(crate) use rule::VISIT_GAP;
pub(crate) use units::nanoseconds_of;

use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::program::{Index, ModeInfo, Program};
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

struct Checker<'s> {
    site: &'s Site,
    program: Program,
    diagnostics: Vec<Diagnostic>,
    levels_at: Option<Defined>,
    defined: Vec<Defined>,
    /// The file being checked.
    file: String,
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
            lost: site.margins.lost,
        };
        Checker { site, program, diagnostics: Vec::new(), levels_at: None, defined: Vec::new(), file: String::new() }
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

    /// The error for what the language has and this build does not run.
    fn not_yet(&mut self, span: Span, what: &str) {
        let message = format!("{what} cannot be run yet");
        self.error_help(
            "not-yet",
            span,
            message,
            "the language has it; this build refuses it rather than pass it over",
        );
    }

    /// "no X is called `word`", with the nearest of `known`.
    fn unknown_name<'c>(&mut self, span: Span, what: &str, word: &str, known: impl IntoIterator<Item = &'c str>) {
        let diagnostic = Diagnostic::error("unknown-name", &self.file, span, format!("no {what} is called `{word}`"));
        let diagnostic = match did_you_mean(word, known) {
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

    fn mode(&mut self, mode: &ast::Mode) {
        let Some(name) = mode.name() else { return };
        if !self.define(&name.text(), "mode", name.span()) {
            return;
        }
        let mut info = ModeInfo { name: name.text(), values: Vec::new(), default: 0 };
        for value in mode.values() {
            if value.is_default() {
                info.default = info.values.len() as u16;
            }
            info.values.extend(value.name().map(|n| n.text()));
        }
        if info.values.len() < 2 || info.values.len() > 256 {
            let message = format!("mode `{}` has {} values; it needs 2 to 256", info.name, info.values.len());
            self.error_help("mode", mode.span(), message, "write `mode house { home default, away }`");
            return;
        }
        self.program.modes.push(info);
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
            let span = item.span();
            match item {
                Item::Rule(node) => self.rule(rule::Source::from(&node), &defaults),
                Item::Interlock(node) => self.rule(rule::Source::from(&node), &defaults),
                Item::RuleOrder(_) => self.not_yet(span, "`rule ... over ...`"),
                Item::Policy(_) => self.not_yet(span, "a `policy`"),
                Item::Counter(_) => self.not_yet(span, "a `counter`"),
                // Run by `osmose test`.
                Item::Test(_) => {}
                // Looked into by `conflict::prove`, once the rules compile.
                Item::Prove(_) => {}
                Item::Edition(_) | Item::Levels(_) | Item::Mode(_) | Item::Defaults(_) => {}
            }
        }
    }
}
