//! Recorded people all the way: columns → `import` → `replay --tracks --events` → `score`, and the replay once more.
//!
//! Skips, and says so, where `python3` or the recordings are not there. The figures' floors are far below what the
//! tracker reaches: they find a broken path, not a slightly worse tracker.

use osmose_model::device::SensorKind;
use osmose_replay::drive::{Options, Osmose, Replay, Sinks, TracksFormat};
use osmose_replay::score;
use osmose_replay::trace::read::TraceReader;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A recording's site, import file and truth; `None`, with a printed line, where it is not there.
fn prepared(kind: &str, dir: &Path) -> Option<()> {
    let corpora = repository().join("../shared/corpora");
    if !corpora.is_dir() {
        println!("skipped {kind}: {} is not there", corpora.display());
        return None;
    }
    let script = repository().join("tests/corpora/columns.py");
    let run = Command::new("python3").arg(script).arg(kind).arg(dir).arg(&corpora).output();
    match run {
        Ok(out) if out.status.success() && dir.join("position.csv").exists() => Some(()),
        Ok(out) => {
            println!("skipped {kind}: {}", String::from_utf8_lossy(&out.stderr));
            None
        }
        Err(e) => {
            println!("skipped {kind}: python3 cannot be run ({e})");
            None
        }
    }
}

/// Imports, replays and scores one recording; gives the score and the number of events.
fn through(kind: &str) -> Option<(score::Report, u64)> {
    let dir = tempfile::tempdir().unwrap();
    prepared(kind, dir.path())?;
    let site = osmose_load::load_dir(dir.path()).site.expect("the site loads");
    let trace = dir.path().join("walk.mcap");
    let files = [(SensorKind::Position, dir.path().join("position.csv"))];
    let report = osmose_replay::import::import(&site, &files, None, &trace, &mut ()).unwrap();
    assert_eq!(report.kept(), report.files[0].rows, "{}", report.render());
    let run = |name: &str| {
        let tracks = dir.path().join(name);
        let file = BufWriter::new(File::create(&tracks).unwrap());
        let sinks = Sinks { tracks: Some((TracksFormat::Osmose, Box::new(file))), ..Sinks::default() };
        let reader = TraceReader::open(&trace).unwrap();
        let workshop = Osmose::of_files(reader.files()).unwrap();
        let options = Options { sinks, ..Options::default() };
        let summary = Replay::new(reader, workshop, options).unwrap().run(&mut ()).unwrap();
        assert!(summary.holes.is_empty(), "{}", summary.render());
        (summary, tracks)
    };
    let (first, second) = (run("a.csv"), run("b.csv"));
    assert_eq!(first.0, second.0, "{kind}: twice the same");
    assert_eq!(std::fs::read(&first.1).unwrap(), std::fs::read(&second.1).unwrap());
    let truth = score::load_truth(&dir.path().join("truth.csv")).unwrap();
    let tracks = score::load_tracks(&first.1).unwrap();
    let scored = score::evaluate(&truth, &tracks, &score::Options::default()).unwrap();
    println!("{kind}: {} events, {}", first.0.events, scored.to_json());
    Some((scored, first.0.events))
}

#[test]
fn pets_detections_become_tracks() {
    if let Some((s, events)) = through("pets") {
        assert!(s.mota > 0.6 && s.idf1 > 0.4 && events > 20, "{}", s.to_json());
        assert_eq!(s.rows_at_unknown_times, 0);
    }
}

#[test]
fn a_corridor_becomes_tracks() {
    if let Some((s, events)) = through("hermes") {
        assert!(s.mota > 0.6 && events > 20, "{}", s.to_json());
    }
}
