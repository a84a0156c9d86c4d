//! The simulated building: people who walk it, sensors that see them with honest errors, devices that do as told.
//!
//! Deterministic from a seed and free of clocks, threads and I/O: time is whatever [`Sim::advance`] is told, and one
//! seed gives the same bytes on every run. Every person, sensor and device draws from a random stream of its own.
//!
//! | file | what it holds |
//! |---|---|
//! | `script` | a morning as data: who comes, where they go, what they do |
//! | `grid`, `marks` | where people can stand, and which zones that is in |
//! | `path`, `nav` | the way from place to place, stairs included |
//! | `walker`, `people` | somebody, and everybody, step by step |
//! | `senses` | when sensors speak, and what goes wrong on the way |
//! | `wear` | faults by chance |
//! | `scans`, `cloud`, `radio`, `sound`, `lines`, `presence`, `rooms` | what they sense, with which errors |
//! | `devices` | what actuators do with commands |
//! | `outbox` | what is on its way, in the order of arrival |
//! | `rng` | randomness by name |

mod cloud;
mod devices;
mod grid;
mod lines;
mod marks;
mod nav;
mod outbox;
mod path;
mod people;
mod presence;
mod radio;
mod rng;
mod rooms;
mod scans;
mod script;
mod senses;
mod sound;
#[cfg(test)]
mod tests;
mod walker;
mod wear;

use devices::Devices;
use nav::Nav;
use osmose_model::command::Command;
use osmose_model::geometry::Place;
use osmose_model::ids::{ActuatorId, LevelId, PersonId, ZoneId};
use osmose_model::input::{Class, Input};
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs};
use outbox::Outbox;
use people::People;
use rng::Rng;
use rooms::Rooms;
use script::{Actor, Script, Task, Timed, Where};
use senses::{Moment, Senses};
use std::collections::VecDeque;

/// The step in which people move; sensors see them at their own instants between two steps.
pub const STEP: DurationNs = DurationNs::from_ms(20);
/// The least time from a command to the device's report. Who advances in slices no longer than this, and hands each
/// slice's commands in before the next, gets every report at its very time.
pub const REPORT_AFTER_MIN: DurationNs = DurationNs::from_ms(3);
/// How many points a crowd walks between on a plan that has no rooms.
const POINTS: usize = 200;
/// Most true crossings that are kept until they are taken; the oldest are dropped beyond it, and counted.
const CROSSINGS_MAX: usize = 1 << 20;
/// Most true gestures that are kept until they are taken; the oldest are dropped beyond it.
const GESTURES_MAX: usize = 1 << 12;
/// How long the people of a crowd stay somewhere, seconds, where the scenario does not say.
pub const CROWD_STAY_S: [f64; 2] = [5.0, 60.0];

/// Who is in the building, and what they do.
#[derive(Clone, Debug, PartialEq)]
pub enum Scenario {
    /// People who start anywhere and walk to one random place after another, for ever. The first are the site's known
    /// people, with their badges and devices; the rest are nobody's.
    Crowd {
        /// How many; 20,000 at most.
        people: usize,
        /// How long they stay at each place, seconds, least and most ([`CROWD_STAY_S`]).
        stay_s: [f64; 2],
    },
    /// A morning by a script: the text of a file such as `examples/coworking/morning.toml` (its grammar stands there
    /// and at the head of `sim/script.rs`).
    Morning {
        /// The text of the script.
        script: String,
    },
}

/// Why a scenario cannot be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SimError {
    /// The script says something that the site or the grammar does not know.
    #[error("line {line} of the script: {message}")]
    Script {
        /// The line, from 1.
        line: u32,
        /// What is wrong with it, and the way to mend it.
        message: String,
    },
    /// More people than the simulator takes.
    #[error("{0} people are too many: {max} are the most that can be simulated.", max = script::PEOPLE_MAX)]
    TooManyPeople(usize),
    /// Somebody is to go where nobody can stand.
    #[error("`{who}` is to go to {place}, where nobody can stand: it is no floor, or furniture or walls fill it.")]
    NoPlace {
        /// Who.
        who: String,
        /// Where.
        place: String,
    },
    /// There is no floor on which anybody can stand.
    #[error("Site `{0}` has no floor on which people can stand: draw its rooms as features of `feature_type` `unit`.")]
    NoFloor(String),
}

/// Where somebody truly is.
#[derive(Clone, Debug, PartialEq)]
pub struct TruePerson<'a> {
    /// Their number in this simulation, from 0: the `id` of a truth file.
    pub id: u32,
    /// Their name: the person's id in people.toml, or one of the scenario's.
    pub name: &'a str,
    /// Which known person they are, if any.
    pub person: Option<PersonId>,
    /// Where they are.
    pub place: Place,
    /// Every zone they are in, ascending.
    pub zones: &'a [ZoneId],
    /// Which way they face, radians.
    pub heading_rad: f64,
    /// Whether they walk.
    pub walks: bool,
}

/// Somebody truly came into or left a zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrueCrossing {
    /// When, to a microsecond.
    pub at: ArrivalNs,
    /// Who: [`TruePerson::id`].
    pub id: u32,
    /// Which known person they are, if any.
    pub person: Option<PersonId>,
    /// Which zone.
    pub zone: ZoneId,
    /// Whether they came in; else they left.
    pub entered: bool,
}

/// Somebody truly made a gesture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrueGesture {
    /// When, to a [`STEP`].
    pub at: ArrivalNs,
    /// Who: [`TruePerson::id`].
    pub id: u32,
    /// Which known person they are, if any.
    pub person: Option<PersonId>,
}

/// A simulated building.
///
/// Sensor observations and device reports come out of [`Sim::advance`] in the order of arrival; commands go in by
/// [`Sim::command`]. Instants are virtual and start at 0.
#[derive(Clone, Debug)]
pub struct Sim {
    site: Site,
    nav: Nav,
    people: People,
    senses: Senses,
    devices: Devices,
    rooms: Rooms,
    events: VecDeque<(ArrivalNs, osmose_model::ids::SensorId, script::Happening)>,
    outbox: Outbox,
    now: ArrivalNs,
    step_from: ArrivalNs,
    delivered: ArrivalNs,
    crossings: VecDeque<TrueCrossing>,
    crossings_dropped: u64,
    gestures: VecDeque<TrueGesture>,
    notes: Vec<String>,
    zones: Vec<ZoneId>,
}

impl Sim {
    /// A building with a scenario in it, at time 0.
    ///
    /// # Errors
    /// [`SimError`] where the script does not fit the site, or nobody can stand where the scenario wants them.
    pub fn new(site: &Site, plan: Scenario, seed: u64) -> Result<Self, SimError> {
        Self::build(site, plan, seed, Vec::new())
    }

    /// The same in a building that has been in use for years: clocks that run off, datagrams lost, doubled and held up,
    /// sensors that die.
    ///
    /// # Errors
    /// As [`Sim::new`].
    pub fn worn(site: &Site, plan: Scenario, seed: u64) -> Result<Self, SimError> {
        Self::build(site, plan, seed, wear::faults(site, seed))
    }

    fn build(site: &Site, plan: Scenario, seed: u64, worn: Vec<script::Fault>) -> Result<Self, SimError> {
        let mut notes = Vec::new();
        let nav = Nav::build(site, &mut notes);
        let mut script = match plan {
            Scenario::Crowd { people, stay_s } => crowd(site, &nav, people, stay_s, &mut notes)?,
            Scenario::Morning { script } => script::parse(&script, site)?,
        };
        check_places(site, &nav, &script)?;
        script.faults.extend(worn);
        let senses = Senses::new(site, &nav, seed, &script.faults, &mut notes);
        let mut outbox = Outbox::default();
        let devices = Devices::new(site, seed, &mut |at, report| outbox.report(at, report));
        Ok(Self {
            people: People::new(site, script.actors, seed),
            senses,
            devices,
            rooms: Rooms::new(site),
            events: script.events.into(),
            site: site.clone(),
            nav,
            outbox,
            now: ArrivalNs(0),
            step_from: ArrivalNs(0),
            delivered: ArrivalNs(i64::MIN),
            crossings: VecDeque::new(),
            crossings_dropped: 0,
            gestures: VecDeque::new(),
            notes,
            zones: Vec::new(),
        })
    }

    /// What had to be assumed of the plan, and what is not simulated, as sentences.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Lets time pass to `until` and gives everything that arrives by then to `out`, in the order (arrival, class,
    /// source): when it arrives, its source (sensors by their number, actuators behind them), its class, and itself.
    /// An `until` before the last one gives nothing.
    pub fn advance(&mut self, until: ArrivalNs, out: &mut impl FnMut(ArrivalNs, u64, Class, Input<'_>)) {
        while self.now < until {
            self.step();
            let (outbox, earliest) = (&mut self.outbox, self.delivered.plus(DurationNs(1)));
            self.devices.run_out(&self.site, self.now, &mut |at, report| outbox.report(at.max(earliest), report));
            self.outbox.deliver(self.now.min(until), out);
        }
        self.outbox.deliver(until, out);
        self.delivered = self.delivered.max(until);
    }

    /// Takes a command to a simulated device in; its reports come out of a later [`Sim::advance`], at least
    /// [`REPORT_AFTER_MIN`] after `at` (and never before what was handed out already).
    pub fn command(&mut self, at: ArrivalNs, command: &Command) {
        let (outbox, earliest) = (&mut self.outbox, self.delivered.plus(DurationNs(1)));
        self.devices.command(&self.site, at, command, &mut |at, report| outbox.report(at.max(earliest), report));
    }

    /// Takes in when a device heard from the engine at all, renewals included: with a lease it makes itself safe once that
    /// runs out before the next line (`docs/wire.md`), without one it stays as it is.
    pub fn heard(&mut self, device: ActuatorId, at: ArrivalNs, lease: Option<DurationNs>) {
        self.devices.heard(device, lease.map(|lease| at.plus(lease)));
    }

    /// When the next thing arrives that is known by now; more may come before it as time passes.
    #[must_use]
    pub fn next_arrival(&self) -> Option<ArrivalNs> {
        self.outbox.next_arrival()
    }

    /// Where everybody in the building is, ascending by id, at `at`: an instant within one [`STEP`] before the last
    /// [`Sim::advance`]; others are taken for the nearest such.
    pub fn truth(&self, at: ArrivalNs) -> impl Iterator<Item = TruePerson<'_>> {
        let step = self.now.since(self.step_from).as_s_f64();
        let share = if step > 0.0 { (at.since(self.step_from).as_s_f64() / step).clamp(0.0, 1.0) } else { 1.0 };
        let here = self.people.walkers.iter().enumerate().filter(|(_, w)| w.is_here());
        here.map(move |(i, w)| TruePerson {
            id: i as u32,
            name: &w.name,
            person: w.person,
            place: w.place(share),
            zones: &w.zones,
            heading_rad: w.heading_rad,
            walks: w.has_moved(),
        })
    }

    /// The true crossings of zone boundaries since the last call, in order of time; up to one [`STEP`] ahead of the
    /// last [`Sim::advance`].
    pub fn take_crossings(&mut self, out: &mut Vec<TrueCrossing>) {
        out.extend(self.crossings.drain(..));
    }

    /// How many true crossings were dropped because nobody took them.
    #[must_use]
    pub fn crossings_dropped(&self) -> u64 {
        self.crossings_dropped
    }

    /// The true gestures since the last call, in order of time; up to one [`STEP`] ahead of the last [`Sim::advance`].
    pub fn take_gestures(&mut self, out: &mut Vec<TrueGesture>) {
        out.extend(self.gestures.drain(..));
    }

    /// How often somebody wanted to go where no way leads.
    #[must_use]
    pub fn no_way(&self) -> u64 {
        self.people.no_way
    }

    /// The name of a person of this simulation.
    #[must_use]
    pub fn name(&self, id: u32) -> Option<&str> {
        self.people.walkers.get(id as usize).map(|w| w.name.as_str())
    }

    fn step(&mut self) {
        let (from, to) = (self.now, self.now.plus(STEP));
        self.people.step(&self.site, &mut self.nav, from, to);
        (self.step_from, self.now) = (from, to);
        self.find_crossings();
        self.note_gestures();
        if from.0 % osmose_model::time::NS_PER_S == 0 {
            self.rooms.step(&self.site, &self.people, &self.devices, 1.0);
        }
        while let Some(&(at, sensor, what)) = self.events.front().filter(|e| e.0 <= to) {
            self.senses.happen(&self.site, at, sensor, what, &mut self.outbox);
            self.events.pop_front();
        }
        let moment = Moment { site: &self.site, nav: &self.nav, people: &self.people, from, to };
        self.senses.step(&moment, &self.rooms, &mut self.outbox);
    }

    /// Notes who makes a gesture in this step.
    fn note_gestures(&mut self) {
        for &(_, i, act) in &self.people.acts {
            if let people::Act::Gesture(_) = act {
                if self.gestures.len() >= GESTURES_MAX {
                    self.gestures.pop_front();
                }
                let person = self.people.walkers[i].person;
                self.gestures.push_back(TrueGesture { at: self.step_from, id: i as u32, person });
            }
        }
    }

    /// Brings everybody's zones up to date, and notes who crossed which boundary when.
    fn find_crossings(&mut self) {
        let first = self.crossings.len();
        let zones = &mut self.zones;
        for (i, walker) in self.people.walkers.iter_mut().enumerate() {
            zones.clear();
            if walker.is_here() {
                let grid = self.nav.grid(walker.level);
                let Some(cell) = grid.cell_at(walker.at) else { continue };
                if grid.zones.is_settled(cell, &walker.zones) {
                    continue;
                }
                grid.zones.at(&self.site, cell, walker.at, zones);
            }
            if *zones == walker.zones {
                continue;
            }
            let moment = (self.step_from, self.now);
            let mut cross = |zone: ZoneId, entered: bool| {
                let at = crossing_time(&self.site, walker, zone, entered, moment);
                if self.crossings.len() >= CROSSINGS_MAX {
                    self.crossings.pop_front();
                    self.crossings_dropped += 1;
                }
                self.crossings.push_back(TrueCrossing { at, id: i as u32, person: walker.person, zone, entered });
            };
            walker.zones.iter().filter(|z| !zones.contains(z)).for_each(|&z| cross(z, false));
            zones.iter().filter(|z| !walker.zones.contains(z)).for_each(|&z| cross(z, true));
            walker.zones.clone_from(zones);
        }
        let new = self.crossings.len().saturating_sub(first);
        if new > 1 {
            let all = self.crossings.make_contiguous();
            let n = all.len();
            all[n - new..].sort_by_key(|c| c.at);
        }
    }
}

/// When in a step somebody crossed a zone's boundary, by halving the step.
fn crossing_time(
    site: &Site,
    walker: &walker::Walker,
    zone: ZoneId,
    entered: bool,
    step: (ArrivalNs, ArrivalNs),
) -> ArrivalNs {
    let area = &site.zones[zone.index()].area;
    let is_level = |l: LevelId| site.zones[zone.index()].level == l;
    let starts = is_level(walker.level) && area.contains(walker.before);
    if !walker.has_moved() || starts == entered || !is_level(walker.level) {
        return step.1; // appeared, vanished, or came by the stairs
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..20 {
        let middle = (low + high) / 2.0;
        if area.contains(walker.along(middle)) == starts { low = middle } else { high = middle }
    }
    let lasting = step.1.since(step.0).as_s_f64();
    step.0.plus(DurationNs::from_s_f64(lasting * high).unwrap_or_default()).min(step.1)
}

/// The room in which the `nth` of all places is: a room is found as often as it has places.
fn nth_room(rooms: &[(ZoneId, usize)], nth: usize) -> ZoneId {
    let mut before = 0;
    let found = rooms.iter().find(|r| {
        before += r.1;
        nth < before
    });
    found.map_or(ZoneId(0), |r| r.0)
}

/// A crowd as a script.
fn crowd(site: &Site, nav: &Nav, people: usize, stay_s: [f64; 2], notes: &mut Vec<String>) -> Result<Script, SimError> {
    if people > script::PEOPLE_MAX {
        return Err(SimError::TooManyPeople(people));
    }
    let places = |z: &osmose_model::site::Zone| nav.grid(z.level).zones.spots(z.id).map_or(0, |s| s.any.len());
    let rooms = site.zones.iter().filter(|z| z.is_part() && z.connects.is_empty());
    let rooms: Vec<(ZoneId, usize)> = rooms.map(|z| (z.id, places(z))).filter(|r| r.1 > 0).collect();
    let floor: usize = rooms.iter().map(|r| r.1).sum();
    // Where they start is the scenario's, not the seed's: the seed moves them from there.
    let mut rng = Rng::stream(people as u64, "crowd");
    let mut among: Vec<Where> = rooms.iter().map(|r| Where::Zone(r.0)).collect();
    if among.is_empty() {
        among = nav.anywhere(POINTS, &mut rng).into_iter().map(|(level, at)| Where::Point(level, at)).collect();
        notes.push("The plan has no rooms: people walk between points of its floor.".to_owned());
    }
    if among.is_empty() {
        return Err(SimError::NoFloor(site.name.clone()));
    }
    let now = |task| Timed { not_before: ArrivalNs(0), task };
    let actors = (0..people).map(|i| {
        let person = site.people.get(i);
        let by_room = |rng: &mut Rng| Where::Zone(nth_room(&rooms, rng.below(floor)));
        let start = if floor > 0 { by_room(&mut rng) } else { among[rng.below(among.len())] };
        let wander = Task::Wander { among: among.clone(), lasting: None, stay_s };
        Actor {
            name: person.map_or_else(|| format!("walker-{i}"), |p| p.name.clone()),
            person: person.map(|p| p.id),
            speed_mps: None,
            does: vec![now(Task::Start(start)), now(wander)],
        }
    });
    Ok(Script { actors: actors.collect(), ..Script::default() })
}

/// Whether everybody can stand where the script wants them.
fn check_places(site: &Site, nav: &Nav, script: &Script) -> Result<(), SimError> {
    let is_zone_free = |zone: ZoneId| {
        let level = site.zones[zone.index()].level;
        nav.grid(level).zones.spots(zone).is_some_and(|s| !s.any.is_empty())
    };
    let zone_named = |zone: ZoneId| format!("zone `{}`", site.zones[zone.index()].name);
    for actor in &script.actors {
        let fault = |place: String| SimError::NoPlace { who: actor.name.clone(), place };
        for timed in &actor.does {
            match &timed.task {
                Task::Start(Where::Zone(zone)) | Task::Go(Where::Zone(zone)) if !is_zone_free(*zone) => {
                    return Err(fault(zone_named(*zone)));
                }
                &Task::Start(Where::Point(level, p)) | &Task::Go(Where::Point(level, p))
                    if nav.snap(level, p).is_none() =>
                {
                    return Err(fault(format!(
                        "({}, {}) on level `{}`",
                        p.x_m,
                        p.y_m,
                        site.levels[level.index()].name
                    )));
                }
                Task::Wander { among, .. } => {
                    let full = among.iter().find_map(|w| match w {
                        Where::Zone(zone) if !is_zone_free(*zone) => Some(*zone),
                        _ => None,
                    });
                    if let Some(zone) = full {
                        return Err(fault(zone_named(zone)));
                    }
                }
                &Task::Enter(o) | &Task::Leave(o) if nav.sides(site, o, 0.8).is_none() => {
                    return Err(fault(format!("the opening `{}`", site.openings[o].name)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
