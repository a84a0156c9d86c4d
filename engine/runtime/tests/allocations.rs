//! From socket to socket nothing is allocated and nothing freed: counted over the peer job through real sockets, in steady
//! state, under an overload in which newer fixes replace older ones, and while rules are reloaded, the step that puts them
//! in force included. The rules reloaded are the ones that run (all that they remember goes over), then others (more of them
//! than there were), and then people of whom two have changed devices.
//!
//! One thread runs all of it (`inline`), the client included, so the process's counts are the engine's own.

use osmose_core::Core;
use osmose_model::canon;
use osmose_model::input::Input;
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::site::{Site, SourceFile, Topology};
use osmose_model::time::ArrivalNs;
use osmose_rules::{Carried, Rules};
use osmose_runtime::clock::HostClock;
use osmose_runtime::control::{Control, ControlTx, Spent, controls};
use osmose_runtime::engine::{Engine, OwnedInput, Setup, lanes};
use osmose_runtime::ingress::{Ingress, Intake};
use osmose_runtime::inlet::Inlet;
use osmose_sensors::edge::Edge;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PEOPLE: usize = 200;

/// The peer job's site, its ports moved to `events` and `commands`.
fn site(events: &UdpSocket, commands: &UdpSocket) -> Arc<Site> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/peer-job");
    let mut files: Vec<SourceFile> = ["site.toml", "floorplan.geojson", "devices.toml", "people.toml"]
        .map(|name| SourceFile { path: name.into(), text: read(root.join(name)) })
        .into();
    for entry in std::fs::read_dir(root.join("rules")).expect("the rules' folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a file").to_string_lossy();
        files.push(SourceFile { path: format!("rules/{name}"), text: read(path.clone()) });
    }
    let port = |s: &UdpSocket| s.local_addr().expect("bound").port().to_string();
    for file in files.iter_mut().filter(|f| f.path == "devices.toml") {
        file.text =
            file.text.replace(":7801", &format!(":{}", port(events))).replace(":7802", &format!(":{}", port(commands)));
    }
    Arc::new(osmose_load::load(&files).site.expect("the example is a site"))
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{} cannot be read: {e}", path.display()))
}

/// A fix of somebody who is now in his room, now out of it.
fn fix(seq: usize) -> String {
    let person = (seq + seq / PEOPLE) % PEOPLE;
    let room = person % 20;
    let (x0, y0) = ((room % 5) as f64 * 10.0, (room / 5) as f64 * 8.0);
    let out = seq >= PEOPLE && (seq / PEOPLE + person).is_multiple_of(3);
    let x = if out { x0 + 9.0 } else { x0 + 1.0 + (seq % 60) as f64 / 10.0 };
    format!("{{\"id\":\"p{person}\",\"x\":{x:.3},\"y\":{:.3},\"seq\":{seq}}}", y0 + 3.0)
}

/// What one part of the run allocated.
#[derive(Clone, Debug)]
struct Part {
    what: &'static str,
    allocations: usize,
    frees: usize,
    bytes: usize,
}

/// The sockets, and before each look at them what a client sends.
struct Client {
    ingress: Ingress,
    to: UdpSocket,
    devices: UdpSocket,
    fixes: Vec<String>,
    next: usize,
    turn: usize,
    control: ControlTx,
    /// What is installed, one for each of the last parts.
    reloads: Vec<Control>,
    /// What became of the rules' state, by reload.
    carried: Arc<Mutex<Vec<Vec<Carried>>>>,
    region: Region<'static, System>,
    parts: Arc<Mutex<Vec<Part>>>,
    commands: Arc<Mutex<usize>>,
    stop: Arc<AtomicBool>,
}

/// Turns of each part.
const WARM: usize = 3000;
const STEADY: usize = 3000;
const OVERLOAD: usize = 220;
const DRAIN: usize = 3000;
const RELOAD: usize = 500;
/// The last parts, in each of which rules are installed.
const RELOADS: [&str; 3] = ["reload of the same rules", "reload of other rules", "reload of people"];

impl Client {
    fn send(&mut self, n: usize) {
        for _ in 0..n {
            self.to.send(self.fixes[self.next % self.fixes.len()].as_bytes()).expect("loopback takes it");
            self.next += 1;
        }
    }

    fn part_ends(&mut self, what: &'static str) {
        let change = self.region.change();
        let (allocations, bytes) = (change.allocations + change.reallocations, change.bytes_allocated);
        let frees = change.deallocations;
        self.parts.lock().expect("no panic").push(Part { what, allocations, frees, bytes });
        self.region.reset();
    }

    /// Hands the next rules over.
    fn reload(&mut self) {
        let reload = self.reloads.remove(0);
        assert!(self.control.push(reload).is_ok(), "room for one");
        self.region.reset();
    }

    /// Drops what the engine gives back, as whoever installs rules does.
    fn take_spent(&mut self) {
        let Some(Spent::Rules { before: Some(before), names, .. }) = self.control.spent() else {
            panic!("the rules of before come back")
        };
        self.carried.lock().expect("no panic").push(before.rules().carried(&names));
        drop(before);
        assert!(self.control.spent().is_none());
        self.region.reset();
    }

    fn hear(&mut self) {
        let (mut buffer, mut n) = ([0u8; 1024], 0);
        while self.devices.recv(&mut buffer).is_ok() {
            n += 1;
        }
        *self.commands.lock().expect("no panic") += n;
    }
}

impl Inlet for Client {
    fn do_work(&mut self, clock: &HostClock) -> usize {
        let turn = self.turn;
        self.turn += 1;
        let (steady, overload) = (WARM, WARM + STEADY);
        let (drain, first) = (overload + OVERLOAD, overload + OVERLOAD + DRAIN);
        let end = first + RELOADS.len() * RELOAD;
        match turn {
            t if t == steady => self.region.reset(),
            t if t == overload => self.part_ends("steady state"),
            t if t == first => {
                self.part_ends("overload");
                self.reload();
            }
            t if t > first && t <= end && (t - first).is_multiple_of(RELOAD) => {
                self.part_ends(RELOADS[(t - first) / RELOAD - 1]);
                self.take_spent();
                if t == end {
                    self.stop.store(true, Ordering::Relaxed);
                } else {
                    self.reload();
                }
            }
            _ => {}
        }
        // More than a turn steps, and then nothing until the engine has caught up.
        let fixes = match turn {
            // What has come by now is still stepped; nothing more is to come.
            _ if self.stop.load(Ordering::Relaxed) => 0,
            // More than is read in one turn, and far more than is stepped while more waits.
            t if (overload..drain).contains(&t) => 350,
            t if (drain..first).contains(&t) => 0,
            _ => 4,
        };
        self.send(fixes);
        self.hear();
        self.ingress.do_work(clock)
    }
    fn is_behind(&self) -> bool {
        self.ingress.is_behind()
    }
    fn finish(&mut self, clock: &HostClock) {
        self.ingress.say_losses(clock);
    }
    fn wait(&mut self, _: Duration) -> bool {
        self.ingress.wait(Duration::ZERO)
    }
    fn look_everywhere(&mut self) {
        self.ingress.look_everywhere();
    }
    fn looks_always(&self) -> bool {
        true
    }
    fn report(&mut self, _: &Site) {}
    fn intake(&self) -> Intake {
        self.ingress.intake()
    }
}

/// Rules as somebody who saves a file installs them.
fn reload(site: &Arc<Site>, files: &[SourceFile]) -> Control {
    let checked = osmose_rules::check(site, files);
    let program = checked.program.unwrap_or_else(|| panic!("they compile: {:?}", checked.diagnostics));
    Control::rules(site, Rules::new(program), installing(files))
}

/// What puts rules in force, as files.
fn installing(files: &[SourceFile]) -> OwnedInput {
    let files = canon::encode_files(files);
    let mut bytes = vec![0; INPUT_BYTES_MAX];
    let n = canon::encode_input(&Input::RulesInstalled { files: &files }, &mut bytes).expect("it fits");
    bytes.truncate(n);
    OwnedInput(bytes)
}

/// The same rules with other people: two of them have changed devices.
fn reload_people(site: &Arc<Site>) -> Control {
    let people = site.files.iter().find(|f| f.path == "people.toml").expect("the example has people");
    let swapped = people.text.replace("devices = [\"p5\"]", "devices = [\"-\"]");
    let swapped = swapped.replace("devices = [\"p6\"]", "devices = [\"p5\"]").replace("[\"-\"]", "[\"p6\"]");
    assert_ne!(swapped, people.text);
    let saved = SourceFile { text: swapped, ..people.clone() };
    let (installed, loaded) = osmose_load::with_saved(site, &[saved]);
    let other = Arc::new(loaded.site.expect("it is a site"));
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let program = osmose_rules::check(&other, &rules).program.expect("they compile");
    Control::rules(&other, Rules::of_site(program, other.clone()), installing(&[rules, installed].concat()))
}

/// Rules beside the example's: holds, dampers, counters, runs that wait.
const BESIDE: &str = "edition 1
counter outings
rule lit {
  for each room r where r.recorder
  while r is occupied
  hold  r.recorder.state = recording
  level comfort
}
rule counted {
  when any p in members(participants) leaves r3
  do   outings.add(); wait 500 ms; r4.recorder.start()
  once per 2 s
  level info
}
";

#[test]
fn from_socket_to_socket_nothing_is_allocated() {
    let (events, devices) =
        (UdpSocket::bind("127.0.0.1:0").expect("a socket"), UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    let site = site(&events, &devices);
    let address = events.local_addr().expect("bound");
    // The engine binds it next.
    drop(events);
    devices.set_nonblocking(true).expect("a socket's mode");
    let to = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    to.connect(address).expect("loopback");
    let (tx, rx) = lanes();
    let (control, controls) = controls(4);
    let files: Vec<SourceFile> = site.rule_files().cloned().collect();
    let mut others = files.clone();
    others.push(SourceFile { path: "rules/beside.rules".into(), text: BESIDE.into() });
    let carried = Arc::new(Mutex::new(Vec::with_capacity(RELOADS.len())));
    let (parts, commands) = (Arc::new(Mutex::new(Vec::with_capacity(8))), Arc::new(Mutex::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let client = Client {
        ingress: Ingress::bind(Edge::new(&site), tx, |_| true).expect("the port is free again"),
        to,
        devices,
        fixes: (0..60_000).map(fix).collect(),
        next: 0,
        turn: 0,
        control,
        reloads: vec![reload(&site, &files), reload(&site, &others), reload_people(&site)],
        carried: carried.clone(),
        region: Region::new(GLOBAL),
        parts: parts.clone(),
        commands: commands.clone(),
        stop: stop.clone(),
    };
    let program = osmose_rules::check(&site, &files).program.expect("the rules compile");
    let setup = Setup {
        machine: Core::new(site.clone(), program),
        clock: HostClock::starting_at(ArrivalNs(0)),
        first: Vec::new(),
        journal: None,
        taps: Vec::new(),
        dry_run: false,
        resend_held: false,
        control: Some(controls),
    };
    let engine = Engine::with_inlets(setup, Topology::Inline, vec![Box::new(client)], rx.into()).expect("it composes");
    let summary = engine.run(&stop).expect("it runs");
    let (parts, commands) = (parts.lock().expect("no panic").clone(), *commands.lock().expect("no panic"));
    println!("{} inputs, {commands} commands heard, {:?}", summary.core.inputs, summary.intake);
    assert!(commands > 1000 && summary.intake.replaced > 0, "the parts were what they were meant to be");
    assert_eq!(parts.len(), 2 + RELOADS.len());
    for part in &parts {
        println!("{}: {} allocations of {} bytes, {} frees", part.what, part.allocations, part.bytes, part.frees);
        assert_eq!((part.allocations, part.frees), (0, 0), "{part:?}");
    }
    let kept = Carried::Kept { rule: "pause-recording".into(), instances: 20 };
    let new = ["lit", "counted"].map(|rule| Carried::New { rule: rule.into() });
    let carried = carried.lock().expect("no panic").clone();
    println!("{carried:?}");
    assert!(carried[0] == [kept.clone()] && carried[1].contains(&kept), "all that they remember went over");
    assert!(new.iter().all(|rule| carried[1].contains(rule)));
}
