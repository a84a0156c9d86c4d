//! What is wrong with a site, said so that somebody can mend it: where it stands, what it is, what to do.
//!
//! Every reader of this crate goes on after a fault, so that one run shows them all; a cap keeps a hopeless file from
//! filling the screen.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Most faults listed; what is over it is counted in one last fault.
pub const FAULTS_MAX: usize = 500;

/// Whether a site with this fault can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The site does not load.
    Error,
    /// The site loads; something in it is not as its author may think.
    Warning,
}

impl Severity {
    /// The word used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing wrong with a site; serialises to one element of `osmose check --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Whether the site can run with it.
    pub severity: Severity,
    /// A stable word for scripts (`self-crossing`, `unknown-zone`).
    pub code: &'static str,
    /// The file, relative to the site's folder.
    pub file: String,
    /// Line, from 1, where one is to blame.
    pub line: Option<u32>,
    /// Column in characters, from 1, where one is to blame.
    pub column: Option<u32>,
    /// The feature, device, person or table that it is about.
    pub feature: Option<String>,
    /// What is wrong, as a sentence, with coordinates where it has a place.
    pub message: String,
    /// How to mend it, as a sentence.
    pub help: String,
}

impl fmt::Display for Fault {
    /// `error[unknown-zone] devices.toml:12:9 (ceiling-1): The sensor … names … . Write … .`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}] {}", self.severity.as_str(), self.code, self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        if let Some(feature) = &self.feature {
            write!(f, " ({feature})")?;
        }
        write!(f, ": {}", self.message)?;
        if !self.help.is_empty() {
            write!(f, " {}", self.help)?;
        }
        Ok(())
    }
}

/// Where something stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) file: String,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

impl Spot {
    /// A whole file.
    pub(crate) fn file(path: &str) -> Self {
        Self { file: path.to_owned(), line: None, column: None }
    }
}

impl fmt::Display for Spot {
    /// `devices.toml line 12`: how one fault points at another place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, " line {line}"))
    }
}

/// Where the parts of a site were written, so that what is found later can still be pointed at.
#[derive(Clone, Debug, Default)]
pub struct Places(pub(crate) BTreeMap<(&'static str, String), Spot>);

impl Places {
    /// File, line and column of a part by its sort (`level zone wall opening fixture sensor actuator`) and name; `None`
    /// where nothing of the files says it (a level that was only implied).
    #[must_use]
    pub fn of(&self, sort: &'static str, name: &str) -> Option<(&str, Option<u32>, Option<u32>)> {
        let spot = self.0.get(&(sort, name.to_owned()))?;
        Some((&spot.file, spot.line, spot.column))
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Vec<Fault>,
    unlisted: usize,
    errors: usize,
}

impl Faults {
    fn push(&mut self, severity: Severity, code: &'static str, spot: &Spot, feature: &str, say: (String, String)) {
        self.errors += usize::from(severity == Severity::Error);
        if self.list.len() >= FAULTS_MAX {
            self.unlisted += 1;
            return;
        }
        self.list.push(Fault {
            severity,
            code,
            file: spot.file.clone(),
            line: spot.line,
            column: spot.column,
            feature: (!feature.is_empty()).then(|| feature.to_owned()),
            message: say.0,
            help: say.1,
        });
    }

    /// Something that keeps the site from loading; `feature` may be empty.
    pub(crate) fn error(
        &mut self,
        code: &'static str,
        spot: &Spot,
        feature: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, code, spot, feature, (message.into(), help.into()));
    }

    /// Something to know; `feature` may be empty.
    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        spot: &Spot,
        feature: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Warning, code, spot, feature, (message.into(), help.into()));
    }

    /// Whether anything so far keeps the site from loading.
    pub(crate) fn any_error(&self) -> bool {
        self.errors > 0
    }

    /// All of them, by file and line; one more where some were not listed.
    pub(crate) fn into_list(mut self) -> Vec<Fault> {
        self.list.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        if self.unlisted > 0 {
            let spot = Spot::file(self.list.last().map_or("", |f| f.file.as_str()));
            self.list.push(Fault {
                severity: if self.any_error() { Severity::Error } else { Severity::Warning },
                code: "more-faults",
                file: spot.file,
                line: None,
                column: None,
                feature: None,
                message: format!("{} more faults are not listed.", self.unlisted),
                help: "Mend the ones above and check again.".to_owned(),
            });
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(line: u32) -> Spot {
        Spot { file: "devices.toml".to_owned(), line: Some(line), column: Some(3) }
    }

    #[test]
    fn a_fault_has_exactly_the_keys_of_check_json() {
        let mut faults = Faults::default();
        faults.error("unknown-zone", &spot(12), "ceiling-1", "It is wrong.", "Mend it.");
        let list = faults.into_list();
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(
            json,
            r#"[{"severity":"error","code":"unknown-zone","file":"devices.toml","line":12,"column":3,"feature":"ceiling-1","message":"It is wrong.","help":"Mend it."}]"#
        );
        assert_eq!(list[0].to_string(), "error[unknown-zone] devices.toml:12:3 (ceiling-1): It is wrong. Mend it.");
    }

    #[test]
    fn the_list_is_capped_sorted_and_says_so() {
        let mut faults = Faults::default();
        for line in (0..FAULTS_MAX as u32 + 7).rev() {
            faults.warning("w", &spot(line), "", "m", "h");
        }
        assert!(!faults.any_error());
        let list = faults.into_list();
        assert_eq!(list.len(), FAULTS_MAX + 1);
        assert!(list[..FAULTS_MAX].is_sorted_by_key(|f| f.line));
        assert_eq!(list[FAULTS_MAX].message, "7 more faults are not listed.");
    }
}
