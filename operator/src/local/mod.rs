//! `valkey-operator local`: the engine over server processes on this machine.
//!
//! The same as in a cluster with other hands: for pods there are child processes, for the API server a file that is
//! replaced as a whole, for the Lease a lock on the directory, for the Service `<name>-rw` a proxy.
//!
//! | file | does |
//! |---|---|
//! | `resource` | reads the YAML file, as strictly as an API server would |
//! | `file` | what a person changes in that file while the set runs |
//! | `directory` | the directory: its lock, the password, a home for each instance |
//! | `record` | the record in its file, written with its version |
//! | `launch` | the configuration and the port of an instance |
//! | `process` | one server process, started or found alive |
//! | `slot` | one instance: its process, started anew when it ends, and the connection to it |
//! | `keeper` | one turn: observe → decide → record → commands → endpoint |
//! | `proxy` | the stable address for clients |
//! | `failovers` | how long a failover took, as seen from here |
//! | `report` | what people are shown (pure) |
//! | `screen` | a table redrawn in place, or lines |

mod directory;
mod failovers;
mod file;
mod keeper;
mod launch;
mod process;
mod proxy;
mod record;
mod report;
mod resource;
mod screen;
mod slot;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{api::Flavor, resources};
use directory::Directory;
use file::File;
use keeper::Keeper;
use launch::Launch;
use record::Book;
use screen::Screen;

/// What `local` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The file with the ValkeyReplication.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Where data, configuration, logs and the record are kept; `.valkey-local/<name>` when left out.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The address for clients: it always leads to the primary. Port 0: any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6379")]
    listen: SocketAddr,
    /// The port of the first instance; the others take those that follow. Any free ones when left out.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_000))]
    base_port: Option<u16>,
    /// The server's program; `valkey-server` beside this program when left out.
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// What to write to `operator.log` in the directory, such as `info` or `valkey_operator=debug`.
    #[arg(long, env = "LOG", default_value = "info")]
    log: String,
}

/// Why local mode cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be used.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no server program.
    #[error("there is no valkey-server at {}; build it, or name one with --server", .0.display())]
    NoServer(PathBuf),
    /// A stock server is not ours to ship.
    #[error("spec.flavor Stock runs a valkey-server of the Valkey project; name it with --server")]
    NoStockServer,
    /// The clients' address cannot be had.
    #[error("--listen {address}: {error}; choose another address with --listen, such as {}:0", address.ip())]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Another run looks after the directory.
    #[error("{} is looked after by another run{}", path.display(), pid.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Its process id.
        pid: Option<String>,
    },
    /// The spec asks for what cannot be rendered.
    #[error(transparent)]
    Resource(#[from] resources::Error),
    /// There are no random numbers for a password.
    #[error("no random numbers for a password: {0}")]
    Random(#[from] getrandom::Error),
    /// The machine says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs until it is told to stop (Ctrl-C, SIGTERM), then stops the servers and leaves their data.
///
/// # Errors
/// When it cannot start: the message names the option to change.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let file = File::new(&arguments.file);
    let resource = resource::read(&arguments.file)?;
    let name = resource.metadata.name.clone().unwrap_or_default();
    let program = program(arguments.server, resource.spec.flavor)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| Error::Listen { address: arguments.listen, error })?;
    let listen = listener.local_addr()?;
    let directory = Directory::open(&arguments.dir.unwrap_or_else(|| PathBuf::from(".valkey-local").join(&name)))?;
    start_log(&directory, &arguments.log)?;
    let password = directory.password()?;
    let notes = resource::without_effect(&resource);
    let launch = Launch {
        resource: Arc::new(resource),
        program,
        auth: directory.auth(),
        base_port: arguments.base_port,
        password,
    };
    // What cannot be rendered is said before anything runs.
    let live = launch.conf(&directory.home(&format!("{name}-0")), 1)?.live;
    let book = Book::open(directory.path())?;
    // Before the first child: nobody else would stop it.
    let mut signals =
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];

    let mut screen = Screen::start()?;
    for note in notes {
        screen.say(note);
    }
    let (lead, led) = watch::channel(None);
    let proxy = tokio::spawn(proxy::run(listener, led));
    let mut keeper = Keeper::new(directory, (Arc::new(launch), file), live, book, lead, screen.pen(), listen);
    let [interrupt, terminate, hangup] = &mut signals;
    tokio::select! {
        () = keeper.run() => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        () = screen.closed() => {}
    }
    proxy.abort();
    tokio::select! {
        () = keeper.stop() => {}
        _ = interrupt.recv() => keeper.abandon(),
        _ = terminate.recv() => keeper.abandon(),
    }
    drop(keeper);
    screen.end().await;
    Ok(())
}

/// The server's program: the one that was named, or the one that was built along with this program.
fn program(named: Option<PathBuf>, flavor: Flavor) -> Result<PathBuf, Error> {
    let path = match named {
        Some(path) => path,
        None if flavor == Flavor::Stock => return Err(Error::NoStockServer),
        None => std::env::current_exe()?.with_file_name("valkey-server"),
    };
    // Children run in directories of their own.
    path.canonicalize().ok().filter(|path| path.is_file()).ok_or(Error::NoServer(path))
}

fn start_log(directory: &Directory, filter: &str) -> Result<(), Error> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| io::Error::other(format!("--log {filter}: {error}")))?;
    let file = std::fs::OpenOptions::new().append(true).create(true).open(directory.path().join("operator.log"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_ansi(false);
    // A second one in the same process (a test) keeps the first.
    let _ = log.with_writer(std::sync::Mutex::new(file)).try_init();
    Ok(())
}
