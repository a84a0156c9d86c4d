//! The page itself: HTML by hand, every text escaped.

use super::{BINS, Collected, Report};
use crate::draw::{Svg, escape};
use crate::wall::format_rfc3339;
use crate::words;
use osmose_model::command::Command;
use osmose_model::site::Site;
use osmose_model::time::{LogicalNs, UtcNs};
use std::fmt::Write as _;

const CSS: &str = "\
body{font:14px/1.45 system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;color:#14171a;background:#fff;max-width:1200px;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;margin:1.8em 0 .4em;border-bottom:1px solid #bfc5c2}\
table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;vertical-align:top;padding:3px 8px;border-bottom:1px solid #e2e5e3}\
th{font-weight:600}td.n,th.n{text-align:right}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}\
.bad{color:#a11}.good{color:#0a6b3d}.small{font-size:12px;color:#62696f}svg{max-width:100%;height:auto}\
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr,svg{break-inside:avoid}thead{display:table-header-group}}";

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &mut out);
    out
}

/// A table: heads (right-aligned where they end with `#`), rows; a sentence where there are none.
fn table(html: &mut String, heads: &[&str], rows: &[Vec<String>], none: &str) {
    if rows.is_empty() {
        let _ = writeln!(html, "<p>{}</p>", escaped(none));
        return;
    }
    html.push_str("<table><thead><tr>");
    for head in heads {
        let class = if head.ends_with('#') { " class=\"n\"" } else { "" };
        let _ = write!(html, "<th{class}>{}</th>", escaped(head.trim_end_matches('#')));
    }
    html.push_str("</tr></thead><tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (cell, head) in row.iter().zip(heads) {
            let class = match (head.ends_with('#'), cell.starts_with("MISSED")) {
                (true, _) => " class=\"n\"",
                (false, true) => " class=\"bad\"",
                (false, false) => "",
            };
            let _ = write!(html, "<td{class}>{}</td>", escaped(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table>\n");
}

/// Seconds to the millisecond.
fn seconds(ns: i64) -> String {
    format!("{:.3}", ns as f64 / 1e9)
}

/// A time of the log: seconds of the trace, and the local time of day where there is one.
fn time(r: &Report, at: LogicalNs) -> String {
    let clock = words::time_of_day(at, r.wall).map_or_else(String::new, |c| format!(" \u{b7} {c}"));
    format!("{} s{clock}", seconds(at.0))
}

fn micros(ns: u64) -> String {
    format!("{:.1}", ns as f64 / 1e3)
}

fn millis(ns: u64) -> String {
    format!("{:.1}", ns as f64 / 1e6)
}

pub(super) fn render(r: &Report, site: &Site) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{}</title><style>{CSS}</style></head><body>\n",
        escaped(&r.title)
    );
    head(&mut html, r, site);
    html.push_str("<h2>Where people went</h2>\n");
    html.push_str(&r.plan);
    html.push_str("<h2>Who was where, room by room</h2>\n");
    timeline(&mut html, r, site);
    html.push_str("<h2>What was done, and why</h2>\n");
    commands(&mut html, r, site);
    html.push_str("<h2>Late commands</h2>\n");
    late(&mut html, r, site);
    html.push_str("<h2>Sensors</h2>\n");
    sensors(&mut html, r, site);
    html.push_str("<h2>Gaps</h2>\n");
    gaps(&mut html, r);
    html.push_str("<h2>Latency</h2>\n");
    latency(&mut html, r);
    html.push_str("</body></html>\n");
    html
}

fn head(html: &mut String, r: &Report, site: &Site) {
    let _ = writeln!(html, "<h1>{}: {}</h1>", escaped(&site.name), escaped(&r.title));
    let day = r.wall.map_or_else(String::new, |(_, w)| {
        let local = UtcNs(w.utc.0.saturating_add(w.offset.0));
        format!("{}, local time ", format_rfc3339(local).split('T').next().unwrap_or_default())
    });
    let span = r.info.span.map_or_else(
        || "no input".to_owned(),
        |(a, b)| {
            let clocks = words::time_of_day(a.at, r.wall).zip(words::time_of_day(b.at, r.wall));
            let clocks = clocks.map_or_else(String::new, |(a, b)| format!("{a} to {b}, "));
            let (from, to, length) = (seconds(a.at.0), seconds(b.at.0), seconds(b.at.since(a.at).0));
            format!("{day}{clocks}{from} s to {to} s of the trace: {length} s")
        },
    );
    let (inputs, events) = (r.info.input_count(), r.summary.events);
    let _ = writeln!(
        html,
        "<p>{}<br>{inputs} inputs, {events} events, {} commands</p>",
        escaped(&span),
        r.summary.commands
    );
    let verdict = r.summary.render();
    let good = r.summary.exit_status() == 0;
    let _ = writeln!(html, "<p class=\"{}\">", if good { "good" } else { "bad" });
    for line in verdict.lines().filter(|l| !l.starts_with("replayed ")) {
        let _ = writeln!(html, "{}<br>", escaped(line));
    }
    let build = r.info.meta.build.to_string();
    let _ = writeln!(
        html,
        "</p><p class=\"small\">recorded by {}; source {}</p>",
        escaped(&build),
        r.info.meta.origin.as_str()
    );
}

/// A strip for each room, darker where more people are in it.
fn timeline(html: &mut String, r: &Report, site: &Site) {
    const LEFT_PX: f64 = 170.0;
    const ROW_PX: f64 = 20.0;
    const COLUMN_PX: f64 = 4.0;
    let Collected { people, span, .. } = &r.collected;
    let used: Vec<usize> = (0..people.len()).filter(|z| people[*z].iter().any(|n| *n > 0)).collect();
    if used.is_empty() {
        html.push_str("<p>Nobody was in any zone.</p>\n");
        return;
    }
    let most = people.iter().flatten().copied().max().unwrap_or(1).max(1);
    let width_px = LEFT_PX + COLUMN_PX * BINS as f64 + 50.0;
    let height_px = ROW_PX * used.len() as f64 + 30.0;
    let css = ".o1{fill:#cfe3f2}.o2{fill:#8fc1e3}.o3{fill:#4a94c8}.o4{fill:#0b5c94}.t{font:11px system-ui,sans-serif;fill:#14171a}\
               .o0{fill:#f3f4f2}.od{font:10px system-ui,sans-serif;fill:#14171a}.ow{font:10px system-ui,sans-serif;fill:#fff}\
               .oc{fill:none;stroke:#a11;stroke-width:1}";
    let about = format!("people by zone over time, up to {most}");
    let mut svg = Svg::new(width_px, height_px, "occupancy", &about, css);
    for (row, zone) in used.iter().enumerate() {
        let y = ROW_PX * row as f64;
        let name = site.zones.get(*zone).map_or("?", |z| z.name.as_str());
        svg.label("t", (4.0, y + 14.0), name);
        let top = people[*zone].iter().copied().max().unwrap_or(0);
        svg.label("t", (LEFT_PX + COLUMN_PX * BINS as f64 + 6.0, y + 14.0), &format!("max {top}"));
        // One piece for each stretch of equal shade.
        let shade =
            |n: u32| if n == 0 { 0 } else { 1 + (3 * (n - 1)).checked_div(most.max(2) - 1).unwrap_or(0).min(3) };
        let mut start = 0;
        for c in 1..=BINS {
            if c < BINS && people[*zone][c] == people[*zone][start] {
                continue;
            }
            let (x0, x1) = (LEFT_PX + COLUMN_PX * start as f64, LEFT_PX + COLUMN_PX * c as f64);
            let n = people[*zone][start];
            let corners = [(x0, y + 2.0), (x1, y + 2.0), (x1, y + ROW_PX - 2.0), (x0, y + ROW_PX - 2.0)];
            svg.lines(&format!("o{}", shade(n)), true, [corners], &format!("{name}: {n}"));
            if n > 0 && x1 - x0 >= 14.0 {
                // On paper and without colours the number says what the shade does.
                svg.label(if shade(n) >= 3 { "ow" } else { "od" }, (x0 + 3.0, y + 14.0), &n.to_string());
            }
            start = c;
        }
    }
    let (from, to) = *span;
    for c in &r.collected.commands {
        let share = c.at.since(from).as_s_f64() / to.since(from).as_s_f64().max(1e-9);
        let x = LEFT_PX + COLUMN_PX * BINS as f64 * share.clamp(0.0, 1.0);
        let foot = ROW_PX * used.len() as f64;
        svg.lines(
            "oc",
            false,
            [[(x, 0.0), (x, foot + 4.0)]],
            &format!("{} at {} s", words::command(site, c), seconds(c.at.0)),
        );
    }
    for part in 0..=4 {
        let at = from.0.saturating_add((i128::from(to.since(from).0) * part / 4) as i64);
        let x = LEFT_PX + COLUMN_PX * BINS as f64 * part as f64 / 4.0;
        svg.label("t", (x - 12.0, height_px - 8.0), &format!("{:.1} s", at as f64 / 1e9));
    }
    html.push_str(&svg.finish());
    let _ = writeln!(
        html,
        "<p class=\"small\">Each column is {} s; the number is the most people at once in it. Red lines: commands.</p>",
        seconds(to.since(from).0 / BINS as i64)
    );
}

/// From the sample that decided to the command, milliseconds; empty where a timer or a person at the controls did.
fn sensed_before(c: &Command) -> String {
    let passed = c.cause.measured.and_then(|m| u64::try_from(c.at.since(m).0).ok());
    passed.map_or_else(String::new, millis)
}

/// What a command's rule saw: the event and variables, then each condition as written.
fn because(r: &Report, site: &Site, c: &Command) -> String {
    let offsets: Vec<u32> = c.cause.conditions.iter().map(|x| x.offset).collect();
    let mut text = words::cause(site, &c.cause);
    for x in &c.cause.conditions {
        let written = c.rule.and_then(|rule| r.book.condition(rule, x.offset, &offsets));
        let Some(written) = written else { continue };
        text += &format!("; {}: {}", x.truth.as_str(), written.text);
        text += &x.value.map_or_else(String::new, |v| format!(" (measured {v})"));
    }
    text
}

fn commands(html: &mut String, r: &Report, site: &Site) {
    let rows: Vec<Vec<String>> = (r.collected.commands.iter())
        .map(|c| {
            let place = c.rule.and_then(|rule| r.book.place(rule));
            let at = place.map_or_else(String::new, |p| format!(" ({}:{})", p.file, p.line));
            vec![
                time(r, c.at),
                c.id.to_string(),
                words::command(site, c),
                format!("{}{at}", words::sender(&r.book, c)),
                because(r, site, c),
                sensed_before(c),
            ]
        })
        .collect();
    let heads = ["when", "id", "command", "rule", "because", "after it was sensed, ms#"];
    table(html, &heads, &rows, "Nothing was done.");
    if r.collected.more_commands > 0 {
        let _ = writeln!(html, "<p>{} more commands.</p>", r.collected.more_commands);
    }
    html.push_str(
        "<p class=\"small\"><code>osmose why TRACE --command ID</code> tells the whole chain of one of them.</p>\n",
    );
}

fn late(html: &mut String, r: &Report, site: &Site) {
    let rows: Vec<Vec<String>> = (r.late.iter())
        .map(|l| {
            let (took, deadline) = (l.took.0.unsigned_abs(), l.deadline.0.unsigned_abs());
            let c = &l.command;
            let (when, what) = (time(r, c.at), words::command(site, c));
            vec![when, what, words::sender(&r.book, c), micros(took), micros(deadline), sensed_before(c)]
        })
        .collect();
    let none = if r.timed == 0 {
        "How long the engine took for commands was not recorded: this trace is of no running engine.".to_owned()
    } else {
        format!(
            "None: each of {} commands whose way was recorded met the deadline of its rule, where that has one.",
            r.timed
        )
    };
    let heads = ["when", "command", "rule", "took, us#", "deadline, us#", "after it was sensed, ms#"];
    table(html, &heads, &rows, &none);
}

/// A sensor that declares a rate and is silent for so many of its periods is missed.
const PERIODS: f64 = 3.0;

fn sensors(html: &mut String, r: &Report, site: &Site) {
    let end = r.collected.span.1;
    let row = |s: &osmose_model::device::Sensor| {
        let count = r.info.sensors.get(&s.id);
        let shed: u64 = count.map_or(0, |c| c.shed.values().sum());
        let n = count.map_or(0, |c| c.observations);
        let mut row = vec![s.name.clone(), s.kind.as_str().to_owned(), n.to_string()];
        match r.collected.sensors.get(&s.id) {
            None => row.extend(["never", "never", "all the time", "", "", ""].map(str::to_owned)),
            Some(h) => {
                let (silence, from) = h.silence(end);
                let to_the_end = if from == h.last { ", to the end" } else { "" };
                let promised_s = s.rate_hz.filter(|hz| *hz > 0.0).map(|hz| PERIODS / hz);
                let missed = promised_s.is_some_and(|p| silence.as_s_f64() > p.max(1.0));
                let mark = if missed { "MISSED " } else { "" };
                row.extend([seconds(h.first.0), seconds(h.last.0)]);
                row.push(format!("{mark}{} s from {} s on{to_the_end}", seconds(silence.0), seconds(from.0)));
                row.extend([millis(h.delays.at(0.5)), millis(h.delays.at(0.99)), millis(h.delays.max_ns)]);
            }
        }
        row.extend([shed.to_string(), (*r.collected.verdicts.get(&s.id).unwrap_or(&"not compared")).to_owned()]);
        row
    };
    let rows: Vec<Vec<String>> = site.sensors.iter().map(row).collect();
    let heads = [
        "sensor",
        "kind",
        "said#",
        "first, s#",
        "last, s#",
        "longest silence",
        "arrived after p50, ms#",
        "p99, ms#",
        "max, ms#",
        "did not get in#",
        "agrees with others",
    ];
    table(html, &heads, &rows, "The site has no sensors.");
    html.push_str(
        "<p class=\"small\">Arrived after: from measured to read, percentiles to an eighth of their value. MISSED: \
         silent for more than three of its declared periods.</p>\n",
    );
}

fn gaps(html: &mut String, r: &Report) {
    let mut rows: Vec<Vec<String>> = r.summary.holes.iter().map(|h| vec![h.to_string()]).collect();
    rows.extend(r.info.ending.render().map(|e| vec![e]));
    if r.info.recorder_lost > 0 {
        rows.push(vec![format!("{} records that the recorder could not keep up with", r.info.recorder_lost)]);
    }
    table(html, &["what is missing"], &rows, "None: nothing is missing.");
}

fn latency(html: &mut String, r: &Report) {
    let row = |name: &str, s: &super::Spread| {
        vec![name.to_owned(), s.count.to_string(), micros(s.p50_ns), micros(s.p99_ns), micros(s.max_ns)]
    };
    let mut rows = Vec::new();
    if r.sensed.count > 0 {
        rows.push(row("from the sample that decided to the command decided (the building's own time)", &r.sensed));
    }
    rows.extend(r.hops.iter().map(|(hop, s)| row(&format!("engine: {hop}"), s)));
    let none = "No command was decided by a sample.";
    table(html, &["of steps that sent commands", "count#", "p50, us#", "p99, us#", "max, us#"], &rows, none);
    if r.hops.is_empty() {
        html.push_str("<p>The engine's own share was not recorded: this trace is of no running engine.</p>\n");
    }
}
