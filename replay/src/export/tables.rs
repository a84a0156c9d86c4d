//! `osmose trace export --csv`: one file for each kind of sensor, in the columns that `osmose import` reads, and
//! events and commands beside them.

use super::ExportError;
use crate::drive::{Osmose, Ticker, Watch, Workshop};
use crate::rulebook::Rulebook;
use crate::trace::codec::{self, Record};
use crate::trace::read::Item;
use crate::trace::recording::{Items, Recording};
use crate::words;
use osmose_model::device::SensorKind;
use osmose_model::geometry::Place;
use osmose_model::ids::CarriedKey;
use osmose_model::input::{Input, Tag};
use osmose_model::limits::CARRIED_NAMES_MAX;
use osmose_model::observation::{Body, Direction, Observation, ScanBuf};
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::format_seconds;
use osmose_sensors::claim::fields_of;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Each file and its rows.
    pub files: Vec<(PathBuf, u64)>,
    /// Sensors whose coordinates are declared relative to the sensor: the files hold site coordinates.
    pub relative: Vec<String>,
    /// The wall clock at second 0, to be given to `osmose import --epoch`.
    pub epoch: Option<String>,
}

type Writer = csv::Writer<BufWriter<File>>;

/// Files by what they hold, opened when their first row comes.
struct Tables<'a> {
    dir: &'a Path,
    open: BTreeMap<&'static str, (Writer, u64)>,
}

impl Tables<'_> {
    fn row(&mut self, name: &'static str, heads: &[&str], cells: &[String]) -> Result<(), ExportError> {
        let path = self.dir.join(format!("{name}.csv"));
        let failed = |source| ExportError::Write { path: path.clone(), source };
        if !self.open.contains_key(name) {
            let file = File::create_new(&path).map_err(failed)?;
            let mut writer = csv::Writer::from_writer(BufWriter::new(file));
            writer.write_record(heads).map_err(|e| failed(std::io::Error::other(e)))?;
            self.open.insert(name, (writer, 0));
        }
        if let Some((writer, rows)) = self.open.get_mut(name) {
            writer.write_record(cells).map_err(|e| failed(std::io::Error::other(e)))?;
            *rows += 1;
        }
        Ok(())
    }
}

/// Degrees of an angle, without the last bits that the way over pi leaves: they are beyond any sensor.
fn degrees(rad: f64) -> f64 {
    (rad.to_degrees() * 1e9).round() / 1e9
}

/// One item of a scan, or the one thing that was sensed, as columns by name.
type Cells = BTreeMap<&'static str, String>;

struct Naming<'a> {
    site: &'a Site,
    named: BTreeMap<CarriedKey, String>,
}

impl Naming<'_> {
    fn carried(&self, key: CarriedKey) -> String {
        let known = self.named.get(&key).map(String::as_str).or_else(|| self.site.carried_name(key));
        known.map_or_else(|| format!("key-{:016x}", key.0), str::to_owned)
    }

    fn place(&self, p: &Place, cells: &mut Cells) {
        cells.insert("x_m", p.at.x_m.to_string());
        cells.insert("y_m", p.at.y_m.to_string());
        cells.extend(p.z_m.map(|z| ("z_m", z.to_string())));
        cells.extend(self.site.levels.get(p.level.index()).map(|l| ("level", l.name.clone())));
    }

    fn rows(&self, o: &Observation<'_>) -> Vec<Cells> {
        let heading_rad = self.site.sensors.get(o.sensor.index()).map_or(0.0, |s| s.pose.heading_rad);
        let number = |name: &'static str, x: Option<f64>| x.map(|x| (name, x.to_string()));
        let mut cells = Cells::new();
        match o.body {
            Body::Location { device, place, sigma_m } => {
                cells.insert("device", self.carried(device));
                self.place(&place, &mut cells);
                cells.extend(number("sigma_m", sigma_m));
            }
            Body::Position(scan) => {
                let item = |d: &osmose_model::observation::Detection| {
                    let mut cells: Cells = number("sigma_m", d.sigma_m).into_iter().collect();
                    self.place(&d.place, &mut cells);
                    cells
                };
                return empty_or(scan.iter().map(item).collect());
            }
            Body::Points(cloud) => {
                let item = |p: &osmose_model::observation::CloudPoint| {
                    let mut cells: Cells = number("doppler_mps", p.doppler_mps).into_iter().collect();
                    cells.extend(number("intensity", p.intensity));
                    self.place(&p.place, &mut cells);
                    cells
                };
                return empty_or(cloud.iter().map(item).collect());
            }
            Body::Bearing(hits) => {
                let item = |b: &osmose_model::observation::BearingHit| {
                    let mut cells = Cells::new();
                    cells.insert("bearing_deg", degrees(b.bearing_rad - heading_rad).to_string());
                    cells.extend(number("sigma_deg", b.sigma_rad.map(degrees)));
                    cells.extend(b.device.map(|d| ("device", self.carried(d))));
                    cells
                };
                return empty_or(hits.iter().map(item).collect());
            }
            Body::Range { device, range_m, sigma_m } => {
                cells.insert("device", self.carried(device));
                cells.insert("range_m", range_m.to_string());
                cells.extend(number("sigma_m", sigma_m));
            }
            Body::Tdoa { other, device, diff_m, sigma_m } => {
                cells.insert("sensor_b", words::sensor(self.site, other).to_owned());
                cells.insert("device", self.carried(device));
                cells.insert("diff_m", diff_m.to_string());
                cells.extend(number("sigma_m", sigma_m));
            }
            Body::Rssi { device, rssi_dbm } => {
                cells.insert("device", self.carried(device));
                cells.insert("rssi_dbm", rssi_dbm.to_string());
            }
            Body::Voice { person, likelihood, bearing_rad } => {
                cells.insert("person", words::person(self.site, person).to_owned());
                cells.insert("likelihood", likelihood.to_string());
                cells.extend(number("bearing_deg", bearing_rad.map(|b| degrees(b - heading_rad))));
            }
            Body::Facing { place, heading_rad, sigma_rad } => {
                self.place(&place, &mut cells);
                cells.insert("heading_deg", degrees(heading_rad).to_string());
                cells.extend(number("sigma_deg", sigma_rad.map(degrees)));
            }
            Body::Gesture { place, gesture } => {
                self.place(&place, &mut cells);
                cells.insert("gesture", gesture.to_string());
            }
            Body::Binary { on } => drop(cells.insert("state", if on { "1" } else { "0" }.to_owned())),
            Body::Badge { badge } => drop(cells.insert("badge", self.carried(badge))),
            Body::Crossing { direction } => {
                let word = if direction == Direction::In { "in" } else { "out" };
                cells.insert("direction", word.to_owned());
            }
            Body::Count { people } => drop(cells.insert("people", people.to_string())),
            Body::Value { value } => drop(cells.insert("value", value.to_string())),
            Body::Button { button } => drop(cells.insert("button", button.to_string())),
        }
        vec![cells]
    }
}

/// A scan that saw nothing is a row without values.
fn empty_or(rows: Vec<Cells>) -> Vec<Cells> {
    if rows.is_empty() { vec![Cells::new()] } else { rows }
}

/// The columns of a kind: time, sensor, what it needs and takes, arrival.
fn heads(kind: SensorKind) -> Vec<&'static str> {
    let (needs, takes) = fields_of(kind);
    let sensor = if kind == SensorKind::Tdoa { "sensor_a" } else { "sensor" };
    let mut heads = vec!["t_s", sensor];
    heads.extend(needs.iter().chain(takes).copied());
    heads.push("arrival_t_s");
    heads
}

/// Writes the tables of a recording into the folder `dir`, which is made where it is not there. No file is replaced.
///
/// # Errors
/// [`ExportError`].
pub fn tables(mut recording: Recording, dir: &Path, watch: &mut dyn Watch) -> Result<Exported, ExportError> {
    std::fs::create_dir_all(dir).map_err(|source| ExportError::Write { path: dir.to_owned(), source })?;
    let site = Osmose::of_files(recording.files())?.site().clone();
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let book = Rulebook::new(&site, &rules);
    let mut naming = Naming { site: &site, named: BTreeMap::new() };
    let mut tables = Tables { dir, open: BTreeMap::new() };
    let (mut exported, mut scan) = (Exported::default(), ScanBuf::new());
    let mut ticker = Ticker::new(watch);
    while let Some(item) = ticker.next_item(&mut recording)? {
        let Item::Record(raw) = item else { continue };
        let Ok(record) = codec::decode(&raw, &mut scan) else { continue };
        match record {
            Record::Input { tag, input: Input::Observation(o) } => observation(&mut tables, &naming, tag, &o)?,
            Record::Input { input: Input::Named { key, text }, .. } if naming.named.len() < CARRIED_NAMES_MAX => {
                naming.named.insert(key, text.to_owned());
            }
            Record::Input { tag, input: Input::Anchor(a) } if exported.epoch.is_none() => {
                let zero = osmose_model::time::UtcNs(a.utc.0.saturating_sub(tag.at.0));
                exported.epoch = Some(crate::wall::format_rfc3339(zero));
            }
            Record::Event { tag, event: e } => {
                let heads = [
                    "t_s",
                    "seq",
                    "kind",
                    "track",
                    "person",
                    "person_p",
                    "zone",
                    "x_m",
                    "y_m",
                    "level",
                    "sensor",
                    "measured_t_s",
                ];
                let cells = [
                    format_seconds(tag.at.0),
                    tag.seq.to_string(),
                    e.kind.as_str().to_owned(),
                    e.track.to_string(),
                    e.person.map_or_else(String::new, |p| words::person(&site, p).to_owned()),
                    e.person_p.to_string(),
                    e.zone.map_or_else(String::new, |z| words::zone(&site, z).to_owned()),
                    e.place.at.x_m.to_string(),
                    e.place.at.y_m.to_string(),
                    site.levels.get(e.place.level.index()).map_or_else(String::new, |l| l.name.clone()),
                    e.sensor.map_or_else(String::new, |s| words::sensor(&site, s).to_owned()),
                    format_seconds(e.measured.0),
                ];
                tables.row("events", &heads, &cells)?;
            }
            Record::Command(c) => {
                let heads = ["t_s", "id", "rule", "device", "command", "because"];
                let cells = [
                    format_seconds(c.at.0),
                    c.id.to_string(),
                    words::sender(&book, &c),
                    words::device(&site, c.device).to_owned(),
                    words::command(&site, &c),
                    words::cause(&site, &c.cause),
                ];
                tables.row("commands", &heads, &cells)?;
            }
            _ => {}
        }
    }
    for (name, (mut writer, rows)) in tables.open {
        let path = dir.join(format!("{name}.csv"));
        writer.flush().map_err(|source| ExportError::Write { path: path.clone(), source })?;
        exported.files.push((path, rows));
    }
    let relative = site.sensors.iter().filter(|s| s.coordinates_are_relative);
    exported.relative = relative.map(|s| s.name.clone()).collect();
    Ok(exported)
}

fn observation(tables: &mut Tables<'_>, naming: &Naming<'_>, tag: Tag, o: &Observation<'_>) -> Result<(), ExportError> {
    let kind = o.body.kind();
    let heads = heads(kind);
    for cells in naming.rows(o) {
        let cell = |head: &&str| match *head {
            "t_s" => format_seconds(o.measured.0),
            "sensor" | "sensor_a" => words::sensor(naming.site, o.sensor).to_owned(),
            "arrival_t_s" => format_seconds(tag.at.0),
            other => cells.get(other).cloned().unwrap_or_default(),
        };
        let row: Vec<String> = heads.iter().map(cell).collect();
        tables.row(kind.as_str(), &heads, &row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::import;
    use crate::testing::{live, walk, workshop};

    /// Observations of a trace, without the source's own numbers: the tables do not have them.
    fn observations(path: &Path) -> Vec<(i64, String)> {
        let mut recording = Recording::open(path).unwrap();
        let (mut scan, mut all) = (ScanBuf::new(), Vec::new());
        while let Some(item) = recording.next_item().unwrap() {
            let Item::Record(raw) = item else { panic!() };
            if let Record::Input { tag, input: Input::Observation(o) } = codec::decode(&raw, &mut scan).unwrap() {
                all.push((tag.at.0, format!("{:?}", Observation { source_seq: None, ..o })));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn what_is_exported_imports_to_the_same_observations() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("walk.mcap");
        std::fs::write(&path, live(&walk(10), 0)).unwrap();
        let out = dir.path().join("tables");
        let exported = tables(Recording::open(&path).unwrap(), &out, &mut ()).unwrap();
        let rows: BTreeMap<String, u64> =
            exported.files.iter().map(|(p, n)| (p.file_stem().unwrap().to_string_lossy().into_owned(), *n)).collect();
        assert_eq!((rows["location"], rows["position"]), (200, 50));
        assert!(rows["events"] > 0 && rows["commands"] > 0);
        // Columns are what others script against.
        let head = |name: &str| {
            let mut reader = csv::Reader::from_path(out.join(name)).unwrap();
            let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
            let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            assert!(
                rows.iter().all(|r| r[0].parse::<f64>().is_ok_and(f64::is_finite)),
                "{name}: the first column is a time"
            );
            head.join(",")
        };
        assert_eq!(head("events.csv"), "t_s,seq,kind,track,person,person_p,zone,x_m,y_m,level,sensor,measured_t_s");
        assert_eq!(head("commands.csv"), "t_s,id,rule,device,command,because");
        assert_eq!(head("location.csv"), "t_s,sensor,device,x_m,y_m,sigma_m,z_m,level,arrival_t_s");
        let epoch = crate::wall::parse_rfc3339(exported.epoch.as_deref().unwrap()).unwrap();
        let files =
            [(SensorKind::Location, out.join("location.csv")), (SensorKind::Position, out.join("position.csv"))];
        let again = dir.path().join("again.mcap");
        let report = import(workshop().site(), &files, Some(epoch), &again, &mut ()).unwrap();
        assert_eq!(report.kept(), 250, "{}", report.render());
        // The import's second 0 may be another one; the distances in time and all else are the same.
        let (a, b) = (observations(&path), observations(&again));
        assert_eq!(a.len(), b.len());
        assert_eq!(a, b);
        assert!(tables(Recording::open(&path).unwrap(), &out, &mut ()).is_err(), "nothing is replaced");
    }
}
