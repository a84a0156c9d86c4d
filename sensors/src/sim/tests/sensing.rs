//! Sensors against truth: what they declare of their errors holds over many samples, and what happens is sensed.

use super::*;
use osmose_model::geometry::Point;
use osmose_model::observation::Direction;
use osmose_model::time::LogicalNs;

fn position(id: &str, x_m: f64, field: [f64; 2], p_detect: f64, sigma_m: f64, clutter: f64) -> String {
    let [from, to] = field;
    format!(
        "[[sensor]]\nid = \"{id}\"\nkind = \"position\"\nlevel = \"ground\"\nzones = [\"a\"]\nrate_hz = 10\nclock = \"device\"\nclass = \"state\"\n\
         pose = {{ x_m = {x_m:?}, y_m = 3.0, z_m = 2.8 }}\ncoordinates = \"site\"\n\
         field_of_view = [[{from:?}, 0.0], [{to:?}, 0.0], [{to:?}, 6.0], [{from:?}, 6.0]]\n\
         noise = {{ sigma_m = {sigma_m:?}, p_detect = {p_detect:?}, clutter_per_scan = {clutter:?} }}\n"
    )
}

const ANA: &str = "[[person]]\nwho = \"ana\"\ndoes = [\"starts at 3 3\"]\n";

#[test]
fn detections_have_the_errors_that_the_sensor_declares() {
    let site = rooms(&position("eye", 1.0, [0.0, 6.0], 0.9, 0.12, 1e-9));
    let mut sim = Sim::new(&site, morning(ANA), 1).unwrap();
    sim.advance(seconds(0.1), &mut |_, _, _, _| {});
    let truth = sim.truth(seconds(0.1)).next().unwrap().place.at;
    let (mut scans, mut errors): (u32, Vec<[f64; 2]>) = (0, Vec::new());
    observe(&mut sim, seconds(2000.0), |_, _, _, body| {
        let Body::Position(seen) = body else { return };
        scans += 1;
        assert!(seen.len() <= 1);
        errors.extend(seen.iter().map(|d| [d.place.at.x_m - truth.x_m, d.place.at.y_m - truth.y_m]));
    });
    let (n, scans) = (errors.len() as f64, f64::from(scans));
    assert!(scans > 19_990.0, "{scans} scans in 2,000 s at 10 Hz");
    // Four standard errors each.
    let share = n / scans;
    assert!((share - 0.9).abs() < 4.0 * (0.09 / scans).sqrt(), "p_detect {share}");
    for axis in 0..2 {
        let mean = errors.iter().map(|e| e[axis]).sum::<f64>() / n;
        let sigma = (errors.iter().map(|e| (e[axis] - mean) * (e[axis] - mean)).sum::<f64>() / n).sqrt();
        assert!(mean.abs() < 4.0 * 0.12 / n.sqrt(), "axis {axis}: mean error {mean}");
        assert!((sigma / 0.12 - 1.0).abs() < 4.0 / (2.0 * n).sqrt(), "axis {axis}: sigma {sigma}");
    }
    let together = errors.iter().map(|e| e[0] * e[1]).sum::<f64>() / n / (0.12 * 0.12);
    assert!(together.abs() < 4.0 / n.sqrt(), "the axes are correlated: {together}");
}

#[test]
fn false_detections_come_as_often_as_declared_and_anywhere_in_the_field_of_view() {
    let site = rooms(&position("eye", 7.0, [6.0, 12.0], 0.9, 0.12, 1.5));
    let mut sim = Sim::new(&site, morning(ANA), 1).unwrap();
    let (mut scans, mut at): (f64, Vec<Point>) = (0.0, Vec::new());
    let mut squares = 0.0;
    observe(&mut sim, seconds(2000.0), |_, _, _, body| {
        let Body::Position(seen) = body else { return };
        scans += 1.0;
        squares += (seen.len() * seen.len()) as f64;
        at.extend(seen.iter().map(|d| d.place.at));
    });
    let n = at.len() as f64;
    let mean = n / scans;
    assert!((mean - 1.5).abs() < 4.0 * (1.5 / scans).sqrt(), "{mean} a scan");
    let variance = squares / scans - mean * mean;
    assert!((variance / 1.5 - 1.0).abs() < 0.06, "not Poisson: variance {variance}");
    // Uniform over 6 x 6 m: quarters are equally full.
    for (left, low) in [(true, true), (true, false), (false, true), (false, false)] {
        let share = at.iter().filter(|p| (p.x_m < 9.0) == left && (p.y_m < 3.0) == low).count() as f64 / n;
        assert!((share - 0.25).abs() < 4.0 * (0.1875 / n).sqrt(), "quarter {left} {low}: {share}");
    }
    assert!(at.iter().all(|p| (6.0..=12.0).contains(&p.x_m) && (0.0..=6.0).contains(&p.y_m)));
}

#[test]
fn walls_hide_and_glass_does_not() {
    let wide = |id, x| position(id, x, [0.0, 18.0], 1.0, 0.01, 1e-9);
    let site = rooms(&(wide("in-a", 1.0) + &wide("in-b", 7.0) + &wide("in-c", 17.0)));
    // Nobody stands on the line through the door; one person in b, seen from b and through glass from c.
    let script = "[[person]]\nwho = \"ana\"\ndoes = [\"starts at 8.0 5.0\"]\n";
    let mut sim = Sim::new(&site, morning(script), 1).unwrap();
    let mut seen = [0, 0, 0];
    observe(&mut sim, seconds(20.0), |_, sensor, _, body| {
        if let Body::Position(items) = body {
            seen[sensor.index()] += items.len();
        }
    });
    assert_eq!(seen[0], 0, "seen through a wall");
    assert!(seen[1] >= 199 && seen[2] >= 199, "{seen:?}");
}

#[test]
fn crossings_are_those_of_the_truth() {
    let (site, _) = coworking();
    let mut sim = Sim::new(&site, Scenario::Crowd { people: 60, stay_s: [0.0, 5.0] }, 2).unwrap();
    // Rooms whose only door has a sensor.
    let doors: Vec<(SensorId, ZoneId)> =
        [("crossing-m7", "m7"), ("crossing-m3", "m3"), ("crossing-m5", "m5"), ("crossing-m9", "m9")]
            .map(|(s, z)| (site.sensor_named(s).unwrap(), site.zone_named(z).unwrap()))
            .to_vec();
    let mut sensed: Vec<(ArrivalNs, ZoneId, bool)> = Vec::new();
    observe(&mut sim, seconds(240.0), |_, sensor, measured, body| {
        if let (Body::Crossing { direction }, Some(door)) = (body, doors.iter().find(|d| d.0 == sensor)) {
            sensed.push((measured, door.1, direction == Direction::In));
        }
    });
    let mut truth = Vec::new();
    sim.take_crossings(&mut truth);
    // Whoever started inside did not come through the door; the last few milliseconds are still on their way.
    let is_door =
        |c: &&TrueCrossing| doors.iter().any(|d| d.1 == c.zone) && c.at > seconds(0.02) && c.at < seconds(239.9);
    let mut truth: Vec<(ArrivalNs, ZoneId, bool)> =
        truth.iter().filter(is_door).map(|c| (c.at, c.zone, c.entered)).collect();
    sensed.retain(|s| s.0 < seconds(239.9));
    sensed.sort_unstable();
    truth.sort_unstable();
    assert!(truth.len() > 40, "only {} crossings", truth.len());
    assert_eq!(sensed.len(), truth.len());
    for (s, t) in sensed.iter().zip(&truth) {
        assert_eq!((s.1, s.2), (t.1, t.2));
        assert!((s.0.0 - t.0.0).abs() < 1_000, "sensed at {}, true at {}", s.0, t.0);
    }
}

#[test]
fn a_badge_is_read_once_a_pass_and_not_through_a_wall() {
    let reader = |id: &str, x: f64, p_wrong: f64| {
        format!(
            "[[sensor]]\nid = \"{id}\"\nkind = \"badge\"\nlevel = \"ground\"\nzones = [\"a\"]\nclass = \"edge\"\nclock = \"device\"\n\
             pose = {{ x_m = {x:?}, y_m = 5.0, z_m = 1.2 }}\nnoise = {{ p_wrong = {p_wrong:?} }}\n"
        )
    };
    let site = rooms(&(reader("r", 5.8, 1e-9) + &reader("behind", 6.2, 1e-9)));
    let script = "[[person]]\nwho = \"ana\"\ndoes = [\"starts at 1 1\", \"badges at r\", \"stays 5 s\", \"goes to 1 1\", \"badges at r\"]\n\
                  [[extras]]\nname = \"x\"\ndoes = [\"starts at 1 4\", \"at 20 s badges at r\"]\n";
    let mut sim = Sim::new(&site, morning(script), 1).unwrap();
    let mut read = Vec::new();
    observe(&mut sim, seconds(60.0), |_, sensor, _, body| {
        if let Body::Badge { badge } = body {
            read.push((sensor, site.carried_name(badge).map(str::to_owned)));
        }
    });
    let ana = (site.sensor_named("r").unwrap(), Some("04A2".to_owned()));
    assert_eq!(read, [ana.clone(), ana]);
}

#[test]
fn motion_and_contacts_follow_people_and_panels_follow_the_script() {
    let binary = |id: &str, role: &str, zone: &str, x: f64, y: f64| {
        format!(
            "[[sensor]]\nid = \"{id}\"\nkind = \"binary\"\nrole = \"{role}\"\nlevel = \"ground\"\nzones = [\"{zone}\"]\nclock = \"device\"\n\
             pose = {{ x_m = {x:?}, y_m = {y:?}, z_m = 2.0 }}\nclass = \"{}\"\nnoise = {{ p_detect = 1.0, false_per_hour = 0.0, hold_s = 3.0 }}\n",
            if role == "fire" { "safety" } else { "edge" }
        )
    };
    let site = rooms(
        &(binary("pir", "motion", "b", 11.0, 5.0)
            + &binary("contact", "contact", "b", 6.0, 3.0)
            + &binary("fire", "fire", "a", 1.0, 1.0)
            + &binary("mat", "mat", "a", 1.0, 1.0)),
    );
    let script = "[[person]]\nwho = \"ana\"\nspeed_mps = 1.0\ndoes = [\"starts at 1 3\", \"at 5 s goes to 11 3\", \"goes to 1 3\"]\n\
                  [[event]]\nat_s = 30.0\nsensor = \"fire\"\non = true\n";
    let mut sim = Sim::new(&site, morning(script), 1).unwrap();
    let mut said: Vec<Vec<(f64, bool)>> = vec![Vec::new(); 4];
    observe(&mut sim, seconds(40.0), |_, sensor, measured, body| {
        if let Body::Binary { on } = body {
            said[sensor.index()].push((measured.0 as f64 / 1e9, on));
        }
    });
    let on_off: Vec<Vec<bool>> = said.iter().map(|s| s.iter().map(|(_, on)| *on).collect()).collect();
    // The first word of each is its state at the start. She reaches the door after 5 s of 1 m/s, at 10 s.
    assert_eq!(on_off[0], [false, true, false], "motion in b, {:?}", said[0]);
    assert_eq!(on_off[1], [false, true, false, true, false], "the door, {:?}", said[1]);
    assert_eq!(on_off[2], [false, true], "the panel, {:?}", said[2]);
    let (door, fire) = (said[1][1].0, said[2][1].0);
    assert!((9.5..11.0).contains(&door), "through the door at {door}");
    assert_eq!(fire, 30.0);
    assert!(on_off[3].starts_with(&[false, true, false]), "the mat while she stays, {:?}", said[3]);
    assert!((said[0][1].0 - door).abs() < 1.1 && said[0][2].0 > said[1][3].0, "motion while she is there");
}

#[test]
fn values_and_counts_follow_the_people() {
    let value = |id: &str, unit: &str| {
        format!(
            "[[sensor]]\nid = \"{id}\"\nkind = \"value\"\nunit = \"{unit}\"\nstale_s = 60\nlevel = \"ground\"\nzones = [\"a\"]\nrate_hz = 0.1\n\
             class = \"state\"\npose = {{ x_m = 3.0, y_m = 3.0, z_m = 1.5 }}\n"
        )
    };
    let count = "[[sensor]]\nid = \"count\"\nkind = \"count\"\nlevel = \"ground\"\nzones = [\"a\"]\nrate_hz = 1\nclass = \"state\"\npose = { x_m = 3.0, y_m = 3.0, z_m = 2.7 }\n";
    let site = rooms(&(value("co2", "ppm") + &value("temp", "degC") + count));
    let script = "[[extras]]\nname = \"x\"\ncount = 8\ndoes = [\"starts in a\"]\n";
    let mut sim = Sim::new(&site, morning(script), 1).unwrap();
    let (mut co2, mut temp, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    observe(&mut sim, seconds(1800.0), |_, sensor, _, body| match body {
        Body::Value { value } if sensor.0 == 0 => co2.push(value),
        Body::Value { value } => temp.push(value),
        Body::Count { people } => counts.push(people),
        _ => {}
    });
    assert!(counts.len() >= 1799 && counts.iter().all(|&n| n == 8));
    // 8 people breathe 40 mL/s of CO2 into 108 m³ and 0.3 changes an hour: after 1,800 s by the mass balance,
    // 420 + 4444 (1 - e^-0.15) + 30 e^-0.15 = 1065 ppm.
    let last = co2[co2.len() - 5..].iter().sum::<f64>() / 5.0;
    assert!((last - 1065.0).abs() < 15.0, "{last} ppm");
    assert!(co2[0] < 500.0 && temp[temp.len() - 1] > temp[0] + 0.3, "{} to {} degC", temp[0], temp[temp.len() - 1]);
}

#[test]
fn beacons_fix_who_carries_one_with_the_declared_error() {
    let site = rooms(
        "[[sensor]]\nid = \"beacons\"\nkind = \"location\"\nlevel = \"ground\"\nnoise = { sigma_m = 0.6 }\nclass = \"state\"\nrate_hz = 5\nclock = \"utc\"\n",
    );
    let script = format!("{ANA}[[person]]\nwho = \"bo\"\ndoes = [\"starts at 9 3\"]\n");
    let mut sim = Sim::new(&site, morning(&script), 1).unwrap();
    let mut errors: Vec<f64> = Vec::new();
    observe(&mut sim, seconds(1000.0), |_, _, _, body| {
        let Body::Location { device, place, .. } = body else { panic!("{body:?}") };
        assert_eq!(site.carried_name(device), Some("p17"), "bo carries none");
        errors.push(place.at.x_m - 3.0);
    });
    let n = errors.len() as f64;
    assert!(n > 4990.0);
    let sigma = (errors.iter().map(|e| e * e).sum::<f64>() / n).sqrt();
    // She stands on the spot itself: (3, 3) is walkable.
    assert!((sigma / 0.6 - 1.0).abs() < 4.0 / (2.0 * n).sqrt(), "{sigma}");
}

#[test]
fn somebody_who_faces_the_counter_is_told_from_somebody_who_passes() {
    let site = rooms(
        "[[sensor]]\nid = \"facing\"\nkind = \"facing\"\nlevel = \"ground\"\nzones = [\"a\"]\nrate_hz = 10\nclass = \"state\"\nclock = \"device\"\n\
         pose = { x_m = 3.0, y_m = 5.9, z_m = 2.2, heading_deg = 270.0 }\nnoise = { sigma_m = 0.1 }\n\
         [[sensor]]\nid = \"wave\"\nkind = \"gesture\"\nlevel = \"ground\"\nzones = [\"a\"]\nclass = \"edge\"\nclock = \"device\"\n\
         pose = { x_m = 3.0, y_m = 5.9, z_m = 2.2 }\n",
    );
    let script = "[[person]]\nwho = \"ana\"\ndoes = [\"starts at 1 3\", \"goes to 3 3\", \"stays 2 s\", \"faces facing for 5 s\", \"gestures wave at wave\"]\n";
    let mut sim = Sim::new(&site, morning(script), 1).unwrap();
    let (mut headings, mut gestures) = (Vec::new(), Vec::new());
    observe(&mut sim, seconds(20.0), |_, _, measured, body| match body {
        Body::Facing { heading_rad, .. } => headings.push((measured, heading_rad)),
        Body::Gesture { gesture, .. } => gestures.push((measured, gesture)),
        _ => {}
    });
    assert!(matches!(gestures.as_slice(), [(_, g)] if *g == "wave"), "{gestures:?}");
    let waved = gestures[0].0;
    let mut truth = Vec::new();
    sim.take_gestures(&mut truth);
    let ana = site.person_named("ana");
    assert!(matches!(truth.as_slice(), [t] if t.person == ana && t.at.0 == waved.0), "{truth:?}, seen at {waved}");
    let faces: Vec<f64> =
        headings.iter().filter(|h| h.0 < waved && h.0 > waved.minus(DurationNs::from_s(4))).map(|h| h.1).collect();
    let walks: Vec<f64> = headings.iter().filter(|h| h.0 < seconds(1.0) && h.0 > seconds(0.3)).map(|h| h.1).collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    assert!((mean(&faces) - std::f64::consts::FRAC_PI_2).abs() < 0.1, "faces {}", mean(&faces));
    assert!(mean(&walks).abs() < 0.2, "walks {}", mean(&walks));
}

#[test]
fn a_fault_holds_back_or_swallows_what_one_sensor_says_and_nothing_else() {
    let devices =
        position("eye", 1.0, [0.0, 6.0], 0.9, 0.12, 0.5) + &position("other", 7.0, [6.0, 12.0], 0.9, 0.12, 0.5);
    let site = rooms(&devices);
    let eye = site.sensor_named("eye").unwrap();
    let fault = |what: &str| format!("{ANA}[[fault]]\nsensor = \"eye\"\nfrom_s = 5.0\nto_s = 8.0\n{what}\n");
    let heard = |script: &str| {
        let mut sim = Sim::new(&site, morning(script), 1).unwrap();
        let mut all = Vec::new();
        sim.advance(seconds(20.0), &mut |arrival, _, _, input| {
            if let Some(o) = input.observation() {
                all.push((o.sensor, o.measured, arrival, format!("{:?}", o.body)));
            }
        });
        all
    };
    let inside = |m: LogicalNs| (seconds(5.0).0..seconds(8.0).0).contains(&m.0);
    let (plain, silent, late) = (heard(ANA), heard(&fault("silent = true")), heard(&fault("late_ms = 400")));
    let others = |all: &[(SensorId, LogicalNs, ArrivalNs, String)]| -> Vec<_> {
        all.iter().filter(|x| x.0 != eye || !inside(x.1)).map(|x| (x.0, x.1, x.3.clone())).collect()
    };
    assert_eq!(others(&silent), others(&plain), "what is not concerned is the same, errors included");
    assert!(plain.iter().filter(|x| x.0 == eye && inside(x.1)).count() >= 29);
    assert!(!silent.iter().any(|x| x.0 == eye && inside(x.1)));
    let mut as_said = late.clone();
    as_said.sort_by_key(|x| (x.1, x.0));
    let mut plain_as_said = plain.clone();
    plain_as_said.sort_by_key(|x| (x.1, x.0));
    let words = |all: &[(SensorId, LogicalNs, ArrivalNs, String)]| -> Vec<_> {
        all.iter().map(|x| (x.0, x.1, x.3.clone())).collect()
    };
    assert_eq!(words(&as_said), words(&plain_as_said), "nothing is lost");
    for (_, measured, arrival, _) in late.iter().filter(|x| x.0 == eye && inside(x.1)) {
        assert!(arrival.0 - measured.0 >= 400_000_000, "{arrival:?} of {measured:?}");
    }
    let own: Vec<_> = late.iter().filter(|x| x.0 == eye).map(|x| x.1).collect();
    assert!(own.is_sorted(), "a sensor's own order is kept");
    for wrong in ["", "late_ms = 400\nsilent = true", "late_ms = -1"] {
        assert!(matches!(Sim::new(&site, morning(&fault(wrong)), 1), Err(SimError::Script { line: 5, .. })), "{wrong}");
    }
}

fn sensor_of(id: &str, kind: &str, at: [f64; 2], rest: &str) -> String {
    let [x, y] = at;
    format!(
        "[[sensor]]\nid = \"{id}\"\nkind = \"{kind}\"\nlevel = \"ground\"\nzones = [\"a\"]\nrate_hz = 10\nclock = \"device\"\nclass = \"state\"\n\
         pose = {{ x_m = {x:?}, y_m = {y:?}, z_m = 2.8 }}\n{rest}\n"
    )
}

fn mean_and_sigma(all: &[f64]) -> (f64, f64) {
    let n = all.len() as f64;
    let mean = all.iter().sum::<f64>() / n;
    (mean, (all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt())
}

#[test]
fn ranges_and_differences_have_their_bias_noise_and_bent_paths() {
    let noise = "noise = { sigma_m = 0.1, bias_m = 0.4, nlos_p = 0.2, nlos_scale_m = 1.5 }";
    let tdoa = "noise = { sigma_m = 0.1 }";
    let site = rooms(
        &(sensor_of("open", "range", [1.0, 1.0], noise)
            + &sensor_of("walled", "range", [8.0, 0.5], noise)
            + &sensor_of("one", "tdoa", [1.0, 5.0], tdoa)
            + &sensor_of("two", "tdoa", [5.0, 1.0], tdoa)),
    );
    let mut sim = Sim::new(&site, morning(ANA), 3).unwrap();
    let (mut open, mut walled, mut diffs): (Vec<f64>, Vec<f64>, Vec<f64>) = (vec![], vec![], vec![]);
    let slant = |x: f64, y: f64| ((3.0 - x) * (3.0 - x) + (3.0 - y) * (3.0 - y) + 1.7 * 1.7_f64).sqrt();
    observe(&mut sim, seconds(1000.0), |_, sensor, _, body| match body {
        Body::Range { range_m, .. } if sensor.0 == 0 => open.push(range_m - slant(1.0, 1.0)),
        Body::Range { range_m, .. } => walled.push(range_m - slant(8.0, 0.5)),
        Body::Tdoa { other, diff_m, .. } if sensor.0 == 2 => {
            assert_eq!(other.0, 3, "differs from the second anchor");
            diffs.push(diff_m - (slant(5.0, 1.0) - slant(1.0, 5.0)));
        }
        _ => {}
    });
    assert!(open.len() > 9_990 && walled.len() > 9_990 && diffs.len() > 9_990);
    // A straight path: bias and noise; one in five has an exponential excess of mean 1.5 m on top.
    let n = open.len() as f64;
    let (mean, _) = mean_and_sigma(&open);
    assert!((mean - (0.4 + 0.2 * 1.5)).abs() < 4.0 * (0.01_f64 + 0.81).sqrt() / n.sqrt(), "mean {mean}");
    let straight = open.iter().filter(|e| **e < 0.4).count() as f64 / n;
    assert!((straight - 0.4).abs() < 0.04, "half of the straight ones are below the bias: {straight}");
    // Behind a wall none is straight.
    let (mean, _) = mean_and_sigma(&walled);
    assert!((mean - 1.9).abs() < 4.0 * 1.51 / n.sqrt(), "behind a wall, mean {mean}");
    // Of a difference both paths may be bent (one in ten by default, 1 m): the middle one is not.
    diffs.sort_by(f64::total_cmp);
    assert!(diffs[diffs.len() / 2].abs() < 0.02, "{}", diffs[diffs.len() / 2]);
}

#[test]
fn beacons_are_heard_by_the_law_of_distance_and_less_behind_a_wall() {
    let noise = "noise = { tx_dbm_1m = -55.0, exponent = 2.2, sigma_db = 4.0 }";
    let site = rooms(&(sensor_of("open", "rssi", [1.0, 1.0], noise) + &sensor_of("walled", "rssi", [8.0, 0.5], noise)));
    let mut sim = Sim::new(&site, morning(ANA), 3).unwrap();
    let mut heard = [vec![], vec![]];
    observe(&mut sim, seconds(1000.0), |_, sensor, _, body| {
        if let Body::Rssi { rssi_dbm, .. } = body {
            heard[sensor.index()].push(rssi_dbm);
        }
    });
    let law = |x: f64, y: f64, walls: f64| {
        let d2 = (3.0 - x) * (3.0 - x) + (3.0 - y) * (3.0 - y) + 1.7 * 1.7;
        -55.0 - 22.0 * 0.5 * libm::log10(d2) - 4.0 * walls
    };
    for (all, wanted) in heard.iter().zip([law(1.0, 1.0, 0.0), law(8.0, 0.5, 1.0)]) {
        let (mean, sigma) = mean_and_sigma(all);
        assert!((mean - wanted).abs() < 4.0 * 4.0 / (all.len() as f64).sqrt(), "{mean} dBm, wanted {wanted}");
        assert!((sigma - 4.0).abs() < 0.15, "sigma {sigma}");
    }
}

#[test]
fn a_radar_sees_a_cloud_on_each_body_with_its_radial_speed() {
    let noise = "noise = { sigma_m = 0.05, p_detect = 0.9, clutter_per_scan = 0.5 }\n\
                 field_of_view = [[0.0, 0.0], [6.0, 0.0], [6.0, 6.0], [0.0, 6.0]]";
    let site = rooms(&sensor_of("radar", "points", [0.5, 3.0], noise));
    let script =
        "[[person]]\nwho = \"ana\"\nspeed_mps = 1.0\ndoes = [\"starts at 1 3\", \"goes to 5 3\", \"stays 200 s\"]\n";
    let mut sim = Sim::new(&site, morning(script), 3).unwrap();
    let (mut walks, mut stands, mut frames, mut points) = (vec![], vec![], 0, 0);
    observe(&mut sim, seconds(100.0), |_, _, measured, body| {
        let Body::Points(cloud) = body else { return };
        let near =
            cloud.iter().filter(|p| p.intensity.unwrap() > 0.0 && p.place.at.distance(Point::new(5.0, 3.0)) < 0.7);
        if measured > seconds(10.0) {
            frames += 1;
            points += near.clone().count();
            stands.extend(near.map(|p| p.doppler_mps.unwrap()));
        } else if (seconds(1.0)..seconds(3.0)).contains(&measured) {
            let mut dopplers: Vec<f64> = cloud.iter().map(|p| p.doppler_mps.unwrap()).collect();
            dopplers.sort_by(f64::total_cmp);
            walks.extend(dopplers.get(dopplers.len() / 2));
        }
    });
    let mean = points as f64 / f64::from(frames);
    // 0.9 of the frames hold 1 + Poisson(6) points of her.
    assert!((mean - 6.3).abs() < 0.4, "{mean} points a frame");
    assert!(mean_and_sigma(&stands).0.abs() < 0.05, "somebody who stands: {:?}", mean_and_sigma(&stands));
    assert!(mean_and_sigma(&walks).0 > 0.8, "she walks away at 1 m/s: {walks:?}");
}

#[test]
fn microphones_hear_who_talks_and_voices_are_mostly_theirs() {
    let site = rooms(
        &(sensor_of(
            "mic",
            "bearing",
            [3.0, 1.0],
            "noise = { sigma_deg = 4.0, p_detect = 0.8, clutter_per_scan = 0.1 }",
        ) + &sensor_of("voice", "voice", [3.0, 1.0], "")
            + &sensor_of(
                "eye",
                "bearing",
                [3.0, 1.0],
                "noise = { sigma_deg = 1.0, p_detect = 1.0, clutter_per_scan = 0.0 }\n\
               field_of_view = [[0.0, 0.0], [6.0, 0.0], [6.0, 6.0], [0.0, 6.0]]",
            )),
    );
    let script = "[[person]]\nwho = \"ana\"\ndoes = [\"starts at 1 4\"]\n[[person]]\nwho = \"bo\"\ndoes = [\"starts at 5 4\"]\n\
                  [[extras]]\nname = \"x\"\ndoes = [\"starts at 11 3\"]\n";
    let mut sim = Sim::new(&site, morning(script), 3).unwrap();
    let (mut scans, mut hits, mut eyes, mut ratios): (f64, f64, f64, Vec<f64>) = (0.0, 0.0, 0.0, vec![]);
    let mut voices = std::collections::BTreeMap::new();
    observe(&mut sim, seconds(600.0), |_, sensor, _, body| match body {
        Body::Bearing(items) if sensor.0 == 0 => {
            scans += 1.0;
            hits += items.len() as f64;
        }
        Body::Bearing(items) => eyes += items.len() as f64,
        Body::Voice { person, likelihood, bearing_rad } => {
            *voices.entry(person).or_insert(0) += 1;
            ratios.push(likelihood);
            let off = bearing_rad.unwrap().abs() - std::f64::consts::FRAC_PI_2;
            assert!(off.abs() < 1.6, "towards the room");
        }
        _ => {}
    });
    // One of the two talks at a time; false bearings come on top. An eye sees both, whoever talks.
    assert!((hits / scans - 0.9).abs() < 0.05, "{}", hits / scans);
    assert!((eyes / scans - 2.0).abs() < 0.01, "{}", eyes / scans);
    let counts: Vec<i32> = voices.values().copied().collect();
    assert!(
        counts.len() >= 2 && counts.iter().all(|n| !(30..=1000).contains(n)),
        "both talk, others hardly ever: {voices:?}"
    );
    let right = ratios.iter().filter(|r| **r > 1.0).count() as f64 / ratios.len() as f64;
    assert!((right - 0.933).abs() < 0.02, "ratios above one: {right}");
}

#[test]
fn clocks_run_off_and_datagrams_are_lost_doubled_and_held_as_often_as_said() {
    let device = position("eye", 1.0, [0.0, 6.0], 0.9, 0.12, 0.5);
    let site = rooms(&device);
    let fault = |what: &str| format!("{ANA}[[fault]]\nsensor = \"eye\"\nfrom_s = 10.0\n{what}\n");
    let heard = |script: &str| {
        let mut sim = Sim::new(&site, morning(script), 1).unwrap();
        let mut all: Vec<(u64, ArrivalNs, ArrivalNs)> = Vec::new();
        sim.advance(seconds(1010.0), &mut |arrival, _, _, input| {
            if let Some(o) = input.observation() {
                all.push((o.source_seq.unwrap(), ArrivalNs(o.measured.0), arrival));
            }
        });
        all
    };
    let plain = heard(ANA);
    let n = plain.iter().filter(|x| x.1 >= seconds(10.0)).count() as f64;
    let lost = plain.len() as f64 - heard(&fault("dropped = 0.1")).len() as f64;
    assert!((lost / n - 0.1).abs() < 4.0 * (0.09 / n).sqrt(), "{lost} of {n} lost");
    let twice = heard(&fault("twice = 0.1"));
    let again = twice.len() as f64 - plain.len() as f64;
    assert!((again / n - 0.1).abs() < 4.0 * (0.09 / n).sqrt(), "{again} of {n} doubled");
    let mut numbers: Vec<u64> = twice.iter().map(|x| x.0).collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers.windows(2).filter(|w| w[0] == w[1]).count() as f64,
        again,
        "a copy has the number of its original"
    );
    // Held until 12 s: what was sensed in two seconds arrives within milliseconds, in order, with its own times.
    let held = heard(&fault("to_s = 12.0\nheld = true"));
    let burst: Vec<_> = held.iter().filter(|x| x.1 >= seconds(10.0) && x.1 < seconds(12.0)).collect();
    assert!(burst.len() >= 19 && burst.iter().all(|x| (seconds(12.0)..seconds(12.02)).contains(&x.2)), "{burst:?}");
    assert!(burst.windows(2).all(|w| w[0].0 < w[1].0 && w[0].2 < w[1].2));
    // Dead from 10 s on.
    assert!(heard(&fault("silent = true")).iter().all(|x| x.1 < seconds(10.0)));
    // 100 ppm fast: the engine's map follows, and is off by what a datagram takes and the drift of its window.
    let drifts = heard(&fault("drift_ppm = 100.0"));
    let off: Vec<f64> = drifts.iter().zip(&plain).skip(300).map(|(d, p)| (d.1.0 - p.1.0) as f64 / 1e6).collect();
    assert!(off.iter().all(|ms| (2.0..11.0).contains(ms)), "{:?}", mean_and_sigma(&off));
    assert!(off.iter().any(|ms| (ms - off[0]).abs() > 0.2), "it is never quite right");
}

#[test]
fn a_worn_building_is_the_same_for_a_seed_and_sees_less() {
    let (site, _) = coworking();
    let count = |sim: Sim| {
        let (mut sim, mut n, mut digest) = (sim, 0_u64, 0_u64);
        sim.advance(seconds(20.0), &mut |arrival, source, _, input| {
            n += 1;
            let text = format!("{arrival} {source} {input:?}");
            digest = text.bytes().fold(digest, |d, b| d.wrapping_mul(0x0100_0000_01b3) ^ u64::from(b));
        });
        (n, digest)
    };
    let crowd = || Scenario::Crowd { people: 30, stay_s: [0.0, 10.0] };
    let (plain, worn) = (count(Sim::new(&site, crowd(), 4).unwrap()), count(Sim::worn(&site, crowd(), 4).unwrap()));
    assert_eq!(worn, count(Sim::worn(&site, crowd(), 4).unwrap()));
    assert_ne!(worn.1, plain.1);
    assert!(worn.0 > plain.0 * 9 / 10, "{} of {}", worn.0, plain.0);
}
