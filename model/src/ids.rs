//! Newtypes for everything that has a number, so that a zone can never be passed for a sensor.
//!
//! The small ids index the tables of the resolved [`crate::site::Site`]; [`CarriedKey`] is a hash, because carried
//! devices that nobody declared must be told apart too, without a table that grows on the hot path.

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl $name {
            /// As an index into the table it numbers.
            #[must_use]
            pub const fn index(self) -> usize { self.0 as usize }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}", self.0) }
        }
    };
}

id!(
    /// A level (storey): index into `Site::levels`.
    LevelId(u16)
);
id!(
    /// A zone (unit or geofence): index into `Site::zones`.
    ZoneId(u16)
);
id!(
    /// A wall, straight or a fixture's outline: index into `Site::walls`.
    WallId(u16)
);
id!(
    /// A sensor: index into `Site::sensors`.
    SensorId(u16)
);
id!(
    /// An actuator: index into `Site::actuators`.
    ActuatorId(u16)
);
id!(
    /// A known person: index into `Site::people`.
    PersonId(u16)
);
id!(
    /// A group of people: index into `Site::groups`.
    GroupId(u16)
);
id!(
    /// A rule: index into the installed rule set.
    RuleId(u16)
);
id!(
    /// One holder of device properties: a rule's instance and clause, numbered by the installed rule set.
    HolderId(u32)
);
id!(
    /// A track: never reused, also across restarts.
    TrackId(u64)
);
id!(
    /// The place of an input in the one total order: 1, 2, 3, …; never reused, also across restarts.
    Seq(u64)
);

/// The hash of the (normalised) id of something carried: a tag, a beacon, a badge.
///
/// Its text travels once, as [`crate::input::Input::Named`], before the first observation that uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CarriedKey(pub u64);

impl CarriedKey {
    /// The key of a device's or badge's id (XXH3 of its bytes, seed 0).
    ///
    /// ```
    /// use osmose_model::ids::CarriedKey;
    /// assert_eq!(CarriedKey::of("p17"), CarriedKey::of("p17"));
    /// assert_ne!(CarriedKey::of("p17"), CarriedKey::of("p18"));
    /// ```
    #[must_use]
    pub fn of(id: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(id.as_bytes()))
    }
}

/// A short name held inline: a device state, a command, a property. `Copy`, so that it can pass the hot path.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(ArrayString<{ crate::limits::NAME_BYTES_MAX }>);

impl Name {
    /// The name; `None` where it is longer than [`crate::limits::NAME_BYTES_MAX`] bytes.
    ///
    /// ```
    /// use osmose_model::ids::Name;
    /// assert_eq!(Name::new("recording").unwrap().as_str(), "recording");
    /// assert!(Name::new("a state whose name is far too long to be one").is_none());
    /// ```
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        ArrayString::from(text).ok().map(Self)
    }
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}
