//! One pass over a JSON text (RFC 8259): validates all of it and notes where the mapped values stand.
//!
//! Nothing is built and nothing is copied: a value is its kind and its place in the text. Only what a map points to
//! is noted, so a body costs about a byte comparison per byte.

use super::pointer::{Pointers, SLOTS_MAX};

/// Deepest nesting that is followed; deeper bodies are refused as malformed (a bound for the stack).
pub const DEPTH_MAX: u32 = 64;

/// The text is not one JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What stands at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    #[default]
    Null,
    /// `true`.
    True,
    /// `false`.
    False,
    /// A number without fraction or exponent.
    Integer,
    /// Another number.
    Number,
    /// A string that stands for itself; the place is between the quotes.
    Text,
    /// A string with escapes in it.
    Escaped,
    /// An array, brackets included.
    Array,
    /// An object, braces included.
    Object,
}

/// A value's kind and place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: u32,
    /// Behind its last byte.
    pub end: u32,
}

impl Value {
    /// The text it stands on.
    #[must_use]
    pub fn raw<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// The values that a walk found, by slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    values: [Value; SLOTS_MAX],
    present: u32,
}

impl Found {
    /// The value of a slot; `None` where the body has none there. A `null` is there.
    #[must_use]
    pub fn get(&self, slot: u8) -> Option<Value> {
        (self.present & (1 << slot) != 0).then(|| self.values[usize::from(slot)])
    }
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.present = 0;
    }
    fn put(&mut self, slot: u8, value: Value) {
        self.values[usize::from(slot)] = value;
        self.present |= 1 << slot;
    }
    /// Forgets some slots: an object's member that comes twice replaces all that the first one held.
    fn forget(&mut self, slots: u32) {
        self.present &= !slots;
    }
}

/// Walks a whole text: exactly one value with white space round it.
///
/// # Errors
/// [`Malformed`] where it is not one JSON value.
pub fn walk(text: &str, pointers: &Pointers, found: &mut Found) -> Result<(), Malformed> {
    found.clear();
    if text.len() > u32::MAX as usize {
        return Err(Malformed);
    }
    let mut walk = Walk { text, bytes: text.as_bytes(), at: 0, pointers, found };
    walk.space();
    walk.value(Some(0), 0)?;
    walk.space();
    if walk.at == walk.bytes.len() { Ok(()) } else { Err(Malformed) }
}

/// Walks the elements of an array that [`walk`] has found, one at a time.
pub struct Elements<'a> {
    text: &'a str,
    at: usize,
    first: bool,
}

impl<'a> Elements<'a> {
    /// The elements of `array`, a value of kind [`Kind::Array`] in `text`.
    #[must_use]
    pub fn of(text: &'a str, array: Value) -> Self {
        Self { text, at: array.start as usize + 1, first: true }
    }

    /// Goes to the next element and notes its values; `false` behind the last.
    ///
    /// # Errors
    /// [`Malformed`] never comes for an array that [`walk`] went through.
    pub fn next(&mut self, pointers: &Pointers, found: &mut Found) -> Result<bool, Malformed> {
        found.clear();
        let mut walk = Walk { text: self.text, bytes: self.text.as_bytes(), at: self.at, pointers, found };
        walk.space();
        if walk.peek() == Some(b']') {
            return Ok(false);
        }
        if !self.first {
            walk.expect(b',')?;
            walk.space();
        }
        walk.value(Some(0), 0)?;
        self.at = walk.at;
        self.first = false;
        Ok(true)
    }
}

/// Goes over the members of an object that [`walk`] has found, one at a time.
pub struct Members<'a> {
    text: &'a str,
    at: usize,
    first: bool,
}

/// One member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name as written, between the quotes.
    pub key: &'a str,
    /// Whether the name holds escapes.
    pub escaped: bool,
    /// Its value.
    pub value: Value,
}

impl<'a> Members<'a> {
    /// The members of `object`, a value of kind [`Kind::Object`] in `text`.
    #[must_use]
    pub fn of(text: &'a str, object: Value) -> Self {
        Self { text, at: object.start as usize + 1, first: true }
    }

    /// The next member; `None` behind the last.
    ///
    /// # Errors
    /// [`Malformed`] never comes for an object that [`walk`] went through.
    pub fn next(&mut self, nothing: &Pointers) -> Result<Option<Member<'a>>, Malformed> {
        let mut found = Found::default();
        let (text, at) = (self.text, self.at);
        let mut walk = Walk { text, bytes: text.as_bytes(), at, pointers: nothing, found: &mut found };
        walk.space();
        if walk.peek() == Some(b'}') {
            return Ok(None);
        }
        if !self.first {
            walk.expect(b',')?;
            walk.space();
        }
        let start = walk.at + 1;
        let escaped = walk.string()?;
        let key = text.get(start..walk.at - 1).ok_or(Malformed)?;
        walk.space();
        walk.expect(b':')?;
        walk.space();
        let value = walk.value(None, 0)?;
        self.at = walk.at;
        self.first = false;
        Ok(Some(Member { key, escaped, value }))
    }
}

struct Walk<'a, 'f> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    pointers: &'a Pointers,
    found: &'f mut Found,
}

impl Walk<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    fn value(&mut self, node: Option<u16>, depth: u32) -> Result<Value, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed);
        }
        let mut start = self.at;
        let mut end_quote = 0;
        let kind = match self.peek().ok_or(Malformed)? {
            b'"' => {
                start += 1;
                end_quote = 1;
                if self.string()? { Kind::Escaped } else { Kind::Text }
            }
            b'{' => self.object(node, depth).map(|()| Kind::Object)?,
            b'[' => self.array(node, depth).map(|()| Kind::Array)?,
            b't' => self.word(b"true").map(|()| Kind::True)?,
            b'f' => self.word(b"false").map(|()| Kind::False)?,
            b'n' => self.word(b"null").map(|()| Kind::Null)?,
            _ => self.number()?,
        };
        // Bodies are far shorter than u32::MAX (`walk` sees to it), so the places fit.
        let value = Value { kind, start: start as u32, end: (self.at - end_quote) as u32 };
        if let Some(slot) = node.and_then(|n| self.pointers.node(n).slot) {
            self.found.put(slot, value);
        }
        Ok(value)
    }

    fn object(&mut self, node: Option<u16>, depth: u32) -> Result<(), Malformed> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(Malformed);
            }
            let start = self.at + 1;
            let escaped = self.string()?;
            let end = self.at - 1;
            self.space();
            self.expect(b':')?;
            self.space();
            let child = match node {
                Some(n) => self.text.get(start..end).and_then(|key| self.pointers.member(n, key, escaped)),
                None => None,
            };
            if let Some(c) = child {
                self.found.forget(self.pointers.node(c).below);
            }
            self.value(child, depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Malformed),
            }
            self.space();
        }
    }

    fn array(&mut self, node: Option<u16>, depth: u32) -> Result<(), Malformed> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        let mut index = 0;
        loop {
            let child = node.and_then(|n| self.pointers.element(n, index));
            self.value(child, depth + 1)?;
            index += 1;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Malformed),
            }
            self.space();
        }
    }

    /// Goes over a string, from quote to quote; whether it holds escapes.
    fn string(&mut self) -> Result<bool, Malformed> {
        self.at += 1;
        let mut escaped = false;
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => {
                    self.at += 1;
                    return Ok(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                0..=0x1f => return Err(Malformed),
                _ => self.at += 1,
            }
        }
    }

    /// Goes over an escape, behind its backslash. Half a surrogate pair is malformed: it is no character.
    fn escape(&mut self) -> Result<(), Malformed> {
        let kind = self.peek().ok_or(Malformed)?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.hex4()? {
                0xD800..=0xDBFF => {
                    self.word(b"\\u")?;
                    if (0xDC00..=0xDFFF).contains(&self.hex4()?) { Ok(()) } else { Err(Malformed) }
                }
                0xDC00..=0xDFFF => Err(Malformed),
                _ => Ok(()),
            },
            _ => Err(Malformed),
        }
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek().ok_or(Malformed)?).to_digit(16).ok_or(Malformed)?;
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Malformed) }
    }

    fn number(&mut self) -> Result<Kind, Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        let mut kind = Kind::Integer;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            kind = Kind::Number;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
            kind = Kind::Number;
        }
        Ok(kind)
    }
}

/// The characters of a string that the walk went through, escapes replaced.
pub fn unescape(raw: &str) -> impl Iterator<Item = char> + '_ {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let mut chars = rest.chars();
        let c = chars.next()?;
        let escape = if c == '\\' { chars.next() } else { None };
        rest = chars.as_str();
        Some(match escape {
            None => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => unescape_unicode(&mut rest).unwrap_or(char::REPLACEMENT_CHARACTER),
            Some(other) => other,
        })
    })
}

/// The character of a `\u` escape (or of the pair of them that a character beyond U+FFFF takes).
fn unescape_unicode(rest: &mut &str) -> Option<char> {
    let high = take_hex4(rest)?;
    if !(0xD800..=0xDBFF).contains(&high) {
        return char::from_u32(high);
    }
    *rest = rest.strip_prefix("\\u")?;
    let low = take_hex4(rest)?.checked_sub(0xDC00)?;
    char::from_u32(0x10000 + ((high - 0xD800) << 10) + low)
}

fn take_hex4(rest: &mut &str) -> Option<u32> {
    let value = u32::from_str_radix(rest.get(..4)?, 16).ok()?;
    *rest = rest.get(4..)?;
    Some(value)
}
