//! The formatter: one layout for every file, comments kept, the same again when run again.
//!
//! It moves blanks only. Each clause stands on its own line, two blanks in; a block that its author wrote on one line
//! stays there while it fits; line breaks inside a clause stay where they are, four blanks in.

use crate::syntax::{Parse, SyntaxKind, SyntaxNode, SyntaxToken};

/// Longest block that stays on one line, in characters.
const LINE_CHARS_MAX: usize = 110;

/// The formatted text of a parsed file; `None` where it has syntax errors, because then nothing is sure.
pub fn format(parse: &Parse) -> Option<String> {
    if !parse.diagnostics.is_empty() {
        return None;
    }
    let pieces = pieces(&parse.syntax());
    let mut printer = Printer::default();
    for (index, piece) in pieces.iter().enumerate() {
        printer.piece(&pieces, index, piece);
    }
    Some(printer.finish())
}

/// What a token begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// Nothing.
    Nothing,
    /// A top-level item.
    Item,
    /// A clause, a step, a value of a mode.
    Part,
    /// The closing brace of a block.
    End,
    /// What stands behind the last token: trailing comments.
    File,
}

/// A token with what stands before it.
struct Piece {
    text: String,
    kind: SyntaxKind,
    parent: SyntaxKind,
    grandparent: SyntaxKind,
    begins: Begins,
    /// In a block whose author wrote it on one line.
    one_line: bool,
    /// Comments before it.
    comments: Vec<Remark>,
    /// Line ends before it (behind the last comment).
    breaks: usize,
    /// Line ends before the first comment.
    breaks_before_comments: usize,
}

/// A comment.
struct Remark {
    /// It has a line of its own.
    own_line: bool,
    /// Line ends before it.
    breaks: usize,
    text: String,
}

fn is_block(kind: SyntaxKind) -> bool {
    use SyntaxKind::{DEFAULTS, INTERLOCK, MODE, POLICY, RULE, TEMPLATE, TEST};
    matches!(kind, DEFAULTS | INTERLOCK | MODE | POLICY | RULE | TEMPLATE | TEST)
}

fn pieces(root: &SyntaxNode) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut comments: Vec<Remark> = Vec::new();
    let (mut breaks, mut breaks_before_comments) = (0, 0);
    for token in root.descendants_with_tokens().filter_map(|e| e.into_token()) {
        match token.kind() {
            SyntaxKind::WHITESPACE => {
                breaks += token.text().matches('\n').count();
                if comments.is_empty() {
                    breaks_before_comments = breaks;
                }
            }
            SyntaxKind::COMMENT => {
                let own_line = breaks > 0 || pieces.is_empty() && comments.is_empty();
                comments.push(Remark { own_line, breaks, text: token.text().trim_end().into() });
                breaks = 0;
            }
            _ => {
                pieces.push(Piece {
                    text: token.text().to_owned(),
                    kind: token.kind(),
                    parent: token.parent().map_or(SyntaxKind::FILE, |p| p.kind()),
                    grandparent: token.parent().and_then(|p| p.parent()).map_or(SyntaxKind::FILE, |p| p.kind()),
                    begins: begins(&token),
                    one_line: one_line(&token),
                    comments: std::mem::take(&mut comments),
                    breaks,
                    breaks_before_comments,
                });
                (breaks, breaks_before_comments) = (0, 0);
            }
        }
    }
    let parent = SyntaxKind::FILE;
    let (begins, kind, text, one_line) = (Begins::File, SyntaxKind::EOF, String::new(), false);
    let end =
        Piece { text, kind, parent, grandparent: parent, begins, one_line, comments, breaks, breaks_before_comments };
    pieces.push(end);
    pieces
}

fn begins(token: &SyntaxToken) -> Begins {
    let Some(parent) = token.parent() else { return Begins::Nothing };
    if token.kind() == SyntaxKind::R_CURLY && is_block(parent.kind()) {
        return Begins::End;
    }
    // The outermost node that begins with this token and is an item or a block's part.
    for node in token.parent_ancestors() {
        let first = node.descendants_with_tokens().filter_map(|e| e.into_token()).find(|t| !t.kind().is_trivia());
        if first.as_ref() != Some(token) {
            break;
        }
        match node.parent().map(|p| p.kind()) {
            Some(SyntaxKind::FILE) => return Begins::Item,
            Some(kind) if is_block(kind) && !matches!(node.kind(), SyntaxKind::NAME | SyntaxKind::PARAM) => {
                return Begins::Part;
            }
            _ => {}
        }
    }
    Begins::Nothing
}

/// Whether the block around a token is written on one line and fits there.
fn one_line(token: &SyntaxToken) -> bool {
    let Some(block) = token.parent_ancestors().find(|n| is_block(n.kind())) else { return false };
    let tokens: Vec<SyntaxToken> = block.descendants_with_tokens().filter_map(|e| e.into_token()).collect();
    let inside = tokens.iter().skip_while(|t| t.kind() != SyntaxKind::L_CURLY);
    let broken =
        inside.into_iter().any(|t| t.kind().is_trivia() && (t.text().contains('\n') || t.text().starts_with('#')));
    // An upper bound of the width: every token with two blanks; it depends on the tokens only.
    let significant = tokens.iter().filter(|t| !t.kind().is_trivia());
    let width: usize = significant.map(|t| t.text().chars().count() + 1).sum();
    !broken && width <= LINE_CHARS_MAX
}

#[derive(Default)]
struct Printer {
    out: String,
    in_block: bool,
}

impl Printer {
    fn piece(&mut self, pieces: &[Piece], index: usize, piece: &Piece) {
        let before = index.checked_sub(1).map(|i| &pieces[i]);
        let inside = self.in_block && piece.begins != Begins::End;
        let comment_indent = if inside { "  " } else { "" };
        let mut fresh = before.is_none();
        for comment in &piece.comments {
            if comment.own_line {
                let blank = comment.breaks > 1 && !self.out.is_empty() && !self.out.ends_with("{");
                self.line(comment_indent, blank);
            } else {
                self.out.push_str("  ");
            }
            self.out.push_str(&comment.text);
            fresh = false;
        }
        let commented = !piece.comments.is_empty();
        match piece.begins {
            Begins::File => return,
            _ if fresh => {}
            Begins::Item => self.line("", piece.breaks > 1 || !commented && piece.breaks_before_comments > 1),
            Begins::Part if piece.one_line => {
                self.out.push_str(if self.out.ends_with(['{', ',']) { " " } else { "  " });
            }
            Begins::Part => self.line("  ", piece.breaks > 1 && before.is_some_and(|b| b.kind != SyntaxKind::L_CURLY)),
            Begins::End if piece.one_line => self.out.push(' '),
            Begins::End => self.line("", false),
            Begins::Nothing if piece.breaks > 0 || commented => {
                self.line(if self.in_block { "    " } else { "  " }, false)
            }
            Begins::Nothing => {
                if before.is_some_and(|b| spaced(b, piece)) {
                    self.out.push(' ');
                }
            }
        }
        self.out.push_str(&piece.text);
        match piece.kind {
            SyntaxKind::L_CURLY => self.in_block = true,
            SyntaxKind::R_CURLY => self.in_block = false,
            _ => {}
        }
    }

    fn line(&mut self, indent: &str, blank: bool) {
        let trimmed = self.out.trim_end_matches(' ').len();
        self.out.truncate(trimmed);
        if !self.out.is_empty() {
            self.out.push_str(if blank { "\n\n" } else { "\n" });
        }
        self.out.push_str(indent);
    }

    fn finish(mut self) -> String {
        let end = self.out.trim_end().len();
        self.out.truncate(end);
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out
    }
}

/// Whether a blank stands between two tokens of one line.
fn spaced(before: &Piece, after: &Piece) -> bool {
    use SyntaxKind::{
        ARG_LIST, CLOCK, COLON, COMMA, DOT, DOT_DOT, L_PAREN, MINUS, NEG_EXPR, R_PAREN, SEMICOLON, SLASH, TEST_AT,
        UNIT, VERB_EXPR,
    };
    match (before.kind, after.kind) {
        (_, COMMA | SEMICOLON | R_PAREN | DOT | COLON) | (DOT | L_PAREN, _) => false,
        // `ben:staff`, but `reason: x` and `across gaps: restart`.
        (COLON, _) => before.parent != TEST_AT,
        // `22:00..06:00`, but `10 lx .. 50 lx`.
        (CLOCK, DOT_DOT) | (DOT_DOT, CLOCK) => false,
        (_, SLASH) | (SLASH, _) if before.parent == UNIT && after.parent == UNIT => false,
        (MINUS, _) if before.parent == NEG_EXPR => false,
        // `count(x)`, but `facing w (15 deg)`.
        (_, L_PAREN) if after.parent == SyntaxKind::TEMPLATE => false,
        (_, L_PAREN) if after.parent == ARG_LIST => after.grandparent == VERB_EXPR,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    fn formatted(text: &str) -> String {
        let once = format(&parse("a.rules", text)).expect("it parses");
        let twice = format(&parse("a.rules", &once)).expect("what is formatted parses");
        assert_eq!(once, twice, "formatting what is formatted changes it");
        once
    }

    /// The tokens that mean something, and the comments.
    fn meaning(text: &str) -> Vec<String> {
        let tokens = parse("a.rules", text).syntax().descendants_with_tokens().filter_map(|e| e.into_token());
        tokens.filter(|t| t.kind() != SyntaxKind::WHITESPACE).map(|t| t.text().trim_end().to_owned()).collect()
    }

    #[test]
    fn one_layout_with_every_comment_in_place() {
        let text = "#!head\n\n\nedition   1\nrule a{for each room r where r.recorder   # why\n  # own\n\n when any p in \
                    participants( r )leaves r if x.y is z do r.recorder.pause( reason:\"{p}\" );wait 30s\n hold a.b=30% ,\n\
                    c.d=-1.5 m/s level privacy# end\n}\nrule short { when p facing w(15deg) do a.b() }\n\n\n# tail";
        insta::assert_snapshot!(formatted(text));
        assert_eq!(meaning(text), meaning(&formatted(text)));
    }

    #[test]
    fn blank_lines_between_comments_stay_and_values_of_a_mode_stand_close() {
        let text = "# ---- a ----\n\n# b\nmode house { day default, night }\n\n# c\n\n# d\ntemplate t(r: room) { when p enters r  do r.lights.on() }\n";
        assert_eq!(formatted(text), text);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test may read the design that lies beside the checkout")]
    fn the_examples_of_the_design_keep_their_meaning() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/design/RULES.md");
        let Ok(design) = std::fs::read_to_string(path) else {
            println!("skipped: the design's RULES.md is not beside this checkout");
            return;
        };
        let code = design.split("```").nth(1).expect("RULES.md has a code block").trim_start_matches('\n');
        assert_eq!(meaning(code), meaning(&formatted(code)));
    }

    #[test]
    fn what_does_not_parse_is_left_alone() {
        assert_eq!(format(&parse("a.rules", "rule a {")), None);
        assert_eq!(formatted(""), "");
    }
}
