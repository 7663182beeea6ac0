//! StatefulSet `<name>`: gives the pods their names and volumes, and nothing else. It never restarts a pod by itself
//! (`OnDelete`): the order in which instances restart is the operator's.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};
use kube::core::ObjectMeta;

use super::{Context, Error, Names, config::Config, metadata, pod, restart};
use crate::api::{Retention, ValkeyReplication};

pub(super) fn build(
    resource: &ValkeyReplication,
    names: &Names<'_>,
    context: &Context<'_>,
    config: &Config,
) -> Result<StatefulSet, Error> {
    let known = BTreeMap::from([
        (restart::LIVE_ANNOTATION.to_owned(), restart::live(config)),
        (pod::IMAGE_ANNOTATION.to_owned(), pod::default_image(resource, context).to_owned()),
    ]);
    Ok(StatefulSet {
        metadata: ObjectMeta { annotations: Some(known), ..metadata(resource, names, names.set())? },
        spec: Some(StatefulSetSpec {
            service_name: Some(names.headless()),
            replicas: Some(context.replicas),
            selector: LabelSelector { match_labels: Some(names.selector()), ..LabelSelector::default() },
            pod_management_policy: Some("Parallel".into()),
            update_strategy: Some(StatefulSetUpdateStrategy { type_: Some("OnDelete".into()), rolling_update: None }),
            revision_history_limit: Some(5),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(
                    match resource.spec.storage.when_deleted {
                        Retention::Retain => "Retain",
                        Retention::Delete => "Delete",
                    }
                    .into(),
                ),
                when_scaled: Some("Retain".into()),
            }),
            template: pod::template(resource, names, context, config),
            volume_claim_templates: claims(resource, context.live),
            ..StatefulSetSpec::default()
        }),
        status: None,
    })
}

/// The claim template. It cannot be changed once it stands, so the one that stands is kept: claims grow one by one, and
/// a new pod's claim grows right after it is made.
fn claims(resource: &ValkeyReplication, live: Option<&StatefulSet>) -> Option<Vec<PersistentVolumeClaim>> {
    let storage = &resource.spec.storage;
    if storage.ephemeral {
        return None;
    }
    let standing = live
        .and_then(|set| set.spec.as_ref()?.volume_claim_templates.as_ref()?.first()?.spec.as_ref()?.resources.as_ref())
        .and_then(|resources| resources.requests.as_ref()?.get("storage").cloned());
    Some(vec![PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(pod::DATA_VOLUME.into()), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: storage.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    standing.unwrap_or_else(|| Quantity(storage.size.clone())),
                )])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }])
}
