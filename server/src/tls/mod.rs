//! TLS: what both programs and both ends of a connection need of it. Knows nothing of clients and replication.
//!
//! [`server_config`] and [`client_config`] make rules of files and names; a [`Session`] is one connection's encryption, between a socket
//! and the bytes that it carries.

mod ciphers;
mod files;
pub mod identity;
mod session;
#[cfg(test)]
mod tests;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub use ciphers::{check_protocols, unknown_ciphers};
pub use files::certificates;
pub use session::Session;

/// A certificate and its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The certificate's file, chain and all.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
    /// The key's password; empty for none.
    pub password: Vec<u8>,
}

/// Whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// A file of certificates of authorities.
    pub file: Option<PathBuf>,
    /// A directory of such files.
    pub directory: Option<PathBuf>,
}

/// Versions and ciphers; what is empty is the library's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// `TLSv1.2`, `TLSv1.3`, separated by blanks.
    pub protocols: Vec<u8>,
    /// OpenSSL's names of ciphers of TLS 1.2, separated by colons.
    pub ciphers: Vec<u8>,
    /// Names of ciphers of TLS 1.3, separated by colons.
    pub ciphersuites: Vec<u8>,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticate {
    /// They are not asked for one.
    No,
    /// One that is shown is checked.
    Optional,
    /// They must.
    Yes,
}

/// What a server needs.
#[derive(Clone, Debug)]
pub struct ServerRules {
    /// Its certificate.
    pub identity: Identity,
    /// Whose clients' certificates it accepts.
    pub trust: Trust,
    /// See [`Authenticate`].
    pub authenticate: Authenticate,
    /// See [`Choices`].
    pub choices: Choices,
    /// Its own order of ciphers counts, not the client's.
    pub prefer_own_ciphers: bool,
    /// Sessions that are kept for clients to resume; `None` for no resumption.
    pub sessions: Option<usize>,
}

/// What a client needs.
#[derive(Clone, Debug)]
pub struct ClientRules {
    /// Its certificate, if it has one.
    pub identity: Option<Identity>,
    /// Whose servers' certificates it accepts; `None`: anybody's.
    pub trust: Option<Trust>,
    /// See [`Choices`].
    pub choices: Choices,
}

/// The rules of a server.
///
/// # Errors
/// A text that names the file, and what is wrong with it.
pub fn server_config(rules: &ServerRules) -> Result<Arc<ServerConfig>, String> {
    let provider = provider(&rules.choices)?;
    let versions = ciphers::versions(&rules.choices.protocols)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|e| format!("versions and ciphers do not go together: {e}"))?;
    let builder = if rules.authenticate == Authenticate::No {
        builder.with_no_client_auth()
    } else {
        let trusted = trusted(&rules.trust)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&trusted.roots), provider);
        let verifier =
            if rules.authenticate == Authenticate::Optional { verifier.allow_unauthenticated() } else { verifier };
        let chain = verifier.build().map_err(|e| format!("certificates of authorities: {e}"))?;
        builder.with_client_cert_verifier(Arc::new(verify::Clients::new(trusted, chain)))
    };
    let (chain, key) = files::identity(&rules.identity)?;
    let name = rules.identity.certificate.display();
    let mut config = builder.with_single_cert(chain, key).map_err(|e| format!("'{name}' and its key: {e}"))?;
    config.ignore_client_order = rules.prefer_own_ciphers;
    match rules.sessions {
        Some(n) => config.session_storage = ServerSessionMemoryCache::new(n.max(1)),
        None => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
    }
    Ok(Arc::new(config))
}

/// The rules of a client. Servers are known by who signed their certificates, whatever names stand in those, as in Valkey.
///
/// # Errors
/// A text that names the file, and what is wrong with it.
pub fn client_config(rules: &ClientRules) -> Result<Arc<ClientConfig>, String> {
    let provider = provider(&rules.choices)?;
    let versions = ciphers::versions(&rules.choices.protocols)?;
    let verifier = match &rules.trust {
        Some(trust) => verify::Chain::new(trusted(trust)?, &provider),
        None => verify::Chain::anybody(&provider),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|e| format!("versions and ciphers do not go together: {e}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match &rules.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = files::identity(identity)?;
            let name = identity.certificate.display();
            builder.with_client_auth_cert(chain, key).map_err(|e| format!("'{name}' and its key: {e}"))?
        }
    };
    Ok(Arc::new(config))
}

fn provider(choices: &Choices) -> Result<Arc<CryptoProvider>, String> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites = ciphers::choose(provider.cipher_suites, choices)?;
    Ok(Arc::new(provider))
}

fn trusted(trust: &Trust) -> Result<verify::Trusted, String> {
    let mut roots = RootCertStore::empty();
    let certificates = files::authorities(trust)?;
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|e| format!("a certificate of an authority: {e}"))?;
    }
    if roots.is_empty() {
        return Err("no certificate of an authority was found".to_owned());
    }
    Ok(verify::Trusted { roots: Arc::new(roots), certificates: certificates.into() })
}
