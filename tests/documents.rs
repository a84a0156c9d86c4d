//! What the documents name is there: every path in backticks that begins in one of our folders, and every link.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap_or_else(|e| panic!("{document} cannot be read: {e}"))
}

/// The pieces of a text between two marks.
fn between<'t>(text: &'t str, open: &'t str, close: char) -> impl Iterator<Item = &'t str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

/// What stands in backticks and is a path: of plain letters, and in a folder of ours. (`rules/` is a folder of every
/// site too, and `target/` is not there before a build.)
fn paths(text: &str) -> Vec<String> {
    let code = text.lines().flat_map(|l| l.split('`').skip(1).step_by(2));
    let word = |c: &str| c.split([' ', ',']).next().unwrap_or_default().trim_end_matches('/').to_owned();
    let plain = |w: &String| w.contains('/') && w.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c));
    let ours = |w: &String| {
        let first = w.split('/').next().unwrap_or_default();
        !matches!(first, "" | "." | ".." | "rules" | "target") && root().join(first).is_dir()
    };
    code.map(word).filter(plain).filter(ours).collect()
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let mut documents: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(PathBuf::from).into();
    let guides = std::fs::read_dir(root().join("docs")).expect("the guides");
    documents.extend(guides.flatten().map(|e| Path::new("docs").join(e.file_name())));
    let (mut looked_at, mut missing) = (0, Vec::new());
    for document in documents.iter().filter(|d| d.extension().is_some_and(|e| e == "md")) {
        let name = document.to_str().expect("plain letters");
        let text = read(name);
        for path in paths(&text) {
            looked_at += 1;
            if !root().join(&path).exists() {
                missing.push(format!("{name} names {path}"));
            }
        }
        let beside = root().join(document.parent().unwrap_or(Path::new("")));
        for link in between(&text, "](", ')').filter(|l| !l.starts_with("http") && !l.starts_with('#')) {
            looked_at += 1;
            if !beside.join(link.split('#').next().unwrap_or(link)).exists() {
                missing.push(format!("{name} links to {link}"));
            }
        }
    }
    println!("paths and links in documents: {looked_at} checked, {} missing", missing.len());
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(looked_at > 80, "only {looked_at} paths were found");
}

/// The tests that a row of rules/tests/README.md names: file and name, or file and title.
fn tests_of(row: &str) -> Vec<(String, String)> {
    let cell = row.trim_end_matches('|').rsplit(" | ").next().unwrap_or_default();
    let code = cell.split('`').skip(1).step_by(2);
    code.map(|one| match one.split_once(": \"") {
        Some((file, title)) => {
            (format!("examples/automations/tests/{file}.rules"), title.trim_end_matches('"').to_owned())
        }
        None => {
            let (file, name) = one.split_once("::").unwrap_or_else(|| panic!("`{one}` is no test: {row}"));
            let folder = if file.contains('/') { "" } else { "rules/tests/" };
            (format!("{folder}{file}"), name.to_owned())
        }
    })
    .collect()
}

fn is_there((file, name): &(String, String)) -> bool {
    let text = read(file);
    match file.ends_with(".rules") {
        true => text.contains(&format!("test \"{name}\" of ")),
        false => text.split("#[test]").skip(1).any(|one| one.contains(&format!("fn {name}("))),
    }
}

/// Every source file of the workspace.
fn sources(dir: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(std::fs::read_to_string(&path).expect("text"));
        }
    }
}

#[test]
fn every_test_that_the_guide_to_replay_names_is_one() {
    let mut all = Vec::new();
    sources(&root(), &mut all);
    let guide = read("docs/replay.md");
    let rows = guide.lines().filter(|l| l.starts_with("| "));
    let code = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let is_name = |c: &&str| c.matches('_').count() > 2 && c.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    let named: Vec<&str> = code.filter(is_name).collect();
    let is_test = |name: &&str| {
        let head = format!("fn {name}(");
        all.iter().any(|text| text.split("#[test]").skip(1).any(|one| one.contains(&head)))
    };
    let missing: Vec<&&str> = named.iter().filter(|name| !is_test(name)).collect();
    println!("tests named by the guide to replay: {}", named.len());
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named.len() > 40, "{}", named.len());
}

/// What is left of a design's text once what the rows quote is taken out of it.
fn left_over(mut design: String, rows: &[&str]) -> String {
    for row in rows {
        let quoted = row.strip_prefix("| \"").and_then(|r| r.split("\" | ").next()).expect("a sentence in quotes");
        assert!(design.contains(quoted), "the design does not say: {quoted}");
        design = design.replacen(quoted, " ", 1);
    }
    design
}

#[test]
fn every_example_and_every_automation_has_the_test_that_is_named_for_it() {
    let table = read("rules/tests/README.md");
    let rows: Vec<&str> = table.lines().filter(|l| l.starts_with("| `") || l.starts_with("| \"")).collect();
    let named: Vec<(String, String)> = rows.iter().flat_map(|row| tests_of(row)).collect();
    let missing: Vec<_> = named.iter().filter(|test| !is_there(test)).collect();
    println!("rows of examples and automations: {}, tests named: {}", rows.len(), named.len());
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(rows.len() > 80 && rows.iter().all(|row| !tests_of(row).is_empty()));

    let design = |name: &str| std::fs::read_to_string(root().join("../shared/design").join(name));
    let (Ok(rules), Ok(automations)) = (design("RULES.md"), design("AUTOMATIONS.md")) else {
        println!("skipped: the designs are not beside this checkout");
        return;
    };
    // Every example by the words that it begins with.
    for line in rules.lines().filter(|l| ["rule ", "interlock ", "policy "].iter().any(|w| l.starts_with(w))) {
        let head: Vec<&str> = line.split_whitespace().take(2).collect();
        assert!(table.contains(&format!("| `{}`", head.join(" "))), "no row for `{}`", head.join(" "));
    }
    // Nothing but titles and the words that join is left of what the words mean and of the automations. A `|` would end a
    // cell, so it is written `/`.
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/");
    let meaning = between(&rules, "## What the words mean", '#').next().expect("the section");
    let quoting = |section: &str| {
        let text = between(&table, section, '#').next().expect("the section").to_owned();
        rows.iter().copied().filter(move |row| text.contains(row)).collect::<Vec<_>>()
    };
    let left = left_over(squeezed(meaning), &quoting("## What the words mean"));
    let plain: String = left.split("**").step_by(2).collect();
    let tail =
        "`AUTOMATIONS.md` lists what integrators write every week; the language must say all of it without tricks.";
    let words: Vec<&str> = plain.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).collect();
    let tail: Vec<&str> = tail.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).collect();
    assert_eq!(words, tail, "of what the words mean");
    let cases = automations.split_once("\n1. ").expect("a list").1;
    let left = left_over(squeezed(cases), &quoting("## Automations that integrators write every week"));
    let plain: String = left.split("**").step_by(2).collect();
    assert!(!plain.contains(|c: char| c.is_alphabetic()), "of the automations: {plain}");
}
