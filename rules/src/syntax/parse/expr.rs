//! Expressions and conditions, loosest binding first:
//! `until` and `then` < `or` < `and` < `for` < `not` < comparisons, `in`, `is`, verbs < `+ -` < `* /` < sign < `.` and calls.

use super::super::kind::SyntaxKind;
use super::super::words;
use super::Parser;
use crate::diag::{Diagnostic, did_you_mean};
use rowan::Checkpoint;

/// Longest run of `.name`, calls or arithmetic in one chain, a bound on the tree's depth.
const CHAIN_MAX: usize = 64;

impl Parser<'_> {
    /// A condition or a value in full: `A then B within 2 s until (C)`.
    pub(super) fn condition(&mut self) {
        self.deeper(|p| {
            let start = p.checkpoint();
            p.or_expr();
            if p.at_word("then") {
                p.start_at(start, SyntaxKind::THEN_EXPR);
                while p.eat_word("then") {
                    p.bare(true, Self::or_expr);
                    if p.eat_word("within") {
                        p.operand();
                    }
                }
                p.finish();
            }
            if p.at_word("until") {
                p.start_at(start, SyntaxKind::UNTIL_EXPR);
                p.bump();
                p.or_expr();
                p.finish();
            }
        });
    }

    fn or_expr(&mut self) {
        self.joined("or", SyntaxKind::OR_EXPR, |p| p.joined("and", SyntaxKind::AND_EXPR, Self::held));
    }

    /// `PART WORD PART WORD PART` as one flat node, so that a long list does not nest.
    fn joined(&mut self, word: &str, kind: SyntaxKind, part: impl Fn(&mut Self)) {
        let start = self.checkpoint();
        part(self);
        if self.at_word(word) {
            self.start_at(start, kind);
            while self.eat_word(word) {
                part(self);
            }
            self.finish();
        }
    }

    /// `COND for D [across gaps: WORD]`; `for each` is a clause and no dwell.
    fn held(&mut self) {
        let start = self.checkpoint();
        self.not_expr();
        if self.at_word("for") && !self.nth_is_word(1, "each") {
            self.start_at(start, SyntaxKind::FOR_EXPR);
            self.bump();
            self.operand();
            if self.eat_word("across") && self.expect_word("gaps") && self.expect(SyntaxKind::COLON, "`:`") {
                self.name("`continue`, `restart` or `unknown`");
            }
            self.finish();
        }
        if self.current() == SyntaxKind::NUMBER && matches!(self.nth_text(1), "times" | "time") {
            self.start_at(start, SyntaxKind::TIMES_EXPR);
            self.operand();
            self.bump();
            if self.expect_word("within") {
                self.operand();
            }
            self.finish();
        } else if !self.bare && self.at_word("within") {
            self.start_at(start, SyntaxKind::WITHIN_EXPR);
            self.bump();
            self.operand();
            self.finish();
        }
    }

    fn not_expr(&mut self) {
        if self.at_word("not") {
            self.start(SyntaxKind::NOT_EXPR);
            self.bump();
            self.deeper(Self::not_expr);
            self.finish();
        } else {
            self.relation();
        }
    }

    fn relation(&mut self) {
        let start = self.checkpoint();
        self.sum();
        self.relation_after(start);
    }

    /// What may follow an operand that began at `start`: a comparison, `in`, `is`, or a verb. At most one.
    pub(super) fn relation_after(&mut self, start: Checkpoint) {
        use SyntaxKind::{CMP_EXPR, EQ_EQ, GT, GT_EQ, IDENT, LT, LT_EQ, NOT_EQ};
        match self.current() {
            EQ_EQ | NOT_EQ | LT | LT_EQ | GT | GT_EQ => {
                self.start_at(start, CMP_EXPR);
                self.bump();
                self.sum();
                self.finish();
                if matches!(self.current(), EQ_EQ | NOT_EQ | LT | LT_EQ | GT | GT_EQ) {
                    let message = "comparisons cannot be chained";
                    let diagnostic = Diagnostic::error("syntax", self.file, self.here(), message);
                    self.report(diagnostic.help("write `a < b and b < c`, or `b in a..c`"));
                    self.start(SyntaxKind::ERROR);
                    self.bump();
                    self.sum();
                    self.finish();
                }
            }
            IDENT => self.worded_relation(start),
            _ => {}
        }
    }

    fn worded_relation(&mut self, start: Checkpoint) {
        match self.nth_text(0) {
            "in" => {
                self.start_at(start, SyntaxKind::IN_EXPR);
                self.bump();
                let range = self.checkpoint();
                self.sum();
                if self.current() == SyntaxKind::DOT_DOT {
                    self.start_at(range, SyntaxKind::RANGE);
                    self.bump();
                    self.sum();
                    self.finish();
                }
                self.finish();
            }
            "is" | "are" => {
                self.start_at(start, SyntaxKind::IS_EXPR);
                self.bump();
                self.eat_word("not");
                let clock = self.current() == SyntaxKind::CLOCK || self.at_any_word(&["sunrise", "sunset"]);
                if clock {
                    self.sum();
                } else {
                    self.name("a state, as in `is occupied`");
                }
                self.finish();
            }
            verb if words::VERBS.contains(&verb) => {
                self.start_at(start, SyntaxKind::VERB_EXPR);
                self.bump();
                if !self.eat_word("in") {
                    self.eat_word("at");
                }
                // `gate crosses in` may be followed by the next step of a test.
                let next_step = self.starts_line(0) && self.at_any_word(words::STEPS);
                if self.at_name() && !next_step {
                    self.path();
                    // `facing w (15 deg)`: the bracket is the verb's, so the object is a path and no call.
                    if self.current() == SyntaxKind::L_PAREN {
                        self.arg_list();
                    }
                }
                self.finish();
            }
            _ => {}
        }
    }

    fn sum(&mut self) {
        self.chain(&[SyntaxKind::PLUS, SyntaxKind::MINUS], |p| {
            p.chain(&[SyntaxKind::STAR, SyntaxKind::SLASH], Self::operand);
        });
    }

    /// `PART OP PART OP PART`, nesting to the left.
    fn chain(&mut self, operators: &[SyntaxKind], part: impl Fn(&mut Self)) {
        let start = self.checkpoint();
        part(self);
        let mut links = 0;
        while operators.contains(&self.current()) {
            if self.chain_too_long(&mut links) {
                return;
            }
            self.start_at(start, SyntaxKind::BIN_EXPR);
            self.bump();
            part(self);
            self.finish();
        }
    }

    fn chain_too_long(&mut self, links: &mut usize) -> bool {
        *links += 1;
        if *links <= CHAIN_MAX {
            return false;
        }
        let message = format!("this expression has more than {CHAIN_MAX} parts in one chain");
        let diagnostic = Diagnostic::error("too-deep", self.file, self.here(), message);
        self.report(diagnostic.help("split it with brackets"));
        true
    }

    /// A signed value with its fields and calls.
    pub(super) fn operand(&mut self) {
        if self.current() == SyntaxKind::MINUS {
            self.start(SyntaxKind::NEG_EXPR);
            self.bump();
            self.deeper(Self::operand);
            self.finish();
            return;
        }
        let start = self.checkpoint();
        self.primary();
        let mut links = 0;
        loop {
            match self.current() {
                SyntaxKind::DOT => {
                    self.start_at(start, SyntaxKind::FIELD_EXPR);
                    self.bump();
                    self.name("a name after the dot");
                    self.finish();
                }
                SyntaxKind::L_PAREN => {
                    self.start_at(start, SyntaxKind::CALL_EXPR);
                    self.arg_list();
                    self.finish();
                }
                _ => return,
            }
            if self.chain_too_long(&mut links) {
                return;
            }
        }
    }

    /// Whether a name that may stand alone in an expression is next.
    fn at_name(&self) -> bool {
        match self.current() {
            SyntaxKind::STRING => true,
            SyntaxKind::IDENT => !self.at_reserved(),
            _ => false,
        }
    }

    /// Whether the next word joins or ends expressions. `on` is a state, but in `on unknown`.
    fn at_reserved(&self) -> bool {
        match self.nth_text(0) {
            "on" => self.nth_is_word(1, "unknown"),
            word => words::is_reserved(word),
        }
    }

    /// `name.name.name` without calls.
    fn path(&mut self) {
        let start = self.checkpoint();
        self.primary();
        let mut links = 0;
        while self.current() == SyntaxKind::DOT && !self.chain_too_long(&mut links) {
            self.start_at(start, SyntaxKind::FIELD_EXPR);
            self.bump();
            self.name("a name after the dot");
            self.finish();
        }
    }

    fn primary(&mut self) {
        match self.current() {
            SyntaxKind::NUMBER => self.quantity(),
            SyntaxKind::STRING => self.leaf(SyntaxKind::STRING_EXPR),
            SyntaxKind::CLOCK => self.leaf(SyntaxKind::CLOCK_EXPR),
            SyntaxKind::L_PAREN => {
                self.start(SyntaxKind::PAREN_EXPR);
                self.bump();
                self.bare(false, Self::condition);
                self.expect(SyntaxKind::R_PAREN, "`)`");
                self.finish();
            }
            SyntaxKind::IDENT => self.worded_primary(),
            _ => self.expected("an expression"),
        }
    }

    fn leaf(&mut self, kind: SyntaxKind) {
        self.start(kind);
        self.bump();
        self.finish();
    }

    fn worded_primary(&mut self) {
        let followed = matches!(self.nth(1), SyntaxKind::IDENT | SyntaxKind::STRING);
        match self.nth_text(0) {
            "if" => self.if_expr(),
            // `any p in participants(r)`, `every p in lobby`
            "any" | "every" if followed && self.nth_is_word(2, "in") => {
                self.start(SyntaxKind::QUANTIFIED);
                self.bump();
                self.name("a name");
                self.bump();
                self.deeper(Self::operand);
                self.finish();
            }
            // `all sensors of r`, `all doors.lock`
            "all" | "any" if followed => {
                self.start(SyntaxKind::ALL_OF);
                self.bump();
                self.name("what kind of device");
                if self.eat_word("of") {
                    self.path();
                }
                self.finish();
            }
            "no" if followed => {
                self.start(SyntaxKind::NO_EVIDENCE);
                self.bump();
                self.name("what there is none of, as in `no motion in r`");
                if self.expect_word("in") {
                    self.path();
                }
                self.finish();
            }
            "nobody" | "somebody" | "anybody" if self.nth_is_word(1, "in") => {
                self.start(SyntaxKind::NOBODY);
                self.bump();
                self.bump();
                self.path();
                self.finish();
            }
            _ if self.at_reserved() => self.expected("an expression"),
            _ => self.leaf(SyntaxKind::NAME_REF),
        }
    }

    /// `if A then B else C`
    fn if_expr(&mut self) {
        self.deeper(|p| {
            p.start(SyntaxKind::IF_EXPR);
            p.bump();
            p.or_expr();
            if p.expect_word("then") {
                p.or_expr();
                if p.expect_word("else") {
                    p.or_expr();
                }
            }
            p.finish();
        });
    }

    /// `5 min`, `30 %`, `0.5 m/s`, `80 % of r.capacity`, `6`
    fn quantity(&mut self) {
        let start = self.checkpoint();
        self.start(SyntaxKind::QUANTITY);
        self.bump();
        let percent = self.current() == SyntaxKind::PERCENT;
        if percent || self.at_any_word(words::UNITS) {
            self.start(SyntaxKind::UNIT);
            self.bump();
            if !percent && self.current() == SyntaxKind::SLASH && matches!(self.nth_text(1), "s" | "min" | "h") {
                self.bump();
                self.bump();
            }
            self.finish();
        } else if self.current() == SyntaxKind::IDENT && !self.starts_line(0) && !self.may_follow_number() {
            let span = self.here();
            let word = self.nth_text(0);
            let diagnostic = Diagnostic::error("unknown-unit", self.file, span, format!("`{word}` is no unit"));
            let near = words::foreign_unit(word).or_else(|| did_you_mean(word, words::UNITS.iter().copied()));
            let diagnostic = match near {
                Some(near) => diagnostic.label(span, format!("did you mean `{near}`?")),
                None => diagnostic.help(format!("units are: %, {}", words::UNITS.join(", "))),
            };
            self.report(diagnostic);
            self.start(SyntaxKind::ERROR);
            self.bump();
            self.finish();
        }
        self.finish();
        if percent && self.at_word("of") {
            self.start_at(start, SyntaxKind::PERCENT_OF);
            self.bump();
            self.deeper(Self::operand);
            self.finish();
        }
    }

    /// Whether the word after a bare number belongs to the sentence and is no unit.
    fn may_follow_number(&self) -> bool {
        let word = self.nth_text(0);
        words::is_reserved(word)
            || words::ITEMS.contains(&word)
            || words::STEPS.contains(&word)
            || matches!(word, "answered" | "up" | "start" | "every" | "step" | "band" | "times" | "time" | "as")
    }

    /// `(arg, name: arg, arg where COND)`
    pub(super) fn arg_list(&mut self) {
        self.start(SyntaxKind::ARG_LIST);
        self.bump();
        while !matches!(self.current(), SyntaxKind::R_PAREN | SyntaxKind::R_CURLY | SyntaxKind::EOF) {
            let before = self.at;
            self.start(SyntaxKind::ARG);
            if self.current() == SyntaxKind::IDENT && self.nth(1) == SyntaxKind::COLON {
                self.name("the argument's name");
                self.bump();
            }
            self.bare(false, Self::condition);
            if self.eat_word("where") {
                self.bare(false, Self::condition);
            }
            self.finish();
            if !self.eat(SyntaxKind::COMMA) || self.at == before {
                break;
            }
        }
        self.expect(SyntaxKind::R_PAREN, "`,` or `)`");
        self.finish();
    }
}
