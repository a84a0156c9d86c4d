//! What a key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A panel that can be read alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panel {
    People,
    Zones,
    Devices,
    Commands,
    Rules,
    Sensors,
    Events,
}

impl Panel {
    pub(crate) const ALL: [(Self, &'static str); 7] = [
        (Self::People, "people"),
        (Self::Zones, "zones"),
        (Self::Devices, "devices"),
        (Self::Commands, "commands"),
        (Self::Rules, "rules"),
        (Self::Sensors, "sensors"),
        (Self::Events, "events"),
    ];
}

/// What somebody looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// One panel alone; `None` for all of them side by side, where the screen is large enough.
    pub(crate) alone: Option<Panel>,
    /// Lines scrolled down in the panel that is read alone.
    pub(crate) down: usize,
    /// The picture stands still; messages are taken in and not shown.
    pub(crate) holds: bool,
    /// The keys are shown.
    pub(crate) help: bool,
    /// It ends.
    pub(crate) quit: bool,
}

/// Lines of a page up or down.
const PAGE: usize = 10;

impl View {
    /// Follows a key.
    pub(crate) fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if control => self.quit = true,
            KeyCode::Char('q') => self.quit = true,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Esc | KeyCode::Char('0') => (self.alone, self.down) = (None, 0),
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Char(' ' | 'p') => self.holds = !self.holds,
            KeyCode::Char(c @ '1'..='7') => {
                let i = c as usize - '1' as usize;
                (self.alone, self.down) = (Some(Panel::ALL[i].0), 0);
            }
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(Panel::ALL.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.down = self.down.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.down = self.down.saturating_sub(1),
            KeyCode::PageDown => self.down = self.down.saturating_add(PAGE),
            KeyCode::PageUp => self.down = self.down.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.down = 0,
            _ => {}
        }
    }

    fn turn(&mut self, by: usize) {
        let now = self.alone.and_then(|p| Panel::ALL.iter().position(|(q, _)| *q == p));
        let next = match now {
            Some(i) => (i + by) % Panel::ALL.len(),
            None if by == 1 => 0,
            None => Panel::ALL.len() - 1,
        };
        (self.alone, self.down) = (Some(Panel::ALL[next].0), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_turn_panels_scroll_hold_and_end() {
        let mut view = View::default();
        let mut press = |code| {
            view.key(KeyEvent::new(code, KeyModifiers::NONE));
            view
        };
        assert_eq!(press(KeyCode::Tab).alone, Some(Panel::People));
        assert_eq!(press(KeyCode::BackTab).alone, Some(Panel::Events));
        assert_eq!(press(KeyCode::Char('4')).alone, Some(Panel::Commands));
        press(KeyCode::Down);
        assert_eq!(press(KeyCode::PageDown).down, 11);
        assert_eq!(press(KeyCode::Up).down, 10);
        assert_eq!(press(KeyCode::Char('2')), View { alone: Some(Panel::Zones), ..View::default() });
        assert!(press(KeyCode::Char(' ')).holds && press(KeyCode::Char('?')).help);
        assert!(!press(KeyCode::Esc).help);
        assert_eq!(press(KeyCode::Esc).alone, None);
        assert!(press(KeyCode::Char('q')).quit);
        let mut view = View::default();
        view.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(view.quit);
    }
}
