//! `osmose act SITE DEVICE COMMAND [NAME=VALUE]`: a device of a running site, by hand. What is set by hand lasts until
//! a rule takes hold of the device or commands it.

use crate::control::{Where, ask};
use crate::outcome::{Ended, Failure, Outcome};
use serde_json::{Map, Value, json};

/// Send a device of a running site a command by hand
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose act my-office m7.recorder pause\n  osmose act my-office m7.light set level=30"
)]
pub(crate) struct Act {
    #[command(flatten)]
    at: Where,
    /// The device
    device: String,
    /// The command
    command: String,
    /// Its argument
    #[arg(value_name = "NAME=VALUE")]
    args: Option<String>,
}

impl Act {
    pub(crate) fn run(self) -> Ended {
        let mut args = Map::new();
        if let Some(arg) = &self.args {
            let Some((name, value)) = arg.split_once('=') else {
                return Err(Failure::usage(format!("`{arg}` is no argument: write NAME=VALUE")));
            };
            let number = value.parse::<f64>().ok().and_then(|n| serde_json::Number::from_f64(n).map(Value::Number));
            args.insert(name.to_owned(), number.unwrap_or_else(|| Value::String(value.to_owned())));
        }
        let request = json!({ "do": "act", "device": self.device, "command": self.command, "args": args });
        println!("{}", ask(&self.at, &request)?);
        Ok(Outcome::Success)
    }
}
