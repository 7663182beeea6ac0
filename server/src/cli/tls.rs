//! TLS as the command line asks for it.

use std::io;
use std::path::{Path, PathBuf};

use crate::tls::{Choices, ClientRules, Identity, Session, Trust, client_config};

/// Where systems keep the certificates of authorities that they trust.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The options of a connection over TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// `--sni`: the name that the server is asked for, if not the host's.
    pub name: Option<String>,
    /// `--cacert`
    pub authorities: Option<PathBuf>,
    /// `--cacertdir`
    pub authorities_directory: Option<PathBuf>,
    /// `--insecure`: whoever is at the other end is trusted.
    pub insecure: bool,
    /// `--cert`
    pub certificate: Option<PathBuf>,
    /// `--key`
    pub key: Option<PathBuf>,
    /// `--tls-ciphers`
    pub ciphers: Vec<u8>,
    /// `--tls-ciphersuites`
    pub ciphersuites: Vec<u8>,
}

impl TlsOptions {
    /// A session with a host.
    ///
    /// # Errors
    /// What is wrong with the options or their files.
    pub fn session(&self, host: &str) -> io::Result<Session> {
        let identity = match (&self.certificate, &self.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(Identity { certificate: certificate.clone(), key: key.clone(), password: Vec::new() })
            }
            _ => return Err(io::Error::other("--cert and --key must be given together")),
        };
        let trust = if self.insecure { None } else { Some(self.trust()?) };
        let choices =
            Choices { protocols: Vec::new(), ciphers: self.ciphers.clone(), ciphersuites: self.ciphersuites.clone() };
        let config = client_config(&ClientRules { identity, trust, choices }).map_err(io::Error::other)?;
        Session::client(config, self.name.as_deref().unwrap_or(host))
    }

    fn trust(&self) -> io::Result<Trust> {
        let (mut file, directory) = (self.authorities.clone(), self.authorities_directory.clone());
        if file.is_none() && directory.is_none() {
            file = SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find(|path| Path::exists(path));
            if file.is_none() {
                return Err(io::Error::other(
                    "this system has no certificates of authorities: give --cacert or --cacertdir",
                ));
            }
        }
        Ok(Trust { file, directory })
    }
}
