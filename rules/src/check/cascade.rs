//! Findings that only follow from others: one slip is told once, at its place.
//!
//! Where a rule does not parse, what is missing in its tree is no finding of its own; a number whose unit is none fits
//! nowhere; a condition in which something is wrong does not say what it should.

use super::rule::DOES_NOTHING;
use crate::diag::{Diagnostic, Span};
use crate::syntax::ast::{AstNode, File};

/// What is found of a rule's meaning that its tree may lack only because it does not parse. Names are not among it: they
/// are wrong by themselves.
const OF_MEANING: &[&str] = &["type", "unit", "clause", "arguments", "unknown-member", "not-a-value"];

pub(super) fn drop_what_follows(diagnostics: &mut Vec<Diagnostic>, files: &[(&str, File)]) {
    let errors: Vec<(String, &'static str, Span)> =
        diagnostics.iter().filter(|d| d.is_error()).map(|d| (d.file.clone(), d.code, d.span)).collect();
    if errors.len() < 2 {
        return;
    }
    let items: Vec<(&str, Vec<Span>)> =
        files.iter().map(|(path, file)| (*path, file.items().map(|item| item.span()).collect())).collect();
    let item_of = |file: &str, at: Span| {
        let (_, spans) = items.iter().find(|(path, _)| *path == file)?;
        let after = spans.partition_point(|span| span.start <= at.start);
        spans.get(after.checked_sub(1)?).copied().filter(|span| holds(*span, at))
    };
    diagnostics.retain(|d| {
        let others =
            || errors.iter().filter(|(file, code, span)| *file == d.file && (*code, *span) != (d.code, d.span));
        let is_in =
            |outer: Span, wanted: &[&str]| others().any(|(_, code, span)| holds(outer, *span) && wanted.contains(code));
        match d.code {
            "unit" if is_in(d.span, &["unknown-unit"]) => false,
            // The whole condition is blamed, and a part of it is wrong.
            "type" if others().any(|(_, _, span)| *span != d.span && holds(d.span, *span)) => false,
            "clause" if d.message == DOES_NOTHING => {
                item_of(&d.file, d.span).is_none_or(|item| !others().any(|(_, _, span)| holds(item, *span)))
            }
            code if OF_MEANING.contains(&code) => {
                item_of(&d.file, d.span).is_none_or(|item| !is_in(item, &["syntax", "unclosed"]))
            }
            _ => true,
        }
    });
}

fn holds(outer: Span, inner: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
