//! One Gaussian over (x, y, vx, vy) in two motion modes: how it moves, what it expects to see, what a detection does to it.
//!
//! The two modes are an interacting multiple model (Blom and Bar-Shalom 1988): both are constant-velocity models with
//! white acceleration noise, one for walking on, one for turning. Covariances are symmetric and kept as ten numbers; all
//! sums are written out, because 4x4 products with known zeros cost three times as much through a matrix type.

use super::config::Motion;
use super::pair::Pair;
use serde::{Deserialize, Serialize};

/// Most Gaussians of one track.
pub(crate) const COMPONENTS_MAX: usize = 4;

/// Places of the covariance's ten numbers; U is vx and V is vy.
pub(crate) const XX: usize = 0;
pub(crate) const XY: usize = 1;
pub(crate) const XU: usize = 2;
pub(crate) const XV: usize = 3;
pub(crate) const YY: usize = 4;
pub(crate) const YU: usize = 5;
pub(crate) const YV: usize = 6;
pub(crate) const UU: usize = 7;
pub(crate) const UV: usize = 8;
pub(crate) const VV: usize = 9;

/// A Gaussian of a track's mixture, both modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gaussian {
    /// Share of the track's existing weight; a track's weights sum to 1.
    pub(crate) weight: f64,
    /// Probability of each mode, sum 1.
    pub(crate) mode: Pair,
    /// x, y (m), vx, vy (m/s).
    pub(crate) mean: [Pair; 4],
    /// Upper triangle, in the order of the constants above.
    pub(crate) cov: [Pair; 10],
}

/// Both modes as one Gaussian (moments kept).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Collapsed {
    /// x, y (m), vx, vy (m/s).
    pub(crate) mean: [f64; 4],
    /// xx, xy, yy, m2.
    pub(crate) place: [f64; 3],
    /// uu, uv, vv, (m/s)2.
    pub(crate) velocity: [f64; 3],
}

/// The numbers of one prediction that depend only on the time passed: made once a scan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Mode switching: `(to lane 0 from lane 0, to lane 1 from lane 0)` and the same from lane 1.
    from: [Pair; 2],
    /// What a second of velocity adds to the place (`dt`, less where velocity fades), s.
    reach: f64,
    /// What is left of the velocity (1, less where it fades).
    keep: f64,
    /// Noise of place, of place with velocity, of velocity.
    noise: [Pair; 3],
    /// Variance of the speed pseudo-measurement, (m/s)2; infinite for none.
    speed_var: f64,
}

impl Step {
    /// `dt_s` of walking.
    pub(crate) fn walk(motion: &Motion, dt_s: f64) -> Self {
        let density = Pair(motion.noise_straight_m2ps3, motion.noise_turn_m2ps3);
        let spread = motion.speed_sigma_mps * motion.speed_sigma_mps * motion.speed_spread_s;
        Step {
            from: switching(motion, dt_s),
            reach: dt_s,
            keep: 1.0,
            noise: [density * (dt_s * dt_s * dt_s / 3.0), density * (dt_s * dt_s / 2.0), density * dt_s],
            speed_var: spread / dt_s,
        }
    }

    /// `dt_s` of nobody looking: velocity is an Ornstein-Uhlenbeck process that forgets itself, so that the place does
    /// not run away in a straight line through the walls.
    pub(crate) fn coast(motion: &Motion, dt_s: f64) -> Self {
        let tau = motion.coast_decay_s;
        let keep = libm::exp(-dt_s / tau);
        let lost = 1.0 - keep;
        let var = motion.velocity_var_m2ps2;
        let place = var * tau * (2.0 * dt_s - tau * (3.0 - 4.0 * keep + keep * keep));
        Step {
            from: switching(motion, dt_s),
            reach: tau * lost,
            keep,
            noise: [
                Pair::splat(place.max(0.0)),
                Pair::splat(var * tau * lost * lost),
                Pair::splat(var * (1.0 - keep * keep)),
            ],
            speed_var: f64::INFINITY,
        }
    }
}

/// Transition probabilities of the two-state Markov chain with the given rates, exact for any `dt_s`.
fn switching(motion: &Motion, dt_s: f64) -> [Pair; 2] {
    let rate = motion.turn_begin_per_s + motion.turn_end_per_s;
    let mixed = (1.0 - libm::exp(-rate * dt_s)) / rate;
    let (begin, end) = (motion.turn_begin_per_s * mixed, motion.turn_end_per_s * mixed);
    [Pair(1.0 - begin, begin), Pair(end, 1.0 - end)]
}

/// What one Gaussian expects of a detection: `density * exp(-distance2 / 2)` per mode.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expectation {
    /// Inverse innovation covariance: xx, xy, yy, 1/m2.
    pub(crate) inverse: [Pair; 3],
    /// Mode probability / (2 pi sqrt det S), per m2.
    pub(crate) density: Pair,
}

/// Gain and posterior covariance: the same for every detection of one variance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gain {
    /// Gains of x, y, vx, vy on the innovation in x.
    x: [Pair; 4],
    /// The same on the innovation in y.
    y: [Pair; 4],
    /// Posterior covariance.
    cov: [Pair; 10],
}

impl Gaussian {
    /// A newly detected person at `(x, y)`: place as sure as the detection, velocity unknown.
    pub(crate) fn born(x: f64, y: f64, var_m2: f64, velocity_var: f64, mode: Pair) -> Self {
        let mut cov = [Pair::default(); 10];
        cov[XX] = Pair::splat(var_m2);
        cov[YY] = Pair::splat(var_m2);
        cov[UU] = Pair::splat(velocity_var);
        cov[VV] = Pair::splat(velocity_var);
        Gaussian { weight: 1.0, mode, mean: [Pair::splat(x), Pair::splat(y), Pair::default(), Pair::default()], cov }
    }

    /// Moves by one step; `speed_mps` is the track's remembered speed.
    pub(crate) fn predict(&mut self, step: &Step, speed_mps: f64) {
        self.mix(step);
        let (a, e) = (step.reach, step.keep);
        let m = &mut self.mean;
        m[0] += m[2] * a;
        m[1] += m[3] * a;
        m[2] = m[2] * e;
        m[3] = m[3] * e;
        let c = &mut self.cov;
        let [place, cross, velocity] = step.noise;
        let (aa, ae, ee) = (a * a, a * e, e * e);
        c[XX] += c[XU] * (2.0 * a) + c[UU] * aa + place;
        c[XY] += (c[XV] + c[YU]) * a + c[UV] * aa;
        c[YY] += c[YV] * (2.0 * a) + c[VV] * aa + place;
        c[XU] = c[XU] * e + c[UU] * ae + cross;
        c[XV] = c[XV] * e + c[UV] * ae;
        c[YU] = c[YU] * e + c[UV] * ae;
        c[YV] = c[YV] * e + c[VV] * ae + cross;
        c[UU] = c[UU] * ee + velocity;
        c[UV] = c[UV] * ee;
        c[VV] = c[VV] * ee + velocity;
        if step.speed_var < f64::INFINITY {
            self.recall_speed(speed_mps, step.speed_var);
        }
    }

    /// The mixing step of the interacting multiple model: each mode starts from what may have switched into it.
    #[inline(always)]
    fn mix(&mut self, step: &Step) {
        let stay = step.from[0] * self.mode.0;
        let come = step.from[1] * self.mode.1;
        let mode = stay + come;
        let per_mode = Pair::splat(1.0) / mode;
        let (w0, w1) = (stay * per_mode, come * per_mode);
        let w01 = w0 * w1;
        let mut d = [0.0; 4];
        for (k, mean) in self.mean.iter_mut().enumerate() {
            d[k] = mean.1 - mean.0;
            *mean = w0 * mean.0 + w1 * mean.1;
        }
        let spread = [
            d[0] * d[0],
            d[0] * d[1],
            d[0] * d[2],
            d[0] * d[3],
            d[1] * d[1],
            d[1] * d[2],
            d[1] * d[3],
            d[2] * d[2],
            d[2] * d[3],
            d[3] * d[3],
        ];
        for (cov, spread) in self.cov.iter_mut().zip(spread) {
            *cov = w0 * cov.0 + w1 * cov.1 + w01 * spread;
        }
        self.mode = mode;
    }

    /// A weak measurement "walks at `speed_mps`", by a linearised update of `|v|` with the second-order mean
    /// `|v| + P_perp / (2 |v|)`; modes slower than 0.3 m/s are left alone, their direction means nothing.
    #[inline(always)]
    fn recall_speed(&mut self, speed_mps: f64, var: f64) {
        let (u, v) = (self.mean[2], self.mean[3]);
        let speed = (u * u + v * v).sqrt();
        // Keeps the lanes that are too slow finite; their gain is zeroed below.
        let safe = Pair(speed.0.max(0.3), speed.1.max(0.3));
        let per_speed = Pair::splat(1.0) / safe;
        let (hu, hv) = (u * per_speed, v * per_speed);
        let c = &mut self.cov;
        let p = [c[XU] * hu + c[XV] * hv, c[YU] * hu + c[YV] * hv, c[UU] * hu + c[UV] * hv, c[UV] * hu + c[VV] * hv];
        let across = hv * hv * c[UU] - hu * hv * c[UV] * 2.0 + hu * hu * c[VV];
        let expected = speed + across * per_speed * 0.5;
        let total = hu * p[2] + hv * p[3] + Pair::splat(var);
        let weight = (Pair::splat(1.0) / total).where_above(speed, 0.3);
        let pull = weight * (Pair::splat(speed_mps) - expected);
        for (m, p) in self.mean.iter_mut().zip(p) {
            *m += p * pull;
        }
        let g = [p[0] * weight, p[1] * weight, p[2] * weight, p[3] * weight];
        c[XX] -= g[0] * p[0];
        c[XY] -= g[0] * p[1];
        c[XU] -= g[0] * p[2];
        c[XV] -= g[0] * p[3];
        c[YY] -= g[1] * p[1];
        c[YU] -= g[1] * p[2];
        c[YV] -= g[1] * p[3];
        c[UU] -= g[2] * p[2];
        c[UV] -= g[2] * p[3];
        c[VV] -= g[3] * p[3];
    }

    /// What it expects of a detection of variance `var_m2` per axis.
    #[inline]
    pub(crate) fn expect(&self, var_m2: f64) -> Expectation {
        let r = Pair::splat(var_m2);
        let (sxx, sxy, syy) = (self.cov[XX] + r, self.cov[XY], self.cov[YY] + r);
        let inverse_det = Pair::splat(1.0) / (sxx * syy - sxy * sxy);
        const PER_2_PI: f64 = 0.159_154_943_091_895_35;
        Expectation {
            inverse: [syy * inverse_det, -sxy * inverse_det, sxx * inverse_det],
            density: self.mode * inverse_det.sqrt() * PER_2_PI,
        }
    }

    /// Likelihood of a detection at `(x, y)` by mode (mode probabilities inside), per m2; 0 beyond 6.3 sigma.
    #[inline]
    pub(crate) fn likelihood(&self, e: &Expectation, x: f64, y: f64) -> Pair {
        let (dx, dy) = (Pair::splat(x) - self.mean[0], Pair::splat(y) - self.mean[1]);
        let d2 = e.inverse[0] * dx * dx + e.inverse[1] * dx * dy * 2.0 + e.inverse[2] * dy * dy;
        if d2.smaller() > 40.0 {
            return Pair::default();
        }
        e.density * (d2 * -0.5).exp_nonpositive()
    }

    /// Kalman gain and posterior covariance for detections of variance `var_m2`.
    pub(crate) fn gain(&self, var_m2: f64, gain: &mut Gain) {
        let [ixx, ixy, iyy] = self.expect(var_m2).inverse;
        let c = &self.cov;
        // Columns of the covariance that a place measurement sees: (x, y, u, v) against x and against y.
        let px = [c[XX], c[XY], c[XU], c[XV]];
        let py = [c[XY], c[YY], c[YU], c[YV]];
        for k in 0..4 {
            gain.x[k] = px[k] * ixx + py[k] * ixy;
            gain.y[k] = px[k] * ixy + py[k] * iyy;
        }
        let (gx, gy) = (gain.x, gain.y);
        let down = |i: usize, j: usize| gx[i] * px[j] + gy[i] * py[j];
        gain.cov = [
            c[XX] - down(0, 0),
            c[XY] - down(0, 1),
            c[XU] - down(0, 2),
            c[XV] - down(0, 3),
            c[YY] - down(1, 1),
            c[YU] - down(1, 2),
            c[YV] - down(1, 3),
            c[UU] - down(2, 2),
            c[UV] - down(2, 3),
            c[VV] - down(3, 3),
        ];
    }

    /// Writes to `to` the posterior after a detection at `(x, y)` whose likelihood by mode was `likelihood`; the weight
    /// is left to the caller.
    #[inline]
    pub(crate) fn update(&self, gain: &Gain, x: f64, y: f64, likelihood: Pair, to: &mut Gaussian) {
        let (dx, dy) = (Pair::splat(x) - self.mean[0], Pair::splat(y) - self.mean[1]);
        for (k, m) in to.mean.iter_mut().enumerate() {
            *m = self.mean[k] + gain.x[k] * dx + gain.y[k] * dy;
        }
        to.mode = likelihood * (1.0 / likelihood.sum());
        to.cov = gain.cov;
    }

    /// Widens a box so that it holds `gate` standard deviations of a detection of variance `var_m2`, in each mode.
    #[inline]
    pub(crate) fn widen(&self, var_m2: f64, gate: f64, low: &mut [f64; 2], high: &mut [f64; 2]) {
        let r = Pair::splat(var_m2);
        for (axis, c) in [XX, YY].into_iter().enumerate() {
            let reach = (self.cov[c] + r).sqrt() * gate;
            low[axis] = low[axis].min((self.mean[axis] - reach).smaller());
            high[axis] = high[axis].max((self.mean[axis] + reach).larger());
        }
    }

    /// Mean over the modes.
    #[inline]
    pub(crate) fn centre(&self) -> [f64; 4] {
        let m = self.mode;
        [(self.mean[0] * m).sum(), (self.mean[1] * m).sum(), (self.mean[2] * m).sum(), (self.mean[3] * m).sum()]
    }

    /// Expected squared distance of the place from its mean, m2.
    pub(crate) fn place_doubt(&self) -> f64 {
        let (dx, dy) = (self.mean[0].0 - self.mean[0].1, self.mean[1].0 - self.mean[1].1);
        ((self.cov[XX] + self.cov[YY]) * self.mode).sum() + self.mode.0 * self.mode.1 * (dx * dx + dy * dy)
    }

    /// Both modes as one Gaussian.
    pub(crate) fn collapse(&self) -> Collapsed {
        let mean = self.centre();
        let spread = |c: usize, i: usize, j: usize| {
            let (di, dj) = (self.mean[i] - Pair::splat(mean[i]), self.mean[j] - Pair::splat(mean[j]));
            (self.mode * (self.cov[c] + di * dj)).sum()
        };
        Collapsed {
            mean,
            place: [spread(XX, 0, 0), spread(XY, 0, 1), spread(YY, 1, 1)],
            velocity: [spread(UU, 2, 2), spread(UV, 2, 3), spread(VV, 3, 3)],
        }
    }

    /// True if every number is finite, weights are probabilities and no variance is negative.
    pub(crate) fn is_sound(&self) -> bool {
        self.weight.is_finite()
            && self.weight > 0.0
            && self.mode.smaller() >= 0.0
            && self.mode.sum() > 0.0
            && self.mode.is_finite()
            && self.mean.iter().chain(&self.cov).all(|p| p.is_finite())
            && [XX, YY, UU, VV].iter().all(|&k| self.cov[k].smaller() >= 0.0)
    }
}

/// The weighted sum of some `states` as one Gaussian, mode by mode, moments kept (Salmond 1990); weight is the sum.
pub(crate) fn merged(states: &[Gaussian], members: &[u8]) -> Gaussian {
    let group = || members.iter().map(|&k| &states[usize::from(k)]);
    let (mut weight, mut mode, mut mean) = (0.0, Pair::default(), [Pair::default(); 4]);
    for g in group() {
        let w = g.mode * g.weight;
        weight += g.weight;
        mode += w;
        for (sum, m) in mean.iter_mut().zip(g.mean) {
            *sum += w * m;
        }
    }
    // A mode that nothing believes in has no mean: the tiny share keeps it finite and changes nothing else.
    let inverse = Pair(1.0 / mode.0.max(1e-300), 1.0 / mode.1.max(1e-300));
    for m in &mut mean {
        *m = *m * inverse;
    }
    let mut cov = [Pair::default(); 10];
    for g in group() {
        let w = g.mode * g.weight * inverse;
        let d = [g.mean[0] - mean[0], g.mean[1] - mean[1], g.mean[2] - mean[2], g.mean[3] - mean[3]];
        let mut k = 0;
        for i in 0..4 {
            for j in i..4 {
                cov[k] += w * (g.cov[k] + d[i] * d[j]);
                k += 1;
            }
        }
    }
    Gaussian { weight, mode: mode * (1.0 / weight), mean, cov }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nested::*;
    use proptest::prelude::*;

    /// Slow 4x4 arithmetic, to compare with.
    mod nested {
        pub(super) type Matrix = [[f64; 4]; 4];

        pub(super) fn product(a: &Matrix, b: &Matrix) -> Matrix {
            let mut c = [[0.0; 4]; 4];
            for (i, row) in c.iter_mut().enumerate() {
                for (j, cell) in row.iter_mut().enumerate() {
                    *cell = (0..4).map(|k| a[i][k] * b[k][j]).sum();
                }
            }
            c
        }

        pub(super) fn transposed(a: &Matrix) -> Matrix {
            std::array::from_fn(|i| std::array::from_fn(|j| a[j][i]))
        }

        /// Place of each cell of the matrix among the ten numbers.
        const PLACE: [[usize; 4]; 4] = [[0, 1, 2, 3], [1, 4, 5, 6], [2, 5, 7, 8], [3, 6, 8, 9]];

        pub(super) fn full(cov: &[f64; 10]) -> Matrix {
            PLACE.map(|row| row.map(|k| cov[k]))
        }
    }

    fn lane(g: &Gaussian, lane: usize) -> ([f64; 4], Matrix) {
        let pick = |p: Pair| if lane == 0 { p.0 } else { p.1 };
        (g.mean.map(pick), full(&g.cov.map(pick)))
    }

    /// A Gaussian with a random covariance: A A' plus something on the diagonal.
    fn gaussians() -> impl Strategy<Value = Gaussian> {
        let numbers = proptest::collection::vec(-1.0..1.0f64, 16 * 2 + 8);
        (numbers, 0.05..0.95f64).prop_map(|(n, p)| {
            let covariance = |at: usize| {
                let a: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| n[at + 4 * i + j]));
                let mut c = product(&a, &transposed(&a));
                (0..4).for_each(|i| c[i][i] += 0.05);
                c
            };
            let (c0, c1) = (covariance(0), covariance(16));
            let mut cov = [Pair::default(); 10];
            let mut k = 0;
            for i in 0..4 {
                for j in i..4 {
                    cov[k] = Pair(c0[i][j], c1[i][j]);
                    k += 1;
                }
            }
            let mean = std::array::from_fn(|i| Pair(n[32 + i], n[36 + i]));
            Gaussian { weight: 0.7, mode: Pair(p, 1.0 - p), mean, cov }
        })
    }

    fn close(a: &Matrix, b: &Matrix) -> bool {
        a.iter().flatten().zip(b.iter().flatten()).all(|(x, y)| (x - y).abs() < 1e-9)
    }

    proptest! {
        #[test]
        fn prediction_is_mixing_then_f_p_f_plus_q(g in gaussians(), dt in 0.01..1.0f64, coast in any::<bool>()) {
            let motion = Motion { speed_sigma_mps: 1e3, ..Motion::default() };
            let mut step = if coast { Step::coast(&motion, dt) } else { Step::walk(&motion, dt) };
            step.speed_var = f64::INFINITY;
            let mut got = g;
            got.predict(&step, 1.3);
            // Slow: mix the two modes, then move.
            let (w, x, p) = ([g.mode.0, g.mode.1], [lane(&g, 0).0, lane(&g, 1).0], [lane(&g, 0).1, lane(&g, 1).1]);
            for to in 0..2 {
                let pick = |q: Pair| if to == 0 { q.0 } else { q.1 };
                let raw = [w[0] * pick(step.from[0]), w[1] * pick(step.from[1])];
                let mode = raw[0] + raw[1];
                prop_assert!((pick(got.mode) - mode).abs() < 1e-12);
                let share = [raw[0] / mode, raw[1] / mode];
                let mean: [f64; 4] = std::array::from_fn(|i| share[0] * x[0][i] + share[1] * x[1][i]);
                let mut cov = [[0.0; 4]; 4];
                for (m, row) in share.iter().zip(0..2) {
                    for i in 0..4 {
                        for j in 0..4 {
                            cov[i][j] += m * (p[row][i][j] + (x[row][i] - mean[i]) * (x[row][j] - mean[j]));
                        }
                    }
                }
                let (a, e) = (step.reach, step.keep);
                let f = [[1.0, 0.0, a, 0.0], [0.0, 1.0, 0.0, a], [0.0, 0.0, e, 0.0], [0.0, 0.0, 0.0, e]];
                let mut moved = product(&product(&f, &cov), &transposed(&f));
                let [place, cross, velocity] = step.noise.map(pick);
                for axis in 0..2 {
                    moved[axis][axis] += place;
                    moved[axis][axis + 2] += cross;
                    moved[axis + 2][axis] += cross;
                    moved[axis + 2][axis + 2] += velocity;
                }
                let (got_mean, got_cov) = lane(&got, to);
                for i in 0..4 {
                    let want: f64 = (0..4).map(|k| f[i][k] * mean[k]).sum();
                    prop_assert!((got_mean[i] - want).abs() < 1e-9);
                }
                prop_assert!(close(&got_cov, &moved));
            }
        }

        #[test]
        fn an_update_is_two_scalar_updates(g in gaussians(), z in (-2.0..2.0f64, -2.0..2.0f64), var in 0.01..1.0f64) {
            let mut gain = Gain::default();
            g.gain(var, &mut gain);
            let expected = g.expect(var);
            let likelihood = g.likelihood(&expected, z.0, z.1);
            let mut got = g;
            g.update(&gain, z.0, z.1, likelihood, &mut got);
            let mut joint = [0.0; 2];
            for (to, joint) in joint.iter_mut().enumerate() {
                // Slow: x, then y, each by the scalar Kalman update; the likelihoods multiply.
                let (mut mean, mut cov) = lane(&g, to);
                let mut likelihood = if to == 0 { g.mode.0 } else { g.mode.1 };
                for (axis, z) in [(0, z.0), (1, z.1)] {
                    let s = cov[axis][axis] + var;
                    let d = z - mean[axis];
                    likelihood *= libm::exp(-0.5 * d * d / s) / (std::f64::consts::TAU * s).sqrt();
                    let column: [f64; 4] = std::array::from_fn(|i| cov[i][axis]);
                    for i in 0..4 {
                        mean[i] += column[i] * d / s;
                        for j in 0..4 {
                            cov[i][j] -= column[i] * column[j] / s;
                        }
                    }
                }
                *joint = likelihood;
                let (got_mean, got_cov) = lane(&got, to);
                prop_assert!(got_mean.iter().zip(mean).all(|(a, b)| (a - b).abs() < 1e-9));
                prop_assert!(close(&got_cov, &cov));
            }
            if expected.density.larger() > 0.0 && likelihood.sum() > 0.0 {
                prop_assert!((likelihood.0 - joint[0]).abs() <= 1e-9 * joint[0] + 1e-300);
                prop_assert!((likelihood.1 - joint[1]).abs() <= 1e-9 * joint[1] + 1e-300);
                prop_assert!((got.mode.0 - joint[0] / (joint[0] + joint[1])).abs() < 1e-9);
            }
        }

        #[test]
        fn merging_keeps_the_moments(a in gaussians(), b in gaussians()) {
            let (whole, states) = (merged(&[a, b], &[0, 1]), [a.collapse(), b.collapse()]);
            prop_assert!((whole.weight - 1.4).abs() < 1e-12 && (whole.mode.sum() - 1.0).abs() < 1e-12);
            let c = whole.collapse();
            for i in 0..4 {
                prop_assert!((c.mean[i] - 0.5 * (states[0].mean[i] + states[1].mean[i])).abs() < 1e-9);
            }
            let spread = |i: usize| 0.25 * (states[0].mean[i] - states[1].mean[i]) * (states[0].mean[i] - states[1].mean[i]);
            prop_assert!((c.place[0] - 0.5 * (states[0].place[0] + states[1].place[0]) - spread(0)).abs() < 1e-9);
            prop_assert!((c.velocity[2] - 0.5 * (states[0].velocity[2] + states[1].velocity[2]) - spread(3)).abs() < 1e-9);
        }

        #[test]
        fn recalling_a_speed_moves_towards_it(heading in 0.0..std::f64::consts::TAU, speed in 0.4..2.5f64, remembered in 0.5..2.0f64) {
            let (vx, vy) = (speed * libm::cos(heading), speed * libm::sin(heading));
            let mut g = Gaussian::born(0.0, 0.0, 0.09, 0.1, Pair(0.5, 0.5));
            (g.mean[2], g.mean[3]) = (Pair::splat(vx), Pair::splat(vy));
            let before = g;
            g.recall_speed(remembered, 0.05);
            let now = (g.mean[2].0 * g.mean[2].0 + g.mean[3].0 * g.mean[3].0).sqrt();
            let target = remembered - 0.1 / (2.0 * speed);
            prop_assert!((now - target).abs() <= (speed - target).abs() + 1e-9);
            prop_assert!((g.mean[2].0 * vy - g.mean[3].0 * vx).abs() < 1e-9, "direction kept");
            prop_assert!(g.cov[UU].0 + g.cov[VV].0 < before.cov[UU].0 + before.cov[VV].0);
            // Slower than 0.3 m/s nothing is said.
            let mut slow = before;
            (slow.mean[2], slow.mean[3]) = (Pair::splat(0.1), Pair::splat(0.1));
            let same = slow;
            slow.recall_speed(remembered, 0.05);
            prop_assert_eq!(slow, same);
        }
    }

    #[test]
    fn coasting_forgets_velocity_and_walking_does_not() {
        let mut g = Gaussian::born(0.0, 0.0, 0.09, 0.1, Pair(0.9, 0.1));
        g.mean[2] = Pair::splat(1.3);
        let motion = Motion::default();
        let mut walked = g;
        walked.predict(&Step::walk(&motion, 10.0), 1.3);
        g.predict(&Step::coast(&motion, 10.0), 1.3);
        assert!(walked.mean[0].0 > 10.0 && g.mean[0].0 < 1.5 && g.mean[2].0 < 1e-3);
        assert!(g.cov[UU].0 < 1.71 && g.cov[XX].0 > 10.0);
    }
}
