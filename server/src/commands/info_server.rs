//! INFO server, cpu, cluster and keyspace.

use std::fmt::Write;

use super::info::{Part, View, fields};
use crate::net::listener::Kind as ListenerKind;
use crate::scripting::vm::Kind;
use crate::server::{REDIS_VERSION, VALKEY_VERSION};

/// `# Server`
pub const SERVER: &[Part] = &[
    fields! {
        redis_version: |_| REDIS_VERSION,
        server_name: |_| "valkey",
        valkey_version: |_| VALKEY_VERSION,
        valkey_release_stage: |_| "ga",
        valkey_repl_version: |_| env!("CARGO_PKG_VERSION"),
        redis_git_sha1: |_| "00000000",
        redis_git_dirty: |_| 0,
        redis_build_id: |_| build_id(),
        redis_mode: |v| v.server.config.extended_redis_compatibility.then_some("standalone"),
        server_mode: |v| (!v.server.config.extended_redis_compatibility).then_some("standalone"),
        os: |_| operating_system(),
        arch_bits: |_| usize::BITS,
        monotonic_clock: |_| "POSIX clock_gettime",
        multiplexing_api: |_| "epoll",
        // As Valkey shows what no GCC compiled.
        gcc_version: |_| "0.0.0",
        process_id: |_| std::process::id(),
        process_supervised: |_| crate::supervisor::name(),
        run_id: |v| v.server.run_id.as_str(),
        tcp_port: |v| v.server.config.port,
        server_time_usec: |_| crate::sys::unix_us(),
        uptime_in_seconds: |v| uptime(v),
        uptime_in_days: |v| uptime(v) / 86400,
        hz: |v| v.server.config.hz,
        configured_hz: |v| v.server.config.hz,
        clients_hz: |v| v.server.config.hz,
        lru_clock: |v| (v.server.now_ms() / 1000) & 0xff_ffff,
        executable: |_| std::env::current_exe().map(|p| p.display().to_string()).ok(),
        config_file: |v| v.server.config_file.as_ref().map_or_else(String::new, |p| p.display().to_string()),
        io_threads_active: |_| 0,
        availability_zone: |v| String::from_utf8_lossy(&v.server.config.availability_zone).into_owned(),
        shutdown_in_milliseconds: |v| {
            v.server.shutdown.as_ref().map(|s| s.deadline.saturating_sub(v.server.now_ms()).max(0))
        },
    },
    Part::Lines(listeners),
];

/// `# CPU`
pub const CPU: &[Part] = &[fields! {
    used_cpu_sys: |_| seconds(crate::sys::cpu_seconds()[0].1),
    used_cpu_user: |_| seconds(crate::sys::cpu_seconds()[0].0),
    used_cpu_sys_children: |_| seconds(crate::sys::cpu_seconds()[1].1),
    used_cpu_user_children: |_| seconds(crate::sys::cpu_seconds()[1].0),
    used_cpu_sys_main_thread: |_| seconds(crate::sys::thread_cpu_seconds().1),
    used_cpu_user_main_thread: |_| seconds(crate::sys::thread_cpu_seconds().0),
    used_active_time_main_thread: |v| seconds(v.server.stats.turns.busy_us as f64 / 1e6),
}];

/// `# Cluster`
pub const CLUSTER: &[Part] = &[fields! {
    cluster_enabled: |_| 0,
}];

/// `# Scripting Engines`
pub const ENGINES: &[Part] = &[
    fields! {
        engines_count: |_| 1,
        engines_total_used_memory: |v| v.vm(Kind::Eval) + v.vm(Kind::Functions),
        engines_total_memory_overhead: |_| size_of::<crate::scripting::Scripting>(),
    },
    Part::Lines(engine),
];

/// `# Keyspace`
pub const KEYSPACE: &[Part] = &[Part::Lines(databases)];

/// Tells builds apart, as a number made of what went into them.
fn build_id() -> String {
    let built = concat!(env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_NAME"), env!("CARGO_PKG_RUST_VERSION"));
    format!("{:x}", crate::persistence::rdb::crc64::checksum(built.as_bytes()))
}

fn engine(view: &View<'_>, out: &mut String) {
    let (used, overhead) = (view.vm(Kind::Eval) + view.vm(Kind::Functions), size_of::<crate::scripting::Scripting>());
    let _ = write!(
        out,
        "engine_0:name=LUA,module=built-in,abi_version=0,used_memory={used},memory_overhead={overhead}\r\n"
    );
}

fn operating_system() -> String {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    format!("{} {} {}", text(name.sysname()), text(name.release()), text(name.machine()))
}

fn uptime(view: &View<'_>) -> i64 {
    (view.server.now_ms() - view.server.start_ms) / 1000
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.6}")
}

fn listeners(view: &View<'_>, out: &mut String) {
    let config = &view.server.config;
    let mut n = 0;
    let kinds = [
        (ListenerKind::Tcp, "tcp"),
        (ListenerKind::Unix, "unix"),
        (ListenerKind::Tls, "tls"),
        (ListenerKind::Metrics, "metrics"),
    ];
    for (kind, name) in kinds {
        if !view.server.listeners.iter().any(|l| l.kind == kind) {
            continue;
        }
        let _ = write!(out, "listener{n}:name={name}");
        n += 1;
        if kind == ListenerKind::Unix {
            let _ = write!(out, ",bind={}", String::from_utf8_lossy(&config.unixsocket));
        } else {
            for address in &config.bind {
                let _ = write!(out, ",bind={}", String::from_utf8_lossy(address));
            }
            let port = match kind {
                ListenerKind::Tcp => config.port,
                ListenerKind::Tls => config.tls_port,
                _ => config.metrics_port,
            };
            let _ = write!(out, ",port={port}");
        }
        out.push_str("\r\n");
    }
}

fn databases(view: &View<'_>, out: &mut String) {
    for db in view.server.keyspace.dbs().iter().filter(|db| !db.is_empty()) {
        let _ = write!(
            out,
            "db{}:keys={},expires={},avg_ttl={},keys_with_volatile_items={}\r\n",
            db.id(),
            db.len(),
            db.expires_len(),
            db.average_ttl(),
            db.fields_len()
        );
    }
}
