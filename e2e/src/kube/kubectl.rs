//! kubectl, bound to one cluster and one namespace.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::command::run;
use crate::wait::try_until;

/// kubectl in one namespace.
#[derive(Clone, Debug)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    namespace: String,
}

impl Kubectl {
    /// For the cluster that `kubeconfig` leads to.
    pub fn new(kubeconfig: &Path, namespace: &str) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), namespace: namespace.to_owned() }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Runs kubectl and returns what it printed.
    ///
    /// # Errors
    /// kubectl failed; the text holds its own.
    pub fn run(&self, args: &[&str]) -> Result<String, String> {
        self.run_with(args, "")
    }

    /// Applies manifests given as text, YAML or JSON.
    ///
    /// # Errors
    /// As for [`Kubectl::run`].
    pub fn apply(&self, manifests: &str) -> Result<(), String> {
        self.run_with(&["apply", "-f", "-"], manifests).map(drop)
    }

    /// `kubectl get … -o json`.
    ///
    /// # Errors
    /// As for [`Kubectl::run`].
    pub fn get(&self, what: &[&str]) -> Result<Value, String> {
        let args: Vec<&str> = [&["get", "-o", "json"], what].concat();
        serde_json::from_str(&self.run(&args)?).map_err(|error| error.to_string())
    }

    /// Asks for an object until `probe` is content with it. Several names of one kind make a list with `items`.
    ///
    /// # Errors
    /// `limit` has passed; the last reason that `probe` or kubectl gave.
    pub fn wait<T>(
        &self,
        title: &str,
        limit: Duration,
        what: &[&str],
        mut probe: impl FnMut(&Value) -> Result<T, String>,
    ) -> Result<T, String> {
        try_until(title, limit, || probe(&self.get(what)?))
    }

    /// Waits for a condition as `kubectl wait` does, which returns as soon as the object says so.
    ///
    /// # Errors
    /// As for [`Kubectl::run`].
    pub fn wait_for(&self, condition: &str, what: &str, limit: Duration) -> Result<(), String> {
        let (condition, limit) = (format!("--for={condition}"), format!("--timeout={}s", limit.as_secs()));
        self.run(&["wait", &condition, what, &limit]).map(drop)
    }

    fn run_with(&self, args: &[&str], input: &str) -> Result<String, String> {
        let args: Vec<&str> = [&["--namespace", &self.namespace, "--request-timeout=30s"], args].concat();
        // These keep a request open on purpose.
        let args: Vec<&str> = if matches!(args.get(3), Some(&("wait" | "exec" | "rollout" | "delete"))) {
            args.into_iter().filter(|a| !a.starts_with("--request-timeout")).collect()
        } else {
            args
        };
        run("kubectl", &args, &[("KUBECONFIG", OsStr::new(&self.kubeconfig))], input)
    }
}
