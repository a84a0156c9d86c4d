//! Typed views over the lossless tree: one thin struct a node kind, whose accessors may find nothing because the tree
//! holds wrong programs too. Everything later (checker, formatter, editors) reads the tree through these.
//!
//! The views stand here; what each finds in its node, in `parts.rs`.

mod parts;

use super::kind::{SyntaxKind, SyntaxNode, SyntaxToken};
use crate::diag::Span;

/// A node with a type.
pub trait AstNode: Sized {
    /// The typed view, if the node is of its kind.
    fn cast(node: SyntaxNode) -> Option<Self>;
    /// The node beneath.
    fn syntax(&self) -> &SyntaxNode;

    /// Where the node stands, without the blanks around it.
    fn span(&self) -> Span {
        span_of(self.syntax())
    }
}

/// Where a node's own tokens stand, without blanks and comments at its ends.
pub fn span_of(node: &SyntaxNode) -> Span {
    let tokens = || node.descendants_with_tokens().filter_map(|e| e.into_token()).filter(|t| !t.kind().is_trivia());
    match (tokens().next(), tokens().last()) {
        (Some(first), Some(last)) => Span::from(first.text_range()).to(Span::from(last.text_range())),
        _ => Span::from(node.text_range()),
    }
}

fn child<N: AstNode>(node: &SyntaxNode) -> Option<N> {
    node.children().find_map(N::cast)
}

fn children<N: AstNode>(node: &SyntaxNode) -> impl Iterator<Item = N> + use<N> {
    node.children().filter_map(N::cast)
}

/// The tokens that are the node's own children, without blanks and comments.
pub fn own_tokens(node: &SyntaxNode) -> impl Iterator<Item = SyntaxToken> + use<> {
    node.children_with_tokens().filter_map(|e| e.into_token()).filter(|t| !t.kind().is_trivia())
}

fn has_word(node: &SyntaxNode, word: &str) -> bool {
    own_tokens(node).any(|t| t.kind() == SyntaxKind::IDENT && t.text() == word)
}

/// The expression that follows a node's own word.
fn expr_behind(node: &SyntaxNode, word: &str) -> Option<Expr> {
    let mut seen = false;
    for element in node.children_with_tokens() {
        match element {
            rowan::NodeOrToken::Token(token) => seen |= token.kind() == SyntaxKind::IDENT && token.text() == word,
            rowan::NodeOrToken::Node(child) if seen => return Expr::cast(child),
            rowan::NodeOrToken::Node(_) => {}
        }
    }
    None
}

/// The name that follows a node's own word.
fn name_behind(node: &SyntaxNode, word: &str) -> Option<Name> {
    let mut seen = false;
    for element in node.children_with_tokens() {
        match element {
            rowan::NodeOrToken::Token(token) => seen |= token.kind() == SyntaxKind::IDENT && token.text() == word,
            rowan::NodeOrToken::Node(child) if seen => return Name::cast(child),
            rowan::NodeOrToken::Node(_) => {}
        }
    }
    None
}

macro_rules! nodes {
    ($($(#[$doc:meta])* $name:ident = $kind:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(SyntaxNode);

        impl AstNode for $name {
            fn cast(node: SyntaxNode) -> Option<Self> {
                (node.kind() == SyntaxKind::$kind).then(|| $name(node))
            }

            fn syntax(&self) -> &SyntaxNode {
                &self.0
            }
        }
    )*};
}

nodes! {
    /// A rules file.
    File = FILE,
    /// A defining name.
    Name = NAME,
    /// `edition 1`
    Edition = EDITION,
    /// `defaults { ... }`
    Defaults = DEFAULTS,
    /// `levels a > b`
    Levels = LEVELS,
    /// `rule a { ... }`
    Rule = RULE,
    /// `rule a over b`
    RuleOrder = RULE_ORDER,
    /// `interlock a { ... }`
    Interlock = INTERLOCK,
    /// `policy a { ... }`
    Policy = POLICY,
    /// `mode a { ... }`
    Mode = MODE,
    /// `home default`
    ModeValue = MODE_VALUE,
    /// `counter a per zone`
    Counter = COUNTER,
    /// `test "..." of a { ... }`
    Test = TEST,
    /// `prove ...`
    Prove = PROVE,
    /// `template a(x: zone) { ... }`
    Template = TEMPLATE,
    /// One parameter of a template.
    Param = PARAM,
    /// `use a(x: m7)`
    Use = USE,
    /// `combine light.level = max`
    Combine = COMBINE,
    /// `manual light until vacant`
    Manual = MANUAL,
    /// `for each room r where ...`
    ForEach = FOR_EACH,
    /// `room r`
    Binder = BINDER,
    /// `when ...`
    When = WHEN,
    /// `while ...`
    While = WHILE,
    /// `if ...`
    If = IF,
    /// `do ...`
    Do = DO,
    /// `hold ...`
    Hold = HOLD,
    /// `x = y`
    Assign = ASSIGN,
    /// `release after D`
    Release = RELEASE,
    /// `settle D`
    Settle = SETTLE,
    /// `deadline D else count`
    Deadline = DEADLINE,
    /// `level x`
    Level = LEVEL,
    /// `once per x`
    Once = ONCE,
    /// `suppress D per x`
    Suppress = SUPPRESS,
    /// `on unknown keep`
    OnUnknown = ON_UNKNOWN,
    /// `forbid ...`
    Forbid = FORBID,
    /// `guard ...`
    Guard = GUARD,
    /// `allow if ...`
    Allow = ALLOW,
    /// `else ...`
    Else = ELSE,
    /// `catch up within D`
    CatchUp = CATCH_UP,
    /// A call that a `do` sends.
    SendAction = SEND_ACTION,
    /// `wait D`
    WaitAction = WAIT_ACTION,
    /// `ask ...`
    AskAction = ASK_ACTION,
    /// `drop`
    DropAction = DROP_ACTION,
    /// `tell x`
    TellAction = TELL_ACTION,
    /// A bare name.
    NameRef = NAME_REF,
    /// A string.
    StringExpr = STRING_EXPR,
    /// A time of day.
    ClockExpr = CLOCK_EXPR,
    /// A number with its unit.
    Quantity = QUANTITY,
    /// A unit.
    Unit = UNIT,
    /// `80 % of x`
    PercentOf = PERCENT_OF,
    /// `( x )`
    Paren = PAREN_EXPR,
    /// `x.y`
    Field = FIELD_EXPR,
    /// `x(y)`
    Call = CALL_EXPR,
    /// `(x, y)`
    ArgList = ARG_LIST,
    /// One argument.
    Arg = ARG,
    /// `any p in s`
    Quantified = QUANTIFIED,
    /// `all doors`, `all sensors of r`
    AllOf = ALL_OF,
    /// `no motion in r`
    NoEvidence = NO_EVIDENCE,
    /// `nobody in r`
    Nobody = NOBODY,
    /// `if a then b else c`
    IfExpr = IF_EXPR,
    /// `not x`
    Not = NOT_EXPR,
    /// `-x`
    Neg = NEG_EXPR,
    /// `x + y`
    Bin = BIN_EXPR,
    /// `x < y`
    Cmp = CMP_EXPR,
    /// `x in y`
    In = IN_EXPR,
    /// `x .. y`
    Range = RANGE,
    /// `x is y`
    Is = IS_EXPR,
    /// `x enters y`
    Verb = VERB_EXPR,
    /// `x for D`
    For = FOR_EXPR,
    /// `x and y`
    And = AND_EXPR,
    /// `x or y`
    Or = OR_EXPR,
    /// `x then y`
    Then = THEN_EXPR,
    /// `x until (y)`
    Until = UNTIL_EXPR,
    /// `x within D`
    Within = WITHIN_EXPR,
    /// `x 3 times within D`
    Times = TIMES_EXPR,
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident($node:ident),)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant($node),)* }

        impl AstNode for $name {
            fn cast(node: SyntaxNode) -> Option<Self> {
                $(if let Some(found) = $node::cast(node.clone()) { return Some($name::$variant(found)); })*
                None
            }

            fn syntax(&self) -> &SyntaxNode {
                match self { $($name::$variant(node) => node.syntax(),)* }
            }
        }
    };
}

choice! {
    /// A top-level item.
    Item {
        /// `edition 1`
        Edition(Edition),
        /// `defaults { ... }`
        Defaults(Defaults),
        /// `levels a > b`
        Levels(Levels),
        /// `rule a { ... }`
        Rule(Rule),
        /// `rule a over b`
        RuleOrder(RuleOrder),
        /// `interlock a { ... }`
        Interlock(Interlock),
        /// `policy a { ... }`
        Policy(Policy),
        /// `mode a { ... }`
        Mode(Mode),
        /// `counter a per zone`
        Counter(Counter),
        /// `test "..." of a { ... }`
        Test(Test),
        /// `prove ...`
        Prove(Prove),
        /// `template a(x: zone) { ... }`
        Template(Template),
        /// `use a(x: m7)`
        Use(Use),
        /// `combine light.level = max`
        Combine(Combine),
        /// `manual light until vacant`
        Manual(Manual),
    }
}

choice! {
    /// A clause of a rule, an interlock or a policy.
    Clause {
        /// `for each`
        ForEach(ForEach),
        /// `when`
        When(When),
        /// `while`
        While(While),
        /// `if`
        If(If),
        /// `do`
        Do(Do),
        /// `hold`
        Hold(Hold),
        /// `release after`
        Release(Release),
        /// `settle`
        Settle(Settle),
        /// `deadline`
        Deadline(Deadline),
        /// `level`
        Level(Level),
        /// `once per`
        Once(Once),
        /// `suppress`
        Suppress(Suppress),
        /// `on unknown`
        OnUnknown(OnUnknown),
        /// `forbid`
        Forbid(Forbid),
        /// `guard`
        Guard(Guard),
        /// `allow`
        Allow(Allow),
        /// `else`
        Else(Else),
        /// `catch up`
        CatchUp(CatchUp),
    }
}

choice! {
    /// What a `do` does.
    Action {
        /// A call.
        Send(SendAction),
        /// `wait`
        Wait(WaitAction),
        /// `ask`
        Ask(AskAction),
        /// `drop`
        Drop(DropAction),
        /// `tell`
        Tell(TellAction),
    }
}

choice! {
    /// An expression or a condition.
    Expr {
        /// A bare name.
        Name(NameRef),
        /// A string.
        String(StringExpr),
        /// A time of day.
        Clock(ClockExpr),
        /// A number with its unit.
        Quantity(Quantity),
        /// `80 % of x`
        PercentOf(PercentOf),
        /// `( x )`
        Paren(Paren),
        /// `x.y`
        Field(Field),
        /// `x(y)`
        Call(Call),
        /// `any p in s`
        Quantified(Quantified),
        /// `all doors`
        AllOf(AllOf),
        /// `no motion in r`
        NoEvidence(NoEvidence),
        /// `nobody in r`
        Nobody(Nobody),
        /// `if a then b else c`
        If(IfExpr),
        /// `not x`
        Not(Not),
        /// `-x`
        Neg(Neg),
        /// `x + y`
        Bin(Bin),
        /// `x < y`
        Cmp(Cmp),
        /// `x in y`
        In(In),
        /// `x .. y`
        Range(Range),
        /// `x is y`
        Is(Is),
        /// `x enters y`
        Verb(Verb),
        /// `x for D`
        For(For),
        /// `x and y`
        And(And),
        /// `x or y`
        Or(Or),
        /// `x then y`
        Then(Then),
        /// `x until (y)`
        Until(Until),
        /// `x within D`
        Within(Within),
        /// `x 3 times within D`
        Times(Times),
    }
}

/// The text of a token: of a string what it says, of a word the word.
pub fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else { return text.to_owned() };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            _ => out.push(c),
        }
    }
    out
}
