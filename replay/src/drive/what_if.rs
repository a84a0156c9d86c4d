//! What would have happened: the recorded commands beside those that other rules or sensors give, and from when on a
//! device's recorded reports say nothing any more.
//!
//! People stay as recorded: who is where is what the sensors said. A device is not: once it would have been told
//! something else than it was, its reports answer commands that were never sent. From that instant on they are left
//! out, and its state comes from its model, which is its last command.

use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::ids::{ActuatorId, SensorId};
use osmose_model::input::Input;
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::time::{DurationNs, LogicalNs};
use std::collections::BTreeMap;

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

/// Collects both sides while a replay runs.
#[derive(Debug)]
pub(super) struct WhatIf {
    both: Both,
    from: LogicalNs,
    /// How many of each side are compared already.
    settled: (usize, usize),
}

impl WhatIf {
    pub(super) fn new(from: LogicalNs) -> Self {
        Self { both: Both::default(), from, settled: (0, 0) }
    }

    pub(super) fn recorded(&mut self, command: &Command) {
        keep(&mut self.both.recorded, command, &mut self.both.more);
    }

    pub(super) fn replayed(&mut self, commands: &[Command]) {
        commands.iter().for_each(|c| keep(&mut self.both.replayed, c, &mut self.both.more));
    }

    /// All that was decided before `at` is there on both sides: whichever device was told something else is on its
    /// own from then on.
    pub(super) fn settle(&mut self, at: LogicalNs) {
        let pending = |list: &[Command], from: usize| {
            let until = from + list[from..].partition_point(|c| c.at < at);
            (from..until, until)
        };
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
        for (device, at) in parted {
            let since = self.both.parted.entry(device).or_insert(at);
            *since = at.min(*since);
        }
    }

    /// Whether a report of a device answers what it would not have been told; it is counted as left out then.
    pub(super) fn replaces(&mut self, device: ActuatorId) -> bool {
        let replaces = self.both.parted.contains_key(&device);
        self.both.reports_left_out += u64::from(replaces);
        replaces
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

    /// The next input that is due by `at`, with its arrival.
    pub(super) fn due(&mut self, at: LogicalNs) -> Option<(LogicalNs, Vec<u8>)> {
        let (arrival, _) = *self.waiting.first_key_value()?.0;
        let bytes = (arrival <= at).then(|| self.waiting.pop_first()).flatten()?.1;
        Some((arrival, bytes))
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
        assert_eq!(delays.due(LogicalNs(149_999_999)), None);
        let times: Vec<i64> =
            std::iter::from_fn(|| delays.due(LogicalNs(i64::MAX))).map(|d| d.0.0 / 1_000_000).collect();
        assert_eq!(times, [150, 300, 360]);
    }
}
