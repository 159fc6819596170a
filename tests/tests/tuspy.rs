//! Uploads by tuspy, the stock Python client of the tus protocol, against the real station: who implements the standard needs nothing of
//! ours. `make test` installs it (`.ci/python`); without it this says loudly that it did not run, and on a build machine it fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what is skipped is for the person who reads the output")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use beatbook_protocol::blob::blob_name;
use beatbook_protocol::id::{BookId, Hash};
use beatbook_protocol::page::{BookKey, P256_SHA256, Signer};
use beatbook_protocol::wire::{self, EnrolRequest, EnrolResponse, MEDIA_TYPE, WIRE_VERSION, enrol_message};
use beatbook_tests::bench::scratch;
use beatbook_tests::day::chief;
use beatbook_tests::station::{Chief, Places, StationProcess};

/// The interpreter of the environment that `.ci/python` makes beside the build.
fn python() -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let target = here.ancestors().nth(3)?;
    let python = target.join("python/bin/python");
    if target.join("python/installed.txt").exists() {
        return Some(python);
    }
    let said = format!("{} is missing: `.ci/python` makes it", python.display());
    assert!(std::env::var_os("CI").is_none(), "{said}");
    eprintln!("SKIPPED: the station was NOT tried with the stock tus client: {said}");
    None
}

/// Enrols a book by hand; its token.
async fn token(station: &StationProcess, code: &str) -> String {
    let mut random = [0; 48];
    getrandom::fill(&mut random).unwrap();
    let key = BookKey::from_secret(random[..32].try_into().unwrap()).unwrap();
    let public = key.public_key().to_bytes();
    let book = BookId::from_bytes(random[32..].try_into().unwrap());
    let request = EnrolRequest {
        version: WIRE_VERSION,
        code: code.to_owned(),
        book,
        suite: P256_SHA256,
        proof: key.sign(&enrol_message(code, book, &public)).unwrap(),
        key: public,
        device: "tuspy".into(),
        app: "0".into(),
        attestation: None,
    };
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let reply = client
        .post(format!("{}/sync/v1/enrol", station.url()))
        .header("content-type", MEDIA_TYPE)
        .body(wire::pack(&request).unwrap())
        .send()
        .await
        .unwrap();
    let bytes = wire::unpack(&reply.bytes().await.unwrap()).unwrap();
    wire::read::<EnrolResponse>("enrolment", &bytes).unwrap().token
}

/// A run of the client.
struct Client {
    python: PathBuf,
    url: String,
    token: String,
    root: PathBuf,
}

impl Client {
    fn upload(&self, how: &str, content: &[u8], name: &Hash, place: Option<&str>) -> Output {
        let file = self.root.join("content");
        std::fs::write(&file, content).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/upload.py");
        let mut command = Command::new(&self.python);
        command.arg(script).args([how, &self.url, &self.token]).arg(file);
        command.args([&name.to_string(), "audio/mp4"]).args(place);
        command.output().unwrap()
    }
}

fn said<'a>(output: &'a Output, what: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(' '))
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_stock_python_client_uploads_goes_on_and_repeats() {
    let Some(python) = python() else { return };
    let root = scratch("tuspy").unwrap();
    let places = Places::under(&root);
    let chiefs = StationProcess::init(&places).unwrap();
    let station = StationProcess::serve(&places, "127.0.0.1:0").unwrap();
    let desk = Chief::new(station.url(), &chiefs).unwrap();
    let code = chief::register(&desk, "王警官", "officer").await.unwrap();
    let client = Client {
        python,
        url: format!("{}/sync/v1/blobs", station.url()),
        token: token(&station, &code).await,
        root: root.clone(),
    };
    let kept = |name: &Hash| {
        let name = name.to_string();
        std::fs::read(places.data.join("blobs").join(&name[..2]).join(&name)).ok()
    };
    let content = |seed: u8| -> Vec<u8> {
        (0..1_000_000_u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed)
            .collect()
    };

    for (seed, how) in [(1, "whole"), (2, "checked")] {
        let name = blob_name(&content(seed));
        let output = client.upload(how, &content(seed), &name, None);
        succeeded(&output);
        assert_eq!(said(&output, "offset"), Some("1000000"), "{how}");
        assert_eq!(kept(&name).unwrap(), content(seed), "{how}");
    }
    let name = blob_name(&content(3));
    let part = client.upload("part", &content(3), &name, None);
    succeeded(&part);
    assert_eq!((said(&part, "offset"), kept(&name)), (Some("400000"), None));
    let rest = client.upload("rest", &content(3), &name, said(&part, "url"));
    succeeded(&rest);
    assert_eq!(
        (said(&rest, "from"), said(&rest, "offset")),
        (Some("400000"), Some("1000000"))
    );
    assert_eq!(kept(&name).unwrap(), content(3));
    let again = client.upload("again", &content(3), &name, None);
    succeeded(&again);
    assert_eq!(said(&again, "offset"), Some("1000000"));
    let wrong = client.upload("whole", &content(4), &blob_name(b"something else"), None);
    assert_eq!((wrong.status.code(), said(&wrong, "status")), (Some(3), Some("460")));
    std::fs::remove_dir_all(root).unwrap();
}
