//! Why a pod's server does not run, in the platform's own words. Pure.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};

use crate::resources::names;

/// What containers wait for on their ordinary way to their start.
const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// How much of a message is passed on, in characters.
const LONGEST: usize = 400;

/// `None`: it runs, or nothing keeps it from it.
pub(super) fn of(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let Some(container) = containers.iter().find(|status| status.name == names::CONTAINER) else {
        let unplaced = status.conditions.as_ref()?.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
        return Some(said(unplaced.reason.as_deref()?, unplaced.message.as_deref()));
    };
    let state = container.state.as_ref()?;
    let ended = |state: &ContainerState| state.terminated.as_ref().map(end);
    let waits = state.waiting.as_ref().and_then(|waiting| {
        let reason = waiting.reason.as_deref().filter(|reason| !ORDINARY.contains(reason))?;
        // Its message tells how long it waits; what ended the last one is the news.
        let last = container.last_state.as_ref().and_then(ended).filter(|_| reason == "CrashLoopBackOff");
        Some(last.unwrap_or_else(|| said(reason, waiting.message.as_deref())))
    });
    waits.or_else(|| ended(state))
}

fn end(terminated: &ContainerStateTerminated) -> String {
    let reason = terminated.reason.as_deref().unwrap_or("Ended");
    said(&format!("{reason}, exit code {}", terminated.exit_code), terminated.message.as_deref())
}

/// A reason with its message. The end of a message says most: it may be the end of a log.
pub(super) fn said(reason: &str, message: Option<&str>) -> String {
    let lines: Vec<_> = message.unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let message = lines.join(" / ");
    let excess = message.chars().count().saturating_sub(LONGEST);
    match message.char_indices().nth(excess) {
        Some((start, _)) => format!("{reason}: {}{}", if excess > 0 { "…" } else { "" }, message.split_at(start).1),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(status: Value) -> Option<String> {
        of(&serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap())
    }

    fn container(state: Value, last: Value) -> Option<String> {
        told(json!({"containerStatuses": [{"name": "valkey", "image": "", "imageID": "", "ready": false,
            "restartCount": 1, "state": state, "lastState": last}]}))
    }

    #[test]
    fn what_keeps_a_server_from_its_start_is_told_in_the_platforms_words() {
        let pull = json!({"waiting": {"reason": "InvalidImageName", "message": "couldn't parse image name \"a b\""}});
        assert_eq!(container(pull, json!({})).unwrap(), "InvalidImageName: couldn't parse image name \"a b\"");
        let backs_off =
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}});
        let log = "*** FATAL CONFIG FILE ERROR ***\n\n>>> 'hz \"1'\nUnbalanced quotes\n";
        let ended = json!({"terminated": {"reason": "Error", "exitCode": 1, "message": log}});
        let says = "Error, exit code 1: *** FATAL CONFIG FILE ERROR *** / >>> 'hz \"1' / Unbalanced quotes";
        assert_eq!(container(backs_off, ended.clone()).unwrap(), says);
        assert_eq!(container(ended, json!({})).unwrap(), says);
        let killed = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}});
        assert_eq!(container(killed, json!({})).unwrap(), "OOMKilled, exit code 137");
        let nowhere = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available"}]});
        assert_eq!(told(nowhere).unwrap(), "Unschedulable: 0/3 nodes are available");
    }

    #[test]
    fn the_ordinary_way_to_a_start_is_no_trouble() {
        assert_eq!(container(json!({"waiting": {"reason": "ContainerCreating"}}), json!({})), None);
        let before = json!({"terminated": {"reason": "Error", "exitCode": 1}});
        assert_eq!(container(json!({"running": {}}), before), None);
        assert_eq!(told(json!({})), None);
    }

    #[test]
    fn of_a_long_log_the_end_is_told() {
        let log = format!("{}the reason", "x".repeat(3_000));
        let told = said("Error", Some(&log));
        assert!(told.starts_with("Error: …xx") && told.ends_with("xthe reason"), "{told}");
        assert_eq!(told.chars().count(), "Error: …".chars().count() + LONGEST);
    }
}
