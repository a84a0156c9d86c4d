//! Storeys, and which one a feature is on.

use super::collection::{RawFeature, Shape};
use super::kinds::Role;
use super::read::RawPlan;
use super::shape;
use super::units::Placing;
use crate::fault::{Faults, Spot};
use crate::text::{propose, shown};
use osmose_model::geometry::{Area, Point};
use osmose_model::ids::LevelId;
use osmose_model::site::Level;
use std::collections::{BTreeMap, BTreeSet};

/// Height of a storey where the plan gives none, floor to ceiling, metres.
const HEIGHT_M: f64 = 3.0;
/// Floor to floor where the plan gives no elevation, metres.
const STOREY_M: f64 = 3.5;

/// The storeys and every name that features call them by.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    pub(crate) list: Vec<Level>,
    names: BTreeMap<String, LevelId>,
    /// Where each was written, by its id.
    pub(crate) spots: BTreeMap<String, Spot>,
}

/// A storey before it has its number.
struct Draft {
    name: String,
    label: String,
    short: Option<String>,
    ordinal: i32,
    elevation_m: Option<f64>,
    height_m: Option<f64>,
    outline: Area,
    spot: Spot,
}

/// A shape's polygons in site metres.
pub(crate) fn parts(shape: &Shape, is_local: bool, placing: &Placing) -> Vec<Vec<Vec<Point>>> {
    let ring = |r: &Vec<[f64; 2]>| r.iter().map(|&c| placing.place(c, is_local)).collect();
    shape.areas.iter().map(|rings| rings.iter().map(ring).collect()).collect()
}

/// A feature's polygons as an area; `None` (and a fault) where they cannot be used, and for no polygon at all.
pub(crate) fn area_of(feature: &RawFeature, what: &str, placing: &Placing, faults: &mut Faults) -> Option<Area> {
    let parts = parts(&feature.shape, feature.is_local, placing);
    let near = parts.first()?.first().and_then(|r| r.first()).copied().unwrap_or_default();
    match shape::area(parts) {
        Ok(drawn) => {
            for cut in drawn.cuts {
                let message = format!(
                    "The outline of {what} crosses itself at {}; the small loop there ({:.3} m2) is cut off.",
                    shape::place(cut.at),
                    cut.loop_m2
                );
                let help = "Put its corners in order round the outline, so that no two sides cross.";
                faults.warning(
                    "self-crossing",
                    &feature.spot,
                    feature.id.as_deref().unwrap_or_default(),
                    message,
                    help,
                );
            }
            Some(drawn.area)
        }
        Err(why) => {
            why.report(what, near, &feature.spot, feature.id.as_deref().unwrap_or_default(), faults);
            None
        }
    }
}

impl Levels {
    /// The storeys of a plan: declared by its manifest, drawn as features, or implied by what the features say.
    pub(crate) fn new(raw: &RawPlan, placing: &Placing, faults: &mut Faults) -> Self {
        let mut drafts =
            if raw.levels.is_empty() { drawn(raw, placing, faults) } else { declared(raw, placing, faults) };
        if drafts.is_empty() {
            drafts = implied(raw, faults);
        }
        drafts.sort_by(|a, b| (a.ordinal, &a.name).cmp(&(b.ordinal, &b.name)));
        if drafts.len() > usize::from(u16::MAX) {
            let message = format!("The plan has {} levels; {} are the most.", drafts.len(), u16::MAX);
            faults.error("too-many-levels", &drafts[0].spot, "", message, "Split the site.");
            drafts.truncate(usize::from(u16::MAX));
        }
        let mut levels = Self::default();
        let mut seen: BTreeMap<String, Spot> = BTreeMap::new();
        for (i, d) in drafts.into_iter().enumerate() {
            let id = LevelId(i as u16);
            if let Some(first) = seen.insert(d.name.clone(), d.spot.clone()) {
                let message = format!("Two levels are called `{}`; the other is at {first}.", shown(&d.name));
                faults.error("duplicate-level", &d.spot, &d.name, message, "Give one of them another id.");
            }
            levels.names.insert(d.name.clone(), id);
            levels.list.push(Level {
                id,
                ordinal: d.ordinal,
                elevation_m: d.elevation_m.unwrap_or(f64::from(d.ordinal) * STOREY_M),
                height_m: d.height_m.filter(|&h| h > 0.0).unwrap_or(HEIGHT_M),
                outline: d.outline,
                name: d.name,
                label: d.label.clone(),
            });
            // What people call it also names it, where nothing else is called that.
            for alias in [Some(d.label), d.short, Some(d.ordinal.to_string())].into_iter().flatten() {
                levels.names.entry(alias).or_insert(id);
            }
        }
        levels.spots = seen;
        levels
    }

    /// A storey by its id, label or ordinal.
    pub(crate) fn named(&self, name: &str) -> Option<LevelId> {
        self.names.get(name).copied().or_else(|| {
            let ordinal: f64 = name.parse().ok()?;
            self.list.iter().find(|l| f64::from(l.ordinal) == ordinal).map(|l| l.id)
        })
    }
    /// The ids of all storeys, for proposals.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.list.iter().map(|l| l.name.as_str()).collect()
    }
    /// The storeys of an ordinal.
    pub(crate) fn at_ordinal(&self, ordinal: i32) -> impl Iterator<Item = LevelId> + '_ {
        self.list.iter().filter(move |l| l.ordinal == ordinal).map(|l| l.id)
    }

    /// The storey that a feature says it is on: `Err` with the fault said, `Ok(None)` where it says nothing and there
    /// are several.
    pub(crate) fn of(
        &self,
        feature: &RawFeature,
        what: &str,
        at: Point,
        faults: &mut Faults,
    ) -> Result<Option<LevelId>, ()> {
        let Some(name) = said_level(feature) else {
            return Ok((self.list.len() == 1).then_some(LevelId(0)));
        };
        // A feature on several storeys ("0;1") is on the lowest that there is.
        let found = self.named(&name).or_else(|| name.split(';').filter_map(|n| self.named(n.trim())).min());
        if found.is_none() {
            let id = feature.id.as_deref().unwrap_or_default();
            let message = format!("{what} at {} is on level `{}`, which there is not.", shape::place(at), shown(&name));
            faults.error(
                "zone-on-no-level",
                &feature.spot,
                id,
                message,
                propose(&name, self.ids(), "Name a level of the plan."),
            );
            return Err(());
        }
        Ok(found)
    }
}

/// What a feature calls its storey.
pub(crate) fn said_level(feature: &RawFeature) -> Option<String> {
    feature.file_level.clone().or_else(|| ["level_id", "level"].iter().find_map(|k| feature.text(k)))
}

fn declared(raw: &RawPlan, placing: &Placing, faults: &mut Faults) -> Vec<Draft> {
    let draft = |l: &super::read::DeclaredLevel| {
        let of_this = |f: &RawFeature| f.file_level.as_deref() == Some(l.name.as_str());
        let outlines = raw.features.iter().filter(|(role, f)| *role == Role::Outline && of_this(f));
        let parts = outlines.filter_map(|(_, f)| area_of(f, &format!("level `{}`", l.name), placing, faults));
        Draft {
            name: l.name.clone(),
            label: l.label.clone(),
            short: None,
            ordinal: l.ordinal,
            elevation_m: None,
            height_m: None,
            outline: Area { parts: parts.flat_map(|a| a.parts).collect() },
            spot: l.spot.clone(),
        }
    };
    raw.levels.iter().map(draft).collect()
}

fn drawn(raw: &RawPlan, placing: &Placing, faults: &mut Faults) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (_, f) in raw.features.iter().filter(|(role, _)| *role == Role::Level) {
        let label = f.label(raw.language.as_deref());
        let ordinal = f.number("ordinal").or_else(|| f.text("level")?.parse().ok());
        let ordinal = ordinal.filter(|o| o.abs() < 1e4).map_or(drafts.len() as i32, |o| o.round() as i32);
        let name = f.id.clone().or_else(|| label.clone()).unwrap_or_else(|| format!("level-{ordinal}"));
        drafts.push(Draft {
            label: label.unwrap_or_else(|| name.clone()),
            short: f.properties.get("short_name").and_then(|v| match v.as_object() {
                Some(labels) => labels.values().find_map(super::collection::text_of),
                None => super::collection::text_of(v),
            }),
            ordinal,
            elevation_m: f.number("elevation_m"),
            height_m: f.number("height_m"),
            outline: area_of(f, &format!("level `{}`", shown(&name)), placing, faults).unwrap_or_default(),
            spot: f.spot.clone(),
            name,
        });
    }
    drafts
}

/// One storey for every level that the features name, or one for all where they name none.
fn implied(raw: &RawPlan, faults: &mut Faults) -> Vec<Draft> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (_, f) in raw.features.iter().filter(|(role, _)| *role != Role::Venue) {
        if let Some(said) = said_level(f) {
            names.extend(said.split(';').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()));
        }
    }
    if names.is_empty() {
        names.insert("ground".to_owned());
    }
    let spot = raw.features.first().map_or_else(|| Spot::file("floorplan"), |(_, f)| Spot::file(&f.spot.file));
    let listed: Vec<String> = names.iter().take(20).map(|n| format!("`{}`", shown(n))).collect();
    let message = format!(
        "The plan draws no level; from what its features say, {} taken.",
        match names.len() {
            1 => format!("one level {} is", listed[0]),
            n => format!("{n} levels ({}) are", listed.join(", ")),
        }
    );
    faults.warning(
        "no-level",
        &spot,
        "",
        message,
        "Add a feature of `feature_type` `level` with its outline, `ordinal` and `height_m`.",
    );
    let draft = |(i, name): (usize, &String)| Draft {
        name: name.clone(),
        label: name.clone(),
        short: None,
        ordinal: name.parse::<f64>().ok().filter(|o| o.abs() < 1e4).map_or(i as i32, |o| o.floor() as i32),
        elevation_m: None,
        height_m: None,
        outline: Area::default(),
        spot: spot.clone(),
    };
    names.iter().enumerate().map(draft).collect()
}
