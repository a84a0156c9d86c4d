//! What a trace file is made of, in one place: topics, metadata keys, limits, who wrote it and what it holds.
//!
//! Writer and reader share this file and nothing else, so that what one writes the other knows by name. Fields are
//! only ever added: a reader takes the keys it knows and leaves the rest.

use osmose_model::time::{LogicalNs, UtcNs};
use std::collections::BTreeMap;
use std::fmt;

/// Version of the records' layout. A reader opens every version up to its own.
pub const SCHEMA_VERSION: u32 = 1;
/// The profile in the MCAP header.
pub const PROFILE: &str = "osmose";
/// The name of the one metadata record.
pub const METADATA_NAME: &str = "osmose";
/// The name of the metadata record in front of each chunk that begins with an installation of rules: who seeks past
/// installations must know which rules are in force.
pub const INSTALL_NAME: &str = "osmose.rules";
/// The folder in front of each attached site file's name.
pub const ATTACHMENT_PREFIX: &str = "site/";
/// Chunks are closed beyond this many uncompressed bytes: a cut file loses no more than the last of them.
pub const CHUNK_TARGET_BYTES: u64 = 256 * 1024;
/// Most bytes in one record (the largest are keyframes).
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most uncompressed bytes in one chunk: the target, and one record that began below it.
pub const CHUNK_BYTES_MAX: usize = RECORD_BYTES_MAX + CHUNK_TARGET_BYTES as usize + 1024;
/// How often waiting records are handed to the operating system while recording, nanoseconds of the monotonic
/// clock. With a poll at least every 50 ms no record waits longer than 250 ms.
pub const FLUSH_EVERY_NS: i64 = 200_000_000;
/// The message encoding of every channel, and the schema encoding (MCAP's registry of well-known encodings).
pub const ENCODING: &str = "flatbuffer";

/// The channels of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// What reached the core, in the one total order.
    Input,
    /// What happened in the world, behind the input that showed it.
    Event,
    /// What was sent, behind the input that decided it.
    Command,
    /// Both running digests after an input.
    Digest,
    /// The core's whole state after an input.
    Keyframe,
    /// What a number in the trace stands for.
    Name,
    /// How long a hop took, over a stretch of time.
    Latency,
    /// How often something happened: refusals, losses.
    Counter,
}

impl Topic {
    /// Every topic; its place is its channel's number minus one.
    pub const ALL: [Self; 8] = [
        Self::Input,
        Self::Event,
        Self::Command,
        Self::Digest,
        Self::Keyframe,
        Self::Name,
        Self::Latency,
        Self::Counter,
    ];

    /// The MCAP topic.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Event => "event",
            Self::Command => "command",
            Self::Digest => "digest",
            Self::Keyframe => "keyframe",
            Self::Name => "name",
            Self::Latency => "latency",
            Self::Counter => "counter",
        }
    }

    /// The topic of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == name)
    }

    /// As an index into tables with one row per topic.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a trace's inputs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A running engine.
    Live,
    /// CSV files.
    Import,
    /// A simulated building.
    Simulate,
}

impl Origin {
    /// The word in the metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Import => "import",
            Self::Simulate => "simulate",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Live, Self::Import, Self::Simulate].into_iter().find(|o| o.as_str() == word)
    }
}

/// Which build wrote a trace. Equal builds on equal architectures promise equal bits, debug or release: which one it was
/// of the two is no part of it, nor is the folder that it was built in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// The crate's version.
    pub version: String,
    /// Target architecture and operating system, `x86_64-linux`.
    pub target: String,
    /// `git describe` of the sources where the build was told it (`OSMOSE_GIT`), else empty.
    pub git: String,
    /// A hash of the sources that decide; empty where the crate was built without its siblings, and in traces of builds
    /// that did not write it.
    pub sources: String,
}

impl Build {
    /// This build.
    #[must_use]
    pub fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            git: option_env!("OSMOSE_GIT").unwrap_or_default().to_owned(),
            sources: env!("OSMOSE_SOURCES").to_owned(),
        }
    }

    /// What tells builds of one version apart: the hash of the sources, else what git said of them.
    fn made_of(&self) -> &str {
        if self.sources.is_empty() { &self.git } else { &self.sources }
    }

    /// Why decisions of the two builds need not agree bit for bit; `None` where they must.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> Option<String> {
        let mut parts = Vec::new();
        let mut compare = |what: &str, a: &str, b: &str| {
            if a != b {
                let or = |s: &str| if s.is_empty() { "unknown".to_owned() } else { s.to_owned() };
                parts.push(format!("{what} {} against {}", or(a), or(b)));
            }
        };
        compare("version", &self.version, &other.version);
        compare("target", &self.target, &other.target);
        compare("sources", self.made_of(), other.made_of());
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "osmose {} {}", self.version, self.target)?;
        let sources = if self.sources.is_empty() { String::new() } else { format!("sources {}", self.sources) };
        let known: Vec<&str> = [self.git.as_str(), &sources].into_iter().filter(|s| !s.is_empty()).collect();
        if known.is_empty() { Ok(()) } else { write!(f, " ({})", known.join(", ")) }
    }
}

/// The head of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Layout of the records.
    pub schema_version: u32,
    /// Who wrote it.
    pub build: Build,
    /// Where the inputs come from.
    pub origin: Origin,
    /// The site's name.
    pub site: String,
    /// Whether ticks are among the inputs; where not, whoever runs the core adds them as the sequencer would.
    pub has_ticks: bool,
    /// Whether decisions (events, commands, digests) were recorded too.
    pub has_decisions: bool,
    /// Whether every installation of rules has its note ([`INSTALL_NAME`]): without, nobody seeks in the trace.
    pub notes_installs: bool,
    /// An instant of the log and its wall-clock time, where the trace does not hold the anchor that says so (it was
    /// cut out of a longer one).
    pub wall: Option<(LogicalNs, UtcNs)>,
}

impl Meta {
    /// The head of a trace that this build writes: an import holds neither ticks nor decisions, the others both.
    #[must_use]
    pub fn new(origin: Origin, site: &str) -> Self {
        let ran = origin != Origin::Import;
        Self {
            schema_version: SCHEMA_VERSION,
            build: Build::this(),
            origin,
            site: site.to_owned(),
            has_ticks: ran,
            has_decisions: ran,
            notes_installs: true,
            wall: None,
        }
    }

    /// As metadata, with a checksum of its own: MCAP gives metadata none before the end of the file.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let recorded = |yes: bool| if yes { "recorded" } else { "none" };
        let mut map: BTreeMap<String, String> = [
            ("schema_version", self.schema_version.to_string()),
            ("build_version", self.build.version.clone()),
            ("build_target", self.build.target.clone()),
            ("build_git", self.build.git.clone()),
            ("source", self.origin.as_str().to_owned()),
            ("site", self.site.clone()),
            ("ticks", recorded(self.has_ticks).to_owned()),
            ("decisions", recorded(self.has_decisions).to_owned()),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect();
        if self.notes_installs {
            map.insert("installs".to_owned(), "noted".to_owned());
        }
        if !self.build.sources.is_empty() {
            map.insert("build_sources".to_owned(), self.build.sources.clone());
        }
        if let Some((at, utc)) = self.wall {
            map.insert("wall".to_owned(), format!("{} {}", at.0, utc.0));
        }
        map.insert("crc32".to_owned(), map_crc(&map));
        map
    }

    /// From metadata.
    ///
    /// # Errors
    /// A sentence that says which key is missing, unreadable or damaged.
    pub fn from_map(map: &BTreeMap<String, String>) -> Result<Self, String> {
        let get = |key: &str| map.get(key).map(String::as_str).ok_or_else(|| format!("its metadata has no `{key}`"));
        let (saved, calculated) = (get("crc32")?, map_crc(map));
        if saved != calculated {
            return Err(format!("its metadata is damaged (checksum {calculated}, recorded {saved})"));
        }
        let bad = |key: &str| format!("`{key}` of its metadata is not what any version writes");
        let recorded = |key: &'static str| match get(key)? {
            "recorded" => Ok(true),
            "none" => Ok(false),
            _ => Err(bad(key)),
        };
        Ok(Self {
            schema_version: get("schema_version")?.parse().map_err(|_| bad("schema_version"))?,
            build: Build {
                version: get("build_version")?.to_owned(),
                target: get("build_target")?.to_owned(),
                git: get("build_git")?.to_owned(),
                sources: map.get("build_sources").cloned().unwrap_or_default(),
            },
            origin: Origin::from_word(get("source")?).ok_or_else(|| bad("source"))?,
            site: get("site")?.to_owned(),
            has_ticks: recorded("ticks")?,
            has_decisions: recorded("decisions")?,
            notes_installs: map.get("installs").is_some_and(|v| v == "noted"),
            wall: map.get("wall").map(|text| wall_tie(text).ok_or_else(|| bad("wall"))).transpose()?,
        })
    }
}

/// Two whole numbers: nanoseconds of the log, nanoseconds of UTC.
fn wall_tie(text: &str) -> Option<(LogicalNs, UtcNs)> {
    let (at, utc) = text.split_once(' ')?;
    Some((LogicalNs(at.parse().ok()?), UtcNs(utc.parse().ok()?)))
}

/// CRC-32 of the map's lines, without the checksum's own.
fn map_crc(map: &BTreeMap<String, String>) -> String {
    let mut crc = crc32fast::Hasher::new();
    for (key, value) in map.iter().filter(|(key, _)| *key != "crc32") {
        for part in [key, value] {
            crc.update(&(part.len() as u64).to_le_bytes());
            crc.update(part.as_bytes());
        }
    }
    format!("{:08x}", crc.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_round_trips_and_any_changed_value_is_found() {
        let meta = Meta::new(Origin::Import, "co-working");
        let map = meta.to_map();
        assert_eq!(Meta::from_map(&map), Ok(meta));
        for key in map.keys() {
            let mut changed = map.clone();
            changed.insert(key.clone(), "another".to_owned());
            assert!(Meta::from_map(&changed).is_err(), "{key}");
            changed.remove(key);
            assert!(Meta::from_map(&changed).is_err(), "{key} missing");
        }
        // A key of a later version is left alone.
        let mut later = map.clone();
        later.remove("crc32");
        later.insert("colour".to_owned(), "blue".to_owned());
        later.insert("crc32".to_owned(), map_crc(&later));
        assert!(Meta::from_map(&later).is_ok());
    }

    #[test]
    fn another_build_is_named_part_by_part() {
        let this = Build::this();
        assert_eq!(this.differs_from(&Build::this()), None);
        let other = Build { target: "riscv64-linux".to_owned(), ..this.clone() };
        assert!(other.differs_from(&this).unwrap().contains("target riscv64-linux against"));
    }

    #[test]
    fn builds_of_one_version_and_other_sources_are_others() {
        let build = |git: &str, sources: &str| Build {
            version: "0.1.0".to_owned(),
            target: "x86_64-linux".to_owned(),
            git: git.to_owned(),
            sources: sources.to_owned(),
        };
        let (a, b) = (build("", "00a1"), build("", "00b2"));
        assert_eq!(a.differs_from(&b).as_deref(), Some("sources 00a1 against 00b2"));
        assert_eq!(build("v1", "00a1").differs_from(&a), None, "one was told more of the same sources");
        // Traces of before there was a hash, and crates built without their siblings.
        assert_eq!(build("", "").differs_from(&a).as_deref(), Some("sources unknown against 00a1"));
        assert_eq!(build("v1", "").differs_from(&build("v2", "")).as_deref(), Some("sources v1 against v2"));
        assert_eq!(build("", "").differs_from(&build("", "")), None, "then only the version tells");
        assert_eq!(a.to_string(), "osmose 0.1.0 x86_64-linux (sources 00a1)");
        assert_eq!(build("v1", "00a1").to_string(), "osmose 0.1.0 x86_64-linux (v1, sources 00a1)");
        assert_eq!(build("", "").to_string(), "osmose 0.1.0 x86_64-linux");
    }

    #[test]
    fn a_head_without_sources_is_one_of_an_earlier_build() {
        let mut meta = Meta::new(Origin::Live, "peer-job");
        meta.build.sources = String::new();
        let map = meta.to_map();
        assert!(!map.contains_key("build_sources"));
        assert_eq!(Meta::from_map(&map), Ok(meta));
    }
}
