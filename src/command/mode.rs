//! `osmose mode SITE NAME VALUE`: a mode of a running site.

use crate::control::{Where, ask};
use crate::outcome::{Ended, Outcome};
use serde_json::json;

/// Set a mode of a running site
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose mode my-office house away")]
pub(crate) struct Mode {
    #[command(flatten)]
    at: Where,
    /// The mode
    name: String,
    /// Its value
    value: String,
}

impl Mode {
    pub(crate) fn run(self) -> Ended {
        let request = json!({ "do": "mode", "mode": self.name, "value": self.value });
        println!("{}", ask(&self.at, &request)?);
        Ok(Outcome::Success)
    }
}
