//! Passwords and the operator's own user, with the real Valkey.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};
use valkey_operator::{
    instance::{Link, Password, Seen, Settings, Target},
    resources::auth,
};

/// Bounds a wait for something that should happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
const OWN: &str = "the-operators-own";

/// The real Valkey, which `make peers` builds.
fn valkey() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/peers");
    let peers = std::env::var_os("PEERS_DIR").map_or(built, PathBuf::from);
    let path = peers.join("valkey-9.1/bin/valkey-server");
    if !path.is_file() {
        eprintln!("skipped: {} is missing; `make peers` builds it", path.display());
        return None;
    }
    Some(path)
}

/// A server with these lines for its passwords.
struct Server {
    process: Child,
    address: SocketAddr,
    dir: PathBuf,
}

impl Server {
    fn start(name: &str, auth: &str) -> Option<Self> {
        let program = valkey()?;
        let dir = std::env::temp_dir().join(format!("valkey-users-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!("port {port}\nbind 127.0.0.1\nsave \"\"\ndir {}\n{auth}", dir.display());
        fs::write(dir.join("valkey.conf"), config).unwrap();
        let process = Command::new(program).arg(dir.join("valkey.conf")).stdout(Stdio::null()).spawn().unwrap();
        Some(Self { process, address: (Ipv4Addr::LOCALHOST, port).into(), dir })
    }

    fn target(&self, own: Option<&str>, passwords: &[&[u8]]) -> Target {
        Target {
            uid: "pod".into(),
            address: self.address,
            own: own.map(|own| Password(own.as_bytes().into())),
            passwords: passwords.iter().map(|bytes| Password((*bytes).into())).collect(),
            settings: Arc::from([("hz".to_owned(), "50".to_owned()), ("maxmemory".to_owned(), "64mb".to_owned())]),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// What a new connection comes to know, as soon as this is content with it.
async fn sees(target: Target, wanted: impl Fn(&Seen) -> bool) -> Seen {
    let link = Link::start(Settings::new(false, 1_000, 1_000), Arc::new(Notify::new()));
    link.aim(Some(target));
    let mut watch = link.watch();
    let seen = timeout(PATIENCE, watch.wait_for(wanted)).await;
    seen.unwrap_or_else(|_| panic!("{:?}", link.seen())).unwrap().clone()
}

fn answers(seen: &Seen) -> bool {
    seen.answer.is_some() && seen.problem.is_none()
}

#[tokio::test]
async fn any_byte_but_zero_may_be_in_a_password() {
    let password: Vec<u8> = (1..=255).collect();
    let Some(server) = Server::start("bytes", &auth::file(&password, None)) else { return };
    sees(server.target(None, &[&password]), answers).await;
    let wrong = sees(server.target(None, &[b"wrong"]), |seen| seen.problem.is_some()).await;
    assert!(wrong.problem.unwrap().contains("refuses the password"));
}

#[tokio::test]
async fn the_operator_is_let_in_whatever_became_of_the_clients_password() {
    let Some(server) = Server::start("own", &auth::file(b"clients", Some(OWN))) else { return };
    sees(server.target(Some(OWN), &[b"changed by hand"]), answers).await;
    // It has told the server what the Secret says.
    sees(server.target(None, &[b"changed by hand"]), answers).await;
}

#[tokio::test]
async fn a_server_that_does_not_know_the_operators_user_yet_is_told() {
    let Some(server) = Server::start("told", &auth::file(b"clients", None)) else { return };
    sees(server.target(Some(OWN), &[b"clients"]), answers).await;
    sees(server.target(Some(OWN), &[b"another"]), answers).await;
}

#[tokio::test]
async fn what_a_server_was_told_is_asked_back() {
    let Some(server) = Server::start("settings", &auth::file(b"clients", None)) else { return };
    let mut target = server.target(None, &[b"clients"]);
    assert!(sees(target.clone(), answers).await.unset.is_empty());
    target.settings = Arc::from([("maxmemory-policy".to_owned(), "none-such".to_owned())]);
    let seen = sees(target, |seen| !seen.unset.is_empty()).await;
    assert!(seen.unset.contains_key("maxmemory-policy"), "{:?}", seen.unset);
}
