//! Which tracks a scan concerns: the others are left alone, and moved when their turn comes.
//!
//! A building has many sensors, and each sees one or two people. What a scan says of the others is nothing: it can only
//! move them along to its time, which whoever looks at them next can do as well, in one go. So every track knows as of
//! when it is ([`Head::as_of_ns`](super::store::Head)), and a scan moves those alone that its sensor may see, whoever is
//! close to those (who meets whom is asked of places of one time), and whoever was left alone for a while.
//!
//! With one sensor that sees the whole floor that is everybody, and nothing is other than if nobody were left alone.

use super::field::REACH_M;
use super::step::{Tracker, seconds};
use super::store::Glance;

/// A track that was left alone for so long is moved all the same: somebody out of sight is shown where they should be.
const STALE_S: f64 = 0.1;
const STALE_NS: i64 = 100_000_000;
/// Faster than people walk, m/s: nobody who was left alone is further from where they were.
const FASTEST_MPS: f64 = 3.0;
/// Whoever is so near to somebody whom the sensor may see is moved with them, m.
const COMPANY_M: f64 = 2.0;

/// A box that grows.
struct Bounds {
    low: [f64; 2],
    high: [f64; 2],
}

impl Bounds {
    /// Whether a place is in it or at most so far beside it, axis by axis.
    #[inline]
    fn is_near(&self, at: [f64; 2], margin_m: f64) -> bool {
        // Not `&&`: where somebody is cannot be foretold, and a wrong guess costs more than three comparisons.
        let is_in = |a: usize| (at[a] >= self.low[a] - margin_m) & (at[a] <= self.high[a] + margin_m);
        is_in(0) & is_in(1)
    }

    fn include(&mut self, at: [f64; 2]) {
        for (a, at) in at.into_iter().enumerate() {
            self.low[a] = self.low[a].min(at);
            self.high[a] = self.high[a].max(at);
        }
    }
}

impl Tracker {
    /// Lists the tracks that a scan of `sensor` at `t_ns` concerns, ascending, in `touched`.
    pub(super) fn choose(&mut self, sensor: usize, t_ns: i64) {
        let Tracker { tracks, touched, fields, .. } = self;
        tracks.forget_hits();
        touched.clear();
        let Some((low, high)) = fields[sensor].bounds() else {
            touched.extend(0..tracks.len() as u32);
            return;
        };
        let field = Bounds { low, high };
        let mut seen = Bounds { low: [f64::INFINITY; 2], high: [f64::NEG_INFINITY; 2] };
        let mut sees_somebody = false;
        let stale_ns = t_ns.saturating_sub(STALE_NS);
        let is_stale = |g: &Glance| g.as_of_ns <= stale_ns;
        for (i, g) in tracks.glances().iter().enumerate() {
            if is_stale(g) {
                touched.push(i as u32);
            }
            // Most are so far away that it does not matter for how long.
            if !field.is_near(g.mean, REACH_M + g.reach + FASTEST_MPS * STALE_S) {
                continue;
            }
            let walked_m = FASTEST_MPS * seconds(g.as_of_ns, t_ns).min(STALE_S);
            if field.is_near(g.mean, REACH_M + g.reach + walked_m) {
                seen.include(g.mean);
                sees_somebody = true;
            }
        }
        if sees_somebody {
            touched.clear();
            for (i, g) in tracks.glances().iter().enumerate() {
                if seen.is_near(g.mean, COMPANY_M + g.reach) || is_stale(g) {
                    touched.push(i as u32);
                }
            }
        }
    }
}
