//! Conditions on places: distances, facing, approach, sight, crossing.
//!
//! Everything is in the plane of one level; what is on two levels is infinitely far apart and never in sight. The
//! place of who is lost is not known: distances to him are anything.

use super::facts::UNKNOWN;
use super::truth::Truth;
use crate::program::{Cond, PersonRef, SlotRef, Target, Var};
use osmose_model::geometry::{Point, Segment};
use osmose_model::ids::{LevelId, WallId, ZoneId};
use osmose_model::tri::Tri;
use osmose_model::world::{Occupant, Presence};

/// How far back it reaches where it is in doubt who left, or when: beyond any hold-back.
const IN_DOUBT_S: f64 = 30.0;
/// Farther inside than this beyond three standard deviations, somebody has not left.
const SURELY_INSIDE_M: f64 = 0.3;
/// Nobody is taken to leave more slowly than this, nor his place to be better known.
const CREEP_MPS: f64 = 0.4;
const SIGMA_MIN_M: f64 = 0.05;

/// Where something is.
#[derive(Clone, Copy)]
enum Spot {
    At(LevelId, Point),
    /// Somewhere along a wall.
    Along(WallId),
    /// Somewhere in a zone.
    Inside(osmose_model::ids::ZoneId),
    Nowhere,
}

impl Truth<'_> {
    /// A condition on a place.
    #[inline(never)]
    pub(super) fn placed(&mut self, cond: &Cond) -> Tri {
        match cond {
            Cond::Facing { var, target, half_rad } => self.facing(*var, *target, *half_rad),
            Cond::Approaching { var, target, speed_mps } => self.approaching(*var, *target, *speed_mps),
            Cond::Sees(a, b) => self.sees(*a, *b),
            Cond::Crosses { var, wall, slot } => self.crosses(*var, *wall, *slot),
            _ => Tri::Unknown,
        }
    }

    fn of_person(&self, person: PersonRef) -> Option<&Occupant> {
        let track = match person {
            PersonRef::Var(var) => self.bounds[usize::from(var)]?.track,
            other => {
                let (track, p) = self.world.track_of(self.person(other)?)?;
                if p < self.rule.confidence {
                    return None;
                }
                track
            }
        };
        self.world.occupant(track)
    }

    fn spot(&self, target: Target) -> Spot {
        match target {
            Target::Person(person) => match self.of_person(person) {
                Some(o) if o.presence == Presence::Seen => Spot::At(o.place.level, o.place.at),
                _ => Spot::Nowhere,
            },
            Target::Wall(wall) => Spot::Along(wall),
            Target::Zone(zone) => Spot::Inside(zone),
            Target::Device(device) => {
                let device = self.world.site().actuators.get(device.index());
                match device.and_then(|d| d.level.zip(d.pose)) {
                    Some((level, pose)) => Spot::At(level, Point { x_m: pose.x_m, y_m: pose.y_m }),
                    None => Spot::Nowhere,
                }
            }
            Target::Focus => self.focus(),
        }
    }

    /// The middle of the floor area that the guarded device is aimed at, or is told to be aimed at now.
    fn focus(&self) -> Spot {
        let Some((device, args)) = self.guarded else { return Spot::Nowhere };
        let told = args.iter().find(|(name, _)| *name == "cell").map(|(_, value)| *value);
        let cell = told.or_else(|| osmose_model::ids::Name::new("cell").and_then(|p| self.world.device(device, p)));
        let Some(actuator) = self.world.site().actuators.get(device.index()) else { return Spot::Nowhere };
        let named = |value: &osmose_model::command::Value| match value {
            osmose_model::command::Value::Name(name) => actuator.cells.iter().find(|c| *name == c.name.as_str()),
            osmose_model::command::Value::Text(text) => actuator.cells.iter().find(|c| c.name == text.as_str()),
            _ => None,
        };
        let middle = cell.as_ref().and_then(named).and_then(|cell| cell.area.aabb());
        match (middle, actuator.level) {
            (Some(around), Some(level)) => {
                let (x_m, y_m) = ((around.min.x_m + around.max.x_m) / 2.0, (around.min.y_m + around.max.y_m) / 2.0);
                Spot::At(level, Point { x_m, y_m })
            }
            _ => Spot::Nowhere,
        }
    }

    /// The level of something, and its point nearest to `from`.
    fn nearest(&self, spot: Spot, from: Point) -> Option<(LevelId, Point)> {
        let site = self.world.site();
        let closest = |points: &mut dyn Iterator<Item = Point>| {
            points.min_by(|a, b| a.distance2(from).total_cmp(&b.distance2(from)))
        };
        match spot {
            Spot::At(level, at) => Some((level, at)),
            Spot::Along(wall) => {
                let wall = site.walls.get(wall.index())?;
                closest(&mut wall.segments.iter().map(|s| s.nearest(from))).map(|at| (wall.level, at))
            }
            Spot::Inside(zone) => {
                let zone = site.zones.get(zone.index())?;
                if zone.area.contains(from) {
                    return Some((zone.level, from));
                }
                let edges = zone.area.parts.iter().flat_map(|part| part.segments());
                closest(&mut edges.map(|s| s.nearest(from))).map(|at| (zone.level, at))
            }
            Spot::Nowhere => None,
        }
    }

    /// Distance in metres, as an interval.
    #[inline(never)]
    pub(super) fn distance(&self, a: Target, b: Target) -> (f64, f64) {
        let (a, b) = (self.spot(a), self.spot(b));
        // One of the two has a single point; the other's nearest counts.
        let (point, other) = match (a, b) {
            (Spot::At(level, at), other) | (other, Spot::At(level, at)) => ((level, at), other),
            _ => return UNKNOWN,
        };
        match self.nearest(other, point.1) {
            Some((level, at)) if level == point.0 => {
                let distance = at.distance(point.1);
                (distance, distance)
            }
            // On another level it is nowhere near.
            Some(_) => (f64::MAX, f64::MAX),
            None => UNKNOWN,
        }
    }

    pub(super) fn speed(&self, var: Var) -> (f64, f64) {
        match self.of_person(PersonRef::Var(var)) {
            Some(o) if o.presence == Presence::Seen => {
                let [x, y] = o.velocity_mps;
                let speed = (x * x + y * y).sqrt();
                (speed, speed)
            }
            _ => UNKNOWN,
        }
    }

    /// How uncertain a place is, metres.
    pub(super) fn spread(&self, var: Var) -> (f64, f64) {
        match self.of_person(PersonRef::Var(var)) {
            Some(o) if o.presence == Presence::Seen => {
                let sigma_m = o.spread_m();
                (sigma_m, sigma_m)
            }
            _ => UNKNOWN,
        }
    }

    /// How long ago somebody may have crossed the line of a zone outwards, at the longest, seconds. Where a recorder stands
    /// in it: since he was last surely inside, for who stops on the threshold may have been outside for long. Elsewhere the
    /// estimate of when, and three standard deviations. Of who is still taken to be well inside (it is in doubt who is who),
    /// nobody knows better than that it was long ago.
    pub(super) fn left_ago(&self, var: Var, zone: ZoneId) -> (f64, f64) {
        let exactly = |s: f64| (s, s);
        let (Some(who), Some(zone)) = (self.of_person(PersonRef::Var(var)), self.world.site().zones.get(zone.index()))
        else {
            return exactly(IN_DOUBT_S);
        };
        // The way out may lie along the ellipse's longest half-axis.
        let sigma_m = who.spread_m();
        let outside_m = -zone.area.depth(who.place.at);
        let unseen_s = (self.now - who.seen_at.0).max(0) as f64 / 1e9;
        let is_elsewhere = who.place.level != zone.level;
        if is_elsewhere || who.presence == Presence::Seen && outside_m < -3.0 * sigma_m - SURELY_INSIDE_M {
            return exactly(IN_DOUBT_S);
        }
        let unsure = self.unsure_for(var, zone.id);
        if unsure != UNKNOWN {
            return unsure;
        }
        if who.presence == Presence::Lost {
            // At any time since he was seen last, or a step before it.
            return exactly((unseen_s + 3.0 * SIGMA_MIN_M / CREEP_MPS).min(IN_DOUBT_S));
        }
        let [vx, vy] = who.velocity_mps;
        let speed_mps = (vx * vx + vy * vy).sqrt().max(CREEP_MPS);
        let ago_s = unseen_s + (outside_m.max(0.0) + 3.0 * sigma_m.max(SIGMA_MIN_M)) / speed_mps;
        exactly(ago_s.min(IN_DOUBT_S))
    }

    /// For how long nobody can say that somebody is still in a zone, seconds: since he was last surely there. Not known
    /// where no recorder stands in it.
    pub(super) fn unsure_for(&self, var: Var, zone: ZoneId) -> (f64, f64) {
        let who = self.of_person(PersonRef::Var(var));
        match who.and_then(|who| self.world.surely_in(who.track, zone)) {
            Some(at) => {
                let unsure_s = ((self.now - at.0).max(0) as f64 / 1e9).min(IN_DOUBT_S);
                (unsure_s, unsure_s)
            }
            None => UNKNOWN,
        }
    }

    /// Whether somebody looks at something: his heading is within the angle of some direction to it, and it can be
    /// seen from where he is.
    fn facing(&self, var: Var, target: Target, half_rad: f64) -> Tri {
        let Some(who) = self.of_person(PersonRef::Var(var)).filter(|o| o.presence == Presence::Seen) else {
            return Tri::Unknown;
        };
        let Some(heading) = who.heading_rad else { return Tri::Unknown };
        let (from, spot) = (who.place.at, self.spot(target));
        let Some((level, near)) = self.nearest(spot, from) else { return Tri::Unknown };
        if level != who.place.level {
            return Tri::False;
        }
        let (sin, cos) = libm::sincos(heading);
        // The angle between the heading and the direction to a point.
        let off = |at: Point| {
            let (x, y) = (at.x_m - from.x_m, at.y_m - from.y_m);
            libm::atan2(cos * y - sin * x, cos * x + sin * y)
        };
        let looks = match spot {
            Spot::Along(wall) => {
                let segments = self.world.site().walls.get(wall.index()).map_or(&[][..], |w| &w.segments);
                segments.iter().any(|s| {
                    let (a, b) = (off(s.a), off(s.b));
                    // Between the two ends, the short way round: the wall is straight ahead.
                    let ahead = a.min(b) <= 0.0 && a.max(b) >= 0.0 && (a - b).abs() < std::f64::consts::PI;
                    ahead || a.abs() <= half_rad || b.abs() <= half_rad
                })
            }
            _ => off(near).abs() <= half_rad || near.distance2(from) == 0.0,
        };
        if !looks {
            return Tri::False;
        }
        self.clear(who.place.level, from, near, spot)
    }

    /// Whether somebody comes nearer to something, by at least `speed_mps`.
    fn approaching(&self, var: Var, target: Target, speed_mps: f64) -> Tri {
        let Some(who) = self.of_person(PersonRef::Var(var)).filter(|o| o.presence == Presence::Seen) else {
            return Tri::Unknown;
        };
        let from = who.place.at;
        let Some((level, near)) = self.nearest(self.spot(target), from) else { return Tri::Unknown };
        let distance = near.distance(from);
        if level != who.place.level || distance == 0.0 {
            return Tri::False;
        }
        let other = match target {
            Target::Person(person) => self.of_person(person).map_or([0.0; 2], |o| o.velocity_mps),
            _ => [0.0; 2],
        };
        let (x, y) = ((near.x_m - from.x_m) / distance, (near.y_m - from.y_m) / distance);
        let closing = (who.velocity_mps[0] - other[0]) * x + (who.velocity_mps[1] - other[1]) * y;
        Tri::from(closing >= speed_mps)
    }

    /// Whether nothing opaque stands between two.
    fn sees(&self, a: Target, b: Target) -> Tri {
        let (a, b) = (self.spot(a), self.spot(b));
        let ((level, from), other) = match (a, b) {
            (Spot::At(level, at), other) | (other, Spot::At(level, at)) => ((level, at), other),
            _ => return Tri::Unknown,
        };
        match self.nearest(other, from) {
            Some((there, _)) if there != level => Tri::False,
            Some((_, at)) => self.clear(level, from, at, other),
            None => Tri::Unknown,
        }
    }

    /// Whether the line of sight is free of opaque walls, the one looked at aside.
    fn clear(&self, level: LevelId, from: Point, to: Point, seen: Spot) -> Tri {
        let line = Segment { a: from, b: to };
        let itself = match seen {
            Spot::Along(wall) => Some(wall),
            _ => None,
        };
        let blocks = |w: &osmose_model::site::Wall| {
            w.level == level && !w.transparent && Some(w.id) != itself && w.segments.iter().any(|s| s.crosses(line))
        };
        Tri::from(!self.world.site().walls.iter().any(blocks))
    }

    /// Whether the way from where somebody was, when he was last looked at, to where he is leads through a wall.
    fn crosses(&mut self, var: Var, wall: WallId, slot: SlotRef) -> Tri {
        let here = match self.of_person(PersonRef::Var(var)) {
            Some(o) if o.presence == Presence::Seen => Some((o.place.level, o.place.at)),
            _ => None,
        };
        let peeks = self.peeks(slot);
        let now = self.now;
        let Some(memory) = self.slot(slot) else { return Tri::False };
        if peeks {
            return Tri::from(memory.gap_from == now);
        }
        let was = (memory.since != super::state::NONE || memory.possible != super::state::NONE)
            .then(|| Point { x_m: from_bits(memory.since), y_m: from_bits(memory.possible) });
        match here {
            Some((_, at)) => (memory.since, memory.possible) = (to_bits(at.x_m), to_bits(at.y_m)),
            None => *memory = super::state::Slot::default(),
        }
        self.keep |= here.is_some();
        let (Some((level, at)), Some(was)) = (here, was) else { return Tri::False };
        let line = Segment { a: was, b: at };
        let of_wall = self.world.site().walls.get(wall.index());
        let through = of_wall.is_some_and(|w| w.level == level && w.segments.iter().any(|s| s.crosses(line)));
        if through && let Some(memory) = self.slot(slot) {
            memory.gap_from = now;
        }
        Tri::from(through)
    }
}

/// A coordinate in a slot. No building has a coordinate whose bits are those of "no instant" (minus zero).
fn to_bits(metres: f64) -> i64 {
    (metres + 0.0).to_bits().cast_signed()
}

fn from_bits(bits: i64) -> f64 {
    f64::from_bits(bits.cast_unsigned())
}
