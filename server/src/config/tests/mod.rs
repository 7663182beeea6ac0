//! What users of configuration files and of CONFIG rely on.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

mod commands;
mod files;
mod rewriting;

/// A new directory for a test, by its real path.
pub(super) fn directory(purpose: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("config-{purpose}-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path.canonicalize().unwrap()
}
