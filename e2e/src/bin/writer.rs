//! The tests' own client inside the cluster. The password is in `WRITER_PASSWORD`.
//!
//! `writer run HOST:PORT PREFIX` writes until it is killed; `writer status|mark|verify [HOST:PORT]` asks that process;
//! `writer ask HOST:PORT COMMAND …` sends one command and prints the reply's text.

use std::process::ExitCode;
use std::time::Duration;

use valkey_repl_e2e::resp::{Client, Reply};
use valkey_repl_e2e::writer::{Target, Writer, control};

/// Loopback only: whoever asks does so with `kubectl exec`.
const CONTROL: &str = "127.0.0.1:7777";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("writer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> std::io::Result<String> {
    let password = std::env::var("WRITER_PASSWORD").ok();
    match words {
        ["run", address, prefix] => {
            let target = Target { address: (*address).to_owned(), password, prefix: (*prefix).to_owned() };
            Writer::start(target, CONTROL)?.join();
            Ok(String::new())
        }
        ["status" | "mark" | "verify", ..] => control(CONTROL, &words.join(" ")),
        ["ask", address, command @ ..] if !command.is_empty() => {
            let mut client = Client::connect_within(*address, Duration::from_secs(5))?;
            if let Some(password) = password {
                client.ask(&["AUTH", &password])?;
            }
            Ok(show(&client.ask(command)?))
        }
        _ => Err(std::io::Error::other(
            "usage: writer run HOST:PORT PREFIX | status | mark | verify [HOST:PORT] | ask HOST:PORT COMMAND …",
        )),
    }
}

/// Elements one a line; nothing for null.
fn show(reply: &Reply) -> String {
    match reply.items() {
        Some(items) => items.iter().map(show).collect::<Vec<_>>().join("\n"),
        None => reply.text().unwrap_or_default(),
    }
}
