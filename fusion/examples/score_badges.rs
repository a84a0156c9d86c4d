//! Runs the scenes of the fusion measurements with their badge reads through the whole fusion stage: for each folder
//! `DIR` reads `detections.csv`, `badges.csv`, `walls.csv` and `meta.json` and writes `tracks.csv`
//! (t,track_id,x,y,identity) as `osmose replay --tracks-format eval` would, without a trace between.
//!
//!     cargo run --release -p osmose-fusion --example score_badges -- [--out NAME] [--badges NAME] DIR...
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a program that reads files, no core code")]

#[path = "../tests/support/mod.rs"]
mod support;

use osmose_fusion::Fusion;
use osmose_model::device::SensorKind;
use osmose_model::geometry::Place;
use osmose_model::ids::{CarriedKey, LevelId, SensorId};
use osmose_model::observation::{Body, Detection};
use osmose_model::stages::Fuse;
use osmose_model::world::Presence;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

/// What is told at an instant, ns: a scan (sorts first) or the badge that a reader saw.
type Told = (i64, Option<(String, String)>, Vec<Detection>);

fn main() -> Result<(), Box<dyn Error>> {
    let (mut out, mut badges, mut folders) = ("tracks.csv".to_owned(), "badges.csv".to_owned(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--out" => out = arguments.next().ok_or("--out needs a file name")?,
            "--badges" => badges = arguments.next().ok_or("--badges needs a file name")?,
            folder => folders.push(folder.to_owned()),
        }
    }
    folders.iter().try_for_each(|f| run(Path::new(f), &badges, &out).map_err(|e| format!("{f}: {e}").into()))
}

/// The rows of a table without its header.
fn table(path: &Path) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

fn ns(seconds: &str) -> Result<i64, Box<dyn Error>> {
    Ok((seconds.parse::<f64>()? * 1e3).round() as i64 * 1_000_000)
}

fn run(folder: &Path, badges: &str, out: &str) -> Result<(), Box<dyn Error>> {
    let meta: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(folder.join("meta.json"))?)?;
    let number = |key: &str| meta[key].as_f64().ok_or(format!("meta.json has no number {key}"));
    let corner = |i: usize| meta["area"][i].as_f64().ok_or("meta.json has no area");
    let mut site = support::site(1, 1000, support::default_margins());
    site.levels[0].outline = support::rectangle(corner(0)?, corner(1)?, corner(2)?, corner(3)?);
    for wall in table(&folder.join("walls.csv"))? {
        let at = |i: usize| wall[i].parse::<f64>();
        support::add_wall(&mut site, 0, (at(0)?, at(1)?), (at(2)?, at(3)?), false);
    }
    let ceiling = support::add_sensor(&mut site, SensorKind::Position, 0, &[], Some(number("hz")?));
    let noise = &mut site.sensors[ceiling.index()].noise;
    (noise.sigma_m, noise.p_detect, noise.clutter_per_scan) = (number("sigma")?, number("pd")?, number("clutter")?);
    let mut scans: BTreeMap<i64, Vec<Detection>> = BTreeMap::new();
    for row in table(&folder.join("detections.csv"))? {
        let place = Place::flat(LevelId(0), row[3].parse()?, row[4].parse()?);
        scans.entry(ns(&row[1])?).or_default().push(Detection { place, sigma_m: None });
    }
    let mut told: Vec<Told> = scans.into_iter().map(|(t, scan)| (t, None, scan)).collect();
    let (mut readers, mut people): (BTreeMap<String, SensorId>, Vec<String>) = (BTreeMap::new(), Vec::new());
    for row in table(&folder.join(badges))? {
        if !readers.contains_key(&row[1]) {
            let reader = support::add_sensor(&mut site, SensorKind::Badge, 0, &[], None);
            let pose = &mut site.sensors[reader.index()].pose;
            (pose.x_m, pose.y_m) = (row[2].parse()?, row[3].parse()?);
            readers.insert(row[1].clone(), reader);
        }
        if !people.contains(&row[4]) {
            support::add_person(&mut site, &row[4]);
            people.push(row[4].clone());
        }
        told.push((ns(&row[0])?, Some((row[1].clone(), row[4].clone())), Vec::new()));
    }
    told.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut fusion = Fusion::new(std::sync::Arc::new(site));
    let (mut stimuli, mut rows) = (Vec::with_capacity(8192), String::from("t,track_id,x,y,identity,p\n"));
    for (seq, (t_ns, read, scan)) in told.iter().enumerate() {
        let (sensor, body) = match read {
            None => (ceiling, Body::Position(scan)),
            Some((reader, who)) => (readers[reader], Body::Badge { badge: CarriedKey::of(&format!("{who}-badge")) }),
        };
        stimuli.clear();
        fusion
            .observe(support::tag(*t_ns, seq as u64 + 1), &support::said(sensor, *t_ns, body), &mut stimuli)
            .map_err(|refused| format!("{refused:?} at {t_ns} ns"))?;
        if read.is_some() {
            continue;
        }
        let mut written = Ok(());
        fusion.for_each_occupant(&mut |o| {
            if o.presence == Presence::Seen && o.existence >= 0.5 {
                let name = o.person.map_or("", |p| &people[p.index()]);
                let (x_m, y_m) = (o.place.at.x_m, o.place.at.y_m);
                written = writeln!(
                    rows,
                    "{:.3},{},{x_m:.4},{y_m:.4},{name},{:.4}",
                    *t_ns as f64 / 1e9,
                    o.track.0,
                    o.person_p
                );
            }
        });
        written?;
    }
    std::fs::write(folder.join(out), rows)?;
    println!(
        "{}: {} badge reads of {} people",
        folder.display(),
        told.iter().filter(|t| t.1.is_some()).count(),
        people.len()
    );
    Ok(())
}
