//! The template of the pods.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
        EnvVarSource, HTTPGetAction, KeyToPath, Lifecycle, LifecycleHandler, LocalObjectReference, ObjectFieldSelector,
        PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
        SeccompProfile, SecretVolumeSource, SecurityContext, SleepAction, TCPSocketAction, Volume, VolumeMount,
        WeightedPodAffinityTerm,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::core::ObjectMeta;

use super::{
    Context, Names, auth,
    config::{self, Config},
    files, names, restart,
};
use crate::api::{Flavor, PullPolicy, Scalar, ValkeyReplication};

/// The volume that holds the data, and the claim template's name.
pub(super) const DATA_VOLUME: &str = "data";
/// On the StatefulSet: [`default_image`].
pub(super) const IMAGE_ANNOTATION: &str = "valkey-repl.dev/default-image";
const CONFIG_VOLUME: &str = "config";
const AUTH_VOLUME: &str = "auth";

/// The user and group of the official image; an image of ours runs as any.
const USER: i64 = 999;
const GROUP: i64 = 1000;

/// How long a pod that is told to go still serves, so that the primary can move off it before it stops.
const FAREWELL_SECONDS: i64 = 5;

pub(super) fn template(
    resource: &ValkeyReplication,
    names: &Names<'_>,
    context: &Context<'_>,
    config: &Config,
) -> PodTemplateSpec {
    let template = &resource.spec.pod_template;
    let mut labels = names.labels();
    labels.extend(template.labels.clone());
    let mut annotations = template.annotations.clone();
    annotations.insert(restart::CONFIG_ANNOTATION.to_owned(), restart::cause(config, context.live));
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }),
        spec: Some(PodSpec {
            containers: vec![container(
                resource,
                names,
                resource.spec.image.as_deref().unwrap_or(default_image(resource, context)),
            )],
            volumes: Some(volumes(resource, names, &config.fingerprint())),
            affinity: Some(template.affinity.clone().unwrap_or_else(|| spread(names))),
            topology_spread_constraints: some(&template.topology_spread_constraints),
            node_selector: (!template.node_selector.is_empty()).then(|| template.node_selector.clone()),
            tolerations: some(&template.tolerations),
            priority_class_name: template.priority_class_name.clone(),
            service_account_name: template.service_account_name.clone(),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            image_pull_secrets: some(
                &template
                    .image_pull_secrets
                    .iter()
                    .map(|name| LocalObjectReference { name: name.clone() })
                    .collect::<Vec<_>>(),
            ),
            termination_grace_period_seconds: Some(template.termination_grace_period_seconds + FAREWELL_SECONDS),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(GROUP),
                fs_group: Some(GROUP),
                fs_group_change_policy: Some("OnRootMismatch".into()),
                seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), ..SeccompProfile::default() }),
                ..PodSecurityContext::default()
            }),
            ..PodSpec::default()
        }),
    }
}

/// The image where none is asked for: the one that the operator came with when the set was made. An upgrade of the operator brings a newer
/// one, and must not restart the pods; who takes an image of their own away again gets back what was there before.
pub(super) fn default_image<'a>(resource: &ValkeyReplication, context: &Context<'a>) -> &'a str {
    let noted = || context.live?.metadata.annotations.as_ref()?.get(IMAGE_ANNOTATION).map(String::as_str);
    let standing = || {
        let pod = context.live?.spec.as_ref()?.template.spec.as_ref()?;
        pod.containers.iter().find(|container| container.name == names::CONTAINER)?.image.as_deref()
    };
    let made_before_notes = || standing().filter(|_| resource.spec.image.is_none());
    noted().or_else(made_before_notes).unwrap_or(context.server_image)
}

fn container(resource: &ValkeyReplication, names: &Names<'_>, image: &str) -> Container {
    let spec = &resource.spec;
    let native = spec.flavor == Flavor::Native;
    let mut ports = vec![port("valkey", names::PORT)];
    if native {
        ports.push(port("metrics", names::METRICS_PORT));
    }
    Container {
        name: names::CONTAINER.into(),
        image: Some(image.to_owned()),
        image_pull_policy: spec.image_pull_policy.map(|policy: PullPolicy| policy.name().to_owned()),
        command: Some(vec!["valkey-server".into()]),
        // What an instance announces must be what the operator tells others to follow.
        args: Some(vec![
            format!("{}/{}", config::DIRECTORY, config::FILE),
            "--replica-announce-ip".into(),
            names.host("$(POD_NAME)"),
        ]),
        env: Some(vec![EnvVar {
            name: "POD_NAME".into(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".into()),
                    field_path: "metadata.name".into(),
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ports: Some(ports),
        resources: Some(ResourceRequirements {
            requests: amounts(&spec.resources.requests),
            limits: amounts(&spec.resources.limits),
            claims: None,
        }),
        volume_mounts: Some(vec![
            mount(DATA_VOLUME, config::DATA, false),
            mount(CONFIG_VOLUME, config::DIRECTORY, true),
            mount(AUTH_VOLUME, auth::DIRECTORY, true),
        ]),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: FAREWELL_SECONDS }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        liveness_probe: Some(Probe {
            initial_delay_seconds: Some(10),
            period_seconds: Some(10),
            timeout_seconds: Some(5),
            failure_threshold: Some(6),
            ..probe(native, "/healthz")
        }),
        readiness_probe: Some(Probe {
            period_seconds: Some(3),
            timeout_seconds: Some(2),
            failure_threshold: Some(2),
            ..probe(native, "/readyz")
        }),
        // So that status can tell why a server does not start.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// The native server answers over HTTP; of a stock one we know only that it takes connections.
fn probe(native: bool, path: &str) -> Probe {
    if native {
        Probe {
            http_get: Some(HTTPGetAction {
                path: Some(path.into()),
                port: IntOrString::String("metrics".into()),
                scheme: Some("HTTP".into()),
                ..HTTPGetAction::default()
            }),
            ..Probe::default()
        }
    } else {
        Probe {
            tcp_socket: Some(TCPSocketAction { port: IntOrString::String("valkey".into()), host: None }),
            ..Probe::default()
        }
    }
}

fn volumes(resource: &ValkeyReplication, names: &Names<'_>, fingerprint: &str) -> Vec<Volume> {
    let mut volumes = vec![
        Volume {
            name: CONFIG_VOLUME.into(),
            config_map: Some(ConfigMapVolumeSource {
                name: names.config(),
                items: Some(vec![KeyToPath { key: files::key(fingerprint), path: config::FILE.into(), mode: None }]),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: AUTH_VOLUME.into(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(names.auth_conf()),
                default_mode: Some(0o440),
                items: Some(vec![KeyToPath { key: auth::FILE.into(), path: auth::FILE.into(), mode: None }]),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        },
    ];
    if resource.spec.storage.ephemeral {
        volumes.push(Volume {
            name: DATA_VOLUME.into(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity(resource.spec.storage.size.clone())),
                medium: None,
            }),
            ..Volume::default()
        });
    }
    volumes
}

/// Instances prefer other nodes, then other zones; a cluster of one node runs them all the same.
fn spread(names: &Names<'_>) -> Affinity {
    let term = |weight, key: &str| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: PodAffinityTerm {
            label_selector: Some(LabelSelector { match_labels: Some(names.selector()), ..LabelSelector::default() }),
            topology_key: key.into(),
            ..PodAffinityTerm::default()
        },
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                term(100, "kubernetes.io/hostname"),
                term(50, "topology.kubernetes.io/zone"),
            ]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: number.into(),
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn amounts(amounts: &BTreeMap<String, Scalar>) -> Option<BTreeMap<String, Quantity>> {
    (!amounts.is_empty())
        .then(|| amounts.iter().map(|(name, amount)| (name.clone(), Quantity(amount.to_string()))).collect())
}

fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}
