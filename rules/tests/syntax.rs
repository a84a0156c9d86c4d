//! The front end from outside: the tree is lossless, the design's own examples parse, and messages read well.

use osmose_rules::{Diagnostic, parse};
use proptest::prelude::*;

fn tree(text: &str) -> String {
    let parsed = parse("a.rules", text);
    assert_eq!(parsed.syntax().text().to_string(), text, "the tree must hold the text byte for byte");
    assert!(parsed.diagnostics.is_empty(), "{}", drawn(&parsed.diagnostics, text));
    format!("{:#?}", parsed.syntax())
}

fn drawn(diagnostics: &[Diagnostic], text: &str) -> String {
    diagnostics.iter().map(|d| d.render(text, false)).collect::<Vec<_>>().join("\n\n")
}

fn messages(text: &str) -> String {
    let parsed = parse("a.rules", text);
    assert_eq!(parsed.syntax().text().to_string(), text);
    assert!(!parsed.diagnostics.is_empty(), "this text should not parse: {text}");
    drawn(&parsed.diagnostics, text)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may read the design that lies beside the checkout")]
fn the_examples_of_the_design_parse_without_a_complaint() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/design/RULES.md");
    let Ok(design) = std::fs::read_to_string(path) else {
        println!("skipped: the design's RULES.md is not beside this checkout");
        return;
    };
    let fence = "```";
    let code = design.split(fence).nth(1).expect("RULES.md has a code block").trim_start_matches('\n');
    let parsed = parse("RULES.md", code);
    assert_eq!(parsed.syntax().text().to_string(), code);
    assert!(parsed.diagnostics.is_empty(), "{}", drawn(&parsed.diagnostics, code));
    let items = parsed.file().items().count();
    assert!(items >= 15, "only {items} items were found");
    println!("{items} items of RULES.md parsed");
}

#[test]
fn grammar_of_an_edge_rule() {
    insta::assert_snapshot!(tree(
        "rule pause {\n  for each room r where r.recorder\n  when any p in participants(r) leaves r\n  \
         if r.recorder is recording\n  do r.recorder.pause(reason: \"{p} left\")\n}\n"
    ));
}

#[test]
fn grammar_binds_for_tighter_than_and_and_until_loosest() {
    insta::assert_snapshot!(tree(
        "rule a { while not x in y and count(people in r) > 80 % of r.capacity for 30 s until (z) hold r.l = 1 + 2 * 3 }"
    ));
}

#[test]
fn grammar_of_the_rest() {
    let text = "edition 1
mode house { home default, away }
counter visits per zone since day
rule a over b
rule s { when p facing w (15 deg) for 300 ms then p waves within 1.5 s do ask(p); wait 30 s unless q; x.level = 5 % over 2 s; }
rule t { for each room r while no motion in r for 1 min across gaps: restart and all sensors of r are alive
  hold all doors.lock = open, r.lights.level = if time in 22:00..06:00 then 30 % else 80 % at start release after 5 min }
test \"x\" of a { at 0 s ben:staff in m7 at 1 s ben leaves m7 expect nothing for 10 s expect a.b at 10:02:14.318 +- 1 ms }
prove a outranks *
";
    insta::assert_snapshot!(tree(text));
}

#[test]
fn messages_point_and_propose() {
    insta::assert_snapshot!(messages(
        "ruel a { do x.y() }\n\nrule b {\n  wen p in lobby\n  do x.y(\n  level comfort\n}\nrule c {\n  while a is\n  \
         hold b.c = 1 mn\n}\nrule d {\n  when a < b < c do x.y() ;;\n  if p entres lobby\n\nrule e { do \"open }\n"
    ));
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = format!("rule a {{ if {}x do y.z() }}", "(".repeat(50_000));
    assert!(messages(&deep).contains("nested"));
    let long = format!("rule a {{ if {}x do y.z() }}", "x + ".repeat(50_000));
    assert!(messages(&long).contains("in one chain"));
    let nots = format!("rule a {{ if {}x do y.z() }}", "not ".repeat(50_000));
    assert!(messages(&nots).contains("nested"));
    let dots = format!("rule a {{ if x{} do y.z() }}", ".x".repeat(50_000));
    assert!(messages(&dots).contains("in one chain"));
    let flat = format!("rule a {{ if {}x do y.z() }}", "x and ".repeat(5_000));
    assert!(parse("a", &flat).diagnostics.is_empty());
}

/// Texts made of the language's own words reach far deeper than random letters do.
fn soup() -> impl Strategy<Value = String> {
    let words = "rule interlock policy test prove mode levels defaults for each when while if do hold release after settle \
                 deadline level once per suppress on unknown forbid guard allow else and or not in is are then until \
                 within where any all no nobody of enters leaves facing time count people lobby m7.recorder \"s\" \"{p}\" \
                 12 1.5 22:00 ms % { } ( ) , ; : . .. = == < > + - * / +- # \n \" § é";
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    prop::collection::vec(prop::sample::select(words), 0..60).prop_map(|w| w.join(" "))
}

proptest! {
    #[test]
    fn parsing_never_panics_and_loses_nothing(text in prop_oneof![soup(), any::<String>()]) {
        let parsed = parse("a.rules", &text);
        prop_assert_eq!(parsed.syntax().text().to_string(), text.clone());
        for diagnostic in &parsed.diagnostics {
            prop_assert!(diagnostic.render(&text, false).contains(diagnostic.code));
            prop_assert!(diagnostic.to_json(&text)["line"].as_u64() >= Some(1));
        }
    }
}
