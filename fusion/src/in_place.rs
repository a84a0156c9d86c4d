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
