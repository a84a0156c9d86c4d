//! `osmose trace keep`: an incident that no rotation takes away; and which recordings are too old or too many.
//!
//! A kept recording has a small file beside it, `NAME.mcap.keep`, that says why and since when. It is a file and no
//! mark inside the recording, because a recording is never changed, and because anybody can see it and take it away.

use super::SurgeryError;
use crate::trace::read::TraceReader;
use osmose_model::time::LogicalNs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The file beside a kept recording.
#[must_use]
pub fn mark(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".keep");
    PathBuf::from(name)
}

fn recordings(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.retain(|p| p.extension().is_some_and(|e| e == "mcap") && p.is_file());
    paths.sort();
    Ok(paths)
}

/// Keeps a recording, or those of a folder that reach into the stretch from `from` to `to`. Gives the files kept.
///
/// # Errors
/// [`SurgeryError`]; also where no recording reaches into the stretch.
pub fn keep(
    path: &Path,
    from: Option<LogicalNs>,
    to: Option<LogicalNs>,
    because: &str,
) -> Result<Vec<PathBuf>, SurgeryError> {
    let all = if path.is_dir() { recordings(path)? } else { vec![path.to_owned()] };
    let mut kept = Vec::new();
    for path in all {
        let span = TraceReader::open(&path)?.index()?.span();
        let reaches = |(first, last): (LogicalNs, LogicalNs)| {
            to.is_none_or(|to| first <= to) && from.is_none_or(|from| last >= from)
        };
        if from.is_some() || to.is_some() {
            let Some(true) = span.map(reaches) else { continue };
        }
        std::fs::write(mark(&path), format!("{because}\n"))?;
        kept.push(path);
    }
    if kept.is_empty() {
        return Err(SurgeryError::Refused("no recording reaches into that stretch of time".to_owned()));
    }
    Ok(kept)
}

/// Lets a recording go again; gives whether it was kept.
///
/// # Errors
/// The disk's.
pub fn let_go(path: &Path) -> std::io::Result<bool> {
    match std::fs::remove_file(mark(path)) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Removes the recordings of a folder that are older than `keep_days`, then the oldest until all of them together have
/// at most `bytes_max`. Kept ones stay, and count; so does `writing`, the file being written. Gives what was removed.
///
/// # Errors
/// The disk's.
pub fn expire(
    dir: &Path,
    keep_days: u32,
    bytes_max: u64,
    now: SystemTime,
    writing: Option<&Path>,
) -> std::io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in recordings(dir)? {
        let about = std::fs::metadata(&path)?;
        all.push((about.modified()?, about.len(), mark(&path).exists(), path));
    }
    all.sort();
    let mut bytes: u64 = all.iter().map(|(_, len, ..)| len).sum();
    let age = Duration::from_secs(u64::from(keep_days) * 86_400);
    let mut removed = Vec::new();
    for (modified, len, kept, path) in all {
        let old = now.duration_since(modified).is_ok_and(|d| d > age);
        if kept || writing == Some(path.as_path()) || !(old || bytes > bytes_max) {
            continue;
        }
        std::fs::remove_file(&path)?;
        bytes -= len;
        removed.push(path);
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surgery::cut::cut;
    use crate::testing::{live, walk};
    use crate::trace::recording::Recording;

    #[test]
    fn what_is_kept_stays_and_the_rest_goes_by_age_and_size() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, folder) = (dir.path().join("whole"), dir.path().join("traces"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&whole, live(&walk(30), 40)).unwrap();
        let s = |s: i64| LogicalNs(s * 1_000_000_000);
        for i in 0..3 {
            let mut recording = Recording::open(&whole).unwrap();
            let (from, to) = (s(10 * i), LogicalNs(s(10 * i + 10).0 - 1));
            cut(&mut recording, from, to, &folder.join(format!("{i}.mcap")), &mut ()).unwrap();
        }
        let kept = keep(&folder, Some(s(12)), Some(s(13)), "the pause that came late").unwrap();
        assert_eq!(kept, [folder.join("1.mcap")]);
        assert!(keep(&folder, Some(s(500)), None, "nothing").is_err());
        let now = SystemTime::now();
        assert_eq!(expire(&folder, 14, u64::MAX, now, None).unwrap(), Vec::<PathBuf>::new());
        let later = now + Duration::from_secs(15 * 86_400);
        assert_eq!(expire(&folder, 14, u64::MAX, later, None).unwrap(), [folder.join("0.mcap"), folder.join("2.mcap")]);
        assert!(let_go(&folder.join("1.mcap")).unwrap() && !let_go(&folder.join("1.mcap")).unwrap());
        assert_eq!(expire(&folder, 14, 0, now, None).unwrap(), [folder.join("1.mcap")]);
    }
}
