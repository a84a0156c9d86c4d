//! An independent reader opens our traces: the `mcap` package of PyPI, with CRC validation on, streaming and seeking.
//!
//! Skips, and says so, where `python3` or its `mcap` is not there.

use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use osmose_replay::trace::codec::Encoder;
use osmose_replay::trace::format::{Meta, Origin, Topic};
use osmose_replay::trace::write::{Packing, TraceWriter};
use std::process::Command;

const SCRIPT: &str = r#"
import json, sys
from mcap.reader import NonSeekingReader, SeekingReader
out = {}
for kind, reader_of in (("streaming", NonSeekingReader), ("seeking", SeekingReader)):
    with open(sys.argv[1], "rb") as f:
        reader = reader_of(f, validate_crcs=True)
        counts, encodings, last = {}, set(), -1
        for schema, channel, message in reader.iter_messages():
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
            assert schema.name.lower() == "osmose.trace." + channel.topic, schema.name
            assert channel.topic != "input" or 20 <= len(message.data) < 100
            encodings.add((schema.name, schema.encoding, channel.message_encoding, len(schema.data)))
            assert message.log_time >= last
            last = message.log_time
    # A streaming reader answers one query only.
    def every(query):
        with open(sys.argv[1], "rb") as f:
            return list(query(reader_of(f, validate_crcs=True)))
    out[kind] = {
        "counts": counts, "schemas": len(encodings), "last": last,
        "attachments": sorted(a.name for a in every(lambda r: r.iter_attachments())),
        "site": [m.metadata["site"] for m in every(lambda r: r.iter_metadata())],
    }
assert out["streaming"] == out["seeking"], out
print(json.dumps(out["seeking"], sort_keys=True))
"#;

#[test]
fn the_python_reader_agrees_with_crc_validation() {
    let python = |args: &[&str]| Command::new("python3").args(args).output().ok().filter(|o| o.status.success());
    if python(&["-c", "import mcap, lz4, zstandard"]).is_none() {
        println!("skipped: python3 with the packages mcap, lz4 and zstandard is not there");
        return;
    }
    let (schemas, mut encoder) = (Encoder::schemas(), Encoder::default());
    let dir = tempfile::tempdir().unwrap();
    for (name, packing) in [("none", Packing::None), ("lz4", Packing::Lz4), ("zstd", Packing::Zstd)] {
        let path = dir.path().join(name);
        let files = [SourceFile { path: "site.toml".to_owned(), text: "name = \"x\"".to_owned() }];
        let meta = Meta::new(Origin::Live, "two rooms");
        let mut writer = TraceWriter::create(&path, &meta, &files, &schemas, packing).unwrap();
        for i in 0..5000u64 {
            let at = LogicalNs(i as i64 * 1000);
            let tag = Tag { at, seq: Seq(i + 1) };
            let topic = Topic::ALL[(i % 8) as usize];
            let filler = vec![i as u8; (i % 300) as usize];
            let payload = if topic == Topic::Input { encoder.input(tag, &Input::Tick) } else { &filler };
            writer.append(topic, at, at, tag.seq, payload).unwrap();
        }
        writer.finish().unwrap();
        let out = Command::new("python3").args(["-c", SCRIPT]).arg(&path).output().unwrap();
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
        let want = "{\"attachments\": [\"site/site.toml\"], \"counts\": {\"command\": 625, \"counter\": 625, \
                    \"digest\": 625, \"event\": 625, \"input\": 625, \"keyframe\": 625, \"latency\": 625, \
                    \"name\": 625}, \"last\": 4999000, \"schemas\": 8, \"site\": [\"two rooms\"]}";
        assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), want, "{name}");
    }
}
