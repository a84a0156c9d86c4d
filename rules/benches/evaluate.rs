//! What one event costs in the rules stage: `cargo bench -p osmose-rules --bench evaluate [FILTER]`.
//!
//! Each line is one kind of event against one set of rules. A sample is [`BATCH`] events timed together (a clock read
//! costs as much as the cheapest event), so p50 and p99 are of batches' means; `least` is the fastest batch, which is
//! the figure to compare on a machine that others use too. With a FILTER and `--once` every matching line runs a fixed
//! number of events without a clock: what to hand to `perf stat` or callgrind.
//!
//! The last lines are what `osmose check` does before anything runs, for 1,000 rules as people write them.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{World, compiled, site, someone};
use osmose_model::command::{Effect, Value};
use osmose_model::device::{Actuator, ActuatorKind};
use osmose_model::ids::{ActuatorId, GroupId, Name, PersonId, SensorId, TrackId, ZoneId};
use osmose_model::site::{Group, Person, Site, Zone};
use osmose_model::stages::{Decide, Source};
use osmose_model::time::LogicalNs;
use osmose_model::tri::Tri;
use osmose_model::world::{
    EventKind, Occupant, Reading, SensorStatus, Stimulus, WallTime, WorldEvent, WorldView, ZoneCount,
};
use osmose_rules::Rules;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::Instant;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Events timed together.
const BATCH: usize = 64;
const BATCHES: usize = 4_000;
/// Rooms that the 10,000 untouched instances are of, 20 rules each.
const ROOMS: u16 = 498;
const LOBBY: ZoneId = ZoneId(2);

/// The tests' world with people and counts found by index, as fusion keeps them.
struct Dense {
    world: World,
    people: Vec<Occupant>,
    /// By zone: who is in it.
    inside: Vec<Vec<TrackId>>,
}

impl Dense {
    fn new(site: Site) -> Self {
        let mut world = World::new(site);
        for (sensor, reading) in [(0, Reading::Switch(false)), (3, Reading::Quantity(300.0))] {
            if let Some(status) = world.sensors.get_mut(sensor) {
                status.reading = Some(reading);
            }
        }
        let persons = world.site.people.len() as u64;
        let people = (0..200).map(|track| someone(track, Some((track % persons) as u16), 0.99, []));
        let people: Vec<Occupant> = people.collect();
        let inside = world.site.zones.iter().map(|_| Vec::with_capacity(people.len())).collect();
        Dense { world, people, inside }
    }

    fn everybody_at_home(&mut self) {
        let (people, rooms) = PEERS;
        (0..people).for_each(|k| self.enters(TrackId(k), ZoneId((k % u64::from(rooms)) as u16)));
    }

    fn enters(&mut self, track: TrackId, zone: ZoneId) {
        self.people[track.index()].zones.push(zone);
        self.inside[zone.index()].push(track);
    }

    fn leaves(&mut self, track: TrackId, zone: ZoneId) {
        self.people[track.index()].zones.retain(|z| *z != zone);
        self.inside[zone.index()].retain(|t| *t != track);
    }

    fn event(&self, kind: EventKind, track: TrackId, zone: ZoneId) -> Stimulus {
        let occupant = &self.people[track.index()];
        Stimulus::World(WorldEvent {
            kind,
            track,
            person: occupant.person,
            person_p: occupant.person_p,
            zone: Some(zone),
            other: None,
            place: occupant.place,
            sensor: Some(SensorId(4)),
            measured: LogicalNs(self.world.now),
        })
    }
}

impl WorldView for Dense {
    fn site(&self) -> &Site {
        &self.world.site
    }
    fn now(&self) -> LogicalNs {
        LogicalNs(self.world.now)
    }
    fn wall(&self) -> Option<WallTime> {
        self.world.wall()
    }
    fn occupant(&self, track: TrackId) -> Option<&Occupant> {
        self.people.get(track.index())
    }
    fn for_each_occupant(&self, f: &mut dyn FnMut(&Occupant)) {
        self.people.iter().for_each(f);
    }
    fn for_each_in(&self, zone: ZoneId, f: &mut dyn FnMut(&Occupant)) {
        self.inside[zone.index()].iter().for_each(|t| f(&self.people[t.index()]));
    }
    fn count_in(&self, zone: ZoneId) -> ZoneCount {
        ZoneCount { seen: self.inside[zone.index()].len() as u32, lost: 0 }
    }
    fn occupied(&self, zone: ZoneId) -> Tri {
        Tri::from(!self.inside[zone.index()].is_empty())
    }
    fn track_of(&self, person: PersonId) -> Option<(TrackId, f64)> {
        Some((TrackId(u64::from(person.0)), 0.99))
    }
    fn is_member(&self, person: PersonId, group: GroupId) -> bool {
        // As the engine looks it up.
        self.world.site.groups[group.index()].members.binary_search(&person).is_ok()
    }
    fn device(&self, actuator: ActuatorId, property: Name) -> Option<Value> {
        self.world.device(actuator, property)
    }
    fn sensor(&self, sensor: SensorId) -> SensorStatus {
        self.world.sensor(sensor)
    }
    fn alive(&self, sensor: SensorId) -> Tri {
        self.world.alive(sensor)
    }
}

/// What happens, again and again.
#[derive(Clone, Copy, PartialEq)]
enum Happens {
    /// Somebody moves within a zone.
    Move,
    /// Ana (no staff) goes into the lobby and out again: two events, each a step.
    Walk,
    /// The same, each of 200 people in turn.
    Walks,
    /// The job that the peers were measured with (`examples/peer-job`): 200 people in 20 rooms, each event is one of the next
    /// person's; every fifth puts them into the corridor, their next one back.
    PeerJob,
}

/// People and rooms of the peers' job.
const PEERS: (u64, u16) = (200, 20);

/// The site of the peers' job, but for walls and sensors: person k lives in room k % 20, every tenth is staff.
fn peer_site() -> Site {
    let mut site = Site::plain("peer-job");
    let (people, rooms) = PEERS;
    site.zones = (0..rooms).map(|r| Zone::plain(r, &format!("r{r}"), Default::default())).collect();
    site.zones.push(Zone::plain(rooms, "corridor", Default::default()));
    let recorder = |r: u16| Actuator {
        zone: Some(ZoneId(r)),
        ..Actuator::plain(r, &format!("r{r}.recorder"), ActuatorKind::Recorder)
    };
    site.actuators = (0..rooms).map(recorder).collect();
    site.people = (0..people as u16).map(|p| Person::plain(p, &format!("p{p}"))).collect();
    let members = (0..people as u16).filter(|p| p % 10 != 0).map(PersonId).collect();
    site.groups = vec![Group { id: GroupId(0), name: "participants".to_owned(), folder: None, members }];
    site
}

/// Twenty rules, one for each room: when a participant leaves it, its recorder pauses.
fn peer_rules() -> String {
    let rule = |r| {
        format!(
            "rule pause-r{r} {{ when any p in members(participants) leaves r{r} do r{r}.recorder.pause() level user }}\n"
        )
    };
    (0..PEERS.1).map(rule).collect()
}

struct Case {
    name: &'static str,
    rules: String,
    happens: Happens,
}

/// Twenty rules on the lobby as people write them; nothing that [`Happens`] sets one of them off.
fn twenty_mixed() -> String {
    let mut text = String::new();
    for i in 0..4 {
        text += &format!("rule event-{i} {{ when any p in members(staff) leaves lobby do lobby-display.wake() }}\n");
        text +=
            &format!("rule guarded-{i} {{ when p enters lobby if fire-panel is active do lobby-display.wake() }}\n");
        text += &format!("rule crowd-{i} {{ when count(people in lobby) > {} do lobby-display.wake() }}\n", 20 + i);
        text += &format!(
            "rule dark-{i} {{ while lobby is occupied and lux-1 < {} lx hold lobby.lights.level = 80 % }}\n",
            50 + i
        );
        text += &format!("rule long-{i} {{ when lobby is occupied for {} h do lobby-display.wake() }}\n", 1 + i);
    }
    text
}

fn twenty(rule: &str) -> String {
    (0..20).map(|i| format!("rule r{i} {{ {rule} do lobby-display.wake() }}\n")).collect()
}

fn cases() -> Vec<Case> {
    use Happens::{Move, Walk, Walks};
    let staff = "when any p in members(staff) leaves lobby";
    let ours = "when any p in members(project-x) leaves lobby";
    let one = |rule: &str| format!("rule r {{ {rule} do lobby-display.wake() }}\n");
    let case = |name, rules, happens| Case { name, rules, happens };
    vec![
        case("a move, 20 rules elsewhere", twenty(ours), Move),
        case("enter/leave, no rule there", one("when any p in members(staff) leaves m9"), Walk),
        case("enter/leave, 1 rule, silent", one(staff), Walk),
        case("enter/leave, 20 event rules, silent", twenty(staff), Walk),
        case("enter/leave, 20 state rules, silent", twenty("when count(people in lobby) > 20"), Walk),
        case("enter/leave, 20 person rules, silent", twenty("when p in lobby for 1 h"), Walk),
        case("enter/leave, 20 mixed rules, silent", twenty_mixed(), Walk),
        case("enter/leave, 1 rule, fires on leave", one(ours), Walk),
        case("enter/leave, 1 rule, fires, 200 people", one("when p leaves lobby"), Walks),
        case("enter/leave, 20 rules, all fire on leave", twenty(ours), Walk),
        case("the peers' job: 20 rules, 18 % of events pause", peer_rules(), Happens::PeerJob),
    ]
}

/// 20 rules in each of `ROOMS` rooms and in the tests' own two: 10,000 instances that nothing here touches.
fn untouched() -> String {
    (0..20)
        .map(|i| {
            format!(
                "rule idle-{i} {{ for each room r when any p in members(staff) leaves r do lobby-display.wake() }}\n"
            )
        })
        .collect()
}

fn large_site() -> Site {
    let mut site = site();
    for i in 0..ROOMS {
        let id = ZoneId(site.zones.len() as u16);
        let like: Zone = site.zones[0].clone();
        site.zones.push(Zone { id, name: format!("office-{i}"), ..like });
    }
    site
}

/// One event, one step.
struct Course {
    rules: Rules,
    world: Dense,
    out: Vec<Effect>,
    happens: Happens,
    number: u64,
    effects: usize,
}

impl Course {
    fn new(case: &Case, beside: bool) -> Self {
        let site = match (case.happens, beside) {
            (Happens::PeerJob, _) => peer_site(),
            (_, true) => large_site(),
            (_, false) => site(),
        };
        let text = if beside { format!("{}{}", case.rules, untouched()) } else { case.rules.clone() };
        let rules = Rules::new(compiled(&site, &text));
        let out = Vec::with_capacity(4096);
        let mut course = Course { rules, world: Dense::new(site), out, happens: case.happens, number: 0, effects: 0 };
        if course.happens == Happens::PeerJob {
            course.world.everybody_at_home();
        }
        course.rules.step(&[Stimulus::Start], Source::default(), &course.world, &mut course.out);
        (0..4 * BATCH).for_each(|_| course.event());
        course.effects = 0;
        course
    }

    /// One of the peers' events, as fusion tells it.
    fn peer_event(&mut self) -> Stimulus {
        let (s, (people, rooms)) = (self.number, PEERS);
        self.number += 1;
        let person = (s + s / people) % people;
        let (track, room) = (TrackId(person), ZoneId((person % u64::from(rooms)) as u16));
        let is_out = self.world.people[track.index()].zones[0] != room;
        let leaves = s >= people && s % 5 == 4 && !is_out;
        match (is_out, leaves) {
            (true, _) => {
                self.world.leaves(track, ZoneId(rooms));
                self.world.enters(track, room);
                self.world.event(EventKind::Enters, track, room)
            }
            (false, true) => {
                self.world.leaves(track, room);
                self.world.enters(track, ZoneId(rooms));
                self.world.event(EventKind::Leaves, track, room)
            }
            (false, false) => Stimulus::Moved(track),
        }
    }

    fn event(&mut self) {
        self.world.world.now += 1_000_000;
        if self.happens == Happens::PeerJob {
            let stimulus = self.peer_event();
            self.out.clear();
            self.rules.step(&[stimulus], Source::default(), &self.world, &mut self.out);
            self.effects += self.out.len();
            return;
        }
        let track = TrackId(if self.happens == Happens::Walks { self.number / 2 % 200 } else { 0 });
        let enters = self.number.is_multiple_of(2);
        self.number += 1;
        let stimulus = match (self.happens, enters) {
            (Happens::Move | Happens::PeerJob, _) => Stimulus::Moved(track),
            (_, true) => {
                self.world.enters(track, LOBBY);
                self.world.event(EventKind::Enters, track, LOBBY)
            }
            (_, false) => {
                self.world.leaves(track, LOBBY);
                self.world.event(EventKind::Leaves, track, LOBBY)
            }
        };
        self.out.clear();
        self.rules.step(&[stimulus], Source::default(), &self.world, &mut self.out);
        self.effects += self.out.len();
    }
}

/// A thousand rules of the kinds of RULES.md in as many words of their own; no two of them drive one device to two values.
fn thousand() -> String {
    let mut text = String::from("mode house { home default, away }\n");
    for i in 0..200 {
        let room = format!("office-{}", i % ROOMS);
        text += &format!(
            "rule pause-{i} {{ when any p in members(staff) leaves {room} do m7.recorder.pause(reason: \"{{p}} left\") deadline 1 ms level privacy }}\n"
        );
        text += &format!(
            "rule queue-{i} {{ when count(people in {room}) > {} for 2 min until (count(people in {room}) < 3 for 3 min) do notify(cleo, \"{{count(people in {room})}} wait\") once per 10 min level info }}\n",
            5 + i % 7
        );
        text += &format!(
            "rule long-{i} {{ when p in {room} for 10 min once per visit do lobby-display.show(\"longread\", language: p.language) level info }}\n"
        );
        text += &format!(
            "rule lit-{i} {{ while {room} is occupied and lux-1 < {} lx and house is home hold m9.light.level = 80 % release after 5 min level comfort }}\n",
            50 + i
        );
        text += &format!(
            "rule lost-{i} {{ when p leaves lobby then not p enters {room} within 60 s if p in members(project-x) do m7.light.on() suppress 1 h per p level info }}\n"
        );
    }
    text
}

/// What a thousand rules take before they run: compiled, assessed, and looked through for conflicts.
fn check_times() {
    let (site, text) = (large_site(), thousand());
    let files = common::source(&text);
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..7 {
        let begun = Instant::now();
        let checked = osmose_rules::check(&site, &files);
        times[0].push(begun.elapsed().as_secs_f64() * 1e3);
        let program = checked.program.expect("the rules are right");
        assert_eq!(program.rules().len(), 1000);
        let begun = Instant::now();
        std::hint::black_box(osmose_rules::cost::assess(
            &program,
            &site,
            &files,
            &osmose_rules::cost::Table::committed(),
        ));
        times[1].push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        std::hint::black_box(osmose_rules::conflict::find(&program, &site, &files));
        times[2].push(begun.elapsed().as_secs_f64() * 1e3);
    }
    println!("{:<58} {:>7} {:>7}", "1,000 rules before they run, ms", "least", "p50");
    let mut whole = [0.0; 2];
    for (name, mut samples) in ["compiled", "costs", "conflicts"].into_iter().zip(times) {
        samples.sort_by(f64::total_cmp);
        whole = [whole[0] + samples[0], whole[1] + samples[samples.len() / 2]];
        println!("{name:<58} {:>7.1} {:>7.1}", samples[0], samples[samples.len() / 2]);
    }
    println!("{:<58} {:>7.1} {:>7.1}", "all of it", whole[0], whole[1]);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
    let once = words.iter().any(|w| w == "--once");
    let filter = words.iter().find(|w| !w.starts_with("--")).map_or("", String::as_str);
    println!("{BATCHES} batches of {BATCH} events; ns an event, the world's own work included");
    println!("{:<58} {:>7} {:>7} {:>7} {:>9} {:>9}", "", "least", "p50", "p99", "effects", "allocs");
    for (case, beside) in cases().iter().flat_map(|c| [(c, false), (c, true)]) {
        if beside && case.happens == Happens::PeerJob {
            continue;
        }
        let name = if beside { format!("{}, 10,000 beside", case.name) } else { case.name.to_owned() };
        if !name.contains(filter) {
            continue;
        }
        let mut course = Course::new(case, beside);
        if once {
            (0..100_000).for_each(|_| course.event());
            println!("{name}: 100000 events, {} effects", course.effects);
            continue;
        }
        let mut samples = Vec::with_capacity(BATCHES);
        let region = Region::new(COUNTED);
        for _ in 0..BATCHES {
            let start = Instant::now();
            (0..BATCH).for_each(|_| course.event());
            samples.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
        }
        let events = (BATCHES * BATCH) as f64;
        let allocations = region.change().allocations as f64 / events;
        samples.sort_by(f64::total_cmp);
        let at = |q: usize| samples[(samples.len() - 1) * q / 100];
        let effects = course.effects as f64 / events;
        println!("{name:<58} {:>7.1} {:>7.1} {:>7.1} {effects:>9.3} {allocations:>9.4}", at(0), at(50), at(99));
    }
    if "check".contains(filter) && !once {
        check_times();
    }
}
