//! The page itself: HTML by hand, every text escaped.

use super::{BINS, Collected, Report};
use crate::draw::{Svg, escape};
use crate::wall::format_rfc3339;
use crate::words;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs, UtcNs, format_seconds};
use std::fmt::Write as _;

const CSS: &str = "\
body{font:14px/1.45 system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;color:#14171a;background:#fff;max-width:1200px;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;margin:1.8em 0 .4em;border-bottom:1px solid #bfc5c2}\
table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;vertical-align:top;padding:3px 8px;border-bottom:1px solid #e2e5e3}\
th{font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
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
    heads.iter().for_each(|h| _ = write!(html, "<th>{}</th>", escaped(h.trim_end_matches('#'))));
    html.push_str("</tr></thead><tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (cell, head) in row.iter().zip(heads) {
            let class = if head.ends_with('#') { " class=\"n\"" } else { "" };
            let _ = write!(html, "<td{class}>{}</td>", escaped(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table>\n");
}

/// A time of the log, with its time of day where there is one.
fn time(r: &Report, at: LogicalNs) -> String {
    let utc = r.info.wall.map(|(tied, utc)| format_rfc3339(UtcNs(utc.0.saturating_add(at.since(tied).0))));
    utc.map_or_else(|| format!("{at} s"), |u| format!("{at} s ({u})"))
}

fn micros(ns: u64) -> String {
    format!("{:.1}", ns as f64 / 1e3)
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
    let span = r.info.span.map_or_else(
        || "no input".to_owned(),
        |(a, b)| format!("{} to {}, {} s", time(r, a.at), time(r, b.at), b.at.since(a.at)),
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
               .o0{fill:#f3f4f2}";
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
            start = c;
        }
    }
    let (from, to) = *span;
    for part in 0..=4 {
        let at = from.0.saturating_add((i128::from(to.since(from).0) * part / 4) as i64);
        let x = LEFT_PX + COLUMN_PX * BINS as f64 * part as f64 / 4.0;
        svg.label("t", (x - 12.0, height_px - 12.0), &format!("{} s", format_seconds(at / 1_000_000 * 1_000_000)));
    }
    html.push_str(&svg.finish());
    let _ = writeln!(
        html,
        "<p class=\"small\">Each column is {} s; the most people at once in it.</p>",
        DurationNs(to.since(from).0 / BINS as i64)
    );
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
                words::cause(site, &c.cause),
            ]
        })
        .collect();
    table(html, &["when", "id", "command", "rule", "because"], &rows, "Nothing was done.");
    if r.collected.more_commands > 0 {
        let _ = writeln!(html, "<p>{} more commands.</p>", r.collected.more_commands);
    }
}

fn late(html: &mut String, r: &Report, site: &Site) {
    let rows: Vec<Vec<String>> = (r.late.iter())
        .map(|l| {
            let (took, deadline) = (l.took.0.unsigned_abs(), l.deadline.0.unsigned_abs());
            let c = &l.command;
            vec![time(r, c.at), words::command(site, c), words::sender(&r.book, c), micros(took), micros(deadline)]
        })
        .collect();
    let none = if r.timed == 0 {
        "How long commands took was not recorded: this trace is of no running engine.".to_owned()
    } else {
        format!(
            "None: each of {} commands whose way was recorded met the deadline of its rule, where that has one.",
            r.timed
        )
    };
    table(html, &["when", "command", "rule", "took, us#", "deadline, us#"], &rows, &none);
}

fn sensors(html: &mut String, r: &Report, site: &Site) {
    let rows: Vec<Vec<String>> = (site.sensors.iter())
        .map(|s| {
            let count = r.info.sensors.get(&s.id);
            let shed: u64 = count.map_or(0, |c| c.shed.values().sum());
            let heard = r.collected.sensors.get(&s.id);
            let silence = heard
                .map_or_else(|| "never heard".to_owned(), |h| format!("{} s from {} s on", h.longest, h.longest_from));
            let (first, last) = heard.map_or_else(Default::default, |h| (h.first.to_string(), h.last.to_string()));
            let n = count.map_or(0, |c| c.observations);
            vec![s.name.clone(), s.kind.as_str().to_owned(), n.to_string(), first, last, silence, shed.to_string()]
        })
        .collect();
    let heads = ["sensor", "kind", "said#", "first, s#", "last, s#", "longest silence", "did not get in#"];
    table(html, &heads, &rows, "The site has no sensors.");
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
    let rows: Vec<Vec<String>> = (r.hops.iter())
        .map(|(hop, s)| vec![hop.clone(), s.count.to_string(), micros(s.p50_ns), micros(s.p99_ns), micros(s.max_ns)])
        .collect();
    let none = "Not recorded: this trace is of no running engine.";
    table(html, &["hop, of steps that sent commands", "count#", "p50, us#", "p99, us#", "max, us#"], &rows, none);
}
