//! JSON bodies through the `map` of devices.toml: which pointer is which field, in what unit.
//!
//! A map is compiled once ([`Plan`]); a body is walked once ([`scan`]), wholly validated, and only what is mapped is
//! looked at. Numbers become floats by the standard library, times become integers by
//! [`osmose_model::time::parse_decimal_ns`] and never pass through a float.
//!
//! With `each`, the pointers are relative to the elements of that array. The sensor's id, the time and the number of
//! the whole (`sensor`, `time`, `seq`) are looked for at the root first, because a scan usually carries them once
//! beside its items, and in the element otherwise.

pub mod pointer;
pub mod scan;

use crate::claim::{Claim, Field, Text, direction_of_word, fields_of, state_of_word};
use crate::reason::{Fault, Reason};
use osmose_model::device::{ClockKind, JsonMap, SensorKind};
use osmose_model::time::{TimeTextError, parse_decimal_ns};
use pointer::Pointers;
use scan::{Found, Kind, Value};

/// A mapped field.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    field: Field,
    slot: u8,
    scale: f64,
    offset: f64,
}

/// Where a body or an element carries what concerns it as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadSlots {
    /// The sensor's id.
    pub sensor: Option<u8>,
    /// Its number.
    pub seq: Option<u8>,
    /// Its time.
    pub time: Option<u8>,
}

/// The items of a body: an array, and the pointers into its elements.
#[derive(Clone, Debug)]
pub struct Each {
    /// Where the array stands.
    pub slot: u8,
    /// The pointers of an element.
    pub pointers: Pointers,
    /// The head of an element.
    pub head: HeadSlots,
}

/// A compiled map.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The pointers from the root.
    pub root: Pointers,
    /// The head at the root.
    pub head: HeadSlots,
    /// The array that holds the items, where there is one.
    pub each: Option<Each>,
    fields: Vec<Mapped>,
    unit_pow10: i32,
    /// Whose clock the mapped time is of; `None` where no time is mapped.
    pub clock: Option<ClockKind>,
}

/// What is wrong with a map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapFault {
    /// The kind has no such field.
    #[error("`{field}` is no field of a {kind} sensor; it has {known}")]
    UnknownField {
        /// The field mapped.
        field: String,
        /// The sensor's kind.
        kind: SensorKind,
        /// The fields it has.
        known: String,
    },
    /// The kind needs a field that is not mapped.
    #[error("a {kind} sensor needs `{field}`, and the map does not say where it stands")]
    Unmapped {
        /// The field needed.
        field: &'static str,
        /// The sensor's kind.
        kind: SensorKind,
    },
    /// A text that is no JSON pointer.
    #[error("`{pointer}` is no JSON pointer: it is empty or begins with `/`")]
    NotAPointer {
        /// The text.
        pointer: String,
    },
}

/// Everything that is wrong with a sensor's map, for `osmose check`.
///
/// ```
/// use osmose_model::device::{JsonMap, SensorKind};
/// let faults = osmose_sensors::json::check_map(SensorKind::Value, &JsonMap::default());
/// assert_eq!(faults[0].to_string(), "a value sensor needs `value`, and the map does not say where it stands");
/// ```
#[must_use]
pub fn check_map(kind: SensorKind, map: &JsonMap) -> Vec<MapFault> {
    let (needs, takes) = fields_of(kind);
    let mut faults = Vec::new();
    for (field, path) in &map.fields {
        if field != "seq" && !needs.contains(&field.as_str()) && !takes.contains(&field.as_str()) {
            let known = [needs, takes, &["seq"]].concat().join(", ");
            faults.push(MapFault::UnknownField { field: field.clone(), kind, known });
        }
        faults.extend(bad_pointer(&path.path));
    }
    for &field in needs {
        if !map.fields.iter().any(|(f, _)| f == field) {
            faults.push(MapFault::Unmapped { field, kind });
        }
    }
    let heads = [map.each.as_deref(), map.sensor.as_deref(), map.time.as_ref().map(|t| t.path.as_str())];
    faults.extend(heads.into_iter().flatten().filter_map(bad_pointer));
    faults
}

fn bad_pointer(pointer: &str) -> Option<MapFault> {
    let good = pointer.is_empty() || pointer.starts_with('/');
    (!good).then(|| MapFault::NotAPointer { pointer: pointer.to_owned() })
}

impl Plan {
    /// Compiles the map of a sensor of a kind. What [`check_map`] complains about is left out: a field that the
    /// kind needs is then missing from every body, and counted so.
    #[must_use]
    pub fn new(kind: SensorKind, map: &JsonMap) -> Self {
        let (needs, takes) = fields_of(kind);
        let mut root = Pointers::new();
        let seq = map.fields.iter().find(|(f, _)| f == "seq").map(|(_, p)| p.path.as_str());
        let time = map.time.as_ref();
        let head_slots = |pointers: &mut Pointers| HeadSlots {
            sensor: map.sensor.as_deref().and_then(|p| pointers.add(p)),
            seq: seq.and_then(|p| pointers.add(p)),
            time: time.and_then(|t| pointers.add(&t.path)),
        };
        let head = head_slots(&mut root);
        let mut each = map.each.as_deref().and_then(|p| root.add(p)).map(|slot| {
            let mut pointers = Pointers::new();
            let head = head_slots(&mut pointers);
            Each { slot, pointers, head }
        });
        let items = each.as_mut().map_or(&mut root, |e| &mut e.pointers);
        let of_kind = map.fields.iter().filter(|(f, _)| needs.contains(&f.as_str()) || takes.contains(&f.as_str()));
        let fields = of_kind
            .filter_map(|(name, path)| {
                let slot = items.add(&path.path)?;
                Some(Mapped { field: Field::from_word(name)?, slot, scale: path.scale, offset: path.offset })
            })
            .collect();
        Self { root, head, each, fields, unit_pow10: time.map_or(0, |t| t.unit_pow10), clock: time.map(|t| t.clock) }
    }

    /// The number that a body or element carries.
    ///
    /// # Errors
    /// [`Reason::WrongType`] where it is no whole number from 0 on.
    pub fn seq(&self, slots: HeadSlots, text: &str, found: &Found) -> Result<Option<u64>, Fault> {
        let Some(value) = slots.seq.and_then(|s| present(found, s)) else { return Ok(None) };
        let whole = if value.kind == Kind::Integer { value.raw(text).parse().ok() } else { None };
        whole.map(Some).ok_or(Fault::of(Reason::WrongType, "seq"))
    }

    /// The time that a body or element carries, nanoseconds of its clock.
    ///
    /// # Errors
    /// [`Reason::WrongType`] where it is no number, [`Reason::NotPlausible`] where it does not fit.
    pub fn time_ns(&self, slots: HeadSlots, text: &str, found: &Found) -> Result<Option<i64>, Fault> {
        let Some(value) = slots.time.and_then(|s| present(found, s)) else { return Ok(None) };
        if !matches!(value.kind, Kind::Integer | Kind::Number) {
            return Err(Fault::of(Reason::WrongType, "time"));
        }
        match parse_decimal_ns(value.raw(text), self.unit_pow10) {
            Ok(ns) => Ok(Some(ns)),
            Err(TimeTextError::OutOfRange) => Err(Fault::of(Reason::NotPlausible, "time")),
            Err(TimeTextError::NotANumber) => Err(Fault::of(Reason::WrongType, "time")),
        }
    }

    /// What an item claims. `room` holds texts that had escapes; its content is replaced.
    ///
    /// # Errors
    /// [`Reason::WrongType`] where a field has another type than its own, and the reasons of words that mean nothing.
    pub fn claim<'a>(&self, text: &'a str, found: &Found, room: &'a mut String) -> Result<Claim<'a>, Fault> {
        room.clear();
        let mut unescaped = [(0usize, 0usize); Text::ALL.len()];
        for m in &self.fields {
            if let (Field::Text(t), Some(value)) = (m.field, present(found, m.slot))
                && value.kind == Kind::Escaped
            {
                let start = room.len();
                room.extend(scan::unescape(value.raw(text)));
                unescaped[t as usize] = (start, room.len());
            }
        }
        let room: &'a str = room;
        let mut claim = Claim::default();
        for m in &self.fields {
            let Some(value) = present(found, m.slot) else { continue };
            let wrong = Fault::of(Reason::WrongType, m.field.as_str());
            match m.field {
                Field::Number(n) => claim.set_number(n, Some(m.number(value, text).ok_or(wrong)?)),
                Field::Text(t) => {
                    let (start, end) = unescaped[t as usize];
                    let escaped = room.get(start..end).unwrap_or_default();
                    claim.set_text(t, Some(id_text(value, text, escaped).ok_or(wrong)?));
                }
                Field::State => claim.state = Some(state(value, text).map_err(|r| Fault::of(r, "state"))?),
                Field::Direction if value.kind == Kind::Text => {
                    let direction = direction_of_word(value.raw(text));
                    claim.direction = Some(direction.ok_or(Fault::of(Reason::UnknownDirection, "direction"))?);
                }
                Field::Direction => return Err(wrong),
            }
        }
        Ok(claim)
    }
}

impl Mapped {
    fn number(&self, value: Value, text: &str) -> Option<f64> {
        if !matches!(value.kind, Kind::Integer | Kind::Number) {
            return None;
        }
        let number: f64 = value.raw(text).parse().ok()?;
        // Not multiplied by one nor zero added where nothing is declared: minus zero stays what it was.
        Some(if self.scale == 1.0 && self.offset == 0.0 { number } else { number * self.scale + self.offset })
    }
}

/// A value that is there and not `null`: a device writes `null` for what it does not know.
fn present(found: &Found, slot: u8) -> Option<Value> {
    found.get(slot).filter(|v| v.kind != Kind::Null)
}

/// An id or name: a string, or a whole number as it is written (many radars number their targets).
#[must_use]
pub fn id_text<'a>(value: Value, text: &'a str, escaped: &'a str) -> Option<&'a str> {
    match value.kind {
        Kind::Text | Kind::Integer => Some(value.raw(text)),
        Kind::Escaped => Some(escaped),
        _ => None,
    }
}

fn state(value: Value, text: &str) -> Result<bool, Reason> {
    match value.kind {
        Kind::True => Ok(true),
        Kind::False => Ok(false),
        Kind::Integer | Kind::Text => state_of_word(value.raw(text)).ok_or(Reason::UnknownState),
        _ => Err(Reason::WrongType),
    }
}

#[cfg(test)]
mod tests;
