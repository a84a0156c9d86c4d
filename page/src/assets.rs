//! The page's own files, embedded: it works offline, from one binary, and asks nobody else for anything.

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../web/", $path)))),+] };
}

const FILES: &[(&str, &str)] = embedded![
    "index.html",
    "page.css",
    "js/canvas.js",
    "js/dom.js",
    "js/feed.js",
    "js/figures.js",
    "js/format.js",
    "js/glyphs.js",
    "js/keys.js",
    "js/labels.js",
    "js/ledger.js",
    "js/main.js",
    "js/plan.js",
    "js/state.js",
    "js/story.js",
    "js/timeline.js",
    "js/view.js",
];

/// A file of the page, and its type.
pub(crate) fn find(path: &str) -> Option<(&'static str, &'static str)> {
    let (_, text) = FILES.iter().find(|(p, _)| *p == path)?;
    let kind = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
    Some((kind, text))
}
