//! What each sensor's measurements turn out to be worth: how large its errors really are, by what constant it errs, and
//! by how much its clock is off. Kept per sensor, from the innovations of every device that it measures.
//!
//! - *Noise.* The running mean of `(ν² - H P H') / R` says how the real variance compares with the declared one (Mehra
//!   1970); where it is larger, measurements are used with the larger one, so that a sensor that lies loses its weight.
//!   Measurements that are outliers by the sensor's own declared share of them do not count, unless most are. Where the
//!   errors are beyond all measure ([`WRONG`]) the sensor is compared and no longer used, until they are not.
//! - *Constant errors* of received strength and bearings are a scalar Kalman filter on their innovations; those of ranges
//!   are estimated with each device's place (`slant.rs`) and averaged here, to begin new devices with.
//! - *Clocks.* A measurement that is τ older than it says differs from what is expected by τ times the rate at which that
//!   changes; τ is a scalar Kalman filter on that. What all sensors share cannot be seen and stays zero.
//!
//! Innovations follow each other closely in time and so err alike; each counts as [`ALIKE`] times its variance, and as
//! [`ALIKE_OWN`] times where nothing but the sensors themselves says where the device is.

use crate::in_place::StampedVec;
use osmose_model::device::{Sensor, SensorKind};
use osmose_model::geometry::RAD_PER_DEG;
use osmose_model::health::{SensorHealth, Verdict};
use osmose_model::ids::SensorId;
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use serde::{Deserialize, Serialize};

/// Over how many measurements errors are averaged.
const WINDOW: f64 = 100.0;
/// From so many on they are believed.
const BELIEVED: u64 = 30;
/// An innovation counts for at most so many declared variances.
const RATIO_MAX: f64 = 400.0;
/// The same round their own mean.
const SPREAD_MAX: f64 = 1e4;
/// The same in the figure that is shown.
const NIS_MAX: f64 = 100.0;
/// How many consecutive innovations say what one would, where the device's place is known by other means.
const ALIKE: f64 = 5.0;
/// The same where the place comes from the very sensors: what they have in common shows as their errors, and a bias
/// learnt fast from that runs away with the place (measured: 1.7 m became 2.4 m on real strengths).
const ALIKE_OWN: f64 = 200.0;
/// Errors within so many seconds are alike for clocks: a turn that the motion model does not foresee looks like one.
const ALIKE_CLOCK_S: f64 = 1.0;
/// Beyond this share of outliers (and twice what it declares) a sensor's outliers are its errors.
const OUTLIERS_MAX: f64 = 0.4;
/// A sensor whose errors are beyond so many declared variances is compared, and no longer used.
const WRONG: f64 = 25.0;
/// Its errors are a constant where that squared is so many times what they vary by.
const OFFSET_MIN: f64 = 9.0;
/// Standard deviation of an unknown clock error, seconds, and the largest that is estimated.
const CLOCK_SIGMA_S: f64 = 0.2;
const CLOCK_MAX_S: f64 = 1.0;
/// A clock error is used and reported from here on.
const CLOCK_MIN_S: f64 = 0.03;
/// The expected value must change so fast (units a second) before it tells of clocks.
const RATE_MIN: f64 = 0.2;
/// How fast what is known of a bias and of a clock gets old: variance per measurement, as a share of the prior's.
const AGEING: f64 = 1e-6;
/// Longest time between observations that counts towards a rate, seconds.
const PERIOD_MAX_S: f64 = 60.0;

/// How a measurement differed from what was expected of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Residual {
    /// Measured less expected, known bias and clock error taken off; metres, dB or radians.
    pub(crate) innovation: f64,
    /// Variance of what was expected.
    pub(crate) predicted: f64,
    /// Declared variance of the measurement.
    pub(crate) declared: f64,
    /// Probability that it was an outlier.
    pub(crate) outlier: f64,
    /// How fast what was expected changes, per second.
    pub(crate) rate_per_s: f64,
    /// Whether the device's place is known by other sensors than these.
    pub(crate) known: bool,
}

/// One sensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gauge {
    compared: u64,
    /// Mean of ν²/S, by declared variances.
    nis: f64,
    /// Mean of (ν² - HPH')/R.
    square: f64,
    outliers: f64,
    /// Mean of ν, and of its squared distance from there, by declared variances.
    mean: f64,
    spread: f64,
    /// Mean time between observations, seconds, and when the last one was.
    period_s: Option<f64>,
    heard: Option<LogicalNs>,
    bias: f64,
    bias_var: f64,
    clock_s: f64,
    clock_var_s2: f64,
    /// Declared standard deviation of its newest measurement.
    declared_sigma: f64,
}

/// Every sensor.
#[derive(Clone, Debug)]
pub(crate) struct Calibration {
    gauges: StampedVec<Gauge>,
    /// Per sensor: prior variance of its bias (unit²), share of outliers beyond which they are its errors.
    priors: Vec<Prior>,
}

#[derive(Clone, Copy, Debug)]
struct Prior {
    bias_var: f64,
    /// Whether its clock shows: not in differences, where the tag hears both anchors by one clock.
    clock: bool,
    outliers_max: f64,
    /// Whether late data make its observations run again: of a value or a button only the newest counts.
    runs_again: bool,
}

impl Prior {
    fn of(sensor: &Sensor) -> Self {
        let (sigma, nlos_p) = match sensor.kind {
            SensorKind::Range => (crate::slant::BIAS_VAR_M2.sqrt(), sensor.noise.nlos_p),
            SensorKind::Rssi => (2.0, 0.0),
            SensorKind::Bearing => (3.0 * RAD_PER_DEG, 0.0),
            _ => (0.0, 0.0),
        };
        let clock = matches!(sensor.kind, SensorKind::Range | SensorKind::Bearing);
        let runs_again = !matches!(sensor.kind, SensorKind::Value | SensorKind::Button);
        Self { bias_var: sigma * sigma, clock, outliers_max: (2.0 * nlos_p).clamp(OUTLIERS_MAX, 0.9), runs_again }
    }
}

impl Gauge {
    fn new(prior: Prior) -> Self {
        Self {
            compared: 0,
            nis: 1.0,
            square: 1.0,
            outliers: 0.0,
            mean: 0.0,
            spread: 1.0,
            period_s: None,
            heard: None,
            bias: 0.0,
            bias_var: prior.bias_var,
            clock_s: 0.0,
            clock_var_s2: CLOCK_SIGMA_S * CLOCK_SIGMA_S,
            declared_sigma: 0.0,
        }
    }

    fn hear(&mut self, at: LogicalNs) {
        if let Some(last) = self.heard {
            let gap_s = at.since(last).as_s_f64();
            if (0.0..=PERIOD_MAX_S).contains(&gap_s) {
                let mean = self.period_s.unwrap_or(gap_s);
                self.period_s = Some(mean + (gap_s - mean) / WINDOW.min(20.0));
            }
        }
        self.heard = Some(self.heard.map_or(at, |last| last.max(at)));
    }

    /// Whether outliers are this sensor's way.
    fn is_wild(&self, prior: Prior) -> bool {
        self.compared >= BELIEVED && self.outliers > prior.outliers_max
    }

    fn learn(&mut self, r: &Residual, prior: Prior) {
        self.compared += 1;
        self.declared_sigma = r.declared.sqrt();
        let gain = (1.0 / self.compared as f64).max(1.0 / WINDOW);
        let s = r.predicted + r.declared;
        self.outliers += gain * (r.outlier - self.outliers);
        let honest = if self.is_wild(prior) { 1.0 } else { 1.0 - r.outlier };
        let ratio = r.innovation * r.innovation / s;
        self.nis += gain * honest * (ratio.min(NIS_MAX) - self.nis);
        let off = r.innovation - self.mean;
        self.mean += gain * honest * off;
        self.spread += gain * honest * ((off * off / r.declared).min(SPREAD_MAX) - self.spread);
        // What is expected poorly tells little of the sensor.
        let telling = honest * r.declared / s;
        let square = (r.innovation * r.innovation - r.predicted) / r.declared;
        self.square = (self.square + gain * telling * (square.min(RATIO_MAX) - self.square)).max(0.01);
        if prior.clock && r.rate_per_s.abs() >= RATE_MIN {
            self.learn_clock(r, s, honest);
        }
    }

    fn learn_clock(&mut self, r: &Residual, s: f64, honest: f64) {
        let slow = if r.known { 1.0 } else { ALIKE };
        let alike = slow * self.period_s.map_or(ALIKE, |p| (ALIKE_CLOCK_S / p.max(1e-4)).max(ALIKE));
        let noise = alike * (s + r.declared * (self.square - 1.0).max(0.0)) / honest.max(1e-3);
        let p = self.clock_var_s2;
        let gain = -p * r.rate_per_s / (r.rate_per_s * r.rate_per_s * p + noise);
        let bound = 3.0 * noise.sqrt();
        // Where the place is known the constant part is taken off already, and slowly; else it is what was lately.
        let off = if r.known { r.innovation } else { r.innovation - self.mean };
        self.clock_s = (self.clock_s + gain * off.clamp(-bound, bound)).clamp(-CLOCK_MAX_S, CLOCK_MAX_S);
        let most = CLOCK_SIGMA_S * CLOCK_SIGMA_S;
        self.clock_var_s2 = (p * (1.0 + gain * r.rate_per_s) + AGEING * most).min(most);
    }

    /// The scalar filter of a bias that no state carries.
    fn learn_bias(&mut self, r: &Residual, prior: Prior) {
        let alike = if r.known { ALIKE } else { ALIKE_OWN };
        let noise = alike * (r.predicted + r.declared) / (1.0 - r.outlier).max(1e-3);
        let gain = self.bias_var / (self.bias_var + noise);
        let bound = 3.0 * noise.sqrt();
        self.bias += gain * r.innovation.clamp(-bound, bound);
        self.bias_var = (self.bias_var * (1.0 - gain) + AGEING * prior.bias_var * ALIKE).min(prior.bias_var);
    }

    /// The running mean of the biases that devices' states carry, and their spread.
    fn average_bias(&mut self, (bias, variance): (f64, f64)) {
        let gain = 1.0 / WINDOW;
        let off = bias - self.bias;
        self.bias += gain * off;
        self.bias_var += gain * (variance + off * off - self.bias_var);
    }

    fn is_clock_off(&self) -> bool {
        let size = self.clock_s.abs();
        self.compared >= BELIEVED && size >= CLOCK_MIN_S && size * size >= 16.0 * self.clock_var_s2
    }

    /// Whether next to nothing that it says fits.
    fn is_wrong(&self, prior: Prior) -> bool {
        self.compared >= BELIEVED && (self.is_wild(prior) || self.square > WRONG)
    }

    /// Whether what it says would fit, were it not for a constant.
    fn is_offset(&self, prior: Prior) -> bool {
        let variance = (self.declared_sigma * self.declared_sigma).max(1e-12);
        let constant = self.mean * self.mean / variance;
        self.is_wrong(prior) && constant > OFFSET_MIN * self.spread.max(1.0)
    }

    fn verdict(&self, alive: Tri, prior: Prior) -> Verdict {
        let significant = self.bias * self.bias >= 9.0 * self.bias_var && prior.bias_var > 0.0;
        match () {
            () if alive == Tri::False => Verdict::Silent,
            () if self.compared < BELIEVED => Verdict::Unknown,
            () if self.is_offset(prior) => Verdict::Biased,
            () if self.is_wrong(prior) => Verdict::Unreliable,
            () if self.is_clock_off() => Verdict::ClockOff,
            () if significant && self.bias.abs() > self.declared_sigma => Verdict::Biased,
            () if self.square > 2.25 => Verdict::Overconfident,
            () if self.square < 0.2 => Verdict::Cautious,
            () => Verdict::Consistent,
        }
    }

    fn is_sound(&self) -> bool {
        let variances = [self.bias_var, self.clock_var_s2, self.declared_sigma];
        let numbers = [
            self.nis,
            self.square,
            self.outliers,
            self.mean,
            self.spread,
            self.bias,
            self.clock_s,
            self.period_s.unwrap_or(0.0),
        ];
        numbers.iter().chain(&variances).all(|x| x.abs() <= 1e9) && variances.iter().all(|v| *v >= 0.0)
    }
}

impl Calibration {
    pub(crate) fn new(sensors: &[Sensor]) -> Self {
        let priors: Vec<Prior> = sensors.iter().map(Prior::of).collect();
        Self { gauges: StampedVec::of(priors.iter().map(|p| Gauge::new(*p)).collect()), priors }
    }

    /// An observation came from a sensor, whatever it says.
    pub(crate) fn hear(&mut self, sensor: SensorId, at: LogicalNs) {
        self.gauges[sensor.index()].hear(at);
    }

    /// By how much a sensor's variances are to be multiplied, 1 or more.
    pub(crate) fn inflation(&self, sensor: SensorId) -> f64 {
        let g = &self.gauges[sensor.index()];
        if g.compared < BELIEVED { 1.0 } else { g.square.max(1.0) }
    }

    /// Whether a sensor is to be compared only: next to nothing that it says fits.
    pub(crate) fn is_wrong(&self, sensor: SensorId) -> bool {
        self.gauges[sensor.index()].is_wrong(self.priors[sensor.index()])
    }

    /// By how much a sensor's times are later than what they tell of, seconds; zero while in doubt.
    pub(crate) fn clock_s(&self, sensor: SensorId) -> f64 {
        let g = &self.gauges[sensor.index()];
        if g.is_clock_off() { g.clock_s } else { 0.0 }
    }

    /// What is known of a sensor's bias: mean and variance.
    pub(crate) fn bias(&self, sensor: SensorId) -> (f64, f64) {
        let g = &self.gauges[sensor.index()];
        (g.bias, g.bias_var)
    }

    /// Takes a residual of a sensor whose bias is estimated elsewhere; with that bias (mean, variance) where there is one.
    pub(crate) fn learn(&mut self, sensor: SensorId, r: &Residual, bias: Option<(f64, f64)>) {
        let (i, prior) = (sensor.index(), self.priors[sensor.index()]);
        self.gauges[i].learn(r, prior);
        if let Some(bias) = bias {
            self.gauges[i].average_bias(bias);
        }
    }

    /// Takes a residual of a sensor whose bias is estimated here.
    pub(crate) fn learn_with_bias(&mut self, sensor: SensorId, r: &Residual) {
        let (i, prior) = (sensor.index(), self.priors[sensor.index()]);
        self.gauges[i].learn(r, prior);
        if prior.bias_var > 0.0 {
            self.gauges[i].learn_bias(r, prior);
        }
    }

    /// The account of a sensor.
    pub(crate) fn health(&self, sensor: SensorId, alive: Tri) -> SensorHealth {
        let Some(g) = self.gauges.parts().get(sensor.index()) else { return SensorHealth::default() };
        let offset = g.is_offset(self.priors[sensor.index()]);
        SensorHealth {
            verdict: g.verdict(alive, self.priors[sensor.index()]),
            compared: g.compared,
            nis: g.nis,
            outliers: g.outliers,
            rate_hz: g.period_s.filter(|p| *p > 0.0).map_or(0.0, |p| 1.0 / p),
            bias: if offset { g.mean } else { g.bias },
            bias_sigma: g.bias_var.sqrt(),
            clock_s: g.clock_s,
            clock_sigma_s: g.clock_var_s2.sqrt(),
            sigma_factor: self.inflation(sensor).sqrt(),
        }
    }

    /// Copies what observations change.
    pub(crate) fn keep(&self, to: &mut StampedVec<Gauge>) {
        to.copy_from(&self.gauges);
    }

    /// An empty copy.
    pub(crate) fn kept(&self) -> StampedVec<Gauge> {
        self.gauges.clone()
    }

    /// Is again what it was when the copy was made, but for sensors whose observations never run again.
    pub(crate) fn go_back(&mut self, to: &StampedVec<Gauge>) {
        self.gauges.copy_some(to, |i| self.priors[i].runs_again);
    }

    /// Every gauge, for `save`.
    pub(crate) fn saved(&self) -> Vec<Gauge> {
        self.gauges.parts().to_vec()
    }

    /// Takes saved gauges back; false where they are of other sensors or none.
    pub(crate) fn refill(&mut self, saved: Vec<Gauge>) -> bool {
        let sound = saved.len() == self.gauges.len() && saved.iter().all(Gauge::is_sound);
        if sound {
            saved.into_iter().enumerate().for_each(|(i, gauge)| self.gauges[i] = gauge);
        }
        sound
    }
}
