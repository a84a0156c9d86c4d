//! Documents and places in them: the protocol counts lines and UTF-16 units, the rules count bytes.

use super::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the editor holds, by URI.
#[derive(Default)]
pub(super) struct Documents {
    texts: BTreeMap<String, String>,
}

impl Documents {
    pub(super) fn put(&mut self, uri: &str, text: &str) {
        self.texts.insert(uri.to_owned(), text.to_owned());
    }

    pub(super) fn remove(&mut self, uri: &str) {
        self.texts.remove(uri);
    }

    pub(super) fn text(&self, uri: &str) -> Option<&str> {
        self.texts.get(uri).map(String::as_str)
    }

    /// What is open of a site: URI, path inside the site, text.
    pub(super) fn of_site<'d>(&'d self, world: &'d World) -> impl Iterator<Item = (&'d str, String, &'d str)> {
        self.texts.iter().filter_map(|(uri, text)| {
            let name = world.name_of(&path_of(uri)?)?;
            Some((uri.as_str(), name, text.as_str()))
        })
    }

    /// The text of a file of the site: the editor's where it is open, else the disk's.
    pub(super) fn uri_or_disk(&self, path: &Path) -> (String, Option<String>) {
        let uri = uri_of(path);
        let text = self.text(&uri).map(str::to_owned).or_else(|| std::fs::read_to_string(path).ok());
        (uri, text)
    }
}

/// The path of a `file:` URI.
pub(super) fn path_of(uri: &str) -> Option<PathBuf> {
    let encoded = uri.strip_prefix("file://")?.as_bytes();
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while at < encoded.len() {
        let hex = encoded.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (encoded[at], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                at += 3;
            }
            (byte, _) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

/// The `file:` URI of an absolute path.
pub(super) fn uri_of(path: &Path) -> String {
    let mut uri = String::from("file://");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => uri.push(char::from(byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

/// The byte offset of a position; the end of its line where it lies beyond.
pub(super) fn offset_of(text: &str, position: &Value) -> usize {
    let (line, unit) = (position["line"].as_u64().unwrap_or(0), position["character"].as_u64().unwrap_or(0));
    let start = text.split_inclusive('\n').take(line as usize).map(str::len).sum::<usize>();
    let mut units = 0;
    for (at, c) in text[start..].char_indices() {
        if units >= unit || c == '\n' {
            return start + at;
        }
        units += c.len_utf16() as u64;
    }
    text.len()
}

/// The position of a byte offset.
pub(super) fn position_of(text: &str, offset: usize) -> Value {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    json!({ "line": before.matches('\n').count(), "character": before[line_start..].encode_utf16().count() })
}

pub(super) fn range_of(text: &str, from: usize, to: usize) -> Value {
    json!({ "start": position_of(text, from), "end": position_of(text, to) })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// The word around an offset, and the dotted path that it ends: `m7.recorder` at `recorder`.
pub(super) fn word_at(text: &str, offset: usize) -> Option<(usize, usize, String)> {
    let offset = offset.min(text.len());
    let from =
        text[..offset].rfind(|c| !is_word(c)).map_or(0, |i| i + text[i..].chars().next().map_or(1, char::len_utf8));
    let to = text[offset..].find(|c| !is_word(c)).map_or(text.len(), |i| offset + i);
    let word = text.get(from..to).filter(|w| !w.is_empty())?;
    let mut path = word.to_owned();
    let mut begins = from;
    while let Some(before) = text[..begins].strip_suffix('.') {
        let start =
            before.rfind(|c| !is_word(c)).map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8));
        if start == before.len() {
            break;
        }
        path = format!("{}.{path}", &before[start..]);
        begins = start;
    }
    Some((from, to, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_utf16_units_and_bytes_come_back() {
        let text = "a😀b\nçd\n";
        for (offset, _) in text.char_indices() {
            assert_eq!(offset_of(text, &position_of(text, offset)), offset);
        }
        assert_eq!(position_of(text, 5), json!({"line": 0, "character": 3}));
        assert_eq!(offset_of(text, &json!({"line": 9, "character": 9})), text.len());
    }

    #[test]
    fn paths_and_words() {
        let path = Path::new("/a b/ü.rules");
        assert_eq!(path_of(&uri_of(path)).as_deref(), Some(path));
        let text = "do m7.recorder.pause()";
        assert_eq!(word_at(text, 8), Some((6, 14, "m7.recorder".to_owned())));
        assert_eq!(word_at(text, 16).map(|w| w.2), Some("m7.recorder.pause".to_owned()));
        assert_eq!(word_at("( )", 1), None);
    }
}
