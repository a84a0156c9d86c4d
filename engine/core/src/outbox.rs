//! What one step decided. Reused from step to step: its vectors keep their room.

use osmose_model::command::Command;
use osmose_model::limits::{COMMANDS_PER_STEP_MAX, EVENTS_PER_STEP_MAX};
use osmose_model::stages::Refusal;
use osmose_model::world::WorldEvent;

/// The decisions of one step, in the order they were taken.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// What happened to tracks.
    pub events: Vec<WorldEvent>,
    /// What is to be sent to devices.
    pub commands: Vec<Command>,
    /// Why the observation was not used, if it was not.
    pub refused: Option<Refusal>,
    /// Events and commands beyond the limits of one step, counted because they are not in the vectors.
    pub shed: u32,
}

impl Outbox {
    /// An outbox with room for the largest step.
    #[must_use]
    pub fn new() -> Self {
        Self {
            events: Vec::with_capacity(EVENTS_PER_STEP_MAX),
            commands: Vec::with_capacity(COMMANDS_PER_STEP_MAX),
            refused: None,
            shed: 0,
        }
    }

    /// Empties it for the next step.
    pub fn clear(&mut self) {
        self.events.clear();
        self.commands.clear();
        self.refused = None;
        self.shed = 0;
    }
}
