//! The program: `run` is the controller, `local` runs a set on this machine, `explain` and `check` are for people, `crd` prints the
//! resource's definition.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use valkey_operator::{api, check, explain, local, run};

/// Keeps replicated Valkey pairs alive.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look after all resources of a cluster.
    Run {
        #[command(flatten)]
        arguments: run::Arguments,
        /// What to log, such as `info` or `valkey_operator=debug`.
        #[arg(long, env = "LOG", default_value = "info")]
        log: String,
        /// How to log.
        #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
        log_format: LogFormat,
    },
    /// Run a replicated set on this machine, and look after it as in a cluster.
    Local {
        #[command(flatten)]
        arguments: local::Arguments,
    },
    /// Say what the operator would do now with a resource, what it waits for, and which evidence it lacks.
    Explain {
        #[command(flatten)]
        arguments: explain::Arguments,
    },
    /// Make a pair, write to it, move its primary meanwhile, read everything back, and take it away again.
    Check {
        #[command(flatten)]
        arguments: check::Arguments,
    },
    /// Print the CustomResourceDefinition as YAML.
    Crd,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run { arguments, log, log_format } => start_log(&log, log_format).and_then(|()| {
            let done = runtime()?.block_on(run::run(arguments));
            done.map_err(|error| error.to_string())
        }),
        Command::Local { arguments } => runtime().and_then(|runtime| {
            let done = runtime.block_on(local::run(arguments));
            // A look-up or a write to a disk that stands still is not waited for.
            runtime.shutdown_background();
            done.map_err(|error| error.to_string())
        }),
        Command::Explain { arguments } => {
            runtime().and_then(|runtime| runtime.block_on(explain::run(arguments)).map_err(|error| error.to_string()))
        }
        Command::Check { arguments } => {
            runtime().and_then(|runtime| runtime.block_on(check::run(arguments)).map_err(|error| error.to_string()))
        }
        Command::Crd => api::crd_yaml().map(|text| print!("{text}")).map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("valkey-operator: {message}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())
}

fn start_log(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("--log {filter}: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
