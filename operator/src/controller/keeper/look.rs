//! What a turn looks at: pods, nodes, answers, the record; and where its connections lead.

use k8s_openapi::api::apps::v1::StatefulSet;
use tokio::time::Instant;
use valkey_repl_engine::{Connection, Decision, Explanation, Observation, Spec, explain};

use super::{Keeper, now};
use crate::{
    api::ValkeyReplication,
    clock::boottime_ms,
    controller::{
        observe::{self, NodeView, PodView},
        rollout::Pods,
        stored::Stored,
        withheld::Wait,
    },
    instance::{Link, Seen, Settings, Target},
    resources::{
        Names,
        names::{MOST_INSTANCES, PORT},
        trial::Verdict,
    },
};

/// What one look shows.
pub(super) struct Look {
    pub observation: Observation,
    /// By ordinal, as the instances.
    pub pods: Vec<Option<PodView>>,
    pub seen: Vec<Seen>,
    pub nodes: Vec<NodeView>,
    pub revision: Option<String>,
    /// A pod that should exist is missing, or waits for its node to set it up.
    pub waits: bool,
}

impl Keeper {
    /// Looks at everything, and sees to it that every instance has a connection to where its pod is now.
    pub(super) fn look(&mut self, resource: &ValkeyReplication, names: &Names<'_>) -> Look {
        let asked = u32::try_from(resource.spec.instances).unwrap_or(1);
        let mut pods: Vec<Option<PodView>> = (0..MOST_INSTANCES)
            .map(|ordinal| self.shared.pod(names, ordinal).as_deref().and_then(PodView::read))
            .collect();
        let highest = pods.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let formed = self.stored.as_ref().and_then(Stored::record).is_some_and(|record| record.phase.is_formed());
        let volumes = self.built.borrow().volumes.filter(|_| !formed);
        pods.truncate(highest.max(usize::try_from(asked.max(volumes.unwrap_or(0))).unwrap_or(1)));
        for pod in pods.iter_mut().flatten() {
            pod.leaving |= self.deleted.get(&pod.name) == Some(&pod.uid);
        }
        self.aim(resource, &pods);
        let nodes: Vec<NodeView> = pods
            .iter()
            .map(|pod| {
                let node = pod.as_ref().and_then(|pod| pod.node.as_deref());
                node.map(|node| self.shared.nodes.view(node, &self.news)).unwrap_or_default()
            })
            .collect();
        let set = self.shared.set(names);
        let mut seen: Vec<Seen> = self.links.values().take(pods.len()).map(Link::seen).collect();
        let mut waits = false;
        for ((ordinal, pod), seen) in (0..).zip(&pods).zip(&mut seen) {
            let set = set.as_ref().filter(|set| ordinal < asked && makes(set, ordinal));
            let wait = set.and_then(|set| Wait::of(pod.as_ref(), set.metadata.uid.as_deref()));
            waits |= wait.is_some();
            let withheld = self.withheld.why(&names.pod(ordinal), || names.labels(), wait);
            if seen.connection != Connection::Connected {
                let trouble = || pod.as_ref()?.trouble.clone();
                seen.problem = seen.problem.take().or_else(trouble).or(withheld);
            }
        }
        let revision = set.as_ref().and_then(|set| {
            let status = set.status.as_ref()?;
            let current = status.observed_generation == set.metadata.generation;
            status.update_revision.clone().filter(|_| current)
        });
        let record = self.stored.as_ref().and_then(Stored::record);
        let look = Look {
            observation: Observation {
                now_ms: boottime_ms(),
                now_rfc3339: now().to_string(),
                leader: *self.shared.leads.borrow(),
                record: record.cloned(),
                record_seen_ms: self.stored.as_ref().map_or(0, |stored| stored.seen_ms),
                record_read_ms: self.stored.as_ref().map_or(0, |stored| stored.read_ms),
                spec: Spec::default(),
                instances: (0..)
                    .zip(&pods)
                    .zip(nodes.iter().zip(&seen))
                    .map(|((ordinal, pod), (node, seen))| observe::instance(names, ordinal, pod.as_ref(), *node, seen))
                    .collect(),
            },
            pods,
            seen,
            nodes,
            revision,
            waits,
        };
        let primary = look.observation.record.as_ref().and_then(|record| record.primary.as_ref());
        let avoid = look.avoid(asked, primary.map(|life| life.name.as_str()));
        let own = self.built.borrow().own.clone();
        let record = look.observation.record.as_ref();
        let lead_ms = self.arrival.lead_ms(&self.shared.client, names, record, own.as_ref(), &self.news);
        let spec = resource.engine_spec(avoid);
        let volumes = self.built.borrow().volumes.or(spec.volumes);
        let spec = Spec { volumes, lead_ms, settled_at_ms: self.ways.settled_at_ms(), ..spec };
        Look { observation: Observation { spec, ..look.observation }, ..look }
    }

    fn aim(&mut self, resource: &ValkeyReplication, pods: &[Option<PodView>]) {
        let native = resource.spec.flavor == crate::api::Flavor::Native;
        let spec = resource.engine_spec(Vec::new());
        let settings = Settings::new(native, spec.detection_timeout_ms, spec.quorum_timeout_ms);
        if self.settings != Some(settings) {
            self.links.clear();
            self.settings = Some(settings);
        }
        let built = self.built.borrow_and_update().clone();
        if !built.passwords.is_empty() {
            self.began.get_or_insert_with(Instant::now);
        }
        for (ordinal, pod) in (0..).zip(pods) {
            let link = self.links.entry(ordinal).or_insert_with(|| Link::start(settings, self.news.clone()));
            let target = pod.as_ref().filter(|_| !built.passwords.is_empty()).and_then(|pod| {
                Some(Target {
                    uid: pod.uid.clone(),
                    address: (pod.ip?, PORT).into(),
                    own: built.own.clone(),
                    passwords: built.passwords.clone(),
                    directives: built.directives.clone(),
                })
            });
            link.aim(target);
        }
    }
}

impl Look {
    /// What the engine says of it, and what is known besides of why an instance does not answer.
    pub fn explain(&self, decision: &Decision) -> Explanation {
        let mut told = explain(&self.observation, decision);
        for (line, seen) in told.instances.iter_mut().zip(&self.seen) {
            if let Some(problem) = &seen.problem {
                line.extend(["; ", problem]);
            }
        }
        told
    }

    /// What the servers that run say of the directives that they were told and asked.
    pub fn verdict(&self) -> Verdict {
        let heard: Vec<&Seen> = self.seen.iter().filter(|seen| seen.connection == Connection::Connected).collect();
        let tried = heard.first().and_then(|first| first.tried.clone());
        Verdict {
            nobody_runs: self.seen.iter().zip(&self.pods).all(|(seen, pod)| match seen.connection {
                Connection::Refused { .. } => true,
                Connection::Untried => pod.as_ref().is_none_or(|pod| pod.ip.is_none()),
                Connection::Connected | Connection::Silent { .. } => false,
            }),
            tried: tried.filter(|tried| heard.iter().all(|seen| seen.tried.as_ref() == Some(tried))),
            refused: heard.iter().flat_map(|seen| seen.unset.keys().cloned()).collect(),
        }
    }

    /// The pods that are to stay, against what they should be.
    pub fn staying(&self, asked: u32) -> Pods<'_> {
        let wanted = usize::try_from(asked).unwrap_or(1);
        Pods { staying: self.pods.iter().take(wanted).flatten().collect(), wanted, revision: self.revision.as_deref() }
    }

    /// Who should not be primary: who leaves, who runs on a node that is being drained while another does not, and an
    /// outdated primary when all others are up to date.
    fn avoid(&self, asked: u32, primary: Option<&str>) -> Vec<String> {
        let somewhere_better = self
            .pods
            .iter()
            .zip(&self.nodes)
            .any(|(pod, node)| pod.as_ref().is_some_and(|pod| !pod.leaving) && !node.draining && !node.gone);
        let staying = self.staying(asked);
        self.pods
            .iter()
            .zip(&self.nodes)
            .filter_map(|(pod, node)| {
                let pod = pod.as_ref()?;
                let due = primary == Some(pod.name.as_str()) && staying.primary_is_due(&pod.name);
                (pod.leaving || due || node.draining && somewhere_better).then(|| pod.name.clone())
            })
            .collect()
    }
}

/// Whether a StatefulSet is to make the pod of this ordinal.
fn makes(set: &StatefulSet, ordinal: u32) -> bool {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    u32::try_from(replicas).is_ok_and(|replicas| ordinal < replicas)
}
