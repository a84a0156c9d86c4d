//! Files as text with line numbers, and the nearest word to a misspelt one.

use crate::fault::Spot;
use std::borrow::Cow;

/// A file's text and where its lines begin.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Self { path, text, starts }
    }

    /// The line and column of a byte offset; the nearest character's where it points inside one.
    pub(crate) fn spot(&self, offset: usize) -> Spot {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|&start| start <= offset).max(1);
        let start = self.starts[line - 1];
        let column = self.text[start..].char_indices().take_while(|(i, _)| start + i < offset).count() + 1;
        Spot { file: self.path.to_owned(), line: u32::try_from(line).ok(), column: u32::try_from(column).ok() }
    }

    /// The line and column of a piece of this very text (a slice of it); the file alone for any other text.
    pub(crate) fn spot_of(&self, piece: &str) -> Spot {
        let (base, at) = (self.text.as_ptr() as usize, piece.as_ptr() as usize);
        if at >= base && at + piece.len() <= base + self.text.len() {
            self.spot(at - base)
        } else {
            Spot::file(self.path)
        }
    }
}

/// The text without a byte order mark, which editors on Windows leave in front.
pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Longest word that is compared, characters.
const WORD_MAX: usize = 64;

/// Edits from `a` to `b`: insert, delete, replace, or swap of two neighbours (optimal string alignment distance).
fn distance(a: &[char], b: &[char]) -> usize {
    let (mut before, mut last) = (vec![0; b.len() + 1], (0..=b.len()).collect::<Vec<_>>());
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let same = a[i - 1] == b[j - 1];
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + usize::from(!same));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        (before, last) = (last, row);
    }
    last[b.len()]
}

/// The word nearest to a misspelt one, where one is near enough to be meant (a third of its letters at most).
pub(crate) fn nearest<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let fold = |w: &str| w.chars().take(WORD_MAX).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let wrong = fold(wrong);
    let most = (wrong.len() / 3).max(1);
    words
        .into_iter()
        .map(|w| (distance(&wrong, &fold(w)), w))
        .filter(|&(d, w)| d <= most && d < w.chars().count().max(1))
        .min()
        .map(|(_, w)| w)
}

/// `Did you mean …?` where a word is near, else the choices, else `otherwise`.
pub(crate) fn propose<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str> + Clone, otherwise: &str) -> String {
    const LISTED_MAX: usize = 20;
    if let Some(near) = nearest(wrong, words.clone()) {
        return format!("Did you mean `{near}`?");
    }
    let mut listed: Vec<&str> = words.into_iter().collect();
    if listed.is_empty() || listed.len() > LISTED_MAX {
        return otherwise.to_owned();
    }
    listed.sort_unstable();
    format!("{}{}One of: {}.", otherwise, if otherwise.is_empty() { "" } else { " " }, listed.join(", "))
}

/// A text cut to what a message can hold, with its control characters made visible.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    const SHOWN_MAX: usize = 80;
    if text.chars().count() <= SHOWN_MAX && !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    Cow::Owned(text.chars().take(SHOWN_MAX).map(clean).chain(std::iter::once('…')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_become_lines_and_columns_in_characters() {
        let source = Source::new("a", "één\nzwei\n");
        let at = |offset| (source.spot(offset).line, source.spot(offset).column);
        assert_eq!(at(0), (Some(1), Some(1)));
        assert_eq!(at(4), (Some(1), Some(3)));
        assert_eq!(at(6), (Some(2), Some(1)));
        assert_eq!(at(999), (Some(3), Some(1)));
        assert_eq!(source.spot_of(&source.text[7..]).column, Some(2));
        assert_eq!(source.spot_of("elsewhere").line, None);
    }

    #[test]
    fn the_nearest_word_is_the_one_meant() {
        let keys = ["kind", "level", "zones", "field_of_view"];
        assert_eq!(nearest("knid", keys), Some("kind"));
        assert_eq!(nearest("feild_of_veiw", keys), Some("field_of_view"));
        assert_eq!(nearest("Zone", keys), Some("zones"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("x", ["y"]), None, "one letter for another is no misspelling");
    }

    proptest! {
        #[test]
        fn any_offset_has_a_spot(text in any::<String>(), offset in 0usize..200) {
            let source = Source::new("a", &text);
            prop_assert!(source.spot(offset).line >= Some(1));
        }

        #[test]
        fn distance_is_symmetric_and_bounded(a in "[abc]{0,8}", b in "[abc]{0,8}") {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let d = distance(&x, &y);
            prop_assert_eq!(d, distance(&y, &x));
            prop_assert_eq!(d == 0, a == b);
            prop_assert!(d <= x.len().max(y.len()));
        }
    }
}
