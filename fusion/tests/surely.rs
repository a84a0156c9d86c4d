//! When somebody was last surely inside a room with a recorder: walls are no way out, a door is, and so is an open side.

mod support;

use osmose_model::device::{Actuator, ActuatorKind};
use osmose_model::ids::{SensorId, TrackId, ZoneId};
use osmose_model::site::Site;
use osmose_model::stages::Fuse;
use osmose_model::time::LogicalNs;
use support::run::{Run, S, seen_on};
use support::{add_wall, default_margins, rooms};

const CEILING: SensorId = SensorId(1);
const ROOM: ZoneId = ZoneId(0);
const OTHER: ZoneId = ZoneId(1);

/// Two rooms of 8 m x 6 m; the first has a recorder, and walls but for a door from 4.0 to 5.0 in its eastern side.
fn site() -> Site {
    let mut site = rooms(2, 50, default_margins());
    site.sensors[1].noise.sigma_m = 0.05;
    site.sensors[1].noise.clutter_per_scan = 0.1;
    for (a, b) in [
        ((0.0, 0.0), (8.0, 0.0)),
        ((8.0, 0.0), (8.0, 4.0)),
        ((8.0, 5.0), (8.0, 6.0)),
        ((8.0, 6.0), (0.0, 6.0)),
        ((0.0, 6.0), (0.0, 0.0)),
    ] {
        add_wall(&mut site, 0, a, b, false);
    }
    let recorder = Actuator::plain(0, "room-0.recorder", ActuatorKind::Recorder);
    site.actuators.push(Actuator { zone: Some(ROOM), ..recorder });
    site
}

/// The only one there, seen ten times a second.
struct Walker {
    run: Run,
    tenth: i64,
    at: (f64, f64),
}

impl Walker {
    fn at(x_m: f64, y_m: f64) -> Self {
        let mut walker = Self { run: Run::new(site()), tenth: 0, at: (x_m, y_m) };
        walker.stays();
        walker
    }

    fn is_seen(&mut self) {
        self.run.scan(CEILING, self.tenth * S / 10, &[seen_on(0, self.at.0, self.at.1)]);
        self.tenth += 1;
    }

    fn stays(&mut self) {
        (0..20).for_each(|_| self.is_seen());
    }

    /// Walks straight there, and stays for two seconds; when he was there.
    fn goes(&mut self, x_m: f64, y_m: f64) -> LogicalNs {
        let (from, steps) = (self.at, 25);
        for i in 1..=steps {
            let share = f64::from(i) / f64::from(steps);
            self.at = (from.0 + share * (x_m - from.0), from.1 + share * (y_m - from.1));
            self.is_seen();
        }
        let there = self.seen_at();
        self.stays();
        there
    }

    fn seen_at(&self) -> LogicalNs {
        LogicalNs((self.tenth - 1) * S / 10)
    }

    /// Since when he is not surely in the room.
    fn since(&self) -> Option<LogicalNs> {
        self.run.fusion.surely_in(self.track(), ROOM)
    }

    fn track(&self) -> TrackId {
        self.run.everybody()[0].track
    }

    fn is_in(&self) -> bool {
        self.run.everybody()[0].zones.contains(&ROOM)
    }
}

#[test]
fn who_stands_in_the_door_was_surely_inside_before_and_who_leans_on_a_wall_is() {
    let mut walker = Walker::at(6.0, 2.0);
    assert_eq!(walker.since(), Some(walker.seen_at()));
    assert_eq!(walker.run.fusion.surely_in(walker.track(), OTHER), None, "no recorder stands there");
    // A hand's breadth from a wall, and then in the door, on the inner side of the line.
    walker.goes(7.9, 2.0);
    let wall = walker.seen_at();
    assert_eq!(walker.since(), Some(wall));
    let door = walker.goes(7.95, 4.5);
    let at = walker.since().expect("a recorder stands there");
    assert!(wall < at && at < door, "{wall:?} {at:?} {door:?}");
    assert!(walker.is_in(), "by the margin he has not left");
    // It outlasts a restart, and the leave itself.
    walker.run = walker.run.resumed();
    assert_eq!(walker.since(), Some(at));
    walker.goes(9.0, 4.5);
    assert!(!walker.is_in());
    assert_eq!(walker.since(), Some(at));
}

#[test]
fn who_comes_in_may_leave_from_then_on_and_who_was_never_inside_at_any_time() {
    let mut walker = Walker::at(9.0, 4.5);
    assert_eq!(walker.since(), Some(LogicalNs(0)));
    let before = walker.seen_at();
    walker.goes(7.95, 4.5);
    let at = walker.since().expect("a recorder stands there");
    assert!(walker.is_in() && before < at && at < walker.seen_at(), "as he crossed the line: {at:?}");
}
