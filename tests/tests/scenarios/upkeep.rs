//! What an operator relies on: rebuild, verify, backup and restore, a stop in good order, and refusals that say what to do. The program is
//! the real one; its files are looked at only as files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use beatbook_client_core::sync::SyncEvent;
use beatbook_protocol::document::Edit;
use beatbook_protocol::limits::EXCHANGE_WIRE_BYTES_MAX;
use beatbook_protocol::wire::{self, MEDIA_TYPE, Refusal};
use beatbook_tests::day::chief;
use beatbook_tests::phone::Phone;
use beatbook_tests::station::{Chief, Places, StationProcess, StationProcessError, run};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::post::{Post, act, household, visit};

/// Words that are nowhere else in the station's file.
const WORDS: &str = "walnut-quartz-7713-bicycle-shed";

/// Runs a command on a station's directories.
fn command(words: &[&str], places: &Places) -> Result<String, StationProcessError> {
    let (data, keys) = (places.data.to_string_lossy(), places.keys.to_string_lossy());
    run(&[words, &["--data", &data, "--keys", &keys]].concat())
}

fn complaint(outcome: Result<String, StationProcessError>) -> String {
    match outcome {
        Err(StationProcessError::Program { said, .. }) => said,
        other => panic!("it was done: {other:?}"),
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        match file.file_type().unwrap().is_dir() {
            true => copy_folder(&file.path(), &to.join(file.file_name())),
            false => drop(std::fs::copy(file.path(), to.join(file.file_name())).unwrap()),
        }
    }
}

/// A household and a submitted visit of each phone, all at the station.
async fn small_day(phones: &mut [Phone]) {
    for (phone, number) in phones.iter_mut().zip(101..) {
        let at = household(phone, number);
        let record = visit(phone, at);
        act(phone, record, "finish");
        act(phone, record, "submit");
        phone.core.edit(at, &Edit::new().note("notes", WORDS), None).unwrap();
        phone.sync().await.unwrap();
    }
}

async fn ledger(desk: &Chief) -> Json {
    desk.get("/api/v1/status").await.unwrap()["ledger"].clone()
}

/// What phones hold as accepted, and the station does not have.
async fn missing(desk: &Chief, phones: &[Phone]) -> Vec<String> {
    let held: BTreeSet<String> = chief::holdings(desk).await.unwrap().into_values().flatten().collect();
    let mut entries = Vec::new();
    for phone in phones {
        assert!(phone.core.waiting().unwrap().is_empty(), "{} still waits", phone.name);
        assert!(phone.core.refused().unwrap().is_empty(), "{} was refused", phone.name);
        let accepted = phone.core.accepted_entries().unwrap();
        assert!(!accepted.is_empty());
        entries.extend(accepted.into_iter().map(|(_, entry)| entry.to_string()));
    }
    entries.retain(|entry| !held.contains(entry));
    entries
}

/// Phones that write and sync one after the other until they are told to stop; a station that is away is no fault.
fn load(mut phones: Vec<Phone>, stop: Arc<AtomicBool>) -> JoinHandle<Vec<Phone>> {
    tokio::spawn(async move {
        let mut number = 1_000;
        while !stop.load(Ordering::SeqCst) {
            for phone in &mut phones {
                number += 1;
                phone.clock.advance(60_000);
                let at = household(phone, number);
                visit(phone, at);
                let _ = phone.sync().await;
            }
        }
        phones
    })
}

#[tokio::test]
async fn rebuild_gives_the_same_dump_and_the_ledger_verifies() {
    let post = Post::open("rebuilt");
    let mut phones = post.phones::<2>().await;
    small_day(&mut phones).await;
    chief::review(&post.desk).await.unwrap();
    let Post {
        station,
        places,
        folder: _folder,
        ..
    } = post;
    station.stop().unwrap();
    let before = command(&["dump"], &places).unwrap();
    assert!(before.contains(WORDS), "the dump says what was written");
    let told = command(&["rebuild"], &places).unwrap();
    assert!(told.contains("as the ledger says"), "{told}");
    assert_eq!(command(&["dump"], &places).unwrap(), before);
    command(&["ledger", "verify"], &places).unwrap();
    command(&["doctor"], &places).unwrap();
}

#[tokio::test]
async fn one_flipped_byte_of_what_was_written_is_found() {
    let post = Post::open("flipped");
    let mut phones = post.phones::<1>().await;
    small_day(&mut phones).await;
    let (root, places, _folder) = post.stop();
    let file = places.data.join("station.db");
    let whole = std::fs::read(&file).unwrap();
    let found: Vec<usize> = (0..whole.len())
        .filter(|at| whole[*at..].starts_with(WORDS.as_bytes()))
        .collect();
    assert!(!found.is_empty(), "the words are in no file");
    let mut faults = Vec::new();
    for at in found {
        let copy = Places {
            data: root.join(format!("copy-{at}")),
            keys: places.keys.clone(),
        };
        copy_folder(&places.data, &copy.data);
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(copy.data.join("station.db"), bytes).unwrap();
        let looked = [&["ledger", "verify"][..], &["doctor"]].map(|words| command(words, &copy));
        faults.extend(looked.into_iter().filter(Result::is_err).map(complaint));
    }
    let named = faults
        .iter()
        .filter(|fault| fault.contains("entry") && fault.contains("leaf"))
        .count();
    assert!(named >= 2, "verify and doctor both name the entry: {faults:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restores_to_a_station_that_the_phones_accept_and_fill_up_again() {
    let post = Post::open("restored");
    let phones = post.phones::<2>().await;
    let stop = Arc::new(AtomicBool::new(false));
    let working = load(phones.into(), Arc::clone(&stop));
    let begun = ledger(&post.desk).await["size"].as_u64().unwrap();
    while ledger(&post.desk).await["size"].as_u64().unwrap() < begun + 6 {
        tokio::task::yield_now().await;
    }
    let copies = post.root.join("copies");
    let at = (post.places.clone(), copies.clone());
    let backup = tokio::task::spawn_blocking(move || command(&["backup", "--to", &at.1.to_string_lossy()], &at.0));
    let told = backup.await.unwrap().unwrap();
    let copied: u64 = told
        .lines()
        .find_map(|line| line.strip_prefix("position.size: "))
        .and_then(|size| size.parse().ok())
        .unwrap_or_else(|| panic!("{told}"));
    while ledger(&post.desk).await["size"].as_u64().unwrap() < copied + 4 {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut phones = working.await.unwrap();
    for phone in &mut phones {
        phone.sync().await.unwrap();
    }
    let old = ledger(&post.desk).await;
    let Post {
        root,
        station,
        places,
        token,
        folder: _folder,
        ..
    } = post;
    station.kill().unwrap();
    let restored = Places {
        data: root.join("restored"),
        keys: places.keys.clone(),
    };
    command(&["restore", "--from", &copies.to_string_lossy()], &restored).unwrap();
    let station = StationProcess::serve(&restored, "127.0.0.1:0").unwrap();
    let desk = Chief::new(station.url(), &token).unwrap();
    for phone in &mut phones {
        phone.call(station.url());
        let report = phone.sync().await.unwrap();
        let told = report.events.contains(&SyncEvent::StationRestored { epoch: 1 });
        assert!(told, "{} was not told: {:?}", phone.name, report.events);
    }
    for phone in &mut phones {
        phone.sync().await.unwrap();
    }
    assert_eq!(missing(&desk, &phones).await, Vec::<String>::new());
    assert_eq!(ledger(&desk).await["epoch"], json!(1));
    let note = desk.get("/api/v1/checkpoint").await.unwrap();
    let note = note.as_str().unwrap();
    let follows = format!("follows 0 {} ", old["size"]);
    assert!(note.lines().any(|line| line.starts_with(&follows)), "{note}, after {old}");
    station.stop().unwrap();
    command(&["ledger", "verify"], &restored).unwrap();
}

#[tokio::test]
async fn a_database_older_than_what_was_signed_is_not_served() {
    let post = Post::open("older");
    let mut phones = post.phones::<1>().await;
    small_day(&mut phones).await;
    let (root, places, _folder) = post.stop();
    let old = root.join("old");
    copy_folder(&places.data, &old);
    let station = StationProcess::serve(&places, "127.0.0.1:0").unwrap();
    phones[0].call(station.url());
    small_day(&mut phones).await;
    station.stop().unwrap();
    std::fs::remove_dir_all(&places.data).unwrap();
    copy_folder(&old, &places.data);
    let refused = StationProcess::serve(&places, "127.0.0.1:0");
    let Err(StationProcessError::Program { said, .. }) = refused else {
        panic!("an old copy was served: {refused:?}")
    };
    let complaint = said.lines().last().unwrap_or_default();
    assert!(complaint.contains("restore"), "{said}");
    assert!(command(&["doctor"], &places).is_err(), "doctor sees it as well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_amid_exchanges_ends_well_and_the_phones_lose_nothing() {
    let post = Post::open("stopped");
    let phones = post.phones::<2>().await;
    let Post {
        mut station,
        places,
        token,
        folder: _folder,
        ..
    } = post;
    let listen = station.url().trim_start_matches("http://").to_owned();
    let stop = Arc::new(AtomicBool::new(false));
    let working = load(phones.into(), Arc::clone(&stop));
    for _ in 0..3 {
        let desk = Chief::new(station.url(), &token).unwrap();
        let begun = ledger(&desk).await["size"].as_u64().unwrap();
        while ledger(&desk).await["size"].as_u64().unwrap() < begun + 3 {
            tokio::task::yield_now().await;
        }
        // Fails unless the program ends with 0.
        tokio::task::spawn_blocking(move || station.stop()).await.unwrap().unwrap();
        station = StationProcess::serve(&places, &listen).unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let mut phones = working.await.unwrap();
    for phone in &mut phones {
        phone.sync().await.unwrap();
    }
    let desk = Chief::new(station.url(), &token).unwrap();
    assert_eq!(missing(&desk, &phones).await, Vec::<String>::new());
    station.stop().unwrap();
    command(&["ledger", "verify"], &places).unwrap();
}

/// A zstd frame of some kilobytes that unpacks to more than an exchange may hold: repeated blocks (RFC 8878, section 3.1.1.2).
fn bomb() -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for block in 0..512_u32 {
        let header = (131_072 << 3) | (1 << 1) | u32::from(block == 511);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

#[tokio::test]
async fn malformed_and_oversized_envelopes_are_refused_and_store_nothing() {
    let post = Post::open("malformed");
    let mut phones = post.phones::<1>().await;
    small_day(&mut phones).await;
    let before = post.desk.get("/api/v1/status").await.unwrap();
    let packed = |bytes: &Vec<u8>| wire::pack(&minimal(bytes)).unwrap();
    let whole = packed(&b"x".repeat(500));
    let cases: [(&str, Vec<u8>, u16, &str); 6] = [
        ("nothing", Vec::new(), 400, "malformed"),
        ("no zstd", b"{\"pages\":[]}".to_vec(), 400, "malformed"),
        ("another message", whole.clone(), 400, "malformed"),
        ("cut off", whole[..whole.len() / 2].to_vec(), 400, "malformed"),
        ("trailing bytes", [whole.as_slice(), &[0; 9]].concat(), 400, "malformed"),
        ("a bomb", bomb(), 413, "too_large"),
    ];
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let url = format!("{}/sync/v1/exchange", post.station.url());
    for (what, body, status, code) in cases {
        let sent = http
            .post(&url)
            .header("content-type", MEDIA_TYPE)
            .body(body)
            .send()
            .await
            .unwrap();
        let told = sent.status().as_u16();
        let refusal = refusal(&sent.bytes().await.unwrap());
        assert_eq!((told, refusal.code.as_str()), (status, code), "{what}: {}", refusal.text);
    }
    let (head, body) = announced(post.station.url(), EXCHANGE_WIRE_BYTES_MAX + 1).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert_eq!(refusal(&body).code, "too_large");
    let json = http
        .post(&url)
        .header("content-type", "application/json")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert!(json.status().is_client_error(), "{json:?}");
    let after = post.desk.get("/api/v1/status").await.unwrap();
    for figure in ["ledger", "entries", "refused", "pages", "quarantined", "records"] {
        assert_eq!(after[figure], before[figure], "{figure}");
    }
    phones[0].sync().await.unwrap();
}

fn refusal(packed: &[u8]) -> Refusal {
    wire::read("refusal", &wire::unpack(packed).unwrap()).unwrap()
}

/// Announces an exchange of so many bytes, sends none of them, and gives the head and the body of the answer.
async fn announced(url: &str, bytes: usize) -> (String, Vec<u8>) {
    let mut line = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST /sync/v1/exchange HTTP/1.1\r\nhost: station\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n"
    );
    line.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (
        String::from_utf8_lossy(&answer[..end]).into_owned(),
        answer[end + 4..].to_vec(),
    )
}

/// A sound message that is no exchange.
fn minimal(bytes: &[u8]) -> wire::Challenged {
    wire::Challenged {
        challenge: bytes.to_vec(),
        signature: bytes.to_vec(),
    }
}

#[tokio::test]
async fn a_station_is_made_once_and_a_faulty_kind_file_is_named_with_its_line() {
    let post = Post::open("twice");
    let Post {
        root,
        station,
        places,
        token,
        folder: _folder,
        ..
    } = post;
    let said = complaint(StationProcess::init(&places).map(|_| String::new()));
    assert!(said.contains("is there already"), "{said}");
    let desk = Chief::new(station.url(), &token).unwrap();
    assert_eq!(ledger(&desk).await["epoch"], json!(0), "the station is as it was");
    station.stop().unwrap();

    let kinds = root.join("kinds");
    std::fs::create_dir_all(&kinds).unwrap();
    let household = include_str!("../../../protocol/kinds/household.toml");
    let faulty = household
        .replacen("version = 1", "version = 2", 1)
        .replacen("type = \"text\"", "type = \"essay\"", 1);
    let line = 1 + faulty.lines().position(|line| line.contains("essay")).unwrap();
    std::fs::write(kinds.join("household.toml"), &faulty).unwrap();
    let serve = || {
        let mut environment = Command::new("env");
        environment.arg(format!("BEATBOOK_KINDS={}", kinds.display()));
        StationProcess::serve_under(environment, &places, "127.0.0.1:0")
    };
    let said = complaint(serve().map(|_| String::new()));
    let place = format!("{}:{line}: ", kinds.join("household.toml").display());
    assert!(said.contains(&place) && said.contains("essay"), "{said}");

    std::fs::write(kinds.join("household.toml"), faulty.replace("essay", "text")).unwrap();
    serve().unwrap().stop().unwrap();
}
