//! `radio_map` of a receiver's `noise`: a CSV file in the folder `radio/` of the site, `sensor,x_m,y_m,rssi_dbm`, of which
//! the receiver takes its own rows.

use crate::doc::Fields;
use crate::fault::{Faults, Spot};
use crate::text::{Source, propose, shown, without_bom};
use osmose_model::geometry::Point;
use osmose_model::radio::{RadioMap, RadioPoint};
use osmose_model::site::SourceFile;

/// The columns of a radio map; any order.
const COLUMNS: [&str; 4] = ["sensor", "x_m", "y_m", "rssi_dbm"];
/// Most points of one receiver.
const POINTS_MAX: usize = 16_384;
/// Strengths beyond these are no radio's, dBm.
const RSSI_DBM: (f64, f64) = (-200.0, 50.0);

/// Reads what `t`, a receiver, has in the file that its `noise` names.
pub(super) fn read(t: &Fields<'_>, (path, spot): (&str, &Spot), files: &[SourceFile], faults: &mut Faults) -> RadioMap {
    let Some(file) = files.iter().find(|f| f.path == path) else {
        let message = format!("The radio map {} of {} is not there.", shown(path), t.what());
        let help = "Put it into the folder `radio` of the site, and write `radio_map = \"radio/NAME.csv\"`.";
        faults.error("missing-file", spot, t.name(), message, help);
        return RadioMap::default();
    };
    let source = Source::new(&file.path, without_bom(&file.text));
    let mut points = Vec::new();
    if let Some(order) = header(t, &source, faults) {
        for line in source.text.lines().skip(1).filter(|l| !l.trim().is_empty()) {
            match row(line, order, t.name()) {
                Ok(Some(point)) if points.len() < POINTS_MAX => points.push(point),
                Ok(None) => {}
                wrong => {
                    let why = wrong.err().unwrap_or("is one more than a receiver may have");
                    let message = format!("A point of {} in the radio map {why}.", t.what());
                    let help = "Write `sensor,x_m,y_m,rssi_dbm`: site metres and dBm.";
                    faults.error("wrong-row", &source.spot_of(line), t.name(), message, help);
                    return RadioMap::default();
                }
            }
        }
        if points.is_empty() {
            let message = format!("The radio map {} has no row of {}.", shown(path), t.what());
            faults.warning("no-survey", spot, t.name(), message, "Survey it, or leave `radio_map` out for it.");
        }
    }
    RadioMap { points }
}

/// Where each of [`COLUMNS`] stands.
fn header(t: &Fields<'_>, source: &Source<'_>, faults: &mut Faults) -> Option<[usize; 4]> {
    let line = source.text.lines().next().unwrap_or_default();
    let said: Vec<&str> = line.split(',').map(str::trim).collect();
    let mut fault = |column: &str, what: &str, help: String| {
        let message = format!("The radio map of {} {what} `{}`.", t.what(), shown(column));
        faults.error("wrong-header", &source.spot_of(line), t.name(), message, help);
    };
    if let Some(unknown) = said.iter().find(|c| !COLUMNS.contains(c)) {
        fault(unknown, "has a column that there is not:", propose(unknown, COLUMNS, "Take it out."));
        return None;
    }
    let mut order = [0; 4];
    for (place, column) in order.iter_mut().zip(COLUMNS) {
        match said.iter().position(|c| *c == column) {
            Some(i) => *place = i,
            None => {
                fault(column, "has no column", "The first line is `sensor,x_m,y_m,rssi_dbm`.".to_owned());
                return None;
            }
        }
    }
    Some(order)
}

/// One row: a point where it is of the sensor, else none.
fn row(line: &str, order: [usize; 4], sensor: &str) -> Result<Option<RadioPoint>, &'static str> {
    let cell = |i: usize| line.split(',').nth(order[i]).map(str::trim).ok_or("has too few values");
    if cell(0)? != sensor {
        return Ok(None);
    }
    let number = |i: usize| cell(i)?.parse::<f64>().map_err(|_| "has a value that is no number");
    let (at, rssi_dbm) = (Point::new(number(1)?, number(2)?), number(3)?);
    // `contains` and `is_plausible` are false for NaN.
    if !at.is_plausible() || !(RSSI_DBM.0..=RSSI_DBM.1).contains(&rssi_dbm) {
        return Err("has a value that is not plausible");
    }
    Ok(Some(RadioPoint { at, rssi_dbm }))
}
