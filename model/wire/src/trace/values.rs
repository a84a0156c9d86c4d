//! Places, names and values, as every record holds them.

use super::TraceBuilder;
use crate::WireError;
use crate::trace_schema as schema;
use arrayvec::ArrayString;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use osmose_model::command::Value;
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{LevelId, Name};

pub(super) fn put_place(fbb: &mut FlatBufferBuilder<'static>, p: &Place) -> WIPOffset<schema::Place<'static>> {
    let args = schema::PlaceArgs { x_m: p.at.x_m, y_m: p.at.y_m, z_m: p.z_m, level: p.level.0 };
    schema::Place::create(fbb, &args)
}

pub(super) fn take_place(p: schema::Place<'_>) -> Place {
    Place { at: Point::new(p.x_m(), p.y_m()), z_m: p.z_m(), level: LevelId(p.level()) }
}

/// A name, within its bound.
pub(super) fn take_name(text: &str) -> Result<Name, WireError> {
    Name::new(text).ok_or(WireError::TooLong { what: "name", bytes: text.len() })
}

/// A text held inline, within its bound.
pub(super) fn take_text<const N: usize>(text: &str) -> Result<ArrayString<N>, WireError> {
    ArrayString::from(text).map_err(|_| WireError::TooLong { what: "text", bytes: text.len() })
}

type PutValue = (schema::Value, WIPOffset<UnionWIPOffset>);

pub(super) fn put_value(fbb: &mut FlatBufferBuilder<'static>, value: &Value) -> PutValue {
    use schema::Value as V;
    match value {
        Value::Bool(v) => {
            let value = schema::BoolValue::create(fbb, &schema::BoolValueArgs { value: *v });
            (V::BoolValue, value.as_union_value())
        }
        Value::Number(v) => {
            let value = schema::NumberValue::create(fbb, &schema::NumberValueArgs { value: *v });
            (V::NumberValue, value.as_union_value())
        }
        Value::Name(v) => {
            let value = Some(fbb.create_string(v.as_str()));
            (V::NameValue, schema::NameValue::create(fbb, &schema::NameValueArgs { value }).as_union_value())
        }
        Value::Text(v) => {
            let value = Some(fbb.create_string(v));
            (V::TextValue, schema::TextValue::create(fbb, &schema::TextValueArgs { value }).as_union_value())
        }
        Value::Person(v) => {
            let value = schema::PersonValue::create(fbb, &schema::PersonValueArgs { person: v.0 });
            (V::PersonValue, value.as_union_value())
        }
        Value::Zone(v) => {
            let value = schema::ZoneValue::create(fbb, &schema::ZoneValueArgs { zone: v.0 });
            (V::ZoneValue, value.as_union_value())
        }
        Value::Track(v) => {
            let value = schema::TrackValue::create(fbb, &schema::TrackValueArgs { track: v.0 });
            (V::TrackValue, value.as_union_value())
        }
    }
}

/// A value of the union that a table holds: reports and arguments read alike.
macro_rules! take_value {
    ($table:expr) => {{
        let t = $table;
        use crate::trace_schema::Value as V;
        use osmose_model::command::Value;
        match t.value_type() {
            V::BoolValue => t.value_as_bool_value().map(|v| Value::Bool(v.value())),
            V::NumberValue => t.value_as_number_value().map(|v| Value::Number(v.value())),
            V::NameValue => match t.value_as_name_value() {
                Some(v) => Some(Value::Name($crate::trace::values::take_name(v.value())?)),
                None => None,
            },
            V::TextValue => match t.value_as_text_value() {
                Some(v) => Some(Value::Text($crate::trace::values::take_text(v.value())?)),
                None => None,
            },
            V::PersonValue => t.value_as_person_value().map(|v| Value::Person(osmose_model::ids::PersonId(v.person()))),
            V::ZoneValue => t.value_as_zone_value().map(|v| Value::Zone(osmose_model::ids::ZoneId(v.zone()))),
            V::TrackValue => t.value_as_track_value().map(|v| Value::Track(osmose_model::ids::TrackId(v.track()))),
            _ => None,
        }
        .ok_or($crate::WireError::Unknown { what: "value" })
    }};
}
pub(super) use take_value;

type PutArg = WIPOffset<schema::Arg<'static>>;

pub(super) fn put_arg(fbb: &mut FlatBufferBuilder<'static>, name: Name, value: &Value) -> PutArg {
    let (value_type, value) = put_value(fbb, value);
    let name = Some(fbb.create_string(name.as_str()));
    schema::Arg::create(fbb, &schema::ArgArgs { name, value_type, value: Some(value) })
}

pub(super) fn take_arg(arg: schema::Arg<'_>) -> Result<(Name, Value), WireError> {
    Ok((take_name(arg.name())?, take_value!(arg)?))
}

impl TraceBuilder {
    /// A vector of the tables whose offsets were noted.
    pub(super) fn noted<T: 'static>(
        &mut self,
    ) -> WIPOffset<flatbuffers::Vector<'static, flatbuffers::ForwardsUOffset<T>>> {
        crate::frame::vector::<T>(&mut self.fbb, &self.offsets)
    }
}
