//! What a replay's page is told of a whole recording: its timeline, whether it is verified, and where another one parts
//! from it. Each is a pass that takes long, and runs beside the player.

use crate::chronicle::seconds;
use crate::outlet::Outlet;
use crate::tell::Names;
use crate::what_if::Beside;
use osmose_model::device::ActuatorKind;
use osmose_model::site::Site;
use osmose_model::time::LogicalNs;
use osmose_replay::diff::traces::{Told, compare};
use osmose_replay::diff::{Change, Difference};
use osmose_replay::drive::{self, Options, Watch};
use osmose_replay::timeline::{MarkKind, Timeline};
use osmose_replay::trace::recording::{Items, Recording};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;

/// Stops a long pass when its page is gone.
pub(crate) struct Gone<'a>(pub(crate) &'a Outlet);

impl Watch for Gone<'_> {
    fn progress(&mut self, _: u64, _: u64, _: LogicalNs) -> ControlFlow<()> {
        if self.0.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The `lanes` message.
pub(crate) fn lanes(t: &Timeline, site: &Site) -> Value {
    let at = |bin: usize| {
        let length = t.span.1.since(t.span.0).0;
        seconds(LogicalNs(t.span.0.0 + (i128::from(length) * bin as i128 / t.bins.max(1) as i128) as i64))
    };
    let mut rooms: Vec<(u64, Value)> = Vec::new();
    for lane in &t.lanes {
        let zone = &site.zones[lane.zone.index()];
        if matches!(zone.category.as_str(), "geofence" | "cell") {
            continue;
        }
        let (mut steps, mut before) = (Vec::new(), None);
        for (bin, n) in lane.people.iter().enumerate() {
            if before != Some(*n) {
                steps.push(json!([at(bin), n]));
                before = Some(*n);
            }
        }
        let most = lane.people.iter().max().copied().unwrap_or(0);
        let recorder = site.actuators.iter().find(|a| a.kind == ActuatorKind::Recorder && a.zone == Some(lane.zone));
        let spans = recorder.and_then(|r| t.devices.iter().find(|d| d.device == r.id)).map(|d| {
            let ends = d.changes.iter().skip(1).map(|c| c.0).chain([t.span.1]);
            d.changes
                .iter()
                .zip(ends)
                .map(|((from, state), to)| json!([seconds(*from), seconds(to), state.as_str()]))
                .collect::<Vec<_>>()
        });
        // Rooms whose recorder was at work come first, then those where most happens.
        let changes = steps.len() as u64;
        let rank = if spans.as_ref().is_some_and(|s| s.len() > 1) { u64::MAX } else { changes };
        rooms.push((
            rank,
            json!({"zone": zone.name, "name": zone.label, "most": most, "steps": steps, "recorder": spans}),
        ));
    }
    rooms.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    let troubles: Vec<Value> = t
        .marks
        .iter()
        .filter(|m| matches!(m.kind, MarkKind::Dead | MarkKind::Gap | MarkKind::Shed))
        .map(
            |m| json!({"kind": m.kind.as_str(), "from_s": seconds(m.at), "to_s": m.until.map(seconds), "text": m.text}),
        )
        .collect();
    json!({"type": "lanes", "rooms": rooms.into_iter().map(|(_, r)| r).collect::<Vec<_>>(), "troubles": troubles})
}

/// The `verified` message: the code again on the whole recording, every decision compared.
pub(crate) fn verified(path: &Path, page: &Outlet) -> Value {
    let failed = |why: String| json!({"type": "verified", "ok": false, "equal": 0, "of": 0, "why": why});
    let run = || -> Result<drive::Summary, String> {
        let recording = Recording::open(path).map_err(|e| e.to_string())?;
        let workshop = drive::Osmose::of_files(recording.files()).map_err(|e| e.to_string())?;
        let options = Options { verify: true, ..Options::default() };
        let replay = drive::Replay::new(recording, workshop, options).map_err(|e| e.to_string())?;
        replay.run(&mut Gone(page)).map_err(|e| e.to_string())
    };
    match run() {
        Err(why) => failed(why),
        Ok(summary) => {
            let c = summary.checked;
            let of = c.events + c.commands + c.digests + c.keyframes;
            let ok = summary.exit_status() == 0;
            let words = summary.render();
            let why = words.lines().last().unwrap_or_default();
            json!({"type": "verified", "ok": ok, "equal": of.saturating_sub(u64::from(!ok)), "of": of, "why": why})
        }
    }
}

/// The `compare` message: where two recordings part.
pub(crate) fn differences(path: &Path, other: &Beside) -> Value {
    let found = || -> Result<Value, String> {
        // On the page the two are called so; where their files lie is nobody's concern.
        let told =
            |path: &Path, name| Ok::<_, String>(Told::read(path, &mut ()).map_err(|e| e.to_string())?.called(name));
        let (a, b) = (told(path, "A")?, told(&other.path, "B")?);
        let diff = compare(&a, &b, (path, &other.path), &mut ()).map_err(|e| e.to_string())?;
        let told = diff.to_json();
        let list: Vec<Value> = diff
            .differences
            .iter()
            .zip(told["differences"].as_array().into_iter().flatten())
            .map(|(d, t)| difference(d, t, [&a, &b]))
            .collect();
        let causes = told["cause"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let from_s = list.first().filter(|_| other.is_what_if).map(|d| d["at_s"].clone());
        Ok(json!({"type": "compare", "name": other.name, "note": other.note, "from_s": from_s,
            "list": list, "counts": {"a": told["a"]["commands"], "b": told["b"]["commands"], "equal": told["same"]},
            "facts": causes.map(|c| json!(["Cause", c])).collect::<Vec<_>>()}))
    };
    found().unwrap_or_else(|why| {
        json!({"type": "compare", "name": other.name, "note": why, "from_s": null, "list": [],
        "counts": {"a": 0, "b": 0, "equal": 0}})
    })
}

fn difference(d: &Difference<'_>, told: &Value, [a, b]: [&Told; 2]) -> Value {
    let (mark, key, side, command) = match d.change {
        Change::Gone => ("−", "a", a.side(), d.a),
        Change::New => ("+", "b", b.side(), d.b),
        Change::Moved | Change::Altered => ("Δ", "b", b.side(), d.b),
    };
    let moved = match (d.a, d.b) {
        (Some(a), Some(b)) if d.change == Change::Moved => {
            let ms = b.at.since(a.at).0 as f64 / 1e6;
            format!(", {:.0} ms {}", ms.abs(), if ms < 0.0 { "earlier" } else { "later" })
        }
        _ => String::new(),
    };
    let names = Names { site: side.site, book: side.book };
    let why = command.map_or_else(String::new, |c| format!("{}{moved}: {}", names.sender(c), names.why(c)));
    json!({"at_s": seconds(d.at), "mark": mark, "title": told[key]["command"], "a": told["a"]["id"], "b": told["b"]["id"],
        "text": why})
}
