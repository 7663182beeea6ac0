//! Certificates and keys in files, in PEM.

use std::path::Path;

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Identity, Trust};

/// The certificates in a file.
///
/// # Errors
/// A text that names the file.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|e| format!("'{}': {}", path.display(), why(&e)))?;
    if found.is_empty() { Err(format!("'{}' holds no certificate in PEM", path.display())) } else { Ok(found) }
}

/// A certificate with its chain, and its key.
pub(super) fn identity(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    Ok((certificates(&identity.certificate)?, key(&identity.key, &identity.password)?))
}

fn key(path: &Path, password: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(path)?;
    let name = path.display();
    if memchr::memmem::find(&text, b"Proc-Type: 4,ENCRYPTED").is_some() {
        return Err(format!(
            "'{name}' is encrypted in an old way that this server does not read: rewrite it with 'openssl pkcs8 -topk8'"
        ));
    }
    if let Some(encrypted) = encrypted_section(&text) {
        let refused = |_| match password {
            b"" => format!("'{name}' is encrypted and no password is set for it"),
            _ => format!("'{name}' can't be decrypted with its password"),
        };
        let info = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_slice()).map_err(refused)?;
        let plain = info.decrypt(password).map_err(refused)?;
        return Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into());
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|e| format!("'{name}': {}", why(&e)))
}

/// The encrypted key in a text, decoded from PEM.
fn encrypted_section(text: &[u8]) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let text = std::str::from_utf8(text).ok()?;
    let from = &text[text.find(BEGIN)?..];
    let section = &from[..from.find(END)? + END.len()];
    SecretDocument::from_pem(section).ok().map(|(_, der)| der.as_bytes().to_vec())
}

/// The certificates of authorities: those of the file, and those of all files in the directory that hold any.
pub(super) fn authorities(trust: &Trust) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = Vec::new();
    if let Some(file) = &trust.file {
        found.extend(certificates(file)?);
    }
    if let Some(directory) = &trust.directory {
        let entries =
            directory.read_dir().map_err(|e| format!("'{}': {}", directory.display(), crate::config::os_text(&e)))?;
        let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        found.extend(paths.iter().filter(|path| path.is_file()).filter_map(|path| certificates(path).ok()).flatten());
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("'{}': {}", path.display(), crate::config::os_text(&e)))
}

fn why(error: &PemError) -> String {
    match error {
        PemError::NoItemsFound => "nothing of the kind is in it".to_owned(),
        other => other.to_string(),
    }
}
