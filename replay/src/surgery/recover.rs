//! `osmose trace recover`: what is whole of a damaged or cut file, as a trace that every tool opens.

use super::{Copy, SurgeryError};
use crate::drive::{Ticker, Watch};
use crate::trace::codec::{self, Record};
use crate::trace::read::{Damage, Ending, Item, TraceReader};
use crate::words::counted;
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use std::path::Path;

/// What was saved, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records written.
    pub records: u64,
    /// Of them, records that no checksum covers: whole ones of a chunk that the file ends in.
    pub unchecked: u64,
    /// Records that this build cannot decode: left out.
    pub undecodable: u64,
    /// Stretches of the file that could not be used.
    pub damage: Vec<Damage>,
    /// How the file ended.
    pub ending: Ending,
    /// Numbers missing between inputs.
    pub missing_inputs: u64,
    /// First and last input.
    pub span: Option<(Tag, Tag)>,
}

impl Recovered {
    /// Whether a record was lost.
    #[must_use]
    pub fn lost(&self) -> bool {
        let cut = match self.ending {
            Ending::Whole | Ending::Cut { only_index: true, .. } => false,
            Ending::Cut { .. } | Ending::Broken | Ending::NotReached => true,
        };
        // A summary or the checksum over everything may be wrong while each record is right.
        use crate::trace::read::DamageKind::{DataSection, Summary};
        let records = self.damage.iter().any(|d| !matches!(d.kind, DataSection | Summary));
        cut || records || self.undecodable > 0 || self.missing_inputs > 0
    }

    /// For people. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let saved = counted(self.records, "record") + " saved";
        let mut text = match self.span {
            Some((a, b)) => {
                format!("{saved}: inputs {} to {}, {} s to {} s\n", a.seq, b.seq, a.at, b.at)
            }
            None => format!("{saved}, and no input among them\n"),
        };
        for d in &self.damage {
            text += &format!("lost {d}\n");
        }
        if self.missing_inputs > 0 {
            text += &format!("lost {} between those saved\n", counted(self.missing_inputs, "input"));
        }
        if self.undecodable > 0 {
            text += &format!("lost {} that this build cannot read\n", counted(self.undecodable, "record"));
        }
        if let Some(ending) = self.ending.render() {
            text += &format!("{ending}\n");
        }
        if self.unchecked > 0 {
            text += &format!("{} of those saved without a checksum\n", counted(self.unchecked, "record"));
        }
        text += if self.lost() { "something was lost\n" } else { "nothing was lost\n" };
        text
    }
}

/// Writes what is whole of `path` to `out`.
///
/// # Errors
/// [`SurgeryError`] where the file has no head, or nothing can be written.
pub fn recover(path: &Path, out: &Path, watch: &mut dyn Watch) -> Result<Recovered, SurgeryError> {
    let mut reader = TraceReader::open(path)?;
    let mut copy = Copy::create(out, reader.meta(), reader.files())?;
    let (mut found, mut scan) = (Recovered::default(), ScanBuf::new());
    let mut ticker = Ticker::new(watch);
    while let Some(item) = ticker.next_item(&mut reader)? {
        let raw = match item {
            Item::Record(raw) => raw,
            Item::Damage(d) => {
                found.damage.push(d);
                continue;
            }
        };
        let Ok(record) = codec::decode(&raw, &mut scan) else {
            found.undecodable += 1;
            continue;
        };
        if let Record::Input { tag, .. } = record {
            let last = found.span.map_or(tag, |(_, last)| last);
            found.missing_inputs += tag.seq.0.saturating_sub(last.seq.0).saturating_sub(1);
            found.span = Some((found.span.map_or(tag, |(first, _)| first), tag));
        }
        found.unchecked += u64::from(!raw.checked);
        copy.put(&raw, &record)?;
    }
    found.records = copy.records;
    found.ending = reader.ending().clone();
    copy.finish()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::testing::{live, rewritten, walk};

    fn recovered(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf, Recovered) {
        let dir = tempfile::tempdir().unwrap();
        let (path, out) = (dir.path().join("in"), dir.path().join("out.mcap"));
        std::fs::write(&path, bytes).unwrap();
        let found = recover(&path, &out, &mut ()).unwrap();
        (dir, out, found)
    }

    #[test]
    fn a_whole_trace_is_copied_record_for_record() {
        let trace = live(&walk(10), 50);
        let (_dir, out, found) = recovered(&trace);
        assert!(!found.lost() && found.damage.is_empty() && found.unchecked == 0, "{found:?}");
        let report = check(&out).unwrap();
        assert_eq!((report.exit_status(), report.info.counts.records), (0, found.records), "{}", report.render());
    }

    #[test]
    fn of_a_cut_trace_the_front_is_saved_and_the_loss_is_said() {
        let plain = rewritten(&live(&walk(20), 50), None, |_, _, p| Some(p.to_vec()), |n| n % 40 == 0);
        let (_dir, out, found) = recovered(&plain[..plain.len() * 6 / 10]);
        assert!(found.lost() && found.records > 100, "{found:?}");
        let report = check(&out).unwrap();
        assert_eq!(report.exit_status(), 0, "what was saved is whole: {}", report.render());
        assert_eq!(report.info.span, found.span);
        // Only the index is missing: nothing was lost.
        let (_dir, out, found) = recovered(&plain[..plain.len() - 4]);
        assert!(!found.lost(), "{}", found.render());
        assert_eq!(check(&out).unwrap().exit_status(), 0);
    }

    #[test]
    fn a_damaged_chunk_is_left_out_and_said() {
        let mut plain = rewritten(&live(&walk(20), 50), None, |_, _, p| Some(p.to_vec()), |n| n % 40 == 0);
        let at = plain.len() / 2;
        plain[at] ^= 4;
        let (_dir, out, found) = recovered(&plain);
        assert!(found.lost() && found.damage.iter().any(|d| d.bytes > 0) && found.missing_inputs > 0, "{found:?}");
        let report = check(&out).unwrap();
        assert!(report.findings.iter().all(|f| f.code == "order"), "{}", report.render());
    }
}
