//! The service manager that started the server (`supervised`): systemd is told by its notification socket (`sd_notify(3)`) that the server is ready,
//! Upstart by SIGSTOP.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;

use crate::config::Supervised;
use crate::{log_notice, log_warning};

/// Who looks after the process.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Supervisor {
    Upstart,
    /// With the address of its socket.
    Systemd(OsString),
}

static SUPERVISOR: OnceLock<Supervisor> = OnceLock::new();

/// Finds out who looks after the process, and lets it know that the server starts. The process then stays where it is: in the background it would be lost to its
/// manager.
pub fn begin(wanted: Supervised) -> bool {
    let Some(supervisor) = find(wanted, |name| std::env::var_os(name)) else { return false };
    let upstart = supervisor == Supervisor::Upstart;
    let _ = SUPERVISOR.set(supervisor);
    if upstart {
        log_notice!("supervised by upstart, will stop to signal readiness.");
        crate::sys::kill(std::process::id() as i32, libc::SIGSTOP);
    } else {
        log_notice!("supervised by systemd: set TimeoutStartSec and TimeoutStopSec to what loading and saving take.");
        tell("STATUS=Valkey is loading...\n");
    }
    true
}

fn find(wanted: Supervised, variable: impl Fn(&str) -> Option<OsString>) -> Option<Supervisor> {
    let upstart = || variable("UPSTART_JOB").map(|_| Supervisor::Upstart);
    let systemd = || variable("NOTIFY_SOCKET").map(Supervisor::Systemd);
    let missing = |what: &str, name: &str| log_warning!("{what} supervision requested, but {name} not found!");
    match wanted {
        Supervised::No => None,
        Supervised::Auto => upstart().or_else(systemd),
        Supervised::Upstart => {
            let found = upstart();
            found.is_none().then(|| missing("upstart", "UPSTART_JOB"));
            found
        }
        Supervised::Systemd => {
            let found = systemd();
            found.is_none().then(|| missing("systemd", "NOTIFY_SOCKET"));
            found
        }
    }
}

/// As INFO names it.
pub fn name() -> &'static str {
    match SUPERVISOR.get() {
        None => "no",
        Some(Supervisor::Upstart) => "upstart",
        Some(Supervisor::Systemd(_)) => "systemd",
    }
}

/// Tells systemd, if it is who looks after the server: lines of `NAME=value`.
pub fn tell(state: &str) {
    let Some(Supervisor::Systemd(socket)) = SUPERVISOR.get() else { return };
    if let Err(e) = send(socket, state) {
        log_warning!("systemd could not be told at {}: {e}", socket.display());
    }
}

fn send(socket: &OsStr, state: &str) -> std::io::Result<()> {
    // A name that begins with @ stands for one outside of the file system.
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_started_the_server_is_seen_from_its_environment() {
        let systemd = |name: &str| (name == "NOTIFY_SOCKET").then(|| OsString::from("/run/notify"));
        let found = Some(Supervisor::Systemd("/run/notify".into()));
        assert_eq!(find(Supervised::Auto, systemd), found);
        assert_eq!(find(Supervised::Systemd, systemd), found);
        assert_eq!(find(Supervised::Upstart, systemd), None);
        assert_eq!(find(Supervised::No, systemd), None);
        assert_eq!(find(Supervised::Auto, |_| None), None);
    }

    #[test]
    fn systemd_is_told_at_a_path_or_at_an_abstract_name() {
        let dir = std::env::temp_dir().join(format!("valkey-supervisor-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("notify");
        let name = format!("valkey-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}").into()),
        ] {
            send(&address, "READY=1\n").unwrap();
            let mut told = [0; 20];
            assert_eq!(socket.recv(&mut told).unwrap(), 8);
            assert_eq!(&told[..8], b"READY=1\n");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
