//! An independent reader opens our traces: the `@mcap/core` package of npm, streaming and by its index, with CRC
//! validation on.
//!
//! Skips, and says so, where `node` or its `@mcap/core` and `@mcap/support` are not there (`NODE_PATH` says where they
//! are).

use osmose_model::ids::Seq;
use osmose_model::input::{Input, Tag};
use osmose_model::site::SourceFile;
use osmose_model::time::LogicalNs;
use osmose_replay::trace::codec::Encoder;
use osmose_replay::trace::format::{Meta, Origin, Topic};
use osmose_replay::trace::write::{Packing, TraceWriter};
use std::process::Command;

const SCRIPT: &str = r#"
const { McapIndexedReader, McapStreamReader } = require("@mcap/core");
const { loadDecompressHandlers } = require("@mcap/support");
const { readFileSync } = require("fs");
(async () => {
  const decompressHandlers = await loadDecompressHandlers();
  const bytes = new Uint8Array(readFileSync(process.argv[1]));
  const readable = {
    size: async () => BigInt(bytes.length),
    read: async (offset, length) => bytes.slice(Number(offset), Number(offset + length)),
  };
  const count = (counts, topic) => (counts[topic] = (counts[topic] ?? 0) + 1);
  const indexed = {};
  const reader = await McapIndexedReader.Initialize({ readable, decompressHandlers });
  for await (const message of reader.readMessages()) {
    const channel = reader.channelsById.get(message.channelId);
    const schema = reader.schemasById.get(channel.schemaId);
    if (schema.encoding !== "flatbuffer" || schema.data.length === 0) throw new Error("schema of " + channel.topic);
    count(indexed, channel.topic);
  }
  const streamed = {}, topics = new Map(), attachments = [];
  const stream = new McapStreamReader({ decompressHandlers, validateCrcs: true });
  stream.append(bytes);
  for (let record; (record = stream.nextRecord()); ) {
    if (record.type === "Channel") topics.set(record.id, record.topic);
    if (record.type === "Message") count(streamed, topics.get(record.channelId));
    if (record.type === "Attachment") attachments.push(record.name);
  }
  if (!stream.done()) throw new Error("the stream does not end where the file does");
  const sorted = (o) => Object.fromEntries(Object.entries(o).sort());
  console.log(JSON.stringify({ attachments, indexed: sorted(indexed), streamed: sorted(streamed) }));
})().catch((e) => { console.error(e); process.exit(1); });
"#;

#[test]
fn the_javascript_reader_agrees_with_crc_validation() {
    let there = Command::new("node")
        .args(["-e", "require('@mcap/core'); require('@mcap/support')"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !there {
        println!("skipped: node with the packages @mcap/core and @mcap/support is not there");
        return;
    }
    let (schemas, mut encoder) = (Encoder::schemas(), Encoder::default());
    let dir = tempfile::tempdir().unwrap();
    for (name, packing) in [("none", Packing::None), ("lz4", Packing::Lz4), ("zstd", Packing::Zstd)] {
        let path = dir.path().join(name);
        let files = [SourceFile { path: "site.toml".to_owned(), text: "name = \"x\"".to_owned() }];
        let meta = Meta::new(Origin::Live, "two rooms");
        let mut writer = TraceWriter::create(&path, &meta, &files, &schemas, packing).unwrap();
        for i in 0..4000u64 {
            let at = LogicalNs(i as i64 * 1000);
            let tag = Tag { at, seq: Seq(i + 1) };
            let topic = Topic::ALL[(i % 8) as usize];
            let filler = vec![i as u8; (i % 300) as usize];
            let payload = if topic == Topic::Input { encoder.input(tag, &Input::Tick) } else { &filler };
            writer.append(topic, at, at, tag.seq, payload).unwrap();
        }
        writer.finish().unwrap();
        let out = Command::new("node").args(["-e", SCRIPT]).arg(&path).output().unwrap();
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
        let seen: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        for how in ["indexed", "streamed"] {
            let counts = seen[how].as_object().unwrap();
            assert!(counts.len() == 8 && counts.values().all(|n| n == 500), "{name}, {how}: {seen}");
        }
        assert_eq!(seen["attachments"], serde_json::json!(["site/site.toml"]), "{name}");
    }
}
