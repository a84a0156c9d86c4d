//! The streaming walk against a slow, obvious reference: the whole body as a tree, pointers looked up in it.

use super::scan::{Elements, Members, walk};
use super::*;
use proptest::prelude::*;
use serde_json::Value as Tree;

/// A JSON body, with the odd duplicate key, escape and big number in it.
fn any_body() -> impl Strategy<Value = String> {
    let key = prop_oneof![Just("a"), Just("b"), Just("a~b"), Just("x/y"), Just("0"), Just("\\u0061"), Just("\\\"")];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| format!("{f:?}")),
        Just("-0".to_owned()),
        Just("1E5".to_owned()),
        "[a-z ]{0,5}".prop_map(|s| format!("\"{s}\"")),
        Just("\"\\ud83d\\ude00\\n\\/\"".to_owned()),
        Just("\"\u{e9}\u{1F600}\"".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let member = (key.clone(), inner.clone()).prop_map(|(k, v)| format!("\"{k}\" :{v}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(|v| format!("[{}]", v.join(" ,\n"))),
            proptest::collection::vec(member, 0..5).prop_map(|v| format!("{{{}}}", v.join(", "))),
        ]
    })
}

const POINTERS: [&str; 14] =
    ["", "/a", "/b", "/a/a", "/a/b", "/0", "/1", "/a/0", "/a/0/b", "/a~0b", "/x~1y/0", "/\"", "/00", "/b/a/b"];

/// A found value as the tree would have it.
fn as_tree(value: Value, text: &str) -> Tree {
    let raw = value.raw(text);
    match value.kind {
        Kind::Text => Tree::String(raw.to_owned()),
        Kind::Escaped => Tree::String(scan::unescape(raw).collect()),
        _ => serde_json::from_str(raw).unwrap_or_else(|e| panic!("{raw:?}: {e}")),
    }
}

proptest! {
    #[test]
    fn the_walk_finds_what_the_tree_holds(body in any_body()) {
        let tree: Tree = serde_json::from_str(&body).unwrap();
        let mut pointers = Pointers::new();
        let slots: Vec<_> = POINTERS.iter().map(|p| pointers.add(p).unwrap()).collect();
        let mut found = Found::default();
        prop_assert!(walk(&body, &pointers, &mut found).is_ok());
        for (pointer, slot) in POINTERS.iter().zip(slots) {
            let walked = found.get(slot).map(|v| as_tree(v, &body));
            prop_assert_eq!(walked.as_ref(), tree.pointer(pointer), "{} in {}", pointer, body);
        }
    }

    #[test]
    fn the_walk_takes_exactly_what_is_json(body in any_body(), cut in any::<usize>(), put in "[\\[\\]{}\",:0-9.eE+a-z\\\\ \\x01-]{0,2}") {
        // A valid body with a piece taken out and another put in: mostly no JSON any more.
        let starts: Vec<_> = body.char_indices().map(|(i, _)| i).collect();
        let at = starts[cut % starts.len()];
        let end = body[at..].char_indices().nth(1).map_or(body.len(), |(i, _)| at + i);
        let changed = format!("{}{put}{}", &body[..at], &body[end..]);
        let tree: Result<Tree, _> = serde_json::from_str(&changed);
        // The tree's numbers are floats and refuse what overflows them; the walk leaves that to the field's check.
        prop_assume!(!tree.as_ref().is_err_and(|e| e.to_string().contains("out of range")));
        let walked = walk(&changed, &Pointers::new(), &mut Found::default());
        prop_assert_eq!(walked.is_ok(), tree.is_ok(), "{}", changed);
    }

    #[test]
    fn elements_and_members_are_those_of_the_tree(body in any_body()) {
        let tree: Tree = serde_json::from_str(&body).unwrap();
        let mut pointers = Pointers::new();
        let (whole, a) = (pointers.add("").unwrap(), pointers.add("/a").unwrap());
        let (mut found, mut item) = (Found::default(), Found::default());
        walk(&body, &pointers, &mut found).unwrap();
        let root = found.get(whole).unwrap();
        if let Tree::Array(items) = &tree {
            let mut elements = Elements::of(&body, root);
            for expected in items {
                prop_assert_eq!(elements.next(&pointers, &mut item), Ok(true));
                prop_assert_eq!(&item.get(whole).map(|v| as_tree(v, &body)).unwrap(), expected);
                let member = item.get(a).map(|v| as_tree(v, &body));
                prop_assert_eq!(member.as_ref(), expected.pointer("/a"));
            }
            prop_assert_eq!(elements.next(&pointers, &mut item), Ok(false));
        }
        if let Tree::Object(members) = &tree {
            let mut all = serde_json::Map::new();
            let mut walked = Members::of(&body, root);
            while let Some(m) = walked.next(&Pointers::new()).unwrap() {
                all.insert(scan::unescape(m.key).collect(), as_tree(m.value, &body));
            }
            prop_assert_eq!(&all, members);
        }
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let too_deep = format!("{}{}", "[".repeat(66), "]".repeat(66));
    let ok = |text: &str| walk(text, &Pointers::new(), &mut Found::default()).is_ok();
    assert!(ok(&deep) && !ok(&too_deep));
    for bad in [
        "",
        " ",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "-",
        "nul",
        "{\"a\"}",
        "[1,]",
        "{,}",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\t\"",
        "1 2",
        "NaN",
        "'a'",
    ] {
        assert!(!ok(bad), "{bad:?}");
    }
    for good in ["0", "-0.0e-0", " [ ] ", "{ }", "\"\\u00e9\"", "null", "\n{\"a\" : [1 , 2]}\r"] {
        assert!(ok(good), "{good:?}");
    }
}

#[test]
fn a_map_that_cannot_work_is_named() {
    let mut map = crate::testing::map(&[("x_m", "/x"), ("colour", "/c"), ("seq", "/s")]);
    map.each = Some("items".into());
    let faults: Vec<_> = check_map(SensorKind::Position, &map).iter().map(MapFault::to_string).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].contains("`colour` is no field of a position sensor"));
    assert!(faults[1].contains("needs `y_m`") && faults[2].contains("`items` is no JSON pointer"));
}
