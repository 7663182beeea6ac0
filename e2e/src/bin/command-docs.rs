//! Prints the file `server/src/commands/docs.txt`: what the real Valkey 9.1.2 says of the commands that ours has.

use std::io;

use valkey_repl_e2e::docs;
use valkey_repl_e2e::resp::Reply;
use valkey_repl_e2e::server::{Program, Server};

fn main() -> io::Result<()> {
    let ours = Server::start::<&str>(Program::Ours, &[])?.line("COMMAND LIST")?;
    let known: Vec<String> = ours.items().unwrap_or_default().iter().filter_map(Reply::text).collect();
    let real = Server::start::<&str>(Program::Valkey91, &[])?;
    print!("{}", docs::file(&mut real.client()?, &known)?);
    Ok(())
}
