//! Where machines come from: a replay needs a core of the trace's site and rules, and another one after each
//! installation of rules. Behind a trait, so that tests drive replays with stages that fit on a page.

use osmose_core::{Core, Fusion, Machine, Plan, Rules};
use osmose_model::site::{Site, SourceFile};
use osmose_model::stages::{Arbitrate, Decide, Fuse};
use std::sync::Arc;

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

/// The engine's own stages.
pub struct Osmose {
    site: Arc<Site>,
}

impl Osmose {
    /// For a resolved site.
    #[must_use]
    pub fn new(site: Arc<Site>) -> Self {
        Self { site }
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
        let faults = |faults: Vec<osmose_load::Fault>| {
            let errors = faults.iter().filter(|f| f.severity == osmose_load::Severity::Error);
            WorkshopError::Site(errors.map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        };
        let (people, files) = osmose_load::installed(&self.site, files).map_err(faults)?;
        let people = people.map(Arc::new);
        let checked = osmose_rules::check(people.as_ref().unwrap_or(&self.site), &files);
        match checked.program {
            Some(program) => Ok(match people {
                Some(site) => Rules::with_people(program, site),
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

    fn machine(&self, rules: Rules) -> Core {
        Core::with_rules(self.site.clone(), rules)
    }
}
