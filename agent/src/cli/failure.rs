//! How a command fails: what, why, what to do, and an exit code by kind.

use std::fmt;
use std::io::Write;

use serde::Serialize;

use crate::control::client::{ClientError, ClientErrorKind};
use crate::release::problem::{Problem, ProblemKind};

/// The exit codes, as `swell --help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The thing that was asked about is bad.
    Bad = 1,
    /// The command line.
    Usage = 2,
    /// A file or signature.
    BadInput = 3,
    /// Something named is not there.
    NotFound = 4,
    /// No agent answers.
    Unreachable = 5,
    /// The fleet's rules.
    Refused = 6,
    /// The disk, or other local trouble.
    Local = 7,
}

/// Why a command failed. It has left nothing half-done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was attempted.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// What to do about it.
    pub todo: String,
    /// The exit code.
    pub code: Code,
}

#[derive(Serialize)]
struct FailureJson<'a> {
    error: FailureView<'a>,
}

#[derive(Serialize)]
struct FailureView<'a> {
    what: &'a str,
    why: &'a str,
    todo: &'a str,
    code: u8,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(code: Code, what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), todo: todo.into(), code }
    }

    /// Prints it to standard error, for people or as one line of JSON. What cannot be printed is lost.
    pub fn print(&self, json: bool) {
        let mut out = std::io::stderr().lock();
        let Self { what, why, todo, code } = self;
        let _ = if json {
            let error = FailureView { what, why, todo, code: *code as u8 };
            serde_json::to_writer(&mut out, &FailureJson { error })
                .map_err(Into::into)
                .and_then(|()| writeln!(out))
        } else {
            writeln!(out, "{self}")
        };
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}: {}\n  hint: {}", self.what, self.why, self.todo)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let code = match problem.kind {
            ProblemKind::Usage => Code::Usage,
            ProblemKind::BadInput => Code::BadInput,
            ProblemKind::NotFound => Code::NotFound,
            ProblemKind::Refused => Code::Refused,
            ProblemKind::Local => Code::Local,
        };
        Self { what: problem.what, why: problem.why, todo: problem.todo, code }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match error.kind {
            ClientErrorKind::NotRunning | ClientErrorKind::NotPermitted | ClientErrorKind::Trouble => {
                Code::Unreachable
            }
            ClientErrorKind::Refused => Code::Refused,
            ClientErrorKind::BadInput => Code::BadInput,
            ClientErrorKind::NotFound => Code::NotFound,
            ClientErrorKind::Disk => Code::Local,
        };
        Self { what: error.what, why: error.why, todo: error.todo, code }
    }
}
