//! A private certificate authority for a station that has none: its key, its certificate that is good for this station's names alone, and the
//! server certificates that it issues. The authority's directory is needed to renew and for nothing else, so it may lie offline meanwhile.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::trust::TrustText;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData as _, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use crate::environment::Environment;
use crate::error::StationError;
use crate::keys::{io, sync_dir};

/// Directory of the authority in the keys directory.
pub(crate) const AUTHORITY: &str = "authority";
/// Directory of what the station shows, in the keys directory.
pub(crate) const SERVED: &str = "tls";
/// Key and certificate of the station, in one file, so that they change together.
pub(crate) const SERVER: &str = "server.pem";
/// The key that the next rotation takes; its hash is announced long before.
pub(crate) const NEXT: &str = "next.key";
/// The authority's certificate, for phones.
pub(crate) const ROOT: &str = "root.pem";

const AUTHORITY_KEY: &str = "authority.key";
const AUTHORITY_CERTIFICATE: &str = "authority.pem";
const AUTHORITY_PAPER: &str = "authority.toml";

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// As long as a deployment's phones live: its end takes new roots to every phone.
const AUTHORITY_DAYS: i64 = 3650;
/// A year and a month: who renews every year may forget it for a month. Public authorities are held to shorter times, since nobody can tell who
/// holds on to their certificates; here the phones are the station's own, and are told of its keys.
const SERVER_DAYS: i64 = 397;
/// Phones whose clocks are behind see a new certificate as valid too.
const EARLY_MS: i64 = DAY_MS;
/// Names that one certificate holds.
const NAMES_MAX: usize = 16;

/// What an authority is, beside its key: enough to issue under its name again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paper {
    /// Its name.
    name: String,
    /// The host names and addresses that it may certify.
    names: Vec<String>,
}

/// What was made or renewed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Issued {
    /// The names that the certificate is for.
    pub(crate) names: Vec<String>,
    /// Until when it is valid.
    pub(crate) not_after: UnixMillis,
    /// Hash of the key that is shown.
    pub(crate) current: Hash,
    /// Hash of the key that the next rotation takes.
    pub(crate) next: Hash,
    /// Where the authority lies.
    pub(crate) authority: PathBuf,
}

/// Makes an authority in the keys directory, and the station's first certificate.
pub(crate) fn make(keys: &Path, station: &str, names: &[String], env: &Environment) -> Result<Issued, StationError> {
    let names = checked(names)?;
    let (authority, served) = (keys.join(AUTHORITY), keys.join(SERVED));
    for dir in [&authority, &served] {
        crate::keys::refuse_filled(dir)?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(dir))?;
    }
    let paper = Paper {
        name: format!("Beatbook {}", station.trim()),
        names,
    };
    let key = KeyPair::generate().map_err(faulty)?;
    let mut params = authority_params(&paper);
    date(&mut params, env, AUTHORITY_DAYS)?;
    let root = params.self_signed(&key).map_err(faulty)?;
    write(&authority.join(AUTHORITY_KEY), &key.serialize_pem())?;
    write(&authority.join(AUTHORITY_CERTIFICATE), &root.pem())?;
    let text = toml::to_string(&paper).map_err(|fault| StationError::Invalid(fault.to_string()))?;
    write(&authority.join(AUTHORITY_PAPER), &text)?;
    write(&served.join(ROOT), &root.pem())?;
    let first = KeyPair::generate().map_err(faulty)?;
    write(&served.join(NEXT), &KeyPair::generate().map_err(faulty)?.serialize_pem())?;
    issue(&served, &authority, &paper, &Issuer::new(params, key), &first, env)
}

/// Issues the station's certificate anew: for the key that it shows, or (`rotate`) for the next one, which phones have been told of.
pub(crate) fn renew(keys: &Path, authority: Option<&Path>, rotate: bool, env: &Environment) -> Result<Issued, StationError> {
    let served = keys.join(SERVED);
    let authority = authority.map_or_else(|| keys.join(AUTHORITY), Path::to_owned);
    let read = |path: &Path| fs::read_to_string(path).map_err(io(path));
    let away = |fault: StationError| {
        StationError::Keys(format!(
            "the authority cannot be used ({fault}): bring its directory here and name it with --authority"
        ))
    };
    let paper: Paper = toml::from_str(&read(&authority.join(AUTHORITY_PAPER)).map_err(away)?)
        .map_err(|fault| StationError::Keys(format!("{AUTHORITY_PAPER}: {}", fault.message())))?;
    let key = key_of(&read(&authority.join(AUTHORITY_KEY)).map_err(away)?, AUTHORITY_KEY)?;
    let root = read(&served.join(ROOT))?;
    if root != read(&authority.join(AUTHORITY_CERTIFICATE)).map_err(away)? {
        return Err(StationError::Keys(
            "this authority is not the one whose root the station's phones were given: name the right directory".into(),
        ));
    }
    let current = key_of(&read(&served.join(SERVER))?, SERVER)?;
    let next = key_of(&read(&served.join(NEXT))?, NEXT)?;
    let issuer = Issuer::new(authority_params(&paper), key);
    if !rotate {
        return issue(&served, &authority, &paper, &issuer, &current, env);
    }
    // A rotation that was cut off after its certificate left the same key in both places: the next one is still to be drawn then.
    let taken = pin_of(&current) == pin_of(&next);
    if !taken {
        issue(&served, &authority, &paper, &issuer, &next, env)?;
    }
    write(&served.join(NEXT), &KeyPair::generate().map_err(faulty)?.serialize_pem())?;
    issue(&served, &authority, &paper, &issuer, &next, env)
}

/// What phones know this station by: its root, the key that it shows and the next; none when it has no authority of its own.
pub(crate) fn trust(keys: &Path) -> Result<Option<TrustText>, StationError> {
    let served = keys.join(SERVED);
    if !served.join(SERVER).is_file() {
        return Ok(None);
    }
    let path = served.join(ROOT);
    let root = fs::read(&path).map_err(io(&path))?;
    let root = CertificateDer::from_pem_slice(&root)
        .map_err(|fault| StationError::Keys(format!("{} is no certificate: {fault}", path.display())))?;
    let mut pins = Vec::new();
    for name in [SERVER, NEXT] {
        let path = served.join(name);
        let pin = pin_of(&key_of(&fs::read_to_string(&path).map_err(io(&path))?, name)?);
        if !pins.contains(&pin) {
            pins.push(pin);
        }
    }
    Ok(Some(TrustText {
        roots: vec![root.to_vec()],
        pins,
    }))
}

/// Hash of the key in a PEM file.
pub(crate) fn pin_in(path: &Path) -> Option<Hash> {
    let text = fs::read_to_string(path).ok()?;
    key_of(&text, "").ok().map(|key| pin_of(&key))
}

fn issue(
    served: &Path,
    authority: &Path,
    paper: &Paper,
    issuer: &Issuer<'_, KeyPair>,
    key: &KeyPair,
    env: &Environment,
) -> Result<Issued, StationError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = called(paper.names.first().map_or("station", String::as_str));
    params.subject_alt_names = paper.names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    date(&mut params, env, SERVER_DAYS)?;
    let certificate = params.signed_by(key, issuer).map_err(faulty)?;
    let both = format!("{}{}", key.serialize_pem(), certificate.pem());
    write(&served.join(SERVER), &both)?;
    let read = Certificate::parse(both.as_bytes(), both.as_bytes()).map_err(|fault| StationError::Keys(fault.to_string()))?;
    Ok(Issued {
        names: paper.names.clone(),
        not_after: read.not_after,
        current: read.pin,
        next: pin_in(&served.join(NEXT)).unwrap_or(read.pin),
        authority: authority.to_owned(),
    })
}

/// The authority's certificate: it certifies these names, no others, and no further authority (RFC 5280, 4.2.1.10).
fn authority_params(paper: &Paper) -> CertificateParams {
    let (addresses, names): (Vec<_>, Vec<_>) = paper.names.iter().partition(|name| name.parse::<IpAddr>().is_ok());
    let mut permitted: Vec<_> = names.into_iter().map(|name| GeneralSubtree::DnsName(name.clone())).collect();
    if permitted.is_empty() {
        // A sort of which nothing is said is free: this domain never exists (RFC 2606).
        permitted.push(GeneralSubtree::DnsName("invalid".into()));
    }
    let whole = |address: IpAddr| CidrSubnet::from_addr_prefix(address, if address.is_ipv4() { 32 } else { 128 });
    let addresses: Vec<_> = addresses.iter().filter_map(|name| name.parse().ok()).map(whole).collect();
    let none = [CidrSubnet::V4([0; 4], [0; 4]), CidrSubnet::V6([0; 16], [0; 16])];
    let excluded: &[CidrSubnet] = if addresses.is_empty() { &none } else { &[] };
    permitted.extend(addresses.into_iter().map(GeneralSubtree::IpAddress));
    let mut params = CertificateParams::default();
    params.distinguished_name = called(&paper.name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted,
        excluded_subtrees: excluded.iter().copied().map(GeneralSubtree::IpAddress).collect(),
    });
    params
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

fn date(params: &mut CertificateParams, env: &Environment, days: i64) -> Result<(), StationError> {
    let now = env.clock.now();
    params.not_before = date_time_ymd(1970, 1, 1) + seconds(now.plus(-EARLY_MS));
    params.not_after = date_time_ymd(1970, 1, 1) + seconds(now.plus(days * DAY_MS));
    let serial: [u8; 16] = env
        .bytes()
        .map_err(|fault| StationError::Keys(format!("no randomness: {fault}")))?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(())
}

/// Seconds since 1970, kept within the years that certificates can say.
fn seconds(at: UnixMillis) -> Duration {
    const YEAR_9000: u64 = 221_845_392_000;
    Duration::from_secs(u64::try_from(at.seconds()).unwrap_or(0).min(YEAR_9000))
}

/// Names as they are certified: host names in lower case, and addresses.
fn checked(names: &[String]) -> Result<Vec<String>, StationError> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        let name = name.trim().to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if name.parse::<IpAddr>().is_err() && (name.len() > 253 || !name.split('.').all(is_label)) {
            return Err(StationError::Invalid(format!(
                "{name:?} is no host name and no address: phones reach the station under what is named here, as station.example or 10.0.0.5"
            )));
        }
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    if kept.is_empty() || kept.len() > NAMES_MAX {
        return Err(StationError::Invalid(format!(
            "a certificate is for 1 to {NAMES_MAX} names: give each with --tls-name"
        )));
    }
    Ok(kept)
}

fn alternative(name: &str) -> Result<SanType, StationError> {
    Ok(match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().map_err(faulty)?),
    })
}

fn key_of(pem: &str, file: &str) -> Result<KeyPair, StationError> {
    KeyPair::from_pem(pem).map_err(|fault| StationError::Keys(format!("{file} holds no private key: {fault}")))
}

fn pin_of(key: &KeyPair) -> Hash {
    Hash::of(&[&key.subject_public_key_info()])
}

/// A file of that name is whole or as it was before.
fn write(path: &Path, text: &str) -> Result<(), StationError> {
    let mut begun = path.as_os_str().to_owned();
    begun.push(".new");
    let begun = PathBuf::from(begun);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&begun);
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .map_err(io(&begun))?;
    fs::rename(&begun, path).map_err(io(path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn faulty(fault: rcgen::Error) -> StationError {
    StationError::Keys(format!("the certificate could not be made: {fault}"))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A certificate of its own authority between two times, and its key, in PEM.
    pub(crate) fn until(from: UnixMillis, to: UnixMillis) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1970, 1, 1) + seconds(from);
        params.not_after = date_time_ymd(1970, 1, 1) + seconds(to);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    /// A certificate for this millennium.
    pub(crate) fn certificate() -> (String, String) {
        until(UnixMillis(0), UnixMillis(4_000_000_000_000))
    }
}
