//! `osmose listen SITE [SENSOR]`: what the sensors say, decoded, with its rate and age; and why anything was refused.

use crate::outcome::{Ended, Failure, Outcome};
use crate::stderr::say;
use crate::stop;
use osmose_model::device::SensorKind;
use osmose_model::geometry::Place;
use osmose_model::ids::{CarriedKey, SensorId};
use osmose_model::input::{Class, Report, Shed};
use osmose_model::observation::{Body, Observation};
use osmose_model::site::Site;
use osmose_model::time::ArrivalNs;
use osmose_runtime::clock::HostClock;
use osmose_sensors::edge::{Edge, Sink, SourceKey};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Show what a site's sensors say, decoded, or why it was refused
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  osmose listen examples/peer-job\n\nA running engine holds the ports: stop it first."
)]
pub(crate) struct Listen {
    /// The site's folder
    site: PathBuf,
    /// Only this sensor
    sensor: Option<String>,
    /// Stop after this many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
}

impl Listen {
    pub(crate) fn run(self) -> Ended {
        let ready = crate::site::ready(&self.site)?;
        let site = &*ready.site;
        let only = self.sensor.as_deref().map(|name| named(site, name)).transpose()?;
        let mut edge = Edge::with_keys(site, &crate::keys::read(site, &self.site)?);
        let ports: Vec<_> = edge.ports().collect();
        let mut sockets = vec![];
        for port in &ports {
            let bound = UdpSocket::bind(port.addr).and_then(|s| s.set_nonblocking(true).map(|()| s));
            let why = |e| {
                format!("cannot listen on udp {}: {e}. A running engine holds its ports: stop it first.", port.addr)
            };
            sockets.push((port.id, bound.map_err(|e| Failure::found(why(e)))?));
            say!("listening on udp {}", port.addr);
        }
        let (stop, clock) = (stop::on_signal()?, HostClock::starting_at(ArrivalNs(0)));
        let mut printer = Printer { site, only, last: BTreeMap::new(), names: BTreeMap::new() };
        let mut buffer = vec![0; osmose_model::limits::DATAGRAM_BYTES_MAX + 1];
        let ends = self.seconds.map(|s| ArrivalNs((s * 1e9) as i64));
        while !stop.load(Ordering::Relaxed) && ends.is_none_or(|e| clock.now() < e) {
            let mut any = false;
            for (port, socket) in &sockets {
                while let Ok((n, from)) = socket.recv_from(&mut buffer) {
                    edge.datagram(*port, from, clock.now(), &buffer[..n], &mut printer);
                    any = true;
                }
            }
            let address = |id| ports.iter().find(|p| p.id == id).map(|p| p.addr);
            for first in edge.first_times() {
                println!("refused or remarked, once each: {}", first.sentence(site, address));
            }
            if !any {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        for count in edge.counters() {
            println!("{}: {} {}", super::run::whom(site, &ports, count.whom), count.count, count.reason);
        }
        Ok(Outcome::Success)
    }
}

fn named(site: &Site, name: &str) -> Result<SensorId, Failure> {
    site.sensor_named(name).ok_or_else(|| {
        let all: Vec<_> = site.sensors.iter().map(|s| s.name.as_str()).collect();
        Failure::usage(format!("devices.toml has no sensor {name:?}; it has {}", all.join(", ")))
    })
}

struct Printer<'a> {
    site: &'a Site,
    only: Option<SensorId>,
    /// When a sensor was last heard, and its smoothed interval in seconds.
    last: BTreeMap<SensorId, (ArrivalNs, Option<f64>)>,
    names: BTreeMap<CarriedKey, String>,
}

impl Printer<'_> {
    fn device(&self, key: CarriedKey) -> &str {
        self.site.carried_name(key).or_else(|| self.names.get(&key).map(String::as_str)).unwrap_or("?")
    }

    /// The rate so far, Hz: the inverse of the interval, smoothed over about ten of them.
    fn rate(&mut self, sensor: SensorId, arrival: ArrivalNs) -> Option<f64> {
        let (last, interval) = self.last.get(&sensor).copied().unwrap_or((arrival, None));
        let now = arrival.since(last).as_s_f64();
        let smooth = if now > 0.0 { Some(interval.map_or(now, |i| i + (now - i) * 0.1)) } else { interval };
        self.last.insert(sensor, (arrival, smooth));
        smooth.map(|i| 1.0 / i)
    }

    fn describe(&self, body: &Body<'_>) -> String {
        match *body {
            Body::Location { device, place, .. } => format!("{} at {}", self.device(device), self.place(place)),
            Body::Position(items) => {
                let each: Vec<_> = items.iter().take(6).map(|d| self.place(d.place)).collect();
                format!("{} detection(s): {}", items.len(), each.join("; "))
            }
            Body::Points(items) => format!("{} point(s)", items.len()),
            Body::Bearing(items) => format!("{} bearing(s)", items.len()),
            Body::Range { device, range_m, .. } => format!("{} {range_m:.3} m away", self.device(device)),
            Body::Tdoa { device, diff_m, .. } => format!("{} {diff_m:+.3} m", self.device(device)),
            Body::Rssi { device, rssi_dbm } => format!("{} {rssi_dbm} dBm", self.device(device)),
            Body::Badge { badge } => format!("badge {}", self.device(badge)),
            Body::Voice { person, likelihood, .. } => {
                format!("{} with likelihood ratio {likelihood}", self.site.people[person.index()].name)
            }
            ref other => format!("{other:?}"),
        }
    }

    fn place(&self, place: Place) -> String {
        let level = &self.site.levels[place.level.index()].name;
        format!("({:.3}, {:.3}) m on {level}", place.at.x_m, place.at.y_m)
    }
}

impl Sink for Printer<'_> {
    fn named(&mut self, _: ArrivalNs, key: CarriedKey, text: &str) {
        self.names.insert(key, text.to_owned());
    }

    fn observation(&mut self, arrival: ArrivalNs, _: SourceKey, _: Class, o: &Observation<'_>) {
        if self.only.is_some_and(|s| s != o.sensor) {
            return;
        }
        let rate = self.rate(o.sensor, arrival).map_or_else(|| "   -".into(), |r| format!("{r:4.1}"));
        let age_ms = arrival.0.saturating_sub(o.measured.0) as f64 / 1e6;
        let sensor = &self.site.sensors[o.sensor.index()];
        let kind: SensorKind = sensor.kind;
        let seq = o.source_seq.map_or_else(String::new, |s| format!(" #{s}"));
        println!(
            "{arrival:>12} s  {rate} Hz  {age_ms:6.1} ms old  {} ({kind}){seq}: {}",
            sensor.name,
            self.describe(&o.body)
        );
    }

    fn report(&mut self, arrival: ArrivalNs, report: Report) {
        let name = &self.site.actuators[report.actuator.index()].name;
        println!("{arrival:>12} s  report of {name}: {} = {:?}", report.property, report.value);
    }

    fn shed(&mut self, arrival: ArrivalNs, shed: Shed) {
        let name = &self.site.sensors[shed.sensor.index()].name;
        println!("{arrival:>12} s  lost of {name}: {} ({:?})", shed.count, shed.reason);
    }
}
