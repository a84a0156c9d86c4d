//! Every fault that a site may have, as it is said: file, line, feature, place, and the way to mend it.

use osmose_load::{load, template};
use osmose_model::site::SourceFile;

/// The template with some of its text replaced, as the faults that `osmose check` prints.
fn broken(edits: &[(&str, &str, &str)]) -> String {
    let mut files = template("office");
    for (path, from, to) in edits {
        let file = files.iter_mut().find(|f| f.path == *path).unwrap();
        assert!(file.text.contains(from), "{path} has no {from}");
        file.text = file.text.replacen(from, to, 1);
    }
    said(&files)
}

fn said(files: &[SourceFile]) -> String {
    let loaded = load(files);
    assert_eq!(loaded.site.is_none(), loaded.faults.iter().any(|f| f.severity == osmose_load::Severity::Error));
    loaded.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const PLAN: &str = "floorplan.geojson";
const DEVICES: &str = "devices.toml";

#[test]
fn the_plan() {
    insta::assert_snapshot!(
        [
            (
                "self-crossing",
                broken(&[(
                    PLAN,
                    "[[[0, 0], [5, 0], [5, 4], [0, 4], [0, 0]]]",
                    "[[[0, 0], [5, 4], [5, 0], [0, 4], [0, 0]]]"
                )])
            ),
            (
                "no level",
                broken(&[(
                    PLAN,
                    "\"unit\", \"properties\": {\"category\": \"conferenceroom\", \"level\": \"ground\"",
                    "\"unit\", \"properties\": {\"category\": \"conferenceroom\", \"level\": \"gruond\""
                )])
            ),
            ("two zones of one name", broken(&[(PLAN, "\"id\": \"desk\"", "\"id\": \"office\"")])),
            ("metres as degrees", broken(&[(PLAN, "\"frame\": \"local\", ", "")])),
            (
                "door to nowhere",
                broken(&[(PLAN, "\"joins\": [\"meeting\", \"office\"]", "\"joins\": [\"metting\", \"office\"]")])
            ),
            ("margin", broken(&[(PLAN, "\"exit_margin_m\": 0.1", "\"exit_margin_m\": -0.1")])),
            ("attribute", broken(&[(PLAN, "\"capacity\": 6", "\"capacity\": \"six\"")])),
            (
                "flat",
                broken(&[(
                    PLAN,
                    "[[[7, 0.5], [9, 0.5], [9, 2], [7, 2], [7, 0.5]]]",
                    "[[[7, 0.5], [9, 0.5], [7, 0.5]]]"
                )])
            ),
        ]
        .map(|(name, text)| format!("# {name}\n{text}\n"))
        .join("\n")
    );
}

#[test]
fn degrees_said_to_be_metres() {
    let corners =
        |s: f64| format!("[[[{0}, 52.2], [{1}, 52.2], [{1}, 52.2003], [{0}, 52.2003], [{0}, 52.2]]]", 0.12, 0.12 + s);
    let plan = format!(
        r#"{{"type":"FeatureCollection","frame":"local","features":[
{{"type":"Feature","id":"hall","feature_type":"unit","properties":{{"category":"room"}},"geometry":{{"type":"Polygon","coordinates":{}}}}}]}}"#,
        corners(0.0004)
    );
    let site = |plan: &str, site: &str, devices: &str| {
        said(
            &[("site.toml", site), (PLAN, plan), (DEVICES, devices)]
                .map(|(p, t)| SourceFile { path: p.into(), text: t.into() }),
        )
    };
    let device = "[[sensor]]\nid = \"a\"\nkind = \"count\"\npose = { x_m = 0.1202, y_m = 52.2001 }\n";
    let geographic = plan.replace("\"frame\":\"local\",", "");
    let far = "name = \"x\"\n[frame]\norigin = { lat_deg = 0.12, lon_deg = 52.2 }\n";
    insta::assert_snapshot!(
        [site(&plan, "name = \"x\"", ""), site(&geographic, "name = \"x\"", device), site(&geographic, far, ""),]
            .join("\n\n")
    );
}

#[test]
fn the_devices() {
    let cases: &[(&str, &str, &str)] = &[
        ("outside the building", "x_m = 2.5, y_m = 2.0", "x_m = 25.0, y_m = 2.0"),
        ("unknown zone", "zones = [\"meeting\"]", "zones = [\"meetin\"]"),
        ("unknown level", "level = \"ground\"", "level = \"first\""),
        ("unknown kind", "kind = \"location\"", "kind = \"locations\""),
        ("unknown key", "field_of_view", "field_of_veiw"),
        ("p_detect", "p_detect = 0.95", "p_detect = 1.5"),
        ("view", "[[5.0, 0.0], [10.0, 0.0], [10.0, 4.0], [5.0, 4.0]]", "[[15.0, 0.0], [20.0, 0.0], [20.0, 4.0]]"),
        (
            "view crossing",
            "[[5.0, 0.0], [10.0, 0.0], [10.0, 4.0], [5.0, 4.0]]",
            "[[5.0, 0.0], [10.0, 4.0], [10.0, 0.0], [5.0, 4.0]]",
        ),
        ("address", "127.0.0.1:7802", "localhost:7802"),
        ("pointer", "device = \"/id\"", "device = \"id.tag\""),
        ("no device in the map", "device = \"/id\", ", ""),
        ("shared port", "127.0.0.1:7803", "127.0.0.1:7801"),
        ("own port", "127.0.0.1:7802", "127.0.0.1:7801"),
        ("duplicate", "id = \"tags\"", "id = \"ceiling-office\""),
        ("state", "default = \"paused\"", "default = \"pausd\""),
        ("wall of a light", "zone = \"meeting\"\n", "zone = \"meeting\"\nwall = \"wall-south\"\n"),
        ("noise of another kind", "noise = { sigma_m = 0.3 }", "noise = { sigma_deg = 0.3 }"),
        ("defaults", "[defaults.position]", "[defaults.positon]"),
    ];
    let said: Vec<String> =
        cases.iter().map(|(name, from, to)| format!("# {name}\n{}\n", broken(&[(DEVICES, from, to)]))).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn more_devices() {
    let more = r#"
[[sensor]]
id = "a"
kind = "value"
unit = "luxx"
connect = { udp = "127.0.0.1:7900", format = "json", map = { value = "/v" } }
[[sensor]]
id = "b"
kind = "value"
unit = "lx"
connect = { udp = "127.0.0.1:7900", format = "json", map = { value = { path = "/v", scale = 0.0 } } }
[[sensor]]
id = "c"
kind = "binary"
connect = { udp = "127.0.0.1:7900", format = "osmose" }
[[sensor]]
id = "d"
kind = "binary"
role = "fire"
class = "state"
[[sensor]]
id = "e"
kind = "range"
zones = ["desk"]
[[actuator]]
id = "f"
kind = "display"
zone = "meeting"
default = "a page with a name that is far too long to be one"
wall = "meeting-table"
connect = "lgo"
[[actuator]]
id = "g"
kind = "speaker"
cells = [{ name = "a cell with a name that is far too long", area = [[0, 0], [1, 0], [1, 1]] }, { name = "x", area = [[0, 0], [50, 0], [50, 1]] }]
"#;
    insta::assert_snapshot!(broken(&[(DEVICES, "# An actuator named", &format!("{more}\n# An actuator named"))]));
}

#[test]
fn nothing_at_all() {
    insta::assert_snapshot!(said(&[]));
}
