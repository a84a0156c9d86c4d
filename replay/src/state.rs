//! The state folder (`SITE/.osmose/`): the journal ring, the marks of what left, and two keyframes, of which one is always
//! whole.
//!
//! A keyframe is written beside its place, synced and renamed over the older of the two; a crash at any moment leaves
//! at least one that its checksum proves whole.

use osmose_model::canon;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::Site;
use osmose_runtime::journal::Offset;
use osmose_runtime::tap::{Keyframe, Tap};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The state folder's name inside a site's folder.
pub const FOLDER: &str = ".osmose";
/// The journal ring's file.
pub const JOURNAL: &str = "journal.ring";
/// The file of marks of what left.
pub const HANDED: &str = "handed.marks";
/// Bytes that the journal ring holds: minutes of a busy building, and keyframes come every half minute.
pub const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
/// The two keyframes.
const KEYFRAMES: [&str; 2] = ["keyframe-0", "keyframe-1"];
/// What a keyframe file begins with.
const MAGIC: &[u8; 8] = b"OSMKEY01";
/// Most bytes of a keyframe file.
const KEYFRAME_BYTES_MAX: u64 = 1 << 30;

/// A whole state as it lies on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The last input in it.
    pub tag: Tag,
    /// Where the journal goes on after it.
    pub journal: u64,
    /// What its numbers stand for: see [`site_key`].
    pub site: Digest,
    /// The rule files in force, as one block.
    pub rules: Vec<u8>,
    /// What the core saved.
    pub state: Vec<u8>,
}

/// What the numbers in a state stand for: the names of everything that has a number, in order. A state is taken back
/// only where it is the same, because a person's number may be another's after people.toml was edited.
#[must_use]
pub fn site_key(site: &Site) -> Digest {
    let mut key = Digest::default();
    let mut names = |of: &str, list: &mut dyn Iterator<Item = &str>| {
        key.absorb(of.as_bytes());
        list.for_each(|name| key.absorb(name.as_bytes()));
    };
    names("levels", &mut site.levels.iter().map(|x| x.name.as_str()));
    names("zones", &mut site.zones.iter().map(|x| x.name.as_str()));
    names("sensors", &mut site.sensors.iter().map(|x| x.name.as_str()));
    names("actuators", &mut site.actuators.iter().map(|x| x.name.as_str()));
    // People may have been saved beside the engine: whether a state is of them is asked of the state itself.
    key
}

/// The folder, and which of the two keyframes is written next.
#[derive(Debug)]
pub struct StateFolder {
    dir: PathBuf,
    next: usize,
}

impl StateFolder {
    /// Opens the folder, made (for its owner only) where it is not there.
    ///
    /// # Errors
    /// The disk's refusal.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        let mut folder = Self { dir: dir.to_owned(), next: 0 };
        // The newer one stays: the other is written over first.
        folder.next = match [folder.read(0), folder.read(1)] {
            [Some(a), Some(b)] => usize::from(a.journal >= b.journal),
            [Some(_), None] => 1,
            _ => 0,
        };
        Ok(folder)
    }

    /// The journal ring's file.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.dir.join(JOURNAL)
    }

    /// The file of marks of what left.
    #[must_use]
    pub fn handed(&self) -> PathBuf {
        self.dir.join(HANDED)
    }

    /// The whole keyframes, the newest first.
    #[must_use]
    pub fn keyframes(&self) -> Vec<Saved> {
        let mut all: Vec<Saved> = (0..KEYFRAMES.len()).filter_map(|i| self.read(i)).collect();
        all.sort_by_key(|s| std::cmp::Reverse((s.journal, s.tag)));
        all
    }

    /// Whether there is any keyframe file, whole or not.
    #[must_use]
    pub fn has_files(&self) -> bool {
        KEYFRAMES.iter().any(|name| self.dir.join(name).exists())
    }

    /// Whether a keyframe file is there that is not whole.
    #[must_use]
    pub fn has_damaged(&self) -> bool {
        (0..KEYFRAMES.len()).any(|i| self.dir.join(KEYFRAMES[i]).exists() && self.read(i).is_none())
    }

    fn read(&self, i: usize) -> Option<Saved> {
        let path = self.dir.join(KEYFRAMES[i]);
        if fs::metadata(&path).ok()?.len() > KEYFRAME_BYTES_MAX {
            return None;
        }
        let bytes = fs::read(path).ok()?;
        let (crc, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
        (crc32fast::hash(body) == u32::from_le_bytes(*crc)).then(|| postcard::from_bytes(body).ok()).flatten()
    }

    /// Makes a state durable: when this returns, a crash finds it.
    ///
    /// # Errors
    /// The disk's refusal; the two older keyframes are then as before.
    pub fn save(&mut self, saved: &Saved) -> io::Result<()> {
        let body = postcard::to_stdvec(saved).map_err(io::Error::other)?;
        let tmp = self.dir.join("keyframe.tmp");
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&tmp)?;
        file.write_all(MAGIC)?;
        file.write_all(&crc32fast::hash(&body).to_le_bytes())?;
        file.write_all(&body)?;
        file.sync_data()?;
        fs::rename(&tmp, self.dir.join(KEYFRAMES[self.next]))?;
        // The rename itself is durable once the folder is.
        File::open(&self.dir)?.sync_all()?;
        self.next = 1 - self.next;
        Ok(())
    }
}

/// Keeps the state folder of a running engine: every keyframe shown becomes a file.
pub struct StateTap {
    folder: StateFolder,
    site: Digest,
    /// Rule files in force from an input on, oldest first; the first is at or before the newest keyframe.
    rules: Vec<(Seq, Vec<u8>)>,
    scan: ScanBuf,
    failing: bool,
}

impl StateTap {
    /// For a folder whose newest keyframe is of the input `last`, with these rules in force.
    #[must_use]
    pub fn new(folder: StateFolder, site: &Site, last: Seq, rules: Vec<u8>) -> Self {
        Self { folder, site: site_key(site), rules: vec![(last, rules)], scan: ScanBuf::new(), failing: false }
    }
}

impl Tap for StateTap {
    fn input(&mut self, tag: Tag, canonical: &[u8]) {
        if let Ok(Input::RulesInstalled { files }) = canon::decode_input(canonical, &mut self.scan) {
            self.rules.push((tag.seq, files.to_vec()));
        }
    }

    fn keyframe(&mut self, keyframe: &Keyframe) -> bool {
        let older = self.rules.iter().take_while(|(seq, _)| *seq <= keyframe.tag.seq).count();
        self.rules.drain(..older.saturating_sub(1));
        let saved = Saved {
            tag: keyframe.tag,
            journal: keyframe.journal.0,
            site: self.site,
            rules: self.rules.first().map(|(_, files)| files.clone()).unwrap_or_default(),
            state: keyframe.state.clone(),
        };
        match self.folder.save(&saved) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the state folder can be written again");
                }
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let dir = self.folder.dir.display();
                    tracing::error!(%error, %dir, "the state cannot be saved: a restart would lose it; the engine runs on");
                }
                false
            }
        }
    }
}

impl Saved {
    /// Where the journal goes on after it.
    #[must_use]
    pub fn offset(&self) -> Offset {
        Offset(self.journal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::time::LogicalNs;

    fn saved(n: u64) -> Saved {
        Saved {
            tag: Tag { at: LogicalNs(n as i64), seq: Seq(n) },
            journal: n * 64,
            site: Digest(7),
            rules: vec![1],
            state: vec![n as u8; 1000],
        }
    }

    #[test]
    fn two_keyframes_are_kept_and_the_older_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join(FOLDER);
        let mut folder = StateFolder::open(&dir).unwrap();
        assert!(folder.keyframes().is_empty() && !folder.has_files());
        for n in 1..=5 {
            folder.save(&saved(n)).unwrap();
            assert_eq!(folder.keyframes()[0], saved(n));
            // Opened again, it goes on with the older one.
            if n == 3 {
                folder = StateFolder::open(&dir).unwrap();
            }
        }
        assert_eq!(folder.keyframes(), [saved(5), saved(4)]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(fs::metadata(dir.join(KEYFRAMES[0])).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_keyframe_gives_way_to_the_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = StateFolder::open(dir.path()).unwrap();
        folder.save(&saved(1)).unwrap();
        folder.save(&saved(2)).unwrap();
        let newest = dir.path().join(KEYFRAMES[1]);
        let whole = fs::read(&newest).unwrap();
        for at in [0, 9, 20, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&newest, &bytes).unwrap();
            assert_eq!(folder.keyframes(), [saved(1)], "byte {at}");
            fs::write(&newest, &whole[..at]).unwrap();
            assert_eq!(folder.keyframes(), [saved(1)], "cut at {at}");
        }
        // The one that cannot be read is the one written over.
        let mut folder = StateFolder::open(dir.path()).unwrap();
        folder.save(&saved(3)).unwrap();
        assert_eq!(folder.keyframes(), [saved(3), saved(1)]);
    }
}
