//! An incident on a laptop, as its user meets it: a recording is searched, explained, changed, cut, exported, reported.

mod common;

use common::engine::osmose;
use common::site::TempSite;
use std::path::{Path, PathBuf};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

/// Ten people who walk round through the rooms of the peer job for five minutes, run once and recorded.
fn recorded() -> (TempSite, PathBuf) {
    let site = TempSite::example("peer-job");
    let mut rows = String::from("t_s,sensor,device,x_m,y_m\n");
    for t in 0..300 {
        for k in 1..=10 {
            let turn = f64::from(t) / 60.0 + f64::from(k) / 10.0;
            let (x, y) = (
                24.0 + 20.0 * (std::f64::consts::TAU * turn).cos(),
                15.0 + 12.0 * (std::f64::consts::TAU * turn).sin(),
            );
            rows += &format!("{t}.{k:02},positions,p{k},{x:.3},{y:.3}\n");
        }
    }
    let (csv, import, trace) = (site.file("walk.csv"), site.file("import.mcap"), site.file("walk.mcap"));
    std::fs::write(&csv, rows).expect("written");
    let (csv, site_dir) = (text(&csv), text(site.path()));
    osmose(&["import", "location", csv, "--site", site_dir, "-o", text(&import), "--epoch", "2026-03-02T10:00:00Z"])
        .expect(0);
    osmose(&["trace", "index", text(&import), "-o", text(&trace), "--every", "10"]).expect(0);
    (site, trace)
}

#[test]
fn an_incident_is_found_explained_changed_and_handed_on() {
    let (site, trace) = recorded();
    let t = text(&trace);
    // What was indexed verifies, from the start and from the middle.
    osmose(&["replay", t, "--verify"]).expect(0);
    let part = osmose(&["replay", t, "--verify", "--from", "10:02:11", "--to", "10:02:20"]).expect(0);
    assert!(part.stderr.contains("began from the keyframe"), "{}", part.stderr);
    osmose(&["replay", t, "--from", "5", "--to", "2"]).expect(2);
    // Found, and explained by the id that a replay shows.
    let found = osmose(&["find", t, "any p in members(participants) leaves r5", "--json"]).expect(0).stdout;
    assert!(!found.is_empty() && found.lines().all(|l| l.contains("leaves r5")), "{found}");
    osmose(&["find", t, "nobody leaves the cellar"]).expect(2);
    let commands = osmose(&["replay", t, "--commands", "-"]).expect(0).stdout;
    let first: serde_json::Value =
        serde_json::from_str(commands.lines().next().expect("somebody leaves")).expect("JSON");
    let id = first["id"].as_str().expect("an id");
    let why = osmose(&["why", t, "--command", id]).expect(0).stdout;
    for part in ["pause-recording", "leaves r", "(recorded)", "(recomputed)", "positions"] {
        assert!(why.contains(part), "{part} in\n{why}");
    }
    let why: serde_json::Value =
        serde_json::from_str(&osmose(&["why", t, "--command", id, "--json"]).expect(0).stdout).expect("JSON");
    assert_eq!(why["command"]["id"], first["id"]);
    // The frames behind it are the recorded ones, older than the deciding one, with their places in the trace.
    let links = why["chain"].as_array().expect("links");
    let frames: Vec<_> = links.iter().filter(|l| l["kind"] == "frame").collect();
    assert!(frames.len() > 1 && frames.iter().all(|l| l["origin"] == "recorded" && l["seq"].is_u64()), "{links:?}");
    assert!(!first["cause"]["sightings"].as_array().expect("sightings").is_empty(), "{first}");
    osmose(&["why", t, "--command", "nonsense"]).expect(2);
    osmose(&["why", t, "--command", "1.99"]).expect(1);
    let not = osmose(&["why", t, "--rule", "pause-recording", "--at", "100"]).expect(0).stdout;
    assert!(not.contains("rules/peer-job.rules") && not.contains("at its nearest"), "{not}");
    // Other rules.
    let other = site.file("other.rules");
    let rules = site.read("rules/peer-job.rules").replace("members(participants)", "members(staff)");
    std::fs::write(&other, rules).expect("written");
    let what_if = osmose(&["replay", t, "--rules", text(&other)]).expect(0).stdout;
    for part in ["first difference at", "hypothesis", "gone", "members(staff)"] {
        assert!(what_if.contains(part), "{part} in\n{what_if}");
    }
    osmose(&["replay", t, "--rules", text(&other), "--verify"]).expect(2);
    // The same kept as a recording of its own: it verifies, and says what it was that made the difference.
    let kept = site.file("what-if.mcap");
    osmose(&["replay", t, "--rules", text(&other), "--record", text(&kept)]).expect(0);
    osmose(&["replay", text(&kept), "--verify"]).expect(0);
    let parted = osmose(&["diff", t, text(&kept)]).expect(1).stdout;
    assert!(parted.contains("site files differ: rules/"), "{parted}");
    osmose(&["replay", t, "--record", text(&kept)]).expect(1);
    osmose(&["diff", t, t]).expect(0);
}

#[test]
fn an_incident_is_cut_merged_recovered_kept_exported_and_reported() {
    let (site, trace) = recorded();
    let t = text(&trace);
    let folder = site.file("parts");
    std::fs::create_dir(&folder).expect("made");
    let (a, b, joined) = (folder.join("a.mcap"), folder.join("b.mcap"), site.file("joined.mcap"));
    osmose(&["trace", "cut", t, "--to", "10:02:00", "-o", text(&a)]).expect(0);
    osmose(&["trace", "cut", t, "--from", "120.0000001", "-o", text(&b)]).expect(0);
    // A folder is one log.
    osmose(&["replay", text(&folder), "--verify"]).expect(0);
    osmose(&["trace", "merge", text(&b), text(&a), "-o", text(&joined)]).expect(0);
    osmose(&["replay", text(&joined), "--verify"]).expect(0);
    osmose(&["diff", t, text(&joined)]).expect(0);
    osmose(&["trace", "keep", text(&folder), "--from", "200", "--because", "the late pause"]).expect(0);
    assert!(folder.join("b.mcap.keep").exists() && !folder.join("a.mcap.keep").exists());
    // What is whole of a broken file; something lost is 3.
    let (broken, saved) = (site.file("broken.mcap"), site.file("saved.mcap"));
    let bytes = std::fs::read(&trace).expect("read");
    std::fs::write(&broken, &bytes[..bytes.len() * 6 / 10]).expect("written");
    osmose(&["trace", "recover", text(&broken), "-o", text(&saved)]).expect(3);
    osmose(&["trace", "check", text(&saved)]).expect(0);
    // For others.
    let out = |name: &str| site.file(name);
    osmose(&["trace", "export", t, "--csv", "-o", text(&out("tables"))]).expect(0);
    for form in ["geojson", "perfetto", "foxglove"] {
        let path = out(form);
        osmose(&["trace", "export", t, &format!("--{form}"), "-o", text(&path)]).expect(0);
        assert!(std::fs::metadata(&path).expect("written").len() > 1000, "{form}");
    }
    let shared = out("shared.mcap");
    let said = osmose(&["trace", "anonymise", t, "-o", text(&shared)]).expect(0).stdout;
    assert!(said.contains("NOT removed"), "{said}");
    osmose(&["replay", text(&shared), "--verify"]).expect(0);
    let page = out("incident.html");
    osmose(&["report", t, "-o", text(&page)]).expect(0);
    let html = std::fs::read_to_string(&page).expect("written");
    assert!(html.contains("pause-recording") && !html.contains("<script"));
}

/// When a condition became true, by `osmose find`, seconds of the log.
fn moments(trace: &str, condition: &str) -> Vec<f64> {
    let lines = osmose(&["find", trace, condition, "--json"]).expect(0).stdout;
    let read =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["t_s"].as_f64().expect("a time");
    lines.lines().map(read).collect()
}

#[test]
fn a_part_of_an_incident_goes_on_from_who_was_where_at_its_cut() {
    const LEAVES: &str = "any p in members(participants) leaves r5";
    let (site, trace) = recorded();
    let whole = moments(text(&trace), LEAVES);
    // Cut shortly before somebody leaves: who leaves must be known to have been inside.
    let middle = *whole.iter().find(|t| **t > 120.0).expect("somebody leaves");
    let from = middle - 0.3;
    let part = site.file("part.mcap");
    let p = text(&part);
    osmose(&["trace", "cut", text(&trace), "--from", &format!("{from:.3}"), "-o", p]).expect(0);
    let later: Vec<f64> = whole.into_iter().filter(|t| *t > from).collect();
    assert!(later.first() == Some(&middle) && later.len() > 1);
    assert_eq!(moments(p, LEAVES), later);
    // What if, kept: it begins behind the installation of the other rules, and verifies.
    let (other, kept) = (site.file("other.rules"), site.file("kept.mcap"));
    let rules = site.read("rules/peer-job.rules").replace("members(participants)", "members(staff)");
    std::fs::write(&other, rules).expect("written");
    osmose(&["replay", p, "--rules", text(&other), "--record", text(&kept)]).expect(0);
    osmose(&["replay", text(&kept), "--verify"]).expect(0);
    assert_eq!(moments(text(&kept), LEAVES), later);
}

/// A folder of rotated recordings is asked as one file is.
#[test]
fn what_a_folder_of_recordings_answers_is_what_one_file_answers() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let site = common::root().join("examples/incidents");
    let (whole, folder) = (dir.path().join("whole.mcap"), dir.path().join("folder"));
    std::fs::create_dir(&folder).expect("made");
    let script = site.join("held-door.toml");
    let args = ["--seconds", "90", "--seed", "1", "--epoch", "2026-03-02T10:00:00Z", "-o", text(&whole)];
    osmose(&[&["simulate", text(&site), "--script", text(&script)], &args[..]].concat()).expect(0);
    // The door was opened in one file, the desk told in the next.
    for (name, stretch) in [("a.mcap", ["--to", "40"]), ("b.mcap", ["--from", "40.000000001"])] {
        osmose(&["trace", "cut", text(&whole), stretch[0], stretch[1], "-o", text(&folder.join(name))]).expect(0);
    }
    let told = osmose(&["replay", text(&whole), "--commands", "-"]).expect(0).stdout;
    let first: serde_json::Value = serde_json::from_str(told.lines().next().expect("a command")).expect("JSON");
    let id = first["id"].as_str().expect("an id");
    let questions: [&[&str]; 5] = [
        &["find", "TRACE", "p enters doorway", "--json"],
        &["find", "TRACE", "contact-entrance is open and p in doorway for 10 s", "--json"],
        &["why", "TRACE", "--command", id, "--json"],
        &["why", "TRACE", "--rule", "entrance-open", "--at", "10:00:45", "--json"],
        &["replay", "TRACE", "--commands", "-"],
    ];
    for question in questions {
        let ask = |trace: &Path| {
            let words: Vec<&str> = question.iter().map(|w| if *w == "TRACE" { text(trace) } else { w }).collect();
            osmose(&words).expect(0).stdout
        };
        let (one, many) = (ask(&whole), ask(&folder));
        assert!(!one.is_empty(), "{question:?}");
        assert_eq!(one, many, "{question:?}");
    }
    osmose(&["replay", text(&folder), "--verify"]).expect(0);
}

/// One command that the guide shows, and what it prints.
struct Shown {
    /// Behind `$ `.
    command: String,
    /// The lines below it.
    output: Vec<String>,
}

/// The guide as pieces: text as it stands, and the shown commands.
enum Piece {
    Text(String),
    Shown(Shown),
}

fn pieces(guide: &str) -> Vec<Piece> {
    let (mut all, mut inside) = (Vec::new(), false);
    for line in guide.lines() {
        let fence = line.starts_with("```");
        if fence {
            inside = line == "```console";
        }
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) if inside => {
                all.push(Piece::Shown(Shown { command: command.to_owned(), output: Vec::new() }));
            }
            (None, Some(Piece::Shown(shown))) if inside && !fence => shown.output.push(line.to_owned()),
            _ => all.push(Piece::Text(line.to_owned())),
        }
    }
    all
}

/// A command line's words; `'...'` is one.
fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in command.split('\'').enumerate() {
        if i % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Runs a shown command in a folder: its exit status, and what it prints.
fn run_shown(command: &str, dir: &Path) -> (Option<i32>, Vec<String>) {
    let mut words = split(command);
    let both = words.last().is_some_and(|w| w == "2>&1");
    if both {
        words.pop();
    }
    assert_eq!(words[0], "osmose", "{command}");
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_osmose"))
        .args(&words[1..])
        .current_dir(dir)
        .output()
        .expect("osmose runs");
    let mut text = String::from_utf8(done.stdout).expect("text");
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    if both {
        text += &told;
    }
    let status = done.status.code();
    assert!(matches!(status, Some(0 | 1)), "{command}: {status:?}\n{told}");
    // Digests are no business of the guide's: they change with every cause that says more.
    let lines = text.lines().filter(|l| !l.starts_with("input_digest "));
    (status, lines.map(|l| l.trim_end().to_owned()).collect())
}

/// Files of one folder and those below it.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copied(&path, &to);
        } else {
            std::fs::copy(&path, to).expect("copied");
        }
    }
}

#[test]
fn the_guide_shows_what_its_commands_print() {
    let path = common::root().join("docs/incidents.md");
    let guide = std::fs::read_to_string(&path).expect("the guide");
    let dir = tempfile::tempdir().expect("a temporary folder");
    copied(&common::root().join("examples/incidents"), &dir.path().join("examples/incidents"));
    let (mut written, mut wrong, mut shown, mut broken) = (String::new(), Vec::new(), 0, 0);
    for piece in pieces(&guide) {
        let Shown { command, output } = match piece {
            Piece::Text(line) => {
                written += &format!("{line}\n");
                continue;
            }
            Piece::Shown(shown) => shown,
        };
        let (status, printed) = run_shown(&command, dir.path());
        shown += 1;
        broken += u32::from(status == Some(1));
        written += &format!("$ {command}\n");
        printed.iter().for_each(|line| written += &format!("{line}\n"));
        let trimmed: Vec<&str> = output.iter().map(|l| l.trim_end()).collect();
        if trimmed != printed {
            wrong.push(format!(
                "$ {command}\nprints\n{}\nand is shown with\n{}",
                printed.join("\n"),
                trimmed.join("\n")
            ));
        }
    }
    println!("{shown} commands of the guide run");
    assert!(shown >= 20, "{shown}");
    assert_eq!(broken, 1, "one replay breaks a promise");
    if std::env::var_os("OSMOSE_BLESS").is_some() {
        std::fs::write(&path, written).expect("written");
        return;
    }
    assert!(wrong.is_empty(), "OSMOSE_BLESS=1 writes the guide anew\n{}", wrong.join("\n\n"));
}

#[test]
fn a_recording_of_the_guide_is_the_same_byte_for_byte_and_verifies() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let site = common::root().join("examples/incidents");
    let script = site.join("late-pause.toml");
    let make = |name: &str, seed: &str| {
        let out = dir.path().join(name);
        let args = ["--seconds", "20", "--seed", seed, "--epoch", "2026-03-02T10:00:00Z"];
        let all = ["simulate", text(&site), "--script", text(&script), "-o", text(&out)];
        osmose(&[&all[..], &args[..]].concat()).expect(0);
        std::fs::read(out).expect("written")
    };
    let (a, b, other) = (make("a.mcap", "7"), make("b.mcap", "7"), make("c.mcap", "8"));
    assert!(a == b, "one seed makes one trace");
    assert!(a != other, "another seed makes another");
    osmose(&["replay", text(&dir.path().join("a.mcap")), "--verify"]).expect(0);
    let truth = dir.path().join("truth.csv");
    let crowd = dir.path().join("crowd.mcap");
    let args = ["--people", "3", "--seconds", "5", "--truth", text(&truth), "-o", text(&crowd)];
    osmose(&[&["simulate", text(&site)], &args[..]].concat()).expect(0);
    let rows = std::fs::read_to_string(&truth).expect("written");
    assert_eq!(rows.lines().next(), Some("t,id,x,y,level,name"));
    assert_eq!(rows.lines().count(), 1 + 51 * 3, "three people, ten times a second");
    osmose(&["simulate", text(&site), "-o", text(&crowd)]).expect(2);
}
