//! Randomness by name: every person, sensor and device draws from a stream of its own, derived from the seed and its
//! name, so that adding one sensor to a site changes what no other sensor says.
//!
//! The generator is PCG-XSH-RR 64/32 (M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
//! Algorithms for Random Number Generation", 2014): one multiplication and one rotation a number, a stream per odd
//! increment. Floats go through `libm`, so the same seed gives the same bits everywhere.

use osmose_model::ids::CarriedKey;

/// The multiplier of PCG's 64-bit congruential generator.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

/// One stream.
#[derive(Clone, Debug)]
pub(super) struct Rng {
    state: u64,
    increment: u64,
    /// Box-Muller makes two at a time.
    spare: Option<f64>,
}

impl Rng {
    /// The stream of `name` under `seed`; the hash is the one that carried ids use (XXH3).
    pub(super) fn stream(seed: u64, name: &str) -> Self {
        let increment = (CarriedKey::of(name).0 << 1) | 1;
        let mut rng = Self { state: 0, increment, spare: None };
        rng.next_u32();
        // The finaliser of SplitMix64 spreads seeds that differ in one bit (Steele, Lea, Flood 2014).
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        rng.state = rng.state.wrapping_add(z ^ (z >> 31));
        rng.next_u32();
        rng
    }

    fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
        let xored = (((old >> 18) ^ old) >> 27) as u32;
        xored.rotate_right((old >> 59) as u32)
    }

    /// Uniform in [0, 1), 53 bits.
    pub(super) fn unit(&mut self) -> f64 {
        let bits = (u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..n; 0 where `n` is 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        // The bias of the product is below n / 2^53.
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Normal, mean 0 and standard deviation 1 (Box and Muller 1958).
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * self.unit());
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Exponential of a mean, by inversion.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// Poisson of a mean: the product method (Knuth, TAOCP 2, 3.4.1), in pieces so that it never underflows.
    pub(super) fn poisson(&mut self, mean: f64) -> usize {
        let (mut left, mut count) = (mean.clamp(0.0, 4096.0), 0);
        while left > 0.0 {
            let piece = left.min(30.0);
            left -= piece;
            let floor = libm::exp(-piece);
            let mut product = self.unit();
            while product > floor {
                count += 1;
                product *= self.unit();
            }
        }
        count
    }

    /// Puts items in a random order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_name_and_by_seed() {
        let draw = |seed, name: &str| {
            let mut rng = Rng::stream(seed, name);
            (0..8).map(|_| rng.next_u32()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, "a"), draw(7, "a"));
        assert_ne!(draw(7, "a"), draw(7, "b"));
        assert_ne!(draw(7, "a"), draw(8, "a"));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        const N: usize = 100_000;
        let mut rng = Rng::stream(1, "moments");
        let mut mean_and_variance = |mut f: Box<dyn FnMut(&mut Rng) -> f64>| {
            let all: Vec<f64> = (0..N).map(|_| f(&mut rng)).collect();
            let mean = all.iter().sum::<f64>() / N as f64;
            (mean, all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / N as f64)
        };
        // Five standard errors of the mean each.
        let close = |(mean, variance): (f64, f64), m: f64, v: f64, what: &str| {
            assert!((mean - m).abs() < 5.0 * (v / N as f64).sqrt(), "{what}: mean {mean}, wanted {m}");
            assert!((variance / v - 1.0).abs() < 0.05, "{what}: variance {variance}, wanted {v}");
        };
        close(mean_and_variance(Box::new(Rng::unit)), 0.5, 1.0 / 12.0, "uniform");
        close(mean_and_variance(Box::new(Rng::normal)), 0.0, 1.0, "normal");
        close(mean_and_variance(Box::new(|r| r.exponential(3.0))), 3.0, 9.0, "exponential");
        close(mean_and_variance(Box::new(|r| r.poisson(0.3) as f64)), 0.3, 0.3, "poisson");
        close(mean_and_variance(Box::new(|r| r.poisson(70.0) as f64)), 70.0, 70.0, "poisson in pieces");
    }
}
