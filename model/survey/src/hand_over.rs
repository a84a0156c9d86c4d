//! What people hand over as a plan, as the files of a site: a folder, an archive, GeoJSON or YAML.

use crate::{archive, fault, yaml};
use osmose_load::{FILE_BYTES_MAX, Fault, SITE_BYTES_MAX};
use osmose_model::site::SourceFile;
use std::path::Path;

/// What was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A site's folder, with its settings, devices and people.
    Site,
    /// A folder of plan files (IMDF, WRLD, GeoJSON).
    Folder,
    /// The same in a zip archive.
    Archive,
    /// One file of GeoJSON.
    GeoJson,
    /// Polygons in metres as YAML.
    Yaml,
}

/// A plan as files that the loader reads.
#[derive(Clone, Debug)]
pub struct Handed {
    /// What it was.
    pub form: Form,
    /// Its files, as a site's folder would hold them.
    pub files: Vec<SourceFile>,
    /// What was in it and is no part of a plan, as sentences.
    pub left_out: Vec<String>,
}

/// Reads what stands at a path.
///
/// # Errors
/// What cannot be read, is over a limit or is no plan, as a fault with the way to mend it.
pub fn hand_over(path: &Path) -> Result<Handed, Box<Fault>> {
    let shown = path.display().to_string();
    if path.is_dir() {
        return folder(path, &shown);
    }
    let most = if ends(&shown, ARCHIVES) { SITE_BYTES_MAX } else { FILE_BYTES_MAX };
    let unreadable = |e: std::io::Error| {
        let help = "Name a folder, a zip archive, a .geojson or a .yaml file that you may read.";
        fault("unreadable-file", &shown, format!("{shown} cannot be read: {e}."), help)
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > most {
        let message = format!("{shown} has {length} bytes; {most} are the most.");
        return Err(fault("file-too-large", &shown, message, "Split the plan by level, and leave furniture out."));
    }
    from_bytes(&shown, std::fs::read(path).map_err(unreadable)?)
}

const ARCHIVES: &[&str] = &[".zip", ".imdf"];

fn ends(name: &str, with: &[&str]) -> bool {
    let name = name.to_lowercase();
    with.iter().any(|e| name.ends_with(e))
}

/// Reads a file that was handed over, by its name's ending.
///
/// ```
/// let yaml = b"rooms: [{ name: Hall, points: [[0, 0], [4, 0], [4, 3]] }]".to_vec();
/// let handed = osmose_survey::from_bytes("house.yaml", yaml).unwrap();
/// assert!(osmose_load::load(&handed.files).site.unwrap().zone_named("hall").is_some());
/// ```
///
/// # Errors
/// What is no plan, as a fault with the way to mend it.
pub fn from_bytes(shown: &str, bytes: Vec<u8>) -> Result<Handed, Box<Fault>> {
    if ends(shown, ARCHIVES) {
        let archive::Members { files, left_out } = archive::members(shown, &bytes)?;
        return Ok(Handed { form: Form::Archive, files, left_out });
    }
    let single = |text| vec![SourceFile { path: "floorplan.geojson".to_owned(), text }];
    if ends(shown, &[".yaml", ".yml"]) {
        let yaml::Drawn { geojson, left_out } = yaml::to_geojson(shown, &text_of(shown, bytes)?)?;
        return Ok(Handed { form: Form::Yaml, files: single(geojson), left_out });
    }
    if ends(shown, &[".geojson", ".json"]) {
        return Ok(Handed { form: Form::GeoJson, files: single(text_of(shown, bytes)?), left_out: Vec::new() });
    }
    let help = "Plans are read from a folder (IMDF, WRLD, a site), a .zip of one, a .geojson, or a .yaml of polygons in metres.";
    Err(fault("unknown-format", shown, format!("{shown} is no plan that can be read, by its name."), help))
}

/// The text of a file.
pub(crate) fn text_of(shown: &str, bytes: Vec<u8>) -> Result<String, Box<Fault>> {
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let message = format!("{shown} is not UTF-8 text (byte {at} is the first that is not).");
        fault("not-utf8", shown, message, "Save the file as UTF-8.")
    })
}

/// A site's folder where it has the name of one of a site's files, else a folder of plan files.
fn folder(path: &Path, shown: &str) -> Result<Handed, Box<Fault>> {
    let is_site =
        ["site.toml", "floorplan.geojson", "floorplan.json", "floorplan"].iter().any(|f| path.join(f).exists());
    if is_site {
        let files = osmose_load::read_dir(path).map_err(|e| Box::new(e.to_fault()))?;
        return Ok(Handed { form: Form::Site, files, left_out: Vec::new() });
    }
    let files = osmose_load::read_plan_dir(path).map_err(|e| Box::new(e.to_fault()))?;
    if files.is_empty() {
        let message = format!("{shown} holds neither a site nor a plan: no *.geojson and no *.json.");
        let help = "Name the folder in which manifest.json (IMDF), main.json (WRLD) or the GeoJSON files stand.";
        return Err(fault("no-floorplan", shown, message, help));
    }
    Ok(Handed { form: Form::Folder, files, left_out: Vec::new() })
}
