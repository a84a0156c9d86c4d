//! A folder for what goes with its process: readable by its owner only, and removed at the end.
//!
//! A process that is killed removes nothing, so each folder holds a file that its owner has locked, and whoever makes the
//! next folder removes those that nobody locks any more.

use std::fs::{File, Metadata, read_dir, remove_dir_all, rename, symlink_metadata};
use std::io::Result;
use std::path::Path;
use tempfile::TempDir;

/// What every such folder's name begins with.
const PREFIX: &str = "osmose-scratch-";
const LOCK: &str = "lock";

/// A folder that is there for as long as this is.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one where temporary files go.
    ///
    /// # Errors
    /// The disk's.
    pub fn new() -> Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    fn within(parent: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // Locked before it has its name: nobody sees it unlocked while its owner lives.
        let unnamed = dir.path().join("new");
        let lock = File::create(&unnamed)?;
        lock.try_lock()?;
        rename(&unnamed, dir.path().join(LOCK))?;
        remove_left_over(parent, &symlink_metadata(dir.path())?);
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes the folders of owners that are gone. What is somebody else's, or cannot be removed, stays.
fn remove_left_over(parent: &Path, mine: &Metadata) {
    for entry in read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = || symlink_metadata(entry.path()).is_ok_and(|m| m.is_dir() && same_owner(&m, mine));
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !is_ours() {
            continue;
        }
        if let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            let _ = remove_dir_all(entry.path());
        }
    }
}

#[cfg(unix)]
fn same_owner(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    a.uid() == b.uid()
}

#[cfg(not(unix))]
fn same_owner(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_owner_left_goes_with_the_next_folder_and_nothing_else_does() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let dir = parent.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            dir
        };
        let (killed, begun, other) = (folder("osmose-scratch-1"), folder("osmose-scratch-2"), folder("thesis"));
        for dir in [&killed, &other] {
            File::create(dir.join(LOCK)).unwrap();
            std::fs::write(dir.join("a.mcap"), "x").unwrap();
        }
        let alive = Scratch::within(parent.path()).unwrap();
        assert!(!killed.exists(), "nobody has locked it");
        let next = Scratch::within(parent.path()).unwrap();
        assert!(alive.path().exists() && begun.exists() && other.exists());
        let was = next.path().to_owned();
        drop(next);
        assert!(!was.exists());
    }
}
