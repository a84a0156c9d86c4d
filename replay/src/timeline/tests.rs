//! A timeline says what the recording holds: people as the core counted them, every command, every silence.

use super::*;
use crate::player::Player;
use crate::testing::{imported, live, rewritten, walk};
use osmose_model::world::WorldView;

fn read(trace: &[u8], bins: usize) -> (Timeline, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("walk.mcap");
    std::fs::write(&path, trace).unwrap();
    (Timeline::read(&path, bins, &mut ()).unwrap(), dir)
}

#[test]
fn people_are_counted_as_the_core_counted_them() {
    let (line, dir) = read(&live(&walk(40), 50), 80);
    let mut player = Player::open(&dir.path().join("walk.mcap")).unwrap();
    let mut most = vec![vec![0_u16; line.bins]; player.site().zones.len()];
    let (mut last, mut standing) = (0, vec![0_u16; player.site().zones.len()]);
    let mut take = |at: LogicalNs, view: &dyn WorldView| {
        let bin = line.bin_of(at);
        for (zone, row) in most.iter_mut().enumerate() {
            // A column holds what was there when it began, too.
            row[last..=bin].iter_mut().for_each(|n| *n = (*n).max(standing[zone]));
            standing[zone] = view.count_in(ZoneId(zone as u16)).seen as u16;
            row[bin] = row[bin].max(standing[zone]);
        }
        last = bin;
    };
    take(player.now(), &player.machine().view());
    player.advance(line.span.1, &mut |s| take(s.tag.at, &s.machine.view())).unwrap();
    assert!(line.lanes.len() >= 2, "people were in both rooms");
    for lane in &line.lanes {
        assert_eq!(lane.people, most[lane.zone.index()], "zone {}", lane.zone);
    }
    for (zone, row) in most.iter().enumerate() {
        let told = line.lanes.iter().any(|l| l.zone.index() == zone);
        assert_eq!(told, row.iter().any(|n| *n > 0));
    }
}

/// A cut says of its stretch what the whole says of it: who is in the rooms when it begins, what devices are, which
/// sensors were heard.
#[test]
fn a_cut_begins_with_who_is_where() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, part) = (dir.path().join("whole.mcap"), dir.path().join("part.mcap"));
    std::fs::write(&whole, live(&walk(40), 50)).unwrap();
    let (from, to) = (LogicalNs(12_000_000_001), LogicalNs(30_000_000_000));
    crate::surgery::cut::cut(&mut Recording::open(&whole).unwrap(), from, to, &part, &mut ()).unwrap();
    let line = Timeline::read(&part, 60, &mut ()).unwrap();
    let mut player = Player::open(&whole).unwrap();
    player.seek(line.span.0).unwrap();
    let mut somebody = 0;
    for zone in &player.site().zones {
        let people = u32::from(line.lanes.iter().find(|l| l.zone == zone.id).map_or(0, |l| l.people[0]));
        assert!(people >= player.machine().view().count_in(zone.id).seen, "{}: {people}", zone.name);
        somebody += people;
    }
    assert!(somebody > 0, "the walk is never without anybody");
    // One never speaks, and the cut says so from its beginning on; the others speak all the time.
    let office = player.site().sensor_named("ceiling-office");
    let dead: Vec<_> = line.marks.iter().filter(|m| m.kind == MarkKind::Dead).map(|m| (m.sensor, m.at)).collect();
    assert_eq!(dead, [(office, line.span.0)]);
    // A player of it is where one of the whole is, wherever it is sent.
    let mut cut = Player::open(&part).unwrap();
    let told = |p: &Player| {
        let mut text = format!("{:?}", p.last());
        p.machine().view().for_each_occupant(&mut |o| text += &format!("{o:?}"));
        text
    };
    for at in [29.0, 12.5, 20.0, 12.0, 28.0] {
        let at = LogicalNs((at * 1e9) as i64).max(line.span.0);
        cut.seek(at).unwrap();
        player.seek(at).unwrap();
        assert_eq!(told(&cut), told(&player), "at {at} s");
    }
    assert_eq!(cut.caution(), None);
}

#[test]
fn every_command_and_installation_is_a_mark_and_marks_are_found_from_anywhere() {
    let trace = live(&walk(40), 50);
    let (line, dir) = read(&trace, 10);
    let mut player = Player::open(&dir.path().join("walk.mcap")).unwrap();
    let mut commands = Vec::new();
    player.advance(line.span.1, &mut |s| commands.extend(s.out.commands.iter().map(|c| c.id))).unwrap();
    let of = |kind: MarkKind| line.marks.iter().filter(move |m| m.kind == kind);
    let told: Vec<CommandId> = line.marks.iter().filter_map(|m| m.command).collect();
    assert!(told.ends_with(&commands) && told.len() > 4, "{told:?} {commands:?}");
    assert!(line.marks.windows(2).all(|w| w[0].at <= w[1].at));
    assert_eq!(of(MarkKind::Rules).count(), 1);
    let pause = of(MarkKind::Command).find(|m| m.text.contains("meeting.recorder.pause")).unwrap();
    assert_eq!((pause.rule.as_deref(), pause.level.as_deref()), (Some("pause"), Some("privacy")));
    assert!(pause.text.contains("leaves meeting") && pause.track.is_some() && pause.zone.is_some());
    assert_eq!(line.mark_of(pause.command.unwrap()), Some(pause));
    assert_eq!((pause.took, of(MarkKind::Late).count()), (None, 0), "no running engine: nothing is known of latency");
    let lane = line.devices.iter().find(|d| Some(d.device) == pause.device).unwrap();
    assert!(lane.changes.iter().any(|(at, state)| *at == pause.at && *state == "paused"));
    assert!(line.wall.is_some());
    let is_command = |m: &Mark| m.kind == MarkKind::Command;
    let next = line.next(pause.at, is_command).unwrap();
    assert!(next.at > pause.at && line.previous(next.at, is_command).unwrap().at < next.at);
    assert_eq!(line.previous(line.span.0, |_| true), None);
    let import = dir.path().join("import.mcap");
    std::fs::write(&import, imported(&walk(3))).unwrap();
    assert!(matches!(Timeline::read(&import, 10, &mut ()), Err(WalkError::Import)));
}

#[test]
fn silences_and_damage_are_marked_with_their_ends() {
    let trace = live(&walk(40), 50);
    let site = crate::testing::workshop().site().clone();
    // The ceiling sensor says nothing from the tenth to the twentieth second.
    let ceiling = site.sensor_named("ceiling-meeting").unwrap();
    let most = site.sensors[ceiling.index()].silence_max().expect("it is periodic");
    let silent = rewritten(
        &trace,
        None,
        |_, record, data| {
            let of_it = matches!(record, Record::Input { tag, input } if (10..20).contains(&(tag.at.0 / 1_000_000_000))
                && input.observation().is_some_and(|o| o.sensor == ceiling));
            (!of_it).then(|| data.to_vec())
        },
        |n| n % 40 == 0,
    );
    let (line, _dir) = read(&silent, 10);
    let dead: Vec<&Mark> =
        line.marks.iter().filter(|m| m.kind == MarkKind::Dead && m.sensor == Some(ceiling)).collect();
    assert_eq!(dead.len(), 1, "{dead:?}");
    let (from_s, until_s) = (dead[0].at.0 as f64 / 1e9, dead[0].until.unwrap().0 as f64 / 1e9);
    let dead_s = 9.8 + most.0 as f64 / 1e9;
    assert!((from_s - dead_s).abs() < 0.3 && (until_s - 20.0).abs() < 0.3, "{from_s} {until_s} {dead_s}");
    // A cut file says where it ends.
    let cut = &trace[..trace.len() * 2 / 3];
    let (line, _dir) = read(cut, 10);
    assert!(line.marks.iter().any(|m| m.kind == MarkKind::Gap && m.text.contains("cut")), "{:?}", line.marks.last());
}
