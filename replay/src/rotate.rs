//! Recordings as site.toml wants them: a folder of files, a new one every so often, old ones gone.
//!
//! A file ends and the next begins at a keyframe of the running engine, so that each can be opened alone: it carries
//! the site's files with the rules in force there, the state that it goes on from, and an instant of the wall clock.
//! What expires is decided by [`expire`], which spares what `osmose trace keep` has marked and
//! the file being written.

use crate::record::Recorder;
use crate::surgery::keep::expire;
use crate::trace::codec::NameOf;
use crate::trace::format::Meta;
use crate::trace::write::{Packing, WriteError};
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::{RecordConfig, SourceFile};
use osmose_model::time::{DurationNs, LogicalNs, UtcNs};
use osmose_model::world::WorldEvent;
use osmose_runtime::clock::utc_now;
use osmose_runtime::tap::{Keyframe, Tap, Timing};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of a GiB.
const GIB: f64 = 1_073_741_824.0;
/// Files that begin in the same second, at most.
const SAME_SECOND_MAX: u32 = 100;

/// Where recordings go, how long each is, and which stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The folder.
    pub dir: PathBuf,
    /// A new file after this long.
    pub rotate: DurationNs,
    /// Files older than this go.
    pub keep_days: u32,
    /// The oldest go until all together have at most this many bytes.
    pub bytes_max: u64,
}

impl Plan {
    /// `[record]` of the site in the folder `site_dir`; `None` where site.toml has none.
    #[must_use]
    pub fn of(config: &RecordConfig, site_dir: &Path) -> Option<Self> {
        let RecordConfig { dir, rotate, keep_days, max_gib } = config;
        (!dir.is_empty()).then(|| Self {
            dir: site_dir.join(dir),
            rotate: *rotate,
            keep_days: *keep_days,
            bytes_max: (max_gib * GIB) as u64,
        })
    }
}

/// Why no recording can go to the folder.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The folder cannot be made or looked through.
    #[error(
        "recordings cannot go to {dir}: {source}; mend `dir` under [record] in site.toml, or run with --record none"
    )]
    Folder {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be begun.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Records a running engine into the files of a folder.
pub struct Rotating {
    plan: Plan,
    meta: Meta,
    /// The site's files, with the rules in force.
    files: Vec<SourceFile>,
    /// Names of the rules that it began with; they stand for nothing once others are installed.
    names: Vec<String>,
    recorder: Recorder<BufWriter<File>>,
    path: PathBuf,
    /// The first tag of the file being written.
    begun: Option<LogicalNs>,
    /// The last anchor of the wall clock.
    wall: Option<(LogicalNs, UtcNs)>,
    scan: ScanBuf,
    refused: bool,
}

impl Rotating {
    /// Begins the first file, and removes what has expired. `meta` and `files` are the head of every file.
    ///
    /// # Errors
    /// [`RotateError`].
    pub fn create(plan: Plan, meta: Meta, files: &[SourceFile], names: Vec<String>) -> Result<Self, RotateError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&plan.dir).map_err(|source| RotateError::Folder { dir: plan.dir.clone(), source })?;
        let (recorder, path) = begin(&plan.dir, &meta, files)?;
        let mut rotating = Self {
            plan,
            meta,
            files: files.to_vec(),
            names,
            recorder,
            path,
            begun: None,
            wall: None,
            scan: ScanBuf::new(),
            refused: false,
        };
        rotating.expire();
        Ok(rotating)
    }

    /// The file being written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state that a resumed log goes on from: the first record of its first file.
    pub fn resumed(&mut self, tag: Tag, state: &[u8], digests: (Digest, Digest)) {
        self.begun = Some(tag.at);
        self.recorder.keyframe(tag, state, digests);
        self.write_names();
    }

    /// Behind the first record of a file: a name bears the time of what stands before it.
    fn write_names(&mut self) {
        for (rule, name) in self.names.iter().enumerate() {
            self.recorder.name(NameOf::Rule, rule as u64, name);
        }
    }

    /// What later files are told by: the rules in force and the wall clock.
    fn note(&mut self, tag: Tag, canonical: &[u8]) {
        match canon::decode_input(canonical, &mut self.scan) {
            Ok(Input::Anchor(anchor)) => self.wall = Some((tag.at, anchor.utc)),
            Ok(Input::RulesInstalled { files }) => {
                let Ok(rules) = canon::decode_files(files) else { return };
                let is_rules = |f: &SourceFile| f.path.starts_with("rules/") && f.path.ends_with(".rules");
                if self.files.iter().filter(|f| is_rules(f)).eq(rules.iter()) {
                    return;
                }
                self.files = crate::rulebook::files_in_force(&self.files, rules);
                self.names.clear();
            }
            _ => {}
        }
    }

    /// Ends the file and begins the next one with a state. Where none can be begun, the old one goes on.
    fn turn(&mut self, keyframe: &Keyframe) -> bool {
        let meta = Meta { wall: self.wall, ..self.meta.clone() };
        match begin(&self.plan.dir, &meta, &self.files) {
            Ok((recorder, path)) => {
                let mut old = std::mem::replace(&mut self.recorder, recorder);
                old.end();
                (self.path, self.begun, self.refused) = (path, Some(keyframe.tag.at), false);
                self.recorder.keyframe(keyframe.tag, &keyframe.state, keyframe.digests);
                self.write_names();
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.refused, true) {
                    tracing::error!(%error, "no new recording can be begun: it is tried again at every keyframe");
                }
                false
            }
        }
    }

    fn expire(&mut self) {
        let Plan { dir, keep_days, bytes_max, .. } = &self.plan;
        match expire(dir, *keep_days, *bytes_max, SystemTime::now(), Some(&self.path)) {
            Ok(removed) => removed.iter().for_each(|p| tracing::info!(path = %p.display(), "expired")),
            Err(error) => tracing::warn!(%error, dir = %dir.display(), "old recordings cannot be removed"),
        }
    }
}

/// Begins a file that is named by the wall clock, so that names sort as times do.
fn begin(dir: &Path, meta: &Meta, files: &[SourceFile]) -> Result<(Recorder<BufWriter<File>>, PathBuf), WriteError> {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(utc_now().0)).unwrap_or_default();
    let stem = stamp.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut result = Err(WriteError::Ended);
    for n in 1..=SAME_SECOND_MAX {
        let path = dir.join(if n == 1 { format!("{stem}.mcap") } else { format!("{stem}_{n:02}.mcap") });
        result = Recorder::create(&path, meta, files, Packing::default()).map(|r| (r, path));
        if !matches!(result, Err(WriteError::Exists(_))) {
            break;
        }
    }
    result
}

impl Tap for Rotating {
    fn input(&mut self, tag: Tag, canonical: &[u8]) {
        let is_first = self.begun.is_none();
        self.begun.get_or_insert(tag.at);
        // Most inputs are observations, which are the first of their kind and so begin with a zero.
        if canonical.first() != Some(&0) {
            self.note(tag, canonical);
        }
        Tap::input(&mut self.recorder, tag, canonical);
        if is_first {
            self.write_names();
        }
    }

    fn event(&mut self, tag: Tag, event: &WorldEvent) {
        self.recorder.event(tag, event);
    }

    fn command(&mut self, _: Tag, command: &Command) {
        self.recorder.command(command);
    }

    fn timing(&mut self, tag: Tag, timing: Timing) {
        self.recorder.timing(tag, &timing);
    }

    fn digest(&mut self, seq: Seq, input: Digest, decision: Digest) {
        self.recorder.digest(seq, input, decision);
    }

    fn wants_keyframes(&self) -> bool {
        true
    }

    fn keyframe(&mut self, keyframe: &Keyframe) -> bool {
        let long = self.begun.is_some_and(|b| keyframe.tag.at.since(b) >= self.plan.rotate);
        // A disk that was full may have room again once something expired.
        self.expire();
        if !(long || self.recorder.failed().is_some()) || !self.turn(keyframe) {
            self.recorder.keyframe(keyframe.tag, &keyframe.state, keyframe.digests);
        }
        false
    }

    fn gap(&mut self, lost_records: u64) {
        self.recorder.lost(lost_records);
    }

    fn idle(&mut self) {
        self.recorder.poll_flush();
    }

    fn finish(&mut self) {
        self.recorder.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{Options, Osmose, Replay, Verdict, Workshop};
    use crate::surgery::keep::keep;
    use crate::testing::{files, walk, workshop};
    use crate::trace::format::Origin;
    use crate::trace::recording::{Items, Recording};
    use osmose_core::{Core, CoreDriver, Fusion, Outbox, Plan as Arbiter, Rules, StepSink};

    /// What the journal thread of an engine shows, with a keyframe every 50 inputs.
    struct Side(Rotating);

    impl StepSink<Fusion, Rules, Arbiter> for Side {
        fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
            Tap::input(&mut self.0, tag, canonical);
        }
        fn decided(&mut self, tag: Tag, _: &Input<'_>, out: &Outbox, machine: &Core) {
            out.events.iter().for_each(|e| self.0.event(tag, e));
            out.commands.iter().for_each(|c| Tap::command(&mut self.0, tag, c));
            let digests = (machine.input_digest(), machine.decision_digest());
            Tap::digest(&mut self.0, tag.seq, digests.0, digests.1);
            if tag.seq.0.is_multiple_of(50) {
                let mut frame = Keyframe { tag, digests, ..Keyframe::default() };
                machine.save(&mut frame.state);
                assert!(!Tap::keyframe(&mut self.0, &frame), "a recording is no state folder");
            }
        }
    }

    fn plan(dir: &Path, bytes_max: u64) -> Plan {
        Plan { dir: dir.join("traces"), rotate: DurationNs::from_s(10), keep_days: 14, bytes_max }
    }

    /// Records a walk of a minute; other rules are installed at 25 s. Gives the files.
    fn recorded(plan: Plan) -> Vec<PathBuf> {
        let dir = plan.dir.clone();
        let meta = Meta::new(Origin::Live, "two rooms");
        let mut sink = Side(Rotating::create(plan, meta, &files(), Vec::new()).unwrap());
        let mut driver = CoreDriver::new(workshop().core().unwrap());
        let mut rules: Vec<_> = files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
        rules.iter_mut().for_each(|f| f.text = f.text.replace("80 %", "60 %"));
        let mut scan = ScanBuf::new();
        let mut installed = false;
        for (arrival, bytes) in walk(60) {
            if arrival.0 > 25_000_000_000 && !installed {
                installed = true;
                driver.machine_mut().stage_rules(workshop().rules(&rules).unwrap());
                driver.feed(arrival, &Input::RulesInstalled { files: &canon::encode_files(&rules) }, &mut sink);
            }
            driver.feed_canonical(arrival, &bytes, &mut scan, &mut sink).unwrap();
        }
        sink.0.finish();
        let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        paths
    }

    fn verified(path: &Path, from: Option<LogicalNs>) -> crate::drive::Summary {
        let recording = Recording::open(path).unwrap();
        let workshop = Osmose::of_files(recording.files()).unwrap();
        let options = Options { verify: true, from, ..Options::default() };
        Replay::new(recording, workshop, options).unwrap().from_keyframe().unwrap().run(&mut ()).unwrap()
    }

    #[test]
    fn a_folder_of_rotated_files_is_one_log_and_each_file_stands_alone() {
        let dir = tempfile::tempdir().unwrap();
        let paths = recorded(plan(dir.path(), u64::MAX));
        assert!(paths.len() >= 5, "{paths:?}");
        let whole = verified(&dir.path().join("traces"), None);
        assert_eq!((&whole.verdict, whole.holes.len()), (&Verdict::Same, 0), "{}", whole.render());
        let mut inputs = 0;
        for path in &paths {
            let part = verified(path, None);
            assert_eq!((&part.verdict, part.holes.len()), (&Verdict::Same, 0), "{}", part.render());
            let clock = Recording::open(path).unwrap().log_clock("UTC").unwrap();
            assert!(clock.tied.is_some(), "each knows the time of day");
            inputs += part.inputs;
        }
        assert_eq!(inputs, whole.inputs, "nothing is in two files, or in none");
        // A keyframe of a later file goes with the rules that are in force there.
        for at_s in [12, 24, 31, 44, 58] {
            let part = verified(&dir.path().join("traces"), Some(LogicalNs(at_s * 1_000_000_000)));
            assert!(part.began_at.is_some(), "from {at_s} s");
            assert_eq!((part.verdict, part.digests), (Verdict::Same, whole.digests), "from {at_s} s");
        }
        // What another run left in the folder before it is not looked at, and a file that is gone is not missed.
        std::fs::write(dir.path().join("traces/20000101T000000Z.mcap"), crate::testing::live(&walk(60), 50)).unwrap();
        assert!(Recording::open(&dir.path().join("traces")).is_err(), "two logs");
        let since = Recording::open_since(&paths[0]).unwrap();
        assert_eq!(since.paths().count(), paths.len());
        let gone = paths[1].with_file_name(format!("{}a", paths[1].file_name().unwrap().to_str().unwrap()));
        assert_eq!(Recording::open_since(&gone).unwrap().paths().count(), paths.len() - 2);
        std::fs::remove_file(dir.path().join("traces/20000101T000000Z.mcap")).unwrap();
        // On several threads it is the same log, too.
        let recording = Recording::open(&dir.path().join("traces")).unwrap();
        let workshop = Osmose::of_files(recording.files()).unwrap();
        let options = Options { verify: true, ..Options::default() };
        let threads = std::num::NonZeroUsize::new(3).unwrap();
        let several = Replay::new(recording, workshop, options).unwrap().run_on(threads, &mut ()).unwrap();
        assert_eq!(several, whole);
    }

    #[test]
    fn a_folder_plays_as_one_log_across_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let paths = recorded(plan(dir.path(), u64::MAX));
        assert!(paths.len() >= 5, "{paths:?}");
        let folder = dir.path().join("traces");
        let mut player = crate::player::Player::open(&folder).unwrap();
        for at_s in [58, 12, 31, 24, 44, 5] {
            let at = LogicalNs(at_s * 1_000_000_000);
            player.seek(at).unwrap();
            let recording = Recording::open(&folder).unwrap();
            let workshop = Osmose::of_files(recording.files()).unwrap();
            let options = Options { to: Some(at), ..Options::default() };
            let straight = Replay::new(recording, workshop, options).unwrap().run(&mut ()).unwrap();
            let shown = (player.machine().input_digest(), player.machine().decision_digest());
            assert_eq!((player.is_known(), shown), (true, straight.digests), "at {at_s} s");
        }
        let (from, to) = player.span();
        player.seek(from).unwrap();
        player.play(1e9);
        while player.speed() > 0.0 {
            player.tick(std::time::Duration::from_secs(1), &mut |_| {}).unwrap();
        }
        assert_eq!(player.now(), to, "it plays through all files");
    }

    #[test]
    fn what_is_too_much_goes_and_what_is_kept_or_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let paths = recorded(plan(dir.path(), u64::MAX));
        keep(&paths[1], None, None, "the late pause").unwrap();
        let kept = std::fs::read(&paths[1]).unwrap();
        let left = recorded(plan(dir.path(), 1));
        let mcap: Vec<_> = left.iter().filter(|p| p.extension().is_some_and(|e| e == "mcap")).collect();
        assert_eq!(mcap.len(), 2, "the kept one and the last: {mcap:?}");
        assert!(mcap.contains(&&paths[1]) && std::fs::read(&paths[1]).unwrap() == kept);
    }

    #[test]
    fn a_site_without_the_table_is_not_recorded() {
        let config = |dir: &str| RecordConfig {
            dir: dir.to_owned(),
            rotate: DurationNs::from_s(3600),
            keep_days: 14,
            max_gib: 0.5,
        };
        assert_eq!(Plan::of(&config(""), Path::new("site")), None);
        let plan = Plan::of(&config("traces"), Path::new("site")).unwrap();
        assert_eq!((plan.dir.as_path(), plan.bytes_max), (Path::new("site/traces"), 1 << 29));
    }
}
