//! Whatever a YAML plan or a drawing holds, surveying it ends with a plan or with faults, and never with a panic.

use osmose_load::load;
use osmose_model::site::SourceFile;
use osmose_survey::faults::find;
use osmose_survey::{from_bytes, write};
use proptest::prelude::*;

/// Rectangles, lines and doors anywhere, small numbers so that they meet.
fn drawing() -> impl Strategy<Value = String> {
    let shape = (0u8..4, -3i8..12, -3i8..12, 0i8..8, 0i8..8, 0u8..2);
    prop::collection::vec(shape, 0..24).prop_map(|shapes| {
        let feature = |(i, (sort, x, y, w, h, level)): (usize, &(u8, i8, i8, i8, i8, u8))| {
            let (x, y, w, h) = (f64::from(*x) / 2.0, f64::from(*y) / 2.0, f64::from(*w) / 2.0, f64::from(*h) / 2.0);
            let (kind, category) = [("unit", "room"), ("fixture", "wall"), ("opening", "door"), ("unit", "stairs")][usize::from(*sort)];
            let geometry = if kind == "unit" {
                format!("{{\"type\":\"Polygon\",\"coordinates\":[[[{x},{y}],[{},{y}],[{},{}],[{x},{}]]]}}", x + w, x + w, y + h, y + h)
            } else {
                format!("{{\"type\":\"LineString\",\"coordinates\":[[{x},{y}],[{},{}]]}}", x + w, y + h)
            };
            format!("{{\"type\":\"Feature\",\"id\":\"f{i}\",\"feature_type\":\"{kind}\",\"properties\":{{\"category\":\"{category}\",\"level\":\"l{level}\"}},\"geometry\":{geometry}}}")
        };
        let features: Vec<String> = shapes.iter().enumerate().map(feature).collect();
        format!("{{\"type\":\"FeatureCollection\",\"frame\":\"local\",\"features\":[{}]}}", features.join(","))
    })
}

const PIECES: &[&str] = &[
    "floors:\n",
    "  - id: a\n",
    "    rooms:\n",
    "      - name: x\n",
    "        points: [[0, 0], [4, 0], [4, 3]]\n",
    "    bounds: [[0, 0, 0], [9, 6, 2.4]]\n",
    "    doors:\n",
    "      - [[0, 1], [0, 2]]\n",
    "    walls: 3\n",
    "points: [[1e300, 0]]\n",
    "- ",
    "[",
    "]",
    "{",
    ": ",
    "*a",
    "&a ",
    "\t",
    "'",
    "nan",
    "~\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_drawing_is_surveyed(text in drawing()) {
        let loaded = load(&[SourceFile { path: "floorplan.geojson".to_owned(), text }]);
        if let Some(site) = &loaded.site {
            let found = find(site, &loaded.places);
            prop_assert!(found.iter().all(|f| f.at.is_none_or(osmose_model::geometry::Point::is_plausible)));
            // What is written of it loads again, or had something that is not written.
            let again = load(&[SourceFile { path: "floorplan.geojson".to_owned(), text: write(site, &[]) }]);
            prop_assert!(again.site.is_some(), "{:?}", again.faults);
        }
    }

    #[test]
    fn any_yaml_is_read_or_refused(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14)) {
        if let Ok(handed) = from_bytes("a.yaml", pieces.concat().into_bytes()) {
            let _ = load(&handed.files);
        }
    }
}
