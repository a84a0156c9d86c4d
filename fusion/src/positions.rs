//! Position scans through the tracker: one [`Tracker`] per level, and which occupant each of its tracks is.
//!
//! This file alone knows the tracker. A track becomes an occupant when the tracker first reports it and moves it when a
//! scan sees it; between, its place follows the prediction and its zones stay, since a guess must not open a door. A
//! track that sensors looked for and did not find is marked refuted: it is soon forgotten once it is lost.
//!
//! The tracker reports a track at its first detection where somebody is as likely as not, which scores best; but one
//! false detection must not turn a light on. So a track is confirmed only when a later scan hit it too and it exists
//! with [`CONFIRMED_EXISTENCE`]. In the co-working demo (seeds 1, 2, 3 and 7, 60 s each) none of 53 tracks of nobody was
//! confirmed then, and people were 75 ms after they were first reported, in the mean (83 ms at the 90th percentile: one
//! scan); with 5 and 15 times the clutter and 0.12 and 0.3 m of noise 1 of 139 was. A second later hit would take 155 ms.

use crate::fuse::{FORGET_REFUTED, Fusion, Newcomer, UNCONFIRMED_FOR};
use crate::in_place::Stamped;
use crate::keys::SlotTable;
use crate::occupants::{Occupants, Origin};
use crate::sink::Sink;
use crate::tracker::{
    Config, Detection, FieldOfView, Gone, Limits, SensorModel, Snapshot, TrackEstimate, Tracker, TrackerState,
};
use osmose_model::device::{Sensor, SensorKind};
use osmose_model::geometry::{Place, Point};
use osmose_model::ids::{LevelId, SensorId, TrackId};
use osmose_model::limits::SCAN_ITEMS_MAX;
use osmose_model::observation;
use osmose_model::site::{Level, Site};
use osmose_model::stages::Refusal;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::world::{Presence, Stimulus};

/// From this existence on a track that was hit twice is somebody.
const CONFIRMED_EXISTENCE: f64 = 0.97;
/// A track that lived no longer than this and was refuted was never anybody: it is lost and forgotten at once.
const ESTABLISHED_AFTER: DurationNs = DurationNs::from_s(1);
/// Most tracks of one level's tracker, tentative ones included.
const LEVEL_TRACKS_MAX: usize = 20_000;
/// Floor area of a level of which the plan says nothing, m².
const UNKNOWN_FLOOR_M2: f64 = 100.0;

/// What a scan did to one track.
#[derive(Clone, Copy, Debug)]
enum News {
    Is(TrackEstimate),
    Went(Gone),
}

impl News {
    fn id(&self) -> u64 {
        match self {
            Self::Is(estimate) => estimate.id,
            Self::Went(gone) => gone.id,
        }
    }
}

/// One level's tracker.
#[derive(Clone, Debug)]
struct LevelTracker {
    tracker: Stamped<Tracker>,
    /// From the tracker's numbers to slots.
    slots: Stamped<SlotTable>,
    /// How many those are.
    known: usize,
}

/// The trackers.
#[derive(Clone, Debug)]
pub(crate) struct Positions {
    levels: Vec<Option<LevelTracker>>,
    /// Per sensor of the site: its number in its level's tracker.
    numbers: Vec<Option<usize>>,
    /// Reused from scan to scan.
    detections: Vec<Detection>,
    news: Vec<(TrackId, Option<u32>, News)>,
    /// Most news of one scan. Not the capacity of `news`, which a clone does not keep.
    news_max: usize,
    /// How many tracks the last scan concerned.
    worked: usize,
}

/// A copy of one level's state.
#[derive(Clone, Debug)]
struct KeptLevel {
    snapshot: Snapshot,
    /// The tracker's stamp; of none before the first copy.
    stamp: Option<u64>,
    slots: Stamped<SlotTable>,
    known: usize,
}

/// A copy of the trackers' state, to go back to.
#[derive(Clone, Debug)]
pub(crate) struct KeptPositions(Vec<Option<KeptLevel>>);

/// A sensor as the tracker takes it: numbers held within what it accepts.
fn sensor_model(site: &Site, sensor: &Sensor, floor_m2: f64) -> SensorModel {
    let everywhere = FieldOfView::Everywhere { area_m2: floor_m2 };
    let field_of_view = match &sensor.field_of_view {
        Some(view) if view.outer.len() >= 3 && view.area_m2() > 1e-3 => {
            let opaque = site.walls.iter().filter(|w| w.level == sensor.level && !w.transparent);
            FieldOfView::Walled {
                corners_m: view.outer.iter().map(|p| [p.x_m, p.y_m]).collect(),
                from_m: [sensor.pose.x_m, sensor.pose.y_m],
                walls_m: opaque.flat_map(|w| &w.segments).map(|s| [s.a.x_m, s.a.y_m, s.b.x_m, s.b.y_m]).collect(),
            }
        }
        _ => everywhere,
    };
    let clutter_per_m2 = sensor.noise.clutter_per_scan / field_of_view.area_m2();
    SensorModel {
        sigma_m: sensor.noise.sigma_m.clamp(0.001, 1000.0),
        p_detect: sensor.noise.p_detect.clamp(0.001, 0.999),
        clutter_per_m2: clutter_per_m2.clamp(1e-6, 1000.0),
        field_of_view,
    }
}

/// The floor of a level: its outline, else its zones, else a guess, m².
fn floor_m2(site: &Site, level: &Level) -> f64 {
    let zones: f64 = site.zones.iter().filter(|z| z.level == level.id).map(|z| z.area.area_m2()).sum();
    [level.outline.area_m2(), zones].into_iter().find(|m2| *m2 > 1e-3).unwrap_or(UNKNOWN_FLOOR_M2)
}

/// Whether a sensor's scans feed a tracker.
fn is_scanning(sensor: &Sensor) -> bool {
    matches!(sensor.kind, SensorKind::Position | SensorKind::Points)
}

impl Positions {
    /// A tracker for each level that a position sensor looks at.
    pub(crate) fn new(site: &Site, tracks_max: usize) -> Self {
        let mut numbers = vec![None; site.sensors.len()];
        let mut news_max = 0;
        let levels = site
            .levels
            .iter()
            .map(|level| {
                let floor_m2 = floor_m2(site, level);
                let mut models = Vec::new();
                for sensor in &site.sensors {
                    if is_scanning(sensor) && sensor.level == level.id {
                        numbers[sensor.id.index()] = Some(models.len());
                        models.push(sensor_model(site, sensor, floor_m2));
                    }
                }
                if models.is_empty() {
                    return None;
                }
                // As many tentative tracks as shown ones.
                let tracks_max = (2 * tracks_max).clamp(64, LEVEL_TRACKS_MAX);
                news_max = news_max.max(2 * tracks_max);
                let limits = Limits {
                    tracks_max,
                    detections_max: SCAN_ITEMS_MAX,
                    edges_max: (8 * tracks_max).max(4 * SCAN_ITEMS_MAX),
                    ..Limits::default()
                };
                // The numbers were held within what the tracker accepts; a field of view that is no polygon is not,
                // and such a level is as one without sensors: its scans are refused and counted.
                let tracker = Tracker::new(Config { limits, ..Config::default() }, models).ok()?;
                Some(LevelTracker {
                    tracker: Stamped::new(tracker),
                    slots: Stamped::new(SlotTable::new(tracks_max)),
                    known: 0,
                })
            })
            .collect();
        let (detections, news) = (Vec::with_capacity(SCAN_ITEMS_MAX), Vec::with_capacity(news_max));
        Self { levels, numbers, detections, news, news_max, worked: 0 }
    }

    fn level(&mut self, level: LevelId) -> Option<&mut LevelTracker> {
        self.levels.get_mut(level.index())?.as_mut()
    }

    /// A track's occupant is no more: if there still is the track, it would be a newcomer.
    pub(crate) fn release(&mut self, level: LevelId, id: u64) {
        if let Some(level) = self.level(level)
            && level.slots.get(id).is_some()
        {
            level.slots.remove(id);
            level.known -= 1;
        }
    }

    /// A track is that occupant's from now on.
    pub(crate) fn assign(&mut self, level: LevelId, id: u64, slot: u32) {
        if let Some(level) = self.level(level) {
            level.known += usize::from(level.slots.get(id).is_none());
            level.slots.insert(id, slot);
        }
    }

    /// Whether any track of a level is an occupant.
    pub(crate) fn is_tracking(&self, level: LevelId) -> bool {
        self.levels.get(level.index()).is_some_and(|l| l.as_ref().is_some_and(|l| l.known > 0))
    }

    /// The occupant that a track is.
    pub(crate) fn slot_of(&self, level: LevelId, id: u64) -> Option<u32> {
        self.levels.get(level.index())?.as_ref()?.slots.get(id)
    }

    /// A track as it is now.
    pub(crate) fn estimate(&self, level: LevelId, id: u64) -> Option<TrackEstimate> {
        self.levels.get(level.index())?.as_ref()?.tracker.track(id)
    }

    /// Runs a scan; what became of each track that it concerned is in `news`, whoever was there first first, newcomers last (ascending by
    /// the tracker's number). Returns the instant it was used at: the scan's own, or the tracker's where that is later.
    fn scan(
        &mut self,
        sensor: SensorId,
        level: LevelId,
        measured: LogicalNs,
        occupants: &Occupants,
    ) -> Result<LogicalNs, Refusal> {
        let number = self.numbers[sensor.index()].ok_or(Refusal::NotPlausible)?;
        let Some(LevelTracker { tracker, slots, .. }) = self.levels.get_mut(level.index()).and_then(Option::as_mut)
        else {
            return Err(Refusal::NotPlausible);
        };
        let at_ns = tracker.now_ns().map_or(measured.0, |now| now.max(measured.0));
        tracker.scan(at_ns, number, &self.detections).map_err(|_| Refusal::NotPlausible)?;
        self.news.clear();
        self.worked = tracker.touched_count();
        let shown = tracker.touched_shown().map(News::Is);
        for news in shown.chain(tracker.gone().iter().copied().map(News::Went)) {
            let slot = slots.get(news.id());
            let track = slot.map_or(TrackId(u64::MAX), |slot| occupants.occupant(slot).track);
            if self.news.len() < self.news_max {
                self.news.push((track, slot, news));
            }
        }
        // By who was there first, newcomers last: nearly always the order of their tracks, and not a matter of when anybody
        // was told of, which late observations would make it.
        let since = |slot: &Option<u32>| slot.map(|slot| occupants.slot(slot).first_seen);
        let place = |(_, slot, news): &(_, Option<u32>, News)| (slot.is_none(), since(slot), news.id());
        if !self.news.is_sorted_by_key(place) {
            self.news.sort_unstable_by_key(place);
        }
        Ok(LogicalNs(at_ns))
    }

    /// The occupants that the last scan's tracks are, newcomers left out, ascending.
    pub(crate) fn known(&self) -> impl Iterator<Item = TrackId> + '_ {
        self.news.iter().filter(|(_, slot, _)| slot.is_some()).map(|&(track, ..)| track)
    }

    /// How many tracks the level of a sensor has, tentative ones included; 0 where it has no tracker.
    pub(crate) fn tracks_on(&self, level: LevelId) -> usize {
        self.levels.get(level.index()).and_then(Option::as_ref).map_or(0, |l| l.tracker.track_count())
    }

    /// How many tracks the last scan concerned.
    pub(crate) fn worked(&self) -> usize {
        self.worked
    }

    /// How many tracks there are on all levels, tentative ones included.
    pub(crate) fn track_count(&self) -> usize {
        self.levels.iter().flatten().map(|l| l.tracker.track_count()).sum()
    }

    /// An empty copy.
    pub(crate) fn kept(&self) -> KeptPositions {
        let level = |l: &LevelTracker| {
            let snapshot = Snapshot::new(l.tracker.config().limits.tracks_max);
            KeptLevel { snapshot, stamp: None, slots: l.slots.clone(), known: 0 }
        };
        KeptPositions(self.levels.iter().map(|l| l.as_ref().map(level)).collect())
    }

    /// Fills a copy.
    pub(crate) fn keep(&self, to: &mut KeptPositions) {
        for (level, to) in self.levels.iter().flatten().zip(to.0.iter_mut().flatten()) {
            if to.stamp != Some(level.tracker.stamp()) {
                level.tracker.keep(&mut to.snapshot);
                to.stamp = Some(level.tracker.stamp());
            }
            to.slots.copy_from(&level.slots, SlotTable::clone_from);
            to.known = level.known;
        }
    }

    /// Is again what it was when the copy was filled.
    pub(crate) fn go_back(&mut self, to: &KeptPositions) {
        for (level, to) in self.levels.iter_mut().flatten().zip(to.0.iter().flatten()) {
            let Some(stamp) = to.stamp else { continue };
            level.tracker.go_back(stamp, |tracker| {
                // Only a copy that another tracker had filled is refused.
                if let Err(e) = tracker.go_back(&to.snapshot) {
                    unreachable!("a tracker's own copy fits it: {e}");
                }
            });
            level.slots.copy_from(&to.slots, SlotTable::clone_from);
            level.known = to.known;
        }
    }

    /// The trackers' states.
    pub(crate) fn saved(&self) -> Vec<Option<TrackerState>> {
        self.levels.iter().map(|level| level.as_ref().map(|l| l.tracker.save())).collect()
    }

    /// Takes saved states and the occupants that the tracks are.
    pub(crate) fn refill(&mut self, saved: &[Option<TrackerState>], occupants: &Occupants) -> Result<(), String> {
        if saved.len() != self.levels.len() {
            return Err("it holds another number of levels".into());
        }
        for (level, state) in self.levels.iter_mut().zip(saved) {
            match (level, state) {
                (None, None) => {}
                (Some(level), Some(state)) => {
                    level.tracker.refill(state).map_err(|e| e.to_string())?;
                }
                _ => return Err("a level has position sensors in one and none in the other".into()),
            }
        }
        for slot in occupants.in_order() {
            if let Some((level, id)) = occupants.slot(slot).tracked()
                && self.estimate(level, id).is_some()
            {
                self.assign(level, id, slot);
            }
        }
        Ok(())
    }
}

/// Whether a track is somebody: hit in a later scan than its first, and surely there.
fn is_proven(estimate: &TrackEstimate) -> bool {
    estimate.hit_ns > estimate.born_ns && estimate.existence >= CONFIRMED_EXISTENCE
}

/// Whether a track was hit lately enough to begin an occupant.
fn is_fresh(estimate: &TrackEstimate, at: LogicalNs) -> bool {
    at.since(LogicalNs(estimate.hit_ns)) < UNCONFIRMED_FOR
}

impl Fusion {
    /// A scan of anonymous positions.
    pub(crate) fn observe_scan(
        &mut self,
        items: &[observation::Detection],
        (sensor, measured): (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let level = self.site.sensors[sensor.index()].level;
        self.positions.worked = 0;
        if items.len() > SCAN_ITEMS_MAX || !items.iter().all(|d| self.is_here(d.place)) {
            return Err(Refusal::NotPlausible);
        }
        self.positions.detections.clear();
        for item in items {
            if item.place.level == level {
                let Point { x_m, y_m } = item.place.at;
                self.positions.detections.push(Detection { x_m, y_m, sigma_m: item.sigma_m });
            } else {
                self.counts.off_level += 1;
            }
        }
        self.use_scan(level, (sensor, measured), out)
    }

    /// A cloud of a radar: the bodies in it are its scan.
    pub(crate) fn observe_points(
        &mut self,
        points: &[observation::CloudPoint],
        (sensor, measured): (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let said = &self.site.sensors[sensor.index()];
        let level = said.level;
        self.positions.worked = 0;
        let finite = |x: Option<f64>| x.is_none_or(f64::is_finite);
        let sound = |p: &observation::CloudPoint| self.is_here(p.place) && finite(p.doppler_mps) && finite(p.intensity);
        if said.kind != SensorKind::Points || points.len() > SCAN_ITEMS_MAX || !points.iter().all(sound) {
            return Err(Refusal::NotPlausible);
        }
        if points.iter().any(|p| p.place.level != level) {
            // One radar hangs on one level: a cloud of two is a mistake in its map.
            return Err(Refusal::NotPlausible);
        }
        self.clouds.cluster(sensor, points, measured);
        self.positions.detections.clear();
        for body in &self.clouds.bodies {
            let Point { x_m, y_m } = body.at;
            self.positions.detections.push(Detection { x_m, y_m, sigma_m: Some(body.sigma_m) });
        }
        self.use_scan(level, (sensor, measured), out)
    }

    /// What the scan that is laid out does to the occupants.
    fn use_scan(
        &mut self,
        level: LevelId,
        (sensor, measured): (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let at = self.positions.scan(sensor, level, measured, &self.occupants)?;
        let mut full = false;
        for i in 0..self.positions.news.len() {
            let (_, slot, news) = self.positions.news[i];
            match (slot, news) {
                (Some(slot), News::Is(estimate)) => self.follow(slot, &estimate, (sensor, at), out),
                (Some(slot), News::Went(gone)) => self.part_with(slot, &gone, (sensor, at), out),
                (None, News::Is(estimate)) if estimate.reported && is_fresh(&estimate, at) => {
                    full |= self.welcome(level, &estimate, (sensor, at), out).is_err();
                }
                (None, _) => {}
            }
        }
        self.mix_identities(level, (sensor, at), out);
        self.follow_reads(level, (sensor, at), out);
        match (full, at == measured) {
            (true, _) => Err(Refusal::TracksFull),
            (false, false) => Err(Refusal::LateDegraded),
            (false, true) => Ok(()),
        }
    }

    /// A known track after a scan.
    fn follow(&mut self, slot: u32, estimate: &TrackEstimate, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        self.let_silent_device_go(slot, from.1);
        let by_device = self.is_better_carried(slot, estimate, from.1);
        let entry = self.occupants.slot_mut(slot);
        if LogicalNs(estimate.hit_ns) == from.1 {
            let [xx, _, yy] = estimate.place_cov_m2;
            entry.tracked_at = Some((from.1, 0.5 * (xx + yy)));
        }
        if !by_device {
            entry.occupant.existence = estimate.existence;
        }
        if !estimate.reported {
            return;
        }
        let seen = estimate.hit_ns == from.1.0;
        if entry.occupant.presence == Presence::Lost && !seen {
            return;
        }
        if by_device {
            if seen {
                let place = entry.occupant.place;
                self.sight(slot, place, from, out);
            }
            return;
        }
        entry.occupant.velocity_mps = [estimate.vx_mps, estimate.vy_mps];
        entry.occupant.covariance_m2 = estimate.place_cov_m2;
        self.identities.set_velocity_covariance(slot, estimate.velocity_cov_m2ps2);
        let level = self.occupants.occupant(slot).place.level;
        let place = Place::flat(level, estimate.x_m, estimate.y_m);
        if !place.is_plausible() {
            return;
        }
        if seen && is_proven(estimate) && !self.occupants.slot(slot).confirmed {
            let entry = self.occupants.slot_mut(slot);
            (entry.occupant.seen_at, entry.seen_place) = (from.1, place);
            self.occupants.shift(slot, place);
            self.prove(slot, from, out);
        } else if seen {
            self.sight(slot, place, from, out);
        } else if self.occupants.occupant(slot).place != place {
            self.occupants.shift(slot, place);
            let track = self.occupants.occupant(slot).track;
            Sink::new(out, &mut self.counts.stimuli_shed, Some(from.0), from.1).push(Stimulus::Moved(track));
        }
    }

    /// A track proved to be somebody: one whom a device told of already, one who climbed the stairs, or somebody more.
    pub(crate) fn prove(&mut self, slot: u32, from: (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        if !self.is_carriers(slot, from, out) && !self.has_climbed(slot, from, out) {
            self.confirm(slot, from, out);
        }
    }

    /// A track that the tracker dropped. It stays as an occupant until it is lost by its zones' time, and a while after.
    fn part_with(&mut self, slot: u32, gone: &Gone, (sensor, at): (SensorId, LogicalNs), out: &mut Vec<Stimulus>) {
        if !self.occupants.slot(slot).confirmed {
            self.dismiss(slot);
            return;
        }
        if let Some((level, id)) = self.occupants.slot(slot).tracked() {
            self.positions.release(level, id);
        }
        if self.occupants.slot(slot).device().is_some() {
            self.leave_to_device(slot);
            return;
        }
        if gone.unseen {
            return;
        }
        if self.is_on_the_way(slot) {
            // No wonder that sensors here see nobody any more: that says nothing against who took the stairs.
            let existence = &mut self.occupants.slot_mut(slot).occupant.existence;
            *existence = existence.max(CONFIRMED_EXISTENCE);
            return;
        }
        let entry = self.occupants.slot_mut(slot);
        entry.refuted = true;
        entry.occupant.existence = 0.0;
        if entry.occupant.seen_at.since(entry.first_seen) < ESTABLISHED_AFTER {
            if entry.occupant.presence == Presence::Seen {
                self.lose(slot, Some(sensor), at, out);
            }
            self.forget(slot);
            self.counts.forgotten += 1;
        } else if entry.occupant.presence == Presence::Lost {
            self.occupants.hasten(slot, at.plus(FORGET_REFUTED));
            self.occupants.schedule(slot, self.now);
        }
    }

    /// A track that is reported for the first time.
    fn welcome(
        &mut self,
        level: LevelId,
        estimate: &TrackEstimate,
        from: (SensorId, LogicalNs),
        out: &mut Vec<Stimulus>,
    ) -> Result<(), Refusal> {
        let place = Place::flat(level, estimate.x_m, estimate.y_m);
        if !place.is_plausible() {
            return Err(Refusal::NotPlausible);
        }
        let newcomer = Newcomer {
            place,
            covariance_m2: estimate.place_cov_m2,
            velocity_mps: [estimate.vx_mps, estimate.vy_mps],
            existence: estimate.existence,
            device: None,
        };
        let slot = self.appear(newcomer, Origin::Tracker { level, id: estimate.id }, from, out)?;
        self.identities.set_velocity_covariance(slot, estimate.velocity_cov_m2ps2);
        let [xx, _, yy] = estimate.place_cov_m2;
        self.occupants.slot_mut(slot).tracked_at = Some((LogicalNs(estimate.hit_ns), 0.5 * (xx + yy)));
        self.positions.assign(level, estimate.id, slot);
        if is_proven(estimate) {
            self.prove(slot, from, out);
        } else {
            self.occupants.schedule(slot, self.now);
        }
        Ok(())
    }
}
