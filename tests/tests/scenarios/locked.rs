//! A phone that is locked, its finder, its officer, and the station that lets him in again: a real program on loopback, real files, a
//! keystore in software.

use std::process::Command;
use std::sync::Arc;

use beatbook_client_core::drive::UserParted;
use beatbook_client_core::emergency::EmergencyNote;
use beatbook_client_core::ended::NoteState;
use beatbook_client_core::lock::{LocalUser, LockError, OnlineBecause, OpenUser, Phone, PinCost, SoftwareVault, TRIES_MAX};
use beatbook_client_core::sync::{Budget, SyncFault, status};
use beatbook_client_core::transport::HttpTransport;
use beatbook_client_core::{Platform, SystemPlatform, drive};
use beatbook_protocol::id::UserId;
use beatbook_protocol::time::UnixMillis;
use beatbook_tests::day::{chief, content};
use beatbook_tests::phone::DayClock;
use beatbook_tests::seeded::Seeded;
use beatbook_tests::station::{Chief, StationProcess, run};

use super::ended::book_of;
use super::post::Post;

const PIN: &str = "739164";
const NEW_PIN: &str = "402857";
const HOUR: i64 = 3_600_000;

/// A phone under its lock, with one user who is enrolled and has exchanged once.
struct Locked {
    phone: Phone,
    user: LocalUser,
    person: UserId,
    clock: DayClock,
    transport: HttpTransport,
}

impl Locked {
    async fn new(post: &Post, name: &str) -> Self {
        let system = SystemPlatform::start().unwrap();
        let root = post.root.join(name);
        let clock = DayClock::standing_at(UnixMillis(1_790_000_000_000));
        let platform = Platform {
            clock: Box::new(clock.clone()),
            random: Box::new(system),
        };
        let vault = Arc::new(SoftwareVault::open(&root.join("vault"), Box::new(system)).unwrap());
        // What a try costs is tried in the phone's own tests; here there are many.
        let cost = PinCost {
            memory_kib: 64,
            passes: 1,
        };
        let phone = Phone::open(&root.join("phone"), vault, platform).unwrap().with_cost(cost);
        let open = phone.add_user("巡逻", PIN).unwrap();
        let code = chief::register(&post.desk, name, "officer").await.unwrap();
        let transport = HttpTransport::open(post.station.url(), b"").unwrap();
        let enrolled = drive::enrol_with(open.core_for_contact(), &open.keys(), &transport, &code, name)
            .await
            .unwrap();
        let locked = Self {
            user: open.user(),
            person: enrolled.user,
            phone,
            clock,
            transport,
        };
        locked.sync(&open).await;
        locked.phone.lock(open).unwrap();
        locked
    }

    async fn sync(&self, open: &OpenUser) -> u64 {
        let (report, notes) = drive::sync_user(open, &self.transport, Budget::default()).await.unwrap();
        assert!(report.fault.is_none(), "{report:?}");
        assert!(notes.fault.is_none(), "{notes:?}");
        notes.taken
    }

    fn unlock(&self, pin: &str) -> Result<OpenUser, LockError> {
        self.phone.unlock(&self.user, pin)
    }

    async fn unlock_code(&self, desk: &Chief) -> String {
        let path = format!("/api/v1/users/{}/unlock-code", self.person);
        let said = desk.call("POST", &path, None, None).await.unwrap();
        assert_eq!(said.0, 201, "{}", said.1);
        said.1["code"].as_str().unwrap().to_owned()
    }

    async fn unlock_online(&self, code: &str, pin: &str) -> Result<OpenUser, LockError> {
        drive::unlock_online(&self.phone, &self.user, &self.transport, code, pin).await
    }

    fn use_up_the_tries(&self) {
        for _ in 0..TRIES_MAX {
            let said = self.unlock("000001").err();
            let counts = matches!(
                said,
                Some(LockError::WrongPin { .. } | LockError::OnlineUnlock(OnlineBecause::TriesUsed))
            );
            assert!(counts, "{said:?}");
        }
        let said = self.unlock(PIN).err();
        assert!(
            matches!(said, Some(LockError::OnlineUnlock(OnlineBecause::TriesUsed))),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn after_ten_wrong_pins_the_station_lets_the_officer_in_again_and_his_work_is_all_there() {
    let post = Post::open("ten-tries");
    let locked = Locked::new(&post, "王警官").await;
    let open = locked.unlock(PIN).unwrap();
    let edit = content::household(&mut Seeded::new(101), 101);
    let record = open.core().unwrap().begin("household", &edit).unwrap();
    let waiting = status(open.core().unwrap()).unwrap().waiting;
    assert!(waiting > 0);
    locked.phone.lock(open).unwrap();
    locked.use_up_the_tries();

    assert!(matches!(
        locked.unlock_online("AAAAA-AAAAA", NEW_PIN).await,
        Err(LockError::Code(_))
    ));
    let code = locked.unlock_code(&post.desk).await;
    assert!(
        matches!(locked.unlock_online(&code, "111111").await, Err(LockError::Pin(_))),
        "and the code is not spent"
    );
    let open = locked.unlock_online(&code, NEW_PIN).await.unwrap();
    assert_eq!(
        status(open.core().unwrap()).unwrap().waiting,
        waiting,
        "nothing that waited is lost"
    );
    locked.sync(&open).await;
    assert!(status(open.core().unwrap()).unwrap().synced);
    assert_eq!(post.page(record).await["header"]["kind"], "household");
    locked.phone.lock(open).unwrap();
    assert!(matches!(locked.unlock(PIN), Err(LockError::WrongPin { .. })));
    locked.phone.lock(locked.unlock(NEW_PIN).unwrap()).unwrap();

    // The code is spent, and the share of before opens nothing any more: it all goes once more, with a new code.
    for _ in 0..TRIES_MAX {
        assert!(locked.unlock("000001").is_err());
    }
    assert!(matches!(locked.unlock_online(&code, PIN).await, Err(LockError::Code(_))));
    let code = locked.unlock_code(&post.desk).await;
    let open = locked.unlock_online(&code, PIN).await.unwrap();
    assert!(status(open.core().unwrap()).unwrap().synced);
}

#[tokio::test]
async fn a_code_opens_no_other_persons_phone_and_a_station_that_is_away_takes_no_code() {
    let post = Post::open("other-code");
    let (first, second) = (Locked::new(&post, "王警官").await, Locked::new(&post, "张警官").await);
    first.use_up_the_tries();
    second.use_up_the_tries();
    let code = first.unlock_code(&post.desk).await;
    assert!(matches!(second.unlock_online(&code, NEW_PIN).await, Err(LockError::Code(_))));
    let away = HttpTransport::open("http://127.0.0.1:1", b"").unwrap();
    let said = drive::unlock_online(&first.phone, &first.user, &away, &code, NEW_PIN).await;
    assert!(matches!(said, Err(LockError::Network(_))), "{said:?}");
    assert!(first.unlock_online(&code, NEW_PIN).await.is_ok());
}

#[tokio::test]
async fn an_emergency_note_on_a_locked_phone_reaches_the_chief_and_a_custodian_opens_its_file_without_the_station() {
    let post = Post::open("emergency");
    let users = post.desk.get("/api/v1/users").await.unwrap();
    let unit = users["users"][0]["unit"].as_str().unwrap().to_owned();
    let (data, keys) = (post.places.data.to_string_lossy(), post.places.keys.to_string_lossy());
    let common = ["--data", &*data, "--keys", &*keys];
    let made = run(&[&["unit-key", "new", &unit, "--custodian", "李所长", "--json"], &common[..]].concat()).unwrap();
    let made: serde_json::Value = serde_json::from_str(&made[..made.rfind('}').unwrap() + 1]).unwrap();
    let secret = made["secret"].as_str().unwrap();
    let locked = Locked::new(&post, "王警官").await;

    let note = EmergencyNote {
        text: "三号楼二单元起火".into(),
        place: Some("geo:39.971743,116.441827;u=12".into()),
    };
    let hash = locked.phone.note(&locked.user, &note).unwrap();
    let waiting = locked.phone.notes_waiting(&locked.user).unwrap();
    assert_eq!((waiting.len(), waiting[0].note), (1, hash));

    // The custodian, with a copy of the file and his secret in another; the station's keys are not asked for.
    let (file, key, other) = (
        post.root.join("copy.note"),
        post.root.join("custodian.key"),
        post.root.join("other.key"),
    );
    std::fs::copy(&waiting[0].path, &file).unwrap();
    std::fs::write(&key, format!("{secret}\n")).unwrap();
    std::fs::write(&other, "07".repeat(32)).unwrap();
    let open_with = |key: &std::path::Path| run(&["note", "open", "--key", &key.to_string_lossy(), &file.to_string_lossy()]);
    assert!(open_with(&key).unwrap().contains("> 三号楼二单元起火"));
    assert!(open_with(&other).is_err());

    // Nothing goes up until the officer is in again.
    assert!(
        post.desk.get("/api/v1/notes").await.unwrap()["notes"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let open = locked.unlock(PIN).unwrap();
    assert_eq!(locked.sync(&open).await, 1);
    assert!(locked.phone.notes_waiting(&locked.user).unwrap().is_empty());
    let notes = post.desk.get("/api/v1/notes").await.unwrap();
    let seen = &notes["notes"][0];
    assert_eq!(
        (&seen["text"], &seen["user_name"]),
        (&"三号楼二单元起火".into(), &"王警官".into())
    );
    assert_eq!(
        (&seen["is_signed"], &seen["place"]),
        (&true.into(), &"geo:39.971743,116.441827;u=12".into())
    );
    assert_eq!(seen["note"], hash.to_string());

    // The officer himself reads no notes, and his phone cannot either.
    let token = run(&[&["user", "token", "--user", &locked.person.to_string()], &common[..]].concat()).unwrap();
    let token = token.split_once("token:").unwrap().1.trim();
    let officer = Chief::new(post.station.url(), token).unwrap();
    assert_eq!(officer.call("GET", "/api/v1/notes", None, None).await.unwrap().0, 403);
}

#[tokio::test]
async fn a_lease_that_the_station_sets_runs_out_and_an_exchange_renews_it() {
    let post = Post::open("lease");
    let token = post.token.clone();
    let (root, places, folder) = post.stop();
    let mut leasing = Command::new("env");
    leasing.arg("BEATBOOK_LEASE_DAYS=1");
    let station = StationProcess::serve_under(leasing, &places, "127.0.0.1:0").unwrap();
    let desk = Chief::new(station.url(), &token).unwrap();
    let post = Post {
        folder,
        root,
        places,
        token,
        station,
        desk,
    };
    let locked = Locked::new(&post, "王警官").await;
    let open = locked.unlock(PIN).unwrap();
    assert!(open.core().is_ok());
    locked.clock.advance(23 * HOUR);
    assert!(open.core().is_ok(), "a day, as the station says");
    locked.clock.advance(2 * HOUR);
    assert!(matches!(open.core(), Err(LockError::LeaseOver(_))));
    locked.phone.lock(open).unwrap();
    let open = locked.unlock(PIN).unwrap();
    assert!(
        matches!(open.core(), Err(LockError::LeaseOver(_))),
        "nor after unlocking anew"
    );
    // The station's own clock has hardly moved, and yet its answer is newer than the last.
    locked.sync(&open).await;
    assert!(open.core().is_ok());
}

#[tokio::test]
async fn a_locked_phone_that_was_lost_hands_in_its_evening_and_its_emergency_note_and_its_officer_is_gone_from_it() {
    let post = Post::open("parted");
    let locked = Locked::new(&post, "王警官").await;
    let other = locked.phone.add_user("晚班", NEW_PIN).unwrap();
    let other_user = other.user();
    locked.phone.lock(other).unwrap();
    let open = locked.unlock(PIN).unwrap();
    let edit = content::household(&mut Seeded::new(101), 101);
    let record = open.core().unwrap().begin("household", &edit).unwrap();
    let waiting = status(open.core().unwrap()).unwrap().waiting;
    let note = EmergencyNote {
        text: "三号楼二单元起火".into(),
        place: None,
    };
    locked.phone.note(&locked.user, &note).unwrap();
    let book = book_of(&post.desk, "王警官").await;
    let order = serde_json::json!({ "why": "lost" });
    let path = format!("/api/v1/books/{book}/end");
    assert_eq!(post.desk.call("POST", &path, Some(&order), None).await.unwrap().0, 204);

    // He hears of it, and hears of it again when he comes in again. While the station is away everything is kept.
    let ended = |fault| assert_eq!(fault, Some(SyncFault::Ended { why: "lost".into() }));
    let (report, _) = drive::sync_user(&open, &locked.transport, Budget::default()).await.unwrap();
    ended(report.fault);
    assert!(open.core().unwrap().record(record).is_err(), "nothing is shown any more");
    locked.phone.lock(open).unwrap();
    let open = locked.unlock(PIN).unwrap();
    let (report, _) = drive::sync_user(&open, &locked.transport, Budget::default()).await.unwrap();
    ended(report.fault);
    let away = HttpTransport::open("http://127.0.0.1:1", b"").unwrap();
    let UserParted::Later(open, _) = drive::part_user(&locked.phone, open, &away).await.unwrap() else {
        panic!("nobody was there to take it")
    };
    assert_eq!(locked.phone.notes_waiting(&locked.user).unwrap().len(), 1);

    let UserParted::Gone(farewell) = drive::part_user(&locked.phone, *open, &locked.transport).await.unwrap() else {
        panic!("it has ended")
    };
    let said = farewell.said();
    assert_eq!(
        (farewell.state(), said.held_entries, said.lost_entries, said.left_notes),
        (NoteState::Told, waiting, 0, 0)
    );
    let notes = post.desk.get("/api/v1/notes").await.unwrap();
    assert_eq!(
        (&notes["notes"][0]["text"], &notes["notes"][0]["user_name"]),
        (&"三号楼二单元起火".into(), &"王警官".into())
    );
    let held = post.desk.get("/api/v1/quarantine").await.unwrap();
    assert_eq!(held["records"][0]["record"], serde_json::json!(record));
    let shown = post.desk.get(&format!("/api/v1/books/{book}")).await.unwrap();
    assert_eq!(
        (&shown["wiped"]["held_entries"], &shown["wiped"]["left_notes"]),
        (&serde_json::json!(waiting), &serde_json::json!(0))
    );

    // He is in no list any more, no code lets him in, and the other works on.
    assert!(matches!(locked.unlock(PIN), Err(LockError::NoSuchUser)));
    let users: Vec<LocalUser> = locked.phone.users().into_iter().map(|user| user.user).collect();
    assert_eq!(users, std::slice::from_ref(&other_user));
    assert_eq!(locked.phone.parted_users().unwrap()[0].user, locked.user);
    assert!(locked.phone.dismiss(&locked.user).unwrap());
    assert!(locked.phone.parted_users().unwrap().is_empty());
    let other = locked.phone.unlock(&other_user, NEW_PIN).unwrap();
    let UserParted::Not(other) = drive::part_user(&locked.phone, other, &locked.transport).await.unwrap() else {
        panic!("his book is written in")
    };
    assert!(other.core().is_ok());
}
