//! How well tracks follow the truth: GOSPA, OSPA, CLEAR MOT, IDF1 and HOTA, equal to the published scorers' figures.
//!
//! A tracker that is judged by its own idea of a metric proves nothing, so every definition here is the published one, and
//! where a published program leaves choices open (which of two equal assignments, in which order a sum is taken) the choice is
//! that program's: py-motmetrics 1.4 for MOTA and IDF1, TrackEval 1.3 for HOTA, SciPy's solver for assignments, Python's
//! rounding. `tests/score_python.rs` compares all figures with those programs, where they are installed.
//!
//! ```
//! use osmose_replay::score::{self, Options};
//!
//! let truth = score::read_truth("t,id,x,y\n0.0,ana,1.0,2.0\n0.1,ana,1.1,2.0\n".as_bytes(), "truth.csv")?;
//! let tracks = score::read_tracks("t,track_id,x,y,identity\n0.0,7,1.0,2.5,ana\n0.1,7,1.1,2.5,\n".as_bytes(), "tracks.csv")?;
//! let report = score::evaluate(&truth, &tracks, &Options::default())?;
//! assert_eq!((report.gospa, report.mota, report.motp), (0.5, 1.0, Some(0.5)));
//! assert_eq!(report.ident.map(|ident| ident.right), Some(0.5));
//! # Ok::<(), osmose_replay::score::ScoreError>(())
//! ```

mod assign;
mod clear;
mod error;
mod gospa;
mod hota;
mod numeric;
mod read;
mod report;
mod scene;

pub use error::ScoreError;
pub use read::{Tracks, Truth, TruthAt, frame_ms, load_tracks, load_truth, read_tracks, read_truth};
pub use report::{Figure, Identity, Report};

use gospa::Metric;
use numeric::{mean, power, round_to, sum};
use scene::{Claim, Frame, Scene};

/// What labels a track's row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// The track.
    #[default]
    Track,
    /// The person that the row names, else its track: pieces of one person's way that carry the name count as one label.
    ///
    /// A track and a person of the same name stay two labels.
    Person,
}

/// How to score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Distance from which a person is missed and a track false, in metres (c of GOSPA and OSPA).
    pub cutoff_m: f64,
    /// Order p of GOSPA and OSPA.
    pub order: f64,
    /// Farthest match for MOTA, IDF1, HOTA at 0.5 and identities, in metres.
    pub match_m: f64,
    /// How much of the beginning to leave out, in seconds.
    pub skip_s: f64,
    /// Window of OSPA(2), in seconds; `None` leaves it out.
    pub ospa2_window_s: Option<f64>,
    /// What labels a track's row.
    pub ids: Ids,
}

impl Default for Options {
    /// Cut-off 2 m, order 2, match gate 1 m, nothing skipped, OSPA(2) over 10 s, labels by track.
    fn default() -> Self {
        Self { cutoff_m: 2.0, order: 2.0, match_m: 1.0, skip_s: 0.0, ospa2_window_s: Some(10.0), ids: Ids::Track }
    }
}

impl Options {
    fn check(&self) -> Result<(), ScoreError> {
        let fault = |option, value, range| Err(ScoreError::Option { option, value, range });
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(self.order) || self.order > 100.0 {
            return fault("the order p", self.order, "over 0 and at most 100");
        }
        if !positive(self.cutoff_m) || !positive(self.cutoff_m.powf(self.order)) {
            return fault("the cut-off c, in metres", self.cutoff_m, "over 0, and c^p must be a finite number");
        }
        if !positive(self.match_m) || self.match_m > 1e6 {
            return fault("the match gate, in metres", self.match_m, "over 0 and at most 1000000");
        }
        if !self.skip_s.is_finite() || self.skip_s < 0.0 {
            return fault("the skipped time, in seconds", self.skip_s, "0 or more");
        }
        match self.ospa2_window_s {
            Some(window_s) if !positive(window_s) => fault("the window of OSPA(2), in seconds", window_s, "over 0"),
            _ => Ok(()),
        }
    }
}

/// Scores tracks against truth, on the times of the truth.
///
/// # Errors
/// An option is out of range, labels by person are wanted of tracks that have no such column, or everything is skipped.
pub fn evaluate(truth: &Truth, tracks: &Tracks, options: &Options) -> Result<Report, ScoreError> {
    options.check()?;
    let scene = Scene::new(truth, tracks, options)?;
    let metric = Metric { cutoff_m: options.cutoff_m, order: options.order };
    let frames = scene.frames.len();
    let people: usize = scene.frames.iter().map(|frame| frame.truth.len()).sum();
    let sets = SetFigures::new(&scene.frames, metric);
    let clear = clear::clear(&scene, options.match_m);
    let hota = hota::hota(&scene, options.match_m);
    let per_frame = |total: f64| total / frames as f64;
    let root = |x: f64| x.powf(1.0 / options.order);
    let half = metric.half();
    let round = |x: f64| round_to(x, 4);
    Ok(Report {
        frames,
        mean_people: round_to(per_frame(people as f64), 3),
        gospa: round(
            mean(&sets.totals.iter().map(|g| power(*g, 1.0 / options.order)).collect::<Vec<_>>()).unwrap_or(0.0),
        ),
        gospa_rms: round(root(mean(&sets.totals).unwrap_or(0.0))),
        gospa_pp: round(root(sum(&sets.totals) / people as f64)),
        loc2: round(per_frame(sets.located)),
        missed2: round(per_frame(sets.missed)),
        false2: round(per_frame(sets.false_tracks)),
        n_missed: round(per_frame(sets.missed) / half),
        n_false: round(per_frame(sets.false_tracks) / half),
        loc_rmse: round((sets.squares / sets.pairs.max(1) as f64).powf(0.5)),
        ospa: round(mean(&sets.ospa).unwrap_or(0.0)),
        ospa2: options.ospa2_window_s.map(|window_s| {
            let window = (window_s / scene.step_s).round_ties_even().max(1.0) as usize;
            round(metric.ospa_of_tracks(&scene.frames, window))
        }),
        mota: round(clear.mota),
        idf1: round(clear.idf1),
        motp: clear.motp.map(round),
        num_switches: clear.switches,
        num_fragmentations: clear.fragmentations,
        misses: clear.misses,
        false_pos: clear.false_positives,
        hota: round(hota.hota),
        deta: round(hota.deta),
        assa: round(hota.assa),
        n_track_ids: scene.labels_in_file,
        ident: scene.any_claim.then(|| identity(&scene.frames, people, options.match_m)),
        rows_at_unknown_times: scene.rows_at_unknown_times,
    })
}

/// GOSPA and OSPA of all frames; sums run over frames in order.
struct SetFigures {
    totals: Vec<f64>,
    ospa: Vec<f64>,
    located: f64,
    missed: f64,
    false_tracks: f64,
    squares: f64,
    pairs: usize,
}

impl SetFigures {
    fn new(frames: &[Frame], metric: Metric) -> Self {
        let mut sets = Self {
            totals: Vec::with_capacity(frames.len()),
            ospa: Vec::with_capacity(frames.len()),
            located: 0.0,
            missed: 0.0,
            false_tracks: 0.0,
            squares: 0.0,
            pairs: 0,
        };
        for frame in frames {
            let gospa = metric.gospa(&frame.distance);
            sets.totals.push(gospa.total);
            sets.ospa.push(metric.ospa(&frame.distance));
            sets.located += gospa.located;
            sets.missed += gospa.missed;
            sets.false_tracks += gospa.false_tracks;
            sets.squares += gospa.squares;
            sets.pairs += gospa.pairs;
        }
        sets
    }
}

/// What stands for an impossible pair when claims are matched; the match gate is never larger.
const IMPOSSIBLE_M: f64 = 1e6;

/// Who the matched tracks claim to be. Each frame is matched for itself, at least total distance within the gate.
fn identity(frames: &[Frame], people: usize, match_m: f64) -> Identity {
    let (mut right, mut wrong) = (0usize, 0usize);
    for frame in frames {
        let cost = frame.distance.map(|d| if *d <= match_m { *d } else { IMPOSSIBLE_M });
        for (row, col) in assign::assign(&cost) {
            if frame.distance.at(row, col) > match_m {
                continue;
            }
            match frame.claims[col] {
                Claim::Nobody => {}
                Claim::Person(Some(person)) if person == frame.persons[row] => right += 1,
                Claim::Person(_) => wrong += 1,
            }
        }
    }
    let share = |count: usize| round_to(count as f64 / people as f64, 4);
    Identity {
        right: share(right),
        wrong: share(wrong),
        none: round_to(1.0 - (right + wrong) as f64 / people as f64, 4),
    }
}

#[cfg(test)]
mod tests;
