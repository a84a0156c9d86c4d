//! What a rule's number stands for: its name, its place in its file, the text of each of its conditions.
//!
//! Compiled from the rule files that were in force, which every trace carries: so a number is explained by the text
//! that was installed, not by the one that is on disk today.

use osmose_model::ids::RuleId;
use osmose_model::site::{Site, SourceFile};
use osmose_rules::Program;
use std::sync::Arc;

/// What begins another part of a rule: a condition on the same line ends before it.
const CLAUSES: [&str; 6] = [" do ", " hold ", " until ", " release ", " deadline ", " level "];

/// A site's files once others were installed beside them: rules take the place of all rules, people that of people.
/// Ascending by path.
pub(crate) fn files_in_force(files: &[SourceFile], installed: Vec<SourceFile>) -> Vec<SourceFile> {
    let is_rules = |f: &SourceFile| f.path.starts_with("rules/") && f.path.ends_with(".rules");
    let stays = |f: &&SourceFile| !is_rules(f) && !installed.iter().any(|i| i.path == f.path);
    let mut all: Vec<SourceFile> = files.iter().filter(stays).cloned().collect();
    all.extend(installed);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// The site as it is from an installation on: with the people that came along, where some did.
#[must_use]
pub fn site_from(site: &Arc<Site>, files: &[SourceFile]) -> Arc<Site> {
    match osmose_load::installed(site, files) {
        Ok((Some(other), _)) => Arc::new(other),
        Ok((None, _)) | Err(_) => Arc::clone(site),
    }
}

/// A place in a rule file, as people look for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What stands there, to the end of the part or of the line.
    pub text: String,
}

/// The rules that were in force.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    files: Vec<SourceFile>,
    program: Option<Program>,
}

impl Rulebook {
    /// Compiles the files, for the people that are among them where there are; where this build cannot, rules have
    /// numbers only.
    #[must_use]
    pub fn new(site: &Site, files: &[SourceFile]) -> Self {
        let (people, files) = osmose_load::installed(site, files).unwrap_or_default();
        let program = osmose_rules::check(people.as_ref().unwrap_or(site), &files).program;
        Self { files, program }
    }

    /// The compiled rules, where this build can compile them.
    #[must_use]
    pub fn program(&self) -> Option<&Program> {
        self.program.as_ref()
    }

    /// A rule's name; its number where that is all that is known.
    #[must_use]
    pub fn name(&self, rule: RuleId) -> String {
        let known = self.program.as_ref().and_then(|p| p.rule(rule));
        known.map_or_else(|| format!("rule {rule}"), |r| r.name.clone())
    }

    /// The name of a rule's level.
    #[must_use]
    pub fn level(&self, rule: RuleId) -> Option<&str> {
        let program = self.program.as_ref()?;
        program.levels().get(usize::from(program.rule(rule)?.level.0)).map(String::as_str)
    }

    /// Where a rule stands.
    #[must_use]
    pub fn place(&self, rule: RuleId) -> Option<SourceLine> {
        let rule = self.program.as_ref()?.rule(rule)?;
        self.line(&rule.file, rule.span.start as usize)
    }

    /// The whole text of a rule.
    #[must_use]
    pub fn text(&self, rule: RuleId) -> Option<&str> {
        let rule = self.program.as_ref()?.rule(rule)?;
        let file = self.files.iter().find(|f| f.path == rule.file)?;
        file.text.get(rule.span.start as usize..rule.span.end as usize)
    }

    /// The rules that speak of something by its name: in their own text, or where a template is used for it.
    #[must_use]
    pub fn naming(&self, name: &str) -> Vec<&str> {
        let Some(program) = &self.program else { return Vec::new() };
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let says = |text: &str| text.split(|c| !is_part(c)).any(|word| word == name);
        let uses = |rule: &str| {
            let lines = self.files.iter().flat_map(|f| f.text.lines());
            lines.filter_map(|l| l.trim().strip_prefix("use ")).any(|l| l.ends_with(&format!(" as {rule}")) && says(l))
        };
        let ids = (0..program.rules().len()).map(|i| RuleId(i as u16));
        let named = ids.filter_map(|id| Some((self.text(id)?, program.rule(id)?.name.as_str())));
        named.filter(|(text, rule)| says(text) || uses(rule)).map(|(_, rule)| rule).collect()
    }

    /// The text of the condition at an offset of a rule's file. `others` are the offsets of the rule's other reported
    /// conditions: the text ends before the next of them.
    #[must_use]
    pub fn condition(&self, rule: RuleId, offset: u32, others: &[u32]) -> Option<SourceLine> {
        let info = self.program.as_ref()?.rule(rule)?;
        let mut at = self.line(&info.file, offset as usize)?;
        let next = others.iter().filter(|o| **o > offset).min();
        if let Some(bytes) = next.map(|n| (n - offset) as usize)
            && bytes < at.text.len()
            && at.text.is_char_boundary(bytes)
        {
            at.text.truncate(bytes);
        }
        let is_open = |i: &usize| at.text[..*i].matches('"').count().is_multiple_of(2);
        let end = CLAUSES.iter().filter_map(|c| at.text.find(c)).filter(is_open).min();
        let text = at.text[..end.unwrap_or(at.text.len())].trim_end();
        let text = text.strip_suffix(" and").unwrap_or(text);
        at.text = text.trim_end().to_owned();
        Some(at)
    }

    fn line(&self, file: &str, offset: usize) -> Option<SourceLine> {
        let text = &self.files.iter().find(|f| f.path == file)?.text;
        let before = text.get(..offset)?;
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let rest = text.get(offset..)?.lines().next().unwrap_or_default();
        // A remark behind the condition is none of it.
        let rest = rest.split(" #").next().unwrap_or_default().trim_end();
        Some(SourceLine {
            file: file.to_owned(),
            line: before.matches('\n').count() as u32 + 1,
            column: before[start..].chars().count() as u32 + 1,
            text: rest.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_ends_where_the_next_part_of_its_rule_begins() {
        let text = "edition 1\nrule told { when meeting.recorder is paused for 4 s  do meeting.recorder.start()  level info }\n";
        let files = [SourceFile { path: "rules/told.rules".into(), text: text.into() }];
        let book = Rulebook::new(&crate::testing::workshop_site(), &files);
        let offset = text.find("meeting").expect("it is there") as u32;
        let said = book.condition(RuleId(0), offset, &[]).expect("a condition");
        assert_eq!(said.text, "meeting.recorder is paused for 4 s");
    }
}
