//! How phones come and go, with a real station and real files: an invitation, digits on both screens, a lost phone whose evening reaches the
//! chief and the colleagues, and what is left of it.

use std::path::Path;
use std::process::Command;

use beatbook_client_core::CoreError;
use beatbook_client_core::drive::{self, Parted};
use beatbook_client_core::ended::{Farewell, KeysInFile, NoteState, book_ends, ended};
use beatbook_client_core::sync::{Budget, EnrolError, SyncFault, WaitReason, enrolment, status};
use beatbook_client_core::transport::HttpTransport;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Invitation;
use beatbook_tests::bench::scratch;
use beatbook_tests::day::chief;
use beatbook_tests::phone::{DayClock, Phone, PhoneError};
use beatbook_tests::station::{Chief, Places, StationProcess, run};
use serde_json::{Value as Json, json};

use super::first_sync::all;
use super::post::{Post, act, command, household, state, visit};

/// The books of people by name, as the chief sees them.
pub(super) async fn book_of(desk: &Chief, name: &str) -> String {
    let phones = desk.get("/api/v1/phones").await.unwrap();
    let found = phones["phones"]
        .as_array()
        .unwrap()
        .iter()
        .find(|phone| phone["user_name"] == name);
    found.unwrap()["book"].as_str().unwrap().to_owned()
}

/// What lies beside a phone's file.
fn left(file: &Path) -> Vec<String> {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let mut left: Vec<String> = std::fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|found| found.starts_with(&name))
        .collect();
    left.sort();
    left
}

fn pages(view: &Json) -> Vec<Json> {
    let entries = view["records"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|record| record["entries"].as_array().unwrap());
    let mut pages: Vec<Json> = entries.map(|entry| entry["page"].clone()).collect();
    pages.dedup();
    pages
}

#[tokio::test]
async fn the_evening_of_a_lost_phone_reaches_the_chief_and_the_colleagues_and_nothing_stays_on_it() {
    let post = Post::open("lost");
    let [mut lost, mut colleague] = post.phones().await;
    let home = household(&lost, 101);
    lost.sync().await.unwrap();
    colleague.sync().await.unwrap();
    // The evening, in a cellar without a network.
    let record = visit(&lost, home);
    act(&lost, record, "finish");
    act(&lost, record, "submit");
    let waiting = status(&lost.core).unwrap().waiting;
    let book = book_of(&post.desk, "王警官").await;
    let order = json!({ "why": "lost" });
    let ordered = post
        .desk
        .call("POST", &format!("/api/v1/books/{book}/end"), Some(&order), None)
        .await
        .unwrap();
    assert_eq!(ordered.0, 204);

    // It comes back online, in whoever's hands.
    let transport = HttpTransport::open(post.station.url(), b"").unwrap();
    let report = drive::sync(&lost.core, &transport, Budget::default()).await.unwrap();
    assert_eq!(report.fault, Some(SyncFault::Ended { why: "lost".into() }));
    assert_eq!(report.feed_entries, 0);
    assert!(matches!(lost.core.record(record), Err(CoreError::Ended)));
    assert_eq!(ended(&lost.core).unwrap().unwrap().why, "lost");
    let file = post.root.join("王警官.db");
    let Phone { core, .. } = lost;
    let Parted::Gone(farewell) = drive::part(core, &transport, &KeysInFile).await.unwrap() else {
        panic!("it has ended")
    };
    assert_eq!(
        (farewell.state(), farewell.said().held_entries, farewell.said().lost_entries),
        (NoteState::Told, waiting, 0)
    );
    assert_eq!(left(&file), ["王警官.db.ended"]);
    let note = std::fs::read_to_string(post.root.join("王警官.db.ended")).unwrap();
    assert!(!note.contains("110108"), "no address of anybody: {note}");

    // The chief reads what it left, and takes it in.
    let view = post.desk.get("/api/v1/quarantine").await.unwrap();
    let held = &view["records"][0];
    assert_eq!((&held["record"], &held["kind"]), (&json!(record), &json!("visit")));
    assert_eq!(held["facts"]["fields"]["duration_min"], 20);
    assert_eq!(held["entries"][0]["author"]["name"], "王警官");
    let choice = json!({ "pages": pages(&view), "reason": "本人核实" });
    let told = post.desk.post("/api/v1/quarantine/admit", &choice, None).await.unwrap();
    let told = told["entries"].as_array().unwrap();
    assert!(told.iter().all(|entry| entry["state"] == "admitted"), "{told:?}");
    let page = post.page(record).await;
    assert_eq!(page["header"]["state"], "submitted");
    assert_eq!(page["recovered"][0]["admitted_by"]["name"], "李所长");
    let shown = post.desk.get(&format!("/api/v1/books/{book}")).await.unwrap();
    assert_eq!(
        (&shown["wiped"]["held_entries"], &shown["ended"]["why"]),
        (&json!(waiting), &json!("lost"))
    );

    // And it is on the colleague's phone, and on the new one.
    colleague.sync().await.unwrap();
    assert_eq!(state(&colleague, record), "submitted");
    assert_eq!(colleague.core.record(record).unwrap().opener.name, "王警官");
    assert_eq!(book_ends(&colleague.core).unwrap()[0].name.as_deref(), Some("王警官"));
    assert!(status(&colleague.core).unwrap().synced);
    let user = shown["user"]["user"].as_str().unwrap();
    let code = post
        .desk
        .post(&format!("/api/v1/users/{user}/enrolment-code"), &json!({}), None)
        .await
        .unwrap();
    let clock = DayClock::standing_at(UnixMillis(1_790_000_000_000));
    let mut new = Phone::open("新手机", &post.root.join("new.db"), post.station.url(), &clock).unwrap();
    new.enrol(code["code"].as_str().unwrap()).await.unwrap();
    new.sync().await.unwrap();
    assert_eq!(all(&new), all(&colleague));
    assert!(status(&new.core).unwrap().synced);
    assert!(Farewell::find(&post.root.join("new.db")).unwrap().is_none());
}

#[tokio::test]
async fn a_new_key_in_the_same_file_takes_over_what_the_old_one_could_not_send() {
    let post = Post::open("new-key");
    let [mut phone, mut colleague] = post.phones().await;
    let home = household(&phone, 101);
    phone.sync().await.unwrap();
    let record = visit(&phone, home);
    let waiting = status(&phone.core).unwrap().waiting;
    let old = book_of(&post.desk, "王警官").await;
    let user = post.desk.get(&format!("/api/v1/books/{old}")).await.unwrap()["user"]["user"].clone();
    // Ended by mistake, before the phone heard of it: its person enrols anew, in the same file.
    let order = json!({ "why": "retired" });
    post.desk
        .call("POST", &format!("/api/v1/books/{old}/end"), Some(&order), None)
        .await
        .unwrap();
    let path = format!("/api/v1/users/{}/enrolment-code", user.as_str().unwrap());
    let issued = post.desk.post(&path, &json!({}), None).await.unwrap();
    let enrolled = phone.enrol_by(issued["invitation"].as_str().unwrap()).await.unwrap();
    assert_ne!(enrolled.book.to_string(), old);
    let report = phone.sync().await.unwrap();
    assert_eq!((report.accepted, report.refused), (waiting, 0), "{report:?}");
    colleague.sync().await.unwrap();
    assert_eq!(state(&colleague, record), state(&phone, record));
    assert!(
        post.desk.get("/api/v1/quarantine").await.unwrap()["records"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_book_that_the_operator_ends_beside_the_running_station_is_out_at_its_next_call() {
    let post = Post::open("retired");
    let [phone] = post.phones().await;
    household(&phone, 101);
    let book = book_of(&post.desk, "王警官").await;
    let (data, keys) = (post.places.data.to_string_lossy(), post.places.keys.to_string_lossy());
    let order = [
        "book", "end", "--book", &book, "--why", "retired", "--data", &data, "--keys", &keys,
    ];
    run(&order).unwrap();
    assert!(run(&order).unwrap_err().to_string().contains("has ended already"));
    let transport = HttpTransport::open(post.station.url(), b"").unwrap();
    let report = drive::sync(&phone.core, &transport, Budget::default()).await.unwrap();
    assert_eq!(report.fault, Some(SyncFault::Ended { why: "retired".into() }));
    // What waited is held already. The station is away when the phone would part, which does not do so before it has asked once more.
    let listen = post.station.url().trim_start_matches("http://").to_owned();
    let places = post.places.clone();
    post.station.kill().unwrap();
    let Parted::Later(core, _) = drive::part(phone.core, &transport, &KeysInFile).await.unwrap() else {
        panic!("nobody says that it is still held")
    };
    let station = StationProcess::serve(&places, &listen).unwrap();
    let Parted::Gone(farewell) = drive::part(*core, &transport, &KeysInFile).await.unwrap() else {
        panic!("all of it is held")
    };
    assert_eq!(farewell.state(), NoteState::Told);
    assert_eq!(left(&post.root.join("王警官.db")), ["王警官.db.ended"]);
    let desk = Chief::new(station.url(), &post.token).unwrap();
    let shown = desk.get(&format!("/api/v1/books/{book}")).await.unwrap();
    assert_eq!(
        (&shown["held_pages"], &shown["wiped"]["lost_entries"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn what_a_restored_station_lost_of_a_phone_is_handed_in_when_the_phones_book_ends() {
    let post = Post::open("ended-restored");
    let [mut phone] = post.phones().await;
    let home = household(&phone, 101);
    phone.sync().await.unwrap();
    let copies = post.root.join("copies");
    command(&["backup", "--to", &copies.to_string_lossy()], &post.places);
    // Acknowledged, and lost with the station's disk: this phone alone has it.
    let record = visit(&phone, home);
    let entries = status(&phone.core).unwrap().waiting;
    phone.sync().await.unwrap();
    assert_eq!(status(&phone.core).unwrap().waiting, 0);
    let post = post.restored_from(&copies, |_| {});
    let book = book_of(&post.desk, "王警官").await;
    let order = json!({ "why": "retired" });
    post.desk
        .call("POST", &format!("/api/v1/books/{book}/end"), Some(&order), None)
        .await
        .unwrap();
    let transport = HttpTransport::open(post.station.url(), b"").unwrap();
    let report = drive::sync(&phone.core, &transport, Budget::default()).await.unwrap();
    assert_eq!(report.fault, Some(SyncFault::Ended { why: "retired".into() }));
    let Parted::Gone(farewell) = drive::part(phone.core, &transport, &KeysInFile).await.unwrap() else {
        panic!("the station is there")
    };
    let view = post.desk.get("/api/v1/quarantine").await.unwrap();
    let said = farewell.said();
    // What both lives of the ledger share cannot be shown to it, since it saw more than the backup has: the household goes up again too.
    assert_eq!((said.held_entries, said.lost_entries), (entries + 1, 0), "{said:?}: {view:#}");
    assert_eq!(
        view["records"].as_array().unwrap().len(),
        1,
        "the chief is asked about what the station lacks, and no more: {view:#}"
    );
    assert_eq!(view["records"][0]["record"], json!(record));
    assert_eq!(view["records"][0]["facts"]["fields"]["duration_min"], 20);
}

#[tokio::test]
async fn a_phone_put_out_of_use_by_a_station_that_then_forgot_it_comes_back_by_an_invitation() {
    let post = Post::open("ended-unknown");
    let copies = post.root.join("copies");
    command(&["backup", "--to", &copies.to_string_lossy()], &post.places);
    let [mut phone] = post.phones().await;
    let home = household(&phone, 101);
    phone.sync().await.unwrap();
    let book = book_of(&post.desk, "王警官").await;
    let record = visit(&phone, home);
    let order = json!({ "why": "retired" });
    post.desk
        .call("POST", &format!("/api/v1/books/{book}/end"), Some(&order), None)
        .await
        .unwrap();
    let before = HttpTransport::open(post.station.url(), b"").unwrap();
    let report = drive::sync(&phone.core, &before, Budget::default()).await.unwrap();
    assert_eq!(report.fault, Some(SyncFault::Ended { why: "retired".into() }));
    let post = post.restored_from(&copies, |_| {});
    let transport = HttpTransport::open(post.station.url(), b"").unwrap();
    let Parted::Later(core, why) = drive::part(phone.core, &transport, &KeysInFile).await.unwrap() else {
        panic!("nobody takes in what it holds")
    };
    assert_eq!(why, WaitReason::UnknownBook);
    let (_, invitation) = chief::invite(&post.desk, "王警官", "officer").await.unwrap();
    let invitation = Invitation::parse(&invitation).unwrap();
    let enrolled = drive::enrol_by(&core, &transport, &invitation, "test").await.unwrap();
    assert_ne!(enrolled.book.to_string(), book);
    let report = drive::sync(&core, &transport, Budget::default()).await.unwrap();
    assert!(report.complete && status(&core).unwrap().synced, "{report:?}");
    let page = post.page(record).await;
    assert_eq!(page["official"]["fields"]["duration_min"], 20, "{page:#}");
    assert_eq!(core.record(home).unwrap().row.waiting, 0);
    assert_eq!(core.record(record).unwrap().row.waiting, 0);
}

#[tokio::test]
async fn a_phone_is_let_in_by_an_invitation_once_both_screens_were_compared() {
    let root = scratch("compared").unwrap();
    let places = Places::under(&root);
    let token = StationProcess::init(&places).unwrap();
    let mut comparing = Command::new("env");
    comparing
        .arg("BEATBOOK_CONFIRM_ENROLMENT=true")
        .arg("BEATBOOK_PUBLIC_ADDRESS=https://station.example");
    let station = StationProcess::serve_under(comparing, &places, "127.0.0.1:0").unwrap();
    let desk = Chief::new(station.url(), &token).unwrap();
    let (id, invitation) = chief::invite(&desk, "王警官", "officer").await.unwrap();
    assert!(invitation.starts_with("beatbook:enrol?u=https://station.example&c="));
    let clock = DayClock::standing_at(UnixMillis(1_790_000_000_000));
    let phone = Phone::open("王警官", &root.join("phone.db"), station.url(), &clock).unwrap();
    // A station that is another than the invitation says is not believed, whatever it answers.
    let forged = format!("{}{}", &invitation[..invitation.len() - 32], "0".repeat(32));
    let refused = phone.enrol_by(&forged).await;
    assert!(
        matches!(refused, Err(PhoneError::Enrol(EnrolError::OtherStation))),
        "{refused:?}"
    );
    assert!(!phone.is_enrolled().unwrap());
    // The code was used by this phone's key: the same key goes on under a fresh one.
    let view = desk.get(&format!("/api/v1/enrolment-codes/{id}")).await.unwrap();
    let user = view["user"]["user"].as_str().unwrap();
    assert_eq!(view["state"], "awaits", "the station has let nobody in");
    let ended = view["book"]["book"].as_str().unwrap();
    desk.call(
        "POST",
        &format!("/api/v1/books/{ended}/end"),
        Some(&json!({ "why": "lost" })),
        None,
    )
    .await
    .unwrap();
    let mut phone2 = Phone::open("王警官", &root.join("phone2.db"), station.url(), &clock).unwrap();
    let issued = desk
        .post(&format!("/api/v1/users/{user}/enrolment-code"), &json!({}), None)
        .await
        .unwrap();
    let enrolled = phone2.enrol_by(issued["invitation"].as_str().unwrap()).await.unwrap();
    assert!(enrolled.awaits);
    household(&phone2, 101);
    let incomplete = phone2.sync().await;
    assert!(matches!(incomplete, Err(PhoneError::Incomplete { .. })), "{incomplete:?}");
    let said = status(&phone2.core).unwrap();
    assert!(said.waiting > 0 && !said.synced);
    let shown = enrolment(&phone2.core).unwrap().unwrap();
    assert!(shown.awaits);
    let digits = shown.check_digits.unwrap();
    let id = issued["id"].as_str().unwrap();
    assert_eq!(chief::check_digits(&desk, id).await.unwrap(), digits);
    let view = desk.get(&format!("/api/v1/enrolment-codes/{id}")).await.unwrap();
    let path = format!("/api/v1/books/{}/confirm", view["book"]["book"].as_str().unwrap());
    let wrong = desk
        .call("POST", &path, Some(&json!({ "check_digits": "0000 0000 0000" })), None)
        .await
        .unwrap();
    assert_eq!(wrong.0, 400);
    let right = desk
        .call("POST", &path, Some(&json!({ "check_digits": digits })), None)
        .await
        .unwrap();
    assert_eq!(right.0, 204);
    phone2.sync().await.unwrap();
    assert!(status(&phone2.core).unwrap().synced);
    assert!(!enrolment(&phone2.core).unwrap().unwrap().awaits);
    station.stop().unwrap();
    // The operator's way: a code with an invitation that a camera reads off the terminal.
    let (data, keys) = (places.data.to_string_lossy(), places.keys.to_string_lossy());
    let said = run(&["enrol-code", "--user", user, "--data", &data, "--keys", &keys]).unwrap();
    assert!(said.contains("invitation: beatbook:enrol?") && said.contains('█'), "{said}");
    std::fs::remove_dir_all(root).unwrap();
}
