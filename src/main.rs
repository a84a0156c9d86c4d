//! The `osmose` command: one file per subcommand under `command/`, each thin; what they do lives in the crates.
//!
//! Exit status (INTERFACES): 0 success, 1 errors found or a difference, 2 usage, 3 something was lost, 4 nothing to
//! verify.
#![forbid(unsafe_code)]

mod command;
mod control;
mod doctor;
mod keys;
mod lsp;
mod ops;
mod outcome;
mod progress;
mod site;
mod stderr;
mod stop;
mod testing;
mod web;

use crate::stderr::say;
use clap::Parser;
use osmose_replay::counted;
use std::io::IsTerminal;
use tracing_appender::non_blocking::NonBlockingBuilder;

/// Who is where in a building, what its rules say, and why.
#[derive(Parser)]
#[command(name = "osmose", version, about, propagate_version = true, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: command::Command,
}

/// Lines of the log that wait to be written; more are counted and dropped.
const LOG_LINES_MAX: usize = 8192;

/// What a shell reports for a program that a closed pipe ended (128 + SIGPIPE).
const PIPE_CLOSED: i32 = 141;

/// `osmose check SITE --json | head` has read enough: that is no fault to show a panic for. `println!` has no other
/// way to say so, and putting SIGPIPE back to its default needs unsafe code.
fn end_quietly_where_nobody_reads() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            std::process::exit(PIPE_CLOSED);
        }
        shown(info);
    }));
}

fn main() -> std::process::ExitCode {
    end_quietly_where_nobody_reads();
    let cli = Cli::parse();
    let styled = std::io::stderr().is_terminal();
    // Lines are written by a thread of their own: whoever reads them slowly, or not at all, holds up no other thread.
    let (writer, flushed_at_end) =
        NonBlockingBuilder::default().buffered_lines_limit(LOG_LINES_MAX).finish(std::io::stderr());
    let lost = writer.error_counter();
    let log = tracing_subscriber::fmt().with_writer(writer).with_ansi(styled);
    // A failed write is not reported on stderr a second time: that would panic.
    log.with_target(false).without_time().compact().log_internal_errors(false).init();
    let ended = cli.command.run();
    drop(flushed_at_end);
    if lost.dropped_lines() > 0 {
        say!("not written, because nobody read in time: {} of the log", counted(lost.dropped_lines(), "line"));
    }
    match ended {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            say!("osmose: {error}");
            error.outcome().into()
        }
    }
}
