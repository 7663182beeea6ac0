//! The directory of a run: its lock, the password, a home for each instance.
//!
//! ```text
//! lock           held while an operator looks after the directory
//! password       the servers' password; only its owner may read it
//! auth.conf      the same as the servers read it
//! record.json    what the operator goes by
//! operator.log   what it did
//! pair-0/        an instance: valkey.conf, valkey.log, valkey.pid, alive, and its data
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::Error;
use crate::{instance::Password, resources::auth};

/// The directory, locked. The lock ends with this, or with the process.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory if need be, and locks it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let wrong = |error: io::Error| Error::File { path: path.to_owned(), why: error.to_string() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong)?;
        let path = path.canonicalize().map_err(wrong)?;
        let mut lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = lock.read_to_string(&mut pid);
                let pid = read.ok().map(|_| pid.trim().to_owned()).filter(|pid| !pid.is_empty());
                return Err(Error::Locked { path, pid });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, from the root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file with the password.
    pub fn password_file(&self) -> PathBuf {
        self.path.join("password")
    }

    /// The file that servers read the password from.
    pub fn auth(&self) -> PathBuf {
        self.path.join(auth::FILE)
    }

    /// The password: the one that is there, which may be the user's own, or one that is made now.
    pub fn password(&self) -> Result<Password, Error> {
        let path = self.password_file();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = auth::password()?.into_bytes();
                write_secret(&path, &[&made[..], b"\n"].concat())?;
                made
            }
            Err(error) => return Err(Error::File { path, why: error.to_string() }),
        };
        // As `$(cat password)` reads it.
        let end = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
        let password = bytes.get(..end).unwrap_or_default();
        if password.is_empty() || password.contains(&0) {
            let why = "it must hold a password that is not empty and has no zero byte; remove it to have one made";
            return Err(Error::File { path, why: why.into() });
        }
        write_secret(&self.auth(), auth::file(password, None).as_bytes())?;
        Ok(Password(password.into()))
    }

    /// The home of an instance.
    pub fn home(&self, name: &str) -> Home {
        Home { path: self.path.join(name), name: name.to_owned() }
    }
}

/// Writes a file that only its owner may read, as a whole.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    // One that was left over may have another mode.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(next, path)
}

/// The directory of one instance; its server's working directory.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub path: PathBuf,
    pub name: String,
}

impl Home {
    /// Its configuration, as its server was last started with, or goes on with.
    pub fn conf(&self) -> PathBuf {
        self.path.join("valkey.conf")
    }

    /// What its servers printed.
    pub fn log(&self) -> PathBuf {
        self.path.join("valkey.log")
    }

    /// Where its server writes its process id.
    pub fn pid_file(&self) -> PathBuf {
        self.path.join("valkey.pid")
    }

    /// A file whose lock a server holds as long as it lives: it is open there as standard input.
    pub fn alive(&self) -> PathBuf {
        self.path.join("alive")
    }

    /// Takes the lock that a server is to hold; `None`: one that lives holds it.
    pub fn claim(&self) -> io::Result<Option<File>> {
        fs::create_dir_all(&self.path)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.alive())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether a server has ever been here.
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Whether a server lives here. Makes nothing.
    pub fn is_inhabited(&self) -> bool {
        self.path.is_dir() && matches!(self.claim(), Ok(None))
    }

    /// The port that its server was last started with.
    pub fn last_port(&self) -> Option<u16> {
        let text = fs::read_to_string(self.conf()).ok()?;
        text.lines().find_map(|line| line.strip_prefix("port ")?.trim().parse().ok())
    }

    /// The last line that its server printed.
    pub fn last_words(&self) -> Option<String> {
        let bytes = fs::read(self.log()).ok()?;
        let tail = bytes.get(bytes.len().saturating_sub(2_000)..)?;
        let text = String::from_utf8_lossy(tail);
        text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("valkey-local-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_second_run_on_the_same_directory_is_refused() {
        let path = scratch("lock");
        let first = Directory::open(&path).unwrap();
        let refused = Directory::open(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("another run (pid {})", std::process::id())), "{refused}");
        drop(first);
        Directory::open(&path).unwrap();
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn the_password_stays_the_same_and_only_its_owner_may_read_it() {
        let path = scratch("password");
        let directory = Directory::open(&path).unwrap();
        let first = directory.password().unwrap();
        assert_eq!(directory.password().unwrap(), first);
        for file in [directory.password_file(), directory.auth()] {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(directory.password_file(), "my own\n").unwrap();
        assert_eq!(&*directory.password().unwrap().0, b"my own");
        fs::write(directory.password_file(), "\n").unwrap();
        assert!(directory.password().unwrap_err().to_string().contains("not empty"));
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_home_tells_whether_a_server_lives_in_it() {
        let path = scratch("home");
        let directory = Directory::open(&path).unwrap();
        let home = directory.home("pair-0");
        assert!(!home.is_inhabited() && !home.path.exists());
        let lock = home.claim().unwrap();
        assert!(home.is_inhabited() && home.claim().unwrap().is_none());
        drop(lock);
        assert!(!home.is_inhabited());
        fs::remove_dir_all(path).unwrap();
    }
}
