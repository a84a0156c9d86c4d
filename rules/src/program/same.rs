//! Whether a condition on two persons says the same whichever comes first.

use super::{COUNTED, Cond, CondId, Num, NumId, PersonRef, Program, Target, Var};
use crate::fnv::Fnv;

/// A condition on two persons as a number (a hash of its shape) that is the same whatever the order of what is joined;
/// with `swap` the persons change places. Equal numbers mean that it says the same of a pair in either order.
pub(crate) fn fold_condition(program: &Program, cond: CondId, swap: bool) -> u64 {
    let of = |var: Var| var_of(var, swap);
    let person = |p: PersonRef| person_of(p, swap);
    let target = |t: Target| target_of(t, swap);
    let join = |from: u32, to: u32| {
        let parts = program.children[from as usize..to as usize].iter();
        parts.fold(0_u64, |sum, part| sum.wrapping_add(fold_condition(program, *part, swap)))
    };
    let both = |a: CondId, b: CondId| (fold_condition(program, a, swap), fold_condition(program, b, swap));
    let text = match &program.conds[cond as usize] {
        Cond::And { from, to } => format!("and {}", join(*from, *to)),
        Cond::Or { from, to } => format!("or {}", join(*from, *to)),
        Cond::Not(inner) => format!("not {}", fold_condition(program, *inner, swap)),
        Cond::IsUnknown(inner) => format!("unknown {}", fold_condition(program, *inner, swap)),
        Cond::For { inner, length, across, .. } => {
            format!("for {} {length:?} {across:?}", fold_condition(program, *inner, swap))
        }
        Cond::Until { set, reset, .. } => format!("until {:?}", both(*set, *reset)),
        Cond::TrackIn(var, zone) => format!("in {} {zone:?}", of(*var)),
        Cond::TrackIs(var, who) => format!("is {} {who:?}", of(*var)),
        Cond::TrackIdentified(var) => format!("identified {}", of(*var)),
        Cond::TrackAttribute(var, column) => format!("has {} {column}", of(*var)),
        Cond::SamePerson(a, b) => {
            let mut pair = [person(*a), person(*b)];
            pair.sort_unstable();
            format!("same {pair:?}")
        }
        Cond::Facing { var, target: t, half_rad } => format!("facing {} {:?} {half_rad}", of(*var), target(*t)),
        Cond::Approaching { var, target: t, speed_mps } => {
            format!("approaching {} {:?} {speed_mps}", of(*var), target(*t))
        }
        Cond::Sees(a, b) => {
            let mut pair = [format!("{:?}", target(*a)), format!("{:?}", target(*b))];
            pair.sort_unstable();
            format!("sees {pair:?}")
        }
        Cond::Compare(how, a, b) => {
            format!("{how:?} {} {}", fold_number(program, *a, swap), fold_number(program, *b, swap))
        }
        Cond::NumberUnknown(a) => format!("unknown {}", fold_number(program, *a, swap)),
        other => format!("{other:?}"),
    };
    number(&text)
}

fn fold_number(program: &Program, num: NumId, swap: bool) -> u64 {
    let of = |var: Var| var_of(var, swap);
    let person = |p: PersonRef| person_of(p, swap);
    let target = |t: Target| target_of(t, swap);
    let part = |a: NumId| fold_number(program, a, swap);
    let text = match &program.nums[num as usize] {
        Num::Distance(a, b) => {
            let mut pair = [format!("{:?}", target(*a)), format!("{:?}", target(*b))];
            pair.sort_unstable();
            format!("distance {pair:?}")
        }
        Num::Speed(var) => format!("speed {}", of(*var)),
        Num::Spread(var) => format!("spread {}", of(*var)),
        Num::LeftAgo(var, zone) => format!("left {} {zone:?}", of(*var)),
        Num::UnsureFor(var, zone) => format!("unsure {} {zone:?}", of(*var)),
        Num::TrackAttribute(var, column) => format!("has {} {column}", of(*var)),
        Num::Confidence(p) => format!("confidence {:?}", person(*p)),
        Num::Add(a, b) => format!("add {}", part(*a).wrapping_add(part(*b))),
        Num::Mul(a, b) => format!("mul {}", part(*a).wrapping_add(part(*b))),
        Num::Min(a, b) => format!("min {}", part(*a).wrapping_add(part(*b))),
        Num::Max(a, b) => format!("max {}", part(*a).wrapping_add(part(*b))),
        Num::Sub(a, b) => format!("sub {} {}", part(*a), part(*b)),
        Num::Div(a, b) => format!("div {} {}", part(*a), part(*b)),
        other => format!("{other:?}"),
    };
    number(&text)
}

/// Whom a variable stands for; with `swap` the two persons of a pair change places.
fn var_of(var: Var, swap: bool) -> Var {
    if swap && var < COUNTED { 1 - var } else { var }
}

fn person_of(person: PersonRef, swap: bool) -> PersonRef {
    match person {
        PersonRef::Var(var) => PersonRef::Var(var_of(var, swap)),
        other => other,
    }
}

fn target_of(target: Target, swap: bool) -> Target {
    match target {
        Target::Person(person) => Target::Person(person_of(person, swap)),
        other => other,
    }
}

fn number(text: &str) -> u64 {
    let mut hash = Fnv::new();
    hash.absorb(text.as_bytes());
    hash.number()
}
