//! What is handed to a running engine from outside of its lanes, and what comes back of it.
//!
//! Rules are compiled and made ready by whoever installs them; the stepping thread only puts them in force. What it is left
//! with then (the rules of before, the input's bytes) it gives back: it frees nothing. Whoever installed them drops that,
//! and reads there what became of each rule's state.

use crate::engine::OwnedInput;
use osmose_core::{Rules, StagedRules};
use osmose_model::site::Site;
use std::sync::Arc;

/// What an operator did, or rules to be put in force. It becomes an input like any other.
pub enum Control {
    /// An operator's action.
    Input(OwnedInput),
    /// Rules that were compiled beside the engine; see [`Control::rules`].
    Rules {
        /// For the core that acts.
        staged: Box<StagedRules>,
        /// The same for the one at the side.
        again: Box<Rules>,
        /// What puts them in force.
        input: OwnedInput,
        /// Their names, in their order.
        names: Arc<[String]>,
    },
}

impl Control {
    /// Rules that were compiled for a site beside the engine, and the input that puts them in force.
    #[must_use]
    pub fn rules(site: &Site, rules: Rules, input: OwnedInput) -> Self {
        let again = Box::new(rules.clone());
        let names = rules.program().rules().iter().map(|r| r.name.clone()).collect();
        Self::Rules { staged: Box::new(StagedRules::of_site(site, rules)), again, input, names }
    }
}

/// What is left of a [`Control`] once it is an input.
pub enum Spent {
    /// An operator's action was taken in.
    Input(OwnedInput),
    /// Rules are in force.
    Rules {
        /// What was in force before; nothing where the rules were never reached.
        before: Option<Box<StagedRules>>,
        /// Rules that the side had no use for.
        again: Option<Box<Rules>>,
        /// What put them in force.
        input: OwnedInput,
        /// The names of those in force now, in their order.
        names: Arc<[String]>,
    },
}

/// Both ends of the way into an engine, with room for `max` at a time.
#[must_use]
pub fn controls(max: usize) -> (ControlTx, ControlRx) {
    let (tx, rx) = rtrb::RingBuffer::new(max);
    let (back_tx, back_rx) = rtrb::RingBuffer::new(max);
    (ControlTx { ring: tx, back: back_rx, under_way: 0, max }, ControlRx { ring: rx, back: back_tx })
}

/// The end of whoever installs rules or passes operators' actions on.
pub struct ControlTx {
    ring: rtrb::Producer<Control>,
    back: rtrb::Consumer<Spent>,
    /// Handed over, and not come back yet: never more than the way back has room for.
    under_way: usize,
    max: usize,
}

impl ControlTx {
    /// Hands something to the engine.
    ///
    /// # Errors
    /// The same, where the engine is behind, or nobody asks for what comes back ([`ControlTx::spent`]).
    pub fn push(&mut self, control: Control) -> Result<(), Control> {
        if self.under_way >= self.max {
            return Err(control);
        }
        self.ring.push(control).map_err(|rtrb::PushError::Full(control)| control)?;
        self.under_way += 1;
        Ok(())
    }

    /// What came back, oldest first.
    pub fn spent(&mut self) -> Option<Spent> {
        let spent = self.back.pop().ok()?;
        self.under_way -= 1;
        Some(spent)
    }
}

/// The stepping thread's end.
pub struct ControlRx {
    ring: rtrb::Consumer<Control>,
    back: rtrb::Producer<Spent>,
}

impl ControlRx {
    pub(crate) fn pop(&mut self) -> Option<Control> {
        self.ring.pop().ok()
    }

    /// There is room: no more are under way than that. Whoever would take it may be gone, and then it is dropped here.
    pub(crate) fn give_back(&mut self, spent: Spent) {
        let _ = self.back.push(spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_under_way_than_may_come_back() {
        let (mut tx, mut rx) = controls(2);
        let input = |n: u8| OwnedInput(vec![n]);
        assert!(tx.push(Control::Input(input(1))).is_ok() && tx.push(Control::Input(input(2))).is_ok());
        assert!(tx.push(Control::Input(input(3))).is_err(), "there is no room");
        for _ in 0..2 {
            let Some(Control::Input(taken)) = rx.pop() else { panic!("two were handed over") };
            rx.give_back(Spent::Input(taken));
        }
        assert!(tx.push(Control::Input(input(3))).is_err(), "what came back was not looked at");
        assert!(matches!(tx.spent(), Some(Spent::Input(OwnedInput(bytes))) if bytes == [1]));
        assert!(tx.push(Control::Input(input(3))).is_ok());
        assert!(rx.pop().is_some() && rx.pop().is_none());
    }
}
