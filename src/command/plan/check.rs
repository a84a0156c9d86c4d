//! `osmose plan check`: what is wrong with a plan, where, and how to mend it.

use super::{Surveyed, lines, summary};
use crate::outcome::{Ended, Outcome};
use osmose_load::Severity;
use osmose_survey::faults::Found;
use std::path::PathBuf;

/// Find what is wrong with a plan as a place to walk in
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose plan check my-office\n  osmose plan check building.zip --all\n\n\
    It finds rooms without a door, rooms over each other, gaps between walls, outlines that cross themselves, doors that \
    lead nowhere, rooms that cannot be reached, levels without stairs, and sensors that watch nothing. What the loader \
    refuses ends it with 1; all else is a warning, and ends it with 1 under --strict only.")]
pub(crate) struct Check {
    /// A site, a folder or zip archive of IMDF or WRLD, a .geojson, or a .yaml of polygons in metres
    plan: PathBuf,
    /// Every fault, not the first few of each sort
    #[arg(long)]
    all: bool,
    /// Warnings end it with 1 too
    #[arg(long)]
    strict: bool,
    /// A list of `{severity,code,file,line,column,feature,message,help,level,x_m,y_m}` on stdout
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self) -> Ended {
        let surveyed = Surveyed::read(&self.plan, None)?;
        let found = surveyed.found();
        let loader = &surveyed.loaded.faults;
        let errors = loader.iter().filter(|f| f.severity == Severity::Error).count();
        if self.json {
            println!("{}", as_json(&surveyed, &found));
        } else {
            for line in lines(loader.iter().chain(found.iter().map(|f| &f.fault)), self.all) {
                println!("{line}");
            }
            surveyed.handed.left_out.iter().for_each(|l| println!("note: {l}"));
            if let Some(site) = &surveyed.loaded.site {
                println!("{}: {}", site.name, summary(site));
            }
            let warnings = loader.len() - errors + found.len();
            println!("{}: {errors} error(s), {warnings} warning(s)", self.plan.display());
        }
        let failed = errors > 0 || self.strict && !(loader.is_empty() && found.is_empty());
        Ok(if failed { Outcome::Found } else { Outcome::Success })
    }
}

fn as_json(surveyed: &Surveyed, found: &[Found]) -> serde_json::Value {
    let places = surveyed.loaded.site.as_ref();
    let with = |fault: &osmose_load::Fault, at: Option<&Found>| {
        let mut value = serde_json::to_value(fault).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            let level = at.and_then(|f| Some(places?.levels.get(f.level.index())?.name.clone()));
            let point = at.and_then(|f| f.at);
            map.insert("level".into(), level.into());
            map.insert("x_m".into(), point.map(|p| p.x_m).into());
            map.insert("y_m".into(), point.map(|p| p.y_m).into());
        }
        value
    };
    let of_loader = surveyed.loaded.faults.iter().map(|f| with(f, None));
    of_loader.chain(found.iter().map(|f| with(&f.fault, Some(f)))).collect()
}
