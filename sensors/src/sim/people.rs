//! Everybody at once: who begins what, who moves where, step by step.
//!
//! A step reads where everybody was when it began and writes where everybody is when it ends, so the order of people
//! in the list decides nothing but who gets a seat that two want in the same step.

use super::nav::{Leg, Nav};
use super::rng::Rng;
use super::script::{Actor, Aim, Task, Where};
use super::walker::{ARM_M, Doing, Walker, Wander, force};
use osmose_model::geometry::Point;
use osmose_model::ids::{LevelId, Name, SensorId};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs};

/// Walking speeds where a script gives none, m/s.
const SPEED_MPS: [f64; 2] = [0.9, 1.5];
/// How far before and behind a door people appear and vanish, metres.
const DOORSTEP_M: f64 = 0.8;
/// How long somebody stands at a badge reader.
const BADGE_STAY: DurationNs = DurationNs::from_ms(400);
/// How deep inside a reader's zone somebody stands who badges there, metres: not on the threshold.
const AT_READER_M: f64 = 0.1;
/// Nearer to others than this nobody stands of their own will, metres.
const ELBOW_M: f64 = 0.45;
/// Most things that one person begins in one step.
const TASKS_PER_STEP_MAX: usize = 16;

/// Something that somebody does to a sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    Gesture(Name),
    Press(Name),
}

/// Everybody.
#[derive(Clone, Debug)]
pub(super) struct People {
    pub(super) walkers: Vec<Walker>,
    /// What was done to sensors in the current step.
    pub(super) acts: Vec<(SensorId, usize, Act)>,
    /// How often somebody wanted to go where no way leads.
    pub(super) no_way: u64,
    /// Who is near whom: (bucket, index), sorted.
    buckets: Vec<(u64, u32)>,
}

/// The edge of a bucket, metres: no less than [`ARM_M`], so that three by three are enough.
const BUCKET_M: f64 = 1.0;
const _: () = assert!(BUCKET_M >= ARM_M);

fn bucket(level: LevelId, ix: i64, iy: i64) -> u64 {
    // Coordinates are within +-1e6 m: 22 bits each.
    const HALF: i64 = 1 << 21;
    (u64::from(level.0) << 44) | (((iy + HALF) as u64) << 22) | (ix + HALF) as u64
}

fn bucket_at(p: Point) -> (i64, i64) {
    ((p.x_m / BUCKET_M).floor() as i64, (p.y_m / BUCKET_M).floor() as i64)
}

impl People {
    /// The people of a script, each with a random stream of their own.
    pub(super) fn new(site: &Site, actors: Vec<Actor>, seed: u64) -> Self {
        let walkers = actors.into_iter().map(|actor| {
            let mut rng = Rng::stream(seed, &format!("person {}", actor.name));
            let by_chance = rng.between(SPEED_MPS[0], SPEED_MPS[1]);
            let mut walker = Walker::new(actor.name, rng, actor.speed_mps.unwrap_or(by_chance));
            walker.person = actor.person;
            if let Some(person) = actor.person.map(|p| &site.people[p.index()]) {
                walker.badge = person.badges.first().copied();
                walker.devices.clone_from(&person.devices);
            }
            walker.tasks = actor.does.into();
            walker
        });
        Self { walkers: walkers.collect(), acts: Vec::new(), no_way: 0, buckets: Vec::new() }
    }

    /// One step, from `from` to `to`.
    pub(super) fn step(&mut self, site: &Site, nav: &mut Nav, from: ArrivalNs, to: ArrivalNs) {
        self.acts.clear();
        for i in 0..self.walkers.len() {
            self.walkers[i].before = self.walkers[i].at;
            self.decide(site, nav, i, from);
        }
        self.fill_buckets();
        let dt_s = to.since(from).as_s_f64();
        for i in 0..self.walkers.len() {
            if self.walkers[i].doing == Doing::Walk {
                let force = self.force_on(i);
                let walker = &mut self.walkers[i];
                walker.at = walker.step(nav.grid(walker.level), force, dt_s);
            } else {
                self.walkers[i].aside = (0.0, 0.0);
            }
        }
    }

    fn fill_buckets(&mut self) {
        self.buckets.clear();
        let here = self.walkers.iter().enumerate().filter(|(_, w)| w.is_here());
        self.buckets.extend(here.map(|(i, w)| {
            let (ix, iy) = bucket_at(w.before);
            (bucket(w.level, ix, iy), i as u32)
        }));
        self.buckets.sort_unstable();
    }

    /// How the others push somebody aside, m/s².
    fn force_on(&self, i: usize) -> (f64, f64) {
        let me = &self.walkers[i];
        let (sin, cos) = libm::sincos(me.heading_rad);
        let (ix, iy) = bucket_at(me.before);
        let mut sum = (0.0, 0.0);
        for row in iy - 1..=iy + 1 {
            let (first, last) = (bucket(me.level, ix - 1, row), bucket(me.level, ix + 1, row));
            let start = self.buckets.partition_point(|&(b, _)| b < first);
            for &(_, j) in self.buckets[start..].iter().take_while(|&&(b, _)| b <= last) {
                if j as usize != i {
                    let (x, y) = force(me.before, (cos, sin), self.walkers[j as usize].before);
                    sum = (sum.0 + x, sum.1 + y);
                }
            }
        }
        sum
    }

    /// Begins whatever is to be begun at `now`.
    fn decide(&mut self, site: &Site, nav: &mut Nav, i: usize, now: ArrivalNs) {
        for _ in 0..TASKS_PER_STEP_MAX {
            let walker = &mut self.walkers[i];
            let is_called = walker.tasks.front().is_some_and(|t| t.not_before.0 > 0 && t.not_before <= now);
            if walker.wander.is_some() && is_called && !matches!(walker.doing, Doing::Climb { .. }) {
                walker.wander = None;
                walker.doing = Doing::Idle;
            }
            match walker.doing {
                Doing::Walk if walker.corner >= walker.way.len() => self.next_leg(nav, i, now),
                Doing::Walk if walker.is_stuck() => self.look_again(nav, i),
                Doing::Climb { until, to } if until <= now => {
                    (walker.level, walker.at, walker.before) = (to.0, to.1, to.1);
                    self.next_leg(nav, i, now);
                }
                Doing::Stay(until) if until <= now => {
                    walker.doing = Doing::Idle;
                }
                Doing::Idle if walker.wander.is_some() => self.wander(site, nav, i, now),
                Doing::Idle | Doing::Away => {
                    if walker.tasks.front().is_none_or(|t| t.not_before > now) {
                        return;
                    }
                    if let Some(timed) = walker.tasks.pop_front() {
                        self.begin(site, nav, i, now, timed.task);
                    }
                }
                Doing::Walk | Doing::Climb { .. } | Doing::Stay(_) => return,
            }
        }
    }

    fn begin(&mut self, site: &Site, nav: &mut Nav, i: usize, now: ArrivalNs, task: Task) {
        match task {
            Task::Start(to) => {
                if let Some((level, at)) = self.place(site, nav, i, to, None, 0.0) {
                    self.appear(i, level, at);
                }
            }
            Task::Enter(opening) => {
                if let Some((level, outside, inside)) = nav.sides(site, opening, DOORSTEP_M) {
                    self.appear(i, level, outside);
                    self.go(nav, i, (level, inside));
                }
            }
            Task::Go(to) => {
                let from = Some((self.walkers[i].level, self.walkers[i].at));
                match self.place(site, nav, i, to, from, 0.0) {
                    Some(goal) => self.go(nav, i, goal),
                    None => self.no_way += 1,
                }
            }
            Task::Badge(sensor) => self.go_to_reader(site, nav, i, sensor),
            Task::Stay(lasting) => self.walkers[i].doing = Doing::Stay(now.plus(lasting)),
            Task::Wander { among, lasting, stay_s } => {
                let walker = &mut self.walkers[i];
                walker.wander = Some(Wander { among, until: lasting.map(|d| now.plus(d)), stay_s });
                walker.has_arrived = false;
            }
            Task::Face(aim, lasting) => {
                let walker = &mut self.walkers[i];
                walker.doing = Doing::Stay(now.plus(lasting));
                let to = aimed_at(site, aim, walker.at);
                walker.heading_rad = libm::atan2(to.y_m - walker.at.y_m, to.x_m - walker.at.x_m);
            }
            Task::Gesture(sensor, gesture) => self.acts.push((sensor, i, Act::Gesture(gesture))),
            Task::Press(sensor, button) => self.acts.push((sensor, i, Act::Press(button))),
            Task::Leave(opening) => {
                if let Some((level, outside, _)) = nav.sides(site, opening, DOORSTEP_M) {
                    self.go(nav, i, (level, outside));
                    self.walkers[i].is_leaving = self.walkers[i].doing == Doing::Walk;
                }
            }
        }
    }

    /// Goes to a reader, and stands there for a moment before the next task.
    fn go_to_reader(&mut self, site: &Site, nav: &mut Nav, i: usize, sensor: SensorId) {
        let reader = &site.sensors[sensor.index()];
        let (pose, walker) = (Point::new(reader.pose.x_m, reader.pose.y_m), &self.walkers[i]);
        let zones = || reader.zones.iter().map(|z| &site.zones[z.index()].area);
        let meant = |p: Point| reader.zones.is_empty() || zones().any(|area| area.depth(p) >= AT_READER_M);
        let found = nav.place_at(reader.level, pose, walker.at, &|level, f| self.each_other(i, level, f), &meant);
        let Some(at) = found.filter(|_| walker.level == reader.level) else {
            self.no_way += 1;
            return;
        };
        self.go(nav, i, (reader.level, at));
        let stay = super::script::Timed { not_before: ArrivalNs::default(), task: Task::Stay(BADGE_STAY) };
        self.walkers[i].tasks.push_front(stay);
    }

    fn wander(&mut self, site: &Site, nav: &mut Nav, i: usize, now: ArrivalNs) {
        let walker = &mut self.walkers[i];
        let Some(wander) = &walker.wander else { return };
        if wander.until.is_some_and(|until| until <= now) {
            walker.wander = None;
            return;
        }
        if walker.has_arrived {
            walker.has_arrived = false;
            let stay_s = walker.rng.between(wander.stay_s[0], wander.stay_s[1]);
            walker.doing = Doing::Stay(now.plus(DurationNs::from_s_f64(stay_s).unwrap_or_default()));
            return;
        }
        let to = wander.among[walker.rng.below(wander.among.len())];
        walker.has_arrived = true;
        let from = Some((walker.level, walker.at));
        // Whoever only wanders does not squeeze into a full room: they stay where they are for another while.
        if let Some(goal) = self.place(site, nav, i, to, from, ELBOW_M) {
            self.go(nav, i, goal);
        }
    }

    fn appear(&mut self, i: usize, level: LevelId, at: Point) {
        let walker = &mut self.walkers[i];
        (walker.level, walker.at, walker.before, walker.doing) = (level, at, at, Doing::Idle);
    }

    /// Calls `f` with every place on a level that somebody else stands at or is bound for.
    fn each_other(&self, i: usize, level: LevelId, f: &mut dyn FnMut(Point)) {
        let others = self.walkers.iter().enumerate().filter(|&(j, _)| j != i).filter_map(|(_, w)| w.holds());
        others.filter(|&(l, _)| l == level).for_each(|(_, p)| f(p));
    }

    fn place(
        &mut self,
        site: &Site,
        nav: &Nav,
        i: usize,
        to: Where,
        from: Option<(LevelId, Point)>,
        least_m: f64,
    ) -> Option<(LevelId, Point)> {
        match to {
            Where::Point(level, p) => nav.snap(level, p).map(|p| (level, p)),
            Where::Zone(zone) => {
                let mut rng = self.walkers[i].rng.clone();
                let place = nav.place_in(site, zone, from, &|level, f| self.each_other(i, level, f), least_m, &mut rng);
                self.walkers[i].rng = rng;
                place
            }
        }
    }

    fn go(&mut self, nav: &mut Nav, i: usize, goal: (LevelId, Point)) {
        let walker = &mut self.walkers[i];
        let Some(legs) = nav.route((walker.level, walker.at), goal, i) else {
            self.no_way += 1;
            return;
        };
        walker.legs = legs.into();
        walker.goal = Some(goal);
        walker.doing = Doing::Walk;
        self.first_leg(nav, i);
    }

    /// Finds the way of the stretch in front; a way that is not there is an arrival.
    fn first_leg(&mut self, nav: &mut Nav, i: usize) {
        let walker = &mut self.walkers[i];
        (walker.corner, walker.held_up_s, walker.squeezes) = (0, 0.0, false);
        walker.way.clear();
        if let Some(&Leg::Walk(to)) = walker.legs.front() {
            nav.walk(walker.level, walker.at, to, &mut walker.way);
        }
    }

    /// The stretch in front is done.
    fn next_leg(&mut self, nav: &mut Nav, i: usize, now: ArrivalNs) {
        let walker = &mut self.walkers[i];
        walker.legs.pop_front();
        match walker.legs.front() {
            None if walker.is_leaving => {
                (walker.is_leaving, walker.goal, walker.doing) = (false, None, Doing::Away);
            }
            None => walker.doing = Doing::Idle,
            Some(&Leg::Climb { to, seconds }) => {
                let lasting = DurationNs::from_s_f64(seconds).unwrap_or_default();
                walker.doing = Doing::Climb { until: now.plus(lasting), to };
            }
            Some(Leg::Walk(_)) => {
                walker.doing = Doing::Walk;
                self.first_leg(nav, i);
            }
        }
    }

    fn look_again(&mut self, nav: &mut Nav, i: usize) {
        self.first_leg(nav, i);
        // Whoever was held up goes on squeezing past on the new way, until there is progress.
        self.walkers[i].squeezes = true;
        self.walkers[i].held_up_s = 1.0;
    }
}

/// Where somebody at `from` looks who faces something.
fn aimed_at(site: &Site, aim: Aim, from: Point) -> Point {
    let zone = match aim {
        Aim::Sensor(sensor) => {
            let pose = &site.sensors[sensor.index()].pose;
            return Point::new(pose.x_m, pose.y_m);
        }
        Aim::Zone(zone) => &site.zones[zone.index()],
    };
    if zone.area.contains(from) {
        let middle =
            |b: osmose_model::geometry::Aabb| Point::new((b.min.x_m + b.max.x_m) / 2.0, (b.min.y_m + b.max.y_m) / 2.0);
        return zone.area.aabb().map_or(from, middle);
    }
    let edges = zone.area.parts.iter().flat_map(|p| p.segments());
    let near = edges.map(|s| s.nearest(from)).min_by(|a, b| a.distance2(from).total_cmp(&b.distance2(from)));
    near.unwrap_or(from)
}
