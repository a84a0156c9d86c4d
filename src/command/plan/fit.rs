//! `osmose plan fit`: how well a plan fits its control points, before anything is written.

use crate::outcome::{Ended, Failure, Outcome};
use crate::stderr::say;
use osmose_model::site::Frame;
use osmose_survey::control::{self, Controls};
use osmose_survey::fit::{FitError, Kind};
use osmose_survey::ground::{Placed, frame_toml, place};
use std::path::{Path, PathBuf};

/// How a plan is to be placed.
#[derive(clap::Args)]
pub(crate) struct Placing {
    /// What the map may do: `rigid` turns and moves, `similarity` scales too, `affine` shears
    #[arg(long = "fit", value_name = "KIND", default_value = "similarity", value_parser = ["rigid", "similarity", "affine"])]
    kind: String,
    /// y runs down in the plan, as in pictures
    #[arg(long)]
    mirror: bool,
}

impl Placing {
    pub(super) fn kind(&self) -> Kind {
        Kind::ALL.iter().find(|(word, _)| *word == self.kind).map_or(Kind::Similarity, |(_, kind)| *kind)
    }
    pub(super) fn mirror(&self) -> bool {
        self.mirror
    }
}

/// Fit a plan to control points, and show what remains at each
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose plan fit control.csv --fit similarity\n\n\
    control.csv has a header: plan_x,plan_y (or plan_lat_deg,plan_lon_deg), then x_m,y_m or lat_deg,lon_deg, and name \
    where the points have names. Three or four corners far apart are better than ten near each other.")]
pub(crate) struct Fit {
    /// The control points
    control: PathBuf,
    #[command(flatten)]
    placing: Placing,
    /// One object on stdout
    #[arg(long)]
    json: bool,
}

/// Reads a file of control points.
pub(super) fn read(path: &Path) -> Result<Controls, Failure> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::found(format!("{shown} cannot be read: {e}.")))?;
    control::read(&shown, &text).map_err(Failure::found)
}

impl Fit {
    pub(crate) fn run(self) -> Ended {
        let controls = read(&self.control)?;
        let kind = self.placing.kind();
        let fit = |kind| place(&controls, kind, self.placing.mirror, &Frame::default(), None);
        let placed = fit(kind).map_err(|e| Failure::found(format!("{}: {e}", self.control.display())))?;
        if self.json {
            println!("{}", as_json(&controls, &placed));
            return Ok(Outcome::Success);
        }
        tell(&controls, &placed);
        let others = Kind::ALL.iter().filter(|(_, k)| *k != kind);
        let others: Vec<String> = others.map(|(word, k)| format!("{word} {}", rms(fit(*k)))).collect();
        println!("  the other fits: {}", others.join(", "));
        if let Some((origin, rotation)) = placed.frame {
            print!("\n{}", frame_toml(origin, rotation));
        }
        Ok(Outcome::Success)
    }
}

fn rms(placed: Result<Placed, FitError>) -> String {
    placed.map_or_else(|e| format!("cannot be: {e}"), |p| format!("rms {:.3} m", p.fit.rms_m))
}

/// Prints a fit, what it leaves at each point, and what looks wrong about it.
pub(super) fn tell(controls: &Controls, placed: &Placed) {
    let fit = &placed.fit;
    println!("fit {}: {}", fit.kind.as_str(), fit.map);
    println!("  {:<16} {:>9} {:>9} {:>9}", "point", "off x_m", "off y_m", "length_m");
    for (control, r) in controls.points.iter().zip(&fit.residuals) {
        println!("  {:<16} {:>9.3} {:>9.3} {:>9.3}", control.name, r.off_m[0], r.off_m[1], r.length_m);
    }
    println!(
        "  rms {:.3} m over {} points, {} number(s) more than the map needs",
        fit.rms_m,
        fit.residuals.len(),
        fit.redundant
    );
    if fit.redundant == 0 {
        say!("warning: With no point to spare, a fit leaves nothing whatever was mistyped. Measure one more corner.");
    }
    if fit.looks_mirrored {
        say!("warning: The points fit a plan that is turned over: y runs down in it. Try --mirror.");
    } else if let Some(i) = fit.suspect() {
        let (name, others) = (&controls.points[i].name, fit.residuals[i].others_rms_m.unwrap_or(fit.rms_m));
        say!("warning: Without point {name} the others fit to {others:.3} m: look at its numbers again.");
    }
}

fn as_json(controls: &Controls, placed: &Placed) -> serde_json::Value {
    let fit = &placed.fit;
    let points: Vec<serde_json::Value> = controls
        .points
        .iter()
        .zip(&fit.residuals)
        .map(|(c, r)| serde_json::json!({"name": c.name, "off_m": r.off_m, "length_m": r.length_m, "others_rms_m": r.others_rms_m}))
        .collect();
    let frame = placed.frame.map(|((lat, lon), turn)| {
        serde_json::json!({"lat_deg": lat, "lon_deg": lon, "rotation_deg": turn * osmose_model::geometry::DEG_PER_RAD})
    });
    serde_json::json!({
        "fit": fit.kind.as_str(), "linear": fit.map.linear, "shift_m": fit.map.shift_m, "rms_m": fit.rms_m,
        "redundant": fit.redundant, "looks_mirrored": fit.looks_mirrored,
        "suspect": fit.suspect().map(|i| controls.points[i].name.clone()), "points": points, "frame": frame,
    })
}
