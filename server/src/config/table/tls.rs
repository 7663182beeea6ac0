//! TLS: port, certificates, whom to trust, versions and ciphers.

/// See [`super`] for what the columns mean.
macro_rules! tls_rows { ($then:ident $rest:tt $($rows:tt)*) => { next_area! { $then $rest $($rows)*
    /// Port that clients connect to over TLS; 0 for none.
    tls_port: u16 = 0, "tls-port", number(0, 65535), Listen, Acts;
    /// TLS towards the primary.
    tls_replication: bool = false, "tls-replication", flag(), Tls, Acts;
    /// Whether clients show a certificate.
    tls_auth_clients: TlsAuthClients = TlsAuthClients::Yes, "tls-auth-clients", one_of(), Tls, Acts;
    /// The user that a certificate stands for.
    tls_auth_clients_user: TlsAuthClientsUser = TlsAuthClientsUser::Off, "tls-auth-clients-user", one_of(), None, Acts;
    /// Seconds between looks for changed certificates; 0 for never.
    tls_auto_reload_interval: u32 = 0, "tls-auto-reload-interval", number(0, INT_MAX), None, Acts;
    /// The server's certificate.
    tls_cert_file: Vec<u8> = vec![], "tls-cert-file", optional_text(), Tls, Acts, Reapply;
    /// Its key.
    tls_key_file: Vec<u8> = vec![], "tls-key-file", optional_text(), Tls, Acts, Reapply;
    /// The key's password.
    tls_key_file_pass: Vec<u8> = vec![], "tls-key-file-pass", optional_text(), Tls, Acts, Sensitive;
    /// Certificate for connections that the server opens.
    tls_client_cert_file: Vec<u8> = vec![], "tls-client-cert-file", optional_text(), Tls, Acts, Reapply;
    /// Its key.
    tls_client_key_file: Vec<u8> = vec![], "tls-client-key-file", optional_text(), Tls, Acts, Reapply;
    /// The key's password.
    tls_client_key_file_pass: Vec<u8> = vec![], "tls-client-key-file-pass", optional_text(), Tls, Acts, Sensitive;
    /// Diffie-Hellman parameters; this server agrees on keys by elliptic curves only.
    tls_dh_params_file: Vec<u8> = vec![], "tls-dh-params-file", optional_text(), None, NoEffectHere, Reapply;
    /// Certificates of authorities.
    tls_ca_cert_file: Vec<u8> = vec![], "tls-ca-cert-file", optional_text(), Tls, Acts, Reapply;
    /// Directory of such certificates.
    tls_ca_cert_dir: Vec<u8> = vec![], "tls-ca-cert-dir", optional_text(), Tls, Acts, Reapply;
    /// Versions of TLS.
    tls_protocols: Vec<u8> = vec![], "tls-protocols", optional_text().checked(checks::tls_protocols), Tls, Acts;
    /// Ciphers of TLS 1.2.
    tls_ciphers: Vec<u8> = vec![], "tls-ciphers", optional_text(), Tls, Acts;
    /// Ciphers of TLS 1.3.
    tls_ciphersuites: Vec<u8> = vec![], "tls-ciphersuites", optional_text(), Tls, Acts;
    /// Whose order of ciphers counts.
    tls_prefer_server_ciphers: bool = false, "tls-prefer-server-ciphers", flag(), Tls, Acts;
    /// Lets clients resume sessions.
    tls_session_caching: bool = true, "tls-session-caching", flag(), Tls, Acts;
    /// Sessions that are kept.
    tls_session_cache_size: u32 = 20480, "tls-session-cache-size", number(0, INT_MAX), Tls, Acts;
    /// Seconds for which they are kept.
    tls_session_cache_timeout: u32 = 300, "tls-session-cache-timeout", number(0, INT_MAX), None, NoEffectHere;
} } }
pub(super) use tls_rows;
