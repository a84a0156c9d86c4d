//! What the simulated building has said and what has not arrived yet, in the order of arrival.

use osmose_model::geometry::Place;
use osmose_model::ids::SensorId;
use osmose_model::input::{Class, Input, Report};
use osmose_model::observation::{BearingHit, Body, CloudPoint, Detection, Observation};
use osmose_model::time::{ArrivalNs, DurationNs, LogicalNs};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// What an entry holds; scans own their items until they are handed out, and then the room is used again.
#[derive(Clone, Debug)]
enum Item {
    Observation { sensor: SensorId, source_seq: u64, measured: LogicalNs, body: Body<'static> },
    Scan { sensor: SensorId, source_seq: u64, measured: LogicalNs, items: Items },
    Report(Report),
}

/// The items of a scan.
#[derive(Clone, Debug)]
enum Items {
    Detections(Vec<Detection>),
    Cloud(Vec<CloudPoint>),
    Bearings(Vec<BearingHit>),
}

impl Items {
    fn body(&self) -> Body<'_> {
        match self {
            Self::Detections(items) => Body::Position(items),
            Self::Cloud(items) => Body::Points(items),
            Self::Bearings(items) => Body::Bearing(items),
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    arrival: ArrivalNs,
    class: Class,
    source: u64,
    /// The running number of all entries: what one source says keeps its order.
    number: u64,
    item: Item,
}

impl Entry {
    fn key(&self) -> (ArrivalNs, Class, u64, u64) {
        (self.arrival, self.class, self.source, self.number)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    /// The earliest is the greatest: `BinaryHeap` pops the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// What is on its way, ordered as the sequencer orders: by (arrival, class, source), then as it was said.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    heap: BinaryHeap<Entry>,
    number: u64,
    free: Vec<Vec<Detection>>,
}

impl Outbox {
    fn push(&mut self, arrival: ArrivalNs, class: Class, source: u64, item: Item) {
        self.number += 1;
        self.heap.push(Entry { arrival, class, source, number: self.number, item });
    }

    /// Something that a sensor says, other than a scan.
    pub(super) fn observation(&mut self, said: Said, body: Body<'static>) {
        let Said { sensor, source_seq, .. } = said;
        for (arrival, measured) in said.copies() {
            let item = Item::Observation { sensor, source_seq, measured, body };
            self.push(arrival, said.class, sensor_source(sensor), item);
        }
    }

    /// A scan of detections, which may be empty.
    pub(super) fn scan(&mut self, said: Said, places: impl FnOnce(&mut Vec<Detection>)) {
        let mut detections = self.free.pop().unwrap_or_default();
        // Asked for what is lost too: a fault of one sensor changes nothing else of a scene.
        places(&mut detections);
        if said.is_lost {
            detections.clear();
            self.free.push(detections);
            return;
        }
        self.items(said, Items::Detections(detections));
    }

    /// A radar's cloud, which may be empty.
    pub(super) fn cloud(&mut self, said: Said, points: Vec<CloudPoint>) {
        self.items(said, Items::Cloud(points));
    }

    /// A scan of directions, which may be empty.
    pub(super) fn bearings(&mut self, said: Said, hits: Vec<BearingHit>) {
        self.items(said, Items::Bearings(hits));
    }

    fn items(&mut self, said: Said, items: Items) {
        let Said { sensor, source_seq, .. } = said;
        let mut push = |(arrival, measured), items| {
            self.push(arrival, said.class, sensor_source(sensor), Item::Scan { sensor, source_seq, measured, items });
        };
        let mut copies = said.copies();
        let (first, second) = (copies.next(), copies.next());
        if let Some(second) = second {
            push(second, items.clone());
        }
        if let Some(first) = first {
            push(first, items);
        }
    }

    /// What a device says of itself.
    pub(super) fn report(&mut self, arrival: ArrivalNs, report: Report) {
        self.push(arrival, Class::Edge, actuator_source(report.actuator), Item::Report(report));
    }

    /// When the next of it arrives.
    pub(super) fn next_arrival(&self) -> Option<ArrivalNs> {
        self.heap.peek().map(|e| e.arrival)
    }

    /// Hands out what arrives by `until`, in order.
    pub(super) fn deliver(&mut self, until: ArrivalNs, out: &mut impl FnMut(ArrivalNs, u64, Class, Input<'_>)) {
        while self.heap.peek().is_some_and(|e| e.arrival <= until) {
            let Some(Entry { arrival, class, source, item, .. }) = self.heap.pop() else { return };
            let observed = |sensor, source_seq, measured, body| {
                Input::Observation(Observation { sensor, source_seq: Some(source_seq), measured, body })
            };
            match item {
                Item::Observation { sensor, source_seq, measured, body } => {
                    out(arrival, source, class, observed(sensor, source_seq, measured, body));
                }
                Item::Scan { sensor, source_seq, measured, items } => {
                    let body = items.body();
                    let input =
                        Input::Observation(Observation { sensor, source_seq: Some(source_seq), measured, body });
                    out(arrival, source, class, input);
                    if let Items::Detections(mut detections) = items {
                        detections.clear();
                        self.free.push(detections);
                    }
                }
                Item::Report(report) => out(arrival, source, class, Input::Report(report)),
            }
        }
    }
}

/// The head of what a sensor says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) arrival: ArrivalNs,
    pub(super) class: Class,
    pub(super) sensor: SensorId,
    pub(super) source_seq: u64,
    pub(super) measured: LogicalNs,
    /// A fault keeps it from arriving.
    pub(super) is_lost: bool,
    /// A fault makes it arrive a second time, so much later.
    pub(super) again: Option<DurationNs>,
    /// It is timed when it is read: the second copy has a time of its own.
    pub(super) is_timed_by_arrival: bool,
}

impl Said {
    /// When it arrives, and when it says it was true: never, once, or twice.
    fn copies(self) -> impl Iterator<Item = (ArrivalNs, LogicalNs)> {
        let once = (!self.is_lost).then_some((self.arrival, self.measured));
        let again = self.again.filter(|_| !self.is_lost).map(|later| {
            let arrival = self.arrival.plus(later);
            (arrival, if self.is_timed_by_arrival { LogicalNs(arrival.0) } else { self.measured })
        });
        once.into_iter().chain(again)
    }
}

/// A detection at a place, with no accuracy of its own.
pub(super) fn detected(place: Place) -> Detection {
    Detection { place, sigma_m: None }
}

/// The number of a sensor as a source of inputs.
pub(super) fn sensor_source(sensor: SensorId) -> u64 {
    u64::from(sensor.0)
}

/// The number of an actuator as a source of inputs: behind all sensors.
pub(super) fn actuator_source(actuator: osmose_model::ids::ActuatorId) -> u64 {
    (1 << 32) | u64::from(actuator.0)
}
