//! The demo's devices as the network sees them: observations as native frames or JSON, reports as JSON, from sockets
//! of their own over loopback, exactly as real sensors and actuators would send them.

use crate::outcome::Failure;
use osmose_model::command::Value;
use osmose_model::device::{Format, JsonMap};
use osmose_model::geometry::{DEG_PER_RAD, Place};
use osmose_model::ids::CarriedKey;
use osmose_model::input::{Input, Report};
use osmose_model::observation::{self, Body as Sensed, Observation};
use osmose_model::site::Site;
use osmose_wire::frame::{At, BearingHit, Body, Clock, CloudPoint, Detection, Direction, FrameBuilder, Head, Sample};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// A socket for each port of the engine, each counting its own frames.
pub(super) struct Senders {
    site: Arc<Site>,
    sockets: Vec<(SocketAddr, UdpSocket, u64)>,
    builder: FrameBuilder,
    /// Datagrams sent.
    pub(super) sent: u64,
    /// Inputs of kinds that the demo has no way to send.
    pub(super) unsent: u64,
}

impl Senders {
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self { site, sockets: vec![], builder: FrameBuilder::new(), sent: 0, unsent: 0 }
    }

    /// Sends one of the simulator's inputs to where its device is connected.
    pub(super) fn send(&mut self, input: &Input<'_>) -> Result<(), Failure> {
        let site = self.site.clone();
        let (to, bytes) = match input {
            Input::Observation(o) => {
                let Some(connect) = &site.sensors[o.sensor.index()].connect else { return Ok(()) };
                let Some(to) = connect.udp else { return Ok(()) };
                let seq = self.count(to)?;
                let bytes = match &connect.format {
                    Format::Json(map) => json_value(&site, map, o),
                    Format::Osmose | Format::Log => self.frame(&site, seq, o),
                };
                (Some(to), bytes)
            }
            Input::Report(r) => (site.actuators[r.actuator.index()].connect.state_udp, report(&site, r)),
            _ => return Ok(()),
        };
        let (Some(to), Some(bytes)) = (to, bytes) else {
            self.unsent += 1;
            return Ok(());
        };
        self.count(to)?;
        let socket = self.sockets.iter().find(|(addr, ..)| *addr == to);
        let sent = socket.is_some_and(|(_, socket, _)| socket.send(&bytes).is_ok());
        self.sent += u64::from(sent);
        if sent && let Some((_, _, seq)) = self.sockets.iter_mut().find(|(addr, ..)| *addr == to) {
            *seq += 1;
        }
        Ok(())
    }

    /// The number of the next frame to `to`, its socket made where there is none yet.
    fn count(&mut self, to: SocketAddr) -> Result<u64, Failure> {
        if let Some((_, _, seq)) = self.sockets.iter().find(|(addr, ..)| *addr == to) {
            return Ok(*seq);
        }
        let open = || {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(to)?;
            Ok(socket)
        };
        let socket =
            open().map_err(|e: std::io::Error| Failure::found(format!("a simulated device cannot send: {e}")))?;
        self.sockets.push((to, socket, 1));
        Ok(1)
    }

    fn frame(&mut self, site: &Site, seq: u64, o: &Observation<'_>) -> Option<Vec<u8>> {
        let at =
            |p: Place| At { x_m: p.at.x_m, y_m: p.at.y_m, z_m: p.z_m, level: Some(&site.levels[p.level.index()].name) };
        let name = |key: CarriedKey| site.carried_name(key);
        let (seen, cloud, hits): (Vec<Detection<'_>>, Vec<CloudPoint<'_>>, Vec<BearingHit<'_>>);
        // Frames give directions from the sensor's own heading.
        let heading_rad = site.sensors[o.sensor.index()].pose.heading_rad;
        let relative_deg = |bearing_rad: f64| (bearing_rad - heading_rad) * DEG_PER_RAD;
        let body = match o.body {
            Sensed::Position(items) => {
                seen = items.iter().map(|d| detection(site, d)).collect();
                Body::Position(&seen)
            }
            Sensed::Points(points) => {
                cloud = points.iter().map(|p| cloud_point(site, p)).collect();
                Body::Points(&cloud)
            }
            Sensed::Bearing(items) => {
                let hit = |b: &observation::BearingHit| BearingHit {
                    bearing_deg: relative_deg(b.bearing_rad),
                    sigma_deg: b.sigma_rad.map(|s| s * DEG_PER_RAD),
                    device: b.device.and_then(|key| site.carried_name(key)),
                };
                hits = items.iter().map(hit).collect();
                Body::Bearing(&hits)
            }
            Sensed::Voice { person, likelihood, bearing_rad } => Body::Voice {
                person: &site.people[person.index()].name,
                likelihood,
                bearing_deg: bearing_rad.map(relative_deg),
            },
            Sensed::Range { device, range_m, sigma_m } => Body::Range { device: name(device)?, range_m, sigma_m },
            Sensed::Tdoa { other, device, diff_m, sigma_m } => {
                let sensor_b = &site.sensors[other.index()].name;
                Body::Tdoa { sensor_b, device: name(device)?, diff_m, sigma_m }
            }
            Sensed::Rssi { device, rssi_dbm } => Body::Rssi { device: name(device)?, rssi_dbm },
            Sensed::Location { device, place, sigma_m } => {
                Body::Location { device: name(device)?, at: at(place), sigma_m }
            }
            Sensed::Facing { place, heading_rad, sigma_rad } => Body::Facing {
                at: at(place),
                heading_deg: heading_rad * DEG_PER_RAD,
                sigma_deg: sigma_rad.map(|s| s * DEG_PER_RAD),
            },
            Sensed::Gesture { place, ref gesture } => Body::Gesture { at: at(place), gesture: gesture.as_str() },
            Sensed::Binary { on } => Body::Binary { on },
            Sensed::Badge { badge } => Body::Badge { badge: name(badge)? },
            Sensed::Crossing { direction: observation::Direction::In } => Body::Crossing { direction: Direction::In },
            Sensed::Crossing { direction: observation::Direction::Out } => Body::Crossing { direction: Direction::Out },
            Sensed::Count { people } => Body::Count { people },
            Sensed::Value { value } => Body::Value { value },
            Sensed::Button { ref button } => Body::Button { button: button.as_str() },
        };
        let head = Head {
            sensor: &site.sensors[o.sensor.index()].name,
            seq: Some(seq),
            time: Some((o.measured.0, Clock::Device)),
        };
        Some(self.builder.encode(&head, &[Sample::of(body)]).to_vec())
    }
}

fn detection<'a>(site: &'a Site, d: &observation::Detection) -> Detection<'a> {
    let Place { at, z_m, level } = d.place;
    Detection { x_m: at.x_m, y_m: at.y_m, z_m, sigma_m: d.sigma_m, level: Some(&site.levels[level.index()].name) }
}

fn cloud_point<'a>(site: &'a Site, p: &observation::CloudPoint) -> CloudPoint<'a> {
    let Place { at, z_m, level } = p.place;
    let level = Some(site.levels[level.index()].name.as_str());
    CloudPoint { x_m: at.x_m, y_m: at.y_m, z_m, doppler_mps: p.doppler_mps, intensity: p.intensity, level }
}

/// A value through a map whose pointers are single keys, which is what the demo's site has.
fn json_value(site: &Site, map: &JsonMap, o: &Observation<'_>) -> Option<Vec<u8>> {
    let Sensed::Value { value } = o.body else { return None };
    let key = |pointer: &str| pointer.strip_prefix('/').filter(|k| !k.contains('/')).map(str::to_owned);
    let mut body = serde_json::Map::new();
    if let Some(pointer) = &map.sensor {
        body.insert(key(pointer)?, site.sensors[o.sensor.index()].name.clone().into());
    }
    let (_, path) = map.fields.iter().find(|(field, _)| field == "value")?;
    body.insert(key(&path.path)?, ((value - path.offset) / path.scale).into());
    Some(serde_json::Value::Object(body).to_string().into_bytes())
}

fn report(site: &Site, r: &Report) -> Option<Vec<u8>> {
    let value = match r.value {
        Value::Bool(b) => b.into(),
        Value::Number(x) => x.into(),
        Value::Name(n) => n.as_str().into(),
        Value::Text(t) => t.as_str().into(),
        Value::Person(_) | Value::Zone(_) | Value::Track(_) => return None,
    };
    let mut body = serde_json::Map::new();
    body.insert("id".into(), site.actuators[r.actuator.index()].name.clone().into());
    body.insert(r.property.as_str().to_owned(), value);
    Some(serde_json::Value::Object(body).to_string().into_bytes())
}
