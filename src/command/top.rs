//! `osmose top`: a running engine at a glance, in the terminal.

use crate::outcome::{Ended, Failure, Outcome};
use std::io::IsTerminal;
use std::time::Duration;

/// A running engine at a glance, in the terminal: people, zones, devices, rules, commands, latency, sensors, losses
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose run my-office &\n  osmose top\n  osmose top --once | head -4\n\n\
    It reads the page of a running engine (`osmose run`, `osmose demo`), so it works wherever that can be reached, also \
    through `ssh -L`. Keys: 1-7 one panel, 0 all, j k scroll, Space holds, q quits.")]
pub(crate) struct Top {
    /// Where the engine serves its page, as `run` prints it
    #[arg(long, value_name = "ADDR", default_value = "http://127.0.0.1:7800")]
    web: String,
    /// One picture as text on stdout, and end; so it is too where stdout is no terminal
    #[arg(long)]
    once: bool,
    /// Size of that picture, characters
    #[arg(long, value_name = "COLUMNSxLINES", default_value = "120x40", value_parser = size)]
    size: (u16, u16),
}

/// How long an engine is waited for when one picture is asked for.
const WITHIN: Duration = Duration::from_secs(3);

fn size(text: &str) -> Result<(u16, u16), String> {
    let numbers = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let fits = |n: u16| (1..=500).contains(&n);
    numbers.filter(|&(w, h)| fits(w) && fits(h)).ok_or_else(|| "write columns x lines, such as 120x40".to_owned())
}

impl Top {
    pub(crate) fn run(self) -> Ended {
        let to = osmose_top::url(&self.web).map_err(Failure::usage)?;
        if self.once || !std::io::stdout().is_terminal() {
            println!("{}", osmose_top::once(&to, self.size, WITHIN).map_err(Failure::found)?);
        } else {
            osmose_top::run(&to).map_err(Failure::found)?;
        }
        Ok(Outcome::Success)
    }
}
