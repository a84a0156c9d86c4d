//! Nothing may vanish: what was sent is what was received and what was counted as dropped, or the run is void.
//!
//! A latency figure over the events that happened to come back says nothing of the others. So each run is closed with
//! an account of both ways, and a single datagram that nobody can account for fails it.

use serde::{Deserialize, Serialize};

/// Datagrams that the kernel takes in one call, and drops as one, at most (`UDP_MAX_SEGMENTS`).
pub const RUN_MAX: u64 = 64;

/// One way of a run: who sent, who received, and what was counted as lost between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Which way, for people.
    pub way: String,
    /// Handed to the kernel by the sending side.
    pub sent: u64,
    /// Taken in by the receiving side.
    pub received: u64,
    /// Counted as dropped, and by whom.
    pub dropped: Vec<(String, u64)>,
}

/// What an account does not explain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{way}: {sent} sent, {received} received and {dropped} counted as dropped: {difference} {what}. The run is void."
)]
pub struct Unaccounted {
    way: String,
    sent: u64,
    received: u64,
    dropped: u64,
    difference: u64,
    what: &'static str,
}

impl Account {
    /// An account of one way, with nothing dropped so far.
    #[must_use]
    pub fn new(way: &str, sent: u64, received: u64) -> Self {
        Self { way: way.to_owned(), sent, received, dropped: Vec::new() }
    }

    /// Adds drops that somebody counted; none is not listed.
    #[must_use]
    pub fn with_drops(mut self, by: &str, count: u64) -> Self {
        if count > 0 {
            self.dropped.push((by.to_owned(), count));
        }
        self
    }

    /// Adds what the kernel dropped at a socket. Datagrams that were handed over in one call, up to [`RUN_MAX`], travel
    /// loopback as one and count as one where they are dropped: what is still missing is theirs, as far as that explains
    /// it. `each`: how many of what is counted here one datagram carries.
    #[must_use]
    pub fn with_kernel_drops(self, by: &str, drops: u64, each: u64) -> Self {
        let least = drops * each;
        let missing = self.sent.saturating_sub(self.received + self.lost() + least);
        let further = missing.min(least * (RUN_MAX - 1));
        self.with_drops(by, least + further)
    }

    /// All drops together.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.iter().map(|(_, n)| n).sum()
    }

    /// # Errors
    /// [`Unaccounted`] unless sent = received + counted drops.
    pub fn close(&self) -> Result<(), Unaccounted> {
        let explained = self.received + self.lost();
        if explained == self.sent {
            return Ok(());
        }
        let (way, sent, received, dropped) = (self.way.clone(), self.sent, self.received, self.lost());
        let what = if explained < sent { "nobody can account for" } else { "more than were sent" };
        Err(Unaccounted { way, sent, received, dropped, difference: explained.abs_diff(sent), what })
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} sent = {} received", self.way, self.sent, self.received)?;
        self.dropped.iter().try_for_each(|(by, n)| write!(f, " + {n} {by}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lost_datagram_fails_the_run_and_a_counted_one_does_not() {
        let whole = Account::new("events", 1000, 1000);
        assert_eq!(whole.close(), Ok(()));
        let lost = Account::new("events", 1000, 999);
        let said = lost.close().expect_err("one is missing").to_string();
        assert!(said.contains("1 nobody can account for") && said.contains("void"), "{said}");
        let counted = lost.with_drops("dropped by the kernel", 1);
        assert_eq!(counted.close(), Ok(()));
        assert_eq!(counted.to_string(), "events: 1000 sent = 999 received + 1 dropped by the kernel");
    }

    #[test]
    fn a_drop_of_the_kernel_may_be_of_a_whole_run_and_explains_no_more_than_that() {
        let lost = |n| Account::new("events", 1000, 1000 - n);
        for n in [2, 100, 128] {
            let account = lost(n).with_kernel_drops("dropped by the kernel", 2, 1);
            assert_eq!((account.close(), account.lost()), (Ok(()), n));
        }
        let more = lost(129).with_kernel_drops("dropped by the kernel", 2, 1);
        assert!(more.close().is_err(), "two runs of 64 are 128");
        assert!(lost(1).with_kernel_drops("dropped by the kernel", 0, 1).close().is_err());
        assert_eq!(lost(96).with_kernel_drops("dropped by the kernel", 1, 32).close(), Ok(()), "three of a run");
    }

    #[test]
    fn more_than_was_sent_is_no_account_either() {
        let twice = Account::new("commands", 10, 10).with_drops("refused", 0).with_drops("dropped by the kernel", 2);
        assert_eq!(twice.dropped.len(), 1, "what is nothing is not listed");
        assert!(twice.close().expect_err("2 too many").to_string().contains("2 more than were sent"));
    }
}
