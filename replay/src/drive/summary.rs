//! What a replay found, as data: holes it met, whether the decisions are the recorded ones, and how many of what.

use super::what_if::Both;
use crate::trace::read::{Damage, Ending};
use crate::words::counted;
use osmose_model::digest::Digest;
use osmose_model::ids::Seq;
use osmose_model::input::{Gap, GapReason, Tag};
use std::fmt;

/// A stretch that the trace does not hold. Every one is in the summary; none is crossed silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The last input before it; `None` at the start.
    pub after: Option<Tag>,
    /// The first input behind it; `None` where there is none.
    pub before: Option<Tag>,
    /// Why.
    pub kind: HoleKind,
    /// Inputs behind it that could not be replayed, because the state was not known until the next keyframe.
    pub skipped: u64,
    /// Whether the replay went on behind it.
    pub went_on: bool,
}

/// Why something is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoleKind {
    /// A part of the file is damaged.
    Damage(Damage),
    /// A record is whole by its checksum and yet none that this build reads.
    Record(String),
    /// Numbers are missing between two inputs.
    Skip,
    /// The trace begins in the middle of a log, and no keyframe stands before its first input.
    Beginning,
    /// The engine itself declared it.
    Declared(Gap),
    /// The recorder could not follow the engine: this many records are not in the trace.
    Recorder(u64),
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Some(tag) => write!(f, "after input {} at {} s: ", tag.seq, tag.at)?,
            None => f.write_str("at the start: ")?,
        }
        match &self.kind {
            HoleKind::Damage(d) => write!(f, "{d}")?,
            HoleKind::Record(why) => write!(f, "a record cannot be read ({why})")?,
            HoleKind::Skip => match (self.after, self.before) {
                (Some(a), Some(b)) if b.seq.0 > a.seq.0 => {
                    write!(f, "{} missing", counted(b.seq.0 - a.seq.0 - 1, "input"))?
                }
                _ => f.write_str("the inputs' numbers or times go back")?,
            },
            HoleKind::Beginning => f.write_str("the trace begins inside a log, without a keyframe")?,
            HoleKind::Declared(Gap { from, lost, reason: GapReason::Down }) => {
                write!(f, "the engine was down from {from} s on ({} known to be lost)", counted(*lost, "input"))?;
            }
            HoleKind::Declared(Gap { from, lost, reason: GapReason::Journal }) => {
                write!(f, "the journal stalled from {from} s on ({} lost)", counted(*lost, "input"))?;
            }
            HoleKind::Recorder(n) => write!(f, "the recorder was too slow: {} not written", counted(*n, "record"))?,
        }
        if let Some(tag) = self.before {
            write!(f, "; goes on with input {} at {} s", tag.seq, tag.at)?;
        }
        if self.skipped > 0 {
            write!(f, "; {} could not be replayed for want of a keyframe", counted(self.skipped, "input"))?;
        }
        if self.went_on { Ok(()) } else { f.write_str("; the replay ends here") }
    }
}

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// An event.
    Event,
    /// A command, with its cause.
    Command,
    /// The digest of the inputs.
    InputDigest,
    /// The digest of the decisions.
    DecisionDigest,
    /// The whole state at a keyframe.
    Keyframe,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event",
            Self::Command => "command",
            Self::InputDigest => "digest of the inputs",
            Self::DecisionDigest => "digest of the decisions",
            Self::Keyframe => "state at a keyframe",
        })
    }
}

/// The first place where recording and replay part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The input behind which they part.
    pub tag: Tag,
    /// In what.
    pub what: Compared,
    /// The recording's side, readable; `None` where it has nothing there.
    pub recorded: Option<String>,
    /// The replay's side; `None` where it has nothing there.
    pub replayed: Option<String>,
    /// Devices and tracks that stand otherwise behind it, a line each: recorded, replayed.
    pub states: [Vec<String>; 2],
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "first difference behind input {} at {} s, in the {}:", self.tag.seq, self.tag.at, self.what)?;
        writeln!(f, "  recorded: {}", self.recorded.as_deref().unwrap_or("nothing"))?;
        write!(f, "  replayed: {}", self.replayed.as_deref().unwrap_or("nothing"))?;
        if self.states.iter().all(Vec::is_empty) {
            return f.write_str("\n  state: no device and no track stands otherwise by then");
        }
        for (side, lines) in ["recorded", "replayed"].iter().zip(&self.states) {
            for line in lines {
                write!(f, "\n  state {side}: {line}")?;
            }
        }
        Ok(())
    }
}

/// Whether the code decides today as it did then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// Every decision and digest compared is the recorded one.
    Same,
    /// They part.
    Different(Box<Difference>),
    /// They part, and another build or architecture recorded them: that proves nothing.
    NotComparable {
        /// How the builds differ.
        why: String,
        /// Where they part.
        difference: Box<Difference>,
    },
    /// The trace holds no decisions to compare with.
    NothingToVerify,
}

impl Verdict {
    /// Where both sides part, if they do.
    pub(super) fn difference_mut(&mut self) -> Option<&mut Difference> {
        match self {
            Self::Different(difference) | Self::NotComparable { difference, .. } => Some(difference),
            Self::NotAsked | Self::Same | Self::NothingToVerify => None,
        }
    }
}

/// How much was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Events.
    pub events: u64,
    /// Commands.
    pub commands: u64,
    /// Records with both digests.
    pub digests: u64,
    /// Whole states.
    pub keyframes: u64,
}

impl Checked {
    /// Whether anything was.
    #[must_use]
    pub fn any(&self) -> bool {
        self.events + self.commands + self.digests + self.keyframes > 0
    }
}

/// What a replay did and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Inputs of the trace that were stepped.
    pub inputs: u64,
    /// Ticks that were added because the trace has none.
    pub ticks_added: u64,
    /// Observations of inputs stepped by arrival that came later than the site takes, and were shed: a sensor that is
    /// delayed further than that is a sensor removed.
    pub too_late: u64,
    /// Events that came out.
    pub events: u64,
    /// Commands that came out.
    pub commands: u64,
    /// First and last tag stepped.
    pub span: Option<(Tag, Tag)>,
    /// Everything that is missing.
    pub holes: Vec<Hole>,
    /// Holes beyond the first [`HOLES_MAX`], counted only.
    pub holes_more: u64,
    /// How the file ended; not reached where the replay stopped before.
    pub ending: Ending,
    /// Whether it stopped before the end, because it was to or somebody stopped it.
    pub stopped: bool,
    /// Whether the decisions are the recorded ones.
    pub verdict: Verdict,
    /// How much was compared.
    pub checked: Checked,
    /// Both digests at the end: inputs, decisions.
    pub digests: (Digest, Digest),
    /// How the sensors did that were compared with others, a line each.
    pub sensors: Vec<String>,
    /// Keyframe the replay began from, where it did not begin at the start.
    pub began_at: Option<Seq>,
    /// The commands of both sides, where the question was what if.
    pub what_if: Option<Both>,
}

/// Most holes kept one by one.
pub const HOLES_MAX: usize = 1000;

impl Summary {
    /// This stretch, and the one that goes on behind it, as one.
    pub(super) fn followed_by(mut self, next: Self) -> Self {
        let is_parted = matches!(self.verdict, Verdict::Different(_) | Verdict::NotComparable { .. });
        let verdict = match (self.verdict, next.verdict) {
            // The first difference counts, wherever it is.
            (a @ (Verdict::Different(_) | Verdict::NotComparable { .. }), _) => a,
            (_, b @ (Verdict::Different(_) | Verdict::NotComparable { .. })) => b,
            (Verdict::Same, _) | (_, Verdict::Same) => Verdict::Same,
            (a, _) => a,
        };
        let (a, b) = (self.checked, next.checked);
        // Behind the first difference nothing is compared any more.
        let b = if is_parted { Checked::default() } else { b };
        let checked = Checked {
            events: a.events + b.events,
            commands: a.commands + b.commands,
            digests: a.digests + b.digests,
            keyframes: a.keyframes + b.keyframes,
        };
        let room = HOLES_MAX.saturating_sub(self.holes.len());
        let beyond = next.holes.len().saturating_sub(room) as u64;
        self.holes.extend(next.holes.into_iter().take(room));
        let span = [self.span, next.span].into_iter().flatten().reduce(|(first, _), (_, last)| (first, last));
        Self {
            inputs: self.inputs + next.inputs,
            ticks_added: self.ticks_added + next.ticks_added,
            too_late: self.too_late + next.too_late,
            events: self.events + next.events,
            commands: self.commands + next.commands,
            span,
            holes: self.holes,
            holes_more: self.holes_more + next.holes_more + beyond,
            ending: next.ending,
            stopped: next.stopped,
            verdict,
            checked,
            digests: next.digests,
            sensors: next.sensors,
            began_at: self.began_at,
            what_if: next.what_if,
        }
    }

    /// Whether a part of the recording is damaged, so that not all of it was compared. What the engine itself declared
    /// (it was down) and a cut end are no damage.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let damage = |h: &Hole| matches!(h.kind, HoleKind::Damage(_) | HoleKind::Record(_) | HoleKind::Skip);
        self.holes.iter().any(damage)
    }

    /// The exit status of `osmose replay`: 0 done (and the same), 1 a difference or, when asked to verify, a damaged
    /// recording; 4 nothing to verify (or not comparable).
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self.verdict {
            Verdict::Same if self.is_damaged() => 1,
            Verdict::NotAsked | Verdict::Same => 0,
            Verdict::Different(_) => 1,
            Verdict::NothingToVerify | Verdict::NotComparable { .. } => 4,
        }
    }

    /// For people: what was replayed, what is missing, and the verdict. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |s: String| {
            text.push_str(&s);
            text.push('\n');
        };
        match self.span {
            None => line("no input was replayed".to_owned()),
            Some((first, last)) => line(format!(
                "replayed {} ({} added) from {} s to {} s, last input {}: {}, {}",
                counted(self.inputs, "input"),
                counted(self.ticks_added, "tick"),
                first.at,
                last.at,
                last.seq,
                counted(self.events, "event"),
                counted(self.commands, "command")
            )),
        }
        if self.too_late > 0 {
            line(format!(
                "{} came later than `late_max_ms` of site.toml allows and counted for nothing",
                counted(self.too_late, "observation")
            ));
        }
        if let Some(seq) = self.began_at {
            line(format!("began from the keyframe behind input {seq}"));
        }
        self.sensors.iter().for_each(|s| line(s.clone()));
        for hole in &self.holes {
            line(format!("missing {hole}"));
        }
        if self.holes_more > 0 {
            line(format!("missing in {}", counted(self.holes_more, "more place")));
        }
        if let Some(cut) = self.ending.render() {
            line(cut);
        }
        line(format!("input_digest {} decision_digest {}", self.digests.0, self.digests.1));
        let Checked { events, commands, digests, keyframes } = self.checked;
        let compared = [(events, "event"), (commands, "command"), (digests, "digest"), (keyframes, "state")];
        let compared = compared.map(|(n, what)| counted(n, what)).join(", ") + " compared";
        match &self.verdict {
            Verdict::NotAsked => {}
            Verdict::Same if self.is_damaged() => {
                line(format!(
                    "NOT verified as a whole: what is missing above was not compared; the rest is the same ({compared})"
                ));
            }
            Verdict::Same => line(format!("verified: the same, bit for bit ({compared})")),
            Verdict::Different(d) => line(format!("FAILED ({compared})\n{d}")),
            Verdict::NotComparable { why, difference } => {
                line(format!("not comparable: another build recorded this ({why}); {compared}\n{difference}"));
            }
            Verdict::NothingToVerify => line("nothing to verify: the trace holds no decisions".to_owned()),
        }
        text
    }
}
