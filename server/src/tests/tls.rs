//! The station's own certificate authority: what it certifies, what it cannot, and that a renewal or rotation that breaks off leaves a certificate
//! that can be shown.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::config::TlsConfig;
use crate::environment::Environment;
use crate::testing::World;
use crate::tls::{Shown, authority};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn made(names_of_it: &[&str]) -> (tempfile::TempDir, authority::Issued) {
    let keys = tempfile::tempdir().unwrap();
    let issued = authority::make(keys.path(), "中关村派出所", &names(names_of_it), &Environment::system()).unwrap();
    (keys, issued)
}

/// What a client that trusts this station's root says against a certificate shown under a name; nothing when it takes it.
fn judged(keys: &Path, certificate: &CertificateDer<'_>, name: &str) -> String {
    let mut roots = RootCertStore::empty();
    let root = std::fs::read(keys.join("tls/root.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    match verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now()) {
        Ok(_) => String::new(),
        Err(fault) => fault.to_string(),
    }
}

fn shown(keys: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(&std::fs::read(keys.join("tls/server.pem")).unwrap()).unwrap()
}

/// A certificate that somebody makes who got hold of the authority's key.
fn stolen(keys: &Path, name: &str) -> CertificateDer<'static> {
    let key = KeyPair::from_pem(&std::fs::read_to_string(keys.join("authority/authority.key")).unwrap()).unwrap();
    let mut of_it = CertificateParams::default();
    of_it.distinguished_name = DistinguishedName::new();
    of_it.distinguished_name.push(DnType::CommonName, "Beatbook 中关村派出所");
    let mut params = CertificateParams::new(names(&[name])).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let own = KeyPair::generate().unwrap();
    params.signed_by(&own, &Issuer::new(of_it, key)).unwrap().der().clone()
}

#[test]
fn the_authority_certifies_its_stations_names_and_nobody_elses() {
    let (keys, issued) = made(&["Station.example", "10.1.2.3", "10.1.2.3"]);
    assert_eq!(issued.names, ["station.example", "10.1.2.3"]);
    for name in ["station.example", "10.1.2.3"] {
        assert_eq!(judged(keys.path(), &shown(keys.path()), name), "");
        assert_eq!(judged(keys.path(), &stolen(keys.path(), name), name), "");
    }
    for name in ["www.police.example", "10.1.2.4", "fd00::1"] {
        let fault = judged(keys.path(), &stolen(keys.path(), name), name);
        assert!(fault.contains("NameConstraintViolation"), "{name}: {fault:?}");
    }
}

#[test]
fn an_authority_for_names_alone_certifies_no_address_and_one_for_addresses_no_name() {
    let (by_name, _) = made(&["station.example"]);
    for address in ["10.0.0.1", "fd00::1"] {
        assert!(
            !judged(by_name.path(), &stolen(by_name.path(), address), address).is_empty(),
            "{address}"
        );
    }
    let (by_address, _) = made(&["fd00::7"]);
    assert_eq!(judged(by_address.path(), &shown(by_address.path()), "fd00::7"), "");
    for name in ["station.example", "10.0.0.1", "fd00::8"] {
        assert!(
            !judged(by_address.path(), &stolen(by_address.path(), name), name).is_empty(),
            "{name}"
        );
    }
}

#[test]
fn what_is_no_name_of_a_host_is_refused_and_leaves_nothing() {
    let many: Vec<String> = (0..17).map(|number| format!("s{number}.example")).collect();
    let long = format!("{}.example", "a".repeat(64));
    for wrong in [
        names(&[]),
        names(&["*.example"]),
        names(&["http://station"]),
        names(&["a..b"]),
        names(&["-a"]),
        names(&["站.example"]),
        names(&["a b"]),
        names(&[&long]),
        names(&[""]),
        many,
    ] {
        let keys = tempfile::tempdir().unwrap();
        assert!(
            authority::make(keys.path(), "S", &wrong, &Environment::system()).is_err(),
            "{wrong:?}"
        );
        assert_eq!(std::fs::read_dir(keys.path()).unwrap().count(), 0, "{wrong:?}");
    }
}

#[test]
fn a_rotation_that_broke_off_anywhere_is_ended_by_the_next_one() {
    let (keys, first) = made(&["localhost"]);
    let env = Environment::system();
    // The power goes after the certificate for the next key was written, before another next key was drawn.
    let next = std::fs::read(keys.path().join("tls/next.key")).unwrap();
    let second = authority::renew(keys.path(), None, true, &env).unwrap();
    assert_eq!(second.current, first.next);
    std::fs::write(keys.path().join("tls/next.key"), next).unwrap();
    assert_eq!(authority::trust(keys.path()).unwrap().unwrap().pins, [second.current]);
    let mended = authority::renew(keys.path(), None, true, &env).unwrap();
    assert_eq!(
        mended.current, second.current,
        "the key that phones were told of is not passed over"
    );
    assert!(mended.next != mended.current);
    assert_eq!(
        authority::trust(keys.path()).unwrap().unwrap().pins,
        [mended.current, mended.next]
    );
    assert_eq!(judged(keys.path(), &shown(keys.path()), "localhost"), "");
}

#[test]
fn another_stations_authority_renews_nothing() {
    let (keys, before) = made(&["localhost"]);
    let (other, _) = made(&["localhost"]);
    let theirs = other.path().join("authority");
    let fault = authority::renew(keys.path(), Some(&theirs), false, &Environment::system()).unwrap_err();
    assert!(fault.to_string().contains("not the one"), "{fault}");
    assert_eq!(authority::trust(keys.path()).unwrap().unwrap().pins[0], before.current);
}

#[test]
fn phones_hear_of_the_keys_at_their_enrolment_and_with_each_new_token_signed() {
    let mut world = World::new();
    let silent = world.phone("before", "officer");
    assert_eq!(silent.enrolled.pins, None, "a station without a certificate says nothing");
    let issued = authority::make(&world.keys(), "S", &names(&["localhost"]), &Environment::system()).unwrap();
    world.reopen();
    let shown = Arc::new(Shown::open(&TlsConfig::default(), &world.keys()).unwrap());
    world.station = world.station.showing(shown);
    let phone = world.phone("after", "officer");
    let offer = phone.enrolled.pins.clone().unwrap();
    assert_eq!(offer.pins, [issued.current, issued.next]);
    let key = world.station.keys.receipt.verifying_key();
    assert!(offer.verifies(&world.station.origin, &key));
    let status = world.station.status().unwrap().tls.unwrap();
    assert_eq!(
        (status.pin, status.announced),
        (issued.current, Some(vec![issued.current, issued.next]))
    );
}
