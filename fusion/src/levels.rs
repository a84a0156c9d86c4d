//! From level to level: people change it through stairs and lifts only.
//!
//! Each level has a tracker of its own, so somebody who climbs ends as a track below and begins as one above. They are one
//! and the same when the old track was last seen in a zone that connects the two levels, the new one begins in its
//! counterpart above (or over the same floor area where the plan draws none), and the time between fits the climb. Then
//! the occupant goes on: track, identity and events, with another level. A track that begins anywhere else is a newcomer.
//!
//! Where several are on the way they are taken to arrive in the order in which they went; who is who is then any of them
//! as likely as the other, which is said (`swapped`).

use crate::fuse::Fusion;
use crate::occupants::Origin;
use crate::sink::Sink;
use arrayvec::ArrayVec;
use osmose_model::geometry::{Aabb, Area, Place};
use osmose_model::ids::{LevelId, SensorId};
use osmose_model::site::{Site, Zone};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{EventKind, Stimulus};

/// How far outside of the stairs a track may end or begin, metres.
const MARGIN_M: f64 = 1.0;
/// How far a place may have been predicted on since it was last seen, metres.
const COASTED_M: f64 = 4.0;
/// A counterpart on the other level has its middle at most so far off, metres.
const COUNTERPART_M: f64 = 12.0;
/// Who was seen below this lately is not on the way.
const GONE_FOR: DurationNs = DurationNs::from_ms(500);
/// How long people are on the way at most: this long, and longer by the height at that speed.
const STAIRS_S: f64 = 15.0;
const STAIRS_MPS: f64 = 0.15;
const LIFT_S: f64 = 90.0;
const LIFT_MPS: f64 = 0.3;
/// Most people on one way at once whose identities are told apart.
const ON_THE_WAY_MAX: usize = 8;

/// From a zone of one level to a floor area of another.
#[derive(Clone, Debug)]
struct Way {
    from: (LevelId, Area),
    to: (LevelId, Area),
    /// The longest that it takes.
    within: DurationNs,
}

/// Every way between levels, both directions each.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    ways: Vec<Way>,
}

fn middle(zone: &Zone) -> Option<[f64; 2]> {
    zone.area.aabb().map(|b| [0.5 * (b.min.x_m + b.max.x_m), 0.5 * (b.min.y_m + b.max.y_m)])
}

fn apart2_m2(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1])
}

/// A zone's counterpart on another level: the nearest of those that connect back.
fn counterpart<'a>(site: &'a Site, zone: &Zone, level: LevelId) -> Option<&'a Zone> {
    let at = middle(zone)?;
    let there = site.zones.iter().filter(|z| z.level == level && z.connects.contains(&zone.level));
    let near = there.filter_map(|z| middle(z).map(|m| (apart2_m2(at, m), z)));
    let nearest = near.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.id.cmp(&b.1.id)));
    nearest.filter(|(d2, _)| *d2 <= COUNTERPART_M * COUNTERPART_M).map(|(_, z)| z)
}

/// The longest that people are on the way between two levels through a zone.
fn within(site: &Site, zone: &Zone, to: LevelId) -> DurationNs {
    let height = |l: LevelId| site.levels.get(l.index()).map_or(0.0, |l| l.elevation_m);
    let rise_m = (height(to) - height(zone.level)).abs();
    let stem = zone.category.split('.').next().unwrap_or_default();
    let lift = matches!(stem, "elevator" | "lift");
    let s = if lift { LIFT_S + rise_m / LIFT_MPS } else { STAIRS_S + rise_m / STAIRS_MPS };
    DurationNs::from_s_f64(s).unwrap_or(DurationNs::from_s(600))
}

impl Ways {
    /// The ways of a site: each zone that connects levels, to each of them.
    pub(crate) fn new(site: &Site) -> Self {
        let mut ways = Vec::new();
        for zone in &site.zones {
            for &level in zone.connects.iter().filter(|l| **l != zone.level) {
                let there = counterpart(site, zone, level);
                let area = there.map_or(&zone.area, |z| &z.area).clone();
                let within = within(site, zone, level);
                let (here, there_is) = ((zone.level, zone.area.clone()), (level, area));
                if there.is_none() {
                    // Nothing is drawn on the other level: the way back leads from the same floor area.
                    ways.push(Way { from: there_is.clone(), to: here.clone(), within });
                }
                ways.push(Way { from: here, to: there_is, within });
            }
        }
        Self { ways }
    }

    /// Whether a place is where people may go to another level.
    pub(crate) fn leave_from(&self, place: Place) -> bool {
        self.ways.iter().any(|w| w.from.0 == place.level && w.from.1.depth(place.at) >= -MARGIN_M)
    }
}

impl Fusion {
    /// Whether an occupant was last seen where people go to another level.
    pub(crate) fn is_on_the_way(&self, slot: u32) -> bool {
        self.ways.leave_from(self.occupants.slot(slot).seen_place)
    }

    /// Who may have come by a way: ascending by when they were last seen on the other level, then by track.
    fn on_the_way(&self, way: &Way, began: LogicalNs, found: &mut ArrayVec<(LogicalNs, u32), ON_THE_WAY_MAX>) {
        let (level, area) = &way.from;
        let Some(round) = area.aabb() else { return };
        self.occupants.index.for_each_meeting(*level, Aabb::grown(round, MARGIN_M + COASTED_M), |slot| {
            let entry = self.occupants.slot(slot);
            let (Some((seen, _)), Some((on, _))) = (entry.tracked_at, entry.origin.tracked()) else { return };
            let away = began.since(seen);
            let fits = entry.confirmed
                && !entry.is_joined()
                && on == *level
                && entry.seen_place.level == *level
                && area.depth(entry.seen_place.at) >= -MARGIN_M
                && away >= GONE_FOR
                && away <= way.within;
            if !fits || found.iter().any(|&(_, s)| s == slot) {
                return;
            }
            let track = entry.occupant.track;
            let rank = found.partition_point(|&(at, s)| (at, self.occupants.occupant(s).track) < (seen, track));
            if found.is_full() && rank < ON_THE_WAY_MAX {
                found.pop();
            }
            let _ = found.try_insert(rank.min(found.len()), (seen, slot));
        });
    }

    /// A track was proved to be somebody: where it came by stairs or lift, it is whoever went there. True where it is.
    pub(crate) fn has_climbed(&mut self, slot: u32, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) -> bool {
        let entry = self.occupants.slot(slot);
        let (place, began, seen) = (entry.occupant.place, entry.first_seen, entry.tracked_at);
        let Some((level, id)) = entry.origin.tracked() else { return false };
        let mut found = ArrayVec::new();
        for way in self.ways.ways.iter().filter(|w| w.to.0 == place.level && w.to.1.depth(place.at) >= -MARGIN_M) {
            self.on_the_way(way, began, &mut found);
        }
        let Some(&(_, who)) = found.first() else { return false };
        let all: ArrayVec<u32, ON_THE_WAY_MAX> = found.iter().map(|&(_, s)| s).collect();
        self.positions.release(level, id);
        self.occupants.remove(slot);
        let entry = self.occupants.slot_mut(who);
        let before = entry.origin.tracked();
        entry.origin = Origin::Tracker { level, id };
        (entry.tracked_at, entry.refuted) = (seen, false);
        if let Some((level, id)) = before {
            self.positions.release(level, id);
        }
        self.positions.assign(level, id, who);
        self.take_place(who, (level, id), from, out);
        self.counts.changed_level += 1;
        if all.len() > 1 {
            self.share_beliefs(&all, from, out);
            let other = self.occupants.occupant(all[1]).track;
            let mut sink = Sink::new(out, &mut self.counts.stimuli_shed, Some(from.0), from.1);
            sink.event(EventKind::Swapped, self.occupants.occupant(who), None, Some(other));
        }
        true
    }
}
