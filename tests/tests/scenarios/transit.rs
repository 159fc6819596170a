//! Between phone and station: real handshakes with a real station that shows a certificate of its own authority. Whom a phone believes, whom it
//! does not, and that nothing is lost when it does not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beatbook_client_core::drive;
use beatbook_client_core::sync::{Budget, SyncFault, pins, status};
use beatbook_client_core::transport::{HttpTransport, Mistrust, Outcome, OutgoingRequest, Transport, TransportFault, Trust};
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::trust::TrustText;
use beatbook_tests::bench::scratch;
use beatbook_tests::day::chief;
use beatbook_tests::phone::{DayClock, Phone};
use beatbook_tests::station::{Chief, Places, StationProcess, run};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value as Json;

use crate::post::{Folder, NAMES, household, write};

/// The day on which all of this happens.
const BEGAN: UnixMillis = UnixMillis(1_790_000_000_000);

/// A station with an authority of its own.
pub(crate) struct Guarded {
    pub(crate) root: PathBuf,
    pub(crate) places: Places,
    pub(crate) token: String,
    pub(crate) station: StationProcess,
    _folder: Folder,
}

impl Guarded {
    pub(crate) fn open(name: &str, more: &[&str]) -> Self {
        Self::named(name, &["127.0.0.1"], more)
    }

    fn named(name: &str, names: &[&str], more: &[&str]) -> Self {
        let root = scratch(name).unwrap();
        let places = Places::under(&root);
        let names: Vec<&str> = names.iter().flat_map(|name| ["--tls-name", name]).collect();
        let token = StationProcess::init_with(&places, &[&["--tls"], &names[..]].concat()).unwrap();
        let station = StationProcess::serve_with(&places, "127.0.0.1:0", more).unwrap();
        assert!(station.url().starts_with("https://127.0.0.1:"));
        Self {
            _folder: Folder::of(root.clone()),
            root,
            places,
            token,
            station,
        }
    }

    /// Runs a subcommand of `tls`, and gives what it says.
    fn tls(&self, arguments: &[&str]) -> Json {
        let (data, keys) = (self.places.data.to_string_lossy(), self.places.keys.to_string_lossy());
        let said = run(&[&["tls"], arguments, &["--json", "--data", &data, "--keys", &keys]].concat()).unwrap();
        serde_json::from_str(said.lines().next().unwrap()).unwrap()
    }

    /// What the station prints for its phones.
    pub(crate) fn text(&self) -> String {
        self.tls(&["pin"])["text for phones"].as_str().unwrap().to_owned()
    }

    pub(crate) fn desk(&self) -> Chief {
        let roots = std::fs::read(self.places.keys.join("tls/root.pem")).unwrap();
        Chief::trusting(self.station.url(), &self.token, &roots).unwrap()
    }

    async fn phone(&self, name: &str) -> Phone {
        let code = chief::register(&self.desk(), name, "officer").await.unwrap();
        let mut phone = self.stranger(name);
        phone.trust(&self.text()).unwrap();
        phone.enrol(&code).await.unwrap();
        phone.sync().await.unwrap();
        phone
    }

    /// A phone that believes nobody yet.
    fn stranger(&self, name: &str) -> Phone {
        let file = self.root.join(format!("{name}.db"));
        Phone::open(name, &file, self.station.url(), &DayClock::standing_at(BEGAN)).unwrap()
    }

    /// What a call over this trust comes to.
    async fn met(&self, trust: &Trust, clock: Option<UnixMillis>) -> Outcome {
        let clock = clock.map(|at| Arc::new(DayClock::standing_at(at)) as Arc<dyn beatbook_client_core::Clock>);
        let transport = HttpTransport::open_trusting(self.station.url(), trust, clock).unwrap();
        transport.send(request()).await
    }
}

pub(crate) fn request() -> OutgoingRequest {
    OutgoingRequest {
        path: "/sync/v1/exchange",
        token: Some("a-secret-token".into()),
        signature: None,
        body: b"packed".to_vec(),
    }
}

fn untrusted(why: Mistrust) -> Outcome {
    Outcome::Failed(TransportFault::Untrusted(why))
}

fn with_pins(text: &str, pins: Vec<Hash>) -> Trust {
    let text = TrustText {
        pins,
        ..TrustText::parse(text).unwrap()
    };
    Trust::from_text(&text.to_string()).unwrap()
}

#[tokio::test]
async fn a_phone_that_scanned_the_stations_code_enrols_and_syncs_over_tls() {
    let station = Guarded::open("transit", &[]);
    let mut phone = station.phone(NAMES[0]).await;
    let home = household(&phone, 101);
    phone.sync().await.unwrap();
    let listed = station.desk().get("/api/v1/records").await.unwrap();
    assert_eq!(listed["rows"][0]["id"], home.to_string(), "{listed}");
    let said = station.tls(&["pin"]);
    let told = pins(&phone.core).unwrap().unwrap();
    let told: Vec<String> = told.iter().map(Hash::to_string).collect();
    assert_eq!(told, [said["key"].as_str().unwrap(), said["next key"].as_str().unwrap()]);
    let status = station.desk().get("/api/v1/status").await.unwrap();
    assert_eq!(status["tls"]["pin"], said["key"]);
    assert!(status["tls"]["days_left"].as_i64().unwrap() > 390 && status["tls"]["fault"].is_null());
}

#[tokio::test]
async fn who_is_not_of_the_deployment_or_shows_another_key_is_told_nothing() {
    let station = Guarded::open("transit-roots", &[]);
    let other = Guarded::open("transit-other", &[]);
    let text = station.text();
    let theirs = Trust::from_text(&other.text()).unwrap();
    assert_eq!(station.met(&theirs, None).await, untrusted(Mistrust::OtherIssuer));
    let [current, next] = TrustText::parse(&text).unwrap().pins.try_into().unwrap();
    let strange = Hash::from_bytes([9; 32]);
    for (pins, is_met) in [
        (vec![], true),
        (vec![current], true),
        (vec![strange, current], true),
        (vec![next], false),
        (vec![strange], false),
    ] {
        let outcome = station.met(&with_pins(&text, pins.clone()), None).await;
        if is_met {
            assert!(
                matches!(outcome, Outcome::Refused { status: 400, .. }),
                "{pins:?}: {outcome:?}"
            );
        } else {
            assert_eq!(outcome, untrusted(Mistrust::OtherKey), "{pins:?}");
        }
    }
    // A pin may be the authority's: every certificate that rests on it is good then.
    let root = TrustText::parse(&text).unwrap().roots.remove(0);
    let root = rustls::pki_types::CertificateDer::from(root);
    let read = rustls::server::ParsedCertificate::try_from(&root).unwrap();
    let authority = Hash::of(&[read.subject_public_key_info().as_ref()]);
    let outcome = station.met(&with_pins(&text, vec![authority]), None).await;
    assert!(matches!(outcome, Outcome::Refused { status: 400, .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_certificate_out_of_its_dates_or_for_another_address_is_not_accepted() {
    let station = Guarded::open("transit-dates", &[]);
    let trust = Trust::from_text(&station.text()).unwrap();
    for date in [0, 946_684_800_000, 1_900_000_000_000] {
        assert_eq!(
            station.met(&trust, Some(UnixMillis(date))).await,
            untrusted(Mistrust::Dates),
            "{date}"
        );
    }
    let elsewhere = Guarded::named("transit-name", &["station.example", "10.9.9.9"], &[]);
    let trust = Trust::from_text(&elsewhere.text()).unwrap();
    assert_eq!(elsewhere.met(&trust, None).await, untrusted(Mistrust::OtherName));
}

#[tokio::test]
async fn a_phone_that_does_not_believe_keeps_everything_says_so_and_goes_on_when_it_does() {
    let station = Guarded::open("transit-keeps", &[]);
    let mut phone = station.phone(NAMES[0]).await;
    let home = household(&phone, 101);
    write(&phone, home, Edit::new().field("address_code", "000101")).unwrap();
    let before = status(&phone.core).unwrap().waiting;
    assert!(before > 0);

    let strange = with_pins(&station.text(), vec![Hash::from_bytes([9; 32])]);
    let transport = HttpTransport::open_trusting(station.station.url(), &strange, None).unwrap();
    let report = drive::sync(&phone.core, &transport, Budget::default()).await.unwrap();
    assert_eq!(report.fault, Some(SyncFault::Untrusted(Mistrust::OtherKey)));
    assert_eq!(report.requests, 1, "the same certificate is not asked for again and again");
    let after = status(&phone.core).unwrap();
    assert_eq!((after.waiting, after.synced), (before, false));
    assert!(after.fault.unwrap().1.contains("not the one this phone was given"));

    phone.sync().await.unwrap();
    let after = status(&phone.core).unwrap();
    assert!(after.synced && after.fault.is_none());

    // An enrolment that meets a stranger has not spent its code.
    let code = chief::register(&station.desk(), NAMES[1], "officer").await.unwrap();
    let mut fresh = station.stranger(NAMES[1]);
    fresh.trust(&Guarded::open("transit-stranger", &[]).text()).unwrap();
    let fault = fresh.enrol(&code).await.unwrap_err().to_string();
    assert!(fault.contains("not the station"), "{fault}");
    fresh.trust(&station.text()).unwrap();
    fresh.enrol(&code).await.unwrap();
}

#[tokio::test]
async fn the_next_key_is_taken_by_whoever_was_told_of_it_and_a_second_rotation_too() {
    let station = Guarded::open("transit-rotate", &[]);
    let scanned = station.text();
    let mut phone = station.phone(NAMES[0]).await;
    let mut deaf = station.phone(NAMES[1]).await;
    let mut shown = station.tls(&["pin"])["key"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let next = station.tls(&["pin"])["next key"].as_str().unwrap().to_owned();
        let issued = station.tls(&["renew", "--rotate"]);
        assert_eq!(issued["key"], next.as_str());
        assert_ne!(issued["next key"], next.as_str());
        station.station.hang_up().unwrap();
        shown_by(&station, &next).await;
        // What was told last is enough to come back, and brings the key after.
        phone.sync().await.unwrap();
        told(&mut phone, issued["next key"].as_str().unwrap()).await;
        assert_ne!(shown, next);
        shown = next;
    }
    // Who heard nothing of two rotations holds out, until he is given the text again.
    let old = Trust::from_text(&scanned).unwrap();
    assert_eq!(station.met(&old, None).await, untrusted(Mistrust::OtherKey));
    let new = Trust::from_text(&station.text()).unwrap();
    assert!(matches!(station.met(&new, None).await, Outcome::Refused { status: 400, .. }));
    let said = deaf.sync().await.unwrap_err().to_string();
    assert!(said.contains("not the one this phone was given"), "{said}");
    deaf.trust(&station.text()).unwrap();
    deaf.sync().await.unwrap();
}

#[tokio::test]
async fn a_renewal_is_shown_without_a_restart_and_a_faulty_one_is_said_and_not_shown() {
    let station = Guarded::open("transit-renew", &[]);
    let desk = station.desk();
    let file = station.places.keys.join("tls/server.pem");
    let before = std::fs::read(&file).unwrap();
    let key = station.tls(&["pin"])["key"].as_str().unwrap().to_owned();
    std::fs::write(&file, &before[..before.len() / 2]).unwrap();
    station.station.hang_up().unwrap();
    let mut status = Json::Null;
    for _ in 0..250 {
        status = desk.get("/api/v1/status").await.unwrap();
        if !status["tls"]["fault"].is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        status["tls"]["fault"].is_string() && status["tls"]["pin"] == key.as_str(),
        "{status}"
    );
    let metrics = desk.call("GET", "/metrics", None, None).await.unwrap().1;
    assert!(metrics.as_str().unwrap().contains("beatbook_certificate_fault 1"));
    let log = std::fs::read_to_string(station.places.data.with_extension("log")).unwrap();
    assert!(log.contains("the one before is shown on"), "{log}");

    std::fs::write(&file, &before).unwrap();
    // The authority may lie elsewhere, and be brought for the renewal.
    let away = station.root.join("safe");
    std::fs::rename(station.places.keys.join("authority"), &away).unwrap();
    let (data, keys) = (station.places.data.to_string_lossy(), station.places.keys.to_string_lossy());
    let fault = run(&["tls", "renew", "--data", &data, "--keys", &keys])
        .unwrap_err()
        .to_string();
    assert!(fault.contains("--authority"), "{fault}");
    let issued = station.tls(&["renew", "--authority", &away.to_string_lossy()]);
    assert_eq!(issued["key"], key.as_str(), "a renewal keeps the key");
    station.station.hang_up().unwrap();
    for _ in 0..250 {
        status = desk.get("/api/v1/status").await.unwrap();
        if status["tls"]["fault"].is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(status["tls"]["fault"].is_null(), "{status}");
}

/// Waits until the station shows this key.
async fn shown_by(station: &Guarded, key: &str) {
    let text = station.text();
    for _ in 0..250 {
        let outcome = station.met(&with_pins(&text, vec![key.parse().unwrap()]), None).await;
        if !matches!(outcome, Outcome::Failed(_)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the station does not show {key}");
}

/// Lets a phone hear of a key. It hears of keys with each new token; tokens are renewed by the hour, so it asks for one as it does when its own
/// has run out.
async fn told(phone: &mut Phone, key: &str) {
    let transport = phone.transport().unwrap();
    let forgetful = Forgetful(transport);
    drive::sync(&phone.core, &forgetful, Budget::default()).await.unwrap();
    let told = pins(&phone.core).unwrap().unwrap();
    assert!(told.contains(&key.parse().unwrap()), "{told:?}");
}

/// A line on which tokens get lost.
struct Forgetful(HttpTransport);

impl Transport for Forgetful {
    async fn send(&self, request: OutgoingRequest) -> Outcome {
        self.0.send(OutgoingRequest { token: None, ..request }).await
    }
}

#[test]
fn plain_http_to_the_network_must_be_asked_for() {
    let root = scratch("transit-plain").unwrap();
    let _folder = Folder::of(root.clone());
    let places = Places::under(&root);
    StationProcess::init(&places).unwrap();
    let fault = StationProcess::serve(&places, "0.0.0.0:0").unwrap_err().to_string();
    for way in ["[http.tls]", "tls make", "behind a proxy"] {
        assert!(fault.contains(way), "{fault}");
    }
    let (data, keys) = (places.data.to_string_lossy(), places.keys.to_string_lossy());
    let doctor = run(&["doctor", "--data", &data, "--keys", &keys]).unwrap();
    assert!(doctor.contains("certificate: none"), "{doctor}");
    run(&["tls", "make", "--data", &data, "--keys", &keys]).unwrap();
    let doctor = run(&["doctor", "--data", &data, "--keys", &keys]).unwrap();
    assert!(doctor.contains("certificate: 396 days left"), "{doctor}");
    let again = run(&["tls", "make", "--data", &data, "--keys", &keys])
        .unwrap_err()
        .to_string();
    assert!(again.contains("there already"), "{again}");
    let code = run(&["tls", "pin", "--qr", "--data", &data, "--keys", &keys]).unwrap();
    assert!(code.contains("BEGIN CERTIFICATE") && code.contains('█'), "{code}");
}

/// Files of the keys directory that hold a private key of transit.
const KEY_FILES: [&str; 3] = ["tls/server.pem", "tls/next.key", "authority/authority.key"];

/// Whether these bytes stand in any file below a directory.
fn stands_in(place: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(place).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            stands_in(&path, needle)
        } else {
            let bytes = std::fs::read(&path).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        }
    })
}

#[test]
fn the_private_keys_of_transit_are_in_no_backup_and_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let station = Guarded::open("transit-keys", &[]);
    let keys = &station.places.keys;
    for name in KEY_FILES {
        let mode = std::fs::metadata(keys.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let to = station.root.join("backup");
    let (data, keys) = (station.places.data.to_string_lossy(), keys.to_string_lossy());
    run(&["backup", "--to", &to.to_string_lossy(), "--data", &data, "--keys", &keys]).unwrap();
    for place in [&to, &station.places.data] {
        assert!(stands_in(place, b"SQLite format 3"), "{} is looked through", place.display());
    }
    for name in KEY_FILES {
        let text = std::fs::read_to_string(station.places.keys.join(name)).unwrap();
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap();
        let line = text.lines().skip_while(|line| !line.contains("PRIVATE KEY")).nth(1).unwrap();
        for written in [b"PRIVATE KEY".as_slice(), line.as_bytes()] {
            let found = stands_in(&station.places.keys, written);
            assert!(found, "the search finds what is there: {name}");
        }
        // As it is written in its file, and as the bytes that this stands for.
        for needle in [b"PRIVATE KEY".as_slice(), line.as_bytes(), key.secret_der()] {
            for place in [&to, &station.places.data] {
                assert!(!stands_in(place, needle), "{name} in {}", place.display());
            }
        }
    }
}
