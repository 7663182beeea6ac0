//! `--replica`: attaches as a replica, drops the snapshot and shows the commands that come.

use std::os::fd::AsFd;
use std::time::Duration;

use super::super::connection::Failure;
use super::super::format::Output;
use super::super::session::Session;
use super::super::stop::Stop;
use super::super::sys::{self, Interest};
use super::sync::{self, Payload};

/// Attaches and shows the stream until the connection ends.
///
/// # Errors
/// The end of the connection, or the server's refusal.
pub fn run(session: &mut Session) -> Result<(), Stop> {
    sync::replconf(session, "capa", "eof")?;
    // A snapshot of nothing will do.
    sync::replconf(session, "rdb-filter-only", "")?;
    session.connection()?.append_raw(b"SYNC\r\n");
    follow(session)
}

/// Sends the SYNC or PSYNC that is queued on the connection, drops the snapshot and shows the stream until the connection ends.
///
/// # Errors
/// The end of the connection, or the server's refusal.
pub fn follow(session: &mut Session) -> Result<(), Stop> {
    let connection = session.connection()?;
    let payload = sync::start(connection)?;
    let kind = if payload == Payload::Nothing { "Partial resync" } else { "Full resync" };
    match &payload {
        Payload::Nothing => eprintln!("{kind} with primary..."),
        Payload::Sized(size) => eprintln!("{kind} with primary, discarding {size} bytes of bulk transfer..."),
        Payload::Marked(_) => {
            eprintln!("{kind} with primary, discarding bytes of bulk transfer until EOF marker...");
        }
    }
    let total = sync::receive(connection, &payload, |_| Ok(()))?;
    if matches!(payload, Payload::Marked(_)) {
        eprintln!("{kind} done after {total} bytes. Logging commands from primary.");
        acknowledge(session)?;
    } else {
        eprintln!("{kind} done. Logging commands from primary.");
    }
    let before = std::mem::replace(&mut session.format.output, Output::Csv);
    let end = session.show_stream();
    session.format.output = before;
    end
}

/// Sends acknowledgements until the first command comes: after a snapshot with an end mark the server sends none before it has seen one,
/// and it does not count those that come before the process that sent the snapshot has ended.
fn acknowledge(session: &mut Session) -> Result<(), Stop> {
    eprintln!("sending REPLCONF ACK 0");
    let connection = session.connection()?;
    while !connection.is_mid_reply() {
        // No answer comes to this.
        connection.append(&["REPLCONF", "ACK", "0"]);
        connection.flush()?;
        let mut ready = [Interest::read(connection.as_fd())];
        sys::poll(&mut ready, Some(Duration::from_secs(1))).map_err(Failure::Io)?;
        if ready[0].readable {
            break;
        }
    }
    Ok(())
}
