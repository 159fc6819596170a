//! Notes on a locked phone: sealed, bounded, durable. What becomes of them at a station is tried where the real one is.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use beatbook_protocol::entry::{UnitEvent, UnitKeyEvent};
use beatbook_protocol::id::{BookId, IncarnationId, UnitId, UserId};
use beatbook_protocol::note::{NoteFault, NoteFile};
use beatbook_protocol::page::{BookKey, Signer as _};
use beatbook_protocol::parcel::SealingKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{EnrolResponse, SealingOffer};

use super::*;
use crate::lock::{OpenUser, PinCost, SoftwareVault};
use crate::platform::{Platform, SystemPlatform};
use crate::store::identity::Identity;
use crate::store::sync_state::{self, BegunBook};
use crate::store::{lock, pages, parcels, registry};

const PIN: &str = "739164";
const ORIGIN: &str = "beatbook/test";
const UNIT: UnitId = UnitId::from_bytes([9; 16]);
const ABOVE: UnitId = UnitId::from_bytes([8; 16]);
const BOOK: BookId = BookId::from_bytes([1; 16]);

struct Case {
    root: PathBuf,
    phone: Phone,
    user: LocalUser,
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn secret(byte: u8) -> SealingKey {
    SealingKey::from_bytes(&[byte; 32])
}

/// What an enrolment and the first exchange leave in the file.
fn enrol(open: &OpenUser, custodians: &[(UnitId, u8)]) {
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
    let response = EnrolResponse {
        origin: ORIGIN.into(),
        station: "Station".into(),
        user: UserId::from_bytes([2; 16]),
        user_name: "Li".into(),
        roles: vec!["officer".into()],
        unit: UNIT,
        checkpoint_key: receipt.verifying_key().to_bytes().to_vec(),
        receipt_key: receipt.verifying_key().to_bytes().to_vec(),
        token: "token".into(),
        server_time: UnixMillis(5),
        sealing: Some(SealingOffer::sign(&secret(7).public_key(), ORIGIN, &receipt)),
        pins: None,
        awaits: None,
        nonce: None,
        signature: None,
    };
    let me = Identity {
        user: response.user,
        unit: UNIT,
        book: BOOK,
    };
    open.core_for_contact()
        .write(|records| {
            let tx = records.tx();
            sync_state::begin_book(tx, &begun, UnixMillis(1))?;
            sync_state::enrol_book(tx, BOOK, &response, UnixMillis(1))?;
            parcels::set_sealing_key(tx, ORIGIN, &secret(7).public_key(), UnixMillis(1))?;
            let unit = |unit, name: &str, parent| UnitEvent {
                unit,
                name: name.into(),
                parent,
                level: None,
                closed: None,
                on_behalf: None,
            };
            registry::put_unit(tx, &unit(UNIT, "社区", Some(ABOVE)), 1)?;
            registry::put_unit(tx, &unit(ABOVE, "派出所", None), 1)?;
            for (unit, byte) in custodians {
                let event = UnitKeyEvent {
                    unit: *unit,
                    key: *secret(*byte).public_key().as_bytes(),
                    custodian: "所长".into(),
                    ended: None,
                    on_behalf: None,
                };
                lock::put_unit_key(tx, &event, 3)?;
            }
            records.enrol(&me, "Li", &response.roles)?;
            pages::change_book(records.tx(), BOOK, IncarnationId::from_bytes([4; 16]))
        })
        .unwrap();
    open.contact().unwrap();
}

fn case(name: &str, custodians: &[(UnitId, u8)]) -> Case {
    let root = std::env::temp_dir().join(format!("beatbook-notes-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    let system = SystemPlatform::start().unwrap();
    let vault = Arc::new(SoftwareVault::open(&root.join("vault"), Box::new(system)).unwrap());
    let cost = PinCost {
        memory_kib: 8,
        passes: 1,
    };
    let phone = Phone::open(&root.join("phone"), vault, Platform::system().unwrap())
        .unwrap()
        .with_cost(cost);
    let open = phone.add_user("巡逻", PIN).unwrap();
    let user = open.user();
    if !custodians.is_empty() {
        enrol(&open, custodians);
    }
    phone.lock(open).unwrap();
    Case { root, phone, user }
}

fn words(text: &str) -> EmergencyNote {
    EmergencyNote {
        text: text.into(),
        place: Some("geo:39.971743,116.441827;u=12".into()),
    }
}

#[test]
fn a_note_on_a_locked_phone_opens_for_the_station_and_the_custodians_of_the_units_above_alone() {
    let elsewhere = UnitId::from_bytes([7; 16]);
    let case = case("sealed", &[(UNIT, 21), (ABOVE, 22), (elsewhere, 23)]);
    let note = case.phone.note(&case.user, &words("三号楼起火")).unwrap();
    let waiting = case.phone.notes_waiting(&case.user).unwrap();
    assert_eq!((waiting.len(), waiting[0].note), (1, note));
    let file = fs::read(&waiting[0].path).unwrap();
    let text = "三号楼起火".as_bytes();
    assert!(!file.windows(text.len()).any(|window| window == text));
    let parsed = NoteFile::parse(&file).unwrap();
    let book = BookKey::from_secret(&[3; 32]).unwrap().public_key();
    for key in [7, 21, 22] {
        let opened = parsed.open(&secret(key)).unwrap();
        assert_eq!((opened.content.text.as_str(), opened.content.unit), ("三号楼起火", UNIT));
        assert!(opened.is_signed_by(&book), "the keystore signs while the file is locked");
    }
    assert_eq!(parsed.open(&secret(23)), Err(NoteFault::Sealed), "another unit's custodian");
}

#[test]
fn a_custodian_whose_key_ended_is_sealed_to_no_more() {
    let case = case("ended", &[(UNIT, 21), (UNIT, 22)]);
    let open = case.phone.unlock(&case.user, PIN).unwrap();
    let event = UnitKeyEvent {
        unit: UNIT,
        key: *secret(21).public_key().as_bytes(),
        custodian: "所长".into(),
        ended: Some(true),
        on_behalf: None,
    };
    let core = open.core_for_contact();
    core.write(|records| lock::put_unit_key(records.tx(), &event, 4)).unwrap();
    // What an earlier leaf said comes again with a fill, and changes nothing.
    let earlier = UnitKeyEvent { ended: None, ..event };
    core.write(|records| lock::put_unit_key(records.tx(), &earlier, 3)).unwrap();
    open.contact().unwrap();
    case.phone.lock(open).unwrap();
    case.phone.note(&case.user, &words("x")).unwrap();
    let file = fs::read(&case.phone.notes_waiting(&case.user).unwrap()[0].path).unwrap();
    let note = NoteFile::parse(&file).unwrap();
    assert!(note.open(&secret(22)).is_ok() && note.open(&secret(21)).is_err());
}

#[test]
fn a_locked_phone_takes_a_bounded_number_of_notes_and_says_so() {
    let case = case("bounded", &[(UNIT, 21)]);
    for number in 0..EMERGENCY_NOTES_MAX {
        case.phone.note(&case.user, &words(&number.to_string())).unwrap();
    }
    assert!(matches!(
        case.phone.note(&case.user, &words("one more")),
        Err(NoteError::Full)
    ));
    assert_eq!(case.phone.notes_waiting(&case.user).unwrap().len(), EMERGENCY_NOTES_MAX);
}

#[test]
fn what_cannot_be_sealed_is_said_at_once() {
    let enrolled = case("invalid", &[(UNIT, 21)]);
    let invalid = |note: &EmergencyNote| matches!(enrolled.phone.note(&enrolled.user, note), Err(NoteError::Invalid(_)));
    assert!(invalid(&words("")) && invalid(&words(&"长".repeat(2_001))));
    assert!(invalid(&EmergencyNote {
        text: "x".into(),
        place: Some("nowhere".into())
    }));
    let alone = case("alone", &[]);
    assert!(matches!(alone.phone.note(&alone.user, &words("x")), Err(NoteError::NoKeys)));
}

#[test]
fn what_a_dying_phone_left_half_written_is_no_note_and_hinders_none() {
    let case = case("half", &[(UNIT, 21)]);
    case.phone.note(&case.user, &words("whole")).unwrap();
    let dir = case.phone.notes_waiting(&case.user).unwrap()[0]
        .path
        .parent()
        .unwrap()
        .to_owned();
    fs::write(dir.join("000000000000001-00.note.new"), b"BBEMNOTE half").unwrap();
    fs::write(dir.join("stranger.txt"), b"x").unwrap();
    assert_eq!(case.phone.notes_waiting(&case.user).unwrap().len(), 1);
    case.phone.note(&case.user, &words("after")).unwrap();
    assert_eq!(case.phone.notes_waiting(&case.user).unwrap().len(), 2);
}
