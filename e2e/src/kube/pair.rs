//! One `ValkeyReplication` under test: its status, its pods, its servers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::cluster::{Cluster, items};
use super::kubectl::Kubectl;
use super::pod_writer::PodWriter;

/// The Valkey port.
const PORT: u16 = 6379;
/// The label with the resource's name, on every pod of it.
const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// A pod, as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Told anew for each pod of that name.
    pub uid: String,
    /// The node that it runs on.
    pub node: String,
    /// Its address; empty while it has none.
    pub ip: String,
    /// Whether it is ready.
    pub ready: bool,
}

impl Pod {
    /// `address:port` of its server.
    pub fn address(&self) -> String {
        format!("{}:{PORT}", self.ip)
    }

    pub(super) fn read(pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ready = pod["status"]["conditions"]
            .as_array()
            .is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
        Self {
            name: text(&pod["metadata"]["name"]),
            uid: text(&pod["metadata"]["uid"]),
            node: text(&pod["spec"]["nodeName"]),
            ip: text(&pod["status"]["podIP"]),
            ready,
        }
    }
}

/// A resource in a namespace of its own.
#[derive(Debug)]
pub struct Pair<'c> {
    /// The cluster.
    pub cluster: &'c Cluster,
    /// kubectl in the resource's namespace.
    pub kubectl: Kubectl,
    name: String,
}

impl<'c> Pair<'c> {
    /// Applies a manifest with the resource `name` in a fresh namespace and waits until it is ready.
    ///
    /// # Errors
    /// It does not become ready; the text ends with what the resource, its pods and its events say.
    pub fn create(cluster: &'c Cluster, namespace: &str, name: &str, manifest: &str) -> Result<Self, String> {
        let kubectl = cluster.fresh_namespace(namespace)?;
        kubectl.apply(manifest)?;
        let pair = Self { cluster, kubectl, name: name.to_owned() };
        pair.wait_ready(Duration::from_secs(120))?;
        Ok(pair)
    }

    /// Waits as a user does: `kubectl wait --for=condition=Ready vkr/NAME`.
    ///
    /// # Errors
    /// As for [`Pair::create`].
    pub fn wait_ready(&self, limit: Duration) -> Result<(), String> {
        let waited = self.kubectl.wait_for("condition=Ready", &format!("vkr/{}", self.name), limit);
        waited.map_err(|error| format!("{error}\n{}", self.report()))
    }

    /// Waits until every replica can take over.
    ///
    /// # Errors
    /// As for [`Pair::create`].
    pub fn wait_in_step(&self, limit: Duration) -> Result<(), String> {
        self.wait_ready(limit)?;
        let waited = self.kubectl.wait_for("condition=Degraded=False", &format!("vkr/{}", self.name), limit);
        waited.map_err(|error| format!("{error}\n{}", self.report()))
    }

    /// The resource's status.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn status(&self) -> Result<Value, String> {
        Ok(self.kubectl.get(&["vkr", &self.name])?["status"].clone())
    }

    /// The pods of its instances, by name.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn pods(&self) -> Result<BTreeMap<String, Pod>, String> {
        let list = self.kubectl.get(&["pods", &format!("--selector={INSTANCE_LABEL}={}", self.name)])?;
        Ok(items(&list).map(Pod::read).map(|pod| (pod.name.clone(), pod)).collect())
    }

    /// The pod that status names as the primary.
    ///
    /// # Errors
    /// There is none.
    pub fn primary(&self) -> Result<Pod, String> {
        let name = self.status()?["primary"].as_str().unwrap_or_default().to_owned();
        self.pods()?.remove(&name).ok_or_else(|| format!("status.primary is {name:?}, and there is no such pod"))
    }

    /// Waits until status names another primary than `old`.
    ///
    /// # Errors
    /// `limit` has passed.
    pub fn wait_for_other_primary(&self, old: &str, limit: Duration) -> Result<Pod, String> {
        let what = ["vkr", &self.name];
        let named =
            self.kubectl.wait("another primary", limit, &what, |object| match object["status"]["primary"].as_str() {
                Some(name) if !name.is_empty() && name != old => Ok(name.to_owned()),
                other => Err(format!("status.primary is {other:?}")),
            });
        let name = named.map_err(|error| format!("{error}\n{}", self.report()))?;
        self.pods()?.remove(&name).ok_or_else(|| format!("status.primary is {name:?}, and there is no such pod"))
    }

    /// Starts a writer that uses the resource as a client does: the Service `NAME-rw`, the Secret `NAME-auth`.
    /// It runs beside the control plane, where no test takes its node away.
    ///
    /// # Errors
    /// The writer's pod does not come up, or no write goes through.
    pub fn start_writer(&self) -> Result<PodWriter, String> {
        let address = format!("{}-rw:{PORT}", self.name);
        let node = self.cluster.control_plane()?;
        PodWriter::start(&self.kubectl, &node, &address, (&format!("{}-auth", self.name), "password"))
            .map_err(|error| format!("{error}\n{}", self.report()))
    }

    /// The fields of INFO of one instance, asked from inside the cluster.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn info(&self, writer: &PodWriter, pod: &Pod) -> Result<BTreeMap<String, String>, String> {
        let text = writer.ask(&pod.address(), &["INFO", "everything"])?;
        Ok(text.lines().filter_map(|l| l.trim_end().split_once(':')).map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// Waits until the pod `name` follows `primary` with its link up, and returns it as it is then.
    ///
    /// # Errors
    /// `limit` has passed; the text ends as for [`Pair::create`].
    pub fn wait_follows(&self, writer: &PodWriter, name: &str, primary: &Pod, limit: Duration) -> Result<Pod, String> {
        let followed = crate::wait::try_until(&format!("{name} to follow {}", primary.name), limit, || {
            let pod = self.pods()?.remove(name).filter(|pod| !pod.ip.is_empty()).ok_or("it has no pod")?;
            let info = self.info(writer, &pod)?;
            let field = |name: &str| info.get(name).map(String::as_str).unwrap_or_default();
            let host = field("master_host");
            if field("role") == "slave"
                && field("master_link_status") == "up"
                && (host == primary.ip || host.split('.').next() == Some(&primary.name))
            {
                Ok(pod)
            } else {
                Err(format!("role:{} master_host:{host} link:{}", field("role"), field("master_link_status")))
            }
        });
        followed.map_err(|error| format!("{error}\n{}", self.report()))
    }

    /// Deletes the namespace with all that is in it.
    ///
    /// # Errors
    /// It is not gone in time.
    pub fn delete(self) -> Result<(), String> {
        self.kubectl.run(&["delete", "namespace", self.kubectl.namespace(), "--timeout=120s"]).map(drop)
    }

    /// What a person would look at: the resource, its pods, its events and the operator's last words.
    pub fn report(&self) -> String {
        let operator = self.cluster.kubectl(super::cluster::OPERATOR_NAMESPACE);
        let parts = [
            self.kubectl.run(&["get", "vkr", &self.name, "-o", "yaml"]),
            self.kubectl.run(&["get", "pods,endpointslices", "-o", "wide"]),
            self.kubectl.run(&["get", "events", "--sort-by=.lastTimestamp"]),
            self.kubectl.run(&[
                "logs",
                "--prefix",
                "--tail=30",
                "--selector",
                &format!("{INSTANCE_LABEL}={}", self.name),
            ]),
            self.cluster
                .operator_deployment()
                .and_then(|d| operator.run(&["logs", "--all-pods", "--prefix", "--tail=40", &d])),
        ];
        parts.map(|part| part.unwrap_or_else(|error| error)).join("\n---\n")
    }
}
