//! Any bytes as a plan that somebody hands over: the first says as which form. Refused or surveyed, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((form, bytes)) = data.split_first() else { return };
    let name = ["a.zip", "a.yaml", "a.geojson"][usize::from(*form) % 3];
    let Ok(handed) = osmose_survey::from_bytes(name, bytes.to_vec()) else { return };
    let loaded = osmose_load::load(&handed.files);
    if let Some(site) = &loaded.site {
        let _ = osmose_survey::faults::find(site, &loaded.places);
        let _ = osmose_survey::write(site, &[]);
    }
});
