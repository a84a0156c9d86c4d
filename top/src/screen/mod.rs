//! The state on any size of screen: all panels side by side where there is room, one at a time where there is not, two
//! lines on the smallest.

mod head;
mod lists;

use crate::keys::{Panel, View};
use crate::state::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

/// From this size on all panels stand side by side.
const WIDE: (u16, u16) = (110, 30);
/// Below this size there is no room for a panel.
const SMALL: (u16, u16) = (40, 8);

pub(super) const DIM: Style = Style::new().fg(Color::DarkGray);
pub(super) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
pub(super) const DOUBT: Style = Style::new().fg(Color::Yellow);

/// Draws the state; a view that is scrolled too far is put back.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, view: &mut View, to: &str) {
    let area = frame.area();
    if area.width < SMALL.0 || area.height < SMALL.1 {
        let lines = vec![head::title(state, view, to), head::short(state)];
        frame.render_widget(Paragraph::new(lines), area);
        return;
    }
    let heads = head::lines(state, view, to, area.width);
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(heads.len() as u16), Constraint::Min(3), Constraint::Length(1)])
            .areas(area);
    frame.render_widget(Paragraph::new(heads), head);
    let is_wide = area.width >= WIDE.0 && area.height >= WIDE.1;
    match (view.alone, is_wide) {
        (None, true) => all(frame, body, state),
        (alone, _) => {
            let panel = alone.unwrap_or(Panel::People);
            let lines = lists::count(state, panel);
            view.down = view.down.min(lines.saturating_sub(usize::from(body.height.saturating_sub(3))));
            lists::panel(frame, body, state, panel, view.down);
        }
    }
    frame.render_widget(Paragraph::new(foot_line(view, is_wide)), foot);
    if view.help {
        help(frame, area);
    }
}

fn all(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let [left, right] = Layout::horizontal([Constraint::Percentage(45), Constraint::Percentage(55)]).areas(area);
    let [people, zones, devices] =
        Layout::vertical([Constraint::Percentage(40), Constraint::Percentage(35), Constraint::Percentage(25)])
            .areas(left);
    let [commands, rules, sensors, events] = Layout::vertical([
        Constraint::Percentage(36),
        Constraint::Percentage(24),
        Constraint::Percentage(20),
        Constraint::Percentage(20),
    ])
    .areas(right);
    for (panel, area) in [
        (Panel::People, people),
        (Panel::Zones, zones),
        (Panel::Devices, devices),
        (Panel::Commands, commands),
        (Panel::Rules, rules),
        (Panel::Sensors, sensors),
        (Panel::Events, events),
    ] {
        lists::panel(frame, area, state, panel, 0);
    }
}

fn foot_line(view: &View, is_wide: bool) -> Line<'static> {
    let mut spans = Vec::new();
    for (i, (panel, name)) in Panel::ALL.iter().enumerate() {
        let is_here = view.alone == Some(*panel) || view.alone.is_none() && !is_wide && i == 0;
        spans.push(Span::styled(format!("{} ", i + 1), DIM));
        spans.push(Span::styled(format!("{name} "), if is_here { STRONG } else { Style::new() }));
    }
    spans.push(Span::styled("? keys  q quit", DIM));
    Line::from(spans)
}

const KEYS: [&str; 8] = [
    "1-7, Tab     one panel",
    "0, Esc       all panels",
    "j k Up Down  scroll",
    "PgUp PgDn    scroll by ten",
    "g Home       to the top",
    "Space, p     hold the picture",
    "? h          these keys",
    "q Ctrl-C     quit",
];

fn help(frame: &mut Frame<'_>, area: Rect) {
    let (width, height) = (34.min(area.width), (KEYS.len() as u16 + 2).min(area.height));
    let at = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, at);
    let lines: Vec<Line<'_>> = KEYS.iter().map(|k| Line::from(*k)).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys ")), at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Link;
    use crate::state::tests::morning;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn shown(state: &State, view: &mut View, (width, height): (u16, u16)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state, view, "127.0.0.1:7800")).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn all_panels_on_a_wide_screen() {
        insta::assert_snapshot!(shown(&morning(), &mut View::default(), (120, 34)));
    }

    #[test]
    fn one_panel_on_a_usual_screen_and_two_lines_on_the_smallest() {
        insta::assert_snapshot!("usual", shown(&morning(), &mut View::default(), (80, 24)));
        let mut view = View { alone: Some(Panel::Commands), ..View::default() };
        insta::assert_snapshot!("commands", shown(&morning(), &mut view, (80, 14)));
        insta::assert_snapshot!("small", shown(&morning(), &mut View::default(), (38, 4)));
    }

    #[test]
    fn no_engine_a_held_picture_and_the_keys_are_told() {
        let lost =
            State { link: Link::Lost("nothing answers at 127.0.0.1:7800 (refused)".to_owned()), ..State::default() };
        insta::assert_snapshot!("lost", shown(&lost, &mut View::default(), (80, 10)));
        let mut view = View { help: true, holds: true, alone: Some(Panel::Sensors), ..View::default() };
        insta::assert_snapshot!("help", shown(&morning(), &mut view, (80, 16)));
    }

    #[test]
    fn every_size_is_drawn_and_scrolling_ends_at_the_end() {
        for width in [1, 2, 7, 39, 40, 60, 109, 110, 200] {
            for height in [1, 2, 7, 8, 9, 29, 30, 60] {
                let mut view = View { down: 1000, help: true, ..View::default() };
                shown(&morning(), &mut view, (width, height));
                for (panel, _) in Panel::ALL {
                    view.alone = Some(panel);
                    shown(&State::default(), &mut view, (width, height));
                }
            }
        }
        let mut view = View { alone: Some(Panel::People), down: 1000, ..View::default() };
        assert!(shown(&morning(), &mut view, (80, 24)).contains("ana"));
        assert_eq!(view.down, 0, "two people fit");
    }
}
