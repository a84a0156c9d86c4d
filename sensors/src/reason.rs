//! Why something a device sent was not taken, or was taken with a remark: one name each, counted per device.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $help:literal;)+) => {
        /// Why something was not taken, or taken with a remark.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $variant),+ }

        impl Reason {
            /// Every reason, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The name under which it is counted.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),+ } }
            /// What it means and how to mend it, as a sentence.
            #[must_use]
            pub const fn help(self) -> &'static str { match self { $(Self::$variant => $help),+ } }
        }
    };
}

reasons! {
    /// Not a native frame, or one cut short or damaged.
    MalformedFrame = "malformed_frame", "The datagram is not a native frame (docs/wire.md), or it was damaged on the way.";
    /// Not JSON.
    MalformedJson = "malformed_json", "The datagram is not one JSON value in UTF-8.";
    /// A field is there with another type than the one it is mapped to.
    WrongType = "wrong_type", "A field has another JSON type than its kind needs; numbers may not be strings.";
    /// A field that the kind needs is not there.
    MissingField = "missing_field", "A field that the sensor's kind needs is not there: check the pointers of its `map`.";
    /// A number is NaN or infinite.
    NotFinite = "not_finite", "A number is NaN or infinite.";
    /// A number is out of any sensible range.
    NotPlausible = "not_plausible", "A number is out of any sensible range: check its unit, `scale` and `offset`.";
    /// The sensor named is not in devices.toml.
    UnknownSensor = "unknown_sensor", "No sensor of this id is in devices.toml: declare it, or mend the id that the device sends.";
    /// The sensor named is declared, but not on this port.
    WrongPort = "wrong_port", "The sensor is declared on another port in devices.toml.";
    /// Items of several sensors in one scan.
    MixedSensors = "mixed_sensors", "The items of one scan name different sensors: a scan is of one.";
    /// The native frame's observation is of another kind than the sensor's.
    WrongKind = "wrong_kind", "The observation is of another kind than the one that devices.toml declares for the sensor.";
    /// The carried device belongs to no known person. It is tracked all the same.
    UnknownDevice = "unknown_device", "The carried device belongs to nobody in people.toml: it is tracked as an anonymous visitor.";
    /// The actuator named is not in devices.toml.
    UnknownActuator = "unknown_actuator", "No actuator of this id reports on this port in devices.toml.";
    /// The actuator's kind has no such property.
    UnknownProperty = "unknown_property", "The actuator's kind has no such property.";
    /// A state that is not one of the kind's.
    UnknownState = "unknown_state", "The state is none of those that the kind has.";
    /// A direction other than `in` and `out`.
    UnknownDirection = "unknown_direction", "A crossing's direction is `in` or `out`.";
    /// The person named is not in people.toml.
    UnknownPerson = "unknown_person", "No person of this id is in people.toml.";
    /// The badge belongs to no known person. It is taken all the same.
    UnknownBadge = "unknown_badge", "The badge belongs to nobody in people.toml.";
    /// The level named is not in the floor plan.
    UnknownLevel = "unknown_level", "No level of this feature id is in the floor plan.";
    /// A scan has more items than any may.
    TooManyItems = "too_many_items", "A scan has more items than any may have.";
    /// A datagram, an id or a name is too long.
    TooLong = "too_long", "A datagram, an id or a name is longer than it may be.";
    /// More undeclared carried devices than are remembered. They are tracked all the same, without their names.
    TooManyNames = "too_many_names", "More undeclared carried devices and badges came by than are remembered by name.";
    /// More senders than are followed at once. What they say is taken, their numbers are not followed.
    TooManySenders = "too_many_senders", "More sockets send than are followed at once: the longest silent one's numbers were forgotten.";
    /// The sender's number went back. The observation is used.
    SeqBack = "seq_back", "The sender's sequence numbers went back: datagrams overtook each other on the way.";
    /// So many numbers of the sender were never seen.
    Missing = "missing", "Numbers of the sender were skipped: datagrams were lost on the way, or the socket's buffer was full.";
    /// The same datagram came again within a second.
    Duplicate = "duplicate", "The same datagram came again within a second: the copy was dropped.";
    /// The sender's numbers began anew.
    SourceRestarted = "source_restarted", "The sender's sequence numbers began anew: it restarted.";
    /// The device's clock was set.
    ClockStepped = "clock_stepped", "The device's clock jumped against ours: it was set, or the device restarted.";
    /// Older than it may be when it arrives.
    TooLate = "too_late", "It was older than `late_max_ms` when it arrived: declare `expect_late_ms` if the source is always late.";
    /// The time claimed is after its arrival.
    TimeAhead = "time_ahead", "The time claimed is after its arrival: the time of arrival was taken.";
    /// A socket sent that is not the one declared.
    WrongSender = "wrong_sender", "The sender is not the one that `from` declares (a port open beyond loopback needs `from`).";
    /// A device that must sign did not, or one signed for another.
    NotSigned = "not_signed", "The device has a `key_file` in devices.toml: its datagrams must be signed with that key (docs/wire.md).";
    /// The MAC is not the device's, or the envelope is damaged.
    BadSignature = "bad_signature", "The signature is not that of the device named: its key is another than the one in its `key_file`.";
    /// The counter of a signed datagram came before, or is far behind.
    Replayed = "replayed", "A signed datagram's counter came before or is 64 and more behind: it was replayed, or the device began to count anew.";
    /// More datagrams than the source may send.
    RateLimited = "rate_limited", "The sensor said more than ten times what its `rate_hz` declares: what was beyond was dropped.";
    /// A column that the kind does not have.
    UnknownColumn = "unknown_column", "The file has a column that the kind does not have.";
    /// A row that is not one of its file's columns.
    MalformedRow = "malformed_row", "The row has another number of fields than the header.";
}

impl Reason {
    /// Whether what it was said of was taken all the same: a remark, and no refusal.
    #[must_use]
    pub const fn is_remark(self) -> bool {
        matches!(
            self,
            Self::UnknownDevice
                | Self::UnknownBadge
                | Self::TooManyNames
                | Self::TooManySenders
                | Self::SeqBack
                | Self::Missing
                | Self::SourceRestarted
                | Self::ClockStepped
                | Self::TimeAhead
        )
    }
}

/// How many reasons there are.
pub const REASONS: usize = Reason::ALL.len();

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was wrong, and with which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub reason: Reason,
    /// The field, by its name in `map` and in CSV headers; empty where it is about no field.
    pub field: &'static str,
}

impl Fault {
    /// A fault of a field.
    #[must_use]
    pub const fn of(reason: Reason, field: &'static str) -> Self {
        Self { reason, field }
    }
    /// A fault of the whole.
    #[must_use]
    pub const fn whole(reason: Reason) -> Self {
        Self { reason, field: "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), REASONS);
        for r in Reason::ALL {
            assert_eq!(Reason::ALL[*r as usize], *r, "the discriminant indexes counters");
            assert!(r.help().ends_with('.'), "{r} is not a sentence");
        }
    }
}
