//! Parts of Valkey that this server does not have: cluster mode, slot migration.

/// See [`super`] for what the columns mean.
macro_rules! absent_rows { ($then:ident $rest:tt $($rows:tt)*) => { next_area! { $then $rest $($rows)*
    /// Cluster mode; must be off.
    cluster_enabled: bool = false, "cluster-enabled", flag().checked(checks::cluster_enabled), None, NoEffectHere, Immutable;
    /// Databases in cluster mode.
    cluster_databases: usize = 1, "cluster-databases", number(1, INT_MAX), None, NoEffectHere, Immutable;
    /// File of the cluster's state.
    cluster_config_file: Vec<u8> = b"nodes.conf".to_vec(), "cluster-config-file", text().checked(checks::cluster_config_file), None, NoEffectHere, Immutable;
    /// Whether that file must be on disk before going on.
    cluster_config_save_behavior: ClusterConfigSave = ClusterConfigSave::Sync, "cluster-config-save-behavior", one_of(), None, NoEffectHere;
    /// Port of the cluster bus.
    cluster_port: u16 = 0, "cluster-port", number(0, 65535), None, NoEffectHere, Immutable;
    /// Milliseconds after which a node counts as failed.
    cluster_node_timeout: i64 = 15000, "cluster-node-timeout", number(0, LONG_MAX), None, NoEffectHere;
    /// Milliseconds between pings.
    cluster_ping_interval: i64 = 0, "cluster-ping-interval", number(0, LONG_MAX), None, NoEffectHere, Hidden;
    /// Share of nodes in a gossip message.
    cluster_message_gossip_perc: u32 = 10, "cluster-message-gossip-perc", number(1, 100), None, NoEffectHere, Hidden;
    /// Milliseconds of a manual failover.
    cluster_manual_failover_timeout: i64 = 5000, "cluster-manual-failover-timeout", number(1, INT_MAX), None, NoEffectHere;
    /// Seconds for which a forgotten node stays out; Valkey takes a negative number for a very large one, and shows it as it was given.
    cluster_blacklist_ttl: i64 = 60, "cluster-blacklist-ttl", number(LONG_MIN, LONG_MAX), None, NoEffectHere;
    /// Serves pubsub on shards while the cluster is down.
    cluster_allow_pubsubshard_when_down: bool = true, "cluster-allow-pubsubshard-when-down", flag(), None, NoEffectHere;
    /// Serves reads while the cluster is down.
    cluster_allow_reads_when_down: bool = false, "cluster-allow-reads-when-down", flag(), None, NoEffectHere;
    /// Lets replicas move to primaries without any.
    cluster_allow_replica_migration: bool = true, "cluster-allow-replica-migration", flag(), None, NoEffectHere;
    /// Replicas that a primary keeps in that.
    cluster_migration_barrier: u32 = 1, "cluster-migration-barrier", number(0, INT_MAX), None, NoEffectHere;
    /// Keeps a replica from failing over.
    cluster_replica_no_failover: bool = false, "cluster-replica-no-failover" | "cluster-slave-no-failover", flag(), None, NoEffectHere;
    /// How old a replica's data may be for a failover.
    cluster_replica_validity_factor: u32 = 10, "cluster-replica-validity-factor" | "cluster-slave-validity-factor", number(0, INT_MAX), None, NoEffectHere;
    /// Serves nothing unless all slots are served.
    cluster_require_full_coverage: bool = true, "cluster-require-full-coverage", flag(), None, NoEffectHere;
    /// Bytes that may wait on a link of the bus.
    cluster_link_sendbuf_limit: u64 = 0, "cluster-link-sendbuf-limit", memory(0, ULONG_MAX), None, NoEffectHere;
    /// What clients are told to connect to.
    cluster_preferred_endpoint_type: ClusterEndpoint = ClusterEndpoint::Ip, "cluster-preferred-endpoint-type", one_of(), None, NoEffectHere;
    /// Announced address.
    cluster_announce_ip: Vec<u8> = vec![], "cluster-announce-ip", optional_text().checked(checks::announced_ip), None, NoEffectHere;
    /// Announced IPv4 address for clients.
    cluster_announce_client_ipv4: Vec<u8> = vec![], "cluster-announce-client-ipv4", optional_text().checked(checks::ipv4), None, NoEffectHere;
    /// Announced IPv6 address for clients.
    cluster_announce_client_ipv6: Vec<u8> = vec![], "cluster-announce-client-ipv6", optional_text().checked(checks::ipv6), None, NoEffectHere;
    /// Announced host name.
    cluster_announce_hostname: Vec<u8> = vec![], "cluster-announce-hostname", optional_text().checked(checks::hostname), None, NoEffectHere;
    /// Announced name for people.
    cluster_announce_human_nodename: Vec<u8> = vec![], "cluster-announce-human-nodename", optional_text().checked(checks::human_nodename), None, NoEffectHere;
    /// Announced port.
    cluster_announce_port: u16 = 0, "cluster-announce-port", number(0, 65535), None, NoEffectHere;
    /// Announced TLS port.
    cluster_announce_tls_port: u16 = 0, "cluster-announce-tls-port", number(0, 65535), None, NoEffectHere;
    /// Announced port of the bus.
    cluster_announce_bus_port: u16 = 0, "cluster-announce-bus-port", number(0, 65535), None, NoEffectHere;
    /// Announced port for clients.
    cluster_announce_client_port: u16 = 0, "cluster-announce-client-port", number(0, 65535), None, NoEffectHere;
    /// Announced TLS port for clients.
    cluster_announce_client_tls_port: u16 = 0, "cluster-announce-client-tls-port", number(0, 65535), None, NoEffectHere;
    /// TLS on the cluster bus.
    tls_cluster: bool = false, "tls-cluster", flag(), None, NoEffectHere;
    /// Counts the use of each slot.
    cluster_slot_stats_enabled: bool = false, "cluster-slot-stats-enabled", flag(), None, NoEffectHere;
    /// Entries of the log of slot migrations.
    cluster_slot_migration_log_max_len: usize = 1000, "cluster-slot-migration-log-max-len", number(0, LONG_MAX), None, NoEffectHere;
    /// Bytes that may be missing when a slot changes hands; -1 for any.
    slot_migration_max_failover_repl_bytes: i64 = 0, "slot-migration-max-failover-repl-bytes", memory(-1, LONG_MAX), None, NoEffectHere;
} } }
pub(super) use absent_rows;
