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
