//! Two-state sensors: motion, mats, door contacts; and fire panels and emergency stops, which only the script moves.
//!
//! `p_detect` is asked once a second of motion (or once for whoever sits down on a mat), a state lasts `hold_s` beyond
//! its cause, and false alarms come at exponential intervals of mean `1 h / false_per_hour`.

use super::lines::Doorway;
use super::outbox::Outbox;
use super::rng::Rng;
use super::senses::{Moment, Voice};
use super::walker::{Doing, Walker};
use osmose_model::device::{BinaryRole, Sensor};
use osmose_model::geometry::Point;
use osmose_model::observation::Body;
use osmose_model::time::{ArrivalNs, DurationNs};

/// How often people who stay somewhere move enough for a motion detector, per second.
const FIDGET_P: f64 = 0.15;
/// The least time that motion and contacts stay on.
const HOLD_MIN: DurationNs = DurationNs::from_s(1);
/// How long a door stays open behind somebody.
const DOOR_OPEN: DurationNs = DurationNs::from_s(2);
/// How far around itself a sensor without zones notices people, metres.
const NEAR_M: f64 = 2.0;

/// The state of a two-state sensor.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    is_on: bool,
    has_spoken: bool,
    /// It goes off at this time.
    until: ArrivalNs,
    /// When `p_detect` is asked next.
    next_draw: ArrivalNs,
    next_false: Option<ArrivalNs>,
    doorway: Option<Doorway>,
    /// Set by the script: nothing else moves it any more.
    is_scripted: bool,
    /// A mat that missed whoever sits on it.
    is_missed: bool,
}

impl Presence {
    /// Off, with nothing noticed.
    pub(super) fn new(sensor: &Sensor, doorway: Option<Doorway>, rng: &mut Rng) -> Self {
        let mut new = Self {
            is_on: false,
            has_spoken: false,
            until: ArrivalNs(0),
            next_draw: ArrivalNs(0),
            next_false: None,
            doorway,
            is_scripted: !matches!(sensor.role, Some(BinaryRole::Motion | BinaryRole::Contact | BinaryRole::Mat)),
            is_missed: false,
        };
        new.next_false = (!new.is_scripted).then(|| false_after(ArrivalNs(0), sensor, rng)).flatten();
        new
    }

    /// What is noticed in a step.
    pub(super) fn sense(&mut self, moment: &Moment<'_>, sensor: &Sensor, voice: &mut Voice, out: &mut Outbox) {
        if !self.has_spoken {
            // Panels and detectors tell their state when they start: silence would be taken for not knowing.
            self.say(false, moment.from, sensor, voice, out);
        }
        if self.is_scripted {
            return;
        }
        let hold = DurationNs::from_s_f64(sensor.noise.hold_s).unwrap_or_default();
        match sensor.role {
            Some(BinaryRole::Contact) => {
                if let Some(share) = self.doorway.as_ref().and_then(|d| d.first_crossing(moment)) {
                    self.notice(moment.at(share), hold.max(DOOR_OPEN), sensor, voice, out);
                }
            }
            Some(BinaryRole::Mat) => self.sense_mat(moment, hold, sensor, voice, out),
            _ => self.sense_motion(moment, hold.max(HOLD_MIN), sensor, voice, out),
        }
        if let Some(at) = self.next_false.filter(|&at| at <= moment.to) {
            self.next_false = false_after(at, sensor, &mut voice.rng);
            self.notice(at.max(moment.from), hold.max(HOLD_MIN), sensor, voice, out);
        }
        if self.is_on && self.until <= moment.to {
            self.say(false, self.until.max(moment.from), sensor, voice, out);
        }
    }

    fn sense_motion(
        &mut self,
        moment: &Moment<'_>,
        hold: DurationNs,
        sensor: &Sensor,
        voice: &mut Voice,
        out: &mut Outbox,
    ) {
        if self.next_draw > moment.from {
            return;
        }
        let (mut moves, mut stays) = (false, 0);
        for walker in moment.people.walkers.iter().filter(|w| is_near(w, sensor)) {
            moves |= walker.has_moved();
            stays += 1;
        }
        if stays == 0 {
            return;
        }
        self.next_draw = moment.from.plus(DurationNs::from_s(1));
        let fidgets = (0..stays).any(|_| voice.rng.chance(FIDGET_P));
        if (moves || fidgets) && voice.rng.chance(sensor.noise.p_detect) {
            self.notice(moment.to, hold, sensor, voice, out);
        }
    }

    fn sense_mat(
        &mut self,
        moment: &Moment<'_>,
        hold: DurationNs,
        sensor: &Sensor,
        voice: &mut Voice,
        out: &mut Outbox,
    ) {
        let sits = |w: &Walker| matches!(w.doing, Doing::Stay(_) | Doing::Idle) && !w.has_moved();
        if !moment.people.walkers.iter().any(|w| sits(w) && is_near(w, sensor)) {
            self.is_missed = false;
            return;
        }
        if !self.is_on && !self.is_missed {
            self.is_missed = !voice.rng.chance(sensor.noise.p_detect);
        }
        if !self.is_missed {
            self.notice(moment.to, hold.max(DurationNs::from_ms(50)), sensor, voice, out);
        }
    }

    fn notice(&mut self, at: ArrivalNs, hold: DurationNs, sensor: &Sensor, voice: &mut Voice, out: &mut Outbox) {
        self.until = self.until.max(at.plus(hold));
        if !self.is_on {
            self.say(true, at, sensor, voice, out);
        }
    }

    fn say(&mut self, on: bool, at: ArrivalNs, sensor: &Sensor, voice: &mut Voice, out: &mut Outbox) {
        (self.is_on, self.has_spoken) = (on, true);
        let said = voice.says(sensor, at);
        out.observation(said, Body::Binary { on });
    }

    /// The script moves it; nothing else does from then on.
    pub(super) fn set(&mut self, on: bool, at: ArrivalNs, sensor: &Sensor, voice: &mut Voice, out: &mut Outbox) {
        self.is_scripted = true;
        self.say(on, at, sensor, voice, out);
    }

    /// Says its state again, where it declares a rate.
    pub(super) fn repeat(&mut self, at: ArrivalNs, sensor: &Sensor, voice: &mut Voice, out: &mut Outbox) {
        self.say(self.is_on, at, sensor, voice, out);
    }
}

fn is_near(walker: &Walker, sensor: &Sensor) -> bool {
    if !walker.is_here() || walker.level != sensor.level {
        return false;
    }
    if sensor.zones.is_empty() {
        return walker.at.distance(Point::new(sensor.pose.x_m, sensor.pose.y_m)) <= NEAR_M;
    }
    walker.zones.iter().any(|z| sensor.zones.contains(z))
}

fn false_after(at: ArrivalNs, sensor: &Sensor, rng: &mut Rng) -> Option<ArrivalNs> {
    let per_hour = sensor.noise.false_per_hour;
    (per_hour > 0.0).then(|| rng.exponential(3600.0 / per_hour)).and_then(DurationNs::from_s_f64).map(|d| at.plus(d))
}
