//! JSON bodies at the edge: whose, through which map; as one observation, one scan or several observations.

use super::ledger::Whom;
use super::ports::{Group, PortPlan, PortSensor};
use super::{Core, Datagram, Heading, Sink, State};
use crate::claim::is_scan;
use crate::json::scan::{Elements, Found, Kind, Value, unescape, walk};
use crate::json::{HeadSlots, Plan};
use crate::reason::{Fault, Reason};
use crate::resolve::Resolver;
use osmose_model::ids::SensorId;
use osmose_model::observation::Observation;

/// A body on its way: where it came from, its text and the map that it is read through.
#[derive(Clone, Copy)]
struct Reading<'a> {
    d: &'a Datagram<'a>,
    port: &'a PortPlan,
    map: &'a Plan,
    text: &'a str,
    /// The sensor, where its name chose the map.
    chosen: Option<PortSensor>,
}

impl State {
    /// Takes a JSON body of a sensor.
    pub(super) fn json(&mut self, port: &PortPlan, d: &Datagram<'_>, text: &str, sink: &mut impl Sink) {
        // Most ports have one map, and then a body is walked once; else the sensor's name chooses the map first.
        let chosen = if let [only] = port.groups.as_slice() {
            Some((only, None))
        } else {
            self.choose(port, d, text, sink).map(|(group, sensor)| (group, Some(sensor)))
        };
        let Some((group, chosen)) = chosen else { return };
        let map = &group.plan;
        if walk(text, &map.root, &mut self.found).is_err() {
            return self.core.refuse(d, Whom::Port(d.port), Fault::whole(Reason::MalformedJson), "", sink);
        }
        let reading = Reading { d, port, map, text, chosen };
        match &map.each {
            None => self.whole(&reading, sink),
            Some(each) => match self.found.get(each.slot) {
                Some(array) if array.kind == Kind::Array && is_scan(group.kind) => self.scan(&reading, array, sink),
                Some(array) if array.kind == Kind::Array => self.several(&reading, array, sink),
                Some(_) => self.core.refuse(d, Whom::Port(d.port), Fault::of(Reason::WrongType, "each"), "", sink),
                None => self.core.refuse(d, Whom::Port(d.port), Fault::of(Reason::MissingField, "each"), "", sink),
            },
        }
    }

    /// The map that a body is to be read through, by the sensor that it names (at its root).
    fn choose<'p>(
        &mut self,
        port: &'p PortPlan,
        d: &Datagram<'_>,
        text: &str,
        sink: &mut impl Sink,
    ) -> Option<(&'p Group, PortSensor)> {
        let Self { core, found, room, .. } = self;
        let whom = Whom::Port(d.port);
        if walk(text, &port.chooser.pointers, found).is_err() {
            core.refuse(d, whom, Fault::whole(Reason::MalformedJson), "", sink);
            return None;
        }
        let mut unknown = None;
        for &slot in &port.chooser.slots {
            let Some(value) = found.get(slot) else { continue };
            let Some(name) = name_of(value, text, room) else { continue };
            if let Some(sensor) = port.sensors.find(name).filter(|s| s.choose == Some(slot))
                && let Some(group) = sensor.group.and_then(|g| port.groups.get(usize::from(g)))
            {
                return Some((group, sensor));
            }
            unknown = unknown.or(Some(value.raw(text)));
        }
        let reason = if unknown.is_some() { Reason::UnknownSensor } else { Reason::MissingField };
        core.refuse(d, whom, Fault::of(reason, "sensor"), unknown.unwrap_or_default(), sink);
        None
    }

    /// A body that is one observation, or a scan of one item.
    fn whole(&mut self, r: &Reading<'_>, sink: &mut impl Sink) {
        let Self { core, scan, found, room, .. } = self;
        let Some(sensor) = core.json_sensor(r, &[(r.map.head, found)], room, sink) else { return };
        let Some(heading) = core.json_heading(r, sensor, &[(r.map.head, found)], sink) else { return };
        if core.is_copy(r.d, Whom::Sensor(sensor), heading, sink) {
            return;
        }
        let sender = core.sender(r.d, sink);
        core.account(r.d, sender, Whom::Sensor(sensor), heading, sink);
        let Some(measured) = core.measured(r.d, sensor, heading.time, sink) else { return };
        let claim = r.map.claim(r.text, found, room);
        let kind = core.sensors[sensor.index()].kind;
        let body = if is_scan(kind) {
            scan.clear();
            core.add_item(r.d, sensor, claim.as_ref().map_err(|f| *f), scan, sink)
                .then(|| Resolver::scan_body(kind, scan))
        } else {
            core.single(r.d, sensor, claim.as_ref().map_err(|f| *f), sink)
        };
        let Some(body) = body else { return };
        let observation = Observation { sensor, source_seq: heading.seq, measured, body };
        core.hand_over(r.d, sender, &observation, sink);
    }

    /// A body whose array is one scan.
    fn scan(&mut self, r: &Reading<'_>, array: Value, sink: &mut impl Sink) {
        let Self { core, scan, found, item, room, .. } = self;
        let Some(each) = &r.map.each else { return };
        // What the root does not say of the whole, the first element may.
        let mut elements = Elements::of(r.text, array);
        let any = elements.next(&each.pointers, item).unwrap_or(false);
        let heads = [(r.map.head, &*found), (each.head, &*item)];
        let heads = if any { &heads[..] } else { &heads[..1] };
        let Some(sensor) = core.json_sensor(r, heads, room, sink) else { return };
        let Some(heading) = core.json_heading(r, sensor, heads, sink) else { return };
        if core.is_copy(r.d, Whom::Sensor(sensor), heading, sink) {
            return;
        }
        let sender = core.sender(r.d, sink);
        core.account(r.d, sender, Whom::Sensor(sensor), heading, sink);
        let Some(measured) = core.measured(r.d, sensor, heading.time, sink) else { return };
        scan.clear();
        let (mut items, mut taken) = (0usize, 0usize);
        let mut elements = Elements::of(r.text, array);
        while elements.next(&each.pointers, item).unwrap_or(false) {
            items += 1;
            let own = each.head.sensor.and_then(|s| item.get(s)).and_then(|v| name_of(v, r.text, room));
            let others = own.and_then(|name| r.port.sensors.find(name)).is_some_and(|s| s.id != sensor);
            let claim =
                if others { Err(Fault::of(Reason::MixedSensors, "sensor")) } else { r.map.claim(r.text, item, room) };
            taken += usize::from(core.add_item(r.d, sensor, claim.as_ref().map_err(|f| *f), scan, sink));
        }
        // A scan of which nothing was taken must not be read as one that saw nobody.
        if items > 0 && taken == 0 {
            return;
        }
        let body = Resolver::scan_body(core.sensors[sensor.index()].kind, scan);
        let observation = Observation { sensor, source_seq: heading.seq, measured, body };
        core.hand_over(r.d, sender, &observation, sink);
    }

    /// A body whose array holds several observations: each its own, with what the root says of all.
    fn several(&mut self, r: &Reading<'_>, array: Value, sink: &mut impl Sink) {
        let Self { core, found, item, room, .. } = self;
        let Some(each) = &r.map.each else { return };
        let mut elements = Elements::of(r.text, array);
        let (mut first, mut sender) = (true, 0);
        while elements.next(&each.pointers, item).unwrap_or(false) {
            // The element's own sensor, number and time go before the root's.
            let heads = [(each.head, &*item), (r.map.head, &*found)];
            let Some(sensor) = core.json_sensor(r, &heads, room, sink) else { continue };
            let Some(heading) = core.json_heading(r, sensor, &heads, sink) else { continue };
            if first && core.is_copy(r.d, Whom::Sensor(sensor), heading, sink) {
                return;
            }
            let own_seq = each.head.seq.is_some_and(|s| item.get(s).is_some());
            if first {
                sender = core.sender(r.d, sink);
            }
            if first || own_seq {
                core.account(r.d, sender, Whom::Sensor(sensor), heading, sink);
            }
            first = false;
            let Some(measured) = core.measured(r.d, sensor, heading.time, sink) else { continue };
            let claim = r.map.claim(r.text, item, room);
            let Some(body) = core.single(r.d, sensor, claim.as_ref().map_err(|f| *f), sink) else { continue };
            let observation = Observation { sensor, source_seq: heading.seq, measured, body };
            core.hand_over(r.d, sender, &observation, sink);
        }
    }
}

/// An id as text; `room` holds it where it had escapes.
fn name_of<'a>(value: Value, text: &'a str, room: &'a mut String) -> Option<&'a str> {
    match value.kind {
        Kind::Text | Kind::Integer => Some(value.raw(text)),
        Kind::Escaped => {
            room.clear();
            room.extend(unescape(value.raw(text)));
            Some(room)
        }
        _ => None,
    }
}

impl Core {
    /// The sensor that a body or element is of, where it may speak from there. `heads` are looked at in order.
    fn json_sensor(
        &mut self,
        r: &Reading<'_>,
        heads: &[(HeadSlots, &Found)],
        room: &mut String,
        sink: &mut impl Sink,
    ) -> Option<SensorId> {
        if let Some(chosen) = r.chosen {
            return self.may_speak(r.d, chosen.id, sink).then_some(chosen.id);
        }
        let whom = Whom::Port(r.d.port);
        let value = heads.iter().find_map(|(slots, found)| found.get(slots.sensor?).filter(|v| v.kind != Kind::Null));
        let sensor = match value {
            Some(value) => {
                let Some(name) = name_of(value, r.text, room) else {
                    self.refuse(r.d, whom, Fault::of(Reason::WrongType, "sensor"), "", sink);
                    return None;
                };
                let Some(sensor) = r.port.sensors.find(name).filter(|s| s.group.is_some()) else {
                    let declared = self.resolver.sensor(name).is_some();
                    let reason = if declared { Reason::WrongPort } else { Reason::UnknownSensor };
                    self.refuse(r.d, whom, Fault::of(reason, "sensor"), name, sink);
                    return None;
                };
                sensor
            }
            // The map says where the name stands, and it is not there; or nothing tells the port's sensors apart.
            None => {
                match r.port.sensors.only_json().filter(|_| heads.iter().all(|(slots, _)| slots.sensor.is_none())) {
                    Some(sensor) => sensor,
                    None => {
                        self.refuse(r.d, whom, Fault::of(Reason::MissingField, "sensor"), "", sink);
                        return None;
                    }
                }
            }
        };
        self.may_speak(r.d, sensor.id, sink).then_some(sensor.id)
    }

    /// The number and time of a body or element; the first head that has each gives it.
    fn json_heading(
        &mut self,
        r: &Reading<'_>,
        sensor: SensorId,
        heads: &[(HeadSlots, &Found)],
        sink: &mut impl Sink,
    ) -> Option<Heading> {
        let read = || {
            let mut heading = Heading::default();
            for (slots, found) in heads {
                if heading.seq.is_none() {
                    heading.seq = r.map.seq(*slots, r.text, found)?;
                }
                if heading.time.is_none() {
                    heading.time = r.map.time_ns(*slots, r.text, found)?.zip(r.map.clock);
                }
            }
            match (r.map.clock, heading.time) {
                (Some(_), None) => Err(Fault::of(Reason::MissingField, "time")),
                _ => Ok(heading),
            }
        };
        match read() {
            Ok(heading) => Some(heading),
            Err(fault) => {
                self.refuse(r.d, Whom::Sensor(sensor), fault, "", sink);
                None
            }
        }
    }
}
