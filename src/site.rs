//! A site and its rules, loaded and checked together: the start of nearly every subcommand.

use crate::outcome::Failure;
use crate::stderr::say;
use osmose_load::Fault;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::UtcNs;
use osmose_rules::conflict::Proof;
use osmose_rules::cost::{Costs, Table};
use osmose_rules::{Diagnostic, Program};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// A site that resolved, and its compiled rules.
pub(crate) struct Ready {
    /// The site.
    pub(crate) site: Arc<Site>,
    /// Its rules.
    pub(crate) program: Program,
}

/// Everything found in a site's folder, faults included.
pub(crate) struct Examined {
    /// The site, where it resolved.
    pub(crate) site: Option<Site>,
    /// Faults of plan, devices and people.
    pub(crate) faults: Vec<Fault>,
    /// Findings in the rules.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The compiled rules, where they compile.
    pub(crate) program: Option<Program>,
    /// What they cost.
    pub(crate) costs: Option<Costs>,
    /// What the costs were told by.
    pub(crate) table: Table,
    /// What became of every `prove`.
    pub(crate) proofs: Vec<Proof>,
}

impl Examined {
    /// Errors found; warnings do not count.
    pub(crate) fn errors(&self) -> usize {
        let faults = self.faults.iter().filter(|f| f.severity == osmose_load::Severity::Error).count();
        faults + self.diagnostics.iter().filter(|d| d.is_error()).count()
    }

    /// Of no site at all.
    pub(crate) fn nothing() -> Self {
        Self {
            site: None,
            faults: vec![],
            diagnostics: vec![],
            program: None,
            costs: None,
            table: Table::committed(),
            proofs: vec![],
        }
    }

    /// Warnings found.
    pub(crate) fn warnings(&self) -> usize {
        self.faults.len() + self.diagnostics.len() - self.errors()
    }

    /// The site, its rules and their costs, where all of them are there.
    pub(crate) fn assessed(&self) -> Option<(&Site, &Program, &Costs)> {
        Some((self.site.as_ref()?, self.program.as_ref()?, self.costs.as_ref()?))
    }

    /// Writes every finding to stderr, as a person reads them.
    pub(crate) fn print(&self) {
        for fault in &self.faults {
            say!("{fault}");
        }
        let styled = std::io::stderr().is_terminal();
        for d in &self.diagnostics {
            let text = self.rule_text(&d.file);
            // A blank line between two makes each easier to find.
            say!("{}\n", d.render(text, styled).trim_end());
        }
    }

    /// The text of a rule file.
    pub(crate) fn rule_text(&self, path: &str) -> &str {
        let files = self.site.iter().flat_map(|s| &s.files);
        files.into_iter().find(|f| f.path == path).map_or("", |f| &f.text)
    }
}

/// Loads files and compiles their rules; nothing is printed.
pub(crate) fn examine_files(files: &[SourceFile]) -> Examined {
    let loaded = osmose_load::load(files);
    with_rules(loaded.site, loaded.faults, Table::committed())
}

/// The files of a site's folder as they lie on disk; faults in them are told by whoever examines them.
pub(crate) fn site_files(dir: &Path) -> Vec<SourceFile> {
    osmose_load::load_dir(dir).site.map(|s| s.files).unwrap_or_default()
}

/// Loads a folder and compiles its rules; nothing is printed.
pub(crate) fn examine(dir: &Path) -> Examined {
    let mut loaded = osmose_load::load_dir(dir);
    let table = cost_table(dir).unwrap_or_else(|fault| {
        loaded.faults.push(*fault);
        Table::committed()
    });
    with_rules(loaded.site, loaded.faults, table)
}

/// The table of this machine in `SITE/.osmose/cost.json`; the committed one where there is none.
pub(crate) fn cost_table(dir: &Path) -> Result<Table, Box<Fault>> {
    const FILE: &str = ".osmose/cost.json";
    let text = match std::fs::read_to_string(dir.join(FILE)) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Table::committed()),
        Err(e) => return Err(table_fault(FILE, format!("It cannot be read: {e}."))),
    };
    let table = Table::from_json(&text).map_err(|e| table_fault(FILE, format!("It cannot be used: {e}.")))?;
    Ok(Table { machine: format!("{FILE} ({})", table.machine), ..table })
}

fn table_fault(file: &str, message: String) -> Box<Fault> {
    Box::new(Fault {
        severity: osmose_load::Severity::Warning,
        code: "cost-table",
        file: file.to_owned(),
        line: None,
        column: None,
        feature: None,
        message,
        help: "The committed table is used; write a new one with `osmose bench step --calibrate SITE`.".to_owned(),
    })
}

fn with_rules(site: Option<Site>, mut faults: Vec<Fault>, table: Table) -> Examined {
    faults.extend(site.as_ref().and_then(unknown_timezone));
    let (mut diagnostics, mut program, mut costs, mut proofs) = (vec![], None, None, vec![]);
    if let Some(site) = &site {
        let files: Vec<SourceFile> = site.rule_files().cloned().collect();
        let checked = osmose_rules::check(site, &files);
        (diagnostics, program) = (checked.diagnostics, checked.program);
        costs = program.as_ref().map(|p| osmose_rules::cost::assess(p, site, &files, &table));
        diagnostics.extend(costs.iter().flat_map(|c| c.diagnostics.clone()));
        if let Some(program) = &program {
            diagnostics.extend(osmose_rules::conflict::find(program, site, &files).diagnostics);
            let proven;
            (proofs, proven) = osmose_rules::conflict::prove(program, site, &files);
            diagnostics.extend(proven);
        }
    }
    Examined { site, faults, diagnostics, program, costs, table, proofs }
}

/// A time zone that the bundled database does not have. The loader knows how a name looks; which ones there are is
/// known where wall clocks are anchored.
fn unknown_timezone(site: &Site) -> Option<Fault> {
    let name = &site.frame.timezone;
    osmose_replay::wall::anchor(UtcNs(0), name).err()?;
    let text = site.files.iter().find(|f| f.path == "site.toml").map_or("", |f| &f.text);
    let line = text.lines().position(|l| l.contains("timezone") && l.contains(name.as_str()));
    Some(Fault {
        severity: osmose_load::Severity::Error,
        code: "unknown-timezone",
        file: "site.toml".to_owned(),
        line: line.and_then(|l| u32::try_from(l + 1).ok()),
        column: None,
        feature: Some("frame".to_owned()),
        message: format!("There is no time zone {name:?}."),
        help: "Write an IANA name such as \"Europe/London\" or \"UTC\".".to_owned(),
    })
}

/// Loads a folder that is to run: findings go to stderr, and errors end it.
pub(crate) fn ready(dir: &Path) -> Result<Ready, Failure> {
    settle(examine(dir), &dir.display().to_string())
}

/// The same for files that are not a folder (the demo's, a trace's).
pub(crate) fn ready_files(files: &[SourceFile], what: &str) -> Result<Ready, Failure> {
    settle(examine_files(files), what)
}

fn settle(examined: Examined, what: &str) -> Result<Ready, Failure> {
    examined.print();
    let errors = examined.errors();
    match (examined.site, examined.program) {
        (Some(site), Some(program)) if errors == 0 => Ok(Ready { site: Arc::new(site), program }),
        _ => Err(Failure::found(format!("{what} has {errors} error(s); mend them first (`osmose check` lists them)"))),
    }
}
