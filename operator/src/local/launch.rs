//! How an instance is started: its program, its configuration, its port.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::directory::Home;
use crate::{
    api::ValkeyReplication,
    instance::Password,
    resources::{self, Config, Place, auth},
};

/// Where servers listen: only this machine reaches them.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The comment in `valkey.conf` that names what a server must be restarted for.
const START: &str = "# start ";
/// The one that names the directives that it was told while it ran, or may be.
const LIVE: &str = "# live ";

/// What all instances are started with.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub resource: Arc<ValkeyReplication>,
    pub program: PathBuf,
    /// The file with the password, as servers read it.
    pub auth: PathBuf,
    pub base_port: Option<u16>,
    pub password: Password,
}

impl Launch {
    /// The instance's `valkey.conf`.
    pub fn conf(&self, home: &Home, port: u16) -> Result<Config, resources::Error> {
        let (data, auth) = (word(&home.path), word(&self.auth));
        let place = Place { port, metrics_port: None, bind: &HOST.to_string(), data: &data, auth: &auth };
        let mut config = resources::render_at(&self.resource, &place)?;
        let live: Vec<_> = config.live_names().collect();
        let comments = format!("{START}{}\n{LIVE}{}\n", config.fingerprint(), live.join(" "));
        config.text.push_str(&format!("pidfile {}\n{comments}", word(&home.pid_file())));
        Ok(config)
    }

    /// Whether the instance's server must be started anew for what it would be started with now.
    pub fn differs(&self, home: &Home) -> bool {
        let text = fs::read_to_string(home.conf()).unwrap_or_default();
        let standing = |comment: &str| text.lines().find_map(|line| line.strip_prefix(comment));
        let told = standing(LIVE).unwrap_or_default().split_ascii_whitespace();
        let config = home.last_port().and_then(|port| self.conf(home, port).ok());
        config.is_none_or(|config| standing(START) != Some(&config.fingerprint()) || config.lacks(told))
    }

    /// A port that nobody has: the one after the base port, or the same as last time, or any.
    pub fn port(&self, home: &Home, ordinal: u32) -> io::Result<u16> {
        if let Some(base) = self.base_port {
            let port = u16::try_from(ordinal).ok().and_then(|ordinal| base.checked_add(ordinal));
            let port = port.ok_or_else(|| io::Error::other("--base-port is too high"))?;
            let taken = |error| io::Error::other(format!("port {port}: {error}; choose another --base-port"));
            return free(port).map_err(taken);
        }
        home.last_port().and_then(|port| free(port).ok()).map_or_else(|| free(0), Ok)
    }
}

fn free(port: u16) -> io::Result<u16> {
    TcpListener::bind((HOST, port))?.local_addr().map(|address| address.port())
}

/// A path as a word of `valkey.conf`.
fn word(path: &Path) -> String {
    auth::quote(path.as_os_str().as_bytes())
}
