//! Why a pod is not made, or not set up, where only the platform's events say it: a quota, an account that does not exist, a refusal by an
//! admission plugin, a volume that cannot be mounted. They are asked for only while a pod waits for longer than it should, so never while
//! all is well, and nobody waits for the answer.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::{core::v1::Pod, events::v1::Event},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ListParams, ObjectMeta, Patch},
};
use serde_json::json;
use tokio::{sync::Notify, time::Instant};

use super::{apply::CALL, gate::Gate, observe::PodView, trouble};
use crate::{manager, resources::CONFIG_ANNOTATION};

type Labels = BTreeMap<String, String>;

/// How long a pod may be missing before anybody is asked why.
const MISSING: Duration = Duration::from_secs(5);
/// How long a pod may be set up on its node: images are pulled and volumes attached meanwhile.
const SET_UP: Duration = Duration::from_secs(60);
/// How often the events of one object are asked for at most.
const PACE: Duration = Duration::from_secs(10);

/// What a pod waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// For the StatefulSet of this uid to make it.
    Made { set: String },
    /// As the pod of this uid, for its node to set it up.
    SetUp { uid: String },
}

impl Wait {
    /// What a pod that should exist waits for, if it is one of these; `set` is the uid of its StatefulSet.
    pub fn of(pod: Option<&PodView>, set: Option<&str>) -> Option<Self> {
        match pod {
            None => Some(Self::Made { set: set?.to_owned() }),
            Some(pod) => pod.is_set_up().then(|| Self::SetUp { uid: pod.uid.clone() }),
        }
    }

    /// Whose events tell why.
    fn uid(&self) -> &str {
        match self {
            Self::Made { set: uid } | Self::SetUp { uid } => uid,
        }
    }

    fn allowed(&self) -> Duration {
        match self {
            Self::Made { .. } => MISSING,
            Self::SetUp { .. } => SET_UP,
        }
    }

    /// Why the pod of this name still waits: what the newest event about it says, unless that is good news.
    fn why(&self, pod: &str, events: &[Event]) -> Option<String> {
        let concerns = |event: &&Event| match self {
            // Its claims are made along with it; that one of them was is no news of the pod.
            Self::Made { .. } if is_warning(event) => is_about(event, pod),
            Self::Made { .. } => note(event).contains(&format!("create Pod {pod} ")),
            // What the node says of each attempt after one that failed.
            Self::SetUp { .. } => event.reason.as_deref() != Some("SandboxChanged"),
        };
        // Most times are in whole seconds. A failure and what came of the next attempt may share one: the good news is the later.
        let newest = events.iter().filter(concerns).max_by_key(|event| (last(event), !is_warning(event)))?;
        let reason = newest.reason.as_deref().unwrap_or("Failed");
        is_warning(newest).then(|| trouble::said(reason, newest.note.as_deref()))
    }
}

/// What is known of the pods of one resource that wait.
pub(super) struct Withheld {
    client: Client,
    gate: Arc<Gate>,
    namespace: String,
    news: Arc<Notify>,
    pace: Pace,
    /// By the uid that they are about.
    events: Arc<Mutex<HashMap<String, Vec<Event>>>>,
}

impl Withheld {
    pub fn new(client: Client, gate: Arc<Gate>, namespace: &str, news: Arc<Notify>) -> Self {
        Self { client, gate, namespace: namespace.to_owned(), news, pace: Pace::default(), events: Arc::default() }
    }

    /// Why this pod still waits, as far as is known; `news` is notified when more is.
    pub fn why(&mut self, pod: &str, labels: impl FnOnce() -> Labels, wait: Option<Wait>) -> Option<String> {
        if self.pace.asks(pod, wait.as_ref(), Instant::now()) {
            let wait = wait.as_ref()?;
            self.ask(wait.uid().to_owned());
            if matches!(wait, Wait::Made { .. }) {
                self.find(pod.to_owned(), labels());
            }
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.retain(|uid, _| self.pace.concerns(uid));
        wait.and_then(|wait| wait.why(pod, events.get(wait.uid())?))
    }

    /// A pod that seems to be missing may have lost its labels to somebody: then neither its StatefulSet nor the watch knows it any more. It gets
    /// them back.
    fn find(&self, name: String, labels: Labels) {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let gate = self.gate.clone();
        tokio::spawn(async move {
            let found = match gate.pass_eventually(CALL, api.get_metadata_opt(&name)).await {
                Ok(Some(found)) if has_lost(&found.metadata, &labels) => found.metadata,
                Ok(_) => return,
                Err(error) => return tracing::debug!("pod {name} is not read: {error}"),
            };
            tracing::warn!(pod = name, "somebody took its labels away; it gets them back");
            let patch = Patch::Merge(json!({"metadata": {"uid": found.uid, "labels": labels}}));
            let parameters = manager::merge();
            let patched = gate.pass_eventually(CALL, api.patch_metadata(&name, &parameters, &patch)).await;
            if let Err(error) = patched {
                tracing::warn!(pod = name, "it does not get its labels back: {error}");
            }
        });
    }

    fn ask(&self, uid: String) {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let (events, news, gate) = (self.events.clone(), self.news.clone(), self.gate.clone());
        tokio::spawn(async move {
            let about = ListParams::default().fields(&format!("regarding.uid={uid}"));
            match gate.pass_eventually(CALL, api.list(&about)).await {
                Ok(list) => {
                    let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
                    let before = events.insert(uid.clone(), list.items);
                    if before.as_ref() != events.get(&uid) {
                        news.notify_one();
                    }
                }
                Err(error) => tracing::debug!("events are not read: {error}"),
            }
        });
    }
}

/// When to ask.
#[derive(Default)]
struct Pace {
    /// By pod: what it waits for, and since when.
    waits: HashMap<String, (Wait, Instant)>,
    /// By uid: when its events were last asked for.
    asked: HashMap<String, Instant>,
}

impl Pace {
    /// Whether the events that concern this pod are to be asked for now.
    fn asks(&mut self, pod: &str, wait: Option<&Wait>, now: Instant) -> bool {
        let Some(wait) = wait else {
            self.waits.remove(pod);
            return false;
        };
        let (known, since) = self.waits.entry(pod.to_owned()).or_insert_with(|| (wait.clone(), now));
        if known != wait {
            (*known, *since) = (wait.clone(), now);
        }
        let due = |last: &Instant| now.duration_since(*last) >= PACE;
        if now.duration_since(*since) < wait.allowed() || !self.asked.get(wait.uid()).is_none_or(due) {
            return false;
        }
        self.asked.retain(|_, last| !due(last));
        self.asked.insert(wait.uid().to_owned(), now);
        true
    }

    /// Whether anybody waits whom the events of this object concern.
    fn concerns(&self, uid: &str) -> bool {
        self.waits.values().any(|(wait, _)| wait.uid() == uid)
    }
}

/// Whether this is a pod that the operator had made, without the labels that it is found by. A stranger of that name stays as it is.
fn has_lost(pod: &ObjectMeta, labels: &Labels) -> bool {
    let made = pod.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(CONFIG_ANNOTATION));
    let bears = |(name, value): (&String, &String)| {
        pod.labels.as_ref().is_some_and(|labels| labels.get(name).is_some_and(|found| found == value))
    };
    made && pod.deletion_timestamp.is_none() && !labels.iter().all(bears)
}

fn is_warning(event: &Event) -> bool {
    event.type_.as_deref() == Some("Warning")
}

fn note(event: &Event) -> &str {
    event.note.as_deref().unwrap_or_default()
}

/// Whether it names this pod, as the StatefulSet's events do: `create Pod pair-0 in StatefulSet pair failed error: …`.
fn is_about(event: &Event, pod: &str) -> bool {
    note(event).contains(&format!("Pod {pod} "))
}

/// When it was last seen, in the field of whichever API it was written through.
fn last(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let old = event.deprecated_last_timestamp.as_ref().map(|at| at.0);
    series.max(old).max(event.event_time.as_ref().map(|at| at.0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str, reason: &str, note: &str, at: &str) -> Value {
        json!({"metadata": {}, "type": kind, "reason": reason, "note": note, "deprecatedLastTimestamp": at})
    }

    fn refused(pod: &str, why: &str, at: &str) -> Value {
        let note = format!("create Pod {pod} in StatefulSet pair failed error: {why}");
        event("Warning", "FailedCreate", &note, at)
    }

    fn made(pod: &str, at: &str) -> Value {
        event("Normal", "SuccessfulCreate", &format!("create Pod {pod} in StatefulSet pair successful"), at)
    }

    fn why(wait: &Wait, pod: &str, events: Value) -> Option<String> {
        let events: Vec<Event> = serde_json::from_value(events).unwrap();
        wait.why(pod, &events)
    }

    #[test]
    fn a_pod_that_lost_its_labels_is_known_by_what_it_was_made_for_and_a_stranger_is_not() {
        let labels: Labels = [("valkey-repl.dev/name".to_owned(), "pair".to_owned())].into();
        let pod = |metadata: Value| serde_json::from_value::<ObjectMeta>(metadata).unwrap();
        let made = json!({"valkey-repl.dev/config": "1"});
        assert!(has_lost(&pod(json!({"annotations": made})), &labels));
        assert!(has_lost(&pod(json!({"annotations": made, "labels": {"valkey-repl.dev/name": "other"}})), &labels));
        assert!(!has_lost(&pod(json!({"annotations": made, "labels": labels})), &labels));
        assert!(!has_lost(&pod(json!({"labels": {"mine": "1"}})), &labels));
        let leaving = json!({"annotations": made, "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert!(!has_lost(&pod(leaving), &labels));
    }

    const EARLY: &str = "2026-01-01T00:00:00Z";
    const LATE: &str = "2026-01-01T00:00:10Z";

    fn missing() -> Wait {
        Wait::Made { set: "set".into() }
    }

    fn set_up() -> Wait {
        Wait::SetUp { uid: "pod".into() }
    }

    #[test]
    fn of_a_pod_that_is_not_made_the_newest_refusal_is_told_in_its_own_words() {
        let quota = "pods \"pair-1\" is forbidden: exceeded quota: small";
        let events = json!([
            refused("pair-1", "serviceaccount \"nobody\" not found", EARLY),
            refused("pair-1", quota, LATE),
            refused("pair-10", "another", LATE),
            made("pair-0", LATE),
            event(
                "Normal",
                "SuccessfulCreate",
                "create Claim data-pair-1 Pod pair-1 in StatefulSet pair success",
                LATE
            ),
        ]);
        let says = format!("FailedCreate: create Pod pair-1 in StatefulSet pair failed error: {quota}");
        assert_eq!(why(&missing(), "pair-1", events.clone()), Some(says));
        assert_eq!(why(&missing(), "pair-0", events), None);
    }

    #[test]
    fn a_refusal_from_before_the_pod_was_made_is_no_reason_for_its_absence_now() {
        for later in [EARLY, LATE] {
            let events = json!([made("pair-1", later), refused("pair-1", "exceeded quota", EARLY)]);
            assert_eq!(why(&missing(), "pair-1", events), None);
        }
    }

    #[test]
    fn of_a_pod_that_its_node_cannot_set_up_the_nodes_complaint_is_told() {
        let scheduled = json!({"metadata": {}, "type": "Normal", "reason": "Scheduled", "note": "assigned",
            "eventTime": "2026-01-01T00:00:00.100000Z"});
        let mount = event("Warning", "FailedMount", "secret \"mine\" not found", LATE);
        let again = event("Normal", "SandboxChanged", "Pod sandbox changed", "2026-01-01T00:00:11Z");
        assert_eq!(
            why(&set_up(), "pair-0", json!([scheduled, mount, again])).as_deref(),
            Some("FailedMount: secret \"mine\" not found")
        );
        let pulls = event("Normal", "Pulling", "Pulling image", "2026-01-01T00:00:12Z");
        assert_eq!(why(&set_up(), "pair-0", json!([scheduled, mount, again, pulls])), None, "it goes on");
    }

    #[test]
    fn nobody_is_asked_while_pods_come_as_they_should_and_seldom_while_they_do_not() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        let mut asks = |wait: Option<&Wait>, second| pace.asks("pair-0", wait, begun + Duration::from_secs(second));
        let asked = |asks: &mut dyn FnMut(Option<&Wait>, u64) -> bool, wait: &Wait, from: u64, to: u64| {
            (from..to).filter(|second| asks(Some(wait), *second)).collect::<Vec<_>>()
        };
        assert!(!asks(None, 0), "it is there");
        assert_eq!(asked(&mut asks, &missing(), 100, 104), [0; 0], "it is being made anew");
        assert!(!asks(None, 105));
        assert_eq!(asked(&mut asks, &missing(), 200, 230), [205, 215, 225]);
        assert_eq!(asked(&mut asks, &set_up(), 230, 311), [290, 300, 310]);
        assert!(!asks(None, 400));
    }

    #[test]
    fn one_question_serves_all_pods_that_a_set_does_not_make() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        let late = begun + MISSING;
        assert!(!pace.asks("pair-0", Some(&missing()), begun) && !pace.asks("pair-1", Some(&missing()), begun));
        assert!(pace.asks("pair-0", Some(&missing()), late) && !pace.asks("pair-1", Some(&missing()), late));
        assert!(pace.concerns("set"));
        pace.asks("pair-0", None, late);
        pace.asks("pair-1", None, late);
        assert!(!pace.concerns("set"), "what was said is forgotten");
    }
}
