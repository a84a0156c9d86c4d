//! Simulated actuators: each takes a command, and says a few milliseconds later what it has become.
//!
//! What a command does to a device is read from the kind's own table in the model ([`ActuatorKind::outcomes`]), so a device
//! here and the arbitration that commands it cannot disagree.

use super::rng::Rng;
use osmose_model::command::{Command, Value};
use osmose_model::device::ActuatorKind;
use osmose_model::ids::{ActuatorId, Name, ZoneId};
use osmose_model::input::Report;
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs};

/// Most properties of one device that are kept.
const PROPERTIES_MAX: usize = 16;

/// How long a kind of device takes to do what it is told, milliseconds, least and most.
const fn delay_ms(kind: ActuatorKind) -> [f64; 2] {
    match kind {
        ActuatorKind::Recorder => [3.0, 6.0],
        ActuatorKind::Speaker => [4.0, 8.0],
        ActuatorKind::Notify => [5.0, 10.0],
        ActuatorKind::Light => [10.0, 25.0],
        ActuatorKind::Display => [15.0, 40.0],
        ActuatorKind::Door => [20.0, 60.0],
        ActuatorKind::Hvac => [30.0, 80.0],
    }
}

#[derive(Clone, Debug)]
struct Device {
    rng: Rng,
    said: u64,
    /// When its last report left: reports of one device keep their order.
    last: ArrivalNs,
    properties: Vec<(Name, Value)>,
    /// A lamp that gives light: what was said last, its state or its level.
    is_lit: bool,
}

/// Every actuator of the site.
#[derive(Clone, Debug)]
pub(super) struct Devices {
    devices: Vec<Device>,
    /// Devices that make themselves safe unless they hear something first, and when.
    leases: Vec<(ActuatorId, ArrivalNs)>,
}

impl Devices {
    /// All in their default state, which each reports within the first 50 ms; reports go to `say`.
    pub(super) fn new(site: &Site, seed: u64, say: &mut dyn FnMut(ArrivalNs, Report)) -> Self {
        let mut all = Self { devices: Vec::with_capacity(site.actuators.len()), leases: Vec::new() };
        for actuator in &site.actuators {
            let mut rng = Rng::stream(seed, &format!("actuator {}", actuator.name));
            let boot = ArrivalNs((rng.between(5.0, 50.0) * 1e6) as i64);
            all.devices.push(Device { rng, said: 0, last: boot, properties: Vec::new(), is_lit: false });
            if let (Some(state), Some(default)) = (Name::new("state"), actuator.default) {
                all.set(actuator.id, state, Value::Name(default), boot, say);
            }
        }
        all
    }

    /// Takes a command in; what the device reports goes to `say`, with the time at which it arrives.
    pub(super) fn command(
        &mut self,
        site: &Site,
        at: ArrivalNs,
        command: &Command,
        say: &mut dyn FnMut(ArrivalNs, Report),
    ) {
        let Some(actuator) = site.actuators.get(command.device.index()) else { return };
        let device = &mut self.devices[command.device.index()];
        let [least, most] = delay_ms(actuator.kind);
        let delay = DurationNs((device.rng.between(least, most) * 1e6) as i64);
        let done = at.plus(delay).max(device.last.plus(DurationNs(1)));
        actuator.kind.outcomes(command.verb, &command.args, |property, value| {
            self.set(actuator.id, property, value, done, say);
        });
    }

    /// A line to a device came in: what it holds under a lease it holds until `until`; without one it holds for good.
    pub(super) fn heard(&mut self, device: ActuatorId, until: Option<ArrivalNs>) {
        self.leases.retain(|(leased, _)| *leased != device);
        self.leases.extend(until.map(|until| (device, until)));
    }

    /// Devices whose lease has run out by `now` go to their safe state, and say so.
    pub(super) fn run_out(&mut self, site: &Site, now: ArrivalNs, say: &mut dyn FnMut(ArrivalNs, Report)) {
        while let Some(at) = self.leases.iter().position(|(_, until)| *until <= now) {
            let (device, until) = self.leases.swap_remove(at);
            let safe = site.actuators.get(device.index()).and_then(|a| a.safe);
            if let (Some(state), Some(safe)) = (Name::new("state"), safe) {
                self.set(device, state, Value::Name(safe), until, say);
            }
        }
    }

    fn set(
        &mut self,
        id: ActuatorId,
        property: Name,
        value: Value,
        at: ArrivalNs,
        say: &mut dyn FnMut(ArrivalNs, Report),
    ) {
        let device = &mut self.devices[id.index()];
        match device.properties.iter().position(|(p, _)| *p == property) {
            Some(i) => device.properties[i].1 = value,
            None if device.properties.len() < PROPERTIES_MAX => device.properties.push((property, value)),
            None => return,
        }
        match (property.as_str(), value) {
            ("state", Value::Name(state)) => device.is_lit = state == "on",
            ("level", Value::Number(percent)) => device.is_lit = percent > 0.0,
            _ => {}
        }
        device.last = at;
        device.said += 1;
        say(at, Report { actuator: id, property, value, source_seq: Some(device.said) });
    }

    fn property(&self, id: ActuatorId, property: &str) -> Option<Value> {
        let found = self.devices[id.index()].properties.iter().find(|(p, _)| *p == property);
        found.map(|&(_, value)| value)
    }

    /// How bright the lamps of a zone are, 0 to 1; the mean of all.
    pub(super) fn light(&self, site: &Site, zone: ZoneId) -> f64 {
        let lamps = site.actuators.iter().filter(|a| a.kind == ActuatorKind::Light && a.zone == Some(zone));
        let (mut sum, mut n) = (0.0, 0.0);
        for lamp in lamps {
            let level = match self.property(lamp.id, "level") {
                Some(Value::Number(percent)) => (percent / 100.0).clamp(0.0, 1.0),
                _ => 1.0,
            };
            sum += if self.devices[lamp.id.index()].is_lit { level } else { 0.0 };
            n += 1.0;
        }
        if n > 0.0 { sum / n } else { 0.0 }
    }

    /// How often the air of a zone is renewed, 1/h, and the temperature that it is heated to, degrees Celsius.
    pub(super) fn air(&self, site: &Site, zone: ZoneId) -> (f64, Option<f64>) {
        let mut air = (AIR_LEAK_PER_H, None);
        for unit in site.actuators.iter().filter(|a| a.kind == ActuatorKind::Hvac && a.zone == Some(zone)) {
            let is_off = matches!(self.property(unit.id, "state"), Some(Value::Name(s)) if s == "off");
            let flow = match self.property(unit.id, "airflow") {
                Some(Value::Name(word)) => match word.as_str() {
                    "boost" => 6.0,
                    "normal" => 2.5,
                    "low" => 1.0,
                    _ => 0.0,
                },
                _ if is_off => 0.0,
                _ => 1.0,
            };
            air.0 += if is_off { 0.0 } else { flow };
            if let (false, Some(Value::Number(wanted))) = (is_off, self.property(unit.id, "setpoint")) {
                air.1 = Some(wanted);
            }
        }
        air
    }
}

/// Air changes of a room without ventilation, 1/h.
const AIR_LEAK_PER_H: f64 = 0.3;
