//! `osmose plan draw`: a plan on paper, its faults numbered on it.

use super::Surveyed;
use crate::outcome::{Ended, Failure, Outcome};
use osmose_model::ids::LevelId;
use osmose_model::site::Site;
use osmose_replay::draw::{Panels, Style, Svg};
use osmose_survey::faults::Found;
use std::path::PathBuf;

/// Draw a plan as SVG
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose plan draw my-office -o plan.svg --faults\n\n\
    The drawing needs no network, no fonts and no scripts, and prints. With --faults each fault has its number on the \
    drawing, and stands beside it on stdout.")]
pub(crate) struct Draw {
    /// A site, a folder or zip archive of IMDF or WRLD, a .geojson, or a .yaml of polygons in metres
    plan: PathBuf,
    /// The drawing to write
    #[arg(short, long, value_name = "FILE.svg")]
    output: PathBuf,
    /// One level only, by its id or label
    #[arg(long)]
    level: Option<String>,
    /// Number what `osmose plan check` finds
    #[arg(long)]
    faults: bool,
    /// How wide the drawing is, pixels
    #[arg(long, value_name = "PX", default_value_t = 1200, value_parser = clap::value_parser!(u32).range(200..=20_000))]
    width: u32,
}

/// A fault's disc and number.
const CSS: &str = ".fault{fill:#b3261e;stroke:#f3f4f2;stroke-width:1}.number{fill:#fff;font-size:8px;font-weight:600;text-anchor:middle}";

impl Draw {
    pub(crate) fn run(self) -> Ended {
        let surveyed = Surveyed::read(&self.plan, None)?;
        let mut site = surveyed.site(&self.plan)?.clone();
        let mut found = if self.faults { surveyed.found() } else { Vec::new() };
        if let Some(name) = &self.level {
            let level =
                site.levels.iter().find(|l| l.name == *name || l.label == *name).map(|l| l.id).ok_or_else(|| {
                    let all: Vec<&str> = site.levels.iter().map(|l| l.name.as_str()).collect();
                    Failure::usage(format!("The plan has no level `{name}`. It has: {}.", all.join(", ")))
                })?;
            keep_level(&mut site, level);
            found.retain(|f| f.level == level);
        }
        let svg = drawn(&site, &found, f64::from(self.width));
        std::fs::write(&self.output, svg)
            .map_err(|e| Failure::found(format!("cannot write {}: {e}", self.output.display())))?;
        for (i, f) in found.iter().enumerate() {
            println!("{:>3}  {}", i + 1, f.fault);
        }
        Ok(Outcome::Success)
    }
}

/// Takes everything off the plan that is not on a level. The levels stay, as their numbers are their places.
fn keep_level(site: &mut Site, level: LevelId) {
    site.zones.retain(|z| z.level == level);
    site.walls.retain(|w| w.level == level);
    site.openings.retain(|o| o.level == level);
    site.fixtures.retain(|f| f.level == level);
    site.sensors.retain(|s| s.level == level);
    site.levels.iter_mut().filter(|l| l.id != level).for_each(|l| l.outline.parts.clear());
}

fn drawn(site: &Site, found: &[Found], width_px: f64) -> String {
    let panels = Panels::new(site, width_px, &[]);
    let (width, height) = panels.size_px();
    let about = format!("{}; {} fault(s) numbered.", super::summary(site), found.len());
    let about = if found.is_empty() { super::summary(site) } else { about };
    let mut svg = Svg::new(width, height, &site.name, &about, &format!("{}{CSS}", Style::CSS));
    panels.draw(site, &mut svg);
    svg.open("faults");
    for (i, f) in found.iter().enumerate() {
        let (Some(panel), Some(at)) = (panels.of(f.level), f.at) else { continue };
        let (x, y) = panel.at(at);
        svg.circle("fault", (x, y), if i < 99 { 7.0 } else { 9.0 }, &f.fault.message);
        svg.label("number", (x, y + 3.0), &(i + 1).to_string());
    }
    svg.close();
    svg.finish()
}
