//! Copies that reuse the room of what they replace.
//!
//! The history of late data (`late.rs`) copies the whole state every few observations. A derived `Clone` gives a
//! `clone_from` that drops and allocates anew; this one copies field by field, and the fields' vectors keep their room.

/// Implements `Clone` for a struct, field by field, with a `clone_from` that allocates only what there is no room for.
/// A field that is left out does not compile.
macro_rules! clone_in_place {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl Clone for $name {
            fn clone(&self) -> Self {
                Self { $($field: self.$field.clone()),+ }
            }
            fn clone_from(&mut self, other: &Self) {
                $(self.$field.clone_from(&other.$field);)+
            }
        }
    };
}
pub(crate) use clone_in_place;

/// A part of the state that is copied only where it is another one by now: most parts stand still for seconds, and copies
/// are taken many times in one.
///
/// Every change has a stamp of its own, which is given out once: also when the state goes back, the stamps that the copies
/// bear stay theirs. So two parts of one stamp are equal.
#[derive(Clone, Debug)]
pub(crate) struct Stamped<T> {
    part: T,
    stamp: u64,
    /// The stamps given out so far; going back does not take them back.
    given: u64,
}

impl<T> Stamped<T> {
    pub(crate) fn new(part: T) -> Self {
        Self { part, stamp: 0, given: 0 }
    }

    /// The stamp of how it is now, for whoever keeps copies of another kind.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// It is another one by now.
    pub(crate) fn touch(&mut self) {
        self.given += 1;
        self.stamp = self.given;
    }

    /// Is again what it was under that stamp: `back` makes it so, unless it is so still.
    pub(crate) fn go_back(&mut self, stamp: u64, back: impl FnOnce(&mut T)) {
        if self.stamp != stamp {
            back(&mut self.part);
            self.stamp = stamp;
        }
    }

    /// Bears another one's stamp in a copy that is without the part itself, because it can be worked out again from the rest.
    pub(crate) fn stamp_as(&mut self, other: &Self) {
        self.stamp = other.stamp;
    }

    /// Is what another one is: its copy, or what it is a copy of.
    pub(crate) fn copy_from(&mut self, other: &Self, copy: impl FnOnce(&mut T, &T)) {
        if self.stamp != other.stamp {
            copy(&mut self.part, &other.part);
            self.stamp = other.stamp;
        }
    }
}

impl<T> std::ops::Deref for Stamped<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.part
    }
}

impl<T> std::ops::DerefMut for Stamped<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.touch();
        &mut self.part
    }
}

/// A vector of such parts, each with a stamp of its own: of a hundred people one or two have moved since the last copy.
#[derive(Clone, Debug)]
pub(crate) struct StampedVec<T> {
    parts: Vec<T>,
    stamps: Vec<u64>,
    /// Of all of them: of the last change that there is in it.
    stamp: u64,
    given: u64,
}

impl<T> StampedVec<T> {
    /// Room for so many.
    pub(crate) fn with_capacity(n: usize) -> Self {
        Self { parts: Vec::with_capacity(n), stamps: Vec::with_capacity(n), stamp: 0, given: 0 }
    }

    /// All of them.
    pub(crate) fn parts(&self) -> &[T] {
        &self.parts
    }

    /// These, all under one stamp: for what is new, since a copy that bears it is taken to be the same.
    pub(crate) fn of(parts: Vec<T>) -> Self {
        Self { stamps: vec![0; parts.len()], parts, stamp: 0, given: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(crate) fn push(&mut self, part: T) {
        let stamp = self.next_stamp();
        self.parts.push(part);
        self.stamps.push(stamp);
    }

    /// Part `i` is another one by now, whatever it says.
    pub(crate) fn touch(&mut self, i: usize) {
        self.stamps[i] = self.next_stamp();
    }

    /// The stamp of a change, which all of them bear too.
    fn next_stamp(&mut self) -> u64 {
        self.given += 1;
        self.stamp = self.given;
        self.given
    }

    /// Whether part `i` is the same in both.
    pub(crate) fn is_same_in(&self, other: &Self, i: usize) -> bool {
        self.stamps.get(i) == other.stamps.get(i)
    }
}

impl<T: Default> StampedVec<T> {
    /// Writes the room of the first `n` once; there is nothing yet.
    pub(crate) fn write_first(&mut self, n: usize) {
        self.parts.resize_with(n, T::default);
        self.parts.clear();
    }
}

impl<T: Clone> StampedVec<T> {
    /// Is what another one is: its copy, or what it is a copy of.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        if std::mem::replace(&mut self.stamp, other.stamp) == other.stamp {
            return;
        }
        self.resize_as(other);
        let there = other.parts.iter().zip(&other.stamps);
        for ((part, stamp), (from, at)) in self.parts.iter_mut().zip(&mut self.stamps).zip(there) {
            if stamp != at {
                part.clone_from(from);
                *stamp = *at;
            }
        }
    }

    /// Becomes as long as another one: what it is too short by is copied.
    fn resize_as(&mut self, other: &Self) {
        let known = self.parts.len().min(other.parts.len());
        self.parts.truncate(known);
        self.stamps.truncate(known);
        self.parts.extend_from_slice(&other.parts[known..]);
        self.stamps.extend_from_slice(&other.stamps[known..]);
    }

    /// The same for those that are named, where the others are nobody's.
    pub(crate) fn copy_those(&mut self, other: &Self, named: impl Iterator<Item = usize>) {
        if std::mem::replace(&mut self.stamp, other.stamp) == other.stamp {
            return;
        }
        self.resize_as(other);
        for i in named {
            if self.stamps[i] != other.stamps[i] {
                self.parts[i].clone_from(&other.parts[i]);
                self.stamps[i] = other.stamps[i];
            }
        }
    }

    /// The same for the first `n`, where the others are nobody's.
    pub(crate) fn copy_first(&mut self, other: &Self, n: usize) {
        self.copy_those(other, 0..n);
    }

    /// The same for those that are named, while the others stay as they are.
    pub(crate) fn copy_some(&mut self, other: &Self, is_named: impl Fn(usize) -> bool) {
        if self.stamp == other.stamp {
            return;
        }
        for i in 0..self.parts.len() {
            if self.stamps[i] != other.stamps[i] && is_named(i) {
                self.parts[i].clone_from(&other.parts[i]);
                self.stamps[i] = other.stamps[i];
            }
        }
        // All together they are like none that there was.
        self.next_stamp();
    }
}

impl<T> std::ops::Index<usize> for StampedVec<T> {
    type Output = T;
    fn index(&self, i: usize) -> &T {
        &self.parts[i]
    }
}

impl<T> std::ops::IndexMut<usize> for StampedVec<T> {
    fn index_mut(&mut self, i: usize) -> &mut T {
        self.touch(i);
        &mut self.parts[i]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_copy_is_what_it_copied_whatever_was_copied_into_it_before(
            deeds in prop::collection::vec((0usize..3, 0usize..4, any::<u8>()), 0..200),
        ) {
            let mut part = Stamped::new(0u8);
            let mut copies = vec![(part.clone(), 0u8); 4];
            for (deed, which, value) in deeds {
                match deed {
                    0 => *part = value,
                    1 => {
                        copies[which].0.copy_from(&part, |to, from| *to = *from);
                        copies[which].1 = *part;
                    }
                    _ => {
                        part.copy_from(&copies[which].0, |to, from| *to = *from);
                        prop_assert_eq!(*part, copies[which].1);
                    }
                }
                prop_assert!(copies.iter().all(|(copy, was)| **copy == *was));
            }
        }

        #[test]
        fn so_is_a_copy_of_many_and_equal_stamps_are_equal_parts(
            deeds in prop::collection::vec((0usize..5, 0usize..4, any::<u8>()), 0..200),
        ) {
            let mut parts = StampedVec::with_capacity(0);
            let mut copies = vec![(parts.clone(), Vec::new()); 4];
            for (deed, which, value) in deeds {
                let all = |v: &StampedVec<u8>| (0..v.len()).map(|i| v[i]).collect::<Vec<u8>>();
                match deed {
                    0 => parts.push(value),
                    1 | 2 if parts.len() > 0 => {
                        let at = usize::from(value) % parts.len();
                        parts[at] = value;
                    }
                    3 => {
                        copies[which].0.copy_from(&parts);
                        copies[which].1 = all(&parts);
                    }
                    4 => {
                        parts.copy_from(&copies[which].0);
                        prop_assert_eq!(&all(&parts), &copies[which].1);
                    }
                    _ => {}
                }
                for (copy, was) in &copies {
                    prop_assert_eq!(&all(copy), was);
                    for i in (0..was.len().min(parts.len())).filter(|&i| parts.is_same_in(copy, i)) {
                        prop_assert_eq!(parts[i], copy[i]);
                    }
                }
            }
        }
    }
}
