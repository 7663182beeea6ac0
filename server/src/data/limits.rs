//! Where the compact encodings end: the configuration directives of the same names.

/// Limits at which a value leaves its compact encoding. Lengths are in bytes of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `list-max-listpack-size`: positive: elements a list node may hold; -1 to -5: its size, 4, 8, 16, 32 or 64 KiB.
    pub list_max_listpack_size: i32,
    /// Element size from which a list node holds that element alone; 0: what the node's own limit says. No directive:
    /// `DEBUG QUICKLIST-PACKED-THRESHOLD` sets it.
    pub quicklist_packed_threshold: usize,
    /// `hash-max-listpack-entries`: fields a listpack hash may have.
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`: longest field name or value in a listpack hash.
    pub hash_max_listpack_value: usize,
    /// `set-max-intset-entries`: members an intset may have.
    pub set_max_intset_entries: usize,
    /// `set-max-listpack-entries`: members a listpack set may have.
    pub set_max_listpack_entries: usize,
    /// `set-max-listpack-value`: longest member in a listpack set.
    pub set_max_listpack_value: usize,
    /// `zset-max-listpack-entries`: members a listpack sorted set may have.
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`: longest member in a listpack sorted set.
    pub zset_max_listpack_value: usize,
    /// `stream-node-max-bytes`: bytes that a node of a stream may have; 0: as many as can be.
    pub stream_node_max_bytes: usize,
    /// `stream-node-max-entries`: entries that a node of a stream may have; 0: any number.
    pub stream_node_max_entries: u64,
}

impl Default for Limits {
    /// The defaults of Valkey 9.1.
    fn default() -> Self {
        Limits {
            list_max_listpack_size: -2,
            quicklist_packed_threshold: 0,
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
        }
    }
}
