//! The `osmose` command: one file per subcommand under `command/`, each thin; what they do lives in the crates.
//!
//! Exit status (INTERFACES): 0 success, 1 errors found or a difference, 2 usage, 3 something was lost, 4 nothing to
//! verify.
#![forbid(unsafe_code)]

mod command;
mod control;
mod doctor;
mod lsp;
mod outcome;
mod progress;
mod site;
mod stderr;
mod stop;
mod testing;
mod web;

use crate::stderr::say;
use clap::Parser;
use std::io::IsTerminal;

/// Who is where in a building, what its rules say, and why.
#[derive(Parser)]
#[command(name = "osmose", version, about, propagate_version = true, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: command::Command,
}

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
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(styled);
    // A failed write is not reported on stderr a second time: that would panic.
    log.with_target(false).without_time().compact().log_internal_errors(false).init();
    match cli.command.run() {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            say!("osmose: {error}");
            error.outcome().into()
        }
    }
}
