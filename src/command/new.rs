//! `osmose new DIR`: a small site that checks clean, commented so that an integrator learns from it.

use crate::outcome::{Ended, Failure, Outcome};
use std::path::PathBuf;

/// Write a site folder to start from
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose new my-office && osmose check my-office && osmose run my-office")]
pub(crate) struct New {
    /// The folder to make; it must not exist yet, or be empty
    dir: PathBuf,
}

impl New {
    pub(crate) fn run(self) -> Ended {
        let dir = &self.dir;
        let taken = dir.read_dir().is_ok_and(|mut d| d.next().is_some());
        if taken {
            return Err(Failure::found(format!(
                "{} is not empty: `osmose new` writes only into a new or empty folder. Name another one.",
                dir.display()
            )));
        }
        let name = dir.file_name().map_or_else(|| "site".into(), |n| n.to_string_lossy().into_owned());
        for file in osmose_load::template(&name) {
            let path = dir.join(&file.path);
            let write = || {
                std::fs::create_dir_all(path.parent().unwrap_or(dir))?;
                std::fs::write(&path, &file.text)
            };
            write().map_err(|e| Failure::found(format!("cannot write {}: {e}", path.display())))?;
            println!("wrote {}", path.display());
        }
        println!("Next: osmose check {0}    then: osmose run {0}", dir.display());
        Ok(Outcome::Success)
    }
}
