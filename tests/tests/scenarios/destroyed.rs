//! What is destroyed at the station goes everywhere: from its files, from the phones of all who held it, and it comes back by no way.

use std::path::Path;

use beatbook_client_core::sync::{SyncEvent, status};
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{ItemId, RecordId};
use beatbook_protocol::time::UnixMillis;
use beatbook_tests::day::chief;
use beatbook_tests::phone::{DayClock, Phone};
use beatbook_tests::station::{Places, run};
use serde_json::{Value as Json, json};

use super::first_sync::all;
use super::post::{NAMES, Post, command, household, sync_both, write};
use super::restored::copied;

/// The day on which all of this happens.
const BEGAN: UnixMillis = UnixMillis(1_790_000_000_000);

/// Two officers' phones, enrolled and synced once, with files that are not encrypted: what is in them can be searched.
async fn plain_phones(post: &Post) -> [Phone; 2] {
    let mut phones = Vec::new();
    for name in &NAMES[..2] {
        let code = chief::register(&post.desk, name, "officer").await.unwrap();
        let file = post.root.join(format!("{name}.db"));
        let mut phone = Phone::open_plain(name, &file, post.station.url(), &DayClock::standing_at(BEGAN)).unwrap();
        phone.enrol(&code).await.unwrap();
        phone.sync().await.unwrap();
        phones.push(phone);
    }
    phones.try_into().unwrap()
}

/// Whether these words stand in any file below a directory, or in this file.
fn stands_in(place: &Path, words: &str) -> bool {
    if place.is_file() {
        let bytes = std::fs::read(place).unwrap();
        return bytes.windows(words.len()).any(|window| window == words.as_bytes());
    }
    let Ok(inside) = std::fs::read_dir(place) else { return false };
    inside.into_iter().any(|entry| stands_in(&entry.unwrap().path(), words))
}

/// Whether these words stand in the file of a phone that `plain_phones` made.
fn on_phone(post: &Post, phone: &Phone, words: &str) -> bool {
    ["db", "db-wal"].iter().any(|ending| {
        let file = post.root.join(format!("{}.{ending}", phone.name));
        file.exists() && stands_in(&file, words)
    })
}

/// A household with a note and a contact by which it is found in files.
fn marked(phone: &Phone, number: u64, mark: &str) -> RecordId {
    let record = household(phone, number);
    let item = ItemId::from_bytes([7; 16]);
    let contact = [("name", "王".into()), ("phone", format!("PHONE-{mark}").as_str().into())];
    let edit = Edit::new()
        .note("notes", format!("NOTE-{mark}"))
        .item("contacts", item, contact);
    write(phone, record, edit).unwrap();
    record
}

async fn destroy(post: &Post, record: RecordId) -> Json {
    let path = format!("/api/v1/records/{record}/destroy");
    post.desk
        .post(&path, &json!({ "ground": "法院判决第7号" }), None)
        .await
        .unwrap()
}

fn verified(places: &Places) -> Json {
    let (data, keys) = (places.data.to_string_lossy(), places.keys.to_string_lossy());
    let told = run(&["ledger", "verify", "--json", "--data", &data, "--keys", &keys]).unwrap();
    serde_json::from_str(&told).unwrap()
}

#[tokio::test]
async fn what_the_chief_has_destroyed_goes_from_every_phone_and_from_every_file() {
    let post = Post::open("destroyed");
    let mut phones = plain_phones(&post).await;
    let doomed = marked(&phones[0], 1, "DOOMED");
    let kept = marked(&phones[0], 2, "KEPT");
    sync_both(&mut phones).await;
    for words in ["NOTE-DOOMED", "PHONE-DOOMED"] {
        assert!(
            phones.iter().all(|phone| on_phone(&post, phone, words)),
            "{words} is found where it is"
        );
    }
    assert!(stands_in(&post.places.data, "NOTE-DOOMED"), "and at the station");
    // An old copy of a phone lies somewhere; and one goes on writing without a line.
    let copy_file = copied(&phones[1], &post.root, "copy");
    write(&phones[1], doomed, Edit::new().field("structure", "simple")).unwrap();
    assert_eq!(destroy(&post, doomed).await["entries"], json!(3));
    for phone in &mut phones {
        let stranded = u64::from(phone.name == "张警官");
        let report = phone.sync().await.unwrap();
        let gone = SyncEvent::Destroyed {
            record: doomed,
            private_only: false,
            stranded,
        };
        assert!(report.events.contains(&gone), "{report:?}");
        assert_eq!(all(phone), [kept]);
        assert_eq!(
            phone.core.refused().unwrap().len() as u64,
            stranded,
            "his own work is there in words"
        );
        let told = status(&phone.core).unwrap();
        assert!(told.synced && told.differs_since.is_none(), "{told:?}");
    }
    // Contacts lie sealed at the station: no search of its files finds them, destroyed or not.
    assert!(!stands_in(&post.places.data, "NOTE-DOOMED"), "at the station");
    for words in ["NOTE-DOOMED", "PHONE-DOOMED"] {
        assert!(
            phones.iter().all(|phone| !on_phone(&post, phone, words)),
            "{words} on a phone"
        );
    }
    assert!(stands_in(&post.places.data, "NOTE-KEPT") && !stands_in(&post.places.data, "PHONE-KEPT"));
    // The old copy is switched on: it begins a new life, and nothing of that record comes in.
    let mut copy = Phone::open_plain("copy", &copy_file, post.station.url(), &phones[1].clock).unwrap();
    write(&copy, doomed, Edit::new().field("language", "dialect")).unwrap();
    copy.sync().await.unwrap();
    copy.sync().await.unwrap();
    assert_eq!(all(&copy), [kept]);
    assert!(status(&copy.core).unwrap().synced);
    let (status_code, _) = post
        .desk
        .call("GET", &format!("/api/v1/records/{doomed}"), None, None)
        .await
        .unwrap();
    assert_eq!(status_code, 404);
    let told = post.desk.get("/api/v1/destructions").await.unwrap();
    assert_eq!(told["rows"][0]["record"], json!(doomed.to_string()));
    let report = verified(&post.places);
    assert_eq!(
        (&report["faults"], &report["destroyed"][0]["entries"]),
        (&json!([]), &json!(3))
    );
    let (_, places, _folder) = post.stop();
    assert_eq!(verified(&places)["faults"], json!([]));
}

#[tokio::test]
async fn a_restore_from_before_a_destruction_brings_nothing_back_to_anybody() {
    let post = Post::open("destroyedback");
    let mut phones = plain_phones(&post).await;
    let doomed = marked(&phones[0], 1, "DOOMED");
    let kept = marked(&phones[0], 2, "KEPT");
    sync_both(&mut phones).await;
    let copies = post.root.join("copies");
    command(&["backup", "--to", &copies.to_string_lossy()], &post.places);
    // Made and destroyed since the backup: the second phone does not hear of its end.
    let fresh = marked(&phones[0], 3, "FRESH");
    sync_both(&mut phones).await;
    assert!(phones.iter().all(|phone| on_phone(&post, phone, "NOTE-FRESH")));
    assert!(stands_in(&post.places.data, "NOTE-FRESH") && stands_in(&post.places.data, "NOTE-DOOMED"));
    for record in [doomed, fresh] {
        destroy(&post, record).await;
    }
    phones[0].sync().await.unwrap();
    assert_eq!(all(&phones[0]), [kept]);
    let post = post.restored_from(&copies, |places| {
        assert!(!stands_in(&places.data, "NOTE-DOOMED"), "gone before anybody sees it");
    });
    for phone in &mut phones {
        phone.call(post.station.url());
    }
    // He still holds both, gives back what the station lost, and is told.
    for _ in 0..2 {
        for phone in [1, 0] {
            phones[phone].sync().await.unwrap();
        }
    }
    for phone in &phones {
        assert_eq!(all(phone), [kept], "{}", phone.name);
        let told = status(&phone.core).unwrap();
        assert!(told.synced, "{}: {told:?}", phone.name);
        assert!(!on_phone(&post, phone, "NOTE-FRESH"), "{}", phone.name);
    }
    assert!(!stands_in(&post.places.data, "NOTE-FRESH"));
    let (_, places, _folder) = post.stop();
    assert_eq!(verified(&places)["faults"], json!([]));
}

#[tokio::test]
async fn the_operator_sees_what_is_due_holds_and_destroys_by_command() {
    let post = Post::open("dueness");
    let mut phones = post.phones::<2>().await;
    let record = marked(&phones[0], 1, "COMMAND");
    sync_both(&mut phones).await;
    let (_, places, _folder) = post.stop();
    let (data, keys) = (
        places.data.to_string_lossy().into_owned(),
        places.keys.to_string_lossy().into_owned(),
    );
    assert!(stands_in(&places.data, "NOTE-COMMAND"));
    let ask = |words: &[&str]| run(&[words, &["--json", "--data", &data, "--keys", &keys]].concat());
    let report: Json = serde_json::from_str(&ask(&["retention"]).unwrap()).unwrap();
    assert_eq!((&report["applied"], &report["due"]), (&json!(false), &json!(0)));
    let id = record.to_string();
    ask(&["hold", "set", &id, "--ground", "(2026)京01民初77号"]).unwrap();
    let refused = ask(&["destroy", &id, "--ground", "命令"]).unwrap_err().to_string();
    assert!(refused.contains("held") && refused.contains("77号"), "{refused}");
    ask(&["hold", "release", &id, "--ground", "案件终结"]).unwrap();
    ask(&["destroy", &id, "--ground", "命令"]).unwrap();
    let told: Json = serde_json::from_str(&ask(&["destructions"]).unwrap()).unwrap();
    assert_eq!((&told[0]["record"], &told[0]["why"]), (&json!(id), &json!("order")));
    assert!(!stands_in(&places.data, "NOTE-COMMAND"));
    // Settings that would keep something shorter than its kind says stop the program before it does anything.
    let config = places.data.with_file_name("short.toml");
    std::fs::write(&config, "[retention.longer.visit]\ndays = 30\nground = \"none\"\n").unwrap();
    let refused = ask(&["retention", "--config", &config.to_string_lossy()])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("fewer than the 1095"), "{refused}");
}
