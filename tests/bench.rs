//! `osmose bench` and `osmose doctor` as their users run them, for a moment each: what is asserted is what is said, never how
//! fast it was.

mod common;

use common::engine::osmose;
use common::root;
use common::site::TempSite;
use osmose_bench::{corpus, replay};
use serde_json::Value;
use std::path::Path;

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{} cannot be read: {e}", path.display()))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&text(path)).expect("a report is JSON")
}

fn str(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's name is text")
}

const STEP: [&str; 10] = ["bench", "step", "--runs", "5", "--observations", "100", "--occupants", "10", "--rules", "1"];

#[test]
fn steps_are_measured_and_told_in_every_form() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let mut args = STEP.to_vec();
    let (report, html, hgrm) = (at("step.json"), at("step.html"), at("step"));
    args.extend(["--no-kinds", "--json", str(&report), "--page", str(&html), "--hgrm", str(&hgrm)]);
    let ended = osmose(&args).expect(0);
    assert!(
        ended.stdout.contains("machine: ") && ended.stdout.contains("(floor) the clock read twice"),
        "{}",
        ended.stdout
    );
    let rows = json(&report)["rows"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), 5, "floor, the job, 10 occupants, 1 rule untouched, 1 woken");
    for row in &rows {
        assert_eq!((&row["samples"], &row["runs_p50_ns"].as_array().map(Vec::len)), (&500.into(), &Some(5)), "{row}");
        assert!(row["percentiles"][1]["ns"].is_null(), "500 samples have 50 beyond p90: {row}");
    }
    assert!(text(&html).starts_with("<!DOCTYPE html>"));
    let distribution = text(&at("step-floor-the-clock-read-twice.hgrm"));
    assert!(distribution.contains("1/(1-Percentile)") && distribution.contains("#[Max"), "{distribution}");

    // Against the figures just kept: on one machine, not interleaved, and said so.
    let mut again = STEP.to_vec();
    again.extend(["--no-kinds", "--compare", str(&report)]);
    let compared = osmose(&again).expect(0);
    assert!(
        compared.stdout.contains("new / old") && compared.stdout.contains("not interleaved"),
        "{}",
        compared.stdout
    );
    // Fewer than five runs are no comparison.
    let few: Vec<&str> = again.iter().map(|a| if *a == "5" { "4" } else { *a }).collect();
    assert!(osmose(&few).expect(1).stderr.contains("at least 5 are needed"));
}

#[test]
fn another_program_is_compared_with_interleaved_runs() {
    let mut args = STEP.to_vec();
    args.extend(["--no-kinds", "--compare", env!("CARGO_BIN_EXE_osmose")]);
    let ended = osmose(&args).expect(0);
    assert!(ended.stdout.contains("interleaved pairs of 5"), "{}", ended.stdout);
    assert!(ended.stdout.contains("(93.8 %)"), "what five pairs can cover: {}", ended.stdout);
}

#[test]
fn a_simulated_trace_is_replayed_for_its_rate() {
    let dir = tempfile::tempdir().expect("a folder");
    let report = dir.path().join("replay.json");
    osmose(&["bench", "replay", "--runs", "1", "--seconds", "2", "--json", str(&report)]).expect(0);
    let rates = json(&report)["rates"].as_array().expect("rates").clone();
    assert_eq!(rates.len(), 4, "observations and real time, as it is and verified");
    assert!(rates.iter().all(|r| r["per_s"].as_f64().is_some_and(|v| v > 0.0)), "{rates:?}");
}

/// Whoever changes the simulator or an example of the corpus finds out here, and not the next one who measures.
#[test]
fn the_corpus_of_the_bench_is_what_its_manifest_says() {
    let base = root().join("benches/corpus");
    let dir = tempfile::tempdir().expect("a folder");
    let members = corpus::read(&base).expect("the manifest reads");
    let mut others = vec![];
    for member in members {
        let site = base.join(&member.site);
        let script = member.script.as_ref().map(|s| base.join(s));
        let member = corpus::Member { site, script, ..member };
        let file = corpus::make(dir.path(), &member, Path::new(env!("CARGO_BIN_EXE_osmose"))).expect("it is made");
        let found = replay::steps(&file).expect("it is stepped").digest.to_string();
        println!("{}: {found}", member.name);
        if found != member.digest {
            others.push(format!("{}: {found}, and not {}", member.name, member.digest));
        }
    }
    assert!(others.is_empty(), "benches/corpus/corpus.toml names other traces: {others:?}");
}

#[test]
fn a_corpus_is_made_from_its_seeds_and_another_trace_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let site = root().join("examples/peer-job");
    let manifest = |digest: &str| {
        let text = format!(
            "[[trace]]\nname = \"few\"\nsite = {:?}\npeople = 5\nseconds = 2.0\nseed = 3\nstresses = \"little\"\ndigest = \"{digest}\"\n",
            str(&site)
        );
        std::fs::write(dir.path().join("corpus.toml"), text).expect("written");
    };
    let measure = || osmose(&["bench", "corpus", str(dir.path()), "--runs", "1"]);
    manifest("");
    let first = measure().expect(0);
    let digest = first.word_after("that of its observations is ").to_owned();
    assert_eq!(digest.len(), 16, "{}", first.stdout);
    assert!(first.stdout.contains("few: step of location"), "{}", first.stdout);
    // Made anew it is the same.
    std::fs::remove_file(dir.path().join("few.mcap")).expect("it was made");
    manifest(&digest);
    measure().expect(0);
    manifest("0123456789abcdef");
    let refused = measure().expect(1);
    assert!(refused.stderr.contains(&digest) && refused.stderr.contains("0123456789abcdef"), "{}", refused.stderr);
}

#[test]
fn the_doctor_says_what_costs_latency_and_how_to_mend_it() {
    let site = TempSite::example("peer-job");
    let well = osmose(&["doctor", str(site.path()), "--probe", "0"]).expect(0);
    assert!(
        well.stdout.contains("cores: ") && well.stdout.contains("every port of the site can be bound"),
        "{}",
        well.stdout
    );
    let as_json = osmose(&["doctor", str(site.path()), "--probe", "0.05", "--json"]).expect(0);
    let found: Value = serde_json::from_str(&as_json.stdout).expect("JSON");
    assert!(found["findings"].as_array().is_some_and(|f| f.len() > 5), "{found}");
    assert!(found["hiccups"]["wakings"].as_u64().is_some_and(|n| n > 0), "{found}");
    // Somebody else holds the port that positions come in on.
    let _holds_it = std::net::UdpSocket::bind(site.address(7801)).expect("it is free");
    let taken = osmose(&["doctor", str(site.path()), "--probe", "0"]).expect(1);
    assert!(taken.stdout.starts_with("cannot run like this\n  port: "), "{}", taken.stdout);
}

#[test]
fn latency_is_measured_beside_the_floor_and_everything_is_accounted_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let (report, html, hgrm) = (at("l.json"), at("l.html"), at("l"));
    let mut args = vec!["bench", "latency", "--rate", "1000", "--seconds", "1.5", "--warm-up", "0.2", "--pairs", "1"];
    args.extend(["--idle", "yield", "--json", str(&report), "--page", str(&html), "--hgrm", str(&hgrm)]);
    let ended = osmose(&args).expect(0);
    let found = json(&report);
    let rows = found["rows"].as_array().expect("rows");
    assert_eq!(
        rows.iter().map(|r| r["what"].as_str().expect("text")).collect::<Vec<_>>(),
        ["floor, blocking", "engine, blocking"]
    );
    for row in rows {
        assert!(row["samples"].as_u64().is_some_and(|n| n > 50), "{row}");
        assert!(row["percentiles"][3]["ns"].is_null(), "no p99.9 of so few: {row}");
        assert!(
            row["misses"]["all"].as_u64()
                == Some(row["misses"]["in_hiccup"].as_u64().unwrap_or(0) + row["misses"]["rest"].as_u64().unwrap_or(0))
        );
    }
    assert_eq!(found["accounts"].as_array().map(Vec::len), Some(4), "events and commands of both");
    assert_eq!(found["verdicts"][0]["verdict"]["verdict"], "not-provable", "{found}");
    assert!(ended.stdout.contains("not provable on this machine"), "{}", ended.stdout);
    let log = text(&at("l.hlog"));
    assert!(log.starts_with('#') && log.contains("Tag=latency,"), "{log}");
    assert!(text(&at("l-engine-blocking.hgrm")).contains("#[Max"));
}

#[test]
fn a_flood_on_another_socket_is_a_third_run_of_each_pair_and_every_datagram_of_it_is_accounted_for() {
    let dir = tempfile::tempdir().expect("a folder");
    for by in ["rate", "unknown"] {
        let report = dir.path().join(by);
        let mut args = vec!["bench", "latency", "--rate", "1000", "--seconds", "1", "--warm-up", "0.2", "--pairs", "1"];
        args.extend(["--idle", "yield", "--flood", by, "--json", str(&report)]);
        osmose(&args).expect(0);
        let found = json(&report);
        let rows = found["rows"].as_array().expect("rows");
        assert_eq!(rows.last().map(|r| &r["what"]), Some(&"engine under a flood, blocking".into()), "{found}");
        let ratios = found["ratios"].as_array().expect("ratios");
        assert!(ratios.iter().any(|r| r["what"] == "p50, blocking: engine under a flood / engine"), "{found}");
        // Ten thousand a second, for a second and more, beside the job's thousand.
        let accounts = found["accounts"].as_array().expect("accounts");
        let to_engine = accounts.iter().filter(|a| a["way"] == "events to the engine");
        let most = to_engine.max_by_key(|a| a["sent"].as_u64()).expect("there are two");
        assert!(most["sent"].as_u64() > Some(10_000), "{most}");
        let refused = most["dropped"].to_string().contains("wrong_sender");
        assert_eq!(refused, by == "unknown", "{most}");
    }
}

#[test]
fn so_many_leaves_are_each_accounted_for() {
    let ended = osmose(&["bench", "latency", "--leaves", "300", "--rate", "2000", "--idle", "yield"]).expect(0);
    assert!(
        ended.stdout.contains("leaves, ") && ended.stdout.contains("engine's own: read to handed over"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("engine's own: kernel to read"), "the socket wait beside it: {}", ended.stdout);
}

#[test]
fn the_highest_rate_of_32_observations_a_datagram_is_searched() {
    let mut args = vec!["bench", "latency", "--highest", "--per-datagram", "32", "--seconds", "0.2", "--pairs", "1"];
    args.extend(["--rate", "20000", "--idle", "yield"]);
    let ended = osmose(&args).expect(0);
    assert!(ended.stdout.contains("highest rate without loss, engine: "), "{}", ended.stdout);
    assert!(ended.stdout.contains("observations to the engine: "), "{}", ended.stdout);
}

#[test]
fn a_site_gets_a_cost_table_of_this_machine() {
    let site = TempSite::example("peer-job");
    let told = osmose(&["bench", "step", "--calibrate", str(site.path())]).expect(0);
    assert!(told.stdout.contains("effect") && told.stdout.contains(".osmose/cost.json"), "{}", told.stdout);
    let table = json(&site.path().join(".osmose/cost.json"));
    assert!(table["ns"]["node"].as_f64().is_some_and(|ns| ns > 0.0), "{table}");
    osmose(&["check", str(site.path())]).expect(0);
    osmose(&["bench", "step", "--calibrate", "/nowhere"]).expect(2);
}
