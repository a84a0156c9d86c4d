//! What is saved beside a running engine: rules, people and calendars take effect at one input, or not at all.
//!
//! The files are looked at a few times a second, and read once they stopped changing. What cannot be used is said on
//! stderr, and what was in force stays. Whatever was once saved anew goes with every later installation, so that each
//! holds without the ones before it.

use super::{Desk, canonical};
use crate::stderr::say;
use osmose_load::{Fault, Severity};
use osmose_model::canon;
use osmose_model::input::Input;
use osmose_model::site::{Site, SourceFile};
use osmose_rules::cost::Table;
use osmose_rules::{Checked, Program, Rules};
use osmose_runtime::control::Control;
use osmose_runtime::logs::Known;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

/// Where people stand.
const PEOPLE: &str = "people.toml";
/// The most that is installed beside a running engine: it stands in the journal with all other inputs.
const INSTALLED_BYTES_MAX: usize = 16 << 20;

/// The files that a running engine follows as they lie there, and when they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Saved {
    stamps: Vec<Stamp>,
}

/// A file of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    /// As the site names it.
    name: String,
    path: PathBuf,
    /// When it was written, and how long it is; `None` where it is not there.
    written: Option<(Option<SystemTime>, u64)>,
}

impl Stamp {
    fn of(dir: &Path, name: String) -> Self {
        let path = dir.join(&name);
        let written = path.metadata().ok().map(|meta| (meta.modified().ok(), meta.len()));
        Stamp { name, path, written }
    }

    fn is_rules(&self) -> bool {
        self.name.ends_with(".rules")
    }

    fn read(&self) -> std::io::Result<SourceFile> {
        Ok(SourceFile { path: self.name.clone(), text: std::fs::read_to_string(&self.path)? })
    }
}

impl Saved {
    pub(super) fn look(dir: &Path, site: &Site) -> Self {
        let rules = dir.join("rules").read_dir().into_iter().flatten().flatten().map(|e| e.file_name());
        let rules = rules.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".rules"));
        let mut names: Vec<String> = rules.map(|name| format!("rules/{name}")).collect();
        names.sort();
        names.push(PEOPLE.to_owned());
        // A calendar in a folder below is none of the site's.
        names.extend(site.calendar_paths().filter(|path| !path.contains('/')).map(str::to_owned));
        Saved { stamps: names.into_iter().map(|name| Stamp::of(dir, name)).collect() }
    }

    /// What is another than it was.
    fn changed<'s>(&'s self, before: &'s Saved) -> impl Iterator<Item = &'s Stamp> {
        self.stamps.iter().filter(|stamp| !before.stamps.contains(stamp))
    }

    /// Whether rules were saved, came or went.
    fn has_other_rules(&self, before: &Saved) -> bool {
        let of = |saved: &Saved| saved.stamps.iter().filter(|s| s.is_rules()).cloned().collect::<Vec<_>>();
        of(self) != of(before)
    }

    /// The rules, or all but the rules, are in force as `now` has them.
    fn hold(&mut self, now: &Saved, rules: bool) {
        self.stamps.retain(|stamp| stamp.is_rules() != rules);
        self.stamps.extend(now.stamps.iter().filter(|stamp| stamp.is_rules() == rules).cloned());
    }
}

/// What came of looking at files that were saved.
enum Anew {
    /// The site as it was.
    Same,
    /// Another one.
    Site(Arc<Site>),
    /// What was saved cannot be used, which is said.
    Refused,
}

impl Desk {
    /// The site with the people and calendars that were saved.
    fn with_saved(&self, now: &Saved, held: &Saved) -> Anew {
        let mut saved = Vec::new();
        for stamp in now.changed(held).filter(|stamp| !stamp.is_rules()) {
            match stamp.read() {
                Ok(file) => saved.push(file),
                Err(error) => {
                    say!("not reloaded: {}: {error}; what was in force stays", stamp.path.display());
                    return Anew::Refused;
                }
            }
        }
        let is_another = |f: &SourceFile| !self.site.files.iter().any(|known| known == f);
        if !saved.iter().any(is_another) {
            return Anew::Same;
        }
        let (_, loaded) = osmose_load::with_saved(&self.site, &saved);
        let own = |f: &&Fault| saved.iter().any(|s| s.path == f.file) || f.severity == Severity::Error;
        loaded.faults.iter().filter(own).for_each(|fault| say!("{fault}"));
        match loaded.site {
            None => {
                let names: Vec<&str> = saved.iter().map(|s| s.path.trim_end_matches(".toml")).collect();
                say!("{} not reloaded: what was in force stays", names.join(" and "));
                Anew::Refused
            }
            // A calendar that is exported anew every minute says the same most of the time.
            Some(site) if site.bookings == self.site.bookings && !saved.iter().any(|s| s.path == PEOPLE) => Anew::Same,
            Some(site) => Anew::Site(Arc::new(site)),
        }
    }

    fn cost_table(&self) -> Table {
        // What is wrong with the site's own was said at the start.
        crate::site::cost_table(&self.dir).unwrap_or_else(|_| Table::committed())
    }

    /// Compiles the rules, held to their deadlines and to each other; `None` after saying why they cannot be used.
    fn compiled(&self, site: &Site, files: &[SourceFile], says_all: bool) -> Option<Program> {
        let Checked { program, mut diagnostics } = osmose_rules::check(site, files);
        if let Some(program) = &program {
            let costs = osmose_rules::cost::assess(program, site, files, &self.cost_table());
            diagnostics.extend(costs.diagnostics);
            diagnostics.extend(osmose_rules::conflict::find(program, site, files).diagnostics);
        }
        let styled = std::io::stderr().is_terminal();
        // Of rules that were not saved, the warnings were given when they were.
        for d in diagnostics.iter().filter(|d| says_all || d.is_error()) {
            let text = files.iter().find(|f| f.path == d.file).map_or("", |f| f.text.as_str());
            say!("{}", d.render(text, styled));
        }
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        let Some(program) = program.filter(|_| errors == 0) else {
            say!("rules not reloaded: {errors} error(s); those in force stay");
            return None;
        };
        if program.levels() != self.levels {
            say!("rules not reloaded: the levels are others, which needs a restart; those in force stay");
            return None;
        }
        Some(program)
    }

    /// What goes with the rules into every installation: people and calendars that are not as the log began with them,
    /// and whatever went with one before.
    fn alongside(&mut self, site: &Site) -> Vec<SourceFile> {
        let mut files: Vec<SourceFile> = osmose_load::saved_people(site).cloned().into_iter().collect();
        for path in site.calendar_paths() {
            let Some(file) = site.files.iter().find(|f| f.path == path) else { continue };
            if self.alongside.contains(path) || !self.recorded.files.contains(file) {
                self.alongside.insert(path.to_owned());
                files.push(file.clone());
            }
        }
        files
    }

    /// Puts in force what was saved: `held` is what is in force, and is told. Where one of the files cannot be used the
    /// others are all the same, with what is in force in its place.
    pub(super) fn reload(&mut self, now: &Saved, held: &mut Saved) {
        let (anew, has_other_rules) = (self.with_saved(now, held), now.has_other_rules(held));
        let others_hold = !matches!(anew, Anew::Refused);
        let (site, is_another) = match anew {
            Anew::Same | Anew::Refused => (self.site.clone(), false),
            Anew::Site(site) => (site, true),
        };
        if !has_other_rules && !is_another {
            return;
        }
        let saved_rules = if has_other_rules { self.saved_rules(&site, now) } else { None };
        let rules_hold = saved_rules.is_some() || !has_other_rules;
        let in_force = || Some((self.compiled(&site, &self.rules, false)?, self.rules.clone()));
        let Some((program, rules)) = saved_rules.or_else(|| in_force().filter(|_| is_another)) else { return };
        let said = reloaded(program.rules().len(), now, held, is_another.then_some(&*site));
        if self.install(program, &rules, &site) {
            say!("{said}");
            (self.site, self.rules) = (site, rules);
            if rules_hold {
                held.hold(now, true);
            }
            if others_hold {
                held.hold(now, false);
            }
        }
    }

    /// The rules as they were saved, compiled for a site; `None` after saying why they cannot be used.
    fn saved_rules(&self, site: &Site, now: &Saved) -> Option<(Program, Vec<SourceFile>)> {
        let files: std::io::Result<Vec<SourceFile>> =
            now.stamps.iter().filter(|stamp| stamp.is_rules()).map(Stamp::read).collect();
        match files {
            Ok(files) => Some((self.compiled(site, &files, true)?, files)),
            Err(error) => {
                say!("rules not reloaded: {error}; those in force stay");
                None
            }
        }
    }

    /// Hands rules, and what goes with them, to the engine; false after saying why it takes none.
    fn install(&mut self, program: Program, rules: &[SourceFile], site: &Arc<Site>) -> bool {
        let names: Arc<[String]> = program.rules().iter().map(|r| r.name.clone()).collect();
        // What was saved beside the engine is of every installation from then on.
        let alongside = self.alongside(site);
        let ready = match alongside.is_empty() {
            true => Rules::new(program),
            false => Rules::of_site(program, site.clone()),
        };
        let block = canon::encode_files(&[rules, &alongside].concat());
        if block.len() > INSTALLED_BYTES_MAX {
            let (has, max) = (block.len() >> 20, INSTALLED_BYTES_MAX >> 20);
            say!("not reloaded: {has} MiB are more than the {max} that a running engine takes; restart it");
            return false;
        }
        let input = canonical(&Input::RulesInstalled { files: &block });
        // The logs' names first: a line with the new rules' or people's names can only come after this.
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Known { site: site.clone(), rules: names };
        let is_taken = self.to_engine.push(Control::rules(site, ready, input)).is_ok();
        if !is_taken {
            say!("not reloaded: the engine is behind; save it again");
        }
        is_taken
    }
}

/// What was reloaded, for people.
///
/// `site` is the other site, where there is one.
fn reloaded(rules: usize, now: &Saved, held: &Saved, site: Option<&Site>) -> String {
    let (mut what, mut figures) = (vec![format!("{rules} rule(s)")], String::new());
    let Some(site) = site else { return format!("{} reloaded", what[0]) };
    for stamp in now.changed(held).filter(|stamp| !stamp.is_rules()) {
        if stamp.name == PEOPLE {
            let known = site.people.iter().filter(|p| !p.devices.is_empty() || !p.badges.is_empty()).count();
            what.push(format!("{} people", site.people.len()));
            figures += &format!(", {known} with a device or badge");
        } else {
            let calendar = site.resources.iter().position(|r| r.file == stamp.name);
            let bookings = site.bookings.iter().filter(|b| Some(usize::from(b.calendar)) == calendar).count();
            what.push(format!("the calendar {}", stamp.name));
            figures += &format!(", {bookings} booking(s)");
        }
    }
    format!("{} reloaded{figures}", what.join(" and "))
}
