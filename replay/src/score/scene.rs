//! Truth and tracks brought together, frame by frame, with every distance measured once.
//!
//! All measures look at the same frames: the times of the truth, from the first to the last (`skip` leaves the beginning out).
//! A track's row at another time counts nowhere but in `rows_at_unknown_times`. Two places on different levels are
//! infinitely far apart, so no measure can pair them; where a row names no level, nothing speaks against the pair.

use super::error::ScoreError;
use super::numeric::Matrix;
use super::read::{Names, TrackRow, Tracks, Truth};
use super::{Ids, Options};

/// Who a matched track says it is, against who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It names nobody.
    Nobody,
    /// It names a person, by the truth's number; `None` for one whom the truth does not know.
    Person(Option<u32>),
}

/// A labelled place at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dot {
    /// Labels count from 0 in the order of their first appearance in the frames.
    pub(super) label: usize,
    pub(super) x_m: f64,
    pub(super) y_m: f64,
    /// 0 where no level is named.
    level: u32,
}

impl Dot {
    /// Metres between two places, infinite on different levels.
    pub(super) fn distance_m(&self, other: &Self) -> f64 {
        if self.level != 0 && other.level != 0 && self.level != other.level {
            return f64::INFINITY;
        }
        let (dx, dy) = (self.x_m - other.x_m, self.y_m - other.y_m);
        (dx * dx + dy * dy).sqrt()
    }
}

/// One time of the truth.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) truth: Vec<Dot>,
    pub(super) tracks: Vec<Dot>,
    /// The truth's own number of each person in `truth`, for claims.
    pub(super) persons: Vec<u32>,
    /// What each of `tracks` claims.
    pub(super) claims: Vec<Claim>,
    /// Metres, truth by tracks.
    pub(super) distance: Matrix,
}

/// All frames that are scored.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) frames: Vec<Frame>,
    /// Labels in use in the frames.
    pub(super) truth_labels: usize,
    pub(super) track_labels: usize,
    /// Labels in the whole track file.
    pub(super) labels_in_file: usize,
    /// Whether any row of the track file names a person.
    pub(super) any_claim: bool,
    /// Rows of tracks at times that the truth does not have.
    pub(super) rows_at_unknown_times: usize,
    /// Median step between times of the truth, in seconds; 1 where there is one time only.
    pub(super) step_s: f64,
}

/// Gives labels new numbers in the order of their first appearance.
struct Renumber {
    new: Vec<Option<usize>>,
    used: usize,
}

impl Renumber {
    fn new(labels: usize) -> Self {
        Self { new: vec![None; labels], used: 0 }
    }

    fn get(&mut self, label: usize) -> usize {
        *self.new[label].get_or_insert_with(|| {
            self.used += 1;
            self.used - 1
        })
    }
}

/// How a track's row is labelled: one range of numbers for tracks, one after it for persons.
struct Labels {
    ids: Ids,
    tracks: usize,
    persons: usize,
}

impl Labels {
    fn of(&self, row: &TrackRow) -> usize {
        match (self.ids, row.person) {
            (Ids::Person, Some(person)) => self.tracks + person as usize,
            _ => row.track as usize,
        }
    }
}

impl Scene {
    /// Joins truth and tracks.
    pub(super) fn new(truth: &Truth, tracks: &Tracks, options: &Options) -> Result<Self, ScoreError> {
        if options.ids == Ids::Person && !tracks.has_person_column {
            return Err(ScoreError::NoPersonColumn { file: tracks.file.clone() });
        }
        let labels =
            Labels { ids: options.ids, tracks: tracks.tracks.texts().len(), persons: tracks.persons.texts().len() };
        let times_ms: Vec<i64> = truth.frames.keys().copied().collect();
        let (Some(first_ms), Some(last_ms)) = (times_ms.first(), times_ms.last()) else {
            return Err(ScoreError::NoTruth { file: truth.file.clone() });
        };
        let from_ms = *first_ms as f64 + options.skip_s * 1000.0;
        let mut truth_numbers = Renumber::new(truth.ids.texts().len());
        let mut track_numbers = Renumber::new(labels.tracks + labels.persons);
        let claims = claims_by_person(truth, tracks);
        let levels = levels_by_truth(&truth.levels, &tracks.levels);
        let mut frames = Vec::new();
        for (time_ms, people) in truth.frames.range(..).filter(|(time_ms, _)| **time_ms as f64 >= from_ms) {
            let rows = tracks.frames.get(time_ms).map_or(&[][..], Vec::as_slice);
            let truth_dots: Vec<Dot> = people
                .iter()
                .map(|row| Dot {
                    label: truth_numbers.get(row.id as usize),
                    x_m: row.x_m,
                    y_m: row.y_m,
                    level: row.level.map_or(0, |level| level + 1),
                })
                .collect();
            let track_dots: Vec<Dot> = rows
                .iter()
                .map(|row| Dot {
                    label: track_numbers.get(labels.of(row)),
                    x_m: row.x_m,
                    y_m: row.y_m,
                    level: row.level.map_or(0, |level| levels[level as usize]),
                })
                .collect();
            frames.push(Frame {
                distance: Matrix::from_fn(truth_dots.len(), track_dots.len(), |i, j| {
                    truth_dots[i].distance_m(&track_dots[j])
                }),
                truth: truth_dots,
                tracks: track_dots,
                persons: people.iter().map(|row| row.id).collect(),
                claims: rows.iter().map(|row| row.person.map_or(Claim::Nobody, |p| claims[p as usize])).collect(),
            });
        }
        if frames.is_empty() {
            let span_s = (last_ms - first_ms) as f64 / 1000.0;
            return Err(ScoreError::AllSkipped { file: truth.file.clone(), skip_s: options.skip_s, span_s });
        }
        let mut in_file = Renumber::new(labels.tracks + labels.persons);
        tracks.frames.values().flatten().for_each(|row| {
            in_file.get(labels.of(row));
        });
        let unknown = tracks.frames.iter().filter(|(time_ms, _)| !truth.frames.contains_key(time_ms));
        Ok(Self {
            frames,
            truth_labels: truth_numbers.used,
            track_labels: track_numbers.used,
            labels_in_file: in_file.used,
            any_claim: labels.persons > 0,
            rows_at_unknown_times: unknown.map(|(_, rows)| rows.len()).sum(),
            step_s: median_step_s(&times_ms),
        })
    }
}

/// What naming each person of the track file claims.
fn claims_by_person(truth: &Truth, tracks: &Tracks) -> Vec<Claim> {
    tracks.persons.texts().iter().map(|person| Claim::Person(truth.ids.find(person))).collect()
}

/// For each level of the track file its number: the truth's, plus one; levels that the truth does not know come after those.
fn levels_by_truth(truth: &Names, tracks: &Names) -> Vec<u32> {
    let known = truth.texts().len() as u32;
    (1 + known..).zip(tracks.texts()).map(|(new, text)| truth.find(text).map_or(new, |level| level + 1)).collect()
}

/// The median of the steps between sorted times.
fn median_step_s(times_ms: &[i64]) -> f64 {
    let mut steps_ms: Vec<i64> = times_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if steps_ms.is_empty() {
        return 1.0;
    }
    steps_ms.sort_unstable();
    let middle = steps_ms.len() / 2;
    let median_ms = if steps_ms.len() % 2 == 1 {
        steps_ms[middle] as f64
    } else {
        (steps_ms[middle - 1] as f64 + steps_ms[middle] as f64) / 2.0
    };
    median_ms / 1000.0
}
