//! What the platform says of the instances, and what their ports say, put together for the engine. Pure.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use valkey_repl_engine::{Address, Instance, Presence};

use crate::{
    instance::{Process, Seen},
    resources::{
        Names,
        names::{self, ROLE_LABEL},
    },
};

/// A pod, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodView {
    pub name: String,
    pub uid: String,
    pub ip: Option<IpAddr>,
    pub node: Option<String>,
    pub container: ContainerView,
    /// Its server ends again and again, and waits to be started once more.
    pub crash_loops: bool,
    /// It was told to go.
    pub leaving: bool,
    /// The revision of the StatefulSet's template that it was made from.
    pub revision: Option<String>,
    /// What its role label says; for people only.
    pub role_label: Option<String>,
    /// Why the server does not run, as the platform tells it; for people only.
    pub trouble: Option<String>,
}

/// The server's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContainerView {
    /// Never started.
    Waiting,
    /// Running, by the last report.
    Running,
    /// Ended and not running again; when, in milliseconds since 1970 by the node's clock, rounded down to seconds.
    Ended { finished_unix_ms: Option<u64> },
}

/// What is known of the node that a pod is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NodeView {
    /// The node object does not exist, asked of the API server itself; or it is tainted out-of-service, which is a
    /// person's word that it is off.
    pub gone: bool,
    /// It is cordoned or about to be drained or removed.
    pub draining: bool,
}

impl PodView {
    /// Reads a pod; `None`: the API server gave it no name or uid, which it always does.
    pub fn read(pod: &Pod) -> Option<Self> {
        let status = pod.status.as_ref();
        let labels = pod.metadata.labels.as_ref();
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).cloned();
        Some(Self {
            name: pod.metadata.name.clone()?,
            uid: pod.metadata.uid.clone()?,
            ip: status.and_then(|status| status.pod_ip.as_ref()?.parse().ok()),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            container: ContainerView::read(pod),
            crash_loops: server(pod).is_some_and(|container| {
                let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
                waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"))
            }),
            leaving: pod.metadata.deletion_timestamp.is_some(),
            revision: label("controller-revision-hash"),
            role_label: label(ROLE_LABEL),
            trouble: super::trouble::of(pod),
        })
    }

    /// Whether its node has yet to start its server for the first time, and nothing is said against it.
    pub fn is_set_up(&self) -> bool {
        let nothing_yet = self.container == ContainerView::Waiting && self.trouble.is_none();
        nothing_yet && self.node.is_some() && !self.leaving
    }
}

/// What is said of the server's container.
fn server(pod: &Pod) -> Option<&ContainerStatus> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|container| container.name == names::CONTAINER)
}

impl ContainerView {
    fn read(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let container = server(pod);
        let ended = |state: &ContainerState| {
            let finished = state.terminated.as_ref()?.finished_at.as_ref();
            let ms = finished.and_then(|at| u64::try_from(at.0.as_millisecond()).ok());
            Some(Self::Ended { finished_unix_ms: ms })
        };
        let Some(container) = container else {
            return match status.and_then(|s| s.phase.as_deref()) {
                Some("Failed" | "Succeeded") => Self::Ended { finished_unix_ms: None },
                _ => Self::Waiting,
            };
        };
        let now = container.state.as_ref();
        if now.is_some_and(|state| state.running.is_some()) {
            return Self::Running;
        }
        // Waiting to be started again: what counts is that the last one ended.
        now.and_then(ended).or_else(|| container.last_state.as_ref().and_then(ended)).unwrap_or(Self::Waiting)
    }
}

/// One instance for the engine. `pod` is the newest pod of that name; `None`: there is none.
pub(super) fn instance(
    names: &Names<'_>,
    ordinal: u32,
    pod: Option<&PodView>,
    node: NodeView,
    seen: &Seen,
) -> Instance {
    let name = names.pod(ordinal);
    Instance {
        address: Address { host: names.host(&name), port: names::PORT },
        name,
        ordinal,
        presence: pod.map_or(Presence::Gone, |pod| presence(pod, node, seen.process.as_ref())),
        connection: seen.connection.clone(),
        answer: seen.answer.clone(),
    }
}

fn presence(pod: &PodView, node: NodeView, process: Option<&Process>) -> Presence {
    let uid = pod.uid.clone();
    if node.gone {
        return Presence::NodeGone { uid };
    }
    match pod.container {
        ContainerView::Waiting => Presence::Waiting { uid },
        ContainerView::Running => Presence::Running { uid },
        ContainerView::Ended { finished_unix_ms } => {
            // The report may be of a container before the one that was talked to: it is of that one only if it ended
            // after that one began, both by the node's clock. The start is rounded up, the end down.
            let run_id = process
                .filter(|process| process.uid == uid)
                .filter(|process| process.started_unix_ms.zip(finished_unix_ms).is_some_and(|(began, end)| began < end))
                .map(|process| process.run_id.clone());
            Presence::Ended { uid, run_id }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(statuses: serde_json::Value) -> PodView {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "pair-0", "uid": "u1", "labels": {"controller-revision-hash": "r1"}},
            "spec": {"nodeName": "n1", "containers": []},
            "status": {"podIP": "10.0.0.1", "containerStatuses": statuses},
        }))
        .unwrap();
        PodView::read(&pod).unwrap()
    }

    fn status(state: serde_json::Value, last: serde_json::Value) -> serde_json::Value {
        json!([{"name": "valkey", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "state": state, "lastState": last}])
    }

    fn terminated(at: &str) -> serde_json::Value {
        json!({"terminated": {"exitCode": 137, "finishedAt": at}})
    }

    fn process(started_unix_ms: u64) -> Process {
        Process { uid: "u1".into(), run_id: "life-1".into(), started_unix_ms: Some(started_unix_ms), native: true }
    }

    const ENDED_AT: &str = "2026-01-01T00:00:10Z";
    const ENDED_MS: u64 = 1_767_225_610_000;

    #[test]
    fn a_container_that_waits_for_its_restart_has_ended() {
        let crashing = pod(status(json!({"waiting": {"reason": "CrashLoopBackOff"}}), terminated(ENDED_AT)));
        assert_eq!(crashing.container, ContainerView::Ended { finished_unix_ms: Some(ENDED_MS) });
        let pulling = pod(status(json!({"waiting": {"reason": "ContainerCreating"}}), json!({})));
        assert_eq!(pulling.container, ContainerView::Waiting);
        let back = pod(status(json!({"running": {}}), terminated(ENDED_AT)));
        assert_eq!(back.container, ContainerView::Running);
    }

    #[test]
    fn the_end_of_a_container_is_evidence_only_against_a_process_that_began_before_it() {
        let ended = pod(status(terminated(ENDED_AT), json!({})));
        let says = |process: Option<&Process>| presence(&ended, NodeView::default(), process);
        let of = |run_id: Option<&str>| Presence::Ended { uid: "u1".into(), run_id: run_id.map(Into::into) };
        assert_eq!(says(Some(&process(ENDED_MS - 5_000))), of(Some("life-1")));
        // A late report of the container before it.
        assert_eq!(says(Some(&process(ENDED_MS + 500))), of(None));
        assert_eq!(says(Some(&process(ENDED_MS))), of(None));
        assert_eq!(says(Some(&Process { uid: "u0".into(), ..process(0) })), of(None));
        assert_eq!(says(None), of(None));
    }

    #[test]
    fn a_missing_pod_is_gone_and_a_missing_node_takes_its_pod_along() {
        let names = Names { name: "pair", namespace: "shop" };
        let gone = instance(&names, 1, None, NodeView::default(), &Seen::default());
        assert_eq!((gone.name.as_str(), gone.presence), ("pair-1", Presence::Gone));
        assert_eq!(gone.address.host, "pair-1.pair-headless.shop.svc");
        let running = pod(status(json!({"running": {}}), json!({})));
        let node = NodeView { gone: true, draining: false };
        assert_eq!(presence(&running, node, None), Presence::NodeGone { uid: "u1".into() });
    }
}
