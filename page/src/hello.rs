//! The first message: the site as it is drawn. Sent once to every page.

use crate::tell::Names;
use osmose_model::geometry::{Area, Point, Polygon, Segment};
use osmose_model::ids::{LevelId, RuleId};
use osmose_model::site::{Attribute, Site, Zone};
use serde_json::{Map, Value, json};

/// How far beside a wall is looked for rooms, metres.
const BESIDE_M: f64 = 0.3;

/// What a page is fed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A running engine.
    Live,
    /// A recording.
    Replay,
}

/// The order of a track's values in a snapshot.
pub const TRACK_FIELDS: [&str; 14] = [
    "id",
    "level",
    "x_m",
    "y_m",
    "vx_mps",
    "vy_mps",
    "facing_rad",
    "sigma_major_m",
    "sigma_minor_m",
    "sigma_angle_rad",
    "person",
    "person_p",
    "lost_s",
    "zones",
];

/// The message, with what else the mode has to say.
#[must_use]
pub fn hello(names: Names<'_>, mode: Mode, seq: u64, more: Map<String, Value>) -> Value {
    let site = names.site;
    let mut all = json!({
        "v": 1,
        "type": "hello",
        "mode": match mode { Mode::Live => "live", Mode::Replay => "replay" },
        "site": site.name,
        "seq": seq,
        "budget_us": site.engine.budget_us,
        "plan": plan(site),
        "sensors": site.sensors.iter().map(|s| json!({
            "id": s.name, "kind": s.kind.as_str(), "role": s.role.map(|r| r.as_str()), "level": level(site, s.level),
            "x_m": round(s.pose.x_m), "y_m": round(s.pose.y_m), "heading_rad": round(s.pose.heading_rad),
            "zones": s.zones.iter().map(|z| names.zone(*z)).collect::<Vec<_>>(),
            "field_of_view": s.field_of_view.as_ref().map(|f| ring(&f.outer)),
            "rate_hz": s.rate_hz, "unit": s.unit.map(|u| u.as_str()),
        })).collect::<Vec<_>>(),
        "actuators": site.actuators.iter().map(|a| {
            let cells: Map<String, Value> = a.cells.iter().map(|c| (c.name.clone(), ring(&c.area.outer))).collect();
            json!({
                "id": a.name, "kind": a.kind.as_str(), "zone": a.zone.map(|z| names.zone(z)),
                "level": a.level.map(|l| level(site, l)), "x_m": a.pose.map(|p| round(p.x_m)),
                "y_m": a.pose.map(|p| round(p.y_m)), "safe": a.safe.map(|n| n.to_string()),
                "default": a.default.map(|n| n.to_string()), "cells": cells,
            })
        }).collect::<Vec<_>>(),
        "rules": rules(names),
        "people": site.people.iter().map(|p| json!({
            "id": p.name, "groups": p.groups.iter().map(|g| &site.groups[g.index()].name).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "track_fields": TRACK_FIELDS,
    });
    if let Some(all) = all.as_object_mut() {
        all.extend(more);
    }
    all
}

/// The rules in force: name, level, budget, place and text.
#[must_use]
pub fn rules(names: Names<'_>) -> Value {
    let Some(program) = names.book.program() else { return json!([]) };
    let one = |i: usize| {
        let id = RuleId(i as u16);
        let place = names.book.place(id);
        json!({
            "id": names.book.name(id), "level": names.level(Some(id)), "budget_us": names.budget_us(Some(id)),
            "interlock": program.rules()[i].interlock, "file": place.as_ref().map(|p| &p.file),
            "line": place.as_ref().map(|p| p.line), "text": names.book.text(id),
        })
    };
    (0..program.rules().len()).map(one).collect()
}

fn level(site: &Site, id: LevelId) -> &str {
    site.levels.get(id.index()).map_or("?", |l| &l.name)
}

fn round(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

fn point(p: &Point) -> Value {
    json!([round(p.x_m), round(p.y_m)])
}

fn ring(points: &[Point]) -> Value {
    points.iter().map(point).collect()
}

/// Every ring of an area, outer ones and holes: drawn with the even-odd rule.
fn rings(area: &Area) -> Value {
    let of = |p: &Polygon| std::iter::once(&p.outer).chain(&p.holes).map(|r| ring(r)).collect::<Vec<_>>();
    area.parts.iter().flat_map(of).collect()
}

fn segment(s: &Segment) -> Value {
    json!([round(s.a.x_m), round(s.a.y_m), round(s.b.x_m), round(s.b.y_m)])
}

fn is_fence(zone: &Zone) -> bool {
    matches!(zone.category.as_str(), "geofence" | "cell")
}

fn zone(site: &Site, z: &Zone) -> Value {
    let capacity = match z.attributes.get("capacity") {
        Some(Attribute::Number(n)) if *n > 0.0 => Some(*n),
        _ => None,
    };
    json!({
        "id": z.name, "name": z.label, "category": z.category, "level": level(site, z.level), "capacity": capacity,
        "rings": rings(&z.area), "connects": z.connects.iter().map(|l| level(site, *l)).collect::<Vec<_>>(),
    })
}

/// Whether one side of a wall is no room of the level: then it is an outer one.
fn is_outer(site: &Site, at: LevelId, s: &Segment) -> bool {
    let (dx, dy) = (s.b.x_m - s.a.x_m, s.b.y_m - s.a.y_m);
    let length = dx.hypot(dy);
    if length <= 0.0 {
        return false;
    }
    let (nx, ny) = (-dy / length * BESIDE_M, dx / length * BESIDE_M);
    let (mx, my) = ((s.a.x_m + s.b.x_m) / 2.0, (s.a.y_m + s.b.y_m) / 2.0);
    let is_room = |p: Point| site.zones.iter().any(|z| z.level == at && !is_fence(z) && z.area.contains(p));
    !is_room(Point::new(mx + nx, my + ny)) || !is_room(Point::new(mx - nx, my - ny))
}

/// Levels, rooms, doors, walls, furniture and fences.
#[must_use]
pub fn plan(site: &Site) -> Value {
    let (fences, units): (Vec<&Zone>, Vec<&Zone>) = site.zones.iter().partition(|z| is_fence(z));
    let walls = site.walls.iter().flat_map(|w| w.segments.iter().map(move |s| (w, s)));
    json!({
        "levels": site.levels.iter().map(|l| json!({
            "id": l.name, "name": l.label, "ordinal": l.ordinal, "rings": rings(&l.outline),
        })).collect::<Vec<_>>(),
        "units": units.iter().map(|z| zone(site, z)).collect::<Vec<_>>(),
        // What speakers aim at is drawn while it sounds.
        "geofences": fences.iter().filter(|z| z.category != "cell").map(|z| zone(site, z)).collect::<Vec<_>>(),
        "openings": site.openings.iter().map(|o| json!({
            "id": o.name, "level": level(site, o.level), "segments": o.segments.iter().map(segment).collect::<Vec<_>>(),
            "door": o.door, "joins": o.joins.iter().map(|z| z.map(|z| &site.zones[z.index()].name)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "fixtures": site.fixtures.iter().map(|f| json!({
            "category": f.category, "level": level(site, f.level), "outline": ring(&f.outline),
        })).collect::<Vec<_>>(),
        "walls": walls.map(|(w, s)| json!({
            "level": level(site, w.level), "at": segment(s), "glass": w.transparent && w.material != "railing",
            "railing": w.material == "railing", "outer": is_outer(site, w.level, s),
        })).collect::<Vec<_>>(),
    })
}
