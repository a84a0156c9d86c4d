//! Where a step's stimuli go: bounded, in the order they come about, with the observation that caused them.

use osmose_model::ids::{SensorId, TrackId, ZoneId};
use osmose_model::limits::EVENTS_PER_STEP_MAX;
use osmose_model::time::LogicalNs;
use osmose_model::world::{EventKind, Occupant, Stimulus, WorldEvent};

/// The stimuli of one step.
pub(crate) struct Sink<'a> {
    out: &'a mut Vec<Stimulus>,
    shed: &'a mut u64,
    /// The sensor whose observation it is; `None` where time alone did it.
    sensor: Option<SensorId>,
    /// When that was true; the due time where time alone did it.
    pub(crate) measured: LogicalNs,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(
        out: &'a mut Vec<Stimulus>,
        shed: &'a mut u64,
        sensor: Option<SensorId>,
        measured: LogicalNs,
    ) -> Self {
        Self { out, shed, sensor, measured }
    }

    /// How many stimuli there are: what was added since can be told.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Adds a stimulus; beyond the limit it is counted instead.
    pub(crate) fn push(&mut self, stimulus: Stimulus) {
        if self.out.len() < EVENTS_PER_STEP_MAX {
            self.out.push(stimulus);
        } else {
            *self.shed += 1;
        }
    }

    /// Adds an event of an occupant as it is now.
    pub(crate) fn event(&mut self, kind: EventKind, who: &Occupant, zone: Option<ZoneId>, other: Option<TrackId>) {
        self.push(Stimulus::World(WorldEvent {
            kind,
            track: who.track,
            person: who.person,
            person_p: who.person_p,
            zone,
            other,
            place: who.place,
            sensor: self.sensor,
            measured: self.measured,
        }));
    }
}
