//! `--compare`: against another program, with interleaved runs, or against figures that were kept.

use crate::outcome::Failure;
use osmose_bench::compare;
use osmose_bench::interval::RUNS_MIN;
use osmose_bench::report::Report;
use std::path::Path;
use std::process::Command;

/// What a file given to `--compare` is.
pub(super) enum Other {
    /// A report that was kept.
    Kept(Box<Report>),
    /// Another program.
    Program,
}

/// Looks what it is: a report where it begins as one does, else a program.
pub(super) fn look(path: &Path) -> Result<Other, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Ok(Other::Program);
    }
    let read = String::from_utf8(bytes).map_err(|e| e.to_string()).and_then(|text| Report::from_json(&text));
    read.map(|r| Other::Kept(Box::new(r))).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))
}

/// Adds ratios against kept figures.
pub(super) fn kept(new: &mut Report, old: &Report) -> Result<(), Failure> {
    new.ratios.extend(compare::with_kept(new, old).map_err(Failure::found)?);
    Ok(())
}

/// Runs this program and another in turn, `pairs` times each with the same arguments, and gives the first report of this one
/// with the ratios of all.
pub(super) fn interleaved(this: &Path, other: &Path, pairs: usize, args: &[String]) -> Result<Report, Failure> {
    if pairs < RUNS_MIN {
        return Err(Failure::usage(format!("{pairs} pairs are too few to compare: give --runs {RUNS_MIN} or more")));
    }
    let dir = tempfile::tempdir().map_err(|e| Failure::found(format!("cannot keep the reports: {e}")))?;
    let (mut new, mut old) = (vec![], vec![]);
    for pair in 0..pairs {
        for i in 0..2 {
            let is_new = (pair + i) % 2 == 0;
            let json = dir.path().join(format!("{pair}-{i}.json"));
            let program = if is_new { this } else { other };
            let report = one(program, args, &json)?;
            if is_new { new.push(report) } else { old.push(report) }
        }
    }
    let ratios = compare::interleaved(&new, &old).map_err(Failure::found)?;
    let mut report = new.swap_remove(0);
    report
        .notes
        .push(format!("Rows are of the first of {pairs} runs; ratios are of all of them against {}.", other.display()));
    report.ratios.extend(ratios);
    Ok(report)
}

fn one(program: &Path, args: &[String], json: &Path) -> Result<Report, Failure> {
    let out = Command::new(program)
        .args(args)
        .arg("--json")
        .arg(json)
        .output()
        .map_err(|e| Failure::found(format!("cannot start {}: {e}", program.display())))?;
    let failed = |why: String| Failure::found(format!("{} could not be measured: {why}", program.display()));
    if !out.status.success() {
        return Err(failed(String::from_utf8_lossy(&out.stderr).trim().to_owned()));
    }
    let text = std::fs::read_to_string(json).map_err(|e| failed(e.to_string()))?;
    Report::from_json(&text).map_err(failed)
}
