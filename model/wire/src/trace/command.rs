//! One command with its cause, as a record: complete enough to explain it without running anything.

use super::event::{put_kind, take_kind};
use super::values::{put_arg, take_arg, take_name};
use super::{TraceBuilder, verified};
use crate::WireError;
use crate::trace_schema as schema;
use arrayvec::ArrayVec;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use osmose_model::command::{Cause, Command, CommandId, ConditionValue, Entity, Trigger};
use osmose_model::ids::{ActuatorId, Name, PersonId, RuleId, SensorId, Seq, TrackId, ZoneId};
use osmose_model::limits::CAUSE_SIGHTINGS_MAX;
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::Sighting;

/// Writes a command.
pub fn encode_command<'b>(builder: &'b mut TraceBuilder, command: &Command) -> &'b [u8] {
    builder.begin();
    let cause = put_cause(builder, &command.cause);
    builder.offsets.clear();
    for (name, value) in &command.args {
        let arg = put_arg(&mut builder.fbb, *name, value);
        builder.offsets.push(arg.value());
    }
    let args = Some(builder.noted::<schema::Arg<'static>>());
    let fbb = &mut builder.fbb;
    let verb = Some(fbb.create_string(command.verb.as_str()));
    let args = schema::CommandArgs {
        seq: command.id.seq.0,
        n: command.id.n,
        at_ns: command.at.0,
        source_seq: command.source_seq,
        rule: command.rule.map(|r| r.0),
        device: command.device.0,
        verb,
        args,
        cause: Some(cause),
    };
    let root = schema::Command::create(fbb, &args);
    builder.finish(root)
}

fn put_cause(builder: &mut TraceBuilder, cause: &Cause) -> WIPOffset<schema::Cause<'static>> {
    builder.offsets.clear();
    for (name, entity) in &cause.bindings {
        let binding = put_binding(&mut builder.fbb, *name, entity);
        builder.offsets.push(binding.value());
    }
    let bindings = Some(builder.noted::<schema::Binding<'static>>());
    builder.offsets.clear();
    for c in &cause.conditions {
        let truth = match c.truth {
            Tri::False => schema::Truth::False,
            Tri::Unknown => schema::Truth::Unknown,
            Tri::True => schema::Truth::True,
        };
        let args = schema::ConditionArgs { offset: c.offset, truth, value: c.value };
        builder.offsets.push(schema::Condition::create(&mut builder.fbb, &args).value());
    }
    let conditions = Some(builder.noted::<schema::Condition<'static>>());
    let sightings: ArrayVec<schema::Sighting, CAUSE_SIGHTINGS_MAX> =
        cause.sightings.iter().map(|(t, s)| schema::Sighting::new(t.0, s.measured.0, s.sensor.0)).collect();
    // None is not written: commands without people stay as short as they were.
    let sightings = (!sightings.is_empty()).then(|| builder.fbb.create_vector(&sightings));
    let (trigger_type, trigger) = put_trigger(&mut builder.fbb, &cause.trigger);
    let args = schema::CauseArgs {
        trigger_type,
        trigger: Some(trigger),
        sensor: cause.sensor.map(|s| s.0),
        measured_ns: cause.measured.map(|m| m.0),
        bindings,
        conditions,
        doubt: cause.doubt,
        sightings,
    };
    schema::Cause::create(&mut builder.fbb, &args)
}

fn put_trigger(
    fbb: &mut FlatBufferBuilder<'static>,
    trigger: &Trigger,
) -> (schema::Trigger, WIPOffset<UnionWIPOffset>) {
    use schema::Trigger as T;
    match trigger {
        Trigger::Event { kind, track, zone } => {
            let args = schema::EventTriggerArgs { kind: put_kind(*kind), track: track.0, zone: zone.map(|z| z.0) };
            (T::EventTrigger, schema::EventTrigger::create(fbb, &args).as_union_value())
        }
        Trigger::Sensor(s) => {
            let t = schema::SensorTrigger::create(fbb, &schema::SensorTriggerArgs { sensor: s.0 });
            (T::SensorTrigger, t.as_union_value())
        }
        Trigger::Device(d) => {
            let t = schema::DeviceTrigger::create(fbb, &schema::DeviceTriggerArgs { device: d.0 });
            (T::DeviceTrigger, t.as_union_value())
        }
        Trigger::Timer => {
            (T::TimerTrigger, schema::TimerTrigger::create(fbb, &schema::TimerTriggerArgs {}).as_union_value())
        }
        Trigger::Clock => {
            (T::ClockTrigger, schema::ClockTrigger::create(fbb, &schema::ClockTriggerArgs {}).as_union_value())
        }
        Trigger::Start => {
            (T::StartTrigger, schema::StartTrigger::create(fbb, &schema::StartTriggerArgs {}).as_union_value())
        }
        Trigger::Operator => {
            let t = schema::OperatorTrigger::create(fbb, &schema::OperatorTriggerArgs {});
            (T::OperatorTrigger, t.as_union_value())
        }
    }
}

fn put_binding(
    fbb: &mut FlatBufferBuilder<'static>,
    name: Name,
    entity: &Entity,
) -> WIPOffset<schema::Binding<'static>> {
    use schema::Entity as E;
    let (entity_type, entity) = match entity {
        Entity::Track { track, person, person_p } => {
            let args = schema::TrackEntityArgs { track: track.0, person: person.map(|p| p.0), person_p: *person_p };
            (E::TrackEntity, schema::TrackEntity::create(fbb, &args).as_union_value())
        }
        Entity::Person(p) => {
            let e = schema::PersonEntity::create(fbb, &schema::PersonEntityArgs { person: p.0 });
            (E::PersonEntity, e.as_union_value())
        }
        Entity::Zone(z) => {
            let e = schema::ZoneEntity::create(fbb, &schema::ZoneEntityArgs { zone: z.0 });
            (E::ZoneEntity, e.as_union_value())
        }
        Entity::Device(d) => {
            let e = schema::DeviceEntity::create(fbb, &schema::DeviceEntityArgs { device: d.0 });
            (E::DeviceEntity, e.as_union_value())
        }
    };
    let name = Some(fbb.create_string(name.as_str()));
    schema::Binding::create(fbb, &schema::BindingArgs { name, entity_type, entity: Some(entity) })
}

/// Reads a command.
///
/// # Errors
/// [`WireError`] where the bytes are not one whole command that this build knows.
pub fn decode_command(bytes: &[u8]) -> Result<Command, WireError> {
    let c = verified::<schema::Command<'_>>(bytes)?;
    let mut args = ArrayVec::new();
    for arg in c.args() {
        args.try_push(take_arg(arg)?).map_err(|_| WireError::TooManyItems(c.args().len()))?;
    }
    Ok(Command {
        id: CommandId { seq: Seq(c.seq()), n: c.n() },
        at: LogicalNs(c.at_ns()),
        source_seq: c.source_seq(),
        rule: c.rule().map(RuleId),
        device: ActuatorId(c.device()),
        verb: take_name(c.verb())?,
        args,
        cause: take_cause(c.cause())?,
    })
}

fn take_cause(c: schema::Cause<'_>) -> Result<Cause, WireError> {
    let mut cause = Cause::new(take_trigger(&c)?);
    cause.sensor = c.sensor().map(SensorId);
    cause.measured = c.measured_ns().map(LogicalNs);
    cause.doubt = c.doubt();
    for b in c.bindings() {
        let bound = (take_name(b.name())?, take_entity(&b)?);
        cause.bindings.try_push(bound).map_err(|_| WireError::TooManyItems(c.bindings().len()))?;
    }
    for condition in c.conditions() {
        let truth = match condition.truth() {
            schema::Truth::False => Tri::False,
            schema::Truth::Unknown => Tri::Unknown,
            schema::Truth::True => Tri::True,
            _ => return Err(WireError::Unknown { what: "truth" }),
        };
        let value = ConditionValue { offset: condition.offset(), truth, value: condition.value() };
        cause.conditions.try_push(value).map_err(|_| WireError::TooManyItems(c.conditions().len()))?;
    }
    for s in c.sightings().into_iter().flatten() {
        let sighting = Sighting { sensor: SensorId(s.sensor()), measured: LogicalNs(s.measured_ns()) };
        let all = c.sightings().map_or(0, |all| all.len());
        cause.sightings.try_push((TrackId(s.track()), sighting)).map_err(|_| WireError::TooManyItems(all))?;
    }
    Ok(cause)
}

fn take_trigger(c: &schema::Cause<'_>) -> Result<Trigger, WireError> {
    use schema::Trigger as T;
    let unknown = WireError::Unknown { what: "trigger" };
    Ok(match c.trigger_type() {
        T::EventTrigger => {
            let e = c.trigger_as_event_trigger().ok_or(unknown)?;
            Trigger::Event { kind: take_kind(e.kind())?, track: TrackId(e.track()), zone: e.zone().map(ZoneId) }
        }
        T::SensorTrigger => Trigger::Sensor(SensorId(c.trigger_as_sensor_trigger().ok_or(unknown)?.sensor())),
        T::DeviceTrigger => Trigger::Device(ActuatorId(c.trigger_as_device_trigger().ok_or(unknown)?.device())),
        T::TimerTrigger => Trigger::Timer,
        T::ClockTrigger => Trigger::Clock,
        T::StartTrigger => Trigger::Start,
        T::OperatorTrigger => Trigger::Operator,
        _ => return Err(unknown),
    })
}

fn take_entity(b: &schema::Binding<'_>) -> Result<Entity, WireError> {
    use schema::Entity as E;
    let entity = match b.entity_type() {
        E::TrackEntity => b.entity_as_track_entity().map(|e| Entity::Track {
            track: TrackId(e.track()),
            person: e.person().map(PersonId),
            person_p: e.person_p(),
        }),
        E::PersonEntity => b.entity_as_person_entity().map(|e| Entity::Person(PersonId(e.person()))),
        E::ZoneEntity => b.entity_as_zone_entity().map(|e| Entity::Zone(ZoneId(e.zone()))),
        E::DeviceEntity => b.entity_as_device_entity().map(|e| Entity::Device(ActuatorId(e.device()))),
        _ => None,
    };
    entity.ok_or(WireError::Unknown { what: "entity" })
}
