//! One small plan with every fault, as its integrator is told of them.

use osmose_load::load;
use osmose_model::site::SourceFile;
use osmose_survey::faults::find;

/// Two levels of 20 m by 10 m. What is wrong: see the snapshot.
const PLAN: &str = r#"{"type":"FeatureCollection","frame":"local","features":[
{"type":"Feature","id":"ground","feature_type":"level","properties":{"ordinal":0},"geometry":{"type":"Polygon","coordinates":[[[0,0],[20,0],[20,10],[0,10],[0,0]]]}},
{"type":"Feature","id":"upper","feature_type":"level","properties":{"ordinal":1},"geometry":{"type":"Polygon","coordinates":[[[0,0],[20,0],[20,10],[0,10],[0,0]]]}},
{"type":"Feature","id":"hall","feature_type":"unit","properties":{"category":"lobby","level":"ground"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[8,0],[8,6],[0,6],[0,0]]]}},
{"type":"Feature","id":"office","feature_type":"unit","properties":{"category":"office","level":"ground"},"geometry":{"type":"Polygon","coordinates":[[[7.5,0],[12,0],[12,6],[7.5,6],[7.5,0]]]}},
{"type":"Feature","id":"booth","feature_type":"unit","properties":{"category":"room","level":"ground"},"geometry":{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,2],[1,1]]]}},
{"type":"Feature","id":"store","feature_type":"unit","properties":{"category":"storage","level":"ground"},"geometry":{"type":"Polygon","coordinates":[[[12,0],[16,0],[16,6],[12,6],[12,0]]]}},
{"type":"Feature","id":"vault","feature_type":"unit","properties":{"category":"storage","level":"ground"},"geometry":{"type":"Polygon","coordinates":[[[16,0],[20,0],[20,6],[16,6],[16,0]]]}},
{"type":"Feature","id":"attic","feature_type":"unit","properties":{"category":"room","level":"upper"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[8,0],[8,6],[0,6],[0,0]]]}},
{"type":"Feature","id":"closet","feature_type":"unit","properties":{"category":"storage","level":"upper"},"geometry":{"type":"Polygon","coordinates":[[[8,0],[9,0],[9,2],[8,2],[8,0]]]}},
{"type":"Feature","id":"ladder","feature_type":"unit","properties":{"category":"stairs","level":"ground"},"geometry":{"type":"Polygon","coordinates":[[[0,6],[4,6],[4,10],[0,10],[0,6]]]}},
{"type":"Feature","id":"outer","feature_type":"fixture","properties":{"category":"wall","level":"ground"},"geometry":{"type":"LineString","coordinates":[[0,0],[20,0],[20,10],[0,10],[0,0]]}},
{"type":"Feature","id":"across","feature_type":"fixture","properties":{"category":"wall","level":"ground"},"geometry":{"type":"LineString","coordinates":[[0,6],[19.6,6]]}},
{"type":"Feature","id":"west","feature_type":"fixture","properties":{"category":"wall","level":"ground"},"geometry":{"type":"LineString","coordinates":[[8,0],[8,6]]}},
{"type":"Feature","id":"middle","feature_type":"fixture","properties":{"category":"wall","level":"ground"},"geometry":{"type":"LineString","coordinates":[[12,0],[12,6]]}},
{"type":"Feature","id":"east","feature_type":"fixture","properties":{"category":"wall","level":"ground"},"geometry":{"type":"LineString","coordinates":[[16,0],[16,6]]}},
{"type":"Feature","id":"front","feature_type":"opening","properties":{"level":"ground"},"geometry":{"type":"LineString","coordinates":[[3,0],[4,0]]}},
{"type":"Feature","id":"inner","feature_type":"opening","properties":{"level":"ground"},"geometry":{"type":"LineString","coordinates":[[8,2],[8,3]]}},
{"type":"Feature","id":"stray","feature_type":"opening","properties":{"level":"ground"},"geometry":{"type":"LineString","coordinates":[[16,8],[17,8]]}},
{"type":"Feature","id":"back","feature_type":"opening","properties":{"level":"ground"},"geometry":{"type":"LineString","coordinates":[[10,6],[11,6]]}},
{"type":"Feature","id":"inside","feature_type":"opening","properties":{"level":"ground"},"geometry":{"type":"LineString","coordinates":[[5,3],[6,3]]}},
{"type":"Feature","id":"secret","feature_type":"opening","properties":{"level":"ground","joins":["store","vault"]},"geometry":{"type":"LineString","coordinates":[[16,2],[16,3]]}},
{"type":"Feature","id":"skylight","feature_type":"opening","properties":{"level":"upper"},"geometry":{"type":"LineString","coordinates":[[3,0],[4,0]]}}
]}"#;

const DEVICES: &str = r#"[[sensor]]
id = "radar"
kind = "position"
level = "ground"
zones = ["store"]
pose = { x_m = 1.0, y_m = 1.0, z_m = 2.5 }
field_of_view = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]

[[sensor]]
id = "lookout"
kind = "position"
level = "ground"
pose = { x_m = 14.0, y_m = 9.0, z_m = 2.5 }
field_of_view = [[12.0, 7.0], [18.0, 7.0], [18.0, 9.5], [12.0, 9.5]]
"#;

fn files(parts: &[(&str, &str)]) -> Vec<SourceFile> {
    parts.iter().map(|(path, text)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() }).collect()
}

#[test]
fn every_fault_is_told_with_its_place_and_the_way_to_mend_it() {
    let loaded = load(&files(&[("floorplan.geojson", PLAN), ("devices.toml", DEVICES), ("site.toml", "name = \"x\"")]));
    let site = loaded.site.unwrap_or_else(|| panic!("{:#?}", loaded.faults));
    let found = find(&site, &loaded.places);
    let told: Vec<String> = found.iter().map(|f| f.fault.to_string()).collect();
    insta::assert_snapshot!(told.join("\n"));
    for code in
        ["overlap", "no-door", "door-nowhere", "wall-gap", "unreachable", "no-stairs", "stairs-alone", "covers-nothing"]
    {
        assert!(found.iter().any(|f| f.fault.code == code), "{code} in\n{}", told.join("\n"));
    }
    assert!(found.iter().all(|f| f.fault.line.is_some() && !f.fault.help.is_empty()));
}

#[test]
fn a_plan_that_is_right_has_no_fault() {
    let loaded = load(&osmose_load::template("office"));
    let found = find(&loaded.site.unwrap(), &loaded.places);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_examples_are_right_but_for_what_is_known() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut looked_at = 0;
    for example in examples.read_dir().unwrap().flatten().filter(|e| e.path().join("floorplan.geojson").exists()) {
        let loaded = osmose_load::load_dir(&example.path());
        let found = find(&loaded.site.unwrap(), &loaded.places);
        let told: Vec<String> = found.iter().map(|f| f.fault.to_string()).collect();
        // The job of the peers has rooms and no corridor between them, as they have it.
        match example.file_name().to_str() {
            Some("peer-job") => insta::assert_snapshot!("example_peer-job", told.join("\n")),
            name => assert!(told.is_empty(), "{name:?}: {}", told.join("\n")),
        }
        looked_at += 1;
    }
    assert!(looked_at >= 3);
}
