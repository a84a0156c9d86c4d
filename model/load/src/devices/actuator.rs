//! `[[actuator]]`.

use super::{Reader, connect};
use crate::doc::{Fields, Range, Val};
use crate::fault::{Faults, Spot};
use crate::text::{propose, shown};
use osmose_model::device::{Actuator, ActuatorKind, Cell, LEASE_DEFAULT};
use osmose_model::ids::{ActuatorId, LevelId, Name, WallId};
use osmose_model::limits::NAME_BYTES_MAX;
use osmose_model::time::DurationNs;

/// A margin of a cell, metres.
const MARGIN_M: Range = Range::Within(0.0, 100.0);
/// Every key of an actuator.
pub(super) const KEYS: &[&str] =
    &["id", "kind", "zone", "level", "default", "safe", "lease_s", "pose", "connect", "cells", "wall"];

impl<'a> Reader<'_, 'a> {
    pub(super) fn actuator(&mut self, mut t: Fields<'a>, n: usize, faults: &mut Faults) -> Option<Actuator> {
        let name = self.id(&mut t, "actuator", faults);
        let kind = kind_of(&mut t, faults);
        let (name, kind) = (name?, kind?);
        t.over(self.defaults_of(kind.as_str()));

        let zone = t.string(faults, "zone").and_then(|(z, spot)| self.find_zone(&t, z, &spot, faults));
        // Only what says where it is has a level: a message to people is nowhere.
        let is_somewhere = zone.is_some() || t.get("level").is_some() || t.get("pose").is_some();
        let level = is_somewhere.then(|| self.level(&mut t, zone.as_slice(), faults));
        let pose = self.pose(&mut t, level.unwrap_or_default(), faults);
        let default = state(&mut t, "default", kind, faults);
        let safe = state(&mut t, "safe", kind, faults);
        let lease = lease(&mut t, safe.is_some(), faults);
        let cells = self.cells(&mut t, kind, level.unwrap_or_default(), faults);
        let wall = self.wall(&mut t, kind, level, faults);
        let connect = connect::actuator(&mut t, faults);
        t.finish(faults, &[]);
        let (id, name) = (ActuatorId(n as u16), name.to_owned());
        Some(Actuator { id, name, kind, zone, level, pose, default, safe, lease, cells, wall, connect })
    }

    /// `cells` of a speaker.
    fn cells(&self, t: &mut Fields<'a>, kind: ActuatorKind, level: LevelId, faults: &mut Faults) -> Vec<Cell> {
        let Some(val) = t.get("cells") else { return Vec::new() };
        if kind != ActuatorKind::Speaker {
            not_of_kind(t, "cells", "speaker", val, faults);
            return Vec::new();
        }
        let mut cells: Vec<Cell> = Vec::new();
        for mut c in t.tables(faults, "cells") {
            let Some((name, spot)) = c.required(faults, "name") else { continue };
            short_name(name, &spot, t, "a cell", faults);
            if cells.iter().any(|c| c.name == name) {
                let message = format!("The {} has two cells called `{}`.", t.what(), shown(name));
                faults.error("duplicate-id", &spot, t.name(), message, "Give one of them another name.");
            }
            let area = c.get("area");
            let corners = area.and_then(|a| a.as_pairs());
            let place = area.map_or_else(|| c.spot(), |a| a.spot());
            let [enter_margin_m, exit_margin_m] =
                ["enter_margin_m", "exit_margin_m"].map(|key| c.number(faults, key, MARGIN_M));
            c.finish(faults, &[]);
            let Some(corners) = corners else {
                let message = format!("The cell `{}` of {} has no `area` of corners.", shown(name), t.what());
                faults.error(
                    "wrong-type",
                    &place,
                    t.name(),
                    message,
                    "Write `area = [[x, y], [x, y], [x, y]]` in site metres.",
                );
                continue;
            };
            let what = format!("the cell `{}` of {}", shown(name), t.what());
            let Some(area) = self.polygon(t, &what, corners, &place, faults) else { continue };
            if let Some(&corner) = area
                .outer
                .iter()
                .find(|&&p| !self.plan.levels.is_empty() && self.plan.outside_m(level, p) > super::OUTSIDE_MAX_M)
            {
                self.check_place(t, corner, level, &place, faults);
            }
            cells.push(Cell { name: name.to_owned(), area, enter_margin_m, exit_margin_m });
        }
        cells
    }

    /// `wall` of a display: a wall fixture of the plan.
    fn wall(
        &self,
        t: &mut Fields<'a>,
        kind: ActuatorKind,
        level: Option<LevelId>,
        faults: &mut Faults,
    ) -> Option<WallId> {
        let val = t.get("wall")?;
        if kind != ActuatorKind::Display {
            not_of_kind(t, "wall", "display", val, faults);
            return None;
        }
        let (name, spot) = t.string(faults, "wall")?;
        let walls = &self.plan.walls;
        if let Some(wall) = walls.iter().find(|w| w.name == name) {
            if let Some(level) = level.filter(|&l| l != wall.level) {
                let of = |l: LevelId| self.plan.levels[l.index()].name.as_str();
                let message = format!(
                    "The {} is on level `{}`, but its wall `{name}` is on `{}`.",
                    t.what(),
                    of(level),
                    of(wall.level)
                );
                faults.error("level-differs", &spot, t.name(), message, "Name a wall of its own level.");
            }
            return Some(wall.id);
        }
        let other = self.plan.fixtures.iter().find(|f| f.name == name).map(|f| f.category.as_str());
        let other = other.or_else(|| self.zones.get(name).map(|_| "zone"));
        let message = match other {
            Some(sort) => format!(
                "The {} hangs on `{}`, which is no wall but a fixture or area of the sort `{sort}`.",
                t.what(),
                shown(name)
            ),
            None => format!("The {} hangs on the wall `{}`, which the plan does not have.", t.what(), shown(name)),
        };
        if !self.plan.levels.is_empty() {
            let help = propose(
                name,
                walls.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(),
                "Name a fixture of category `wall`.",
            );
            faults.error("not-a-wall", &spot, t.name(), message, help);
        }
        None
    }
}

fn not_of_kind(t: &Fields<'_>, key: &str, kind: &str, val: Val<'_>, faults: &mut Faults) {
    let message = format!("The {} has `{key}`, which only a `{kind}` has.", t.what());
    faults.error("unknown-key", &val.spot(), t.name(), message, "Take it out, or correct the kind.");
}

fn kind_of(t: &mut Fields<'_>, faults: &mut Faults) -> Option<ActuatorKind> {
    let (word, spot) = t.required(faults, "kind")?;
    let kind = ActuatorKind::from_word(word);
    if kind.is_none() {
        let message = format!("The {} has the kind `{}`, which there is not.", t.what(), shown(word));
        let help = propose(word, ActuatorKind::ALL.iter().map(|k| k.as_str()).collect::<Vec<_>>(), "");
        faults.error("unknown-kind", &spot, t.name(), message, help);
    }
    kind
}

/// A name that commands carry; `None` (and a fault) where it is too long.
fn short_name(text: &str, spot: &Spot, t: &Fields<'_>, what: &str, faults: &mut Faults) -> Option<Name> {
    let name = Name::new(text);
    if name.is_none() {
        let message = format!(
            "The name \"{}\" of {what} of {} has {} bytes; {NAME_BYTES_MAX} are the most.",
            shown(text),
            t.what(),
            text.len()
        );
        faults.error("name-too-long", spot, t.name(), message, "Shorten it.");
    }
    name
}

/// `default` or `safe`: one of the states that the kind has.
fn state(t: &mut Fields<'_>, key: &'static str, kind: ActuatorKind, faults: &mut Faults) -> Option<Name> {
    let (word, spot) = t.string(faults, key)?;
    let words = kind.properties().iter().find(|p| p.property == "state").map_or(&[] as &[&str], |p| p.words);
    if !words.is_empty() && !words.contains(&word) {
        let message = format!("`{key}` of {} is \"{}\", which is no state of a {kind}.", t.what(), shown(word));
        faults.error("unknown-state", &spot, t.name(), message, propose(word, words.iter().copied(), ""));
        return None;
    }
    short_name(word, &spot, t, &format!("`{key}`"), faults)
}

/// Shorter leases would be renewed so often that a busy moment of the engine ends them.
const LEASE_MIN_S: f64 = 1.0;
const LEASE_MAX_S: f64 = 3600.0;

/// `lease_s`: how long a device that is held at level `privacy` or above waits for the engine before it makes itself safe.
fn lease(t: &mut Fields<'_>, has_safe: bool, faults: &mut Faults) -> Option<DurationNs> {
    let Some(val) = t.get("lease_s") else { return has_safe.then_some(LEASE_DEFAULT) };
    let spot = val.spot();
    let length_s = t.number(faults, "lease_s", Range::Within(0.0, LEASE_MAX_S))?;
    if length_s == 0.0 {
        return None;
    }
    if !has_safe {
        let message = format!("The {} has `lease_s` and no `safe` state to go to when the lease runs out.", t.what());
        faults.error("lease", &spot, t.name(), message, "Say `safe = \"STATE\"` too, or take `lease_s` out.");
        return None;
    }
    if length_s < LEASE_MIN_S {
        let message = format!("The {} has a lease of {length_s} s, which one lost datagram would end.", t.what());
        let help = format!("Write {LEASE_MIN_S} or more (10 is renewed every 3.3 s), or 0 for no lease.");
        faults.error("out-of-range", &spot, t.name(), message, help);
        return None;
    }
    DurationNs::from_s_f64(length_s)
}
