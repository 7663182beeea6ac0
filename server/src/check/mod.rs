//! What the server's program does instead of serving: `valkey-check-rdb` and `valkey-check-aof`, under their names, and checks of the
//! machine.
//!
//! | file | subject |
//! |---|---|
//! | `rdb` | `valkey-check-rdb` |
//! | `statistics`, `histogram` | what its `--stats` counts |
//! | `aof` | `valkey-check-aof` |
//! | `system` | `--check-system` |
//! | `ram` | `--test-memory` |

mod aof;
mod histogram;
mod ram;
mod rdb;
mod statistics;
mod system;

use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::server::startup::build_line;

/// A tool that the program is under the name it was called by, or by its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `valkey-check-rdb`.
    CheckRdb,
    /// `valkey-check-aof`.
    CheckAof,
    /// `--check-system`.
    CheckSystem,
    /// `--test-memory`.
    TestMemory,
}

impl Tool {
    /// The tool of this name or with this first argument; `None`: it is the server.
    pub fn asked_for(program: &OsStr, args: &[OsString]) -> Option<Tool> {
        let name = Path::new(program).file_name()?.to_string_lossy();
        let is = |tool: &str| name.contains(&format!("valkey-{tool}")) || name.contains(&format!("redis-{tool}"));
        match () {
            () if is("check-rdb") => Some(Tool::CheckRdb),
            () if is("check-aof") => Some(Tool::CheckAof),
            () => match args.first()?.to_str()? {
                "--check-system" => Some(Tool::CheckSystem),
                "--test-memory" => Some(Tool::TestMemory),
                _ => None,
            },
        }
    }

    /// Runs it; returns the code to exit with.
    pub fn run(self, program: &OsStr, args: &[OsString]) -> i32 {
        let mut out = BufWriter::new(io::stdout().lock());
        let done = match self {
            Tool::CheckRdb => rdb::main(&mut out, program, args),
            Tool::CheckAof => aof::main(&mut out, program, args),
            Tool::CheckSystem => system::main(&mut out),
            Tool::TestMemory => ram::main(&mut out, args),
        };
        // Whoever does not read to the end gets the code nevertheless.
        let _ = out.flush();
        match done {
            Ok(()) => 0,
            Err(Stop::Found) => 1,
            Err(Stop::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => 1,
            Err(Stop::Output(e)) => {
                let _ = writeln!(io::stderr(), "Writing the results: {e}");
                1
            }
        }
    }
}

/// Why a tool ends with code 1.
#[derive(Debug)]
enum Stop {
    /// Something is wrong, and was told.
    Found,
    /// It can't be told.
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Self {
        Stop::Output(e)
    }
}

type Outcome<T = ()> = Result<T, Stop>;

/// Tells whoever called the tool, apart from the results.
fn complain<T>(what: &str) -> Outcome<T> {
    let _ = writeln!(io::stderr(), "{what}");
    Err(Stop::Found)
}

fn print_version(out: &mut dyn Write, name: &str) -> Outcome {
    Ok(writeln!(out, "{name} {}", build_line())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_the_program_is_called_by_says_what_it_is() {
        let called = |name: &str| Tool::asked_for(OsStr::new(name), &[]);
        assert_eq!(called("/usr/bin/valkey-check-rdb"), Some(Tool::CheckRdb));
        assert_eq!(called("redis-check-aof"), Some(Tool::CheckAof));
        assert_eq!(called("/opt/valkey-check-rdb/valkey-server"), None);
        assert_eq!(called(""), None);
    }
}
