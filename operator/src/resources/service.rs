//! The Services. Those that clients use have no selector: the operator alone says who serves, see `slice`.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Error, Names, metadata, names};
use crate::api::{Flavor, ServiceKind, ValkeyReplication};

/// Which of the two that clients use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ReadWrite,
    ReadOnly,
}

pub(super) fn build(resource: &ValkeyReplication, names: &Names<'_>, kind: Kind) -> Result<Service, Error> {
    let (name, template) = match kind {
        Kind::ReadWrite => (names.rw(), &resource.spec.services.rw),
        Kind::ReadOnly => (names.ro(), &resource.spec.services.ro),
    };
    let mut metadata = metadata(resource, names, name)?;
    let labels = metadata.labels.get_or_insert_default();
    for (key, value) in &template.labels {
        labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    if !template.annotations.is_empty() {
        metadata.annotations = Some(template.annotations.clone());
    }
    let balanced = template.kind == ServiceKind::LoadBalancer;
    Ok(Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(template.kind.name().to_owned()),
            ports: Some(vec![port("valkey", names::PORT)]),
            load_balancer_class: template.load_balancer_class.clone().filter(|_| balanced),
            load_balancer_source_ranges: (balanced && !template.load_balancer_source_ranges.is_empty())
                .then(|| template.load_balancer_source_ranges.clone()),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}

/// The Service that gives each pod its name, from its first moment on: peers look each other up before they are ready.
pub(super) fn headless(resource: &ValkeyReplication, names: &Names<'_>) -> Result<Service, Error> {
    let mut ports = vec![port("valkey", names::PORT)];
    if resource.spec.flavor == Flavor::Native {
        ports.push(port("metrics", names::METRICS_PORT));
    }
    Ok(Service {
        metadata: metadata(resource, names, names.headless())?,
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            cluster_ip: Some("None".into()),
            publish_not_ready_addresses: Some(true),
            selector: Some(names.selector()),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}

fn port(name: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port: number.into(),
        target_port: Some(IntOrString::Int(number.into())),
        protocol: Some("TCP".into()),
        ..ServicePort::default()
    }
}
