//! What the evaluator is counted in: kinds of operations, how many of each, and what one of each takes.
//!
//! The evaluator counts with the same [`Op`]s that the bound is made of, so that a test can hold the one against the
//! other. An operation is a thing that the evaluator does, not an instruction: its time is in the [`Table`].

use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Op {
    /// An instance found in a list of those that something wakes.
    Wake,
    /// A node of a condition, a number or a value.
    Node,
    /// Somebody in the building looked at, one by one (`any p in ... in r`).
    Occupant,
    /// A known person looked up (`every p in members(g) in r`).
    Person,
    /// A sensor asked whether it lives or what it says.
    Sensor,
    /// A person's memory in a rule found, made or dropped.
    Context,
    /// A damper's memory asked or written.
    Memory,
    /// A command or a hold asked for, with its cause.
    Effect,
}

impl Op {
    /// How many kinds there are.
    pub const COUNT: usize = 8;

    /// Every kind, in declaration order.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Wake, Self::Node, Self::Occupant, Self::Person, Self::Sensor, Self::Context, Self::Memory, Self::Effect];

    /// Its key in `cost.json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wake => "wake",
            Self::Node => "node",
            Self::Occupant => "occupant",
            Self::Person => "person",
            Self::Sensor => "sensor",
            Self::Context => "context",
            Self::Memory => "memory",
            Self::Effect => "effect",
        }
    }
}

/// How many operations of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ops([u64; Op::COUNT]);

impl Ops {
    /// None.
    pub const NONE: Self = Ops([0; Op::COUNT]);

    /// `n` of one kind.
    pub fn of(op: Op, n: u64) -> Self {
        let mut ops = Self::NONE;
        ops.add(op, n);
        ops
    }

    /// Adds `n` of one kind.
    #[inline]
    pub fn add(&mut self, op: Op, n: u64) {
        let count = &mut self.0[op as usize];
        *count = count.saturating_add(n);
    }

    /// How many of one kind.
    pub fn get(&self, op: Op) -> u64 {
        self.0[op as usize]
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Ops) -> Self {
        for op in Op::ALL {
            self.add(op, other.get(op));
        }
        self
    }

    /// The larger of both, kind by kind: a bound of either.
    #[must_use]
    pub fn or(mut self, other: Ops) -> Self {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own = (*own).max(other);
        }
        self
    }

    /// So many times over.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.0.iter_mut().for_each(|count| *count = count.saturating_mul(n));
        self
    }

    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Whether there are no more of any kind than in `bound`.
    pub fn within(&self, bound: &Ops) -> bool {
        self.0.iter().zip(bound.0).all(|(own, bound)| *own <= bound)
    }

    /// Takes the counts and begins again at none.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

/// `node 12, effect 1`: what there is any of.
impl fmt::Display for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for op in Op::ALL.into_iter().filter(|op| self.get(*op) > 0) {
            let comma = if first { "" } else { ", " };
            write!(f, "{comma}{} {}", op.as_str(), self.get(op))?;
            first = false;
        }
        if first { f.write_str("nothing") } else { Ok(()) }
    }
}

/// What one operation of each kind takes on a machine, and what a step takes beside its rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Which machine, for people.
    pub machine: String,
    /// From a datagram's arrival to the rules and from the rules to the transport, microseconds (p99).
    pub engine_us: f64,
    /// One of each kind, nanoseconds.
    pub ns: PerOp,
}

/// Nanoseconds by kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is the kind of its name, see Op")]
pub struct PerOp {
    pub wake: f64,
    pub node: f64,
    pub occupant: f64,
    pub person: f64,
    pub sensor: f64,
    pub context: f64,
    pub memory: f64,
    pub effect: f64,
}

/// Why a table is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TableError {
    /// The text is no table.
    #[error("it is no cost table: {0}")]
    Malformed(String),
    /// A time is not a number above zero.
    #[error("`{0}` must be a time above 0 and below 1 s")]
    OutOfRange(&'static str),
}

impl Table {
    /// The table that the repository carries.
    ///
    /// Measured with `cargo bench -p osmose-rules --bench cost` on a shared virtual machine with two x86-64 cores of
    /// 2.1 GHz, then doubled and rounded up, because a p99 on a busy machine is no best case; `engine_us` is what is allowed
    /// for everything beside the rules.
    pub fn committed() -> Self {
        let ns = PerOp {
            wake: 10.0,
            node: 20.0,
            occupant: 30.0,
            person: 80.0,
            sensor: 20.0,
            context: 100.0,
            memory: 60.0,
            effect: 250.0,
        };
        Table { machine: "committed default".to_owned(), engine_us: 150.0, ns }
    }

    /// Reads `cost.json`.
    ///
    /// # Errors
    /// [`TableError`]: not this form, or a time that cannot be.
    pub fn from_json(text: &str) -> Result<Self, TableError> {
        let table: Table = serde_json::from_str(text).map_err(|e| TableError::Malformed(e.to_string()))?;
        let fits = |v: f64, max: f64| v > 0.0 && v < max;
        for op in Op::ALL {
            if !fits(table.ns_of(op), 1e9) {
                return Err(TableError::OutOfRange(op.as_str()));
            }
        }
        if !fits(table.engine_us, 1e6) {
            return Err(TableError::OutOfRange("engine_us"));
        }
        Ok(table)
    }

    /// The text of `cost.json`.
    pub fn to_json(&self) -> String {
        // Plain numbers and a text always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Nanoseconds of one operation.
    pub fn ns_of(&self, op: Op) -> f64 {
        let ns = &self.ns;
        match op {
            Op::Wake => ns.wake,
            Op::Node => ns.node,
            Op::Occupant => ns.occupant,
            Op::Person => ns.person,
            Op::Sensor => ns.sensor,
            Op::Context => ns.context,
            Op::Memory => ns.memory,
            Op::Effect => ns.effect,
        }
    }

    /// Microseconds of operations.
    pub fn us(&self, ops: &Ops) -> f64 {
        Op::ALL.into_iter().map(|op| ops.get(op) as f64 * self.ns_of(op)).sum::<f64>() / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_survives_json_and_nonsense_is_refused() {
        let table = Table::committed();
        let text = serde_json::to_string(&table).expect("a table is JSON");
        assert_eq!(Table::from_json(&text), Ok(table));
        assert!(matches!(Table::from_json("{}"), Err(TableError::Malformed(_))));
        let zero = text.replace("\"node\":20.0", "\"node\":0.0");
        assert_eq!(Table::from_json(&zero), Err(TableError::OutOfRange("node")));
    }

    #[test]
    fn time_is_linear_in_operations() {
        let ops = Ops::of(Op::Node, 1000).and(Ops::of(Op::Effect, 1));
        let table = Table::committed();
        assert_eq!(table.us(&ops.times(3)), 3.0 * table.us(&ops));
        assert!(ops.within(&ops) && !ops.within(&Ops::of(Op::Node, 1000)));
        assert_eq!(ops.to_string(), "node 1000, effect 1");
    }
}
