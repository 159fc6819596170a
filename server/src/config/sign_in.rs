//! How people sign in: tables `[sign_in]` and `[provider]` of the configuration file. Reads the files that these name; knows no station.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use beatbook_protocol::kind::Who;
use serde::Deserialize;

use super::ConfigError;

/// Bytes of a list of common passwords: a million lines are some ten megabytes.
const BLOCKLIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Table `[sign_in]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignInSettings {
    /// Where people reach this station, as `https://station.example`; cookies, the check of origins and single sign-on go by it.
    pub public_url: Option<String>,
    /// File of common passwords, one a line, UTF-8; lines that begin with `#!comment` are passed over.
    pub blocklist: Option<PathBuf>,
    /// Minutes without a call after which a session ends [default: 30].
    pub idle_minutes: Option<u32>,
    /// Hours after which a session ends in any case [default: 12].
    pub session_hours: Option<u32>,
    /// Hours that an invitation lives [default: 72].
    pub invitation_hours: Option<u32>,
    /// Roles that are not signed in without a second factor [default: chief, admin, auditor, supervisor].
    pub factor_roles: Option<Vec<String>>,
    /// Addresses or networks of proxies whose `X-Forwarded-For` is believed, as `10.0.0.2` or `10.0.0.0/24`.
    pub proxies: Vec<String>,
}

/// Table `[provider]`: single sign-on by OpenID Connect.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// The issuer, as its discovery document names it.
    pub issuer: String,
    /// By what name the provider knows this station.
    pub client_id: String,
    /// File with the secret that the provider gave this station; none for a public client.
    pub client_secret_file: Option<PathBuf>,
    /// File with the root certificates (PEM) under which the provider's certificate stands.
    pub roots: Option<PathBuf>,
    /// Claim of the ID token that is equal to the name of a person's account here; without it people are linked by invitation only.
    pub account_claim: Option<String>,
    /// Values of `amr` (RFC 8176) that count as a second factor.
    #[serde(default)]
    pub factor_amr: Vec<String>,
    /// Values of `acr` that count as a second factor.
    #[serde(default)]
    pub factor_acr: Vec<String>,
    /// Takes a provider on this machine over plain HTTP. For tests.
    #[serde(default)]
    pub plain_http_on_loopback: bool,
}

/// How people sign in, with every default filled in.
#[derive(Debug, Clone)]
pub struct SignInConfig {
    /// Where people reach this station; without a trailing slash.
    pub public_url: Option<String>,
    /// Common passwords, as the file has them.
    pub blocklist: String,
    /// Time without a call after which a session ends.
    pub idle_max: Duration,
    /// Time after which a session ends in any case.
    pub session_max: Duration,
    /// Time that an invitation lives.
    pub invitation_max: Duration,
    /// Roles that are not signed in without a second factor.
    pub factor_roles: Vec<String>,
    /// Proxies whose word about addresses is believed.
    pub proxies: Vec<Network>,
    /// Single sign-on.
    pub provider: Option<ProviderConfig>,
}

/// Single sign-on, with every file read.
#[derive(Clone)]
pub struct ProviderConfig {
    /// The issuer.
    pub issuer: String,
    /// By what name the provider knows this station.
    pub client_id: String,
    /// The secret that goes with it.
    pub client_secret: Option<String>,
    /// Root certificates, PEM.
    pub roots_pem: Vec<u8>,
    /// Claim that is equal to an account's name.
    pub account_claim: Option<String>,
    /// `amr` values that count as a second factor.
    pub factor_amr: Vec<String>,
    /// `acr` values that count as a second factor.
    pub factor_acr: Vec<String>,
    /// Whether a provider on this machine may be asked over plain HTTP.
    pub plain_http_on_loopback: bool,
}

impl std::fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl Default for SignInConfig {
    fn default() -> Self {
        let roles = [Who::Chief, Who::Admin, Who::Auditor, Who::Supervisor];
        Self {
            public_url: None,
            blocklist: String::new(),
            idle_max: Duration::from_secs(30 * 60),
            session_max: Duration::from_secs(12 * 60 * 60),
            invitation_max: Duration::from_secs(72 * 60 * 60),
            factor_roles: roles.map(|role| role.code().to_owned()).to_vec(),
            proxies: Vec::new(),
            provider: None,
        }
    }
}

impl SignInSettings {
    /// Reads the files that are named and fills in the defaults.
    pub(super) fn resolve(self, provider: Option<ProviderSettings>) -> Result<SignInConfig, ConfigError> {
        let default = SignInConfig::default();
        let time = |name, said: Option<u32>, unit: u64, otherwise| match said {
            Some(0) => Err(ConfigError::Zero(name)),
            Some(count) => Ok(Duration::from_secs(u64::from(count) * unit)),
            None => Ok(otherwise),
        };
        let public_url = self.public_url.map(|url| url.trim_end_matches('/').to_owned());
        if let Some(url) = public_url.as_deref().filter(|url| !is_origin(url)) {
            return Err(wrong(
                "public_url",
                format!("{url:?} is no address: write it as https://host[:port]"),
            ));
        }
        if provider.is_some() && public_url.is_none() {
            return Err(wrong(
                "public_url",
                "a provider needs to know where people come back to: write it as https://host[:port]".into(),
            ));
        }
        let factor_roles = self.factor_roles.unwrap_or(default.factor_roles);
        if let Some(role) = factor_roles.iter().find(|role| Who::from_code(role).is_none()) {
            return Err(wrong("factor_roles", format!("{role:?} is no role")));
        }
        let proxies = self.proxies.iter().map(|text| {
            Network::parse(text).ok_or_else(|| wrong("proxies", format!("{text:?} is no address or network, as 10.0.0.0/24")))
        });
        Ok(SignInConfig {
            public_url,
            blocklist: self.blocklist.as_deref().map(blocklist).transpose()?.unwrap_or_default(),
            idle_max: time("idle_minutes", self.idle_minutes, 60, default.idle_max)?,
            session_max: time("session_hours", self.session_hours, 3600, default.session_max)?,
            invitation_max: time("invitation_hours", self.invitation_hours, 3600, default.invitation_max)?,
            factor_roles,
            proxies: proxies.collect::<Result<_, _>>()?,
            provider: provider.map(ProviderSettings::resolve).transpose()?,
        })
    }
}

impl ProviderSettings {
    fn resolve(self) -> Result<ProviderConfig, ConfigError> {
        let read = |path: PathBuf| std::fs::read(&path).map_err(|fault| ConfigError::Unreadable { path, fault });
        let secret = self.client_secret_file.map(read).transpose()?;
        let secret = secret.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(ProviderConfig {
            issuer: self.issuer,
            client_id: self.client_id,
            client_secret: secret.filter(|secret| !secret.is_empty()),
            roots_pem: self.roots.map(read).transpose()?.unwrap_or_default(),
            account_claim: self.account_claim,
            factor_amr: self.factor_amr,
            factor_acr: self.factor_acr,
            plain_http_on_loopback: self.plain_http_on_loopback,
        })
    }
}

/// A network by its first address and the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.2`, `10.0.0.0/24`, `fd00::/8`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.trim().parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(most), |prefix| prefix.trim().parse().ok())?;
        (prefix <= most).then_some(Self { address, prefix })
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => shares(u32::from(net).into(), u32::from(address).into(), 32 - self.prefix),
            (IpAddr::V6(net), IpAddr::V6(address)) => shares(net.into(), address.into(), 128 - self.prefix),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn shares(net: u128, address: u128, rest: u8) -> bool {
    net.checked_shr(rest.into()).unwrap_or(0) == address.checked_shr(rest.into()).unwrap_or(0)
}

/// Whether it is `http://host[:port]` or `https://host[:port]` and nothing more.
fn is_origin(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ', '\\']) && host.is_ascii())
}

fn blocklist(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |fault| ConfigError::Unreadable {
        path: path.to_owned(),
        fault,
    };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > BLOCKLIST_BYTES_MAX {
        return Err(wrong("blocklist", format!("{} is longer than 64 MiB", path.display())));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

fn wrong(what: &'static str, why: String) -> ConfigError {
    ConfigError::SignIn { what, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/24", "10.0.0.255", "10.0.1.0"),
            ("10.0.0.2", "10.0.0.2", "10.0.0.3"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("192.168.0.0/16", "::ffff:192.168.3.4", "::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.holds(inside.parse().unwrap()), "{network:?} {inside}");
            assert!(!network.holds(outside.parse().unwrap()), "{network:?} {outside}");
        }
        for text in ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/x", "::/129", "host"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_would_be_right() {
        let faulty = |settings: SignInSettings| settings.resolve(None).unwrap_err().to_string();
        let url = |url: &str| SignInSettings {
            public_url: Some(url.into()),
            ..SignInSettings::default()
        };
        for text in ["station.example", "https://a/b", "ftp://a", "https://", "https://user@host"] {
            assert!(faulty(url(text)).contains("https://host"), "{text}");
        }
        assert!(url("https://station.example:8443/").resolve(None).is_ok());
        let roles = SignInSettings {
            factor_roles: Some(vec!["boss".into()]),
            ..SignInSettings::default()
        };
        assert!(faulty(roles).contains("boss"));
        let proxies = SignInSettings {
            proxies: vec!["proxy".into()],
            ..SignInSettings::default()
        };
        assert!(faulty(proxies).contains("10.0.0.0/24"));
        let idle = SignInSettings {
            idle_minutes: Some(0),
            ..SignInSettings::default()
        };
        assert!(faulty(idle).contains("idle_minutes"));
    }
}
