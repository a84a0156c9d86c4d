//! Clauses of rules, interlocks and policies, and the actions that they send.

use super::super::kind::SyntaxKind;
use super::super::words;
use super::Parser;
use crate::diag::Diagnostic;

impl Parser<'_> {
    /// One clause. Where none begins it reports and eats nothing; the block steps over it.
    pub(super) fn clause(&mut self) {
        match if self.current() == SyntaxKind::IDENT { self.nth_text(0) } else { "" } {
            "for" => self.for_each(),
            "when" => self.condition_clause(SyntaxKind::WHEN),
            "while" => self.condition_clause(SyntaxKind::WHILE),
            "if" => self.condition_clause(SyntaxKind::IF),
            "do" => self.do_clause(),
            "hold" => self.hold(),
            "release" => self.words_and_operand(SyntaxKind::RELEASE, &["release", "after"]),
            "settle" => self.words_and_operand(SyntaxKind::SETTLE, &["settle"]),
            "catch" => self.words_and_operand(SyntaxKind::CATCH_UP, &["catch", "up", "within"]),
            "deadline" => self.deadline(),
            "level" => {
                self.start(SyntaxKind::LEVEL);
                self.bump();
                self.name("a level's name, as in `level comfort`");
                self.finish();
            }
            "once" => self.once(),
            "suppress" => {
                self.start(SyntaxKind::SUPPRESS);
                self.bump();
                self.operand();
                self.per_key();
                self.finish();
            }
            "on" => {
                self.start(SyntaxKind::ON_UNKNOWN);
                self.bump();
                if self.expect_word("unknown") {
                    self.name("`keep` or `release`");
                }
                self.finish();
            }
            "forbid" => self.forbid(),
            "guard" => self.guard(),
            "allow" => {
                self.start(SyntaxKind::ALLOW);
                self.bump();
                if self.expect_word("if") {
                    self.condition();
                }
                self.finish();
            }
            "else" => {
                self.start(SyntaxKind::ELSE);
                self.bump();
                self.action();
                while self.eat_word("and") || self.eat(SyntaxKind::SEMICOLON) {
                    self.action();
                }
                self.finish();
            }
            _ => {
                self.unknown_word("a clause", words::CLAUSES);
                return;
            }
        }
        self.clause_end();
    }

    /// After a clause another must begin, or the block must end; anything else is one message and skipped.
    fn clause_end(&mut self) {
        if self.current() == SyntaxKind::SEMICOLON {
            self.expected("the next clause (a `;` stands only between the actions of a `do`)");
            self.recover(words::CLAUSES);
            return;
        }
        if !self.stops_recovery(words::CLAUSES) {
            match self.current() {
                SyntaxKind::IDENT => {
                    let mut known: Vec<&'static str> = words::CLAUSES.to_vec();
                    known.extend_from_slice(words::OPERATORS);
                    known.extend_from_slice(words::VERBS);
                    self.unknown_word("an operator or the next clause", &known);
                }
                _ => self.expected("an operator or the next clause"),
            }
            self.recover(words::CLAUSES);
        }
    }

    /// `for each room r, zone z [where COND]`
    fn for_each(&mut self) {
        self.start(SyntaxKind::FOR_EACH);
        self.bump();
        if self.current() == SyntaxKind::NUMBER {
            let message = format!("expected `each`, found `{}`", self.nth_text(0));
            let help = "a length of time stands behind what has held so long, as in `when m7 is empty for 5 min`";
            let span = self.here();
            self.report(Diagnostic::error("syntax", self.file, span, message).help(help));
        } else if self.expect_word("each") {
            loop {
                self.start(SyntaxKind::BINDER);
                let kind = self.name("what to repeat the rule for, as in `for each room r`");
                if kind {
                    self.name("a name for it, as in `for each room r`");
                }
                self.finish();
                if !self.eat(SyntaxKind::COMMA) {
                    break;
                }
            }
            if self.eat_word("where") {
                self.condition();
            }
        }
        self.finish();
    }

    fn condition_clause(&mut self, kind: SyntaxKind) {
        self.start(kind);
        self.bump();
        self.condition();
        self.finish();
    }

    fn words_and_operand(&mut self, kind: SyntaxKind, words: &[&str]) {
        self.start(kind);
        if words.iter().all(|word| self.expect_word(word)) {
            self.operand();
        }
        self.finish();
    }

    /// `deadline 1 ms [else count|fail-safe|drop]`
    fn deadline(&mut self) {
        self.start(SyntaxKind::DEADLINE);
        self.bump();
        self.operand();
        if self.eat_word("else") {
            self.name("what to do with a late command: `count`, `drop` or `fail-safe`");
        }
        self.finish();
    }

    /// `once per visit|day|D [per KEY]`
    fn once(&mut self) {
        self.start(SyntaxKind::ONCE);
        self.bump();
        if self.expect_word("per") {
            self.operand();
            self.per_key();
        }
        self.finish();
    }

    fn per_key(&mut self) {
        if self.eat_word("per") {
            self.name("whom to remember, as in `per p`");
        }
    }

    /// `hold TARGET = EXPR, TARGET = EXPR`
    fn hold(&mut self) {
        self.start(SyntaxKind::HOLD);
        self.bump();
        loop {
            self.assignment();
            if !self.eat(SyntaxKind::COMMA) {
                break;
            }
        }
        self.finish();
    }

    /// `TARGET = EXPR [over D] [every D] [step Q] [band Q] [at start]`
    fn assignment(&mut self) {
        self.start(SyntaxKind::ASSIGN);
        self.operand();
        if self.expect(SyntaxKind::EQ, "`=` and the value to hold") {
            self.assigned_value();
        }
        self.finish();
    }

    fn assigned_value(&mut self) {
        self.condition();
        loop {
            if self.eat_word("over") || self.eat_word("every") || self.eat_word("step") || self.eat_word("band") {
                self.operand();
            } else if self.at_word("at") && self.nth_is_word(1, "start") {
                self.bump();
                self.bump();
            } else {
                return;
            }
        }
    }

    /// `TARGET = EXPR` as an `ASSIGN`, or a plain condition.
    pub(super) fn assignment_or_expr(&mut self) {
        let start = self.checkpoint();
        self.condition();
        if self.current() == SyntaxKind::EQ {
            self.start_at(start, SyntaxKind::ASSIGN);
            self.bump();
            self.assigned_value();
            self.finish();
        }
    }

    fn do_clause(&mut self) {
        self.start(SyntaxKind::DO);
        self.bump();
        self.actions();
        self.finish();
    }

    fn actions(&mut self) {
        self.action();
        while self.eat(SyntaxKind::SEMICOLON) {
            if self.current() == SyntaxKind::R_CURLY || self.at_any_word(words::CLAUSES) {
                break;
            }
            self.action();
        }
    }

    fn action(&mut self) {
        // The words below are actions only where no call or field follows: `drop` and `ask` may be devices.
        let plain = !matches!(self.nth(1), SyntaxKind::DOT | SyntaxKind::L_PAREN | SyntaxKind::EQ);
        match if plain && self.current() == SyntaxKind::IDENT { self.nth_text(0) } else { "" } {
            "drop" => {
                self.start(SyntaxKind::DROP_ACTION);
                self.bump();
            }
            "tell" => {
                self.start(SyntaxKind::TELL_ACTION);
                self.bump();
                self.operand();
                if self.current() == SyntaxKind::STRING {
                    self.operand();
                }
            }
            "wait" => {
                self.start(SyntaxKind::WAIT_ACTION);
                self.bump();
                self.operand();
                if self.eat_word("unless") {
                    self.condition();
                }
            }
            "ask" => {
                self.start(SyntaxKind::ASK_ACTION);
                self.bump();
                self.operand();
                if self.current() == SyntaxKind::STRING {
                    self.operand();
                }
                if self.eat_word("answered") && self.expect_word("within") {
                    self.operand();
                }
                if self.eat_word("else") {
                    if self.eat(SyntaxKind::L_CURLY) {
                        self.deeper(Self::actions);
                        self.expect(SyntaxKind::R_CURLY, "`;` or `}`");
                    } else {
                        self.deeper(Self::action);
                    }
                }
            }
            _ => {
                self.start(SyntaxKind::SEND_ACTION);
                let start = self.checkpoint();
                self.operand();
                if self.current() == SyntaxKind::EQ {
                    self.start_at(start, SyntaxKind::ASSIGN);
                    self.bump();
                    self.assigned_value();
                    self.finish();
                }
            }
        }
        self.finish();
    }

    /// `forbid recorder.start, audio.play`
    fn forbid(&mut self) {
        self.start(SyntaxKind::FORBID);
        self.bump();
        self.operand();
        while self.eat(SyntaxKind::COMMA) {
            self.operand();
        }
        self.finish();
    }

    /// `guard audio.play(content, beam) [where COND]`
    fn guard(&mut self) {
        self.start(SyntaxKind::GUARD);
        self.bump();
        self.operand();
        if self.eat_word("where") {
            self.condition();
        }
        self.finish();
    }
}
