//! The few things that a page may say. Everything else is refused.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The longest message of a page, bytes.
pub const REQUEST_BYTES_MAX: usize = 4096;
/// Messages of a page in a second at most; one that sends more is shut out.
pub const REQUESTS_PER_S_MAX: u32 = 20;
/// The longest stretch that may be stepped at once, scans.
const STEP_MAX: i64 = 100_000;

/// Sensors that a page may wish otherwise at once.
const OTHERWISE_MAX: usize = 16;
/// The longest that one may have spoken later, milliseconds.
const DELAY_MS_MAX: u32 = 60_000;

/// Whose story is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// A command, by its id (`548771.0`).
    Command,
    /// A track, by its number.
    Track,
    /// A zone, by its name.
    Zone,
    /// A sensor or an actuator, by its name.
    Device,
}

impl Of {
    /// The word in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Track => "track",
            Self::Zone => "zone",
            Self::Device => "device",
        }
    }
}

/// What sensors are to have done otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otherwise {
    /// These had not been there.
    pub without: Vec<String>,
    /// These had spoken so many milliseconds later.
    pub delay_ms: BTreeMap<String, u32>,
}

impl Otherwise {
    fn is_within_limits(&self) -> bool {
        let n = self.without.len() + self.delay_ms.len();
        (1..=OTHERWISE_MAX).contains(&n) && self.delay_ms.values().all(|ms| *ms <= DELAY_MS_MAX)
    }
}

/// What a page said.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Why something is as it is.
    Story {
        /// Of what.
        of: Of,
        /// Which one.
        id: String,
    },
    /// Events behind this input, after a reconnect.
    Since(u64),
    /// Replay: go to this instant, seconds of the log.
    Seek(f64),
    /// Replay: how many times as fast as it was; 0 holds.
    Speed(f64),
    /// Replay: so many scans on, or back.
    Step(i64),
    /// Replay: to the next event (1) or the one before (-1).
    Event(i64),
    /// Replay: the lanes of the timeline.
    Lanes,
    /// Replay: a second run beside the first; an empty id ends it.
    Compare(String),
    /// Replay: the same inputs again with something otherwise, as a second run.
    WhatIf(Otherwise),
    /// A scripted test of a moment, seconds of the log.
    Test(f64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    ask: String,
    of: Of,
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare {
    since: Option<u64>,
    seek: Option<f64>,
    speed: Option<f64>,
    step: Option<i64>,
    event: Option<i64>,
    lanes: Option<bool>,
    compare: Option<String>,
    what_if: Option<Otherwise>,
    test: Option<f64>,
}

impl Request {
    /// Reads a message; `None` where it is nothing that a page may say.
    ///
    /// ```
    /// use osmose_page::request::Request;
    /// assert_eq!(Request::read(r#"{"speed":10}"#), Some(Request::Speed(10.0)));
    /// assert_eq!(Request::read(r#"{"speed":10,"run":"rm"}"#), None);
    /// ```
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > REQUEST_BYTES_MAX {
            return None;
        }
        if let Ok(Story { ask, of, id }) = serde_json::from_str(text) {
            return (ask == "story").then_some(Self::Story { of, id });
        }
        let bare: Bare = serde_json::from_str(text).ok()?;
        let finite = |x: &f64| x.is_finite();
        let all = [
            bare.since.map(Self::Since),
            bare.seek.filter(finite).map(Self::Seek),
            bare.speed.filter(|x| (0.0..=1000.0).contains(x)).map(Self::Speed),
            bare.step.filter(|n| (-STEP_MAX..=STEP_MAX).contains(n)).map(Self::Step),
            bare.event.filter(|n| n.abs() == 1).map(Self::Event),
            bare.lanes.map(|_| Self::Lanes),
            bare.compare.map(Self::Compare),
            bare.what_if.filter(Otherwise::is_within_limits).map(Self::WhatIf),
            bare.test.filter(finite).map(Self::Test),
        ];
        let mut said = all.into_iter().flatten();
        let one = said.next()?;
        // One thing at a time: what is asked twice is not understood.
        said.next().is_none().then_some(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn whatever_a_page_sends_is_read_or_refused(text in ".{0,200}", t in proptest::num::f64::ANY) {
            let _ = Request::read(&text);
            let _ = Request::read(&format!("{{\"seek\":{t}}}"));
            let _ = Request::read(&format!("{{\"ask\":\"story\",\"of\":\"zone\",\"id\":{text:?}}}"));
        }
    }

    #[test]
    fn what_a_page_may_say_is_understood_and_nothing_else() {
        let story = Request::Story { of: Of::Command, id: "548771.0".into() };
        assert_eq!(Request::read(r#"{"ask":"story","of":"command","id":"548771.0"}"#), Some(story));
        assert_eq!(Request::read(r#"{"since":17}"#), Some(Request::Since(17)));
        assert_eq!(Request::read(r#"{"seek":134.3}"#), Some(Request::Seek(134.3)));
        assert_eq!(Request::read(r#"{"step":-1}"#), Some(Request::Step(-1)));
        assert_eq!(Request::read(r#"{"compare":""}"#), Some(Request::Compare(String::new())));
        let without = Otherwise { without: vec!["ceiling-1".into()], ..Otherwise::default() };
        assert_eq!(Request::read(r#"{"what_if":{"without":["ceiling-1"]}}"#), Some(Request::WhatIf(without)));
        let later = Otherwise { delay_ms: [("ceiling-1".to_owned(), 250)].into(), ..Otherwise::default() };
        assert_eq!(Request::read(r#"{"what_if":{"delay_ms":{"ceiling-1":250}}}"#), Some(Request::WhatIf(later)));
        for bad in [
            r#"{"what_if":{}}"#,
            r#"{"what_if":{"without":["a"],"rules":"x"}}"#,
            r#"{"what_if":{"delay_ms":{"a":-1}}}"#,
            r#"{"what_if":{"delay_ms":{"a":60001}}}"#,
            "",
            "{}",
            "[]",
            "nonsense",
            r#"{"ask":"shell","of":"command","id":"x"}"#,
            r#"{"ask":"story","of":"file","id":"/etc/passwd"}"#,
            r#"{"seek":1,"speed":1}"#,
            r#"{"seek":1e999}"#,
            r#"{"speed":-1}"#,
            r#"{"step":1e9}"#,
            r#"{"event":3}"#,
            r#"{"since":-1}"#,
        ] {
            assert_eq!(Request::read(bad), None, "{bad}");
        }
        assert_eq!(Request::read(&format!(r#"{{"compare":"{}"}}"#, "x".repeat(REQUEST_BYTES_MAX))), None);
    }
}
