//! The keys that devices sign with, read from the files that devices.toml names. They stand in files of their own, because
//! a site's files are recorded into every trace and keys must not be.

use crate::outcome::Failure;
use crate::stderr::say;
use osmose_model::site::Site;
use osmose_sensors::edge::keys::Keys;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Others than the owner may read or write.
const OTHERS: u32 = 0o077;

/// Reads every key of a site in `dir`.
///
/// # Errors
/// A sentence that names the device and its file, where one cannot be read or holds no key.
pub(crate) fn read(site: &Site, dir: &Path) -> Result<Keys, Failure> {
    let sensors = site.sensors.iter().filter_map(|s| Some(("sensor", &s.name, s.connect.as_ref()?.key_file.as_ref()?)));
    let actuators = site.actuators.iter().filter_map(|a| Some(("device", &a.name, a.connect.key_file.as_ref()?)));
    let mut keys = Keys::default();
    for (what, name, file) in sensors.chain(actuators) {
        let path = dir.join(file);
        let why = |e: &dyn std::fmt::Display| {
            Failure::found(format!(
                "the key of {what} {name} in {}: {e}. Make one with `openssl rand -hex 16 > {}` and give it to the device.",
                path.display(),
                path.display()
            ))
        };
        let text = std::fs::read_to_string(&path).map_err(|e| why(&e))?;
        keys.insert(name, text.parse().map_err(|e| why(&e))?);
        if path.metadata().is_ok_and(|m| m.mode() & OTHERS != 0) {
            say!("warning: {} can be read by others than its owner: `chmod 600 {}`", path.display(), path.display());
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_its_file_and_a_missing_one_is_told_with_the_way_to_make_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut files = osmose_load::template("signed");
        for file in files.iter_mut().filter(|f| f.path == "devices.toml") {
            file.text = file.text.replacen("connect = { udp", "connect = { key_file = \"keys/one.key\", udp", 1);
        }
        let site = osmose_load::load(&files).site.expect("the template is a site");
        let missing = read(&site, dir.path()).expect_err("there is no file");
        assert!(missing.to_string().contains("openssl rand -hex 16"), "{missing}");
        std::fs::create_dir(dir.path().join("keys")).expect("a folder");
        std::fs::write(dir.path().join("keys/one.key"), "000102030405060708090a0b0c0d0e0f\n").expect("written");
        let keys = read(&site, dir.path()).expect("a key");
        assert_ne!(keys, Keys::default());
    }
}
