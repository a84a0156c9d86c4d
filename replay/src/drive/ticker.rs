//! How far the reading of a recording is, for whoever watches long work.

use super::Watch;
use crate::trace::read::Item;
use crate::trace::recording::Items;
use osmose_model::time::LogicalNs;
use std::io::{Error, ErrorKind};

/// Records between two looks at the watch.
const EVERY: u64 = 4096;

/// Reads on, and shows a watch how far that is.
pub(crate) struct Ticker<'w> {
    watch: &'w mut dyn Watch,
    read: u64,
    at: LogicalNs,
}

impl<'w> Ticker<'w> {
    pub(crate) fn new(watch: &'w mut dyn Watch) -> Self {
        Self { watch, read: 0, at: LogicalNs::default() }
    }

    /// The next record, or the next stretch that is missing; `None` at the end.
    ///
    /// # Errors
    /// The disk's; [`ErrorKind::Interrupted`] where the watch stops it.
    pub(crate) fn next_item<'r>(&mut self, reader: &'r mut impl Items) -> std::io::Result<Option<Item<'r>>> {
        self.read += 1;
        if self.read.is_multiple_of(EVERY) {
            let (done, total) = reader.progress();
            if self.watch.progress(done, total, self.at).is_break() {
                return Err(Error::new(ErrorKind::Interrupted, "it was stopped"));
            }
        }
        let item = reader.next_item()?;
        if let Some(Item::Record(raw)) = &item {
            self.at = LogicalNs(i64::try_from(raw.log_time).unwrap_or(i64::MAX));
        }
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live, walk};
    use crate::trace::read::TraceReader;
    use std::ops::ControlFlow;

    /// Looks on, and stops at a count.
    struct Looks(Vec<(u64, u64, LogicalNs)>, usize);

    impl Watch for Looks {
        fn progress(&mut self, done: u64, total: u64, at: LogicalNs) -> ControlFlow<()> {
            self.0.push((done, total, at));
            if self.0.len() == self.1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }

    #[test]
    fn a_watch_sees_how_far_the_reading_is_and_may_stop_it() {
        let trace = live(&walk(500), 0);
        let mut looks = Looks(Vec::new(), usize::MAX);
        let mut reader = TraceReader::new(&trace[..], trace.len() as u64).unwrap();
        let mut ticker = Ticker::new(&mut looks);
        while ticker.next_item(&mut reader).unwrap().is_some() {}
        assert!(looks.0.len() > 1 && looks.0.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].2 < w[1].2));
        assert!(looks.0.iter().all(|(done, total, _)| done <= total && *total == trace.len() as u64));
        let mut looks = Looks(Vec::new(), 1);
        let mut reader = TraceReader::new(&trace[..], trace.len() as u64).unwrap();
        let mut ticker = Ticker::new(&mut looks);
        let error = loop {
            match ticker.next_item(&mut reader) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it was to stop"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
}
