//! The client libraries that people use, each driven by a small program in its own language ([`e2e/clients`](../clients)), and
//! valkey-benchmark with all its tests. A language whose tools this machine lacks is left out, with a line that says so.

use std::io::Write;
use std::process::Command;

use valkey_repl_e2e::programs;
use valkey_repl_e2e::server::{Program, Server};

/// What run.sh ends with where something is missing.
const SKIPPED: i32 = 77;

fn works_with(language: &str) {
    let server = Server::start(Program::Ours, &[""; 0]).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/run.sh");
    let output = Command::new(script).args([language, &server.port().to_string()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(SKIPPED) {
        // Past the test runner, which keeps to itself what a test prints that passes.
        let _ = write!(std::io::stderr(), "{text}");
        return;
    }
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("scripts: ok"), "it went through to the end:\n{text}");
}

#[test]
fn redis_py() {
    works_with("python");
}

#[test]
fn ioredis() {
    works_with("node");
}

#[test]
fn go_redis() {
    works_with("go");
}

#[test]
fn jedis() {
    works_with("java");
}

#[test]
fn redis_rs() {
    works_with("rust");
}

#[test]
fn valkey_benchmark_with_all_its_tests() {
    let server = Server::start(Program::Ours, &[""; 0]).unwrap();
    let program = programs::peer("valkey-9.1", "valkey-benchmark").unwrap();
    for options in [&["-P", "4"][..], &["-3", "--threads", "2"]] {
        let port = server.port().to_string();
        let common = ["-p", &port, "-n", "1000", "-c", "10", "-r", "1000", "--csv"];
        let output = Command::new(&program).args(common).args(options).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && output.stderr.is_empty(), "{text}{output:?}");
        // A line for each, after the one that names the columns.
        assert!(text.starts_with("\"test\",\"rps\"") && !text.contains("rror"), "{text}");
        for test in ["PING_MBULK", "INCR", "RPOP", "SADD", "HSET", "SPOP", "ZPOPMIN", "LRANGE_600", "MSET", "XADD"] {
            assert!(text.lines().any(|line| line.starts_with(&format!("\"{test}"))), "{test} in\n{text}");
        }
    }
}
