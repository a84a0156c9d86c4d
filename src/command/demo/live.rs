//! The demo in real time: a running engine on its pinned thread, and beside it simulated devices that send datagrams
//! over loopback. What the engine does is told from the journal thread.

use super::Demo;
use super::ports::relocate;
use super::senders::Senders;
use super::story::{Story, Took};
use crate::command::run::{CONTROLS_MAX, with_names};
use crate::control::Desk;
use crate::outcome::{Ended, Failure, Outcome};
use crate::site::Ready;
use crate::stderr::say;
use crate::stop;
use crate::web::Serving;
use osmose_core::Core;
use osmose_model::canon;
use osmose_model::command::Command;
use osmose_model::ids::RuleId;
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;
use osmose_model::site::Site;
use osmose_model::time::{ArrivalNs, DurationNs};
use osmose_model::world::WorldEvent;
use osmose_page::scratch::Scratch;
use osmose_page::so_far::Written;
use osmose_replay::drive::Osmose;
use osmose_replay::record::Recorder;
use osmose_replay::resume;
use osmose_replay::rotate::{Plan, Rotating};
use osmose_replay::trace::format::{Meta, Origin};
use osmose_replay::trace::write::Packing;
use osmose_runtime::clock::{HostClock, utc_now};
use osmose_runtime::control::controls;
use osmose_runtime::engine::{Engine, OwnedInput, Setup};
use osmose_runtime::logs::{Known, Names};
use osmose_runtime::tap::{Tap, Timing};
use osmose_sensors::sim::Sim;
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a demo records for its page alone has at most so many bytes, in files of this length.
const NEWEST_BYTES_MAX: u64 = 64 << 20;
const NEWEST_EVERY: DurationNs = DurationNs::from_s(60);

/// Tells what the engine does, and hands its commands to the simulated devices.
struct Teller {
    story: Arc<Mutex<Story>>,
    names: Names,
    devices: Sender<Command>,
    scan: ScanBuf,
    /// Commands of a step whose timing is still to come.
    waiting: Vec<Command>,
}

impl Tap for Teller {
    fn input(&mut self, _: Tag, canonical: &[u8]) {
        if let (Ok(input), Ok(mut story)) = (canon::decode_input(canonical, &mut self.scan), self.story.lock()) {
            story.sensed(&input);
        }
    }
    fn event(&mut self, tag: Tag, event: &WorldEvent) {
        if let Ok(story) = self.story.lock() {
            story.event(tag, event);
        }
    }
    fn command(&mut self, _: Tag, command: &Command) {
        self.waiting.push(command.clone());
        // The devices are gone only when the demo is ending.
        let _ = self.devices.send(command.clone());
    }
    fn timing(&mut self, _: Tag, timing: Timing) {
        let ns = |from: ArrivalNs, to: ArrivalNs| Duration::from_nanos(to.since(from).0.max(0) as u64);
        let took = Took { step: ns(timing.step_start, timing.step_end), whole: Some(ns(timing.received, timing.sent)) };
        let rules = self.names.lock().unwrap_or_else(PoisonError::into_inner).rules.clone();
        let rule = |r: RuleId| rules.get(r.index()).map_or("?", String::as_str);
        if let Ok(mut story) = self.story.lock() {
            self.waiting.iter().for_each(|c| story.command(c, &rule, took));
        }
        self.waiting.clear();
    }
}

pub(super) fn run(ready: Ready, demo: &Demo) -> Ended {
    let Ready { mut site, program } = ready;
    let moved = relocate(&mut site).map_err(|e| Failure::found(format!("the simulated devices have no ports: {e}")))?;
    if moved {
        say!("another program has the ports of examples/coworking: this building's devices are on others");
    }
    let sim = demo.simulate(&site)?;
    let story = Arc::new(Mutex::new(Story::new(site.clone())));
    let (devices, commands) = channel();
    let rules: Arc<[String]> = program.rules().iter().map(|r| r.name.clone()).collect();
    let (recorder, written, _newest) = begin_recording(demo, &site, &rules)?;
    let names: Names = Arc::new(Mutex::new(Known { site: site.clone(), rules }));
    let levels = program.levels().to_vec();
    let teller = Teller { story: story.clone(), names: names.clone(), devices, scan: ScanBuf::new(), waiting: vec![] };
    let mut taps: Vec<Box<dyn Tap>> = vec![Box::new(teller)];
    taps.extend(recorder);
    let mut page = demo.web.bind(&site, false, &mut taps)?;
    if let (Some(page), Some(written)) = (&mut page, written) {
        page.look_back(&site, written);
    }
    let (to_engine, control) = controls(CONTROLS_MAX);
    let (clock, utc) = (HostClock::starting_at(ArrivalNs(0)), utc_now());
    let first = resume::first_inputs(&Osmose::new(site.clone()), utc).map_err(Failure::found)?;
    let setup = Setup {
        machine: Core::new(site.clone(), program),
        clock,
        first: first.into_iter().map(OwnedInput).collect(),
        journal: None,
        taps,
        dry_run: false,
        resend_held: false,
        control: demo.site.as_ref().map(|_| control),
    };
    let listeners = listen_as_devices(&site)?;
    let stop = stop::on_signal()?;
    let mut engine = Engine::compose(setup).map_err(Failure::found)?;
    // A folder is followed as it is saved.
    let desk = demo.site.clone().and_then(|dir| {
        let sites = (site.clone(), site.clone());
        Desk::new(dir, sites, levels, clock, names, to_engine).open(None, stop.clone())
    });
    let page = Serving::of(page, &mut engine, &stop)?;
    page.say_ready(&engine, "");
    if let Ok(story) = story.lock() {
        story.opening(sim.notes());
    }
    let building = {
        let (site, stop, end) = (site.clone(), stop.clone(), demo.seconds.map(|s| ArrivalNs((s * 1e9) as i64)));
        let live = move || live_on(&site, sim, clock, end, &commands, &story, &stop, &listeners);
        std::thread::Builder::new().name("demo-building".into()).spawn(live)
    };
    let building = building.map_err(|e| Failure::found(format!("the simulated building cannot start: {e}")))?;
    let latencies = engine.latencies();
    let summary = engine.run(&stop).map_err(|e| Failure::found(format!("the engine could not run: {e}")))?;
    page.end();
    if let Some(desk) = desk {
        // It looks for the stop several times a second.
        _ = desk.join();
    }
    let told = building.join().map_err(|_| Failure::found("the simulated building failed"))?;
    let (sent, received) = told?;
    say!("the building sent {sent} datagrams; its devices received {received}");
    crate::command::run::account(&site, &summary, &latencies);
    Ok(Outcome::Success)
}

/// What records, where it does so, and the folder that goes with the demo where nobody said where to.
type Recording = (Option<Box<dyn Tap>>, Option<Written>, Option<Scratch>);

/// Begins to record: into `--record`, else the newest for the page to look back into.
fn begin_recording(demo: &Demo, site: &Site, rules: &[String]) -> Result<Recording, Failure> {
    let meta = Meta::new(Origin::Live, &site.name);
    match demo.record.as_deref() {
        Some(path) if path.as_os_str() == "none" => return Ok((None, None, None)),
        Some(path) => {
            let recorder = Recorder::create(path, &meta, &site.files, Packing::default()).map_err(Failure::found)?;
            let recorder = with_names(recorder, rules);
            return Ok((Some(Box::new(recorder)), Some(Written::File(path.to_owned())), None));
        }
        None if !demo.web.is_wanted() => return Ok((None, None, None)),
        None => {}
    }
    let Ok(dir) = Scratch::new() else {
        say!("nothing can be written to {}: the page cannot look back", std::env::temp_dir().display());
        return Ok((None, None, None));
    };
    let plan = Plan { dir: dir.path().to_owned(), rotate: NEWEST_EVERY, keep_days: 1, bytes_max: NEWEST_BYTES_MAX };
    let rotating = Rotating::create(plan, meta, &site.files, rules.to_vec()).map_err(Failure::found)?;
    say!(
        "recording to {}, the newest {} MiB of it; it is removed at the end (--record FILE.mcap keeps it)",
        dir.path().display(),
        NEWEST_BYTES_MAX >> 20
    );
    let written = Written::Since(rotating.path().to_owned());
    Ok((Some(Box::new(rotating)), Some(written), Some(dir)))
}

/// The sockets on which the simulated devices take the engine's commands.
fn listen_as_devices(site: &Site) -> Result<Vec<UdpSocket>, Failure> {
    let addresses: BTreeSet<_> = site.actuators.iter().filter_map(|a| a.connect.udp).collect();
    let bind = |addr: std::net::SocketAddr| {
        let bound = UdpSocket::bind(addr).and_then(|s| s.set_nonblocking(true).map(|()| s));
        bound.map_err(|e| {
            Failure::found(format!("the simulated devices cannot listen on udp {addr}: {e}. Another demo may run."))
        })
    };
    addresses.into_iter().map(bind).collect()
}

/// What a device takes of a datagram beside the command, which it has already: for how long it holds unless it is renewed.
fn hear(site: &Site, sim: &mut Sim, now: ArrivalNs, datagram: &[u8]) {
    let Ok(line) = serde_json::from_slice::<serde_json::Value>(datagram) else { return };
    let Some(device) = line["device"].as_str().and_then(|name| site.actuator_named(name)) else { return };
    sim.heard(device, now, line["lease_s"].as_f64().and_then(DurationNs::from_s_f64));
}

/// The building: people move, sensors send, devices obey and report, until the end or a stop. Gives how many datagrams
/// it sent and how many commands its devices received.
#[expect(clippy::too_many_arguments, reason = "all that a thread of its own needs, once")]
fn live_on(
    site: &Arc<Site>,
    mut sim: Sim,
    clock: HostClock,
    end: Option<ArrivalNs>,
    commands: &Receiver<Command>,
    story: &Mutex<Story>,
    stop: &AtomicBool,
    listeners: &[UdpSocket],
) -> Result<(u64, u64), Failure> {
    let mut senders = Senders::new(site.clone());
    let (mut received, mut crossings, mut buffer) = (0, vec![], [0u8; 2048]);
    // Devices and engine are to stop together, whatever ends the building.
    let result = loop {
        let now = clock.now();
        if stop.load(Ordering::Relaxed) || end.is_some_and(|e| now >= e) {
            break Ok(());
        }
        let mut sent = Ok(());
        sim.advance(now, &mut |_, _, _, input| {
            if sent.is_ok() {
                sent = senders.send(&input);
            }
        });
        if sent.is_err() {
            break sent;
        }
        commands.try_iter().for_each(|c| sim.command(ArrivalNs(c.at.0), &c));
        sim.take_crossings(&mut crossings);
        if let Ok(mut story) = story.lock() {
            story.crossings(&mut crossings);
            story.second(now, sim.truth(now).count(), None);
        }
        for socket in listeners {
            while let Ok(len) = socket.recv(&mut buffer) {
                received += 1;
                hear(site, &mut sim, clock.now(), &buffer[..len]);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    stop.store(true, Ordering::Relaxed);
    result.map(|()| (senders.sent, received))
}
