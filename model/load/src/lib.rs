//! The only loader of site files: a folder of TOML and GeoJSON becomes one resolved [`Site`], or a list of faults.
//!
//! Nothing behind this crate looks a name up, converts a unit or fills in a default: what does not resolve here is a
//! [`Fault`] with its file, line, feature, place and the way to mend it. Every reader goes on after a fault, so that
//! one run shows them all; any text at all is refused or read without a panic.
//!
//! | file | what it does |
//! |---|---|
//! | `files` | reads the folder; the only part that touches the disk |
//! | `fault` | what is wrong, and where |
//! | `text` | lines and columns, the nearest word to a misspelt one |
//! | `doc` | a TOML file read key by key |
//! | `settings` | site.toml |
//! | `plan` | the floor plan: IMDF, WRLD, loose GeoJSON |
//! | `people` | people.toml |
//! | `bookings` | calendars, as stretches of time given to zones |
//! | `devices` | devices.toml |
//! | `reload` | people and calendars saved anew beside a running engine |
//! | `template` | the site that `osmose new` writes |
#![forbid(unsafe_code)]

mod bookings;
mod devices;
mod doc;
mod fault;
mod files;
mod people;
mod plan;
mod reload;
mod settings;
mod template;
mod text;

pub use fault::{FAULTS_MAX, Fault, Places, Severity};
pub use files::{FILE_BYTES_MAX, FILES_MAX, ReadError, SITE_BYTES_MAX, read_dir, read_plan_dir};
pub use plan::frame::Projection;
pub use reload::{installed, saved_people, with_saved};
pub use template::template;

use fault::{Faults, Spot};
use osmose_model::device::{Actuator, Normalise, SensorKind};
use osmose_model::geometry::Area;
use osmose_model::ids::ZoneId;
use osmose_model::site::{Attribute, CELL, Frame, Site, SourceFile, Zone, ZoneMargins};
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use text::{Source, nearest, shown, without_bom};

/// Sensor kinds that move tracks or that rules read; any other kind is decoded and recorded, and `check` says so.
pub const FUSION_USES: &[SensorKind] = &[
    SensorKind::Location,
    SensorKind::Position,
    SensorKind::Points,
    SensorKind::Range,
    SensorKind::Tdoa,
    SensorKind::Rssi,
    SensorKind::Bearing,
    SensorKind::Voice,
    SensorKind::Facing,
    SensorKind::Gesture,
    SensorKind::Binary,
    SensorKind::Badge,
    SensorKind::Crossing,
    SensorKind::Count,
    SensorKind::Value,
    SensorKind::Button,
];

/// What came of loading.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The site; `None` where any fault is an error.
    pub site: Option<Site>,
    /// Everything found, by file and line; at most [`FAULTS_MAX`] and one that says how many more.
    pub faults: Vec<Fault>,
    /// Where what was loaded was written.
    pub places: Places,
}

impl Loaded {
    /// Whether the site cannot run.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.site.is_none()
    }
}

/// Reads and loads a site's folder.
///
/// ```
/// let loaded = osmose_load::load_dir(std::path::Path::new("no such folder"));
/// assert!(loaded.site.is_none());
/// assert_eq!(loaded.faults[0].code, "no-folder");
/// ```
#[must_use]
pub fn load_dir(dir: &Path) -> Loaded {
    match read_dir(dir) {
        Ok(files) => load(&files),
        Err(e) => Loaded { site: None, faults: vec![e.to_fault()], places: Places::default() },
    }
}

/// Loads a site from its files, in any order: those of a folder, or those attached to a trace.
///
/// ```
/// let loaded = osmose_load::load(&osmose_load::template("office"));
/// assert!(loaded.faults.is_empty());
/// let site = loaded.site.unwrap();
/// assert_eq!(site.name, "office");
/// assert!(site.zone_named("meeting").is_some());
/// ```
#[must_use]
pub fn load(files: &[SourceFile]) -> Loaded {
    load_for(files, FUSION_USES)
}

/// The same for an engine whose fusion uses other kinds of sensors than [`FUSION_USES`].
#[must_use]
pub fn load_for(files: &[SourceFile], fusion_uses: &[SensorKind]) -> Loaded {
    let mut faults = Faults::default();
    let (site, places) = resolve(files, fusion_uses, &mut faults);
    let site = if faults.any_error() { None } else { Some(site) };
    Loaded { site, faults: faults.into_list(), places }
}

fn resolve(files: &[SourceFile], fusion_uses: &[SensorKind], faults: &mut Faults) -> (Site, Places) {
    check_paths(files, faults);
    let source = |path: &str| {
        let file = files.iter().find(|f| f.path == path)?;
        Some(Source::new(&file.path, without_bom(&file.text)))
    };
    let settings = match source("site.toml") {
        Some(source) => settings::read(&source, faults),
        None => {
            let message = "The site has no site.toml: every setting has its default.";
            faults.warning(
                "no-site-toml",
                &Spot::file("site.toml"),
                "",
                message,
                "Write one with at least `name = \"…\"`.",
            );
            Settings::default()
        }
    };
    let mut plan = plan::load(files, &settings, faults);
    let people = source("people.toml").map(|s| people::read(&s, &settings, faults)).unwrap_or_default();
    let devices =
        source("devices.toml").map(|s| devices::read(&s, &plan, files, fusion_uses, faults)).unwrap_or_default();
    let mut places = std::mem::take(&mut plan.places);
    devices.note_places(&mut places);
    plan.zones = with_cells(std::mem::take(&mut plan.zones), &devices.actuators, settings.margins);
    let forms: BTreeSet<(bool, bool)> = devices
        .sensors
        .iter()
        .filter_map(|s| s.connect.as_ref())
        .map(|c| (c.normalise.lower, c.normalise.alnum))
        .filter(|f| *f != (false, false))
        .collect();
    let forms: Vec<Normalise> = forms.into_iter().map(|(lower, alnum)| Normalise { lower, alnum }).collect();
    let owners = people.owners(&forms, faults);
    check_words(&settings, &plan, faults);
    let timezone = &settings.frame.timezone;
    let known = bookings::Known { timezone, zones: &plan.zones, people: &people.people };
    let bookings = bookings::load(&settings.resources, files, &known, faults);
    let mut files = files.to_vec();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let site = Site {
        name: settings.name.or(plan.name).unwrap_or_else(|| "site".to_owned()),
        frame: Frame { origin_deg: plan.origin_deg.or(settings.frame.origin_deg), ..settings.frame },
        engine: settings.engine,
        margins: settings.margins,
        record: settings.record,
        levels: plan.levels,
        zones: plan.zones,
        walls: plan.walls,
        openings: plan.openings,
        fixtures: plan.fixtures,
        sensors: devices.sensors,
        actuators: devices.actuators,
        people: people.people,
        groups: people.groups,
        attributes: settings.attributes,
        words: settings.words,
        resources: settings.resources,
        bookings,
        files,
        device_owners: owners.devices,
        badge_owners: owners.badges,
        carried_names: owners.names,
    };
    (site, places)
}

/// The zones of a plan, and behind them one for each floor area that a speaker can aim at, called `SPEAKER.CELL`: who
/// is in one is fusion's to say, as it is of every zone.
fn with_cells(mut zones: Vec<Zone>, actuators: &[Actuator], margins: ZoneMargins) -> Vec<Zone> {
    for speaker in actuators {
        for cell in &speaker.cells {
            zones.push(Zone {
                id: ZoneId(zones.len() as u16),
                name: format!("{}.{}", speaker.name, cell.name),
                label: cell.name.clone(),
                category: CELL.to_owned(),
                level: speaker.level.unwrap_or_default(),
                area: Area { parts: vec![cell.area.clone()] },
                margins: ZoneMargins {
                    enter_margin_m: cell.enter_margin_m.unwrap_or(margins.enter_margin_m),
                    exit_margin_m: cell.exit_margin_m.unwrap_or(margins.exit_margin_m),
                    ..margins
                },
                attributes: BTreeMap::from([(CELL.to_owned(), Attribute::Text(cell.name.clone()))]),
                connects: Vec::new(),
            });
        }
    }
    zones
}

/// Attached files come from a trace: two of one path would load as either.
fn check_paths(files: &[SourceFile], faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    for file in files {
        if !seen.insert(file.path.as_str()) {
            let message = format!("The site has the file {} twice.", shown(&file.path));
            faults.error("duplicate-file", &Spot::file(&file.path), "", message, "Keep one of them.");
        }
    }
}

/// A category of `[words]` that no zone has, but one nearly.
fn check_words(settings: &Settings, plan: &plan::Plan, faults: &mut Faults) {
    let categories: BTreeSet<&str> = plan.zones.iter().map(|z| z.category.as_str()).collect();
    for (category, spot) in settings.word_spots.iter().filter(|(c, _)| !categories.contains(c.as_str())) {
        if let Some(near) = nearest(category, categories.iter().copied()) {
            let message = format!("No zone has the category `{}` that a word means.", shown(category));
            faults.warning("unknown-category", spot, category, message, format!("Did you mean `{near}`?"));
        }
    }
}
