//! `osmose lsp`: the language server that editors start.

use crate::outcome::{Ended, Outcome};

/// Serve an editor: the language server for rules, over stdin and stdout
#[derive(clap::Args)]
#[command(
    after_help = "Example: an editor starts it with\n  osmose lsp\nA VS Code extension lies in docs/editors/vscode."
)]
pub(crate) struct Lsp {}

impl Lsp {
    pub(crate) fn run(self) -> Ended {
        crate::lsp::serve()?;
        Ok(Outcome::Success)
    }
}
