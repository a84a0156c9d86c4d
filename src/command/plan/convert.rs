//! `osmose plan convert`: the files that people have as a site's own plan, in metres.

use super::fit::{self, Placing};
use super::{Surveyed, lines, summary};
use crate::outcome::{Ended, Failure, Outcome};
use osmose_load::Severity;
use osmose_model::site::{Site, SourceFile};
use osmose_survey::control::Unit;
use osmose_survey::faults;
use osmose_survey::ground::{frame_toml, move_plan, place};
use osmose_survey::{make_readable, write};
use std::path::{Path, PathBuf};

/// Make a site's plan of IMDF, WRLD, GeoJSON or YAML
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose plan convert venue.zip -o my-office\n  \
    osmose plan convert drawing.geojson --control corners.csv -o my-office/floorplan.geojson\n\n\
    Into a folder it writes floorplan.geojson, and a site.toml where there is none. Where there is one, its frame and \
    attributes hold. It ends with what is left to do.")]
pub(crate) struct Convert {
    /// A folder or zip archive of IMDF or WRLD, a .geojson, or a .yaml of polygons in metres
    plan: PathBuf,
    /// The site's folder, or the .geojson file to write
    #[arg(short, long, value_name = "DIR|FILE.geojson")]
    output: PathBuf,
    /// Control points by which the plan is placed (`osmose plan fit --help`)
    #[arg(long, value_name = "FILE.csv")]
    control: Option<PathBuf>,
    #[command(flatten)]
    placing: Placing,
    /// Keep ids that rules cannot spell
    #[arg(long)]
    keep_ids: bool,
    /// Write over a plan that is there
    #[arg(long)]
    force: bool,
}

/// Where the plan goes.
struct Target {
    plan: PathBuf,
    /// The site's folder: where its site.toml is, or is to be.
    folder: PathBuf,
    /// Whether a site.toml is written where there is none.
    makes_site: bool,
}

impl Target {
    fn new(output: &Path) -> Self {
        let is_file = !output.is_dir() && output.extension().is_some_and(|e| e == "geojson" || e == "json");
        if is_file {
            let folder = output.parent().unwrap_or(Path::new("")).to_owned();
            return Self { plan: output.to_owned(), folder, makes_site: false };
        }
        Self { plan: output.join("floorplan.geojson"), folder: output.to_owned(), makes_site: true }
    }

    fn settings(&self) -> Option<SourceFile> {
        let text = std::fs::read_to_string(self.folder.join("site.toml")).ok()?;
        Some(SourceFile { path: "site.toml".to_owned(), text })
    }

    /// What the new site is called: as its plan is, or as its folder where the plan has no name (the loader then says `site`).
    fn site_name(&self, site: &Site) -> String {
        let folder = self.folder.file_name().map(|n| n.to_string_lossy().into_owned());
        folder.filter(|_| site.name == "site").unwrap_or_else(|| site.name.clone())
    }
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        std::fs::create_dir_all(path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        std::fs::write(path, text)
    };
    write().map_err(|e| Failure::found(format!("cannot write {}: {e}", path.display())))
}

impl Convert {
    pub(crate) fn run(self) -> Ended {
        let target = Target::new(&self.output);
        if target.plan.exists() && !self.force {
            return Err(Failure::found(format!(
                "{} is there already: name another file, or say --force to write over it.",
                target.plan.display()
            )));
        }
        let settings = target.settings();
        let surveyed = Surveyed::read(&self.plan, settings.clone())?;
        let mut site = surveyed.site(&self.plan)?.clone();
        if let Some(control) = &self.control {
            self.place(control, settings.is_some(), &mut site)?;
        }
        let renamed = if self.keep_ids { Vec::new() } else { make_readable(&mut site) };
        let text = write(&site, &renamed);
        put(&target.plan, &text)?;
        println!("wrote {}: {}", target.plan.display(), summary(&site));
        if !renamed.is_empty() {
            let (old, new) = &renamed[0];
            println!(
                "{} id(s) that rules cannot spell have new ones, such as `{new}` for `{old}`; `source_id` keeps the old.",
                renamed.len()
            );
        }
        let settings = self.settle_frame(&target, settings, &site)?;
        left_to_do(&target, text, settings, &surveyed)
    }

    /// Moves the plan to where its control points say it is.
    fn place(&self, control: &Path, has_settings: bool, site: &mut Site) -> Result<(), Failure> {
        let controls = fit::read(control)?;
        if controls.plan == Unit::Degrees && site.frame.origin_deg.is_none() {
            return Err(Failure::found(format!(
                "{} gives places in the plan in degrees, and the plan is in metres: name the columns `plan_x,plan_y`.",
                control.display()
            )));
        }
        let given = has_settings.then_some(&site.frame);
        let placed = place(&controls, self.placing.kind(), self.placing.mirror(), &site.frame, given)
            .map_err(|e| Failure::found(format!("{}: {e}", control.display())))?;
        fit::tell(&controls, &placed);
        move_plan(site, &placed.applied);
        site.frame.origin_deg = placed.frame.map(|(at, _)| at);
        site.frame.rotation_rad = placed.frame.map_or(0.0, |(_, turn)| turn);
        Ok(())
    }

    /// Writes site.toml where there is none, or says what belongs into the one that is there. Gives back its text.
    fn settle_frame(
        &self,
        target: &Target,
        settings: Option<SourceFile>,
        site: &Site,
    ) -> Result<Option<SourceFile>, Failure> {
        let frame = site.frame.origin_deg.map(|at| frame_toml(at, site.frame.rotation_rad));
        let path = target.folder.join("site.toml");
        match (settings, frame) {
            (None, frame) if target.makes_site => {
                let text = site_toml(&target.site_name(site), frame.as_deref(), site);
                put(&path, &text)?;
                println!("wrote {}", path.display());
                Ok(Some(SourceFile { path: "site.toml".to_owned(), text }))
            }
            (settings, Some(frame)) => {
                let says = |s: &SourceFile| s.text.lines().any(|l| l.trim_start().starts_with("origin"));
                let has_it = settings.as_ref().is_some_and(says);
                if !has_it {
                    println!("Into site.toml belongs where the plan is on earth:\n\n{frame}");
                }
                Ok(settings)
            }
            (settings, None) => Ok(settings),
        }
    }
}

/// The settings of a site that has nothing but a plan yet.
fn site_toml(name: &str, frame: Option<&str>, site: &Site) -> String {
    const ROOMS: &[&str] = &[
        "room",
        "conferenceroom",
        "meetingroom",
        "office",
        "classroom",
        "auditorium",
        "laboratory",
        "library",
        "lounge",
    ];
    let name = name.replace(['\\', '"'], "'").replace(char::is_control, " ");
    let mut text = format!(
        "# What holds for the whole site; `osmose new` writes one with every key and its comment.\nname = \"{name}\"\n\n"
    );
    text += frame.unwrap_or("[frame]\n");
    text += "timezone = \"UTC\"        # an IANA name, such as \"Europe/London\"\n";
    let rooms: Vec<String> =
        ROOMS.iter().filter(|c| site.zones.iter().any(|z| z.category == **c)).map(|c| format!("\"{c}\"")).collect();
    if !rooms.is_empty() {
        text += &format!(
            "\n# `for each room r` in rules means the zones of these categories.\n[words]\nroom = [{}]\n",
            rooms.join(", ")
        );
    }
    text
}

/// Loads what was written as the site will, and says what is left to do.
fn left_to_do(target: &Target, text: String, settings: Option<SourceFile>, surveyed: &Surveyed) -> Ended {
    let mut files = vec![SourceFile { path: "floorplan.geojson".to_owned(), text }];
    let has_settings = settings.is_some();
    files.extend(settings);
    let mut loaded = osmose_load::load(&files);
    loaded.faults.retain(|f| has_settings || f.code != "no-site-toml");
    let found = loaded.site.as_ref().map(|s| faults::find(s, &loaded.places)).unwrap_or_default();
    let dropped = surveyed.loaded.faults.iter().filter(|f| f.code == "not-used");
    let told = lines(dropped.chain(&loaded.faults).chain(found.iter().map(|f| &f.fault)), false);
    if told.is_empty() && surveyed.handed.left_out.is_empty() {
        println!("Nothing is left to do on the plan.");
    } else {
        println!("Left to do, or to know:");
        told.iter().chain(&surveyed.handed.left_out).for_each(|l| println!("  {l}"));
    }
    if loaded.faults.iter().any(|f| f.severity == Severity::Error) {
        return Ok(Outcome::Found);
    }
    let site = target.folder.display().to_string();
    let site = if site.is_empty() { "." } else { &site };
    if has_settings && target.plan.file_name().is_some_and(|n| n == "floorplan.geojson") {
        println!("Next: osmose plan draw {site} --faults -o plan.svg    then devices.toml, and: osmose check {site}");
    } else {
        println!("Next: osmose plan draw {} --faults -o plan.svg", target.plan.display());
    }
    Ok(Outcome::Success)
}
