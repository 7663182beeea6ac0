//! The operator as a plain process, with the rights that the chart gives it, at a bare API server.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::api_server::{ApiServer, definition};
use super::kubectl::Kubectl;
use crate::programs::{self, root};

const NAMESPACE: &str = "valkey-repl-system";
/// Lines of its log that a test which fails shows.
const LAST_WORDS: usize = 40;

/// An operator; dropping it kills it.
#[derive(Debug)]
pub struct Operator {
    process: Child,
    log: PathBuf,
}

impl Operator {
    /// Installs in the API server what the chart brings besides the operator itself: the definition, the rights. What it returns asks in the
    /// namespace of the test's own resources.
    ///
    /// # Errors
    /// The API server does not take it.
    pub fn prepare(server: &ApiServer) -> Result<Kubectl, String> {
        let kubectl = server.kubectl("default");
        kubectl.apply(&fs::read_to_string(definition()).map_err(text)?)?;
        kubectl.run(&["create", "namespace", NAMESPACE])?;
        kubectl.run(&["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"])?;
        let chart = root().join("charts").to_string_lossy().into_owned();
        let args = ["template", "valkey-repl", &chart, "--namespace", NAMESPACE, "--show-only", "templates/rbac.yaml"];
        server.kubectl(NAMESPACE).apply(&server.helm(&args)?)?;
        Ok(kubectl)
    }

    /// Starts one.
    ///
    /// # Errors
    /// The program is missing.
    pub fn start(server: &ApiServer) -> Result<Self, String> {
        let path = server.path("operator.log");
        let log = File::create(&path).map_err(text)?;
        let program = programs::ours("valkey-operator", "valkey-operator").map_err(text)?;
        let mut command = Command::new(program);
        command.args(["run", "--identity", "one", "--namespace", NAMESPACE, "--http-address", "127.0.0.1:0"]);
        command.env("KUBECONFIG", server.operator_kubeconfig()).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(text)?).stderr(log);
        Ok(Self { process: command.spawn().map_err(text)?, log: path })
    }

    /// Processor time so far, in seconds.
    ///
    /// # Errors
    /// It has ended.
    pub fn cpu(&self) -> Result<f64, String> {
        let stat = self.of_process("stat")?;
        // Its name may hold anything, a bracket too.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().map_err(text));
        Ok(ticks.sum::<Result<f64, String>>()? / rustix::param::clock_ticks_per_second() as f64)
    }

    /// What it holds in memory, in KiB.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory(&self) -> Result<u64, String> {
        let status = self.of_process("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("it has no memory")?;
        line.trim().trim_end_matches(" kB").parse().map_err(text)
    }

    fn of_process(&self, file: &str) -> Result<String, String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).map_err(text)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n"));
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
