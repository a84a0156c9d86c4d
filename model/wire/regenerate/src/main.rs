//! Runs the right `flatc` over the schemas: one Rust module and one binary schema (`.bfbs`) for each.
//!
//! What it writes is committed, so that building Osmose needs no C++; this tool is the only way it is written.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Schemas, in no particular order: neither includes another.
const SCHEMAS: [&str; 2] = ["frame", "trace"];

fn main() -> ExitCode {
    let wire = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (code, binary) = (wire.join("src/generated"), wire.join("src/bfbs"));
    for name in SCHEMAS {
        let schema = wire.join("schemas").join(format!("{name}.fbs"));
        if let Err(why) = generate(&schema, &code, &binary) {
            eprintln!("regenerate: {}: {why}", schema.display());
            return ExitCode::FAILURE;
        }
        println!("{name}: {} and {}", code.display(), binary.display());
    }
    ExitCode::SUCCESS
}

/// Runs `flatc` twice on one schema: for the Rust module and for the binary schema (with its comments, so that a
/// trace explains itself).
fn generate(schema: &Path, code: &PathBuf, binary: &PathBuf) -> Result<(), String> {
    flatc(Command::new(flatc_fork::flatc()).arg("--rust").arg("-o").arg(code).arg(schema))?;
    flatc(Command::new(flatc_fork::flatc()).args(["--binary", "--schema", "--bfbs-comments"]).arg("-o").arg(binary).arg(schema))
}

fn flatc(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("flatc does not start: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("flatc ended with {status}")) }
}
