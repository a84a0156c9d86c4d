//! Native frames at the edge: verified once, then each observation on its own. A frame of location fixes is read by the
//! short way ([`osmose_wire::frame::fixes`]), any other one by the general one; what is done with them is one thing.

use super::ledger::Whom;
use super::ports::PortPlan;
use super::{Core, Datagram, Heading, Sink, State};
use crate::claim::{Claim, is_scan};
use crate::native::{claim, fix_into, for_each_item, kind_of};
use crate::reason::{Fault, Reason};
use crate::resolve::Resolver;
use osmose_model::device::{ClockKind, SensorKind};
use osmose_model::ids::SensorId;
use osmose_model::observation::{Observation, ScanBuf};
use osmose_wire::frame::fixes::Fix;
use osmose_wire::frame::verify_frame;
use osmose_wire::frame_schema as schema;

/// One observation of a frame, by whichever way it was read.
#[derive(Clone, Copy)]
struct Said<'a> {
    /// Its sensor's id, where that is not the frame's.
    sensor: Option<&'a str>,
    own: Heading,
    what: What<'a>,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Fix(Fix<'a>),
    Any(schema::Observation<'a>),
}

impl What<'_> {
    fn kind(&self) -> Option<SensorKind> {
        match self {
            Self::Fix(_) => Some(SensorKind::Location),
            Self::Any(o) => kind_of(o.body_type()),
        }
    }
}

fn clock_of(clock: schema::Clock) -> ClockKind {
    if clock == schema::Clock::Utc { ClockKind::Utc } else { ClockKind::Device }
}

impl State {
    /// Takes a native frame.
    pub(super) fn native(&mut self, plan: &PortPlan, d: &Datagram<'_>, sink: &mut impl Sink) {
        let Self { core, scan, fixes, .. } = self;
        if let Some(frame) = fixes.read(d.bytes) {
            let clock = clock_of(frame.clock);
            let heading = |seq, time: Option<i64>| Heading { seq, time: time.map(|ns| (ns, clock)) };
            let said =
                frame.fixes().map(|f| Said { sensor: f.sensor, own: heading(f.seq, f.time_ns), what: What::Fix(f) });
            return core.frame(plan, d, (frame.sensor, heading(frame.seq, frame.time_ns)), said, scan, sink);
        }
        let Ok(frame) = verify_frame(d.bytes) else {
            return core.refuse(d, Whom::Port(d.port), Fault::whole(Reason::MalformedFrame), "", sink);
        };
        let clock = clock_of(frame.clock());
        let heading = |seq, time: Option<i64>| Heading { seq, time: time.map(|ns| (ns, clock)) };
        let said = frame.observations().iter();
        let said = said.map(|o| Said { sensor: o.sensor(), own: heading(o.seq(), o.time_ns()), what: What::Any(o) });
        core.frame(plan, d, (frame.sensor(), heading(frame.seq(), frame.time_ns())), said, scan, sink);
    }
}

impl Core {
    /// Takes a frame that is verified: its sensor's id, its heading, and what it says.
    fn frame<'a>(
        &mut self,
        plan: &PortPlan,
        d: &Datagram<'_>,
        (name, head): (&str, Heading),
        said: impl Iterator<Item = Said<'a>> + Clone,
        scan: &mut ScanBuf,
        sink: &mut impl Sink,
    ) {
        let Some(sensor) = self.native_sensor(plan, d, name, sink) else { return };
        let first = || said.clone().map(|s| s.own).find(Heading::tells_apart);
        let told_apart = if head.tells_apart() { head } else { first().unwrap_or(head) };
        if self.is_copy(d, Whom::Sensor(sensor), told_apart, sink) {
            return;
        }
        let sender = self.sender(d, sink);
        self.account(d, sender, Whom::Sensor(sensor), head, sink);
        // One claim for all fixes: each sets the same fields.
        let mut claim = Claim::default();
        for Said { sensor: name, own, what } in said {
            let sensor = match name {
                None => Some(sensor),
                Some(name) => self.native_sensor(plan, d, name, sink),
            };
            let Some(sensor) = sensor else { continue };
            let heading = Heading { seq: own.seq.or(head.seq), time: own.time.or(head.time) };
            if head.seq.is_none() {
                self.account(d, sender, Whom::Sensor(sensor), heading, sink);
            }
            self.native_observation(d, (sender, sensor, heading), &what, (&mut claim, scan), sink);
        }
    }

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

    /// Takes one observation: by whom and of what, and the room to work in.
    fn native_observation<'a>(
        &mut self,
        d: &Datagram<'_>,
        (sender, sensor, heading): (u32, SensorId, Heading),
        what: &What<'a>,
        (one, scan): (&mut Claim<'a>, &mut ScanBuf),
        sink: &mut impl Sink,
    ) {
        let plan = self.sensors[sensor.index()];
        if what.kind() != Some(plan.kind) {
            return self.refuse(d, Whom::Sensor(sensor), Fault::whole(Reason::WrongKind), "", sink);
        }
        // A sensor whose clock is declared to be the arrival's is stamped on arrival, whatever it claims.
        let time = heading.time.filter(|_| plan.clock != ClockKind::Arrival);
        let Some(measured) = self.measured(d, sensor, time, sink) else { return };
        match what {
            What::Fix(fix) => fix_into(fix, one),
            What::Any(observation) if !is_scan(plan.kind) => *one = claim(observation),
            What::Any(observation) => {
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
                let body = Resolver::scan_body(plan.kind, scan);
                let observation = Observation { sensor, source_seq: heading.seq, measured, body };
                return self.hand_over(d, sender, &observation, sink);
            }
        }
        if let Some(body) = self.single(d, sensor, Ok(one), sink) {
            let observation = Observation { sensor, source_seq: heading.seq, measured, body };
            self.hand_over(d, sender, &observation, sink);
        }
    }
}
