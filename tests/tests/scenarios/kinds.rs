//! Kinds over the wire: a kind that is added or raised while phones are out, apps that know more than the station, and an app that is too
//! old. And what the chief sees of the phones.

use std::process::Command;

use beatbook_client_core::sync::{Budget, status};
use beatbook_client_core::transport::HttpTransport;
use beatbook_client_core::{CoreError, drive};
use beatbook_protocol::document::Edit;
use beatbook_protocol::kind::Catalogue;
use beatbook_tests::phone::Phone;
use beatbook_tests::station::{Places, StationProcess};
use serde_json::json;

use crate::post::{Post, household, shown, sync_both, write};

/// The embedded household in a second version, with a field more.
fn household_two() -> String {
    let kinds = Catalogue::builtin().unwrap();
    let first = kinds.get("household", 1).unwrap().source();
    let field = "[[field]]\ncode = \"gate_code\"\nlabel = { zh = \"门禁\", en = \"Gate\" }\ntype = \"text\"\nchars_max = 20\n\
                 purpose = \"To reach the door.\"\n\n[workflow]\n";
    first
        .replacen("version = 1", "version = 2", 1)
        .replacen("[workflow]\n", field, 1)
}

/// A kind of the city's own.
fn shop() -> String {
    let kinds = Catalogue::builtin().unwrap();
    let text = kinds.get("household", 1).unwrap().source();
    text.replace("\"household\"", "\"shop\"")
}

/// The station again at the same address, as an operator restarts it with more said to it.
fn again(station: StationProcess, places: &Places, said: &[(&str, String)]) -> StationProcess {
    let listen = station.url().trim_start_matches("http://").to_owned();
    station.stop().unwrap();
    let mut with = Command::new("env");
    with.args(said.iter().map(|(name, value)| format!("{name}={value}")));
    StationProcess::serve_under(with, places, &listen).unwrap()
}

fn version(phone: &Phone, record: beatbook_protocol::id::RecordId) -> u32 {
    phone.core.record(record).unwrap().row.kind_version
}

#[tokio::test]
async fn a_kind_that_is_added_and_one_that_is_raised_reach_phones_and_records_stay_under_their_version() {
    let mut post = Post::open("kinds");
    let mut phones = post.phones::<2>().await;
    let home = household(&phones[0], 101);
    sync_both(&mut phones).await;
    let before: Result<_, CoreError> = phones[1].core.begin("shop", &Edit::new());
    assert!(before.is_err(), "nobody has heard of it");
    let folder = post.root.join("kinds");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("household-2.toml"), household_two()).unwrap();
    std::fs::write(folder.join("shop.toml"), shop()).unwrap();
    post.station = again(
        post.station,
        &post.places,
        &[("BEATBOOK_KINDS", folder.display().to_string())],
    );

    // One phone comes by and knows the new version; the other is out and writes under the old.
    phones[1].sync().await.unwrap();
    write(&phones[1], home, Edit::new().field("structure", "simple")).unwrap();
    write(&phones[0], home, Edit::new().field("dwelling_use", "rented")).unwrap();
    let old = household(&phones[0], 102);
    let new = household(&phones[1], 103);
    write(&phones[1], new, Edit::new().field("gate_code", "4711")).unwrap();
    phones[1]
        .core
        .begin("shop", &Edit::new().field("dwelling_use", "rented"))
        .unwrap();
    phones.reverse();
    sync_both(&mut phones).await;
    sync_both(&mut phones).await;
    phones.reverse();
    for phone in &phones {
        assert!(phone.core.refused().unwrap().is_empty(), "{:?}", phone.core.refused());
        assert_eq!([home, old, new].map(|record| version(phone, record)), [1, 1, 2]);
        assert_eq!(shown(phone, home, "structure"), "simple".into());
        assert_eq!(shown(phone, home, "dwelling_use"), "rented".into());
    }
    // Whoever learnt the version later edits a record of it, and what the other said in its new field stays.
    write(&phones[0], new, Edit::new().field("structure", "other")).unwrap();
    assert_eq!(version(&phones[0], household(&phones[0], 104)), 2);
    sync_both(&mut phones).await;
    for phone in &phones {
        assert_eq!(shown(phone, new, "gate_code"), "4711".into());
        assert_eq!(shown(phone, new, "structure"), "other".into());
    }
    // The set is named by its digest from now on: kind files do not come again, though the app's own differ.
    for phone in &mut phones {
        phone.sync().await.unwrap();
        let idle = phone.sync().await.unwrap();
        assert_eq!((idle.requests, idle.complete), (1, true));
        assert!(idle.bytes_down < 1_000, "{idle:?}");
    }
}

#[tokio::test]
async fn an_app_that_is_too_old_is_told_so_and_its_work_is_taken_all_the_same() {
    let mut post = Post::open("old-app");
    let [mut phone] = post.phones().await;
    assert_eq!(status(&phone.core).unwrap().upgrade_required, None);
    post.station = again(post.station, &post.places, &[("BEATBOOK_APP_MIN", "99.1".into())]);
    let home = household(&phone, 101);
    let report = phone.sync().await.unwrap();
    assert_eq!((report.accepted, report.complete), (1, true));
    assert_eq!(post.page(home).await["header"]["kind"], "household");
    let told = status(&phone.core).unwrap();
    assert_eq!((told.upgrade_required.as_deref(), told.synced), (Some("99.1.0"), true));
    post.station = again(post.station, &post.places, &[("BEATBOOK_APP_MIN", "0.0.1".into())]);
    phone.sync().await.unwrap();
    assert_eq!(status(&phone.core).unwrap().upgrade_required, None);
}

#[tokio::test]
async fn the_chief_sees_what_each_phone_still_owes() {
    let post = Post::open("owes");
    let [mut busy, mut idle] = post.phones().await;
    let home = household(&busy, 101);
    for number in 0..300 {
        write(&busy, home, Edit::new().field("address_code", format!("{number:06}"))).unwrap();
    }
    let transport = HttpTransport::open(post.station.url(), b"").unwrap();
    let little = Budget {
        bytes_up_max: 1,
        requests_max: 1,
        ..Budget::default()
    };
    drive::sync(&busy.core, &transport, little).await.unwrap();
    let left = status(&busy.core).unwrap();
    assert!(left.waiting > 0 && left.waiting < 301, "{left:?}");
    let of = |phones: &serde_json::Value, name: &str| {
        let all = phones["phones"].as_array().unwrap();
        all.iter().find(|phone| phone["user_name"] == name).cloned().unwrap()
    };
    let phones = post.desk.get("/api/v1/phones").await.unwrap();
    let seen = of(&phones, &busy.name);
    assert_eq!(seen["owes"]["entries"], json!(left.waiting), "{seen}");
    assert_eq!(seen["owes"]["since"], json!(left.since.map(|at| at.0)), "{seen}");
    assert!(
        seen["app"].as_str().unwrap().starts_with("beatbook/") && seen["last_contact"].is_i64(),
        "{seen}"
    );
    assert_eq!((&seen["pages_set_aside"], &seen["agrees"]), (&json!(0), &json!(null)));
    let quiet = of(&phones, &idle.name);
    assert_eq!(quiet["owes"], json!(null), "{quiet}");
    assert!(
        quiet["leaves_unconfirmed"].as_u64().unwrap() > 0,
        "it has not fetched what the other wrote"
    );

    for _ in 0..2 {
        busy.sync().await.unwrap();
        idle.sync().await.unwrap();
    }
    let phones = post.desk.get("/api/v1/phones").await.unwrap();
    for name in [&busy.name, &idle.name] {
        let seen = of(&phones, name);
        assert_eq!(
            (&seen["owes"], &seen["leaves_unconfirmed"]),
            (&json!(null), &json!(0)),
            "{seen}"
        );
    }
}
