//! The end of one user's book on a phone of two: his keys go with his file, whatever kills the phone on the way, and nobody else notices.

use beatbook_protocol::id::BookId;

use super::*;
use crate::ended::{FarewellFault, LastWord, NoteState, Parting, PartingStep, shred_watched};
use crate::store::ended::{EndedRow, put_ended};
use crate::store::sync_state::{self, BegunBook};
use crate::sync::KeyVault as _;
use crate::transport::{Outcome, TransportFault};

const BOOK: BookId = BookId::from_bytes([1; 16]);

/// What an enrolment leaves in the file, and the station's order that the book has ended.
fn end_book(open: &OpenUser) {
    let signer = open.keys().store(&BOOK.to_string(), &[3; 32]).unwrap();
    let receipt = beatbook_protocol::ledger::StationKey::from_bytes(&[14; 32]);
    let begun = BegunBook {
        book: BOOK,
        suite: signer.public_key().suite(),
        key_handle: BOOK.to_string(),
        public_key: signer.public_key().to_bytes(),
        code: "code".into(),
        request: Vec::new(),
    };
    let response = beatbook_protocol::wire::EnrolResponse {
        origin: "beatbook/test".into(),
        station: "Station".into(),
        user: beatbook_protocol::id::UserId::from_bytes([2; 16]),
        user_name: "Li".into(),
        roles: vec!["officer".into()],
        unit: beatbook_protocol::id::UnitId::from_bytes([9; 16]),
        checkpoint_key: receipt.verifying_key().to_bytes().to_vec(),
        receipt_key: receipt.verifying_key().to_bytes().to_vec(),
        token: "token".into(),
        server_time: UnixMillis(5),
        sealing: None,
        pins: None,
        awaits: None,
        nonce: None,
        signature: None,
    };
    let row = EndedRow {
        why: "lost".into(),
        ended_at: UnixMillis(5),
        heard_at: UnixMillis(6),
        is_unknown: false,
    };
    let core = open.core_for_contact();
    core.write(|records| {
        let tx = records.tx();
        sync_state::begin_book(tx, &begun, UnixMillis(1))?;
        sync_state::enrol_book(tx, BOOK, &response, UnixMillis(1))?;
        put_ended(tx, &row, b"order")
    })
    .unwrap();
}

/// A phone of two users, both locked, whose shares the station keeps; the first one's book has ended.
fn with_two() -> (Case, LocalUser, LocalUser) {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let other = phone.add_user("晚班", OTHER_PIN).unwrap();
    other
        .core_for_contact()
        .write(|records| sync_state::set_token(records.tx(), "what he wrote"))
        .unwrap();
    keep_share(&other);
    let second = other.user();
    phone.lock(other).unwrap();
    let open = phone.unlock(&user, PIN).unwrap();
    open.allow_biometric().unwrap();
    end_book(&open);
    phone.lock(open).unwrap();
    (case, user, second)
}

fn last_word(open: &OpenUser) -> LastWord {
    let keys = open.keys();
    let mut parting = Parting::open(open.core_for_contact(), &keys).unwrap().unwrap();
    let mut now = UnixMillis(DAY * 30_000);
    // Nobody answers, and it has waited for long enough.
    loop {
        match parting.next(now).unwrap() {
            PartingStep::Send(_) => parting.receive(now, Outcome::Failed(TransportFault::TimedOut)).unwrap(),
            PartingStep::Wait { until, .. } => now = until,
            PartingStep::Ready => break,
            PartingStep::Later(why) => panic!("it has waited enough: {why:?}"),
        }
    }
    parting.with_notes_left(2).last_word(UnixMillis(7)).unwrap()
}

/// What lies in a user's folder.
fn left(case: &Case, user: &LocalUser) -> Vec<String> {
    let dir = case.root.join("phone/users").join(user.to_string());
    let names = files(&dir).into_iter();
    names
        .map(|path| path.strip_prefix(&dir).unwrap().to_string_lossy().into_owned())
        .collect()
}

fn others_work_is_there(phone: &Phone, other: &LocalUser) {
    assert_eq!(phone.tries_left(other).unwrap(), crate::lock::TRIES_MAX);
    let open = phone.unlock(other, OTHER_PIN).unwrap();
    let token = open.core().unwrap().read(sync_state::exchanged).unwrap().token;
    assert_eq!(token.as_deref(), Some("what he wrote"));
    phone.lock(open).unwrap();
}

/// Nothing of the user is on the phone but his note, and no key of his is in the vault.
fn is_gone(case: &Case, user: &LocalUser, other: &LocalUser) {
    let phone = case.start();
    assert_eq!(left(case, user), ["book.db.ended"]);
    let vault = String::from_utf8_lossy(&fs::read(case.root.join("vault/vault.a")).unwrap()).into_owned();
    assert!(!vault.contains(&user.to_string()), "{vault}");
    assert!(vault.contains(&other.to_string()));
    let users: Vec<LocalUser> = phone.users().into_iter().map(|shown| shown.user).collect();
    assert_eq!(users, std::slice::from_ref(other));
    let parted = phone.parted_users().unwrap();
    assert_eq!((parted.len(), &parted[0].user), (1, user));
    assert_eq!(parted[0].farewell.state(), NoteState::Shredded);
    assert_eq!(
        (parted[0].farewell.said().why.as_str(), parted[0].farewell.said().left_notes),
        ("lost", 2)
    );
    assert!(matches!(phone.unlock(user, PIN), Err(LockError::NoSuchUser)));
    assert!(matches!(phone.unlock_biometric(user), Err(LockError::NoSuchUser)));
    others_work_is_there(&phone, other);
}

#[test]
fn a_wipe_killed_at_any_step_is_finished_at_the_next_start_and_touches_nobody_else() {
    let (case, user, other) = with_two();
    case.copy("phone", "before-phone");
    case.copy("vault", "before-vault");
    let put_back = || {
        case.put_back("before-phone", "phone");
        case.put_back("before-vault", "vault");
    };
    // Between the steps of the file.
    let steps = [
        "note written",
        "secrets forgotten",
        "keys destroyed",
        "file renamed",
        "file overwritten",
        "files removed",
    ];
    for step in steps {
        put_back();
        let phone = case.start();
        let open = phone.unlock(&user, PIN).unwrap();
        let word = last_word(&open);
        let said = phone.shred_ended_by(open, |core, cabinet| shred_watched(core, word, cabinet, &mut |at| at != step));
        assert!(matches!(said, Err(FarewellFault::Stopped)), "{step}");
        assert!(
            matches!(phone.unlock(&user, PIN), Err(LockError::NoSuchUser)),
            "{step}: not even before a restart"
        );
        drop(phone);
        is_gone(&case, &user, &other);
    }
    // At each write of the lock and of the vault, the unlocking before it included.
    let mut died_in_the_wipe = 0;
    for steps in 0.. {
        assert!(steps < 2_000, "it never gets through");
        put_back();
        let fate = Fate::after(steps);
        let wipe = || {
            let phone = case.start_under(&fate).ok()?;
            let open = phone.unlock(&user, PIN).ok()?;
            let word = last_word(&open);
            Some(phone.shred_ended(open, word).is_ok())
        };
        match wipe() {
            // Nothing had begun: he comes in once more.
            None => others_work_is_there(&case.start(), &other),
            Some(is_through) => {
                died_in_the_wipe += u32::from(!is_through);
                is_gone(&case, &user, &other);
                if is_through {
                    break;
                }
            }
        }
    }
    assert!(died_in_the_wipe > 20, "{died_in_the_wipe}");
}

#[test]
fn files_of_an_ended_user_put_back_from_a_copy_open_nothing() {
    let (case, user, other) = with_two();
    case.copy("phone", "copy");
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    let word = last_word(&open);
    phone.shred_ended(open, word).unwrap();
    drop(phone);
    is_gone(&case, &user, &other);
    // Beside the note that is there: it says that he has gone.
    copy(&case.root.join("copy"), &case.root.join("phone"));
    let phone = case.start();
    assert!(matches!(phone.unlock(&user, PIN), Err(LockError::NoSuchUser)));
    drop(phone);
    // And in the place of all that is there.
    case.put_back("copy", "phone");
    let phone = case.start();
    assert!(phone.unlock(&user, PIN).is_err() && phone.unlock_biometric(&user).is_err());
    assert!(phone.begin_online_unlock(&user, "CODE", None).is_err());
    let keys = phone.cabinet(&user).unwrap().keys();
    assert!(matches!(keys.load(&BOOK.to_string()), Err(crate::sync::SyncError::KeyLost)));
}

#[test]
fn what_is_left_of_an_ended_user_goes_once_the_station_has_his_last_word_and_not_before() {
    let (case, user, other) = with_two();
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    let notes = case.root.join("phone/users").join(user.to_string()).join("notes/refused");
    fs::create_dir_all(&notes).unwrap();
    let note = Hash::of(&[b"sealed"]);
    let file = format!("000000000000001-{note}.note");
    fs::write(notes.join(&file), b"sealed").unwrap();
    let word = last_word(&open);
    let mut farewell = phone.shred_ended(open, word).unwrap();
    assert_eq!(
        left(&case, &user),
        ["book.db.ended".to_owned(), format!("notes/refused/{file}")],
        "a sealed note stays for its custodian"
    );
    farewell.receive(&Outcome::Failed(TransportFault::TimedOut)).unwrap();
    assert!(!phone.dismiss(&user).unwrap(), "the station does not have it");
    assert!(matches!(phone.dismiss(&other), Err(LockError::NoSuchUser)));
    farewell.receive(&Outcome::Reply(Vec::new())).unwrap();
    assert!(!phone.dismiss(&user).unwrap(), "that was no station's answer");
    let heard = beatbook_protocol::wire::WipedResponse {
        version: beatbook_protocol::wire::WIRE_VERSION,
        server_time: UnixMillis(9),
    };
    let heard = beatbook_protocol::wire::pack(&heard).unwrap();
    farewell.receive(&Outcome::Reply(heard)).unwrap();
    assert!(!phone.dismiss(&user).unwrap(), "nobody has the note yet");
    // It is shown after a restart too, for its custodian to take.
    drop(phone);
    let phone = case.start();
    let shown = phone.notes_waiting(&user).unwrap();
    assert_eq!((shown.len(), shown[0].note, shown[0].is_refused), (1, note, true));
    assert_eq!(fs::read(&shown[0].path).unwrap(), b"sealed");
    assert!(!phone.note_taken(&user, &Hash::of(&[b"another"])).unwrap());
    assert!(phone.note_taken(&user, &note).unwrap());
    assert!(phone.dismiss(&user).unwrap());
    assert!(phone.parted_users().unwrap().is_empty());
    let phone = case.start();
    assert!(phone.parted_users().unwrap().is_empty() && phone.users().len() == 1);
    assert!(!case.root.join("phone/users").join(user.to_string()).exists());
    others_work_is_there(&phone, &other);
}
