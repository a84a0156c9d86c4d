//! The air and the light of rooms: as much physics as a rule that ventilates by CO2 needs.
//!
//! CO2 follows the well-mixed mass balance `V dC/dt = G n - Q (C - C_out)` (ASTM D6245), heat the same with a first
//! order of the building's own; each second is solved exactly, so the step does not matter.

use super::devices::Devices;
use super::people::People;
use super::rng::Rng;
use osmose_model::device::{Sensor, Unit};
use osmose_model::ids::ZoneId;
use osmose_model::site::Site;

/// CO2 of the air outside, ppm.
const OUTSIDE_PPM: f64 = 420.0;
/// CO2 breathed out by somebody at light work, m³/s (0.0050 L/s: Persily and de Jonge 2017, 1.2 met).
const BREATH_M3_PER_S: f64 = 5.0e-6;
/// Heat of somebody at light work, W, sensible.
const BODY_W: f64 = 75.0;
/// Heat capacity of a room with its furniture, J/(m³ K): air's 1.2e3, six times over.
const HEAT_J_PER_M3_K: f64 = 7.2e3;
/// How fast a room goes to the temperature it is heated to, s.
const HEATING_S: f64 = 1800.0;
/// The temperature that rooms are kept at where nothing sets one, degrees Celsius.
const USUAL_DEGC: f64 = 20.5;
/// Light of a room with all its lamps on, and of the morning through its windows, lx.
const LAMPS_LX: f64 = 480.0;
const DAYLIGHT_LX: f64 = 60.0;
/// Standard deviations of the instruments.
const CO2_SIGMA_PPM: f64 = 8.0;
const TEMPERATURE_SIGMA_K: f64 = 0.05;
const LIGHT_SIGMA_SHARE: f64 = 0.02;

/// The state of a room that a sensor measures.
#[derive(Clone, Debug)]
struct Room {
    zone: ZoneId,
    volume_m3: f64,
    co2_ppm: f64,
    temperature_degc: f64,
    light_lx: f64,
    people: f64,
}

/// Every room that a sensor measures.
#[derive(Clone, Debug)]
pub(super) struct Rooms {
    rooms: Vec<Room>,
}

impl Rooms {
    /// The zones of value sensors, as they are before the first person comes.
    pub(super) fn new(site: &Site) -> Self {
        let mut zones: Vec<ZoneId> =
            site.sensors.iter().filter(|s| s.unit.is_some()).filter_map(|s| s.zones.first().copied()).collect();
        zones.sort_unstable();
        zones.dedup();
        let rooms = zones.into_iter().map(|zone| {
            let z = &site.zones[zone.index()];
            let volume_m3 = (z.area.area_m2() * site.levels[z.level.index()].height_m).max(10.0);
            Room {
                zone,
                volume_m3,
                co2_ppm: OUTSIDE_PPM + 30.0,
                temperature_degc: USUAL_DEGC,
                light_lx: DAYLIGHT_LX,
                people: 0.0,
            }
        });
        Self { rooms: rooms.collect() }
    }

    /// Lets `dt_s` pass, with everybody and every device as they are.
    pub(super) fn step(&mut self, site: &Site, people: &People, devices: &Devices, dt_s: f64) {
        for room in &mut self.rooms {
            let is_in = |w: &&super::walker::Walker| w.is_here() && w.zones.contains(&room.zone);
            room.people = people.walkers.iter().filter(is_in).count() as f64;
            let (changes_per_h, wanted) = devices.air(site, room.zone);
            let changes_per_s = changes_per_h / 3600.0;
            let steady = OUTSIDE_PPM + BREATH_M3_PER_S * 1e6 * room.people / (changes_per_s * room.volume_m3);
            room.co2_ppm = steady + (room.co2_ppm - steady) * libm::exp(-changes_per_s * dt_s);
            let gain_k = BODY_W * room.people * HEATING_S / (HEAT_J_PER_M3_K * room.volume_m3);
            let steady = wanted.unwrap_or(USUAL_DEGC) + gain_k;
            room.temperature_degc = steady + (room.temperature_degc - steady) * libm::exp(-dt_s / HEATING_S);
            room.light_lx = DAYLIGHT_LX + LAMPS_LX * devices.light(site, room.zone);
        }
    }

    /// What a value sensor reads now, with its own error; `None` where its unit or zone says nothing of a room.
    pub(super) fn reading(&self, sensor: &Sensor, rng: &mut Rng) -> Option<f64> {
        let zone = sensor.zones.first()?;
        let room = self.rooms.iter().find(|r| r.zone == *zone)?;
        match sensor.unit? {
            Unit::Ppm => Some((room.co2_ppm + CO2_SIGMA_PPM * rng.normal()).max(0.0)),
            Unit::DegC => Some(room.temperature_degc + TEMPERATURE_SIGMA_K * rng.normal()),
            Unit::Lux => Some(room.light_lx * (1.0 + LIGHT_SIGMA_SHARE * rng.normal()).max(0.0)),
            Unit::People => Some(room.people),
            // Speech in a room: a quiet room, and 10 dB more for each tenfold of people.
            Unit::Decibel => Some(35.0 + 10.0 * libm::log10(1.0 + 9.0 * room.people) + rng.normal()),
            Unit::Percent => Some((42.0 + 0.6 * room.people + 0.5 * rng.normal()).clamp(0.0, 100.0)),
            Unit::Metre
            | Unit::Second
            | Unit::Degree
            | Unit::Kelvin
            | Unit::MetrePerSecond
            | Unit::Watt
            | Unit::One => None,
        }
    }
}
