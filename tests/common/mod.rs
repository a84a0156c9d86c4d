//! What the end-to-end tests share: a copy of a site on ports of its own, the built binary, and the peer job.
//!
//! Tests drive the binary as its users would. They run beside each other, so every copy of a site gets free ports and
//! every wait is bounded and polled; nothing here sleeps for a fixed time or looks at how long something took.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

pub(crate) mod engine;
pub(crate) mod job;
pub(crate) mod site;

use osmose_model::site::{Site, SourceFile};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for anything. A machine that needs longer is broken, or what is waited for never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Polls until `done` gives something; panics with `what` after [`PATIENCE`].
pub(crate) fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Every line of a file of JSON lines.
pub(crate) fn json_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{} cannot be read: {e}", path.display()));
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}"))).collect()
}

/// A site and its rules, of files in memory.
pub(crate) fn loaded(files: &[SourceFile]) -> (Arc<Site>, osmose_rules::Program) {
    let loaded = osmose_load::load(files);
    let site = Arc::new(loaded.site.unwrap_or_else(|| panic!("{:?}", loaded.faults)));
    let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
    let checked = osmose_rules::check(&site, &rules);
    let program = checked.program.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    (site, program)
}
