//! What devices that share a port must agree on: a datagram must say, or its port must, which sensor it is of.

use super::Devices;
use crate::fault::Faults;
use crate::text::shown;
use osmose_model::device::{Connect, Format, JsonMap, Sensor};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The map of a JSON connection.
fn json(c: &Connect) -> Option<&JsonMap> {
    match &c.format {
        Format::Json(map) => Some(map),
        _ => None,
    }
}

/// Some names in a row, for a message.
fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const LISTED_MAX: usize = 4;
    let all: Vec<String> = names.map(|n| format!("`{}`", shown(n))).collect();
    let more = if all.len() > LISTED_MAX { format!(" and {} more", all.len() - LISTED_MAX) } else { String::new() };
    format!("{}{more}", all[..all.len().min(LISTED_MAX)].join(", "))
}

/// Checks every port that something of the site listens on.
pub(super) fn check(devices: &Devices, faults: &mut Faults) {
    let mut ports: BTreeMap<SocketAddr, Vec<(&Sensor, &Connect)>> = BTreeMap::new();
    for sensor in &devices.sensors {
        if let Some((connect, udp)) = sensor.connect.as_ref().and_then(|c| Some((c, c.udp?))) {
            ports.entry(udp).or_default().push((sensor, connect));
        }
    }
    for (port, sensors) in &ports {
        check_port(*port, sensors, devices, faults);
    }
    for actuator in &devices.actuators {
        let spot = &devices.actuator_spots[actuator.id.index()];
        let taken = |a: Option<SocketAddr>| a.and_then(|a| Some((a, ports.get(&a)?)));
        if let Some((port, sensors)) = taken(actuator.connect.state_udp) {
            let message = format!(
                "The reports of actuator `{}` come in on {port}, where the sensor {} is listened to.",
                shown(&actuator.name),
                names(sensors.iter().take(1).map(|(s, _)| s.name.as_str()))
            );
            faults.error("shared-port", spot, &actuator.name, message, "Give reports a port of their own.");
        }
        if let Some((port, sensors)) = taken(actuator.connect.udp) {
            let message = format!(
                "The commands to actuator `{}` go to {port}, where the engine itself listens to the sensor {}.",
                shown(&actuator.name),
                names(sensors.iter().take(1).map(|(s, _)| s.name.as_str()))
            );
            faults.error("shared-port", spot, &actuator.name, message, "Send commands to the device's own address.");
        }
    }
}

fn check_port(port: SocketAddr, sensors: &[(&Sensor, &Connect)], devices: &Devices, faults: &mut Faults) {
    let by_json: Vec<_> = sensors.iter().filter_map(|(s, c)| Some((*s, *c, json(c)?))).collect();
    let Some(&(first, ..)) = by_json.first() else { return };
    if by_json.len() < sensors.len() {
        let native = sensors.iter().filter(|(_, c)| json(c).is_none()).map(|(s, _)| s.name.as_str());
        let message =
            format!("On {port} the sensor `{}` sends JSON and {} the native frame.", shown(&first.name), names(native));
        faults.error(
            "mixed-formats",
            &devices.sensor_spots[first.id.index()],
            &first.name,
            message,
            "Give each format a port of its own.",
        );
    }
    // Sensors that each have one sender of their own are told apart by it.
    let told_by_sender =
        |c: &Connect| c.from.is_some() && by_json.iter().filter(|(_, d, _)| d.from == c.from).count() == 1;
    let open: Vec<_> = by_json.iter().filter(|(_, c, _)| !told_by_sender(c)).collect();
    if open.len() < 2 {
        return;
    }
    for &&(sensor, _, map) in &open {
        let spot = &devices.sensor_spots[sensor.id.index()];
        let others = || names(open.iter().filter(|(s, ..)| s.id != sensor.id).map(|(s, ..)| s.name.as_str()));
        match &map.sensor {
            None => {
                let message = format!(
                    "The sensor `{}` shares the port {port} with {}, and its map does not say which sensor a datagram is of.",
                    shown(&sensor.name),
                    others()
                );
                let help = "Add `sensor = \"/…\"` to its map, the pointer to the sensor's id in the body, or give it a port of its own.";
                faults.error("shared-port", spot, &sensor.name, message, help);
            }
            Some(pointer) => {
                let other = open.iter().find_map(|(s, _, m)| Some((s, m.sensor.as_ref().filter(|p| *p != pointer)?)));
                if let Some((other, differs)) = other.filter(|(s, _)| s.id < sensor.id) {
                    let message = format!(
                        "On {port} the sensor's id is looked for at \"{}\" by `{}` and at \"{}\" by `{}`.",
                        shown(pointer),
                        shown(&sensor.name),
                        shown(differs),
                        shown(&other.name)
                    );
                    faults.error(
                        "shared-port",
                        spot,
                        &sensor.name,
                        message,
                        "Write the same pointer for all, or give each a port of its own.",
                    );
                }
            }
        }
    }
}
