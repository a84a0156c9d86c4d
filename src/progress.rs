//! A progress bar on stderr for long work, drawn only where stderr is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use osmose_model::time::LogicalNs;
use osmose_replay::drive::Watch;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::Instant;

/// How far a long piece of work is, with its rate and the time that is left.
pub(crate) struct Bar {
    bar: ProgressBar,
    /// When it was first drawn, and where the log stood then.
    begun: Option<(Instant, LogicalNs)>,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {bytes_per_sec}  {eta} left  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, begun: None }
    }

    /// Takes it off the screen.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Bar {
    fn progress(&mut self, done: u64, total: u64, at: LogicalNs) -> ControlFlow<()> {
        let (begun, from) = *self.begun.get_or_insert_with(|| (Instant::now(), at));
        let speed = at.since(from).as_s_f64() / begun.elapsed().as_secs_f64().max(1e-9);
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(format!("at {:.1} s, {speed:.0} x real time", at.0 as f64 / 1e9));
        ControlFlow::Continue(())
    }
}
