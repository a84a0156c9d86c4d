//! What the tests came to: a picture of expected against actual, coverage of rules, JUnit XML.

use super::run::{Sent, Went, said, value_text};
use super::script::{Expect, Script};
use osmose_model::ids::RuleId;
use osmose_model::site::Site;
use osmose_replay::counted;
use osmose_rules::{Program, Way};
use std::fmt::Write;

/// A test and how it went.
pub(crate) struct Ran {
    pub(crate) script: Script,
    pub(crate) went: Went,
    pub(crate) seconds: f64,
}

/// The lines of one test: only its verdict where it passed, a timeline where it did not.
pub(crate) fn picture(ran: &Ran) -> String {
    let Ran { script, went, .. } = ran;
    let verdict = if went.passed() { "ok  " } else { "FAIL" };
    let of = if script.rule.is_empty() { String::new() } else { format!(" ({})", script.rule) };
    let mut text = format!("{verdict} {}{of}\n", script.title);
    if went.passed() {
        return text;
    }
    if let Some(broken) = &went.broken {
        _ = writeln!(text, "     it cannot be run:");
        broken.lines().for_each(|line| _ = writeln!(text, "{}", format!("     {line}").trim_end()));
        return text;
    }
    _ = writeln!(text, "     {}:{}", script.file, script.line);
    let mut lines: Vec<(i64, String)> = Vec::new();
    for given in &script.feeds {
        lines.push((given.at.0, format!("{:>10}  given  {}", said(given.at), given.text)));
    }
    for sent in went.sent.iter().filter(|s| s.rule == script.rule || s.rule.is_empty()) {
        lines.push((sent.at.0, format!("{:>10}  sent   {}", said(sent.at), sent.text())));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.iter().for_each(|(_, line)| _ = writeln!(text, "  {line}"));
    let others = went.sent.iter().filter(|s| s.rule != script.rule && !s.rule.is_empty()).count();
    if others > 0 {
        _ = writeln!(text, "     ({} of other rules)", counted(others, "command"));
    }
    went.failures.iter().for_each(|f| _ = writeln!(text, "     {f}"));
    text
}

/// What of the rules the tests saw.
pub(crate) struct Coverage {
    pub(crate) rules: Vec<Covered>,
}

/// What of one rule they saw.
pub(crate) struct Covered {
    name: String,
    acted: bool,
    /// A test expects it to stay silent, and it did.
    silent: bool,
    tests: usize,
    /// The ways that it can go once it acts, and whether it went there.
    ways: Vec<(String, bool)>,
}

impl Covered {
    fn branches(&self) -> (usize, usize) {
        let ways = self.ways.iter().filter(|(_, taken)| *taken).count();
        (usize::from(self.acted) + usize::from(self.silent) + ways, 2 + self.ways.len())
    }

    /// Nothing of it is tested.
    fn is_unseen(&self) -> bool {
        !self.acted && self.tests == 0
    }

    /// What no test saw; nothing where all was seen.
    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        match (self.acted, self.silent) {
            (true, true) => {}
            (true, false) => missing.push("no test in which it stays silent".to_owned()),
            (false, true) => missing.push("no test in which it acts".to_owned()),
            (false, false) => missing.push("it never acts, and no test asks it to stay silent".to_owned()),
        }
        let ways = self.ways.iter().filter(|(_, taken)| self.acted && !taken);
        missing.extend(ways.map(|(way, _)| format!("never `{way}`")));
        missing
    }
}

/// A way as people read it, and whether a command went it.
fn way(site: &Site, way: Way, sent: &[&Sent]) -> (String, bool) {
    match way {
        Way::Value(property, value) => {
            let value = value_text(site, &value);
            let taken = sent.iter().any(|s| s.args.iter().any(|(n, v)| property == *n.as_str() && *v == value));
            (format!("{property} = {value}"), taken)
        }
        Way::Command(kind, verb) => {
            let of = |s: &Sent| site.actuator_named(&s.device).map(|d| site.actuators[d.index()].kind);
            let taken = sent.iter().any(|s| verb == *s.verb.as_str() && of(s) == Some(kind));
            (format!("{kind}.{verb}"), taken)
        }
    }
}

impl Coverage {
    pub(crate) fn of(site: &Site, program: &Program, ran: &[Ran]) -> Self {
        let acted = |r: &Ran, name: &str| r.went.acted.iter().any(|a| a == name);
        let of = |(number, name): (usize, &str)| {
            let tests = ran.iter().filter(|r| r.script.rule == name);
            let silent = tests.clone().any(|r| {
                r.script.expects.iter().any(|e| matches!(e, Expect::NothingIn(..) | Expect::NothingElse))
                    && !acted(r, name)
            });
            let sent: Vec<&Sent> = ran.iter().flat_map(|r| &r.went.sent).filter(|s| s.rule == name).collect();
            let ways = program.ways(RuleId(number as u16)).into_iter().map(|w| way(site, w, &sent)).collect();
            Covered {
                name: name.to_owned(),
                acted: ran.iter().any(|r| acted(r, name)),
                silent,
                tests: tests.count(),
                ways,
            }
        };
        Coverage { rules: program.rules().iter().map(|r| r.name.as_str()).enumerate().map(of).collect() }
    }

    /// Rules that acted, branches taken (acted, stayed silent where a test asks for it, each way that it can go), and what
    /// there is of either.
    pub(crate) fn figures(&self) -> (usize, usize, usize, usize) {
        let acted = self.rules.iter().filter(|r| r.acted).count();
        let (taken, all) = self.rules.iter().map(Covered::branches).fold((0, 0), |sum, b| (sum.0 + b.0, sum.1 + b.1));
        (acted, self.rules.len(), taken, all)
    }

    pub(crate) fn text(&self) -> String {
        let (acted, rules, branches, all) = self.figures();
        let mut text = format!(
            "coverage: {acted} of {rules} rules acted, {branches} of {all} branches (acted, stayed silent, ways)\n"
        );
        let (unseen, seen): (Vec<&Covered>, Vec<&Covered>) = self.rules.iter().partition(|r| r.is_unseen());
        for rule in seen {
            let missing = rule.missing();
            if !missing.is_empty() {
                _ = writeln!(text, "  {} ({} tests): {}", rule.name, rule.tests, missing.join("; "));
            }
        }
        if !unseen.is_empty() {
            _ = writeln!(text, "  without a test, and never acting in those of others ({}):", unseen.len());
            let names: Vec<&str> = unseen.iter().map(|r| r.name.as_str()).collect();
            lines(&names).iter().for_each(|line| _ = writeln!(text, "    {line}"));
        }
        text
    }
}

/// Names with commas between them, in lines of a readable length.
fn lines(names: &[&str]) -> Vec<String> {
    const WIDTH: usize = 100;
    let mut lines: Vec<String> = Vec::new();
    for (nth, name) in names.iter().enumerate() {
        let word = format!("{name}{}", if nth + 1 < names.len() { "," } else { "" });
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < WIDTH => *line += &format!(" {word}"),
            _ => lines.push(word),
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no place for other control characters.
            c if c < ' ' && !matches!(c, '\n' | '\t') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// JUnit XML, one suite, as CI servers read it.
pub(crate) fn junit(name: &str, ran: &[Ran]) -> String {
    let failures = ran.iter().filter(|r| !r.went.failures.is_empty()).count();
    let errors = ran.iter().filter(|r| r.went.broken.is_some()).count();
    let time: f64 = ran.iter().map(|r| r.seconds).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    _ = writeln!(
        xml,
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time:.6}\">",
        escaped(name),
        ran.len()
    );
    for r in ran {
        let (title, rule, file) = (escaped(&r.script.title), escaped(&r.script.rule), escaped(&r.script.file));
        _ = write!(
            xml,
            "  <testcase name=\"{title}\" classname=\"{rule}\" file=\"{file}\" line=\"{}\" time=\"{:.6}\"",
            r.script.line, r.seconds
        );
        match (&r.went.broken, r.went.passed()) {
            (_, true) => xml.push_str("/>\n"),
            (Some(broken), _) => _ = writeln!(xml, ">\n    <error message=\"{}\"/>\n  </testcase>", escaped(broken)),
            (None, false) => {
                let first = r.went.failures.first().map(String::as_str).unwrap_or_default();
                let picture = escaped(&picture(r));
                _ = writeln!(xml, ">\n    <failure message=\"{}\">{picture}</failure>\n  </testcase>", escaped(first));
            }
        }
    }
    xml.push_str("</testsuite>\n");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_forbids_is_escaped() {
        assert_eq!(escaped("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot; ");
    }
}
