//! What leads the Services of a resource elsewhere although the operator did not say so: a selector that somebody gave one of them, and what the
//! platform's own controllers made of it. Those controllers leave it standing when the selector goes, with addresses that may become
//! another pod's.

use k8s_openapi::api::{
    core::v1::{Endpoints, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, api::Patch};
use serde_json::json;

use super::{
    Shared,
    apply::{Error, call, delete},
};
use crate::{manager, resources::Names};

/// To whom a slice belongs.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// Takes a selector away that is not wanted. `standing` is the Service as it was just written. Whether there was one.
pub(super) async fn drop_selector(shared: &Shared, wanted: &Service, standing: &Service) -> Result<bool, Error> {
    let selector = |service: &Service| service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
    let (Some(namespace), Some(name)) = (&wanted.metadata.namespace, &wanted.metadata.name) else { return Ok(false) };
    if !selector(wanted).is_empty() || selector(standing).is_empty() {
        return Ok(false);
    }
    tracing::warn!(service = name, "somebody gave it a selector; it is taken away");
    let api: Api<Service> = Api::namespaced(shared.client.clone(), namespace);
    let patch = Patch::Merge(json!({"spec": {"selector": null}}));
    call(api.patch(name, &manager::merge(), &patch)).await.map(|_| true)
}

/// Deletes slices of the Services to primary and replicas that are not the operator's, and the Endpoints that they are made from.
pub(super) async fn sweep(shared: &Shared, names: &Names<'_>) -> Result<(), Error> {
    let led = [names.rw(), names.ro()];
    let service = |slice: &EndpointSlice| slice.metadata.labels.as_ref()?.get(SERVICE_LABEL).cloned();
    for slice in shared.slices.state() {
        let (Some(name), Some(service)) = (&slice.metadata.name, service(&slice)) else { continue };
        if slice.metadata.namespace.as_deref() != Some(names.namespace) || !led.contains(&service) || led.contains(name)
        {
            continue;
        }
        tracing::warn!(service, slice = name, "it leads elsewhere and is not the operator's; it is deleted");
        delete::<Endpoints>(&shared.client, names.namespace, &service).await?;
        delete::<EndpointSlice>(&shared.client, names.namespace, name).await?;
    }
    Ok(())
}
