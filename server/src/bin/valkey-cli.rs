//! The command line client.

use std::process::ExitCode;

fn main() -> ExitCode {
    valkey_server::cli::main()
}
