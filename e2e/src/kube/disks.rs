//! Disks that are small enough to be filled.

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::kubectl::Kubectl;

/// The storage class of the volumes on them.
const CLASS: &str = "small";
/// Where each node has its disk.
const PATH: &str = "/mnt/small";
/// A file that takes the room away.
const BALLAST: &str = "/mnt/small/ballast";

/// A small disk on each of some nodes, with a volume on it.
#[derive(Debug)]
pub struct SmallDisks<'c> {
    cluster: &'c Cluster,
    kubectl: Kubectl,
    nodes: Vec<String>,
}

impl<'c> SmallDisks<'c> {
    pub(super) fn make(cluster: &'c Cluster, nodes: Vec<String>) -> Result<Self, String> {
        let disks = Self { cluster, kubectl: cluster.kubectl("default"), nodes };
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": CLASS},
            "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer",
        });
        disks.kubectl.apply(&class.to_string())?;
        for node in &disks.nodes {
            // One that an earlier run has left holds that run's data.
            let mount = format!(
                "mkdir -p {PATH}; while mountpoint -q {PATH}; do umount {PATH}; done; mount -t tmpfs -o size=64m,mode=0777 tmpfs {PATH}"
            );
            cluster.on_node(node, &["sh", "-c", &mount])?;
            disks.kubectl.apply(&volume(node).to_string())?;
        }
        Ok(disks)
    }

    /// Takes all room on a node's disk.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub fn fill(&self, node: &str) -> Result<(), String> {
        // It ends when nothing is left, with an error.
        let script = format!("dd if=/dev/zero of={BALLAST} bs=1M; cat /dev/zero >>{BALLAST}; test -s {BALLAST}");
        self.cluster.on_node(node, &["sh", "-c", &script]).map(drop)
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub fn clear(&self, node: &str) -> Result<(), String> {
        self.cluster.on_node(node, &["rm", "-f", BALLAST]).map(drop)
    }
}

impl Drop for SmallDisks<'_> {
    fn drop(&mut self) {
        let _ = self.kubectl.run(&["delete", "storageclass", CLASS, "--ignore-not-found"]);
        for node in &self.nodes {
            let _ = self.kubectl.run(&["delete", "pv", &name(node), "--ignore-not-found", "--wait=false"]);
            let _ = self.cluster.on_node(node, &["umount", "--lazy", PATH]);
        }
    }
}

fn name(node: &str) -> String {
    format!("small-{node}")
}

fn volume(node: &str) -> Value {
    let here = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name(node)},
        "spec": {
            "capacity": {"storage": "64Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Retain", "local": {"path": PATH},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    })
}
