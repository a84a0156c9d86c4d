//! Two lists of commands side by side, aligned in time; where they part first, and what of.
//!
//! A command of one side belongs to one of the other that tells the same device the same: at the same instant, else
//! the nearest in time. What is left over is paired by device and command alone (other arguments), and what is left
//! of that is on one side only.

pub mod traces;

use crate::drive::what_if::{Both, says_the_same};
use crate::rulebook::Rulebook;
use crate::words;
use crate::words::counted;
use osmose_model::command::Command;
use osmose_model::ids::ActuatorId;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Commands further apart than this are two, not one that moved.
pub const MOVED_MAX: DurationNs = DurationNs::from_s(10);

/// One side: its commands, and what their numbers mean.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// What people call it: `recorded`, `other rules`, a file.
    pub name: &'a str,
    /// Its commands, in order.
    pub commands: &'a [Command],
    /// Its site.
    pub site: &'a Site,
    /// Its rules.
    pub book: &'a Rulebook,
}

/// What became of a command between the sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// On the first side only.
    Gone,
    /// On the second side only.
    New,
    /// On both, at other instants.
    Moved,
    /// On both, with other arguments.
    Altered,
}

impl Change {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::New => "new",
            Self::Moved => "moved",
            Self::Altered => "altered",
        }
    }
}

/// One difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference<'a> {
    /// What kind.
    pub change: Change,
    /// When: the earlier of both.
    pub at: LogicalNs,
    /// The first side's command.
    pub a: Option<&'a Command>,
    /// The second side's.
    pub b: Option<&'a Command>,
    /// It hangs on a device whose state comes from its model by then: a hypothesis. `None` where everything that it hangs
    /// on is recorded.
    pub hypothesis: Option<Hypothesis>,
}

/// What a difference takes for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hypothesis {
    /// The device whose state comes from its model.
    pub of: ActuatorId,
    /// Since when.
    pub since: LogicalNs,
}

/// The stretch of time that both sides hold, where one holds more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first and its last instant.
    pub span: (LogicalNs, LogicalNs),
    /// Commands outside of it, of both sides: they are not compared.
    pub left_out: usize,
}

/// Both sides compared.
#[derive(Clone)]
pub struct Diff<'a> {
    a: Side<'a>,
    b: Side<'a>,
    /// Every difference, in time.
    pub differences: Vec<Difference<'a>>,
    /// Commands that are the same on both sides, at the same instants.
    pub same: usize,
    /// From when on differences are hypotheses.
    pub hypothesis_from: Option<LogicalNs>,
    /// What the sides differ in before any command does, as the caller found it: files, inputs, builds.
    pub causes: Vec<String>,
    /// What is compared, where that is not all.
    pub stretch: Option<Stretch>,
}

/// Compares two sides. `both` is what a what-if knows of devices that parted.
#[must_use]
pub fn diff<'a>(a: Side<'a>, b: Side<'a>, both: Option<&Both>) -> Diff<'a> {
    let same_names = |x: &Command, y: &Command| {
        words::device(a.site, x.device) == words::device(b.site, y.device) && x.verb == y.verb
    };
    let same_words = |x: &Command, y: &Command| {
        if std::ptr::eq(a.site, b.site) {
            says_the_same(x, y)
        } else {
            words::command(a.site, x) == words::command(b.site, y)
        }
    };
    let mut to: Vec<Option<usize>> = vec![None; a.commands.len()];
    let mut taken = vec![false; b.commands.len()];
    let mut pair = |window: DurationNs, alike: &dyn Fn(&Command, &Command) -> bool| {
        let mut low = 0;
        for (i, x) in a.commands.iter().enumerate() {
            while low < b.commands.len() && b.commands[low].at < x.at.minus(window) {
                low += 1;
            }
            if to[i].is_some() {
                continue;
            }
            let near = b.commands[low..].iter().enumerate().take_while(|(_, y)| y.at <= x.at.plus(window));
            let free = near.map(|(j, y)| (low + j, y)).filter(|(j, y)| !taken[*j] && alike(x, y));
            if let Some((j, _)) = free.min_by_key(|(_, y)| y.at.since(x.at).0.abs()) {
                to[i] = Some(j);
                taken[j] = true;
            }
        }
    };
    pair(DurationNs::ZERO, &same_words);
    pair(MOVED_MAX, &same_words);
    pair(MOVED_MAX, &same_names);
    let mut differences = Vec::new();
    let mut same = 0;
    for (x, j) in a.commands.iter().zip(&to) {
        let y = j.map(|j| &b.commands[j]);
        let change = match y {
            None => Change::Gone,
            Some(y) if !same_words(x, y) => Change::Altered,
            Some(y) if x.at != y.at => Change::Moved,
            Some(_) => {
                same += 1;
                continue;
            }
        };
        let at = y.map_or(x.at, |y| y.at.min(x.at));
        differences.push(Difference { change, at, a: Some(x), b: y, hypothesis: None });
    }
    for (y, _) in b.commands.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        differences.push(Difference { change: Change::New, at: y.at, a: None, b: Some(y), hypothesis: None });
    }
    differences.sort_by_key(|d| (d.at, d.a.or(d.b).map(|c| c.id)));
    let hypothesis_from = both.and_then(Both::hypothesis_from);
    if let Some(both) = both {
        let reach = reach(both, [a.book, b.book]);
        for d in &mut differences {
            let device = d.a.or(d.b).map(|c| c.device);
            d.hypothesis = device.and_then(|device| hypothesis(&reach, device, d.at));
        }
    }
    Diff { a, b, differences, same, hypothesis_from, causes: Vec::new(), stretch: None }
}

/// For each device that parted: since when, and every device that may be told something else because of it, itself
/// included, by the rules of either side.
type Reach = Vec<(Hypothesis, BTreeSet<ActuatorId>)>;

fn reach(both: &Both, books: [&Rulebook; 2]) -> Reach {
    let mut all: Reach = Vec::new();
    for (&of, &since) in &both.parted {
        let (mut reached, mut open) = (BTreeSet::new(), vec![of]);
        while let Some(device) = open.pop() {
            if reached.insert(device) {
                open.extend(books.iter().filter_map(|b| b.program()).flat_map(|p| p.followers(device)));
            }
        }
        all.push((Hypothesis { of, since }, reached));
    }
    all.sort_by_key(|(h, _)| (h.since, h.of));
    all
}

/// The earliest hypothesis that a difference of `device` at `at` hangs on. What parts a device is none of its own.
fn hypothesis(reach: &Reach, device: ActuatorId, at: LogicalNs) -> Option<Hypothesis> {
    let hangs = |(h, reached): &&(Hypothesis, BTreeSet<ActuatorId>)| h.since < at && reached.contains(&device);
    reach.iter().find(hangs).map(|(h, _)| *h)
}

impl Diff<'_> {
    /// Where the sides part first.
    #[must_use]
    pub fn first(&self) -> Option<&Difference<'_>> {
        self.differences.first()
    }

    /// Why the first difference is one: what each side's rule says of itself there.
    #[must_use]
    pub fn first_cause(&self) -> Vec<String> {
        let Some(first) = self.differences.first() else { return Vec::new() };
        let mut lines = self.causes.clone();
        for (side, command) in [(self.a, first.a), (self.b, first.b)] {
            let Some(c) = command else { continue };
            let at = c.rule.and_then(|r| side.book.place(r));
            let place = at.map_or_else(String::new, |p| format!(" ({}:{})", p.file, p.line));
            let (who, why) = (words::sender(side.book, c), words::cause(side.site, &c.cause));
            lines.push(format!("{}: {who}{place}, because of {why}", side.name));
        }
        let rule = first.a.or(first.b).and_then(|c| c.rule.map(|r| (first.a.is_some(), r)));
        if let Some((on_a, id)) = rule {
            let (here, there) = if on_a { (self.a, self.b) } else { (self.b, self.a) };
            lines.extend(rule_change(here, there, id));
        }
        lines
    }

    /// For people. Ends with a newline.
    #[must_use]
    pub fn render(&self) -> String {
        let (a, b) = (self.a.name, self.b.name);
        let mut text = format!(
            "{} {a}, {} {b}: {} the same, {}\n",
            counted(self.a.commands.len(), "command"),
            self.b.commands.len(),
            self.same,
            counted(self.differences.len(), "difference")
        );
        if let Some(Stretch { span: (from, to), left_out }) = self.stretch {
            let outside = counted(left_out, "command");
            text += &format!("compared from {from} s to {to} s, which both hold; {outside} outside of it left out\n");
        }
        let Some(first) = self.first() else {
            for cause in &self.causes {
                text += &format!("{cause}\n");
            }
            return text;
        };
        text += &format!("first difference at {} s\n", first.at);
        for line in self.first_cause() {
            text += &format!("  {line}\n");
        }
        if let Some(from) = self.hypothesis_from {
            text += &format!(
                "from {from} s on the state of what was told otherwise comes from its model, people stay as recorded: what is \
                 marked ? hangs on that, and is a hypothesis\n"
            );
        }
        for d in &self.differences {
            let (mark, since) = match d.hypothesis {
                Some(h) => ('?', format!(" (hypothesis since {} s, of {})", h.since, words::device(self.b.site, h.of))),
                None => (' ', String::new()),
            };
            text += &format!("{mark} {:<7} {}{since}\n", d.change.as_str(), self.line(d));
        }
        text
    }

    pub(crate) fn line(&self, d: &Difference<'_>) -> String {
        let told = |side: Side<'_>, c: &Command| {
            format!("{} s {} [{}]", c.at, words::command(side.site, c), words::sender(side.book, c))
        };
        match (d.a, d.b) {
            (Some(x), Some(y)) if d.change == Change::Moved => {
                let by = y.at.since(x.at);
                format!("{} -> {} s ({}{by} s)", told(self.a, x), y.at, if by.0 > 0 { "+" } else { "" })
            }
            (Some(x), Some(y)) => format!("{} -> {}", told(self.a, x), told(self.b, y)),
            (Some(x), None) => told(self.a, x),
            (None, Some(y)) => told(self.b, y),
            (None, None) => String::new(),
        }
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let told = |side: Side<'_>, c: Option<&Command>| {
            c.map(|c| {
                json!({"t_s": c.at.0 as f64 / 1e9, "id": c.id.to_string(), "device": words::device(side.site, c.device),
                    "command": words::command(side.site, c), "rule": words::sender(side.book, c),
                    "because": words::cause(side.site, &c.cause)})
            })
        };
        let one = |d: &Difference<'_>| {
            json!({"change": d.change.as_str(), "t_s": d.at.0 as f64 / 1e9, "a": told(self.a, d.a),
                "b": told(self.b, d.b), "hypothesis": d.hypothesis.is_some(),
                "hypothesis_since_s": d.hypothesis.map(|h| h.since.0 as f64 / 1e9),
                "hypothesis_of": d.hypothesis.map(|h| words::device(self.b.site, h.of))})
        };
        json!({
            "a": {"name": self.a.name, "commands": self.a.commands.len()},
            "b": {"name": self.b.name, "commands": self.b.commands.len()},
            "same": self.same,
            "compared": self.stretch.map(|s| json!({"from_s": s.span.0.0 as f64 / 1e9, "to_s": s.span.1.0 as f64 / 1e9,
                "left_out": s.left_out})),
            "hypothesis_from_s": self.hypothesis_from.map(|t| t.0 as f64 / 1e9),
            "cause": self.first_cause(),
            "differences": self.differences.iter().map(one).collect::<Vec<_>>(),
        })
    }
}

/// How the rule of the first difference stands on the other side.
fn rule_change(here: Side<'_>, there: Side<'_>, id: osmose_model::ids::RuleId) -> Option<String> {
    let name = here.book.name(id);
    let other = there.book.program()?.rule_named(&name);
    let Some(other) = other else { return Some(format!("{} has no rule {name}", there.name)) };
    let (a, b) = (here.book.text(id)?, there.book.text(other)?);
    let mut lines = a.lines().zip(b.lines()).filter(|(x, y)| x.trim() != y.trim());
    let (x, y) = lines.next()?;
    Some(format!("rule {name} says `{}` {}, and `{}` {}", x.trim(), here.name, y.trim(), there.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::Workshop;
    use crate::testing::{files, workshop};
    use osmose_model::command::{Args, Cause, CommandId, Trigger};
    use osmose_model::ids::{Name, RuleId, Seq};

    fn told(at_ms: i64, device: u16, verb: &str, level: Option<f64>) -> Command {
        let mut args = Args::new();
        args.extend(level.map(|l| (Name::new("level").unwrap(), osmose_model::command::Value::Number(l))));
        Command {
            id: CommandId { seq: Seq(at_ms as u64), n: 0 },
            at: LogicalNs(at_ms * 1_000_000),
            source_seq: None,
            rule: Some(RuleId(0)),
            device: ActuatorId(device),
            verb: Name::new(verb).unwrap(),
            args,
            cause: Cause::new(Trigger::Timer),
        }
    }

    #[test]
    fn each_command_is_the_same_moved_altered_gone_or_new() {
        let site = workshop().site().clone();
        let rules: Vec<_> = files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
        let book = Rulebook::new(&site, &rules);
        let a = [told(1000, 0, "set", Some(80.0)), told(2000, 1, "pause", None), told(3000, 0, "off", None)];
        let b = [told(1000, 0, "set", Some(60.0)), told(2250, 1, "pause", None), told(60_000, 0, "off", None)];
        let side = |name, commands| Side { name, commands, site: &site, book: &book };
        let found = diff(side("a", &a), side("b", &b), None);
        let changes: Vec<Change> = found.differences.iter().map(|d| d.change).collect();
        assert_eq!(changes, [Change::Altered, Change::Moved, Change::Gone, Change::New]);
        assert_eq!((found.same, found.first().unwrap().at), (0, LogicalNs(1_000_000_000)));
        let text = found.render();
        for part in ["(+0.25 s)", "meeting.light.set(level: 80)", "level: 60", "4 differences", "because of a timer"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let none = diff(side("a", &a), side("b", &a), None);
        assert_eq!((none.same, none.differences.len()), (3, 0));
    }

    #[test]
    fn what_hangs_on_a_device_that_parted_is_a_hypothesis_since_then_and_nothing_else_is() {
        let site = workshop().site().clone();
        let text = "edition 1
rule light {
  while meeting is occupied
  hold  meeting.light.level = 80 %
  level comfort
}
rule record {
  while meeting.light is on
  hold  meeting.recorder.state = recording
  level comfort
}
";
        let mut rules: Vec<_> = files().into_iter().filter(|f| f.path.ends_with(".rules")).collect();
        rules.truncate(1);
        rules[0].text = text.to_owned();
        let book = Rulebook::new(&site, &rules);
        assert!(book.program().is_some(), "the rules compile");
        let (light, recorder) =
            (site.actuator_named("meeting.light").unwrap(), site.actuator_named("meeting.recorder").unwrap());
        let a = [told(1000, light.0, "set", Some(80.0)), told(3000, light.0, "off", None)];
        let b = [
            told(500, recorder.0, "start", None),
            told(1000, light.0, "set", Some(60.0)),
            told(4000, recorder.0, "pause", None),
            told(20_000, light.0, "off", None),
        ];
        let mut both = Both::default();
        both.parted.insert(light, LogicalNs(1_000_000_000));
        let side = |name, commands| Side { name, commands, site: &site, book: &book };
        let found = diff(side("a", &a), side("b", &b), Some(&both));
        let marked: Vec<_> = found.differences.iter().map(|d| (d.at.0 / 1_000_000, d.hypothesis)).collect();
        let since = Some(Hypothesis { of: light, since: LogicalNs(1_000_000_000) });
        // The recorder follows the lamp by its rule; before the lamp parted, and the parting itself, are no hypotheses.
        assert_eq!(marked, [(500, None), (1000, None), (3000, since), (4000, since), (20_000, since)]);
        // A lamp does not follow the recorder.
        both.parted.clear();
        both.parted.insert(recorder, LogicalNs(500_000_000));
        let found = diff(side("a", &a), side("b", &b), Some(&both));
        let marked: Vec<bool> = found.differences.iter().map(|d| d.hypothesis.is_some()).collect();
        assert_eq!(marked, [false, false, false, true, false]);
        let text = found.render();
        assert!(text.contains("(hypothesis since 0.5 s, of meeting.recorder)"), "{text}");
        assert_eq!(found.to_json()["differences"][3]["hypothesis_of"], "meeting.recorder");
    }
}
