//! When pods are made anew for their `valkey.conf`: for another value of what is read only at a start, and for a live directive that was
//! taken away, whose default no running server can be told. A live directive that comes or changes is told, and restarts nobody.

use std::collections::BTreeSet;

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::core::ObjectMeta;

use super::config::Config;

/// On the pod template: names what its servers were started for. A change of it restarts the pods.
pub const CONFIG_ANNOTATION: &str = "valkey-repl.dev/config";
/// On the StatefulSet: the live directives that its servers know of, to notice when one is taken away.
pub(super) const LIVE_ANNOTATION: &str = "valkey-repl.dev/live-config";

/// The value of [`CONFIG_ANNOTATION`]: the fingerprint of what is read only at a start, and how often a live directive was taken away. That
/// only ever grows, so that pods which were not made anew yet are not taken for such as never knew the directive.
pub(super) fn cause(config: &Config, live: Option<&StatefulSet>) -> String {
    let standing = live.and_then(|set| set.spec.as_ref()?.template.metadata.as_ref()?.annotations.as_ref());
    let count = standing
        .and_then(|annotations| annotations.get(CONFIG_ANNOTATION)?.split_once('-')?.1.parse::<u64>().ok())
        .unwrap_or(0);
    let told = live.and_then(|set| set.metadata.annotations.as_ref()?.get(LIVE_ANNOTATION));
    let told = told.map(String::as_str).unwrap_or_default().split_ascii_whitespace();
    match count + u64::from(config.lacks(told)) {
        0 => config.fingerprint(),
        count => format!("{}-{count}", config.fingerprint()),
    }
}

/// What the pods of a set are made for: a [fingerprint](Config::fingerprint).
pub(super) fn made_for(set: &StatefulSet) -> Option<&str> {
    noted(set.spec.as_ref()?.template.metadata.as_ref()?)
}

/// What a pod was made for.
pub(super) fn pod_made_for(pod: &Pod) -> Option<&str> {
    noted(&pod.metadata)
}

fn noted(metadata: &ObjectMeta) -> Option<&str> {
    metadata.annotations.as_ref()?.get(CONFIG_ANNOTATION)?.split('-').next()
}

/// The value of [`LIVE_ANNOTATION`].
pub(super) fn live(config: &Config) -> String {
    config.live_names().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::StatefulSet;
    use serde_json::json;

    use crate::{
        api::tests::resource,
        resources::{Context, Files, build},
    };

    fn set(config: serde_json::Value, live: Option<&StatefulSet>) -> StatefulSet {
        let context = Context { server_image: "i", replicas: 2, live, kept: &Files::new() };
        build(&resource(json!({"config": config})), &context).unwrap().stateful_set
    }

    /// Whether a StatefulSet makes its pods anew when it changes from one to the other.
    fn restarts(before: &StatefulSet, after: &StatefulSet) -> bool {
        let template = |set: &StatefulSet| set.spec.clone().unwrap().template;
        template(before) != template(after)
    }

    #[test]
    fn a_live_directive_that_comes_or_changes_restarts_nobody() {
        let first = set(json!({}), None);
        let second = set(json!({"maxmemory-policy": "allkeys-lru"}), Some(&first));
        let third = set(json!({"maxmemory-policy": "noeviction", "hz": 50}), Some(&second));
        assert!(!restarts(&first, &second) && !restarts(&second, &third));
    }

    #[test]
    fn a_live_directive_that_goes_restarts_once() {
        let first = set(json!({"hz": 50}), Some(&set(json!({}), None)));
        let second = set(json!({}), Some(&first));
        assert!(restarts(&first, &second));
        assert_eq!(set(json!({}), Some(&second)), second);
        // What an operator makes that has not yet seen its own change.
        assert_eq!(set(json!({}), Some(&first)), second);
        let third = set(json!({"hz": 50}), Some(&second));
        assert!(!restarts(&second, &third));
        assert!(restarts(&third, &set(json!({}), Some(&third))), "a second time too");
    }

    #[test]
    fn pods_that_still_know_a_directive_are_restarted_although_another_change_is_taken_back() {
        let first = set(json!({"hz": 50, "databases": 4}), None);
        let second = set(json!({"databases": 8}), Some(&first));
        let third = set(json!({"databases": 4}), Some(&second));
        assert!(restarts(&first, &second) && restarts(&first, &third));
    }
}
