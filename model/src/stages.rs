//! What the core asks of each stage, as three traits: the seams along which the system is taken apart.
//!
//! One step of the core is: [`Fuse::observe`] (or [`Fuse::advance`] on a tick) gives stimuli; [`Decide::step`] turns
//! stimuli into effects, reading the world through [`WorldView`]; [`Arbitrate::step`] turns effects into commands;
//! each command is told to [`Decide::on_command`], and what it changed wakes the rules again, for at most
//! [`crate::limits::CASCADE_ROUNDS_MAX`] rounds. No stage allocates in the steady state: vectors given as `out` have
//! room for their limit.

use crate::command::{Args, Command, Effect, Terms, Value};
use crate::geometry::Point;
use crate::ids::{ActuatorId, LevelId, Name, PersonId, RuleId, SensorId, Seq, TrackId, ZoneId};
use crate::input::{OperatorAction, Report, Tag};
use crate::observation::Observation;
use crate::site::Site;
use crate::time::LogicalNs;
use crate::tri::Tri;
use crate::world::{Occupant, SensorStatus, Stimulus, WorldView, ZoneCount};
use std::sync::Arc;

/// Why saved state could not be taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The bytes are not what `save` wrote.
    #[error("the saved state of {part} cannot be read: {why}")]
    Malformed {
        /// Which stage's.
        part: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The state belongs to another site or program.
    #[error("the saved state of {part} belongs to {found}, not to {wanted}")]
    Mismatch {
        /// Which stage's.
        part: &'static str,
        /// What it was saved for.
        found: String,
        /// What it was to be taken back into.
        wanted: String,
    },
}

/// Why an observation was not used by fusion. Counted under its own name, never silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// A number is not finite or not plausible.
    #[error("not_plausible")]
    NotPlausible,
    /// The kind decodes, is recorded, and no stage uses it yet.
    #[error("kind_not_used")]
    KindNotUsed,
    /// As many tracks as `tracks_max` allows are there already.
    #[error("tracks_full")]
    TracksFull,
    /// Older than what has already been used, beyond what can be re-run: a scan is used at the newest time, a location
    /// fix older than its device's newest stands aside.
    #[error("late_degraded")]
    LateDegraded,
}

impl Refusal {
    /// Every reason, in declaration order.
    pub const ALL: [Self; 4] = [Self::NotPlausible, Self::KindNotUsed, Self::TracksFull, Self::LateDegraded];
}

/// Sensor streams to a model of who is where.
pub trait Fuse {
    /// Takes one observation in; what changed goes to `out`, in a fixed order.
    ///
    /// # Errors
    /// [`Refusal`] where it was not used (or, `LateDegraded`, used as it came); the state is consistent either way.
    fn observe(&mut self, tag: Tag, observation: &Observation<'_>, out: &mut Vec<Stimulus>) -> Result<(), Refusal>;
    /// Lets time pass to `now`: exit delays, lost times, stale sensors.
    fn advance(&mut self, now: LogicalNs, out: &mut Vec<Stimulus>);
    /// From here on another site holds, which differs in its people alone; those known before keep their numbers.
    fn take_people(&mut self, site: &Arc<Site>, out: &mut Vec<Stimulus>) {
        let _ = (site, out);
    }
    /// The next instant at which [`Fuse::advance`] would change something.
    fn next_wakeup(&self) -> Option<LogicalNs>;
    /// One occupant.
    fn occupant(&self, track: TrackId) -> Option<&Occupant>;
    /// Every occupant, ascending by track.
    fn for_each_occupant(&self, f: &mut dyn FnMut(&Occupant));
    /// Every occupant of a zone, seen or lost there, ascending by track.
    fn for_each_in(&self, zone: ZoneId, f: &mut dyn FnMut(&Occupant));
    /// Every occupant at most `radius_m` from a point of a level, seen or lost, in no particular order.
    fn for_each_near(&self, level: LevelId, at: Point, radius_m: f64, f: &mut dyn FnMut(&Occupant)) {
        self.for_each_occupant(&mut |occupant| {
            if occupant.place.level == level && occupant.place.at.distance(at) <= radius_m {
                f(occupant);
            }
        });
    }
    /// How many are in a zone.
    fn count_in(&self, zone: ZoneId) -> ZoneCount;
    /// Whether anybody is in a zone, by every declared evidence.
    fn occupied(&self, zone: ZoneId) -> Tri;
    /// The track a person is on.
    fn track_of(&self, person: PersonId) -> Option<(TrackId, f64)>;
    /// When an occupant was last surely inside of a zone in which a recorder stands: farther from every way out than three
    /// standard deviations of its place, or came into it; the log's beginning where it never did, `None` of other zones.
    fn surely_in(&self, track: TrackId, zone: ZoneId) -> Option<LogicalNs> {
        let _ = (track, zone);
        None
    }
    /// How a sensor is doing.
    fn sensor(&self, sensor: SensorId) -> SensorStatus;
    /// Whether a sensor is alive at `now`.
    fn alive(&self, sensor: SensorId, now: LogicalNs) -> Tri;
    /// Appends the whole state; `restore` of it continues bit for bit.
    fn save(&self, out: &mut Vec<u8>);
    /// Takes back a saved state of the same site.
    ///
    /// # Errors
    /// [`RestoreError`]; the state is then as before.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError>;
}

/// The input that a step is about, as far as rules record it in causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The sensor whose observation it is.
    pub sensor: Option<SensorId>,
    /// When that was true.
    pub measured: Option<LogicalNs>,
}

/// The rules.
pub trait Decide {
    /// Evaluates what `stimuli` touch and what is due by `world.now()`; effects go to `out`, in rule order, then
    /// instance order. An empty `stimuli` is a tick.
    fn step(&mut self, stimuli: &[Stimulus], source: Source, world: &dyn WorldView, out: &mut Vec<Effect>);
    /// Changes places with `next`, which holds from here on and takes over what these rules remember where it fits. What
    /// they hold is let go and, where it goes on, held again: `out` is shown both, before anything is sent. Neither
    /// allocates nor frees: whatever is needed was made with `next`, and what is left over is in it afterwards.
    fn take_over(&mut self, next: &mut Self, out: &mut dyn FnMut(&Effect))
    where
        Self: Sized,
    {
        let _ = out;
        std::mem::swap(self, next);
    }
    /// Room for the effects of one step that looks at everything; 0 where the least is enough.
    fn effects_room(&self) -> usize {
        0
    }
    /// The site that these rules were compiled for, where it has other people than the one that the machine began with.
    fn site(&self) -> Option<&Arc<Site>> {
        None
    }
    /// What these rules say about who wins a device.
    fn terms(&self) -> Terms {
        Terms::default()
    }
    /// A command was sent: sessions open and end by it.
    fn on_command(&mut self, command: &Command, world: &dyn WorldView);
    /// An operator's action that concerns rules: a rule switched off, a mode, a reset.
    fn on_operator(&mut self, action: &OperatorAction, world: &dyn WorldView, out: &mut Vec<Effect>);
    /// Whether every policy about a command lets it pass. A policy may tell somebody of what it refuses: that goes to
    /// `out`.
    fn lets_pass(
        &mut self,
        device: ActuatorId,
        verb: Name,
        args: &Args,
        world: &dyn WorldView,
        out: &mut Vec<Effect>,
    ) -> bool {
        let _ = (device, verb, args, world, out);
        true
    }
    /// The next instant at which something is due: a `for`, a `release after`, a time of day.
    fn next_wakeup(&self) -> Option<LogicalNs>;
    /// The name of a rule.
    fn rule_name(&self, rule: RuleId) -> &str;
    /// Appends the whole state; `restore` of it continues bit for bit.
    fn save(&self, out: &mut Vec<u8>);
    /// Takes back a saved state of the same program.
    ///
    /// # Errors
    /// [`RestoreError`]; the state is then as before.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError>;
}

/// Who wins a device.
pub trait Arbitrate {
    /// Applies `effects` in order and appends what is to be sent to `out` (ids are filled in: `tag.seq` and the
    /// running number from `first_n`). Devices whose property changed go to `changed`, ascending, once each.
    fn step(
        &mut self,
        tag: Tag,
        source_seq: Option<u64>,
        first_n: u32,
        effects: &mut Vec<Effect>,
        out: &mut Vec<Command>,
        changed: &mut Vec<ActuatorId>,
    );
    /// Something of the same site with the room that rules of these terms need. Made before they are installed.
    fn room_for(&self, terms: &Terms) -> Self
    where
        Self: Sized;
    /// New rules are about to hold: their terms replace those before. What the old rules hold is let go in the same step.
    /// Neither allocates nor frees: memory is taken from `room` and `terms`, and what was used before is left in them.
    fn take_terms(&mut self, terms: &mut Terms, room: &mut Self)
    where
        Self: Sized,
    {
        let _ = (terms, room);
    }
    /// Books what goes over from the old rules to the new ones: what is let go, and what is held or forbidden on. It is
    /// settled with the next [`Arbitrate::step`] of the same input.
    fn carry(&mut self, seq: Seq, effect: &Effect) {
        let _ = (seq, effect);
    }
    /// A device reported; devices whose property changed by it go to `changed`.
    fn on_report(&mut self, tag: Tag, report: &Report, changed: &mut Vec<ActuatorId>);
    /// A person's own command.
    fn on_operator(
        &mut self,
        tag: Tag,
        first_n: u32,
        action: &OperatorAction,
        out: &mut Vec<Command>,
        changed: &mut Vec<ActuatorId>,
    );
    /// Sends every held value once (after a restart): appends to `out`.
    fn resend(&mut self, tag: Tag, first_n: u32, out: &mut Vec<Command>);
    /// A device's property: its last report, else its last command, else unknown.
    fn device(&self, actuator: ActuatorId, property: Name) -> Option<Value>;
    /// Appends the whole state; `restore` of it continues bit for bit.
    fn save(&self, out: &mut Vec<u8>);
    /// Takes back a saved state of the same site.
    ///
    /// # Errors
    /// [`RestoreError`]; the state is then as before.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError>;
}
