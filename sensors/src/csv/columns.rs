//! A header to columns: by name, optional ones in any order, unknown ones refused.

use super::CsvError;
use crate::claim::{Claim, Field, direction_of_word, fields_of, state_of_word};
use crate::reason::{Fault, Reason};
use csv::ByteRecord;
use osmose_model::device::SensorKind;

/// The columns of one file.
#[derive(Clone, Debug)]
pub struct Columns {
    /// How many there are.
    pub len: usize,
    /// The sample's time.
    pub t_s: usize,
    /// The sensor's id.
    pub sensor: usize,
    /// When it arrived, where the file says.
    pub arrival_t_s: Option<usize>,
    fields: Vec<(Field, usize)>,
}

/// The name of the column that holds the sensor.
const fn sensor_column(kind: SensorKind) -> &'static str {
    if matches!(kind, SensorKind::Tdoa) { "sensor_a" } else { "sensor" }
}

/// The header of a kind, as the manual writes it: `t_s,sensor,device,x_m,y_m[,sigma_m][,z_m][,level][,arrival_t_s]`.
///
/// ```
/// use osmose_model::device::SensorKind;
/// assert_eq!(osmose_sensors::csv::columns::header(SensorKind::Rssi), "t_s,sensor,device,rssi_dbm[,arrival_t_s]");
/// ```
#[must_use]
pub fn header(kind: SensorKind) -> String {
    let (needs, takes) = fields_of(kind);
    let mut header = format!("t_s,{},{}", sensor_column(kind), needs.join(","));
    for optional in takes.iter().chain(&["arrival_t_s"]) {
        header.push_str(&format!("[,{optional}]"));
    }
    header
}

impl Columns {
    /// The columns of a kind that a header names.
    ///
    /// # Errors
    /// [`CsvError`]: a column that the kind does not have, that it needs, or that stands twice.
    pub fn new(kind: SensorKind, file: &str, names: &ByteRecord) -> Result<Self, CsvError> {
        let (needs, takes) = fields_of(kind);
        let (file, want) = (file.to_owned(), header(kind));
        let names: Vec<String> = names.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
        let at = |name: &str| names.iter().position(|n| n == name);
        for (i, column) in names.iter().enumerate() {
            let name = column.as_str();
            let known = name == "t_s" || name == "arrival_t_s" || name == sensor_column(kind);
            if !known && !needs.contains(&name) && !takes.contains(&name) {
                return Err(CsvError::UnknownColumn { file, kind, column: column.clone(), want });
            }
            if at(name) != Some(i) {
                return Err(CsvError::TwiceColumn { file, column: column.clone() });
            }
        }
        let need = |column: &'static str| match at(column) {
            Some(i) => Ok(i),
            None => Err(CsvError::MissingColumn { file: file.clone(), kind, column, want: want.clone() }),
        };
        let (t_s, sensor) = (need("t_s")?, need(sensor_column(kind))?);
        let mut fields = Vec::new();
        for &name in needs {
            fields.extend(Field::from_word(name).zip(Some(need(name)?)));
        }
        fields.extend(takes.iter().filter_map(|name| Some((Field::from_word(name)?, at(name)?))));
        Ok(Self { len: names.len(), t_s, sensor, arrival_t_s: at("arrival_t_s"), fields })
    }

    /// What a row claims; `None` where all of its values are empty.
    ///
    /// # Errors
    /// [`Fault`] where a value is not what its column holds.
    pub fn claim<'r>(&self, row: &'r ByteRecord) -> Result<Option<Claim<'r>>, Fault> {
        let mut claim = Claim::default();
        let mut empty = true;
        for &(field, column) in &self.fields {
            let text = text_at(row, column)?;
            if text.is_empty() {
                continue;
            }
            empty = false;
            let fault = |reason| Fault::of(reason, field.as_str());
            match field {
                Field::Number(n) => {
                    claim.set_number(n, Some(text.parse().map_err(|_| fault(Reason::WrongType))?));
                }
                Field::Text(t) => claim.set_text(t, Some(text)),
                Field::State => {
                    claim.state = Some(state_of_word(text).ok_or(fault(Reason::UnknownState))?);
                }
                Field::Direction => {
                    claim.direction = Some(direction_of_word(text).ok_or(fault(Reason::UnknownDirection))?);
                }
            }
        }
        Ok((!empty).then_some(claim))
    }
}

/// The text of a column.
///
/// # Errors
/// [`Reason::MalformedRow`] where it is no UTF-8.
pub(super) fn text_at(row: &ByteRecord, column: usize) -> Result<&str, Fault> {
    let bytes = row.get(column).unwrap_or_default();
    std::str::from_utf8(bytes).map_err(|_| Fault::whole(Reason::MalformedRow))
}
