//! Sensors at a line or a point: directed crossings of a door, and badge readers.

use super::outbox::Outbox;
use super::senses::{Moment, Voice};
use super::walker::Walker;
use osmose_model::device::Sensor;
use osmose_model::geometry::{Point, Segment};
use osmose_model::ids::LevelId;
use osmose_model::observation::{Body, Direction};
use osmose_model::site::Site;

/// How far from a crossing sensor its opening may be, metres.
const DOOR_REACH_M: f64 = 1.5;
/// How near to a reader a badge is read, metres.
pub(super) const BADGE_M: f64 = 1.0;
/// How far from a reader a pass ends: nearer, the same badge is not read again, metres.
const BADGE_AWAY_M: f64 = 2.0;

/// The line of a door, and which side of it is inside.
#[derive(Clone, Debug)]
pub(super) struct Doorway {
    level: LevelId,
    line: Segment,
    /// The sign of the inside (left of the line from `a` to `b` is positive); 1 where neither side is the zone's.
    inside: f64,
}

/// Which side of a line a point is on: twice the signed area of the triangle, m².
fn side(line: Segment, p: Point) -> f64 {
    (line.b.x_m - line.a.x_m) * (p.y_m - line.a.y_m) - (line.b.y_m - line.a.y_m) * (p.x_m - line.a.x_m)
}

impl Doorway {
    /// The opening nearest to a sensor's pose; `None` where none is in reach.
    pub(super) fn of(site: &Site, sensor: &Sensor) -> Option<Self> {
        let pose = Point::new(sensor.pose.x_m, sensor.pose.y_m);
        let doors = site.openings.iter().filter(|o| o.level == sensor.level).flat_map(|o| &o.segments);
        let near = doors.filter(|s| s.a != s.b).map(|s| (s.nearest(pose).distance(pose), *s));
        let (_, line) = near.filter(|&(d, _)| d <= DOOR_REACH_M).min_by(|a, b| a.0.total_cmp(&b.0))?;
        let inside = inside_of(site, sensor, line);
        Some(Self { level: sensor.level, line, inside })
    }

    /// Who crossed the line in a step: the share of the step that had passed, and which way.
    fn crossed(&self, walker: &Walker) -> Option<(f64, Direction)> {
        if !walker.is_here() || walker.level != self.level || !walker.has_moved() {
            return None;
        }
        let (from, to) = (side(self.line, walker.before), side(self.line, walker.at));
        // A half-open test: who stops exactly on the line has not crossed it yet, and does so with the next step.
        if (from > 0.0) == (to > 0.0) {
            return None;
        }
        let share = from / (from - to);
        let p = walker.along(share);
        let (dx, dy) = (self.line.b.x_m - self.line.a.x_m, self.line.b.y_m - self.line.a.y_m);
        let along = ((p.x_m - self.line.a.x_m) * dx + (p.y_m - self.line.a.y_m) * dy) / (dx * dx + dy * dy);
        let direction = if (to > 0.0) == (self.inside > 0.0) { Direction::In } else { Direction::Out };
        (0.0..=1.0).contains(&along).then_some((share, direction))
    }

    /// Whether anybody crossed, and when first.
    pub(super) fn first_crossing(&self, moment: &Moment<'_>) -> Option<f64> {
        let shares = moment.people.walkers.iter().filter_map(|w| self.crossed(w)).map(|(share, _)| share);
        shares.min_by(f64::total_cmp)
    }

    /// Says who crossed, in the order in which they did. A light curtain misses nobody (the kind declares no noise).
    pub(super) fn sense(&mut self, moment: &Moment<'_>, sensor: &Sensor, voice: &mut Voice, out: &mut Outbox) {
        let mut crossings: Vec<(f64, Direction)> =
            moment.people.walkers.iter().filter_map(|w| self.crossed(w)).collect();
        crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (share, direction) in crossings {
            let said = voice.says(sensor, moment.at(share));
            out.observation(said, Body::Crossing { direction });
        }
    }
}

/// The sign of the side of a line that lies in the sensor's first zone; else the side that the sensor looks at.
fn inside_of(site: &Site, sensor: &Sensor, line: Segment) -> f64 {
    let length = line.a.distance(line.b);
    let middle = Point::new((line.a.x_m + line.b.x_m) / 2.0, (line.a.y_m + line.b.y_m) / 2.0);
    // The normal to the left of a -> b.
    let (nx, ny) = ((line.a.y_m - line.b.y_m) / length, (line.b.x_m - line.a.x_m) / length);
    for d in [0.15, 0.3, 0.6] {
        for sign in [1.0, -1.0] {
            let p = Point::new(middle.x_m + sign * d * nx, middle.y_m + sign * d * ny);
            if sensor.zones.first().is_some_and(|z| site.zones[z.index()].area.contains(p)) {
                return sign;
            }
        }
    }
    let (sin, cos) = libm::sincos(sensor.pose.heading_rad);
    if cos * nx + sin * ny >= 0.0 { 1.0 } else { -1.0 }
}

/// A badge reader: who is near, so that one pass is one read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    read: Vec<bool>,
}

impl Reader {
    /// Reads the badge of everybody who comes within [`BADGE_M`] with no wall between, once a pass; with probability
    /// `p_wrong` it says another badge of the site.
    pub(super) fn sense(&mut self, moment: &Moment<'_>, sensor: &Sensor, voice: &mut Voice, out: &mut Outbox) {
        let pose = Point::new(sensor.pose.x_m, sensor.pose.y_m);
        self.read.resize(moment.people.walkers.len(), false);
        for (walker, read) in moment.people.walkers.iter().zip(&mut self.read) {
            let Some(badge) = walker.badge else { continue };
            let is_level = walker.is_here() && walker.level == sensor.level;
            let d2 = walker.at.distance2(pose);
            if !is_level || d2 > BADGE_AWAY_M * BADGE_AWAY_M {
                *read = false;
            } else if !*read && d2 <= BADGE_M * BADGE_M && moment.nav.is_in_reach(sensor.level, walker.at, pose) {
                *read = true;
                let owners = &moment.site.badge_owners;
                let is_wrong = voice.rng.chance(sensor.noise.p_wrong) && !owners.is_empty();
                let badge = if is_wrong { owners[voice.rng.below(owners.len())].0 } else { badge };
                let said = voice.says(sensor, moment.to);
                out.observation(said, Body::Badge { badge });
            }
        }
    }
}
