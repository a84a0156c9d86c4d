//! Which sources a build was made of, as one number: two builds of one version may decide differently.
//!
//! `build.rs` includes this file and hands the number to [`Build::this`](super::format::Build::this). It asks neither
//! git nor a network, so that an archive of the sources, a fresh clone and a working copy with changes all have one; it
//! is the same wherever the sources lie, and in debug and release. A change of a comment changes it too: whoever reads
//! "another build" is told a little too often, never too seldom.

use std::path::Path;
use std::{fs, io};

/// Folders whose `.rs` files have a part in what is decided from a trace's inputs: the site and the rules read, records
/// decoded, the stages, the step, and how a replay drives it. From the workspace's root, `/` between names.
pub(crate) const FOLDERS: &[&str] = &[
    "actuators/plan/src",
    "engine/core/src",
    "fusion/src",
    "model/calendar/src",
    "model/load/src",
    "model/src",
    "model/wire/src",
    "replay/src/drive",
    "rules/src",
];

/// What says with which libraries, and with which of their features, they were built.
pub(crate) const FILES: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "actuators/plan/Cargo.toml",
    "engine/core/Cargo.toml",
    "fusion/Cargo.toml",
    "model/Cargo.toml",
    "model/calendar/Cargo.toml",
    "model/load/Cargo.toml",
    "model/wire/Cargo.toml",
    "rules/Cargo.toml",
];

/// A file: its path from the workspace's root, and its bytes.
pub(crate) type Source = (String, Vec<u8>);

/// The sources of the workspace at `root`; `None` where this crate stands without its siblings, packed or vendored:
/// then nobody knows which ones it was built with.
///
/// # Errors
/// What is there and cannot be read.
pub(crate) fn read(root: &Path) -> io::Result<Option<Vec<Source>>> {
    let is_whole = FOLDERS.iter().all(|f| root.join(f).is_dir()) && FILES.iter().all(|f| root.join(f).is_file());
    if !is_whole {
        return Ok(None);
    }
    let mut sources = Vec::new();
    for folder in FOLDERS {
        read_folder(&root.join(folder), folder, &mut sources)?;
    }
    for file in FILES {
        sources.push(((*file).to_owned(), fs::read(root.join(file))?));
    }
    Ok(Some(sources))
}

/// Every `.rs` file under a folder, whose path from the root is `name`.
fn read_folder(folder: &Path, name: &str, sources: &mut Vec<Source>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), format!("{name}/{}", entry.file_name().to_string_lossy()));
        if entry.file_type()?.is_dir() {
            read_folder(&path, &name, sources)?;
        } else if name.ends_with(".rs") {
            sources.push((name, fs::read(path)?));
        }
    }
    Ok(())
}

/// The number: sixteen hexadecimal digits over every path and content, in the order of the paths. Carriage returns
/// count for nothing: a checkout may add them.
pub(crate) fn identity(mut sources: Vec<Source>) -> String {
    sources.sort();
    let mut hash = Fnv::new();
    for (path, bytes) in &sources {
        let text: Vec<u8> = bytes.iter().copied().filter(|b| *b != b'\r').collect();
        for part in [path.as_bytes(), &text] {
            // The length first: what moves from one part into the next must show.
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    format!("{:016x}", hash.0)
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo; <http://www.isthe.com/chongo/tech/comp/fnv/>): it tells builds apart that mean
/// no harm.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn source(path: &str, text: &str) -> Source {
        (path.to_owned(), text.as_bytes().to_vec())
    }

    #[test]
    fn the_hash_is_the_published_one() {
        let mut hash = Fnv::new();
        hash.update(b"foobar");
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_order_in_which_files_are_found_counts_for_nothing_and_all_else_does() {
        let (a, b) = (source("fusion/src/a.rs", "let x = 1;\n"), source("rules/src/b.rs", "let y = 2;\n"));
        let of = |sources: &[Source]| identity(sources.to_vec());
        let all = of(&[a.clone(), b.clone()]);
        assert_eq!(all, of(&[b.clone(), a.clone()]));
        assert_eq!(
            all,
            of(&[source("fusion/src/a.rs", "let x = 1;\r\n"), b.clone()]),
            "as another system checks it out"
        );
        let others = [
            of(&[source("fusion/src/a.rs", "let x = 2;\n"), b.clone()]),
            of(&[source("fusion/src/c.rs", "let x = 1;\n"), b.clone()]),
            // The same bytes in a row, cut elsewhere.
            of(&[source("fusion/src/a.rsl", "et x = 1;\n"), b.clone()]),
            of(&[source("fusion/src/a.rs", "let y = 2;\n"), source("rules/src/b.rs", "let x = 1;\n")]),
            of(std::slice::from_ref(&a)),
            of(&[a, b, source("rules/src/c.rs", "")]),
        ];
        for (i, other) in others.iter().enumerate() {
            assert!(*other != all && !others[..i].contains(other), "{i}: {others:?}");
        }
    }

    /// A workspace of the folders and files that count, each with a word in it.
    fn workspace(root: &Path) {
        let rust = FOLDERS.iter().map(|f| format!("{f}/lib.rs"));
        for file in rust.chain(FILES.iter().map(|f| (*f).to_owned())) {
            let path = root.join(&file);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
            fs::write(path, &file).expect("written");
        }
    }

    #[test]
    fn two_checkouts_are_the_same_build_and_a_changed_one_is_not() {
        let (one, two) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
        let of = |root: &Path| read(root).expect("readable").map(identity);
        workspace(one.path());
        workspace(two.path());
        let same = of(one.path());
        assert!(same.is_some());
        assert_eq!(same, of(two.path()));
        // What decides nothing changes nothing.
        for file in ["fusion/src/notes.md", "page/src/lib.rs", "fusion/tests/late.rs", "target/debug/fusion/src/lib.rs"]
        {
            let path = two.path().join(file);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
            fs::write(path, "of no account").expect("written");
        }
        assert_eq!(same, of(two.path()));
        fs::create_dir(two.path().join("fusion/src/tracker")).expect("made");
        fs::write(two.path().join("fusion/src/tracker/gate.rs"), "a wider gate").expect("written");
        assert!(of(two.path()).is_some_and(|other| Some(other) != same));
        // Packed or vendored, without its siblings.
        fs::remove_dir_all(two.path().join("rules/src")).expect("removed");
        assert_eq!(of(two.path()), None);
    }

    #[test]
    fn this_build_knows_the_sources_that_it_was_built_of() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let now = read(&root).expect("readable");
        let Some(sources) = now else {
            assert_eq!(env!("OSMOSE_SOURCES"), "", "without siblings the identity is unknown");
            return;
        };
        assert!(sources.len() > 100, "{} sources", sources.len());
        assert_eq!(identity(sources), env!("OSMOSE_SOURCES"));
    }
}
