//! SVG as text: a few elements, each attribute escaped, numbers with the digits that a screen can show.
//!
//! Its own writer, because nine elements are all that plans need: a plotting library brings axes, fonts and rasters.

use std::fmt::Write as _;

/// A drawing that grows element by element. Units are pixels, +y down.
#[derive(Clone, Debug, Default)]
pub struct Svg {
    text: String,
}

impl Svg {
    /// An empty drawing. `title` and `description` are what a screen reader says of it; `css` styles its classes.
    #[must_use]
    pub fn new(width_px: f64, height_px: f64, title: &str, description: &str, css: &str) -> Self {
        let mut svg = Self::default();
        let _ = write!(
            svg.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
             role=\"img\" aria-labelledby=\"svg-title svg-desc\">\n<title id=\"svg-title\">",
            w = short(width_px),
            h = short(height_px)
        );
        svg.escaped(title);
        svg.text.push_str("</title>\n<desc id=\"svg-desc\">");
        svg.escaped(description);
        let _ = writeln!(svg.text, "</desc>\n<style>{css}</style>");
        svg
    }

    /// Opens a group of a class.
    pub fn open(&mut self, class: &str) {
        self.tag("g", class, &[]);
        self.text.push_str(">\n");
    }

    /// Closes the group opened last.
    pub fn close(&mut self) {
        self.text.push_str("</g>\n");
    }

    /// A disc.
    pub fn circle(&mut self, class: &str, (x, y): (f64, f64), radius_px: f64, title: &str) {
        self.tag("circle", class, &[("cx", x), ("cy", y), ("r", radius_px)]);
        self.end(title);
    }

    /// A path of straight pieces: each part a chain of corners, closed or open. Parts of fewer than two corners are
    /// left out.
    pub fn lines<P, C>(&mut self, class: &str, closed: bool, parts: P, title: &str)
    where
        P: IntoIterator<Item = C>,
        C: IntoIterator<Item = (f64, f64)>,
    {
        let mut d = String::new();
        for part in parts {
            let start = d.len();
            let mut corners = 0;
            for (x, y) in part {
                let _ = write!(d, "{}{} {}", if corners == 0 { "M" } else { "L" }, short(x), short(y));
                corners += 1;
            }
            match corners {
                0 | 1 => d.truncate(start),
                _ if closed => d.push('Z'),
                _ => {}
            }
        }
        if d.is_empty() {
            return;
        }
        self.tag("path", class, &[]);
        let _ = write!(self.text, " d=\"{d}\"");
        self.end(title);
    }

    /// Dots of one class as one path element: thousands stay small. `radius_px` is the class's stroke width halved.
    pub fn dots(&mut self, class: &str, at: impl IntoIterator<Item = (f64, f64)>) {
        self.tag("path", class, &[]);
        self.text.push_str(" d=\"");
        for (x, y) in at {
            let _ = write!(self.text, "M{} {}h0", short(x), short(y));
        }
        self.text.push('"');
        self.end("");
    }

    /// Text that starts at a point.
    pub fn label(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        self.tag("text", class, &[("x", x), ("y", y)]);
        self.text.push('>');
        self.escaped(text);
        self.text.push_str("</text>\n");
    }

    /// The finished drawing.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn tag(&mut self, name: &str, class: &str, numbers: &[(&str, f64)]) {
        let _ = write!(self.text, "<{name}");
        if !class.is_empty() {
            self.text.push_str(" class=\"");
            self.escaped(class);
            self.text.push('"');
        }
        for (key, value) in numbers {
            let _ = write!(self.text, " {key}=\"{}\"", short(*value));
        }
    }

    fn end(&mut self, title: &str) {
        if title.is_empty() {
            self.text.push_str("/>\n");
            return;
        }
        // The element's name is needed to close it: it is the last one opened.
        let opened = self.text.rfind('<').unwrap_or(0);
        let name: String = self.text[opened + 1..].chars().take_while(char::is_ascii_alphabetic).collect();
        self.text.push_str("><title>");
        self.escaped(title);
        let _ = writeln!(self.text, "</title></{name}>");
    }

    fn escaped(&mut self, text: &str) {
        escape(text, &mut self.text);
    }
}

/// Appends text as XML and HTML show it: never markup, and without the control characters that neither has.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// A number with at most two decimals and no trailing zeros; what is no number is drawn at 0.
fn short(value: f64) -> String {
    if !value.is_finite() {
        return "0".into();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [1.0, 0.125, -0.001, 12.5, f64::NAN, 1e3].map(short),
            ["1", "0.12", "0", "12.5", "0", "1000"].map(String::from)
        );
    }

    #[test]
    fn text_is_never_markup() {
        let mut svg = Svg::new(10.0, 10.0, "a <b>", "d", "");
        svg.label("l", (1.0, 2.0), "</text><script>&\"\u{1}");
        svg.circle("c\"x", (0.0, 0.0), 1.0, "5 < 6");
        let text = svg.finish();
        assert!(text.contains("<title id=\"svg-title\">a &lt;b&gt;</title>"), "{text}");
        assert!(text.contains("&lt;/text&gt;&lt;script&gt;&amp;&quot;\u{fffd}"), "{text}");
        assert!(text.contains("<circle class=\"c&quot;x\" cx=\"0\" cy=\"0\" r=\"1\"><title>5 &lt; 6</title></circle>"));
    }

    #[test]
    fn a_line_of_one_corner_is_none() {
        let mut svg = Svg::new(1.0, 1.0, "", "", "");
        svg.lines("x", false, [vec![(0.0, 0.0)]], "");
        svg.lines("y", true, [vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], vec![(3.0, 3.0)]], "t");
        let text = svg.finish();
        assert!(!text.contains("class=\"x\""), "{text}");
        assert!(text.contains("d=\"M0 0L1 0L1 1Z\"><title>t</title></path>"), "{text}");
    }
}
