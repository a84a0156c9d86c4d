//! The terminal, put back however it ends; and the same picture once, as text, for scripts.

use crate::feed::{Told, start};
use crate::keys::View;
use crate::screen::draw;
use crate::state::{Link, State};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, poll, read};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// A picture a tenth of a second; keys are followed at once.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// The whole picture has come once figures have, which are told every second.
const FIGURES_WITHIN: Duration = Duration::from_millis(1500);

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The terminal does not do as asked.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] std::io::Error),
    /// No engine answers.
    #[error("{0}; is `osmose run` or `osmose demo` running, and with a page (`--web`)?")]
    NoEngine(String),
}

fn take(state: &mut State, told: Told) {
    match told {
        Told::Connected => *state = State { link: Link::Live, ..State::default() },
        Told::Message(message) => state.take(&message),
        Told::Lost(why) => state.link = Link::Lost(why),
    }
}

/// Shows a running engine until somebody presses `q`. `to` is HOST:PORT of its page.
///
/// # Errors
/// Where the terminal cannot be used. An engine that goes is waited for.
pub fn run(to: &str) -> Result<(), RunError> {
    let told = start(to.to_owned())?;
    let mut terminal = ratatui::try_init()?;
    let ended = looked(&mut terminal, to, &told);
    ratatui::try_restore()?;
    ended
}

fn looked(terminal: &mut ratatui::DefaultTerminal, to: &str, told: &Receiver<Told>) -> Result<(), RunError> {
    let (mut state, mut view) = (State::default(), View::default());
    let mut shown = state.clone();
    while !view.quit {
        told.try_iter().for_each(|t| take(&mut state, t));
        if !view.holds {
            shown.clone_from(&state);
        }
        terminal.draw(|frame| draw(frame, &shown, &mut view, to))?;
        let until = Instant::now() + DRAW_EVERY;
        while poll(until.saturating_duration_since(Instant::now()))? {
            if let Event::Key(key) = read()? {
                view.key(key);
                terminal.draw(|frame| draw(frame, &shown, &mut view, to))?;
            }
        }
    }
    Ok(())
}

/// One picture as text, `width` by `height` characters; waits up to `within` for an engine.
///
/// # Errors
/// [`RunError::NoEngine`] where none answers in time.
pub fn once(to: &str, (width, height): (u16, u16), within: Duration) -> Result<String, RunError> {
    let told = start(to.to_owned())?;
    let mut state = State::default();
    let mut until = Instant::now() + within;
    let mut is_first = true;
    while let Ok(t) = told.recv_timeout(until.saturating_duration_since(Instant::now())) {
        take(&mut state, t);
        if is_first && state.link == Link::Live && !state.site.is_empty() {
            until = until.min(Instant::now() + FIGURES_WITHIN);
            is_first = false;
        }
    }
    if is_first {
        let why = match state.link {
            Link::Lost(why) => why,
            _ => format!("nothing answers at {to}"),
        };
        return Err(RunError::NoEngine(why));
    }
    let mut terminal = match Terminal::new(TestBackend::new(width, height)) {
        Ok(terminal) => terminal,
        Err(never) => match never {},
    };
    match terminal.draw(|frame| draw(frame, &state, &mut View::default(), to)) {
        Ok(_) => Ok(as_text(terminal.backend().buffer())),
        Err(never) => match never {},
    }
}

/// A screen's characters, line by line, without what is empty at their ends.
fn as_text(buffer: &ratatui::buffer::Buffer) -> String {
    let line = |y: u16| {
        let cells = (0..buffer.area.width).filter_map(|x| buffer.cell((x, y)));
        cells.map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
    };
    (0..buffer.area.height).map(line).collect::<Vec<_>>().join("\n")
}
