//! Two small sites and a sink that only counts, shared by the test of allocations and the bench.

#[allow(dead_code, reason = "shared with the unit tests, which use all of it")]
#[path = "../../src/testing.rs"]
mod testing;

use osmose_model::device::{ClockKind, Format, SensorKind};
use osmose_model::ids::{CarriedKey, PersonId};
use osmose_model::input::{Class, Report, Shed};
use osmose_model::observation::Observation;
use osmose_model::site::Site;
use osmose_model::time::ArrivalNs;
use osmose_sensors::edge::{Sink, SourceKey};

/// Counts what comes out.
#[derive(Default)]
pub(crate) struct Null {
    /// Observations taken.
    pub(crate) observations: u64,
}

impl Sink for Null {
    fn named(&mut self, _: ArrivalNs, _: CarriedKey, _: &str) {}
    fn observation(&mut self, _: ArrivalNs, _: SourceKey, _: Class, _: &Observation<'_>) {
        self.observations += 1;
    }
    fn report(&mut self, _: ArrivalNs, _: Report) {}
    fn shed(&mut self, _: ArrivalNs, _: Shed) {}
}

/// The site of the peer job: one location sensor and 200 known devices.
pub(crate) fn peer_site() -> Site {
    let mut site = testing::site();
    let map = testing::map(&[("device", "/id"), ("x_m", "/x"), ("y_m", "/y"), ("seq", "/seq")]);
    testing::add(&mut site, "uwb", SensorKind::Location, 7801, testing::json(map));
    site.device_owners = (0..200).map(|i| (CarriedKey::of(&format!("p{i}")), PersonId(0))).collect();
    site.device_owners.sort();
    site
}

/// One ceiling sensor that speaks native frames with its own clock.
pub(crate) fn native_site() -> Site {
    let mut site = testing::site();
    testing::add(&mut site, "cam", SensorKind::Position, 7801, Format::Osmose).clock = ClockKind::Device;
    site
}
