//! What the documents name is there: every path in backticks that begins in one of our folders, and every link.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap_or_else(|e| panic!("{document} cannot be read: {e}"))
}

/// The pieces of a text between two marks.
fn between<'t>(text: &'t str, open: &'t str, close: char) -> impl Iterator<Item = &'t str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

/// What stands in backticks and is a path: of plain letters, and in a folder of ours. (`rules/` is a folder of every
/// site too, and `target/` is not there before a build.)
fn paths(text: &str) -> Vec<String> {
    let code = text.lines().flat_map(|l| l.split('`').skip(1).step_by(2));
    let word = |c: &str| c.split([' ', ',']).next().unwrap_or_default().trim_end_matches('/').to_owned();
    let plain = |w: &String| w.contains('/') && w.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c));
    let ours = |w: &String| {
        let first = w.split('/').next().unwrap_or_default();
        !matches!(first, "" | "." | ".." | "rules" | "target") && root().join(first).is_dir()
    };
    code.map(word).filter(plain).filter(ours).collect()
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let mut documents: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(PathBuf::from).into();
    let guides = std::fs::read_dir(root().join("docs")).expect("the guides");
    documents.extend(guides.flatten().map(|e| Path::new("docs").join(e.file_name())));
    let (mut looked_at, mut missing) = (0, Vec::new());
    for document in documents.iter().filter(|d| d.extension().is_some_and(|e| e == "md")) {
        let name = document.to_str().expect("plain letters");
        let text = read(name);
        for path in paths(&text) {
            looked_at += 1;
            if !root().join(&path).exists() {
                missing.push(format!("{name} names {path}"));
            }
        }
        let beside = root().join(document.parent().unwrap_or(Path::new("")));
        for link in between(&text, "](", ')').filter(|l| !l.starts_with("http") && !l.starts_with('#')) {
            looked_at += 1;
            if !beside.join(link.split('#').next().unwrap_or(link)).exists() {
                missing.push(format!("{name} links to {link}"));
            }
        }
    }
    println!("paths and links in documents: {looked_at} checked, {} missing", missing.len());
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(looked_at > 80, "only {looked_at} paths were found");
}
