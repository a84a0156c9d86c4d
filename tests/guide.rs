//! The guide's examples hold: what it shows compiles against the co-working building and is laid out or nearly so,
//! what it calls refused is refused for that reason, and its tests pass.

mod common;

use common::root;
use common::site::TempSite;
use osmose_rules::cost::Table;
use osmose_rules::{Diagnostic, conflict, cost};
use std::process::Command;

/// Blocks of the guide: what stands behind the fence, and the text.
fn blocks() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("docs/rules.md")).expect("the guide");
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.to_owned(), String::new())),
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some((_, body)), _) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Everything that `osmose check` says of a text as the only rules of the building.
fn findings(text: &str) -> Vec<Diagnostic> {
    let loaded = osmose_load::load_dir(&root().join("examples/coworking"));
    let site = loaded.site.expect("the example loads");
    let files = [osmose_model::site::SourceFile { path: "rules/guide.rules".into(), text: text.to_owned() }];
    let checked = osmose_rules::check(&site, &files);
    let mut all = checked.diagnostics;
    if let Some(program) = &checked.program {
        all.extend(cost::assess(program, &site, &files, &Table::committed()).diagnostics);
        all.extend(conflict::find(program, &site, &files).diagnostics);
        all.extend(conflict::prove(program, &site, &files).1);
    }
    all
}

#[test]
fn every_example_is_as_the_guide_says() {
    let (mut right, mut refused) = (0, 0);
    for (info, text) in blocks() {
        let found = findings(&text);
        let drawn = || found.iter().map(|d| d.render(&text, false)).collect::<Vec<_>>().join("\n");
        match info.split_once(' ') {
            Some(("refused", code)) => {
                refused += 1;
                assert!(found.iter().any(|d| d.is_error() && d.code == code), "{text}\n{}", drawn());
            }
            _ => {
                right += 1;
                assert_eq!(info, "rules");
                assert!(found.is_empty(), "{text}\n{}", drawn());
            }
        }
    }
    println!("{right} examples run, {refused} are refused as said");
    assert!(right >= 19 && refused >= 4);
}

#[test]
fn the_guides_tests_pass() {
    let site = TempSite::example("coworking");
    let text = blocks().into_iter().map(|(_, t)| t).find(|t| t.contains("test \"")).expect("the guide has tests");
    site.write("rules/coworking.rules", &text);
    let output =
        Command::new(env!("CARGO_BIN_EXE_osmose")).args(["test"]).arg(site.path()).output().expect("osmose runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("2 test(s), 0 failed"), "{said}");
    assert!(said.contains("1 of 1 rules acted, 2 of 2 branches"), "{said}");
}

#[test]
fn the_grammar_for_editors_knows_the_languages_words() {
    let path = root().join("docs/editors/vscode/syntaxes/osmose-rules.tmLanguage.json");
    let grammar: serde_json::Value = serde_json::from_slice(&std::fs::read(path).expect("the grammar")).expect("JSON");
    let text = grammar["patterns"].to_string();
    use osmose_rules::syntax::words;
    for word in words::ITEMS.iter().chain(words::CLAUSES).chain(words::VERBS).chain(words::OPERATORS) {
        let bounded = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let found = text
            .match_indices(word)
            .any(|(at, _)| bounded(text[..at].chars().last()) && bounded(text[at + word.len()..].chars().next()));
        assert!(found, "the grammar does not know `{word}`");
    }
}
