//! INFO tls.

use super::info::{Part, View, fields};

/// `# TLS`
pub const TLS: &[Part] = &[fields! {
    tls_server_cert_serial: |v| certificate(v, 0).0,
    tls_server_cert_expires_in_seconds: |v| certificate(v, 0).1,
    tls_client_cert_serial: |v| certificate(v, 1).0,
    tls_client_cert_expires_in_seconds: |v| certificate(v, 1).1,
    tls_ca_cert_serial: |v| certificate(v, 2).0,
    tls_ca_cert_expires_in_seconds: |v| certificate(v, 2).1,
}];

/// Serial number and seconds left.
fn certificate(view: &View<'_>, which: usize) -> (String, i64) {
    view.server.tls.certificate(which, view.server.now_ms())
}
