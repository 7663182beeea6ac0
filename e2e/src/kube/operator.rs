//! The operator as a plain process, with the rights that the chart gives it, at a bare API server.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::api_server::{ApiServer, definition};
use super::kubectl::Kubectl;
use crate::programs::{self, root};

const NAMESPACE: &str = "valkey-repl-system";

/// An operator; dropping it kills it.
#[derive(Debug)]
pub struct Operator(Child);

impl Operator {
    /// Installs in the API server what the chart brings besides the operator itself: the definition, the rights. What it returns asks in the
    /// namespace of the test's own resources.
    ///
    /// # Errors
    /// The API server does not take it.
    pub fn prepare(server: &ApiServer) -> Result<Kubectl, String> {
        let kubectl = server.kubectl("default");
        kubectl.apply(&fs::read_to_string(definition()).map_err(|error| error.to_string())?)?;
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
        let program = programs::ours("valkey-operator", "valkey-operator").map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(["run", "--identity", "one", "--namespace", NAMESPACE, "--http-address", "127.0.0.1:0"]);
        command.env("KUBECONFIG", server.operator_kubeconfig());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.map(Self).map_err(|error| error.to_string())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
