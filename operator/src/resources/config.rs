//! ConfigMap `<name>-config`: `valkey.conf`, once for each set of values that are read only at a start. No secret stands in it; it includes the file that holds them.

use std::fmt::Write;

use k8s_openapi::api::core::v1::ConfigMap;

use super::{Error, Files, Names, auth, live, memory, metadata, names, trial};
use crate::{
    api::{self, Flavor, ValkeyReplication},
    instance::Directives,
};

/// Where the ConfigMap is mounted.
pub(super) const DIRECTORY: &str = "/etc/valkey";
/// The file in it, as a pod sees it.
pub(super) const FILE: &str = "valkey.conf";
/// Where the data is.
pub(super) const DATA: &str = "/data";

pub(super) fn build(resource: &ValkeyReplication, names: &Names<'_>, files: Files) -> Result<ConfigMap, Error> {
    Ok(ConfigMap { metadata: metadata(resource, names, names.config())?, data: Some(files), ..ConfigMap::default() })
}

/// `valkey.conf`, and how a change of it reaches servers that run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file.
    pub text: String,
    /// Directives that a running server takes.
    pub live: Vec<(String, String)>,
    /// The lines that are read only at a start.
    start: String,
}

impl Config {
    /// Names the lines that are read only at a start: the same for the same in every version of the operator (FNV-1a, 64 bits).
    pub fn fingerprint(&self) -> String {
        let hash = self
            .start
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        format!("{hash:016x}")
    }

    /// The names of the directives that a running server takes.
    pub fn live_names(&self) -> impl Iterator<Item = &str> {
        self.live.iter().map(|(directive, _)| directive.as_str())
    }

    /// What a running server is told and asked of it, on the way to the file.
    pub fn directives(&self, resource: &ValkeyReplication) -> Directives {
        let live = |name: &str| self.live_names().any(|live| live == name);
        let at_start = resource.spec.config.iter().filter(|(name, _)| !live(name));
        Directives {
            live: self.live.clone().into(),
            at_start: at_start.map(|(name, value)| (name.clone(), trial::written(value))).collect(),
        }
    }

    /// Whether one of these live directives is not here any more: a server that knows it must be restarted to have the default again.
    pub fn lacks<'a>(&self, mut told: impl Iterator<Item = &'a str>) -> bool {
        told.any(|name| self.live_names().all(|live| live != name))
    }

    fn line(&mut self, directive: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{directive} {value}");
        if live::takes(directive, value) {
            self.live.push((directive.to_owned(), value.to_owned()));
        } else {
            let _ = writeln!(self.start, "{directive} {value}");
        }
    }
}

/// Where a server runs: what differs between a pod and a process beside others on one machine.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The port of the protocol.
    pub port: u16,
    /// The port of metrics and health; none where nobody asks for them.
    pub metrics_port: Option<u16>,
    /// The addresses to listen on.
    pub bind: &'a str,
    /// Where its data is, as a word of `valkey.conf`.
    pub data: &'a str,
    /// The file with the password, as a word of `valkey.conf`.
    pub auth: &'a str,
}

/// Renders a pod's `valkey.conf`.
///
/// # Errors
/// When a directive cannot stand there.
pub fn render(resource: &ValkeyReplication) -> Result<Config, Error> {
    let place = Place {
        port: names::PORT,
        metrics_port: Some(names::METRICS_PORT),
        bind: "* -::*",
        data: DATA,
        auth: &format!("{}/{}", auth::DIRECTORY, auth::FILE),
    };
    render_at(resource, &place)
}

/// Renders `valkey.conf` for a server at this place.
///
/// # Errors
/// When a directive cannot stand there.
pub fn render_at(resource: &ValkeyReplication, place: &Place<'_>) -> Result<Config, Error> {
    let spec = &resource.spec;
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let mut config = Config { text: "# Written by valkey-operator.\n".into(), live: Vec::new(), start: String::new() };
    let mut line = |directive: &str, value: &str| config.line(directive, value);

    line("port", &place.port.to_string());
    line("bind", place.bind);
    line("protected-mode", "no");
    line("dir", place.data);
    // Nobody is born primary: a replica of nowhere waits to be told.
    line("replicaof", "127.0.0.1 1");
    line("save", if spec.persistence.rdb { &spec.persistence.save_points } else { "\"\"" });
    line("appendonly", yes_no(spec.persistence.aof));
    line("appendfsync", spec.persistence.aof_fsync.directive());
    line("repl-backlog-size", &spec.replication.backlog_size);
    line("repl-diskless-sync", yes_no(spec.replication.diskless));
    // In a pair there is no second replica to wait for.
    line("repl-diskless-sync-delay", "0");
    // Half a pair is worth more than none: it holds in memory what it acknowledges, and says what is wrong.
    line("replica-ignore-disk-write-errors", "yes");
    if spec.flavor == Flavor::Native {
        let lease = std::time::Duration::from(spec.failover.quorum_timeout);
        line("primary-quorum-timeout", &lease.as_millis().to_string());
        if let Some(port) = place.metrics_port {
            line("metrics-port", &port.to_string());
        }
    }
    if !spec.config.contains_key("maxmemory")
        && let Some(bytes) = spec.resources.limits.get("memory").and_then(|limit| memory::bytes(&limit.to_string()))
    {
        line("maxmemory", &(bytes / 4 * 3).to_string());
    }
    for (directive, value) in &spec.config {
        let value = trial::written(value);
        if let Some(remedy) = api::owned(directive) {
            return Err(Error::Owned { directive: directive.clone(), remedy });
        }
        if value.contains(['\n', '\r']) || directive.contains(char::is_whitespace) {
            return Err(Error::ManyLines { directive: directive.clone() });
        }
        line(directive, &value);
    }
    line("include", place.auth);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::resource;
    use serde_json::json;

    fn lines(spec: serde_json::Value) -> Vec<String> {
        render(&resource(spec)).unwrap().text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_instance_boots_as_a_replica_of_nowhere() {
        for spec in [json!({}), json!({"instances": 1}), json!({"flavor": "Stock", "image": "valkey/valkey:9.1"})] {
            assert!(lines(spec).contains(&"replicaof 127.0.0.1 1".to_owned()));
        }
    }

    #[test]
    fn a_stock_server_gets_no_directive_that_it_would_not_start_with() {
        let text = lines(json!({"flavor": "Stock", "image": "valkey/valkey:9.1"})).join("\n");
        assert!(!text.contains("primary-quorum-timeout") && !text.contains("metrics-port"), "{text}");
    }

    #[test]
    fn three_quarters_of_a_memory_limit_are_for_data_unless_the_user_says_otherwise() {
        let limit = json!({"limits": {"memory": "1Gi"}});
        assert!(lines(json!({"resources": limit})).contains(&"maxmemory 805306368".to_owned()));
        let own = lines(json!({"resources": limit, "config": {"maxmemory": "100mb"}}));
        assert_eq!(own.iter().filter(|line| line.starts_with("maxmemory ")).collect::<Vec<_>>(), ["maxmemory 100mb"]);
    }

    #[test]
    fn no_snapshot_is_an_empty_list_of_save_points() {
        assert!(lines(json!({"persistence": {"rdb": false}})).contains(&"save \"\"".to_owned()));
    }

    #[test]
    fn a_value_cannot_smuggle_in_a_second_directive() {
        let spec = json!({"config": {"hz": "50\nrequirepass open"}});
        assert_eq!(render(&resource(spec)).err(), Some(Error::ManyLines { directive: "hz".into() }));
    }

    fn restart(spec: serde_json::Value) -> String {
        render(&resource(spec)).unwrap().fingerprint()
    }

    #[test]
    fn another_value_of_a_live_directive_restarts_nobody() {
        let (one, other) = (json!({"config": {"maxmemory": "1gb"}}), json!({"config": {"maxmemory": "2gb"}}));
        assert_eq!(restart(one), restart(other.clone()));
        let live = render(&resource(other)).unwrap().live;
        assert!(live.contains(&("maxmemory".to_owned(), "2gb".to_owned())), "{live:?}");
        let backlog = json!({"replication": {"backlogSize": "1gb"}});
        assert_eq!(restart(json!({})), restart(backlog));
    }

    #[test]
    fn a_live_directive_that_comes_restarts_nobody_and_one_that_goes_is_missed() {
        let with = render(&resource(json!({"config": {"maxmemory": "1gb"}}))).unwrap();
        let without = render(&resource(json!({}))).unwrap();
        assert_eq!(without.fingerprint(), with.fingerprint());
        assert!(without.lacks(with.live_names()) && !with.lacks(without.live_names()));
    }

    #[test]
    fn what_is_read_at_a_start_restarts() {
        assert_ne!(restart(json!({})), restart(json!({"config": {"databases": 4}})));
        assert_ne!(restart(json!({})), restart(json!({"failover": {"quorumTimeout": "9s"}})));
    }
}
