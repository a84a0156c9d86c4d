//! The rows, each a plain function of the log: what was asked, what came out, and whether it holds.
//!
//! | file | what it holds |
//! |---|---|
//! | this | what a row is, and what several of them ask of the log |
//! | `voices` | what speakers say to whom: A1, A5, I7, I8 |
//! | `rooms` | light, display, recorder, and fire over all: A2, A3, A6 |
//! | `engine` | who is taken for whom, and how long anything takes: B1, B3 |

mod engine;
mod rooms;
mod voices;

use super::{Log, Sent};
use osmose_model::command::Trigger;
use osmose_model::device::ActuatorKind;
use osmose_model::ids::{ActuatorId, PersonId, ZoneId};
use osmose_model::site::CELL;
use osmose_model::time::ArrivalNs;

/// One row of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The requirement's name.
    pub(super) id: &'static str,
    /// What is asked, in a few words.
    pub(super) asks: &'static str,
    /// Whether it holds in this morning.
    pub(super) holds: bool,
    /// What came out, in a few words.
    pub(super) found: String,
    /// Each thing that was not as asked, with its time.
    pub(super) notes: Vec<String>,
    /// The engine's share: the steps that decided, microseconds on this machine.
    pub(super) engine_us: Vec<f64>,
    /// The human's: from what truly happened to the device's report, milliseconds.
    pub(super) human_ms: Vec<f64>,
    /// The same for each rule, where the row is about all of them.
    pub(super) rules: Vec<(String, Figures)>,
}

/// What the commands of a rule took.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) engine_us: Vec<f64>,
    pub(super) human_ms: Vec<f64>,
}

/// All rows of a morning.
pub(super) fn all(log: &Log) -> Vec<Row> {
    vec![
        voices::guided(log),
        rooms::lit(log),
        rooms::opened(log),
        voices::told(log),
        rooms::paused(log),
        voices::music(log),
        voices::podcast(log),
        rooms::blanked(log),
        rooms::fire(log),
        engine::named(log),
        engine::quick(log),
    ]
}

/// A span of time.
type Span = (ArrivalNs, ArrivalNs);

fn ms(from: i64, to: ArrivalNs) -> f64 {
    (to.0 - from) as f64 / 1e6
}

/// `from 12.3 to 14.0 s`.
fn during(from: ArrivalNs, to: ArrivalNs) -> String {
    format!("from {:.2} to {:.2} s", from.0 as f64 / 1e9, to.0 as f64 / 1e9)
}

fn name_of(log: &Log, device: ActuatorId) -> &str {
    &log.site.actuators[device.index()].name
}

fn share(part: usize, of: usize) -> String {
    format!("{part} of {of}")
}

fn steps<'a>(sent: impl Iterator<Item = &'a Sent>) -> Vec<f64> {
    sent.map(|s| s.step_us).collect()
}

fn members(log: &Log, group: &str) -> Vec<PersonId> {
    let group = log.site.group_named(group);
    group.map(|g| log.site.groups[g.index()].members.clone()).unwrap_or_default()
}

/// The speaker of a cell.
fn speaker_of(log: &Log, cell: ZoneId) -> Option<ActuatorId> {
    let zone = &log.site.zones[cell.index()];
    let is_its = |a: &&osmose_model::device::Actuator| {
        a.kind == ActuatorKind::Speaker && a.cells.iter().any(|c| format!("{}.{}", a.name, c.name) == zone.name)
    };
    (zone.category == CELL).then(|| log.site.actuators.iter().find(is_its)).flatten().map(|a| a.id)
}

/// Spans joined where they meet or overlap, ascending.
fn union(spans: impl Iterator<Item = Span>) -> Vec<Span> {
    let mut all: Vec<Span> = spans.filter(|s| s.0 < s.1).collect();
    all.sort_unstable();
    let mut joined: Vec<Span> = Vec::new();
    for (from, to) in all {
        match joined.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(to),
            None => joined.push((from, to)),
        }
    }
    joined
}

/// The silences of hand-overs: where somebody stood in cells without a break and heard nothing between two words. Where
/// no cell covers the way there is nothing to hand over to.
fn silences(stood: &[Span], heard: &[Span]) -> Vec<Span> {
    let mut all = Vec::new();
    for &(from, to) in stood {
        let within: Vec<Span> = heard.iter().map(|h| (h.0.max(from), h.1.min(to))).filter(|h| h.0 < h.1).collect();
        all.extend(within.windows(2).map(|pair| (pair[0].1, pair[1].0)).filter(|s| s.0 < s.1));
    }
    all
}

/// From somebody's true crossing into the zone that set a command off, to the device's report of a state.
fn entered_to_report(log: &Log, s: &Sent, state: &str) -> Option<f64> {
    let Trigger::Event { zone: Some(zone), .. } = s.command.cause.trigger else { return None };
    let at = s.command.at.0;
    let near = log.crossings.iter().filter(|c| c.zone == zone && c.entered && (c.at.0 - at).abs() < 1_000_000_000);
    let crossing = near.min_by_key(|c| (c.at.0 - at).abs())?;
    log.said(s.command.device, "state", state, at).map(|r| ms(crossing.at.0, r))
}

fn missing(id: &'static str) -> Row {
    Row {
        id,
        asks: "",
        holds: false,
        found: "the site lacks what this row needs".into(),
        notes: vec![],
        engine_us: vec![],
        human_ms: vec![],
        rules: vec![],
    }
}
