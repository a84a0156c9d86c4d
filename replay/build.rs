//! Tells the crate which sources it is built of, so that traces of other builds are known as such.

// The lib's own file, so that its tests are the tests of this.
#[path = "src/trace/sources.rs"]
mod sources;

use std::path::PathBuf;

fn main() {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("Cargo says where the package is");
    let root = PathBuf::from(package).join("..");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/trace/sources.rs");
    let found = sources::read(&root).expect("the workspace's own sources can be read");
    if found.is_some() {
        for path in sources::FOLDERS.iter().chain(sources::FILES) {
            println!("cargo:rerun-if-changed={}", root.join(path).display());
        }
    }
    // Empty where they are not known.
    println!("cargo:rustc-env=OSMOSE_SOURCES={}", found.map(sources::identity).unwrap_or_default());
}
