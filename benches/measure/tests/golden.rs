//! What people and programs read of a measurement, with fixed figures: the table, the JSON, `.hgrm` and the page.

use osmose_bench::account::Account;
use osmose_bench::dist::Dist;
use osmose_bench::hiccup::Misses;
use osmose_bench::host::Host;
use osmose_bench::interval;
use osmose_bench::report::{Hiccups, Judged, Rate, Ratio, Report, Row, hgrm, page, table};
use osmose_bench::verdict;

/// A thousand times of 1 us to 1 ms, and one that the histogram clips.
fn times() -> Dist {
    let mut dist = Dist::new();
    (1..=100_000u64).for_each(|i| dist.add(i * 10));
    dist.add(70_000_000_000);
    dist
}

fn report() -> Report {
    let host = Host {
        cpu: "A Processor".into(),
        cores_online: 2,
        cores_allowed: vec![0, 1],
        kernel: "6.1".into(),
        virtual_machine: true,
        governor: None,
        isolated: String::new(),
        clock: "tsc".into(),
        load: "0.10 0.20 0.30 1/100 1".into(),
    };
    let mut report = Report::new("latency", "osmose 0.1.0 (release build)", host);
    report.set("job", "20 rooms <&> 200 people");
    let (floor, engine) = (times(), times());
    let misses = Misses { all: 17, in_hiccup: 12, rest: 5, budget_ns: 1_000_000 };
    report.rows.push(Row::new("floor, blocking", &floor, vec![400.0, 500.0]));
    report.rows.push(Row::new("engine, blocking", &engine, vec![440.0, 500.0]).with_misses(misses));
    let mut few = Dist::new();
    (1..=150u64).for_each(|i| few.add(i));
    report.rows.push(Row::new("too few for any percentile", &few, vec![]));
    report.hiccups.push(Hiccups {
        of: "core of the engine, blocking".into(),
        row: Row::new("lateness", &times(), vec![]),
        gaps: 3,
        how: "pinned, real-time class".into(),
    });
    report.rates.push(Rate {
        what: "highest rate without loss, engine".into(),
        per_s: 123_456.0,
        unit: "observations/s".into(),
        runs: vec![120_000.0, 123_456.0, 130_000.0],
    });
    let pairs = vec![1.1, 1.0, 1.2, 1.15, 1.05, 1.3];
    report.ratios.push(Ratio {
        what: "p50, blocking: engine / floor".into(),
        interval: interval::from_signs(&pairs).expect("pairs"),
        pairs,
        order: "alternating pairs".into(),
    });
    report.accounts.push(Account::new("events to the engine", 1000, 998).with_drops("dropped by the kernel", 2));
    report.accounts.push(Account::new("commands of the engine", 180, 179));
    report
        .verdicts
        .push(Judged { what: "p99.9 within 1 ms".into(), verdict: verdict::judge(&engine, &times(), 1_000_000) });
    report.notes.push("A note.".into());
    report
}

#[test]
fn the_table_reads_so() {
    insta::assert_snapshot!(table::render(&report()));
}

#[test]
fn the_hgrm_reads_so() {
    let mut dist = Dist::new();
    (1..=1000u64).for_each(|us| dist.add(us * 1000));
    insta::assert_snapshot!(hgrm::hgrm(&dist));
}

#[test]
fn the_page_reads_so_and_needs_nothing_else() {
    let html = page::render(&report());
    for foreign in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!html.contains(foreign), "the page fetches something: {foreign}");
    }
    assert!(html.contains("20 rooms &lt;&amp;&gt; 200 people"), "text is text");
    insta::assert_snapshot!(html);
}

#[test]
fn json_comes_back_as_it_was_and_other_versions_are_refused() {
    let report = report();
    let text = report.to_json();
    assert_eq!(Report::from_json(&text).as_ref(), Ok(&report));
    let later = text.replacen("\"version\": 1", "\"version\": 99", 1);
    assert!(Report::from_json(&later).expect_err("refused").contains("version 99"));
    assert!(Report::from_json("{}").expect_err("refused").contains("no report"));
}

#[test]
fn a_report_with_an_open_account_is_void() {
    let error = report().close().expect_err("one command is missing").to_string();
    assert!(
        error.contains("commands of the engine: 180 sent, 179 received and 0 counted as dropped: 1 nobody"),
        "{error}"
    );
}
