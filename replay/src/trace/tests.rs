//! The file format as a whole: what is written is read; what is cut or changed is noticed, and never a panic.

use super::format::{Meta, Origin, Topic};
use super::read::{Ending, Item, OpenError, TraceReader};
use super::write::{Packing, Schemas, TraceWriter, WriteError};
use osmose_model::ids::Seq;
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use proptest::prelude::*;

const SCHEMAS: Schemas<'static> =
    Schemas { tables: ["t.A", "t.B", "t.C", "t.D", "t.E", "t.F", "t.G", "t.H"], bfbs: b"reflection" };

/// A record with an owner: topic, log time, sequence, payload.
type Row = (Topic, u64, u32, Vec<u8>);

fn rows(n: u64) -> Vec<Row> {
    (0..n)
        .map(|i| {
            let topic = Topic::ALL[(i % 8) as usize];
            let payload = (0..(i * 37 % 90)).map(|b| (b as u8).wrapping_mul(i as u8)).collect();
            (topic, i * 1_000_000, i as u32, payload)
        })
        .collect()
}

fn files() -> Vec<SourceFile> {
    ["site.toml", "rules/a.rules"]
        .map(|path| SourceFile { path: path.to_owned(), text: format!("# {path}\nname = \"two rooms\"\n") })
        .to_vec()
}

/// A trace of `rows`, with a new chunk behind every `per_chunk`.
fn written(rows: &[Row], per_chunk: usize, packing: Packing) -> Vec<u8> {
    let mut writer =
        TraceWriter::new(Vec::new(), &Meta::new(Origin::Live, "two rooms"), &files(), &SCHEMAS, packing).unwrap();
    for (i, (topic, at, seq, payload)) in rows.iter().enumerate() {
        let at = LogicalNs(*at as i64);
        writer.append(*topic, at, at, Seq(u64::from(*seq)), payload).unwrap();
        if (i + 1) % per_chunk == 0 {
            writer.flush().unwrap();
        }
    }
    writer.finish().unwrap()
}

#[derive(Debug)]
struct Outcome {
    rows: Vec<Row>,
    unchecked: usize,
    damage: usize,
    ending: Ending,
    head: (Meta, Vec<SourceFile>),
}

fn read(bytes: &[u8]) -> Result<Outcome, OpenError> {
    let mut reader = TraceReader::new(bytes, bytes.len() as u64)?;
    let (mut rows, mut unchecked, mut damage) = (Vec::new(), 0, 0);
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Record(r) => {
                assert_eq!(r.log_time, r.publish_time);
                unchecked += usize::from(!r.checked);
                rows.push((r.topic, r.log_time, r.sequence, r.data.to_vec()));
            }
            Item::Damage(_) => damage += 1,
        }
    }
    assert_eq!(damage, reader.damage().len());
    let head = (reader.meta().clone(), reader.files().to_vec());
    Ok(Outcome { rows, unchecked, damage, ending: reader.ending().clone(), head })
}

#[test]
fn what_is_written_is_read_in_every_packing() {
    for packing in [Packing::None, Packing::Lz4, Packing::Zstd] {
        let want = rows(500);
        let got = read(&written(&want, 60, packing)).unwrap();
        assert_eq!(got.rows, want);
        assert_eq!((got.unchecked, got.damage, got.ending), (0, 0, Ending::Whole));
        assert_eq!(got.head.0, Meta::new(Origin::Live, "two rooms"));
        let mut files = files();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(got.head.1, files);
    }
}

#[test]
fn large_records_and_the_chunk_limit_go_through() {
    let want = vec![
        (Topic::Keyframe, 1, 1, vec![7; 1_000_000]),
        (Topic::Input, 2, 2, vec![]),
        (Topic::Keyframe, 3, 3, vec![9; 300_000]),
    ];
    for packing in [Packing::None, Packing::Lz4] {
        assert_eq!(read(&written(&want, 100, packing)).unwrap().rows, want);
    }
}

#[test]
fn every_cut_opens_to_the_last_whole_record() {
    let want = rows(40);
    for packing in [Packing::None, Packing::Lz4] {
        let whole = written(&want, 10, packing);
        let (mut opened, mut seen, mut salvaged) = (0, 0, 0);
        for cut in 0..whole.len() {
            let Ok(got) = read(&whole[..cut]) else {
                assert_eq!(opened, 0, "cut at {cut}: a longer piece must open where a shorter did");
                continue;
            };
            opened += 1;
            assert_eq!(got.rows, want[..got.rows.len()], "cut at {cut}: a prefix, unchanged");
            assert!(got.rows.len() >= seen, "cut at {cut}: fewer records than of a shorter piece");
            seen = got.rows.len();
            salvaged += usize::from(got.unchecked > 0);
            assert_eq!(got.damage, 0, "cut at {cut}: a cut is no damage");
            let Ending::Cut { whole_bytes, left_bytes, unchecked_records, only_index } = got.ending else {
                panic!("cut at {cut}: {:?}", got.ending);
            };
            assert_eq!(whole_bytes + left_bytes, cut as u64);
            assert_eq!(unchecked_records as usize, got.unchecked);
            assert!(!only_index || seen == want.len());
        }
        assert_eq!(seen, want.len());
        assert!(opened > whole.len() / 2);
        // A plain chunk gives its whole records up to the cut; a packed one up to its last whole block.
        assert!(packing != Packing::None || salvaged > 100, "{salvaged}");
    }
}

#[test]
fn a_changed_chunk_is_left_out_and_the_next_one_read() {
    let want = rows(30);
    let mut bytes = written(&want, 10, Packing::None);
    // The payload of record 14, in the second chunk.
    let needle = &want[14].3;
    let at = bytes.windows(needle.len()).position(|w| w == needle.as_slice()).unwrap();
    bytes[at] ^= 1;
    let got = read(&bytes).unwrap();
    assert_eq!(got.damage, 2, "the chunk and the data section");
    assert_eq!(got.rows, [&want[..10], &want[20..]].concat());
    assert_eq!(got.ending, Ending::Whole);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_is_found_or_harmless(at in any::<prop::sample::Index>(), bit in 0u8..8, lz4 in any::<bool>()) {
        let want = rows(24);
        let packing = if lz4 { Packing::Lz4 } else { Packing::None };
        let mut bytes = written(&want, 8, packing);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(got) = read(&bytes)
            && got.damage == 0
            && got.ending == Ending::Whole
        {
            prop_assert_eq!(got.rows, want, "byte {} bit {}", at, bit);
            prop_assert_eq!(got.head.0, Meta::new(Origin::Live, "two rooms"));
            prop_assert_eq!(got.head.1.len(), 2);
        }
    }

    #[test]
    fn any_bytes_behind_a_whole_head_are_read_without_panic(
        keep in any::<prop::sample::Index>(), tail in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = written(&rows(6), 3, Packing::Lz4);
        bytes.truncate(keep.index(bytes.len()));
        bytes.extend(tail);
        let _ = read(&bytes);
    }
}

#[test]
fn a_recording_is_private_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mcap");
    let meta = Meta::new(Origin::Live, "two rooms");
    let writer = TraceWriter::create(&path, &meta, &files(), &SCHEMAS, Packing::Lz4).unwrap();
    writer.finish().unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let before = std::fs::read(&path).unwrap();
    let again = TraceWriter::create(&path, &meta, &files(), &SCHEMAS, Packing::Lz4);
    assert!(matches!(again, Err(WriteError::Exists(_))));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_waiting_record_is_flushed_in_time_and_an_idle_writer_is_left_alone() {
    let path = tempfile::tempdir().unwrap().keep().join("a.mcap");
    let meta = Meta::new(Origin::Live, "two rooms");
    let mut writer = TraceWriter::create(&path, &meta, &files(), &SCHEMAS, Packing::None).unwrap();
    let size = || std::fs::metadata(&path).unwrap().len();
    let head = size();
    assert!(head > 0, "the head is there at once");
    assert!(!writer.poll_flush(0).unwrap());
    writer.append(Topic::Input, LogicalNs(5), LogicalNs(5), Seq(1), b"one").unwrap();
    assert!(!writer.poll_flush(100_000_000).unwrap());
    assert_eq!(size(), head);
    assert!(writer.poll_flush(200_000_000).unwrap());
    let flushed = size();
    assert!(flushed > head);
    assert!(!writer.poll_flush(900_000_000).unwrap(), "nothing waits");
    assert_eq!(size(), flushed);
    // What was flushed is whole, though the writer never ends the file.
    let got = read(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((got.rows.len(), got.unchecked), (1, 0));
    drop(writer);
    assert_eq!(read(&std::fs::read(&path).unwrap()).unwrap().ending, Ending::Whole);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn what_is_no_trace_is_refused_with_its_reason() {
    assert!(matches!(read(b"hello").unwrap_err(), OpenError::NotMcap));
    let mut other = mcap::Writer::new(std::io::Cursor::new(Vec::new())).unwrap();
    other.finish().unwrap();
    let bytes = other.into_inner().into_inner();
    assert!(matches!(read(&bytes).unwrap_err(), OpenError::NotATrace(why) if why.contains("another program")));
    let mut meta = Meta::new(Origin::Live, "x");
    meta.schema_version += 1;
    let bytes = TraceWriter::new(Vec::new(), &meta, &[], &SCHEMAS, Packing::None).unwrap().finish().unwrap();
    assert!(matches!(read(&bytes).unwrap_err(), OpenError::TooNew { found: 2 }));
}
