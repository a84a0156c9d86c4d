//! A TOML file read key by key: every key asked for becomes a known key, every other one is a fault with a proposal.
//!
//! So the reader itself is the schema, and the list of keys in a message can never differ from the keys that are read.

use crate::fault::{Faults, Spot};
use crate::text::{Source, propose, shown};
use std::collections::BTreeSet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A parsed file. Tables with syntax errors are read as far as they parse, and the errors are faults.
pub(crate) struct Doc<'a> {
    source: &'a Source<'a>,
    root: Spanned<DeTable<'a>>,
}

impl<'a> Doc<'a> {
    pub(crate) fn parse(source: &'a Source<'a>, faults: &mut Faults) -> Self {
        let (root, errors) = DeTable::parse_recoverable(source.text);
        for e in errors {
            let spot = e.span().map_or_else(|| Spot::file(source.path), |s| source.spot(s.start));
            let message = e.message().trim_end_matches('.').replace('\n', "; ");
            faults.error(
                "toml",
                &spot,
                "",
                format!("This is not TOML: {message}."),
                "Mend the line; a key stands left of `=`, a text in quotes right of it.",
            );
        }
        Self { source, root }
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields {
            source: self.source,
            what: self.source.path.to_owned(),
            name: String::new(),
            at: 0,
            own: Some(self.root.get_ref()),
            fallback: None,
            known: BTreeSet::new(),
        }
    }
}

/// What a number may be.
#[derive(Clone, Copy)]
pub(crate) enum Range {
    Any,
    Positive,
    NotNegative,
    /// In (0, 1].
    Chance,
    /// In [0, 1].
    Share,
    /// Between two bounds, both included.
    Within(f64, f64),
}

impl Range {
    fn holds(self, x: f64) -> bool {
        match self {
            Self::Any => true,
            Self::Positive => x > 0.0,
            Self::NotNegative => x >= 0.0,
            Self::Chance => x > 0.0 && x <= 1.0,
            Self::Share => (0.0..=1.0).contains(&x),
            Self::Within(low, high) => (low..=high).contains(&x),
        }
    }
    fn words(self) -> String {
        match self {
            Self::Any => "any number".to_owned(),
            Self::Positive => "more than 0".to_owned(),
            Self::NotNegative => "0 or more".to_owned(),
            Self::Chance => "more than 0 and at most 1".to_owned(),
            Self::Share => "from 0 to 1".to_owned(),
            Self::Within(low, high) => format!("from {low} to {high}"),
        }
    }
}

/// One table, possibly over another whose keys hold where its own are absent (`[defaults.KIND]`).
pub(crate) struct Fields<'a> {
    source: &'a Source<'a>,
    /// What the table is, for messages: "sensor `ceiling-1`".
    what: String,
    /// The id it is about, for the fault's `feature`.
    name: String,
    at: usize,
    own: Option<&'a DeTable<'a>>,
    fallback: Option<&'a DeTable<'a>>,
    known: BTreeSet<&'static str>,
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Val<'a> {
    source: &'a Source<'a>,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Val<'a> {
    pub(crate) fn spot(&self) -> Spot {
        self.source.spot(self.value.span().start)
    }
    pub(crate) fn get(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }
    pub(crate) fn as_str(&self) -> Option<&'a str> {
        match self.get() {
            DeValue::String(s) => Some(s.as_ref()),
            _ => None,
        }
    }
    /// A finite number, whole or not.
    pub(crate) fn as_number(&self) -> Option<f64> {
        match self.get() {
            DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok().map(|i| i as f64),
            DeValue::Float(f) => f.as_str().parse().ok().filter(|x: &f64| x.is_finite()),
            _ => None,
        }
    }
    pub(crate) fn items(&self) -> Option<impl Iterator<Item = Val<'a>> + use<'a>> {
        let source = self.source;
        match self.get() {
            DeValue::Array(a) => Some(a.iter().map(move |value| Val { source, value })),
            _ => None,
        }
    }
    /// What it is, for a message about what it should have been.
    pub(crate) fn describe(&self) -> String {
        match self.get() {
            DeValue::String(s) => format!("the text \"{}\"", shown(s)),
            DeValue::Integer(i) => format!("the number {}", shown(i.as_str())),
            DeValue::Float(f) => format!("the number {}", shown(f.as_str())),
            DeValue::Boolean(b) => format!("`{b}`"),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }
    /// `[[x, y], …]`: the pairs, or `None` where any is no pair of finite numbers.
    pub(crate) fn as_pairs(&self) -> Option<Vec<[f64; 2]>> {
        self.items()?
            .map(|pair| {
                let mut numbers = pair.items()?.map(|n| n.as_number());
                match (numbers.next(), numbers.next(), numbers.next()) {
                    (Some(Some(x)), Some(Some(y)), None) => Some([x, y]),
                    _ => None,
                }
            })
            .collect()
    }
}

impl<'a> Fields<'a> {
    /// Says what the table is about from here on; `what` is its sort ("sensor"), `name` its id.
    pub(crate) fn call(&mut self, what: &str, name: &str) {
        self.what = format!("{what} `{}`", shown(name));
        self.name = name.to_owned();
    }
    /// Lets the keys of `fallback` hold where this table has none of its own.
    pub(crate) fn over(&mut self, fallback: Option<&'a DeTable<'a>>) {
        self.fallback = fallback;
    }
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
    pub(crate) fn what(&self) -> &str {
        &self.what
    }
    /// Where the table stands.
    pub(crate) fn spot(&self) -> Spot {
        self.source.spot(self.at)
    }
    /// Whether the key was written for this very table (and not inherited).
    pub(crate) fn has_own(&self, key: &str) -> bool {
        self.own.is_some_and(|t| t.contains_key(key))
    }

    /// A value by key, own or inherited; the key is known from now on.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Val<'a>> {
        self.known.insert(key);
        self.peek(key)
    }
    /// The same for a key that the site itself declares (an attribute).
    pub(crate) fn peek(&self, key: &str) -> Option<Val<'a>> {
        let find = |t: Option<&'a DeTable<'a>>| t.and_then(|t| t.get(key));
        find(self.own).or_else(|| find(self.fallback)).map(|value| Val { source: self.source, value })
    }
    /// Own keys and values, in the file's alphabet.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Val<'a>)> + use<'a> {
        let source = self.source;
        let table = self.own.into_iter().flatten();
        table.map(move |(key, value)| (key.get_ref().as_ref(), Val { source, value }))
    }

    fn wrong_type(&self, faults: &mut Faults, key: &str, val: Val<'_>, wanted: &str) {
        let message = format!("`{key}` of {} is {} where {wanted} belongs.", self.what, val.describe());
        faults.error("wrong-type", &val.spot(), &self.name, message, format!("Write {wanted}."));
    }

    pub(crate) fn string(&mut self, faults: &mut Faults, key: &'static str) -> Option<(&'a str, Spot)> {
        let val = self.get(key)?;
        match val.as_str() {
            Some(s) => Some((s, val.spot())),
            None => {
                self.wrong_type(faults, key, val, "a text in quotes");
                None
            }
        }
    }

    /// A text that must be there and not be empty.
    pub(crate) fn required(&mut self, faults: &mut Faults, key: &'static str) -> Option<(&'a str, Spot)> {
        if self.get(key).is_none() {
            let message = format!("{} has no `{key}`.", capital(&self.what));
            faults.error("missing-key", &self.spot(), &self.name, message, format!("Add `{key} = \"…\"`."));
            return None;
        }
        let (text, spot) = self.string(faults, key)?;
        if text.trim().is_empty() {
            let message = format!("`{key}` of {} is empty.", self.what);
            faults.error("missing-key", &spot, &self.name, message, "Write a name between the quotes.");
            return None;
        }
        Some((text, spot))
    }

    pub(crate) fn number(&mut self, faults: &mut Faults, key: &'static str, range: Range) -> Option<f64> {
        let val = self.get(key)?;
        let Some(x) = val.as_number() else {
            self.wrong_type(faults, key, val, "a number");
            return None;
        };
        if !range.holds(x) {
            let message = format!("`{key}` of {} is {x}, but it must be {}.", self.what, range.words());
            faults.error(
                "out-of-range",
                &val.spot(),
                &self.name,
                message,
                format!("Write a number that is {}.", range.words()),
            );
            return None;
        }
        Some(x)
    }

    /// A whole number from `low` to `high`.
    pub(crate) fn whole(&mut self, faults: &mut Faults, key: &'static str, low: u32, high: u32) -> Option<u32> {
        let x = self.number(faults, key, Range::Within(f64::from(low), f64::from(high)))?;
        if x.fract() != 0.0 {
            let val = self.get(key)?;
            self.wrong_type(faults, key, val, "a whole number");
            return None;
        }
        Some(x as u32)
    }

    /// A list of texts with their places; empty where the key is absent.
    pub(crate) fn strings(&mut self, faults: &mut Faults, key: &'static str) -> Vec<(&'a str, Spot)> {
        let Some(val) = self.get(key) else { return Vec::new() };
        let Some(items) = val.items() else {
            self.wrong_type(faults, key, val, "a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match item.as_str() {
                Some(text) => texts.push((text, item.spot())),
                None => self.wrong_type(faults, &format!("{key}[{}]", texts.len()), item, "a text in quotes"),
            }
        }
        texts
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        faults: &mut Faults,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let (text, spot) = self.string(faults, key)?;
        let found = words.iter().find(|(w, _)| *w == text).map(|&(_, t)| t);
        if found.is_none() {
            let message = format!("`{key}` of {} is \"{}\", which is none of its words.", self.what, shown(text));
            faults.error("unknown-word", &spot, &self.name, message, propose(text, words.iter().map(|(w, _)| *w), ""));
        }
        found
    }

    /// A table under a key, its keys merged over the inherited table of that key.
    pub(crate) fn table(&mut self, faults: &mut Faults, key: &'static str) -> Option<Fields<'a>> {
        self.known.insert(key);
        let find = |t: Option<&'a DeTable<'a>>| t.and_then(|t| t.get(key));
        let (own, inherited) = (find(self.own), find(self.fallback));
        let value = own.or(inherited)?;
        let as_table = |v: Option<&'a Spanned<DeValue<'a>>>| match v.map(Spanned::get_ref) {
            Some(DeValue::Table(t)) => Some(t),
            _ => None,
        };
        if as_table(Some(value)).is_none() {
            self.wrong_type(faults, key, Val { source: self.source, value }, "a table `{ key = value }`");
            return None;
        }
        Some(Fields {
            source: self.source,
            what: format!("`{key}` of {}", self.what),
            name: self.name.clone(),
            at: value.span().start,
            own: as_table(own),
            fallback: as_table(inherited),
            known: BTreeSet::new(),
        })
    }

    /// The tables of `[[key]]`, in file order.
    pub(crate) fn tables(&mut self, faults: &mut Faults, key: &'static str) -> Vec<Fields<'a>> {
        let Some(val) = self.get(key) else { return Vec::new() };
        let Some(items) = val.items() else {
            self.wrong_type(faults, key, val, &format!("one or more `[[{key}]]`"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (i, item) in items.enumerate() {
            let what = format!("{key} number {}", i + 1);
            match item.get() {
                DeValue::Table(t) => tables.push(Fields {
                    source: self.source,
                    what,
                    name: String::new(),
                    at: item.value.span().start,
                    own: Some(t),
                    fallback: None,
                    known: BTreeSet::new(),
                }),
                _ => self.wrong_type(faults, key, item, "a table"),
            }
        }
        tables
    }

    /// One of this table's own values (see [`Fields::entries`]) as a table; `None` where it is none.
    pub(crate) fn sub(&self, name: &str, value: Val<'a>) -> Option<Fields<'a>> {
        let DeValue::Table(own) = value.get() else { return None };
        Some(Fields {
            source: self.source,
            what: format!("`{}` of {}", shown(name), self.what),
            name: name.to_owned(),
            at: value.value.span().start,
            own: Some(own),
            fallback: None,
            known: BTreeSet::new(),
        })
    }

    /// The inherited table itself, to look for keys in it that no reader knows.
    pub(crate) fn raw_table(&mut self, key: &'static str) -> Option<&'a DeTable<'a>> {
        match self.get(key)?.get() {
            DeValue::Table(t) => Some(t),
            _ => None,
        }
    }

    /// Every own key that nobody asked for is a fault; `declared` are further keys that the site allows here.
    pub(crate) fn finish(self, faults: &mut Faults, declared: &[&str]) {
        let words = || self.known.iter().copied().chain(declared.iter().copied());
        for (key, value) in self.own.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if words().any(|w| w == name) {
                continue;
            }
            // A key made by a dotted header may have no span of its own.
            let at = if key.span().is_empty() { value.span().start } else { key.span().start };
            let message = format!("{} has a key `{}`, which nothing reads.", capital(&self.what), shown(name));
            let help = propose(name, words().collect::<Vec<_>>(), "Take it out.");
            faults.error("unknown-key", &self.source.spot(at), &self.name, message, help);
        }
    }
}

/// With a capital first letter, for the beginning of a sentence; a file's name is left as it is.
fn capital(text: &str) -> String {
    if text.contains('.') && !text.contains(' ') {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(text: &str, f: impl FnOnce(&mut Fields<'_>, &mut Faults) -> T) -> (T, Vec<String>) {
        let source = Source::new("a.toml", text);
        let mut faults = Faults::default();
        let doc = Doc::parse(&source, &mut faults);
        let mut fields = doc.fields();
        let out = f(&mut fields, &mut faults);
        fields.finish(&mut faults, &[]);
        (out, faults.into_list().iter().map(|f| f.to_string()).collect())
    }

    #[test]
    fn numbers_are_read_in_every_form_and_refused_when_not_finite() {
        let text = "a = 1\nb = 0x10\nc = 1_000.5\nd = nan\ne = \"1\"\nf = -2\n";
        let (got, faults) = read(text, |t, f| {
            [
                t.number(f, "a", Range::Any),
                t.number(f, "b", Range::Any),
                t.number(f, "c", Range::Any),
                t.number(f, "d", Range::Any),
                t.number(f, "e", Range::Any),
                t.number(f, "f", Range::Positive),
            ]
        });
        assert_eq!(got, [Some(1.0), Some(16.0), Some(1000.5), None, None, None]);
        insta::assert_snapshot!(faults.join("\n"), @r#"
        error[wrong-type] a.toml:4:5: `d` of a.toml is the number nan where a number belongs. Write a number.
        error[wrong-type] a.toml:5:5: `e` of a.toml is the text "1" where a number belongs. Write a number.
        error[out-of-range] a.toml:6:5: `f` of a.toml is -2, but it must be more than 0. Write a number that is more than 0.
        "#);
    }

    #[test]
    fn unknown_keys_and_broken_lines_are_pointed_at() {
        let text = "name = \"x\"\nnmae = 2\n= 3\n[[thing]]\nid = \"a\"\n";
        let (_, faults) = read(text, |t, f| {
            t.string(f, "name");
            t.tables(f, "thing").len()
        });
        insta::assert_snapshot!(faults.join("\n"));
    }

    #[test]
    fn a_table_is_merged_key_by_key_over_the_inherited_one() {
        let text = "[defaults]\nnoise = { sigma_m = 1.0, p = 0.5 }\nclass = \"x\"\n[own]\nnoise = { p = 0.9 }\n";
        let (got, faults) = read(text, |t, f| {
            let defaults = t.raw_table("defaults");
            let mut own = t.table(f, "own").unwrap();
            own.over(defaults);
            let class = own.string(f, "class").unwrap().0.to_owned();
            let mut noise = own.table(f, "noise").unwrap();
            (class, noise.number(f, "sigma_m", Range::Any), noise.number(f, "p", Range::Any))
        });
        assert_eq!(got, ("x".to_owned(), Some(1.0), Some(0.9)));
        assert!(faults.is_empty(), "{faults:?}");
    }
}
