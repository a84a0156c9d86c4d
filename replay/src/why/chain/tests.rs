//! Every command of a trace is explained down to what sensors saw.

use super::*;
use crate::testing::{live, walk};
use crate::trace::codec::{self, Record};
use crate::trace::read::Item;
use crate::why::parse_id;
use osmose_model::observation::ScanBuf;

fn commands(path: &Path) -> Vec<Command> {
    let mut recording = Recording::open(path).unwrap();
    let (mut scan, mut all) = (ScanBuf::new(), Vec::new());
    while let Some(item) = recording.next_item().unwrap() {
        let Item::Record(raw) = item else { continue };
        if let Record::Command(c) = codec::decode(&raw, &mut scan).unwrap() {
            all.push(*c);
        }
    }
    all
}

#[test]
fn a_pause_is_explained_down_to_the_frames_that_moved_the_person() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("walk.mcap");
    std::fs::write(&path, live(&walk(30), 40)).unwrap();
    let pause = commands(&path).into_iter().find(|c| c.verb == "pause").expect("somebody leaves");
    let why = why(&path, pause.id, &mut ()).unwrap();
    let text = why.render();
    assert_eq!(why.caution, None, "{text}");
    let of = |kind: &'static str| why.links.iter().filter(move |l| l.kind == kind);
    assert!(of("rule").any(|l| l.text.starts_with("pause, level privacy, rules/first.rules:2")), "{text}");
    assert!(of("rule").any(|l| l.text.contains("leaves meeting") && l.origin == Origin::Recorded), "{text}");
    let condition = of("condition").next().unwrap();
    assert!(condition.text.contains("any p in members(staff) leaves meeting (rules/first.rules:3:"), "{text}");
    assert!(of("identity").count() + of("track").count() >= 2, "{text}");
    let frames: Vec<&Link> = of("frame").collect();
    assert!(frames.len() > 3, "{text}");
    assert_eq!(frames[0].seq, Some(pause.id.seq.0), "the deciding one comes first: {text}");
    assert!(frames[1..].iter().all(|f| f.origin == Origin::Recorded && f.text.contains("tags")), "{text}");
    // Each arrived when it was measured; the sensor's own account says so too, and that it is alive.
    assert!(frames[1..].iter().all(|f| f.latency == Some(DurationNs::ZERO)), "{text}");
    let tags = of("sensor").find(|l| l.text.starts_with("tags;")).unwrap_or_else(|| panic!("{text}"));
    assert!(tags.text.contains("silent for 100.000 ms at most") && tags.text.contains("; alive"), "{text}");
    assert!(why.answer[0].contains("pause sent meeting.recorder.pause()"), "{text}");
    assert!(why.answer[0].contains("leaves meeting"), "{text}");
    assert!(why.answer[1].contains("0.000 ms until it arrived, 0.000 ms that the rule waited"), "{text}");
    assert_eq!(why.answer.len(), 2, "nothing was late: {text}");
    assert!(why.to_json()["chain"][0]["time_of_day"].is_string(), "the walk has a wall clock");
    // Each is a frame of the person's own tag, every 100 ms.
    let times: Vec<i64> = frames[1..].iter().map(|f| f.at.unwrap().0 / 1_000_000).collect();
    assert!(times.windows(2).all(|w| w[0] - w[1] == 100), "{times:?}");
    assert_eq!(why.to_json()["chain"][0]["kind"], "command");
    assert_eq!(why.to_json()["command"]["command"], "pause");
}

#[test]
fn every_command_of_a_walk_has_its_chain_and_what_is_none_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("walk.mcap");
    std::fs::write(&path, live(&walk(12), 0)).unwrap();
    let all = commands(&path);
    assert!(all.len() > 2);
    for c in &all {
        let why = why(&path, c.id, &mut ()).unwrap();
        assert_eq!(why.caution, None, "{}", why.render());
        assert!(why.links.iter().any(|l| l.kind == "frame"), "{}", why.render());
    }
    let error = why(&path, parse_id("5.7").unwrap(), &mut ()).unwrap_err().to_string();
    assert!(error.contains("no command 5.7"), "{error}");
    assert!(matches!(parse_id("m7"), Err(WhyError::Id(_))));
}
