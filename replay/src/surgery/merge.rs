//! `osmose trace merge`: parts of one log, in any order, as one file.

use super::{Copy, SurgeryError};
use crate::drive::{Ticker, Watch};
use crate::trace::codec::{self, Record};
use crate::trace::format::{Build, Meta};
use crate::trace::read::{Item, TraceReader};
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use std::path::{Path, PathBuf};

/// What was joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Inputs written.
    pub inputs: u64,
    /// Inputs missing between the parts: holes of the new trace too.
    pub missing: u64,
    /// First and last input.
    pub span: Option<(Tag, Tag)>,
}

/// A part, by what it begins and ends with.
struct Part {
    path: PathBuf,
    build: Build,
    first: Tag,
    last: Tag,
}

/// Joins traces that are parts of one log.
///
/// # Errors
/// [`SurgeryError`]: parts that overlap, are of different sites, or are damaged.
pub fn merge(paths: &[PathBuf], out: &Path, watch: &mut dyn Watch) -> Result<Merged, SurgeryError> {
    let mut parts = paths.iter().map(|p| part(p, watch)).collect::<Result<Vec<_>, _>>()?;
    parts.sort_by_key(|p| p.first.seq);
    for pair in parts.windows(2) {
        if pair[1].first <= pair[0].last {
            return Err(SurgeryError::Refused(format!(
                "{} (inputs {} to {}) and {} (from input {}) overlap: they are not parts of one log",
                pair[0].path.display(),
                pair[0].first.seq,
                pair[0].last.seq,
                pair[1].path.display(),
                pair[1].first.seq
            )));
        }
    }
    let Some(first) = parts.first() else { return Err(SurgeryError::Refused("there is nothing to merge".to_owned())) };
    let head = TraceReader::open(&first.path)?;
    let meta = Meta { build: build(&parts, &head.meta().build), ..head.meta().clone() };
    let mut copy = Copy::create(out, &meta, head.files())?;
    let (mut merged, mut scan) = (Merged::default(), ScanBuf::new());
    for part in &parts {
        let mut reader = TraceReader::open(&part.path)?;
        if reader.meta().site != head.meta().site || reader.meta().has_ticks != head.meta().has_ticks {
            let (a, b) = (part.path.display(), first.path.display());
            return Err(SurgeryError::Refused(format!("{a} is of another site or another kind of trace than {b}")));
        }
        let mut ticker = Ticker::new(watch);
        while let Some(item) = ticker.next_item(&mut reader)? {
            let Item::Record(raw) = item else { continue };
            let record = codec::decode(&raw, &mut scan).map_err(|e| SurgeryError::Refused(e.to_string()))?;
            if let Record::Input { tag, .. } = record {
                let last = merged.span.map_or(tag, |(_, last)| last);
                merged.missing += tag.seq.0.saturating_sub(last.seq.0).saturating_sub(1);
                merged.span = Some((merged.span.map_or(tag, |(first, _)| first), tag));
                merged.inputs += 1;
            }
            copy.put(&raw, &record)?;
        }
    }
    copy.finish()?;
    Ok(merged)
}

/// Which build the whole is of: where several wrote the parts, one that nobody has, so that nobody takes it for theirs.
fn build(parts: &[Part], first: &Build) -> Build {
    let is_of_one = parts.iter().all(|p| p.build.differs_from(first).is_none());
    let sources = if is_of_one { first.sources.clone() } else { "of several builds".to_owned() };
    Build { sources, ..first.clone() }
}

fn part(path: &Path, watch: &mut dyn Watch) -> Result<Part, SurgeryError> {
    let mut reader = TraceReader::open(path)?;
    let build = reader.meta().build.clone();
    let (mut span, mut scan) = (None::<(Tag, Tag)>, ScanBuf::new());
    let mut ticker = Ticker::new(watch);
    while let Some(item) = ticker.next_item(&mut reader)? {
        let raw = match item {
            Item::Record(raw) => raw,
            Item::Damage(d) => {
                let path = path.display();
                return Err(SurgeryError::Refused(format!("{path}: {d}; `osmose trace recover` it first")));
            }
        };
        if let Ok(Record::Input { tag, .. }) = codec::decode(&raw, &mut scan) {
            span = Some((span.map_or(tag, |(first, _)| first), tag));
        }
    }
    let (first, last) = span.ok_or_else(|| SurgeryError::Refused(format!("{} holds no input", path.display())))?;
    Ok(Part { path: path.to_owned(), build, first, last })
}
