//! The page itself: HTML by hand, every text escaped.

use super::{Report, lanes};
use crate::draw::escape;
use crate::drive::Verdict;
use crate::wall::format_rfc3339;
use crate::words;
use crate::words::counted;
use osmose_model::command::Command;
use osmose_model::site::Site;
use osmose_model::time::{LogicalNs, UtcNs};
use std::fmt::Write as _;

const CSS: &str = "\
body{font:14px/1.45 Inter,system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;color:#14171a;background:#fff;max-width:1180px;margin:0 auto 3em;padding:0 1.2em}\
header{border-bottom:1px solid #bfc5c2;padding:1.1em 0 .8em}h1{font-size:1.5em;font-weight:600;margin:0}header p{margin:.15em 0 0;color:#474e55}\
h2{font-size:1.08em;font-weight:600;margin:2em 0 .5em}h2 small{font-weight:400;color:#62696f;margin-left:.6em}\
.figures{display:flex;flex-wrap:wrap;border-bottom:1px solid #d5d9d6;margin:0}.figures div{padding:.7em 1.5em .7em 0;margin-right:1.5em;border-right:1px solid #d5d9d6}\
.figures div:last-child{border:0}.figures dt{font-size:11px;color:#62696f}.figures dd{margin:0;font-size:1.15em;font-weight:500;font-variant-numeric:tabular-nums}\
.figures dd small{font-size:.7em;color:#474e55;font-weight:400}\
table{border-collapse:collapse;width:100%;font-size:12.5px}th,td{text-align:left;vertical-align:top;padding:4px 14px 4px 0;border-bottom:1px solid #e2e5e3}\
th{font-weight:500;color:#62696f;font-size:11px;border-bottom-color:#bfc5c2}td.n,th.n{text-align:right}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}\
td:first-child{font-variant-numeric:tabular-nums;white-space:nowrap}td:last-child,th:last-child{padding-right:0}\
.bad{color:#b0124f;font-weight:600}.good{color:#14171a}.small{font-size:12px;color:#62696f}code{font:12px ui-monospace,Menlo,Consolas,monospace}\
.done{table-layout:fixed}.done th{width:8%}.done th:nth-child(1){width:13%}.done th:nth-child(2){width:15%}.done th:nth-child(3){width:36%}\
.done th:nth-child(6){width:20%}.done td{white-space:normal;overflow-wrap:anywhere}\
svg{max-width:100%;height:auto}ul.said{list-style:none;padding:0;margin:.6em 0 0}details summary{cursor:pointer;color:#62696f;font-size:12px}\
@page{margin:14mm}@media print{body{margin:0;max-width:none;padding:0;font-size:11pt}h2{break-after:avoid}table{font-size:9pt}th,td{padding-right:8px}tr,svg,.figures{break-inside:avoid}thead{display:table-header-group}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

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
    html.push_str("<h2>Who was where, room by room</h2>\n");
    html.push_str(&lanes::render(r, site));
    html.push_str("<h2>Where people went</h2>\n");
    html.push_str(&r.plan);
    html.push_str("<h2>What was done, and why</h2>\n");
    commands(&mut html, r, site);
    html.push_str("<h2>What the rules promise</h2>\n");
    promises(&mut html, r);
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

/// What it is of, and the figures that are asked for first.
fn head(html: &mut String, r: &Report, site: &Site) {
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
    let (build, origin) = (r.info.meta.build.to_string(), r.info.meta.origin.as_str());
    let _ = writeln!(
        html,
        "<header><h1>{}: {}</h1><p>{}</p><p class=\"small\">recorded by {}; source {origin}</p></header>",
        escaped(&site.name),
        escaped(&r.title),
        escaped(&span),
        escaped(&build),
    );
    figures(html, r);
    let good = r.summary.exit_status() == 0;
    let _ = writeln!(html, "<ul class=\"said small\">");
    for line in r.summary.render().lines().filter(|l| !l.starts_with("replayed ")) {
        let is_verdict = line.starts_with("verified") || line.starts_with("FAILED") || line.contains("not comparable");
        let class = if is_verdict && !good { " class=\"bad\"" } else { "" };
        let _ = writeln!(html, "<li{class}>{}</li>", escaped(line));
    }
    html.push_str("</ul>\n");
}

/// The figures at the top: each with its caption, trouble with a sign and a word beside its colour.
fn figures(html: &mut String, r: &Report) {
    html.push_str("<dl class=\"figures\">");
    let mut figure = |caption: &str, value: &str, beside: &str, bad: bool| {
        let (class, sign) = if bad { (" class=\"bad\"", "\u{25b2} ") } else { ("", "") };
        let _ = write!(
            html,
            "<div><dt>{caption}</dt><dd{class}>{sign}{} <small>{}</small></dd></div>",
            escaped(value),
            escaped(beside)
        );
    };
    let checked = r.summary.checked;
    let compared = checked.events + checked.commands;
    let verdict = match &r.summary.verdict {
        Verdict::Same => (
            "\u{2713} the same",
            format!("{}, {}", counted(compared, "decision"), counted(checked.digests, "digest")),
            false,
        ),
        Verdict::Different(_) => ("differs", "see below".to_owned(), true),
        Verdict::NotComparable { .. } => ("not comparable", "another build recorded it".to_owned(), false),
        Verdict::NothingToVerify | Verdict::NotAsked => ("nothing", "inputs only".to_owned(), false),
    };
    figure("Verified", verdict.0, &verdict.1, verdict.2);
    figure("Decision digest", &r.summary.digests.1.to_string(), "", false);
    figure("Inputs", &r.info.input_count().to_string(), "", false);
    figure("Events", &r.summary.events.to_string(), "", false);
    figure("Commands", &r.summary.commands.to_string(), "", false);
    let timed = if r.timed == 0 { "not recorded".to_owned() } else { format!("of {} timed", r.timed) };
    figure("Late", &r.late.len().to_string(), &timed, !r.late.is_empty());
    figure("Gaps", &r.summary.holes.len().to_string(), "", !r.summary.holes.is_empty());
    let broken = r.promises.iter().filter(|p| p.is_broken()).count();
    if !r.promises.is_empty() {
        figure("Promises broken", &broken.to_string(), &format!("of {} watched", r.promises.len()), broken > 0);
    }
    let shed: u64 = r.info.sensors.values().flat_map(|s| s.shed.values()).sum();
    figure("Did not get in", &shed.to_string(), "observations", false);
    html.push_str("</dl>\n");
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
        text += &x.value.map_or_else(String::new, |v| format!(" (measured {})", words::measured(v)));
    }
    text
}

/// One row for each command; those that one input made one rule send share when, why and how long.
fn commands(html: &mut String, r: &Report, site: &Site) {
    let all = &r.collected.commands;
    if all.is_empty() {
        html.push_str("<p>Nothing was done.</p>\n");
        return;
    }
    html.push_str(
        "<table class=\"done\"><thead><tr><th>when</th><th>rule</th><th>because</th><th class=\"n\">after it was sensed, ms</th>\
         <th>id</th><th>command</th></tr></thead><tbody>\n",
    );
    for group in all.chunk_by(|a, b| a.id.seq == b.id.seq && a.rule == b.rule && a.cause == b.cause) {
        let Some(first) = group.first() else { continue };
        let place = first.rule.and_then(|rule| r.book.place(rule));
        let at = place.map_or_else(String::new, |p| format!("{}:{}", p.file, p.line));
        let level = first.rule.and_then(|rule| r.book.level(rule)).unwrap_or_default();
        let rows = group.len();
        let _ = write!(
            html,
            "<tr><td rowspan=\"{rows}\">{}</td><td rowspan=\"{rows}\"><b>{}</b> {level}<br><span class=\"small\">{}</span></td>\
             <td rowspan=\"{rows}\">{}</td><td class=\"n\" rowspan=\"{rows}\">{}</td>",
            escaped(&time(r, first.at)),
            escaped(&words::sender(&r.book, first)),
            escaped(&at),
            escaped(&because(r, site, first)),
            sensed_before(first),
        );
        for (i, c) in group.iter().enumerate() {
            let begin = if i == 0 { "" } else { "<tr>" };
            let _ = writeln!(html, "{begin}<td>{}</td><td>{}</td></tr>", c.id, escaped(&words::command(site, c)));
        }
    }
    html.push_str("</tbody></table>\n");
    if r.collected.more_commands > 0 {
        let _ = writeln!(html, "<p>{} more commands.</p>", r.collected.more_commands);
    }
    html.push_str(
        "<p class=\"small\"><code>osmose why TRACE --command ID</code> tells the whole chain of one of them.</p>\n",
    );
}

/// Most breaks of one statement listed.
const BREAKS_MAX: usize = 20;

/// What `prove` could not show of the rules, and when it was broken.
fn promises(html: &mut String, r: &Report) {
    let mut rows = Vec::new();
    for p in &r.promises {
        let (file, line) = &p.place;
        let row = |outcome: String, from: String, until: String, why: String| {
            vec![p.text.clone(), format!("{file}:{line}"), outcome, from, until, why]
        };
        let blank = String::new;
        match (&p.unwatched, p.broken.len()) {
            (Some(why), _) => rows.push(row("not watched".to_owned(), blank(), blank(), why.clone())),
            (None, 0) => rows.push(row("held in all of this".to_owned(), blank(), blank(), blank())),
            (None, _) => {}
        }
        for b in p.broken.iter().take(BREAKS_MAX) {
            let until = b.until.map_or_else(|| "the end".to_owned(), |until| time(r, until));
            let why = std::iter::once(format!("set off by {}", b.because)).chain(b.values.iter().cloned());
            rows.push(row("MISSED: broken".to_owned(), time(r, b.from), until, why.collect::<Vec<_>>().join("; ")));
        }
        let more = p.broken.len().saturating_sub(BREAKS_MAX) as u64 + p.more;
        if more > 0 {
            rows.push(row(format!("MISSED: broken {}", counted(more, "more time")), blank(), blank(), blank()));
        }
    }
    let none = "Nothing was left to watch: the rules promise nothing (prove), or each statement was shown when they were loaded.";
    table(html, &["statement", "where", "outcome", "from", "until", "why"], &rows, none);
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
            "None: of {} the way was recorded, and met the deadline of the rule, or the engine's budget.",
            counted(r.timed, "command")
        )
    };
    let heads = ["when", "command", "rule", "took, us#", "deadline or budget, us#", "after it was sensed, ms#"];
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
        rows.push(vec![format!(
            "{} that the recorder could not keep up with",
            counted(r.info.recorder_lost, "record")
        )]);
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
