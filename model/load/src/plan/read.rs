//! Which files make the plan, and what its manifest says: one file, or a folder in IMDF, WRLD or neither.

use super::Drops;
use super::collection::{self, RawFeature, json_message, json_spot};
use super::kinds::{Role, role};
use crate::fault::{Faults, Spot};
use crate::text::{Source, propose, shown, without_bom};
use osmose_model::site::SourceFile;
use serde::Deserialize;
use serde_json::Value;

/// A storey that a manifest declares (WRLD).
#[derive(Clone, Debug)]
pub(crate) struct DeclaredLevel {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) ordinal: i32,
    pub(crate) spot: Spot,
}

/// The plan before it is placed.
#[derive(Debug, Default)]
pub(crate) struct RawPlan {
    pub(crate) name: Option<String>,
    /// Latitude and longitude that the manifest gives.
    pub(crate) located_deg: Option<(f64, f64)>,
    pub(crate) language: Option<String>,
    pub(crate) levels: Vec<DeclaredLevel>,
    pub(crate) features: Vec<(Role, RawFeature)>,
    /// Lines between levels (WRLD's paths): the levels' ordinals, and the feature.
    pub(crate) paths: Vec<(Vec<i32>, RawFeature)>,
}

impl RawPlan {
    fn add(&mut self, feature: RawFeature, drops: &mut Drops) {
        match role(&feature) {
            Role::Silent => {}
            Role::Unused(reason) => drops.add("not-used", reason, &feature.spot, feature.id.as_deref()),
            role => self.features.push((role, feature)),
        }
    }
}

/// Reads the plan's files; `None` (and a fault) where there are none.
pub(crate) fn read(files: &[SourceFile], faults: &mut Faults, drops: &mut Drops) -> Option<RawPlan> {
    let single: Vec<&SourceFile> =
        files.iter().filter(|f| matches!(f.path.as_str(), "floorplan.geojson" | "floorplan.json")).collect();
    let folder: Vec<&SourceFile> = files.iter().filter(|f| f.path.starts_with("floorplan/")).collect();
    let Some(first) = single.first().or(folder.first()) else {
        faults.error(
            "no-floorplan",
            &Spot::file("floorplan.geojson"),
            "",
            "The site has no floor plan.",
            "Put `floorplan.geojson` beside site.toml, or an IMDF or WRLD archive into a folder `floorplan/`.",
        );
        return None;
    };
    let mut plan = RawPlan::default();
    if !single.is_empty() {
        if single.len() + folder.len() > 1 {
            let spot = Spot::file(&first.path);
            let message = format!("The site has more than one floor plan; {} is read.", first.path);
            faults.warning("two-floorplans", &spot, "", message, "Take the others away.");
        }
        for feature in collection::read(&Source::new(&first.path, without_bom(&first.text)), None, faults) {
            plan.add(feature, drops);
        }
        return Some(plan);
    }
    let named = |name: &str| folder.iter().find(|f| f.path == format!("floorplan/{name}")).copied();
    if let Some(main) = named("main.json") {
        wrld(main, &folder, &mut plan, faults, drops);
    } else {
        if let Some(manifest) = named("manifest.json") {
            plan.language = manifest_language(manifest, faults);
        }
        for file in folder.iter().filter(|f| f.path != "floorplan/manifest.json") {
            let stem = stem(&file.path);
            let file_type = named("manifest.json").and(Some(stem));
            for feature in collection::read(&Source::new(&file.path, without_bom(&file.text)), file_type, faults) {
                plan.add(feature, drops);
            }
        }
    }
    Some(plan)
}

/// `floorplan/unit.geojson` → `unit`.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

fn manifest_language(manifest: &SourceFile, faults: &mut Faults) -> Option<String> {
    match serde_json::from_str::<Value>(without_bom(&manifest.text)) {
        Ok(value) => {
            let language = value.get("language")?.as_str()?;
            language.split('-').next().filter(|l| !l.is_empty()).map(str::to_owned)
        }
        Err(e) => {
            let source = Source::new(&manifest.path, without_bom(&manifest.text));
            let message = format!("The manifest is no JSON: {}.", json_message(&e));
            faults.error("json", &json_spot(&source, 0, &e), "", message, "Export the archive again.");
            None
        }
    }
}

/// `main.json` of a WRLD archive.
#[derive(Deserialize)]
struct Main<'a> {
    name: Option<String>,
    location: Option<Value>,
    #[serde(borrow)]
    levels: Option<Vec<&'a serde_json::value::RawValue>>,
}

#[derive(Deserialize)]
struct MainLevel {
    id: Value,
    name: Option<String>,
    readable_name: Option<String>,
    z_order: Option<i32>,
    filename: Option<String>,
}

fn wrld(main: &SourceFile, folder: &[&SourceFile], plan: &mut RawPlan, faults: &mut Faults, drops: &mut Drops) {
    let source = Source::new(&main.path, without_bom(&main.text));
    let parsed: Main<'_> = match serde_json::from_str(source.text) {
        Ok(parsed) => parsed,
        Err(e) => {
            let message = format!("The plan's main.json cannot be read: {}.", json_message(&e));
            faults.error("json", &json_spot(&source, 0, &e), "", message, "Export the archive again.");
            return;
        }
    };
    plan.name = parsed.name;
    let numbers = parsed.location.as_ref().and_then(|l| l.get("coordinates")).and_then(Value::as_array);
    if let Some([lon, lat, ..]) = numbers.map(Vec::as_slice)
        && let (Some(lon), Some(lat)) = (lon.as_f64(), lat.as_f64())
        && lat.abs() <= 90.0
        && lon.abs() <= 180.0
    {
        plan.located_deg = Some((lat, lon));
    }
    let mut used: Vec<&str> = vec!["floorplan/main.json"];
    for (i, raw) in parsed.levels.unwrap_or_default().into_iter().enumerate() {
        let spot = source.spot_of(raw.get());
        let level: MainLevel = match serde_json::from_str(raw.get()) {
            Ok(level) => level,
            Err(e) => {
                let message = format!("Level number {} of main.json cannot be read: {}.", i + 1, json_message(&e));
                faults.error("json", &spot, "", message, "A level has `id`, `name`, `z_order` and `filename`.");
                continue;
            }
        };
        let name = collection::text_of(&level.id).unwrap_or_else(|| format!("level-{i}"));
        let label = level.readable_name.or(level.name).unwrap_or_else(|| name.clone());
        let ordinal = level.z_order.unwrap_or(i as i32);
        let file_name = level.filename.unwrap_or_else(|| format!("{name}.geojson"));
        let path = format!("floorplan/{file_name}");
        match folder.iter().find(|f| f.path == path) {
            Some(file) => {
                used.push(&file.path);
                for mut feature in collection::read(&Source::new(&file.path, without_bom(&file.text)), None, faults) {
                    feature.file_level = Some(name.clone());
                    plan.add(feature, drops);
                }
            }
            None => {
                let message =
                    format!("Level `{}` names the file {}, which is not there.", shown(&name), shown(&file_name));
                let help =
                    propose(&file_name, folder.iter().map(|f| stem_name(&f.path)), "Put the file into the folder.");
                faults.error("missing-file", &spot, &name, message, help);
            }
        }
        plan.levels.push(DeclaredLevel { name, label, ordinal, spot });
    }
    for file in folder.iter().filter(|f| !used.contains(&f.path.as_str())) {
        if file.path.ends_with("-paths.json") || file.path.ends_with("-paths.geojson") {
            paths(file, plan, faults, drops);
        } else {
            let message = "This file is not used: main.json names no level for it.";
            faults.warning(
                "not-used",
                &Spot::file(&file.path),
                "",
                message,
                "Name it in main.json's `levels`, or take it away.",
            );
        }
    }
}

/// The file's name without its folder.
fn stem_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A WRLD paths file: lines that tie stairs and lifts of several levels together.
fn paths(file: &SourceFile, plan: &mut RawPlan, faults: &mut Faults, drops: &mut Drops) {
    for feature in collection::read(&Source::new(&file.path, without_bom(&file.text)), None, faults) {
        let levels =
            feature.foreign.get("levels").or_else(|| feature.properties.get("levels")).and_then(Value::as_array);
        let ordinals: Option<Vec<i32>> =
            levels.map(|l| l.iter().filter_map(Value::as_i64).filter_map(|n| i32::try_from(n).ok()).collect());
        match ordinals {
            Some(ordinals) if ordinals.len() >= 2 && !feature.shape.is_empty() => plan.paths.push((ordinals, feature)),
            _ => drops.add(
                "not-used",
                "tie no two levels together and are not used".to_owned(),
                &feature.spot,
                feature.id.as_deref(),
            ),
        }
    }
}
