//! The tools round the rule language, as their users call them: `check`, `fmt`.

mod common;

use common::root;
use common::site::TempSite;
use std::path::Path;
use std::process::{Command, Output};

fn osmose(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_osmose")).args(args).output().expect("osmose runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

#[test]
fn check_prints_what_every_rule_costs_drives_and_lets_wait() {
    let site = root().join("examples/coworking");
    let output = osmose(&["check", path(&site)]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", stderr(&output));
    let rules = text.lines().filter(|l| l.starts_with("rule ")).count();
    assert!(rules >= 6, "{text}");
    for part in ["  cost     ", "  deadline ", "  human    ", "  drives   "] {
        assert_eq!(text.lines().filter(|l| l.starts_with(part)).count(), rules, "{part} in\n{text}");
    }
    assert!(text.contains("cost table: committed default"), "{text}");
    assert!(text.contains("drives   m7.recorder"), "{text}");

    let json: Vec<serde_json::Value> =
        serde_json::from_slice(&osmose(&["check", path(&site), "--json"]).stdout).expect("a list");
    let costs: Vec<_> = json.iter().filter(|e| e["code"] == "cost").collect();
    assert_eq!(costs.len(), rules);
    for key in ["severity", "code", "file", "line", "column", "feature", "message", "help"] {
        assert!(json.iter().all(|e| e.get(key).is_some()), "every element has `{key}`");
    }
    let pause = costs.iter().find(|e| e["feature"] == "pause-recording").expect("it is there");
    assert!(pause["cost"]["margin_us"].as_f64().is_some_and(|m| m > 0.0), "{pause}");
}

#[test]
fn a_table_of_the_sites_own_is_used_and_a_broken_one_is_said() {
    let site = TempSite::example("coworking");
    let slow = r#"{"machine":"a slow box","engine_us":900,"ns":{"wake":10,"node":20,"occupant":30,"person":80,"sensor":20,"context":100,"memory":60,"effect":100000}}"#;
    site.write(".osmose/cost.json", slow);
    let output = osmose(&["check", path(site.path())]);
    assert!(stdout(&output).contains("a slow box"), "{}", stdout(&output));
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "what cannot keep its deadline is refused");
    assert!(said.contains("error[deadline]: `fire` cannot keep its deadline"), "{said}");
    assert!(osmose(&["run", path(site.path())]).status.code() == Some(1), "and does not run");

    site.write(".osmose/cost.json", "{}");
    let output = osmose(&["check", path(site.path())]);
    assert!(stderr(&output).contains("cost-table"), "{}", stderr(&output));
    assert!(output.status.success());
}

#[test]
fn fmt_lays_out_once_and_then_leaves_alone() {
    let site = TempSite::example("coworking");
    let file = site.file("rules/a.rules");
    site.write("rules/a.rules", "rule a{when p enters m7 # why\n do m7.recorder.pause( )}\n");
    let before = site.read("rules/a.rules");
    let check = osmose(&["fmt", "--check", path(&file)]);
    assert_eq!((check.status.code(), stdout(&check).contains("would change")), (Some(1), true));
    assert_eq!(site.read("rules/a.rules"), before, "--check writes nothing");
    assert!(osmose(&["fmt", path(&file)]).status.success());
    let after = site.read("rules/a.rules");
    assert!(after.contains("# why") && after != before, "{after}");
    let check = osmose(&["fmt", "--check", path(&file)]);
    assert!(check.status.success() && check.stdout.is_empty());

    site.write("rules/a.rules", "rule a {");
    let broken = osmose(&["fmt", path(&file)]);
    assert_eq!((broken.status.code(), site.read("rules/a.rules").as_str()), (Some(1), "rule a {"));
    assert!(stderr(&broken).contains("unclosed"), "{}", stderr(&broken));
}

#[test]
fn every_rules_file_of_the_examples_is_laid_out() {
    let mut files = Vec::new();
    for example in root().join("examples").read_dir().expect("examples").flatten() {
        let Ok(rules) = example.path().join("rules").read_dir() else { continue };
        files.extend(rules.flatten().map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "rules")));
    }
    assert!(files.len() > 1);
    for file in files {
        let output = osmose(&["fmt", "--check", path(&file)]);
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    }
}

#[test]
fn rules_that_clash_are_refused_with_a_moment_at_which_they_do() {
    let site = TempSite::example("coworking");
    site.write(
        "rules/z.rules",
        "rule bright { while m7 is occupied hold m7.display.page = \"hello\" }\n\
         rule dim { while count(people in m7) > 2 hold m7.display.page = \"full\" }\nprove fire outranks *\n",
    );
    let output = osmose(&["check", path(site.path())]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("error[conflict]: `bright` and `dim`") && said.contains("3 people are in m7"), "{said}");
    assert!(stdout(&output).contains("prove fire outranks *: proven"), "{}", stdout(&output));
}

const TESTS: &str = r#"
test "a participant leaves" of pause-recording {
  at 0 s ana:project-x in m7
  at 0 s bo:project-x in m7
  at 1 s m7.recorder is recording
  at 5 s bo in corridor
  expect m7.recorder.pause(reason: "bo left") at 5 s +- 1 ms
  expect nothing else
}
test "who never took part may leave" of pause-recording {
  at 0 s ana in m7
  at 1 s m7.recorder is recording
  at 2 s visitor in lobby
  at 3 s visitor in corridor
  expect nothing for 10 s
}
test "lights follow, dimmer at night" of light-m7 {
  at 0 s time = 23:00
  at 1 s ana in m7
  at 2 s ana in corridor
  expect m7.light.level = 30 % at 1 s
  expect nothing for 4 min
}
test "the panel" of fire {
  at 1 s fire-panel is active
  expect m7.recorder.pause() within 1 s
}
"#;

#[test]
fn tests_run_as_scripts_with_coverage_and_junit() {
    let site = TempSite::example("coworking");
    site.write("tests/all.rules", TESTS);
    let junit = site.file("junit.xml");
    let output = osmose(&["test", path(site.path()), "--junit", path(&junit)]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", stderr(&output));
    assert!(text.contains("coverage: ") && text.contains("4 test(s), 0 failed"), "{text}");
    let xml = site.read("junit.xml");
    assert!(xml.contains("tests=\"4\" failures=\"0\" errors=\"0\"") && xml.matches("<testcase ").count() == 4, "{xml}");
}

#[test]
fn the_six_automations_do_what_their_tests_say() {
    let site = TempSite::example("automations");
    let checked = osmose(&["check", path(site.path())]);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{}{}", stdout(&checked), stderr(&checked));
    let output = osmose(&["test", path(site.path())]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", stderr(&output));
    assert!(text.contains("60 test(s), 0 failed"), "{text}");
    // A rule that only counts has acted where it counted.
    assert!(!text.contains("it never acts") && !text.contains("without a test"), "{text}");
}

#[test]
fn a_failing_test_shows_expected_and_actual_on_one_line_of_time() {
    let site = TempSite::example("coworking");
    let wrong = TESTS.replace("at 5 s +- 1 ms", "at 6 s +- 1 ms").replace("of fire", "of flood");
    site.write("tests/all.rules", &wrong);
    let output = osmose(&["test", path(site.path()), "--junit", path(&site.file("junit.xml"))]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAIL a participant leaves (pause-recording)"), "{text}");
    assert!(text.contains("5 s  given  "), "what was given is shown as written: {text}");
    assert!(!text.contains("TrackId"), "{text}");
    assert!(text.contains("5 s  sent   m7.recorder.pause(back_s: 30, reason: bo left)"), "{text}");
    assert!(text.contains("at 6 s +- 0.001 s, found m7.recorder.pause(back_s: 30, reason: bo left) at 5 s"), "{text}");
    assert!(text.contains("no rule is called `flood`"), "{text}");
    let xml = site.read("junit.xml");
    assert!(xml.contains("failures=\"1\" errors=\"1\""), "{xml}");
}

#[test]
fn every_test_that_cannot_be_read_says_why_and_the_others_run() {
    let site = TempSite::example("coworking");
    let unreadable = r#"
test "two faults" of pause-recording {
  at 0 s ana in m77
  at 1 s m7.recordr is recording
  expect nothing for 10 s
}
test "a mode that nobody declared" of fire {
  at 0 s hose = wet
  expect nothing else
}
test "no test" of fire {
  at 1 fire-panel is active
}
"#;
    site.write("tests/a.rules", unreadable);
    site.write("tests/b.rules", "test \"unclosed\" of fire {\n  at 1 s fire-panel is active\n");
    site.write("tests/c.rules", TESTS);
    let output = osmose(&["test", path(site.path()), "--junit", path(&site.file("junit.xml"))]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}{}", stderr(&output));
    for line in [
        "FAIL two faults (pause-recording)",
        "     tests/a.rules:3: no zone is called `m77`; did you mean `m7`?",
        "     tests/a.rules:4: no sensor, device or mode is called `m7.recordr`; did you mean `m7.recorder`?",
        "FAIL a mode that nobody declared (fire)",
        "     tests/a.rules:8: no sensor, device or mode is called `hose`",
        "ok   a participant leaves (pause-recording)",
        "8 test(s), 4 failed",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    for code in ["error[unclosed]", "error[unknown-unit]"] {
        assert!(text.contains(code), "{code} in {text}");
    }
    assert!(site.read("junit.xml").contains("tests=\"8\" failures=\"0\" errors=\"4\""), "{}", site.read("junit.xml"));
}

#[test]
fn a_site_without_tests_says_so() {
    let site = TempSite::example("peer-job");
    assert_eq!(osmose(&["test", path(site.path())]).status.code(), Some(4));
}

#[test]
fn a_test_is_cut_from_a_trace_and_holds_the_rules_to_it() {
    let site = TempSite::example("peer-job");
    // p1 stands in room r1 for 20 s, then in the corridor.
    let row = |i: u32| format!("{i}.0,positions,p1,14.0,{}\n", if i < 20 { "3.0" } else { "7.0" });
    let rows: String = (0..40).map(row).collect();
    site.write("walk.csv", &format!("t_s,sensor,device,x_m,y_m\n{rows}"));
    let trace = site.file("walk.mcap");
    let csv = site.file("walk.csv");
    let made = osmose(&["import", "location", path(&csv), "--site", path(site.path()), "-o", path(&trace)]);
    assert!(made.status.success(), "{}", stderr(&made));
    let cut = osmose(&["test", path(site.path()), "--from", path(&trace), "--at", "20"]);
    assert!(cut.status.success(), "{}{}", stdout(&cut), stderr(&cut));
    let output = osmose(&["test", path(site.path())]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("1 test(s), 0 failed"), "{}", stdout(&output));
    site.edit("rules/peer-job.rules", "recorder.pause()", "recorder.stop()");
    assert_eq!(osmose(&["test", path(site.path())]).status.code(), Some(1), "other rules fail it");
}
