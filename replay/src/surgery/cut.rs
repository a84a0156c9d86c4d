//! `osmose trace cut`: a stretch of time as a trace of its own, which replays and verifies alone.
//!
//! It begins with the state of the core right before its first input, so that nothing of what came before is in it
//! but what that state still knows.

use super::{Copy, SurgeryError};
use crate::drive::walk::Walk;
use crate::drive::{Ticker, Watch};
use crate::trace::codec::{self, Record};
use crate::trace::format::{Build, Meta};
use crate::trace::read::Item;
use crate::trace::recording::{Items, Recording};
use osmose_model::canon;
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use std::path::Path;

/// What was cut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The input whose state it begins with.
    pub after: Tag,
    /// First and last input in it.
    pub span: (Tag, Tag),
    /// Inputs in it.
    pub inputs: u64,
}

/// Writes the stretch from `from` to `to` (both in it) of a recording to `out`.
///
/// # Errors
/// [`SurgeryError`]: an import, a stretch without inputs, or one that begins behind a hole.
pub fn cut(
    recording: &mut Recording,
    from: LogicalNs,
    to: LogicalNs,
    out: &Path,
    watch: &mut dyn Watch,
) -> Result<Cut, SurgeryError> {
    if to < from {
        return Err(SurgeryError::Refused(format!("from {from} s to {to} s is no stretch of time")));
    }
    let mut walk = Walk::begin(recording, Some(from))?;
    let (meta, files) = (recording.meta().clone(), recording.files().to_vec());
    let (mut copy, mut cut) = (None::<Copy>, None::<Cut>);
    let (mut scan, mut ticker) = (ScanBuf::new(), Ticker::new(watch));
    while let Some(item) = ticker.next_item(recording)? {
        let Item::Record(raw) = item else { continue };
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        if let Record::Input { tag, .. } = &record {
            if tag.at > to {
                break;
            }
            if tag.at >= from && copy.is_none() {
                let (begun, after) = begin(&meta, &files, &walk, *tag, out)?;
                copy = Some(begun);
                cut = Some(Cut { after, span: (*tag, *tag), inputs: 0 });
            }
            if let Some(cut) = &mut cut {
                cut.span.1 = *tag;
                cut.inputs += 1;
            } else {
                walk.take(&record)?;
            }
        } else if copy.is_none() {
            walk.take(&record)?;
        }
        if let Some(copy) = &mut copy {
            copy.put(&raw, &record)?;
        }
    }
    let (Some(copy), Some(cut)) = (copy, cut) else {
        return Err(SurgeryError::Refused(format!("there is no input from {from} s to {to} s")));
    };
    copy.finish()?;
    Ok(cut)
}

/// The head of the new trace, and the state that it begins with.
fn begin(meta: &Meta, files: &[SourceFile], walk: &Walk, first: Tag, out: &Path) -> Result<(Copy, Tag), SurgeryError> {
    let last = walk.machine().last();
    if !walk.is_valid() || last.seq.0 + 1 != first.seq.0 {
        return Err(SurgeryError::Refused(format!(
            "input {} at {} s stands behind a hole, where the state is not known: begin behind the next keyframe",
            first.seq, first.at
        )));
    }
    if let Some(tag) = walk.differs_at {
        let build = meta.build.differs_from(&Build::this()).unwrap_or_else(|| "the same build".to_owned());
        return Err(SurgeryError::Refused(format!(
            "behind input {} this build decides otherwise than recorded ({build}): it cannot give the state that the \
             stretch begins with",
            tag.seq
        )));
    }
    let view = walk.machine().view();
    use osmose_model::world::WorldView;
    let wall = view.wall().map(|w| (last.at, w.utc)).or(meta.wall);
    let in_force = canon::decode_files(walk.in_force()).map_err(|e| SurgeryError::Refused(e.to_string()))?;
    let attached = crate::rulebook::files_in_force(files, in_force);
    let mut copy = Copy::create(out, &Meta { wall, ..meta.clone() }, &attached)?;
    if last.seq.0 > 0 {
        let mut state = Vec::new();
        walk.machine().save(&mut state);
        copy.keyframe(last, &state, (walk.machine().input_digest(), walk.machine().decision_digest()))?;
    }
    Ok((copy, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::drive::{Options, Osmose, Replay, Verdict};
    use crate::surgery::merge::merge;
    use crate::testing::{live, walk};

    const S: i64 = 1_000_000_000;

    fn verified(path: &Path) -> crate::drive::Summary {
        let recording = Recording::open(path).unwrap();
        let workshop = Osmose::of_files(recording.files()).unwrap();
        Replay::new(recording, workshop, Options { verify: true, ..Options::default() }).unwrap().run(&mut ()).unwrap()
    }

    /// Who is there and what devices were told when it begins is known: only what the other rules say is otherwise.
    #[test]
    fn a_what_if_of_a_stretch_begins_with_the_state_that_it_begins_with() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, out) = (dir.path().join("whole.mcap"), dir.path().join("part.mcap"));
        std::fs::write(&whole, live(&walk(30), 40)).unwrap();
        let mut recording = Recording::open(&whole).unwrap();
        cut(&mut recording, LogicalNs(10 * S + 1), LogicalNs(25 * S), &out, &mut ()).unwrap();
        let own: Vec<_> = crate::testing::files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
        let what_if = |options: Options| {
            let recording = Recording::open(&out).unwrap();
            let workshop = Osmose::of_files(recording.files()).unwrap();
            let summary = Replay::new(recording, workshop, options).unwrap().run(&mut ()).unwrap();
            assert!(summary.holes.is_empty() && summary.began_at.is_some(), "{}", summary.render());
            summary.what_if.expect("asked")
        };
        let told = |list: &[osmose_model::command::Command]| -> Vec<_> {
            list.iter().map(|c| (c.at, c.device, c.verb, c.args.clone())).collect()
        };
        let same = what_if(Options { rules: Some(own.clone()), ..Options::default() });
        assert!(!same.recorded.is_empty());
        assert_eq!((told(&same.recorded), same.parted.len()), (told(&same.replayed), 0));
        let ceiling = crate::testing::workshop_site().sensor_named("ceiling-meeting").unwrap();
        let late = vec![(ceiling, osmose_model::time::DurationNs::ZERO)];
        let same = what_if(Options { delayed: late, ..Options::default() });
        assert_eq!(told(&same.recorded), told(&same.replayed));
        let mut other = own;
        other.iter_mut().for_each(|f| f.text = f.text.replace("80 %", "60 %"));
        let both = what_if(Options { rules: Some(other), ..Options::default() });
        let light = crate::testing::workshop_site().actuator_named("meeting.light").unwrap();
        assert_eq!(both.parted.keys().copied().collect::<Vec<_>>(), [light]);
    }

    #[test]
    fn a_stretch_verifies_alone_and_stretches_merge_to_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole.mcap");
        std::fs::write(&whole, live(&walk(30), 40)).unwrap();
        let folder = dir.path().join("parts");
        std::fs::create_dir(&folder).unwrap();
        let mut recording = Recording::open(&whole).unwrap();
        let mut inputs = 0;
        for (i, (from, to)) in [(-1, 10 * S), (10 * S + 1, 17 * S), (17 * S + 1, i64::MAX)].into_iter().enumerate() {
            let out = folder.join(format!("{i}.mcap"));
            recording.rewind().unwrap();
            let cut = cut(&mut recording, LogicalNs(from), LogicalNs(to), &out, &mut ()).unwrap();
            inputs += cut.inputs;
            let summary = verified(&out);
            assert_eq!(summary.verdict, Verdict::Same, "part {i}: {}", summary.render());
            assert_eq!(check(&out).unwrap().exit_status(), 0, "{}", check(&out).unwrap().render());
            // Its wall clock is the whole's.
            let clock = Recording::open(&out).unwrap().log_clock("UTC").unwrap();
            let of_whole = Recording::open(&whole).unwrap().log_clock("UTC").unwrap();
            let tied = |c: &crate::wall::LogClock| c.tied.map(|(at, utc)| utc.0 - at.0);
            assert_eq!(tied(&clock), tied(&of_whole));
        }
        let all = verified(&whole);
        assert_eq!(inputs, all.inputs);
        // The folder is one log, and so is the file that it merges to.
        let parts = verified(&folder);
        assert_eq!((parts.verdict, parts.digests, parts.inputs), (Verdict::Same, all.digests, all.inputs));
        let joined = dir.path().join("joined.mcap");
        let merged =
            merge(&[folder.join("2.mcap"), folder.join("0.mcap"), folder.join("1.mcap")], &joined, &mut ()).unwrap();
        assert_eq!(merged.inputs, all.inputs);
        let again = verified(&joined);
        assert_eq!((again.verdict, again.digests, again.holes), (Verdict::Same, all.digests, vec![]));
    }

    #[test]
    fn a_log_that_another_build_wrote_a_part_of_is_not_taken_for_this_builds() {
        let dir = tempfile::tempdir().unwrap();
        let whole = live(&walk(20), 40);
        std::fs::write(dir.path().join("whole"), &whole).unwrap();
        let mut recording = Recording::open(&dir.path().join("whole")).unwrap();
        let part = |i: u8| dir.path().join(format!("{i}.mcap"));
        for (i, (from, to)) in [(0, (-1, 10 * S)), (1, (10 * S + 1, i64::MAX))] {
            recording.rewind().unwrap();
            cut(&mut recording, LogicalNs(from), LogicalNs(to), &part(i), &mut ()).unwrap();
        }
        let joined = dir.path().join("joined");
        let other = |path: &Path| Recording::open(path).unwrap().other_build();
        merge(&[part(0), part(1)], &joined, &mut ()).unwrap();
        assert_eq!((other(dir.path()), other(&joined)), (None, None));
        // The engine was replaced between the two files.
        let mut meta = recording.meta().clone();
        meta.build.sources = "00b2".to_owned();
        let later = std::fs::read(part(1)).unwrap();
        let later = crate::testing::rewritten(&later, Some(meta), |_, _, p| Some(p.to_vec()), |_| false);
        std::fs::write(part(1), later).unwrap();
        std::fs::remove_file(&joined).unwrap();
        merge(&[part(0), part(1)], &joined, &mut ()).unwrap();
        assert!(other(dir.path()).unwrap().starts_with("sources 00b2 against "), "{:?}", other(dir.path()));
        assert!(other(&joined).unwrap().starts_with("sources of several builds against "), "{:?}", other(&joined));
        assert_eq!(verified(&joined).verdict, Verdict::Same);
    }

    #[test]
    fn no_stretch_and_an_import_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, out) = (dir.path().join("whole.mcap"), dir.path().join("out.mcap"));
        std::fs::write(&whole, live(&walk(3), 0)).unwrap();
        let mut recording = Recording::open(&whole).unwrap();
        for (from, to) in [(2 * S, S), (100 * S, 200 * S)] {
            recording.rewind().unwrap();
            let error = cut(&mut recording, LogicalNs(from), LogicalNs(to), &out, &mut ()).unwrap_err();
            assert!(matches!(error, SurgeryError::Refused(_)), "{error}");
            assert!(!out.exists());
        }
        let import = dir.path().join("import.mcap");
        std::fs::write(&import, crate::testing::imported(&walk(3))).unwrap();
        let error = cut(&mut Recording::open(&import).unwrap(), LogicalNs(0), LogicalNs(S), &out, &mut ()).unwrap_err();
        assert!(error.to_string().contains("trace index"), "{error}");
    }
}
