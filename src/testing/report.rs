//! What the tests came to: a picture of expected against actual, coverage of rules, JUnit XML.

use super::run::{Went, said};
use super::script::{Expect, Feed, Script};
use osmose_rules::Program;
use std::collections::BTreeMap;
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
    let mut text = format!("{verdict} {} ({})\n", script.title, script.rule);
    if went.passed() {
        return text;
    }
    _ = writeln!(text, "     {}:{}", script.file, script.line);
    if let Some(broken) = &went.broken {
        _ = writeln!(text, "     it could not run: {broken}");
        return text;
    }
    let mut lines: Vec<(i64, String)> = Vec::new();
    for (at, feed) in &script.feeds {
        lines.push((at.0, format!("{:>10}  given  {}", said(*at), feed_text(feed))));
    }
    for sent in went.sent.iter().filter(|s| s.rule == script.rule || s.rule.is_empty()) {
        lines.push((sent.at.0, format!("{:>10}  sent   {}", said(sent.at), sent.text())));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.iter().for_each(|(_, line)| _ = writeln!(text, "  {line}"));
    let others = went.sent.iter().filter(|s| s.rule != script.rule && !s.rule.is_empty()).count();
    if others > 0 {
        _ = writeln!(text, "     ({others} commands of other rules)");
    }
    went.failures.iter().for_each(|f| _ = writeln!(text, "     {f}"));
    text
}

fn feed_text(feed: &Feed) -> String {
    match feed {
        Feed::Fact(fact) => format!("{fact:?}"),
        Feed::Report(device, property, value) => format!("device {} reports {property} = {value:?}", device.0),
        Feed::Clock(time) => format!("time of day {}", said(*time)),
        Feed::Mode(mode, value) => format!("mode {mode} = {value}"),
        Feed::Reset(rule) => format!("an operator resets {rule}"),
    }
}

/// What of the rules the tests saw.
pub(crate) struct Coverage {
    /// By rule: whether it acted, whether a test expects it to stay silent, how many tests are of it.
    pub(crate) rules: Vec<(String, bool, bool, usize)>,
}

impl Coverage {
    pub(crate) fn of(program: &Program, ran: &[Ran]) -> Self {
        let mut acted: BTreeMap<&str, bool> = BTreeMap::new();
        for sent in ran.iter().flat_map(|r| &r.went.sent) {
            acted.insert(sent.rule.as_str(), true);
        }
        let of = |name: &str| {
            let tests = ran.iter().filter(|r| r.script.rule == name);
            let silent = tests.clone().any(|r| {
                r.script.expects.iter().any(|e| matches!(e, Expect::NothingIn(..) | Expect::NothingElse))
                    && !r.went.sent.iter().any(|s| s.rule == name)
            });
            (name.to_owned(), acted.contains_key(name), silent, tests.count())
        };
        Coverage { rules: program.rules().iter().map(|r| of(&r.name)).collect() }
    }

    /// Rules that acted, branches taken (acted, stayed silent where a test asks for it), and what there is of either.
    pub(crate) fn figures(&self) -> (usize, usize, usize, usize) {
        let acted = self.rules.iter().filter(|r| r.1).count();
        let branches = self.rules.iter().map(|r| usize::from(r.1) + usize::from(r.2)).sum();
        (acted, self.rules.len(), branches, 2 * self.rules.len())
    }

    pub(crate) fn text(&self) -> String {
        let (acted, rules, branches, all) = self.figures();
        let mut text =
            format!("coverage: {acted} of {rules} rules acted, {branches} of {all} branches (acted, stayed silent)\n");
        for (name, acted, silent, tests) in &self.rules {
            let missing = match (acted, silent) {
                (true, true) => continue,
                (true, false) => "no test in which it stays silent",
                (false, true) => "no test in which it acts",
                (false, false) => "it never acts, and no test asks it to stay silent",
            };
            _ = writeln!(text, "  {name} ({tests} tests): {missing}");
        }
        text
    }
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
