//! What the client does besides running commands: each mode is a file.

pub mod bigkeys;
pub mod eval;
pub mod hotkeys;
pub mod intrinsic;
pub mod latency;
pub mod lru;
pub mod pipe;
pub mod rdb;
pub mod replica;
pub mod scan;
pub mod stat;
pub mod sync;

use std::thread;
use std::time::Duration;

use super::connection::Failure;
use super::reply::Reply;
use super::session::Session;
use super::stop::{Stop, print};

/// Runs a command, connecting again, once a second and for as long as it takes, when the connection is lost.
fn persistent_command(session: &mut Session, args: &[&str]) -> Result<Reply, Stop> {
    let mut tries = 0;
    loop {
        match session.command(args) {
            Err(Stop::Lost(Failure::Closed | Failure::Io(_)) | Stop::NotConnected) => {}
            done => {
                if tries > 0 {
                    print(b"\r\x1b[0K")?;
                }
                return done;
            }
        }
        tries += 1;
        print(format!("\r\x1b[0KReconnecting... {tries}\r").as_bytes())?;
        thread::sleep(Duration::from_secs(1));
        let _ = session.connect(true);
    }
}

/// The number in a reply that should be one.
fn integer(reply: &Reply) -> Option<u64> {
    if let Reply::Integer(n) = reply { u64::try_from(*n).ok() } else { None }
}

/// A reply that should not be an error.
fn expect(reply: Reply, what: &str) -> Result<Reply, Stop> {
    match reply {
        Reply::Error(text) => Err(Stop::because(format!("{what}: {}", String::from_utf8_lossy(&text)))),
        reply => Ok(reply),
    }
}

/// `part` of `whole` in percent; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    ratio(100 * part, whole)
}

/// `part` divided by `whole`; 0 of nothing.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
