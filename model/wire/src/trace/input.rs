//! One input of the core as a record, and back to exactly the input that went in.

use super::observation::{put_observation, take_observation};
use super::values::{put_arg, put_value, take_arg, take_name, take_text, take_value};
use super::{TraceBuilder, verified};
use crate::WireError;
use crate::trace_schema as schema;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use osmose_model::ids::{ActuatorId, CarriedKey, SensorId, Seq};
use osmose_model::input::{Anchor, Gap, GapReason, Input, OperatorAction, Report, Shed, ShedReason, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::time::{DurationNs, LogicalNs, UtcNs};

/// Writes an input with its place in the order.
///
/// ```
/// use osmose_model::{input::{Input, Tag}, observation::ScanBuf};
/// use osmose_wire::trace::{TraceBuilder, decode_input, encode_input};
/// let mut builder = TraceBuilder::new();
/// let bytes = encode_input(&mut builder, Tag::default(), &Input::Tick);
/// assert_eq!(decode_input(bytes, &mut ScanBuf::new()), Ok((Tag::default(), Input::Tick)));
/// ```
pub fn encode_input<'b>(builder: &'b mut TraceBuilder, tag: Tag, input: &Input<'_>) -> &'b [u8] {
    let TraceBuilder { fbb, fix, .. } = builder;
    if let Input::Observation(o) = input
        && fix.fits(o)
    {
        return fix.fill(tag, o);
    }
    fbb.reset();
    let (body_type, body) = put_input(fbb, input);
    let args = schema::InputArgs { at_ns: tag.at.0, seq: tag.seq.0, body_type, body: Some(body) };
    let root = schema::Input::create(fbb, &args);
    fbb.finish(root, None);
    let record = fbb.finished_data();
    if let Input::Observation(o) = input {
        fix.keep(o, record);
    }
    record
}

type Put = (schema::Body, WIPOffset<UnionWIPOffset>);

fn put_input(fbb: &mut FlatBufferBuilder<'static>, input: &Input<'_>) -> Put {
    use schema::Body as B;
    match input {
        Input::Observation(o) => (B::Observation, put_observation(fbb, o).as_union_value()),
        Input::Tick => (B::Tick, schema::Tick::create(fbb, &schema::TickArgs {}).as_union_value()),
        Input::Anchor(a) => {
            let args = schema::AnchorArgs {
                utc_ns: a.utc.0,
                offset_ns: a.offset.0,
                next_change_utc_ns: a.next_change.map(|(at, _)| at.0),
                next_offset_ns: a.next_change.map(|(_, offset)| offset.0),
            };
            (B::Anchor, schema::Anchor::create(fbb, &args).as_union_value())
        }
        Input::Report(r) => {
            let (value_type, value) = put_value(fbb, &r.value);
            let property = Some(fbb.create_string(r.property.as_str()));
            let (actuator, source_seq) = (r.actuator.0, r.source_seq);
            let args = schema::ReportArgs { actuator, property, value_type, value: Some(value), source_seq };
            (B::Report, schema::Report::create(fbb, &args).as_union_value())
        }
        Input::RulesInstalled { files } => {
            let files = Some(fbb.create_vector(files));
            let body = schema::RulesInstalled::create(fbb, &schema::RulesInstalledArgs { files });
            (B::RulesInstalled, body.as_union_value())
        }
        Input::SiteInstalled { files } => {
            let files = Some(fbb.create_vector(files));
            let body = schema::SiteInstalled::create(fbb, &schema::SiteInstalledArgs { files });
            (B::SiteInstalled, body.as_union_value())
        }
        Input::Named { key, text } => {
            let text = Some(fbb.create_string(text));
            (B::Named, schema::Named::create(fbb, &schema::NamedArgs { key: key.0, text }).as_union_value())
        }
        Input::Shed(s) => {
            let reason = match s.reason {
                ShedReason::Replaced => schema::ShedReason::Replaced,
                ShedReason::Full => schema::ShedReason::Full,
                ShedReason::TooLate => schema::ShedReason::TooLate,
                ShedReason::Missing => schema::ShedReason::Missing,
            };
            let args = schema::ShedArgs { sensor: s.sensor.0, count: s.count, reason };
            (B::Shed, schema::Shed::create(fbb, &args).as_union_value())
        }
        Input::Gap(g) => {
            let reason = match g.reason {
                GapReason::Down => schema::GapReason::Down,
                GapReason::Journal => schema::GapReason::Journal,
            };
            let args = schema::GapArgs { from_ns: g.from.0, lost: g.lost, reason };
            (B::Gap, schema::Gap::create(fbb, &args).as_union_value())
        }
        Input::Operator(action) => {
            let (action_type, action) = put_action(fbb, action);
            let args = schema::OperatorArgs { action_type, action: Some(action) };
            (B::Operator, schema::Operator::create(fbb, &args).as_union_value())
        }
    }
}

fn put_action(
    fbb: &mut FlatBufferBuilder<'static>,
    action: &OperatorAction,
) -> (schema::Action, WIPOffset<UnionWIPOffset>) {
    use schema::Action as A;
    match action {
        OperatorAction::Act { actuator, verb, arg } => {
            let arg = arg.as_ref().map(|(name, value)| put_arg(fbb, *name, value));
            let verb = Some(fbb.create_string(verb.as_str()));
            (A::Act, schema::Act::create(fbb, &schema::ActArgs { actuator: actuator.0, verb, arg }).as_union_value())
        }
        OperatorAction::RuleOff { rule, until, because } => {
            let (rule, because) = (Some(fbb.create_string(rule.as_str())), Some(fbb.create_string(because)));
            let args = schema::RuleOffArgs { rule, until_ns: until.0, because };
            (A::RuleOff, schema::RuleOff::create(fbb, &args).as_union_value())
        }
        OperatorAction::Mode { mode, value } => {
            let (mode, value) = (Some(fbb.create_string(mode.as_str())), Some(fbb.create_string(value.as_str())));
            (A::Mode, schema::Mode::create(fbb, &schema::ModeArgs { mode, value }).as_union_value())
        }
        OperatorAction::Reset { rule } => {
            let rule = Some(fbb.create_string(rule.as_str()));
            (A::Reset, schema::Reset::create(fbb, &schema::ResetArgs { rule }).as_union_value())
        }
    }
}

/// Reads an input and its place in the order; the items of a scan land in `scan`.
///
/// # Errors
/// [`WireError`] where the bytes are not one whole input that this build knows. Never panics.
pub fn decode_input<'a>(bytes: &'a [u8], scan: &'a mut ScanBuf) -> Result<(Tag, Input<'a>), WireError> {
    let record = verified::<schema::Input<'a>>(bytes)?;
    let tag = Tag { at: LogicalNs(record.at_ns()), seq: Seq(record.seq()) };
    let unknown = WireError::Unknown { what: "input" };
    let input = take_input(&record, scan)?.ok_or(unknown)?;
    Ok((tag, input))
}

/// The input; `None` for one that a later version added.
fn take_input<'a>(record: &schema::Input<'a>, scan: &'a mut ScanBuf) -> Result<Option<Input<'a>>, WireError> {
    use schema::Body as B;
    Ok(match record.body_type() {
        B::Observation => match record.body_as_observation() {
            Some(o) => Some(Input::Observation(take_observation(o, scan)?)),
            None => None,
        },
        B::Tick => Some(Input::Tick),
        B::Anchor => record.body_as_anchor().map(|a| {
            let next_change =
                a.next_change_utc_ns().zip(a.next_offset_ns()).map(|(at, offset)| (UtcNs(at), DurationNs(offset)));
            Input::Anchor(Anchor { utc: UtcNs(a.utc_ns()), offset: DurationNs(a.offset_ns()), next_change })
        }),
        B::Report => match record.body_as_report() {
            Some(r) => Some(Input::Report(Report {
                actuator: ActuatorId(r.actuator()),
                property: take_name(r.property())?,
                value: take_value!(r)?,
                source_seq: r.source_seq(),
            })),
            None => None,
        },
        B::RulesInstalled => {
            record.body_as_rules_installed().map(|r| Input::RulesInstalled { files: r.files().bytes() })
        }
        B::SiteInstalled => record.body_as_site_installed().map(|s| Input::SiteInstalled { files: s.files().bytes() }),
        B::Named => record.body_as_named().map(|n| Input::Named { key: CarriedKey(n.key()), text: n.text() }),
        B::Shed => record.body_as_shed().and_then(|s| {
            let reason = match s.reason() {
                schema::ShedReason::Replaced => ShedReason::Replaced,
                schema::ShedReason::Full => ShedReason::Full,
                schema::ShedReason::TooLate => ShedReason::TooLate,
                schema::ShedReason::Missing => ShedReason::Missing,
                _ => return None,
            };
            Some(Input::Shed(Shed { sensor: SensorId(s.sensor()), count: s.count(), reason }))
        }),
        B::Gap => record.body_as_gap().and_then(|g| {
            let reason = match g.reason() {
                schema::GapReason::Down => GapReason::Down,
                schema::GapReason::Journal => GapReason::Journal,
                _ => return None,
            };
            Some(Input::Gap(Gap { from: LogicalNs(g.from_ns()), lost: g.lost(), reason }))
        }),
        B::Operator => match record.body_as_operator() {
            Some(o) => take_action(o)?.map(Input::Operator),
            None => None,
        },
        _ => None,
    })
}

fn take_action(o: schema::Operator<'_>) -> Result<Option<OperatorAction>, WireError> {
    use schema::Action as A;
    Ok(match o.action_type() {
        A::Act => match o.action_as_act() {
            Some(a) => Some(OperatorAction::Act {
                actuator: ActuatorId(a.actuator()),
                verb: take_name(a.verb())?,
                arg: a.arg().map(take_arg).transpose()?,
            }),
            None => None,
        },
        A::RuleOff => match o.action_as_rule_off() {
            Some(r) => Some(OperatorAction::RuleOff {
                rule: take_name(r.rule())?,
                until: LogicalNs(r.until_ns()),
                because: take_text(r.because())?,
            }),
            None => None,
        },
        A::Mode => match o.action_as_mode() {
            Some(m) => Some(OperatorAction::Mode { mode: take_name(m.mode())?, value: take_name(m.value())? }),
            None => None,
        },
        A::Reset => match o.action_as_reset() {
            Some(r) => Some(OperatorAction::Reset { rule: take_name(r.rule())? }),
            None => None,
        },
        _ => None,
    })
}
