//! How the station is reached in transit: its certificate, what phones are told of it, and whether plain HTTP goes beyond this machine. Opens no
//! file.

use std::path::PathBuf;

use beatbook_protocol::id::Hash;
use serde::Deserialize;

use super::ConfigError;

/// Certificate and pins: table `[http.tls]`.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificate chain as a PEM file; without one the station shows what its own authority issued, if there is one
    #[arg(
        id = "tls_certificate",
        long = "tls-certificate",
        value_name = "FILE",
        env = "BEATBOOK_TLS_CERTIFICATE"
    )]
    pub certificate: Option<PathBuf>,
    /// Its private key as a PEM file
    #[arg(id = "tls_key", long = "tls-key", value_name = "FILE", env = "BEATBOOK_TLS_KEY")]
    pub key: Option<PathBuf>,
    /// Hashes of further keys that phones are told to accept, the next one at least; `none` tells them to let theirs go
    #[arg(
        id = "tls_pins",
        long = "tls-pin",
        value_name = "SHA256",
        env = "BEATBOOK_TLS_PINS",
        value_delimiter = ','
    )]
    pub pins: Option<Vec<String>>,
}

/// Whether plain HTTP is served beyond this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, Deserialize)]
pub enum PlainHttp {
    /// To this machine alone.
    #[default]
    #[value(name = "this machine")]
    #[serde(rename = "this machine")]
    ThisMachine,
    /// To a proxy that has a certificate and speaks TLS with everybody else; the network between the two is the operator's to guard.
    #[value(name = "behind a proxy")]
    #[serde(rename = "behind a proxy")]
    BehindProxy,
}

/// What is in force.
#[derive(Debug, Clone, Default)]
pub struct TlsConfig {
    /// Certificate and key.
    pub files: Option<(PathBuf, PathBuf)>,
    /// What phones are told to accept beside the key that is shown; none leaves it to the station's own authority.
    pub pins: Option<Vec<Hash>>,
    /// Whether plain HTTP is served beyond this machine.
    pub plain: PlainHttp,
}

impl TlsSettings {
    /// Puts the file's word under these settings.
    pub(super) fn over(self, file: Self, plain: Option<PlainHttp>) -> Result<TlsConfig, ConfigError> {
        let pair = match (self.certificate.or(file.certificate), self.key.or(file.key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(ConfigError::Half { lacks: "key" }),
            (None, Some(_)) => return Err(ConfigError::Half { lacks: "certificate" }),
        };
        let pins = self.pins.or(file.pins).map(|pins| parse(&pins)).transpose()?;
        Ok(TlsConfig {
            files: pair,
            pins,
            plain: plain.unwrap_or_default(),
        })
    }
}

fn parse(pins: &[String]) -> Result<Vec<Hash>, ConfigError> {
    if matches!(pins, [one] if one == "none") {
        return Ok(Vec::new());
    }
    let said = pins.iter().map(|pin| pin.trim()).filter(|pin| !pin.is_empty());
    said.map(|pin| pin.parse().map_err(|_| ConfigError::Pin(pin.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(certificate: Option<&str>, key: Option<&str>, pins: Option<&[&str]>) -> TlsSettings {
        TlsSettings {
            certificate: certificate.map(PathBuf::from),
            key: key.map(PathBuf::from),
            pins: pins.map(|pins| pins.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn certificate_and_key_come_together_from_wherever_each_is_said() {
        let file = settings(Some("/file/c"), Some("/file/k"), None);
        let config = settings(Some("/flag/c"), None, None).over(file, None).unwrap();
        assert_eq!(config.files, Some(("/flag/c".into(), "/file/k".into())));
        assert_eq!(config.plain, PlainHttp::ThisMachine);
        for (half, lacks) in [
            (settings(Some("c"), None, None), "key"),
            (settings(None, Some("k"), None), "certificate"),
        ] {
            let fault = half.over(TlsSettings::default(), None).unwrap_err().to_string();
            assert!(fault.contains(lacks), "{fault}");
        }
    }

    #[test]
    fn pins_are_hashes_or_the_word_none() {
        let pins = |pins: &[&str]| settings(None, None, Some(pins)).over(TlsSettings::default(), None);
        let hash = "0a".repeat(32);
        assert_eq!(pins(&[&hash]).unwrap().pins, Some(vec![Hash::from_bytes([10; 32])]));
        assert_eq!(pins(&["none"]).unwrap().pins, Some(Vec::new()));
        for wrong in ["abc", "none,", "sha256/AAAA"] {
            let fault = pins(&[wrong]).unwrap_err().to_string();
            assert!(fault.contains("tls pin"), "{fault}");
        }
    }
}
