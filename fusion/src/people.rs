//! Other people on a running engine: the list was saved anew, and holds from one input on.
//!
//! Whoever was known before keeps their number (the loader's key `order` sees to it), so what is believed of anybody
//! stays as it is. A carried device that has another owner now names its bearer at once, and not with the next fix.

use crate::fuse::Fusion;
use osmose_model::site::Site;
use osmose_model::world::Stimulus;
use std::sync::Arc;

impl Fusion {
    /// Puts a site in force that differs in its people alone.
    ///
    /// What was observed before is not gone back to any more: run again, it would be of the people of now. Only people who
    /// were not there before take memory.
    pub(crate) fn take_people(&mut self, site: &Arc<Site>, out: &mut Vec<Stimulus>) {
        let same = self.site.people.len() == site.people.len()
            && self.site.device_owners == site.device_owners
            && self.site.badge_owners == site.badge_owners;
        self.site = Arc::clone(site);
        if same {
            return;
        }
        self.occupants.make_room_for(site.people.len());
        self.late.begin_anew();
        self.arm_where_declared();
        for nth in 0..self.occupants.len() {
            let (_, slot) = self.occupants.tracks()[nth];
            let occupant = self.occupants.occupant(slot);
            let Some(device) = occupant.device else { continue };
            let (owner, before) = (self.site.owner_of_device(device), occupant.person);
            // Who bears a device that nobody owns may still be known by a badge or a voice.
            let was_named_by_it = before.is_some_and(|p| self.site.people[p.index()].devices.is_empty());
            let Some(sighting) = occupant.moved_by.last().copied() else { continue };
            let from = (sighting.sensor, sighting.measured);
            match owner {
                Some(owner) if before != Some(owner) => self.identify(slot, Some(owner), 1.0, from, out),
                None if was_named_by_it => self.identify(slot, None, 0.0, from, out),
                _ => {}
            }
        }
    }
}
