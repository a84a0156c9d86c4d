//! The sockets to bind, and what is spoken on each: which sensors, through which maps, and whose reports.

use super::PortId;
use crate::json::Plan;
use crate::json::pointer::Pointers;
use osmose_model::device::{Format, JsonMap, Normalise, SensorKind};
use osmose_model::ids::{ActuatorId, SensorId};
use osmose_model::input::Class;
use osmose_model::site::Site;
use std::net::{IpAddr, SocketAddr};

/// A name that bodies use, under the normalisation of its device.
#[derive(Clone, Debug)]
struct Named<T> {
    name: Box<str>,
    normalise: Normalise,
    what: T,
}

/// Names on a port, ascending.
#[derive(Clone, Debug)]
pub(super) struct Names<T>(Vec<Named<T>>);

impl<T: Copy> Names<T> {
    fn new(all: Vec<Named<T>>) -> Self {
        let mut all = all;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self(all)
    }
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// What a name stands for: as written, else as normalised.
    pub(super) fn find(&self, name: &str) -> Option<T> {
        if let Ok(i) = self.0.binary_search_by(|n| (*n.name).cmp(name)) {
            return Some(self.0[i].what);
        }
        let form = |text: &str, n: Normalise| {
            let kept: Vec<char> = text.chars().filter(|c| !n.alnum || c.is_ascii_alphanumeric()).collect();
            kept.into_iter().map(move |c| if n.lower { c.to_ascii_lowercase() } else { c })
        };
        let mut loose = self.0.iter().filter(|n| n.normalise != Normalise::default());
        loose.find(|n| form(&n.name, n.normalise).eq(form(name, n.normalise))).map(|n| n.what)
    }
}

impl Names<PortSensor> {
    /// The only one, where there is one.
    fn only(&self) -> Option<PortSensor> {
        match self.0.as_slice() {
            [only] => Some(only.what),
            _ => None,
        }
    }

    /// The only one that speaks JSON, where there is one.
    pub(super) fn only_json(&self) -> Option<PortSensor> {
        let mut json = self.0.iter().map(|n| n.what).filter(|s| s.group.is_some());
        let first = json.next();
        first.filter(|_| json.next().is_none())
    }
}

/// Sensors of a port that share a map and a kind.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) plan: Plan,
    map: JsonMap,
    pub(super) kind: SensorKind,
}

/// A sensor of a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortSensor {
    pub(super) id: SensorId,
    /// Its map among the port's groups; `None` where it speaks native frames.
    pub(super) group: Option<u16>,
    /// The slot of its `sensor` pointer in the port's [`Chooser`].
    pub(super) choose: Option<u8>,
}

/// The `sensor` pointers of a port whose sensors have different maps: looked at before a map is chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Chooser {
    pub(super) pointers: Pointers,
    pub(super) slots: Vec<u8>,
}

/// What is spoken on one socket.
#[derive(Clone, Debug)]
pub(super) struct PortPlan {
    pub(super) id: PortId,
    pub(super) addr: SocketAddr,
    /// The most urgent of what is said here.
    pub(super) class: Class,
    /// Hosts beyond loopback that somebody here may be heard from.
    hosts: Vec<IpAddr>,
    /// Somebody here proves who it is, and may be heard from anywhere.
    signed: bool,
    /// The only sensor here, where nobody else speaks.
    pub(super) only_sensor: Option<SensorId>,
    /// Some sensor speaks native frames here.
    pub(super) native: bool,
    pub(super) groups: Vec<Group>,
    pub(super) chooser: Chooser,
    pub(super) sensors: Names<PortSensor>,
    pub(super) actuators: Names<ActuatorId>,
}

impl PortPlan {
    /// Whether anybody here may be heard from that host: all on loopback, the declared ones, and from anywhere where
    /// somebody signs.
    pub(super) fn may_know(&self, from: SocketAddr) -> bool {
        let host = from.ip().to_canonical();
        host.is_loopback() || self.signed || self.hosts.contains(&host)
    }
}

/// The ports of a site: by address, in the order in which devices.toml names them.
pub(super) fn ports(site: &Site) -> Vec<PortPlan> {
    let of_sensors = site.sensors.iter().filter_map(|s| s.connect.as_ref()?.udp);
    let of_actuators = site.actuators.iter().filter_map(|a| a.connect.state_udp);
    let mut addrs: Vec<SocketAddr> = Vec::new();
    for addr in of_sensors.chain(of_actuators) {
        if !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    addrs.into_iter().enumerate().map(|(i, addr)| port(site, PortId(i as u16), addr)).collect()
}

fn port(site: &Site, id: PortId, addr: SocketAddr) -> PortPlan {
    let (mut groups, mut chooser, mut sensors) = (Vec::<Group>::new(), Chooser::default(), Vec::new());
    let (mut native, mut class) = (false, Class::Bulk);
    for sensor in &site.sensors {
        let Some(connect) = sensor.connect.as_ref().filter(|c| c.udp == Some(addr)) else { continue };
        let (mut group, mut choose) = (None, None);
        class = class.min(sensor.class);
        match &connect.format {
            Format::Json(map) => {
                let known = groups.iter().position(|g| g.map == **map && g.kind == sensor.kind);
                let at = known.unwrap_or_else(|| {
                    let (plan, map) = (Plan::new(sensor.kind, map), (**map).clone());
                    groups.push(Group { plan, map, kind: sensor.kind });
                    groups.len() - 1
                });
                group = Some(at as u16);
                choose = map.sensor.as_deref().and_then(|p| chooser.pointers.add(p));
                if let Some(slot) = choose.filter(|s| !chooser.slots.contains(s)) {
                    chooser.slots.push(slot);
                }
            }
            Format::Osmose => native = true,
            Format::Log => continue,
        }
        let what = PortSensor { id: sensor.id, group, choose };
        sensors.push(Named { name: sensor.name.as_str().into(), normalise: connect.normalise, what });
    }
    let reports = site.actuators.iter().filter(|a| a.connect.state_udp == Some(addr));
    let actuators: Vec<_> =
        reports.map(|a| Named { name: a.name.as_str().into(), normalise: a.connect.normalise, what: a.id }).collect();
    let (sensors, actuators) = (Names::new(sensors), Names::new(actuators));
    // What a device says of itself is lossless.
    let class = if actuators.is_empty() { class } else { class.min(Class::Edge) };
    let connects = || {
        let of_sensors = site.sensors.iter().filter_map(|s| s.connect.as_ref()).filter(|c| c.udp == Some(addr));
        of_sensors.chain(site.actuators.iter().map(|a| &a.connect).filter(|c| c.state_udp == Some(addr)))
    };
    let hosts = connects().filter_map(|c| c.from).map(|from| from.ip().to_canonical()).collect();
    let signed = connects().any(|c| c.key_file.is_some());
    let only_sensor = sensors.only().filter(|_| actuators.is_empty()).map(|s| s.id);
    PortPlan { id, addr, hosts, signed, only_sensor, class, native, groups, chooser, sensors, actuators }
}
