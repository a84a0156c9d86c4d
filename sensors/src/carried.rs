//! Carried devices and badges: from the id in a body to its key, and which ids nobody declared.
//!
//! Ids are compared after the normalisation that the reader declares, on both sides: `04:A2` in people.toml and
//! `04a2` from the reader are one badge. An id that nobody declared gets a key all the same, and its text is told
//! once, so that a log can be read.

use crate::reason::{Fault, Reason};
use osmose_model::device::Normalise;
use osmose_model::ids::CarriedKey;
use osmose_model::limits::{CARRIED_BYTES_MAX, CARRIED_NAMES_MAX};
use osmose_model::site::Site;

/// What is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedKind {
    /// A tag, phone or beacon.
    Device,
    /// A badge.
    Badge,
}

/// Something to tell of a carried device or badge, before the observation that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News<'a> {
    /// Its key.
    pub key: CarriedKey,
    /// Its id, normalised.
    pub text: &'a str,
    /// [`Reason::UnknownDevice`], [`Reason::UnknownBadge`] or [`Reason::TooManyNames`].
    pub reason: Reason,
    /// Whether its text is to be recorded as a name: it was not declared.
    pub name_it: bool,
}

#[derive(Clone, Copy, Debug)]
struct Declared {
    key: CarriedKey,
    device_owned: bool,
    badge_owned: bool,
}

/// Declared ids under one normalisation: key of the normalised text, and the key that the site knows it by.
#[derive(Clone, Debug)]
struct Table {
    normalise: Normalise,
    keys: Vec<(CarriedKey, CarriedKey)>,
}

/// The carried devices and badges of a site, and the undeclared ones met so far.
#[derive(Clone, Debug)]
pub struct Carried {
    declared: Vec<Declared>,
    places: Places,
    tables: Vec<Table>,
    met: KeySet,
    /// An id under normalisation, reused.
    room: String,
}

impl Carried {
    /// Those of a site; none met.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        let mut new = Self {
            declared: Vec::new(),
            places: Places::default(),
            tables: Vec::new(),
            met: KeySet::new(CARRIED_NAMES_MAX),
            room: String::with_capacity(CARRIED_BYTES_MAX),
        };
        new.install(site);
        new
    }

    /// Takes the declared ones of a site whose people changed; those met stay met.
    pub fn install(&mut self, site: &Site) {
        let mut keys: Vec<_> = site.carried_names.iter().map(|&(k, _)| k).collect();
        keys.extend(site.device_owners.iter().chain(&site.badge_owners).map(|&(k, _)| k));
        keys.sort_unstable();
        keys.dedup();
        let owned = |key| Declared {
            key,
            device_owned: site.owner_of_device(key).is_some(),
            badge_owned: site.owner_of_badge(key).is_some(),
        };
        self.declared = keys.into_iter().map(owned).collect();
        self.places = Places::of(&self.declared);
        self.tables.clear();
        let connects = site.sensors.iter().filter_map(|s| s.connect.as_ref());
        for normalise in connects.map(|c| c.normalise).filter(|&n| n != Normalise::default()) {
            if self.tables.iter().any(|t| t.normalise == normalise) {
                continue;
            }
            let names = site.carried_names.iter();
            let mut keys: Vec<_> = names.map(|(key, name)| (CarriedKey::of(&normalise.apply(name)), *key)).collect();
            keys.sort_unstable();
            self.tables.push(Table { normalise, keys });
        }
    }

    /// The key of an id as a body writes it; `news` is told of an id of nobody known, once.
    ///
    /// # Errors
    /// [`Reason::TooLong`], and [`Reason::MissingField`] where nothing is left of it.
    pub fn look_up(
        &mut self,
        text: &str,
        normalise: Normalise,
        kind: CarriedKind,
        news: &mut impl FnMut(News<'_>),
    ) -> Result<CarriedKey, Fault> {
        let field = if kind == CarriedKind::Device { "device" } else { "badge" };
        if text.len() > CARRIED_BYTES_MAX {
            return Err(Fault::of(Reason::TooLong, field));
        }
        let (key, text) = if normalise == Normalise::default() {
            (CarriedKey::of(text), text)
        } else {
            normalised_into(&mut self.room, text, normalise);
            let key = CarriedKey::of(&self.room);
            let table = self.tables.iter().find(|t| t.normalise == normalise);
            let known = table.and_then(|t| t.keys.binary_search_by_key(&key, |&(k, _)| k).ok().map(|i| t.keys[i].1));
            (known.unwrap_or(key), self.room.as_str())
        };
        if text.is_empty() {
            return Err(Fault::of(Reason::MissingField, field));
        }
        let declared = self.places.find(&self.declared, key);
        let (owned, unknown, salt) = match kind {
            CarriedKind::Device => (declared.is_some_and(|d| d.device_owned), Reason::UnknownDevice, 0),
            CarriedKind::Badge => (declared.is_some_and(|d| d.badge_owned), Reason::UnknownBadge, 1 << 63),
        };
        if !owned {
            match self.met.insert(key.0 ^ salt) {
                Insert::Present => {}
                Insert::New => news(News { key, text, reason: unknown, name_it: declared.is_none() }),
                Insert::Full => news(News { key, text, reason: Reason::TooManyNames, name_it: false }),
            }
        }
        Ok(key)
    }
}

/// Where a declared key stands, found in one look or two: open addressing at half load, linear probing. Keys are hashes.
#[derive(Clone, Debug, Default)]
struct Places {
    /// The place plus one; 0 where there is none.
    slots: Vec<u32>,
}

impl Places {
    fn of(declared: &[Declared]) -> Self {
        let mut slots = vec![0; (declared.len() * 2).next_power_of_two()];
        let mask = slots.len() - 1;
        for (i, d) in declared.iter().enumerate() {
            let mut at = d.key.0 as usize & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = i as u32 + 1;
        }
        Self { slots }
    }

    fn find(&self, declared: &[Declared], key: CarriedKey) -> Option<Declared> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = key.0 as usize & mask;
        while let Some(i) = (self.slots[at] as usize).checked_sub(1) {
            if declared[i].key == key {
                return Some(declared[i]);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

/// [`Normalise::apply`] into a buffer that is reused.
fn normalised_into(room: &mut String, text: &str, n: Normalise) {
    room.clear();
    let kept = text.chars().filter(|c| !n.alnum || c.is_ascii_alphanumeric());
    room.extend(kept.map(|c| if n.lower { c.to_ascii_lowercase() } else { c }));
}

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Insert {
    New,
    Present,
    Full,
}

/// A set of keys with a bound, allocated once: open addressing at half load, linear probing.
#[derive(Clone, Debug)]
struct KeySet {
    slots: Vec<u64>,
    len: usize,
    max: usize,
}

impl KeySet {
    fn new(max: usize) -> Self {
        Self { slots: vec![0; (max * 2).next_power_of_two()], len: 0, max }
    }

    fn insert(&mut self, key: u64) -> Insert {
        // Zero marks an empty slot; keys are hashes, so that giving zero's place to one is no loss.
        let key = key.max(1);
        let mask = self.slots.len() - 1;
        let mut at = key as usize & mask;
        while self.slots[at] != 0 {
            if self.slots[at] == key {
                return Insert::Present;
            }
            at = (at + 1) & mask;
        }
        if self.len == self.max {
            return Insert::Full;
        }
        self.slots[at] = key;
        self.len += 1;
        Insert::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_takes_each_key_once_up_to_its_bound() {
        let mut set = KeySet::new(1000);
        for key in 0..1000u64 {
            assert_eq!(set.insert(key * 1024 + 7), Insert::New);
        }
        for key in 0..1000u64 {
            assert_eq!(set.insert(key * 1024 + 7), Insert::Present);
        }
        assert_eq!(set.insert(3), Insert::Full);
    }

    #[test]
    fn every_declared_key_is_found_and_no_other() {
        for n in [0, 1, 2, 3, 64, 200] {
            let declared: Vec<_> = (0..n)
                .map(|i| Declared { key: CarriedKey(i * 64), device_owned: i % 2 == 0, badge_owned: false })
                .collect();
            let places = Places::of(&declared);
            for d in &declared {
                let found = places.find(&declared, d.key).expect("it is declared");
                assert_eq!((found.key, found.device_owned), (d.key, d.device_owned));
                assert!(places.find(&declared, CarriedKey(d.key.0 + 1)).is_none());
            }
            assert!(Places::default().find(&declared, CarriedKey(0)).is_none());
        }
    }

    #[test]
    fn normalising_in_place_is_what_the_model_says() {
        let mut room = String::new();
        for n in [(false, false), (true, false), (false, true), (true, true)] {
            let n = Normalise { lower: n.0, alnum: n.1 };
            for text in ["04:A2-ff", "", "Ä9z", "p17"] {
                normalised_into(&mut room, text, n);
                assert_eq!(room, n.apply(text));
            }
        }
    }
}
