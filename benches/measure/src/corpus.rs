//! `osmose bench corpus DIR`: a folder of recordings that each stress something, made from seeds and known by their digest.
//!
//! `DIR/corpus.toml` says for each trace its site, its people or script, its seconds and its seed, what it stresses, and the
//! digest of its observations. A trace that is not there is made by `osmose simulate`; one whose digest is another is
//! refused, since figures of another trace are no figures of this one.

use crate::host::Host;
use crate::replay::{self, ReplayError};
use crate::report::{Report, Row};
use osmose_model::digest::Digest;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The manifest's name.
pub const MANIFEST: &str = "corpus.toml";

/// A trace of the corpus.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name: letters, digits and dashes; its file is `NAME.mcap`.
    pub name: String,
    /// The site's folder, from the manifest's.
    pub site: PathBuf,
    /// So many people who walk about ...
    pub people: Option<usize>,
    /// ... or a script, from the manifest's folder.
    pub script: Option<PathBuf>,
    /// Seconds of the building's time.
    pub seconds: f64,
    /// The seed.
    pub seed: u64,
    /// What it stresses.
    pub stresses: String,
    /// The digest of its observations, 16 hexadecimal digits; empty in a manifest that is being written.
    #[serde(default)]
    pub digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    trace: Vec<Member>,
}

/// Why a corpus cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The manifest cannot be read.
    #[error("{} cannot be read: {why}", .path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A trace could not be made.
    #[error("`osmose simulate` could not make {name}: {why}")]
    Simulate {
        /// Which.
        name: String,
        /// What it said.
        why: String,
    },
    /// A trace is another one than the manifest names.
    #[error(
        "{name} is not the trace that the manifest names: its observations have the digest {found}, not {named}. Take \
         {} away to have it made anew; where the simulator itself was changed, write {found} into the manifest, and \
         compare no figure from before with one from after.", .file.display()
    )]
    Other {
        /// Which.
        name: String,
        /// Its file.
        file: PathBuf,
        /// What it has.
        found: Digest,
        /// What the manifest says.
        named: String,
    },
    /// A trace cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Reads a manifest.
///
/// # Errors
/// [`CorpusError::Manifest`], with what is wrong.
pub fn read(dir: &Path) -> Result<Vec<Member>, CorpusError> {
    let path = dir.join(MANIFEST);
    let wrong = |why: String| CorpusError::Manifest { path: path.clone(), why };
    let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
    let manifest: Manifest = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let mut names = BTreeSet::new();
    for m in &manifest.trace {
        let is_name = !m.name.is_empty() && m.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name || !names.insert(&m.name) {
            return Err(wrong(format!(
                "the name {:?} is empty, there twice, or has other than letters, digits and dashes",
                m.name
            )));
        }
        if m.people.is_some() == m.script.is_some() {
            return Err(wrong(format!("{}: give either `people` or `script`", m.name)));
        }
    }
    if manifest.trace.is_empty() {
        return Err(wrong("it names no [[trace]]".to_owned()));
    }
    Ok(manifest.trace)
}

/// Makes a member's trace where it is not there; gives its file.
///
/// # Errors
/// [`CorpusError::Simulate`].
pub fn make(dir: &Path, member: &Member, binary: &Path) -> Result<PathBuf, CorpusError> {
    let file = dir.join(format!("{}.mcap", member.name));
    if file.exists() {
        return Ok(file);
    }
    let failed = |why: String| CorpusError::Simulate { name: member.name.clone(), why };
    // Under another name until it is whole: a cut one would be taken for the trace.
    let part = dir.join(format!("{}.part.mcap", member.name));
    // What an interrupted run left.
    let _ = std::fs::remove_file(&part);
    let mut command = Command::new(binary);
    command.arg("simulate").arg(dir.join(&member.site));
    match (&member.script, member.people) {
        (Some(script), _) => command.arg("--script").arg(dir.join(script)),
        (None, people) => command.arg("--people").arg(people.unwrap_or(1).to_string()),
    };
    command.args(["--seconds", &member.seconds.to_string(), "--seed", &member.seed.to_string(), "-o"]).arg(&part);
    let out = command.output().map_err(|e| failed(e.to_string()))?;
    if !out.status.success() {
        return Err(failed(String::from_utf8_lossy(&out.stderr).trim().to_owned()));
    }
    std::fs::rename(&part, &file).map_err(|e| failed(e.to_string()))?;
    Ok(file)
}

/// Measures every trace of a corpus: its steps by kind of observation, and its replay.
///
/// # Errors
/// [`CorpusError`].
pub fn measure(
    dir: &Path,
    binary: &Path,
    runs: usize,
    build: &str,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report, CorpusError> {
    let members = read(dir)?;
    let mut report = Report::new("corpus", build, Host::read());
    report.set("corpus", dir.join(MANIFEST).display());
    report.set("topology", "inline: replay and steps in one thread, a second one reads ahead");
    report.set("rules", "those of each trace's own site");
    for (i, member) in members.iter().enumerate() {
        progress(i, members.len());
        let file = make(dir, member, binary)?;
        let steps = replay::steps(&file)?;
        if member.digest.is_empty() {
            report.notes.push(format!(
                "{}: the manifest names no digest; that of its observations is {}",
                member.name, steps.digest
            ));
        } else if member.digest != steps.digest.to_string() {
            let (name, found, named) = (member.name.clone(), steps.digest, member.digest.clone());
            return Err(CorpusError::Other { name, file, found, named });
        }
        report.set(
            &member.name,
            format!("{} (seed {}, {} s, {})", member.stresses, member.seed, member.seconds, steps.digest),
        );
        for (kind, dist) in &steps.by_kind {
            let p50 = dist.histogram().value_at_quantile(0.5) as f64;
            report.rows.push(Row::new(&format!("{}: step of {kind}", member.name), dist, vec![p50]));
        }
        replay::measure(&mut report, &member.name, &file, runs)?;
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Result<Vec<Member>, CorpusError> {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(MANIFEST), text).expect("written");
        read(dir.path())
    }

    const GOOD: &str =
        "[[trace]]\nname = \"crowd\"\nsite = \"site\"\npeople = 5\nseconds = 2.0\nseed = 1\nstresses = \"nothing\"\n";

    #[test]
    fn a_manifest_says_what_is_wrong_with_it() {
        let members = manifest(GOOD).expect("it is good");
        assert_eq!((members[0].name.as_str(), members[0].people, members[0].digest.as_str()), ("crowd", Some(5), ""));
        let wrong = |text: &str| manifest(text).expect_err("it is wrong").to_string();
        assert!(wrong("").contains("no [[trace]]"));
        assert!(wrong(&GOOD.replace("crowd", "../crowd")).contains("letters, digits and dashes"));
        assert!(wrong(&format!("{GOOD}{GOOD}")).contains("there twice"));
        assert!(wrong(&GOOD.replace("people = 5\n", "")).contains("either `people` or `script`"));
        assert!(wrong(&GOOD.replace("seed", "sead")).contains("sead"));
    }
}
