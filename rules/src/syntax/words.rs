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
