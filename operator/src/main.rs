//! The operator for `ValkeyReplication` resources.
fn main() {}
