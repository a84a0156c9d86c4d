//! Starting an engine where the last one stopped, however it stopped.
//!
//! The newest whole keyframe is taken back, and the journaled inputs after it are run again with their outputs
//! suppressed: the state is then the one at the last journaled input, timers and holds and numbers included. The
//! runtime then takes in that it was down, the wall clock and changed rules, and sends every held value once.
//!
//! Commands of theirs that never left, because the process was killed between an input's record and the call that hands its
//! commands over, are owed: they go out first, under the ids that they had, unless they are too old by now
//! ([`OWED_MAX`]). Which left the marks beside the journal tell ([`HandedOver`]).
//!
//! Each start clears the part of the journal ring that it is going to write, so that nothing an earlier run left there
//! can be taken for a record of this one, and saves a fresh keyframe.

use crate::drive::{Workshop, WorkshopError};
use crate::state::{JOURNAL_BYTES, Saved, StateFolder, StateTap, site_key};
use crate::wall::{self, WallError};
use crate::words::counted;
use osmose_core::step::encode_growing;
use osmose_core::{Machine, Outbox};
use osmose_drivers::udp::address_of;
use osmose_model::canon;
use osmose_model::command::{Command, CommandId};
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::{Gap, GapReason, Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::{ArrivalNs, DurationNs, UtcNs};
use osmose_model::world::WorldView;
use osmose_runtime::journal::handed::{HandedOver, Left};
use osmose_runtime::journal::mapped::Mapped;
use osmose_runtime::journal::{Kept, Offset, Ring, newest_beyond, scan};
use std::path::{Path, PathBuf};

/// What was decided longer ago than this is not sent after a restart: whoever it was for has gone on.
pub const OWED_MAX: DurationNs = DurationNs::from_s(3);
/// Commands named at most where some were not sent.
const NAMED_MAX: usize = 8;

/// The file of people.
const PEOPLE: &str = "people.toml";

/// Why the engine cannot start on a state folder.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Another engine runs on it.
    #[error("another osmose runs on {0}: stop it first, or give this one another --state")]
    Held(PathBuf),
    /// The folder cannot be used.
    #[error("the state folder {dir} cannot be used: {source}; `--state none` runs without one")]
    Io {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The site's rules do not compile.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// The site's time zone.
    #[error(transparent)]
    Wall(#[from] WallError),
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// The keyframe that was taken back; `None` for a new log.
    pub keyframe: Option<Seq>,
    /// Journaled inputs that were run again.
    pub rerun: u64,
    /// Commands that they decided and that were not sent again.
    pub suppressed: u64,
    /// Commands of theirs that had never left, and are sent now.
    pub owed: u64,
    /// Those that had not left either, and are too old to be sent.
    pub too_old: Vec<CommandId>,
    /// Those that were being handed over when the process was killed: nearly always they are out, and they are not sent
    /// again.
    pub in_doubt: Vec<CommandId>,
    /// The last input before the stop.
    pub last: Tag,
    /// How long nobody ran, by the wall clock.
    pub down: Option<DurationNs>,
    /// Whether the site's rules are others than the ones that ran.
    pub rules_changed: bool,
    /// Journaled inputs that a damage of the journal lost.
    pub lost: u64,
    /// Why a state or a part of the journal that was there could not be taken back, one sentence for each.
    pub refused: Vec<String>,
}

impl Resumed {
    /// For people, one line.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = match self.keyframe {
            None => "a new log".to_owned(),
            Some(seq) => format!(
                "resumed behind input {} at {} s (state of input {seq}, {} run again, {} of theirs not sent again)",
                self.last.seq,
                self.last.at,
                counted(self.rerun, "input"),
                counted(self.suppressed, "command")
            ),
        };
        if self.owed > 0 {
            text += &format!("; {} had not left: sent now", counted(self.owed, "command"));
        }
        for (ids, what) in [
            (&self.too_old, "had not left: too old to be sent"),
            (&self.in_doubt, "in the middle of being handed over: not sent again"),
        ] {
            let named: Vec<String> = ids.iter().take(NAMED_MAX).map(CommandId::to_string).collect();
            if !named.is_empty() {
                let more = if ids.len() > NAMED_MAX { ", ..." } else { "" };
                text += &format!("; {} {what} ({}{more})", counted(ids.len() as u64, "command"), named.join(", "));
            }
        }
        if let Some(down) = self.down {
            text += &format!(", {down} s after the last input");
        }
        if self.rules_changed {
            text += ", with changed rules";
        }
        for why in &self.refused {
            text += &format!("; {why}");
        }
        text
    }
}

/// An engine's machine and what goes with it, ready for the runtime.
pub struct Started<W: Workshop> {
    /// The machine; changed rules are staged in it.
    pub machine: Machine<W::Fuse, W::Decide, W::Arbitrate>,
    /// The journal ring, behind its last record; the marks beside it, and the commands that are owed.
    pub journal: Kept,
    /// Keeps the folder; goes to the runtime's taps.
    pub tap: StateTap,
    /// Canonical inputs that come before any datagram: the gap, the wall clock, the rules.
    pub first: Vec<Vec<u8>>,
    /// What the host's clock is to be based on: past the last input by as long as nobody ran.
    pub base: ArrivalNs,
    /// The state before any of `first`, to begin a recording with.
    pub state: Vec<u8>,
    /// The files that a recording of this run carries: the site's, with the rules that are in force *before* `first`
    /// (changed ones come as an input), so that the recording's first keyframe can be taken back.
    pub files: Vec<SourceFile>,
    /// What was found.
    pub resumed: Resumed,
}

impl<W: Workshop> Started<W> {
    /// Whether every held value is to be sent once.
    #[must_use]
    pub fn resend_held(&self) -> bool {
        self.resumed.keyframe.is_some()
    }
}

/// Both digests of a machine.
fn digests<W: Workshop>(machine: &Machine<W::Fuse, W::Decide, W::Arbitrate>) -> (Digest, Digest) {
    (machine.input_digest(), machine.decision_digest())
}

impl<W: Workshop> Started<W> {
    /// The last input and both digests, to begin a recording with (beside [`Started::state`]).
    #[must_use]
    pub fn head(&self) -> (Tag, (Digest, Digest)) {
        (self.machine.last(), digests::<W>(&self.machine))
    }
}

fn canonical(input: &Input<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let n = encode_growing(input, &mut bytes);
    bytes.truncate(n);
    bytes
}

/// The inputs that begin a new log that keeps no state: the wall clock and the rules in force.
///
/// # Errors
/// [`WallError`] where the site's time zone is none.
pub fn first_inputs<W: Workshop>(workshop: &W, now_utc: UtcNs) -> Result<Vec<Vec<u8>>, WallError> {
    let anchor = wall::anchor(now_utc, &workshop.site().frame.timezone)?;
    Ok(vec![canonical(&Input::Anchor(anchor)), canonical(&Input::RulesInstalled { files: &own_rules(workshop) })])
}

fn own_rules<W: Workshop>(workshop: &W) -> Vec<u8> {
    let files: Vec<SourceFile> = workshop.site().rule_files().cloned().collect();
    canon::encode_files(&files)
}

/// The site's files with the rule files of `in_force` in place of its own, ascending by path.
fn recorded_files<W: Workshop>(workshop: &W, in_force: &[u8]) -> Vec<SourceFile> {
    crate::rulebook::files_in_force(&workshop.site().files, canon::decode_files(in_force).unwrap_or_default())
}

/// The site's own rules, to hold in place of `in_force`; and its people, numbered as they were, and its calendars, where
/// those in force were saved beside the engine.
fn own_after<W: Workshop>(workshop: &W, in_force: &[u8], running: &Site) -> Vec<u8> {
    let site = workshop.site();
    let now = |path: &str| site.files.iter().find(|f| f.path == path).cloned();
    let is_calendar = |path: &str| site.calendar_paths().any(|p| p == path);
    let came_along = canon::decode_files(in_force).unwrap_or_default().into_iter().map(|f| f.path);
    let saved: Vec<SourceFile> = came_along
        .filter(|path| path == PEOPLE || is_calendar(path))
        // Of a calendar that is not there any more, no booking stays.
        .filter_map(|path| now(&path).or_else(|| is_calendar(&path).then(|| no_bookings(path))))
        .collect();
    let mut files: Vec<SourceFile> = site.rule_files().cloned().collect();
    if !saved.is_empty() {
        files.extend(osmose_load::with_saved(running, &saved).0);
    }
    canon::encode_files(&files)
}

fn no_bookings(path: String) -> SourceFile {
    SourceFile { path, text: "BEGIN:VCALENDAR\nEND:VCALENDAR\n".to_owned() }
}

fn compile<W: Workshop>(workshop: &W, files: &[u8]) -> Result<W::Decide, WorkshopError> {
    let files = canon::decode_files(files).map_err(|e| WorkshopError::Rules(e.to_string()))?;
    workshop.rules(&files)
}

/// Starts on a state folder: resumes what it holds, or begins a new log in it.
///
/// # Errors
/// [`ResumeError`]; a state that cannot be taken back is none: a new log begins, and says why.
pub fn start<W: Workshop>(workshop: &W, dir: &Path, now_utc: UtcNs) -> Result<Started<W>, ResumeError> {
    start_with(workshop, dir, now_utc, JOURNAL_BYTES)
}

/// The same with another size of journal ring.
///
/// # Errors
/// As [`start`].
pub fn start_with<W: Workshop>(
    workshop: &W,
    dir: &Path,
    now_utc: UtcNs,
    journal_bytes: u64,
) -> Result<Started<W>, ResumeError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::WouldBlock => ResumeError::Held(dir.to_owned()),
        _ => ResumeError::Io { dir: dir.to_owned(), source },
    };
    let mut folder = StateFolder::open(dir).map_err(io)?;
    let mut mapped = Mapped::open(&folder.journal(), journal_bytes).map_err(io)?;
    let marks = HandedOver::<Mapped>::len_for(workshop.site().actuators.len());
    let mut handed = HandedOver::new(Mapped::open(&folder.handed(), marks).map_err(io)?);
    let mut resumed = Resumed::default();
    let own = own_rules(workshop);
    let taken_back = take_back(workshop, &folder, mapped.as_ref(), &handed, &mut resumed);
    let (mut machine, in_force, unsent, keep_from, head) = match taken_back {
        Some(mut back) => {
            if let Some(newest) = newest_beyond(mapped.as_ref(), back.end).filter(|t| *t > back.machine.last()) {
                resumed.lost = newest.seq.0 - back.machine.last().seq.0;
                resumed.refused.push(format!(
                    "the journal is damaged behind input {}: {}, to input {newest_seq}, lost; numbers go on behind it",
                    back.machine.last().seq,
                    counted(resumed.lost, "input"),
                    newest_seq = newest.seq
                ));
                back.machine.skip_to(newest);
            }
            clear(mapped.as_mut(), back.from, back.end);
            handed.go_on(back.machine.last().seq);
            (back.machine, back.rules, back.unsent, back.from, back.end)
        }
        None => {
            mapped.as_mut().fill(0);
            handed.begin();
            (workshop.machine(compile(workshop, &own)?), own.clone(), Vec::new(), Offset(0), Offset(0))
        }
    };
    let mut state = Vec::new();
    machine.save(&mut state);
    resumed.last = machine.last();

    let mut first = Vec::new();
    let mut base = ArrivalNs(0);
    if resumed.keyframe.is_some() {
        let last = machine.last().at;
        resumed.down = machine.view().wall().map(|w| DurationNs(now_utc.0.saturating_sub(w.utc.0).max(0)));
        // Without a wall clock nobody knows for how long: time goes on right behind the last input.
        base = ArrivalNs(last.plus(resumed.down.unwrap_or_default()).0.saturating_add(1));
        first.push(canonical(&Input::Gap(Gap { from: last, lost: resumed.lost, reason: GapReason::Down })));
    }
    let owed = owed(unsent, base, &mut resumed);
    // Until what is owed has left, the state stays the one from whose journal it can be told once more.
    let keep_from = if owed.is_empty() || resumed.lost > 0 {
        let saved = Saved {
            tag: machine.last(),
            journal: head.0,
            site: site_key(workshop.site()),
            rules: in_force.clone(),
            state: state.clone(),
        };
        folder.save(&saved).map_err(io)?;
        head
    } else {
        keep_from
    };
    first.push(canonical(&Input::Anchor(wall::anchor(now_utc, &workshop.site().frame.timezone)?)));
    let own = if resumed.keyframe.is_some() { own_after(workshop, &in_force, machine.site()) } else { own };
    resumed.rules_changed = resumed.keyframe.is_some() && in_force != own;
    if resumed.keyframe.is_none() || resumed.rules_changed {
        if resumed.rules_changed {
            machine.stage_rules(compile(workshop, &own)?);
        }
        first.push(canonical(&Input::RulesInstalled { files: &own }));
    }
    let files = recorded_files(workshop, &in_force);
    let tap = StateTap::new(folder, workshop.site(), machine.last().seq, in_force);
    let journal = Kept { ring: Ring::going_on(mapped, keep_from, head), handed, owed };
    Ok(Started { machine, journal, tap, first, base, state, files, resumed })
}

/// Of what did not leave, the commands that are sent now; of the others it is told what became of them.
fn owed(unsent: Vec<(Command, Left)>, base: ArrivalNs, resumed: &mut Resumed) -> Vec<Command> {
    let mut owed = Vec::new();
    for (command, left) in unsent {
        let age = DurationNs(base.0.saturating_sub(command.at.0));
        match left {
            Left::InDoubt => resumed.in_doubt.push(command.id),
            // Nobody knows how old it is where there was no wall clock.
            _ if resumed.down.is_none() || age > OWED_MAX => resumed.too_old.push(command.id),
            _ => owed.push(command),
        }
    }
    resumed.owed = owed.len() as u64;
    resumed.suppressed -= resumed.owed;
    owed
}

/// A machine brought back to the last journaled input.
struct Back<W: Workshop> {
    machine: Machine<W::Fuse, W::Decide, W::Arbitrate>,
    rules: Vec<u8>,
    /// Commands that were decided in it and did not leave, or are in doubt.
    unsent: Vec<(Command, Left)>,
    /// The journal's stretch that was run again.
    from: Offset,
    end: Offset,
}

/// Zeroes the ring but for the stretch from `from` to `end`: a torn record, and what other laps left.
fn clear(ring: &mut [u8], from: Offset, end: Offset) {
    let lap = ring.len() / 8 * 8;
    if lap == 0 {
        return;
    }
    let mut left = lap - (end.0.saturating_sub(from.0)).min(lap as u64) as usize;
    let mut at = (end.0 % lap as u64) as usize;
    while left > 0 {
        let n = left.min(lap - at);
        ring[at..at + n].fill(0);
        (at, left) = (0, left - n);
    }
}

/// Takes the newest keyframe back that fits, and runs the journal after it.
fn take_back<W: Workshop>(
    workshop: &W,
    folder: &StateFolder,
    journal: &[u8],
    handed: &HandedOver<Mapped>,
    resumed: &mut Resumed,
) -> Option<Back<W>> {
    let keyframes = folder.keyframes();
    if keyframes.is_empty() && folder.has_files() {
        resumed.refused.push("no keyframe in the state folder is whole: a new log begins".to_owned());
    } else if folder.has_damaged() {
        let why = "a keyframe in the state folder is damaged; what only it covered is lost";
        resumed.refused.push(why.to_owned());
    }
    for saved in keyframes {
        match run_again(workshop, &saved, journal, handed, resumed) {
            Ok(back) => {
                resumed.keyframe = Some(saved.tag.seq);
                return Some(back);
            }
            Err(why) => {
                resumed.refused.push(format!("the state of input {} cannot be taken back: {why}", saved.tag.seq));
            }
        }
    }
    None
}

fn run_again<W: Workshop>(
    workshop: &W,
    saved: &Saved,
    journal: &[u8],
    handed: &HandedOver<Mapped>,
    resumed: &mut Resumed,
) -> Result<Back<W>, String> {
    if saved.site != site_key(workshop.site()) {
        return Err("the site's names changed since (levels, zones, sensors or devices)".to_owned());
    }
    let mut rules = saved.rules.clone();
    let mut machine = workshop.machine(compile(workshop, &rules).map_err(|e| e.to_string())?);
    machine.restore(&saved.state).map_err(|e| e.to_string())?;
    if machine.last() != saved.tag {
        return Err("it is not the state that it says it is".to_owned());
    }
    let (mut scan_buf, mut out) = (ScanBuf::new(), Outbox::new());
    let (mut rerun, mut suppressed, mut unsent) = (0, 0, Vec::new());
    let mut end = saved.offset();
    let is_reached =
        |c: &Command| workshop.site().actuators.get(c.device.index()).is_some_and(|a| address_of(a).is_some());
    for (behind, tag, bytes) in scan(journal, end) {
        let last = machine.last();
        if tag.seq.0 != last.seq.0 + 1 || tag.at < last.at {
            break;
        }
        let Ok(input) = canon::decode_input(bytes, &mut scan_buf) else { break };
        if let Input::RulesInstalled { files } = input
            && files != rules
        {
            machine.stage_rules(compile(workshop, files).map_err(|e| e.to_string())?);
            rules = files.to_vec();
        }
        machine.step(tag, &input, &mut out);
        rerun += 1;
        suppressed += out.commands.len() as u64;
        for command in out.commands.iter().filter(|c| is_reached(c)) {
            match handed.left(command.device, command.id) {
                Left::Yes => {}
                left => unsent.push((command.clone(), left)),
            }
        }
        end = behind;
    }
    (resumed.rerun, resumed.suppressed) = (rerun, suppressed);
    Ok(Back { machine, rules, unsent, from: saved.offset(), end })
}

#[cfg(test)]
mod tests;
