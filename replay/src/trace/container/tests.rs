//! The writer against the `mcap` crate's: plain files are equal to the byte, packed ones hold the same.

use super::*;
use mcap::write::NoSeek;
use proptest::prelude::*;

const ENCODING: &str = "flatbuffer";

/// What a file is made of, between its head and its end.
#[derive(Clone, Debug)]
enum Step {
    Message(MessageHeader, Vec<u8>),
    Metadata(String),
    Attachment(String, Vec<u8>),
    Flush,
}

fn table(channel: usize) -> String {
    format!("table.T{channel}")
}

fn ours(steps: &[Step], packing: Packing, target_bytes: usize) -> Vec<u8> {
    let mut out = Container::new(Vec::new(), "p", "lib/1", packing, target_bytes).unwrap();
    for topic in Topic::ALL {
        out.channel(topic.index() as u16 + 1, topic.as_str(), &table(topic.index()), ENCODING, b"schema");
    }
    for step in steps {
        match step {
            Step::Message(header, data) => out.message(header, data),
            Step::Metadata(value) => out.metadata("m", &BTreeMap::from([("k".to_owned(), value.clone())])),
            Step::Attachment(name, data) => out.attachment(name, "text/plain", data),
            Step::Flush => out.flush(),
        }
        .unwrap();
    }
    out.finish().unwrap()
}

fn the_crates(steps: &[Step], packing: Packing, target_bytes: usize) -> Vec<u8> {
    let options = mcap::WriteOptions::new()
        .profile("p")
        .library("lib/1")
        .compression(match packing {
            Packing::None => None,
            Packing::Lz4 => Some(mcap::Compression::Lz4),
            Packing::Zstd => Some(mcap::Compression::Zstd),
        })
        .compression_threads(0)
        .chunk_size(Some(target_bytes as u64))
        .disable_seeking(true);
    let mut out = options.create(NoSeek::new(Vec::new())).unwrap();
    for topic in Topic::ALL {
        let schema = out.add_schema(&table(topic.index()), ENCODING, b"schema").unwrap();
        out.add_channel(schema, topic.as_str(), ENCODING, &BTreeMap::new()).unwrap();
    }
    for step in steps {
        match step {
            Step::Message(header, data) => out.write_to_known_channel(header, data),
            Step::Metadata(value) => out.write_metadata(&mcap::records::Metadata {
                name: "m".to_owned(),
                metadata: BTreeMap::from([("k".to_owned(), value.clone())]),
            }),
            Step::Attachment(name, data) => out.attach(&mcap::Attachment {
                log_time: 0,
                create_time: 0,
                name: name.clone(),
                media_type: "text/plain".to_owned(),
                data: data.into(),
            }),
            Step::Flush => out.flush(),
        }
        .unwrap();
    }
    out.finish().unwrap();
    out.into_inner().into_inner()
}

/// A message as a reader gives it: topic, sequence, log and publish time, data.
type Read = (String, u32, u64, u64, Vec<u8>);

fn read(bytes: &[u8]) -> Vec<Read> {
    mcap::MessageStream::new(bytes)
        .unwrap()
        .map(|message| message.unwrap())
        .map(|m| (m.channel.topic.clone(), m.sequence, m.log_time, m.publish_time, m.data.to_vec()))
        .collect()
}

/// The messages that the indexes lead to, sorted: the crate gives channels in no order.
fn found(bytes: &[u8]) -> Vec<Read> {
    let summary = mcap::Summary::read(bytes).unwrap().unwrap();
    let mut all = Vec::new();
    // The first chunk may hold schemas and channels only: the crate finds no index of messages there.
    for chunk in summary.chunk_indexes.iter().filter(|chunk| !chunk.message_index_offsets.is_empty()) {
        for (channel, entries) in summary.read_message_indexes(bytes, chunk).unwrap() {
            for entry in entries {
                let m = summary.seek_message(bytes, chunk, &entry).unwrap();
                assert_eq!((&m.channel.topic, m.log_time), (&channel.topic, entry.log_time));
                all.push((m.channel.topic.clone(), m.sequence, m.log_time, m.publish_time, m.data.to_vec()));
            }
        }
    }
    all.sort_unstable();
    all
}

fn step() -> impl Strategy<Value = Step> {
    let data = || proptest::collection::vec(any::<u8>(), 0..300);
    let message = (1..=CHANNELS as u16, any::<u32>(), any::<u64>(), any::<u64>(), data()).prop_map(
        |(channel_id, sequence, log_time, publish_time, data)| {
            Step::Message(MessageHeader { channel_id, sequence, log_time, publish_time }, data)
        },
    );
    prop_oneof![
        20 => message,
        1 => "[a-z]{0,9}".prop_map(Step::Metadata),
        1 => ("[a-z]{1,9}", data()).prop_map(|(name, data)| Step::Attachment(name, data)),
        1 => Just(Step::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_plain_file_is_the_crates_to_the_byte(
        steps in proptest::collection::vec(step(), 0..80), target_bytes in 1usize..4000,
    ) {
        let (ours, theirs) = (ours(&steps, Packing::None, target_bytes), the_crates(&steps, Packing::None, target_bytes));
        prop_assert!(ours == theirs, "{} and {} bytes", ours.len(), theirs.len());
    }

    #[test]
    fn a_packed_file_holds_what_the_crates_does(
        steps in proptest::collection::vec(step(), 0..80), target_bytes in 1usize..4000, lz4 in any::<bool>(),
    ) {
        let packing = if lz4 { Packing::Lz4 } else { Packing::Zstd };
        let (ours, theirs) = (ours(&steps, packing, target_bytes), the_crates(&steps, packing, target_bytes));
        let mut want: Vec<Read> = (steps.iter())
            .filter_map(|step| match step {
                Step::Message(h, data) => Some((h, data)),
                _ => None,
            })
            .map(|(h, data)| {
                let topic = Topic::ALL[usize::from(h.channel_id) - 1].to_string();
                (topic, h.sequence, h.log_time, h.publish_time, data.clone())
            })
            .collect();
        prop_assert_eq!(&read(&ours), &want);
        prop_assert_eq!(&read(&theirs), &want);
        want.sort_unstable();
        prop_assert_eq!(&found(&ours), &want);
        prop_assert_eq!(&found(&theirs), &want);
        let [ours, theirs] = [&ours, &theirs].map(|bytes| mcap::Summary::read(bytes).unwrap().unwrap());
        prop_assert_eq!(ours.stats, theirs.stats);
        prop_assert_eq!(ours.channels, theirs.channels);
        prop_assert_eq!(ours.schemas, theirs.schemas);
    }
}

#[test]
fn many_blocks_of_one_chunk_are_read_back() {
    // Records larger than a block of LZ4, alone and behind small ones; some bytes pack well and some not at all.
    let noise = |n: u32| (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<u8>>();
    let steps: Vec<Step> = [noise(10), vec![7; 1_000_000], noise(200_000), vec![], noise(65_536)]
        .into_iter()
        .zip(1u32..)
        .map(|(data, sequence)| {
            let header = MessageHeader { channel_id: 5, sequence, log_time: 9, publish_time: 8 };
            Step::Message(header, data)
        })
        .collect();
    for packing in [Packing::None, Packing::Lz4, Packing::Zstd] {
        let bytes = ours(&steps, packing, 4 << 20);
        assert_eq!(read(&bytes).len(), 5);
        assert_eq!(read(&bytes), read(&the_crates(&steps, packing, 4 << 20)));
    }
}

/// Takes so many bytes, and no more.
struct Full {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for &mut Full {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let n = buf.len().min(self.room - self.bytes.len());
        if n == 0 && !buf.is_empty() {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn nothing_is_written_behind_a_failed_write() {
    let header = MessageHeader { channel_id: 1, sequence: 1, log_time: 1, publish_time: 1 };
    let mut disk = Full { bytes: Vec::new(), room: 300 };
    let mut out = Container::new(&mut disk, "p", "lib/1", Packing::None, 100).unwrap();
    out.channel(1, "input", "t", ENCODING, b"schema");
    let mut failed = 0;
    for _ in 0..50 {
        let result = out.message(&header, &[1; 40]);
        assert!(failed == 0 || result.is_err(), "it goes on as if nothing had been");
        failed += usize::from(result.is_err());
    }
    assert!(failed > 30, "{failed}");
    assert!(out.flush().is_err() && out.metadata("m", &BTreeMap::new()).is_err());
    // There is room again: what is written now would stand behind half a record.
    out.sink.out.as_mut().unwrap().room = usize::MAX;
    assert!(out.finish().is_err());
    assert_eq!(disk.bytes.len(), 300);
}
