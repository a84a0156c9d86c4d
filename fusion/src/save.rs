//! Save and restore: what is saved is exactly what the future depends on, so a restored fusion continues bit for bit.
//!
//! Indexes are rebuilt; R-trees from the saved boxes, since where a box is decides when it is drawn anew. The shape of
//! a rebuilt tree may differ and never shows, because every answer is sorted.

use crate::calibration::Gauge;
use crate::doors::Counted;
use crate::fuse::{Counts, Fusion};
use crate::identity::SavedIdentities;
use crate::late::SavedLate;
use crate::merge::Carrier;
use crate::occupants::{Origin, SavedSlot};
use crate::points::SavedMap;
use crate::presence::SavedChains;
use crate::ranging::Filter;
use crate::rssi::Beacon;
use crate::tracker::TrackerState;
use osmose_model::digest::Digest;
use osmose_model::geometry::Place;
use osmose_model::ids::TrackId;
use osmose_model::limits::COORDINATE_ABS_MAX_M;
use osmose_model::site::Site;
use osmose_model::stages::RestoreError;
use osmose_model::time::LogicalNs;
use osmose_model::world::{Presence, SensorStatus};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The layout that this build writes and reads.
const VERSION: u32 = 8;
/// Which stage's state it is, in errors.
const PART: &str = "fusion";

/// Everything that is saved. The site's name and digest come first, so that another site's state is known as such.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    version: u32,
    site: String,
    site_digest: u64,
    now: LogicalNs,
    next_track: u64,
    occupants: Vec<SavedSlot>,
    lost: Vec<TrackId>,
    sensors: Vec<(SensorStatus, Option<LogicalNs>)>,
    trackers: Vec<Option<TrackerState>>,
    identities: SavedIdentities,
    ranging: Vec<Filter>,
    beacons: Vec<Beacon>,
    gauges: Vec<Gauge>,
    carriers: Vec<Carrier>,
    chains: SavedChains,
    clouds: Vec<Option<SavedMap>>,
    doors: Vec<Option<Counted>>,
    counts: Counts,
    /// What was observed since, up to `until`.
    late: SavedLate,
    until: LogicalNs,
}

/// What of a site the numbers in a saved state refer to: levels, zones, sensors and people, by name and order.
fn site_digest(site: &Site) -> u64 {
    let mut digest = Digest::default();
    let mut names = |what: &str, names: &mut dyn Iterator<Item = &String>| {
        digest.absorb(what.as_bytes());
        names.for_each(|n| digest.absorb(n.as_bytes()));
    };
    names("levels", &mut site.levels.iter().map(|l| &l.name));
    names("zones", &mut site.zones.iter().map(|z| &z.name));
    names("sensors", &mut site.sensors.iter().map(|s| &s.name));
    names("people", &mut site.people.iter().map(|p| &p.name));
    digest.0
}

fn malformed(why: impl Into<String>) -> RestoreError {
    RestoreError::Malformed { part: PART, why: why.into() }
}

/// Whether a saved occupant can be one of this site's.
fn is_sound(saved: &SavedSlot, site: &Site) -> bool {
    let who = &saved.occupant;
    let b = saved.boxed;
    let numbers = [b.min.x_m, b.min.y_m, b.max.x_m, b.max.y_m, who.existence, who.person_p]
        .into_iter()
        .chain(who.velocity_mps)
        .chain(who.covariance_m2)
        .chain(who.heading_rad);
    let place: Place = who.place;
    place.is_plausible()
        && place.level.index() < site.levels.len()
        && b.contains(place.at)
        && numbers.into_iter().all(|x| x.abs() <= COORDINATE_ABS_MAX_M * COORDINATE_ABS_MAX_M)
        && who.person.is_none_or(|p| p.index() < site.people.len())
        && who.zones.iter().all(|z| z.index() < site.zones.len())
        && who.zones.is_sorted_by(|a, b| a < b)
        && saved.exits.iter().all(|(z, _)| who.zones.contains(z))
        && saved.exits.is_sorted_by(|a, b| a.0 < b.0)
        && saved.surely.iter().all(|(z, _)| z.index() < site.zones.len())
        && saved.seen_place.is_plausible()
        && saved.seen_place.level.index() < site.levels.len()
        && [saved.carried, saved.tracked_at]
            .into_iter()
            .flatten()
            .all(|(_, var)| (0.0..=COORDINATE_ABS_MAX_M * COORDINATE_ABS_MAX_M).contains(&var))
        && saved.joined.is_none_or(|j| j.device().is_some() != saved.origin.device().is_some())
        && who.device == saved.origin.device().or(saved.joined.and_then(Origin::device))
        && (0.0..=COORDINATE_ABS_MAX_M).contains(&saved.silence_hz)
        && (saved.confirmed || is_soundly_unconfirmed(saved))
}

/// Whether a saved occupant that is not confirmed is what those are: a track in no zone, of nobody, not lost.
fn is_soundly_unconfirmed(saved: &SavedSlot) -> bool {
    let who = &saved.occupant;
    matches!(saved.origin, Origin::Tracker { .. })
        && saved.joined.is_none()
        && who.zones.is_empty()
        && who.person.is_none()
        && who.presence == Presence::Seen
}

impl Fusion {
    pub(crate) fn save_into(&self, out: &mut Vec<u8>) {
        // Late observations may go back to the oldest copy: that is saved, and what came since runs again.
        let saved = match self.base() {
            Some(base) => base.saved(self.saved_late(), self.now),
            None => self.saved(self.saved_late(), self.now),
        };
        // Writing to memory fails only for types that postcard cannot write at all, which a test would show.
        match postcard::to_extend(&saved, std::mem::take(out)) {
            Ok(bytes) => *out = bytes,
            Err(e) => unreachable!("a saved state is always writable: {e}"),
        }
    }

    /// What observations and time made of the state, in bytes: the trackers, the devices, the occupants with their zones,
    /// who they are taken for, and how many are in counted zones. Two runs that used the same observations up to the same instant give the same bytes,
    /// in whatever order the observations came, as long as none was degraded. What depends on the order by its meaning is
    /// left out: under which numbers occupants were told of, when a sensor was heard, what was counted.
    #[must_use]
    pub fn state_bytes(&self) -> Vec<u8> {
        let Saved { now, mut occupants, lost, trackers, identities, ranging, beacons, carriers, doors, .. } =
            self.saved(SavedLate::default(), self.now);
        // Numbered by what they come from instead.
        let before: Vec<TrackId> = occupants.iter().map(|o| o.occupant.track).collect();
        let mut order: Vec<usize> = (0..occupants.len()).collect();
        order.sort_unstable_by_key(|&i| (occupants[i].origin, occupants[i].first_seen));
        let number = |track: TrackId| {
            let was = before.binary_search(&track).ok()?;
            order.iter().position(|&i| i == was).map(|rank| TrackId(rank as u64))
        };
        for o in &mut occupants {
            o.occupant.track = number(o.occupant.track).unwrap_or(o.occupant.track);
        }
        occupants.sort_unstable_by_key(|o| o.occupant.track);
        // Of those lost at one instant the lower number comes first: their order is by number too.
        let mut lost: Vec<TrackId> = lost.into_iter().filter_map(number).collect();
        lost.sort_unstable();
        let identities = identities.renumbered(&order, number);
        // As in `save`: a saved state is always writable.
        postcard::to_stdvec(&(now, occupants, lost, trackers, identities, ranging, beacons, carriers, doors))
            .unwrap_or_default()
    }

    /// Everything as it is, with a history to follow.
    fn saved(&self, late: SavedLate, until: LogicalNs) -> Saved {
        let (occupants, lost) = self.occupants.saved();
        Saved {
            version: VERSION,
            site: self.site.name.clone(),
            site_digest: site_digest(&self.site),
            now: self.now,
            next_track: self.occupants.next_track,
            occupants,
            lost,
            sensors: self.sensors.saved(),
            trackers: self.positions.saved(),
            identities: self.identities.saved(&self.occupants),
            ranging: self.ranging.saved(),
            beacons: self.beacons.saved(),
            gauges: self.calibration.saved(),
            carriers: self.carriers.saved(),
            chains: self.chains.saved(),
            clouds: self.clouds.saved(),
            doors: self.doors.saved(),
            counts: self.counts,
            late,
            until,
        }
    }

    pub(crate) fn restore_from(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (version, _) = postcard::take_from_bytes::<u32>(bytes).map_err(|e| malformed(e.to_string()))?;
        if version != VERSION {
            return Err(RestoreError::Mismatch {
                part: PART,
                found: format!("layout {version}"),
                wanted: format!("layout {VERSION}"),
            });
        }
        let saved: Saved = postcard::from_bytes(bytes).map_err(|e| malformed(e.to_string()))?;
        if saved.site_digest != site_digest(&self.site) {
            let wanted = format!("the site {} as it is now (levels, zones, sensors and people)", self.site.name);
            return Err(RestoreError::Mismatch { part: PART, found: format!("the site {}", saved.site), wanted });
        }
        let mut fresh = Self::new(Arc::clone(&self.site));
        let ascending = saved.occupants.is_sorted_by(|a, b| a.occupant.track < b.occupant.track)
            && saved.occupants.last().is_none_or(|last| last.occupant.track.0 < saved.next_track);
        if !ascending || !saved.occupants.iter().all(|o| is_sound(o, &self.site)) {
            return Err(malformed("an occupant contradicts itself or the site"));
        }
        if saved.occupants.len() > fresh.occupants.max() {
            return Err(malformed("it holds more tracks than tracks_max allows"));
        }
        if !fresh.occupants.refill(saved.occupants, &saved.lost) {
            return Err(malformed("the list of those lost is another one than theirs"));
        }
        if !fresh.sensors.refill(saved.sensors, saved.until) {
            return Err(malformed("it holds another number of sensors"));
        }
        fresh.positions.refill(&saved.trackers, &fresh.occupants).map_err(malformed)?;
        if !fresh.identities.refill(
            saved.identities,
            &fresh.occupants,
            (self.site.people.len(), self.site.sensors.len()),
        ) {
            return Err(malformed("its identities are of others"));
        }
        if !fresh.ranging.refill(saved.ranging) {
            return Err(malformed("its ranged devices are none"));
        }
        if !fresh.beacons.refill(saved.beacons) {
            return Err(malformed("its heard devices are none"));
        }
        if !fresh.calibration.refill(saved.gauges) {
            return Err(malformed("its accounts of sensors are of others"));
        }
        if !fresh.carriers.refill(saved.carriers) {
            return Err(malformed("its carried devices are borne by nobody"));
        }
        if !fresh.doors.refill(saved.doors) {
            return Err(malformed("its counted zones are others"));
        }
        if !fresh.clouds.refill(saved.clouds) {
            return Err(malformed("what its radars learnt is of other radars"));
        }
        if !fresh.chains.refill(saved.chains) {
            return Err(malformed("what its sensors say of zones is of other zones or sensors"));
        }
        fresh.occupants.next_track = saved.next_track;
        (fresh.now, fresh.counts) = (saved.now, saved.counts);
        fresh.refill_late(saved.late, saved.until).map_err(malformed)?;
        *self = fresh;
        Ok(())
    }
}
