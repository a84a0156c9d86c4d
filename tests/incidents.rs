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
    assert!(not.contains("rules/peer-job.rules") && not.contains("nearest at"), "{not}");
    // Other rules.
    let other = site.file("other.rules");
    let rules = site.read("rules/peer-job.rules").replace("members(participants)", "members(staff)");
    std::fs::write(&other, rules).expect("written");
    let what_if = osmose(&["replay", t, "--rules", text(&other)]).expect(0).stdout;
    for part in ["first difference at", "hypothesis", "gone", "members(staff)"] {
        assert!(what_if.contains(part), "{part} in\n{what_if}");
    }
    osmose(&["replay", t, "--rules", text(&other), "--verify"]).expect(2);
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
