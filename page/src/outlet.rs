//! What waits for one page.
//!
//! A snapshot that was not taken is replaced by the next: the latest wins. What must not be lost (events, answers) waits
//! in a queue with a limit; beyond it the queue is dropped and the page is told so by a `gap`, once it listens again.
//! Whoever puts something in never waits.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Messages that wait for one page at most.
pub const QUEUE_MAX: usize = 512;
/// Bytes of them at most.
pub const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A message as it goes out; pages share it.
pub type Message = axum::extract::ws::Utf8Bytes;

#[derive(Debug, Default)]
struct Waiting {
    snap: Option<Message>,
    /// Of the second run, where two are compared.
    snap_b: Option<Message>,
    stat: Option<Message>,
    queue: VecDeque<Message>,
    bytes: usize,
    /// Messages dropped since the page was last told.
    dropped: u64,
    is_closed: bool,
}

/// One page's way out.
#[derive(Debug, Default)]
pub struct Outlet {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

impl Outlet {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nobody panics while holding it; were it so, what waits would still be messages.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest snapshot; one that was not taken is gone.
    pub fn snap(&self, message: Message) {
        self.waiting().snap = Some(message);
        self.wake.notify_one();
    }

    /// The newest snapshot of the second run.
    pub fn snap_b(&self, message: Message) {
        self.waiting().snap_b = Some(message);
        self.wake.notify_one();
    }

    /// The newest figures; those not taken are gone.
    pub fn stat(&self, message: Message) {
        self.waiting().stat = Some(message);
        self.wake.notify_one();
    }

    /// What must arrive, in order.
    pub fn tell(&self, message: Message) {
        let mut waiting = self.waiting();
        if waiting.queue.len() >= QUEUE_MAX || waiting.bytes + message.len() > QUEUE_BYTES_MAX {
            waiting.dropped += waiting.queue.len() as u64 + 1;
            waiting.queue.clear();
            waiting.bytes = 0;
        } else {
            waiting.bytes += message.len();
            waiting.queue.push_back(message);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.waiting().is_closed = true;
        self.wake.notify_one();
    }

    /// Whether the page is gone, or is to go.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.waiting().is_closed
    }

    /// The next message, what must arrive first; `None` where nothing waits.
    #[must_use]
    pub fn take(&self) -> Option<Message> {
        let mut waiting = self.waiting();
        if waiting.dropped > 0 {
            let dropped = std::mem::take(&mut waiting.dropped);
            return Some(format!(r#"{{"type":"gap","messages":{dropped}}}"#).into());
        }
        if let Some(message) = waiting.queue.pop_front() {
            waiting.bytes -= message.len();
            return Some(message);
        }
        waiting.snap.take().or_else(|| waiting.snap_b.take()).or_else(|| waiting.stat.take())
    }

    /// Waits until something may be there.
    pub async fn wait(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_snapshot_wins_and_what_must_arrive_comes_first_and_in_order() {
        let outlet = Outlet::default();
        outlet.snap("s1".into());
        outlet.tell("e1".into());
        outlet.snap("s2".into());
        outlet.tell("e2".into());
        let all: Vec<_> = std::iter::from_fn(|| outlet.take()).map(|m| m.to_string()).collect();
        assert_eq!(all, ["e1", "e2", "s2"]);
    }

    #[test]
    fn a_page_that_does_not_listen_is_told_what_it_missed_and_holds_no_more_than_the_limit() {
        let outlet = Outlet::default();
        for i in 0..3 * QUEUE_MAX {
            outlet.tell(format!("e{i}").into());
        }
        let first = outlet.take().expect("a gap");
        let gap: serde_json::Value = serde_json::from_str(&first).unwrap();
        let missed = gap["messages"].as_u64().unwrap() as usize;
        let rest = std::iter::from_fn(|| outlet.take()).count();
        assert_eq!(missed + rest, 3 * QUEUE_MAX, "every message is either there or told to be missing");
        assert!(rest <= QUEUE_MAX);
    }

    #[test]
    fn large_messages_are_bounded_by_their_bytes() {
        let outlet = Outlet::default();
        let large: Message = "x".repeat(QUEUE_BYTES_MAX / 2 + 1).into();
        outlet.tell(large.clone());
        outlet.tell(large);
        assert!(outlet.take().unwrap().contains(r#""messages":2"#));
        assert!(outlet.take().is_none());
    }
}
