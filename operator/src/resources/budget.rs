//! PodDisruptionBudget `<name>`: drains take one instance at a time.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{Error, Names, metadata};
use crate::api::ValkeyReplication;

pub(super) fn build(resource: &ValkeyReplication, names: &Names<'_>) -> Result<Option<PodDisruptionBudget>, Error> {
    if resource.spec.instances < 2 {
        return Ok(None);
    }
    Ok(Some(PodDisruptionBudget {
        metadata: metadata(resource, names, names.set())?,
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(names.selector()), ..LabelSelector::default() }),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }))
}
