//! Native frames at the edge: verified once, then each observation on its own.

use super::ledger::Whom;
use super::ports::PortPlan;
use super::{Core, Datagram, Heading, Sink, State};
use crate::claim::is_scan;
use crate::native::{claim, for_each_item, kind_of};
use crate::reason::{Fault, Reason};
use crate::resolve::Resolver;
use osmose_model::device::ClockKind;
use osmose_model::ids::SensorId;
use osmose_model::observation::{Observation, ScanBuf};
use osmose_wire::frame::verify_frame;
use osmose_wire::frame_schema as schema;

impl State {
    /// Takes a native frame.
    pub(super) fn native(&mut self, plan: &PortPlan, d: &Datagram<'_>, sink: &mut impl Sink) {
        let Self { core, scan, .. } = self;
        let Ok(frame) = verify_frame(d.bytes) else {
            return core.refuse(d, Whom::Port(d.port), Fault::whole(Reason::MalformedFrame), "", sink);
        };
        let Some(sensor) = core.native_sensor(plan, d, frame.sensor(), sink) else { return };
        let clock = if frame.clock() == schema::Clock::Utc { ClockKind::Utc } else { ClockKind::Device };
        let head = Heading { seq: frame.seq(), time: frame.time_ns().map(|ns| (ns, clock)) };
        let own = |o: schema::Observation<'_>| Heading { seq: o.seq(), time: o.time_ns().map(|ns| (ns, clock)) };
        let first = frame.observations().iter().map(own).find(Heading::tells_apart).unwrap_or(head);
        let told_apart = if head.tells_apart() { head } else { first };
        if core.is_copy(d, Whom::Sensor(sensor), told_apart, sink) {
            return;
        }
        let sender = core.sender(d, sink);
        core.account(d, sender, Whom::Sensor(sensor), head, sink);
        for observation in frame.observations() {
            let sensor = match observation.sensor() {
                None => Some(sensor),
                Some(name) => core.native_sensor(plan, d, name, sink),
            };
            let Some(sensor) = sensor else { continue };
            let own = own(observation);
            let heading = Heading { seq: own.seq.or(head.seq), time: own.time.or(head.time) };
            if head.seq.is_none() {
                core.account(d, sender, Whom::Sensor(sensor), heading, sink);
            }
            core.native_observation(d, sender, sensor, heading, &observation, scan, sink);
        }
    }
}

impl Core {
    /// The sensor of a name, where it may speak here.
    fn native_sensor(
        &mut self,
        plan: &PortPlan,
        d: &Datagram<'_>,
        name: &str,
        sink: &mut impl Sink,
    ) -> Option<SensorId> {
        let Some(sensor) = plan.sensors.find(name).filter(|s| s.group.is_none()) else {
            let reason = if self.resolver.sensor(name).is_some() { Reason::WrongPort } else { Reason::UnknownSensor };
            self.refuse(d, Whom::Port(d.port), Fault::of(reason, "sensor"), name, sink);
            return None;
        };
        self.may_speak(d, sensor.id, sink).then_some(sensor.id)
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of one observation; a struct would name it once more")]
    fn native_observation(
        &mut self,
        d: &Datagram<'_>,
        sender: u32,
        sensor: SensorId,
        heading: Heading,
        observation: &schema::Observation<'_>,
        scan: &mut ScanBuf,
        sink: &mut impl Sink,
    ) {
        let plan = self.sensors[sensor.index()];
        if kind_of(observation.body_type()) != Some(plan.kind) {
            return self.refuse(d, Whom::Sensor(sensor), Fault::whole(Reason::WrongKind), "", sink);
        }
        // A sensor whose clock is declared to be the arrival's is stamped on arrival, whatever it claims.
        let time = heading.time.filter(|_| plan.clock != ClockKind::Arrival);
        let Some(measured) = self.measured(d, sensor, time, sink) else { return };
        let body = if is_scan(plan.kind) {
            scan.clear();
            let (mut items, mut taken) = (0usize, 0usize);
            for_each_item(observation, &mut |claim| {
                items += 1;
                taken += usize::from(self.add_item(d, sensor, Ok(claim), scan, sink));
            });
            // A scan of which nothing was taken must not be read as one that saw nobody.
            if items > 0 && taken == 0 {
                return;
            }
            Resolver::scan_body(plan.kind, scan)
        } else {
            match self.single(d, sensor, Ok(&claim(observation)), sink) {
                Some(body) => body,
                None => return,
            }
        };
        let observation = Observation { sensor, source_seq: heading.seq, measured, body };
        self.hand_over(d, sender, &observation, sink);
    }
}
