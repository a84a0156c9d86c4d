//! Somebody in the building: what they are about, and how they move.
//!
//! A walker follows its way from corner to corner and keeps clear of others by social forces (Helbing and Molnár, "Social
//! force model for pedestrian dynamics", Phys. Rev. E 51, 1995): the way gives the velocity that is wanted, others push
//! it aside with [`force`], and within [`RELAX_S`] the walker is back to what it wanted. Walls push nobody: ways keep
//! their distance from them, and a step only ever ends in a walkable cell. Who is held up for long squeezes past, as
//! people do, and then looks for another way.

use super::grid::Goer;
use super::grid::Grid;
use super::marks::ZoneSet;
use super::nav::Leg;
use super::path::line_cost;
use super::rng::Rng;
use super::script::{Timed, Where};
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{CarriedKey, LevelId, PersonId};
use osmose_model::time::ArrivalNs;
use std::collections::VecDeque;

/// How near a corner counts as reached, metres, where the way on from there is free: a corner at a door's jamb is walked
/// out to the end.
const CORNER_M: f64 = 0.15;
/// Within which distance others are kept clear of, metres.
pub(super) const ARM_M: f64 = 1.0;
/// How fast somebody pushed aside is back to the velocity that is wanted, s (the relaxation time of Helbing and Molnár).
const RELAX_S: f64 = 0.5;
/// Strength and range of the repulsion: V0 / sigma = 2.1 m²/s² / 0.3 m, and sigma (as above).
const PUSH_MPS2: f64 = 7.0;
const PUSH_RANGE_M: f64 = 0.3;
/// How much of it is felt from right behind (Helbing and Johansson 2009: 0.1).
const FROM_BEHIND: f64 = 0.1;
/// Nobody is pushed to walk faster than so many times as fast as they want to.
const HURRY: f64 = 1.3;
/// Held up for longer, somebody squeezes past, seconds.
const PATIENCE_S: f64 = 1.5;
/// Held up for this long, somebody looks for another way, seconds.
const REPLAN_S: f64 = 4.0;

/// What somebody is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Doing {
    /// Not come yet, or gone.
    Away,
    /// Nothing: the next task begins.
    Idle,
    /// On the way.
    Walk,
    /// On stairs or in a lift until an instant.
    Climb { until: ArrivalNs, to: (LevelId, Point) },
    /// Staying.
    Stay(ArrivalNs),
}

/// Wandering from place to place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wander {
    pub(super) among: Vec<Where>,
    pub(super) until: Option<ArrivalNs>,
    pub(super) stay_s: [f64; 2],
}

/// Somebody.
#[derive(Clone, Debug)]
pub(super) struct Walker {
    pub(super) name: String,
    pub(super) person: Option<PersonId>,
    pub(super) badge: Option<CarriedKey>,
    pub(super) devices: Vec<CarriedKey>,
    pub(super) rng: Rng,
    pub(super) speed_mps: f64,
    pub(super) level: LevelId,
    pub(super) at: Point,
    /// Where they were when the current step began.
    pub(super) before: Point,
    pub(super) heading_rad: f64,
    /// The velocity that others have pushed them to, beside what they want, m/s.
    pub(super) aside: (f64, f64),
    pub(super) doing: Doing,
    pub(super) tasks: VecDeque<Timed>,
    pub(super) wander: Option<Wander>,
    /// To vanish on arrival.
    pub(super) is_leaving: bool,
    pub(super) legs: VecDeque<Leg>,
    pub(super) way: Vec<Point>,
    pub(super) corner: usize,
    /// Where they are bound for, kept free from others.
    pub(super) goal: Option<(LevelId, Point)>,
    pub(super) zones: ZoneSet,
    pub(super) held_up_s: f64,
    /// Tired of waiting: passes close by others until there is progress again.
    pub(super) squeezes: bool,
    /// Wandering, and where they were bound for is reached: a stay comes next.
    pub(super) has_arrived: bool,
}

impl Walker {
    /// Somebody who has not come yet.
    pub(super) fn new(name: String, rng: Rng, speed_mps: f64) -> Self {
        Self {
            name,
            person: None,
            badge: None,
            devices: Vec::new(),
            rng,
            speed_mps,
            level: LevelId(0),
            at: Point::default(),
            before: Point::default(),
            heading_rad: 0.0,
            aside: (0.0, 0.0),
            doing: Doing::Away,
            tasks: VecDeque::new(),
            wander: None,
            is_leaving: false,
            legs: VecDeque::new(),
            way: Vec::new(),
            corner: 0,
            goal: None,
            zones: ZoneSet::new(),
            held_up_s: 0.0,
            squeezes: false,
            has_arrived: false,
        }
    }

    /// Whether they are in the building (or on its doorstep).
    pub(super) fn is_here(&self) -> bool {
        self.doing != Doing::Away
    }

    /// Whether they moved in the current step.
    pub(super) fn has_moved(&self) -> bool {
        self.at != self.before
    }

    /// Where they were when `share` of the current step had passed.
    pub(super) fn along(&self, share: f64) -> Point {
        let lerp = |a: f64, b: f64| a + (b - a) * share;
        Point::new(lerp(self.before.x_m, self.at.x_m), lerp(self.before.y_m, self.at.y_m))
    }

    /// Where they are bound for or stand: what others keep free.
    pub(super) fn holds(&self) -> Option<(LevelId, Point)> {
        self.is_here().then(|| self.goal.unwrap_or((self.level, self.at)))
    }

    /// Where they are, as a place.
    pub(super) fn place(&self, share: f64) -> Place {
        Place { at: self.along(share), z_m: None, level: self.level }
    }

    /// Whether another way should be looked for.
    pub(super) fn is_stuck(&self) -> bool {
        self.held_up_s >= REPLAN_S
    }

    /// Where one step of `dt_s` takes them, others pushing with `force`, m/s²; moves `corner` on. The step ends in a
    /// walkable cell, or is none.
    pub(super) fn step(&mut self, grid: &Grid, force: (f64, f64), dt_s: f64) -> Point {
        let relax = |v: f64, f: f64| v + (f - v / RELAX_S) * dt_s;
        self.aside = (relax(self.aside.0, force.0), relax(self.aside.1, force.1));
        let mut left_m = self.speed_mps * dt_s;
        let mut at = self.at;
        while let Some(&corner) = self.way.get(self.corner) {
            let distance = at.distance(corner);
            let next = self.way.get(self.corner + 1);
            if distance <= left_m {
                (at, left_m) = (corner, left_m - distance);
            } else if !next
                .is_some_and(|&next| distance <= CORNER_M && line_cost(grid, at, next, Goer::Anybody).is_some())
            {
                break;
            }
            self.corner += 1;
            if next.is_none() {
                return self.face_towards(corner);
            }
        }
        let Some(&corner) = self.way.get(self.corner) else { return at };
        let distance = at.distance(corner).max(1e-9);
        let (mut vx, mut vy) = ((corner.x_m - at.x_m) / distance, (corner.y_m - at.y_m) / distance);
        self.squeezes = self.held_up_s >= PATIENCE_S || (self.squeezes && self.held_up_s > 0.0);
        if !self.squeezes {
            vx += self.aside.0 / self.speed_mps;
            vy += self.aside.1 / self.speed_mps;
            let speed = (vx * vx + vy * vy).sqrt();
            if speed > HURRY {
                (vx, vy) = (vx * HURRY / speed, vy * HURRY / speed);
            }
        }
        left_m = left_m.min(distance);
        let stepped = |vx: f64, vy: f64| Point::new(at.x_m + vx * left_m, at.y_m + vy * left_m);
        let ways = [(vx, vy), (vx, 0.0), (0.0, vy)];
        let next = ways.into_iter().map(|(vx, vy)| stepped(vx, vy)).find(|&p| grid.is_walkable(p));
        let next = next.unwrap_or(at);
        // Half of the usual pace towards the corner is progress; less, for long, is being held up.
        let gained_m = distance - next.distance(corner);
        if gained_m < 0.5 * left_m {
            self.held_up_s += dt_s;
        } else if self.held_up_s > 0.0 {
            self.held_up_s = (self.held_up_s - dt_s / 2.0).max(0.0);
        }
        at = next;
        self.face_towards(at)
    }

    fn face_towards(&mut self, next: Point) -> Point {
        let (dx, dy) = (next.x_m - self.at.x_m, next.y_m - self.at.y_m);
        if dx * dx + dy * dy > 1e-8 {
            self.heading_rad = libm::atan2(dy, dx);
        }
        next
    }
}

/// How somebody at `at` who goes in the direction `ahead` (of length 1) is pushed by another at `other`, m/s²: falling
/// with distance to nothing at [`ARM_M`], less from behind, and turned 30 degrees to the right so that two who meet
/// head on pass each other.
pub(super) fn force(at: Point, ahead: (f64, f64), other: Point) -> (f64, f64) {
    let (dx, dy) = (at.x_m - other.x_m, at.y_m - other.y_m);
    let d2 = dx * dx + dy * dy;
    if d2 >= ARM_M * ARM_M || d2 <= 0.0 {
        return (0.0, 0.0);
    }
    let d = d2.sqrt();
    let (nx, ny) = (dx / d, dy / d);
    let seen = FROM_BEHIND + (1.0 - FROM_BEHIND) * 0.5 * (1.0 - (ahead.0 * nx + ahead.1 * ny));
    let at_arm = libm::exp(-ARM_M / PUSH_RANGE_M);
    let strength = PUSH_MPS2 * (libm::exp(-d / PUSH_RANGE_M) - at_arm) * seen;
    const COS: f64 = 0.866_025_403_784_438_6;
    const SIN: f64 = 0.5;
    (strength * (nx * COS - ny * SIN), strength * (nx * SIN + ny * COS))
}
