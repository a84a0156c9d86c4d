//! The lines on top: which engine, how fast it is against its budget, what it lost.

use super::{BAD, DIM, DOUBT, STRONG};
use crate::keys::View;
use crate::state::{Link, Spread, State};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// From this width on there is room for a bar.
const BAR_FROM: u16 = 96;

/// A length of time in the unit in which people read it.
pub(super) fn us(us: u64) -> String {
    match us {
        0..10_000 => format!("{us} us"),
        10_000..10_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

fn maybe(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), us)
}

/// The time of day of an RFC 3339 text, else seconds of the log.
fn clock(state: &State) -> String {
    let of_day = state.utc.as_deref().and_then(|utc| Some(utc.split_once('T')?.1.get(..8)?.to_owned() + " UTC"));
    of_day.unwrap_or_else(|| format!("{:.1} s", state.t_s))
}

/// Which engine, and whether it speaks.
pub(super) fn title<'s>(state: &State, view: &View, to: &str) -> Line<'s> {
    let mut spans =
        vec![Span::styled(if state.site.is_empty() { "osmose".to_owned() } else { state.site.clone() }, STRONG)];
    match &state.link {
        Link::Connecting => spans.push(Span::styled(format!("  connecting to {to}"), DIM)),
        Link::Lost(why) => spans.push(Span::styled(format!("  NO ENGINE: {why}; trying again"), BAD)),
        Link::Live if state.is_replay => spans.push(Span::styled("  replay".to_owned(), DOUBT)),
        Link::Live => spans.push(Span::raw("  live")),
    }
    if !state.site.is_empty() {
        spans.push(Span::raw(format!("  {}", clock(state))));
        spans.push(Span::styled(format!("  {} on {} core(s)", state.topology, state.cores), DIM));
    }
    if state.dry_run {
        spans.push(Span::styled("  DRY RUN", DOUBT));
    }
    if view.holds {
        spans.push(Span::styled("  HELD", DOUBT));
    }
    Line::from(spans)
}

/// The state in one short line.
pub(super) fn short<'s>(state: &State) -> Line<'s> {
    let late = if state.late > 0 { format!(" {} late", state.late) } else { String::new() };
    Line::from(format!(
        "{} people  p99 {}{late}  {} ill",
        state.people.len(),
        maybe(state.engine.p99),
        state.ill().count()
    ))
}

fn spread<'s>(name: &'static str, s: &Spread, budget_us: Option<u64>) -> Line<'s> {
    let mut spans = vec![Span::styled(format!("{name:<7}"), STRONG)];
    for (label, value) in [("p50", s.p50), ("p99", s.p99), ("p99.9", s.p999), ("max", s.max)] {
        spans.push(Span::styled(format!("{label} "), DIM));
        let is_over = budget_us.zip(value).is_some_and(|(b, v)| v > b);
        spans.push(Span::styled(format!("{:<8} ", maybe(value)), if is_over { BAD } else { Style::new() }));
    }
    spans.push(Span::styled(format!("n {}", s.n), DIM));
    Line::from(spans)
}

/// The share of the budget that the slowest hundredth takes; as a bar of ten too where there is room.
fn share(state: &State, width: u16) -> String {
    let share = state.engine.p99.or(state.engine.max).map_or(0.0, |v| v as f64 / state.budget_us as f64);
    let told = format!("{:.0} % of {}", share * 100.0, us(state.budget_us));
    let full = (share * 10.0).round().clamp(0.0, 10.0) as usize;
    if width < BAR_FROM { told } else { format!("[{}{}] {told}", "#".repeat(full), ".".repeat(10 - full)) }
}

/// All lines on top.
pub(super) fn lines<'s>(state: &State, view: &View, to: &str, width: u16) -> Vec<Line<'s>> {
    let mut engine = spread("engine", &state.engine, Some(state.budget_us));
    engine.push_span(Span::raw(format!("  {}", share(state, width))));
    let mut human = spread("human", &state.human, None);
    if state.late > 0 {
        human.push_span(Span::styled(format!("  {} LATE", state.late), BAD));
    }
    let per_s = state.inputs_per_s.map_or_else(String::new, |r| format!(" ({r:.0}/s)"));
    let mut counts = Line::from(format!("inputs {}{per_s}  commands {}  ", state.inputs, state.sent));
    if state.drops.is_empty() {
        counts.push_span(Span::styled("nothing dropped or refused", DIM));
    } else {
        let told: Vec<String> = state.drops.iter().map(|(k, n)| format!("{k} {n}")).collect();
        counts.push_span(Span::styled(told.join("  "), DOUBT));
    }
    vec![title(state, view, to), engine, human, counts]
}
