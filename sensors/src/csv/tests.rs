//! Files through the merge.

use super::merge::Merge;
use super::reader::Reader;
use super::*;
use crate::edge::ledger::Whom;
use crate::edge::{Sink, SourceKey};
use crate::reason::{Fault, Reason};
use crate::testing::{add, site};
use osmose_model::device::Format;
use osmose_model::ids::CarriedKey;
use osmose_model::input::{Class, Report, Shed};
use osmose_model::observation::Observation;
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, NS_PER_MS, UtcNs};
use proptest::prelude::*;

#[derive(Default)]
struct Out {
    lines: Vec<String>,
}

impl Sink for Out {
    fn named(&mut self, _: ArrivalNs, _: CarriedKey, text: &str) {
        self.lines.push(format!("named {text}"));
    }
    fn observation(&mut self, arrival: ArrivalNs, _: SourceKey, _: Class, o: &Observation<'_>) {
        assert!(o.measured.0 <= arrival.0);
        let items = format!("{:?}", o.body).matches("x_m:").count();
        let kind = o.body.kind();
        self.lines.push(format!("{} @{arrival} {kind} of {} ({items})", o.measured, o.sensor));
    }
    fn report(&mut self, _: ArrivalNs, _: Report) {}
    fn shed(&mut self, arrival: ArrivalNs, shed: Shed) {
        self.lines.push(format!("shed @{arrival} {:?}", shed.reason));
    }
    fn remarked(&mut self, _: ArrivalNs, _: Whom, _: Fault) {}
}

/// A site with a sensor `s-KIND` of every kind, and two position sensors `a` and `b`.
fn every_kind() -> Site {
    let mut site = site();
    for &kind in SensorKind::ALL {
        add(&mut site, &format!("s-{kind}"), kind, 1, Format::Osmose);
    }
    for name in ["a", "b"] {
        add(&mut site, name, SensorKind::Position, 1, Format::Osmose);
    }
    site
}

fn reader(kind: SensorKind, text: &str) -> Result<Reader, CsvError> {
    Reader::new(kind, &format!("{kind}.csv"), Box::new(std::io::Cursor::new(text.to_owned())))
}

fn run(files: &[(SensorKind, &str)]) -> (Vec<String>, Vec<reader::FileReport>) {
    let readers = files.iter().map(|(kind, text)| reader(*kind, text).unwrap()).collect();
    let mut merge = Merge::new(&every_kind(), readers, None).unwrap();
    let mut out = Out::default();
    while merge.next(&mut out).unwrap() {}
    (out.lines, merge.reports().cloned().collect())
}

#[test]
fn rows_of_one_sensor_and_time_are_one_scan() {
    let text = "t_s,sensor,x_m,y_m,sigma_m\n0.1,a,1,2,\n0.1,b,1,2,0.5\n0.10,a,3,4,\n\n0.2,a,,,\n0.3,b,5,5,\n";
    let (lines, reports) = run(&[(SensorKind::Position, text)]);
    let (a, b) = (16, 17);
    let expected = [
        format!("0.1 @0.1 position of {a} (2)"),
        format!("0.1 @0.1 position of {b} (1)"),
        format!("0.2 @0.2 position of {a} (0)"),
        format!("0.3 @0.3 position of {b} (1)"),
    ];
    assert_eq!(lines, expected);
    assert_eq!((reports[0].rows, reports[0].kept), (5, 5));
    assert_eq!(reports[0].span_ns, Some((100 * NS_PER_MS, 300 * NS_PER_MS)));
}

#[test]
fn a_late_row_stays_late_and_one_too_late_is_shed() {
    let text = "t_s,sensor,device,x_m,y_m\n1,s-location,p17,1,1\n0.6,s-location,p17,2,2\n0.4,s-location,p17,3,3\n2,s-location,x9,1,1\n";
    let (lines, reports) = run(&[(SensorKind::Location, text)]);
    let expected =
        ["1 @1 location of 0 (1)", "0.6 @1 location of 0 (1)", "shed @1 TooLate", "named x9", "2 @2 location of 0 (1)"];
    assert_eq!(lines, expected);
    assert_eq!(reports[0].refused[&Reason::TooLate].lines, [4]);
    assert_eq!(reports[0].remarked[&Reason::UnknownDevice], 1);
}

#[test]
fn files_merge_by_arrival_and_of_equals_the_first_file_goes_first() {
    let doors = "arrival_t_s,t_s,sensor,state\n2,1.9,s-binary,open\n2,2.5,s-binary,0\n";
    let badges = "sensor,badge,t_s\ns-badge,04:A2,1.5\ns-badge,04:A2,2\n";
    let (lines, reports) = run(&[(SensorKind::Binary, doors), (SensorKind::Badge, badges)]);
    let expected =
        ["1.5 @1.5 badge of 11 (0)", "1.9 @2 binary of 10 (0)", "2 @2 binary of 10 (0)", "2 @2 badge of 11 (0)"];
    assert_eq!(lines, expected);
    assert_eq!(reports[0].remarked[&Reason::TimeAhead], 1, "true after it arrived");
}

#[test]
fn every_bad_row_is_counted_by_reason_with_its_line() {
    let text = "t_s,sensor,x_m,y_m\n\
        0.1,a,1\n0.1,a,1,2,3\n0.1,nobody,1,2\n0.1,s-range,1,2\nx,a,1,2\n,a,1,2\n1e30,a,1,2\n0.2,a,NaN,2\n0.2,a,inf,2\n\
        0.2,a,\"1,5\",2\n0.2,a,1,\n0.2,a,1e7,2\n1700000000,a,1,2\n0.3,a,1,2\n";
    let (lines, reports) = run(&[(SensorKind::Position, text)]);
    assert_eq!(lines, ["0.3 @0.3 position of 16 (1)"]);
    let refused: Vec<_> = reports[0].refused.iter().map(|(r, n)| (r.as_str(), n.lines.as_slice())).collect();
    let expected: [(&str, &[u64]); 8] = [
        ("wrong_type", &[6, 11]),
        ("missing_field", &[7, 12]),
        ("not_finite", &[9, 10]),
        ("not_plausible", &[8, 14, 13]),
        ("unknown_sensor", &[4]),
        ("wrong_kind", &[5]),
        ("malformed_row", &[2, 3]),
        ("", &[]),
    ];
    assert_eq!(refused, expected[..7]);
    assert_eq!(reports[0].refused[&Reason::UnknownSensor].subject, "nobody");
    assert_eq!((reports[0].rows, reports[0].kept), (14, 1));
}

#[test]
fn headers_are_checked_by_name() {
    let fault = |kind, text: &str| reader(kind, text).map(|_| ()).unwrap_err().to_string();
    let of = SensorKind::Rssi;
    assert!(
        fault(of, "t_s,sensor,device,rssi\n").contains("a rssi file has no column `rssi`; it has t_s,sensor,device")
    );
    assert!(fault(of, "t_s,device,rssi_dbm\n").contains("needs the column `sensor`"));
    assert!(fault(of, "t_s,t_s,sensor,device,rssi_dbm\n").contains("`t_s` stands twice"));
    assert!(fault(of, "").contains("the file is empty"));
    assert!(reader(SensorKind::Tdoa, "t_s,sensor_a,sensor_b,device,diff_m\n").is_ok());
    assert!(reader(of, "\u{feff}rssi_dbm, device ,sensor,t_s,arrival_t_s\n").is_ok(), "a byte order mark and spaces");
}

#[test]
fn every_kind_has_a_file() {
    let rows = [
        "p17,1,2",
        "1,2",
        "1,2",
        "p17,3",
        "s-range,p17,-1",
        "p17,-60",
        "90",
        "ana,3",
        "1,2,90",
        "1,2,wave",
        "open",
        "04:A2",
        "in",
        "3",
        "21.5",
        "red",
    ];
    for (&kind, row) in SensorKind::ALL.iter().zip(rows) {
        let (needs, _) = crate::claim::fields_of(kind);
        let sensor = if kind == SensorKind::Tdoa { "sensor_a" } else { "sensor" };
        let text = format!("t_s,{sensor},{}\n1,s-{kind},{row}\n", needs.join(","));
        let (lines, reports) = run(&[(kind, &text)]);
        assert_eq!((lines.len(), reports[0].kept), (1, 1), "{kind}: {lines:?} {reports:?}");
    }
}

#[test]
fn unix_times_begin_the_log_and_do_not_mix_with_others_without_an_epoch() {
    let unix = "t_s,sensor,people\n1700000000.25,s-count,3\n1700000001,s-count,4\n";
    let from_start = "t_s,sensor,value\n0.5,s-value,20\n";
    let files = || vec![reader(SensorKind::Count, unix).unwrap(), reader(SensorKind::Value, from_start).unwrap()];
    let site = every_kind();
    let mixed = Merge::new(&site, files(), None).unwrap_err().to_string();
    assert!(mixed.contains("count.csv has Unix times and value.csv has seconds"), "{mixed}");
    let mut merge = Merge::new(&site, files(), Some(UtcNs(1_700_000_000_000_000_000))).unwrap();
    assert_eq!(merge.zero_utc(), Some(UtcNs(1_700_000_000_250_000_000)));
    let mut out = Out::default();
    while merge.next(&mut out).unwrap() {}
    assert_eq!(out.lines, ["0 @0 count of 13 (0)", "0.25 @0.25 value of 14 (0)", "0.75 @0.75 count of 13 (0)"]);
    let merge = Merge::new(&site, vec![reader(SensorKind::Value, from_start).unwrap()], None).unwrap();
    assert_eq!(merge.zero_utc(), None, "no wall clock");
}

proptest! {
    #[test]
    fn arrivals_never_go_back_and_no_row_is_lost(
        a in proptest::collection::vec((0u32..3000, 0u8..2), 0..60),
        b in proptest::collection::vec(0u32..3000, 0..60),
    ) {
        let mut positions = "t_s,sensor,x_m,y_m\n".to_owned();
        for (t, which) in &a {
            positions += &format!("{}.{:03},{},1,2\n", t / 1000, t % 1000, ["a", "b"][usize::from(*which)]);
        }
        let mut values = "t_s,sensor,value\n".to_owned();
        for t in &b {
            values += &format!("{}.{:03},s-value,5\n", t / 1000, t % 1000);
        }
        let readers = vec![reader(SensorKind::Position, &positions).unwrap(), reader(SensorKind::Value, &values).unwrap()];
        let mut merge = Merge::new(&every_kind(), readers, None).unwrap();
        let (mut out, mut before) = (Out::default(), i64::MIN);
        while let Some(arrival) = merge.next_arrival().unwrap() {
            prop_assert!(arrival.0 >= before);
            before = arrival.0;
            prop_assert!(merge.next(&mut out).unwrap());
        }
        let of = |r: &reader::FileReport| r.kept + r.refused.values().map(|r| r.rows).sum::<u64>();
        for (report, rows) in merge.reports().zip([a.len(), b.len()]) {
            prop_assert_eq!((report.rows, of(report)), (rows as u64, rows as u64));
        }
    }

    #[test]
    fn any_file_is_read_or_refused_without_panic(text in "[a-z_,0-9.\"\\n]{0,120}", kind in 0usize..16) {
        let kind = SensorKind::ALL[kind];
        let headed = format!("t_s,sensor,{}\n1,s-{kind},{text}", crate::claim::fields_of(kind).0.join(","));
        for text in [text, headed] {
            if let Ok(reader) = reader(kind, &text) {
                let mut merge = Merge::new(&every_kind(), vec![reader], None).unwrap();
                while merge.next(&mut Out::default()).unwrap() {}
            }
        }
    }
}
