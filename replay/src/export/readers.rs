//! What other programs make of the exports: the published protocol buffers of Perfetto and of Foxglove, as PyPI has them,
//! read what was written with nothing left over.
//!
//! Each skips, and says so, where `python3` or its packages are not there.

use crate::export::{foxglove::foxglove, perfetto::timeline};
use crate::testing::{live, walk};
use crate::trace::recording::Recording;
use std::path::Path;
use std::process::Command;

/// Runs a script on a file; `None` where what it imports is not there.
fn python(imports: &str, script: &str, file: &Path) -> Option<String> {
    let run = |args: &[&str]| Command::new("python3").args(args).arg(file).output().ok();
    if !run(&["-c", imports]).is_some_and(|o| o.status.success()) {
        println!("skipped: python3 cannot `{imports}`");
        return None;
    }
    let out = run(&["-c", script])?;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// No field is unknown, every event's track is described, slices are inside each other, counters count.
const PERFETTO: &str = r"
import sys, collections
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as p
from google.protobuf.unknown_fields import UnknownFieldSet
trace = p.Trace()
trace.ParseFromString(open(sys.argv[1], 'rb').read())
def known(message):
    assert len(UnknownFieldSet(message)) == 0, message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in [value] if isinstance(value, type(message)) or hasattr(value, 'ListFields') else value:
                known(one)
known(trace)
tracks, counts, open_slices = {}, collections.Counter(), collections.defaultdict(list)
for packet in trace.packet:
    if packet.HasField('track_descriptor'):
        assert packet.track_descriptor.uuid not in tracks
        tracks[packet.track_descriptor.uuid] = packet.track_descriptor
assert all(d.parent_uuid in tracks or d.HasField('process') for d in tracks.values())
events = sorted((q for q in trace.packet if q.HasField('track_event')), key=lambda q: q.timestamp)
for packet in events:
    event = packet.track_event
    track, kind = tracks[event.track_uuid], p.TrackEvent.Type.Name(event.type)
    counts[kind] += 1
    assert packet.trusted_packet_sequence_id == trace.packet[0].trusted_packet_sequence_id
    if kind == 'TYPE_COUNTER':
        assert track.HasField('counter') and event.counter_value >= 0
    elif kind == 'TYPE_SLICE_BEGIN':
        assert event.name
        open_slices[event.track_uuid].append(packet.timestamp)
    elif kind == 'TYPE_SLICE_END':
        assert packet.timestamp > open_slices[event.track_uuid].pop()
    else:
        assert kind == 'TYPE_INSTANT', kind
assert not any(open_slices.values())
print(counts['TYPE_SLICE_BEGIN'], counts['TYPE_SLICE_END'], counts['TYPE_COUNTER'])
";

#[test]
fn perfettos_own_messages_read_the_timeline() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("walk.mcap"), dir.path().join("walk.pftrace"));
    std::fs::write(&path, live(&walk(30), 0)).unwrap();
    let (bytes, commands) = timeline(Recording::open(&path).unwrap(), &mut ()).unwrap();
    std::fs::write(&out, bytes).unwrap();
    let imports = "import google.protobuf, perfetto.protos.perfetto.trace.perfetto_trace_pb2";
    let Some(said) = python(imports, PERFETTO, &out) else { return };
    let counts: Vec<u64> = said.split(' ').map(|n| n.parse().unwrap()).collect();
    assert!(commands > 5 && counts[..2] == [commands, commands] && counts[2] > 5, "{said}");
}

/// Every message is one of Foxglove's, by the JSON form of its protocol buffers: a field or type that it lacks is an error.
/// (In that form alone times are texts; Foxglove's JSON schemas have them in seconds and nanoseconds.)
const FOXGLOVE: &str = r"
import collections, datetime, json, sys
from google.protobuf import json_format
from mcap.reader import make_reader
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from foxglove_schemas_protobuf.GeoJSON_pb2 import GeoJSON
from foxglove_schemas_protobuf.Log_pb2 import Log
kinds = {'foxglove.SceneUpdate': SceneUpdate, 'foxglove.GeoJSON': GeoJSON, 'foxglove.Log': Log}
def texts(value, key=''):
    if isinstance(value, list):
        return [texts(v) for v in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {'sec', 'nsec'}:
        return {k: texts(v, k) for k, v in value.items()}
    if key == 'lifetime':
        return '%d.%09ds' % (value['sec'], value['nsec'])
    at = datetime.datetime.fromtimestamp(value['sec'], datetime.timezone.utc)
    return at.strftime('%Y-%m-%dT%H:%M:%S') + '.%09dZ' % value['nsec']
counts = collections.Counter()
with open(sys.argv[1], 'rb') as f:
    for schema, _, message in make_reader(f, validate_crcs=True).iter_messages():
        read = json_format.Parse(json.dumps(texts(json.loads(message.data))), kinds[schema.name]())
        counts[schema.name] += 1
        if schema.name == 'foxglove.SceneUpdate':
            entity = read.entities[0]
            assert entity.timestamp.ToNanoseconds() == message.log_time
            assert len(entity.spheres) == len(entity.texts)
print(counts['foxglove.SceneUpdate'], counts['foxglove.GeoJSON'], counts['foxglove.Log'])
";

#[test]
fn foxgloves_own_messages_read_the_scenes_the_plan_and_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("walk.mcap"), dir.path().join("fox.mcap"));
    std::fs::write(&path, live(&walk(10), 0)).unwrap();
    let exported = foxglove(Recording::open(&path).unwrap(), &out, &mut ()).unwrap();
    let imports = "import mcap, lz4, google.protobuf, foxglove_schemas_protobuf.SceneUpdate_pb2";
    let Some(said) = python(imports, FOXGLOVE, &out) else { return };
    assert_eq!(said, format!("{} 1 {}", exported.scenes, exported.lines));
}
