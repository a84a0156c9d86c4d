//! Kinds of tokens and nodes in the lossless tree.
//!
//! One flat enum serves both, as `rowan` wants it. Words are all [`SyntaxKind::IDENT`]: keywords are contextual
//! (`level` is a clause at the head of one and a property after a dot), so the parser decides by position.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A token or node kind.
        #[allow(non_camel_case_types, reason = "rowan's convention: kinds are spelled as the constants they act as")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum SyntaxKind { $($(#[$doc])* $name,)* }

        impl SyntaxKind {
            /// Every kind in the order of its number, so that a number turns back into a kind without unsafe code.
            pub const ALL: &'static [SyntaxKind] = &[$(SyntaxKind::$name,)*];
        }
    };
}

kinds! {
    /// Blanks and line ends.
    WHITESPACE,
    /// `# ...` to the end of the line.
    COMMENT,
    /// A word, with inner hyphens.
    IDENT,
    /// `"..."`, with `\"`, `\\`, `\n` and `{path}` inside.
    STRING,
    /// `12` or `12.5`.
    NUMBER,
    /// `22:00`, `10:02:14.318`.
    CLOCK,
    /// `{`
    L_CURLY,
    /// `}`
    R_CURLY,
    /// `(`
    L_PAREN,
    /// `)`
    R_PAREN,
    /// `,`
    COMMA,
    /// `;`
    SEMICOLON,
    /// `:`
    COLON,
    /// `.`
    DOT,
    /// `..`
    DOT_DOT,
    /// `=`
    EQ,
    /// `==`
    EQ_EQ,
    /// `!=`
    NOT_EQ,
    /// `<`
    LT,
    /// `<=`
    LT_EQ,
    /// `>`
    GT,
    /// `>=`
    GT_EQ,
    /// `+`
    PLUS,
    /// `-`
    MINUS,
    /// `*`
    STAR,
    /// `/`
    SLASH,
    /// `%`
    PERCENT,
    /// `+-`
    PLUS_MINUS,
    /// A byte sequence that is no token.
    UNKNOWN,
    /// End of the file; never in a tree.
    EOF,

    /// The whole file.
    FILE,
    /// Tokens that fit nowhere.
    ERROR,
    /// A word that names what its parent defines.
    NAME,
    /// `edition 1`
    EDITION,
    /// `defaults { clause* }`
    DEFAULTS,
    /// `levels a > b > c`
    LEVELS,
    /// `rule NAME { clause* }`
    RULE,
    /// `rule a over b`
    RULE_ORDER,
    /// `interlock NAME { clause* }`
    INTERLOCK,
    /// `policy NAME { clause* }`
    POLICY,
    /// `mode NAME { values, default }`
    MODE,
    /// One value of a mode, with `default` after it or not.
    MODE_VALUE,
    /// `counter NAME per zone since reset|day`
    COUNTER,
    /// `test "..." of NAME { step* }`
    TEST,
    /// `at T ACTOR in PLACE`
    TEST_AT,
    /// `replay "file" FROM .. TO`
    TEST_REPLAY,
    /// `expect ...`
    TEST_EXPECT,
    /// `prove ...`
    PROVE,

    /// `for each ROOM r, ... where COND`
    FOR_EACH,
    /// `KIND NAME` of a `for each`.
    BINDER,
    /// `when COND`
    WHEN,
    /// `while COND`
    WHILE,
    /// `if COND`
    IF,
    /// `do ACTION ; ACTION`
    DO,
    /// `hold ASSIGN, ASSIGN`
    HOLD,
    /// `TARGET = EXPR [over D] [at start]`
    ASSIGN,
    /// `release after D`
    RELEASE,
    /// `settle D`
    SETTLE,
    /// `deadline D else count`
    DEADLINE,
    /// `level NAME`
    LEVEL,
    /// `once per visit | D [per KEY]`
    ONCE,
    /// `suppress D [per KEY]`
    SUPPRESS,
    /// `on unknown keep|release`
    ON_UNKNOWN,
    /// `forbid DEVICE.COMMAND, ...`
    FORBID,
    /// `guard CALL [where COND]`
    GUARD,
    /// `allow if COND`
    ALLOW,
    /// `else drop and tell X`
    ELSE,
    /// `catch up within D`
    CATCH_UP,

    /// A call, or an assignment, that a `do` sends.
    SEND_ACTION,
    /// `wait D [unless COND]`
    WAIT_ACTION,
    /// `ask PERSON "..." answered within D [else ACTION]`
    ASK_ACTION,
    /// `drop`
    DROP_ACTION,
    /// `tell PERSON`
    TELL_ACTION,

    /// A bare name.
    NAME_REF,
    /// A string.
    STRING_EXPR,
    /// A time of day.
    CLOCK_EXPR,
    /// A number with its unit.
    QUANTITY,
    /// `m`, `s`, `%`, `m/s`.
    UNIT,
    /// `80 % of X`
    PERCENT_OF,
    /// `( ... )`
    PAREN_EXPR,
    /// `X.name`
    FIELD_EXPR,
    /// `X(args)`
    CALL_EXPR,
    /// `(arg, name: arg)`
    ARG_LIST,
    /// One argument.
    ARG,
    /// `any p in SET`, `every p in SET`
    QUANTIFIED,
    /// `all sensors of r`, `all doors`
    ALL_OF,
    /// `no motion in r`
    NO_EVIDENCE,
    /// `nobody in r`, `somebody in r`
    NOBODY,
    /// `if A then B else C`
    IF_EXPR,
    /// `not X`
    NOT_EXPR,
    /// `-X`
    NEG_EXPR,
    /// `A + B`, `A * B`
    BIN_EXPR,
    /// `A < B`
    CMP_EXPR,
    /// `A in B`
    IN_EXPR,
    /// `A .. B`
    RANGE,
    /// `A is B`, `A are B`
    IS_EXPR,
    /// `A enters B`, `A facing B (15 deg)`
    VERB_EXPR,
    /// `A for D [across gaps: X]`
    FOR_EXPR,
    /// `A and B and C`
    AND_EXPR,
    /// `A or B or C`
    OR_EXPR,
    /// `A then B within D`
    THEN_EXPR,
    /// `A until (B)`
    UNTIL_EXPR,
    /// `*`, every rule
    EVERY,
    /// `template NAME(param: kind) { clause* }`
    TEMPLATE,
    /// `name: kind = default` of a template.
    PARAM,
    /// `use TEMPLATE(param: value) as NAME`
    USE,
    /// `combine light.level = max`
    COMBINE,
    /// `manual light until vacant`
    MANUAL,
    /// `EVENT within D`: it happened not longer ago
    WITHIN_EXPR,
    /// `EVENT 3 times within D`
    TIMES_EXPR,
}

impl SyntaxKind {
    /// Blanks and comments.
    pub fn is_trivia(self) -> bool {
        matches!(self, SyntaxKind::WHITESPACE | SyntaxKind::COMMENT)
    }
}

/// The language marker that `rowan` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleLanguage {}

impl rowan::Language for RuleLanguage {
    type Kind = SyntaxKind;

    fn kind_from_raw(raw: rowan::SyntaxKind) -> SyntaxKind {
        SyntaxKind::ALL.get(raw.0 as usize).copied().unwrap_or(SyntaxKind::ERROR)
    }

    fn kind_to_raw(kind: SyntaxKind) -> rowan::SyntaxKind {
        rowan::SyntaxKind(kind as u16)
    }
}

/// A node of the tree.
pub type SyntaxNode = rowan::SyntaxNode<RuleLanguage>;
/// A token of the tree.
pub type SyntaxToken = rowan::SyntaxToken<RuleLanguage>;
/// A node or a token.
pub type SyntaxElement = rowan::SyntaxElement<RuleLanguage>;
