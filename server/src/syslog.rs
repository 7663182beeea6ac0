//! The system's log (`syslog-enabled`): a datagram a line to `/dev/log`, as `syslog(3)` sends them (RFC 3164). Never waits: what the system does
//! not take at once is lost, and stands in the server's own log.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::config::{LogLevel, SyslogFacility};

/// Where the system takes its log.
pub const SOCKET: &str = "/dev/log";

/// A sender to the system's log.
#[derive(Debug)]
pub struct Syslog {
    socket: UnixDatagram,
    ident: String,
    facility: u8,
}

impl Syslog {
    /// A sender whose lines bear this name.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn new(ident: &[u8], facility: SyslogFacility) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let facility = match facility {
            SyslogFacility::User => 1,
            SyslogFacility::Local0 => 16,
            SyslogFacility::Local1 => 17,
            SyslogFacility::Local2 => 18,
            SyslogFacility::Local3 => 19,
            SyslogFacility::Local4 => 20,
            SyslogFacility::Local5 => 21,
            SyslogFacility::Local6 => 22,
            SyslogFacility::Local7 => 23,
        };
        Ok(Self { socket, ident: String::from_utf8_lossy(ident).into_owned(), facility })
    }

    /// Sends one line. `time` is as RFC 3164 wants it: `Nov 22 08:19:04`.
    pub fn send(&self, to: &Path, level: LogLevel, time: &str, message: &str) {
        let severity = match level {
            LogLevel::Debug => 7,
            LogLevel::Verbose => 6,
            LogLevel::Notice => 5,
            _ => 4,
        };
        let priority = self.facility * 8 + severity;
        let line = format!("<{priority}>{time} {}[{}]: {message}", self.ident, std::process::id());
        // By name each time: whoever takes the log may have been started anew.
        let _ = self.socket.send_to(line.as_bytes(), to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_bears_facility_severity_name_and_process() {
        let dir = std::env::temp_dir().join(format!("valkey-syslog-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("log");
        let log = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::new(b"cache", SyslogFacility::Local3).unwrap();
        syslog.send(&path, LogLevel::Warning, "Nov 22 08:19:04", "the disk is full");
        let mut line = [0; 200];
        let length = log.recv(&mut line).unwrap();
        let wanted = format!("<156>Nov 22 08:19:04 cache[{}]: the disk is full", std::process::id());
        assert_eq!(String::from_utf8_lossy(&line[..length]), wanted);
        // Nobody takes it any more: that stops nothing.
        drop(log);
        syslog.send(&path, LogLevel::Warning, "Nov 22 08:19:05", "and still is");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
