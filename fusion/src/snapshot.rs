//! A copy of everything that observations and time change, to go back to.
//!
//! What is not in it: what stands still (the site), what a step only borrows (buffers), who was heard when (a matter of
//! arrival), readings but those of two-state sensors (one gives way to a newer one only), and counts of what came in.

use crate::calibration::Gauge;
use crate::doors::Doors;
use crate::fuse::{Counts, Fusion};
use crate::identity::Identities;
use crate::in_place::{Stamped, StampedVec};
use crate::merge::Carriers;
use crate::occupants::Occupants;
use crate::order::Key;
use crate::points::KeptClouds;
use crate::positions::KeptPositions;
use crate::presence::Chains;
use crate::ranging::Ranging;
use crate::rssi::Beacons;
use crate::sensors::KeptReadings;
use osmose_model::time::LogicalNs;

/// Everything as it was when all observations up to `key` were in. Filling it again allocates nothing once it had room.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) key: Key,
    /// The last instant at which time alone changed anything.
    pub(crate) fired_at: LogicalNs,
    /// How many had appeared.
    pub(crate) births: u64,
    /// How many observations there ever were before it, those that were forgotten too.
    pub(crate) behind: u64,
    now: LogicalNs,
    pub(crate) occupants: Occupants,
    positions: KeptPositions,
    identities: Identities,
    ranging: Ranging,
    beacons: Beacons,
    gauges: StampedVec<Gauge>,
    clouds: KeptClouds,
    carriers: Stamped<Carriers>,
    chains: Stamped<Chains>,
    doors: Doors,
    readings: KeptReadings,
    counts: Counts,
}

impl Fusion {
    /// An empty copy, with room.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            key: Key::default(),
            fired_at: self.fired_at,
            births: 0,
            behind: 0,
            now: self.now,
            occupants: self.occupants.kept(),
            positions: self.positions.kept(),
            identities: self.identities.kept(),
            ranging: self.ranging.clone(),
            beacons: self.beacons.clone(),
            gauges: self.calibration.kept(),
            clouds: self.clouds.kept(),
            carriers: self.carriers.clone(),
            chains: self.chains.clone(),
            doors: self.doors.clone(),
            readings: KeptReadings::default(),
            counts: self.counts,
        }
    }

    /// Fills a copy. Whoever adds a field to [`Fusion`] decides here whether it is part of what is gone back to.
    pub(crate) fn keep(&self, key: Key, to: &mut Snapshot) {
        let Self {
            now,
            fired_at,
            occupants,
            positions,
            identities,
            ranging,
            beacons,
            calibration,
            clouds,
            carriers,
            chains,
            doors,
            sensors,
            counts,
            site: _,
            receivers: _,
            plan: _,
            ways: _,
            late: _,
            due: _,
        } = self;
        (to.key, to.now, to.fired_at, to.counts, to.births) = (key, *now, *fired_at, *counts, occupants.births.count());
        occupants.keep(&mut to.occupants);
        positions.keep(&mut to.positions);
        to.identities.copy_from(identities, occupants.slot_count());
        to.ranging.clone_from(ranging);
        to.beacons.clone_from(beacons);
        calibration.keep(&mut to.gauges);
        clouds.keep(&mut to.clouds);
        to.carriers.copy_from(carriers, Clone::clone_from);
        to.chains.copy_from(chains, Chains::copy_from);
        to.doors.copy_from(doors);
        sensors.keep(&mut to.readings);
    }

    /// Is again what it was when the copy was filled. Whoever appeared since is to appear again.
    pub(crate) fn go_back(&mut self, to: &Snapshot) {
        (self.now, self.fired_at) = (to.now, to.fired_at);
        let came_in = self.counts;
        self.counts = Counts {
            not_plausible: came_in.not_plausible,
            kind_not_used: came_in.kind_not_used,
            tracks_full: came_in.tracks_full,
            late_degraded: came_in.late_degraded,
            late_rerun: came_in.late_rerun,
            stimuli_shed: came_in.stimuli_shed,
            ..to.counts
        };
        self.occupants.births.undo_to(to.births);
        self.occupants.go_back(&to.occupants);
        self.positions.go_back(&to.positions);
        self.identities.copy_from(&to.identities, self.occupants.slot_count());
        self.ranging.clone_from(&to.ranging);
        self.beacons.clone_from(&to.beacons);
        self.calibration.go_back(&to.gauges);
        self.clouds.go_back(&to.clouds);
        self.carriers.copy_from(&to.carriers, Clone::clone_from);
        self.chains.copy_from(&to.chains, Chains::copy_from);
        self.doors.copy_from(&to.doors);
        self.sensors.go_back(&self.site, &to.readings, to.now);
    }

    /// How much there is to copy, in updates: an occupant or track copied costs about a sixteenth of one updated.
    pub(crate) fn copy_updates(&self) -> u32 {
        // Of what is saved only: when copies are taken must not hang on how many slots there once were.
        let all = 64 + self.positions.track_count() + self.occupants.len();
        let all = all + self.ranging.len() + self.beacons.len() + self.clouds.cells() / 32;
        u32::try_from(all / 16).unwrap_or(u32::MAX)
    }
}
