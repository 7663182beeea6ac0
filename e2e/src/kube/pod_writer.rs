//! The writer of `crate::writer`, running in a pod and asked through `kubectl exec`.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::json;

use super::cluster::Cluster;
use super::kubectl::Kubectl;
use crate::ledger::{Status, Verdict};
use crate::wait::try_until;

const POD: &str = "writer";
/// How long a verdict on the writes may be out of reach.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(30);

/// A writer in a pod.
#[derive(Debug)]
pub struct PodWriter {
    kubectl: Kubectl,
}

impl Drop for PodWriter {
    /// The writer of a test that failed does not go on beside the next test.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.kubectl.run(&["delete", "pod", POD, "--wait=false"]);
        }
    }
}

impl PodWriter {
    /// Starts the pod on `node`; it writes to `address` with the password from a Secret's key and goes on until the pod is deleted.
    ///
    /// # Errors
    /// The pod does not come up.
    pub fn start(kubectl: &Kubectl, node: &str, address: &str, secret: (&str, &str)) -> Result<Self, String> {
        let (secret, key) = secret;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD},
            "spec": {
                // Set here and not by the scheduler, so that the control plane's taint does not matter.
                "nodeName": node,
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": POD, "image": Cluster::image("e2e"), "imagePullPolicy": "IfNotPresent",
                    "args": ["run", address, "w"],
                    "env": [{"name": "WRITER_PASSWORD", "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}],
                    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        });
        kubectl.apply(&pod.to_string())?;
        kubectl.wait_for("condition=Ready", "pod/writer", Duration::from_secs(60))?;
        let writer = Self { kubectl: kubectl.clone() };
        writer.wait("the first writes", Duration::from_secs(60), |status| status.answered > 0)?;
        Ok(writer)
    }

    /// The figures.
    ///
    /// # Errors
    /// The pod cannot be asked.
    pub fn status(&self) -> Result<Status, String> {
        self.ask_writer(&["status"])
    }

    /// Starts to measure gaps anew.
    ///
    /// # Errors
    /// As for [`PodWriter::status`].
    pub fn mark(&self) -> Result<Status, String> {
        self.ask_writer(&["mark"])
    }

    /// Looks up every answered write, at the address written to or at another.
    ///
    /// Asked again while no verdict comes: right after a failover the cluster's DNS servers do not all know the name's new address, and a
    /// connection that the writer has tells nothing of the next one.
    ///
    /// # Errors
    /// As for [`PodWriter::status`]; also when that server cannot be asked for [`LOOKED_UP_WITHIN`].
    pub fn verify(&self, address: Option<&str>) -> Result<Verdict, String> {
        let words: Vec<&str> = ["verify"].into_iter().chain(address).collect();
        try_until("the writes to be looked up", LOOKED_UP_WITHIN, || self.ask_writer(&words))
    }

    /// Waits until the figures are as wanted.
    ///
    /// # Errors
    /// `limit` has passed; the last figures.
    pub fn wait(&self, what: &str, limit: Duration, wanted: impl Fn(&Status) -> bool) -> Result<Status, String> {
        try_until(what, limit, || {
            let status = self.status()?;
            if wanted(&status) { Ok(status) } else { Err(format!("{status:?}")) }
        })
    }

    /// Waits until writes go through that were sent after now.
    ///
    /// # Errors
    /// As for [`PodWriter::wait`].
    pub fn wait_for_writes(&self, limit: Duration) -> Result<Status, String> {
        let before = self.status()?.answered;
        self.wait("writes to go through", limit, |status| status.answered > before + 20 && status.idle_ms < 1000)
    }

    /// Sends one command to a server from inside the cluster and returns the reply's text.
    ///
    /// # Errors
    /// The server cannot be reached or answered with an error.
    pub fn ask(&self, address: &str, command: &[&str]) -> Result<String, String> {
        self.exec(&[&["ask", address], command].concat())
    }

    fn ask_writer<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T, String> {
        let text = self.exec(words)?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }

    fn exec(&self, words: &[&str]) -> Result<String, String> {
        self.kubectl.run(&[&["exec", POD, "--", "writer"], words].concat())
    }
}
