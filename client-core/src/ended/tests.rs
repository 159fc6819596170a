//! The end of a phone's book: an order is believed from its station alone, what waits is handed in first, and whatever a kill leaves is
//! destroyed at the next start.

use std::path::{Path, PathBuf};

use beatbook_protocol::id::{BookId, Hash};
use beatbook_protocol::ledger::{Position, StationKey};
use beatbook_protocol::page::{BookKey, header_hash};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    self, Challenged, Cursor, ExchangeResponse, Held, NotHeld, Refusal, RefusalCode, WIRE_VERSION, WipeOrder, WipedRequest,
    WipedResponse, exchange_message,
};

use super::shred::shred_watched;
use super::{Farewell, FarewellFault, KeysInFile, LastWord, NoteState, Parting, PartingStep, Shredder, ended, shred};
use crate::core::Core;
use crate::error::CoreError;
use crate::store::{outbox, sync_state};
use crate::sync::testing::{Phone, Station, opened, refuse};
use crate::sync::{StoreVault, SyncError, SyncFault, is_enrolled};
use crate::transport::{Outcome, OutgoingRequest, TransportFault};

mod waits;

const ORIGIN: &str = "beatbook/test";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn beginning() -> Cursor {
    let position = Position {
        epoch: 0,
        size: 0,
        root: Hash::of(&[]),
    };
    Cursor { position, fill: None }
}

/// What a station says to a book that has ended.
struct Ending {
    key: StationKey,
    book: BookId,
    why: &'static str,
    /// Pages that it still has room for.
    room: usize,
    /// Pages that it holds.
    held: Vec<Hash>,
    /// Its code for a page that it does not hold.
    code: &'static str,
    /// Pages that it holds by no means, whatever the room.
    never: Vec<Hash>,
    /// Whether it only gives its order, and says nothing of the pages.
    is_mute: bool,
}

impl Ending {
    fn of(station: &Station, phone: &Phone, why: &'static str) -> Self {
        Self {
            key: station.key.clone(),
            book: phone.core.read_past_end(sync_state::own_book).unwrap().unwrap().book,
            why,
            room: usize::MAX,
            held: Vec::new(),
            code: "full",
            never: Vec::new(),
            is_mute: true,
        }
    }

    fn order(&self) -> WipeOrder {
        WipeOrder::sign(self.book, self.why, UnixMillis(5), ORIGIN, &self.key)
    }

    fn exchange(&mut self, request: &OutgoingRequest) -> Outcome {
        let Some(signature) = &request.signature else {
            let refusal = Refusal {
                challenge: Some(vec![9; 32]),
                ..Refusal::new(&RefusalCode::SignIn, "sign the challenge")
            };
            return refuse(&refusal);
        };
        assert_eq!(request.token, None);
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, signature).unwrap();
        let challenged: Challenged = wire::read("challenged", &bytes).unwrap();
        assert!(!exchange_message(&challenged.challenge, &request.body).is_empty());
        let asked = opened(request);
        let (mut pages, mut refused) = (Vec::new(), Vec::new());
        for page in asked.pages.iter().filter(|_| !self.is_mute) {
            let hash = header_hash(&page.header);
            if self.held.contains(&hash) || (self.room > 0 && !self.never.contains(&hash)) {
                if !self.held.contains(&hash) {
                    self.room -= 1;
                    self.held.push(hash);
                }
                pages.push(hash);
            } else {
                refused.push(NotHeld {
                    page: hash,
                    code: self.code.into(),
                    text: "not here".into(),
                });
            }
        }
        let cursor = asked.cursor.unwrap_or_else(beginning);
        let reply = ExchangeResponse {
            wipe: Some(self.order()),
            held: Some(Held::sign(pages, refused, self.book, ORIGIN, &self.key)),
            ..ExchangeResponse::plain(UnixMillis(9), cursor)
        };
        Outcome::Reply(wire::pack(&reply).unwrap())
    }
}

/// Hands in everything; waits cost no time.
fn handed_in(phone: &Phone, mut network: impl FnMut(&OutgoingRequest) -> Outcome) -> PartingStep {
    let mut parting = Parting::open(&phone.core, &StoreVault(&phone.core)).unwrap().unwrap();
    let mut now = phone.now();
    let step = driven(&mut parting, &mut now, &mut network);
    phone.pass(now.since(phone.now()));
    step
}

/// What it says last, once the station has been asked whether it still has what it had.
fn last_word(phone: &Phone, ending: &mut Ending) -> LastWord {
    word_of(&phone.core, phone.now(), |request| ending.exchange(request))
}

fn word_of(core: &Core, mut now: UnixMillis, mut network: impl FnMut(&OutgoingRequest) -> Outcome) -> LastWord {
    let mut parting = Parting::open(core, &StoreVault(core)).unwrap().unwrap();
    match driven(&mut parting, &mut now, &mut network) {
        PartingStep::Ready => parting.last_word(now).unwrap(),
        step => panic!("something still waits: {step:?}"),
    }
}

/// Goes on until it waits for nothing or can do no more; `now` is then the hour of that.
fn driven(parting: &mut Parting<'_>, now: &mut UnixMillis, network: &mut impl FnMut(&OutgoingRequest) -> Outcome) -> PartingStep {
    loop {
        match parting.next(*now).unwrap() {
            PartingStep::Send(request) => parting.receive(*now, network(&request)).unwrap(),
            PartingStep::Wait { until, .. } => *now = until,
            step @ (PartingStep::Ready | PartingStep::Later(_)) => return step,
        }
    }
}

/// A phone that wrote an evening and then heard that it was put out of use.
fn told(why: &'static str) -> (Phone, Ending) {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    for _ in 0..300 {
        phone.write(10);
    }
    let mut ending = Ending::of(&station, &phone, why);
    let report = phone.sync_by(|request| ending.exchange(request)).unwrap();
    assert_eq!(report.fault, Some(SyncFault::Ended { why: why.into() }));
    ending.is_mute = false;
    (phone, ending)
}

#[test]
fn from_the_order_on_nothing_is_shown_or_written_and_what_waits_is_handed_in() {
    let (mut phone, mut ending) = told("lost");
    for _ in 0..2 {
        assert!(matches!(phone.core.read(outbox::waiting), Err(CoreError::Ended)));
        assert!(matches!(is_enrolled(&phone.core), Err(CoreError::Ended)));
        assert!(matches!(
            phone.core.begin("visit", &beatbook_protocol::document::Edit::new()),
            Err(CoreError::Ended)
        ));
        assert!(matches!(phone.core.search("x", 10), Err(CoreError::Ended)));
        assert_eq!(ended(&phone.core).unwrap().unwrap().why, "lost");
        // A restart changes nothing.
        phone.reopen();
    }
    assert_eq!(handed_in(&phone, |request| ending.exchange(request)), PartingStep::Ready);
    let word = last_word(&phone, &mut ending);
    let said: WipedRequest = wire::read("last word", &wire::unpack(word.packed.as_ref().unwrap()).unwrap()).unwrap();
    let receipt = said.receipt().unwrap();
    assert_eq!((receipt.held_pages, receipt.held_entries), (ending.held.len() as u64, 300));
    assert_eq!((receipt.lost_entries, receipt.lost_drafts, receipt.lost_blobs), (0, 0, 0));
    assert_eq!((receipt.why.as_str(), receipt.book), ("lost", ending.book));
    let key = phone.core.read_past_end(sync_state::own_book).unwrap().unwrap();
    let secret = phone
        .core
        .read_past_end(|tx| sync_state::secret(tx, &key.key_handle))
        .unwrap()
        .unwrap();
    assert!(said.is_of(
        &beatbook_protocol::page::Signer::public_key(&BookKey::from_secret(&secret).unwrap()),
        ORIGIN
    ));
}

#[test]
fn an_order_that_is_not_this_stations_for_this_book_destroys_nothing() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    phone.write(10);
    let sound = Ending::of(&station, &phone, "lost");
    let forged = |order: WipeOrder, held: Option<Held>| {
        let reply = ExchangeResponse {
            wipe: Some(order),
            held,
            ..ExchangeResponse::plain(UnixMillis(9), beginning())
        };
        phone.sync_by(|_| Outcome::Reply(wire::pack(&reply).unwrap()))
    };
    let thief = StationKey::from_bytes(&[66; 32]);
    let mut stripped = sound.order();
    stripped.signature.clear();
    let mut retold = sound.order();
    retold.why = "retired".into();
    let other_book = BookId::from_bytes([3; 16]);
    for (order, held) in [
        (WipeOrder::sign(sound.book, "lost", UnixMillis(5), ORIGIN, &thief), None),
        (
            WipeOrder::sign(sound.book, "lost", UnixMillis(5), "beatbook/other", &sound.key),
            None,
        ),
        (WipeOrder::sign(other_book, "lost", UnixMillis(5), ORIGIN, &sound.key), None),
        (stripped, None),
        (retold, None),
        (sound.order(), Some(Held::sign(vec![], vec![], sound.book, ORIGIN, &thief))),
    ] {
        assert!(matches!(forged(order, held), Err(SyncError::Reply(_))));
        assert_eq!(ended(&phone.core).unwrap(), None);
        assert_eq!(crate::sync::status(&phone.core).unwrap().waiting, 1);
    }
    assert!(Parting::open(&phone.core, &StoreVault(&phone.core)).unwrap().is_none());
    assert!(phone.sync(&mut station).unwrap().complete, "and the phone goes on");
}

/// What lies in the folder of a database and belongs to it.
fn left(database: &Path) -> Vec<String> {
    let name = database.file_name().unwrap().to_string_lossy().into_owned();
    let mut left: Vec<String> = std::fs::read_dir(database.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|found| found.strip_prefix(&name).map(str::to_owned))
        .filter(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
        .collect();
    left.sort();
    left
}

/// A keystore that counts what it destroyed, and fails as often as it is told.
#[derive(Default)]
struct Keystore {
    failures: std::cell::Cell<u32>,
    destroyed: std::cell::RefCell<Vec<String>>,
}

impl Shredder for Keystore {
    fn destroy_book_key(&self, handle: &str) -> Result<(), String> {
        if self.failures.get() > 0 {
            self.failures.set(self.failures.get() - 1);
            return Err("the keystore is busy".into());
        }
        self.destroyed.borrow_mut().push(handle.to_owned());
        Ok(())
    }

    fn destroy_database_key(&self) -> Result<(), String> {
        self.destroyed.borrow_mut().push("database".into());
        Ok(())
    }
}

fn system() -> crate::platform::Platform {
    crate::platform::Platform::system().unwrap()
}

/// Opens a file as an app would.
fn phone_at(database: &Path) -> Result<Core, CoreError> {
    let options = crate::core::OpenOptions::default();
    Core::open(database, options, system()).map(|opened| opened.core)
}

/// Takes the core out of a phone whose file is to be destroyed.
fn core_of(phone: Phone) -> (Core, PathBuf) {
    let path = phone.path().to_owned();
    let kept = path.with_extension("kept");
    std::fs::create_dir_all(&kept).unwrap();
    let database = kept.join("user.db");
    let copy = phone.copy_to(&database);
    (copy, database)
}

#[test]
fn shredding_leaves_a_note_and_nothing_else_and_goes_on_after_a_kill_at_any_step() {
    let steps = [
        "note written",
        "secrets forgotten",
        "keys destroyed",
        "file renamed",
        "file overwritten",
        "files removed",
        "none",
    ];
    for step in steps {
        let (phone, mut ending) = told("lost");
        assert_eq!(handed_in(&phone, |request| ending.exchange(request)), PartingStep::Ready);
        let (core, database) = core_of(phone);
        std::fs::create_dir_all(crate::store::beside(&database, ".blobs")).unwrap();
        std::fs::write(crate::store::beside(&database, ".blobs").join("x"), b"photo").unwrap();
        std::fs::write(crate::store::beside(&database, ".damaged-7"), b"old").unwrap();
        std::fs::write(database.with_file_name("user.db2"), b"somebody else's").unwrap();
        let word = word_of(&core, UnixMillis(1_700_000_100_000), |request| ending.exchange(request));
        let keystore = Keystore::default();
        // Where nothing stops it, the keystore is busy once.
        keystore.failures.set(u32::from(step == "none"));
        let mut watch = |at: &'static str| at != step;
        let stopped = shred_watched(core, word, &keystore, &mut watch).unwrap_err();
        assert_eq!(matches!(stopped, FarewellFault::Keys(_)), step == "none", "{step}: {stopped}");
        assert_eq!(matches!(stopped, FarewellFault::Stopped), step != "none", "{step}: {stopped}");
        // The next start, and the one after that.
        for _ in 0..2 {
            let found = Farewell::find(&database)
                .unwrap()
                .expect("the note is there from the first step on");
            if found.state() == NoteState::Shredding {
                assert!(matches!(phone_at(&database), Err(CoreError::Ended)), "{step}: not begun anew");
                assert!(found.request().is_none(), "{step}: nothing is told before it is done");
                let _ = found.go_on(&keystore);
            }
        }
        let farewell = Farewell::find(&database).unwrap().unwrap();
        assert_eq!(farewell.state(), NoteState::Shredded, "{step}");
        assert_eq!(left(&database), [".ended"], "{step}");
        assert!(
            database.with_file_name("user.db2").exists(),
            "{step}: another user's file stays"
        );
        assert!(keystore.destroyed.borrow().contains(&"database".to_owned()), "{step}");
        assert!(
            keystore.destroyed.borrow().iter().any(|handle| handle != "database"),
            "{step}"
        );
        std::fs::remove_dir_all(database.parent().unwrap()).unwrap();
    }
}

#[test]
fn the_last_word_is_told_until_the_station_has_it_and_the_note_stays_for_the_app() {
    let (phone, mut ending) = told("lost");
    assert_eq!(handed_in(&phone, |request| ending.exchange(request)), PartingStep::Ready);
    let (core, database) = core_of(phone);
    let now = UnixMillis(1_700_000_100_000);
    let word = word_of(&core, now, |request| ending.exchange(request));
    let mut farewell = shred(core, word, &KeysInFile).unwrap();
    let request = farewell.request().unwrap();
    assert!(!farewell.clone().dismiss().unwrap(), "the station does not have it yet");
    assert_eq!(request.path, "/sync/v1/wiped");
    farewell.receive(&Outcome::Failed(TransportFault::TimedOut)).unwrap();
    let busy = Refusal::new(&RefusalCode::TryLater, "later");
    farewell.receive(&refuse(&busy)).unwrap();
    let mut farewell = Farewell::find(&database).unwrap().unwrap();
    let portal = Outcome::Reply(b"<html>Please sign in to this network</html>".to_vec());
    farewell.receive(&portal).unwrap();
    assert_eq!(farewell.request(), Some(request), "whoever said that has not heard it");
    let heard = WipedResponse {
        version: WIRE_VERSION,
        server_time: now,
    };
    farewell.receive(&Outcome::Reply(wire::pack(&heard).unwrap())).unwrap();
    let farewell = Farewell::find(&database).unwrap().unwrap();
    assert_eq!((farewell.state(), farewell.request()), (NoteState::Told, None));
    assert_eq!((farewell.said().held_entries, farewell.said().why.as_str()), (300, "lost"));
    drop(phone_at(&database).expect("somebody else may begin here"));
    assert!(farewell.dismiss().unwrap());
    assert!(Farewell::find(&database).unwrap().is_none());
    std::fs::remove_dir_all(database.parent().unwrap()).unwrap();
}
