//! Who is in which zone, with the site's margins: in when `depth >= enter_margin`, out when `depth < -exit_margin` for
//! `exit_delay` (omlox's `exit_tolerance` and `exit_delay`); in between, as before.
//!
//! Depth (signed distance to the boundary) changes no faster than a point moves. So each working-out also yields how
//! far the point may move before any answer can change, and the fixes within that distance cost one comparison.

use crate::occupants::Occupants;
use crate::plan::{Plan, REACH_M};
use crate::sink::Sink;
use crate::surely;
use osmose_model::ids::ZoneId;
use osmose_model::limits::ZONES_PER_OCCUPANT_MAX;
use osmose_model::time::DurationNs;
use osmose_model::world::EventKind;

/// Taken off the distance within which nothing changes, for rounding: coordinates are at most 1e6 m, so the rounding
/// of a depth is far below it.
const ROUNDING_M: f64 = 1e-6;

/// How zones are worked out this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// First seen: zones are filled in without events.
    Silently,
    /// Seen before.
    Usually,
    /// Lost until now: being outside counts at once, exit delays are over.
    Found,
}

/// Whether the occupant's place is still within the distance in which no zone can change.
pub(crate) fn is_settled(occupants: &Occupants, slot: u32) -> bool {
    let entry = occupants.slot(slot);
    entry.slack_m > 0.0 && entry.occupant.place.at.distance2(entry.anchor) < entry.slack_m * entry.slack_m
}

/// Works out the zones of an occupant at its place: leaves ascending, then enters ascending. Returns how many zones it
/// could not be put in because it is in as many as it can be.
pub(crate) fn settle(plan: &Plan, occupants: &mut Occupants, slot: u32, how: How, sink: &mut Sink<'_>) -> u64 {
    let place = occupants.occupant(slot).place;
    // A copy of the numbers: they are looked at while the list itself changes.
    let (mut room, n) = ([ZoneId(0); ZONES_PER_OCCUPANT_MAX], occupants.occupant(slot).zones.len());
    room[..n].copy_from_slice(&occupants.occupant(slot).zones);
    let before = &room[..n];
    let mut slack_m = REACH_M;
    for &zone in before {
        let depth = plan.depth(zone, place.level, place.at);
        let margins = plan.margins(zone);
        if depth >= -margins.exit_margin_m {
            occupants.cancel_exit(slot, zone);
            slack_m = slack_m.min(depth + margins.exit_margin_m);
        } else if how == How::Found || margins.exit_delay == DurationNs::ZERO {
            occupants.part(slot, zone);
            sink.event(EventKind::Leaves, occupants.occupant(slot), Some(zone), None);
            slack_m = slack_m.min(margins.enter_margin_m - depth);
        } else {
            occupants.begin_exit(slot, zone, sink.measured.plus(margins.exit_delay));
            slack_m = slack_m.min(-margins.exit_margin_m - depth);
        }
    }
    let mut refused = 0;
    for &zone in plan.zones_near(place.level, place.at) {
        if before.contains(&zone) {
            continue;
        }
        // Farther than what is known to be the nearest change: neither entered nor the next to be.
        let outside_m = plan.outside_box_m(zone, place.at);
        if outside_m > 0.0 && outside_m >= slack_m {
            continue;
        }
        let depth = plan.depth(zone, place.level, place.at);
        let margins = plan.margins(zone);
        if depth < margins.enter_margin_m {
            slack_m = slack_m.min(margins.enter_margin_m - depth);
            continue;
        }
        slack_m = slack_m.min(depth + margins.exit_margin_m);
        if !occupants.join(slot, zone) {
            refused += 1;
            slack_m = 0.0;
        } else if how != How::Silently {
            surely::came_in(plan, occupants, slot, zone, sink.measured);
            sink.event(EventKind::Enters, occupants.occupant(slot), Some(zone), None);
        }
    }
    let entry = occupants.slot_mut(slot);
    (entry.anchor, entry.slack_m) = (place.at, slack_m - ROUNDING_M);
    if *entry.occupant.zones != *before || how == How::Silently {
        entry.lost_after = plan.lost_after(&entry.occupant.zones);
    }
    refused
}

/// Leaves the zones whose exit is due by the sink's instant, ascending.
pub(crate) fn expire_exits(plan: &Plan, occupants: &mut Occupants, slot: u32, sink: &mut Sink<'_>) {
    while let Some(zone) = occupants.due_exit(slot, sink.measured) {
        occupants.part(slot, zone);
        sink.event(EventKind::Leaves, occupants.occupant(slot), Some(zone), None);
        let entry = occupants.slot_mut(slot);
        entry.lost_after = plan.lost_after(&entry.occupant.zones);
        entry.slack_m = 0.0;
    }
}
