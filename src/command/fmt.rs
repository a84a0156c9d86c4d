//! `osmose fmt FILE.rules`: one layout for every rules file; comments stay, and doing it twice changes nothing.

use crate::outcome::{Ended, Failure, Outcome};
use crate::stderr::say;
use osmose_rules::{fmt, parse};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

/// Lay out rules files in one way
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  osmose fmt my-office/rules/*.rules\n  osmose fmt --check my-office/rules/*.rules\n  \
                        osmose fmt - < draft.rules\n\nWith --check nothing is written, and the exit status is 1 where a \
                        file would change.\nA file with a syntax error is left as it is. A file name of - is stdin to \
                        stdout."
)]
pub(crate) struct Fmt {
    /// The files
    #[arg(required_unless_present = "schema", value_name = "FILE.rules")]
    files: Vec<PathBuf>,
    /// Only say which files would change
    #[arg(long)]
    check: bool,
    /// Write the file's tree as JSON to stdout instead
    #[arg(long, conflicts_with_all = ["check", "from_json"])]
    to_json: bool,
    /// Read trees as JSON, and write their rules, laid out, to stdout
    #[arg(long, conflicts_with = "check")]
    from_json: bool,
    /// Write the JSON Schema of the trees to stdout
    #[arg(long, exclusive = true)]
    schema: bool,
}

/// What became of one file.
#[derive(PartialEq, Eq)]
enum Became {
    Same,
    Other,
    Broken,
}

impl Fmt {
    pub(crate) fn run(self) -> Ended {
        if self.schema {
            println!("{:#}", osmose_rules::json::schema());
            return Ok(Outcome::Success);
        }
        let (mut others, mut broken) = (0, 0);
        for path in &self.files {
            match self.one(path)? {
                Became::Same => {}
                Became::Other => others += 1,
                Became::Broken => broken += 1,
            }
        }
        Ok(if broken > 0 || self.check && others > 0 { Outcome::Found } else { Outcome::Success })
    }

    fn one(&self, path: &Path) -> Result<Became, Failure> {
        let stdin = path == Path::new("-");
        let text = read(path, stdin)?;
        if self.from_json {
            return from_json(path, &text);
        }
        let parsed = parse(&path.display().to_string(), &text);
        if self.to_json {
            println!("{}", osmose_rules::json::to_json(&parsed));
            return Ok(Became::Same);
        }
        let Some(laid_out) = fmt::format(&parsed) else {
            let styled = std::io::stderr().is_terminal();
            parsed.diagnostics.iter().for_each(|d| say!("{}", d.render(&text, styled)));
            return Ok(Became::Broken);
        };
        let became = if laid_out == text { Became::Same } else { Became::Other };
        match (stdin, self.check, &became) {
            (true, false, _) => print!("{laid_out}"),
            (_, true, Became::Other) => println!("{} would change", path.display()),
            (false, false, Became::Other) => {
                std::fs::write(path, &laid_out)
                    .map_err(|e| Failure::found(format!("cannot write {}: {e}", path.display())))?;
                println!("{}", path.display());
            }
            _ => {}
        }
        Ok(became)
    }
}

fn read(path: &Path, stdin: bool) -> Result<String, Failure> {
    let cannot = |e: std::io::Error| Failure::found(format!("cannot read {}: {e}", path.display()));
    if !stdin {
        return std::fs::read_to_string(path).map_err(cannot);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(cannot)?;
    Ok(text)
}

fn from_json(path: &Path, text: &str) -> Result<Became, Failure> {
    let said = |e: &dyn std::fmt::Display| Failure::found(format!("{}: {e}", path.display()));
    let tree: serde_json::Value = serde_json::from_str(text).map_err(|e| said(&e))?;
    let rules = osmose_rules::json::from_json(&tree).map_err(|e| said(&e))?;
    // A tree that holds what does not parse is given back as it is.
    print!("{}", fmt::format(&parse("", &rules)).unwrap_or(rules));
    Ok(Became::Same)
}
