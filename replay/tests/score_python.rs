//! The same figures as the published scorers, digit for digit.
//!
//! Runs the reference script (`../shared/measure/fusion/gospa_eval.py` beside the checkout, on py-motmetrics 1.4 and TrackEval 1.3)
//! and `osmose_replay::score` on the same files and compares the printed text of every figure that both print. It needs the script
//! and a Python with those packages (`pip install motmetrics==1.4.0 trackeval==1.3.0 scipy numpy`): `OSMOSE_PYTHON`, else
//! `python3`. Where either is absent it prints one line and passes. `OSMOSE_SCORE_CASES` sets the number of random
//! cases, `OSMOSE_SCORE_SEED` the first seed; a difference names its seed and leaves the files of its case in place.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use osmose_replay::score::{self, Ids, Options};

/// Runs the script once per line of a list of arguments, in one process, and prints one line for each.
const DRIVER: &str = r#"
import contextlib, io, runpy, sys, warnings
warnings.simplefilter('ignore')
script = sys.argv[1]
for line in open(sys.argv[2]):
    sys.argv = [script] + line.rstrip('\n').split('\t')
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path(script, run_name='__main__')
        print(out.getvalue().strip())
    except Exception as e:
        print('ERROR', repr(e))
"#;

fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    found.exists().then_some(found)
}

fn python() -> String {
    std::env::var("OSMOSE_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// The reference script, if it can run here.
fn reference() -> Option<PathBuf> {
    let Some(script) = shared("measure/fusion/gospa_eval.py") else {
        println!("skipped: ../shared/measure/fusion/gospa_eval.py is not there");
        return None;
    };
    let probe = Command::new(python()).args(["-c", "import motmetrics, trackeval, scipy, numpy"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("skipped: {} has not motmetrics, trackeval, scipy and numpy", python());
        return None;
    }
    Some(script)
}

/// SplitMix64 (Steele, Lea, Flood 2014): a seed gives the same cases everywhere.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    fn around(&mut self, spread: f64) -> f64 {
        (self.unit() + self.unit() + self.unit() - 1.5) * 2.0 * spread
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// A row of truth or tracks.
#[derive(Clone, Debug)]
struct Row {
    time_ms: i64,
    label: String,
    person: String,
    x_m: f64,
    y_m: f64,
}

fn row(time_ms: i64, label: impl ToString, x_m: f64, y_m: f64) -> Row {
    Row { time_ms, label: label.to_string(), person: String::new(), x_m, y_m }
}

/// One comparison: files for both sides and the options.
struct Case {
    name: String,
    truth: Vec<Row>,
    tracks: Vec<Row>,
    options: Options,
}

/// People on random walks, for as long as each is there. `grid_m` snaps them, so that equal distances abound.
fn walk(random: &mut Random, grid_m: f64) -> Vec<Row> {
    let (frames, people) = (1 + random.below(50) as i64, 1 + random.below(9));
    let step_ms = random.of(&[40i64, 100, 143, 500]);
    let doubled = random.of(&[0.0, 0.0, 0.03]);
    let mut rows = Vec::new();
    for person in 0..people {
        let (mut x_m, mut y_m) = (random.unit() * 6.0, random.unit() * 6.0);
        let start = random.below(frames as usize) as i64;
        for frame in start..(start + 1 + random.below(50) as i64).min(frames) {
            x_m += random.around(0.3);
            y_m += random.around(0.3);
            rows.push(row(frame * step_ms, format!("p{person}"), snap(x_m, grid_m), snap(y_m, grid_m)));
            // A person who stands twice in a frame; never in the first that is scored, at which py-motmetrics would stop.
            if (frame - start - 1) * step_ms > 300 && random.chance(doubled) {
                rows.push(row(frame * step_ms, format!("p{person}"), snap(x_m + 0.5, grid_m), snap(y_m, grid_m)));
            }
        }
    }
    rows
}

fn snap(x_m: f64, grid_m: f64) -> f64 {
    if grid_m > 0.0 { (x_m / grid_m).round() * grid_m } else { (x_m * 1e4).round() / 1e4 }
}

/// Tracks as a bad tracker makes them of the truth: misses, noise, swaps, broken labels, false tracks, doubled labels, empty frames.
fn spoil(random: &mut Random, truth: &[Row], grid_m: f64) -> Vec<Row> {
    let (miss, broken, swap, fault) =
        (random.unit() * 0.4, random.unit() * 0.1, random.unit() * 0.1, random.unit() * 0.7);
    let noise_m = random.of(&[0.0, 0.1, 0.4, 1.0]);
    let named = random.of(&[0.0, 0.5, 1.0]);
    let mut by_time: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    truth.iter().for_each(|row| by_time.entry(row.time_ms).or_default().push(row));
    let mut label: BTreeMap<&str, usize> = BTreeMap::new();
    let mut next = 0;
    let mut tracks: Vec<Row> = Vec::new();
    for (time_ms, people) in by_time {
        if random.chance(0.05) {
            continue;
        }
        let time_ms = if random.chance(0.02) { time_ms + 7 } else { time_ms };
        for person in &people {
            if random.chance(broken) || !label.contains_key(person.label.as_str()) {
                label.insert(&person.label, next);
                next += 1;
            }
            if random.chance(swap) {
                let other = people[random.below(people.len())].label.as_str();
                if let (Some(a), Some(b)) = (label.get(person.label.as_str()).copied(), label.get(other).copied()) {
                    label.insert(&person.label, b);
                    label.insert(other, a);
                }
            }
        }
        let mut frame: Vec<Row> = Vec::new();
        for person in people.iter().filter(|_| !random.chance(miss)).collect::<Vec<_>>() {
            let (x_m, y_m) = (person.x_m + random.around(noise_m), person.y_m + random.around(noise_m));
            let mut track = row(time_ms, label[person.label.as_str()], snap(x_m, grid_m), snap(y_m, grid_m));
            if random.chance(named) {
                track.person = if random.chance(0.8) { person.label.clone() } else { "stranger".to_owned() };
            }
            frame.push(track);
        }
        while random.chance(fault) {
            let number = if random.chance(0.3) && next > 0 { random.below(next) } else { 1000 + random.below(5) };
            frame.push(row(time_ms, number, snap(random.unit() * 6.0, grid_m), snap(random.unit() * 6.0, grid_m)));
        }
        if random.chance(0.5) {
            frame.reverse();
        }
        tracks.append(&mut frame);
    }
    tracks
}

fn random_case(seed: u64) -> Case {
    let mut random = Random(seed);
    let grid_m = random.of(&[0.0, 0.0, 0.25, 0.5, 1.0]);
    let mut truth = walk(&mut random, grid_m);
    let mut tracks = spoil(&mut random, &truth, grid_m);
    if random.chance(0.1) {
        tracks.clear();
    }
    if random.chance(0.5) {
        // Rows of a file need not be sorted by time.
        truth.reverse();
    }
    let default = Options::default();
    let mut options = Options {
        cutoff_m: random.of(&[2.0, 2.0, 1.0, 0.7]),
        order: random.of(&[2.0, 2.0, 1.0, 1.5, 3.0]),
        match_m: random.of(&[1.0, 1.0, 0.5, 1.3]),
        skip_s: random.of(&[0.0, 0.0, 0.3]),
        ospa2_window_s: random.of(&[Some(10.0), Some(10.0), Some(1.0), None]),
        ids: random.of(&[Ids::Track, Ids::Track, Ids::Person]),
    };
    let times = truth.iter().map(|row| row.time_ms);
    let span_ms = times.clone().max().unwrap_or(0) - times.min().unwrap_or(0);
    if span_ms < 300 {
        options.skip_s = default.skip_s;
    }
    Case { name: format!("seed {seed}"), truth, tracks, options }
}

/// The truth's and the tracks' text as both sides read them; only the label differs, where persons label for us.
fn write_case(case: &Case, folder: &Path, number: usize) -> (PathBuf, PathBuf, PathBuf) {
    let seconds = |time_ms: i64| {
        // Alternate between short text and the noise that other programs leave in a time.
        if time_ms % 3 == 0 { format!("{:?}", time_ms as f64 * 0.001) } else { format!("{}", time_ms as f64 / 1000.0) }
    };
    let mut truth = String::from("t,id,x,y\n");
    let mut ours = String::from("t_s,track,x_m,y_m,vx_mps,vy_mps,person,person_p,z_m,level\n");
    let mut eval = String::from("t,track_id,x,y,identity\n");
    let mut theirs = eval.clone();
    for r in &case.truth {
        let _ = writeln!(truth, "{},{},{:?},{:?}", seconds(r.time_ms), r.label, r.x_m, r.y_m);
    }
    for r in &case.tracks {
        let (t, x_m, y_m) = (seconds(r.time_ms), r.x_m, r.y_m);
        let _ = writeln!(ours, "{t},{},{x_m:?},{y_m:?},0,0,{},,,ground", r.label, r.person);
        let _ = writeln!(eval, "{t},{},{x_m:?},{y_m:?},{}", r.label, r.person);
        let label = match (case.options.ids, r.person.as_str()) {
            (Ids::Person, person) if !person.is_empty() => format!("person {person}"),
            _ => format!("track {}", r.label),
        };
        let _ = writeln!(theirs, "{t},{label},{x_m:?},{y_m:?},{}", r.person);
    }
    let write = |name: &str, text: &str| {
        let path = folder.join(format!("{number}.{name}.csv"));
        std::fs::write(&path, text).expect("a temporary file");
        path
    };
    // Either of our two headers.
    let ours = write("ours", if number.is_multiple_of(2) { &ours } else { &eval });
    (write("truth", &truth), ours, write("theirs", &theirs))
}

fn arguments(options: &Options, truth: &Path, tracks: &Path) -> String {
    format!(
        "{}\t{}\t--c\t{}\t--p\t{}\t--match\t{}\t--skip\t{}\t--ospa2\t{}",
        truth.display(),
        tracks.display(),
        options.cutoff_m,
        options.order,
        options.match_m,
        options.skip_s,
        options.ospa2_window_s.unwrap_or(0.0)
    )
}

/// The figures of a printed line, each as its text.
fn figures(line: &str) -> BTreeMap<&str, &str> {
    let body = line.trim().strip_prefix('{').and_then(|line| line.strip_suffix('}'));
    body.unwrap_or_else(|| panic!("no JSON object: {line}"))
        .split(", ")
        .map(|pair| pair.split_once(": ").unwrap_or_else(|| panic!("no pair: {pair}")))
        .map(|(key, value)| (key.trim_matches('"'), value))
        .collect()
}

/// Scores every case on both sides and compares the text of every figure; returns how many figures were compared.
fn compare(script: &Path, cases: &[Case]) -> usize {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut list = String::new();
    let mut lines = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let (truth, ours, theirs) = write_case(case, folder.path(), number);
        let _ = writeln!(list, "{}", arguments(&case.options, &truth, &theirs));
        let truth = score::load_truth(&truth).expect("valid truth");
        let tracks = score::load_tracks(&ours).expect("valid tracks");
        lines.push(score::evaluate(&truth, &tracks, &case.options).expect("scored").to_json());
    }
    let list_file = folder.path().join("list");
    std::fs::write(&list_file, list).expect("a temporary file");
    let run = Command::new(python()).args(["-c", DRIVER]).arg(script).arg(&list_file).output().expect("python runs");
    let printed = String::from_utf8(run.stdout).expect("text");
    assert_eq!(printed.lines().count(), cases.len(), "{}", String::from_utf8_lossy(&run.stderr));
    let mut compared = 0;
    for ((case, ours), theirs) in cases.iter().zip(&lines).zip(printed.lines()) {
        let different = difference(ours, theirs);
        if let Err(text) = different {
            let kept = folder.keep();
            panic!("{}: {text}\nfiles in {}\nours   {ours}\ntheirs {theirs}", case.name, kept.display());
        }
        compared += different.unwrap_or(0);
    }
    compared
}

/// How many figures agree, or what does not.
fn difference(ours: &str, theirs: &str) -> Result<usize, String> {
    let (ours, theirs) = (figures(ours), figures(theirs));
    for (key, value) in &theirs {
        match ours.get(key) {
            Some(own) if own == value => {}
            Some(own) => return Err(format!("{key} is {own}, but the reference says {value}")),
            // A mean of nothing.
            None if *key == "motp" && *value == "NaN" => {}
            None => return Err(format!("{key} is missing")),
        }
    }
    match ours.keys().find(|key| !theirs.contains_key(*key)) {
        Some(key) => Err(format!("{key} is not a figure of the reference")),
        None => Ok(ours.len()),
    }
}

#[test]
fn random_tracks_score_the_same() {
    let Some(script) = reference() else { return };
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (first, count) = (number("OSMOSE_SCORE_SEED", 1), number("OSMOSE_SCORE_CASES", 60));
    let cases: Vec<Case> = (first..first + count).map(random_case).collect();
    let compared = compare(&script, &cases);
    assert!(compared >= 20 * cases.len(), "only {compared} figures compared");
    println!("{compared} figures of {} random cases are equal", cases.len());
}

#[test]
fn a_simulated_building_scores_the_same() {
    let Some(script) = reference() else { return };
    let Some(generator) = shared("measure/fusion/gen_scenario.py") else {
        println!("skipped: ../shared/measure/fusion/gen_scenario.py is not there");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scene = folder.path().join("scene");
    let made =
        Command::new(python()).arg(generator).arg(&scene).args(["--n", "12", "--T", "12", "--seed", "3"]).output();
    assert!(made.expect("python runs").status.success());
    let text = std::fs::read_to_string(scene.join("truth.csv")).expect("the scene's truth");
    let truth: Vec<Row> = text.lines().skip(1).map(truth_row).collect();
    let tracks = spoil(&mut Random(3), &truth, 0.0);
    let case = Case { name: "scenario".to_owned(), truth, tracks, options: Options::default() };
    println!("{} figures of a simulated building are equal", compare(&script, &[case]));
}

fn truth_row(line: &str) -> Row {
    let cells: Vec<&str> = line.split(',').collect();
    let number = |i: usize| cells[i].parse::<f64>().expect("a number");
    row((number(0) * 1000.0).round() as i64, cells[1], number(2), number(3))
}

#[test]
fn recorded_people_score_the_same() {
    let Some(script) = reference() else { return };
    let Some(folder) = shared("corpora/pets09_s2l1") else {
        println!("skipped: ../shared/corpora/pets09_s2l1 is not there");
        return;
    };
    // The first 200 frames at 7 a second; detections stand for tracks, labelled by their place in the frame.
    let read = |name: &str, label: &dyn Fn(&[&str], usize) -> String| -> Vec<Row> {
        let text = std::fs::read_to_string(folder.join(name)).expect("a file of the corpus");
        let (mut rows, mut frame, mut place) = (Vec::new(), 0, 0);
        for line in text.lines() {
            let cells: Vec<&str> = line.split(',').collect();
            let number: i64 = cells[0].parse().expect("a frame");
            place = if number == frame { place + 1 } else { 0 };
            frame = number;
            let metres = |i: usize| cells[i].parse::<f64>().expect("metres");
            rows.push(row((frame - 1) * 1000 / 7, label(&cells, place), metres(7), metres(8)));
        }
        rows.retain(|row| row.time_ms < 200 * 1000 / 7);
        rows
    };
    let truth = read("gt.txt", &|cells, _| cells[1].to_owned());
    let tracks = read("det_sort_frcnn.txt", &|_, place| place.to_string());
    assert!(truth.len() > 500 && tracks.len() > 500, "{} and {} rows", truth.len(), tracks.len());
    let case = Case { name: "pets09_s2l1".to_owned(), truth, tracks, options: Options::default() };
    println!("{} figures of recorded people are equal", compare(&script, &[case]));
}
