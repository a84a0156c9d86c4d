//! Where machines come from: a replay needs a core of the trace's site and rules, and another one after each
//! installation of rules. Behind a trait, so that tests drive replays with stages that fit on a page.

use osmose_core::{Core, Fusion, Machine, Plan, Rules};
use osmose_model::canon;
use osmose_model::site::{Site, SourceFile};
use osmose_model::stages::{Arbitrate, Decide, Fuse};
use std::sync::{Arc, Mutex, PoisonError};

/// Why no machine can be made of these files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkshopError {
    /// The site's files do not load.
    #[error("the site cannot be loaded:\n{0}")]
    Site(String),
    /// The rules do not compile.
    #[error("the rules cannot be used:\n{0}")]
    Rules(String),
}

/// Makes machines of one site.
pub trait Workshop {
    /// Sensor streams to who is where.
    type Fuse: Fuse;
    /// The rules.
    type Decide: Decide;
    /// Who wins a device.
    type Arbitrate: Arbitrate;

    /// The site.
    fn site(&self) -> &Arc<Site>;
    /// Compiles rules, as fresh as if nothing had been seen.
    ///
    /// # Errors
    /// [`WorkshopError::Rules`] with the compiler's findings.
    fn rules(&self, files: &[SourceFile]) -> Result<Self::Decide, WorkshopError>;
    /// A machine in its first state, with these rules in force.
    fn machine(&self, rules: Self::Decide) -> Machine<Self::Fuse, Self::Decide, Self::Arbitrate>;
}

/// Sets of rules kept compiled: who goes to and fro in a recording meets the same ones again.
const COMPILED_MAX: usize = 8;

/// Rule files, joined, and what they compile to, with the people that were installed with them and nothing seen yet.
type Compiled = (Vec<u8>, Rules);

/// The engine's own stages. Clones share what they compiled.
#[derive(Clone)]
pub struct Osmose {
    site: Arc<Site>,
    /// The latest last.
    compiled: Arc<Mutex<Vec<Compiled>>>,
}

impl Osmose {
    /// For a resolved site.
    #[must_use]
    pub fn new(site: Arc<Site>) -> Self {
        Self { site, compiled: Arc::default() }
    }

    /// For the site whose files these are (a trace's attachments, or a folder's).
    ///
    /// # Errors
    /// [`WorkshopError::Site`] with what the loader found.
    pub fn of_files(files: &[SourceFile]) -> Result<Self, WorkshopError> {
        let loaded = osmose_load::load(files);
        let lines = |f: &osmose_load::Fault| f.to_string();
        match loaded.site {
            Some(site) => Ok(Self::new(Arc::new(site))),
            None => {
                let errors = loaded.faults.iter().filter(|f| f.severity == osmose_load::Severity::Error);
                Err(WorkshopError::Site(errors.map(lines).collect::<Vec<_>>().join("\n")))
            }
        }
    }

    /// A core with the site's own rules in force.
    ///
    /// # Errors
    /// [`WorkshopError::Rules`].
    pub fn core(&self) -> Result<Core, WorkshopError> {
        let files: Vec<SourceFile> = self.site.rule_files().cloned().collect();
        Ok(self.machine(self.rules(&files)?))
    }
}

impl Workshop for Osmose {
    type Fuse = Fusion;
    type Decide = Rules;
    type Arbitrate = Plan;

    fn site(&self) -> &Arc<Site> {
        &self.site
    }

    fn rules(&self, files: &[SourceFile]) -> Result<Rules, WorkshopError> {
        let set = canon::encode_files(files);
        // Whoever panicked while it was locked left it whole: a set is added in one go.
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rules)) = compiled.iter().find(|(known, _)| *known == set) {
            return Ok(rules.clone());
        }
        let rules = self.compile(files)?;
        if compiled.len() == COMPILED_MAX {
            // The first set is the recording's own: everybody who goes back to its start needs it.
            compiled.remove(1);
        }
        compiled.push((set, rules.clone()));
        Ok(rules)
    }

    fn machine(&self, rules: Rules) -> Core {
        Core::with_rules(self.site.clone(), rules)
    }
}

impl Osmose {
    /// Compiles rules, with the people and calendars that were installed with them.
    fn compile(&self, files: &[SourceFile]) -> Result<Rules, WorkshopError> {
        let faults = |faults: Vec<osmose_load::Fault>| {
            let errors = faults.iter().filter(|f| f.severity == osmose_load::Severity::Error);
            WorkshopError::Site(errors.map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        };
        let (other, files) = osmose_load::installed(&self.site, files).map_err(faults)?;
        let other = other.map(Arc::new);
        let checked = osmose_rules::check(other.as_ref().unwrap_or(&self.site), &files);
        match checked.program {
            Some(program) => Ok(match other {
                Some(site) => Rules::of_site(program, site),
                None => Rules::new(program),
            }),
            None => {
                let source = |name: &str| files.iter().find(|f| f.path == name).map_or("", |f| f.text.as_str());
                let errors = checked.diagnostics.iter().filter(|d| d.is_error());
                let texts: Vec<String> = errors.map(|d| d.render(source(&d.file), false)).collect();
                Err(WorkshopError::Rules(texts.join("\n")))
            }
        }
    }
}
