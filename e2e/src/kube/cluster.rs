//! The kind cluster: bringing it up, loading images, installing the chart, losing nodes.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::command::run;
use super::disks::SmallDisks;
use super::kubectl::Kubectl;
use crate::programs::root;
use crate::wait::try_until;

/// The cluster's name. `make e2e` deletes a cluster of this name and nothing else.
pub const NAME: &str = "valkey-repl-e2e";
/// Where the operator is installed.
pub const OPERATOR_NAMESPACE: &str = "valkey-repl-system";
/// The real Valkey 9.1 and 8.1, as images that `e2e/images/stock.sh` has built.
pub const STOCK_IMAGES: [&str; 2] = ["valkey-repl/stock:9.1", "valkey-repl/stock:8.1"];
/// The chart's release, and the name of the operator's Deployment.
const RELEASE: &str = "valkey-repl";
/// How long a roll-out may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running cluster with the images loaded.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    /// Brings the cluster up, or takes the one that is up, and loads the images of this version into it.
    ///
    /// # Errors
    /// A tool is missing or failed; the text holds its own.
    pub fn up() -> Result<Self, String> {
        for tool in ["docker", "kind", "kubectl", "helm"] {
            run(tool, &[if tool == "docker" { "--version" } else { "version" }, "--help"], &[], "")
                .map_err(|error| format!("the kind tests need docker, kind, kubectl and helm: {error}"))?;
        }
        let kubeconfig = root().join(".cache/e2e/kubeconfig");
        std::fs::create_dir_all(root().join(".cache/e2e")).map_err(|error| error.to_string())?;
        let cluster = Self { kubeconfig };
        let path = cluster.kubeconfig.to_string_lossy().into_owned();
        if run("kind", &["get", "clusters"], &[], "")?.lines().any(|line| line == NAME) {
            run("kind", &["export", "kubeconfig", "--name", NAME, "--kubeconfig", &path], &[], "")?;
        } else {
            let nodes = root().join("e2e/kind/nodes.yaml").to_string_lossy().into_owned();
            let mut args = vec!["create", "cluster", "--name", NAME, "--config", &nodes, "--kubeconfig", &path];
            let image = std::env::var("KIND_NODE_IMAGE").unwrap_or_default();
            if !image.is_empty() {
                args.extend(["--image", &image]);
            }
            run("kind", &args, &[], "")?;
        }
        cluster.load_images()?;
        let kubectl = cluster.kubectl("kube-system");
        kubectl.run(&["wait", "node", "--all", "--for=condition=Ready", "--timeout=180s"])?;
        kubectl.run(&["rollout", "status", "deploy/coredns", "--timeout=180s"])?;
        Ok(cluster)
    }

    /// The reference of one of our images, `server`, `operator` or `e2e`, in the version under test.
    pub fn image(which: &str) -> String {
        format!("valkey-repl/{which}:{}", env!("CARGO_PKG_VERSION"))
    }

    /// kubectl in a namespace of this cluster.
    pub fn kubectl(&self, namespace: &str) -> Kubectl {
        Kubectl::new(&self.kubeconfig, namespace)
    }

    /// Makes a namespace that enforces the restricted Pod Security Standard; one that is left of an earlier run goes first.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn fresh_namespace(&self, name: &str) -> Result<Kubectl, String> {
        let kubectl = self.kubectl(name);
        kubectl.run(&["delete", "namespace", name, "--ignore-not-found", "--timeout=120s"])?;
        kubectl.apply(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {
                "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}}})
            .to_string(),
        )?;
        Ok(kubectl)
    }

    /// Installs the chart, or upgrades it to what stands in the working tree, and waits until the operator is ready.
    /// Its pods are kept on the control plane's node, so that a test that loses a worker loses what it means to lose.
    ///
    /// # Errors
    /// helm or kubectl failed.
    pub fn install_chart(&self, settings: &[&str]) -> Result<Kubectl, String> {
        let chart = root().join("charts").to_string_lossy().into_owned();
        let place = [
            format!("nodeSelector={}", json!({CONTROL_PLANE: ""})),
            format!("tolerations={}", json!([{"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"}])),
        ];
        let mut args =
            vec!["upgrade", "--install", RELEASE, &chart, "--create-namespace", "--wait", "--timeout", "180s"];
        args.extend(["--namespace", OPERATOR_NAMESPACE]);
        settings.iter().for_each(|setting| args.extend(["--set", setting]));
        place.iter().for_each(|setting| args.extend(["--set-json", setting]));
        self.helm(&args)?;
        let kubectl = self.kubectl(OPERATOR_NAMESPACE);
        kubectl.run(&["rollout", "status", &self.operator_deployment()?, "--timeout=180s"])?;
        Ok(kubectl)
    }

    /// Starts the operators anew, from the images as they are on the nodes now.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn restart_operators(&self) -> Result<(), String> {
        let (kubectl, deployment) = (self.kubectl(OPERATOR_NAMESPACE), self.operator_deployment()?);
        kubectl.run(&["rollout", "restart", &deployment])?;
        kubectl.run(&["rollout", "status", &deployment, "--timeout=180s"]).map(drop)
    }

    /// The operator's Deployment as `deployment/NAME`: the only one of the release.
    ///
    /// # Errors
    /// The chart is not installed.
    pub fn operator_deployment(&self) -> Result<String, String> {
        let all = self.kubectl(OPERATOR_NAMESPACE).get(&["deployments"])?;
        let name = all["items"][0]["metadata"]["name"].as_str();
        name.map(|name| format!("deployment/{name}")).ok_or_else(|| "the operator is not installed".to_owned())
    }

    /// The operator's pod that holds the leader Lease.
    ///
    /// # Errors
    /// Nobody holds it within the time allowed.
    pub fn operator_leader(&self) -> Result<String, String> {
        let kubectl = self.kubectl(OPERATOR_NAMESPACE);
        try_until("an operator to lead", PATIENCE, || {
            let pods = kubectl.get(&["pods"])?;
            let leases = kubectl.get(&["leases"])?;
            let holders: Vec<&str> =
                items(&leases).filter_map(|lease| lease["spec"]["holderIdentity"].as_str()).collect();
            items(&pods)
                .filter_map(|pod| pod["metadata"]["name"].as_str())
                .find(|pod| holders.iter().any(|holder| holder.starts_with(pod)))
                .map(str::to_owned)
                .ok_or_else(|| format!("the Leases are held by {holders:?}"))
        })
    }

    /// Runs helm.
    ///
    /// # Errors
    /// helm failed; the text holds its own.
    pub fn helm(&self, args: &[&str]) -> Result<String, String> {
        run("helm", args, &[("KUBECONFIG", OsStr::new(&self.kubeconfig))], "")
    }

    /// Runs a command on a node.
    ///
    /// # Errors
    /// The command failed.
    pub fn on_node(&self, node: &str, command: &[&str]) -> Result<String, String> {
        run("docker", &[&["exec", node], command].concat(), &[], "")
    }

    /// The node that Kubernetes itself runs on.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn control_plane(&self) -> Result<String, String> {
        let nodes = self.kubectl("default").get(&["nodes", &format!("--selector={CONTROL_PLANE}")])?;
        nodes["items"][0]["metadata"]["name"].as_str().map(str::to_owned).ok_or_else(|| "no control plane".to_owned())
    }

    /// Freezes every process on a node, kubelet and all, until the guard is dropped or asked to go on.
    ///
    /// # Errors
    /// docker failed.
    pub fn pause(&self, node: &str) -> Result<PausedNode, String> {
        run("docker", &["pause", node], &[], "")?;
        Ok(PausedNode { node: Some(node.to_owned()) })
    }

    /// Takes the power off a node, until the guard is dropped or asked to give it back.
    ///
    /// # Errors
    /// docker failed.
    pub fn power_off(&self, node: &str) -> Result<DarkNode, String> {
        run("docker", &["kill", node], &[], "")?;
        Ok(DarkNode { node: Some(node.to_owned()) })
    }

    /// Kills the process `program` of a pod from outside, as the kernel's OOM killer would: kubelet is not asked.
    ///
    /// # Errors
    /// The pod runs no such process.
    pub fn kill_process(&self, pod: &super::Pod, program: &str) -> Result<(), String> {
        // A pod's processes are told from others by its UID in the name of their control group; systemd writes it with `_`.
        let uid = pod.uid.replace('-', "[-_]");
        let script = format!(
            "for p in /proc/[0-9]*; do if [ \"$(cat $p/comm 2>/dev/null)\" = {program} ] && grep -q '{uid}' $p/cgroup; \
             then kill -9 ${{p#/proc/}} && found=1; fi; done; [ -n \"${{found:-}}\" ]"
        );
        self.on_node(&pod.node, &["sh", "-c", &script])
            .map(drop)
            .map_err(|error| format!("no process {program} of {} killed: {error}", pod.name))
    }

    /// Lets no packet pass between a pod and these others, in either direction, until the guard is dropped.
    ///
    /// # Errors
    /// iptables on the pod's node failed.
    pub fn cut(&self, pod: &super::Pod, others: &[&super::Pod]) -> Result<Cut, String> {
        let mut cut = Cut { node: pod.node.clone(), rules: Vec::new() };
        for other in others {
            for (from, to) in [(&pod.ip, &other.ip), (&other.ip, &pod.ip)] {
                self.drop_packets(&mut cut, IPV4, &["FORWARD", "--source", from, "--destination", to])?;
            }
        }
        Ok(cut)
    }

    /// Lets nothing on a node reach the API server until the guard is dropped; the node's pods go on reaching each other and are reached.
    ///
    /// # Errors
    /// iptables on the node failed.
    pub fn cut_from_api_server(&self, node: &str) -> Result<Cut, String> {
        let mut cut = Cut { node: node.to_owned(), rules: Vec::new() };
        // kind's nodes know it by both: with one of them alone, kubelet is back by the other within a minute.
        for family in [IPV4, IPV6] {
            for chain in ["OUTPUT", "FORWARD"] {
                self.drop_packets(&mut cut, family, &[chain, "--protocol", "tcp", "--destination-port", API_PORT])?;
            }
        }
        Ok(cut)
    }

    /// Drops the packets that fit, as one more part of a cut.
    fn drop_packets(&self, cut: &mut Cut, family: &'static str, which: &[&str]) -> Result<(), String> {
        let rule = [which, &["--jump", "DROP"]].concat();
        self.on_node(&cut.node, &[&[family, "--insert"], &rule[..]].concat())?;
        cut.rules.push((family, rule.into_iter().map(str::to_owned).collect()));
        Ok(())
    }

    /// The operator's pods.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn operators(&self) -> Result<Vec<super::Pod>, String> {
        let pods = self.kubectl(OPERATOR_NAMESPACE).get(&["pods", "--field-selector=status.phase=Running"])?;
        Ok(items(&pods).map(super::Pod::read).collect())
    }

    /// Gives each worker a small disk, of which volumes of the storage class `small` are made, until the guard is dropped.
    ///
    /// # Errors
    /// A worker cannot mount it, or kubectl failed.
    pub fn small_disks(&self) -> Result<SmallDisks<'_>, String> {
        let workers = self.kubectl("default").get(&["nodes", &format!("--selector=!{CONTROL_PLANE}")])?;
        let workers = items(&workers).filter_map(|node| node["metadata"]["name"].as_str().map(str::to_owned));
        SmallDisks::make(self, workers.collect())
    }

    /// Stops the API server until the guard is dropped or asked to end.
    ///
    /// # Errors
    /// The control plane's node cannot be reached.
    pub fn stop_api_server(&self) -> Result<Outage, String> {
        let node = self.control_plane()?;
        self.on_node(&node, &["mv", MANIFEST, "/etc/kubernetes/kube-apiserver.yaml"])?;
        Ok(Outage { node: Some(node), kubectl: self.kubectl("default") })
    }

    fn load_images(&self) -> Result<(), String> {
        let mut images: Vec<String> = ["server", "operator", "e2e"].into_iter().map(Self::image).collect();
        images.extend(STOCK_IMAGES.map(str::to_owned));
        load(&images).map_err(|error| format!("{error}\n`make images` and e2e/images/stock.sh build them"))
    }

    /// Gives our images another tag, as a newer version would have, and brings them to the nodes.
    ///
    /// # Errors
    /// docker or kind failed.
    pub fn retag(&self, which: &[&str], tag: &str) -> Result<(), String> {
        let images: Vec<String> = which.iter().map(|which| format!("valkey-repl/{which}:{tag}")).collect();
        for (which, image) in which.iter().zip(&images) {
            run("docker", &["tag", &Self::image(which), image], &[], "")?;
        }
        load(&images)
    }
}

/// Brings images from the local Docker to the nodes.
fn load(images: &[String]) -> Result<(), String> {
    let mut args = vec!["load", "docker-image", "--name", NAME];
    args.extend(images.iter().map(String::as_str));
    run("kind", &args, &[], "").map(drop)
}

/// Where kubelet looks for what it is to run as the API server.
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/// The label and the taint of the control plane's node.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// Where the API server listens, on the control plane's node.
const API_PORT: &str = "6443";

/// A node without power.
#[derive(Debug)]
pub struct DarkNode {
    node: Option<String>,
}

impl DarkNode {
    /// Starts the node again.
    ///
    /// # Errors
    /// docker failed.
    pub fn power_on(mut self) -> Result<(), String> {
        self.restore()
    }

    fn restore(&mut self) -> Result<(), String> {
        self.node.take().map_or(Ok(()), |node| run("docker", &["start", &node], &[], "").map(drop))
    }
}

impl Drop for DarkNode {
    fn drop(&mut self) {
        let _ = self.restore();
    }
}

/// What drops packets of one address family.
const IPV4: &str = "iptables";
const IPV6: &str = "ip6tables";

/// Packets that a node drops.
#[derive(Debug)]
pub struct Cut {
    node: String,
    /// Each with the family it is for.
    rules: Vec<(&'static str, Vec<String>)>,
}

impl Drop for Cut {
    fn drop(&mut self) {
        for (family, rule) in &self.rules {
            let words: Vec<&str> = rule.iter().map(String::as_str).collect();
            let _ = run("docker", &[&["exec", &self.node, family, "--delete"], &words[..]].concat(), &[], "");
        }
    }
}

/// A cluster without an API server.
#[derive(Debug)]
pub struct Outage {
    node: Option<String>,
    kubectl: Kubectl,
}

impl Outage {
    /// Lets the API server come back, and waits for it.
    ///
    /// # Errors
    /// It does not come back.
    pub fn end(mut self) -> Result<(), String> {
        self.restore()?;
        try_until("the API server to be back", PATIENCE, || self.kubectl.run(&["get", "--raw", "/readyz"])).map(drop)
    }

    fn restore(&mut self) -> Result<(), String> {
        let Some(node) = self.node.take() else { return Ok(()) };
        let back = ["exec", &node, "mv", "/etc/kubernetes/kube-apiserver.yaml", MANIFEST];
        run("docker", &back, &[], "").map(drop)
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        let _ = self.restore();
    }
}

/// The elements of a list that kubectl printed.
pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

/// A node whose processes all stand still.
#[derive(Debug)]
pub struct PausedNode {
    node: Option<String>,
}

impl PausedNode {
    /// Lets the node go on.
    ///
    /// # Errors
    /// docker failed.
    pub fn unpause(mut self) -> Result<(), String> {
        self.node.take().map_or(Ok(()), |node| run("docker", &["unpause", &node], &[], "").map(drop))
    }
}

impl Drop for PausedNode {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            let _ = run("docker", &["unpause", &node], &[], "");
        }
    }
}
