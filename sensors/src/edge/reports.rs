//! What devices say of themselves: `{"id":"m7.recorder","state":"recording"}`, one report for each property.

use super::ledger::Whom;
use super::ports::PortPlan;
use super::{Core, Datagram, Heading, Sink, State};
use crate::json::pointer::Pointers;
use crate::json::scan::{Kind, Member, Members, Value as JsonValue, unescape, walk};
use crate::reason::{Fault, Reason};
use osmose_model::command::{Text, Value};
use osmose_model::device::{Actuator, ActuatorKind, PropertySpec};
use osmose_model::ids::{ActuatorId, Name};
use osmose_model::input::Report;
use osmose_model::limits::TEXT_BYTES_MAX;
use std::net::SocketAddr;

/// What of an actuator its reports are read with.
#[derive(Clone, Copy, Debug)]
pub(super) struct ActuatorPlan {
    kind: ActuatorKind,
    from: Option<SocketAddr>,
}

impl ActuatorPlan {
    pub(super) const fn new(actuator: &Actuator) -> Self {
        Self { kind: actuator.kind, from: actuator.connect.from }
    }
}

/// Where a report carries its device's id and its number.
#[derive(Clone, Debug)]
pub(super) struct ReportPointers {
    pointers: Pointers,
    id: Option<u8>,
    seq: Option<u8>,
    whole: Option<u8>,
    nothing: Pointers,
}

impl ReportPointers {
    pub(super) fn new() -> Self {
        let mut pointers = Pointers::new();
        let (id, seq, whole) = (pointers.add("/id"), pointers.add("/seq"), pointers.add(""));
        Self { pointers, id, seq, whole, nothing: Pointers::new() }
    }
}

impl State {
    /// Takes a body as a device's report; `false` where it is none and a sensor shares the port.
    pub(super) fn reports(&mut self, plan: &PortPlan, d: &Datagram<'_>, text: &str, sink: &mut impl Sink) -> bool {
        let Self { core, found, room, pointers, .. } = self;
        let (shared, whom) = (!plan.groups.is_empty(), Whom::Port(d.port));
        let p = &*pointers;
        if walk(text, &p.pointers, found).is_err() {
            core.refuse(d, whom, Fault::whole(Reason::MalformedJson), "", sink);
            return true;
        }
        let get = |slot: Option<u8>| slot.and_then(|s| found.get(s)).filter(|v| v.kind != Kind::Null);
        let Some(whole) = get(p.whole).filter(|v| v.kind == Kind::Object) else {
            if !shared {
                core.refuse(d, whom, Fault::of(Reason::MissingField, "id"), "", sink);
            }
            return !shared;
        };
        let Some(name) = get(p.id).and_then(|id| text_of(id, text, room)) else {
            if !shared {
                let reason = if get(p.id).is_some() { Reason::WrongType } else { Reason::MissingField };
                core.refuse(d, whom, Fault::of(reason, "id"), "", sink);
            }
            return !shared;
        };
        let Some(actuator) = plan.actuators.find(name) else {
            if !shared {
                core.refuse(d, whom, Fault::of(Reason::UnknownActuator, "id"), name, sink);
            }
            return !shared;
        };
        let seq = match get(p.seq) {
            None => Ok(None),
            Some(v) if v.kind == Kind::Integer => v.raw(text).parse().map(Some).map_err(|_| Reason::WrongType),
            Some(_) => Err(Reason::WrongType),
        };
        let seq = match seq {
            Ok(seq) => seq,
            Err(reason) => {
                core.refuse(d, Whom::Actuator(actuator), Fault::of(reason, "seq"), "", sink);
                return true;
            }
        };
        core.report(d, actuator, seq, Members::of(text, whole), (text, &p.nothing), room, sink);
        true
    }
}

impl Core {
    #[expect(clippy::too_many_arguments, reason = "what is known of one report; a struct would name it once more")]
    fn report(
        &mut self,
        d: &Datagram<'_>,
        actuator: ActuatorId,
        source_seq: Option<u64>,
        mut members: Members<'_>,
        (text, nothing): (&str, &Pointers),
        room: &mut String,
        sink: &mut impl Sink,
    ) {
        let (plan, whom) = (self.actuators[actuator.index()], Whom::Actuator(actuator));
        let signs = self.actuator_signs[actuator.index()].as_deref();
        if let Err(reason) = self.keyring.admits(d.signed, signs, plan.from, d.from) {
            return self.refuse(d, whom, Fault::whole(reason), "", sink);
        }
        let heading = Heading { seq: source_seq, time: None };
        if self.is_copy(d, whom, heading, sink) {
            return;
        }
        let sender = self.sender(d, sink);
        self.account(d, sender, whom, heading, sink);
        while let Ok(Some(Member { key, escaped, value })) = members.next(nothing) {
            if !escaped && matches!(key, "id" | "seq") || value.kind == Kind::Null {
                continue;
            }
            let spec = plan.kind.properties().iter().find(|p| !escaped && p.property == key);
            let Some((spec, property)) = spec.and_then(|s| Some((s, Name::new(s.property)?))) else {
                self.refuse(d, whom, Fault::of(Reason::UnknownProperty, "property"), key, sink);
                continue;
            };
            match property_value(spec, value, text, room) {
                Ok(value) => sink.report(d.arrival, Report { actuator, property, value, source_seq }),
                Err(fault) => self.refuse(d, whom, fault, "", sink),
            }
        }
    }
}

/// A property's value: a number where it has a unit, one of its words where it has words, else either.
fn property_value(spec: &PropertySpec, value: JsonValue, text: &str, room: &mut String) -> Result<Value, Fault> {
    let fault = |reason| Fault::of(reason, spec.property);
    let wants_number = spec.unit.is_some();
    match value.kind {
        Kind::Integer | Kind::Number if wants_number || spec.words.is_empty() => {
            let number: f64 = value.raw(text).parse().map_err(|_| fault(Reason::WrongType))?;
            if number.is_finite() { Ok(Value::Number(number)) } else { Err(fault(Reason::NotFinite)) }
        }
        Kind::True | Kind::False if !wants_number && spec.words.is_empty() => Ok(Value::Bool(value.kind == Kind::True)),
        Kind::Text | Kind::Escaped if !wants_number => {
            let word = text_of(value, text, room).unwrap_or_default();
            if !spec.words.is_empty() && !spec.words.contains(&word) {
                return Err(fault(Reason::UnknownState));
            }
            if let Some(name) = Name::new(word) {
                return Ok(Value::Name(name));
            }
            let long = Text::from(word).map_err(|_| fault(Reason::TooLong))?;
            debug_assert!(long.len() <= TEXT_BYTES_MAX);
            Ok(Value::Text(long))
        }
        _ => Err(fault(Reason::WrongType)),
    }
}

/// A string's text; `room` holds it where it had escapes.
fn text_of<'a>(value: JsonValue, text: &'a str, room: &'a mut String) -> Option<&'a str> {
    match value.kind {
        Kind::Text => Some(value.raw(text)),
        Kind::Escaped => {
            room.clear();
            room.extend(unescape(value.raw(text)));
            Some(room)
        }
        _ => None,
    }
}
