//! Sessions: who takes part in what a recorder records.
//!
//! A session opens when its recorder starts, with those present or with the group that the command names, ends when
//! it stops, and stays through a pause. Nothing else changes who takes part (RULES.md, "Participants").

use super::state::{Session, Shared};
use crate::program::Program;
use osmose_model::command::{Command, Value};
use osmose_model::ids::{ActuatorId, Name, ZoneId};
use osmose_model::world::{Occupant, WorldView};

fn zone_of(program: &Program, device: ActuatorId) -> Option<ZoneId> {
    program.recorders.iter().find(|(recorder, _)| *recorder == device).map(|(_, zone)| *zone)
}

/// A command was sent to a device: `start` opens a session anew, `stop` ends it.
pub(super) fn on_command(program: &Program, shared: &mut Shared, command: &Command, world: &dyn WorldView) {
    let Some(zone) = zone_of(program, command.device) else { return };
    let session = &mut shared.sessions[zone.index()];
    if command.verb == "start" {
        let of = command.args.iter().find(|(name, _)| *name == "participants").map(|(_, value)| value);
        open(session, zone, of, world);
    } else if command.verb == "stop" {
        close(session);
    }
}

/// A device's state is another: a recorder that was started by hand opens a session of those present.
pub(super) fn follow(program: &Program, shared: &mut Shared, device: ActuatorId, world: &dyn WorldView) {
    let Some(zone) = zone_of(program, device) else { return };
    let Some(property) = Name::new("state") else { return };
    let session = &mut shared.sessions[zone.index()];
    let says = |word: &str| match world.device(device, property) {
        Some(Value::Name(name)) => name == *word,
        Some(Value::Text(text)) => text.as_str() == word,
        _ => false,
    };
    if says("recording") && !session.open {
        open(session, zone, None, world);
    } else if says("stopped") && session.open {
        close(session);
    }
}

/// At a start: recorders that record already.
pub(super) fn follow_all(program: &Program, shared: &mut Shared, world: &dyn WorldView) {
    for (device, _) in &program.recorders {
        follow(program, shared, *device, world);
    }
}

fn close(session: &mut Session) {
    session.open = false;
    session.people.fill(0);
    session.tracks.clear();
}

fn open(session: &mut Session, zone: ZoneId, of: Option<&Value>, world: &dyn WorldView) {
    close(session);
    session.open = true;
    let named = match of {
        Some(Value::Name(name)) => Some(name.as_str()),
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    if let Some(group) = named.and_then(|name| world.site().group_named(name)) {
        let members = world.site().groups.get(group.index()).map_or(&[][..], |g| &g.members);
        members.iter().for_each(|person| session.add(*person));
        return;
    }
    world.for_each_in(zone, &mut |occupant: &Occupant| {
        // Beyond the table's size the unidentified still count, as everybody unidentified inside a session does.
        let _ = session.tracks.try_push(occupant.track);
        if let Some(person) = occupant.person.filter(|_| occupant.person_p >= 0.5) {
            session.add(person);
        }
    });
}
