//! Top-level items: rules, interlocks, policies, tests, proofs and the file's declarations.

use super::super::kind::SyntaxKind;
use super::super::words;
use super::Parser;
use crate::diag::Diagnostic;

impl Parser<'_> {
    pub(super) fn file(&mut self) {
        // `start` would put leading blanks before the root; the root holds everything.
        use rowan::Language;
        self.builder.start_node(super::RuleLanguage::kind_to_raw(SyntaxKind::FILE));
        while self.current() != SyntaxKind::EOF {
            self.item();
        }
        self.flush_trivia();
        self.finish();
    }

    fn item(&mut self) {
        match if self.current() == SyntaxKind::IDENT { self.nth_text(0) } else { "" } {
            "edition" => self.edition(),
            "defaults" => self.block_item(SyntaxKind::DEFAULTS, false),
            "levels" => self.levels(),
            "rule" if self.nth_is_word(2, "over") => self.rule_order(),
            "rule" => self.block_item(SyntaxKind::RULE, true),
            "interlock" => self.block_item(SyntaxKind::INTERLOCK, true),
            "policy" => self.block_item(SyntaxKind::POLICY, true),
            "template" => self.template(),
            "use" => self.use_item(),
            "combine" => self.combine(),
            "manual" => self.manual(),
            "mode" => self.mode(),
            "counter" => self.counter(),
            "test" => self.test(),
            "prove" => self.prove(),
            _ => {
                self.unknown_word("a rule or another item", words::ITEMS);
                self.skip_to_item();
            }
        }
    }

    fn skip_to_item(&mut self) {
        self.start(SyntaxKind::ERROR);
        self.bump();
        let mut depth = 0_u32;
        while self.current() != SyntaxKind::EOF {
            match self.current() {
                SyntaxKind::L_CURLY => depth += 1,
                SyntaxKind::R_CURLY => depth = depth.saturating_sub(1),
                _ if self.at_item_head() => break,
                _ => {}
            }
            self.bump();
        }
        self.finish();
    }

    fn edition(&mut self) {
        self.start(SyntaxKind::EDITION);
        self.bump();
        self.expect(SyntaxKind::NUMBER, "the edition's number, as in `edition 1`");
        self.finish();
    }

    fn levels(&mut self) {
        self.start(SyntaxKind::LEVELS);
        self.bump();
        self.name("a level's name");
        while self.eat(SyntaxKind::GT) {
            self.name("a level's name");
        }
        self.finish();
    }

    fn rule_order(&mut self) {
        self.start(SyntaxKind::RULE_ORDER);
        self.bump();
        self.name("a rule's name");
        self.expect_word("over");
        self.name("a rule's name");
        self.finish();
    }

    /// `WORD [NAME] { clause* }`
    fn block_item(&mut self, kind: SyntaxKind, named: bool) {
        self.start(kind);
        let head = self.here();
        self.bump();
        if named {
            self.name("a name");
        }
        self.block(head, words::CLAUSES, |p| p.clause());
        self.finish();
    }

    /// `{ part* }`, where `part` eats one part and always moves on. Notices an item inside as a missing `}`.
    fn block(&mut self, head: crate::diag::Span, heads: &[&str], mut part: impl FnMut(&mut Self)) {
        if !self.expect(SyntaxKind::L_CURLY, "`{`") {
            self.recover(heads);
            if self.at_item_head() || self.current() == SyntaxKind::EOF {
                return;
            }
        }
        loop {
            match self.current() {
                SyntaxKind::R_CURLY => {
                    self.bump();
                    return;
                }
                SyntaxKind::EOF => break,
                _ if self.at_item_head() => break,
                _ => {}
            }
            let before = self.at;
            part(self);
            if self.at == before {
                // Nothing fitted: the word has been reported, step over it.
                self.start(SyntaxKind::ERROR);
                self.bump();
                self.finish();
                self.recover(heads);
            }
        }
        let diagnostic = Diagnostic::error("unclosed", self.file, self.behind(), "expected `}` to close this block");
        self.report(diagnostic.label(head, "the block begins here"));
    }

    /// `template NAME(PARAM: KIND [= VALUE], ...) { clause* }`
    fn template(&mut self) {
        self.start(SyntaxKind::TEMPLATE);
        let head = self.here();
        self.bump();
        self.name("a template's name");
        if self.eat(SyntaxKind::L_PAREN) {
            while matches!(self.current(), SyntaxKind::IDENT | SyntaxKind::STRING) {
                self.start(SyntaxKind::PARAM);
                self.name("a parameter's name");
                if self.expect(SyntaxKind::COLON, "`:` and what the parameter is, as in `r: zone`") {
                    self.name("what the parameter is, as in `r: zone`");
                }
                if self.eat(SyntaxKind::EQ) {
                    self.condition();
                }
                self.finish();
                if !self.eat(SyntaxKind::COMMA) {
                    break;
                }
            }
            self.expect(SyntaxKind::R_PAREN, "`,` or `)`");
        }
        self.block(head, words::CLAUSES, |p| p.clause());
        self.finish();
    }

    /// `use TEMPLATE(PARAM: VALUE, ...) [as NAME]`
    fn use_item(&mut self) {
        self.start(SyntaxKind::USE);
        self.bump();
        self.name("a template's name");
        if self.current() == SyntaxKind::L_PAREN {
            self.arg_list();
        }
        if self.eat_word("as") {
            self.name("a name for the rule");
        }
        self.finish();
    }

    /// `combine light.level = max`
    fn combine(&mut self) {
        self.start(SyntaxKind::COMBINE);
        self.bump();
        self.operand();
        if self.expect(SyntaxKind::EQ, "`=` and how to combine") {
            self.name("`max`, `min`, `any` or `latest`");
        }
        self.finish();
    }

    /// `manual light until vacant [D]`, `manual m7.light for 4 h`, `manual all lights until 06:00`, `manual m7.light`
    fn manual(&mut self) {
        self.start(SyntaxKind::MANUAL);
        self.bump();
        self.operand();
        if self.eat_word("until") {
            if self.current() == SyntaxKind::CLOCK {
                self.operand();
            } else {
                self.name("`vacant` or a time of day");
                if self.current() == SyntaxKind::NUMBER {
                    self.operand();
                }
            }
        } else if self.eat_word("for") {
            self.operand();
        } else if !self.at_item_head() && self.current() != SyntaxKind::EOF {
            self.expected("`until` or `for`, or the next item");
        }
        self.finish();
    }

    /// `mode NAME [per KIND] { value [default], value }`
    fn mode(&mut self) {
        self.start(SyntaxKind::MODE);
        let head = self.here();
        self.bump();
        self.name("a mode's name");
        if self.eat_word("per") {
            self.name("what the mode is kept per, as in `per zone`");
        }
        self.block(head, &[], |p| {
            p.start(SyntaxKind::MODE_VALUE);
            let found = p.name("a mode's value");
            if found {
                p.eat_word("default");
                p.eat(SyntaxKind::COMMA);
            }
            p.finish();
        });
        self.finish();
    }

    /// `counter NAME [per KIND] [since reset|day] [within D]`
    fn counter(&mut self) {
        self.start(SyntaxKind::COUNTER);
        self.bump();
        self.name("a counter's name");
        if self.eat_word("per") {
            self.name("what the counter is kept per, as in `per zone`");
        }
        if self.eat_word("since") {
            self.name("`reset` or `day`");
        }
        if self.eat_word("within") {
            self.operand();
        }
        self.finish();
    }

    fn test(&mut self) {
        self.start(SyntaxKind::TEST);
        let head = self.here();
        self.bump();
        self.expect(SyntaxKind::STRING, "the test's title in quotes");
        if self.expect_word("of") {
            self.name("the name of the rule under test");
        }
        self.block(head, words::STEPS, |p| p.step());
        self.finish();
    }

    fn step(&mut self) {
        match if self.current() == SyntaxKind::IDENT { self.nth_text(0) } else { "" } {
            "at" => {
                self.start(SyntaxKind::TEST_AT);
                self.bump();
                self.operand();
                self.test_fact();
                self.finish();
            }
            "replay" => {
                self.start(SyntaxKind::TEST_REPLAY);
                self.bump();
                self.expect(SyntaxKind::STRING, "the trace's file in quotes");
                if matches!(self.current(), SyntaxKind::CLOCK | SyntaxKind::NUMBER) {
                    self.operand();
                    self.expect(SyntaxKind::DOT_DOT, "`..` and the end of the span");
                    self.operand();
                }
                self.finish();
            }
            "expect" => self.test_expect(),
            _ => self.unknown_word("a step of the test", words::STEPS),
        }
    }

    /// `ben:staff in m7`: a condition whose first name may carry its group, or a call, or `D.state = x`.
    fn test_fact(&mut self) {
        if self.current() == SyntaxKind::IDENT && self.nth(1) == SyntaxKind::COLON {
            self.name("a person");
            self.bump();
            let start = self.checkpoint();
            self.name("a group");
            self.relation_after(start);
            return;
        }
        self.assignment_or_expr();
    }

    fn test_expect(&mut self) {
        self.start(SyntaxKind::TEST_EXPECT);
        self.bump();
        if self.eat_word("nothing") {
            self.eat_word("else");
        } else {
            // `within` behind what is expected is the step's own.
            self.bare(true, Self::assignment_or_expr);
        }
        loop {
            if self.eat_word("for") || self.eat_word("within") {
                self.operand();
            } else if self.eat_word("at") {
                self.operand();
                if self.eat(SyntaxKind::PLUS_MINUS) {
                    self.operand();
                }
            } else {
                break;
            }
        }
        self.finish();
    }

    /// `prove a outranks b|*`, `prove never|always COND`
    fn prove(&mut self) {
        self.start(SyntaxKind::PROVE);
        self.bump();
        if self.eat_word("never") || self.eat_word("always") {
            self.condition();
        } else if self.name("`never`, `always`, or a rule's name") && self.expect_word("outranks") {
            if self.current() == SyntaxKind::STAR {
                self.start(SyntaxKind::EVERY);
                self.bump();
                self.finish();
            } else {
                self.name("a rule's name or `*`");
            }
        }
        self.finish();
    }
}
