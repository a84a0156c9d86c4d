//! HOTA: detection and association in one figure, with TrackEval's arithmetic.
//!
//! J. Luiten et al., "HOTA: a higher order metric for evaluating multi-object tracking", IJCV 129 (2021). Each frame is
//! matched once, favouring pairs of labels that overlap over the whole recording; then, for nineteen similarity
//! thresholds, DetA = TP / (TP + FN + FP), AssA = the mean over true positives of (frames in which that pair is matched) /
//! (frames in which either of the two is there), HOTA = sqrt(DetA AssA), and each figure is the mean over thresholds.
//!
//! Similarity of two places is max(0, 1 - d / (2 gate)): the threshold 0.5 lies at the match gate.

use std::collections::BTreeMap;

use super::assign::assign;
use super::numeric::{Matrix, mean, sum_sparse};
use super::scene::{Dot, Frame, Scene};

/// Thresholds 0.05, 0.10, ..., 0.95.
const THRESHOLDS: usize = 19;

/// The three figures, each a mean over thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hota {
    pub(super) hota: f64,
    pub(super) deta: f64,
    pub(super) assa: f64,
}

/// Scores all frames with a match gate in metres.
pub(super) fn hota(scene: &Scene, gate_m: f64) -> Hota {
    if scene.frames.iter().all(|frame| frame.tracks.is_empty()) {
        return Hota { hota: 0.0, deta: 0.0, assa: 0.0 };
    }
    let overlap = Overlap::new(scene, gate_m);
    let (mut true_positives, mut people, mut tracks) = ([0u32; THRESHOLDS], 0, 0);
    let mut pairs: BTreeMap<(usize, usize), [u32; THRESHOLDS]> = BTreeMap::new();
    for frame in &scene.frames {
        people += frame.truth.len();
        tracks += frame.tracks.len();
        let mut matched: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (pair, passed) in overlap.matches(frame, gate_m) {
            true_positives[..passed].iter_mut().for_each(|count| *count += 1);
            let most = matched.entry(pair).or_default();
            *most = passed.max(*most);
        }
        for (pair, passed) in matched.into_iter().filter(|(_, passed)| *passed > 0) {
            let counts = pairs.entry(pair).or_insert([0; THRESHOLDS]);
            counts[..passed].iter_mut().for_each(|count| *count += 1);
        }
    }
    let (mut hotas, mut detas, mut assas) = ([0.0; THRESHOLDS], [0.0; THRESHOLDS], [0.0; THRESHOLDS]);
    for threshold in 0..THRESHOLDS {
        let hits = f64::from(true_positives[threshold]);
        // TP + FN + FP: every person and every track once, a matched pair once.
        detas[threshold] = hits / (people as f64 + tracks as f64 - hits).max(1.0);
        assas[threshold] = overlap.association(&pairs, threshold) / hits.max(1.0);
        hotas[threshold] = (detas[threshold] * assas[threshold]).sqrt();
    }
    let mean = |values: &[f64]| mean(values).unwrap_or(0.0);
    Hota { hota: mean(&hotas), deta: mean(&detas), assa: mean(&assas) }
}

/// How labels overlap over the whole recording.
struct Overlap {
    /// Frames in which a person, or a label, is there.
    person_frames: Vec<u32>,
    label_frames: Vec<u32>,
    /// Sum over frames of a pair's similarity, normalised by all that competes for the two.
    potential: BTreeMap<(usize, usize), f64>,
}

impl Overlap {
    fn new(scene: &Scene, gate_m: f64) -> Self {
        let mut overlap = Self {
            person_frames: vec![0; scene.truth_labels],
            label_frames: vec![0; scene.track_labels],
            potential: BTreeMap::new(),
        };
        for frame in &scene.frames {
            count_once(&mut overlap.person_frames, &frame.truth);
            count_once(&mut overlap.label_frames, &frame.tracks);
            overlap.add_potential(frame, gate_m);
        }
        overlap
    }

    fn add_potential(&mut self, frame: &Frame, gate_m: f64) {
        let similarity = similarity(frame, gate_m);
        let (rows, cols) = (similarity.row_sums(), similarity.column_sums());
        // Where a label stands twice in a frame, its last row counts: each pair's new value is its value before this frame plus one share.
        let mut after: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for (row, person) in frame.truth.iter().enumerate() {
            for (col, track) in frame.tracks.iter().enumerate() {
                let all = cols[col] + rows[row] - similarity.at(row, col);
                let share = if all > f64::EPSILON { similarity.at(row, col) / all } else { 0.0 };
                let pair = (person.label, track.label);
                if share > 0.0 || after.contains_key(&pair) {
                    after.insert(pair, self.potential.get(&pair).unwrap_or(&0.0) + share);
                }
            }
        }
        self.potential.append(&mut after);
    }

    /// Jaccard overlap of a person and a label before any matching.
    fn alignment(&self, person: usize, label: usize) -> f64 {
        let potential = self.potential.get(&(person, label)).copied().unwrap_or(0.0);
        potential / (f64::from(self.person_frames[person] + self.label_frames[label]) - potential)
    }

    /// The matched pairs of one frame, as labels, each with the number of thresholds that its similarity reaches.
    fn matches(&self, frame: &Frame, gate_m: f64) -> Vec<((usize, usize), usize)> {
        let similarity = similarity(frame, gate_m);
        let cost = Matrix::from_fn(similarity.rows, similarity.cols, |row, col| {
            let likeness = similarity.at(row, col);
            if likeness == 0.0 {
                return 0.0;
            }
            -(self.alignment(frame.truth[row].label, frame.tracks[col].label) * likeness)
        });
        assign(&cost)
            .into_iter()
            .map(|(row, col)| {
                let likeness = similarity.at(row, col);
                let passed = (0..THRESHOLDS).take_while(|i| likeness >= threshold(*i) - f64::EPSILON).count();
                ((frame.truth[row].label, frame.tracks[col].label), passed)
            })
            .collect()
    }

    /// Sum over true positives of the Jaccard overlap of their pair's matched frames.
    fn association(&self, pairs: &BTreeMap<(usize, usize), [u32; THRESHOLDS]>, threshold: usize) -> f64 {
        let labels = self.label_frames.len();
        let terms: Vec<(usize, f64)> = pairs
            .iter()
            .filter(|(_, counts)| counts[threshold] > 0)
            .map(|((person, label), counts)| {
                let both = f64::from(counts[threshold]);
                let either = f64::from(self.person_frames[*person] + self.label_frames[*label]) - both;
                (person * labels + label, both * (both / either.max(1.0)))
            })
            .collect();
        sum_sparse(self.person_frames.len() * labels, &terms)
    }
}

/// The i-th threshold.
fn threshold(i: usize) -> f64 {
    // The step is what 0.05 + 0.05 leaves above 0.05, so that the bits are those of NumPy's arange.
    0.05 + i as f64 * ((0.05 + 0.05) - 0.05)
}

/// Adds one frame to every label among `dots`, once each.
fn count_once(frames: &mut [u32], dots: &[Dot]) {
    let labels: std::collections::BTreeSet<usize> = dots.iter().map(|dot| dot.label).collect();
    labels.into_iter().for_each(|label| frames[label] += 1);
}

fn similarity(frame: &Frame, gate_m: f64) -> Matrix {
    frame.distance.map(|distance_m| (1.0 - distance_m / (2.0 * gate_m)).max(0.0))
}
