//! Which anonymous track carries which device: a belief per device over a few tracks and "none of them".
//!
//! A device and a track of the same person move together. Per device this file keeps a small hidden Markov model: the
//! state is who carries it (one of at most [`TRACKS_MAX`] tracks, or somebody no tracker sees), the evidence is each fix.
//! If a track carries it, the fix is normal round the track's place; if none does, it is normal round where the device's
//! own walk would have put it. A track that comes near is first weighed by track-to-track association against a uniform
//! density of strangers (Bar-Shalom, Willett and Tian 2011, "Tracking and Data Fusion", 9.6: likelihood of the difference
//! of two estimates over the density of extraneous tracks). A share of gross errors keeps one wild fix from deciding.
//!
//! Errors of fixes within a second are much the same error, so they count as one: what they say of each track in the mean,
//! and not what the one says that ends the second.

use crate::carried::room_of;
use crate::in_place::clone_in_place;
use crate::keys::SlotTable;
use arrayvec::ArrayVec;
use osmose_model::device::SensorKind;
use osmose_model::geometry::Point;
use osmose_model::ids::{CarriedKey, LevelId};
use osmose_model::limits::COORDINATE_ABS_MAX_M;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use serde::{Deserialize, Serialize};

/// Most tracks that a device is weighed against.
pub(crate) const TRACKS_MAX: usize = 4;
/// Fixes closer together than this share their error and count as one.
const SAMPLE_EVERY: DurationNs = DurationNs::from_s(1);
/// A device silent for longer is weighed anew.
pub(crate) const SILENT_MAX: DurationNs = DurationNs::from_s(30);
/// Variance of what a locating system is wrong by all the time at one place, per axis, m².
const BIAS_VAR_M2: f64 = 0.3 * 0.3;
/// How fast somebody whom no tracker sees walks off: random walk, m²/s per axis.
const WALK_M2PS: f64 = 1.0;
/// Strangers per m²: the density of tracks that a device might stand beside by chance.
const STRANGERS_PER_M2: f64 = 0.1;
/// Share of fixes that are grossly wrong, and their density per m².
const GROSS_P: f64 = 0.05;
const GROSS_PER_M2: f64 = 0.01;
/// Rate of giving a device to another or putting it down, per second.
const HANDED_ON_PER_S: f64 = 1.0 / 120.0;
/// No hypothesis falls below this, so that evidence can bring it back.
const P_MIN: f64 = 1e-3;

/// A track near a fix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near {
    /// The tracker's number.
    pub(crate) id: u64,
    /// Squared distance from the fix, m².
    pub(crate) distance2_m2: f64,
    /// Variance of the track's place, per axis, m².
    pub(crate) var_m2: f64,
    /// Whether the track was seen lately: else the fix says nothing about it.
    pub(crate) current: bool,
    /// How likely it is that nobody else's device is on it.
    pub(crate) free_p: f64,
}

/// One device and who may carry it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Carrier {
    device: CarriedKey,
    level: LevelId,
    /// Of the last fix that counted.
    at: LogicalNs,
    /// Of the last fix that was heard.
    heard_at: LogicalNs,
    /// What those since `at` say of each track: the sum of the likelihoods' logarithms, and of how many.
    heard: ArrayVec<(u64, f64, u32), TRACKS_MAX>,
    /// Its own walk: mean, and variance per axis in m².
    mean: Point,
    var_m2: f64,
    /// That none of the tracks carries it.
    none: f64,
    /// Tracks ascending by number; with `none` they sum to 1.
    tracks: ArrayVec<(u64, f64), TRACKS_MAX>,
    /// Where it was found not to be its owner's any more, until it moves.
    pub(crate) put_down: Option<Point>,
}

/// Likelihood of a squared distance under a circular normal of that variance per axis, gross errors included, per m².
fn likelihood(distance2_m2: f64, var_m2: f64) -> f64 {
    let density = libm::exp(-0.5 * distance2_m2 / var_m2) / (2.0 * std::f64::consts::PI * var_m2);
    (1.0 - GROSS_P) * density + GROSS_P * GROSS_PER_M2
}

impl Carrier {
    fn begin(device: CarriedKey, level: LevelId, at: LogicalNs, fix: Point, var_m2: f64) -> Self {
        let var_m2 = var_m2 + BIAS_VAR_M2;
        Self {
            device,
            level,
            at,
            heard_at: at,
            heard: ArrayVec::new(),
            mean: fix,
            var_m2,
            none: 1.0,
            tracks: ArrayVec::new(),
            put_down: None,
        }
    }

    /// Whether it was last heard on that level: tracks' numbers are those of one.
    pub(crate) fn is_on(&self, level: LevelId) -> bool {
        self.level == level
    }

    /// The probability that a track carries it.
    pub(crate) fn p(&self, id: u64) -> f64 {
        self.tracks.iter().find(|(t, _)| *t == id).map_or(0.0, |&(_, p)| p)
    }

    /// The likeliest track, the lower number where equal.
    pub(crate) fn best(&self) -> Option<(u64, f64)> {
        self.tracks.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }

    /// Takes a fix in: `near` are the tracks about it, `lives` says whether a track still is one.
    fn take(&mut self, at: LogicalNs, fix: Point, var_m2: f64, near: &[Near], lives: impl Fn(u64) -> bool) {
        let fix_var = var_m2 + BIAS_VAR_M2;
        self.tracks.retain(|(id, _)| lives(*id));
        if at > self.heard_at {
            self.hear(fix_var, near);
            self.heard_at = at;
        }
        if at.since(self.at) >= SAMPLE_EVERY {
            self.weigh(fix, fix_var, at.since(self.at).as_s_f64());
            self.at = at;
            self.heard.clear();
        }
        for n in near.iter().filter(|n| n.current) {
            if self.tracks.iter().all(|(id, _)| *id != n.id) {
                self.consider(n, fix_var);
            }
        }
        self.normalise();
    }

    /// Notes what a fix says about those who are weighed already.
    fn hear(&mut self, fix_var: f64, near: &[Near]) {
        for &(id, _) in &self.tracks {
            let by = match near.iter().find(|n| n.id == id) {
                Some(n) if n.current => likelihood(n.distance2_m2, n.var_m2 + fix_var),
                // Nobody knows where that track is now: the fix says nothing for or against it.
                Some(_) => continue,
                None => GROSS_P * GROSS_PER_M2,
            };
            match self.heard.iter_mut().find(|(t, ..)| *t == id) {
                Some((_, sum, n)) => (*sum, *n) = (*sum + libm::log(by), n.saturating_add(1)),
                None => {
                    if self.heard.is_full() {
                        // Of one who is weighed no longer: there are no more tracks than places.
                        let tracks = &self.tracks;
                        self.heard.retain(|(t, ..)| tracks.iter().any(|(id, _)| id == t));
                    }
                    let _ = self.heard.try_push((id, libm::log(by), 1));
                }
            }
        }
    }

    /// Weighs those who are weighed already by the fixes since the last time.
    fn weigh(&mut self, fix: Point, fix_var: f64, dt_s: f64) {
        let walked = self.var_m2 + WALK_M2PS * dt_s;
        let none = likelihood(self.mean.distance2(fix), walked + fix_var);
        for (id, p) in &mut self.tracks {
            let heard = self.heard.iter().find(|(t, ..)| t == id);
            *p *= heard.map_or(none, |&(_, sum, n)| libm::exp(sum / f64::from(n)));
        }
        self.none *= none;
        self.normalise();
        let changed = 1.0 - libm::exp(-dt_s * HANDED_ON_PER_S);
        let even = 1.0 / (self.tracks.len() + 1) as f64;
        self.none += changed * (even - self.none);
        for (_, p) in &mut self.tracks {
            *p = (*p + changed * (even - *p)).max(P_MIN);
        }
        self.none = self.none.max(P_MIN);
        // The own walk meets the fix (scalar Kalman filter per axis).
        let gain = walked / (walked + fix_var);
        self.mean.x_m += gain * (fix.x_m - self.mean.x_m);
        self.mean.y_m += gain * (fix.y_m - self.mean.y_m);
        self.var_m2 = (1.0 - gain) * walked;
    }

    /// Two tracks may have changed places with that probability: whichever of them carried it, the other may now.
    pub(crate) fn mix(&mut self, a: u64, b: u64, swap_p: f64) {
        let (of_a, of_b) = (self.p(a), self.p(b));
        for (id, p) in [(a, (1.0 - swap_p) * of_a + swap_p * of_b), (b, (1.0 - swap_p) * of_b + swap_p * of_a)] {
            match self.tracks.iter_mut().find(|(t, _)| *t == id) {
                Some((_, was)) => *was = p,
                None => self.begin_to_weigh(id, p),
            }
        }
        self.normalise();
    }

    /// A track that was not weighed before: it takes its share from `none`.
    fn consider(&mut self, n: &Near, fix_var: f64) {
        let by_place = likelihood(n.distance2_m2, n.var_m2 + fix_var) / STRANGERS_PER_M2;
        self.begin_to_weigh(n.id, self.none * n.free_p * by_place);
    }

    /// Weighs one track more, in the place of the least likely where there is no room.
    fn begin_to_weigh(&mut self, id: u64, p: f64) {
        if p < P_MIN {
            return;
        }
        if self.tracks.is_full() {
            let least = (0..self.tracks.len()).min_by(|&a, &b| self.tracks[a].1.total_cmp(&self.tracks[b].1));
            match least {
                Some(least) if self.tracks[least].1 < p => drop(self.tracks.remove(least)),
                _ => return,
            }
        }
        let at = self.tracks.partition_point(|(t, _)| *t < id);
        self.tracks.insert(at, (id, p));
    }

    fn normalise(&mut self) {
        let sum: f64 = self.none + self.tracks.iter().map(|(_, p)| p).sum::<f64>();
        if sum > 0.0 {
            self.none /= sum;
            self.tracks.iter_mut().for_each(|(_, p)| *p /= sum);
        } else {
            (self.none, self.tracks) = (1.0, ArrayVec::new());
        }
    }

    fn is_sound(&self) -> bool {
        let is_p = |p: &f64| (0.0..=1.0).contains(p);
        self.mean.is_plausible()
            && self.var_m2 > 0.0
            && self.var_m2 <= COORDINATE_ABS_MAX_M * COORDINATE_ABS_MAX_M
            && is_p(&self.none)
            && self.heard.iter().all(|(_, sum, n)| sum.is_finite() && *n > 0)
            && self.tracks.iter().all(|(_, p)| is_p(p))
            && self.tracks.is_sorted_by(|a, b| a.0 < b.0)
            && self.put_down.is_none_or(Point::is_plausible)
    }
}

/// Every device that may be carried by a track.
#[derive(Debug)]
pub(crate) struct Carriers {
    carriers: Vec<Carrier>,
    by_device: SlotTable,
    max: usize,
}

clone_in_place!(Carriers { carriers, by_device, max });

impl Carriers {
    /// Room for `max` devices where the site has both devices and anonymous tracks, else for none.
    pub(crate) fn new(site: &Site, max: usize) -> Self {
        let any = |kinds: &[SensorKind]| site.sensors.iter().any(|s| kinds.contains(&s.kind));
        let devices =
            [SensorKind::Location, SensorKind::Range, SensorKind::Tdoa, SensorKind::Rssi, SensorKind::Bearing];
        let both = any(&devices) && any(&[SensorKind::Position, SensorKind::Points]);
        let max = if both { max } else { 0 };
        Self { carriers: Vec::with_capacity(max), by_device: SlotTable::new(max), max }
    }

    /// Whether there can be any.
    pub(crate) fn is_needed(&self) -> bool {
        self.max > 0
    }

    /// What is believed of a device.
    pub(crate) fn of(&self, device: CarriedKey) -> Option<&Carrier> {
        self.by_device.get(device.0).map(|i| &self.carriers[i as usize])
    }

    /// To note where a device was put down.
    pub(crate) fn of_mut(&mut self, device: CarriedKey) -> Option<&mut Carrier> {
        self.by_device.get(device.0).map(|i| &mut self.carriers[i as usize])
    }

    /// Takes a fix of a device in. Where there is no room, the device silent for longest (the lower key where equal)
    /// makes some.
    pub(crate) fn take(
        &mut self,
        (device, level): (CarriedKey, LevelId),
        at: LogicalNs,
        (fix, var_m2): (Point, f64),
        near: &[Near],
        lives: impl Fn(u64) -> bool,
    ) {
        let i = match self.by_device.get(device.0) {
            Some(i) => i as usize,
            None if near.is_empty() => return,
            None => {
                let fresh = Carrier::begin(device, level, at, fix, var_m2);
                let heard = self.carriers.iter().map(|c| (c.at, c.device));
                let i = match room_of(heard, self.carriers.len() >= self.max, at) {
                    None if self.max == 0 => return,
                    None => {
                        self.carriers.push(fresh);
                        self.carriers.len() - 1
                    }
                    Some(oldest) => {
                        self.by_device.remove(self.carriers[oldest].device.0);
                        self.carriers[oldest] = fresh;
                        oldest
                    }
                };
                self.by_device.insert(device.0, i as u32);
                i
            }
        };
        let carrier = &mut self.carriers[i];
        if carrier.level != level || at.since(carrier.at) > SILENT_MAX {
            let put_down = carrier.put_down.filter(|_| carrier.level == level);
            *carrier = Carrier { put_down, ..Carrier::begin(device, level, at, fix, var_m2) };
        }
        carrier.take(at, fix, var_m2, near, lives);
    }

    /// Every device, ascending.
    pub(crate) fn saved(&self) -> Vec<Carrier> {
        let mut all = self.carriers.clone();
        all.sort_unstable_by_key(|c| c.device);
        all
    }

    /// Takes saved ones back; false where they cannot be.
    pub(crate) fn refill(&mut self, saved: Vec<Carrier>) -> bool {
        let sound = saved.len() <= self.max
            && saved.is_sorted_by(|a, b| a.device < b.device)
            && saved.iter().all(Carrier::is_sound);
        if sound {
            for (i, carrier) in saved.iter().enumerate() {
                self.by_device.insert(carrier.device.0, i as u32);
            }
            self.carriers.extend(saved);
        }
        sound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000_000;

    fn near(id: u64, distance_m: f64) -> Near {
        Near { id, distance2_m2: distance_m * distance_m, var_m2: 0.01, current: true, free_p: 1.0 }
    }

    fn begun() -> Carrier {
        Carrier::begin(CarriedKey(1), LevelId(0), LogicalNs(0), Point::new(0.0, 0.0), 0.09)
    }

    #[test]
    fn who_moves_along_carries_it_and_who_does_not_is_dropped() {
        let mut c = begun();
        for i in 0..10 {
            let fix = Point::new(1.3 * f64::from(i), 0.0);
            // The first walks beside it, the second stands where it began.
            let all = [near(7, 0.2), near(9, 0.3 + 1.3 * f64::from(i))];
            c.take(LogicalNs(i64::from(i) * S), fix, 0.09, &all, |_| true);
        }
        assert!(c.p(7) > 0.97 && c.p(9) < 0.01, "{c:?}");
        for i in 10..16 {
            // It is put down; whoever carried it walks on.
            let all = [near(7, 1.3 * f64::from(i - 9))];
            c.take(LogicalNs(i64::from(i) * S), Point::new(11.7, 0.0), 0.09, &all, |_| true);
        }
        assert!(c.p(7) < 0.05 && c.none > 0.9, "{c:?}");
    }

    #[test]
    fn after_its_track_met_another_it_may_be_on_either_until_fixes_tell() {
        let mut c = begun();
        for i in 0..10 {
            c.take(LogicalNs(i * S), Point::new(0.0, 0.0), 0.09, &[near(7, 0.1)], |_| true);
        }
        let before = c.p(7);
        c.mix(7, 9, 0.5);
        assert!((c.p(7) - 0.5 * before).abs() < 1e-9 && c.p(7) == c.p(9) && c.is_sound(), "{c:?}");
        for i in 10..14 {
            c.take(LogicalNs(i * S), Point::new(0.0, 0.0), 0.09, &[near(7, 1.5), near(9, 0.1)], |_| true);
        }
        assert!(c.p(9) > 0.9 && c.p(7) < 0.05, "{c:?}");
    }

    #[test]
    fn a_track_that_surely_carries_anothers_device_is_no_rival() {
        let p_beside = |free_p: f64| {
            let mut c = begun();
            for i in 0..20 {
                let beside = (i >= 10).then(|| Near { free_p, ..near(9, 0.6) });
                let all: Vec<Near> = [near(7, 0.5)].into_iter().chain(beside).collect();
                c.take(LogicalNs(i * S), Point::new(0.0, 0.0), 0.09, &all, |_| true);
            }
            c.p(7)
        };
        assert!(p_beside(0.02) > 0.9 && p_beside(1.0) < p_beside(0.02), "{} {}", p_beside(0.02), p_beside(1.0));
    }

    #[test]
    fn two_side_by_side_are_not_told_apart() {
        let mut c = begun();
        for i in 0..60 {
            let fix = Point::new(0.0, 0.0);
            c.take(LogicalNs(i64::from(i) * S), fix, 0.09, &[near(7, 0.4), near(9, 0.4)], |_| true);
        }
        assert!((c.p(7) - c.p(9)).abs() < 1e-9 && c.p(7) > 0.4, "{c:?}");
    }

    #[test]
    fn many_fixes_within_a_second_are_one() {
        let (mut a, mut b) = (begun(), begun());
        for i in 0..10 {
            a.take(LogicalNs(i64::from(i) * S / 20), Point::new(0.3, 0.0), 0.09, &[near(7, 0.5)], |_| true);
        }
        b.take(LogicalNs(0), Point::new(0.3, 0.0), 0.09, &[near(7, 0.5)], |_| true);
        assert_eq!(a.p(7), b.p(7));
    }

    #[test]
    fn one_bad_fix_of_five_in_a_second_does_not_decide() {
        let mut c = begun();
        for i in 0..50 {
            // The second stands where the bad one points, which ends a second.
            let all = if i == 45 { [near(7, 1.6), near(9, 0.2)] } else { [near(7, 0.3), near(9, 1.5)] };
            c.take(LogicalNs(i * S / 5), Point::new(0.0, 0.0), 0.36, &all, |_| true);
            assert!(i < 20 || c.p(7) > 0.8, "{i} {c:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_probability_whatever_comes(
            steps in prop::collection::vec((0i64..5 * S, -9.0..9.0f64, 0.0..9.0f64, 0u64..12, 0.0..30.0f64, any::<bool>()), 1..80),
        ) {
            let mut c = begun();
            let mut at = 0;
            for (dt, x, var, id, distance_m, current) in steps {
                at += dt;
                let all = [Near { current, ..near(id, distance_m) }, near(id + 20, 2.0 * distance_m)];
                c.take(LogicalNs(at), Point::new(x, 0.0), var, &all, |id| id != 3);
                prop_assert!(c.is_sound());
                let sum: f64 = c.none + c.tracks.iter().map(|(_, p)| p).sum::<f64>();
                prop_assert!((sum - 1.0).abs() < 1e-9);
            }
        }
    }
}
