//! Passwords and the operator's own user, with our server and with the real Valkey.

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
    instance::{Directives, Link, Password, Seen, Settings, Target},
    resources::auth,
};

/// Bounds a wait for something that should happen; the machine may be busy.
fn live(directives: &[(&str, &str)]) -> Directives {
    let live = directives.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Directives { live, ..Directives::default() }
}

const PATIENCE: Duration = Duration::from_secs(30);
const OWN: &str = "the-operators-own";

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flavor {
    Native,
    Stock,
}

/// Each of them is asked the same.
const BOTH: [Flavor; 2] = [Flavor::Native, Flavor::Stock];

impl Flavor {
    /// Its program; nothing where the real Valkey was not built.
    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Native => {
                let built = Path::new(env!("CARGO_BIN_EXE_valkey-operator")).with_file_name("valkey-server");
                let given = std::env::var_os("VALKEY_REPL_BIN_DIR").map(|dir| Path::new(&dir).join("valkey-server"));
                let path = given.unwrap_or(built);
                let path = path.canonicalize().unwrap_or(path);
                assert!(path.is_file(), "{} is missing: cargo build -p valkey-repl-server", path.display());
                Some(path)
            }
            Self::Stock => {
                let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/peers");
                let peers = std::env::var_os("PEERS_DIR").map_or(built, PathBuf::from);
                let path = peers.join("valkey-9.1/bin/valkey-server");
                if !path.is_file() {
                    eprintln!("skipped: {} is missing; `make peers` builds it", path.display());
                    return None;
                }
                Some(path)
            }
        }
    }
}

/// A server with these lines for its passwords.
struct Server {
    process: Child,
    address: SocketAddr,
    dir: PathBuf,
    flavor: Flavor,
}

impl Server {
    fn start(flavor: Flavor, name: &str, auth: &str) -> Option<Self> {
        let program = flavor.program()?;
        let dir = std::env::temp_dir().join(format!("valkey-users-{name}-{flavor:?}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!("port {port}\nbind 127.0.0.1\nsave \"\"\ndir {}\n{auth}", dir.display());
        fs::write(dir.join("valkey.conf"), config).unwrap();
        let process = Command::new(program).arg(dir.join("valkey.conf")).stdout(Stdio::null()).spawn().unwrap();
        Some(Self { process, address: (Ipv4Addr::LOCALHOST, port).into(), dir, flavor })
    }

    fn target(&self, own: Option<&str>, passwords: &[&[u8]]) -> Target {
        Target {
            uid: "pod".into(),
            address: self.address,
            own: own.map(|own| Password(own.as_bytes().into())),
            passwords: passwords.iter().map(|bytes| Password((*bytes).into())).collect(),
            directives: live(&[("hz", "50"), ("maxmemory", "64mb")]),
        }
    }

    /// What a new connection comes to know, as soon as this is content with it.
    async fn shows(&self, target: Target, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let settings = Settings::new(self.flavor == Flavor::Native, 1_000, 1_000);
        let link = Link::start(settings, Arc::new(Notify::new()));
        link.aim(Some(target));
        let mut watch = link.watch();
        let seen = timeout(PATIENCE, watch.wait_for(wanted)).await;
        seen.unwrap_or_else(|_| panic!("{:?}: {:?}", self.flavor, link.seen())).unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn answers(seen: &Seen) -> bool {
    seen.answer.is_some() && seen.problem.is_none()
}

#[tokio::test]
async fn any_byte_but_zero_may_be_in_a_password() {
    let password: Vec<u8> = (1..=255).collect();
    for flavor in BOTH {
        let Some(server) = Server::start(flavor, "bytes", &auth::file(&password, None)) else { continue };
        server.shows(server.target(None, &[&password]), answers).await;
        let wrong = server.shows(server.target(None, &[b"wrong"]), |seen| seen.problem.is_some()).await;
        assert!(wrong.problem.unwrap().contains("refuses the password"));
    }
}

#[tokio::test]
async fn the_operator_is_let_in_whatever_became_of_the_clients_password() {
    for flavor in BOTH {
        let Some(server) = Server::start(flavor, "own", &auth::file(b"clients", Some(OWN))) else { continue };
        server.shows(server.target(Some(OWN), &[b"changed by hand"]), answers).await;
        // It has told the server what the Secret says.
        server.shows(server.target(None, &[b"changed by hand"]), answers).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_operators_user_yet_is_told() {
    for flavor in BOTH {
        let Some(server) = Server::start(flavor, "told", &auth::file(b"clients", None)) else { continue };
        server.shows(server.target(Some(OWN), &[b"clients"]), answers).await;
        server.shows(server.target(Some(OWN), &[b"another"]), answers).await;
    }
}

#[tokio::test]
async fn what_a_server_was_told_is_asked_back() {
    for flavor in BOTH {
        let Some(server) = Server::start(flavor, "settings", &auth::file(b"clients", None)) else { continue };
        let mut target = server.target(None, &[b"clients"]);
        assert!(server.shows(target.clone(), answers).await.unset.is_empty());
        target.directives = live(&[("maxmemory-policy", "none-such")]);
        let seen = server.shows(target, |seen| !seen.unset.is_empty()).await;
        assert!(seen.unset.contains_key("maxmemory-policy"), "{:?}", seen.unset);
    }
}
