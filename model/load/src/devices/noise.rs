//! `noise`: which numbers describe a kind's accuracy, what each may be, and which a kind should not leave out.

use crate::doc::{Fields, Range};
use crate::fault::{Faults, Spot};
use osmose_model::device::{Noise, SensorKind};
use osmose_model::geometry::RAD_PER_DEG;

/// The keys of a kind's `noise`.
pub(super) const fn keys(kind: SensorKind) -> &'static [&'static str] {
    use SensorKind as K;
    match kind {
        K::Position | K::Points => &["sigma_m", "p_detect", "clutter_per_scan"],
        K::Location | K::Tdoa => &["sigma_m"],
        K::Range => &["sigma_m", "bias_m", "nlos_p", "nlos_scale_m"],
        K::Rssi => &["tx_dbm_1m", "exponent", "sigma_db", "radio_map"],
        K::Bearing => &["sigma_deg", "p_detect", "clutter_per_scan"],
        K::Facing => &["sigma_m", "sigma_deg"],
        K::Binary => &["p_detect", "false_per_hour", "hold_s"],
        K::Badge => &["p_wrong"],
        K::Voice | K::Gesture | K::Crossing | K::Count | K::Value | K::Button => &[],
    }
}

/// The keys without which tracks depend on a guess.
const fn wanted(kind: SensorKind) -> &'static [&'static str] {
    use SensorKind as K;
    match kind {
        K::Position => &["sigma_m", "p_detect", "clutter_per_scan"],
        K::Location | K::Tdoa | K::Range => &["sigma_m"],
        K::Rssi => &["tx_dbm_1m", "exponent", "sigma_db"],
        K::Bearing => &["sigma_deg"],
        _ => &[],
    }
}

/// Reads `noise` of a sensor; with the radio map that it names, and where.
pub(super) fn read<'a>(t: &mut Fields<'a>, kind: SensorKind, faults: &mut Faults) -> (Noise, Option<(&'a str, Spot)>) {
    let (mut noise, mut radio_map) = (Noise::default(), None);
    let (spot, what, name) = (t.spot(), t.what().to_owned(), t.name().to_owned());
    let mut missing: Vec<&str> = wanted(kind).to_vec();
    if let Some(mut n) = t.table(faults, "noise") {
        missing.retain(|key| n.peek(key).is_none());
        for key in keys(kind) {
            match *key {
                "radio_map" => radio_map = n.string(faults, key),
                key => one(&mut n, key, &mut noise, faults),
            }
        }
        n.finish(faults, &[]);
    }
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|k| format!("`{k}`")).collect();
        let message = format!("The noise of {what} does not say {}; a plain value is taken.", missing.join(", "));
        let help = format!("Measure it, and declare it once for all in `[defaults.{kind}]`.");
        faults.warning("default-noise", &spot, &name, message, help);
    }
    (noise, radio_map)
}

fn one(n: &mut Fields<'_>, key: &'static str, noise: &mut Noise, faults: &mut Faults) {
    let (slot, range, scale) = match key {
        "sigma_m" => (&mut noise.sigma_m, Range::Positive, 1.0),
        "p_detect" => (&mut noise.p_detect, Range::Chance, 1.0),
        "clutter_per_scan" => (&mut noise.clutter_per_scan, Range::NotNegative, 1.0),
        "bias_m" => (&mut noise.bias_m, Range::Within(-1000.0, 1000.0), 1.0),
        "nlos_p" => (&mut noise.nlos_p, Range::Share, 1.0),
        "nlos_scale_m" => (&mut noise.nlos_scale_m, Range::Positive, 1.0),
        "tx_dbm_1m" => (&mut noise.tx_dbm_1m, Range::Within(-200.0, 100.0), 1.0),
        "exponent" => (&mut noise.exponent, Range::Within(0.1, 20.0), 1.0),
        "sigma_db" => (&mut noise.sigma_db, Range::Positive, 1.0),
        "sigma_deg" => (&mut noise.sigma_rad, Range::Within(1e-3, 360.0), RAD_PER_DEG),
        "false_per_hour" => (&mut noise.false_per_hour, Range::NotNegative, 1.0),
        "hold_s" => (&mut noise.hold_s, Range::NotNegative, 1.0),
        "p_wrong" => (&mut noise.p_wrong, Range::Share, 1.0),
        // A file, which the caller reads.
        _ => return,
    };
    if let Some(x) = n.number(faults, key, range) {
        *slot = x * scale;
    }
}
