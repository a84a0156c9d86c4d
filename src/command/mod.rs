//! The subcommands, one file each.

mod act;
mod bench;
mod check;
mod demo;
mod diff;
mod doctor;
mod find;
mod fmt;
mod import;
mod listen;
mod lsp;
mod mode;
mod new;
mod plan;
mod replay;
mod report;
mod rule;
mod run;
mod score;
mod simulate;
mod test;
mod top;
mod trace;
mod why;

use crate::outcome::Ended;
use clap::Subcommand;

/// What can be asked of `osmose`.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the co-working building with simulated sensors
    Demo(demo::Demo),
    /// Write a site folder to start from
    New(new::New),
    /// Check everything in a site: plan, devices, people, rules
    Check(check::Check),
    /// Convert, place, draw and look over floor plans
    #[command(subcommand)]
    Plan(plan::Plan),
    /// Lay out rules files in one way
    Fmt(fmt::Fmt),
    /// Run the tests of a site's rules
    Test(test::Test),
    /// Serve an editor: the language server for rules, over stdin and stdout
    Lsp(lsp::Lsp),
    /// Send a device of a running site a command by hand
    Act(act::Act),
    /// Switch a rule of a running site off for a while, or reset it
    Rule(rule::Rule),
    /// Set a mode of a running site
    Mode(mode::Mode),
    /// Run a site live
    Run(run::Run),
    /// A running engine at a glance, in the terminal
    Top(top::Top),
    /// Show what a site's sensors say, decoded, or why it was refused
    Listen(listen::Listen),
    /// Let simulated people live in a site, and record it
    Simulate(simulate::Simulate),
    /// Turn CSV recordings into a trace
    Import(import::Import),
    /// Run the code again on a trace's recorded inputs
    Replay(replay::Replay),
    /// Say why a command was sent, or why a rule sent none
    Why(why::Why),
    /// List every moment when a condition became true
    Find(find::Find),
    /// Compare the commands of two traces
    Diff(diff::Diff),
    /// Write an incident as one page
    Report(report::Report),
    /// Look into trace files, and make others of them
    #[command(subcommand)]
    Trace(trace::Trace),
    /// Score tracks against the truth
    Score(score::Score),
    /// Say what costs latency on this machine, and how to mend it
    Doctor(doctor::Doctor),
    /// Measure Osmose on this machine
    #[command(subcommand)]
    Bench(bench::Bench),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Ended {
        match self {
            Self::Demo(c) => c.run(),
            Self::New(c) => c.run(),
            Self::Check(c) => c.run(),
            Self::Plan(c) => c.run(),
            Self::Fmt(c) => c.run(),
            Self::Test(c) => c.run(),
            Self::Lsp(c) => c.run(),
            Self::Act(c) => c.run(),
            Self::Rule(c) => c.run(),
            Self::Mode(c) => c.run(),
            Self::Run(c) => c.run(),
            Self::Top(c) => c.run(),
            Self::Listen(c) => c.run(),
            Self::Simulate(c) => c.run(),
            Self::Import(c) => c.run(),
            Self::Replay(c) => c.run(),
            Self::Why(c) => c.run(),
            Self::Find(c) => c.run(),
            Self::Diff(c) => c.run(),
            Self::Report(c) => c.run(),
            Self::Trace(c) => c.run(),
            Self::Score(c) => c.run(),
            Self::Doctor(c) => c.run(),
            Self::Bench(c) => c.run(),
        }
    }
}
