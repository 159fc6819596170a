//! Whom the transport believes to be the station: certificates under the deployment's roots, never those of the phone, and of these only the ones
//! whose keys the phone was given. A station's certificate is its operator's matter, and no authority of the world's has a say in it.

use std::fmt;
use std::sync::Arc;

use beatbook_protocol::id::Hash;
use beatbook_protocol::trust::TrustText;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::TransportError;
use crate::platform::Clock;

/// Why whoever answers is not believed to be the station. Nothing was sent to it.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Mistrust {
    /// Its certificate is of the deployment, but of a key that the phone was not given.
    #[error(
        "the station's certificate is not the one this phone was given: somebody may stand between; if the station was set up anew, scan its \
         code again"
    )]
    OtherKey,
    /// Its certificate is of nobody that the deployment trusts.
    #[error("whoever answers under the station's address is not the station: perhaps this network wants a sign-in first")]
    OtherIssuer,
    /// Its certificate is for other addresses.
    #[error("the certificate that was shown is for another address than the station's")]
    OtherName,
    /// Its certificate's dates are not today's.
    #[error("the station's certificate is not valid today: see that this phone's date is right; if it is, tell the operator")]
    Dates,
    /// It does not speak TLS, or none that is safe.
    #[error("whoever answers under the station's address does not speak safely: perhaps this network wants a sign-in first")]
    NoTls,
    /// Its certificate is faulty otherwise.
    #[error("the station's certificate cannot be accepted: {0}; tell the operator")]
    Faulty(String),
}

/// Whom to believe.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    roots: Vec<CertificateDer<'static>>,
    pins: Vec<Hash>,
}

impl Trust {
    /// Certificates under these roots (PEM).
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TransportError> {
        let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        Self::of(roots.map_err(|fault| TransportError::Roots(fault.to_string()))?, Vec::new())
    }

    /// What the text says that a station prints for its phones.
    ///
    /// # Errors
    /// When it is not such a text, or not whole.
    pub fn from_text(text: &str) -> Result<Self, TransportError> {
        let text = TrustText::parse(text).map_err(|fault| TransportError::Roots(fault.to_string()))?;
        Self::of(text.roots.into_iter().map(CertificateDer::from).collect(), text.pins)
    }

    /// The same roots, and of the certificates under them those of these keys alone: what the station announced last ([`crate::sync::pins`])
    /// takes the place of what the phone was given first. None changes nothing; an empty list leaves it to the roots. A text that somebody scans later
    /// is told to [`crate::sync::scanned`] first, so that it counts.
    #[must_use]
    pub fn holding_to(self, announced: Option<Vec<Hash>>) -> Self {
        Self {
            pins: announced.unwrap_or(self.pins),
            ..self
        }
    }

    /// The keys that it names; none leaves it to the roots.
    pub(crate) fn pins(&self) -> &[Hash] {
        &self.pins
    }

    /// Whether nobody is believed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    fn of(roots: Vec<CertificateDer<'static>>, pins: Vec<Hash>) -> Result<Self, TransportError> {
        let trust = Self { roots, pins };
        trust.store()?;
        Ok(trust)
    }

    fn store(&self) -> Result<RootCertStore, TransportError> {
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            store
                .add(root.clone())
                .map_err(|fault| TransportError::Roots(fault.to_string()))?;
        }
        Ok(store)
    }

    /// TLS with whom is believed; certificates' dates are judged by `clock`, or the system's when there is none. The provider is named here, so
    /// that nothing depends on a default that some other library of the app may install.
    pub(super) fn client_config(&self, clock: Option<Arc<dyn Clock>>) -> Result<ClientConfig, TransportError> {
        let wrong = |fault: &dyn fmt::Display| TransportError::Client(fault.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = match clock {
            Some(clock) => ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(WallTime(clock))),
            None => ClientConfig::builder_with_provider(Arc::clone(&provider)),
        };
        let builder = builder
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|fault| wrong(&fault))?;
        if self.is_empty() {
            // For plain HTTP to this machine: whoever speaks TLS is believed by nobody.
            return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
        }
        let under_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(self.store()?), Arc::clone(&provider))
            .build()
            .map_err(|fault| wrong(&fault))?;
        let verifier = Verifier {
            under_roots,
            trust: self.clone(),
            provider,
        };
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    }
}

/// What every other client verifies, and then that the key is one of the given.
#[derive(Debug)]
struct Verifier {
    under_roots: Arc<WebPkiServerVerifier>,
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Whether a given key is the certificate's own, or one that its chain rests on. A certificate that merely lies beside the chain, as anybody
    /// can send it along, counts for nothing: the chain is verified again with nothing but the given keys to rest on.
    fn is_given(&self, shown: &CertificateDer<'_>, beside: &[CertificateDer<'_>], now: UnixTime) -> bool {
        let is_pinned = |certificate: &CertificateDer<'_>| {
            ParsedCertificate::try_from(certificate).is_ok_and(|read| {
                self.trust
                    .pins
                    .contains(&Hash::of(&[read.subject_public_key_info().as_ref()]))
            })
        };
        if is_pinned(shown) {
            return true;
        }
        let mut rests_on = RootCertStore::empty();
        for certificate in self
            .trust
            .roots
            .iter()
            .chain(beside)
            .filter(|certificate| is_pinned(certificate))
        {
            // What is no authority's certificate can carry no chain.
            let _ = rests_on.add(certificate.clone().into_owned());
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        ParsedCertificate::try_from(shown)
            .is_ok_and(|read| verify_server_cert_signed_by_trust_anchor(&read, &rests_on, beside, now, algorithms).is_ok())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        beside: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.under_roots.verify_server_cert(shown, beside, name, ocsp, now)?;
        if self.trust.pins.is_empty() || self.is_given(shown, beside, now) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.under_roots.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.under_roots.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.under_roots.supported_verify_schemes()
    }
}

/// A wall clock as TLS asks for it.
struct WallTime(Arc<dyn Clock>);

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallTime")
    }
}

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.wall().seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// Why a connection was given up, when that was for want of trust; none when the line, or the other side's haste, was at fault.
pub(super) fn mistrust(fault: &Error) -> Option<Mistrust> {
    match fault {
        Error::InvalidCertificate(fault) => Some(match fault {
            CertificateError::ApplicationVerificationFailure => Mistrust::OtherKey,
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Mistrust::OtherIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Mistrust::OtherName,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Mistrust::Dates,
            other => Mistrust::Faulty(other.to_string()),
        }),
        Error::PeerIncompatible(_)
        | Error::PeerMisbehaved(_)
        | Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        ) => Some(Mistrust::NoTls),
        _ => None,
    }
}
