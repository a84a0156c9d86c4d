//! How a subcommand ends: the exit statuses that scripts rely on, and errors as full sentences.

use std::process::ExitCode;

/// How a subcommand ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what was asked; warnings too.
    Success,
    /// Errors were found, or two things differ.
    Found,
    /// It was called wrongly.
    Usage,
    /// Something was lost.
    Lost,
    /// There was nothing to verify.
    NothingToVerify,
}

impl From<Outcome> for ExitCode {
    fn from(o: Outcome) -> Self {
        Self::from(match o {
            Outcome::Success => 0,
            Outcome::Found => 1,
            Outcome::Usage => 2,
            Outcome::Lost => 3,
            Outcome::NothingToVerify => 4,
        })
    }
}

/// Why a subcommand could not go on: a sentence, and how that ends the program.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    outcome: Outcome,
}

impl Failure {
    /// What was asked cannot be done with what was given.
    pub(crate) fn found(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), outcome: Outcome::Found }
    }
    /// The command line is wrong.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), outcome: Outcome::Usage }
    }
    /// How it ends the program.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// What every subcommand gives.
pub(crate) type Ended = Result<Outcome, Failure>;
