//! The server program; under the names of the tools that check its files, those; and what checks the machine.

use valkey_server::check::Tool;
use valkey_server::config::Invocation;
use valkey_server::crash;
use valkey_server::server::startup::{fail, version_line};
use valkey_server::server::{Server, VALKEY_VERSION};

#[global_allocator]
static ALLOCATOR: valkey_server::allocator::Allocator = valkey_server::allocator::Allocator;

fn main() {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let args: Vec<std::ffi::OsString> = args.collect();
    if let Some(tool) = Tool::asked_for(&program, &args) {
        std::process::exit(tool.run(&program, &args));
    }
    match args.first().and_then(|a| a.to_str()) {
        Some("-v" | "--version") => return println!("{}", version_line()),
        Some("-h" | "--help") => return print!("{USAGE}"),
        _ => {}
    }
    // SAFETY: no thread has been started, and the arguments above are copies; nobody asks for them again.
    unsafe { valkey_server::title::prepare(&program) };
    let loaded = match Invocation::from_arguments(&args).load() {
        Ok(loaded) => loaded,
        Err(e) => fail(&e.report(VALKEY_VERSION)),
    };
    crash::guard_thread();
    crash::install_alarm();
    crash::end_on_panic();
    match Server::start(loaded) {
        Ok(mut server) => std::process::exit(server.serve()),
        Err(why) => {
            valkey_server::log_warning!("{why}");
            fail(&why)
        }
    }
}

const USAGE: &str = "\
Usage: valkey-server [/path/to/valkey.conf] [options] [-]
       valkey-server - (read the configuration from standard input)
       valkey-server -v or --version
       valkey-server -h or --help
       valkey-server --test-memory <megabytes>
       valkey-server --check-system

Examples:
       valkey-server (with the default configuration)
       echo 'maxmemory 128mb' | valkey-server -
       valkey-server /etc/valkey/6379.conf
       valkey-server --port 7777
       valkey-server --port 7777 --replicaof 127.0.0.1 8888
       valkey-server /etc/myvalkey.conf --loglevel verbose -
";
