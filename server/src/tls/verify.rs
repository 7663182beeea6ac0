//! Checking a certificate by who signed it, not by the names in it: that is what Valkey does. One that is itself among those trusted is
//! accepted, as by OpenSSL: what `openssl req -x509` makes calls itself an authority, which a chain may not end with.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Whose signature counts.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// The authorities.
    pub roots: Arc<RootCertStore>,
    /// Their certificates.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

impl Trusted {
    /// Whether this certificate is itself one of those, and in force.
    fn names(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<bool, Error> {
        if !self.certificates.iter().any(|trusted| trusted.as_ref() == certificate.as_ref()) {
            return Ok(false);
        }
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let (validity, now) = (parsed.validity(), i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        if now < validity.not_before.timestamp() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > validity.not_after.timestamp() {
            return Err(CertificateError::Expired.into());
        }
        Ok(true)
    }
}

/// Checks clients' certificates.
#[derive(Debug)]
pub struct Clients {
    trusted: Trusted,
    /// Checks those that an authority signed.
    chain: Arc<dyn ClientCertVerifier>,
}

impl Clients {
    /// Accepts what `chain` accepts, and the trusted certificates themselves.
    pub fn new(trusted: Trusted, chain: Arc<dyn ClientCertVerifier>) -> Self {
        Self { trusted, chain }
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.trusted.names(end_entity, now)? {
            return Ok(ClientCertVerified::assertion());
        }
        self.chain.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Checks a server's certificate.
#[derive(Debug)]
pub struct Chain {
    /// Whose signature counts; `None`: anybody's.
    trusted: Option<Trusted>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Chain {
    /// Accepts certificates that one of these authorities vouches for.
    pub fn new(trusted: Trusted, provider: &Arc<CryptoProvider>) -> Self {
        Chain { trusted: Some(trusted), algorithms: provider.signature_verification_algorithms }
    }

    /// Accepts any certificate: the connection is encrypted, to whoever is at its other end.
    pub fn anybody(provider: &Arc<CryptoProvider>) -> Self {
        Chain { trusted: None, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Chain {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trusted) = &self.trusted
            && !trusted.names(end_entity, now)?
        {
            let (certificate, roots) = (ParsedCertificate::try_from(end_entity)?, &trusted.roots);
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, self.algorithms.all)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
