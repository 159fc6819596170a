//! Samples of unlocking and of emergency notes.

use beatbook_protocol::codec;
use beatbook_protocol::ledger::StationKey;
use beatbook_protocol::note::{NOTE_MAGIC, NoteContent, NoteFile, note_hash};
use beatbook_protocol::parcel::SealingKey;
use beatbook_protocol::wire::{
    ExchangeRequest, ExchangeResponse, KeyShare, NoteAnswer, NotesRequest, NotesResponse, NotesSigned, UnlockRequest,
    UnlockResponse, WIRE_VERSION, share_name, unlock_message,
};

use super::*;

const SHARE: [u8; 32] = [21; 32];

/// What unlocking adds, by the names of its rules.
pub(super) fn unlock_forms() -> [(&'static str, &'static str, Vec<u8>); 9] {
    let book = BookId::from_bytes([9; 16]);
    let share = KeyShare::seal(&SHARE, ORIGIN, book, &station_sealing_key().public_key(), &[22; 32]).unwrap();
    let brings = ExchangeRequest {
        app: "1.0".into(),
        share: Some(share),
        lease_ms: Some(604_800_000),
        ..ExchangeRequest::plain(book, IncarnationId::from_bytes([10; 16]), None)
    };
    let kept = ExchangeResponse {
        share: Some(share_name(&SHARE)),
        lease_ms: Some(86_400_000),
        ..exchange_response()
    };
    let file = note_file();
    let notes = NotesRequest {
        version: WIRE_VERSION,
        notes: vec![file.clone().into()],
        signed: None,
    };
    let last_notes = NotesRequest {
        signed: Some(NotesSigned::sign(book, &notes.notes, ORIGIN, &key()).unwrap()),
        ..notes.clone()
    };
    let answers = NotesResponse {
        version: WIRE_VERSION,
        answers: vec![
            NoteAnswer {
                note: note_hash(&file),
                code: None,
                text: None,
            },
            NoteAnswer {
                note: Hash::from_bytes([6; 32]),
                code: Some("note_unreadable".into()),
                text: Some("this is no emergency note".into()),
            },
        ],
    };
    [
        ("exchange-request", "exchange-request-share", codec::to_bytes(&brings)),
        ("exchange-response", "exchange-response-share", codec::to_bytes(&kept)),
        ("unlock-request", "unlock-request", codec::to_bytes(&unlock_request())),
        ("unlock-response", "unlock-response", codec::to_bytes(&unlock_response())),
        ("note", "note", file[NOTE_MAGIC.len()..].to_vec()),
        ("note-content", "note-content", codec::to_bytes(&note_content())),
        ("notes-request", "notes-request", codec::to_bytes(&notes)),
        ("notes-request", "notes-request-signed", codec::to_bytes(&last_notes)),
        ("notes-response", "notes-response", codec::to_bytes(&answers)),
    ]
}

/// The key that the released share is sealed to.
pub(crate) fn reply_key() -> SealingKey {
    SealingKey::from_bytes(&[23; 32])
}

pub(crate) fn unlock_request() -> UnlockRequest {
    let book = BookId::from_bytes([9; 16]);
    let reply_key = *reply_key().public_key().as_bytes();
    let message = unlock_message(ORIGIN, book, "ABCDE-FGHJK", &reply_key);
    UnlockRequest {
        version: WIRE_VERSION,
        book,
        code: "ABCDE-FGHJK".into(),
        reply_key,
        signature: key().sign(&message).unwrap(),
    }
}

pub(crate) fn unlock_response() -> UnlockResponse {
    let station = StationKey::from_bytes(&[14; 32]);
    UnlockResponse::seal(&SHARE, ORIGIN, &unlock_request(), AT, &station, &[24; 32]).unwrap()
}

pub(crate) fn note_content() -> NoteContent {
    NoteContent {
        book: BookId::from_bytes([9; 16]),
        unit: UnitId::from_bytes([2; 16]),
        text: "三号楼二单元起火，已疏散".into(),
        at: AT,
        place: Some("geo:39.971743,116.441827;u=12".into()),
        app: "1.0".into(),
        nonce: [25; 16],
    }
}

pub(crate) fn note_file() -> Vec<u8> {
    let to = [station_sealing_key().public_key(), reply_key().public_key()];
    NoteFile::seal(&note_content(), ORIGIN, Some(&key()), &to, &[26; 32]).unwrap()
}
