//! SIGINT and SIGTERM as a flag: the pipeline ends itself, cleanly, with nothing lost.

use crate::outcome::Failure;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A flag that either signal sets.
pub(crate) fn on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, flag.clone())
            .map_err(|e| Failure::found(format!("cannot watch for signals: {e}")))?;
    }
    Ok(flag)
}
