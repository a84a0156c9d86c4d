//! Whatever stands in a site's files, loading ends with a site or with errors, and never with a panic.

use osmose_load::{load, template};
use osmose_model::site::SourceFile;
use proptest::prelude::*;

fn check(files: &[SourceFile]) -> Result<(), TestCaseError> {
    let loaded = load(files);
    let errors = loaded.faults.iter().any(|f| f.severity == osmose_load::Severity::Error);
    prop_assert_eq!(loaded.site.is_none(), errors);
    for fault in &loaded.faults {
        prop_assert!(!fault.message.is_empty() && fault.to_string().contains(fault.code));
    }
    Ok(())
}

/// Pieces that get further into the readers than random letters do.
const PIECES: &[&str] = &[
    "[[sensor]]\n",
    "[[actuator]]\n",
    "[[person]]\n",
    "[[group]]\n",
    "[defaults.position]\n",
    "[zones]\n",
    "[frame]\n",
    "id = \"a\"\n",
    "kind = \"position\"\n",
    "kind = \"location\"\n",
    "kind = \"display\"\n",
    "zones = [\"meeting\"]\n",
    "zone = \"meeting\"\n",
    "wall = \"meeting-table\"\n",
    "pose = { x_m = 1e308, y_m = -1 }\n",
    "pose = 3\n",
    "level = \"ground\"\n",
    "field_of_view = [[0,0],[1,1],[1,0],[0,1]]\n",
    "connect = { udp = \"x\", format = \"json\", map = { x_m = \"~\" } }\n",
    "noise = { p_detect = 2 }\n",
    "cells = [{ name = \"c\", area = [[0,0]] }]\n",
    "members = [\"a\", 3]\n",
    "badges = [\"\"]\n",
    "= ",
    "\"",
    "[",
    "]",
    "{",
    "}",
    "nan\n",
    "inf\n",
    "\u{feff}",
    "é",
    "\r\n",
    "x.y.z = 1\n",
];

/// Edits of JSON that keep much of it whole.
const SWAPS: &[(&str, &str)] = &[
    ("5", "1e300"),
    ("10", "-10"),
    ("[5, 1.5]", "[5]"),
    ("\"ground\"", "7"),
    ("\"unit\"", "\"level\""),
    ("\"local\"", "\"x\""),
    ("Polygon", "MultiPolygon"),
    ("Polygon", "LineString"),
    ("\"id\"", "\"di\""),
    ("[[5, 0]", "[[5, 0], [5, 0]"),
    ("\"frame\"", "\"emarf\""),
    ("4]", "400]"),
    ("\"properties\"", "\"bbox\""),
    ("\"geometry\"", "\"x\""),
    ("meeting", ""),
    ("0", "1e-320"),
    ("\"joins\"", "\"connects\""),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_in_any_file(path in prop::sample::select(vec![
        "site.toml", "devices.toml", "people.toml", "floorplan.geojson", "floorplan/main.json", "floorplan/manifest.json", "floorplan/unit.json",
    ]), text in any::<String>()) {
        check(&[SourceFile { path: path.to_owned(), text: text.clone() }])?;
        let mut files = template("x");
        files.retain(|f| f.path != path);
        files.push(SourceFile { path: path.to_owned(), text });
        check(&files)?;
    }

    #[test]
    fn soup_behind_or_instead_of_good_text(file in 0usize..5, keep in 0usize..4000, pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30)) {
        let mut files = template("x");
        let text = &mut files[file].text;
        let mut keep = keep.min(text.len());
        while !text.is_char_boundary(keep) {
            keep -= 1;
        }
        text.truncate(keep);
        text.push('\n');
        text.extend(pieces);
        check(&files)?;
    }

    #[test]
    fn a_plan_with_anything_swapped(swaps in prop::collection::vec((prop::sample::select(SWAPS), 0usize..12), 1..4)) {
        let mut files = template("x");
        let plan = files.iter_mut().find(|f| f.path == "floorplan.geojson").unwrap();
        for ((from, to), nth) in swaps {
            let at = plan.text.match_indices(from).nth(nth).map(|(at, _)| at);
            if let Some(at) = at {
                plan.text.replace_range(at..at + from.len(), to);
            }
        }
        check(&files)?;
    }
}
