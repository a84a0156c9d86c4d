//! The report as one page that needs nothing else: no script from elsewhere, no font, no picture.
//!
//! The plot is the usual one of latencies: the share beyond on a logarithmic axis to the right, time on a logarithmic
//! axis upward. A curve ends where fewer than 100 samples lie beyond. Lines differ by dash as well as by colour.

use super::table::{percentile_name, span};
use super::{Report, Row};
use crate::dist::QUANTILES;
use std::fmt::Write as _;

const CSS: &str = "\
:root{--bg:#f3f4f2;--occ:#fff;--ink:#14171a;--ink2:#474e55;--ink3:#62696f;--line:#d5d9d6;--id:#0a5cad;--doubt:#9a4b00;--bad:#b0124f}\
@media(prefers-color-scheme:dark){:root{--bg:#0e1113;--occ:#1b2126;--ink:#eceff1;--ink2:#b5bdc4;--ink3:#8f989f;--line:#272d32;--id:#6cb6ff;--doubt:#f0a24a;--bad:#ff7fa5}}\
body{font:13px/1.5 Inter,system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;color:var(--ink);background:var(--bg);max-width:76rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.25rem;font-weight:600;margin:0 0 .3rem}h2{font-size:1rem;font-weight:600;margin:1.8rem 0 .4rem;border-bottom:1px solid var(--line)}\
table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:3px 8px;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums;white-space:nowrap}\
th{font-weight:500;color:var(--ink2)}th:first-child,td:first-child{text-align:left;white-space:normal}.small{font-size:.75rem;color:var(--ink3)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.4rem 0}dt{color:var(--ink2)}dd{margin:0}\
.bad{color:var(--bad);font-weight:600}.doubt{color:var(--doubt);font-weight:600}svg{width:100%;height:auto;background:var(--occ)}\
svg text{fill:var(--ink2);font-size:11px}.axis{stroke:var(--line)}.wide{overflow-x:auto}@media print{body{margin:0;max-width:none}}";

/// Colours by position, then dashes: eight lines can be told apart without colour.
const STROKES: [(&str, &str); 8] = [
    ("var(--id)", ""),
    ("var(--ink)", "6 3"),
    ("var(--doubt)", "2 3"),
    ("var(--bad)", "8 3 2 3"),
    ("var(--ink3)", ""),
    ("var(--id)", "3 6"),
    ("var(--doubt)", "10 4"),
    ("var(--ink)", "1 4"),
];

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The whole page.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>osmose bench {0}</title><style>{CSS}</style></head><body>\n<h1>osmose bench {0}</h1>\n<p class=\"small\">{1}</p>\n",
        escaped(&report.what),
        escaped(&report.build)
    );
    let _ = writeln!(html, "<dl><dt>machine</dt><dd>{}</dd>", escaped(&report.host.line()));
    for (key, value) in &report.setup {
        let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escaped(key), escaped(value));
    }
    html.push_str("</dl>\n");
    verdicts(&mut html, report);
    if !report.rows.is_empty() {
        html.push_str("<h2>Raw figures</h2>\n<p class=\"small\">Never corrected, nothing subtracted. – where fewer than 100 samples lie beyond.</p>\n");
        table(&mut html, report.rows.iter());
        plot(&mut html, report);
    }
    if !report.hiccups.is_empty() {
        html.push_str("<h2>The machine's own hiccups, at the same time</h2>\n");
        let rows: Vec<Row> =
            report.hiccups.iter().map(|h| Row { what: format!("{} ({})", h.of, h.how), ..h.row.clone() }).collect();
        table(&mut html, rows.iter());
    }
    if !report.rates.is_empty() {
        html.push_str("<h2>Rates</h2>\n<table><tr><th>what</th><th>median</th><th>runs</th></tr>\n");
        for r in &report.rates {
            let runs: Vec<String> = r.runs.iter().map(|v| format!("{v:.0}")).collect();
            let _ = writeln!(
                html,
                "<tr><td>{}</td><td>{:.0} {}</td><td>{}</td></tr>",
                escaped(&r.what),
                r.per_s,
                escaped(&r.unit),
                runs.join(", ")
            );
        }
        html.push_str("</table>\n");
    }
    if !report.ratios.is_empty() {
        html.push_str("<h2>Ratios</h2>\n<table><tr><th>what</th><th>median</th><th>interval</th><th>covers</th><th>runs</th></tr>\n");
        for r in &report.ratios {
            let i = &r.interval;
            let _ = writeln!(
                html,
                "<tr><td>{}</td><td>{:.3}</td><td>{:.3} to {:.3}</td><td>{:.1} %</td><td>{} of {}</td></tr>",
                escaped(&r.what),
                i.median,
                i.low,
                i.high,
                i.coverage * 100.0,
                escaped(&r.order),
                r.pairs.len()
            );
        }
        html.push_str("</table>\n");
    }
    accounts(&mut html, report);
    for note in &report.notes {
        let _ = writeln!(html, "<p class=\"small\">{}</p>", escaped(note));
    }
    html.push_str("</body></html>\n");
    html
}

fn verdicts(html: &mut String, report: &Report) {
    for v in &report.verdicts {
        let class = match v.verdict {
            crate::verdict::Verdict::Met => "",
            crate::verdict::Verdict::Missed => "bad",
            crate::verdict::Verdict::NotProvable(_) => "doubt",
        };
        let _ = writeln!(html, "<p class=\"{class}\">{}: {}</p>", escaped(&v.what), escaped(&v.verdict.to_string()));
    }
}

fn accounts(html: &mut String, report: &Report) {
    if report.accounts.is_empty() {
        return;
    }
    html.push_str("<h2>Accounts</h2>\n");
    for a in &report.accounts {
        match a.close() {
            Ok(()) => _ = writeln!(html, "<p>{}</p>", escaped(&a.to_string())),
            Err(e) => _ = writeln!(html, "<p class=\"bad\">{}</p>", escaped(&e.to_string())),
        }
    }
}

fn table<'a>(html: &mut String, rows: impl Iterator<Item = &'a Row>) {
    html.push_str("<div class=\"wide\"><table><tr><th>what</th>");
    for q in QUANTILES {
        let _ = write!(html, "<th>{}</th>", percentile_name(q));
    }
    html.push_str("<th>max</th><th>samples</th><th>clipped</th><th>beyond the budget</th><th>of these in a hiccup</th><th>the rest</th></tr>\n");
    for r in rows {
        let _ = write!(html, "<tr><td>{}</td>", escaped(&r.what));
        for p in &r.percentiles {
            let _ = write!(html, "<td>{}</td>", p.ns.map_or_else(|| "–".to_owned(), span));
        }
        let _ = write!(html, "<td>{}</td><td>{}</td><td>{}</td>", span(r.max_ns), r.samples, r.clipped);
        let _ = match &r.misses {
            Some(m) => writeln!(html, "<td>{}</td><td>{}</td><td>{}</td></tr>", m.all, m.in_hiccup, m.rest),
            None => writeln!(html, "<td></td><td></td><td></td></tr>"),
        };
    }
    html.push_str("</table></div>\n");
}

/// Size of the plot and of its margins.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 300.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 40.0;

/// Where a quantile stands: nines to the right.
fn nines(q: f64) -> f64 {
    -(1.0 - q).max(1e-9).log10()
}

fn plot(html: &mut String, report: &Report) {
    let curves: Vec<&Row> = report.rows.iter().filter(|r| r.curve.len() > 1).take(STROKES.len()).collect();
    let values = curves.iter().flat_map(|r| r.curve.iter().map(|&(_, ns)| ns.max(1) as f64));
    let (low, high) = values.fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    if high <= 0.0 {
        return;
    }
    let (low, high) = (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
    let most = curves.iter().filter_map(|r| r.curve.last()).map(|&(q, _)| nines(q)).fold(1.0, f64::max).ceil();
    let x = |n: f64| LEFT + n / most * (WIDTH - LEFT - RIGHT);
    let y = |ns: f64| TOP + (high - ns.max(1.0).log10()) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let _ = writeln!(html, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"latency by percentile\">");
    let mut decade = low;
    while decade <= high {
        let ns = 10f64.powf(decade);
        let _ = writeln!(
            html,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            WIDTH - RIGHT,
            y(ns),
            LEFT - 8.0,
            y(ns) + 4.0,
            decade_name(ns)
        );
        decade += 1.0;
    }
    for q in [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].into_iter().filter(|&q| nines(q) <= most + 1e-9) {
        let _ = writeln!(
            html,
            "<line class=\"axis\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{1}\"/><text x=\"{0:.1}\" y=\"{2}\" text-anchor=\"middle\">{3}</text>",
            x(nines(q)),
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0,
            if q == 0.0 { "min".to_owned() } else { percentile_name(q) }
        );
    }
    for (i, r) in curves.iter().enumerate() {
        let (stroke, dash) = STROKES[i];
        let points: Vec<String> =
            r.curve.iter().map(|&(q, ns)| format!("{:.1},{:.1}", x(nines(q)), y(ns as f64))).collect();
        let _ = writeln!(
            html,
            "<polyline fill=\"none\" stroke=\"{stroke}\" stroke-width=\"1.6\" stroke-dasharray=\"{dash}\" points=\"{}\"/>",
            points.join(" ")
        );
        let (at, from) = (TOP + 12.0 + 18.0 * i as f64, WIDTH - RIGHT + 12.0);
        let _ = writeln!(
            html,
            "<line x1=\"{from}\" x2=\"{}\" y1=\"{1}\" y2=\"{1}\" stroke=\"{stroke}\" stroke-width=\"1.6\" stroke-dasharray=\"{dash}\"/><text x=\"{2}\" y=\"{3}\">{4}</text>",
            from + 26.0,
            at,
            from + 32.0,
            at + 4.0,
            escaped(&r.what)
        );
    }
    html.push_str("</svg>\n");
}

/// A power of ten, named by its unit.
fn decade_name(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.0} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.0} ms", ns / 1e6),
        ns => format!("{:.0} s", ns / 1e9),
    }
}
