//! `osmose diff A B`: the commands of two traces, and what the traces differ in before any command does.

use super::{Diff, Side, Stretch, diff};
use crate::drive::{Osmose, Ticker, Watch, Workshop, WorkshopError};
use crate::rulebook::Rulebook;
use crate::trace::codec::{self, Record};
use crate::trace::format::Build;
use crate::trace::read::Item;
use crate::trace::recording::{Items, Recording, RecordingError};
use crate::words;
use osmose_model::command::Command;
use osmose_model::device::SensorKind;
use osmose_model::ids::SensorId;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::LogicalNs;
use std::path::Path;
use std::sync::Arc;

/// Most commands read of a trace.
const COMMANDS_MAX: usize = 1_000_000;

/// Why two traces cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// A file or folder is no recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Its site does not load.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// The disk refused.
    #[error("the trace cannot be read on: {0}")]
    Io(#[from] std::io::Error),
    /// It holds no decisions.
    #[error("{0} holds inputs only (an import): run it once with `osmose trace index`, and compare what that writes")]
    NoDecisions(String),
}

/// One trace's side.
pub struct Told {
    name: String,
    site: Arc<Site>,
    book: Rulebook,
    commands: Vec<Command>,
    span: Option<(LogicalNs, LogicalNs)>,
    files: Vec<SourceFile>,
    build: Build,
}

impl Told {
    /// Reads the commands of a trace, or of a folder of them.
    ///
    /// # Errors
    /// [`DiffError`].
    pub fn read(path: &Path, watch: &mut dyn Watch) -> Result<Self, DiffError> {
        let mut recording = Recording::open(path)?;
        let name = path.display().to_string();
        if !recording.meta().has_decisions {
            return Err(DiffError::NoDecisions(name));
        }
        let site = Osmose::of_files(recording.files())?.site().clone();
        let (files, build) = (recording.files().to_vec(), recording.meta().build.clone());
        let span = recording.span()?;
        let (mut commands, mut scan, mut ticker) = (Vec::new(), ScanBuf::new(), Ticker::new(watch));
        while let Some(item) = ticker.next_item(&mut recording)? {
            if let Item::Record(raw) = item
                && raw.topic == crate::trace::format::Topic::Command
                && let Ok(Record::Command(c)) = codec::decode(&raw, &mut scan)
                && commands.len() < COMMANDS_MAX
            {
                commands.push(*c);
            }
        }
        let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
        let book = Rulebook::new(&site, &rules);
        Ok(Self { name, site, book, commands, span, files, build })
    }

    /// Under another name than its file's.
    #[must_use]
    pub fn called(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// As a side of a comparison.
    #[must_use]
    pub fn side(&self) -> Side<'_> {
        Side { name: &self.name, commands: &self.commands, site: &self.site, book: &self.book }
    }
}

/// Compares two traces that were read from `a_path` and `b_path`.
///
/// # Errors
/// [`DiffError`] where they cannot be read once more, for their inputs.
pub fn compare<'a>(
    a: &'a Told,
    b: &'a Told,
    (a_path, b_path): (&Path, &Path),
    watch: &mut dyn Watch,
) -> Result<Diff<'a>, DiffError> {
    let stretch = common(a, b);
    let within = |told: &'a Told| {
        let all = told.side();
        let Some(Stretch { span: (from, to), .. }) = stretch else { return all };
        let at = |bound: &dyn Fn(LogicalNs) -> bool| all.commands.partition_point(|c| bound(c.at));
        Side { commands: &all.commands[at(&|t| t < from)..at(&|t| t <= to)], ..all }
    };
    let (left, right) = (within(a), within(b));
    let left_out = a.commands.len() + b.commands.len() - left.commands.len() - right.commands.len();
    let mut found = diff(left, right, None);
    found.stretch = stretch.map(|stretch| Stretch { left_out, ..stretch });
    if let Some(why) = a.build.differs_from(&b.build) {
        found.causes.push(format!("other builds wrote them: {why}"));
    }
    found.causes.extend(files(&a.files, &b.files));
    found.causes.extend(first_input(a, b, (a_path, b_path), watch)?);
    Ok(found)
}

/// What both hold, where one holds more and there is any.
fn common(a: &Told, b: &Told) -> Option<Stretch> {
    let (x, y) = a.span.zip(b.span)?;
    let span = (x.0.max(y.0), x.1.min(y.1));
    (x != y && span.0 <= span.1).then_some(Stretch { span, left_out: 0 })
}

/// Which site files differ.
fn files(a: &[SourceFile], b: &[SourceFile]) -> Option<String> {
    let missing = |x: &[SourceFile], y: &[SourceFile]| -> Vec<String> {
        let other = |f: &&SourceFile| y.iter().find(|g| g.path == f.path).is_none_or(|g| g.text != f.text);
        x.iter().filter(other).map(|f| f.path.clone()).collect()
    };
    let mut paths = missing(a, b);
    paths.extend(missing(b, a));
    paths.sort();
    paths.dedup();
    (!paths.is_empty()).then(|| format!("site files differ: {}", paths.join(", ")))
}

/// What an input is.
enum What {
    Seen(SensorId, SensorKind),
    Other(String),
}

/// The next input of a trace that is no tick: ticks follow from the others, and from the rules.
fn next_input(
    recording: &mut Recording,
    ticker: &mut Ticker<'_>,
    scan: &mut ScanBuf,
    bytes: &mut Vec<u8>,
) -> std::io::Result<Option<(Tag, What)>> {
    let what = |input: &Input<'_>| match input {
        Input::Observation(o) => What::Seen(o.sensor, o.body.kind()),
        other => What::Other(format!("{other:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned()),
    };
    while let Some(item) = ticker.next_item(recording)? {
        let Item::Record(raw) = item else { continue };
        if raw.topic != crate::trace::format::Topic::Input {
            continue;
        }
        let Ok(Record::Input { tag, input }) = codec::decode(&raw, scan) else { continue };
        if matches!(input, Input::Tick) {
            continue;
        }
        let n = osmose_core::step::encode_growing(&input, bytes);
        bytes.truncate(n);
        return Ok(Some((tag, what(&input))));
    }
    Ok(None)
}

/// The first input that one trace has and the other has not.
fn first_input(
    a: &Told,
    b: &Told,
    (a_path, b_path): (&Path, &Path),
    watch: &mut dyn Watch,
) -> Result<Option<String>, DiffError> {
    let (mut x, mut y) = (Recording::open(a_path)?, Recording::open(b_path)?);
    let (mut scan, mut x_bytes, mut y_bytes) = (ScanBuf::new(), Vec::new(), Vec::new());
    // Both are read in step: how far the one is shows how far both are.
    let (mut shown, mut unseen) = (Ticker::new(watch), ());
    let mut hidden = Ticker::new(&mut unseen);
    loop {
        x_bytes.resize(osmose_model::limits::INPUT_BYTES_MAX, 0);
        y_bytes.resize(osmose_model::limits::INPUT_BYTES_MAX, 0);
        let left = next_input(&mut x, &mut shown, &mut scan, &mut x_bytes)?;
        let right = next_input(&mut y, &mut hidden, &mut scan, &mut y_bytes)?;
        let (left, right) = match (left, right) {
            (None, None) => return Ok(None),
            (l, r) => (l, r),
        };
        let same = left.as_ref().zip(right.as_ref()).is_some_and(|(l, r)| l.0.at == r.0.at) && x_bytes == y_bytes;
        if same {
            continue;
        }
        let told = |side: &Told, first: Option<(Tag, What)>| match first {
            None => format!("{} ends", side.name),
            Some((tag, What::Seen(sensor, kind))) => {
                let sensor = words::sensor(&side.site, sensor);
                format!("{} has {sensor} ({}) at {} s", side.name, kind.as_str(), tag.at)
            }
            Some((tag, What::Other(what))) => format!("{} has {what} at {} s", side.name, tag.at),
        };
        return Ok(Some(format!("inputs differ: {}, {}", told(a, left), told(b, right))));
    }
}

/// The recorded commands of a what-if beside the replayed ones. `rules` are those that the replay ran.
#[must_use]
pub fn what_if_books(site: &Site, recorded: &[SourceFile], rules: &[SourceFile]) -> (Rulebook, Rulebook) {
    let is_rules = |f: &&SourceFile| f.path.starts_with("rules/") && f.path.ends_with(".rules");
    let then: Vec<SourceFile> = recorded.iter().filter(is_rules).cloned().collect();
    (Rulebook::new(site, &then), Rulebook::new(site, rules))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{live, walk};
    use osmose_model::canon;

    #[test]
    fn two_traces_differ_by_their_inputs_and_that_is_the_cause() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("a.mcap"), dir.path().join("b.mcap")];
        let mut inputs = walk(20);
        std::fs::write(&paths[0], live(&inputs, 0)).unwrap();
        // The first tag is silent in the other while it comes through the door.
        let mut scan = ScanBuf::new();
        let key = osmose_model::ids::CarriedKey::of("p1");
        inputs.retain(|(at, bytes)| {
            let input = canon::decode_input(bytes, &mut scan).unwrap();
            let device = input.observation().and_then(|o| o.body.device());
            device != Some(key) || !(1_900_000_000..2_400_000_000).contains(&at.0)
        });
        std::fs::write(&paths[1], live(&inputs, 0)).unwrap();
        let told = [Told::read(&paths[0], &mut ()).unwrap(), Told::read(&paths[1], &mut ()).unwrap()];
        let found = compare(&told[0], &told[1], (&paths[0], &paths[1]), &mut ()).unwrap();
        assert!(!found.differences.is_empty());
        let text = found.render();
        assert!(text.contains("inputs differ: ") && text.contains("at 1.903 s"), "{text}");
        let same = compare(&told[0], &told[0], (&paths[0], &paths[0]), &mut ()).unwrap();
        assert!(same.differences.is_empty() && same.causes.is_empty() && same.same > 0 && same.stretch.is_none());
    }

    #[test]
    fn of_a_longer_and_a_shorter_one_what_both_hold_is_compared() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("a.mcap"), dir.path().join("b.mcap")];
        let (long, short) = (walk(90), walk(40));
        let same_so_far = long.iter().zip(&short).all(|(x, y)| x == y);
        assert!(same_so_far && long.len() > short.len());
        std::fs::write(&paths[0], live(&long, 0)).unwrap();
        std::fs::write(&paths[1], live(&short, 0)).unwrap();
        let told = [Told::read(&paths[0], &mut ()).unwrap(), Told::read(&paths[1], &mut ()).unwrap()];
        for (x, y) in [(0, 1), (1, 0)] {
            let found = compare(&told[x], &told[y], (&paths[x], &paths[y]), &mut ()).unwrap();
            assert_eq!((found.same, found.differences.len()), (told[1].commands.len(), 0), "{}", found.render());
            let left_out = told[0].commands.len() - told[1].commands.len();
            assert_eq!(found.stretch.map(|s| s.left_out), Some(left_out));
            assert!(left_out > 0 && found.render().contains("which both hold"), "{}", found.render());
        }
    }
}
