//! Asking a server for a full synchronisation, and reading the snapshot that comes. Shared by `--rdb` and `--replica`.

use super::super::connection::{Connection, Failure};
use super::super::reply::Reply;
use super::super::session::Session;
use super::super::stop::Stop;

/// Length of the mark that ends a snapshot of unknown size.
const MARK_LEN: usize = 40;

/// How the server announced what it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A snapshot of so many bytes.
    Sized(u64),
    /// A snapshot that ends with this mark.
    Marked([u8; MARK_LEN]),
    /// No snapshot: the stream of commands goes on.
    Nothing,
}

/// Sends `REPLCONF name value` and tells so. False when the server refuses it, as an old one may.
///
/// # Errors
/// When the connection is lost.
pub fn replconf(session: &mut Session, name: &str, value: &str) -> Result<bool, Stop> {
    eprintln!("sending REPLCONF {name} {value}");
    if let Reply::Error(text) = session.command(&["REPLCONF", name, value])? {
        eprintln!("REPLCONF {name} error: {}", String::from_utf8_lossy(&text));
        return Ok(false);
    }
    Ok(true)
}

/// Sends what is queued on the connection, which ends with SYNC or PSYNC, and reads the announcement of what follows.
///
/// # Errors
/// When the server refuses or is lost.
pub fn start(connection: &mut Connection) -> Result<Payload, Stop> {
    connection.flush()?;
    let mut line = read_line(connection)?;
    if line.starts_with("+FULLRESYNC") || line.starts_with("+CONTINUE") {
        eprintln!("PSYNC replied {line}");
        if line.starts_with("+CONTINUE") {
            return Ok(Payload::Nothing);
        }
        line = read_line(connection)?;
    }
    parse_announcement(&line)
}

fn parse_announcement(line: &str) -> Result<Payload, Stop> {
    if line.starts_with('-') {
        return Err(Stop::because(format!("SYNC with primary failed: {line}")));
    }
    let unknown = || Stop::because(format!("SYNC with primary failed: can't understand '{line}'"));
    let size = line.strip_prefix('$').ok_or_else(unknown)?;
    if let Some(mark) = size.strip_prefix("EOF:") {
        return Ok(Payload::Marked(mark.as_bytes().try_into().map_err(|_| unknown())?));
    }
    Ok(Payload::Sized(size.parse().map_err(|_| unknown())?))
}

/// Reads a line. The empty ones that a server sends while the snapshot is being made, to show that it lives, are skipped.
fn read_line(connection: &mut Connection) -> Result<String, Stop> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        connection.read_raw(&mut byte)?;
        match byte[0] {
            b'\n' if line.is_empty() => {}
            b'\n' => break,
            _ if line.len() >= 4096 => return Err(Stop::because("SYNC with primary failed: endless line")),
            other => line.push(other),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Reads the snapshot and hands its bytes to `sink`. Returns its size.
///
/// # Errors
/// When the connection is lost or the sink fails.
pub fn receive(
    connection: &mut Connection,
    payload: &Payload,
    mut sink: impl FnMut(&[u8]) -> Result<(), Stop>,
) -> Result<u64, Stop> {
    let lost = |failure: Failure| Stop::because(format!("I/O Error reading RDB payload from socket: {failure}"));
    let mut buf = [0; 16 * 1024];
    let mut total = 0;
    match payload {
        Payload::Nothing => {}
        Payload::Sized(size) => {
            while total < *size {
                let want = (*size - total).min(buf.len() as u64) as usize;
                let n = connection.read_raw(&mut buf[..want]).map_err(lost)?;
                sink(&buf[..n])?;
                total += n as u64;
            }
        }
        Payload::Marked(mark) => {
            let mut tail = Tail { mark: *mark, held: Vec::new() };
            while !tail.is_mark() {
                let n = connection.read_raw(&mut buf).map_err(lost)?;
                total += tail.pass(&buf[..n], &mut sink)? as u64;
            }
        }
    }
    Ok(total)
}

/// Holds back the last bytes of a snapshot, for they may be the mark. Nothing follows the mark: the server waits for an acknowledgement.
struct Tail {
    mark: [u8; MARK_LEN],
    held: Vec<u8>,
}

impl Tail {
    fn is_mark(&self) -> bool {
        self.held == self.mark
    }

    /// Takes bytes that came, and hands on those that cannot belong to the mark. Returns their number.
    fn pass(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8]) -> Result<(), Stop>) -> Result<usize, Stop> {
        self.held.extend_from_slice(bytes);
        let free = self.held.len().saturating_sub(MARK_LEN);
        sink(&self.held[..free])?;
        self.held.drain(..free);
        Ok(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement_says_how_the_snapshot_ends() {
        let mark = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(parse_announcement("$12345").unwrap(), Payload::Sized(12345));
        let marked = Payload::Marked(mark.as_bytes().try_into().unwrap());
        assert_eq!(parse_announcement(&format!("$EOF:{mark}")).unwrap(), marked);
        for refused in ["-NOMASTERLINK no", "$EOF:short", "$x", "+OK", ""] {
            assert!(parse_announcement(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_mark_is_found_wherever_the_reads_split_it() {
        let mark: [u8; MARK_LEN] = std::array::from_fn(|i| i as u8);
        let body = b"REDIS0011 some data".to_vec();
        let stream = [body.clone(), mark.to_vec()].concat();
        for piece in 1..stream.len() {
            let mut tail = Tail { mark, held: Vec::new() };
            let mut got = Vec::new();
            for bytes in stream.chunks(piece) {
                assert!(!tail.is_mark());
                tail.pass(bytes, |bytes| {
                    got.extend_from_slice(bytes);
                    Ok(())
                })
                .unwrap();
            }
            assert!(tail.is_mark());
            assert_eq!(got, body);
        }
    }
}
