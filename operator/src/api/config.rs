//! Which directives a user may set in `spec.config`, and where the others are set instead.

use kube::core::Rule;

/// Directives that have a field of their own, or that the operator decides; each group with what to do instead.
///
/// The one list that the CRD's rules and their messages come from. Old names stand beside the new ones, because the
/// server accepts both.
pub const OWNED: &[(&str, &[&str])] = &[
    (
        "set spec.auth instead",
        &["requirepass", "primaryauth", "masterauth", "primaryuser", "masteruser", "user", "aclfile"],
    ),
    ("set spec.persistence instead", &["save", "appendonly", "appendfsync"]),
    (
        "set spec.replication instead",
        &[
            "repl-backlog-size",
            "repl-diskless-sync",
            "min-replicas-to-ack",
            "min-replicas-to-write",
            "min-replicas-max-lag",
            "min-slaves-to-write",
            "min-slaves-max-lag",
        ],
    ),
    ("set spec.failover.quorumTimeout instead", &["primary-quorum-timeout"]),
    (
        "remove it, the operator decides it",
        &[
            "replicaof",
            "slaveof",
            "replica-announce-ip",
            "replica-announce-port",
            "slave-announce-ip",
            "slave-announce-port",
            "replica-serve-stale-data",
            "slave-serve-stale-data",
            "replica-read-only",
            "slave-read-only",
            "replica-priority",
            "slave-priority",
            "port",
            "bind",
            "unixsocket",
            "protected-mode",
            "metrics-port",
            "dir",
            "dbfilename",
            "appendfilename",
            "appenddirname",
            "include",
            "daemonize",
            "supervised",
            "pidfile",
            "logfile",
            "syslog-enabled",
            "rename-command",
            "enable-protected-configs",
        ],
    ),
    (
        "remove it, a replicated pair runs without it",
        &["cluster-enabled", "tls-port", "tls-replication", "tls-cluster", "shutdown-on-sigterm"],
    ),
];

/// The most directives a resource may set; the API server wants a bound to estimate what a rule costs.
pub const MAX_DIRECTIVES: u32 = 100;

/// A line whose quotes are closed, each before a space or the end, as the server splits it into words.
const QUOTED: &str = r"^([^\x22\x27]|\x22([^\x22\\]|\\.)*\x22(\s|$)|\x27([^\x27\\]|\\\x27|\\)*\x27(\s|$))*$";

/// The rules of the map `spec.config`: one for each directive in [`OWNED`], because only a constant message is cheap
/// enough for the API server's estimate of what a rule costs.
pub(super) fn rules() -> Vec<Rule> {
    let owned = OWNED.iter().flat_map(|(remedy, names)| {
        names.iter().map(move |name| {
            Rule::new(format!("!('{name}' in self)"))
                .message(format!("spec.config.{name} may not be set: {remedy}").as_str())
        })
    });
    let names = Rule::new("self.all(k, k.matches('^[a-z][a-z0-9._-]*$'))").message(
        "spec.config has a key that is no name of a directive: names are lower-case letters, digits and dashes",
    );
    // The same for each directive, so one rule is enough, and its cost within bounds.
    let quotes = Rule::new(format!("self.all(k, string(self[k]).matches(r'{QUOTED}'))")).message(
        "spec.config has a value with a quote that is not closed, or with something right behind a closing one: a value is the rest of the directive's line",
    );
    let lines = Rule::new(r"self.all(k, !string(self[k]).matches('[\r\n]'))").message(
        "spec.config has a value with a line break: write each directive under a key of its own, and its value in one line",
    );
    owned.chain([names, quotes, lines]).collect()
}

/// The field that a directive's value comes from.
pub fn field(directive: &str) -> &'static str {
    match directive {
        "save" => "spec.persistence.savePoints",
        "appendfsync" => "spec.persistence.aofFsync",
        "repl-backlog-size" => "spec.replication.backlogSize",
        "repl-diskless-sync" => "spec.replication.diskless",
        _ => "spec.config",
    }
}

/// The remedy for a directive that `spec.config` may not set.
pub fn owned(directive: &str) -> Option<&'static str> {
    OWNED.iter().find(|(_, names)| names.contains(&directive)).map(|(remedy, _)| *remedy)
}
