//! When somebody was last surely inside a room in which a recorder stands.
//!
//! A leave is known only some time after it, and who stops on the threshold may have been outside for long when they are
//! told to have left: how fast they walk on says nothing of how long they stood. What is known is when they were last
//! farther from every way out than three standard deviations of their place, or came in. So that instant is kept per
//! person and such room, and a pause reaches back to it. A way out is a door, or a piece of the room's line that no wall
//! stands on. Other rooms cost nothing but a look.

use crate::occupants::Occupants;
use crate::plan::Plan;
use arrayvec::ArrayVec;
use osmose_model::device::ActuatorKind;
use osmose_model::geometry::{Point, Segment};
use osmose_model::ids::{TrackId, ZoneId};
use osmose_model::site::{Site, Zone};
use osmose_model::time::LogicalNs;

/// Recorded rooms of which it is remembered when somebody was surely there; the one longest ago gives way, and then counts
/// as one where they never surely were.
const ROOMS_MAX: usize = 4;
/// The line of a room is looked along in steps of this, metres.
const STEP_M: f64 = 0.1;
/// Most steps along one of its edges; a longer one is looked at in longer steps.
const STEPS_MAX: f64 = 10_000.0;
/// A wall or a door this near to the line of a room stands on it, metres.
const ON_THE_LINE_M: f64 = 0.15;

/// Rooms, and when somebody was last surely there.
pub(crate) type Surely = ArrayVec<(ZoneId, LogicalNs), ROOMS_MAX>;

/// Per zone, the ways out of it where a recorder stands in it.
#[derive(Clone, Debug)]
pub(crate) struct WaysOut(Vec<Option<Box<[Segment]>>>);

impl WaysOut {
    pub(crate) fn new(site: &Site) -> Self {
        let recorded =
            |z: &Zone| site.actuators.iter().any(|a| a.kind == ActuatorKind::Recorder && a.zone == Some(z.id));
        Self(site.zones.iter().map(|z| recorded(z).then(|| ways_out(site, z).into())).collect())
    }

    /// How far a point is from the nearest way out of a zone, metres; `None` where no recorder stands in it.
    fn distance_m(&self, zone: ZoneId, from: Point) -> Option<f64> {
        let ways = self.0.get(zone.index())?.as_ref()?;
        Some(ways.iter().map(|way| way.nearest(from).distance2(from)).fold(f64::INFINITY, f64::min).sqrt())
    }

    fn has(&self, zone: ZoneId) -> bool {
        self.0.get(zone.index()).is_some_and(Option::is_some)
    }
}

/// The pieces of a zone's line through which one can go.
fn ways_out(site: &Site, zone: &Zone) -> Vec<Segment> {
    let walls: Vec<&Segment> = site.walls.iter().filter(|w| w.level == zone.level).flat_map(|w| &w.segments).collect();
    let doors = site.openings.iter().filter(|o| o.level == zone.level).flat_map(|o| &o.segments);
    let doors: Vec<&Segment> = doors.collect();
    let is_on = |lines: &[&Segment], at: Point| lines.iter().any(|s| s.nearest(at).distance(at) < ON_THE_LINE_M);
    let mut ways = Vec::new();
    for edge in zone.area.parts.iter().flat_map(|part| part.segments()) {
        let steps = (edge.a.distance(edge.b) / STEP_M).ceil().clamp(1.0, STEPS_MAX);
        let at = |i: f64| {
            let share = (i / steps).clamp(0.0, 1.0);
            Point::new(edge.a.x_m + share * (edge.b.x_m - edge.a.x_m), edge.a.y_m + share * (edge.b.y_m - edge.a.y_m))
        };
        let is_open = |i: f64| is_on(&doors, at(i)) || !is_on(&walls, at(i));
        let mut from = None;
        let mut i = 0.0;
        while i <= steps {
            match (is_open(i), from) {
                // What lies between two looks counts as open.
                (true, None) => from = Some(i - 1.0),
                (false, Some(first)) => {
                    ways.push(Segment { a: at(first), b: at(i) });
                    from = None;
                }
                _ => {}
            }
            i += 1.0;
        }
        ways.extend(from.map(|first| Segment { a: at(first), b: edge.b }));
    }
    if ways.is_empty() {
        // A plan that draws no way out: it may be anywhere.
        ways.extend(zone.area.parts.iter().flat_map(|part| part.segments()));
    }
    ways
}

/// Notes that somebody who is seen is surely in the recorded rooms that they are in, if they are.
pub(crate) fn note(plan: &Plan, occupants: &mut Occupants, slot: u32, at: LogicalNs) {
    for i in 0..occupants.occupant(slot).zones.len() {
        let who = occupants.occupant(slot);
        let zone = who.zones[i];
        let Some(away_m) = plan.ways_out.distance_m(zone, who.place.at) else { continue };
        // Who is taken to be outside, though not by the margin, is so through a wall if no way out is near.
        let outside_m = plan.outside_m(zone, who.place.level, who.place.at);
        if away_m >= 3.0 * who.spread_m() + outside_m {
            set(occupants.surely_mut(slot), zone, at);
        }
    }
}

/// Somebody came into a zone: from then on they may leave it.
pub(crate) fn came_in(plan: &Plan, occupants: &mut Occupants, slot: u32, zone: ZoneId, at: LogicalNs) {
    if plan.ways_out.has(zone) {
        set(occupants.surely_mut(slot), zone, at);
    }
}

fn set(surely: &mut Surely, zone: ZoneId, at: LogicalNs) {
    match surely.iter_mut().find(|(z, _)| *z == zone) {
        Some((_, last)) => *last = at.max(*last),
        None => {
            if surely.is_full()
                && let Some(oldest) = (0..surely.len()).min_by_key(|&i| (surely[i].1, surely[i].0))
            {
                surely.remove(oldest);
            }
            surely.push((zone, at));
        }
    }
}

/// When somebody was last surely in a zone, or came into it: the log's beginning where they never did, `None` where no
/// recorder stands.
pub(crate) fn last(plan: &Plan, occupants: &Occupants, track: TrackId, zone: ZoneId) -> Option<LogicalNs> {
    if !plan.ways_out.has(zone) {
        return None;
    }
    let slot = occupants.of_track(track)?;
    let noted = occupants.surely(slot).iter().find(|(z, _)| *z == zone);
    Some(noted.map_or(LogicalNs(0), |(_, at)| *at))
}
