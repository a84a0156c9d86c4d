//! `osmose plan`: floor plans before anything runs on them: converted, placed on the ground, drawn, looked over.

mod check;
mod convert;
mod draw;
mod fit;

use crate::outcome::{Ended, Failure};
use crate::stderr::say;
use clap::Subcommand;
use osmose_load::{Fault, Loaded, Severity};
use osmose_model::site::{Site, SourceFile};
use osmose_survey::faults::{self, Found};
use osmose_survey::{Form, Handed, hand_over};
use std::collections::BTreeMap;
use std::path::Path;

/// Convert, place, draw and look over floor plans
#[derive(Subcommand)]
pub(crate) enum Plan {
    /// Make a site's plan of IMDF, WRLD, GeoJSON or YAML
    Convert(convert::Convert),
    /// Find what is wrong with a plan as a place to walk in
    Check(check::Check),
    /// Draw a plan as SVG
    Draw(draw::Draw),
    /// Fit a plan to control points, and show what remains at each
    Fit(fit::Fit),
}

impl Plan {
    pub(crate) fn run(self) -> Ended {
        match self {
            Self::Convert(c) => c.run(),
            Self::Check(c) => c.run(),
            Self::Draw(c) => c.run(),
            Self::Fit(c) => c.run(),
        }
    }
}

/// A plan that was read.
struct Surveyed {
    handed: Handed,
    loaded: Loaded,
}

impl Surveyed {
    /// Reads what stands at a path; `settings` is the site.toml that holds for a plan without one.
    fn read(path: &Path, settings: Option<SourceFile>) -> Result<Self, Failure> {
        let mut handed = hand_over(path).map_err(Failure::found)?;
        if handed.form != Form::Site {
            handed.files.extend(settings);
        }
        let is_bare = handed.form != Form::Site;
        let mut loaded = osmose_load::load(&handed.files);
        // A plan alone has no settings, and needs none to be looked at.
        loaded.faults.retain(|f| !(is_bare && f.code == "no-site-toml"));
        Ok(Self { handed, loaded })
    }

    /// The site, or the faults said and a failure.
    fn site(&self, path: &Path) -> Result<&Site, Failure> {
        self.loaded.site.as_ref().ok_or_else(|| {
            let errors = self.loaded.faults.iter().filter(|f| f.severity == Severity::Error);
            errors.clone().for_each(|f| say!("{f}"));
            Failure::found(format!("{} has {} error(s); mend them first.", path.display(), errors.count()))
        })
    }

    /// What is wrong with it beside what the loader said.
    fn found(&self) -> Vec<Found> {
        self.loaded.site.as_ref().map(|site| faults::find(site, &self.loaded.places)).unwrap_or_default()
    }
}

/// What a plan holds, in numbers.
fn summary(site: &Site) -> String {
    format!(
        "{} level(s), {} room(s) and other zone(s), {} wall(s), {} door(s), {} fixture(s)",
        site.levels.len(),
        site.zones.len(),
        site.walls.len(),
        site.openings.len(),
        site.fixtures.len()
    )
}

/// Faults of one sort and place that are shown before the rest is counted.
const SHOWN: usize = 4;

/// Prints faults; of many of one sort in one file the first few, unless `all` are asked for. Gives back the lines.
fn lines<'f>(faults: impl Iterator<Item = &'f Fault> + Clone, all: bool) -> Vec<String> {
    let mut count: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for f in faults.clone() {
        *count.entry((f.code, f.file.as_str())).or_default() += 1;
    }
    let mut shown: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut out = Vec::new();
    for f in faults {
        let key = (f.code, f.file.as_str());
        let (n, of) = (shown.entry(key).or_default(), count[&key]);
        *n += 1;
        // One more is not worth a line that counts it.
        if all || *n <= SHOWN || of == SHOWN + 1 {
            out.push(f.to_string());
        } else if *n == SHOWN + 1 {
            out.push(format!(
                "… and {} more of {} in {}; `osmose plan check --all` lists them.",
                of - SHOWN,
                f.code,
                f.file
            ));
        }
    }
    out
}
