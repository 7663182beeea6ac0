//! Where the programs under test are, and how they come to be there.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A program of this workspace, built in the profile that the running test was built in, once for each process.
/// `VALKEY_REPL_BIN_DIR` names a folder of finished ones instead.
///
/// # Errors
/// The build failed; cargo has said why on standard error.
pub fn ours(package: &str, name: &str) -> io::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("VALKEY_REPL_BIN_DIR") {
        return Ok(Path::new(&dir).join(name));
    }
    // target/<profile>/deps/<test>-<hash>
    let test = std::env::current_exe()?;
    let profile = test
        .ancestors()
        .find(|dir| dir.join("deps").exists())
        .ok_or_else(|| io::Error::other("no target folder above the test; set VALKEY_REPL_BIN_DIR"))?;
    static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.iter().any(|done| done == name) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(root()).args(["build", "--quiet", "--package", package, "--bin", name]);
        if profile.ends_with("release") {
            command.arg("--release");
        }
        if !command.status()?.success() {
            return Err(io::Error::other(format!("cargo could not build {name}")));
        }
        built.push(name.to_owned());
    }
    Ok(profile.join(name))
}

/// A program of a peer in `.cache/peers` (or `PEERS_DIR`); `e2e/peers/build.sh` is run where it is not there yet.
///
/// # Errors
/// The build failed; the script has said why on standard error.
pub fn peer(peer: &str, program: &str) -> io::Result<PathBuf> {
    let peers = std::env::var_os("PEERS_DIR").map_or_else(|| root().join(".cache/peers"), PathBuf::from);
    let path = peers.join(peer).join("bin").join(program);
    if !path.exists() {
        let script = root().join("e2e/peers/build.sh");
        // Its words belong beside the test's own, not into a result that a parent process may be reading.
        let status = Command::new(&script).arg(peer).stdout(io::stderr()).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{} {peer} failed", script.display())));
        }
    }
    Ok(path)
}
