//! What the edge says goes into lanes here: encoded once, queued by class. What finds no room is counted by sensor and
//! said in a `Shed` input as soon as there is room for that.

use super::{CLASSES, lane_of};
use crate::lane::LaneTx;
use osmose_core::sequencer::Head;
use osmose_model::canon;
use osmose_model::ids::{CarriedKey, SensorId};
use osmose_model::input::{Class, Input, Report, Shed, ShedReason};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::Observation;
use osmose_model::time::ArrivalNs;
use osmose_sensors::edge::{Sink, SourceKey};

/// Sensors that may have lost something at one time and are told apart.
const FULL_MAX: usize = 1024;

/// The edge's ends of the lanes.
pub(super) struct Lanes {
    lanes: [LaneTx; CLASSES],
    canonical: Vec<u8>,
    numbers: u64,
    /// When the kernel took the datagram whose inputs are pushed.
    pub(super) received: ArrivalNs,
    /// Inputs that did not fit since the last `Shed` that did, by sensor.
    full: Vec<(SensorId, u64)>,
    pub(super) pushed: usize,
    /// Observations taken in, by [`lane_of`].
    pub(super) taken: [u64; CLASSES],
}

impl Lanes {
    pub(super) fn new(lanes: [LaneTx; CLASSES]) -> Self {
        Self {
            lanes,
            canonical: vec![0; INPUT_BYTES_MAX],
            numbers: 0,
            received: ArrivalNs(0),
            full: Vec::with_capacity(FULL_MAX),
            pushed: 0,
            taken: [0; CLASSES],
        }
    }

    fn push(&mut self, arrival: ArrivalNs, class: Class, source: u64, input: &Input<'_>) -> bool {
        let Ok(n) = canon::encode_input(input, &mut self.canonical) else { return false };
        self.numbers += 1;
        let head = Head { arrival, class, source, source_seq: self.numbers };
        let fitted = self.lanes[lane_of(class)].push(head, self.received, &self.canonical[..n]).is_ok();
        self.pushed += usize::from(fitted);
        fitted
    }

    /// Says what did not fit, where there is room for that by now.
    pub(super) fn flush_full(&mut self, arrival: ArrivalNs) {
        while let Some(&(sensor, count)) = self.full.last() {
            let shed = Input::Shed(Shed { sensor, count, reason: ShedReason::Full });
            self.received = arrival;
            if !self.push(arrival, Class::Edge, u64::MAX, &shed) {
                return;
            }
            self.full.pop();
        }
    }

    /// Whether something did not fit and was not said yet.
    pub(super) fn owes(&self) -> bool {
        !self.full.is_empty()
    }
}

impl Sink for Lanes {
    fn named(&mut self, arrival: ArrivalNs, key: CarriedKey, text: &str) {
        // Same instant and a more urgent class than any observation that carries a device, so it goes first.
        self.push(arrival, Class::Edge, 0, &Input::Named { key, text });
    }

    fn observation(&mut self, arrival: ArrivalNs, source: SourceKey, class: Class, observation: &Observation<'_>) {
        if self.push(arrival, class, source.0, &Input::Observation(*observation)) {
            self.taken[lane_of(class)] += 1;
            return;
        }
        match self.full.iter_mut().find(|(s, _)| *s == observation.sensor) {
            Some((_, n)) => *n += 1,
            None => self.full.push((observation.sensor, 1)),
        }
    }

    fn report(&mut self, arrival: ArrivalNs, report: Report) {
        self.push(arrival, Class::Edge, u64::MAX - 1, &Input::Report(report));
    }

    fn shed(&mut self, arrival: ArrivalNs, shed: Shed) {
        self.push(arrival, Class::Edge, u64::MAX, &Input::Shed(shed));
    }
}
