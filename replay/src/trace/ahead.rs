//! Reads a log ahead in a thread of its own: unpacking and checksums beside the core, not in front of it.
//!
//! What is read arrives in the log's order, whole batches at a time, and batches go back to be filled again. The
//! thread ends with the log, or when nobody wants more of it.

use super::format::{Meta, Topic};
use super::read::{Damage, Ending, Item, RawRecord, ReadCounts};
use super::recording::Items;
use osmose_model::site::SourceFile;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Batches on the way at most.
const BATCHES: usize = 4;
/// A batch is sent once it holds this many bytes: about one chunk.
const BATCH_BYTES: usize = 256 * 1024;
/// ... or this many records.
const BATCH_RECORDS: usize = 4096;

/// One item, its bytes in the batch.
enum Held {
    Record { topic: Topic, log_time: u64, publish_time: u64, sequence: u32, checked: bool, data: Range<usize> },
    Damage(Damage),
}

#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    items: Vec<Held>,
    progress: (u64, u64),
    counts: ReadCounts,
    /// How the log ended, in its last batch; or why it cannot be read on.
    over: Option<std::io::Result<Ending>>,
}

/// A log that is read ahead.
pub struct Ahead {
    meta: Meta,
    other_build: Option<String>,
    files: Vec<SourceFile>,
    full: Receiver<Box<Batch>>,
    empty: Sender<Box<Batch>>,
    batch: Box<Batch>,
    next: usize,
    ending: Ending,
    over: bool,
}

impl Ahead {
    /// Reads on from where `items` stands.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn new<S: Items + Send + 'static>(items: S) -> std::io::Result<Self> {
        let (full_tx, full) = sync_channel(BATCHES);
        let (empty, empty_rx) = channel();
        let (meta, files, progress) = (items.meta().clone(), items.files().to_vec(), items.progress());
        let (ending, other_build) = (items.ending().clone(), items.other_build());
        std::thread::Builder::new().name("osmose-ahead".into()).spawn(move || read(items, &full_tx, &empty_rx))?;
        let batch = Box::new(Batch { progress, ..Batch::default() });
        Ok(Self { meta, other_build, files, full, empty, batch, next: 0, ending, over: false })
    }

    /// The next batch; false where there is none.
    fn turn(&mut self) -> std::io::Result<bool> {
        if self.over {
            return Ok(false);
        }
        let Ok(batch) = self.full.recv() else {
            return Err(std::io::Error::other("the thread that reads the trace failed"));
        };
        // It may be gone already, with its last batch on the way.
        let _ = self.empty.send(std::mem::replace(&mut self.batch, batch));
        self.next = 0;
        match self.batch.over.take() {
            None => {}
            Some(Ok(ending)) => (self.ending, self.over) = (ending, true),
            Some(Err(error)) => {
                self.over = true;
                return Err(error);
            }
        }
        Ok(true)
    }
}

/// The thread's work.
fn read(mut items: impl Items, full: &SyncSender<Box<Batch>>, empty: &Receiver<Box<Batch>>) {
    let mut over = false;
    while !over {
        let mut batch = empty.try_recv().unwrap_or_default();
        batch.bytes.clear();
        batch.items.clear();
        batch.over = None;
        while batch.bytes.len() < BATCH_BYTES && batch.items.len() < BATCH_RECORDS && !over {
            match items.next_item() {
                Ok(Some(Item::Damage(damage))) => batch.items.push(Held::Damage(damage)),
                Ok(Some(Item::Record(raw))) => {
                    let RawRecord { topic, log_time, publish_time, sequence, data, checked } = raw;
                    let begin = batch.bytes.len();
                    batch.bytes.extend_from_slice(data);
                    let data = begin..batch.bytes.len();
                    batch.items.push(Held::Record { topic, log_time, publish_time, sequence, checked, data });
                }
                Ok(None) => {
                    batch.over = Some(Ok(items.ending().clone()));
                    over = true;
                }
                Err(error) => {
                    batch.over = Some(Err(error));
                    over = true;
                }
            }
        }
        (batch.progress, batch.counts) = (items.progress(), items.counts());
        if full.send(batch).is_err() {
            return;
        }
    }
}

impl Items for Ahead {
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn other_build(&self) -> Option<String> {
        self.other_build.clone()
    }
    fn files(&self) -> &[SourceFile] {
        &self.files
    }
    fn next_item(&mut self) -> std::io::Result<Option<Item<'_>>> {
        while self.next == self.batch.items.len() {
            if !self.turn()? {
                return Ok(None);
            }
        }
        self.next += 1;
        let Batch { items, bytes, .. } = &*self.batch;
        Ok(Some(match &items[self.next - 1] {
            Held::Damage(damage) => Item::Damage(damage.clone()),
            Held::Record { topic, log_time, publish_time, sequence, checked, data } => Item::Record(RawRecord {
                topic: *topic,
                log_time: *log_time,
                publish_time: *publish_time,
                sequence: *sequence,
                data: &bytes[data.clone()],
                checked: *checked,
            }),
        }))
    }
    fn ending(&self) -> &Ending {
        // The last batch says it; it is not reached before that batch is used up.
        if self.next == self.batch.items.len() { &self.ending } else { &Ending::NotReached }
    }
    fn progress(&self) -> (u64, u64) {
        self.batch.progress
    }
    fn counts(&self) -> ReadCounts {
        self.batch.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live, walk};
    use crate::trace::read::TraceReader;

    /// Everything that a log gives out, and how it ends.
    fn all(mut items: impl Items) -> (Vec<String>, Ending, ReadCounts) {
        let mut seen = Vec::new();
        while let Some(item) = items.next_item().unwrap() {
            seen.push(format!("{item:?}"));
        }
        (seen, items.ending().clone(), items.counts())
    }

    #[test]
    fn what_is_read_ahead_is_what_is_read() {
        let trace = live(&walk(90), 40);
        let mut damaged = trace.clone();
        damaged[trace.len() * 3 / 10] ^= 4;
        let cut = trace[..trace.len() / 2].to_vec();
        for bytes in [trace, damaged, cut] {
            let len = bytes.len() as u64;
            let open = || TraceReader::new(std::io::Cursor::new(bytes.clone()), len).unwrap();
            let (direct, ahead) = (all(open()), all(Ahead::new(open()).unwrap()));
            assert!(direct.0.len() > 100, "{}", direct.0.len());
            assert_eq!(direct, ahead);
        }
    }

    #[test]
    fn nobody_has_to_read_to_the_end() {
        let trace = live(&walk(200), 0);
        let len = trace.len() as u64;
        let mut ahead = Ahead::new(TraceReader::new(std::io::Cursor::new(trace), len).unwrap()).unwrap();
        assert!(ahead.next_item().unwrap().is_some());
        assert_eq!(*ahead.ending(), Ending::NotReached);
    }
}
