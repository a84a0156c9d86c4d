//! Whether somebody is in a zone, as a probability, from its two-state sensors alone; and what their silence says about
//! somebody who was lost there.
//!
//! Per zone a hidden Markov chain of two states, occupied and empty, in continuous time (Rabiner 1989 for the chain; the
//! sensors are Poisson processes whose rate depends on the state). People come and go at [`COMES_HZ`] and [`GOES_HZ`]. A
//! motion detector or mat fires at `-ln(1 - p_detect)` per [`MOVES_EVERY_S`] while somebody is there, and at its
//! `false_per_hour` while nobody is: each firing multiplies the odds by the ratio of the two rates, each second of
//! silence of one that is alive by `exp(-(difference))`. While one is on it goes on being triggered, and nothing fades.
//! A contact (a cupboard, a tap) is an event at each change and says nothing by its silence: one may sit still. So in a
//! zone that only contacts tell of, nobody is supposed to have come without one, and to have gone only after hours
//! ([`GOES_UNSEEN_HZ`]), or when another zone's sensor fires: people do not come from nowhere. What a firing adds to its
//! zone's probability is taken from the others of the level, in proportion to theirs, and from outside.
//!
//! Between events the chain has a closed form: the unnormalised weights follow `w' = A w` with a 2 x 2 matrix, whose
//! exponential is `e^(mt) (cosh(st) I + sinh(st)/s (A - m I))`, `m` half the trace and `s² = m² - det A >= 0`.

use crate::fuse::Fusion;
use osmose_model::device::{BinaryRole, Sensor, SensorKind};
use osmose_model::geometry::Aabb;
use osmose_model::ids::{LevelId, SensorId, ZoneId};
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::Presence as Seen;
use serde::{Deserialize, Serialize};

/// How often somebody comes into an empty zone, and goes from an occupied one, per second: after 15 and 20 minutes.
const COMES_HZ: f64 = 1.0 / 900.0;
const GOES_HZ: f64 = 1.0 / 1200.0;
/// How often somebody goes unnoticed from a zone that only contacts tell of, per second.
const GOES_UNSEEN_HZ: f64 = 1.0 / (8.0 * 3600.0);
/// Somebody who comes into a zone came from outside of all others as likely as from one that is occupied so surely.
const FROM_OUTSIDE_P: f64 = 0.3;
/// Who is in a room moves so that a detector can tell about every so often, seconds.
const MOVES_EVERY_S: f64 = 20.0;
/// How often somebody in a room uses one of its contacts, per second.
const USES_HZ: f64 = 1.0 / 600.0;
/// Least rate of false reports, per second: a sensor that never errs would decide alone and for ever.
const FALSE_HZ_MIN: f64 = 0.01 / 3600.0;
/// The odds never go beyond these, so that evidence can bring them back.
const P_RANGE: (f64, f64) = (1e-4, 1.0 - 1e-4);
/// One who is lost is there with this probability at most.
const LOST_P_MAX: f64 = 0.99;
/// One who is lost is forgotten below it.
const LOST_P_MIN: f64 = 0.05;

/// What a two-state sensor is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Not heard yet, or silent for longer than it may be.
    #[default]
    Dead,
    Off,
    On,
}

/// What a two-state sensor's reports are worth.
#[derive(Clone, Copy, Debug)]
struct Worth {
    /// Firings per second while somebody is there, and while nobody is.
    fires_hz: f64,
    false_hz: f64,
    /// Whether it is on while it is triggered; else each change is a firing.
    holds: bool,
    hold_s: f64,
}

/// How often people come into a zone, and go from it, with no sensor firing for that, per second.
#[derive(Clone, Copy, Debug)]
struct Flow {
    comes_hz: f64,
    goes_hz: f64,
}

/// A zone's chain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Chain {
    /// Probability that somebody is there.
    p: f64,
    /// As of when; `None` until a sensor of the zone was heard.
    at: Option<LogicalNs>,
}

/// Every zone's chain and every two-state sensor's state.
#[derive(Clone, Debug)]
pub(crate) struct Chains {
    chains: Vec<Chain>,
    states: Vec<State>,
    worth: Vec<Option<Worth>>,
    /// Per zone: its two-state sensors, ascending.
    of_zone: Vec<Vec<SensorId>>,
    /// Per zone: the rates at which people come and go unnoticed.
    flows: Vec<Flow>,
    /// Per zone: its level and the box round it.
    rounds: Vec<(LevelId, Option<Aabb>)>,
    /// Slots of a zone, reused.
    inside: Vec<u32>,
}

/// What of the chains is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedChains {
    chains: Vec<Chain>,
    states: Vec<State>,
}

/// Whether somebody is in a zone, by everything that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZonePresence {
    /// True on any track or live evidence; false only if every declared evidence is alive and silent; else unknown.
    pub occupied: Tri,
    /// The probability that somebody is there, by tracks (seen and lost), two-state sensors and counted doors; `None`
    /// where nothing has been heard that could tell.
    pub p: Option<f64>,
}

fn worth(sensor: &Sensor) -> Option<Worth> {
    let noise = sensor.noise;
    let false_hz = (noise.false_per_hour.max(0.0) / 3600.0).max(FALSE_HZ_MIN);
    let hold_s = noise.hold_s.max(0.0);
    match (sensor.kind, sensor.role) {
        (SensorKind::Binary, Some(BinaryRole::Motion | BinaryRole::Mat)) => {
            let missed = 1.0 - noise.p_detect.clamp(0.01, 0.999);
            Some(Worth { fires_hz: -libm::log(missed) / MOVES_EVERY_S, false_hz, holds: true, hold_s })
        }
        (SensorKind::Binary, Some(BinaryRole::Contact)) => {
            Some(Worth { fires_hz: USES_HZ, false_hz, holds: false, hold_s })
        }
        _ => None,
    }
}

/// The probability of the first state after `dt_s`, from `p`, when people come and go and firings that did not happen
/// would have come at `fires_hz` in the first state and at `false_hz` in the second.
fn after_silence(p: f64, dt_s: f64, flow: Flow, fires_hz: f64, false_hz: f64) -> f64 {
    let (a, d) = (-flow.goes_hz - fires_hz, -flow.comes_hz - false_hz);
    let (b, c) = (flow.comes_hz, flow.goes_hz);
    let (m, half) = (0.5 * (a + d), 0.5 * (a - d));
    let s = (half * half + b * c).sqrt();
    // tanh(st)/s: the common factor e^(mt) cosh(st) falls out of the ratio.
    let t = if s > 0.0 { libm::tanh(s * dt_s) / s } else { dt_s };
    let occupied = p + t * ((a - m) * p + b * (1.0 - p));
    let empty = (1.0 - p) + t * (c * p + (d - m) * (1.0 - p));
    clamped(occupied / (occupied + empty))
}

/// Odds times a ratio.
fn times(p: f64, ratio: f64) -> f64 {
    clamped(p * ratio / (p * ratio + (1.0 - p)))
}

fn clamped(p: f64) -> f64 {
    // NaN, which no input here gives, would become the least.
    if p > P_RANGE.0 { p.min(P_RANGE.1) } else { P_RANGE.0 }
}

impl Chains {
    /// The site's zones; nothing was heard.
    pub(crate) fn new(site: &Site, tracks_max: usize) -> Self {
        let worth: Vec<_> = site.sensors.iter().map(worth).collect();
        let mut of_zone = vec![Vec::new(); site.zones.len()];
        for sensor in site.sensors.iter().filter(|s| worth[s.id.index()].is_some()) {
            for zone in &sensor.zones {
                of_zone[zone.index()].push(sensor.id);
            }
        }
        let holds = |s: &SensorId| worth[s.index()].is_some_and(|w| w.holds);
        let flow = |of: &Vec<SensorId>| match of.iter().any(holds) {
            true => Flow { comes_hz: COMES_HZ, goes_hz: GOES_HZ },
            false => Flow { comes_hz: 0.0, goes_hz: GOES_UNSEEN_HZ },
        };
        let flows = of_zone.iter().map(flow).collect();
        let rounds = site.zones.iter().map(|z| (z.level, z.area.aabb())).collect();
        let chain = Chain { p: COMES_HZ / (COMES_HZ + GOES_HZ), at: None };
        let states = vec![State::default(); site.sensors.len()];
        Self {
            chains: vec![chain; site.zones.len()],
            states,
            worth,
            of_zone,
            flows,
            rounds,
            inside: Vec::with_capacity(tracks_max),
        }
    }

    /// A zone's sensors that are in a state, with what they are worth.
    fn sensors_in(&self, zone: ZoneId, state: State) -> impl Iterator<Item = Worth> + '_ {
        let all = self.of_zone.get(zone.index()).into_iter().flatten();
        let is = move |s: &&SensorId| self.states[s.index()] == state;
        all.filter(is).filter_map(|s| self.worth[s.index()]).filter(|w| w.holds)
    }

    /// How fast the silence of a zone's live sensors takes away the odds of somebody being there, per second; none
    /// while one is on.
    pub(crate) fn silence_hz(&self, zone: ZoneId) -> f64 {
        if self.is_on(zone) {
            return 0.0;
        }
        self.sensors_in(zone, State::Off).map(|w| (w.fires_hz - w.false_hz).max(0.0)).sum()
    }

    /// Whether a motion detector or mat of the zone is on.
    fn is_on(&self, zone: ZoneId) -> bool {
        self.sensors_in(zone, State::On).next().is_some()
    }

    /// The probability of somebody being in a zone at an instant; `None` where none of its sensors was heard yet.
    pub(crate) fn p(&self, zone: ZoneId, now: LogicalNs) -> Option<f64> {
        let chain = self.chains.get(zone.index())?;
        let at = chain.at?;
        let dt_s = now.since(at).max(DurationNs::ZERO).as_s_f64();
        if self.is_on(zone) {
            return Some(chain.p);
        }
        let (fires, falsely) =
            self.sensors_in(zone, State::Off).fold((0.0, 0.0), |(f, g), w| (f + w.fires_hz, g + w.false_hz));
        Some(after_silence(chain.p, dt_s, self.flows[zone.index()], fires, falsely))
    }

    /// Brings a zone's chain to an instant.
    fn advance(&mut self, zone: ZoneId, now: LogicalNs) {
        let p = self.p(zone, now);
        let chain = &mut self.chains[zone.index()];
        chain.p = p.unwrap_or(chain.p);
        chain.at = Some(chain.at.map_or(now, |at| at.max(now)));
    }

    /// A sensor said on or off, or (`None`) is not heard any more. Returns whether it fired, and by what ratio that
    /// Is what another one is.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.chains.clone_from(&other.chains);
        self.states.clone_from(&other.states);
    }

    /// multiplies the odds.
    pub(crate) fn hear(&mut self, site: &Site, sensor: SensorId, on: Option<bool>, now: LogicalNs) -> Option<f64> {
        let worth = self.worth.get(sensor.index()).copied().flatten()?;
        let before = self.states[sensor.index()];
        let state = on.map_or(State::Dead, |on| if on { State::On } else { State::Off });
        if before == state {
            return None;
        }
        let zones = &site.sensors[sensor.index()].zones;
        for &zone in zones {
            self.advance(zone, now);
        }
        self.states[sensor.index()] = state;
        let fired = match (before, state) {
            (_, State::On) if worth.holds => true,
            (State::Off, State::On) | (State::On, State::Off) => !worth.holds,
            _ => false,
        };
        let ratio = worth.fires_hz / worth.false_hz;
        for &zone in zones {
            let chain = &mut self.chains[zone.index()];
            if fired {
                let before = chain.p;
                chain.p = times(before, ratio.max(1.0));
                let came = chain.p - before;
                self.take_from_others(zone, came, now);
            } else if before == State::On && state == State::Off {
                // It was last triggered so long ago: it has been silent since.
                chain.p = times(chain.p, libm::exp(-(worth.fires_hz - worth.false_hz).max(0.0) * worth.hold_s));
            }
        }
        fired.then_some(ratio.max(1.0))
    }

    /// Somebody came into a zone, with that probability: from one of the others of its level that do not overlap it, or
    /// from outside. Where a detector is on, somebody still is.
    fn take_from_others(&mut self, zone: ZoneId, came_p: f64, now: LogicalNs) {
        let (level, Some(round)) = self.rounds[zone.index()] else { return };
        let mut sum = FROM_OUTSIDE_P;
        for i in 0..self.chains.len() {
            let other = ZoneId(i as u16);
            if self.gives_to(level, round, other) {
                self.advance(other, now);
                sum += self.chains[i].p;
            }
        }
        for i in 0..self.chains.len() {
            if self.gives_to(level, round, ZoneId(i as u16)) {
                let p = &mut self.chains[i].p;
                *p = clamped(*p * (1.0 - came_p * *p / sum));
            }
        }
    }

    /// Whether whoever comes into a zone with that box may come from another one.
    fn gives_to(&self, level: LevelId, round: Aabb, other: ZoneId) -> bool {
        let (on, Some(b)) = self.rounds[other.index()] else { return false };
        let overlap = b.min.x_m < round.max.x_m
            && round.min.x_m < b.max.x_m
            && b.min.y_m < round.max.y_m
            && round.min.y_m < b.max.y_m;
        on == level && !overlap && self.chains[other.index()].at.is_some() && !self.is_on(other)
    }

    pub(crate) fn saved(&self) -> SavedChains {
        SavedChains { chains: self.chains.clone(), states: self.states.clone() }
    }

    /// Takes saved ones back; false where they are another site's.
    pub(crate) fn refill(&mut self, saved: SavedChains) -> bool {
        let sound = saved.chains.len() == self.chains.len()
            && saved.states.len() == self.states.len()
            && saved.chains.iter().all(|c| (0.0..=1.0).contains(&c.p));
        if sound {
            (self.chains, self.states) = (saved.chains, saved.states);
        }
        sound
    }
}

impl Fusion {
    /// Whether somebody is in a zone, by everything that is known, at the latest instant that was told.
    #[must_use]
    pub fn presence(&self, zone: ZoneId) -> ZonePresence {
        use osmose_model::stages::Fuse;
        let mut nobody = 1.0;
        let mut any = false;
        for slot in self.occupants.in_zone(zone) {
            any = true;
            nobody *= 1.0 - self.existence_now(slot, self.now);
        }
        let by_tracks = any.then_some(1.0 - nobody);
        let by_doors = self.doors.people(zone).map(|people| 1.0 - people.nobody_p);
        let p = [by_tracks, self.chains.p(zone, self.now), by_doors].into_iter().flatten();
        ZonePresence { occupied: self.occupied(zone), p: p.max_by(f64::total_cmp) }
    }

    /// A two-state sensor said on or off, or is not heard any more: what that says about its zones and about those lost
    /// in them.
    pub(crate) fn weigh_switch(&mut self, sensor: SensorId, on: Option<bool>, at: LogicalNs) {
        let fired = self.chains.hear(&self.site, sensor, on, at);
        let Some(said) = self.site.sensors.get(sensor.index()) else { return };
        for i in 0..said.zones.len() {
            let zone = self.site.sensors[sensor.index()].zones[i];
            // Somebody who is seen there explains a firing; else whoever was lost there may be still.
            let ratio = fired.filter(|_| self.occupants.count_in(zone).seen == 0);
            self.doubt_lost(zone, at, ratio);
        }
    }

    /// Weighs those lost in a zone anew.
    pub(crate) fn doubt_lost(&mut self, zone: ZoneId, at: LogicalNs, ratio: Option<f64>) {
        let mut inside = std::mem::take(&mut self.chains.inside);
        inside.clear();
        inside.extend(self.occupants.in_zone(zone));
        for &slot in &inside {
            self.doubt(slot, at, ratio);
        }
        self.chains.inside = inside;
    }

    /// The probability that an occupant is there, by how long the sensors about it have been silent since it was lost.
    fn existence_now(&self, slot: u32, now: LogicalNs) -> f64 {
        let entry = self.occupants.slot(slot);
        let r = entry.occupant.existence.clamp(0.0, 1.0);
        if entry.occupant.presence == Seen::Seen || entry.silence_hz == 0.0 || r <= 0.0 {
            return r;
        }
        let r = r.min(LOST_P_MAX);
        times(r, libm::exp(-entry.silence_hz * now.since(entry.doubted_at).max(DurationNs::ZERO).as_s_f64()))
    }

    /// Brings a lost occupant's existence to an instant and works out when it will be forgotten: sensors that cover the
    /// place where it was lost, alive and silent, speak against it. `ratio` multiplies its odds first.
    pub(crate) fn doubt(&mut self, slot: u32, at: LogicalNs, ratio: Option<f64>) {
        if self.occupants.occupant(slot).presence != Seen::Lost {
            return;
        }
        let mut r = self.existence_now(slot, at);
        if let Some(ratio) = ratio.filter(|_| r > 0.0) {
            r = times(r.min(LOST_P_MAX), ratio);
        }
        let zones = &self.occupants.occupant(slot).zones;
        let silence_hz = zones.iter().map(|z| self.chains.silence_hz(*z)).fold(0.0, f64::max);
        let who = self.occupants.slot(slot);
        let known = who.occupant.person.is_some() && !who.refuted;
        let odds = |p: f64| libm::log(p / (1.0 - p));
        let gone_in = if r > 0.0 && r < LOST_P_MIN && !known {
            Some(DurationNs::ZERO)
        } else if silence_hz > 0.0 && r > 0.0 && !known {
            let left_s = (odds(r.min(LOST_P_MAX)) - odds(LOST_P_MIN)) / silence_hz;
            DurationNs::from_s_f64(left_s.max(0.0))
        } else {
            None
        };
        let entry = self.occupants.slot_mut(slot);
        entry.occupant.existence = r;
        (entry.silence_hz, entry.doubted_at) = (silence_hz, entry.doubted_at.max(at));
        self.occupants.forget_within(slot, gone_in.map(|d| at.plus(d)));
        self.occupants.schedule(slot, self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_closed_form_is_what_small_steps_give(
            p in 0.001..0.999f64, dt in 0.1..2000.0f64, fires in 0.0..0.5f64, falsely in 0.0..0.01f64,
        ) {
            let flow = Flow { comes_hz: COMES_HZ, goes_hz: GOES_HZ };
            let (mut w, mut v) = (p, 1.0 - p);
            let n = 40_000;
            let h = dt / f64::from(n);
            for _ in 0..n {
                let dw = (-GOES_HZ - fires) * w + COMES_HZ * v;
                let dv = GOES_HZ * w + (-COMES_HZ - falsely) * v;
                (w, v) = (w + h * dw, v + h * dv);
                let sum = w + v;
                (w, v) = (w / sum, v / sum);
            }
            let closed = after_silence(p, dt, flow, fires, falsely);
            prop_assert!((closed - clamped(w)).abs() < 2e-3, "{} {}", closed, w);
        }

        #[test]
        fn two_silences_are_one_of_both_lengths(p in 0.001..0.999f64, a in 0.0..500.0f64, b in 0.0..500.0f64, f in 0.0..0.2f64) {
            let flow = Flow { comes_hz: 0.0, goes_hz: GOES_UNSEEN_HZ };
            let twice = after_silence(after_silence(p, a, flow, f, 1e-4), b, flow, f, 1e-4);
            let once = after_silence(p, a + b, flow, f, 1e-4);
            // Clamped in between they differ by what the clamp takes.
            prop_assert!((twice - once).abs() < 1e-3, "{} {}", twice, once);
        }
    }
}
