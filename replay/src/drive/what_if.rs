//! What would have happened: the recorded commands beside those that other rules or sensors give, and from when on a
//! device's recorded reports say nothing any more.
//!
//! People stay as recorded: who is where is what the sensors said. A device is not: once it would have been told
//! something else than it was, its reports answer commands that were never sent. From that instant on they are left
//! out, and its state comes from its model: what the kind's table says that a command does
//! ([`osmose_model::device::ActuatorKind::outcomes`]), reported as long after the command as the device itself last
//! took. A device that never reported is not made to: its state is its last command anyway.

use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::ids::{ActuatorId, SensorId};
use osmose_model::input::{Input, Report};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most commands kept of either side; beyond, they are counted.
pub const COMMANDS_MAX: usize = 1_000_000;

/// The commands of both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Both {
    /// What was recorded.
    pub recorded: Vec<Command>,
    /// What the replay decided.
    pub replayed: Vec<Command>,
    /// Since when each device would have been told something else.
    pub parted: BTreeMap<ActuatorId, LogicalNs>,
    /// Recorded reports of such devices, left out.
    pub reports_left_out: u64,
    /// Reports that their models gave instead.
    pub reports_modelled: u64,
    /// Commands beyond [`COMMANDS_MAX`].
    pub more: u64,
}

impl Eq for Both {}

impl Both {
    /// From when on differences are a hypothesis: a device's state comes from its model since.
    #[must_use]
    pub fn hypothesis_from(&self) -> Option<LogicalNs> {
        self.parted.values().min().copied()
    }
}

/// How long a device takes to report where it was never seen to.
const LATENCY: DurationNs = DurationNs::from_ms(20);

/// No model answers sooner: rules and models that set each other off for ever must not stand still in time.
const LATENCY_MIN: DurationNs = DurationNs::from_ms(1);

/// How a device was seen to report.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// When it was last told something that it has not answered yet.
    told: Option<LogicalNs>,
    /// How long it took to answer; `None` where it never reported.
    latency: Option<DurationNs>,
}

/// Collects both sides while a replay runs.
#[derive(Debug)]
pub(super) struct WhatIf {
    site: Arc<Site>,
    both: Both,
    from: LogicalNs,
    /// How many of each side are compared already.
    settled: (usize, usize),
    manners: BTreeMap<ActuatorId, Manner>,
    /// What models will have reported, by when and a running number.
    modelled: BTreeMap<(LogicalNs, u64), Report>,
}

impl WhatIf {
    pub(super) fn new(site: Arc<Site>, from: LogicalNs) -> Self {
        let (manners, modelled) = (BTreeMap::new(), BTreeMap::new());
        Self { site, both: Both::default(), from, settled: (0, 0), manners, modelled }
    }

    pub(super) fn recorded(&mut self, command: &Command) {
        let manner = self.manners.entry(command.device).or_insert(Manner { told: None, latency: None });
        manner.told.get_or_insert(command.at);
        keep(&mut self.both.recorded, command, &mut self.both.more);
    }

    pub(super) fn replayed(&mut self, commands: &[Command]) {
        for command in commands {
            keep(&mut self.both.replayed, command, &mut self.both.more);
            if self.both.parted.contains_key(&command.device) {
                self.model(command);
            }
        }
    }

    /// What a device on its own makes of a command, to be reported when it would have been.
    fn model(&mut self, command: &Command) {
        let Some(latency) = self.manners.get(&command.device).and_then(|m| m.latency) else { return };
        let Some(actuator) = self.site.actuators.get(command.device.index()) else { return };
        let due = command.at.plus(latency);
        actuator.kind.outcomes(command.verb, &command.args, |property, value| {
            let report = Report { actuator: command.device, property, value, source_seq: None };
            self.modelled.insert((due, self.both.reports_modelled), report);
            self.both.reports_modelled += 1;
        });
    }

    /// When the next report of a model is due.
    pub(super) fn due(&self) -> Option<LogicalNs> {
        self.modelled.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes it.
    pub(super) fn next_report(&mut self) -> Option<(LogicalNs, Report)> {
        self.modelled.pop_first().map(|((at, _), report)| (at, report))
    }

    /// All that was decided before `at` is there on both sides: whichever device was told something else is on its
    /// own from then on.
    pub(super) fn settle(&mut self, at: LogicalNs) {
        let pending = |list: &[Command], from: usize| {
            let until = from + list[from..].partition_point(|c| c.at < at);
            (from..until, until)
        };
        let began = self.settled.1;
        let (recorded, a) = pending(&self.both.recorded, self.settled.0);
        let (replayed, b) = pending(&self.both.replayed, self.settled.1);
        self.settled = (a, b);
        let mut left: Vec<&Command> = self.both.replayed[replayed].iter().collect();
        let mut parted: Vec<(ActuatorId, LogicalNs)> = Vec::new();
        for command in &self.both.recorded[recorded] {
            match left.iter().position(|c| says_the_same(c, command) && c.at == command.at) {
                Some(i) => drop(left.swap_remove(i)),
                None => parted.push((command.device, command.at)),
            }
        }
        parted.extend(left.iter().map(|c| (c.device, c.at)));
        let mut alone: Vec<ActuatorId> = Vec::new();
        for (device, at) in parted {
            if !self.both.parted.contains_key(&device) {
                alone.push(device);
            }
            let since = self.both.parted.entry(device).or_insert(at);
            *since = at.min(*since);
        }
        // What such a device was told just now is its model's to answer already.
        let told: Vec<Command> =
            self.both.replayed[began..b].iter().filter(|c| alone.contains(&c.device)).cloned().collect();
        told.iter().for_each(|c| self.model(c));
    }

    /// Whether a report of a device answers what it would not have been told; it is counted as left out then.
    pub(super) fn replaces(&mut self, device: ActuatorId, at: LogicalNs) -> bool {
        if self.both.parted.contains_key(&device) {
            self.both.reports_left_out += 1;
            return true;
        }
        let manner = self.manners.entry(device).or_insert(Manner { told: None, latency: None });
        match manner.told.take() {
            Some(told) => manner.latency = Some(at.since(told).max(LATENCY_MIN)),
            None => manner.latency = manner.latency.or(Some(LATENCY)),
        }
        false
    }

    pub(super) fn finish(mut self) -> Both {
        self.settle(LogicalNs(i64::MAX));
        // What lies before the stretch asked for was needed for the state and is not asked about.
        let Self { mut both, from, .. } = self;
        both.recorded.retain(|c| c.at >= from);
        both.replayed.retain(|c| c.at >= from);
        both
    }
}

fn keep(list: &mut Vec<Command>, command: &Command, more: &mut u64) {
    if list.len() < COMMANDS_MAX {
        list.push(command.clone());
    } else {
        *more += 1;
    }
}

/// Whether two commands tell the same device the same.
pub(crate) fn says_the_same(a: &Command, b: &Command) -> bool {
    a.device == b.device && a.verb == b.verb && a.args == b.args
}

/// Inputs of sensors that are to speak later, until they are due.
#[derive(Debug, Default)]
pub(super) struct Delays {
    by: BTreeMap<SensorId, DurationNs>,
    /// Canonical bytes by arrival and running number.
    waiting: BTreeMap<(LogicalNs, u64), Vec<u8>>,
    numbered: u64,
    buffer: Vec<u8>,
}

impl Delays {
    pub(super) fn new(by: Vec<(SensorId, DurationNs)>) -> Self {
        Self { by: by.into_iter().collect(), buffer: vec![0; INPUT_BYTES_MAX], ..Self::default() }
    }

    /// Keeps an input back if its sensor is delayed.
    pub(super) fn keep(&mut self, at: LogicalNs, sensor: SensorId, input: &Input<'_>) -> bool {
        let Some(delay) = self.by.get(&sensor) else { return false };
        if let Ok(n) = canon::encode_input(input, &mut self.buffer) {
            self.numbered += 1;
            self.waiting.insert((at.plus(*delay), self.numbered), self.buffer[..n].to_vec());
        }
        true
    }

    /// When the next input is due.
    pub(super) fn due(&self) -> Option<LogicalNs> {
        self.waiting.first_key_value().map(|((arrival, _), _)| *arrival)
    }

    /// When the last one is.
    pub(super) fn last_due(&self) -> Option<LogicalNs> {
        self.waiting.last_key_value().map(|((arrival, _), _)| *arrival)
    }

    /// Takes it, with its arrival.
    pub(super) fn next_input(&mut self) -> Option<(LogicalNs, Vec<u8>)> {
        self.waiting.pop_first().map(|((arrival, _), bytes)| (arrival, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_delayed_comes_in_the_order_of_its_new_arrival() {
        let slow = DurationNs::from_ms(300);
        let mut delays = Delays::new(vec![(SensorId(1), slow), (SensorId(2), DurationNs::from_ms(100))]);
        assert!(!delays.keep(LogicalNs(0), SensorId(0), &Input::Tick));
        assert!(delays.keep(LogicalNs(0), SensorId(1), &Input::Tick));
        assert!(delays.keep(LogicalNs(50_000_000), SensorId(2), &Input::Tick));
        assert!(delays.keep(LogicalNs(60_000_000), SensorId(1), &Input::Tick));
        assert_eq!(delays.due(), Some(LogicalNs(150_000_000)));
        let times: Vec<i64> = std::iter::from_fn(|| delays.next_input()).map(|d| d.0.0 / 1_000_000).collect();
        assert_eq!(times, [150, 300, 360]);
    }
}
