//! The `osmose` command: one file per subcommand under `command/`, each thin; what they do lives in the crates.
//!
//! Exit status (INTERFACES): 0 success, 1 errors found or a difference, 2 usage, 3 something was lost, 4 nothing to
//! verify.
#![forbid(unsafe_code)]

mod command;
mod outcome;
mod progress;
mod site;
mod stop;

use clap::Parser;
use std::io::IsTerminal;

/// Who is where in a building, what its rules say, and why.
#[derive(Parser)]
#[command(name = "osmose", version, about, propagate_version = true, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let styled = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(styled);
    log.with_target(false).without_time().compact().init();
    match cli.command.run() {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("osmose: {error}");
            error.outcome().into()
        }
    }
}
