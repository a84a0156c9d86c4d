//! `osmose run SITE`: the engine, live.

use crate::outcome::{Ended, Failure, Outcome};
use crate::site::ready;
use crate::stop;
use osmose_core::{Core, Fusion, Plan, Rules};
use osmose_model::canon;
use osmose_model::input::Input;
use osmose_model::site::SourceFile;
use osmose_model::time::ArrivalNs;
use osmose_runtime::clock::HostClock;
use osmose_runtime::fused::{Fused, OwnedInput, Setup, Summary};
use osmose_runtime::logs::{CommandLog, EventLog};
use osmose_runtime::tap::Tap;
use std::path::PathBuf;
use std::sync::Arc;

/// Run a site live
#[derive(clap::Args)]
#[command(after_help = "Example:\n  osmose run my-office --record morning.mcap\n\nSIGINT and SIGTERM end it cleanly.")]
pub(crate) struct Run {
    /// The site's folder
    site: PathBuf,
    /// Record inputs and decisions into this trace; it must not exist yet
    #[arg(long, value_name = "FILE.mcap")]
    record: Option<PathBuf>,
    /// Where state is kept, so that a restart goes on where the engine stopped [default: SITE/.osmose]
    #[arg(long, value_name = "DIR|none")]
    state: Option<String>,
    /// Write events as JSON lines to a file, or as datagrams to HOST:PORT
    #[arg(long, value_name = "FILE|ADDR")]
    events: Option<String>,
    /// Decide and record, but send nothing to devices
    #[arg(long)]
    dry_run: bool,
    /// Write no line for each command on stdout
    #[arg(long)]
    quiet: bool,
}
