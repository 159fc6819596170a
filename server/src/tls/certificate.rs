//! A certificate and its key, read from PEM and found to belong together. Reads what it is given; knows no files and no clock.

use std::sync::Arc;

use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};

/// Why files are no certificate that can be shown.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub(crate) enum CertificateFault {
    /// No certificate in the file.
    #[error("there is no certificate in it: it holds PEM blocks, the station's own certificate first")]
    NoCertificate,
    /// A block that is no certificate.
    #[error("its certificate cannot be read: {0}")]
    Unreadable(String),
    /// No key in the file.
    #[error("there is no private key in it: it holds one PEM block, without a passphrase")]
    NoKey,
    /// A key that cannot be used.
    #[error("its private key cannot be used: {0}")]
    Key(String),
    /// The key of another certificate.
    #[error("certificate and key do not belong together: perhaps only one of the two was replaced so far")]
    OtherKey,
}

/// A certificate that can be shown.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// The chain and the key, ready for handshakes.
    pub(crate) key: Arc<CertifiedKey>,
    /// Valid from.
    pub(crate) not_before: UnixMillis,
    /// Valid until.
    pub(crate) not_after: UnixMillis,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub(crate) pin: Hash,
}

impl Certificate {
    /// Reads chain and key; they may be in one file.
    pub(crate) fn parse(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, CertificateFault> {
        let unreadable = |fault: &dyn std::fmt::Display| CertificateFault::Unreadable(fault.to_string());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_pem)
            .collect::<Result<_, _>>()
            .map_err(|fault| unreadable(&fault))?;
        let first = chain.first().ok_or(CertificateFault::NoCertificate)?.clone();
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| CertificateFault::NoKey)?;
        let parsed = ParsedCertificate::try_from(&first).map_err(|fault| unreadable(&fault))?;
        let pin = Hash::of(&[parsed.subject_public_key_info().as_ref()]);
        let (not_before, not_after) = validity(&parsed)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|fault| match fault {
            Error::InconsistentKeys(_) => CertificateFault::OtherKey,
            other => CertificateFault::Key(other.to_string()),
        })?;
        Ok(Self {
            key: Arc::new(key),
            not_before,
            not_after,
            pin,
        })
    }

    /// Whether phones with a right clock take it at this time, as far as its dates go.
    pub(crate) fn is_valid_at(&self, now: UnixMillis) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// The provider of cryptography; named, so that nothing depends on what somebody else may install for the process.
pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// From when and until when a certificate is valid, as the verifier of every client reads it: asked about a time before and one after any
/// that is meant, it names the certificate's own.
fn validity(certificate: &ParsedCertificate<'_>) -> Result<(UnixMillis, UnixMillis), CertificateFault> {
    let ask = |seconds: u64| {
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let algorithms = provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(certificate, &RootCertStore::empty(), &[], now, algorithms)
    };
    let millis = |time: UnixTime| UnixMillis(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000));
    let not_before = match ask(0) {
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => millis(not_before),
        // From before 1970: such certificates say that they mean no beginning.
        _ => UnixMillis(0),
    };
    match ask(u64::from(u32::MAX) * 1000) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => Ok((not_before, millis(not_after))),
        Err(fault) => Err(CertificateFault::Unreadable(fault.to_string())),
        Ok(()) => Ok((not_before, UnixMillis(i64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::authority::testing::{certificate, until};

    #[test]
    fn a_certificate_tells_its_dates_and_the_hash_of_its_key() {
        let (from, to) = (UnixMillis(1_700_000_000_000), UnixMillis(1_800_000_000_000));
        let (chain, key) = until(from, to);
        let read = Certificate::parse(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!((read.not_before, read.not_after), (from, to));
        assert!(read.is_valid_at(UnixMillis(1_750_000_000_000)));
        assert!(!read.is_valid_at(from.plus(-1)) && !read.is_valid_at(to.plus(1)));
        let spki = rcgen::PublicKeyData::subject_public_key_info(&rcgen::KeyPair::from_pem(&key).unwrap());
        assert_eq!(read.pin, Hash::of(&[&spki]));
        let together = format!("{key}{chain}");
        let read_again = Certificate::parse(together.as_bytes(), together.as_bytes()).unwrap();
        assert_eq!(read_again.pin, read.pin, "both may be in one file");
    }

    #[test]
    fn files_that_are_not_a_certificate_and_its_key_say_what_they_lack() {
        let (chain, key) = certificate();
        let (_, other) = certificate();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let fault = |chain: &str, key: &str| Certificate::parse(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(fault("", &key), CertificateFault::NoCertificate);
        assert_eq!(fault(&key, &key), CertificateFault::NoCertificate);
        assert!(matches!(fault(broken, &key), CertificateFault::Unreadable(_)));
        assert_eq!(fault(&chain, ""), CertificateFault::NoKey);
        assert_eq!(fault(&chain, &chain), CertificateFault::NoKey);
        assert_eq!(fault(&chain, &other), CertificateFault::OtherKey);
        let no_key = key.replace("MI", "QQ");
        assert!(matches!(
            fault(&chain, &no_key),
            CertificateFault::Key(_) | CertificateFault::NoKey
        ));
    }
}
