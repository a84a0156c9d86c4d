//! Zones, walls, openings and fixtures from placed features.

use super::collection::RawFeature;
use super::kinds::Role;
use super::levels::{Levels, area_of, parts};
use super::read::RawPlan;
use super::units::Placing;
use super::{Drops, Plan, shape, ways};
use crate::fault::{Faults, Spot};
use crate::settings::{Settings, json_attribute, wanted};
use crate::text::{propose, shown};
use osmose_model::geometry::{Point, Segment};
use osmose_model::ids::{LevelId, WallId, ZoneId};
use osmose_model::site::{Attribute, Fixture, Opening, RESTRICTION, Wall, Zone, ZoneMargins};
use osmose_model::time::DurationNs;
use std::collections::BTreeMap;

/// Everything that building needs beside the feature at hand.
pub(super) struct Builder<'a> {
    pub(super) levels: Levels,
    pub(super) placing: Placing,
    settings: &'a Settings,
    language: Option<String>,
    pub(super) plan: Plan,
    /// Names in use, by sort of feature, and where each was given.
    names: BTreeMap<(&'static str, String), Spot>,
}

/// Builds the plan from its raw features.
pub(crate) fn build(
    raw: RawPlan,
    placing: Placing,
    settings: &Settings,
    faults: &mut Faults,
    drops: &mut Drops,
) -> Plan {
    let levels = Levels::new(&raw, &placing, faults);
    let plan = Plan { origin_deg: placing.origin_deg, is_geographic: placing.is_geographic(), ..Plan::default() };
    let mut b = Builder { levels, placing, settings, language: raw.language.clone(), plan, names: BTreeMap::new() };
    let venue = raw.features.iter().find(|(role, _)| *role == Role::Venue);
    b.plan.name = raw.name.clone().or_else(|| venue?.1.label(raw.language.as_deref()));
    // Zones first: doors name them.
    for (role, f) in &raw.features {
        if let Role::Zone(category) = role {
            let before = b.plan.zones.len();
            let name = b.zone(f, category, faults);
            if b.plan.zones.len() == before {
                b.plan.refused_zones.insert(name);
            }
        }
    }
    let zone_names: BTreeMap<String, ZoneId> = b.plan.zones.iter().map(|z| (z.name.clone(), z.id)).collect();
    for (role, f) in &raw.features {
        match role {
            Role::Wall(transparent) => b.wall(f, *transparent, faults, drops),
            Role::Opening => b.opening(f, &zone_names, faults, drops),
            Role::Fixture(category) => b.fixture(f, category, faults, drops),
            _ => {}
        }
    }
    ways::connect_levels(&mut b, &raw, drops);
    b.sum_up(&raw, faults);
    b.plan.places.0 = b.names;
    b.plan.places.0.extend(b.levels.spots.into_iter().map(|(name, spot)| (("level", name), spot)));
    b.plan.levels = b.levels.list;
    b.plan
}

impl Builder<'_> {
    /// A feature's first corner in site metres, to say where it is.
    pub(super) fn somewhere(&self, f: &RawFeature) -> Point {
        f.shape.corners().next().map(|c| self.placing.place(c, f.is_local)).unwrap_or_default()
    }

    /// The name of a feature, taken for its sort; a fault where another has it already.
    fn name(&mut self, sort: &'static str, f: &RawFeature, count: usize, faults: &mut Faults) -> String {
        let own = f.id.clone().or_else(|| f.label(self.language.as_deref()));
        let is_own = own.is_some();
        let name = own.unwrap_or_else(|| format!("{sort}-{}", count + 1));
        if let Some(first) = self.names.insert((sort, name.clone()), f.spot.clone()).filter(|_| is_own) {
            let message = format!(
                "Two {sort}s are called `{}`: this one at {}, and the one at {first}.",
                shown(&name),
                shape::place(self.somewhere(f))
            );
            let code = if sort == "zone" { "duplicate-zone" } else { "duplicate-id" };
            faults.error(code, &f.spot, &name, message, "Give one of them another id.");
        }
        name
    }

    /// The level of a feature that is no zone; `None` where it has none (said, or counted).
    fn level(&self, sort: &str, f: &RawFeature, faults: &mut Faults, drops: &mut Drops) -> Option<LevelId> {
        let what = format!("The {sort} `{}`", shown(f.id.as_deref().unwrap_or("without id")));
        let level = self.levels.of(f, &what, self.somewhere(f), faults).ok()?;
        if level.is_none() {
            let reason = format!("are a {sort} that names no level, and are left out");
            drops.add("no-level-named", reason, &f.spot, f.id.as_deref());
        }
        level
    }

    /// Adds a zone, or says why not; gives its name.
    fn zone(&mut self, f: &RawFeature, category: &str, faults: &mut Faults) -> String {
        let name = self.name("zone", f, self.plan.zones.len(), faults);
        let at = self.somewhere(f);
        let what = format!("The zone `{}`", shown(&name));
        let level = match self.levels.of(f, &what, at, faults) {
            Ok(Some(level)) => level,
            Ok(None) => {
                let message = format!(
                    "{what} at {} is on no level: it names none, and the plan has {}.",
                    shape::place(at),
                    self.levels.list.len()
                );
                let help = propose("", self.levels.ids(), "Add `\"level\": \"…\"` to its properties.");
                faults.error("zone-on-no-level", &f.spot, &name, message, help);
                return name;
            }
            Err(()) => return name,
        };
        if f.shape.areas.is_empty() {
            let message = format!("{what} is drawn without an area.");
            faults.error("flat-polygon", &f.spot, &name, message, "Draw it as a Polygon or MultiPolygon.");
            return name;
        }
        let Some(area) = area_of(f, &format!("zone `{}`", shown(&name)), &self.placing, faults) else {
            return name;
        };
        let Ok(id) = u16::try_from(self.plan.zones.len()) else {
            if self.plan.zones.len() == usize::from(u16::MAX) + 1 {
                let message = format!("The plan has more than {} zones.", usize::from(u16::MAX) + 1);
                faults.error(
                    "too-many-zones",
                    &f.spot,
                    &name,
                    message,
                    "Split the site, or leave small geofences out.",
                );
            }
            return name;
        };
        let label = f.label(self.language.as_deref()).unwrap_or_else(|| name.clone());
        let zone = Zone {
            id: ZoneId(id),
            label,
            category: category.to_owned(),
            level,
            area,
            margins: zone_margins(f, &name, self.settings.margins, faults),
            attributes: self.attributes(f, &name, faults),
            connects: self.declared_connects(f, &name, faults),
            name: name.clone(),
        };
        self.plan.zones.push(zone);
        name
    }

    /// Declared attributes from the properties, the others with their defaults; IMDF's `restriction` needs no declaration.
    fn attributes(&self, f: &RawFeature, name: &str, faults: &mut Faults) -> BTreeMap<String, Attribute> {
        let mut attributes = BTreeMap::new();
        for (key, spec) in self.settings.attributes.iter().filter(|(_, s)| s.on == "zone") {
            let value = match f.properties.get(key).filter(|v| !v.is_null()) {
                None => spec.default.clone(),
                Some(v) => json_attribute(&spec.kind, v).unwrap_or_else(|| {
                    let message = format!(
                        "`{key}` of zone `{}` is {}, but site.toml declares it as {}.",
                        shown(name),
                        shown(&v.to_string()),
                        spec.kind
                    );
                    faults.error("wrong-type", &f.spot, name, message, format!("Write {}.", wanted(&spec.kind)));
                    spec.default.clone()
                }),
            };
            attributes.insert(key.clone(), value);
        }
        if let Some(restriction) = f.text(RESTRICTION) {
            attributes.entry(RESTRICTION.to_owned()).or_insert(Attribute::Text(restriction));
        }
        attributes
    }

    fn declared_connects(&self, f: &RawFeature, name: &str, faults: &mut Faults) -> Vec<LevelId> {
        let mut connects = Vec::new();
        for said in f.properties.get("connects").and_then(serde_json::Value::as_array).into_iter().flatten() {
            let said = super::collection::text_of(said).unwrap_or_default();
            match self.levels.named(&said) {
                Some(level) => connects.push(level),
                None => {
                    let message =
                        format!("The zone `{}` connects level `{}`, which there is not.", shown(name), shown(&said));
                    faults.error("unknown-level", &f.spot, name, message, propose(&said, self.levels.ids(), ""));
                }
            }
        }
        connects.sort_unstable();
        connects.dedup();
        connects
    }

    /// Lines in site metres.
    fn lines(&self, f: &RawFeature) -> Vec<Vec<Point>> {
        f.shape.lines.iter().map(|l| l.iter().map(|&c| self.placing.place(c, f.is_local)).collect()).collect()
    }

    fn wall(&mut self, f: &RawFeature, transparent: bool, faults: &mut Faults, drops: &mut Drops) {
        let Some(level) = self.level("wall", f, faults, drops) else { return };
        let lines = self.lines(f);
        let mut segments: Vec<Segment> = lines.iter().flat_map(|l| shape::line_segments(l)).collect();
        for ring in parts(&f.shape, f.is_local, &self.placing).into_iter().flatten() {
            segments.extend(shape::outline_segments(&shape::clean(ring)));
        }
        if segments.is_empty() {
            drops.add(
                "no-geometry",
                "are a wall without a line, and are left out".to_owned(),
                &f.spot,
                f.id.as_deref(),
            );
            return;
        }
        let name = self.name("wall", f, self.plan.walls.len(), faults);
        let Ok(id) = u16::try_from(self.plan.walls.len()) else {
            if self.plan.walls.len() == usize::from(u16::MAX) + 1 {
                let message = format!("The plan has more than {} walls.", usize::from(u16::MAX) + 1);
                faults.error("too-many-walls", &f.spot, &name, message, "Join straight walls, or split the site.");
            }
            return;
        };
        let material = f.text("material").unwrap_or_default();
        self.plan.walls.push(Wall { id: WallId(id), name, level, segments, transparent, material });
    }

    fn opening(&mut self, f: &RawFeature, zones: &BTreeMap<String, ZoneId>, faults: &mut Faults, drops: &mut Drops) {
        let Some(level) = self.level("opening", f, faults, drops) else { return };
        let lines = self.lines(f);
        let mut segments: Vec<Segment> = lines.iter().flat_map(|l| shape::line_segments(l)).collect();
        for rings in parts(&f.shape, f.is_local, &self.placing) {
            segments.extend(rings.into_iter().next().and_then(|r| shape::middle_line(&shape::clean(r))));
        }
        if segments.is_empty() {
            drops.add(
                "no-geometry",
                "are a door without a line, and are left out".to_owned(),
                &f.spot,
                f.id.as_deref(),
            );
            return;
        }
        let name = self.name("opening", f, self.plan.openings.len(), faults);
        let joins = match f.properties.get("joins").and_then(serde_json::Value::as_array) {
            None => ways::joined(&self.plan.zones, level, &segments),
            Some(said) => said.iter().filter_map(|z| self.joined_zone(z, zones, f, &name, faults)).collect(),
        };
        // IMDF says it in an object, our own plans in a word.
        let in_object =
            f.properties.get("door").and_then(|d| d.get("type")).and_then(|t| t.as_str()).map(str::to_owned);
        let door = f.text("door").or(in_object).unwrap_or_default();
        self.plan.openings.push(Opening { name, level, segments, joins, door });
    }

    /// A zone that a door says it joins: `Some(None)` is outside.
    fn joined_zone(
        &self,
        said: &serde_json::Value,
        zones: &BTreeMap<String, ZoneId>,
        f: &RawFeature,
        name: &str,
        faults: &mut Faults,
    ) -> Option<Option<ZoneId>> {
        let said = super::collection::text_of(said).unwrap_or_default();
        if said == "outside" {
            return Some(None);
        }
        let zone = zones.get(&said).copied();
        if zone.is_none() && !self.plan.refused_zones.contains(&said) {
            let message = format!(
                "The opening `{}` at {} joins `{}`, which is no zone.",
                shown(name),
                shape::place(self.somewhere(f)),
                shown(&said)
            );
            let words: Vec<&str> = zones.keys().map(String::as_str).chain(["outside"]).collect();
            faults.error(
                "unknown-zone",
                &f.spot,
                name,
                message,
                propose(&said, words, "Name a zone of the plan, or \"outside\"."),
            );
        }
        zone.map(Some)
    }

    fn fixture(&mut self, f: &RawFeature, category: &str, faults: &mut Faults, drops: &mut Drops) {
        let Some(level) = self.level("fixture", f, faults, drops) else { return };
        let mut outlines = self.lines(f);
        outlines.extend(
            parts(&f.shape, f.is_local, &self.placing).into_iter().filter_map(|rings| rings.into_iter().next()),
        );
        outlines.extend(f.shape.points.iter().map(|&c| vec![self.placing.place(c, f.is_local)]));
        let name = self.name("fixture", f, self.plan.fixtures.len(), faults);
        for outline in outlines {
            let outline = shape::clean(outline);
            self.plan.fixtures.push(Fixture { name: name.clone(), category: category.to_owned(), level, outline });
        }
    }

    /// What a plan as a whole lacks.
    fn sum_up(&self, raw: &RawPlan, faults: &mut Faults) {
        let spot =
            raw.features.first().map_or_else(|| Spot::file("floorplan.geojson"), |(_, f)| Spot::file(&f.spot.file));
        if self.plan.zones.is_empty() && !faults.any_error() {
            let message = "The plan has no zone: nobody can enter or leave anything.";
            faults.warning(
                "no-zones",
                &spot,
                "",
                message,
                "Draw rooms as features of `feature_type` `unit`, other areas as `geofence`.",
            );
        } else if self.plan.openings.is_empty() && !self.plan.zones.is_empty() {
            let message = "The plan has no doors: which rooms are next to each other through what is not known.";
            faults.warning(
                "no-openings",
                &spot,
                "",
                message,
                "Draw doors as features of `feature_type` `opening`, each a line.",
            );
        }
    }
}

/// A zone's own hysteresis and delays over the site's.
fn zone_margins(f: &RawFeature, name: &str, base: ZoneMargins, faults: &mut Faults) -> ZoneMargins {
    let mut number = |key: &str, low: f64, high: f64| {
        let value = f.properties.get(key).filter(|v| !v.is_null())?;
        let x = value.as_f64().filter(|x| (low..=high).contains(x));
        if x.is_none() {
            let message = format!("`{key}` of zone `{}` is {}.", shown(name), shown(&value.to_string()));
            faults.error("out-of-range", &f.spot, name, message, format!("Write a number from {low} to {high}."));
        }
        x
    };
    ZoneMargins {
        enter_margin_m: number("enter_margin_m", 0.0, 100.0).unwrap_or(base.enter_margin_m),
        exit_margin_m: number("exit_margin_m", 0.0, 100.0).unwrap_or(base.exit_margin_m),
        exit_delay: number("exit_delay_ms", 0.0, 3.6e6)
            .and_then(|ms| DurationNs::from_s_f64(ms / 1e3))
            .unwrap_or(base.exit_delay),
        lost: number("lost_s", 0.001, 86_400.0).and_then(DurationNs::from_s_f64).unwrap_or(base.lost),
    }
}
