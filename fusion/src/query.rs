//! Who is near, in a region, in a beam, in sight: questions to the R-trees, answered into the caller's buffer.
//!
//! Answers are sorted by (distance, track) and hold everybody confirmed, seen or lost; nothing allocates but a buffer that is too
//! small.

use crate::Fusion;
use osmose_model::geometry::{Aabb, Area, Point, Segment};
use osmose_model::ids::{LevelId, TrackId};
use osmose_model::world::Presence;

/// Somebody found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Who.
    pub track: TrackId,
    /// How far, metres: from the point asked about; along the beam for [`Fusion::along`]; 0 for [`Fusion::in_region`].
    pub distance_m: f64,
    /// Whether its place is current.
    pub presence: Presence,
}

fn sort(hits: &mut [Hit]) {
    hits.sort_unstable_by(|a, b| a.distance_m.total_cmp(&b.distance_m).then(a.track.cmp(&b.track)));
}

impl Fusion {
    fn hit(&self, slot: u32, distance_m: f64) -> Hit {
        let who = self.occupants.occupant(slot);
        Hit { track: who.track, distance_m, presence: who.presence }
    }

    /// Everybody at most `radius_m` from a point of a level, nearest first, in place of what `out` held.
    pub fn within(&self, level: LevelId, at: Point, radius_m: f64, out: &mut Vec<Hit>) {
        out.clear();
        self.occupants.index.for_each_meeting(level, Aabb { min: at, max: at }.grown(radius_m), |slot| {
            let distance_m = self.occupants.occupant(slot).place.at.distance(at);
            if distance_m <= radius_m && self.occupants.slot(slot).confirmed {
                out.push(self.hit(slot, distance_m));
            }
        });
        sort(out);
    }

    /// The `k` nearest to a point of a level, nearest first, in place of what `out` held.
    pub fn nearest(&self, level: LevelId, at: Point, k: usize, out: &mut Vec<Hit>) {
        out.clear();
        if k == 0 {
            return;
        }
        self.occupants.index.nearest_first(level, at, |slot| {
            let hit = self.hit(slot, self.occupants.occupant(slot).place.at.distance(at));
            let before = |h: &Hit| (h.distance_m, h.track) < (hit.distance_m, hit.track);
            let rank = out.partition_point(before);
            if rank < k && self.occupants.slot(slot).confirmed {
                out.truncate(k - 1);
                out.insert(rank, hit);
            }
            // The square of a rounded root may lie below the distance itself: a part in 1e12 keeps ties.
            out.get(k - 1).map_or(f64::INFINITY, |worst| worst.distance_m * worst.distance_m * (1.0 + 1e-12) + 1e-300)
        });
    }

    /// Everybody inside an area of a level, ascending by track, in place of what `out` held.
    pub fn in_region(&self, level: LevelId, area: &Area, out: &mut Vec<Hit>) {
        out.clear();
        let Some(round) = area.aabb() else { return };
        self.occupants.index.for_each_meeting(level, round, |slot| {
            if area.contains(self.occupants.occupant(slot).place.at) && self.occupants.slot(slot).confirmed {
                out.push(self.hit(slot, 0.0));
            }
        });
        sort(out);
    }

    /// Everybody at most `half_width_m` from a straight beam, by the distance along it, in place of what `out` held.
    pub fn along(&self, level: LevelId, beam: Segment, half_width_m: f64, out: &mut Vec<Hit>) {
        out.clear();
        let Some(round) = Aabb::around([beam.a, beam.b]) else { return };
        self.occupants.index.for_each_meeting(level, round.grown(half_width_m), |slot| {
            let at = self.occupants.occupant(slot).place.at;
            let foot = beam.nearest(at);
            if foot.distance(at) <= half_width_m && self.occupants.slot(slot).confirmed {
                out.push(self.hit(slot, foot.distance(beam.a)));
            }
        });
        sort(out);
    }

    /// Everybody at most `half_width_m` from a ray of `length_m` that leaves `from` in direction `heading_rad` (from
    /// +x, counter-clockwise), by the distance along it.
    pub fn along_ray(
        &self,
        level: LevelId,
        from: Point,
        heading_rad: f64,
        length_m: f64,
        half_width_m: f64,
        out: &mut Vec<Hit>,
    ) {
        let (sin, cos) = libm::sincos(heading_rad);
        let to = Point::new(from.x_m + length_m * cos, from.y_m + length_m * sin);
        self.along(level, Segment { a: from, b: to }, half_width_m, out);
    }

    /// Whether no opaque wall of a level stands between two points; touching one counts as blocked.
    #[must_use]
    pub fn line_of_sight(&self, level: LevelId, from: Point, to: Point) -> bool {
        self.plan.line_of_sight(level, Segment { a: from, b: to })
    }
}
