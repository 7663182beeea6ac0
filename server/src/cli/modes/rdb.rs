//! `--rdb` and `--functions-rdb`: saves a snapshot of the server to a file, by asking for it as a replica would.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::super::connection::reason;
use super::super::session::Session;
use super::super::stop::Stop;
use super::sync::{self, Payload};

/// Saves the snapshot. The path `-` is standard output.
///
/// # Errors
/// When the server refuses or is lost, or the file cannot be written.
pub fn run(session: &mut Session, path: &Path, functions_only: bool) -> Result<(), Stop> {
    sync::replconf(session, "capa", "eof")?;
    // The server need not keep the stream of commands for us.
    sync::replconf(session, "rdb-only", "1")?;
    if functions_only && !sync::replconf(session, "rdb-filter-only", "functions")? {
        return Err(Stop::because("Failed requesting functions only RDB from server, aborting"));
    }
    let connection = session.connection()?;
    connection.append_raw(b"SYNC\r\n");
    let payload = sync::start(connection)?;
    let name = path.display();
    match &payload {
        Payload::Sized(size) => eprintln!("SYNC sent to primary, writing {size} bytes to '{name}'"),
        _ => eprintln!("SYNC sent to primary, writing bytes of bulk transfer until EOF marker to '{name}'"),
    }
    let mut file = Destination::open(path)
        .map_err(|error| Stop::because(format!("Error opening '{name}': {}", reason(&error))))?;
    let total = sync::receive(connection, &payload, |bytes| {
        file.write(bytes).map_err(|error| Stop::because(format!("Error writing data to file: {}", reason(&error))))
    })?;
    match payload {
        Payload::Sized(_) => eprintln!("Transfer finished with success."),
        _ => eprintln!("Transfer finished with success after {total} bytes"),
    }
    file.sync().map_err(|error| Stop::because(format!("Fail to fsync '{name}': {}", reason(&error))))
}

enum Destination {
    Stdout,
    File(File),
}

impl Destination {
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") { Ok(Self::Stdout) } else { File::create(path).map(Self::File) }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().write_all(bytes),
            Self::File(file) => file.write_all(bytes),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().flush(),
            Self::File(file) => file.sync_all(),
        }
    }
}
