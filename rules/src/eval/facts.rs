//! What the world says by itself: leaves of conditions that remember nothing, and interval numbers.
//!
//! A number that is not known exactly is an interval, so that a comparison is known wherever every number in it agrees.

use crate::program::{Compare, Num};
use osmose_model::command::Value;
use osmose_model::ids::{ActuatorId, Name, SensorId, ZoneId};
use osmose_model::tri::Tri;
use osmose_model::world::{Reading, WorldView};

/// Not known at all.
pub(super) const UNKNOWN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

// What is seldom asked is kept out of `Truth::cond`, which calls itself: a device's value would widen its every frame.

#[inline(never)]
pub(super) fn device_is(world: &dyn WorldView, device: ActuatorId, property: Name, wanted: &Value) -> Tri {
    world.device(device, property).map_or(Tri::Unknown, |found| Tri::from(same_value(&found, wanted)))
}

#[inline(never)]
pub(super) fn device_unknown(world: &dyn WorldView, device: ActuatorId, property: Name) -> Tri {
    Tri::from(world.device(device, property).is_none())
}

#[inline(never)]
pub(super) fn device_number(world: &dyn WorldView, device: ActuatorId, property: Name) -> (f64, f64) {
    match world.device(device, property) {
        Some(Value::Number(value)) => (value, value),
        _ => UNKNOWN,
    }
}

/// What a two-state sensor says; `None` where it is dead or has said nothing.
#[inline(never)]
pub(super) fn switch(world: &dyn WorldView, sensor: SensorId) -> Option<bool> {
    if world.alive(sensor) == Tri::False {
        return None;
    }
    match world.sensor(sensor).reading {
        Some(Reading::Switch(on)) => Some(on),
        _ => None,
    }
}

pub(super) fn switch_is(world: &dyn WorldView, sensor: SensorId, on: bool) -> Tri {
    switch(world, sensor).map_or(Tri::Unknown, |found| Tri::from(found == on))
}

/// Whether none of these detectors sees motion.
#[inline(never)]
pub(super) fn no_motion(world: &dyn WorldView, sensors: &[SensorId]) -> Tri {
    sensors.iter().fold(Tri::True, |value, sensor| {
        value.and(switch(world, *sensor).map_or(Tri::Unknown, |motion| Tri::from(!motion)))
    })
}

#[inline(never)]
pub(super) fn sensor_number(world: &dyn WorldView, sensor: SensorId) -> (f64, f64) {
    if world.alive(sensor) == Tri::False {
        return UNKNOWN;
    }
    match world.sensor(sensor).reading {
        Some(Reading::Quantity(value)) => (value, value),
        Some(Reading::People(people)) => (f64::from(people), f64::from(people)),
        _ => UNKNOWN,
    }
}

/// How many are in a zone that these sensors watch.
pub(super) fn count(world: &dyn WorldView, zone: ZoneId, watchers: &[SensorId]) -> (f64, f64) {
    let count = world.count_in(zone);
    let seen = f64::from(count.seen);
    let blind = watchers.iter().any(|s| world.alive(*s) == Tri::False);
    // With an eye shut the count is a lower bound, never the all-clear.
    (seen, if blind { f64::INFINITY } else { seen + f64::from(count.lost) })
}

/// Two numbers joined to one; not known for what joins none.
pub(super) fn joined(how: &Num, a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    match how {
        Num::Min(..) => (a.0.min(b.0), a.1.min(b.1)),
        Num::Max(..) => (a.0.max(b.0), a.1.max(b.1)),
        Num::Add(..) => interval([a.0 + b.0, a.1 + b.1]),
        Num::Sub(..) => interval([a.0 - b.1, a.1 - b.0]),
        Num::Mul(..) => interval([a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1]),
        Num::Div(..) if !(b.0 <= 0.0 && b.1 >= 0.0) => interval([a.0 / b.0, a.0 / b.1, a.1 / b.0, a.1 / b.1]),
        _ => UNKNOWN,
    }
}

/// Smallest interval that holds the corners; everything where one is not a number (infinity minus infinity).
fn interval<const N: usize>(corners: [f64; N]) -> (f64, f64) {
    if corners.iter().any(|c| c.is_nan()) {
        return UNKNOWN;
    }
    corners.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), c| (low.min(*c), high.max(*c)))
}

/// Compares two intervals: known where all their numbers agree.
pub(crate) fn compare(how: Compare, a: (f64, f64), b: (f64, f64)) -> Tri {
    let less = |a: (f64, f64), b: (f64, f64)| {
        if a.1 < b.0 {
            Tri::True
        } else if a.0 >= b.1 {
            Tri::False
        } else {
            Tri::Unknown
        }
    };
    let equal = || {
        if a.0 == a.1 && a == b {
            Tri::True
        } else if a.1 < b.0 || b.1 < a.0 {
            Tri::False
        } else {
            Tri::Unknown
        }
    };
    match how {
        Compare::Less => less(a, b),
        Compare::GreaterEqual => !less(a, b),
        Compare::Greater => less(b, a),
        Compare::LessEqual => !less(b, a),
        Compare::Equal => equal(),
        Compare::NotEqual => !equal(),
    }
}

/// Whether a device's value is the wanted one; a word may be reported as a text.
fn same_value(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Text(text), Value::Name(name)) => text.as_str() == name.as_str(),
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = (f64, f64)> {
        (-4i8..4, 0u8..3).prop_map(|(low, width)| (f64::from(low), f64::from(low) + f64::from(width)))
    }

    proptest! {
        /// A known answer holds for every pair of numbers inside; an unknown one holds for some and fails for some.
        #[test]
        fn comparing_intervals_is_comparing_all_their_numbers(a in number(), b in number(), how in 0usize..6) {
            let how = [Compare::Less, Compare::LessEqual, Compare::Greater, Compare::GreaterEqual, Compare::Equal,
                Compare::NotEqual][how];
            let holds = |x: f64, y: f64| match how {
                Compare::Less => x < y,
                Compare::LessEqual => x <= y,
                Compare::Greater => x > y,
                Compare::GreaterEqual => x >= y,
                Compare::Equal => x == y,
                Compare::NotEqual => x != y,
            };
            let points = |i: (f64, f64)| (0..=8).map(move |k| i.0 + (i.1 - i.0) * f64::from(k) / 8.0);
            let all: Vec<bool> = points(a).flat_map(|x| points(b).map(move |y| (x, y))).map(|(x, y)| holds(x, y)).collect();
            match compare(how, a, b) {
                Tri::True => prop_assert!(all.iter().all(|h| *h)),
                Tri::False => prop_assert!(all.iter().all(|h| !*h)),
                Tri::Unknown => prop_assert!(all.contains(&true) && all.contains(&false)),
            }
        }
    }

    #[test]
    fn what_is_not_known_stays_not_known() {
        assert_eq!(interval([f64::INFINITY - f64::INFINITY, 1.0]), UNKNOWN);
        assert_eq!(compare(Compare::Greater, (7.0, f64::INFINITY), (6.0, 6.0)), Tri::True);
        assert_eq!(compare(Compare::Less, (2.0, f64::INFINITY), (3.0, 3.0)), Tri::Unknown);
        assert_eq!(compare(Compare::Equal, UNKNOWN, UNKNOWN), Tri::Unknown);
    }
}
