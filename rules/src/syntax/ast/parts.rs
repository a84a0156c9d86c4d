//! What each view finds in its node.

use super::super::kind::{SyntaxKind, SyntaxNode, SyntaxToken};
use super::{
    Action, AllOf, Allow, And, Arg, ArgList, AskAction, Assign, AstNode, Bin, Binder, Call, CatchUp, Clause, ClockExpr,
    Cmp, Combine, Counter, Deadline, Defaults, Do, Edition, Else, Expr, Field, File, For, ForEach, Forbid, Guard, Hold,
    If, IfExpr, In, Interlock, Is, Item, Level, Levels, Manual, Mode, ModeValue, Name, NameRef, Neg, NoEvidence,
    Nobody, Not, OnUnknown, Once, Or, Param, Paren, PercentOf, Policy, Prove, Quantified, Quantity, Range, Release,
    Rule, RuleOrder, SendAction, Settle, StringExpr, Suppress, TellAction, Template, Test, Then, Times, Unit, Until,
    Use, Verb, WaitAction, When, While, Within, child, children, expr_behind, has_word, name_behind, own_tokens,
    unquoted,
};

impl File {
    /// The view of a parse's root, which is a file by construction.
    pub(in crate::syntax) fn of_root(root: SyntaxNode) -> Self {
        File(root)
    }

    /// Its items in order.
    pub fn items(&self) -> impl Iterator<Item = Item> + use<> {
        children(&self.0)
    }
}

impl Name {
    /// The name without quotes and escapes.
    pub fn text(&self) -> String {
        own_tokens(&self.0).next().map(|t| unquoted(t.text())).unwrap_or_default()
    }
}

macro_rules! named_blocks {
    ($($name:ident),*) => {$(
        impl $name {
            /// Its name.
            pub fn name(&self) -> Option<Name> {
                child(&self.0)
            }

            /// Its clauses in order.
            pub fn clauses(&self) -> impl Iterator<Item = Clause> + use<> {
                children(&self.0)
            }
        }
    )*};
}
named_blocks!(Rule, Interlock, Policy, Defaults, Template);

macro_rules! one_expr {
    ($($name:ident),*) => {$(
        impl $name {
            /// Its (first) expression.
            pub fn expr(&self) -> Option<Expr> {
                child(&self.0)
            }
        }
    )*};
}
one_expr!(
    When, While, If, Release, Settle, Deadline, Once, Suppress, Guard, Allow, CatchUp, WaitAction, AskAction,
    TellAction, SendAction, Paren, Not, Neg, Quantified, AllOf, NoEvidence, Nobody, Is, PercentOf, ForEach, Arg, Call,
    Field, Param, Counter, Combine, Manual, Within, Times
);

macro_rules! names_and_exprs {
    ($($name:ident),*) => {$(
        impl $name {
            /// Its defining names in order.
            pub fn names(&self) -> impl Iterator<Item = Name> + use<> {
                children(&self.0)
            }

            /// Its expressions in order.
            pub fn exprs(&self) -> impl Iterator<Item = Expr> + use<> {
                children(&self.0)
            }
        }
    )*};
}
names_and_exprs!(
    Levels, RuleOrder, Deadline, Level, Once, Suppress, OnUnknown, Forbid, Quantified, AllOf, NoEvidence, For, Binder,
    Field, Arg, And, Or, Then, Until, Cmp, In, Range, IfExpr, Bin, Verb, PercentOf, Assign, Guard, Counter, Prove,
    Param, Use, Combine, Manual, Within, Times, WaitAction, AskAction, TellAction, Is
);

impl ForEach {
    /// What it repeats the rule for.
    pub fn binders(&self) -> impl Iterator<Item = Binder> + use<> {
        children(&self.0)
    }
}

impl Do {
    /// Its actions in order.
    pub fn actions(&self) -> impl Iterator<Item = Action> + use<> {
        children(&self.0)
    }
}

impl Else {
    /// Its actions in order.
    pub fn actions(&self) -> impl Iterator<Item = Action> + use<> {
        children(&self.0)
    }
}

impl Hold {
    /// Its assignments in order.
    pub fn assigns(&self) -> impl Iterator<Item = Assign> + use<> {
        children(&self.0)
    }
}

impl SendAction {
    /// The assignment, where the action is one.
    pub fn assign(&self) -> Option<Assign> {
        child(&self.0)
    }
}

impl Assign {
    /// What is set.
    pub fn target(&self) -> Option<Expr> {
        self.exprs().next()
    }

    /// To what.
    pub fn value(&self) -> Option<Expr> {
        self.exprs().nth(1)
    }

    /// The length of the fade, from `over D`.
    pub fn over(&self) -> Option<Expr> {
        self.behind("over")
    }

    fn behind(&self, word: &str) -> Option<Expr> {
        expr_behind(&self.0, word)
    }

    /// The shortest time between two values, from `every D`.
    pub fn every(&self) -> Option<Expr> {
        self.behind("every")
    }

    /// The largest change at a time, from `step Q`.
    pub fn step(&self) -> Option<Expr> {
        self.behind("step")
    }

    /// Smaller changes are not worth a command, from `band Q`.
    pub fn band(&self) -> Option<Expr> {
        self.behind("band")
    }

    /// Whether the value is taken once, `at start`.
    pub fn at_start(&self) -> bool {
        has_word(&self.0, "start")
    }
}

impl Edition {
    /// Its number.
    pub fn number(&self) -> Option<SyntaxToken> {
        own_tokens(&self.0).find(|t| t.kind() == SyntaxKind::NUMBER)
    }
}

impl NameRef {
    /// The word.
    pub fn text(&self) -> String {
        own_tokens(&self.0).next().map(|t| t.text().to_owned()).unwrap_or_default()
    }
}

impl StringExpr {
    /// What the string says, escapes undone.
    pub fn text(&self) -> String {
        own_tokens(&self.0).next().map(|t| unquoted(t.text())).unwrap_or_default()
    }
}

impl ClockExpr {
    /// The time of day in nanoseconds since midnight, if it is one (00:00 to 24:00).
    pub fn since_midnight_ns(&self) -> Option<u64> {
        let token = own_tokens(&self.0).next()?;
        let mut parts = token.text().split(':');
        let hours: u64 = parts.next()?.parse().ok()?;
        let minutes: u64 = parts.next()?.parse().ok()?;
        let (seconds, fraction) = match parts.next() {
            Some(text) => text.split_once('.').unwrap_or((text, "")),
            None => ("0", ""),
        };
        let seconds: u64 = seconds.parse().ok()?;
        let mut fraction_ns = 0;
        let mut scale = 100_000_000;
        for digit in fraction.bytes().take(9) {
            fraction_ns += u64::from(digit - b'0') * scale;
            scale /= 10;
        }
        let total_ns = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + fraction_ns;
        (minutes < 60 && seconds < 60 && total_ns <= 86_400_000_000_000).then_some(total_ns)
    }
}

impl Quantity {
    /// The digits.
    pub fn number(&self) -> Option<SyntaxToken> {
        own_tokens(&self.0).find(|t| t.kind() == SyntaxKind::NUMBER)
    }

    /// The unit as written, without blanks (`m/s`); nothing where there is none.
    pub fn unit(&self) -> Option<String> {
        let unit: Unit = child(&self.0)?;
        Some(own_tokens(unit.syntax()).map(|t| t.text().to_owned()).collect())
    }

    /// The unit's node.
    pub fn unit_node(&self) -> Option<Unit> {
        child(&self.0)
    }
}

impl Call {
    /// Its arguments in order.
    pub fn args(&self) -> impl Iterator<Item = Arg> + use<> {
        let list: Option<ArgList> = child(&self.0);
        list.into_iter().flat_map(|l| children::<Arg>(l.syntax()))
    }
}

impl Arg {
    /// Its name, where it has one.
    pub fn name(&self) -> Option<Name> {
        child(&self.0)
    }

    /// The filter behind `where`.
    pub fn filter(&self) -> Option<Expr> {
        if has_word(&self.0, "where") { self.exprs().nth(1) } else { None }
    }
}

impl Field {
    /// The name behind the dot.
    pub fn name(&self) -> Option<Name> {
        child(&self.0)
    }
}

impl Verb {
    /// The verb.
    pub fn verb(&self) -> Option<SyntaxToken> {
        own_tokens(&self.0).find(|t| t.kind() == SyntaxKind::IDENT)
    }

    /// The direction behind `crosses`: `in` or `out`.
    pub fn direction(&self) -> Option<String> {
        own_tokens(&self.0).skip(1).map(|t| t.text().to_owned()).find(|t| matches!(t.as_str(), "in" | "out"))
    }

    /// The first argument in brackets, as in `facing w (15 deg)`.
    pub fn measure(&self) -> Option<Expr> {
        self.args().and_then(|list| children::<Arg>(list.syntax()).find_map(|arg| arg.expr()))
    }

    /// The arguments in brackets, as in `facing w (15 deg)`.
    pub fn args(&self) -> Option<ArgList> {
        child(&self.0)
    }
}

impl Is {
    /// Whether it is `is not`.
    pub fn negated(&self) -> bool {
        has_word(&self.0, "not")
    }

    /// The state named.
    pub fn state(&self) -> Option<Name> {
        child(&self.0)
    }

    /// The time of day named, as in `time is 07:00`.
    pub fn instant(&self) -> Option<Expr> {
        children::<Expr>(&self.0).nth(1)
    }
}

impl Quantified {
    /// Whether it is `any` (else `every`).
    pub fn is_any(&self) -> bool {
        has_word(&self.0, "any")
    }
}

impl AllOf {
    /// Whether it is `all` (else `any`).
    pub fn is_all(&self) -> bool {
        has_word(&self.0, "all")
    }
}

impl Nobody {
    /// Whether it is `nobody` (else `somebody` or `anybody`).
    pub fn is_nobody(&self) -> bool {
        has_word(&self.0, "nobody")
    }
}

macro_rules! operators {
    ($($name:ident),*) => {$(
        impl $name {
            /// The operator between its two sides.
            pub fn operator(&self) -> Option<SyntaxToken> {
                own_tokens(&self.0).next()
            }
        }
    )*};
}
operators!(Bin, Cmp);

impl Mode {
    /// Its name.
    pub fn name(&self) -> Option<Name> {
        child(&self.0)
    }
}

impl Test {
    /// The name of the rule under test.
    pub fn of(&self) -> Option<Name> {
        child(&self.0)
    }

    /// Its title.
    pub fn title(&self) -> Option<String> {
        own_tokens(&self.0).find(|t| t.kind() == SyntaxKind::STRING).map(|t| unquoted(t.text()))
    }
}

impl Mode {
    /// Its values in order.
    pub fn values(&self) -> impl Iterator<Item = ModeValue> + use<> {
        children(&self.0)
    }
}

impl Mode {
    /// What it is kept per, from `per zone`.
    pub fn per(&self) -> Option<Name> {
        name_behind(&self.0, "per")
    }
}

impl Counter {
    /// Its name.
    pub fn name(&self) -> Option<Name> {
        child(&self.0)
    }

    /// What it is kept per, from `per zone`.
    pub fn per(&self) -> Option<Name> {
        name_behind(&self.0, "per")
    }

    /// `reset` or `day`, from `since`.
    pub fn since(&self) -> Option<Name> {
        name_behind(&self.0, "since")
    }

    /// How long each count lasts, from `within D`.
    pub fn within(&self) -> Option<Expr> {
        expr_behind(&self.0, "within")
    }
}

impl Template {
    /// Its parameters in order.
    pub fn params(&self) -> impl Iterator<Item = Param> + use<> {
        children(&self.0)
    }
}

impl Use {
    /// The template's name.
    pub fn template(&self) -> Option<Name> {
        child(&self.0)
    }

    /// The arguments in order.
    pub fn args(&self) -> impl Iterator<Item = Arg> + use<> {
        let list: Option<ArgList> = child(&self.0);
        list.into_iter().flat_map(|l| children::<Arg>(l.syntax()))
    }

    /// The name of the rule that comes of it, from `as`.
    pub fn called(&self) -> Option<Name> {
        name_behind(&self.0, "as")
    }
}

impl Manual {
    /// The word behind `until`: `vacant`.
    pub fn until_word(&self) -> Option<Name> {
        name_behind(&self.0, "until")
    }

    /// The time of day behind `until`.
    pub fn until_clock(&self) -> Option<Expr> {
        expr_behind(&self.0, "until").filter(|e| matches!(e, Expr::Clock(_)))
    }

    /// The length behind `for`.
    pub fn length(&self) -> Option<Expr> {
        expr_behind(&self.0, "for")
    }
}

impl WaitAction {
    /// What ends the run meanwhile, from `unless`.
    pub fn unless(&self) -> Option<Expr> {
        expr_behind(&self.0, "unless")
    }
}

impl AskAction {
    /// What is asked.
    pub fn text(&self) -> Option<StringExpr> {
        children::<StringExpr>(&self.0).next()
    }

    /// How long an answer is waited for, from `answered within D`.
    pub fn within(&self) -> Option<Expr> {
        expr_behind(&self.0, "within")
    }

    /// What is done where nobody answers yes in time.
    pub fn otherwise(&self) -> impl Iterator<Item = Action> + use<> {
        children(&self.0)
    }
}

impl TellAction {
    /// What is told.
    pub fn text(&self) -> Option<StringExpr> {
        children::<StringExpr>(&self.0).next()
    }
}

impl Then {
    /// Its parts in order: each condition with the time that may lie between it and the one before.
    pub fn parts(&self) -> Vec<(Expr, Option<Expr>)> {
        let mut parts: Vec<(Expr, Option<Expr>)> = Vec::new();
        let mut within = false;
        for element in self.0.children_with_tokens() {
            match element {
                rowan::NodeOrToken::Token(token) => within |= token.text() == "within",
                rowan::NodeOrToken::Node(child) => {
                    let Some(expr) = Expr::cast(child) else { continue };
                    match parts.last_mut() {
                        Some(last) if within => last.1 = Some(expr),
                        _ => parts.push((expr, None)),
                    }
                    within = false;
                }
            }
        }
        parts
    }
}

impl Guard {
    /// The condition behind `where`.
    pub fn filter(&self) -> Option<Expr> {
        expr_behind(&self.0, "where")
    }
}

impl ModeValue {
    /// Its name.
    pub fn name(&self) -> Option<Name> {
        child(&self.0)
    }

    /// Whether the mode starts with it.
    pub fn is_default(&self) -> bool {
        has_word(&self.0, "default")
    }
}

impl For {
    /// The word behind `across gaps:`.
    pub fn across(&self) -> Option<Name> {
        child(&self.0)
    }
}
