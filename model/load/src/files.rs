//! Reads the files of a site's folder that matter; nothing else in this crate touches the disk.
//!
//! What is read here is what a recording carries, so the list is closed: plan, devices, people, rules, calendars, radio maps.
//! State, traces and editors' leftovers in the same folder are never looked at.

use crate::fault::{Fault, Severity};
use osmose_model::site::SourceFile;
use std::path::{Path, PathBuf};

/// Most files of one site.
pub const FILES_MAX: usize = 1024;
/// Most bytes in one file.
pub const FILE_BYTES_MAX: u64 = 32 << 20;
/// Most bytes in all files of a site.
pub const SITE_BYTES_MAX: u64 = 128 << 20;

/// Why a site's folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder is not there, or is no folder.
    #[error("{0} is no folder that can be read: {1}.")]
    Folder(String, std::io::Error),
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}.")]
    File(String, std::io::Error),
    /// A file is not UTF-8.
    #[error("{0} is not UTF-8 text (byte {1} is the first that is not).")]
    NotText(String, usize),
    /// A file is too large.
    #[error("{0} has {1} bytes; a file of a site may have {FILE_BYTES_MAX}.")]
    FileTooLarge(String, u64),
    /// All files together are too large.
    #[error("the files of the site have more than {SITE_BYTES_MAX} bytes together (counted up to {0}).")]
    SiteTooLarge(String),
    /// There are too many files.
    #[error("the site has more than {FILES_MAX} files (counted up to {0}).")]
    TooManyFiles(String),
    /// There is nothing of a site in the folder.
    #[error("{0} holds no file of a site.")]
    Nothing(String),
}

impl ReadError {
    /// As a fault, with the way to mend it.
    #[must_use]
    pub fn to_fault(&self) -> Fault {
        let (code, file, help) = match self {
            Self::Folder(p, _) if ["floorplan", "radio", "rules"].contains(&p.as_str()) => {
                ("no-folder", p, "Make it a folder or a link to one, or take it away where the site has none.")
            }
            Self::Folder(p, _) => ("no-folder", p, "Name the folder that holds the site; `osmose new DIR` writes one."),
            Self::File(p, _) => ("unreadable-file", p, "Check that the file is there and that you may read it."),
            Self::NotText(p, _) => ("not-utf8", p, "Save the file as UTF-8."),
            Self::FileTooLarge(p, _) => {
                ("file-too-large", p, "Leave out what Osmose does not read, or split the plan by level.")
            }
            Self::SiteTooLarge(p) => {
                ("site-too-large", p, "Take files out of `floorplan/` that are no part of the plan.")
            }
            Self::TooManyFiles(p) => {
                ("too-many-files", p, "Take files out of `floorplan/` and `rules/` that are no part of the site.")
            }
            Self::Nothing(p) => (
                "no-site",
                p,
                "A site has `floorplan.geojson` or a folder `floorplan/`; `osmose new DIR` writes one to start from.",
            ),
        };
        let message = self.to_string();
        Fault {
            severity: Severity::Error,
            code,
            file: file.clone(),
            line: None,
            column: None,
            feature: None,
            // A sentence begins with a capital letter, a path as it is spelt.
            message: message.strip_prefix("the ").map_or_else(|| message.clone(), |rest| format!("The {rest}")),
            help: help.to_owned(),
        }
    }
}

/// Which files of a folder belong to a site, by name.
fn belongs(folder: &str, name: &str) -> bool {
    let is = |ends: &[&str]| ends.iter().any(|e| name.len() > e.len() && name.ends_with(e));
    if name.starts_with('.') {
        return false;
    }
    match folder {
        "" => {
            matches!(name, "site.toml" | "devices.toml" | "people.toml" | "floorplan.geojson" | "floorplan.json")
                || is(&[".ics"])
        }
        "floorplan" => is(&[".geojson", ".json"]),
        "rules" => is(&[".rules"]),
        "radio" => is(&[".csv"]),
        _ => false,
    }
}

/// The names in a folder that belong to the site as they would in its folder `like`, ascending; none where the folder
/// is not there.
fn names_in(dir: &Path, folder: &str, like: &str) -> Result<Vec<String>, ReadError> {
    let path: PathBuf = dir.join(folder);
    let shown = || if folder.is_empty() { dir.display().to_string() } else { folder.to_owned() };
    // Only what is not there at all is left out: a link to nowhere, or a file of that name, must not lose the rules.
    if !folder.is_empty() && std::fs::symlink_metadata(&path).is_err() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&path).map_err(|e| ReadError::Folder(shown(), e))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| ReadError::Folder(shown(), e))?;
        // A name that is not UTF-8 is none of ours.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if belongs(like, &name) {
            names.push(name);
            if names.len() > FILES_MAX {
                return Err(ReadError::TooManyFiles(shown()));
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What was read so far, against the limits.
#[derive(Default)]
struct Reading {
    files: Vec<SourceFile>,
    bytes: u64,
}

impl Reading {
    /// Reads the file at `full` as the site's file `path`.
    fn add(&mut self, full: &Path, path: String) -> Result<(), ReadError> {
        let io = |e| ReadError::File(path.clone(), e);
        let found = std::fs::metadata(full).map_err(io)?;
        if !found.is_file() {
            return Err(io(std::io::Error::other("it is no file")));
        }
        let bytes = found.len();
        if bytes > FILE_BYTES_MAX {
            return Err(ReadError::FileTooLarge(path, bytes));
        }
        let bytes = std::fs::read(full).map_err(io)?;
        self.bytes += bytes.len() as u64;
        if self.bytes > SITE_BYTES_MAX {
            return Err(ReadError::SiteTooLarge(path));
        }
        if self.files.len() >= FILES_MAX {
            return Err(ReadError::TooManyFiles(path));
        }
        let text =
            String::from_utf8(bytes).map_err(|e| ReadError::NotText(path.clone(), e.utf8_error().valid_up_to()))?;
        self.files.push(SourceFile { path, text });
        Ok(())
    }
}

/// Reads every file of a site's folder that matters, ascending by path (relative, with `/`).
///
/// Links are followed, so `floorplan` may be one to where the plan is kept.
///
/// # Errors
/// [`ReadError`] where the folder or one of its files cannot be read, or is over a limit.
pub fn read_dir(dir: &Path) -> Result<Vec<SourceFile>, ReadError> {
    let mut reading = Reading::default();
    for folder in ["", "floorplan", "radio", "rules"] {
        for name in names_in(dir, folder, folder)? {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            reading.add(&dir.join(&path), path)?;
        }
    }
    if reading.files.is_empty() {
        return Err(ReadError::Nothing(dir.display().to_string()));
    }
    reading.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(reading.files)
}

/// Reads a folder that holds a plan and nothing else of a site (an unpacked IMDF or WRLD archive) as the files that a
/// site would have in `floorplan/`, ascending by path; none where the folder holds no plan.
///
/// # Errors
/// As [`read_dir`].
pub fn read_plan_dir(dir: &Path) -> Result<Vec<SourceFile>, ReadError> {
    let mut reading = Reading::default();
    for name in names_in(dir, "", "floorplan")? {
        reading.add(&dir.join(&name), format!("floorplan/{name}"))?;
    }
    Ok(reading.files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_a_site_are_read_in_order_of_path() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &[u8]| {
            let full = dir.path().join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, text).unwrap();
        };
        assert!(matches!(read_dir(dir.path()), Err(ReadError::Nothing(_))));
        for path in [
            "site.toml",
            "rules/b.rules",
            "rules/a.rules",
            "rules/a.rules~",
            "floorplan/unit.json",
            "bookings.ics",
            "radio/a.csv",
        ] {
            put(path, b"x");
        }
        for path in [".osmose/state", "traces/a.mcap", "notes.txt", "floorplan/.hidden.json", "floorplan/readme.md"] {
            put(path, b"\xff");
        }
        let paths: Vec<String> = read_dir(dir.path()).unwrap().into_iter().map(|f| f.path).collect();
        assert_eq!(
            paths,
            ["bookings.ics", "floorplan/unit.json", "radio/a.csv", "rules/a.rules", "rules/b.rules", "site.toml"]
        );

        put("people.toml", b"id = \"\xff\"");
        let error = read_dir(dir.path()).unwrap_err();
        assert!(matches!(error, ReadError::NotText(ref p, 6) if p == "people.toml"), "{error}");
        assert_eq!(error.to_fault().code, "not-utf8");
        assert!(matches!(read_dir(&dir.path().join("absent")), Err(ReadError::Folder(..))));
    }

    #[test]
    fn what_has_the_name_of_a_site_file_and_cannot_be_read_is_an_error_and_not_left_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("site.toml"), "name = \"x\"").unwrap();
        std::fs::create_dir(dir.path().join("people.toml")).unwrap();
        let error = read_dir(dir.path()).unwrap_err();
        assert!(matches!(error, ReadError::File(ref p, _) if p == "people.toml"), "{error}");
        assert_eq!(error.to_fault().message, "people.toml cannot be read: it is no file.");
        std::fs::remove_dir(dir.path().join("people.toml")).unwrap();
        std::fs::write(dir.path().join("rules"), "").unwrap();
        assert!(matches!(read_dir(dir.path()), Err(ReadError::Folder(ref p, _)) if p == "rules"));
    }
}
