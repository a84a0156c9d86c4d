//! Any YAML as a tree with lines, within limits: no aliases (ten of them in a row are a gigabyte), no deep nesting.

use crate::at_line;
use osmose_load::Fault;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 32;
/// Most values in one document.
const NODES_MAX: usize = 2_000_000;

/// A value and where it begins: line and column, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: (u32, u32),
    pub(crate) value: Value,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A word, number or text; whether it was quoted (then it is no number).
    Scalar(String, bool),
    List(Vec<Node>),
    /// Keys and values in the file's order.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key; the last where it is there twice.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v).filter(|v| !v.is_null())
    }
    pub(crate) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }
    pub(crate) fn number(&self) -> Option<f64> {
        match &self.value {
            Value::Scalar(text, false) => text.trim().parse().ok().filter(|x: &f64| x.is_finite()),
            _ => None,
        }
    }
    fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(text, false) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// A list or map that is still open.
struct Open {
    at: (u32, u32),
    key: Option<String>,
    value: Value,
}

fn at(span: Span) -> (u32, u32) {
    let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (clip(span.start.line()), clip(span.start.col()).saturating_add(1))
}

/// Reads the first document of a text; `None` where it is empty.
pub(crate) fn read(file: &str, text: &str) -> Result<Option<Node>, Box<Fault>> {
    let (mut open, mut root, mut nodes): (Vec<Open>, Option<Node>, usize) = (Vec::new(), None, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            let at = (
                u32::try_from(e.marker().line()).unwrap_or(u32::MAX),
                u32::try_from(e.marker().col()).unwrap_or(0) + 1,
            );
            at_line(
                "yaml",
                file,
                Some(at),
                format!("This is no YAML: {}.", e.info()),
                "Correct the line, or the one before it.",
            )
        })?;
        let here = at(span);
        let refuse = |message: &str, help: &str| at_line("yaml", file, Some(here), message, help);
        let done = match event {
            Event::Alias(_) => {
                return Err(refuse(
                    "An alias (`*name`) stands here; plans are read without them.",
                    "Write the value out.",
                ));
            }
            Event::Scalar(text, style, ..) => {
                Some(Node { at: here, value: Value::Scalar(text.into_owned(), style != ScalarStyle::Plain) })
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() >= DEPTH_MAX {
                    return Err(refuse(
                        "This is nested too deeply for a plan.",
                        "A plan is floors, rooms, points, numbers.",
                    ));
                }
                let value = if matches!(event, Event::SequenceStart(..)) {
                    Value::List(Vec::new())
                } else {
                    Value::Map(Vec::new())
                };
                open.push(Open { at: here, key: None, value });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|o| Node { at: o.at, value: o.value }),
            Event::DocumentEnd => break,
            _ => None,
        };
        let Some(node) = done else { continue };
        nodes += 1;
        if nodes > NODES_MAX {
            return Err(refuse("The file has more values than a plan can.", "Split the plan by level."));
        }
        put(node, &mut open, &mut root)
            .map_err(|()| refuse("A list or table stands here as a key.", "Keys are words."))?;
    }
    Ok(root)
}

/// Puts a finished value where it belongs.
fn put(node: Node, open: &mut [Open], root: &mut Option<Node>) -> Result<(), ()> {
    match open.last_mut() {
        None => *root = Some(node),
        Some(Open { value: Value::List(items), .. }) => items.push(node),
        Some(Open { value: Value::Map(entries), key, .. }) => match key.take() {
            Some(key) => entries.push((key, node)),
            None => match node.value {
                Value::Scalar(text, _) => *key = Some(text),
                _ => return Err(()),
            },
        },
        Some(Open { value: Value::Scalar(..), .. }) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tree_has_its_lines_and_its_kinds() {
        let node = read("a", "a: [1, '2', x]\nb:\n  c: ~\n  d: 0.5\n").unwrap().unwrap();
        let list = node.get("a").unwrap().list().unwrap();
        assert_eq!(list.iter().map(Node::number).collect::<Vec<_>>(), [Some(1.0), None, None]);
        assert!(node.get("b").unwrap().get("c").is_none());
        let d = node.get("b").unwrap().get("d").unwrap();
        assert_eq!((d.number(), d.at), (Some(0.5), (4, 6)));
        assert!(read("a", "").unwrap().is_none());
    }

    #[test]
    fn what_could_grow_without_end_is_refused() {
        let message = |text: &str| read("a", text).err().map(|f| f.to_string()).unwrap_or_default();
        assert!(message("a: &x [1]\nb: *x").contains("alias"));
        assert!(message(&"[".repeat(100)).contains("nested"), "{}", message(&"[".repeat(100)));
        assert!(message("a: [1").contains("no YAML"));
        assert!(message("[1, 2]: 3").contains("as a key"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), soup in "[-:{}\\[\\],&*!|>'\"#%@` \nab01]{0,60}") {
            let _ = read("a", &text);
            let _ = read("a", &soup);
        }
    }
}
