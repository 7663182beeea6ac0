//! The name that this operator writes under: the API server keeps it with each field that was written.

use kube::api::{PatchParams, PostParams};

/// The field manager, and the value of the label `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "valkey-operator";

/// For a creation and for a replacement.
pub(crate) fn write() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}

/// For a merge patch.
pub(crate) fn merge() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }
}

/// For a server-side apply: what is wanted here is taken from whoever has it.
pub(crate) fn apply() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}
