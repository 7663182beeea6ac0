//! TLS as the command line asks for it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;

use crate::tls::{Choices, ClientRules, Identity, Session, Trust, certificates, client_config};

/// Where systems keep the certificates of authorities that they trust.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why there can be no connection over TLS with these options.
#[derive(Debug)]
pub struct Refused {
    /// In Valkey's words.
    what: &'static str,
    /// More of it.
    cause: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Could not negotiate a TLS connection: {}\n{}", self.what, self.cause)
    }
}

impl std::error::Error for Refused {}

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
    /// What is wrong with the options or their files, a [`Refused`].
    pub fn session(&self, host: &str) -> io::Result<Session> {
        let config = self.config().map_err(|cause| io::Error::other(Refused { what: self.faulty_part(), cause }))?;
        Session::client(config, self.name.as_deref().unwrap_or(host))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let identity = match (&self.certificate, &self.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(Identity { certificate: certificate.clone(), key: key.clone(), password: Vec::new() })
            }
            _ => return Err("--cert and --key must be given together".to_owned()),
        };
        let trust = if self.insecure { None } else { Some(self.trust()?) };
        let choices =
            Choices { protocols: Vec::new(), ciphers: self.ciphers.clone(), ciphersuites: self.ciphersuites.clone() };
        client_config(&ClientRules { identity, trust, choices })
    }

    /// What of the options cannot be had, in Valkey's words and in its order.
    fn faulty_part(&self) -> &'static str {
        let usable = |trust: Option<Trust>, ciphers: &[u8], ciphersuites: &[u8]| {
            let choices =
                Choices { protocols: Vec::new(), ciphers: ciphers.to_vec(), ciphersuites: ciphersuites.to_vec() };
            client_config(&ClientRules { identity: None, trust, choices }).is_ok()
        };
        let trusted = || self.trust().is_ok_and(|trust| usable(Some(trust), b"", b""));
        if !self.insecure && !trusted() {
            return "Invalid CA Certificate File/Directory";
        }
        if self.certificate.as_ref().is_some_and(|file| certificates(file).is_err()) {
            return "Invalid client certificate";
        }
        if !usable(None, &self.ciphers, b"") {
            return "Error while configuring ciphers";
        }
        if !usable(None, b"", &self.ciphersuites) {
            return "Error while setting cypher suites";
        }
        "Invalid private key"
    }

    fn trust(&self) -> Result<Trust, String> {
        let (mut file, directory) = (self.authorities.clone(), self.authorities_directory.clone());
        if file.is_none() && directory.is_none() {
            file = SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find(|path| Path::exists(path));
            if file.is_none() {
                return Err("this system has no certificates of authorities: give --cacert or --cacertdir".to_owned());
            }
        }
        Ok(Trust { file, directory })
    }
}
