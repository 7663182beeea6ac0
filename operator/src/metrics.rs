//! What the operator counts, in OpenMetrics.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use valkey_repl_engine::{Condition, ConditionKind, record::Failover};

/// The upper bounds of the histogram of failovers, in seconds.
const SECONDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 20.0, 40.0, 80.0, 160.0];

/// Why a failover took place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Why {
    /// As in the record.
    why: String,
}

/// A condition of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    namespace: String,
    name: String,
    condition: &'static str,
}

/// All that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// 1 while this operator leads.
    pub leader: Gauge,
    /// Resources that are looked after.
    pub resources: Gauge,
    /// Calls to the API server that failed on the way of a decision.
    pub api_failures: Counter,
    /// Passes that could not make a resource's objects.
    pub build_failures: Counter,
    conditions: Family<Of, Gauge>,
    failovers: Family<Why, Counter>,
    failover_seconds: Histogram,
    bytes_possibly_lost: Counter,
    failovers_of_unknown_cost: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("valkey_operator");
        let metrics = Self {
            leader: Gauge::default(),
            resources: Gauge::default(),
            api_failures: Counter::default(),
            build_failures: Counter::default(),
            conditions: Family::default(),
            failovers: Family::default(),
            failover_seconds: Histogram::new(SECONDS),
            bytes_possibly_lost: Counter::default(),
            failovers_of_unknown_cost: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("leader", "Whether this operator leads", metrics.leader.clone());
        registry.register("resources", "Resources that are looked after", metrics.resources.clone());
        registry.register("api_failures", "Calls to the API server that failed", metrics.api_failures.clone());
        registry.register("build_failures", "Passes that could not make the objects", metrics.build_failures.clone());
        registry.register(
            "condition",
            "The conditions of each resource: 1 true, 0 false, -1 unknown",
            metrics.conditions.clone(),
        );
        registry.register("failovers", "Changes of a primary, by their reason", metrics.failovers.clone());
        registry.register(
            "failover_seconds",
            "From the last sign of life of a primary until its successor accepted writes",
            metrics.failover_seconds.clone(),
        );
        registry.register(
            "bytes_possibly_lost",
            "Bytes of replication stream that old primaries were known to hold and new ones lacked",
            metrics.bytes_possibly_lost.clone(),
        );
        registry.register(
            "failovers_of_unknown_cost",
            "Failovers after which it was not known whether answered writes were lost",
            metrics.failovers_of_unknown_cost.clone(),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// How a resource is.
    pub fn conditions(&self, (namespace, name): &(String, String), conditions: &[Condition]) {
        for condition in conditions {
            let of = Of { namespace: namespace.clone(), name: name.clone(), condition: condition.kind.as_str() };
            self.conditions.get_or_create(&of).set(condition.status.map_or(-1, i64::from));
        }
    }

    /// A resource is gone.
    pub fn forget(&self, (namespace, name): &(String, String)) {
        for kind in ConditionKind::ALL {
            let of = Of { namespace: namespace.clone(), name: name.clone(), condition: kind.as_str() };
            self.conditions.remove(&of);
        }
    }

    /// This operator does not lead any more: others know how the resources are.
    pub fn forget_all(&self) {
        self.leader.set(0);
        self.resources.set(0);
        self.conditions.clear();
    }

    /// A change of a primary was brought to its end.
    pub fn failover(&self, failover: &Failover) {
        self.failovers.get_or_create(&Why { why: format!("{:?}", failover.why) }).inc();
        let timeline = &failover.timeline;
        if let (Some(detected), Some(promoted), Some(opened)) =
            (timeline.detected_ms, timeline.promoted_ms, timeline.opened_ms)
        {
            let ms = u32::try_from(detected + promoted + opened).unwrap_or(u32::MAX);
            self.failover_seconds.observe(f64::from(ms) / 1_000.0);
        }
        match failover.bytes_possibly_lost {
            Some(bytes) => _ = self.bytes_possibly_lost.inc_by(bytes),
            None => _ = self.failovers_of_unknown_cost.inc(),
        }
    }

    /// The text that Prometheus scrapes.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use valkey_repl_engine::record::{Timeline, Why};

    use super::*;

    #[test]
    fn failovers_and_conditions_are_told_and_conditions_are_forgotten_with_their_resource() {
        let metrics = Metrics::default();
        metrics.failover(&Failover {
            at: String::new(),
            epoch: 2,
            from: None,
            to: "pair-1".into(),
            why: Why::Died,
            timeline: Timeline { detected_ms: Some(100), promoted_ms: Some(200), opened_ms: Some(300) },
            bytes_possibly_lost: Some(7),
        });
        metrics.conditions(
            &("shop".into(), "pair".into()),
            &[Condition { kind: ConditionKind::Ready, status: None, reason: String::new(), message: String::new() }],
        );
        let text = metrics.text();
        let ready = r#"valkey_operator_condition{namespace="shop",name="pair",condition="Ready"} -1"#;
        assert!(text.contains(ready), "{text}");
        assert!(text.contains("valkey_operator_failovers_total{why=\"Died\"} 1"), "{text}");
        assert!(text.contains("valkey_operator_failover_seconds_sum 0.6"), "{text}");
        assert!(text.contains("valkey_operator_bytes_possibly_lost_total 7"), "{text}");
        metrics.forget(&("shop".into(), "pair".into()));
        assert!(!metrics.text().contains("shop"));
    }
}
