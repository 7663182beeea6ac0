//! What leads the Services of a resource elsewhere although the operator did not say so: a selector that somebody gave one of them, and what the
//! platform's own controllers made of it, or what somebody made by hand. Those controllers leave it standing when the selector goes, with addresses that may become
//! another pod's.

use k8s_openapi::api::{
    core::v1::{Endpoints, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api,
    api::{ListParams, Patch},
};
use serde_json::json;

use super::{
    Shared,
    apply::{Error, call, delete},
};
use crate::{
    manager,
    resources::{Names, slice::SERVICE_LABEL},
};

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
    for slice in shared.slices.state() {
        sweep_slice(shared, names, &slice).await?;
    }
    Ok(())
}

/// The same for those that the watch does not see: it is of what belongs to a resource by its label, and who makes one by hand may leave that
/// out. Asks the API server, so not for every change. Endpoints made by hand are found by the slices that the platform makes of them.
pub(super) async fn sweep_unlabelled(shared: &Shared, names: &Names<'_>) -> Result<(), Error> {
    let api: Api<EndpointSlice> = Api::namespaced(shared.client.clone(), names.namespace);
    let led = format!("{SERVICE_LABEL} in ({},{})", names.rw(), names.ro());
    // What the API server has at hand is new enough.
    for slice in call(api.list(&ListParams::default().labels(&led).match_any())).await?.items {
        sweep_slice(shared, names, &slice).await?;
    }
    Ok(())
}

/// Deletes a slice if it leads one of these Services elsewhere.
async fn sweep_slice(shared: &Shared, names: &Names<'_>, slice: &EndpointSlice) -> Result<(), Error> {
    let led = [names.rw(), names.ro()];
    let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_LABEL));
    let (Some(name), Some(service)) = (&slice.metadata.name, service) else { return Ok(()) };
    if slice.metadata.namespace.as_deref() != Some(names.namespace) || !led.contains(service) || led.contains(name) {
        return Ok(());
    }
    tracing::warn!(service, slice = name, "it leads elsewhere and is not the operator's; it is deleted");
    delete::<Endpoints>(&shared.client, names.namespace, service).await?;
    delete::<EndpointSlice>(&shared.client, names.namespace, name).await
}
