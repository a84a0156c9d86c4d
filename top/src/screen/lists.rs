//! The panels: each a table with what is worst or newest on top.

use super::head::us;
use super::{BAD, DIM, DOUBT, STRONG};
use crate::keys::Panel;
use crate::state::{Happened, State};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Row, Table};

/// A table before it is drawn.
struct Listed<'s> {
    title: String,
    heads: &'static [&'static str],
    widths: &'static [Constraint],
    rows: Vec<Vec<Cell<'s>>>,
    /// Columns that go first where the panel is narrow, and how wide it must be for all of them.
    spare: (&'static [usize], u16),
}

/// Lines of a panel.
pub(super) fn count(state: &State, panel: Panel) -> usize {
    match panel {
        Panel::People => state.people.len(),
        Panel::Zones => state.zones.len(),
        Panel::Devices => state.devices.len(),
        Panel::Commands => state.commands.len(),
        Panel::Rules => state.rules.len() + state.rules_off.len(),
        Panel::Sensors => state.sensors.len(),
        Panel::Events => state.events.len(),
    }
}

/// Draws a panel, its first `down` lines scrolled away.
pub(super) fn panel(frame: &mut Frame<'_>, area: Rect, state: &State, panel: Panel, down: usize) {
    let most = usize::from(area.height);
    let listed = match panel {
        Panel::People => people(state, down, most),
        Panel::Zones => zones(state, down, most),
        Panel::Devices => devices(state, down, most),
        Panel::Commands => commands(state, down, most),
        Panel::Rules => rules(state, down, most),
        Panel::Sensors => sensors(state, down, most),
        Panel::Events => events(state, down, most),
    };
    let (spare, wide) = listed.spare;
    let keeps = |i: usize| area.width >= wide || !spare.contains(&i);
    fn kept<T>(all: impl IntoIterator<Item = T>, keeps: impl Fn(usize) -> bool) -> Vec<T> {
        all.into_iter().enumerate().filter(|(i, _)| keeps(*i)).map(|(_, one)| one).collect()
    }
    let head = Row::new(kept(listed.heads.iter().copied(), keeps)).style(DIM);
    let widths = kept(listed.widths.iter().copied(), keeps);
    let rows = listed.rows.into_iter().map(|cells| Row::new(kept(cells, keeps)));
    let block = Block::bordered().border_style(DIM).title(Line::styled(format!(" {} ", listed.title), STRONG));
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(1).block(block), area);
}

fn cell<'s>(text: impl Into<String>, style: Style) -> Cell<'s> {
    Cell::from(Span::styled(text.into(), style))
}

fn plain<'s>(text: impl Into<String>) -> Cell<'s> {
    Cell::from(text.into())
}

fn people<'s>(state: &State, down: usize, most: usize) -> Listed<'s> {
    use Constraint::{Length, Min};
    let mut order: Vec<_> = state.people.iter().collect();
    // Known people by name, then the others by number.
    order.sort_by(|a, b| (a.person.is_none(), &a.person, a.track).cmp(&(b.person.is_none(), &b.person, b.track)));
    let row = |p: &&crate::state::Somebody| {
        let who = p.person.clone().unwrap_or_else(|| format!("#{}", p.track));
        let sure = p.person.as_ref().map_or(String::new(), |_| format!("{:.2}", p.person_p));
        let seen = if p.lost_s > 0.0 { cell(format!("lost {:.0} s", p.lost_s), DOUBT) } else { plain("seen") };
        vec![
            cell(who, if p.person.is_some() { STRONG } else { Style::new() }),
            plain(sure),
            plain(p.zones.join(" ")),
            cell(p.level.clone(), DIM),
            plain(format!("{:.1}, {:.1}", p.x_m, p.y_m)),
            plain(format!("{:.1}", p.speed_mps)),
            cell(format!("{:.2}", p.sigma_m), DIM),
            seen,
        ]
    };
    let lost = state.lost();
    Listed {
        title: format!(
            "people {}{}",
            state.people.len(),
            if lost > 0 { format!(", {lost} lost") } else { String::new() }
        ),
        spare: (&[3, 5, 6], 69),
        heads: &["who", "sure", "where", "level", "x, y m", "m/s", "+- m", ""],
        widths: &[Length(10), Length(4), Min(8), Length(9), Length(11), Length(4), Length(5), Length(9)],
        rows: order.iter().skip(down).take(most).map(row).collect(),
    }
}

fn zones<'s>(state: &State, down: usize, most: usize) -> Listed<'s> {
    use Constraint::{Length, Min};
    let mut order: Vec<_> = state.zones.iter().collect();
    order.sort_by_key(|(id, z)| (std::cmp::Reverse(z.people), z.known != "motion", id.as_str()));
    let row = |(id, z): &(&String, &crate::state::Zone)| {
        let of = z.capacity.map_or(String::new(), |c| format!(" of {c:.0}"));
        let is_full = z.capacity.is_some_and(|c| z.people as f64 > c);
        let style = if is_full {
            BAD
        } else if z.people > 0 {
            STRONG
        } else {
            DIM
        };
        let known = match z.known.as_str() {
            "" | "known" => plain(""),
            other => cell(other, DOUBT),
        };
        let unknown = if z.unidentified > 0 { format!("{} unknown", z.unidentified) } else { String::new() };
        vec![
            plain((*id).clone()),
            cell(format!("{}{of}", z.people), style),
            known,
            plain(unknown),
            cell(z.level.clone(), DIM),
        ]
    };
    let occupied = state.zones.values().filter(|z| z.people > 0).count();
    Listed {
        title: format!("zones {occupied} of {} occupied", state.zones.len()),
        spare: (&[4], 53),
        heads: &["zone", "people", "", "identity", "level"],
        widths: &[Min(12), Length(9), Length(7), Length(10), Length(9)],
        rows: order.iter().skip(down).take(most).map(row).collect(),
    }
}

fn devices<'s>(state: &State, down: usize, most: usize) -> Listed<'s> {
    use Constraint::{Length, Min};
    let mut order: Vec<_> = state.devices.iter().collect();
    // Those that a rule holds first.
    order.sort_by_key(|(id, d)| (d.rule.is_none(), d.state.is_none(), id.as_str()));
    let row = |(id, d): &(&String, &crate::state::Device)| {
        let shown = d.state.clone().map_or_else(|| cell("unknown", DOUBT), plain);
        vec![
            plain((*id).clone()),
            cell(d.kind.clone(), DIM),
            shown,
            plain(d.rule.clone().unwrap_or_default()),
            cell(d.more.clone(), DIM),
        ]
    };
    let held = state.devices.values().filter(|d| d.rule.is_some()).count();
    Listed {
        title: format!("devices {}, {held} held by rules", state.devices.len()),
        spare: (&[1, 4], 64),
        heads: &["device", "kind", "state", "held by", ""],
        widths: &[Length(18), Length(8), Length(10), Length(16), Min(6)],
        rows: order.iter().skip(down).take(most).map(row).collect(),
    }
}

fn at<'s>(h: &Happened) -> Cell<'s> {
    cell(format!("{:>9.2}", h.t_s), DIM)
}

fn commands<'s>(state: &State, down: usize, most: usize) -> Listed<'s> {
    use Constraint::{Length, Min};
    let row = |h: &Happened| {
        let took = h.engine_us.map_or_else(|| "-".to_owned(), us);
        let human = h.human_us.map_or_else(String::new, us);
        vec![
            at(h),
            cell(took, if h.is_late { BAD } else { Style::new() }),
            cell(human, DIM),
            plain(h.rule.clone()),
            plain(h.what.clone()),
            cell(h.why.clone(), DIM),
        ]
    };
    Listed {
        title: "commands, newest first".to_owned(),
        spare: (&[2, 5], 110),
        heads: &["t s", "engine", "human", "rule", "command", "because"],
        widths: &[Length(9), Length(8), Length(8), Length(16), Min(16), Min(16)],
        rows: state.commands.iter().skip(down).take(most).map(row).collect(),
    }
}

fn rules<'s>(state: &State, down: usize, most: usize) -> Listed<'s> {
    use Constraint::{Length, Min};
    let mut order: Vec<_> = state.rules.iter().collect();
    order.sort_by(|a, b| {
        (std::cmp::Reverse(a.late), std::cmp::Reverse(a.n), &a.id).cmp(&(
            std::cmp::Reverse(b.late),
            std::cmp::Reverse(b.n),
            &b.id,
        ))
    });
    let off = state.rules_off.iter().map(|r| vec![plain(r.clone()), cell("switched off", DOUBT)]);
    let fired = order.iter().map(|r| {
        let late = if r.late > 0 { cell(format!("{} late", r.late), BAD) } else { plain("") };
        vec![plain(r.id.clone()), plain(r.n.to_string()), plain(us(r.p50_us)), plain(us(r.max_us)), late]
    });
    Listed {
        title: format!("rules in the last minute, {} fired", state.rules.len()),
        spare: (&[], 0),
        heads: &["rule", "fired", "p50", "max", ""],
        widths: &[Min(16), Length(12), Length(9), Length(9), Length(8)],
        rows: off.chain(fired).skip(down).take(most).collect(),
    }
}

fn sensors<'s>(state: &State, down: usize, most: usize) -> Listed<'s> {
    use Constraint::{Length, Min};
    let mut order: Vec<_> = state.sensors.iter().collect();
    order.sort_by_key(|(id, s)| (s.state == "ok", id.as_str()));
    let row = |(id, s): &(&String, &crate::state::Sensor)| {
        let (style, rate) = if s.state == "ok" { (DIM, String::new()) } else { (BAD, format!("{:.1} Hz", s.rate_hz)) };
        vec![
            plain((*id).clone()),
            cell(s.kind.clone(), DIM),
            cell(s.state.clone(), style),
            plain(rate),
            plain(s.why.clone()),
        ]
    };
    let ill = state.ill().count();
    Listed {
        title: if ill == 0 {
            format!("sensors {}, all well", state.sensors.len())
        } else {
            format!("sensors {}, {ill} NOT WELL", state.sensors.len())
        },
        spare: (&[1], 60),
        heads: &["sensor", "kind", "state", "rate", "why"],
        widths: &[Length(18), Length(9), Length(9), Length(8), Min(10)],
        rows: order.iter().skip(down).take(most).map(row).collect(),
    }
}

fn events<'s>(state: &State, down: usize, most: usize) -> Listed<'s> {
    use Constraint::{Length, Min};
    let row = |h: &Happened| {
        let style = if matches!(h.kind.as_str(), "shed" | "gap" | "unseen") { BAD } else { DIM };
        vec![at(h), cell(h.kind.clone(), style), plain(h.what.clone())]
    };
    Listed {
        title: "events, newest first".to_owned(),
        spare: (&[], 0),
        heads: &["t s", "kind", "what"],
        widths: &[Length(9), Length(10), Min(10)],
        rows: state.events.iter().skip(down).take(most).map(row).collect(),
    }
}
