//! `osmose rule SITE off NAME --for 8h --because TEXT`: a rule of a running site switched off, until the time is over.

use crate::control::{Where, ask};
use crate::outcome::{Ended, Failure, Outcome};
use clap::ValueEnum;
use serde_json::json;

/// Switch a rule of a running site off for a while, or reset it
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose rule my-office off ventilate --for 8h --because \"filters are changed\"\n  \
                        osmose rule my-office on ventilate\n  osmose rule my-office reset fire\n\nA rule that is off \
                        lets go of what it holds, and comes back by itself."
)]
pub(crate) struct Rule {
    #[command(flatten)]
    at: Where,
    /// What to do with it
    #[arg(value_enum)]
    what: What,
    /// The rule
    name: String,
    /// For how long it is off: 90s, 30min, 8h, 2d
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    length: Option<f64>,
    /// Why, for whoever reads the recording
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Off,
    On,
    Reset,
}

fn seconds(text: &str) -> Result<f64, String> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let factor = match text[digits..].trim() {
        "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err("write a number and a unit: 90s, 30min, 8h, 2d".into()),
    };
    text[..digits].parse::<f64>().map(|n| n * factor).map_err(|_| "write a number and a unit, as 8h".into())
}

impl Rule {
    pub(crate) fn run(self) -> Ended {
        let request = match (self.what, self.length, &self.because) {
            (What::Off, Some(for_s), Some(because)) => {
                json!({ "do": "rule-off", "rule": self.name, "for_s": for_s, "because": because })
            }
            (What::Off, ..) => {
                return Err(Failure::usage("say for how long and why: --for 8h --because \"filters are changed\""));
            }
            (What::On, ..) => json!({ "do": "rule-off", "rule": self.name, "for_s": 0, "because": "on again" }),
            (What::Reset, ..) => json!({ "do": "reset", "rule": self.name }),
        };
        println!("{}", ask(&self.at, &request)?);
        Ok(Outcome::Success)
    }
}
