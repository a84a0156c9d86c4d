//! CLEAR MOT and identity F1, with the matching of py-motmetrics.
//!
//! - K. Bernardin, R. Stiefelhagen, "Evaluating multiple object tracking performance: the CLEAR MOT metrics", EURASIP J. Image
//!   Video Process. 2008: a pair that held in an earlier frame holds again wherever both are there and within the gate; the
//!   rest is assigned at least total distance; who is then paired with another label than before is a switch.
//! - IDF1: E. Ristani et al., "Performance measures and a data set for multi-target, multi-camera tracking", ECCV 2016: one
//!   assignment of people to labels for the whole recording, the one that agrees in most frames.
//!
//! py-motmetrics remembers a person's last label without limit of time, through misses too; so does this.

use std::collections::{BTreeMap, BTreeSet};

use super::assign::assign;
use super::numeric::{Matrix, sum};
use super::scene::{Frame, Scene};

/// What the matching counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clear {
    pub(super) mota: f64,
    pub(super) idf1: f64,
    /// Mean distance of matched pairs in metres, `None` where nothing was matched.
    pub(super) motp: Option<f64>,
    pub(super) switches: usize,
    pub(super) fragmentations: usize,
    pub(super) misses: usize,
    pub(super) false_positives: usize,
}

/// A person's fate so far.
#[derive(Clone, Copy, Default)]
struct Fate {
    /// The label last paired with.
    label: Option<usize>,
    /// Has ever been paired.
    tracked: bool,
    /// Was missed when last seen.
    missed: bool,
}

/// The matching as it goes through the frames.
struct Matching {
    fates: Vec<Fate>,
    /// The distance of each event: of a pair its own, of a miss or a false track 0. The zeros keep the sum in the order of the reference.
    distances: Vec<f64>,
    detections: usize,
    switches: usize,
    fragmentations: usize,
    misses: usize,
    false_positives: usize,
}

/// Scores all frames with a match gate in metres.
pub(super) fn clear(scene: &Scene, gate_m: f64) -> Clear {
    let mut matching = Matching {
        fates: vec![Fate::default(); scene.truth_labels],
        distances: Vec::new(),
        detections: 0,
        switches: 0,
        fragmentations: 0,
        misses: 0,
        false_positives: 0,
    };
    for frame in &scene.frames {
        matching.frame(frame, gate_m);
    }
    let objects: usize = scene.frames.iter().map(|frame| frame.truth.len()).sum();
    let predictions: usize = scene.frames.iter().map(|frame| frame.tracks.len()).sum();
    let errors = matching.misses + matching.switches + matching.false_positives;
    let id_hits = objects as f64 - id_misses(scene, gate_m);
    Clear {
        mota: 1.0 - errors as f64 / objects as f64,
        idf1: 2.0 * id_hits / (objects + predictions) as f64,
        motp: (matching.detections > 0).then(|| sum(&matching.distances) / matching.detections as f64),
        switches: matching.switches,
        fragmentations: matching.fragmentations,
        misses: matching.misses,
        false_positives: matching.false_positives,
    }
}

impl Matching {
    fn frame(&mut self, frame: &Frame, gate_m: f64) {
        let mut row_done = vec![false; frame.truth.len()];
        let mut col_done = vec![false; frame.tracks.len()];
        self.keep_pairs(frame, gate_m, &mut row_done, &mut col_done);
        self.new_pairs(frame, gate_m, &mut row_done, &mut col_done);
        for (person, _) in frame.truth.iter().zip(&row_done).filter(|(_, done)| !**done) {
            self.misses += 1;
            self.distances.push(0.0);
            self.fates[person.label].missed = true;
        }
        for _ in col_done.iter().filter(|done| !**done) {
            self.false_positives += 1;
            self.distances.push(0.0);
        }
    }

    /// Pairs of earlier frames that are both here and within the gate.
    fn keep_pairs(&mut self, frame: &Frame, gate_m: f64, row_done: &mut [bool], col_done: &mut [bool]) {
        for (row, person) in frame.truth.iter().enumerate() {
            let Some(label) = self.fates[person.label].label else { continue };
            let track = (0..frame.tracks.len()).find(|col| !col_done[*col] && frame.tracks[*col].label == label);
            let Some(col) = track else { continue };
            let distance_m = frame.distance.at(row, col);
            if distance_m <= gate_m {
                (row_done[row], col_done[col]) = (true, true);
                self.pair(person.label, label, distance_m);
            }
        }
    }

    /// The rest, at least total distance among assignments of the most pairs.
    fn new_pairs(&mut self, frame: &Frame, gate_m: f64, row_done: &mut [bool], col_done: &mut [bool]) {
        let open = |row: usize, col: usize| !row_done[row] && !col_done[col] && frame.distance.at(row, col) <= gate_m;
        let Some(costs) = with_forbidden(&frame.distance, open) else { return };
        let pairs: Vec<_> = assign(&costs).into_iter().filter(|(row, col)| open(*row, *col)).collect();
        for (row, col) in pairs {
            let (person, label) = (frame.truth[row].label, frame.tracks[col].label);
            if self.fates[person].label.is_some_and(|before| before != label) {
                self.switches += 1;
            }
            (row_done[row], col_done[col]) = (true, true);
            self.pair(person, label, frame.distance.at(row, col));
        }
    }

    fn pair(&mut self, person: usize, label: usize, distance_m: f64) {
        self.detections += 1;
        self.distances.push(distance_m);
        let fate = &mut self.fates[person];
        // A run of misses between two detections is one fragmentation; misses before the first or after the last are none.
        if fate.tracked && fate.missed {
            self.fragmentations += 1;
        }
        *fate = Fate { label: Some(label), tracked: true, missed: false };
    }
}

/// The distances, with a cost so high wherever a pair may not be that no forbidden pair is chosen while an allowed one is left;
/// `None` where no pair may be.
///
/// With r = min(rows, cols) pairs and allowed costs below c, one forbidden pair must cost more than r allowed ones can differ: 2 r c + 1.
fn with_forbidden(distance: &Matrix, allowed: impl Fn(usize, usize) -> bool) -> Option<Matrix> {
    let mut largest: Option<f64> = None;
    for row in 0..distance.rows {
        for col in (0..distance.cols).filter(|col| allowed(row, *col)) {
            largest = Some(largest.unwrap_or(0.0).max(distance.at(row, col)));
        }
    }
    let forbidden = 2.0 * distance.rows.min(distance.cols) as f64 * (largest? + 1.0) + 1.0;
    Some(Matrix::from_fn(distance.rows, distance.cols, |row, col| {
        if allowed(row, col) { distance.at(row, col) } else { forbidden }
    }))
}

/// Frames in which people are not where their globally assigned label is.
///
/// An assignment costs the frames of all people and all labels less twice the frames in which assigned pairs agree, so the
/// cheapest is the one that agrees most, whatever the ties, and each group of people and labels that ever agree stands alone.
/// Frames are counted as py-motmetrics counts them: of a person once per frame, of a pair every time.
fn id_misses(scene: &Scene, gate_m: f64) -> f64 {
    let mut frames_of_person = vec![0u32; scene.truth_labels];
    let mut agree: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for frame in &scene.frames {
        let people: BTreeSet<usize> = frame.truth.iter().map(|dot| dot.label).collect();
        people.into_iter().for_each(|label| frames_of_person[label] += 1);
        for (row, person) in frame.truth.iter().enumerate() {
            for (col, track) in frame.tracks.iter().enumerate() {
                if frame.distance.at(row, col) <= gate_m {
                    *agree.entry((person.label, track.label)).or_default() += 1;
                }
            }
        }
    }
    let agreed: f64 = groups(&agree, scene.truth_labels, scene.track_labels).iter().map(|group| group.most()).sum();
    frames_of_person.iter().map(|frames| f64::from(*frames)).sum::<f64>() - agreed
}

/// People and labels that are linked by agreement, with the frames of each pair.
struct Group {
    pairs: Vec<((usize, usize), u32)>,
}

impl Group {
    /// The most frames that one assignment can agree in.
    fn most(&self) -> f64 {
        let people: Vec<usize> = sorted(self.pairs.iter().map(|((person, _), _)| *person));
        let labels: Vec<usize> = sorted(self.pairs.iter().map(|((_, label), _)| *label));
        let mut frames = vec![0.0; people.len() * labels.len()];
        for ((person, label), count) in &self.pairs {
            let (row, col) = (people.partition_point(|p| p < person), labels.partition_point(|l| l < label));
            frames[row * labels.len() + col] = f64::from(*count);
        }
        let gain = Matrix::from_fn(people.len(), labels.len(), |row, col| frames[row * labels.len() + col]);
        let cost = gain.map(|frames| -frames);
        assign(&cost).into_iter().map(|(row, col)| gain.at(row, col)).sum()
    }
}

fn sorted(values: impl Iterator<Item = usize>) -> Vec<usize> {
    values.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Splits pairs into groups that share neither person nor label.
fn groups(agree: &BTreeMap<(usize, usize), u32>, people: usize, labels: usize) -> Vec<Group> {
    let mut parent: Vec<usize> = (0..people + labels).collect();
    for (person, label) in agree.keys() {
        let (a, b) = (root(&mut parent, *person), root(&mut parent, people + label));
        parent[a.max(b)] = a.min(b);
    }
    let mut by_root: BTreeMap<usize, Group> = BTreeMap::new();
    for (pair, frames) in agree {
        let root = root(&mut parent, pair.0);
        by_root.entry(root).or_insert_with(|| Group { pairs: Vec::new() }).pairs.push((*pair, *frames));
    }
    by_root.into_values().collect()
}

/// The representative of a group, shortening the way to it.
fn root(parent: &mut [usize], mut node: usize) -> usize {
    while parent[node] != node {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    node
}
