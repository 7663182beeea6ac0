//! The EndpointSlices behind `<name>-rw` and `<name>-ro`. The operator is their only writer.

use k8s_openapi::api::{
    core::v1::ObjectReference,
    discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
};

use super::{Error, Names, metadata, names};
use crate::{api::ValkeyReplication, manager::MANAGER};

/// To whom a slice belongs.
pub const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// A pod that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub pod: String,
    /// Its uid.
    pub uid: String,
    /// Its address.
    pub ip: std::net::IpAddr,
    /// Where it runs.
    pub node: Option<String>,
    /// The zone of that node.
    pub zone: Option<String>,
}

/// The slice behind a Service (`<name>-rw` or `<name>-ro`). An address of another family than the first is left out:
/// a slice has one family, and a pod's first address is the cluster's preferred one.
///
/// # Errors
/// When the resource lacks a uid.
pub fn build(
    resource: &ValkeyReplication,
    names: &Names<'_>,
    service: &str,
    servers: &[Server],
) -> Result<EndpointSlice, Error> {
    let mut metadata = metadata(resource, names, service.to_owned())?;
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(SERVICE_LABEL.into(), service.into());
    labels.insert("endpointslice.kubernetes.io/managed-by".into(), MANAGER.into());
    let v6 = servers.first().is_some_and(|server| server.ip.is_ipv6());
    Ok(EndpointSlice {
        metadata,
        address_type: if v6 { "IPv6" } else { "IPv4" }.into(),
        endpoints: servers
            .iter()
            .filter(|server| server.ip.is_ipv6() == v6)
            .map(|server| endpoint(names, server))
            .collect(),
        ports: Some(vec![EndpointPort {
            name: Some("valkey".into()),
            port: Some(names::PORT.into()),
            protocol: Some("TCP".into()),
            app_protocol: None,
        }]),
    })
}

/// Whether a slice leads to this server already.
pub fn leads_to(slice: &EndpointSlice, server: &Server) -> bool {
    slice.endpoints.iter().any(|endpoint| {
        endpoint.target_ref.as_ref().and_then(|pod| pod.uid.as_deref()) == Some(&server.uid)
            && endpoint.addresses.first().is_some_and(|address| *address == server.ip.to_string())
    })
}

fn endpoint(names: &Names<'_>, server: &Server) -> Endpoint {
    Endpoint {
        addresses: vec![server.ip.to_string()],
        conditions: Some(EndpointConditions { ready: Some(true), serving: Some(true), terminating: Some(false) }),
        node_name: server.node.clone(),
        zone: server.zone.clone(),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".into()),
            name: Some(server.pod.clone()),
            namespace: Some(names.namespace.to_owned()),
            uid: Some(server.uid.clone()),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    }
}
