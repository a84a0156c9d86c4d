//! The plan files of a zip archive, such as IMDF comes in. Sizes are counted as bytes come out, never believed.

use crate::fault;
use crate::hand_over::text_of;
use osmose_load::{FILE_BYTES_MAX, FILES_MAX, Fault, SITE_BYTES_MAX};
use osmose_model::site::SourceFile;
use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use zip::ZipArchive;

/// The plan in an archive.
pub(crate) struct Members {
    pub(crate) files: Vec<SourceFile>,
    pub(crate) left_out: Vec<String>,
}

/// Where a member stands: its folder inside the archive, and its name.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once(['/', '\\']).unwrap_or(("", name))
}

/// Whether a member can be part of a plan.
fn is_plan_file(name: &str) -> bool {
    let (folder, file) = split(name);
    let lower = file.to_lowercase();
    let hidden = file.starts_with('.') || folder.split(['/', '\\']).any(|f| f.starts_with('.') || f == "__MACOSX");
    !hidden && (lower.ends_with(".geojson") || lower.ends_with(".json"))
}

/// Reads the folder of the archive that holds the manifest, else the one that holds most plan files.
pub(crate) fn members(shown: &str, bytes: &[u8]) -> Result<Members, Box<Fault>> {
    let broken = |e: zip::result::ZipError| {
        let message = format!("{shown} is no zip archive that can be read: {e}.");
        fault("archive", shown, message, "Pack it again as an ordinary zip file, without a password.")
    };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    if archive.len() > FILES_MAX {
        let message = format!("{shown} has {} members; {FILES_MAX} are the most.", archive.len());
        return Err(fault("too-many-files", shown, message, "Pack the plan alone."));
    }
    let names: Vec<(usize, String)> = (0..archive.len())
        .filter_map(|i| Some((i, archive.name_for_index(i)?.ok()?.into_owned())))
        .filter(|(_, name)| is_plan_file(name))
        .collect();
    let Some(folder) = folder_of_plan(&names) else {
        let help =
            "An archive of a plan holds *.geojson or *.json files: IMDF's with manifest.json, WRLD's with main.json.";
        return Err(fault("no-floorplan", shown, format!("{shown} holds no plan."), help));
    };
    let (mut files, mut total) = (Vec::new(), 0u64);
    for (index, name) in names.iter().filter(|(_, name)| split(name).0 == folder) {
        let mut text = Vec::new();
        let member = archive.by_index(*index).map_err(broken)?;
        let taken = member.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(|e| broken(e.into()))? as u64;
        total += taken;
        if taken > FILE_BYTES_MAX || total > SITE_BYTES_MAX {
            let message = format!(
                "{name} in {shown} is too large: {FILE_BYTES_MAX} bytes a file and {SITE_BYTES_MAX} in all are the most."
            );
            return Err(fault("file-too-large", shown, message, "Split the plan by level, and leave furniture out."));
        }
        let path = format!("floorplan/{}", split(name).1);
        files.push(SourceFile { path, text: text_of(&format!("{shown}/{name}"), text)? });
    }
    let others = names.len() - files.len();
    let left_out = if others == 0 {
        Vec::new()
    } else {
        vec![format!("{others} file(s) in other folders of the archive are not read.")]
    };
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Members { files, left_out })
}

/// The folder that holds the manifest, the shallowest first; without one, the folder with most plan files.
fn folder_of_plan(names: &[(usize, String)]) -> Option<String> {
    let manifests =
        names.iter().map(|(_, n)| split(n)).filter(|(_, file)| matches!(*file, "manifest.json" | "main.json"));
    if let Some((folder, _)) = manifests.min_by_key(|(folder, _)| (folder.len(), *folder)) {
        return Some(folder.to_owned());
    }
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, name) in names {
        *count.entry(split(name).0).or_default() += 1;
    }
    count.into_iter().max_by(|a, b| (a.1, b.0).cmp(&(b.1, a.0))).map(|(folder, _)| folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn packed(members: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in members {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn the_folder_with_the_manifest_is_read_and_nothing_else() {
        let bytes = packed(&[
            ("a/venue/unit.geojson", "{}"),
            ("a/venue/manifest.json", "{}"),
            ("a/venue/readme.txt", "x"),
            ("__MACOSX/a/venue/._unit.geojson", "x"),
            ("other/unit.geojson", "{}"),
        ]);
        let members = members("b.zip", &bytes).unwrap();
        let paths: Vec<&str> = members.files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["floorplan/manifest.json", "floorplan/unit.geojson"]);
        assert_eq!(members.left_out, ["1 file(s) in other folders of the archive are not read."]);
    }

    #[test]
    fn what_is_no_plan_is_said_to_be_none() {
        let code = |bytes: &[u8]| members("b.zip", bytes).err().unwrap().code;
        assert_eq!(code(b"PK no"), "archive");
        assert_eq!(code(&packed(&[("notes.txt", "x")])), "no-floorplan");
        assert_eq!(code(&packed(&[("../up.json", "{}")])), "no-floorplan", "what is hidden or above is not looked at");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..400, with in any::<u8>()) {
            let _ = members("b.zip", &bytes);
            // A good archive with one byte turned.
            let mut good = packed(&[("manifest.json", "{}"), ("unit.geojson", "{\"features\":[]}")]);
            let at = at % good.len();
            good[at] ^= with;
            let _ = members("b.zip", &good);
        }
    }
}
