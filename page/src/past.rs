//! What a recording says was decided, read once before it is played.

use crate::chronicle::Chronicle;
use crate::note::Note;
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use osmose_model::time::ArrivalNs;
use osmose_replay::player::{Player, PlayerError};
use osmose_replay::trace::codec::{self, RECORDER_LOST, Record};
use osmose_replay::trace::recording::{Items, Recording};
use osmose_runtime::tap::Timing;
use std::path::Path;
use std::sync::Arc;

/// Events that stories are told from: the newest of the recording.
const REMEMBERED_MAX: usize = 50_000;

/// The hops of a step that sent commands, as a recording names them, in their order.
const HOPS: [&str; 4] = ["kernel to read", "read to step", "step", "step to sent"];

/// What a pass over the decisions found.
pub(crate) struct Decided {
    pub(crate) chronicle: Chronicle,
    pub(crate) digest: Option<String>,
    pub(crate) gaps: (u64, f64),
    pub(crate) lost: u64,
    pub(crate) commands: u64,
}

/// Reads what was decided: events, commands with their times, gaps, and the last digest.
pub(crate) fn read_decisions(path: &Path) -> Result<Decided, PlayerError> {
    let mut recording = Recording::open(path)?;
    let player = Player::open(path)?;
    let book = Arc::new(player.rulebook().clone());
    let chronicle = Chronicle::with_room(player.site().clone(), book, REMEMBERED_MAX);
    let mut all = Decided { chronicle, digest: None, gaps: (0, 0.0), lost: 0, commands: 0 };
    let mut scan = ScanBuf::new();
    let mut waiting: Vec<(Tag, Box<osmose_model::command::Command>)> = Vec::new();
    let (mut tag, mut hops) = (Tag::default(), [0; HOPS.len()]);
    while let Some(item) = recording.next_item()? {
        let osmose_replay::trace::read::Item::Record(raw) = item else { continue };
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        match record {
            Record::Input { tag: next, input } => {
                hand_on(&mut all.chronicle, &mut waiting, std::mem::take(&mut hops));
                tag = next;
                if input.observation().is_none()
                    && let Some(note) = Note::of(&all.chronicle.site, tag, &input)
                {
                    if let Note::Gap(_, gap) = &note {
                        all.gaps = (all.gaps.0 + 1, all.gaps.1 + tag.at.since(gap.from).as_s_f64());
                    }
                    all.chronicle.take(note);
                }
            }
            Record::Event { tag, event } => _ = all.chronicle.take(Note::Event(tag, event)),
            Record::Command(command) => {
                all.commands += 1;
                waiting.push((tag, command));
            }
            Record::Latency(latency) if latency.count == 1 => {
                if let Some(hop) = HOPS.iter().position(|h| *h == latency.hop) {
                    hops[hop] = i64::try_from(latency.max_ns).unwrap_or(0);
                }
            }
            Record::Digest { decision, .. } => all.digest = Some(decision.to_string()),
            Record::Counter(counter) if counter.reason == RECORDER_LOST => all.lost += counter.count,
            _ => {}
        }
    }
    hand_on(&mut all.chronicle, &mut waiting, hops);
    Ok(all)
}

/// Commands of an input, once it is known how long they took: a recording holds the length of each hop and no instants.
fn hand_on(
    chronicle: &mut Chronicle,
    waiting: &mut Vec<(Tag, Box<osmose_model::command::Command>)>,
    hops_ns: [i64; HOPS.len()],
) {
    for (tag, command) in waiting.drain(..) {
        let mut at = ArrivalNs(tag.at.0);
        let received = at;
        let [read, step_start, step_end, sent] = hops_ns.map(|ns| {
            at = ArrivalNs(at.0.saturating_add(ns));
            at
        });
        let timing = (sent > received).then_some(Timing { received, read, step_start, step_end, sent });
        chronicle.take(Note::Command(tag, command, timing));
    }
}
