//! Any text as a rules file: a tree that holds it byte for byte, messages that can be drawn, a layout that stays as it
//! is, and a JSON form that gives the text back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osmose_rules::{fmt, json, parse};

fuzz_target!(|text: &str| {
    let parsed = parse("a.rules", text);
    assert_eq!(parsed.syntax().text().to_string(), text, "the tree holds the text");
    for diagnostic in &parsed.diagnostics {
        let _ = std::hint::black_box((diagnostic.render(text, false), diagnostic.to_json(text)));
    }
    let form = json::to_json(&parsed);
    assert_eq!(json::from_json(&form).expect("its own form"), text, "the JSON form is lossless");
    if let Some(once) = fmt::format(&parsed) {
        let again = parse("a.rules", &once);
        assert!(again.diagnostics.is_empty(), "laid out it parses as before:\n{once}");
        assert_eq!(fmt::format(&again).as_deref(), Some(once.as_str()), "laid out once is laid out");
    }
});
