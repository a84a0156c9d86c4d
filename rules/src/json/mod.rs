//! The tree as JSON, for programs that write rules: lossless both ways, with a JSON Schema.
//!
//! A node is `{"kind": "rule", "parts": [...]}`, a token `{"kind": "ident", "text": "m7"}`; blanks and comments are
//! tokens like any other. [`from_json`] gives the text back, so that text → JSON → text changes no byte. A program that
//! makes JSON may leave the blanks out: one is put where two tokens would run into each other, and the formatter lays
//! the rest out. What comes out is parsed, and refused where its tree is not the one that was given.

use crate::syntax::{Parse, SyntaxElement, SyntaxKind, SyntaxNode, parse};
use serde_json::{Value, json};

/// Deepest nesting that is read; deeper than any tree that the parser makes.
const NESTING_MAX: usize = 512;

/// Why JSON is no tree of rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A node or token is not of the form.
    #[error("at {at}: {why}")]
    Form {
        /// Where, as a JSON pointer.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// The text does not parse to the tree that was given.
    #[error("the text of this tree is another tree: {0}")]
    OtherTree(String),
}

/// The name of a kind: `for-each` for `FOR_EACH`.
fn kind_name(kind: SyntaxKind) -> String {
    format!("{kind:?}").to_lowercase().replace('_', "-")
}

fn kind_of(name: &str) -> Option<SyntaxKind> {
    SyntaxKind::ALL.iter().copied().find(|kind| kind_name(*kind) == name)
}

fn is_token(kind: SyntaxKind) -> bool {
    kind < SyntaxKind::EOF
}

/// The tree of a parsed file.
pub fn to_json(parse: &Parse) -> Value {
    node_json(&parse.syntax())
}

fn node_json(node: &SyntaxNode) -> Value {
    let parts: Vec<Value> = node
        .children_with_tokens()
        .map(|part| match part {
            SyntaxElement::Node(node) => node_json(&node),
            SyntaxElement::Token(token) => json!({ "kind": kind_name(token.kind()), "text": token.text() }),
        })
        .collect();
    json!({ "kind": kind_name(node.kind()), "parts": parts })
}

/// The text of a tree.
///
/// # Errors
/// [`JsonError`] with the place that is not of the form, or where the text means something else than the tree.
pub fn from_json(tree: &Value) -> Result<String, JsonError> {
    // As it stands first: a tree that was made from a text says every blank.
    as_text(tree, false).or_else(|first| match first {
        JsonError::Form { .. } => Err(first),
        JsonError::OtherTree(_) => as_text(tree, true),
    })
}

fn as_text(tree: &Value, spaced: bool) -> Result<String, JsonError> {
    let mut writer = Writer { spaced, ..Writer::default() };
    writer.part(tree, "", 0)?;
    let parsed = parse("", &writer.text);
    let (wanted, found) = (shape(tree), shape(&to_json(&parsed)));
    match wanted.iter().zip(&found).find(|(a, b)| a != b) {
        Some((a, b)) => Err(JsonError::OtherTree(format!("`{a}` is read as `{b}`"))),
        None if wanted.len() != found.len() => Err(JsonError::OtherTree("it ends elsewhere".to_owned())),
        None => Ok(writer.text),
    }
}

/// Kinds and texts in order, blanks left out.
fn shape(tree: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let mut open = vec![tree];
    while let Some(part) = open.pop() {
        let kind = part["kind"].as_str().unwrap_or_default();
        if kind == "whitespace" || kind == "comment" {
            continue;
        }
        out.push(format!("{kind} {}", part["text"].as_str().unwrap_or_default()).trim().to_owned());
        open.extend(part["parts"].as_array().into_iter().flatten().rev());
    }
    out
}

#[derive(Default)]
struct Writer {
    text: String,
    last: Option<SyntaxKind>,
    /// Blanks are put between tokens that may run together.
    spaced: bool,
}

impl Writer {
    fn part(&mut self, part: &Value, at: &str, depth: usize) -> Result<(), JsonError> {
        let wrong =
            |why: &str| JsonError::Form { at: if at.is_empty() { "/".into() } else { at.into() }, why: why.into() };
        if depth > NESTING_MAX {
            return Err(wrong("the tree is nested too deep"));
        }
        let name = part["kind"].as_str().ok_or_else(|| wrong("`kind` is missing"))?;
        let kind = kind_of(name).ok_or_else(|| wrong(&format!("`{name}` is no kind")))?;
        if is_token(kind) {
            let text = part["text"].as_str().ok_or_else(|| wrong("a token has a `text`"))?;
            self.token(kind, text);
            return Ok(());
        }
        let parts = part["parts"].as_array().ok_or_else(|| wrong("a node has `parts`"))?;
        for (number, part) in parts.iter().enumerate() {
            self.part(part, &format!("{at}/parts/{number}"), depth + 1)?;
        }
        Ok(())
    }

    fn token(&mut self, kind: SyntaxKind, text: &str) {
        let behind = self.last.filter(|_| self.spaced && !kind.is_trivia());
        match behind {
            Some(SyntaxKind::COMMENT) => self.text.push('\n'),
            Some(last) if !last.is_trivia() && runs_together(last, kind) => self.text.push(' '),
            _ => {}
        }
        self.text.push_str(text);
        self.last = Some(kind);
    }
}

/// Whether two tokens may be read as other ones where nothing stands between them.
fn runs_together(a: SyntaxKind, b: SyntaxKind) -> bool {
    use SyntaxKind::{DOT, IDENT, L_PAREN, R_PAREN, STRING};
    // A dot or a bracket behind a word stays where it is; of signs any two may join (`< =`, `. .`).
    let tight = matches!(
        (a, b),
        (IDENT, DOT | L_PAREN | R_PAREN) | (DOT, IDENT) | (L_PAREN, IDENT | STRING) | (STRING, R_PAREN)
    );
    !tight
}

/// The JSON Schema (2020-12) of the form.
pub fn schema() -> Value {
    let names = |token: bool| -> Vec<String> {
        SyntaxKind::ALL
            .iter()
            .filter(|k| is_token(**k) == token && **k != SyntaxKind::EOF)
            .map(|k| kind_name(*k))
            .collect()
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Osmose rules as a tree",
        "description": "The lossless syntax tree of a rules file. Blanks and comments may be left out.",
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "required": ["kind", "parts"],
                "additionalProperties": false,
                "properties": {
                    "kind": { "enum": names(false) },
                    "parts": { "type": "array", "items": { "anyOf": [{ "$ref": "#/$defs/node" }, { "$ref": "#/$defs/token" }] } }
                }
            },
            "token": {
                "type": "object",
                "required": ["kind", "text"],
                "additionalProperties": false,
                "properties": { "kind": { "enum": names(true) }, "text": { "type": "string" } }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "# head\nrule a { for each room r where r.recorder # why\n  when count(people in r) >= 3 and x.y is z\n\
                        do r.recorder.pause(reason: \"{r}\") ; wait 30 s\n hold a.b = -1.5 m/s level privacy }\nprove a outranks *\n";

    /// Blanks and comments taken out, as a program would leave them.
    fn bare(tree: &Value) -> Value {
        match tree["parts"].as_array() {
            None => tree.clone(),
            Some(parts) => {
                let blank = |p: &&Value| p["kind"] != "whitespace" && p["kind"] != "comment";
                json!({ "kind": tree["kind"], "parts": parts.iter().filter(blank).map(bare).collect::<Vec<_>>() })
            }
        }
    }

    #[test]
    fn text_comes_back_byte_for_byte_and_bare_trees_as_the_same_rules() {
        let tree = to_json(&parse("", TEXT));
        assert_eq!(from_json(&tree).as_deref(), Ok(TEXT));
        let made = from_json(&bare(&tree)).expect("a tree without blanks is a tree");
        assert_eq!(shape(&to_json(&parse("", &made))), shape(&tree));
    }

    #[test]
    fn what_is_no_tree_is_refused_with_its_place() {
        let form = |tree: Value| from_json(&tree).expect_err("no tree").to_string();
        assert_eq!(form(json!({})), "at /: `kind` is missing");
        let wrong = json!({ "kind": "file", "parts": [{ "kind": "rulle", "parts": [] }] });
        assert_eq!(form(wrong), "at /parts/0: `rulle` is no kind");
        let other =
            json!({ "kind": "file", "parts": [{ "kind": "edition", "parts": [{ "kind": "ident", "text": "rule" }] }] });
        assert!(form(other).starts_with("the text of this tree is another tree"));
    }

    #[test]
    fn the_schema_names_every_kind_once() {
        let schema = schema();
        let count = |of: &str| schema["$defs"][of]["properties"]["kind"]["enum"].as_array().map_or(0, Vec::len);
        assert_eq!(count("node") + count("token") + 1, SyntaxKind::ALL.len());
    }

    proptest! {
        /// Any text at all, words of the language among it.
        #[test]
        fn any_text_comes_back(words in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(TEXT.split_inclusive(' ').collect::<Vec<_>>()).prop_map(str::to_owned),
            1 => "\\PC{0,6}",
            1 => Just("\n".to_owned()),
        ], 0..40)) {
            let text = words.concat();
            let tree = to_json(&parse("", &text));
            prop_assert_eq!(from_json(&tree), Ok(text));
        }
    }
}
