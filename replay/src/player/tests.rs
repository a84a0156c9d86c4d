//! A player shows what the engine had: wherever it came from, the same state, down to the digests.

use super::*;
use crate::drive::Workshop;
use crate::testing::{files, live, live_with, rewritten, walk, with_install, workshop};
use osmose_core::{CoreDriver, StepSink};
use osmose_model::time::ArrivalNs;
use osmose_model::world::WorldView;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is read of a core: its place, both digests, who is where and what devices are told.
fn read(machine: &Core) -> String {
    let view = machine.view();
    let mut text = format!("{:?} {:?} {:?}\n", machine.last(), machine.input_digest(), machine.decision_digest());
    view.for_each_occupant(&mut |o| text += &format!("{o:?}\n"));
    for a in &view.site().actuators {
        for p in a.kind.properties() {
            text += &format!("{:?} ", osmose_model::ids::Name::new(p.property).map(|n| view.device(a.id, n)));
        }
    }
    for s in &view.site().sensors {
        text += &format!("{:?} ", view.sensor(s.id));
    }
    text
}

/// The same after every input of a run from the start, by the input's number; and each instant's last.
struct Straight {
    by_seq: BTreeMap<u64, (LogicalNs, String)>,
    decided: Vec<Tag>,
}

impl<F, D, A> StepSink<F, D, A> for Straight
where
    osmose_core::Machine<F, D, A>: AsRead,
{
    fn sequenced(&mut self, _: Tag, _: &[u8]) {}
    fn decided(&mut self, tag: Tag, _: &Input<'_>, out: &Outbox, machine: &osmose_core::Machine<F, D, A>) {
        self.by_seq.insert(tag.seq.0, (tag.at, machine.as_read()));
        if !(out.events.is_empty() && out.commands.is_empty()) {
            self.decided.push(tag);
        }
    }
}

trait AsRead {
    fn as_read(&self) -> String;
}

impl AsRead for Core {
    fn as_read(&self) -> String {
        read(self)
    }
}

fn straight(inputs: &[(ArrivalNs, Vec<u8>)], installs: &[(usize, Vec<osmose_model::site::SourceFile>)]) -> Straight {
    let mut all = Straight { by_seq: BTreeMap::new(), decided: Vec::new() };
    let mut driver = CoreDriver::new(workshop().core().unwrap());
    let mut scan = ScanBuf::new();
    for (i, (arrival, bytes)) in inputs.iter().enumerate() {
        if let Some((_, rules)) = installs.iter().find(|(at, _)| *at == i) {
            driver.machine_mut().stage_rules(workshop().rules(rules).unwrap());
        }
        driver.feed_canonical(*arrival, bytes, &mut scan, &mut all).unwrap();
    }
    all
}

impl Straight {
    fn at(&self, at: LogicalNs) -> &str {
        &self.by_seq.values().rfind(|(t, _)| *t <= at).unwrap().1
    }
}

struct Opened {
    dir: tempfile::TempDir,
    player: Player,
    straight: Straight,
}

/// A walk of fifteen seconds with other rules from the seventh on, and a keyframe every 40 inputs.
fn opened(keyframe_every: u64) -> Opened {
    let mut later: Vec<_> = files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
    later.iter_mut().for_each(|f| f.text = f.text.replace("80 %", "60 %"));
    let (at, inputs) = with_install(&walk(15), 7, &later);
    let installs = [(at, later)];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("walk.mcap");
    std::fs::write(&path, live_with(&inputs, keyframe_every, &installs)).unwrap();
    Opened { player: Player::open(&path).unwrap(), straight: straight(&inputs, &installs), dir }
}

/// A page keeps each player in a thread of its own.
const _: fn() = || {
    const fn is_send<T: Send>() {}
    is_send::<Player>();
};

#[test]
fn it_opens_at_the_first_instant_and_plays_to_the_end_showing_each_step() {
    let Opened { mut player, straight, dir: _dir } = opened(40);
    let (from, to) = player.span();
    assert_eq!((player.now(), from), (from, straight.by_seq[&1].0));
    assert_eq!(read(player.machine()), straight.at(from));
    assert_eq!((player.caution(), player.is_known(), player.is_at_end()), (None, true, false));
    let (mut seen, begun) = (Vec::new(), player.last().seq.0);
    let moved = player.advance(to, &mut |s| seen.push((s.tag.seq.0, read(s.machine)))).unwrap();
    assert!(moved.ended && !moved.more && moved.skipped == 0);
    assert_eq!(moved.steps, seen.len() as u64);
    let numbers: Vec<u64> = seen.iter().map(|s| s.0).collect();
    assert_eq!(numbers, (begun + 1..=*straight.by_seq.keys().next_back().unwrap()).collect::<Vec<_>>());
    assert!(seen.iter().all(|(seq, state)| straight.by_seq[seq].1 == *state));
    assert_eq!(player.walk.differs_at, None);
}

#[test]
fn the_rules_in_force_are_those_of_the_instant() {
    let Opened { mut player, dir: _dir, .. } = opened(40);
    let text = |player: &Player| {
        let rule = player.rulebook().program().unwrap().rule_named("light").unwrap();
        player.rulebook().text(rule).unwrap().contains("60 %")
    };
    for (at_s, later) in [(3, false), (12, true), (2, false), (14, true), (0, false)] {
        player.seek(LogicalNs(at_s * NS_PER_S)).unwrap();
        assert_eq!(text(&player), later, "{at_s} s");
    }
}

#[test]
fn landmarks_are_stepped_to_and_fro() {
    let Opened { mut player, straight, dir: _dir } = opened(40);
    let decided: Vec<u64> = straight.decided.iter().map(|t| t.seq.0).collect();
    assert!(decided.len() > 4);
    // Every event and command forwards, and each of them backwards again; an installation of rules is one too.
    let mut forwards = vec![player.last().seq.0];
    while !player.forward(Landmark::Event).unwrap().ended {
        assert_eq!(read(player.machine()), straight.by_seq[&player.last().seq.0].1);
        forwards.push(player.last().seq.0);
    }
    assert!(decided.iter().all(|d| *d <= forwards[0] || forwards.contains(d)), "{decided:?} {forwards:?}");
    let mut backwards = Vec::new();
    while player.last().seq.0 > forwards[0] {
        player.backward(Landmark::Event).unwrap();
        assert_eq!(read(player.machine()), straight.by_seq[&player.last().seq.0].1);
        backwards.push(player.last().seq.0);
    }
    backwards.reverse();
    // It began behind both inputs of the first instant, of which the first installs rules.
    assert_eq!((forwards[0], backwards[0]), (2, 1));
    assert_eq!(backwards[1..], forwards[1..], "the same landmarks both ways");
    // Inputs one by one across keyframes.
    player.seek(LogicalNs(5 * NS_PER_S)).unwrap();
    let here = player.last().seq.0;
    for n in 1..=90 {
        player.backward(Landmark::Input).unwrap();
        assert_eq!(player.last().seq.0, here - n);
        assert_eq!(read(player.machine()), straight.by_seq[&(here - n)].1);
    }
    player.forward(Landmark::Input).unwrap();
    assert_eq!(player.last().seq.0, here - 89);
    player.forward(Landmark::Scan).unwrap();
    player.seek(LogicalNs(0)).unwrap();
    player.backward(Landmark::Scan).unwrap();
    assert_eq!(player.now(), player.span().0);
}

#[test]
fn time_is_let_pass_at_a_speed_and_in_pieces() {
    let Opened { mut player, straight, dir: _dir } = opened(40);
    let begun = player.now();
    assert_eq!(player.tick(Duration::from_secs(5), &mut |_| panic!("it holds")).unwrap().steps, 0);
    player.play(2.0);
    player.tick(Duration::from_millis(500), &mut |_| {}).unwrap();
    assert_eq!(player.now(), begun.plus(osmose_model::time::DurationNs::from_s(1)));
    assert_eq!(read(player.machine()), straight.at(player.now()));
    player.pause();
    let held = player.now();
    player.tick(Duration::from_secs(1), &mut |_| {}).unwrap();
    assert_eq!((player.now(), player.speed()), (held, 0.0));
    // At the end it holds by itself.
    player.play(1e9);
    while player.speed() > 0.0 {
        player.tick(Duration::from_secs(1), &mut |_| {}).unwrap();
    }
    assert!(player.is_at_end());
    assert_eq!(player.now(), player.span().1);
    player.play(f64::NAN);
    assert_eq!(player.speed(), 0.0);
}

#[test]
fn behind_a_hole_nothing_is_known_until_the_next_keyframe() {
    let inputs = walk(12);
    let trace = live(&inputs, 60);
    let lacking = rewritten(
        &trace,
        None,
        |_, record, data| {
            let is_lost = matches!(record, Record::Input { tag, .. } if (100..=105).contains(&tag.seq.0));
            (!is_lost).then(|| data.to_vec())
        },
        |n| n % 50 == 0,
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("walk.mcap");
    std::fs::write(&path, lacking).unwrap();
    let mut player = Player::open(&path).unwrap();
    let straight = straight(&inputs, &[]);
    let mut skipped = 0;
    while !player.is_at_end() {
        let next = player.now().plus(osmose_model::time::DurationNs::from_ms(50));
        skipped += player.advance(next, &mut |_| {}).unwrap().skipped;
        if player.is_known() {
            let last = player.last();
            assert_eq!(read(player.machine()), straight.by_seq[&last.seq.0].1);
        }
    }
    assert!(skipped > 0 && player.is_known(), "{skipped}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    /// Wherever it was before: at an instant stands what a run from the start has there.
    #[test]
    fn every_way_to_an_instant_ends_in_the_same_state(
        ways in prop::collection::vec((0_i64..16_000, any::<bool>()), 1..12), every in prop::sample::select(vec![0_u64, 25, 60])
    ) {
        let Opened { mut player, straight, dir: _dir } = opened(every);
        for (at_ms, by_seeking) in ways {
            let at = LogicalNs(at_ms * 1_000_000);
            if by_seeking {
                player.seek(at).unwrap();
                prop_assert_eq!(player.now(), at.min(player.span().1).max(player.span().0));
            } else {
                player.advance(at, &mut |_| {}).unwrap();
            }
            prop_assert_eq!(read(player.machine()), straight.at(player.now()));
            prop_assert_eq!(player.walk.differs_at, None);
        }
    }
}
