//! `--cluster`: to manage a cluster is not what this client does. Its options are known, so that a command line that has them runs as
//! with the real client.

/// Options that mean nothing without `--cluster`.
const FLAGS: &[&str] = &[
    "--cluster-only-masters",
    "--cluster-only-primaries",
    "--cluster-only-replicas",
    "--cluster-from-askpass",
    "--cluster-yes",
    "--cluster-simulate",
    "--cluster-replace",
    "--cluster-copy",
    "--cluster-slave",
    "--cluster-replica",
    "--cluster-use-empty-masters",
    "--cluster-use-empty-primaries",
    "--cluster-search-multiple-owners",
    "--cluster-fix-with-unreachable-masters",
    "--cluster-fix-with-unreachable-primaries",
];

/// The same, with a value.
const WITH_VALUE: &[&str] = &[
    "--cluster-replicas",
    "--cluster-master-id",
    "--cluster-primary-id",
    "--cluster-primaries-id",
    "--cluster-from",
    "--cluster-to",
    "--cluster-from-user",
    "--cluster-from-pass",
    "--cluster-weight",
    "--cluster-slots",
    "--cluster-timeout",
    "--cluster-pipeline",
    "--cluster-threshold",
];

const SUBCOMMANDS: &[&str] = &[
    "create",
    "check",
    "info",
    "fix",
    "reshard",
    "rebalance",
    "add-node",
    "del-node",
    "call",
    "set-timeout",
    "import",
    "backup",
];

/// What `--cluster help` prints.
pub const HELP: &str = "\
Cluster Manager Commands:
  help           Show this text.

This valkey-cli manages no clusters, and its server has no cluster mode. To create,
check, fix or reshard a cluster, use the valkey-cli of Valkey. The option -c works
here as well: it follows the redirections of a cluster's nodes.
";

/// Whether this is an option of the cluster manager without a value.
pub fn is_flag(option: &str) -> bool {
    FLAGS.contains(&option)
}

/// Whether this is one with a value.
pub fn takes_value(option: &str) -> bool {
    WITH_VALUE.contains(&option)
}

/// Why a subcommand is not done.
pub fn refusal(subcommand: &str) -> String {
    if SUBCOMMANDS.contains(&subcommand) {
        format!("'--cluster {subcommand}' is not supported: this valkey-cli manages no clusters. Try --cluster help.")
    } else {
        "Unknown --cluster subcommand".to_owned()
    }
}
