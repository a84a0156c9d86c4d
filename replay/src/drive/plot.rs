//! `--plot`: a replay as one picture. What sensors saw, where fusion put people, who it took them for, and the truth
//! where there is one.
//!
//! A picture has room for so many points only: paths keep a point where they moved far enough, and where all paths
//! together grow too long that distance doubles; of too many detections every second one goes. The legend says both.

use crate::draw::{Panels, Style, Svg};
use crate::score::Truth;
use crate::words::counted;
use osmose_model::geometry::{Aabb, Point};
use osmose_model::ids::{LevelId, PersonId, TrackId};
use osmose_model::input::Input;
use osmose_model::observation::Body;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs, format_seconds};
use osmose_model::world::Occupant;
use std::collections::BTreeMap;

/// Most points of all paths together.
const POINTS_MAX: usize = 100_000;
/// Most detections drawn.
const DOTS_MAX: usize = 30_000;
/// A path's points are at least this far apart, metres.
const STEP_M: f64 = 0.05;
/// A path that was silent this long is drawn with a gap.
const GAP: DurationNs = DurationNs::from_s(2);
/// Tracks named in the picture, longest first; the others have their name as a tooltip.
const NAMED_MAX: usize = 60;
/// Width of the paper, pixels.
const WIDTH_PX: f64 = 1200.0;
/// Colours that people with any colour vision tell apart (Okabe and Ito, 2008), without yellow.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

const CSS: &str = "\
    .seen{fill:none;stroke:#62696f;stroke-width:2;stroke-linecap:round;opacity:.4}\
    .truth{fill:none;stroke:#14171a;stroke-width:1;stroke-dasharray:4 3;opacity:.55}\
    .path{fill:none;stroke-width:2.5;stroke-linejoin:round}.anonymous{stroke-width:1.1}\
    .changed{fill:none;stroke:#b0124f;stroke-width:1.5}.end{stroke:none}.track{font-size:10px}\
    .legend{font-size:11px}";

/// One point of a path.
#[derive(Clone, Copy, Debug)]
struct Stop {
    at: LogicalNs,
    level: LevelId,
    point: Point,
    person: Option<PersonId>,
}

/// Paths by label.
#[derive(Clone, Debug)]
struct Paths<L> {
    by_label: BTreeMap<L, Vec<Stop>>,
    points: usize,
    step_m: f64,
}

impl<L: Ord> Paths<L> {
    fn new() -> Self {
        Self { by_label: BTreeMap::new(), points: 0, step_m: STEP_M }
    }

    fn push(&mut self, label: L, stop: Stop) {
        let path = self.by_label.entry(label).or_default();
        if let [.., before, last] = path.as_mut_slice() {
            // The last point moves on until it is a step away from the one before: so every path ends where it ended.
            let near = before.point.distance(last.point) < self.step_m;
            let same = before.level == last.level && before.person == last.person && stop.person == last.person;
            if near && same && stop.at.since(before.at) < GAP {
                *last = stop;
                return;
            }
        }
        path.push(stop);
        self.points += 1;
        if self.points > POINTS_MAX {
            self.thin();
        }
    }

    /// Doubles the step, and takes out what is nearer.
    fn thin(&mut self) {
        self.step_m *= 2.0;
        self.points = 0;
        for path in self.by_label.values_mut() {
            let end = path.last().copied();
            let mut kept: Option<Stop> = None;
            path.retain(|s| {
                let keep = kept.is_none_or(|k| {
                    k.point.distance(s.point) >= self.step_m
                        || k.level != s.level
                        || k.person != s.person
                        || s.at.since(k.at) >= GAP
                });
                if keep {
                    kept = Some(*s);
                }
                keep
            });
            if let (Some(end), Some(kept)) = (end, kept)
                && kept.at != end.at
            {
                path.push(end);
            }
            self.points += path.len();
        }
    }
}

/// What a picture collects while a replay runs.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    truth: Option<Truth>,
    tracks: Paths<TrackId>,
    seen: Vec<(LevelId, Point)>,
    /// Of so many detections one is kept.
    one_of: u64,
    met: u64,
    span: Option<(LogicalNs, LogicalNs)>,
}

impl Plot {
    pub(super) fn new(truth: Option<Truth>) -> Self {
        Self { truth, tracks: Paths::new(), seen: Vec::new(), one_of: 1, met: 0, span: None }
    }

    /// An input was stepped at `at`.
    pub(super) fn input(&mut self, at: LogicalNs, input: &Input<'_>) {
        self.span = Some((self.span.map_or(at, |(first, _)| first), at));
        match input.observation().map(|o| o.body) {
            Some(Body::Position(detections)) => {
                detections.iter().for_each(|d| self.detection(d.place.level, d.place.at));
            }
            Some(Body::Points(points)) => points.iter().for_each(|p| self.detection(p.place.level, p.place.at)),
            Some(Body::Location { place, .. }) => self.detection(place.level, place.at),
            _ => {}
        }
    }

    fn detection(&mut self, level: LevelId, point: Point) {
        self.met += 1;
        if !self.met.is_multiple_of(self.one_of) {
            return;
        }
        self.seen.push((level, point));
        if self.seen.len() > DOTS_MAX {
            let mut n = 0;
            self.seen.retain(|_| {
                n += 1;
                n % 2 == 0
            });
            self.one_of *= 2;
        }
    }

    /// Somebody is at a place, named or not.
    pub(super) fn occupant(&mut self, at: LogicalNs, o: &Occupant, person: Option<PersonId>) {
        self.tracks.push(o.track, Stop { at, level: o.place.level, point: o.place.at, person });
    }

    /// The picture.
    pub(super) fn render(&self, site: &Site) -> String {
        let truth = self.truth_paths(site);
        let stops = self.tracks.by_label.values().chain(truth.by_label.values()).flatten();
        let laid = stops.map(|s| (s.level, s.point)).chain(self.seen.iter().copied());
        let also: Vec<(LevelId, Aabb)> = boxes(laid);
        let panels = Panels::new(site, WIDTH_PX, &also);
        let (width_px, height_px) = panels.size_px();
        let legend = self.legend(truth.by_label.len());
        let height_px = height_px + 18.0 * legend.len() as f64 + 12.0;
        let css = format!("{}{CSS}{}", Style::CSS, colour_css());
        let description: Vec<&str> = legend.iter().map(|(_, text)| text.as_str()).collect();
        let mut svg = Svg::new(width_px, height_px, &format!("{}: replay", site.name), &description.join(". "), &css);
        panels.draw(site, &mut svg);
        for panel in panels.iter() {
            let on = |level: LevelId| level == panel.level;
            svg.open("data");
            svg.dots("seen", self.seen.iter().filter(|(l, _)| on(*l)).map(|(_, p)| panel.at(*p)));
            for (id, path) in &truth.by_label {
                for run in runs(path).filter(|run| on(run[0].level)) {
                    svg.lines("truth", false, [run.iter().map(|s| panel.at(s.point))], &format!("truth: {id}"));
                }
            }
            for (track, path) in &self.tracks.by_label {
                for run in runs(path).filter(|run| on(run[0].level)) {
                    let class = class(*track, run[0].person);
                    svg.lines(&class, false, [run.iter().map(|s| panel.at(s.point))], &name(site, *track, run));
                }
                for change in changes(path).filter(|(_, s)| on(s.level)) {
                    svg.circle("changed", panel.at(change.1.point), 5.0, &changed(site, *track, change));
                }
            }
            self.draw_names(site, panel, &mut svg);
            svg.close();
        }
        draw_legend(&mut svg, &legend, panels.size_px().1);
        svg.finish()
    }

    /// The longest tracks have their name where they ended.
    fn draw_names(&self, site: &Site, panel: &crate::draw::Panel, svg: &mut Svg) {
        let mut longest: Vec<(&TrackId, &Stop, i64)> = (self.tracks.by_label.iter())
            .filter_map(|(track, path)| {
                let (first, last) = (path.first()?, path.last()?);
                Some((track, last, last.at.since(first.at).0))
            })
            .collect();
        longest.sort_by_key(|(track, _, ns)| (-ns, **track));
        for (track, last, _) in longest.into_iter().take(NAMED_MAX).filter(|(_, s, _)| s.level == panel.level) {
            let (x, y) = panel.at(last.point);
            svg.circle(&format!("end f{}", colour(*track, last.person)), (x, y), 3.0, "");
            svg.label("track", (x + 5.0, y + 3.0), &who(site, *track, last.person));
        }
    }

    fn truth_paths(&self, site: &Site) -> Paths<String> {
        let mut paths = Paths::new();
        let (Some(truth), Some((first, last))) = (&self.truth, self.span) else { return paths };
        for row in truth.rows() {
            let at = LogicalNs(row.time_ms.saturating_mul(1_000_000));
            if at < first || at > last {
                continue;
            }
            let level = row.level.and_then(|name| site.level_named(name)).unwrap_or(LevelId(0));
            paths.push(row.id.to_owned(), Stop { at, level, point: Point::new(row.x_m, row.y_m), person: None });
        }
        paths
    }

    /// What the marks mean, with how many there are: a class and a text each.
    fn legend(&self, people: usize) -> Vec<(&'static str, String)> {
        let (first, last) = self.span.map_or((0, 0), |(a, b)| (a.0, b.0));
        let thinned = if self.one_of > 1 { format!(", one of {} drawn", self.one_of) } else { String::new() };
        let changes: usize = self.tracks.by_label.values().map(|p| changes(p).count()).sum();
        let mut legend = vec![
            ("", format!("from {} s to {} s", format_seconds(first), format_seconds(last))),
            ("seen", format!("{} detections and fixes{thinned}", self.met)),
            (
                "path",
                format!(
                    "{}, thin while they are nobody known, one colour a person; points {:.2} m apart at least",
                    counted(self.tracks.by_label.len(), "track"),
                    self.tracks.step_m
                ),
            ),
            ("changed", counted(changes, "change") + " of identity"),
        ];
        if self.truth.is_some() {
            legend.push(("truth", format!("{people} people of the truth")));
        }
        legend
    }
}

/// The box of what is on each level.
fn boxes(laid: impl Iterator<Item = (LevelId, Point)>) -> Vec<(LevelId, Aabb)> {
    let mut by_level: BTreeMap<LevelId, Aabb> = BTreeMap::new();
    for (level, p) in laid {
        let b = by_level.entry(level).or_insert(Aabb { min: p, max: p });
        b.min = Point::new(b.min.x_m.min(p.x_m), b.min.y_m.min(p.y_m));
        b.max = Point::new(b.max.x_m.max(p.x_m), b.max.y_m.max(p.y_m));
    }
    by_level.into_iter().collect()
}

/// The stretches of a path without a gap, on one level, of one person. Where only the person changes, the stretches
/// share that point.
fn runs(path: &[Stop]) -> impl Iterator<Item = &[Stop]> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= path.len() {
            return None;
        }
        let (from, mut end) = (start, start + 1);
        while end < path.len() {
            let (a, b) = (&path[end - 1], &path[end]);
            if b.at.since(a.at) > GAP || a.level != b.level {
                start = end;
                return Some(&path[from..end]);
            }
            end += 1;
            if a.person != b.person {
                start = end - 1;
                return Some(&path[from..end]);
            }
        }
        start = end;
        Some(&path[from..end])
    })
}

/// Where a path's known person became another one: the person before, and the first stop of the one after.
fn changes(path: &[Stop]) -> impl Iterator<Item = (PersonId, &Stop)> {
    let mut last: Option<PersonId> = None;
    path.iter().filter_map(move |s| {
        let before = last.filter(|before| s.person.is_some_and(|p| p != *before));
        last = s.person.or(last);
        before.map(|before| (before, s))
    })
}

fn colour(track: TrackId, person: Option<PersonId>) -> usize {
    person.map_or(track.0 as usize, PersonId::index) % COLOURS.len()
}

fn class(track: TrackId, person: Option<PersonId>) -> String {
    format!("path s{}{}", colour(track, person), if person.is_none() { " anonymous" } else { "" })
}

fn colour_css() -> String {
    COLOURS.iter().enumerate().map(|(i, c)| format!(".s{i}{{stroke:{c}}}.f{i}{{fill:{c}}}")).collect()
}

fn person_name(site: &Site, person: PersonId) -> &str {
    site.people.get(person.index()).map_or("?", |p| p.name.as_str())
}

fn who(site: &Site, track: TrackId, person: Option<PersonId>) -> String {
    match person {
        Some(p) => format!("{} ({track})", person_name(site, p)),
        None => track.to_string(),
    }
}

fn name(site: &Site, track: TrackId, run: &[Stop]) -> String {
    let (first, last) = (run[0].at.0, run[run.len() - 1].at.0);
    let person = run[0].person.map_or("nobody known", |p| person_name(site, p));
    format!("track {track}, {person}, {} s to {} s", format_seconds(first), format_seconds(last))
}

fn changed(site: &Site, track: TrackId, (before, s): (PersonId, &Stop)) -> String {
    let after = s.person.map_or("?", |p| person_name(site, p));
    format!("{} s: track {track} was {}, is {after}", format_seconds(s.at.0), person_name(site, before))
}

fn draw_legend(svg: &mut Svg, legend: &[(&str, String)], top_px: f64) {
    for (i, (class, text)) in legend.iter().enumerate() {
        let y = top_px + 18.0 * i as f64;
        match *class {
            "" => {}
            "changed" => svg.circle("changed", (40.0, y - 4.0), 5.0, ""),
            "seen" => svg.dots("seen", [(34.0, y - 4.0), (40.0, y - 6.0), (46.0, y - 3.0)]),
            "path" => svg.lines("path s0", false, [[(28.0, y - 4.0), (52.0, y - 4.0)]], ""),
            class => svg.lines(class, false, [[(28.0, y - 4.0), (52.0, y - 4.0)]], ""),
        }
        svg.label("legend", (62.0, y), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(s: i64, x_m: f64, person: Option<u16>) -> Stop {
        Stop {
            at: LogicalNs(s * 1_000_000_000),
            level: LevelId(0),
            point: Point::new(x_m, 0.0),
            person: person.map(PersonId),
        }
    }

    #[test]
    fn a_path_keeps_its_ends_and_few_points_between() {
        let mut paths = Paths::new();
        for i in 0..1000 {
            paths.push((), Stop { at: LogicalNs(i * 1_000_000), ..stop(0, i as f64 * 0.001, None) });
        }
        let path = &paths.by_label[&()];
        assert_eq!((path[0].point.x_m, path[path.len() - 1].point.x_m), (0.0, 0.999));
        assert!((20..=23).contains(&path.len()), "{} points of a metre in steps of 5 cm", path.len());
    }

    #[test]
    fn paths_are_bounded_and_still_end_where_they_ended() {
        let mut paths = Paths::new();
        for i in 0..3 * POINTS_MAX {
            paths.push(i % 3, stop(0, i as f64 * 0.06, None));
        }
        assert!(paths.points <= POINTS_MAX);
        assert_eq!(paths.points, paths.by_label.values().map(Vec::len).sum::<usize>());
        let last = (3 * POINTS_MAX - 1) as f64 * 0.06;
        assert_eq!(paths.by_label[&2].last().map(|s| s.point.x_m), Some(last));
    }

    #[test]
    fn detections_are_thinned_evenly() {
        let mut plot = Plot::new(None);
        for i in 0..4 * DOTS_MAX {
            plot.detection(LevelId(0), Point::new(i as f64, 0.0));
        }
        assert!(plot.seen.len() <= DOTS_MAX && plot.seen.len() >= DOTS_MAX / 2, "{}", plot.seen.len());
        let step = plot.one_of as f64;
        assert!(plot.seen.windows(2).all(|w| w[1].1.x_m - w[0].1.x_m == step), "one of {step}");
    }

    #[test]
    fn runs_part_at_silences_and_join_at_a_change_of_person() {
        let path = [
            stop(0, 0.0, None),
            stop(1, 1.0, Some(1)),
            stop(2, 2.0, Some(1)),
            stop(9, 3.0, Some(1)),
            stop(10, 4.0, Some(2)),
        ];
        let lengths: Vec<Vec<i64>> = runs(&path).map(|r| r.iter().map(|s| s.at.0 / 1_000_000_000).collect()).collect();
        assert_eq!(lengths, [vec![0, 1], vec![1, 2], vec![9, 10], vec![10]]);
        let changed: Vec<_> = changes(&path).map(|(p, s)| (p, s.at.0 / 1_000_000_000)).collect();
        assert_eq!(changed, [(PersonId(1), 10)]);
    }
}
