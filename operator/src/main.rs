//! The program: `run` is the controller, `crd` prints the resource's definition.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use valkey_operator::api;

/// Keeps replicated Valkey pairs alive.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the CustomResourceDefinition as YAML.
    Crd,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Crd => api::crd_yaml().map(|text| print!("{text}")).map_err(|e| e.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("valkey-operator: {message}");
            ExitCode::FAILURE
        }
    }
}
