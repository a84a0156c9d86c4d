//! Ports of the simulated building: those of its `devices.toml`, or free ones where another demo has them.

use osmose_model::site::Site;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// Every address that the site's devices name.
fn addresses(site: &mut Site) -> impl Iterator<Item = &mut SocketAddr> {
    let sensors = site.sensors.iter_mut().filter_map(|s| s.connect.as_mut());
    let connects = sensors.chain(site.actuators.iter_mut().map(|a| &mut a.connect));
    connects.flat_map(|c| [&mut c.udp, &mut c.state_udp]).filter_map(Option::as_mut)
}

/// Gives the devices free ports where one of theirs is taken, all of them so that they stay together; says whether it did.
pub(super) fn relocate(site: &mut Arc<Site>) -> std::io::Result<bool> {
    let mut own: BTreeMap<SocketAddr, SocketAddr> =
        addresses(Arc::make_mut(site)).map(|a| (*a, SocketAddr::new(a.ip(), 0))).collect();
    // Held until all are chosen, so that none is given out twice.
    let free: Result<Vec<UdpSocket>, _> = own.keys().map(UdpSocket::bind).collect();
    if free.is_ok() {
        return Ok(false);
    }
    let mut held = Vec::new();
    for to in own.values_mut() {
        let socket = UdpSocket::bind(*to)?;
        *to = socket.local_addr()?;
        held.push(socket);
    }
    for address in addresses(Arc::make_mut(site)) {
        if let Some(to) = own.get(address) {
            *address = *to;
        }
    }
    Ok(true)
}
