//! Numbers as intervals, and the values that commands carry and holds keep.

use super::facts::{self, UNKNOWN};
use super::state::{NONE, Slot, counted};
use super::truth::{Bound, Peek, Truth};
use crate::cost::Op;
use crate::program::{COUNTED, Cond, CondId, Num, NumId, PersonRef, SlotRef, TextPart, ValueExpr};
use osmose_model::command::{Text, Value};
use osmose_model::ids::ZoneId;
use osmose_model::time::DurationNs;
use osmose_model::tri::Tri;
use osmose_model::world::Occupant;
use std::fmt::Write;

impl Truth<'_> {
    // ---- numbers ----

    pub(super) fn num(&mut self, id: NumId) -> (f64, f64) {
        let program = self.program;
        self.ops.add(Op::Node, 1);
        match &program.nums[id as usize] {
            Num::Const(value) => (*value, *value),
            Num::Count(zone) => {
                let watchers = &program.watchers[zone.index()];
                self.ops.add(Op::Sensor, watchers.len() as u64);
                facts::count(self.world, *zone, watchers)
            }
            Num::CountWhere { zone, cond, nth, slots } => self.count_where(*zone, *cond, *nth, *slots > 0),
            Num::Distance(a, b) => {
                self.ops.add(Op::Node, u64::from(program.pieces_between(*a, *b)));
                self.distance(*a, *b)
            }
            Num::Speed(var) => self.speed(*var),
            Num::Spread(var) => self.spread(*var),
            Num::LeftAgo(var, zone) => self.left_ago(*var, *zone),
            Num::UnsureFor(var, zone) => self.unsure_for(*var, *zone),
            Num::StartsIn { calendar, zone } => self.starts_in(*calendar, *zone),
            Num::TrackAttribute(var, column) => self.attribute(*var, *column).map_or(UNKNOWN, |v| (v, v)),
            Num::Counter(place) => self.counted_now(*place),
            Num::Window(place) => self.window(*place),
            Num::Lasting { cond, slot } => self.lasting(*cond, *slot),
            Num::SunElevation => self.sun_elevation(),
            Num::Device { device, property } => facts::device_number(self.world, *device, *property),
            Num::Sensor(sensor) => facts::sensor_number(self.world, *sensor),
            Num::Confidence(PersonRef::Var(var)) => {
                self.bounds[usize::from(*var)].map_or(UNKNOWN, |b| (b.person_p, b.person_p))
            }
            Num::Confidence(person) => match self.person(*person).and_then(|p| self.world.track_of(p)) {
                Some((_, p)) => (p, p),
                None => UNKNOWN,
            },
            Num::Argument(name) => match self.argument(*name) {
                Some(Value::Number(value)) => (value, value),
                _ => UNKNOWN,
            },
            Num::Min(a, b) | Num::Max(a, b) | Num::Add(a, b) | Num::Sub(a, b) | Num::Mul(a, b) | Num::Div(a, b) => {
                let (a, b) = (self.num(*a), self.num(*b));
                facts::joined(&program.nums[id as usize], a, b)
            }
        }
    }

    /// How many people of a zone a condition holds of: at least those of whom it does, at most those of whom it may.
    #[inline(never)]
    fn count_where(&mut self, zone: ZoneId, cond: CondId, nth: u8, remembers: bool) -> (f64, f64) {
        let world = self.world;
        let (mut least, mut most) = (0.0_f64, 0.0_f64);
        let (outer, key) = (self.context, counted(nth));
        let keep = self.keep;
        world.for_each_in(zone, &mut |occupant: &Occupant| {
            self.ops.add(Op::Occupant, 1);
            self.ops.add(Op::Context, if remembers { 2 } else { 0 });
            let bound = Bound { track: occupant.track, person: occupant.person, person_p: occupant.person_p };
            self.bounds[usize::from(COUNTED)] = Some(bound);
            self.context = None;
            if remembers {
                self.context = match self.contexts.find(self.number, occupant.track, key) {
                    None if self.peek == Peek::Nothing => self.contexts.insert(self.number, occupant.track, key),
                    found => found,
                };
            }
            let value = occupant.is_in(zone).and(self.cond(cond));
            least += f64::from(u8::from(value.is_true()));
            most += f64::from(u8::from(value.may_be_true()));
        });
        (self.bounds[usize::from(COUNTED)], self.context, self.keep) = (None, outer, keep);
        if remembers && self.peek == Peek::Nothing {
            self.ops.add(Op::Context, self.contexts.of(self.number).len() as u64);
            self.contexts.forget_outside(self.number, key, |track| {
                world.occupant(track).is_some_and(|o| o.zones.contains(&zone))
            });
        }
        self.ops.add(Op::Sensor, self.program.watchers[zone.index()].len() as u64);
        let blind = self.program.watchers[zone.index()].iter().any(|s| world.alive(*s) == Tri::False);
        (least, if blind { f64::INFINITY } else { most })
    }

    /// How long a condition has held; at the instant at which it ends, how long it did. A gap in what is known of it
    /// counts where it goes on behind.
    #[inline(never)]
    fn lasting(&mut self, cond: CondId, slot: SlotRef) -> (f64, f64) {
        let (value, now) = (self.cond(cond), self.now);
        let Some(mut memory) = self.slot(slot).copied() else { return UNKNOWN };
        match value {
            Tri::True => {
                if memory.since == NONE || memory.gap_from != NONE {
                    memory.since = now;
                }
                memory.gap_from = NONE;
            }
            // When it ended.
            Tri::False if memory.since != NONE && memory.gap_from == NONE => memory.gap_from = now,
            Tri::False if memory.gap_from != now => memory = Slot::default(),
            Tri::False | Tri::Unknown => {}
        }
        if !self.peeks(slot)
            && let Some(kept) = self.slot(slot)
        {
            *kept = memory;
        }
        self.keep |= memory.since != NONE;
        match (value, memory.since) {
            (Tri::Unknown, _) => UNKNOWN,
            (_, NONE) => (0.0, 0.0),
            (_, since) => {
                let seconds = DurationNs(now.saturating_sub(since)).as_s_f64();
                (seconds, seconds)
            }
        }
    }

    /// What a counter shows. Counts that end by themselves are due then.
    #[inline(never)]
    fn counted_now(&mut self, place: u16) -> (f64, f64) {
        let Some(counter) = self.counters.get(usize::from(place)) else { return UNKNOWN };
        let today = self.world.wall().map(|w| w.local_day());
        let value = f64::from(counter.value(self.now, today));
        if let Some(at) = counter.next_end(self.now) {
            self.due_at(at);
        }
        if counter.daily
            && let Some(wall) = self.world.wall()
        {
            self.due_at(self.now.saturating_add(super::clock::NS_PER_DAY - wall.since_midnight().0));
        }
        (value, value)
    }

    /// The measured quantity behind a condition, where there is one: what is compared, the dwell so far in seconds.
    pub(super) fn measure(&mut self, id: CondId) -> Option<f64> {
        let program = self.program;
        let value = match &program.conds[id as usize] {
            Cond::Compare(_, a, _) => {
                let (low, high) = self.num(*a);
                (low == high).then_some(low)
            }
            Cond::For { slot, .. } => {
                let since = self.slot(*slot).map_or(NONE, |memory| memory.since);
                (since != NONE).then(|| DurationNs(self.now.saturating_sub(since)).as_s_f64())
            }
            Cond::Until { set, .. } => self.measure(*set),
            _ => None,
        };
        value.filter(|v| v.is_finite())
    }

    // ---- values ----

    /// What a command is to carry; `None` where it is a number that is not known.
    pub(super) fn value(&mut self, id: u32) -> Option<Value> {
        let program = self.program;
        self.ops.add(Op::Node, 1);
        match &program.values[id as usize] {
            ValueExpr::Const(value) => Some(*value),
            ValueExpr::Number(num) => {
                let (low, high) = self.num(*num);
                (low == high && low.is_finite()).then_some(Value::Number(low))
            }
            ValueExpr::Track(var) => self.bounds[usize::from(*var)].map(|b| match b.identified(self.rule.confidence) {
                Some(person) => Value::Person(person),
                None => Value::Track(b.track),
            }),
            ValueExpr::Language(var) => Some(Value::Text(self.text(&[TextPart::Language(*var)]))),
            ValueExpr::Text(parts) => Some(Value::Text(self.text(parts))),
            ValueExpr::Organiser { calendar, zone } => self.organiser(*calendar, *zone).map(Value::Person),
            // Whoever asks puts the number in.
            ValueExpr::Question => None,
            ValueExpr::If(condition, then, otherwise) => {
                // Both sides are read, so that a `for` in either sees its condition change.
                let condition = self.cond(*condition);
                let (then, otherwise) = (self.value(*then), self.value(*otherwise));
                if condition.is_true() { then } else { otherwise }
            }
        }
    }

    fn text(&mut self, parts: &[TextPart]) -> Text {
        let mut out = Clipped(Text::new());
        let world = self.world;
        for part in parts {
            let var = match part {
                TextPart::Track(var) | TextPart::Language(var) => usize::from(*var),
                _ => 0,
            };
            let bound = self.bounds[var];
            let known = bound.and_then(|b| b.identified(self.rule.confidence));
            let person = known.and_then(|p| world.site().people.get(p.index()));
            // Writing to `Clipped` cannot fail: what is too long is cut.
            let _ = match (part, person, bound) {
                (TextPart::Literal(text), ..) => out.write_str(text),
                (TextPart::Track(_), Some(person), _) => out.write_str(&person.name),
                (TextPart::Track(_), None, Some(bound)) => write!(out, "track {}", bound.track),
                (TextPart::Language(_), Some(person), _) => out.write_str(person.language.as_deref().unwrap_or("")),
                (TextPart::People(zone), ..) => self.list(*zone, &mut out),
                (TextPart::Number(number), ..) => match self.num(*number) {
                    (low, high) if low == high => write!(out, "{}", hundredths(low)),
                    (low, _) if low.is_finite() => write!(out, "at least {}", hundredths(low)),
                    _ => out.write_str("unknown"),
                },
                _ => Ok(()),
            };
        }
        out.0
    }

    /// The people in a zone by name, and how many nobody knows.
    fn list(&self, zone: ZoneId, out: &mut Clipped) -> std::fmt::Result {
        let (world, mut first, mut strangers) = (self.world, true, 0);
        world.for_each_in(zone, &mut |occupant: &Occupant| {
            let known = occupant.person.filter(|_| occupant.person_p >= self.rule.confidence);
            match known.and_then(|p| world.site().people.get(p.index())) {
                Some(person) => {
                    // Writing to `Clipped` cannot fail.
                    let _ = write!(out, "{}{}", if first { "" } else { ", " }, person.name);
                    first = false;
                }
                None => strangers += 1,
            }
        });
        match (strangers, first) {
            (0, true) => out.write_str("nobody"),
            (0, false) => Ok(()),
            (n, true) => write!(out, "{n} unknown"),
            (n, false) => write!(out, " and {n} unknown"),
        }
    }
}

/// A number as people are told it: nobody reads more than two places behind the point.
fn hundredths(number: f64) -> f64 {
    let rounded = (number * 100.0).round() / 100.0;
    if rounded.is_finite() { rounded } else { number }
}

/// A text that cuts what does not fit, at a character.
struct Clipped(Text);

impl Write for Clipped {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for c in text.chars() {
            if self.0.try_push(c).is_err() {
                break;
            }
        }
        Ok(())
    }
}
