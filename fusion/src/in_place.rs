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
        self.given += 1;
        self.stamp = self.given;
        &mut self.part
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
    }
}
