//! Two doubles that go through the same sums together: lane 0 is the straight-walking mode, lane 1 the turning mode.
//!
//! Every person hypothesis carries both modes, so all filter arithmetic is written once on pairs. The compiler turns a
//! pair into one 128-bit register, and because every lane operation is a plain IEEE operation (no fused multiply-add, no
//! reassociation) the bits do not depend on whether it did.

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// Two lanes of `f64`, one for each motion mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[repr(align(16))]
pub(crate) struct Pair(pub(crate) f64, pub(crate) f64);

impl Pair {
    /// The same number in both lanes.
    #[inline(always)]
    pub(crate) const fn splat(v: f64) -> Self {
        Pair(v, v)
    }

    /// Sum of the lanes.
    #[inline(always)]
    pub(crate) fn sum(self) -> f64 {
        self.0 + self.1
    }

    /// Square root of each lane.
    #[inline(always)]
    pub(crate) fn sqrt(self) -> Self {
        Pair(self.0.sqrt(), self.1.sqrt())
    }

    /// The larger of the lanes.
    #[inline(always)]
    pub(crate) fn larger(self) -> f64 {
        self.0.max(self.1)
    }

    /// The smaller of the lanes.
    #[inline(always)]
    pub(crate) fn smaller(self) -> f64 {
        self.0.min(self.1)
    }

    /// `self` in each lane where `a > b`, else 0.
    #[inline(always)]
    pub(crate) fn where_above(self, a: Pair, b: f64) -> Self {
        Pair(if a.0 > b { self.0 } else { 0.0 }, if a.1 > b { self.1 } else { 0.0 })
    }

    /// True if both lanes are finite.
    pub(crate) fn is_finite(self) -> bool {
        self.0.is_finite() && self.1.is_finite()
    }

    /// `exp` of each lane, for arguments in `-700..=0` (smaller ones count as -700), to about 1e-14 relative.
    ///
    /// Cody-Waite reduction `x = n ln 2 + f`, `|f| <= ln 2 / 2`, Taylor polynomial of degree 11 in `f`, then `2^n` by the
    /// exponent bits. Written out, not `libm::exp`, because it is free of branches and so runs in both lanes at once.
    #[inline(always)]
    pub(crate) fn exp_nonpositive(self) -> Self {
        Pair(exp_lane(self.0), exp_lane(self.1))
    }
}

/// 1.5 * 2^52: adding it rounds to an integer that then stands in the low bits of the mantissa.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// The high part of ln 2 with 20 trailing zero bits, so that `n * LN2_HIGH` is exact for |n| < 2^11.
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
/// ln 2 - LN2_HIGH.
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// One lane of [`Pair::exp_nonpositive`].
#[inline(always)]
fn exp_lane(x: f64) -> f64 {
    let x = if x > -700.0 { x } else { -700.0 };
    let rounded = x * std::f64::consts::LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let f = (x - n * LN2_HIGH) - n * LN2_LOW;
    let f2 = f * f;
    let f4 = f2 * f2;
    // Taylor coefficients 1/k!, summed by pairs (Estrin) to shorten the chain.
    let low = (1.0 + f) + f2 * (0.5 + f * (1.0 / 6.0));
    let middle = (1.0 / 24.0 + f * (1.0 / 120.0)) + f2 * (1.0 / 720.0 + f * (1.0 / 5_040.0));
    let high = (1.0 / 40_320.0 + f * (1.0 / 362_880.0)) + f2 * (1.0 / 3_628_800.0 + f * (1.0 / 39_916_800.0));
    let polynomial = low + f4 * (middle + f4 * high);
    let exponent = rounded.to_bits().wrapping_add(1023) << 52;
    polynomial * f64::from_bits(exponent)
}

impl Add for Pair {
    type Output = Pair;
    #[inline(always)]
    fn add(self, o: Pair) -> Pair {
        Pair(self.0 + o.0, self.1 + o.1)
    }
}

impl AddAssign for Pair {
    #[inline(always)]
    fn add_assign(&mut self, o: Pair) {
        *self = *self + o;
    }
}

impl Sub for Pair {
    type Output = Pair;
    #[inline(always)]
    fn sub(self, o: Pair) -> Pair {
        Pair(self.0 - o.0, self.1 - o.1)
    }
}

impl SubAssign for Pair {
    #[inline(always)]
    fn sub_assign(&mut self, o: Pair) {
        *self = *self - o;
    }
}

impl Mul for Pair {
    type Output = Pair;
    #[inline(always)]
    fn mul(self, o: Pair) -> Pair {
        Pair(self.0 * o.0, self.1 * o.1)
    }
}

impl Mul<f64> for Pair {
    type Output = Pair;
    #[inline(always)]
    fn mul(self, o: f64) -> Pair {
        Pair(self.0 * o, self.1 * o)
    }
}

impl Div for Pair {
    type Output = Pair;
    #[inline(always)]
    fn div(self, o: Pair) -> Pair {
        Pair(self.0 / o.0, self.1 / o.1)
    }
}

impl Neg for Pair {
    type Output = Pair;
    #[inline(always)]
    fn neg(self) -> Pair {
        Pair(-self.0, -self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_libm() {
        let mut x = 0.0;
        while x > -690.0 {
            let got = Pair(x, x * 0.5).exp_nonpositive();
            let (want0, want1) = (libm::exp(x), libm::exp(x * 0.5));
            assert!((got.0 - want0).abs() <= 2e-14 * want0, "exp({x})");
            assert!((got.1 - want1).abs() <= 2e-14 * want1, "exp({})", x * 0.5);
            x -= 0.037;
        }
        assert!(Pair(-1e9, f64::NEG_INFINITY).exp_nonpositive().larger() < 1e-300);
        assert_eq!(Pair(0.0, 0.0).exp_nonpositive(), Pair(1.0, 1.0));
    }
}
