//! The site around a document, read from disk and checked with what the editor holds in place of the files.

use super::place::{Documents, range_of};
use crate::site::{Examined, examine_files, site_files};
use osmose_model::site::SourceFile;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A site, examined; nothing but the text's own syntax is known outside of one.
pub(super) struct World {
    pub(super) dir: Option<PathBuf>,
    pub(super) found: Examined,
}

impl World {
    /// The site whose folder holds `path` (the nearest with a `site.toml`), with open documents in place of files.
    pub(super) fn around(path: &Path, documents: &Documents) -> Self {
        let dir = path.ancestors().skip(1).find(|d| d.join("site.toml").is_file()).map(Path::to_owned);
        let mut files = dir.as_deref().map(site_files).unwrap_or_default();
        let empty = World { dir, found: Examined::nothing() };
        for (_, name, text) in documents.of_site(&empty) {
            match files.iter_mut().find(|f| f.path == name) {
                Some(file) => text.clone_into(&mut file.text),
                None if name.starts_with("rules/") => {
                    files.push(SourceFile { path: name, text: text.to_owned() });
                    files.sort_by(|a, b| a.path.cmp(&b.path));
                }
                None => {}
            }
        }
        let found = if files.is_empty() { Examined::nothing() } else { examine_files(&files) };
        World { found, ..empty }
    }

    /// A path as the site names it: `rules/a.rules`.
    pub(super) fn name_of(&self, path: &Path) -> Option<String> {
        let dir = self.dir.as_deref()?;
        Some(path.strip_prefix(dir).ok()?.to_string_lossy().replace('\\', "/"))
    }

    /// What is to be said of one file. A file that is not one of the rules is only parsed.
    pub(super) fn diagnostics(&self, name: &str, text: &str) -> Vec<Value> {
        let own: Vec<osmose_rules::Diagnostic> = if name.starts_with("rules/") && self.found.site.is_some() {
            self.found.diagnostics.iter().filter(|d| d.file == name).cloned().collect()
        } else if name.ends_with(".rules") {
            osmose_rules::parse(name, text).diagnostics
        } else {
            Vec::new()
        };
        own.iter().map(|d| shown(d, text)).collect()
    }
}

fn shown(d: &osmose_rules::Diagnostic, text: &str) -> Value {
    let severity = match d.severity {
        osmose_rules::Severity::Error => 1,
        osmose_rules::Severity::Warning => 2,
        osmose_rules::Severity::Note => 3,
    };
    let mut message = d.message.clone();
    for label in &d.labels {
        message += &format!("\n{}", label.text);
    }
    if let Some(help) = &d.help {
        message += &format!("\nhelp: {help}");
    }
    json!({
        "range": range_of(text, d.span.start as usize, d.span.end as usize),
        "severity": severity,
        "code": d.code,
        "source": "osmose",
        "message": message,
    })
}
