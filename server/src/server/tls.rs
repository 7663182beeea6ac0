//! TLS as the configuration asks for it: making its rules, using them, reading certificates anew when their files change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::{ClientConfig, ServerConfig};

use super::Server;
use crate::client::Client;
use crate::config::{Config, TlsAuthClients, TlsAuthClientsUser};
use crate::net::Stream;
use crate::persistence::snapshot::path_of;
use crate::tls::{
    Authenticate, Choices, ClientRules, Identity, ServerRules, Session, Trust, certificates, client_config, identity,
    server_config, unknown_ciphers,
};
use crate::{log_notice, log_verbose, log_warning};

/// The rules in force, and what they were made of.
#[derive(Debug, Default)]
pub struct Tls {
    server: Option<Arc<ServerConfig>>,
    client: Option<Arc<ClientConfig>>,
    /// When the files changed last, as they were read.
    stamps: Vec<(PathBuf, Option<SystemTime>)>,
    /// Unix time in ms of the last look at the files.
    looked_ms: i64,
    /// The server's own certificate, the one of connections that it opens, and the first of an authority.
    certificates: [Option<Vec<u8>>; 3],
}

/// Whether the configuration asks for TLS at all.
fn is_wanted(c: &Config) -> bool {
    c.tls_port != 0 || c.tls_replication
}

fn optional(path: &[u8]) -> Option<PathBuf> {
    (!path.is_empty()).then(|| path_of(path))
}

fn trust(c: &Config) -> Trust {
    Trust { file: optional(&c.tls_ca_cert_file), directory: optional(&c.tls_ca_cert_dir) }
}

fn choices(c: &Config) -> Choices {
    Choices {
        protocols: c.tls_protocols.clone(),
        ciphers: c.tls_ciphers.clone(),
        ciphersuites: c.tls_ciphersuites.clone(),
    }
}

fn own_identity(c: &Config) -> Identity {
    Identity {
        certificate: path_of(&c.tls_cert_file),
        key: path_of(&c.tls_key_file),
        password: c.tls_key_file_pass.clone(),
    }
}

/// The identity of connections that the server opens: its own, unless there is another for that.
fn client_identity(c: &Config) -> Identity {
    if c.tls_client_cert_file.is_empty() {
        return own_identity(c);
    }
    Identity {
        certificate: path_of(&c.tls_client_cert_file),
        key: path_of(&c.tls_client_key_file),
        password: c.tls_client_key_file_pass.clone(),
    }
}

impl Tls {
    /// Makes the rules.
    fn make(c: &Config, now_ms: i64) -> Result<Tls, String> {
        for (value, directive) in [(&c.tls_cert_file, "tls-cert-file"), (&c.tls_key_file, "tls-key-file")] {
            if value.is_empty() {
                return Err(format!("No {directive} configured!"));
            }
        }
        if c.tls_client_cert_file.is_empty() != c.tls_client_key_file.is_empty() {
            return Err("tls-client-cert-file and tls-client-key-file must be set together, or neither".to_owned());
        }
        let authenticate = match c.tls_auth_clients {
            TlsAuthClients::No => Authenticate::No,
            TlsAuthClients::Optional => Authenticate::Optional,
            TlsAuthClients::Yes => Authenticate::Yes,
        };
        let trust = trust(c);
        let needs_trust = authenticate != Authenticate::No || c.tls_replication;
        if needs_trust && trust == Trust::default() {
            return Err("Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or tls-auth-clients are enabled!".to_owned());
        }
        let choices = choices(c);
        for name in unknown_ciphers(&choices) {
            log_warning!("TLS: this server has no cipher '{name}'; the others of the list are used");
        }
        let server = server_config(&ServerRules {
            identity: own_identity(c),
            trust: trust.clone(),
            authenticate,
            choices: choices.clone(),
            prefer_own_ciphers: c.tls_prefer_server_ciphers,
            sessions: c.tls_session_caching.then_some(c.tls_session_cache_size as usize),
        })?;
        let identity = client_identity(c);
        let first = |path: &PathBuf| Some(certificates(path).ok()?.first()?.as_ref().to_vec());
        let client_certificate = optional(&c.tls_client_cert_file).and_then(|path| first(&path));
        let client = if trust == Trust::default() {
            None
        } else {
            let authority = Some(trust.clone());
            Some(client_config(&ClientRules { identity: Some(identity), trust: authority, choices })?)
        };
        Ok(Tls {
            server: Some(server),
            client,
            stamps: stamps(c),
            looked_ms: now_ms,
            certificates: [first(&path_of(&c.tls_cert_file)), client_certificate, trust.file.as_ref().and_then(first)],
        })
    }

    /// Serial number and seconds left of the server's certificate (0), its certificate as a client (1), an authority's (2).
    pub fn certificate(&self, which: usize, now_ms: i64) -> (String, i64) {
        let known = self.certificates.get(which).and_then(|der| identity::serial_and_end(der.as_deref()?));
        known.map_or(("none".to_owned(), 0), |(serial, end)| (serial, (end - now_ms / 1000).max(0)))
    }
}

/// When the files of the configuration changed last.
fn stamps(c: &Config) -> Vec<(PathBuf, Option<SystemTime>)> {
    let paths = [
        &c.tls_cert_file,
        &c.tls_key_file,
        &c.tls_client_cert_file,
        &c.tls_client_key_file,
        &c.tls_ca_cert_file,
        &c.tls_ca_cert_dir,
    ];
    let changed = |path: PathBuf| {
        let changed = path.metadata().and_then(|m| m.modified()).ok();
        (path, changed)
    };
    paths.into_iter().filter_map(|path| optional(path)).map(changed).collect()
}

impl Server {
    /// Makes the rules that the configuration asks for, if it asks for TLS.
    ///
    /// # Errors
    /// What is wrong with it; the rules of before stay.
    pub fn configure_tls(&mut self) -> Result<(), String> {
        if !is_wanted(&self.config) {
            self.tls = Tls::default();
            return Ok(());
        }
        self.tls = Tls::make(&self.config, self.now_ms()).map_err(|why| {
            log_warning!("Failed to configure TLS: {why}");
            format!("Unable to update TLS configuration: {why}")
        })?;
        Ok(())
    }

    /// Begins to encrypt a connection that came to `tls-port`.
    ///
    /// # Errors
    /// When there are no rules.
    pub fn accept_tls(&self, stream: &mut Stream) -> std::io::Result<()> {
        let config = self.tls.server.clone().ok_or_else(|| std::io::Error::other("TLS is not configured"))?;
        stream.set_tls(Session::server(config)?);
        Ok(())
    }

    /// Begins to encrypt the connection to our primary, if `tls-replication` says so.
    ///
    /// # Errors
    /// When there are no rules.
    pub fn connect_tls(&self, stream: &mut Stream, host: &str) -> std::io::Result<()> {
        if self.config.tls_replication {
            let config = self.tls.client.clone().ok_or_else(|| std::io::Error::other("TLS is not configured"))?;
            stream.set_tls(Session::client(config, host)?);
        }
        Ok(())
    }

    /// A client's encryption has been agreed upon: its certificate may say who it is.
    pub fn tls_opened(&mut self, client: &mut Client) {
        let field = self.config.tls_auth_clients_user;
        let certificate = client.stream.as_ref().and_then(Stream::peer_certificate);
        let Some(der) = certificate.filter(|_| field != TlsAuthClientsUser::Off) else { return };
        let names = match field {
            TlsAuthClientsUser::CommonName => identity::common_name(&der).into_iter().collect(),
            _ => identity::uris(&der),
        };
        let known = names.iter().find_map(|name| self.acl.get(name.as_bytes()).filter(|user| user.rights().enabled));
        match known.cloned() {
            Some(user) => {
                log_verbose!("TLS: Auto-authenticated client as {}", String::from_utf8_lossy(user.name()));
                client.user = Some(user);
                client.authenticated = true;
            }
            None => {
                self.stats.denied.certificates += 1;
                self.note_denied_certificate(client, names.first().map_or("", String::as_str));
            }
        }
    }

    /// Reads certificates anew when their files have changed, every `tls-auto-reload-interval` seconds.
    pub fn reload_tls_if_changed(&mut self) {
        let (now, interval) = (self.now_ms(), i64::from(self.config.tls_auto_reload_interval) * 1000);
        if interval == 0 || !is_wanted(&self.config) || now - self.tls.looked_ms < interval {
            return;
        }
        self.tls.looked_ms = now;
        let stamps = stamps(&self.config);
        if stamps == self.tls.stamps {
            return;
        }
        match Tls::make(&self.config, now) {
            Ok(tls) => {
                self.tls = tls;
                log_notice!("TLS materials reloaded successfully");
            }
            Err(why) => {
                // Tried again when they change again.
                self.tls.stamps = stamps;
                log_warning!("Failed to reload TLS materials, those of before are still used: {why}");
            }
        }
    }
}
