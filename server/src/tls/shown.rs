//! The certificate that is shown now. Its files are looked at again while the station serves; what is not in order there is said, and never
//! takes the place of what is. Knows no connection: the listener asks it at each handshake.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::certificate::{Certificate, CertificateFault, provider};
use super::{authority, loose};
use crate::config::TlsConfig;
use crate::environment::Environment;
use crate::report::Check;

/// The files are looked at this often: a renewed certificate is shown within moments even where nobody sends a signal.
const LOOK: Duration = Duration::from_secs(15);
/// From so many days before its end on the station says at each start, and every day, that its certificate wants renewing.
const WARN_DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A certificate that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read {path}: {fault}; [http.tls] names certificate and key as PEM files")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        fault: std::io::Error,
    },
    /// Files that are no certificate.
    #[error("{}: {why}", .path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// How the station's certificate stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TlsStatus {
    /// Until when the certificate is valid.
    #[schema(value_type = i64)]
    pub not_after: UnixMillis,
    /// Whole days until then; negative when it is over.
    pub days_left: i64,
    /// Hash of the key that is shown (SHA-256 of its SubjectPublicKeyInfo).
    #[schema(value_type = String)]
    pub pin: Hash,
    /// What phones are told to hold the station to; none when they are told nothing.
    #[schema(value_type = Option<Vec<String>>)]
    pub announced: Option<Vec<Hash>>,
    /// Why the files as they are now are not shown; none while all is well.
    pub fault: Option<String>,
}

/// The certificate that is shown, and what is announced of it.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    files: Option<Files>,
    /// What the configuration says that phones are to be told.
    said: Option<Vec<Hash>>,
    now: RwLock<Now>,
}

#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// The next key, where the station has an authority of its own.
    next: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Now {
    certificate: Option<Certificate>,
    next: Option<Hash>,
    /// Hash of the files as they were last looked at.
    seen: Option<Hash>,
    fault: Option<String>,
}

/// What looking at the files found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// They are as they were.
    Same,
    /// Another certificate is shown from now on.
    Changed,
    /// They are not in order; what was shown is shown on.
    Kept,
}

impl Shown {
    /// Reads what the configuration names, or else what the station's own authority issued; nothing when there is neither.
    ///
    /// # Errors
    /// When there is something and it cannot be shown.
    pub(crate) fn open(config: &TlsConfig, keys: &Path) -> Result<Self, TlsError> {
        let shown = Self {
            files: Files::of(config, keys),
            said: config.pins.clone(),
            now: RwLock::default(),
        };
        if let Some(files) = &shown.files {
            let (seen, certificate, next) = files.read()?;
            *shown.write() = Now {
                certificate: Some(certificate),
                next,
                seen: Some(seen),
                fault: None,
            };
        }
        Ok(shown)
    }

    /// Whether there is a certificate to be shown.
    pub(crate) fn is_there(&self) -> bool {
        self.files.is_some()
    }

    /// What phones are told to hold the station to; none when they are told nothing.
    pub(crate) fn announced(&self) -> Option<Vec<Hash>> {
        let now = self.read();
        let shown = now.certificate.as_ref().map(|certificate| certificate.pin);
        match (&self.said, now.next) {
            (Some(said), _) if said.is_empty() => Some(Vec::new()),
            (Some(said), _) => Some(distinct(shown.into_iter().chain(said.iter().copied()))),
            (None, Some(next)) => Some(distinct(shown.into_iter().chain([next]))),
            // A certificate whose next key nobody knows may be another any day: to name this one alone would lock the phones out.
            (None, None) => None,
        }
    }

    /// How the certificate stands; none when the station shows none.
    pub(crate) fn status(&self, at: UnixMillis) -> Option<TlsStatus> {
        let announced = self.announced();
        let now = self.read();
        let certificate = now.certificate.as_ref()?;
        Some(TlsStatus {
            not_after: certificate.not_after,
            days_left: certificate.not_after.since(at).div_euclid(DAY_MS),
            pin: certificate.pin,
            announced,
            fault: now.fault.clone(),
        })
    }

    /// Looks at the files again.
    pub(crate) fn look(&self, at: UnixMillis) -> Looked {
        let Some(files) = &self.files else { return Looked::Same };
        if files.digest().is_ok_and(|seen| self.read().seen == Some(seen)) {
            return Looked::Same;
        }
        let before = self.announced();
        let found = files.read().map_err(|fault| (files.digest().ok(), fault.to_string()));
        let found = found.and_then(|(seen, certificate, next)| {
            if certificate.is_valid_at(at) {
                Ok((seen, certificate, next))
            } else {
                Err((
                    Some(seen),
                    format!("{}: its dates are not today's", files.certificate.display()),
                ))
            }
        });
        let mut now = self.write();
        match found {
            Ok((seen, certificate, next)) => {
                let is_told = before.is_none_or(|pins| pins.is_empty() || pins.contains(&certificate.pin));
                tracing::info!(pin = %certificate.pin, "another certificate is shown from now on");
                if !is_told {
                    tracing::error!(
                        pin = %certificate.pin,
                        "phones were not told of this key: those that hold the station to the keys before will not come back until they are \
                         given `beatbook-server tls pin`"
                    );
                }
                *now = Now {
                    certificate: Some(certificate),
                    next,
                    seen: Some(seen),
                    fault: None,
                };
                Looked::Changed
            }
            Err((seen, why)) => {
                let is_news = now.fault.as_ref() != Some(&why);
                if is_news {
                    tracing::error!(%why, "the certificate's files are not in order: the one before is shown on");
                }
                now.seen = seen;
                now.fault = Some(why);
                Looked::Kept
            }
        }
    }

    /// Looks after the files for as long as the station serves: every some seconds, and at once on SIGHUP.
    pub(crate) async fn look_after(self: Arc<Self>, env: Environment) -> std::io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut warned = None;
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let (shown, at) = (Arc::clone(&self), env.clock.now());
            let looked = tokio::task::spawn_blocking(move || shown.look(at)).await;
            if asked && matches!(looked, Ok(Looked::Same)) {
                tracing::info!("the certificate's files are as they were");
            }
            let today = at.0.div_euclid(DAY_MS);
            if warned != Some(today) {
                warned = Some(today);
                self.warn(at);
            }
        }
    }

    /// Says loudly when the certificate is near its end.
    pub(crate) fn warn(&self, at: UnixMillis) {
        if let Some(status) = self.status(at).filter(|status| status.days_left < WARN_DAYS) {
            tracing::error!(
                days_left = status.days_left,
                "the certificate ends soon, and phones refuse it then: renew it (`beatbook-server tls renew`, or where it comes from)"
            );
        }
    }

    /// What the listener needs: TLS 1.3 and 1.2 with forward secrecy and authenticated ciphers alone (all that this library has), HTTP/1.1.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider().into())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|fault| TlsError::Setup(fault.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn read(&self) -> RwLockReadGuard<'_, Now> {
        self.now.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Now> {
        self.now.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = self.read();
        now.certificate.as_ref().map(|certificate| Arc::clone(&certificate.key))
    }
}

impl Files {
    fn of(config: &TlsConfig, keys: &Path) -> Option<Self> {
        if let Some((certificate, key)) = &config.files {
            return Some(Self {
                certificate: certificate.clone(),
                key: key.clone(),
                next: None,
            });
        }
        let served = keys.join(authority::SERVED);
        let own = served.join(authority::SERVER);
        own.is_file().then(|| Self {
            certificate: own.clone(),
            key: own,
            next: Some(served.join(authority::NEXT)),
        })
    }

    fn read(&self) -> Result<(Hash, Certificate, Option<Hash>), TlsError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |fault| TlsError::Unreadable { path, fault }
        };
        let chain = std::fs::read(&self.certificate).map_err(unreadable(&self.certificate))?;
        let key = std::fs::read(&self.key).map_err(unreadable(&self.key))?;
        let certificate = Certificate::parse(&chain, &key).map_err(|why| {
            let path = match why {
                CertificateFault::NoKey | CertificateFault::Key(_) => &self.key,
                CertificateFault::NoCertificate | CertificateFault::Unreadable(_) | CertificateFault::OtherKey => {
                    &self.certificate
                }
            };
            TlsError::Certificate {
                path: path.clone(),
                why: why.to_string(),
            }
        })?;
        let next = self.next.as_deref().and_then(authority::pin_in);
        Ok((self.hash(&chain, &key), certificate, next))
    }

    fn digest(&self) -> std::io::Result<Hash> {
        let chain = std::fs::read(&self.certificate)?;
        let key = std::fs::read(&self.key)?;
        Ok(self.hash(&chain, &key))
    }

    /// A hash of what the files hold: times of files say little where they are copied into place.
    fn hash(&self, chain: &[u8], key: &[u8]) -> Hash {
        let next = self
            .next
            .as_ref()
            .and_then(|path| std::fs::read(path).ok())
            .unwrap_or_default();
        Hash::of(&[
            Hash::of(&[chain]).as_bytes(),
            Hash::of(&[key]).as_bytes(),
            Hash::of(&[&next]).as_bytes(),
        ])
    }
}

/// What `doctor` says of the certificate.
pub(crate) fn checks(config: &TlsConfig, keys: &Path, at: UnixMillis) -> Vec<Check> {
    let check = |ok, detail| Check {
        name: "certificate",
        ok,
        detail,
    };
    let Some(files) = Files::of(config, keys) else {
        return vec![check(
            true,
            "none: the station serves this machine alone, or stands behind a proxy".into(),
        )];
    };
    let read = match files.read() {
        Ok((_, certificate, _)) => {
            let days = certificate.not_after.since(at).div_euclid(DAY_MS);
            let ok = certificate.is_valid_at(at) && days >= WARN_DAYS;
            let what = if ok { "" } else { ": renew it now" };
            check(ok, format!("{days} days left, key {}{what}", certificate.pin))
        }
        Err(fault) => check(false, fault.to_string()),
    };
    let private = [Some(&files.key), files.next.as_ref()];
    let loose: Vec<String> = private.into_iter().flatten().filter_map(|path| loose(path)).collect();
    let mut checks = vec![read];
    if !loose.is_empty() {
        checks.push(check(false, loose.join("; ")));
    }
    checks
}

fn distinct(pins: impl Iterator<Item = Hash>) -> Vec<Hash> {
    let mut kept = Vec::new();
    for pin in pins {
        if !kept.contains(&pin) {
            kept.push(pin);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::authority::testing::{certificate, until};

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

    struct Place(tempfile::TempDir);

    impl Place {
        fn with(pair: &(String, String)) -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            place.put(&pair.0, &pair.1);
            place
        }

        fn put(&self, chain: &str, key: &str) {
            std::fs::write(self.0.path().join("chain.pem"), chain).unwrap();
            std::fs::write(self.0.path().join("key.pem"), key).unwrap();
        }

        fn config(&self, pins: Option<Vec<Hash>>) -> TlsConfig {
            TlsConfig {
                files: Some((self.0.path().join("chain.pem"), self.0.path().join("key.pem"))),
                pins,
                ..TlsConfig::default()
            }
        }

        fn open(&self, pins: Option<Vec<Hash>>) -> Shown {
            Shown::open(&self.config(pins), self.0.path()).unwrap()
        }
    }

    #[test]
    fn a_renewed_certificate_is_shown_and_a_faulty_one_leaves_the_one_before() {
        let (first, second) = (certificate(), certificate());
        let place = Place::with(&first);
        let shown = place.open(None);
        let pin = |shown: &Shown| shown.status(NOW).unwrap().pin;
        let before = pin(&shown);
        assert_eq!(shown.look(NOW), Looked::Same);

        place.put(&second.0, &first.1);
        assert_eq!(shown.look(NOW), Looked::Kept, "half of a replacement");
        let status = shown.status(NOW).unwrap();
        assert_eq!(status.pin, before);
        assert!(status.fault.unwrap().contains("do not belong together"));
        assert_eq!(shown.look(NOW), Looked::Same, "what was said once is not said again");

        for (chain, key) in [("", ""), ("nonsense", &second.1)] {
            place.put(chain, key);
            assert_eq!(shown.look(NOW), Looked::Kept);
        }
        let old = until(UnixMillis(0), NOW.plus(-1000));
        place.put(&old.0, &old.1);
        assert_eq!(shown.look(NOW), Looked::Kept, "one that is over");
        std::fs::remove_file(place.0.path().join("key.pem")).unwrap();
        assert_eq!(shown.look(NOW), Looked::Kept);
        assert_eq!(pin(&shown), before);

        place.put(&second.0, &second.1);
        assert_eq!(shown.look(NOW), Looked::Changed);
        let status = shown.status(NOW).unwrap();
        assert!(status.pin != before && status.fault.is_none());
    }

    #[test]
    fn keys_are_announced_only_where_the_next_one_is_known() {
        let place = Place::with(&certificate());
        let pin = place.open(None).status(NOW).unwrap().pin;
        let next = Hash::from_bytes([5; 32]);
        assert_eq!(place.open(None).announced(), None);
        assert_eq!(place.open(Some(vec![next])).announced(), Some(vec![pin, next]));
        assert_eq!(place.open(Some(vec![next, pin])).announced(), Some(vec![pin, next]));
        assert_eq!(
            place.open(Some(Vec::new())).announced(),
            Some(Vec::new()),
            "phones are told to let theirs go"
        );
        let behind_a_proxy = TlsConfig {
            pins: Some(vec![next]),
            ..TlsConfig::default()
        };
        let shown = Shown::open(&behind_a_proxy, place.0.path()).unwrap();
        assert_eq!((shown.announced(), shown.status(NOW)), (Some(vec![next]), None));
    }

    #[test]
    fn doctor_counts_the_days_and_looks_who_may_read_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = Place::with(&until(UnixMillis(0), NOW.plus(10 * DAY_MS)));
        let key = place.0.path().join("key.pem");
        let mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let found = checks(&place.config(None), place.0.path(), NOW);
        assert!(found.len() == 2 && found.iter().all(|check| !check.ok), "{found:?}");
        assert!(found[0].detail.starts_with("10 days left") && found[1].detail.contains("chmod"));
        mode(0o600);
        let pair = certificate();
        place.put(&pair.0, &pair.1);
        let found = checks(&place.config(None), place.0.path(), NOW);
        assert!(found.len() == 1 && found[0].ok, "{found:?}");
        let none = checks(&TlsConfig::default(), place.0.path(), NOW);
        assert!(none.iter().all(|check| check.ok));
    }

    #[test]
    fn a_certificate_that_cannot_be_shown_at_the_start_says_why() {
        let place = Place::with(&(String::new(), String::new()));
        let fault = Shown::open(&place.config(None), place.0.path()).unwrap_err().to_string();
        assert!(fault.contains("chain.pem") && fault.contains("no certificate"), "{fault}");
        std::fs::remove_file(place.0.path().join("chain.pem")).unwrap();
        let fault = Shown::open(&place.config(None), place.0.path()).unwrap_err().to_string();
        assert!(fault.contains("cannot read") && fault.contains("[http.tls]"), "{fault}");
    }
}
