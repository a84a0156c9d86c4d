//! Tracks the scenes of the fusion measurements: for each folder `DIR` reads `detections.csv` and `meta.json`, writes
//! `tracks.csv` (t,track_id,x,y) for the Python scorer and prints the time per scan.
//!
//!     cargo run --release -p osmose-fusion --example score_csv -- DIR... [--set NAME=VALUE]...
//!
//! `--out NAME` writes another file than `tracks.csv`. `--repeat N` tracks the scene N times and takes of each scan the
//! least time: on a machine with other load that says what the scan costs, and two builds can be compared. `--set` changes a setting by its name in `Config`, e.g. `--set components=3`, to see what it is worth; `--polygon` gives
//! the sensor the scene's rectangle as field of view where the default is the whole floor.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program that reads files and the clock, no core code"
)]

use osmose_fusion::tracker::{Config, Detection, FieldOfView, SensorModel, Tracker};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

/// One scan: time in ns and what was detected.
type Scan = (i64, Vec<Detection>);

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = serde_json::to_value(Config::default())?;
    let (mut folders, mut polygon, mut out, mut repeat) = (Vec::new(), false, "tracks.csv".to_owned(), 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--polygon" => polygon = true,
            "--out" => out = arguments.next().ok_or("--out needs a file name")?,
            "--repeat" => repeat = arguments.next().ok_or("--repeat needs a number")?.parse::<u32>()?.max(1),
            "--set" => {
                let setting = arguments.next().ok_or("--set needs NAME=VALUE")?;
                let (name, value) = setting.split_once('=').ok_or("--set needs NAME=VALUE")?;
                set(&mut config, name, value)?;
            }
            folder => folders.push(folder.to_owned()),
        }
    }
    let config: Config = serde_json::from_value(config)?;
    for folder in folders {
        run(Path::new(&folder), &config, polygon, &out, repeat).map_err(|e| format!("{folder}: {e}"))?;
    }
    Ok(())
}

/// Changes one setting of a `Config` seen as JSON.
fn set(config: &mut serde_json::Value, name: &str, value: &str) -> Result<(), Box<dyn Error>> {
    let groups = config.as_object_mut().ok_or("no settings")?;
    for group in groups.values_mut() {
        if let Some(place) = group.get_mut(name) {
            *place = serde_json::from_str(value)?;
            return Ok(());
        }
    }
    Err(format!("there is no setting {name}").into())
}

/// Tracks one scene.
fn run(folder: &Path, config: &Config, polygon: bool, out: &str, repeat: u32) -> Result<(), Box<dyn Error>> {
    let meta: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(folder.join("meta.json"))?)?;
    let number = |key: &str| meta[key].as_f64().ok_or(format!("meta.json has no number {key}"));
    let corner = |i: usize| meta["area"][i].as_f64().ok_or("meta.json has no area");
    let (x0, y0, x1, y1) = (corner(0)?, corner(1)?, corner(2)?, corner(3)?);
    let area_m2 = (x1 - x0) * (y1 - y0);
    let sensor = SensorModel {
        sigma_m: number("sigma")?,
        p_detect: number("pd")?,
        clutter_per_m2: (number("clutter")? / area_m2).max(1e-6),
        field_of_view: if polygon {
            FieldOfView::Polygon { corners_m: vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1]] }
        } else {
            FieldOfView::Everywhere { area_m2 }
        },
    };
    let scans = read(&std::fs::read_to_string(folder.join("detections.csv"))?, number("hz")?)?;
    let mut tracker = Tracker::new(config.clone(), vec![sensor.clone()])?;
    let mut rows = String::from("t,track_id,x,y\n");
    let mut times_ns = Vec::with_capacity(scans.len());
    let mut sweeps = 0u64;
    for (t_ns, detections) in &scans {
        let begin = std::time::Instant::now();
        let report = tracker.scan(*t_ns, 0, detections)?;
        times_ns.push(begin.elapsed().as_nanos() as u64);
        sweeps += u64::from(report.sweeps);
        for track in tracker.tracks().filter(|t| t.reported) {
            writeln!(rows, "{:.3},{},{:.4},{:.4}", *t_ns as f64 / 1e9, track.id, track.x_m, track.y_m)?;
        }
    }
    std::fs::write(folder.join(out), rows)?;
    for _ in 1..repeat {
        let mut again = Tracker::new(config.clone(), vec![sensor.clone()])?;
        for ((t_ns, detections), least_ns) in scans.iter().zip(&mut times_ns) {
            let begin = std::time::Instant::now();
            again.scan(*t_ns, 0, detections)?;
            *least_ns = (*least_ns).min(begin.elapsed().as_nanos() as u64);
        }
    }
    let sensed = tracker.sensed(0).ok_or("no sensor")?;
    times_ns.sort_unstable();
    let mean = times_ns.iter().sum::<u64>() as f64 / times_ns.len() as f64;
    let p99 = times_ns[times_ns.len() * 99 / 100];
    println!(
        "{} scans {} mean_us {:.1} p50_us {:.1} p99_us {:.1} max_us {:.1} sweeps {:.1} p_detect {:.4} clutter {:.3}",
        folder.display(),
        scans.len(),
        mean / 1e3,
        times_ns[times_ns.len() / 2] as f64 / 1e3,
        p99 as f64 / 1e3,
        times_ns[times_ns.len() - 1] as f64 / 1e3,
        sweeps as f64 / scans.len() as f64,
        sensed.p_detect,
        sensed.clutter_per_m2 * area_m2,
    );
    Ok(())
}

/// Reads `scan,t,sensor,x,y`. A number that is skipped in `scan` is a scan that detected nothing.
fn read(text: &str, hz: f64) -> Result<Vec<Scan>, Box<dyn Error>> {
    let mut scans: Vec<Scan> = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [scan, t, _, x, y] = fields.as_slice() else { return Err(format!("not five fields: {line}").into()) };
        let scan: usize = scan.parse()?;
        let t_ns = (t.parse::<f64>()? * 1e3).round() as i64 * 1_000_000;
        while scans.len() <= scan {
            let missing = (scan - scans.len()) as f64;
            scans.push((t_ns - (missing * 1e9 / hz).round() as i64, Vec::new()));
        }
        scans[scan].1.push(Detection::at(x.parse()?, y.parse()?));
    }
    Ok(scans)
}
