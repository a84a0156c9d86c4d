//! What goes wrong with sensors and their network in a building that has been in use for years, by chance.
//!
//! Every device's own clock runs off a little, datagrams are lost and doubled now and then, the network stalls and then
//! delivers in a burst, and a few sensors die. A script names faults one by one; this is for crowds.

use super::rng::Rng;
use super::script::{Fault, Wrong};
use osmose_model::device::{ClockKind, Sensor};
use osmose_model::input::Class;
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs};

/// How far clocks run off, parts per million, standard deviation: plain quartz.
const DRIFT_PPM: f64 = 20.0;
/// Shares of datagrams lost and doubled.
const LOST_P: f64 = 0.002;
const DOUBLED_P: f64 = 0.002;
/// The network stalls this often, seconds, mean, in the first hour; and for so long, milliseconds.
const STALL_EVERY_S: f64 = 90.0;
const STALL_MS: [f64; 2] = [30.0, 300.0];
const HOUR_S: f64 = 3600.0;
/// So large a share of sensors dies within about an hour.
const DIES_P: f64 = 0.03;

/// The faults of a site's sensors. Safety sensors have their own lines, and none.
pub(super) fn faults(site: &Site, seed: u64) -> Vec<Fault> {
    let mut all = Vec::new();
    let stalls = stalls(&mut Rng::stream(seed, "stalls of the network"));
    for sensor in site.sensors.iter().filter(|s| s.class != Class::Safety) {
        let mut rng = Rng::stream(seed, &format!("wear of {}", sensor.name));
        let always = |wrong| Fault { sensor: sensor.id, from: ArrivalNs(0), to: ArrivalNs(i64::MAX), wrong };
        if sensor.clock == ClockKind::Device {
            all.push(always(Wrong::Drift(DRIFT_PPM * rng.normal())));
        }
        // What is not to be lost is sent until it is acknowledged; it may come twice.
        if sensor.class != Class::Edge {
            all.push(always(Wrong::Dropped(LOST_P)));
        }
        all.push(always(Wrong::Twice(DOUBLED_P)));
        all.extend(stalls.iter().map(|&(from, to)| Fault { sensor: sensor.id, from, to, wrong: Wrong::Held }));
        all.extend(death(sensor, &mut rng));
    }
    all
}

fn instant(s: f64) -> ArrivalNs {
    ArrivalNs(DurationNs::from_s_f64(s).unwrap_or_default().0)
}

fn stalls(rng: &mut Rng) -> Vec<(ArrivalNs, ArrivalNs)> {
    let (mut all, mut at_s) = (Vec::new(), rng.exponential(STALL_EVERY_S));
    while at_s < HOUR_S {
        let end_s = at_s + rng.between(STALL_MS[0], STALL_MS[1]) / 1e3;
        all.push((instant(at_s), instant(end_s)));
        at_s = end_s + rng.exponential(STALL_EVERY_S);
    }
    all
}

fn death(sensor: &Sensor, rng: &mut Rng) -> Option<Fault> {
    let from = instant(rng.exponential(HOUR_S / 2.0));
    let to = ArrivalNs(i64::MAX);
    rng.chance(DIES_P).then_some(Fault { sensor: sensor.id, from, to, wrong: Wrong::Silent })
}
