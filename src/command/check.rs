//! `osmose check SITE`: every fault in a site, and what the site comes to.

use crate::outcome::{Ended, Outcome};
use crate::site::{Examined, examine};
use osmose_model::device::SensorKind;
use osmose_model::ids::RuleId;
use std::path::PathBuf;

/// Check everything in a site: plan, devices, people, rules
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  osmose check examples/coworking\n  osmose check my-office --json | jq '.[].message'"
)]
pub(crate) struct Check {
    /// The site's folder
    site: PathBuf,
    /// A list of `{severity,code,file,line,column,feature,message,help}` on stdout
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self) -> Ended {
        let found = examine(&self.site);
        let errors = found.errors();
        if self.json {
            println!("{}", as_json(&found));
        } else {
            found.print();
            describe(&found);
            let warnings = found.faults.len() + found.diagnostics.len() - errors;
            println!("{}: {errors} error(s), {warnings} warning(s)", self.site.display());
        }
        Ok(if errors == 0 { Outcome::Success } else { Outcome::Found })
    }
}

fn as_json(found: &Examined) -> serde_json::Value {
    let faults = found.faults.iter().filter_map(|f| serde_json::to_value(f).ok());
    let rules = found.diagnostics.iter().map(|d| d.to_json(found.rule_text(&d.file)));
    serde_json::Value::Array(faults.chain(rules).collect())
}

/// What the site holds, in numbers, and what each rule drives.
fn describe(found: &Examined) {
    let Some(site) = &found.site else { return };
    println!(
        "site {:?}: {} level(s), {} zone(s), {} wall(s), {} opening(s), {} sensor(s), {} actuator(s), {} people in {} group(s)",
        site.name,
        site.levels.len(),
        site.zones.len(),
        site.walls.len(),
        site.openings.len(),
        site.sensors.len(),
        site.actuators.len(),
        site.people.len(),
        site.groups.len()
    );
    for &kind in SensorKind::ALL {
        let n = site.sensors.iter().filter(|s| s.kind == kind).count();
        if n > 0 {
            println!("  {n:3} x {kind}");
        }
    }
    if let Some(program) = &found.program {
        for (i, rule) in program.rules().iter().enumerate() {
            let drives = program.drives(RuleId(i as u16));
            let names: Vec<_> = drives.iter().map(|a| site.actuators[a.index()].name.as_str()).collect();
            println!("rule {} ({}): drives {}", rule.name, rule.file, list(&names));
        }
    }
}

/// A list that stays readable when a rule drives half the building.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    match names.len() {
        0 => "nothing".into(),
        n if n <= SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}
