//! Small scenes whose figures can be worked out by hand, and every fault of an input file.

use super::*;

/// Truth of two people 10 m apart, `ana` at 0 and `ben` at 10, for ten frames.
fn two_people() -> Truth {
    let rows: String = (0..10).map(|t| format!("{t}.0,ana,0,0\n{t}.0,ben,10,0\n")).collect();
    read_truth(format!("t,id,x,y\n{rows}").as_bytes(), "truth.csv").expect("valid truth")
}

fn tracks(rows: &str) -> Tracks {
    read_tracks(format!("t,track_id,x,y,identity\n{rows}").as_bytes(), "tracks.csv").expect("valid tracks")
}

fn score(truth: &Truth, tracks: &Tracks) -> Report {
    evaluate(truth, tracks, &Options::default()).expect("scored")
}

fn value(report: &Report, name: &str) -> Figure {
    let found = report.figures().into_iter().find(|(key, _)| *key == name);
    found.unwrap_or_else(|| panic!("no figure {name}")).1
}

#[test]
fn labels_that_swap_half_way() {
    // Two switches in 20: MOTA 0.9. Either label agrees with either person in 5 of 10 frames: IDF1 10/20. Over the whole
    // window a pair is together half the time and 10 m (cut to 2) apart the other half: OSPA(2) 1.
    // Per true positive 5 frames agree of 15 in which either is there: AssA 1/3, HOTA sqrt(1/3). Both tracks say "ana".
    let rows: String = (0..10)
        .map(|t| {
            let (a, b) = if t < 5 { (1, 2) } else { (2, 1) };
            format!("{t}.0,{a},0,0,ana\n{t}.0,{b},10,0,ana\n")
        })
        .collect();
    let report = score(&two_people(), &tracks(&rows));
    assert_eq!((report.gospa, report.mota, report.idf1, report.num_switches), (0.0, 0.9, 0.5, 2));
    assert_eq!(report.ospa2, Some(1.0));
    assert_eq!((report.hota, report.deta, report.assa), (0.5774, 1.0, 0.3333));
    assert_eq!(report.ident, Some(Identity { right: 0.5, wrong: 0.5, none: 0.0 }));
    assert_eq!((report.misses, report.false_pos, report.num_fragmentations), (0, 0, 0));
}

#[test]
fn a_miss_and_a_standing_false_track() {
    // 1 miss, 10 false, of 20: MOTA 0.45. GOSPA parts per frame: c^2/2 = 2 false, 2 missed in one of ten, 0.5^2 in nine.
    // Identity hits 10 + 9 of (20 + 29): IDF1 38/49. Pairs 19, squares 9 * 0.25.
    let rows: String = (0..10)
        .map(|t| {
            let second = if t > 0 { format!("{t}.0,2,10,0.5,\n") } else { String::new() };
            format!("{t}.0,1,0,0,\n{second}{t}.0,9,20,20,\n")
        })
        .collect();
    let report = score(&two_people(), &tracks(&rows));
    assert_eq!((report.mota, report.idf1), (0.45, round_to(38.0 / 49.0, 4)));
    assert_eq!((report.loc2, report.missed2, report.false2), (0.225, 0.2, 2.0));
    assert_eq!((report.n_missed, report.n_false), (0.1, 1.0));
    assert_eq!(report.loc_rmse, round_to((9.0f64 * 0.25 / 19.0).sqrt(), 4));
    assert_eq!((report.misses, report.false_pos, report.n_track_ids), (1, 10, 3));
    assert_eq!(report.ident, None, "no track names anybody");
}

#[test]
fn the_match_gate_is_not_the_cutoff() {
    // 1.2 m off is a miss and a false track to MOTA (gate 1 m), and a pair to GOSPA (cut-off 2 m).
    let truth = read_truth("t,id,x,y\n0,a,0,0\n".as_bytes(), "truth.csv").expect("valid");
    let report = score(&truth, &tracks("0,1,1.2,0,\n"));
    assert_eq!((report.mota, report.loc2, report.gospa), (-1.0, 1.44, 1.2));
    assert_eq!(report.motp, None);
    assert!(!report.to_json().contains("motp"), "a mean of nothing is left out");
}

#[test]
fn a_gap_is_a_fragmentation_and_no_switch() {
    // Tracked, missed twice, tracked again under the same label: one fragmentation. Misses at the end are none.
    let rows: String = [0, 1, 4, 5].iter().map(|t| format!("{t}.0,1,0,0,\n")).collect::<String>() + "5.0,2,10,0,\n";
    let report = score(&two_people(), &tracks(&rows));
    assert_eq!((report.num_fragmentations, report.num_switches, report.misses), (1, 0, 15));
}

#[test]
fn an_old_pair_holds_against_a_nearer_newcomer() {
    let truth = read_truth("t,id,x,y\n0,a,0,0\n1,a,0,0\n2,a,0,0\n".as_bytes(), "truth.csv").expect("valid");
    let report = score(&truth, &tracks("0,1,0,0,\n1,2,0,0,\n1,1,0.9,0,\n2,2,0,0,\n"));
    // Frame 1 keeps label 1 at 0.9 m although label 2 is at 0; frame 2 has only label 2: one switch.
    assert_eq!((report.num_switches, report.false_pos, report.motp), (1, 1, Some(0.3)));
}

#[test]
fn no_tracks_at_all() {
    let report = score(&two_people(), &tracks(""));
    assert_eq!((report.gospa, report.ospa, report.ospa2), (2.0, 2.0, Some(2.0)));
    assert_eq!((report.mota, report.idf1, report.hota, report.n_track_ids), (0.0, 0.0, 0.0, 0));
    assert_eq!(report.misses, 20);
}

#[test]
fn both_headers_say_the_same() {
    let own = "t_s,track,x_m,y_m,vx_mps,vy_mps,person,person_p,z_m,level\n\
               0.0,7,0,0.25,0,0,ana,0.9,,ground\n1.0,7,0,0.25,0,0,,,,ground\n";
    let own = read_tracks(own.as_bytes(), "own.csv").expect("valid tracks");
    let eval = tracks("0.0,7,0,0.25,ana\n1.0,7,0,0.25,\n");
    assert_eq!(score(&two_people(), &own), score(&two_people(), &eval));
}

#[test]
fn times_meet_in_milliseconds() {
    let truth = read_truth("t,id,x,y\n0.3,a,0,0\n".as_bytes(), "truth.csv").expect("valid");
    let report = score(&truth, &tracks("0.30000000000000004,1,0,0,\n0.3005,1,0,0,\n0.301,1,0,0,\n"));
    // 0.3005 s is 300.5 ms, or just beside it in binary; half goes to the even 300, so only 0.301 is another time.
    assert_eq!((report.false_pos, report.rows_at_unknown_times), (1, 1));
}

#[test]
fn levels_never_mix() {
    let truth = "t,id,x,y,level\n0,a,0,0,ground\n0,b,5,0,upper\n0,c,9,0,\n";
    let truth = read_truth(truth.as_bytes(), "truth.csv").expect("valid truth");
    let on = |levels: [&str; 3]| {
        let rows: String = [0, 5, 9].iter().zip(levels).map(|(x, level)| format!("0,{x},{x},0,,{level}\n")).collect();
        let text = format!("t,track_id,x,y,identity,level\n{rows}");
        score(&truth, &read_tracks(text.as_bytes(), "tracks.csv").expect("valid tracks"))
    };
    let same = on(["ground", "upper", "cellar"]);
    assert_eq!(
        (same.mota, same.gospa, same.hota),
        (1.0, 0.0, 1.0),
        "c names no level, so nothing speaks against the pair"
    );
    let crossed = on(["upper", "ground", "ground"]);
    assert_eq!((crossed.misses, crossed.false_pos, crossed.n_missed, crossed.n_false), (2, 2, 2.0, 2.0));
    assert_eq!(crossed.ospa2, Some(round_to((8.0f64 / 3.0).sqrt(), 4)));
}

#[test]
fn pieces_of_one_persons_way_join_by_name() {
    let rows: String = (0..10).map(|t| format!("{t}.0,{},0,0,ana\n{t}.0,ana,10,0,\n", t / 5)).collect();
    let tracks = tracks(&rows);
    let by_track = score(&two_people(), &tracks);
    let by_person =
        evaluate(&two_people(), &tracks, &Options { ids: Ids::Person, ..Options::default() }).expect("scored");
    assert_eq!((by_track.num_switches, by_track.idf1, by_track.n_track_ids), (1, 0.75, 3));
    assert_eq!((by_person.num_switches, by_person.idf1, by_person.n_track_ids), (0, 1.0, 2));
    assert_eq!(by_person.ident, by_track.ident, "claims do not depend on labels");
    let nameless = read_tracks("t,track_id,x,y\n0,1,0,0\n".as_bytes(), "tracks.csv").expect("valid tracks");
    let refused = evaluate(&two_people(), &nameless, &Options { ids: Ids::Person, ..Options::default() });
    assert!(matches!(refused, Err(ScoreError::NoPersonColumn { .. })));
}

#[test]
fn skipping_leaves_the_beginning_out() {
    let rows: String = (5..10).map(|t| format!("{t}.0,1,0,0,\n{t}.0,2,10,0,\n")).collect();
    let report = |skip_s| evaluate(&two_people(), &tracks(&rows), &Options { skip_s, ..Options::default() });
    assert_eq!(report(5.0).expect("scored").mota, 1.0);
    assert_eq!(report(4.0).expect("scored").misses, 2);
    assert!(matches!(report(9.5), Err(ScoreError::AllSkipped { span_s, .. }) if span_s == 9.0));
}

#[test]
fn one_line_of_json_in_the_published_order() {
    let report = score(&two_people(), &tracks("0.0,1,0,0.5,ana\n"));
    let line = report.to_json();
    assert!(line.starts_with(r#"{"frames": 10, "mean_people": 2.0, "gospa": 1.95"#), "{line}");
    assert!(line.ends_with(r#""ident_none": 0.95, "rows_at_unknown_times": 0}"#), "{line}");
    assert_eq!(line.matches(": ").count(), report.figures().len());
    assert_eq!(value(&report, "misses"), Figure::Count(19));
    assert_eq!(value(&report, "motp"), Figure::Value(0.5));
}

#[test]
fn faults_name_the_file_the_line_and_the_column() {
    let truth = |text: &str| read_truth(text.as_bytes(), "t.csv").expect_err("refused").to_string();
    let tracks = |text: &str| read_tracks(text.as_bytes(), "k.csv").expect_err("refused").to_string();
    assert!(truth("t,name,x,y\n").starts_with("t.csv:1: the header has no column `id`"));
    assert!(truth("").starts_with("t.csv:1: the header has no column `t`"));
    assert!(truth("t,id,x,y\n").contains("no rows"));
    assert!(truth("t,id,x,y\n0,a,1,2\n0,b,1\n").starts_with("t.csv:3: `y` is ``, but a finite number"));
    assert!(truth("t,id,x,y\n0,,1,2\n").starts_with("t.csv:2: `id` is empty"));
    assert!(truth("t,id,x,y\nnan,a,1,2\n").starts_with("t.csv:2: `t` is `nan`"));
    assert!(truth("t,id,x,y\n1e300,a,1,2\n").starts_with("t.csv:2: `t` is `1e300`"));
    assert!(tracks("t,track,x,y\n").starts_with("k.csv:1: the header has no column `t_s`"));
    assert!(tracks("t_s,track_id,x_m,y_m\n").starts_with("k.csv:1: the header has no column `t`"));
    assert!(tracks("t,track_id,x,y\n0,1,inf,0\n").starts_with("k.csv:2: `x` is `inf`"));
    let bytes: &[u8] = b"t,track_id,x,y\n0,1,2,3\n0,\xff,2,3\n";
    let binary = read_tracks(bytes, "k.csv").expect_err("refused").to_string();
    assert!(binary.starts_with("k.csv:3: this is not a row of a CSV file in UTF-8"), "{binary}");
    let absent = load_truth(std::path::Path::new("no/such/file.csv")).expect_err("refused").to_string();
    assert!(absent.starts_with("no/such/file.csv cannot be read"), "{absent}");
}

#[test]
fn options_are_checked() {
    let default = Options::default();
    for options in [
        Options { cutoff_m: 0.0, ..default },
        Options { cutoff_m: 1e200, ..default },
        Options { order: f64::NAN, ..default },
        Options { match_m: -1.0, ..default },
        Options { skip_s: f64::INFINITY, ..default },
        Options { ospa2_window_s: Some(0.0), ..default },
    ] {
        let refused = evaluate(&two_people(), &tracks(""), &options);
        assert!(matches!(refused, Err(ScoreError::Option { .. })), "{options:?}");
    }
}
