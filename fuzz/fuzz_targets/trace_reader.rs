//! Any bytes as a trace file: refused, or read to an end, its index too. The first byte says what the rest is: a file as
//! it is, or changes to a whole trace, so that checksums and lengths are met from inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use osmose_replay::trace::codec::{self, Encoder};
use osmose_replay::trace::format::{Meta, Origin, Topic};
use osmose_replay::trace::read::{Ending, Item, TraceReader};
use osmose_replay::trace::write::{Packing, Schemas, TraceWriter};
use std::io::Cursor;
use std::sync::OnceLock;

/// A small trace of a few chunks in each packing.
fn whole(packing: Packing) -> Vec<u8> {
    let files = [SourceFile { path: "site.toml".to_owned(), text: "name = \"x\"".to_owned() }];
    let schemas = Schemas { tables: Encoder::schemas().tables, bfbs: b"small" };
    let meta = Meta::new(Origin::Live, "x");
    let mut writer = TraceWriter::new(Vec::new(), &meta, &files, &schemas, packing).expect("memory");
    let mut encoder = Encoder::default();
    for i in 0..40u64 {
        let tag = Tag { at: LogicalNs(i as i64 * 1000), seq: Seq(i + 1) };
        let (topic, bytes) = match i % 8 {
            3 => (Topic::Keyframe, encoder.keyframe(tag, &[7; 60])),
            5 => (Topic::Counter, encoder.counter(tag.at, "recorder", "recorder_lost", i)),
            _ => (Topic::Input, encoder.input(tag, &Input::Tick)),
        };
        writer.append(topic, tag.at, tag.at, tag.seq, bytes).expect("memory");
        if i % 10 == 9 {
            writer.flush().expect("memory");
        }
    }
    writer.finish().expect("memory")
}

/// Everything that a reader gives out; `None` where it refuses the file.
fn read(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, bool)> {
    let mut reader = TraceReader::new(Cursor::new(bytes), bytes.len() as u64).ok()?;
    let index = reader.index().expect("memory");
    let _ = reader.keyframe_before(LogicalNs(i64::MAX), &index).expect("memory");
    let (mut records, mut scan) = (Vec::new(), ScanBuf::new());
    let mut damaged = false;
    while let Some(item) = reader.next_item().expect("memory") {
        match item {
            Item::Damage(_) => damaged = true,
            Item::Record(raw) => {
                let _ = std::hint::black_box(codec::decode(&raw, &mut scan));
                records.push(raw.data.to_vec());
            }
        }
    }
    assert_ne!(*reader.ending(), Ending::NotReached);
    Some((records, damaged || *reader.ending() != Ending::Whole))
}

fuzz_target!(|bytes: &[u8]| {
    static WHOLE: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let Some((&how, rest)) = bytes.split_first() else { return };
    let wholes = WHOLE.get_or_init(|| [whole(Packing::None), whole(Packing::Lz4)]);
    let Some(base) = wholes.get(usize::from(how % 3)) else {
        let _ = read(rest);
        return;
    };
    // Three bytes are one change: where, and to what; two more at the end are a cut.
    let mut changed = base.clone();
    for change in rest.chunks_exact(3).take(8) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    if let [a, b] = *rest.chunks_exact(3).remainder() {
        changed.truncate(usize::from(u16::from_le_bytes([a, b])) % (base.len() + 1));
    }
    // What no checksum finds is what was written.
    if let Some((records, false)) = read(&changed) {
        assert_eq!(Some((records, false)), read(base));
    }
});
