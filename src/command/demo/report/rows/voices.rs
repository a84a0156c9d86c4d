//! What speakers say, and to whom: arrivals guided (A1), one told (A5), the barista's music (I7), the podcast (I8).

use super::super::{Log, Seen, Sent};
use super::{
    Row, Span, during, entered_to_report, members, missing, ms, name_of, share, silences, speaker_of, steps, union,
};
use osmose_model::command::Value;
use osmose_model::device::ActuatorKind;
use osmose_model::geometry::{Area, Point};
use osmose_model::ids::{ActuatorId, PersonId, ZoneId};
use osmose_model::site::{CELL, Zone};
use osmose_model::time::{ArrivalNs, DurationNs};

/// A hand-over from cell to cell may leave so much silence, milliseconds.
const HANDOVER_MAX_MS: f64 = 20.0;
/// A word may come so long before somebody is truly in the cell that it is for: belief is a little ahead at times.
const BEFORE_ENTRY: DurationNs = DurationNs::from_ms(500);
/// What a belief may be ahead of the truth by: a sample of a ceiling sensor.
const SAMPLE_NS: i64 = 80_000_000;
/// A customer looks at the counter whose heading is within this of the direction to the barista, radians.
const LOOKS_RAD: f64 = 0.7;

/// A1: each arrival is guided through the cells of their way, and nobody else is spoken to.
pub(super) fn guided(log: &Log) -> Row {
    let is_way = |a: ActuatorId| {
        log.site.actuators[a.index()].cells.len() == 1 && log.site.actuators[a.index()].name != "beam-focus"
    };
    let ways: Vec<(ZoneId, ActuatorId)> =
        log.site.zones.iter().filter_map(|z| Some((z.id, speaker_of(log, z.id)?))).filter(|w| is_way(w.1)).collect();
    let (goals, mut people) = ([log.zone("m7"), log.zone("workshop")], 0);
    let (mut passed, mut heard, mut gaps, mut notes) = (0, 0, Vec::new(), Vec::new());
    for (group, goal) in ["project-x", "makers"].iter().zip(goals) {
        for person in members(log, group) {
            let Some(arrives) =
                goal.and_then(|g| log.crossings.iter().find(|c| c.zone == g && c.person == Some(person) && c.entered))
            else {
                continue;
            };
            let is_told = |s: &&Sent| {
                let to = s.command.args.iter().find(|(n, _)| *n == "for").map(|(_, v)| *v);
                s.rule.starts_with("guide") && to == Some(Value::Person(person))
            };
            // From the first word to them: who is not known yet is told nothing.
            let Some(first) = log.sent.iter().find(is_told).map(|s| ArrivalNs(s.command.at.0)) else { continue };
            let mut way = Vec::new();
            for &(cell, speaker) in &ways {
                let spans = log.spans(speaker, "playing");
                for (_, who, from, to) in log.stays(cell) {
                    if who == Some(person) && from < arrives.at && to > first {
                        // Theirs is the word that was sent for them, from then on: not what is still said to another.
                        let near = from.minus(BEFORE_ENTRY)..to;
                        let to_them = log
                            .sent
                            .iter()
                            .filter(is_told)
                            .find(|s| s.command.device == speaker && near.contains(&ArrivalNs(s.command.at.0)));
                        let told_at = to_them.map_or(log.end, |s| ArrivalNs(s.command.at.0));
                        let sounds = spans.iter().map(|s| (s.0.max(from).max(told_at), s.1.min(to)));
                        let sounds: Vec<Span> = sounds.filter(|s| s.0 < s.1).collect();
                        way.push((from, to, sounds, speaker));
                    }
                }
            }
            way.sort_by_key(|w| w.0);
            people += 1;
            passed += way.len();
            heard += way.iter().filter(|w| !w.2.is_empty()).count();
            let who = &log.site.people[person.index()].name;
            let silent = way.iter().filter(|w| w.2.is_empty());
            notes
                .extend(silent.map(|w| format!("{who} heard nothing from {} {}", name_of(log, w.3), during(w.0, w.1))));
            let stood = union(way.iter().map(|w| (w.0.max(first), w.1)));
            let sounded = union(way.iter().flat_map(|w| w.2.iter().copied()));
            for (from, to) in silences(&stood, &sounded) {
                let gap_ms = ms(from.0, to);
                if gap_ms > HANDOVER_MAX_MS {
                    notes.push(format!("{who} heard nothing in the midst of their way {}", during(from, to)));
                }
                gaps.push(gap_ms);
            }
        }
    }
    // A word into a cell that nobody to be guided stands in, by the truth, with a step's leeway for who is just leaving.
    let guided: Vec<PersonId> = ["project-x", "makers"].iter().flat_map(|g| members(log, g)).collect();
    let stray =
        ways.iter().flat_map(|&(cell, speaker)| log.spans(speaker, "playing").into_iter().map(move |s| (cell, s)));
    // What the podcast says there is another row's.
    let is_guidance = |speaker: ActuatorId, span: Span| {
        log.sent.iter().any(|s| {
            let at = ArrivalNs(s.command.at.0);
            s.command.device == speaker && s.rule.starts_with("guide") && at < span.1 && at.0 > span.0.0 - SAMPLE_NS
        })
    };
    let stray = stray.filter(|&(cell, span)| speaker_of(log, cell).is_some_and(|a| is_guidance(a, span)));
    let stray = stray.filter(|(cell, (from, to))| {
        !log.stays(*cell).iter().any(|s| s.2 < *to && s.3 > *from && s.1.is_some_and(|p| guided.contains(&p)))
    });
    let stray: Vec<String> = stray
        .map(|(cell, (from, to))| format!("{} spoke to nobody {}", log.site.zones[cell.index()].name, during(from, to)))
        .collect();
    let strays = stray.len();
    notes.extend(stray);
    let worst = gaps.iter().copied().fold(0.0, f64::max);
    let all = members(log, "project-x").len() + members(log, "makers").len();
    let plays = log.sent.iter().filter(|s| s.rule.starts_with("guide") && s.command.verb == "play");
    Row {
        id: "A1",
        asks: "arrivals guided, each through the cells of their way",
        holds: people == all && heard * 10 >= passed * 9 && worst <= HANDOVER_MAX_MS && strays == 0,
        found: format!(
            "{} guided, heard in {} cells; longest silence between two {worst:.0} ms; {strays} words to nobody",
            share(people, all),
            share(heard, passed)
        ),
        notes,
        engine_us: steps(plays.clone()),
        human_ms: plays.filter_map(|s| entered_to_report(log, s, "playing")).collect(),
        rules: vec![],
    }
}

/// A5: a message by the beam that is aimed at one; no other beam of the room is active, and nobody else stands in it.
pub(super) fn told(log: &Log) -> Row {
    let plays: Vec<&Sent> =
        log.sent.iter().filter(|s| s.rule.starts_with("tell-ana") && s.command.verb == "play").collect();
    let (mut others, mut alone, mut notes) = (0, 0, Vec::new());
    for s in &plays {
        let at = ArrivalNs(s.command.at.0 + 20_000_000);
        let is_room = |z: &Zone| z.category == CELL && speaker_of(log, z.id) == Some(s.command.device);
        let inside = log.site.zones.iter().filter(|z| is_room(z)).map(|z| log.inside(z.id, at));
        let ana = log.person("ana");
        let truly = ana.and_then(|a| log.whole.iter().rev().find(|t| t.0 <= at && t.2 == Some(a)));
        let place = truly.map_or_else(|| "nowhere".to_owned(), |t| format!("at {:.2}, {:.2}", t.3.at.x_m, t.3.at.y_m));
        notes.push(format!("{} spoke at {:.2} s; ana was {place}", name_of(log, s.command.device), at.0 as f64 / 1e9));
        alone += usize::from(inside.clone().any(|who| who.len() == 1 && who[0].1 == ana));
        let zone = log.site.actuators[s.command.device.index()].zone;
        let speakers = log.site.actuators.iter().filter(|a| a.kind == ActuatorKind::Speaker && a.zone == zone);
        let other = speakers.filter(|a| a.id != s.command.device);
        others += other.filter(|a| log.spans(a.id, "playing").iter().any(|p| p.0 <= at && at < p.1)).count();
    }
    let visitor = log.zone("lobby").and_then(|lobby| {
        let walt = log.person("walt");
        log.crossings.iter().find(|c| c.zone == lobby && c.person == walt && c.entered).map(|c| c.at)
    });
    let human = plays.iter().filter_map(|s| {
        let from = visitor?;
        log.said(s.command.device, "state", "playing", s.command.at.0).map(|r| ms(from.0, r))
    });
    Row {
        id: "A5",
        asks: "a message to one, by the beam aimed at them",
        holds: plays.len() == 1 && alone == 1 && others == 0,
        found: format!(
            "{} message, {alone} into a beam with ana alone in it; {others} other beams active",
            plays.len()
        ),
        notes,
        engine_us: plays.iter().map(|s| s.step_us).collect(),
        human_ms: human.collect(),
        rules: vec![],
    }
}

/// I7: the music pauses for a customer who faces the counter, not for one who passes; an order ducks it.
pub(super) fn music(log: &Log) -> Row {
    let (Some(counter), Some(barista)) = (log.zone("counter-zone"), log.zone("barista-zone")) else {
        return missing("I7");
    };
    let pauses: Vec<&Sent> = log.sent_by("attention", "pause").collect();
    let barista = &log.site.zones[barista.index()].area;
    let looks = |s: &Seen| !s.walks && facing(s.place.at, s.heading_rad, barista, LOOKS_RAD);
    let (mut customers, mut answered, mut passers, mut human, mut notes) = (0, 0, 0, Vec::new(), Vec::new());
    let mut called: Vec<i64> = Vec::new();
    for (id, _, from, to) in log.stays(counter) {
        let seen: Vec<&Seen> = log.seen.iter().filter(|s| s.id == id && from <= s.at && s.at < to).collect();
        // Standing and looking for half a second is wanting something.
        let wants = seen.windows(9).find(|w| w.iter().all(|s| looks(s))).map(|w| w[0].at);
        let Some(since) = wants else {
            passers += 1;
            continue;
        };
        customers += 1;
        called.push(since.0);
        // Paused already, or silent since it burns: there is no music to pause.
        let is_quiet = log
            .device("cafe.music")
            .is_some_and(|d| !log.spans(d, "playing").iter().any(|s| s.0 <= since && since < s.1));
        let answer = pauses.iter().find(|s| (since.0..to.0).contains(&s.command.at.0));
        if let Some(s) = answer {
            answered += 1;
            human.extend(log.said(s.command.device, "state", "paused", s.command.at.0).map(|r| ms(since.0, r)));
        } else if is_quiet {
            answered += 1;
        } else {
            notes.push(format!("#{id} stood and looked, and the music played on {}", during(since, to)));
        }
    }
    // A pause while nobody truly stood and looked.
    let needless = pauses.iter().filter(|s| {
        let near = |t: ArrivalNs| (s.command.at.0 - 700_000_000..=s.command.at.0).contains(&t.0);
        // The sensor's error is not held against it.
        let about = |p: &Seen| !p.walks && facing(p.place.at, p.heading_rad, barista, LOOKS_RAD + 0.3);
        !log.seen.iter().any(|p| near(p.at) && about(p))
    });
    let needless: Vec<String> =
        needless.map(|s| format!("a pause for nobody at {:.2} s", s.command.at.0 as f64 / 1e9)).collect();
    notes.extend(needless.iter().cloned());
    let needless = needless.len();
    // Whoever stands between two cells is in both, and is told once in each.
    let orders = || log.sent.iter().filter(|s| s.rule.starts_with("order-"));
    let ducks = orders().filter(|s| s.command.verb == "play").count();
    let ben = log.person("ben");
    let only_ben = orders().filter(|s| s.command.verb == "play").filter(|s| {
        let at = ArrivalNs(s.command.at.0);
        let cells = log.site.zones.iter().filter(|z| speaker_of(log, z.id) == Some(s.command.device));
        cells.into_iter().any(|z| log.inside(z.id, at).iter().any(|w| w.1 == ben))
            && log.zone("barista-zone").is_some_and(|z| log.inside(z, at).iter().all(|w| w.1 == ben))
    });
    let only_ben = only_ben.count();
    let turned_down = orders()
        .any(|s| s.command.args.iter().any(|(n, v)| *n == "volume" && matches!(v, Value::Number(x) if *x <= 20.0)));
    Row {
        id: "I7",
        asks: "the barista's music pauses for a customer who faces the counter; a message ducks it",
        holds: customers > 0
            && answered == customers
            && passers > 0
            && needless == 0
            && ducks > 0
            && only_ben == ducks
            && turned_down,
        found: format!(
            "{} customers; {passers} passed without looking, {needless} pauses for nobody; {} order to ben alone, music down",
            share(answered, customers),
            share(only_ben, ducks)
        ),
        notes,
        engine_us: pauses.iter().map(|s| s.step_us).collect(),
        human_ms: human,
        rules: vec![],
    }
}

fn facing(at: Point, heading_rad: f64, area: &Area, within_rad: f64) -> bool {
    let edges = area.parts.iter().flat_map(|p| p.segments());
    let near = edges.map(|s| s.nearest(at)).min_by(|a, b| a.distance2(at).total_cmp(&b.distance2(at)));
    let Some(to) = near else { return false };
    let (sin, cos) = heading_rad.sin_cos();
    let (x, y) = (to.x_m - at.x_m, to.y_m - at.y_m);
    (cos * y - sin * x).atan2(cos * x + sin * y).abs() <= within_rad
}

/// I8: the lone worker's podcast, which goes with them from cell to cell, and its end with their leaving the last.
pub(super) fn podcast(log: &Log) -> Row {
    let (Some(seat), Some(beam)) = (log.zone("focus-seat"), log.device("beam-focus")) else { return missing("I8") };
    let plays: Vec<&Sent> =
        log.sent.iter().filter(|s| s.rule.starts_with("podcast") && s.command.verb == "play").collect();
    let mut speakers: Vec<ActuatorId> = plays.iter().map(|s| s.command.device).chain([beam]).collect();
    speakers.sort_unstable();
    speakers.dedup();
    let cells: Vec<(ZoneId, ActuatorId)> = log
        .site
        .zones
        .iter()
        .filter_map(|z| Some((z.id, speaker_of(log, z.id)?)))
        .filter(|c| speakers.contains(&c.1))
        .collect();
    let mut notes = Vec::new();
    // Each word of it begins in a cell with one person in it, give or take a sample.
    let alone = plays.iter().filter(|s| {
        let cell = cells.iter().find(|c| c.1 == s.command.device);
        let there = cell.map_or(0, |c| log.inside(c.0, ArrivalNs(s.command.at.0 + SAMPLE_NS)).len());
        if there != 1 {
            notes.push(format!(
                "{} played at {:.2} s to {there}",
                name_of(log, s.command.device),
                s.command.at.0 as f64 / 1e9
            ));
        }
        there == 1
    });
    let alone = alone.count();
    let (mut ways, mut rooms, mut stopped, mut human, mut silent_ms) = (0, 0, 0, Vec::new(), 0.0_f64);
    for (id, _, _, up) in log.stays(seat).iter().filter(|s| s.3 < log.end) {
        // The lone worker's, for whom it plays: who was there when it began. Who passes through the seat of somebody is none.
        let hears = |s: &Span| s.0 < *up && *up < s.1 && log.inside(seat, s.0).iter().any(|w| w.0 == *id);
        if !log.spans(beam, "playing").iter().any(hears) {
            continue;
        }
        // From the seat on, as long as one cell follows on another: where they stood, and what sounded there.
        let stays = cells.iter().flat_map(|&(cell, speaker)| {
            log.stays(cell).into_iter().filter(|s| s.0 == *id).map(move |s| (s.2, s.3, speaker))
        });
        let stays: Vec<(ArrivalNs, ArrivalNs, ActuatorId)> = stays.collect();
        let stood = union(stays.iter().map(|s| (s.0, s.1)));
        let Some(&(from, end)) = stood.iter().find(|s| s.0 < *up && *up <= s.1) else { continue };
        ways += 1;
        let mut sounds = Vec::new();
        let mut zones = Vec::new();
        for (a, b, speaker) in stays.iter().filter(|s| s.1 > from && s.0 < end) {
            let spans = log.spans(*speaker, "playing");
            let heard = spans.iter().map(|s| (s.0.max(*a), s.1.min(*b))).filter(|s| s.0 < s.1);
            let heard: Vec<Span> = heard.collect();
            if !heard.is_empty() {
                zones.extend(log.site.actuators[speaker.index()].zone.map(|z| room_of(log, z)));
            }
            sounds.extend(heard);
        }
        zones.sort_unstable();
        zones.dedup();
        rooms = rooms.max(zones.len());
        // Beside somebody else they are not alone, and it rightly stops.
        let beside = |at: ArrivalNs| {
            let there = cells.iter().map(|c| log.inside(c.0, ArrivalNs(at.0 - SAMPLE_NS)));
            there.into_iter().any(|who| who.len() > 1 && who.iter().any(|w| w.0 == *id))
        };
        for (a, b) in silences(&[(from, end)], &union(sounds.into_iter())).into_iter().filter(|s| !beside(s.0)) {
            silent_ms = silent_ms.max(ms(a.0, b));
            if ms(a.0, b) > HANDOVER_MAX_MS {
                notes.push(format!("the podcast was silent {}", during(a, b)));
            }
        }
        // Every cell of it is silent when they are gone.
        let last =
            cells.iter().flat_map(|c| log.spans(c.1, "playing")).filter(|s| s.0 < end && s.1 > end).map(|s| s.1).max();
        let last = last.unwrap_or(end);
        human.push(ms(end.0, last));
        stopped += usize::from(last.0 - end.0 < 1_000_000_000);
    }
    let stops = log.sent.iter().filter(|s| {
        matches!(s.rule.as_str(), "podcast-stops" | "silence-behind") && speakers.contains(&s.command.device)
    });
    Row {
        id: "I8",
        asks: "a podcast that goes with the lone worker from cell to cell, and stops when they leave the last",
        holds: !plays.is_empty()
            && alone == plays.len()
            && ways > 0
            && stopped == ways
            && rooms >= 2
            && silent_ms <= HANDOVER_MAX_MS,
        found: format!(
            "{} words to one alone; {ways} way through {rooms} rooms, longest silence {silent_ms:.0} ms; {} stopped with the last cell",
            share(alone, plays.len()),
            share(stopped, ways)
        ),
        notes,
        engine_us: steps(stops),
        human_ms: human,
        rules: vec![],
    }
}

/// The room that a zone lies in; itself where it is one.
fn room_of(log: &Log, zone: ZoneId) -> ZoneId {
    let zone = &log.site.zones[zone.index()];
    if zone.is_part() {
        return zone.id;
    }
    let middle = zone.area.aabb().map(|b| Point::new((b.min.x_m + b.max.x_m) / 2.0, (b.min.y_m + b.max.y_m) / 2.0));
    let is_room = |z: &&Zone| z.is_part() && z.level == zone.level && middle.is_some_and(|m| z.area.contains(m));
    log.site.zones.iter().find(is_room).map_or(zone.id, |z| z.id)
}
