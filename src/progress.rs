//! A progress bar on stderr for long work, drawn only where stderr is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use osmose_model::time::LogicalNs;
use osmose_replay::drive::Watch;
use std::io::IsTerminal;
use std::ops::ControlFlow;

/// How far a long piece of work is, with its rate and the time that is left.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {bytes_per_sec}  {eta} left  at {msg} s");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// Takes it off the screen.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}

impl Watch for Bar {
    fn progress(&mut self, done: u64, total: u64, at: LogicalNs) -> ControlFlow<()> {
        self.0.set_length(total);
        self.0.set_position(done);
        self.0.set_message(at.to_string());
        ControlFlow::Continue(())
    }
}
