//! Diagnostics: one struct for everything that the rule language has to say about a file.
//!
//! Lexer, parser, checker and compiler all report through [`Diagnostic`], so that the terminal (drawn by
//! `annotate-snippets`), `osmose check --json` and a language server say the same thing about the same bytes.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;
use std::fmt;

/// A half-open range of bytes in one rules file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte; never before `start`.
    pub end: u32,
}

impl Span {
    /// The span `start..end`.
    pub fn new(start: u32, end: u32) -> Self {
        Span { start, end: end.max(start) }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl From<rowan::TextRange> for Span {
    fn from(range: rowan::TextRange) -> Self {
        Span { start: range.start().into(), end: range.end().into() }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot run.
    Error,
    /// The file runs, and probably not as its author thinks.
    Warning,
    /// A remark.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// A second place that the message speaks of, with what it has to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Where, in the same file.
    pub span: Span,
    /// What is to be seen there.
    pub text: String,
}

/// One finding about one rules file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable short name such as `unknown-name`, for tools and for searching the guide.
    pub code: &'static str,
    /// The file as the caller named it.
    pub file: String,
    /// The bytes to blame.
    pub span: Span,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// Words beside the blamed bytes and other places that explain it.
    pub labels: Vec<Label>,
    /// How to mend it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with no labels and no help yet.
    pub fn error(code: &'static str, file: &str, span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            code,
            file: file.to_owned(),
            span,
            message: message.into(),
            labels: Vec::new(),
            help: None,
        }
    }

    /// A warning with no labels and no help yet.
    pub fn warning(code: &'static str, file: &str, span: Span, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, file, span, message) }
    }

    /// Adds a place. A label on the blamed span itself is drawn beside the primary mark.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Whether this keeps the file from running.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Draws the diagnostic over `source` (the text of the file it is about), with colours when `styled`.
    pub fn render(&self, source: &str, styled: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        // Only the lines that are shown are given to the renderer, which would go through all of them each time.
        let spans = || std::iter::once(self.span).chain(self.labels.iter().map(|l| l.span)).map(|s| clip(s, source));
        let from = spans().map(|s| s.start).min().unwrap_or(0);
        let from = source[..from].rfind('\n').map_or(0, |i| i + 1);
        let to = spans().map(|s| s.end).max().unwrap_or(0);
        let to = source[to..].find('\n').map_or(source.len(), |i| to + i);
        let (lines_before, shown) = (source[..from].bytes().filter(|b| *b == b'\n').count(), &source[from..to]);
        let place = |span: Span| {
            let span = clip(span, source);
            span.start - from..span.end - from
        };
        let primary_text = self.labels.iter().find(|label| label.span == self.span).map(|label| label.text.as_str());
        let mut primary = AnnotationKind::Primary.span(place(self.span));
        if let Some(text) = primary_text {
            primary = primary.label(text);
        }
        let others = self.labels.iter().filter(|label| label.span != self.span);
        let snippet = Snippet::source(shown)
            .line_start(lines_before + 1)
            .path(self.file.as_str())
            .fold(true)
            .annotation(primary)
            .annotations(others.map(|l| AnnotationKind::Context.span(place(l.span)).label(l.text.as_str())));
        let mut groups = vec![level.primary_title(self.message.as_str()).id(self.code).element(snippet)];
        if let Some(help) = &self.help {
            groups.push(Group::with_title(Level::HELP.secondary_title(help.as_str())));
        }
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&groups)
    }

    /// The object of `osmose check --json` (INTERFACES.md): `severity code file line column feature message help`,
    /// and the byte span besides. Lines and columns count from 1, columns in characters.
    pub fn to_json(&self, source: &str) -> serde_json::Value {
        let (line, column) = line_column(source, self.span.start);
        serde_json::json!({
            "severity": self.severity,
            "code": self.code,
            "file": self.file,
            "line": line,
            "column": column,
            "feature": serde_json::Value::Null,
            "message": self.message,
            "help": self.help,
            "span": [self.span.start, self.span.end],
            "labels": self.labels,
        })
    }
}

/// Line and column of a byte offset, both from 1, the column in characters.
pub fn line_column(source: &str, offset: u32) -> (u32, u32) {
    let mut at = (offset as usize).min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() as u32 + 1;
    (line, before[line_start..].chars().count() as u32 + 1)
}

/// A span as a range that lies inside `source` on character boundaries, so that drawing can never panic.
fn clip(span: Span, source: &str) -> std::ops::Range<usize> {
    let mut start = (span.start as usize).min(source.len());
    while !source.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = (span.end as usize).clamp(start, source.len());
    while !source.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

/// The candidate nearest to `word` by edits (insert, delete, replace, swap of neighbours), if it is near enough
/// to be a slip of the pen: at most a third of the word's letters, at least one. Ties go to the first in order.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let chars: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    if chars.len() > 64 {
        return None;
    }
    let budget = (chars.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
        if other.len() > 96 || chars.len().abs_diff(other.len()) > budget.max(2) || candidate == word {
            continue;
        }
        let distance = edit_distance(&chars, &other);
        // Who stops short of a word's end means it before any other: `cross` is `crosses`, not `across`.
        let is_begun = chars.len() >= 4 && other.starts_with(&chars) && other.len() - chars.len() <= 2;
        let distance = if is_begun { 0 } else { distance };
        // One letter for another in a one-letter word is no likeness.
        if distance <= budget && distance < chars.len() && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance (Damerau-Levenshtein without repeated edits of one place), O(a*b).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_a_stranger_is_not() {
        assert_eq!(did_you_mean("loby", ["lobby", "cafe"]), Some("lobby"));
        assert_eq!(did_you_mean("reocrder", ["recorder", "lights"]), Some("recorder"));
        assert_eq!(did_you_mean("m8", ["m7", "m9"]), Some("m7"));
        assert_eq!(did_you_mean("cross", ["across", "crosses"]), Some("crosses"));
        assert_eq!(did_you_mean("x", ["y"]), None);
        assert_eq!(did_you_mean("kitchen", ["lobby", "m7"]), None);
    }

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        assert_eq!(line_column("ab\nçd", 0), (1, 1));
        assert_eq!(line_column("ab\nçd", 5), (2, 2));
        assert_eq!(line_column("ab", 99), (1, 3));
    }

    #[test]
    fn a_span_beyond_the_text_still_renders() {
        let diagnostic = Diagnostic::error("x", "a.rules", Span::new(5, 900), "too far").label(Span::new(7, 8), "é");
        assert!(diagnostic.render("né\n", false).contains("too far"));
        assert!(diagnostic.render("", false).contains("too far"));
    }
}
