//! The report's timeline: a lane of steps for each room, then commands, what was late, and what sensors kept silent. The
//! same picture as the page's in replay, on paper: no meaning hangs on a hue alone.

use super::{BINS, Collected, Report};
use crate::draw::Svg;
use crate::timeline::{Mark, MarkKind};
use crate::words;
use osmose_model::site::{CELL, Site};
use osmose_model::time::{DurationNs, LogicalNs};

const LEFT_PX: f64 = 150.0;
const PLOT_PX: f64 = 1000.0;
const ROW_PX: f64 = 22.0;
const HEAD_PX: f64 = 20.0;
const WIDTH_PX: f64 = LEFT_PX + PLOT_PX + 10.0;
/// Most sensors that have a lane of their own for their silences.
const SILENT_MAX: usize = 8;
/// Words stand in a lane where at least this much of it is free.
const WORD_PX: f64 = 90.0;

/// Steps of the axis, seconds: those that people count in.
const STEPS_S: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600];

const CSS: &str = "\
    .lane-name{font-size:12px}.lane-most{font-size:11px;fill:#62696f;text-anchor:end}.lane-axis{font-size:11px;fill:#62696f}\
    .lane-grid{fill:none;stroke:#e2e5e3;stroke-width:1}.lane-base{fill:none;stroke:#bfc5c2;stroke-width:1}\
    .lane-fill{fill:#d9e6f2;stroke:none}.lane-step{fill:none;stroke:#0a5cad;stroke-width:1.25}\
    .lane-tick{fill:none;stroke:#14171a;stroke-width:1.25}.lane-heavy{fill:none;stroke:#14171a;stroke-width:3}\
    .lane-late{fill:#b0124f;stroke:none}.lane-word{font-size:11px;fill:#14171a}\
    .lane-dead{fill:none;stroke:#b0124f;stroke-width:1.25}.lane-gap{fill:#14171a;stroke:none}\
    .lane-rec{fill:none;stroke:#14171a;stroke-width:3}";

struct Lanes<'r> {
    svg: Svg,
    r: &'r Report,
    from: LogicalNs,
    to: LogicalNs,
    y: f64,
}

pub(super) fn render(r: &Report, site: &Site) -> String {
    let Collected { people, span, .. } = &r.collected;
    // What a speaker can aim at is no room: thirty lanes of cells would bury the rooms.
    let is_cell = |z: usize| site.zones.get(z).is_some_and(|zone| zone.category == CELL);
    let is_used = |z: &usize| people[*z].iter().any(|n| *n > 0) && !is_cell(*z);
    let used: Vec<usize> = (0..people.len()).filter(is_used).collect();
    let dead: Vec<&Mark> = r.line.iter().flat_map(|l| &l.marks).filter(|m| m.kind == MarkKind::Dead).collect();
    let mut silent: Vec<_> = dead.iter().filter_map(|m| m.sensor).collect();
    silent.dedup();
    silent.sort_unstable();
    silent.dedup();
    let more = silent.len().saturating_sub(SILENT_MAX);
    silent.truncate(SILENT_MAX);
    let has_gaps = r.line.iter().flat_map(|l| &l.marks).any(|m| m.kind == MarkKind::Gap);
    let rows = used.len() + 2 + silent.len() + usize::from(has_gaps);
    let height_px = HEAD_PX + ROW_PX * rows as f64 + 6.0;
    let about = "people by room over time, then commands, late commands, and what was silent or is missing";
    let svg = Svg::new(WIDTH_PX, height_px, "timeline", about, CSS);
    let mut lanes = Lanes { svg, r, from: span.0, to: span.1, y: HEAD_PX };
    lanes.axis(height_px);
    for zone in &used {
        lanes.room(site, *zone);
    }
    lanes.commands();
    lanes.late();
    if has_gaps {
        lanes.gaps();
    }
    for sensor in silent {
        let of_it = dead.iter().filter(|m| m.sensor == Some(sensor)).copied();
        lanes.silences(words::sensor(site, sensor), of_it);
    }
    let mut html = lanes.svg.finish().replace("svg-title", "lanes-title").replace("svg-desc", "lanes-desc");
    let column = words::span(DurationNs(span.1.since(span.0).0 / BINS as i64));
    html += &format!(
        "<p class=\"small\">Most people at once in each {column}; the figure before a lane is the most of all"
    );
    if used.is_empty() {
        html += ". Nobody was in any room";
    }
    if more > 0 {
        html += &format!(". {more} more sensors were silent: see below");
    }
    html += ".</p>\n";
    html
}

impl Lanes<'_> {
    fn x(&self, at: LogicalNs) -> f64 {
        let share = at.since(self.from).as_s_f64() / self.to.since(self.from).as_s_f64().max(1e-9);
        LEFT_PX + PLOT_PX * share.clamp(0.0, 1.0)
    }

    /// Lines at round times, by the local clock where there is one.
    fn axis(&mut self, height_px: f64) {
        let length_s = self.to.since(self.from).0 / 1_000_000_000;
        let step = STEPS_S.into_iter().find(|s| length_s / s <= 9).unwrap_or(length_s / 8 + 1);
        // The first round second of the local day, or of the trace.
        let wall = self.r.wall.map(|(at, w)| w.utc.0.saturating_add(w.offset.0).saturating_sub(at.0));
        let base = wall.unwrap_or(0);
        let step_ns = step * 1_000_000_000;
        let first = self.from.0.saturating_add(base).div_euclid(step_ns) + 1;
        for i in first..first + 12 {
            let at = LogicalNs((i * step_ns).saturating_sub(base));
            if at > self.to {
                break;
            }
            let x = self.x(at);
            self.svg.lines("lane-grid", false, [[(x, HEAD_PX - 4.0), (x, height_px - 4.0)]], "");
            let clock = words::time_of_day(at, self.r.wall).map(|c| c[..8].to_owned());
            self.svg.label("lane-axis", (x + 3.0, HEAD_PX - 8.0), &clock.unwrap_or_else(|| words::seconds(at)));
        }
    }

    /// A lane's name, its most, and its foot.
    fn lane(&mut self, name: &str, most: &str) {
        let foot = self.y + ROW_PX - 3.0;
        let mut name: String = name.to_owned();
        if name.chars().count() > 18 {
            name = name.chars().take(17).chain(['\u{2026}']).collect();
        }
        self.svg.label("lane-name", (0.0, foot - 3.0), &name);
        self.svg.label("lane-most", (LEFT_PX - 8.0, foot - 3.0), most);
        self.svg.lines("lane-base", false, [[(LEFT_PX, foot), (LEFT_PX + PLOT_PX, foot)]], "");
    }

    fn room(&mut self, site: &Site, zone: usize) {
        let people = &self.r.collected.people[zone];
        let most = people.iter().copied().max().unwrap_or(0);
        let name = site.zones.get(zone).map_or("?", |z| z.name.as_str()).to_owned();
        self.lane(&name, &most.to_string());
        let foot = self.y + ROW_PX - 3.0;
        let unit = (ROW_PX - 8.0) / f64::from(most.max(1));
        let column_px = PLOT_PX / BINS as f64;
        let mut start = 0;
        let mut step: Vec<(f64, f64)> = Vec::new();
        for c in 1..=BINS {
            if c < BINS && people[c] == people[start] {
                continue;
            }
            let (x0, x1) = (LEFT_PX + column_px * start as f64, LEFT_PX + column_px * c as f64);
            let top = foot - unit * f64::from(people[start]);
            if people[start] > 0 {
                let corners = [(x0, foot), (x0, top), (x1, top), (x1, foot)];
                self.svg.lines("lane-fill", true, [corners], &format!("{name}: {}", people[start]));
            }
            step.extend([(x0, top), (x1, top)]);
            start = c;
        }
        self.svg.lines("lane-step", false, [step], "");
        self.recorder(site, zone, foot);
        self.y += ROW_PX;
    }

    /// When the room's recorder recorded: a bar at the lane's foot.
    fn recorder(&mut self, site: &Site, zone: usize, foot: f64) {
        let is_of = |a: &&osmose_model::device::Actuator| {
            a.kind == osmose_model::device::ActuatorKind::Recorder && a.zone.is_some_and(|z| z.index() == zone)
        };
        let of_room: Vec<_> = site.actuators.iter().filter(is_of).map(|a| a.id).collect();
        let lanes = self.r.line.iter().flat_map(|l| &l.devices).filter(|d| of_room.contains(&d.device));
        let mut bars = Vec::new();
        for lane in lanes {
            for (i, (at, state)) in lane.changes.iter().enumerate() {
                if *state == "recording" {
                    let end = lane.changes.get(i + 1).map_or(self.to, |(next, _)| *next);
                    bars.push([(self.x(*at), foot), (self.x(end), foot)]);
                }
            }
        }
        self.svg.lines("lane-rec", false, bars, "recording");
    }

    fn marks(&self, kind: MarkKind) -> Vec<Mark> {
        self.r.line.iter().flat_map(|l| &l.marks).filter(|m| m.kind == kind).cloned().collect()
    }

    fn commands(&mut self) {
        let mut marks = self.marks(MarkKind::Command);
        marks.extend(self.marks(MarkKind::Late));
        self.lane("Commands", &marks.len().to_string());
        let (top, foot) = (self.y + 4.0, self.y + ROW_PX - 6.0);
        for m in &marks {
            // Privacy and above are drawn heavier: ranks 0 to 2 of the default levels.
            let class = if m.level.is_some() && m.rank.is_some_and(|r| r <= 2) { "lane-heavy" } else { "lane-tick" };
            let x = self.x(m.at);
            self.svg.lines(class, false, [[(x, top), (x, foot)]], &m.text);
        }
        self.y += ROW_PX;
    }

    fn late(&mut self) {
        let marks = self.marks(MarkKind::Late);
        self.lane("Late", &marks.len().to_string());
        let (top, foot) = (self.y + 4.0, self.y + ROW_PX - 6.0);
        for m in &marks {
            let x = self.x(m.at);
            self.svg.lines("lane-late", true, [[(x - 5.0, foot), (x, top), (x + 5.0, foot)]], &m.text);
        }
        if let ([m], Some(took)) = (marks.as_slice(), marks.first().and_then(|m| m.took)) {
            let text = format!("{} of {}", words::span(took), m.deadline.map_or_else(String::new, words::span));
            self.word(self.x(m.at) + 9.0, foot, &text);
        }
        self.y += ROW_PX;
    }

    fn gaps(&mut self) {
        let marks = self.marks(MarkKind::Gap);
        self.lane("Missing", &marks.len().to_string());
        let (top, foot) = (self.y + 4.0, self.y + ROW_PX - 6.0);
        for m in &marks {
            let (x0, x1) = (self.x(m.at), self.x(m.until.unwrap_or(m.at)));
            let x1 = x1.max(x0 + 3.0);
            self.svg.lines("lane-gap", true, [[(x0, top), (x1, top), (x1, foot), (x0, foot)]], &m.text);
        }
        if let [m] = marks.as_slice() {
            self.word(self.x(m.until.unwrap_or(m.at)) + 6.0, foot, &m.text);
        }
        self.y += ROW_PX;
    }

    /// A hatched bar for each stretch in which a sensor was dead.
    fn silences<'m>(&mut self, sensor: &str, marks: impl Iterator<Item = &'m Mark>) {
        let marks: Vec<&Mark> = marks.collect();
        self.lane(sensor, &marks.len().to_string());
        let (top, foot) = (self.y + 5.0, self.y + ROW_PX - 6.0);
        for m in &marks {
            let (x0, x1) = (self.x(m.at), self.x(m.until.unwrap_or(self.to)));
            let x1 = x1.max(x0 + 3.0);
            let mut parts = vec![vec![(x0, top), (x1, top), (x1, foot), (x0, foot), (x0, top)]];
            let mut x = x0 + 6.0;
            while x < x1 {
                parts.push(vec![(x, top), ((x - (foot - top)).max(x0), foot - (x0 - x + foot - top).max(0.0))]);
                x += 6.0;
            }
            self.svg.lines("lane-dead", false, parts, &m.text);
        }
        if let [m] = marks.as_slice() {
            let text = if m.until.is_some() { "silent" } else { "silent to the end" };
            let x = self.x(m.at);
            let (words, before) = (6.5 * text.len() as f64, x - 8.0);
            if before - words > LEFT_PX {
                self.svg.label("lane-word", (before - words, foot), text);
            }
        }
        self.y += ROW_PX;
    }

    fn word(&mut self, x: f64, y: f64, text: &str) {
        if x + WORD_PX < LEFT_PX + PLOT_PX {
            let most = ((LEFT_PX + PLOT_PX - x) / 6.2) as usize;
            let text: String = text.chars().take(most).collect();
            self.svg.label("lane-word", (x, y), &text);
        }
    }
}
