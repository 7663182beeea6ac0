//! A bare API server: etcd and kube-apiserver as plain processes. No kubelet runs in it, so pods are what a test says they are.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::command::run;
use super::kubectl::Kubectl;
use crate::wait::try_until;

/// How long the start may take.
const PATIENCE: Duration = Duration::from_secs(240);
/// The user that everything is recorded of, with the rights of the chart's service account.
const OPERATOR: &str = "system:serviceaccount:valkey-repl-system:valkey-repl";

/// A running API server. Dropping it ends it.
#[derive(Debug)]
pub struct ApiServer {
    dir: TempDir,
    // In the order in which they are to end.
    processes: Vec<Child>,
}

/// One request of the operator's.
#[derive(Clone, Debug)]
pub struct Request {
    /// `get`, `patch` and so on.
    pub verb: String,
    /// The plural of the kind that it is about; nothing where it is about none.
    pub resource: String,
    /// The object that it is about; nothing where it is about none or many.
    pub name: String,
}

/// What it takes, and what those who test with it install the operator with.
const TOOLS: [&str; 5] = ["etcd", "kube-apiserver", "kubectl", "openssl", "helm"];

impl ApiServer {
    /// Starts one; `Ok(None)`: the programs that it takes are not on this machine.
    ///
    /// # Errors
    /// It does not come up; the text ends with its log.
    pub fn start() -> Result<Option<Self>, String> {
        for tool in TOOLS {
            let there = std::env::var_os("PATH")
                .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(tool).is_file()));
            if !there {
                eprintln!("skipped: it needs {}, and {tool} is missing", TOOLS.join(", "));
                return Ok(None);
            }
        }
        let dir = tempfile::Builder::new().prefix("valkey-api-").tempdir().map_err(text)?;
        let mut server = Self { dir, processes: Vec::new() };
        let [etcd, peers, api] = free_ports()?;
        server.write_files(api)?;
        let (etcd, peers) = (format!("http://127.0.0.1:{etcd}"), format!("http://127.0.0.1:{peers}"));
        let data = server.path("etcd");
        server.spawn(
            "etcd",
            &[
                &format!("--data-dir={}", data.display()),
                &format!("--listen-client-urls={etcd}"),
                &format!("--advertise-client-urls={etcd}"),
                &format!("--listen-peer-urls={peers}"),
                &format!("--initial-advertise-peer-urls={peers}"),
                &format!("--initial-cluster=default={peers}"),
                "--unsafe-no-fsync",
                "--quota-backend-bytes=4294967296",
            ],
        )?;
        let path = |name: &str| server.path(name).display().to_string();
        let arguments = [
            format!("--etcd-servers={etcd}"),
            format!("--secure-port={api}"),
            "--bind-address=127.0.0.1".to_owned(),
            // Nobody looks for it by its Service, and it is not to look for a network.
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--cert-dir={}", path("certificates")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", path("key.pem")),
            format!("--service-account-signing-key-file={}", path("key.pem")),
            "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
            format!("--token-auth-file={}", path("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            // Nobody makes the service accounts that it would look for.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            format!("--audit-policy-file={}", path("audit.yaml")),
            format!("--audit-log-path={}", path("audit.log")),
        ];
        server.spawn("kube-apiserver", &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        let kubectl = server.kubectl("default");
        let ready = try_until("the API server", PATIENCE, || match server.processes[0].try_wait() {
            Ok(None) => kubectl.run(&["get", "--raw", "/readyz"]).map(|_| Ok(())),
            ended => Ok(Err(format!("kube-apiserver has ended: {ended:?}"))),
        });
        let ready = ready.and_then(|ended| ended);
        let log = || fs::read_to_string(server.path("kube-apiserver.log")).unwrap_or_default();
        ready.map_err(|why| format!("{why}\n{}", log().lines().rev().take(5).collect::<Vec<_>>().join("\n")))?;
        Ok(Some(server))
    }

    /// kubectl as an administrator.
    pub fn kubectl(&self, namespace: &str) -> Kubectl {
        Kubectl::new(&self.path("admin.json"), namespace)
    }

    /// The kubeconfig of the operator: what it may do is up to the chart.
    pub fn operator_kubeconfig(&self) -> PathBuf {
        self.path("operator.json")
    }

    /// helm as an administrator.
    ///
    /// # Errors
    /// helm failed.
    pub fn helm(&self, args: &[&str]) -> Result<String, String> {
        run("helm", args, &[("KUBECONFIG", OsStr::new(&self.path("admin.json")))], "")
    }

    /// What the operator has asked for so far.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>, String> {
        let log = match fs::read_to_string(self.path("audit.log")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            log => log.map_err(text)?,
        };
        let word = |event: &serde_json::Value, at: &str| event.pointer(at)?.as_str().map(str::to_owned);
        let request = |line: &str| {
            let event = serde_json::from_str(line).ok()?;
            let of_object = |field| word(&event, field).unwrap_or_default();
            Some(Request {
                verb: word(&event, "/verb")?,
                resource: of_object("/objectRef/resource"),
                name: of_object("/objectRef/name"),
            })
        };
        Ok(log.lines().filter_map(request).collect())
    }

    /// A file of this server's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_files(&self, port: u16) -> Result<(), String> {
        let key = run("openssl", &["genrsa", "2048"], &[], "")?;
        let tokens = format!("admin,admin,1,\"system:masters\"\noperator,{OPERATOR},2,\"system:serviceaccounts\"\n");
        let audit = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"],
            "rules": [{"level": "Metadata", "users": [OPERATOR]}, {"level": "None"}],
        });
        let files = [("key.pem", key), ("tokens.csv", tokens), ("audit.yaml", audit.to_string())];
        let configs = ["admin", "operator"].map(|user| {
            let config = json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "it",
                "clusters": [{"name": "it", "cluster": {
                    "server": format!("https://127.0.0.1:{port}"), "insecure-skip-tls-verify": true}}],
                "users": [{"name": user, "user": {"token": user}}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": user}}],
            });
            (user, config.to_string())
        });
        for (name, contents) in files {
            fs::write(self.path(name), contents).map_err(text)?;
        }
        for (user, config) in configs {
            fs::write(self.path(&format!("{user}.json")), config).map_err(text)?;
        }
        Ok(())
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let log = File::create(self.path(&format!("{program}.log"))).map_err(text)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().map_err(text)?).stderr(log);
        let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        self.processes.insert(0, child);
        Ok(())
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> Result<[u16; N], String> {
    let held: Vec<_> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>().map_err(text)?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr().map_err(text)?.port();
    }
    Ok(ports)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// The definition of the resource, as it is shipped.
pub fn definition() -> PathBuf {
    Path::new(crate::programs::root()).join("crds/valkeyreplications.yaml")
}
