//! What rules have a hand on: every hold and every forbid in force, found by holder, by property and by device.
//!
//! A slab with intrusive lists, allocated once: a holder comes and goes without touching the allocator. The order
//! inside a list carries no meaning (who wins is decided by a total order over the claims themselves), so a saved
//! state need not keep it.

use osmose_model::command::Combine;
use osmose_model::command::{Cause, LevelRank, Value};
use osmose_model::ids::{ActuatorId, HolderId, Name, RuleId, Seq};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// No entry.
const NONE: u32 = u32::MAX;

/// What a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Want {
    /// This property (by its slot) is to have this value.
    Hold { slot: u32, value: Value },
    /// This command must not go to this device.
    Forbid { device: ActuatorId, verb: Name },
}

/// One hold or forbid in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) holder: HolderId,
    pub(crate) rule: RuleId,
    pub(crate) level: LevelRank,
    /// The input at which it began or last changed its value or level.
    pub(crate) since: Seq,
    pub(crate) want: Want,
    pub(crate) cause: Cause,
}

impl Claim {
    /// The smallest wins: the highest level, then the latest, then the lowest holder.
    fn precedence(&self) -> (LevelRank, Reverse<Seq>, HolderId) {
        (self.level, Reverse(self.since), self.holder)
    }
}

#[derive(Clone, Debug)]
struct Node {
    claim: Claim,
    next: u32,
}

/// All claims in force.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// By holder: its node.
    index: Vec<u32>,
    /// By slot: the first hold.
    holds: Vec<u32>,
    /// By device: the first forbid.
    forbids: Vec<u32>,
}

impl Claims {
    /// Room for `holders` holders over `slots` properties of `devices` devices.
    pub(crate) fn new(holders: u32, slots: usize, devices: usize) -> Self {
        let mut claims = Self {
            nodes: Vec::new(),
            free: Vec::new(),
            index: Vec::new(),
            holds: vec![NONE; slots],
            forbids: vec![NONE; devices],
        };
        claims.reserve(holders);
        claims
    }

    /// Makes room for at least `holders` holders in all.
    pub(crate) fn reserve(&mut self, holders: u32) {
        let holders = holders as usize;
        if holders > self.index.len() {
            self.index.resize(holders, NONE);
            self.nodes.reserve_exact(holders.saturating_sub(self.nodes.len()));
            self.free.reserve_exact(holders.saturating_sub(self.free.len()));
        }
    }

    /// Takes the memory of `other` where that has room for more holders, and leaves its own there. Neither allocates nor
    /// frees; who holds what stays as it is.
    pub(crate) fn move_to_larger(&mut self, other: &mut Self) {
        if other.index.len() <= self.index.len() {
            return;
        }
        other.nodes.clear();
        other.nodes.append(&mut self.nodes);
        other.free.clear();
        other.free.append(&mut self.free);
        other.index.fill(NONE);
        other.index[..self.index.len()].copy_from_slice(&self.index);
        std::mem::swap(&mut self.nodes, &mut other.nodes);
        std::mem::swap(&mut self.free, &mut other.free);
        std::mem::swap(&mut self.index, &mut other.index);
    }

    /// How many holders there is room for.
    pub(crate) fn room(&self) -> usize {
        self.index.len()
    }

    /// The claim of a holder.
    pub(crate) fn get(&self, holder: HolderId) -> Option<&Claim> {
        let at = *self.index.get(holder.index())?;
        self.nodes.get(at as usize).map(|n| &n.claim)
    }

    fn head(&mut self, want: &Want) -> &mut u32 {
        match want {
            Want::Hold { slot, .. } => &mut self.holds[*slot as usize],
            Want::Forbid { device, .. } => &mut self.forbids[device.index()],
        }
    }

    /// Puts a claim in force; the holder holds nothing else (see [`Self::remove`]). The holder is within the room,
    /// the slot and device exist.
    pub(crate) fn insert(&mut self, claim: Claim) {
        let (want, holder) = (claim.want, claim.holder);
        let next = *self.head(&want);
        let node = Node { claim, next };
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        *self.head(&want) = at;
        self.index[holder.index()] = at;
    }

    /// Takes a holder's claim out of force and gives what it wanted.
    pub(crate) fn remove(&mut self, holder: HolderId) -> Option<Want> {
        let at = *self.index.get(holder.index())?;
        let node = self.nodes.get(at as usize)?;
        let (want, next) = (node.claim.want, node.next);
        let mut before = *self.head(&want);
        if before == at {
            *self.head(&want) = next;
        } else {
            while self.nodes[before as usize].next != at {
                before = self.nodes[before as usize].next;
            }
            self.nodes[before as usize].next = next;
        }
        self.index[holder.index()] = NONE;
        self.free.push(at);
        Some(want)
    }

    fn list(&self, head: u32) -> impl Iterator<Item = &Claim> + '_ {
        let mut at = head;
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            at = node.next;
            Some(&node.claim)
        })
    }

    /// The forbids on a device.
    pub(crate) fn forbids(&self, device: ActuatorId) -> impl Iterator<Item = (&Claim, Name)> + '_ {
        let head = self.forbids.get(device.index()).copied().unwrap_or(NONE);
        self.list(head).filter_map(|c| match c.want {
            Want::Forbid { verb, .. } => Some((c, verb)),
            Want::Hold { .. } => None,
        })
    }

    /// The hold that wins a slot among those that `may` win: of the highest level, not outranked by another there
    /// (`over`, ascending pairs), and among the rest as they combine. `words` are the property's, in their order.
    pub(crate) fn winner(
        &self,
        slot: usize,
        combine: Combine,
        over: &[(RuleId, RuleId)],
        words: &[&str],
        may: impl Fn(&Claim, &Value) -> bool,
    ) -> Option<(&Claim, Value)> {
        let head = self.holds.get(slot).copied().unwrap_or(NONE);
        let able = || {
            self.list(head).filter_map(|c| match &c.want {
                Want::Hold { value, .. } if may(c, value) => Some((c, *value)),
                _ => None,
            })
        };
        if over.is_empty() && combine == Combine::Latest {
            return able().min_by_key(|(c, _)| c.precedence());
        }
        let level = able().map(|(c, _)| c.level).min()?;
        let beaten = |c: &Claim| {
            able().any(|(other, _)| other.level == level && over.binary_search(&(other.rule, c.rule)).is_ok())
        };
        let left = || able().filter(|(c, _)| c.level == level && !beaten(c));
        // Equal values go by precedence, so that who wins does not hang on the order of the list.
        let size = |value: &Value| match (value, crate::words::word(value)) {
            (Value::Number(number), _) => *number,
            (_, Some(word)) => words.iter().position(|w| *w == word).map_or(-1.0, |at| at as f64),
            _ => 0.0,
        };
        let by_size = |a: &(&Claim, Value), b: &(&Claim, Value)| {
            size(&a.1).total_cmp(&size(&b.1)).then(b.0.precedence().cmp(&a.0.precedence()))
        };
        match combine {
            Combine::Latest => left().min_by_key(|(c, _)| c.precedence()),
            Combine::Any => left().min_by_key(|(c, _)| c.holder),
            Combine::Max => left().max_by(by_size),
            Combine::Min => {
                left().min_by(|a, b| size(&a.1).total_cmp(&size(&b.1)).then(a.0.precedence().cmp(&b.0.precedence())))
            }
        }
    }

    /// Every claim, ascending by holder.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Claim> + '_ {
        self.index.iter().filter_map(|&at| self.nodes.get(at as usize)).map(|n| &n.claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::command::Trigger;

    fn hold(holder: u32, level: u8, since: u64) -> Claim {
        Claim {
            holder: HolderId(holder),
            rule: RuleId(0),
            level: LevelRank(level),
            since: Seq(since),
            want: Want::Hold { slot: 0, value: Value::Number(f64::from(holder)) },
            cause: Cause::new(Trigger::Start),
        }
    }

    fn winner(c: &Claims) -> Option<u32> {
        c.winner(0, Combine::Latest, &[], &[], |_, _| true).map(|(c, _)| c.holder.0)
    }

    #[test]
    fn the_highest_level_then_the_latest_then_the_lowest_holder_wins() {
        let mut c = Claims::new(8, 1, 1);
        for claim in [hold(3, 4, 10), hold(2, 4, 11), hold(5, 4, 11), hold(1, 2, 1)] {
            c.insert(claim);
        }
        for expected in [Some(1), Some(2), Some(5), Some(3), None] {
            assert_eq!(winner(&c), expected);
            if let Some(h) = expected {
                assert!(c.remove(HolderId(h)).is_some());
            }
        }
        assert!(c.remove(HolderId(1)).is_none(), "released once");
        assert!(c.remove(HolderId(99)).is_none(), "never known");
    }

    #[test]
    fn inside_a_level_the_outranked_lose_and_the_rest_combine() {
        let of_rule = |holder: u32, since: u64| Claim { rule: RuleId(holder as u16), ..hold(holder, 4, since) };
        let mut c = Claims::new(8, 1, 1);
        for claim in [of_rule(3, 10), of_rule(2, 11), of_rule(5, 12), hold(7, 5, 13)] {
            c.insert(claim);
        }
        let by =
            |combine, over: &[(RuleId, RuleId)]| c.winner(0, combine, over, &[], |_, _| true).map(|(c, _)| c.holder.0);
        let over = [(RuleId(2), RuleId(5))];
        assert_eq!(by(Combine::Latest, &[]), Some(5));
        assert_eq!(by(Combine::Latest, &over), Some(2), "the latest of those that none there outranks");
        assert_eq!((by(Combine::Max, &[]), by(Combine::Max, &over)), (Some(5), Some(3)));
        assert_eq!((by(Combine::Min, &[]), by(Combine::Any, &over)), (Some(2), Some(2)));
    }

    #[test]
    fn freed_nodes_are_used_again() {
        let mut c = Claims::new(2, 1, 1);
        for round in 0..1000 {
            c.insert(hold(round % 2, 1, u64::from(round)));
            assert!(c.remove(HolderId(round % 2)).is_some());
        }
        assert_eq!(c.nodes.len(), 1);
    }
}
