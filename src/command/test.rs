//! `osmose test SITE`: the tests in its rules and under `tests/`, with coverage; or one cut from a trace.

use crate::outcome::{Ended, Failure, Outcome};
use crate::site::{Ready, ready};
use crate::stderr::say;
use crate::testing::report::{Coverage, Ran, junit, picture};
use crate::testing::run::{Ground, Sent, commands, run, said};
use crate::testing::script::{Script, scripts};
use osmose_model::time::{DurationNs, LogicalNs, format_seconds};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Run the tests of a site's rules
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose test my-office\n  osmose test my-office --junit results.xml\n  osmose test \
                        my-office --from traces/monday.mcap --at 10:02:14\n\nTests stand in rules/*.rules and in \
                        tests/*.rules. With --from and --at a test is written to tests/ that holds the rules to what \
                        they do now in the five seconds before and after."
)]
pub(crate) struct Test {
    /// The site's folder
    site: PathBuf,
    /// Only tests whose title or rule holds this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write JUnit XML for CI servers
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Cut a test from this trace
    #[arg(long, value_name = "TRACE", requires = "at")]
    from: Option<PathBuf>,
    /// Around this time of the trace: seconds, HH:MM:SS or RFC 3339
    #[arg(long, value_name = "T", requires = "from")]
    at: Option<String>,
}

/// What a cut holds before and after the moment it is about.
const AROUND: DurationNs = DurationNs::from_s(5);

impl Test {
    pub(crate) fn run(self) -> Ended {
        let Ready { site, program } = ready(&self.site)?;
        let ground = Ground { site: &site, program: &program, dir: &self.site };
        if let (Some(trace), Some(at)) = (&self.from, &self.at) {
            return cut(&ground, trace, at);
        }
        let mut all = Vec::new();
        for file in site.rule_files() {
            all.extend(scripts(&site, &program, &file.path, &file.text));
        }
        for (path, text) in test_files(&self.site)? {
            all.extend(scripts(&site, &program, &path, &text));
        }
        let wanted = |s: &Script| self.only.as_ref().is_none_or(|t| s.title.contains(t) || s.rule.contains(t));
        let mut ran = Vec::new();
        for script in all.into_iter().filter(wanted) {
            let begun = Instant::now();
            let went = run(&ground, &script);
            let one = Ran { script, went, seconds: begun.elapsed().as_secs_f64() };
            print!("{}", picture(&one));
            ran.push(one);
        }
        if let Some(path) = &self.junit {
            std::fs::write(path, junit(&site.name, &ran))
                .map_err(|e| Failure::found(format!("cannot write {}: {e}", path.display())))?;
        }
        let failed = ran.iter().filter(|r| !r.went.passed()).count();
        print!("{}", Coverage::of(&site, &program, &ran).text());
        println!("{} test(s), {failed} failed", ran.len());
        if ran.is_empty() {
            say!("there is no test: write one into rules/*.rules or tests/*.rules, or cut one with --from and --at");
            return Ok(Outcome::NothingToVerify);
        }
        Ok(if failed == 0 { Outcome::Success } else { Outcome::Found })
    }
}

/// The rules files under `tests/`, by name.
fn test_files(dir: &Path) -> Result<Vec<(String, String)>, Failure> {
    let folder = dir.join("tests");
    let Ok(entries) = folder.read_dir() else { return Ok(Vec::new()) };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "rules"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Failure::found(format!("cannot read {}: {e}", path.display())))?;
        Ok((format!("tests/{}", path.file_name().unwrap_or_default().to_string_lossy()), text))
    };
    paths.into_iter().map(read).collect()
}

/// Writes a test that holds the rules to what they do around an instant of a trace.
fn cut(ground: &Ground<'_>, trace: &Path, at: &str) -> Ended {
    let clock = osmose_replay::info::info(trace).map_err(Failure::found)?.log_clock();
    let at = clock.parse(at).map_err(Failure::usage)?;
    let (first, last) = clock.span;
    let from = LogicalNs(at.0.saturating_sub(AROUND.0).max(first.0));
    let to = LogicalNs(at.0.saturating_add(AROUND.0).min(last.0));
    let sent = commands(ground, trace, Some(from), Some(to))?;
    let mut rules: Vec<&str> = sent.iter().map(|s| s.rule.as_str()).filter(|r| !r.is_empty()).collect();
    rules.sort_unstable();
    rules.dedup();
    if rules.is_empty() {
        return Err(Failure::found(format!(
            "no rule sends anything between {} s and {} s of {}: there is nothing to hold a test to",
            format_seconds(from.0),
            format_seconds(to.0),
            trace.display()
        )));
    }
    let mut text = format!("# Cut from {} at {} s: what the rules did then.\n", trace.display(), format_seconds(at.0));
    for rule in rules {
        text += &block(rule, trace, (from, to), sent.iter().filter(|s| s.rule == rule));
    }
    let stem = trace.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = format!("{stem}-{}", format_seconds(at.0)).replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let path = ground.dir.join("tests").join(format!("{name}.rules"));
    let write = || {
        std::fs::create_dir_all(ground.dir.join("tests"))?;
        std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        std::fs::write(&path, &text)
    };
    write().map_err(|e| Failure::found(format!("cannot write {}: {e}", path.display())))?;
    println!("wrote {}", path.display());
    Ok(Outcome::Success)
}

fn block<'s>(rule: &str, trace: &Path, span: (LogicalNs, LogicalNs), sent: impl Iterator<Item = &'s Sent>) -> String {
    let shown = trace.canonicalize().unwrap_or_else(|_| trace.to_owned());
    let seconds = |at: LogicalNs| format_seconds(at.0).to_string();
    let mut text = format!("\ntest \"{rule} as on the trace\" of {rule} {{\n");
    text += &format!("  replay {:?} {} .. {}\n", shown.display().to_string(), seconds(span.0), seconds(span.1));
    for s in sent {
        let quoted = |(n, v): &(String, String)| format!("{n}: {v:?}");
        let args: Vec<String> = s.args.iter().map(quoted).collect();
        text += &format!("  expect {}.{}({}) at {} +- 1 ms\n", s.device, s.verb, args.join(", "), said(s.at));
    }
    text += "  expect nothing else\n}\n";
    text
}
