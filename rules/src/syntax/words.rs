//! The words that the grammar knows, in one place: parser, formatter, "did you mean" and editors read these lists.

/// Words that open a top-level item.
pub const ITEMS: &[&str] = &[
    "edition",
    "defaults",
    "levels",
    "rule",
    "interlock",
    "policy",
    "template",
    "use",
    "mode",
    "counter",
    "combine",
    "manual",
    "test",
    "prove",
];

/// Words that open a clause of a rule, an interlock or a policy.
pub const CLAUSES: &[&str] = &[
    "for", "when", "while", "if", "do", "hold", "release", "settle", "deadline", "level", "once", "suppress", "on",
    "forbid", "guard", "allow", "else", "catch",
];

/// Words that open a step of a test.
pub const STEPS: &[&str] = &["at", "replay", "expect"];

/// Verbs that stand between a subject and its place or object.
pub const VERBS: &[&str] = &[
    "enters",
    "leaves",
    "appears",
    "vanishes",
    "crosses",
    "approaches",
    "approaching",
    "facing",
    "near",
    "inside",
    "outside",
    "waves",
    "makes",
    "sees",
    "reads",
    "presses",
    "by",
];

/// Words that join or end expressions, and so can be no name unless quoted.
pub const OPERATORS: &[&str] = &[
    "and", "or", "not", "in", "is", "are", "then", "else", "until", "within", "where", "for", "across", "over",
    "unless", "per", "of",
];

/// Units of quantities as the lexer sees them (`%` is a sign of its own; `m/s` is two with a slash).
pub const UNITS: &[&str] = &[
    "ns", "us", "ms", "s", "min", "h", "d", "day", "days", "mm", "cm", "m", "km", "deg", "lx", "ppm", "people",
    "person", "K", "degC", "W", "kW", "dB",
];

/// What people write who come from other languages, and what it is called here.
const FOREIGN_UNITS: &[(&str, &str)] = &[
    ("minute", "min"),
    ("minutes", "min"),
    ("mins", "min"),
    ("second", "s"),
    ("seconds", "s"),
    ("sec", "s"),
    ("secs", "s"),
    ("hour", "h"),
    ("hours", "h"),
    ("hrs", "h"),
    ("percent", "%"),
    ("pct", "%"),
    ("lux", "lx"),
    ("meter", "m"),
    ("meters", "m"),
    ("metre", "m"),
    ("metres", "m"),
    ("degrees", "deg"),
    ("celsius", "degC"),
    ("kelvin", "K"),
    ("watt", "W"),
    ("watts", "W"),
];

/// The unit that a foreign word for one stands for.
pub fn foreign_unit(word: &str) -> Option<&'static str> {
    FOREIGN_UNITS.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(word)).map(|(_, ours)| *ours)
}

/// What to write in place of a word that joins or opens something elsewhere.
pub fn foreign_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "between" => "a time of day is in a span, as in `time in 22:00..06:00`",
        "=" | "equals" | "equal" => {
            "two values are compared with `==`, as in `x == 50 lx`; what something is, with `is`"
        }
        "starts" | "started" | "begins" => "a booking is asked for as in `r.booking is started for 10 min`",
        "trigger" | "triggers" | "event" => "what sets a rule off stands behind `when`",
        "condition" | "conditions" => "what must hold besides stands behind `if`",
        "action" | "actions" | "then" => "what is to be done stands behind `do`",
        "wait" | "delay" => "`wait 30 s` stands between the actions of a `do`, behind a `;`",
        "after" => "what must have held for some time is written `COND for 5 min`",
        "every" => "a value that moves on is written `hold X = ... every 10 s`; a time of day, `when time is 07:00`",
        _ => return None,
    })
}

/// Functions, and what each gives: for editors, and for "did you mean".
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("participants", "participants(r): the people of the session of a zone's recorder"),
    ("members", "members(g): the people of a group, by its name or folder"),
    ("confidence", "confidence(p): probability that he is who he is taken for, 0 to 1"),
    ("count", "count(people in r), count(q in r where ...): people; a lower bound where a sensor is dead"),
    ("distance", "distance(a, b): metres between two people, walls, zones or devices"),
    ("speed", "speed(p): m/s"),
    ("spread", "spread(p): how uncertain his place is, metres: the standard deviation in its worst direction"),
    ("left-ago", "left-ago(p, r): seconds since he may have crossed the line of a zone outwards, at the longest"),
    ("unsure-for", "unsure-for(p, r): seconds since he was last surely in a zone with a recorder; about 0 well inside"),
    ("starts-in", "starts-in(r.booking): seconds until the next booking begins, 0 while one goes on"),
    (
        "warm-up",
        "warm-up(x, 21 degC): seconds that it takes to come within a degree of that, learnt from how it rose before",
    ),
    ("lasting", "lasting(COND): seconds for which it has held; at the instant at which it ends, for how long it did"),
    ("rate", "rate(x, 5 min): how much it rose in that time"),
    ("mean", "mean(x, 10 min): its mean over that time"),
    ("baseline", "baseline(x): its mean over a day"),
    ("min", "min(a, b)"),
    ("max", "max(a, b)"),
    ("list", "{list(people in r)} in a text: who is there, by name"),
    ("notify", "notify(p, ..., \"text\") behind `do`: tells people by the device of kind notify"),
];

/// Whether a word may not stand alone as a name in an expression.
pub fn is_reserved(word: &str) -> bool {
    OPERATORS.contains(&word) || CLAUSES.contains(&word) || VERBS.contains(&word)
}
