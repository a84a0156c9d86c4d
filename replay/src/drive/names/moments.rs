//! What single moments say of who is who: two tracks that come close may change places, and somebody shows a badge.

use super::{Row, at, distance2};
use osmose_model::ids::TrackId;

/// Tracks closer than this meet, metres, ...
pub(super) const MEET_M: f64 = 1.2;
/// ... until they are farther apart than this.
pub(super) const PART_M: f64 = 1.7;
/// See [`swap_p`].
const APART_M: f64 = 0.35;
/// See [`swap_p`].
const FASTER_MPS: f64 = 1.2;
/// Whoever shows a badge stands at most so far from its reader, metres; ...
pub(super) const READER_REACH_M: f64 = 2.0;
/// ... nearly all within the reader's standard deviation per axis, one in ten within this one.
const READER_FAR_SIGMA_M: f64 = 0.7;
/// See there.
const READER_FAR_P: f64 = 0.1;

/// How likely two tracks are to have changed places, by the squares of their distance d (m²) and of the difference v of their
/// velocities (m²/s²) where they were closest: `0.5 exp(-(d/APART_M)²/2 - (v/FASTER_MPS)²/2)`.
pub(super) fn swap_p(distance2: f64, faster2: f64) -> f64 {
    0.5 * (-0.5 * (distance2 / (APART_M * APART_M) + faster2 / (FASTER_MPS * FASTER_MPS))).exp()
}

/// How well it fits who shows a badge, to stand at the root of `distance2` (m²) from the reader: 1 right at it.
pub(super) fn reader_fit(distance2: f64, sigma_m: f64) -> f64 {
    let normal = |sigma_m: f64| (-0.5 * distance2 / (sigma_m * sigma_m)).exp();
    (1.0 - READER_FAR_P) * normal(sigma_m) + READER_FAR_P * normal(READER_FAR_SIGMA_M)
}

/// Calls `each` for every two rows of one moment and level that are closer than [`PART_M`], with their tracks in order and
/// the square of their distance (m²).
pub(super) fn neighbours<'r>(
    rows: impl Iterator<Item = &'r Row>,
    mut each: impl FnMut((TrackId, TrackId), (&'r Row, &'r Row), f64),
) {
    // Neighbours are near in x.
    let mut by_x: Vec<&Row> = rows.collect();
    by_x.sort_by(|a, b| a.place.at.x_m.total_cmp(&b.place.at.x_m).then(a.track.cmp(&b.track)));
    for (n, a) in by_x.iter().enumerate() {
        for b in by_x[n + 1..].iter().take_while(|b| b.place.at.x_m - a.place.at.x_m < PART_M) {
            let d2 = distance2(at(a.place), at(b.place));
            if a.place.level == b.place.level && d2 < PART_M * PART_M {
                each((a.track.min(b.track), a.track.max(b.track)), (a, b), d2);
            }
        }
    }
}
