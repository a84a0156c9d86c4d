//! Going back a little: copies of a tracker's live state that cost no allocation, for those who use late scans in order.
//!
//! [`Tracker::save`] makes a state to be kept on disk and [`Tracker::restore`] checks every number of one. Whoever keeps
//! the last half second of scans, goes back to before a late one and runs them again needs neither: a [`Snapshot`] holds
//! what lives (no place for tracks that are not there, no working room), is filled in place, and is trusted, since only
//! a tracker can fill it.

use super::save::{RestoreError, TrackerState};
use super::step::Tracker;
use super::store::Stand;

/// What a tracker was at some moment. Filled by [`Tracker::keep`], used by [`Tracker::go_back`].
///
/// A snapshot takes about 250 bytes for each Gaussian of each track and 250 for each track; 20 people in light clutter
/// are 20 kB.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The settings of the tracker are not in here: one of others is refused by its sizes as far as they tell.
    state: TrackerState,
    stands: Vec<Stand>,
}

impl Snapshot {
    /// An empty one with room for so many tracks, tentative ones included. Where there are more it grows, once.
    pub fn new(tracks: usize) -> Self {
        let mut state = TrackerState::empty();
        state.heads.reserve(tracks);
        // Tracks have between one and two Gaussians in the mean, in crowds too; growing is no error.
        state.gaussians.reserve(2 * tracks);
        Snapshot { state, stands: Vec::with_capacity(tracks) }
    }

    /// The tracker's time at that moment, ns; none for a tracker that had not been used, or if nothing was kept yet.
    pub fn now_ns(&self) -> Option<i64> {
        self.state.now_ns
    }

    /// The state, as [`Tracker::save`] would have given it at that moment.
    pub fn state(&self) -> &TrackerState {
        &self.state
    }
}

impl Tracker {
    /// Copies the live state to `to`, whatever was in there. Allocates only what `to` has no room for.
    pub fn keep(&self, to: &mut Snapshot) {
        self.save_into(&mut to.state);
        to.stands.clone_from(&self.tracks.stands);
    }

    /// Is again what it was when `to` was kept: continues bit for bit as it did from there. Allocates nothing.
    /// [`Tracker::gone`] lists nobody until the next scan.
    ///
    /// # Errors
    /// `to` was never filled, or by a tracker with other fields of view or a larger limit of tracks. Nothing is changed.
    pub fn go_back(&mut self, to: &Snapshot) -> Result<(), RestoreError> {
        self.check_sizes(&to.state)?;
        self.gone.clear();
        self.touched.clear();
        self.tracks.take(&to.state.heads, &to.state.gaussians, &to.stands);
        self.take_numbers(&to.state);
        Ok(())
    }
}
