//! Name look-ups off the data thread: a slow name server stops nobody's commands.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Looks `host` up on a thread of its own and hands the first address to `done`; a literal address needs no thread.
pub fn resolve(host: &str, port: u16, done: impl FnOnce(io::Result<SocketAddr>) + Send + 'static) {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return done(Ok(SocketAddr::new(ip, port)));
    }
    let host = host.to_owned();
    let thread = std::thread::Builder::new().name("resolve".to_owned());
    let spawned = thread.spawn(move || {
        let found = (host.as_str(), port)
            .to_socket_addrs()
            .and_then(|mut all| all.next().ok_or_else(|| io::Error::other("the name has no address")));
        done(found);
    });
    // Without a thread the look-up did not happen; the caller's retry is the remedy.
    drop(spawned);
}
