//! What the edge says goes into lanes here, encoded once, by class; and what gives way under overload.
//!
//! | class | when its lane has no room to spare |
//! |---|---|
//! | `safety`, `edge` | the lane has room for thousands; were it full, the loss is counted and said |
//! | `state` | past half of its lane a newer item replaces an older one of the same key, in a table beside it |
//! | `bulk` | whole frames are refused |
//!
//! Whatever is replaced or finds no room is counted by sensor, and enters the log as a `Shed` input.

use super::latest::{Key, Latest, Put, key_of};
use super::{CLASSES, lane_of};
use crate::lane::LaneTx;
use osmose_core::sequencer::Head;
use osmose_model::canon;
use osmose_model::ids::{CarriedKey, SensorId};
use osmose_model::input::{Class, Input, Report, Shed, ShedReason};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::observation::Observation;
use osmose_model::time::{ArrivalNs, DurationNs};
use osmose_sensors::edge::{Sink, SourceKey};

/// Sensors that may have lost something at one time and are told apart.
const OWED_MAX: usize = 1024;
/// What was lost is said at most this often: an input for each loss would be load on top of the overload.
const SAY_EVERY: DurationNs = DurationNs::from_ms(10);
/// Items that wait for a place in the lane of `state`, and the room for each.
const SINGLES: (usize, usize) = (4096, 192);
/// The same for scans; a larger one goes into the lane or is lost.
const SCANS: (usize, usize) = (128, 16 * 1024);

/// Inputs of one sensor that were lost for one reason and are not said yet.
#[derive(Clone, Copy, Debug)]
struct Owed {
    sensor: SensorId,
    reason: ShedReason,
    count: u64,
}

/// The edge's ends of the lanes.
pub(super) struct Lanes {
    lanes: [LaneTx; CLASSES],
    canonical: Vec<u8>,
    numbers: u64,
    /// When the kernel took the datagram whose inputs are pushed.
    pub(super) received: ArrivalNs,
    singles: Latest,
    scans: Latest,
    owed: Vec<Owed>,
    said: ArrivalNs,
    pub(super) pushed: usize,
    /// Observations taken in, by [`lane_of`].
    pub(super) taken: [u64; CLASSES],
    /// Observations that a newer one replaced, and those that found no room.
    pub(super) replaced: u64,
    pub(super) full: u64,
}

impl Lanes {
    pub(super) fn new(lanes: [LaneTx; CLASSES]) -> Self {
        Self {
            lanes,
            canonical: vec![0; INPUT_BYTES_MAX],
            numbers: 0,
            received: ArrivalNs(0),
            singles: Latest::new(SINGLES.0, SINGLES.1),
            scans: Latest::new(SCANS.0, SCANS.1),
            owed: Vec::with_capacity(OWED_MAX),
            said: ArrivalNs(i64::MIN),
            pushed: 0,
            taken: [0; CLASSES],
            replaced: 0,
            full: 0,
        }
    }

    /// Encodes an input to the front of `canonical`; gives what travels with it, and its length.
    fn encode(&mut self, arrival: ArrivalNs, class: Class, source: u64, input: &Input<'_>) -> Option<(Head, usize)> {
        let n = canon::encode_input(input, &mut self.canonical).ok()?;
        self.numbers += 1;
        Some((Head { arrival, class, source, source_seq: self.numbers }, n))
    }

    fn push(&mut self, arrival: ArrivalNs, class: Class, source: u64, input: &Input<'_>) -> bool {
        let Some((head, n)) = self.encode(arrival, class, source, input) else { return false };
        self.push_encoded(head, n)
    }

    fn push_encoded(&mut self, head: Head, n: usize) -> bool {
        let fitted = self.lanes[lane_of(head.class)].push(head, self.received, &self.canonical[..n]).is_ok();
        self.pushed += usize::from(fitted);
        fitted
    }

    /// An observation of which only the latest counts. While others wait beside the lane it waits behind them.
    fn push_latest(&mut self, head: Head, n: usize, (key, is_scan): (Key, bool), sensor: SensorId) -> bool {
        let waiting = !self.singles.is_empty() || !self.scans.is_empty();
        if !waiting && !self.lanes[lane_of(Class::State)].is_over_half() {
            return self.push_encoded(head, n);
        }
        let latest = if is_scan { &mut self.scans } else { &mut self.singles };
        match latest.put(key, head, self.received, &self.canonical[..n]) {
            Put::Stored => true,
            Put::Replaced => {
                self.replaced += 1;
                self.owe(sensor, ShedReason::Replaced);
                true
            }
            Put::NoRoom => self.push_encoded(head, n),
        }
    }

    /// Moves what waits into the lane, oldest first, as far as there is room; then says what was lost. Call it in every
    /// cycle.
    pub(super) fn settle(&mut self, now: ArrivalNs) {
        let Self { lanes, singles, scans, pushed, .. } = self;
        let lane = &mut lanes[lane_of(Class::State)];
        for latest in [scans, singles] {
            while !lane.is_over_half() && latest.offer(|head, received, bytes| lane.push(head, received, bytes).is_ok())
            {
                *pushed += 1;
            }
        }
        if !self.owed.is_empty() && now.since(self.said) >= SAY_EVERY {
            self.said = now;
            self.say(now);
        }
    }

    /// Whether something waits that [`Lanes::settle`] would move or say.
    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty() || !self.singles.is_empty() || !self.scans.is_empty()
    }

    /// Says what was lost, as far as there is room for that.
    pub(super) fn say(&mut self, now: ArrivalNs) {
        while let Some(&Owed { sensor, reason, count }) = self.owed.last() {
            self.received = now;
            if !self.push(now, Class::Edge, u64::MAX, &Input::Shed(Shed { sensor, count, reason })) {
                return;
            }
            self.owed.pop();
        }
    }

    fn owe(&mut self, sensor: SensorId, reason: ShedReason) {
        if let Some(owed) = self.owed.iter_mut().find(|o| (o.sensor, o.reason) == (sensor, reason)) {
            owed.count += 1;
        } else if self.owed.len() < OWED_MAX {
            // There are hardly more sensors than that; were there, the total is in the account all the same.
            self.owed.push(Owed { sensor, reason, count: 1 });
        }
    }
}

impl Sink for Lanes {
    fn named(&mut self, arrival: ArrivalNs, key: CarriedKey, text: &str) {
        // Same instant and a more urgent class than any observation that carries a device, so it goes first.
        self.push(arrival, Class::Edge, 0, &Input::Named { key, text });
    }

    fn observation(&mut self, arrival: ArrivalNs, source: SourceKey, class: Class, observation: &Observation<'_>) {
        let key = key_of(observation).filter(|_| class == Class::State);
        let Some((head, n)) = self.encode(arrival, class, source.0, &Input::Observation(*observation)) else { return };
        let fitted = match key {
            Some(key) => self.push_latest(head, n, key, observation.sensor),
            None => self.push_encoded(head, n),
        };
        if fitted {
            self.taken[lane_of(class)] += 1;
        } else {
            self.full += 1;
            self.owe(observation.sensor, ShedReason::Full);
        }
    }

    fn report(&mut self, arrival: ArrivalNs, report: Report) {
        self.push(arrival, Class::Edge, u64::MAX - 1, &Input::Report(report));
    }

    fn shed(&mut self, arrival: ArrivalNs, shed: Shed) {
        self.push(arrival, Class::Edge, u64::MAX, &Input::Shed(shed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::{LaneRx, lane};
    use osmose_model::geometry::{Place, Point};
    use osmose_model::ids::LevelId;
    use osmose_model::observation::{Body, ScanBuf};
    use osmose_model::time::LogicalNs;
    use std::collections::BTreeMap;

    const ITEMS: usize = 64;

    fn lanes() -> (Lanes, [LaneRx; CLASSES]) {
        let [(a, b), (c, d), (e, f), (g, h)] = std::array::from_fn(|_| lane(ITEMS, 64 * 1024));
        (Lanes::new([a, c, e, g]), [b, d, f, h])
    }

    fn fix(device: &str, n: i64) -> Observation<'static> {
        let place = Place { at: Point::new(n as f64, 0.0), z_m: None, level: LevelId(0) };
        let body = Body::Location { device: CarriedKey::of(device), place, sigma_m: None };
        Observation { sensor: SensorId(3), source_seq: Some(n as u64), measured: LogicalNs(n), body }
    }

    fn say(lanes: &mut Lanes, class: Class, o: &Observation<'_>) {
        lanes.received = ArrivalNs(o.measured.0);
        lanes.observation(ArrivalNs(o.measured.0), SourceKey(1), class, o);
    }

    /// Everything in a lane, as (number, device) of fixes and counts of `Shed` by reason.
    fn drained(rx: &mut LaneRx, sheds: &mut BTreeMap<String, u64>) -> Vec<(u64, CarriedKey)> {
        let (mut bytes, mut scan, mut fixes) = (vec![0; INPUT_BYTES_MAX], ScanBuf::new(), vec![]);
        while let Some(head) = rx.pop(&mut bytes) {
            match canon::decode_input(&bytes[..head.len as usize], &mut scan).expect("canonical") {
                Input::Observation(Observation {
                    source_seq: Some(n), body: Body::Location { device, .. }, ..
                }) => {
                    fixes.push((n, device));
                }
                Input::Shed(shed) => *sheds.entry(format!("{:?}", shed.reason)).or_default() += shed.count,
                other => panic!("{other:?}"),
            }
        }
        fixes
    }

    #[test]
    fn past_half_of_the_lane_the_latest_of_each_device_is_kept_and_every_loss_is_said() {
        let (mut lanes, mut rx) = lanes();
        let (devices, total) = (["a", "b", "c"], 3000);
        for n in 0..total {
            say(&mut lanes, Class::State, &fix(devices[n as usize % 3], n));
        }
        let mut sheds = BTreeMap::new();
        let mut fixes = drained(&mut rx[2], &mut sheds);
        let in_lane = fixes.len() as i64;
        assert!(in_lane > ITEMS as i64 / 2 - 2 && in_lane <= ITEMS as i64 / 2 + 1, "lossless up to a half: {in_lane}");
        assert!(fixes.iter().map(|f| f.0).eq(0..in_lane as u64));
        lanes.settle(ArrivalNs(1_000_000_000));
        fixes = drained(&mut rx[2], &mut sheds);
        assert_eq!(fixes.iter().map(|f| f.0 as i64).collect::<Vec<_>>().iter().min(), Some(&(total - 3)));
        assert_eq!(fixes.len(), 3, "the latest of each: {fixes:?}");
        drained(&mut rx[1], &mut sheds);
        let lost = (total - in_lane - 3) as u64;
        assert_eq!(sheds, BTreeMap::from([("Replaced".to_owned(), lost)]));
        assert_eq!((lanes.replaced, lanes.full, lanes.taken[2]), (lost, 0, total as u64));
        assert!(!lanes.owes());
    }

    #[test]
    fn edge_and_safety_are_never_replaced_and_what_finds_no_room_is_said() {
        let (mut lanes, mut rx) = lanes();
        for n in 0..ITEMS as i64 + 6 {
            say(&mut lanes, Class::Edge, &fix("a", n));
            say(&mut lanes, Class::Safety, &fix("a", n));
        }
        assert_eq!((lanes.replaced, lanes.full), (0, 12));
        let mut sheds = BTreeMap::new();
        assert_eq!(drained(&mut rx[0], &mut sheds).len(), ITEMS);
        assert_eq!(drained(&mut rx[1], &mut sheds).len(), ITEMS);
        lanes.settle(ArrivalNs(1));
        drained(&mut rx[1], &mut sheds);
        assert_eq!(sheds, BTreeMap::from([("Full".to_owned(), 12)]));
    }
}
