//! A second core at the side. It steps the same inputs behind the first, and is saved in its place, so that no keyframe
//! takes the stepping thread longer than it takes to write down that one is wanted.
//!
//! The core is deterministic: the shadow after an input is the core after it, bit for bit. That is not taken on trust: what
//! asks for a keyframe carries the core's own digests, and a shadow with others is not saved. It costs its steps once more,
//! on the journal thread, and the memory of a second state.
//!
//! Where the side has missed an input (it was too slow, and said so), or the shadow is another, the stepping thread saves
//! its own core once, in one go as it does where the process may use one core only, and the shadow goes on from there.

use crate::journal::Offset;
use crate::tap::Keyframe;
use osmose_core::{Core, Outbox, Rules};
use osmose_model::canon;
use osmose_model::digest::Digest;
use osmose_model::input::Tag;
use osmose_model::observation::ScanBuf;

/// What is asked for: a keyframe behind the input of this tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The last input that is to be in it.
    pub tag: Tag,
    /// Where the journal goes on behind it.
    pub journal: Offset,
    /// What the core's digests are there.
    pub digests: (Digest, Digest),
}

/// The core at the side, and what it is saved into.
#[derive(Debug)]
pub(crate) struct Shadow {
    machine: Core,
    out: Outbox,
    scan: ScanBuf,
    frame: Keyframe,
    /// It is not what the core is: it missed something, or went another way.
    is_stale: bool,
}

impl Shadow {
    /// The shadow of a core that is in the same state.
    pub(crate) fn new(machine: Core) -> Self {
        Self { machine, out: Outbox::new(), scan: ScanBuf::new(), frame: Keyframe::default(), is_stale: false }
    }

    /// Steps the next input, where it is the next one.
    pub(crate) fn input(&mut self, tag: Tag, canonical: &[u8]) {
        let last = self.machine.last();
        let follows = tag.seq.0 == last.seq.0 + 1 && tag.at >= last.at;
        match canon::decode_input(canonical, &mut self.scan) {
            Ok(input) if follows && !self.is_stale => {
                self.machine.step_canonical(tag, &input, canonical, &mut self.out);
            }
            _ => self.is_stale = true,
        }
    }

    /// The rules that the next installation puts in force.
    pub(crate) fn stage(&mut self, rules: Rules) {
        self.machine.stage_rules(rules);
    }

    /// Inputs are missing from here on.
    pub(crate) fn missed(&mut self) {
        self.is_stale = true;
    }

    /// The keyframe that is asked for; `None` where the shadow is not what the core is.
    pub(crate) fn save(&mut self, wanted: Wanted) -> Option<&Keyframe> {
        let Wanted { tag, journal, digests } = wanted;
        let own = (self.machine.input_digest(), self.machine.decision_digest());
        if !self.is_stale && (self.machine.last(), own) != (tag, digests) {
            tracing::error!(seq = %tag.seq, "the core at the side is another than the one that acts: its state is not saved");
            self.is_stale = true;
        }
        if self.is_stale {
            return None;
        }
        self.frame.state.clear();
        self.machine.save(&mut self.frame.state);
        (self.frame.tag, self.frame.journal, self.frame.digests) = (tag, journal, digests);
        Some(&self.frame)
    }

    /// Goes on from a state that the core itself saved, where it missed something before.
    pub(crate) fn follow(&mut self, keyframe: &Keyframe) {
        if !self.is_stale {
            return;
        }
        match self.machine.restore(&keyframe.state) {
            Ok(()) => self.is_stale = false,
            // Its rules or people are others now: there is no shadow from here on, and the core saves itself.
            Err(error) => tracing::warn!(%error, "the core at the side cannot go on from the saved state"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::{Returned, Tap, TapRx, TapTx, tap_ring};
    use osmose_core::{CoreDriver, Fusion, Plan, StepSink};
    use osmose_model::geometry::{Place, Point};
    use osmose_model::ids::{CarriedKey, LevelId, SensorId};
    use osmose_model::input::Input;
    use osmose_model::observation::{Body, Observation};
    use osmose_model::site::{Site, SourceFile};
    use osmose_model::time::{ArrivalNs, LogicalNs};
    use std::sync::{Arc, Mutex};

    fn site() -> Arc<Site> {
        Arc::new(osmose_load::load(&osmose_load::template("two rooms")).site.expect("the template is a site"))
    }

    fn rules(site: &Arc<Site>, level: &str) -> Rules {
        let mut files: Vec<SourceFile> = site.rule_files().cloned().collect();
        files.iter_mut().for_each(|f| f.text = f.text.replace("80 %", level));
        Rules::new(osmose_rules::check(site, &files).program.expect("they compile"))
    }

    /// People walk through both rooms, a fix each 50 ms.
    fn fix(i: u64) -> (ArrivalNs, Observation<'static>) {
        let arrival = ArrivalNs(i as i64 * 50_000_000);
        let device = CarriedKey::of(["p1", "p2", "p3"][(i % 3) as usize]);
        let at = Point::new(5.0 + 4.5 * (i as f64 * 0.02).sin(), 2.0);
        let body = Body::Location { device, place: Place { at, z_m: None, level: LevelId(0) }, sigma_m: None };
        (arrival, Observation { sensor: SensorId(0), source_seq: None, measured: LogicalNs(arrival.0), body })
    }

    /// The stepping thread's end, as its outputs use it.
    struct Side(TapTx);

    impl StepSink<Fusion, Rules, Plan> for Side {
        fn sequenced(&mut self, tag: Tag, canonical: &[u8]) {
            self.0.input(tag, canonical);
        }
        fn decided(&mut self, _: Tag, _: &Input<'_>, _: &Outbox, _: &Core) {}
    }

    /// Keyframes as they were shown.
    type Frames = Arc<Mutex<Vec<(Tag, Vec<u8>)>>>;

    /// Keeps what it is shown.
    struct Kept(Frames);

    impl Tap for Kept {
        fn keyframe(&mut self, keyframe: &Keyframe) -> bool {
            self.0.lock().expect("no panic").push((keyframe.tag, keyframe.state.clone()));
            true
        }
    }

    struct Bench {
        driver: CoreDriver,
        side: Side,
        rx: TapRx,
        taps: Vec<Box<dyn Tap>>,
        kept: Frames,
        next: u64,
    }

    impl Bench {
        fn new(bytes: usize) -> Self {
            let site = site();
            let machine = Core::with_rules(site.clone(), rules(&site, "80 %"));
            let (tx, mut rx) = tap_ring(bytes);
            rx.cast(Shadow::new(machine.clone()));
            let kept = Arc::new(Mutex::new(vec![]));
            let taps: Vec<Box<dyn Tap>> = vec![Box::new(Kept(kept.clone()))];
            Self { driver: CoreDriver::new(machine), side: Side(tx), rx, taps, kept, next: 0 }
        }

        fn step(&mut self, n: u64) {
            for _ in 0..n {
                let (arrival, o) = fix(self.next);
                self.next += 1;
                self.driver.feed(arrival, &Input::Observation(o), &mut self.side);
            }
        }

        fn want(&mut self) -> Option<Returned> {
            let machine = self.driver.machine();
            let digests = (machine.input_digest(), machine.decision_digest());
            assert!(self.side.0.want(Wanted { tag: machine.last(), journal: Offset(7), digests }));
            while self.rx.drain(&mut self.taps) > 0 {}
            self.side.0.returned()
        }

        fn saved(&self) -> Vec<u8> {
            let mut state = vec![];
            self.driver.machine().save(&mut state);
            state
        }
    }

    #[test]
    fn what_the_shadow_saves_is_what_the_core_would_and_goes_on_as_it_does() {
        let mut bench = Bench::new(1 << 20);
        for round in 0..20 {
            bench.step(37);
            if round == 9 {
                // Other rules come in the middle.
                let site = bench.driver.machine().site().clone();
                let (arrival, _) = fix(bench.next);
                let left = bench.side.0.stage(bench.driver.machine().last(), Box::new(rules(&site, "60 %")));
                assert!(left.is_none(), "the side takes them");
                bench.driver.machine_mut().stage_rules(rules(&site, "60 %"));
                bench.driver.feed(arrival, &Input::RulesInstalled { files: &[] }, &mut bench.side);
            }
            let back = bench.want();
            assert!(matches!(back, Some(Returned::Saved(Some(Offset(7))))), "round {round}: {back:?}");
            let last = (bench.driver.machine().last(), bench.saved());
            assert_eq!(bench.kept.lock().expect("no panic").last(), Some(&last), "round {round}");
        }
        let site = bench.driver.machine().site().clone();
        let state = bench.saved();
        let mut restored = Core::with_rules(site.clone(), rules(&site, "60 %"));
        restored.restore(&state).expect("its own state");
        let mut other = CoreDriver::new(restored);
        for i in bench.next..bench.next + 300 {
            let (arrival, o) = fix(i);
            other.feed(arrival, &Input::Observation(o), &mut Side(tap_ring(0).0));
        }
        bench.step(300);
        let digests = |d: &CoreDriver| (d.machine().input_digest(), d.machine().decision_digest());
        assert_eq!(digests(&other), digests(&bench.driver));
    }

    #[test]
    fn a_shadow_that_missed_something_is_not_saved_until_it_has_gone_on_from_a_state_of_the_core() {
        let mut bench = Bench::new(4096);
        bench.step(500);
        assert!(bench.side.0.lost_in_all() > 0, "the side was too slow");
        while bench.rx.drain(&mut bench.taps) > 0 {}
        bench.step(1);
        assert!(matches!(bench.want(), Some(Returned::Stale)));
        let mut frame = Box::new(Keyframe { tag: bench.driver.machine().last(), ..Keyframe::default() });
        frame.state = bench.saved();
        bench.side.0.keyframe(frame).expect("room for one");
        bench.step(5);
        let back = bench.want();
        assert!(matches!(back, Some(Returned::Filled(_, true))), "{back:?}");
        assert!(matches!(bench.side.0.returned(), Some(Returned::Saved(Some(_)))), "it follows again");
        assert_eq!(bench.kept.lock().expect("no panic").last(), Some(&(bench.driver.machine().last(), bench.saved())));
    }

    #[test]
    fn a_shadow_that_is_another_is_not_saved() {
        let mut bench = Bench::new(1 << 16);
        bench.step(10);
        let last = bench.driver.machine().last();
        let wanted = Wanted { tag: last, journal: Offset(0), digests: (Digest(1), Digest(2)) };
        assert!(bench.side.0.want(wanted));
        while bench.rx.drain(&mut bench.taps) > 0 {}
        assert!(matches!(bench.side.0.returned(), Some(Returned::Stale)));
        assert!(bench.kept.lock().expect("no panic").is_empty());
    }
}
