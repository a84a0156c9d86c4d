//! Going back a little: copies of a tracker's live state that cost no allocation, for those who use late scans in order.
//!
//! [`Tracker::save`] makes a state to be kept on disk and [`Tracker::restore`] checks every number of one. Whoever keeps
//! the last half second of scans, goes back to before a late one and runs them again needs neither: a [`Snapshot`] holds
//! what lives (no place for tracks that are not there, no working room), is filled in place, and is trusted, since only
//! a tracker can fill it.

use super::rates::Rates;
use super::save::RestoreError;
use super::step::Tracker;
use super::store::Roll;

/// What a tracker was at some moment. Filled by [`Tracker::keep`], used by [`Tracker::go_back`] of the same tracker: what is
/// the same in both is known by stamps, which each tracker gives out for itself.
///
/// A snapshot takes about 1.2 kB for each track; 20 people in light clutter are 50 kB.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The settings of the tracker are not in here: one of others is refused by its sizes as far as they tell.
    numbers: Option<Numbers>,
    rates: Rates,
    undetected: Vec<f64>,
    initial: Vec<f64>,
    roll: Roll,
}

/// What there is of each one number.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    now_ns: Option<i64>,
    learnt_ns: Option<i64>,
    next_id: u64,
    birth: f64,
    undetected_ns: Option<i64>,
    usual_mps: f64,
    left: [f64; 2],
}

impl Snapshot {
    /// An empty one with room for so many tracks, tentative ones included. Where there are more it grows, once.
    pub fn new(tracks: usize) -> Self {
        Snapshot {
            numbers: None,
            rates: Rates::new(&[]),
            undetected: Vec::new(),
            initial: Vec::new(),
            roll: Roll::new(tracks),
        }
    }

    /// The tracker's time at that moment, ns; none for a tracker that had not been used, or if nothing was kept yet.
    pub fn now_ns(&self) -> Option<i64> {
        self.numbers?.now_ns
    }
}

impl Tracker {
    /// Copies the live state to `to`, whatever was in there. Allocates only what `to` has no room for.
    pub fn keep(&self, to: &mut Snapshot) {
        to.numbers = Some(Numbers {
            now_ns: self.now_ns,
            learnt_ns: self.learnt_ns,
            next_id: self.next_id,
            birth: self.undetected.birth,
            undetected_ns: self.undetected.as_of_ns,
            usual_mps: self.usual_mps,
            left: self.left,
        });
        to.rates.copy_from(&self.rates);
        to.undetected.clone_from(&self.undetected.cells);
        to.initial.clone_from(&self.undetected.initial);
        to.roll.copy_from(&self.tracks.roll);
    }

    /// Is again what it was when `to` was kept: continues bit for bit as it did from there. Allocates nothing.
    /// [`Tracker::gone`] lists nobody until the next scan.
    ///
    /// # Errors
    /// `to` was never filled, or by a tracker with other fields of view or a larger limit of tracks. Nothing is changed.
    pub fn go_back(&mut self, to: &Snapshot) -> Result<(), RestoreError> {
        let Some(numbers) = to.numbers else { return Err(RestoreError::Version { found: 0 }) };
        self.check_sizes([to.undetected.len(), to.initial.len()], to.rates.len(), to.roll.len())?;
        self.gone.clear();
        self.touched.clear();
        let Numbers { now_ns, learnt_ns, next_id, birth, undetected_ns, usual_mps, left } = numbers;
        (self.now_ns, self.learnt_ns, self.next_id) = (now_ns, learnt_ns, next_id);
        (self.undetected.birth, self.undetected.as_of_ns) = (birth, undetected_ns);
        (self.usual_mps, self.left) = (usual_mps, left);
        self.rates.copy_from(&to.rates);
        self.undetected.cells.copy_from_slice(&to.undetected);
        self.undetected.initial.copy_from_slice(&to.initial);
        self.tracks.roll.copy_from(&to.roll);
        Ok(())
    }
}
