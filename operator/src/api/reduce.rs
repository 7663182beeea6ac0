//! What the user asked for, reduced to what the engine needs.

use valkey_repl_engine::{
    Spec,
    spec::{Acceptance, Switchover},
};

use super::{AofFsync, GROUP, ValkeyReplication};

/// The annotation that moves the primary: the pod's name, or `any` for the most advanced replica.
pub const SWITCHOVER: &str = "valkey-repl.dev/switchover";

/// The annotation that accepts the loss of data: the epoch that status shows, and optionally a colon and the pod whose
/// data set is to be kept.
pub const ACCEPT_DATA_LOSS: &str = "valkey-repl.dev/accept-data-loss";

/// The only write to the API server that comes of data alone: how far the stream has got, every five minutes at most.
const LINEAGE_REFRESH_MS: u64 = 300_000;

impl ValkeyReplication {
    /// The engine's view of this resource. `avoid` are the pods that are about to be restarted, drained or removed.
    pub fn engine_spec(&self, avoid: Vec<String>) -> Spec {
        let spec = &self.spec;
        let ms = |duration: kube::core::Duration| {
            u64::try_from(std::time::Duration::from(duration).as_millis()).unwrap_or(u64::MAX)
        };
        Spec {
            instances: u32::try_from(spec.instances).unwrap_or(1),
            volumes: spec.storage.ephemeral.then_some(0),
            durability: spec.durability(),
            detection_timeout_ms: ms(spec.failover.detection_timeout),
            quorum_timeout_ms: ms(spec.failover.quorum_timeout),
            max_lag_ms: ms(spec.failover.max_lag),
            lineage_refresh_ms: LINEAGE_REFRESH_MS,
            lead_ms: 0,
            settled_at_ms: 0,
            move_timeout_ms: ms(spec.failover.switchover_timeout),
            stale_replica: spec.failover.stale_replica,
            unfenced_takeover: spec.failover.unfenced_takeover,
            persistent: !spec.storage.ephemeral && (spec.persistence.rdb || spec.persistence.aof),
            complete_log: !spec.storage.ephemeral
                && spec.persistence.aof
                && spec.persistence.aof_fsync == AofFsync::Always,
            avoid,
            switchover: self.switchover(),
            place: spec.primary.clone(),
            accept_data_loss: self.accepted_loss(),
            paused: spec.paused,
        }
    }

    /// The wish to move the primary. Its id is the annotation's value and the time at which it was written, which the
    /// API server keeps: so the same wish can be made again later, and none is carried out twice.
    fn switchover(&self) -> Option<Switchover> {
        let wish = self.annotation(SWITCHOVER)?;
        let since = self.metadata.managed_fields.iter().flatten().find_map(|entry| {
            let fields = &entry.fields_v1.as_ref()?.0;
            fields.pointer("/f:metadata/f:annotations")?.get(format!("f:{SWITCHOVER}"))?;
            entry.time.as_ref().map(|time| time.0.to_string())
        });
        Some(Switchover {
            id: format!("{wish}@{}", since.unwrap_or_default()),
            to: (wish != "any").then(|| wish.to_owned()),
        })
    }

    fn accepted_loss(&self) -> Option<Acceptance> {
        let word = self.annotation(ACCEPT_DATA_LOSS)?;
        let (epoch, instance) = match word.split_once(':') {
            Some((epoch, instance)) => (epoch, Some(instance.trim().to_owned())),
            None => (word, None),
        };
        Some(Acceptance { epoch: epoch.trim().parse().ok(), instance })
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        debug_assert!(key.starts_with(GROUP));
        self.metadata.annotations.as_ref()?.get(key).map(|value| value.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::resource;

    #[test]
    fn a_resource_with_an_empty_spec_asks_for_a_pair_that_waits_for_its_replica() {
        let spec = resource(serde_json::json!({})).engine_spec(Vec::new());
        assert_eq!(spec.instances, 2);
        assert_eq!(spec.durability, valkey_repl_engine::Durability::Preferred);
        assert_eq!((spec.detection_timeout_ms, spec.quorum_timeout_ms), (3_000, 5_000));
        assert!(spec.persistent);
    }

    #[test]
    fn a_set_that_writes_nothing_to_disk_is_not_persistent() {
        for spec in
            [serde_json::json!({"storage": {"ephemeral": true}}), serde_json::json!({"persistence": {"rdb": false}})]
        {
            assert!(!resource(spec).engine_spec(Vec::new()).persistent);
        }
    }

    #[test]
    fn the_same_switchover_annotated_again_later_is_another_wish() {
        let at = |time: &str| {
            let mut resource = resource(serde_json::json!({}));
            resource.metadata.annotations = Some([(SWITCHOVER.to_owned(), "pair-1".to_owned())].into());
            resource.metadata.managed_fields = serde_json::from_value(serde_json::json!([{
                "manager": "kubectl-annotate", "operation": "Update", "time": time,
                "fieldsV1": {"f:metadata": {"f:annotations": {(format!("f:{SWITCHOVER}")): {}}}},
            }]))
            .unwrap();
            resource.engine_spec(Vec::new()).switchover.unwrap()
        };
        let (first, second) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:01:00Z"));
        assert_eq!(first.to.as_deref(), Some("pair-1"));
        assert_ne!(first.id, second.id);
        assert_eq!(first, at("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn accepting_data_loss_names_the_epoch_and_may_name_the_pod() {
        let with = |word: &str| {
            let mut resource = resource(serde_json::json!({}));
            resource.metadata.annotations = Some([(ACCEPT_DATA_LOSS.to_owned(), word.to_owned())].into());
            resource.engine_spec(Vec::new()).accept_data_loss
        };
        assert_eq!(with("7"), Some(Acceptance { epoch: Some(7), instance: None }));
        assert_eq!(with("7: pair-1"), Some(Acceptance { epoch: Some(7), instance: Some("pair-1".into()) }));
        assert_eq!(with("yes"), Some(Acceptance { epoch: None, instance: None }), "so that it can be answered");
    }
}
