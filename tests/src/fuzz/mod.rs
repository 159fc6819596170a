//! What must hold for any bytes at all: the bodies of the fuzz targets in `tests/fuzz`, which the smoke run of `make test` drives too, with
//! mutations that a seed decides. A body panics when something does not hold. Knows nothing of who draws the bytes.

mod corpus;
#[cfg(test)]
mod smoke;

use std::collections::BTreeMap;
use std::io::Cursor as Bytes;
use std::sync::OnceLock;

use beatbook_client_core::capture::gpx::read_gpx;
use beatbook_protocol::codec;
use beatbook_protocol::document::Document;
use beatbook_protocol::document::guard::{self, Incoming, Outcome, Unknown};
use beatbook_protocol::entry::Entry;
use beatbook_protocol::id::ActorId;
use beatbook_protocol::kind::{Catalogue, CheckedKind, DocumentName};
use beatbook_protocol::ledger::{Checkpoint, Leaf, StationKey};
use beatbook_protocol::limits::{CHANGE_BYTES_MAX, EXCHANGE_BYTES_MAX, PAGE_ENTRIES_MAX};
use beatbook_protocol::page::{BookKey, SealedPage, Signer as _, Tip};
use beatbook_protocol::parcel::{Answer, Parcel, SealingKey};
use beatbook_protocol::wire::{
    self, Challenged, Cursor, DeliverRequest, DeliverResponse, EnrolRequest, EnrolResponse, ExchangeRequest, ExchangeResponse,
    NotesRequest, Refusal, StandingRequest, UnlockRequest, WipedRequest,
};
pub use corpus::{Corpus, corpus};
use sha2::{Digest as _, Sha256};

/// A body: it takes bytes, and panics when something does not hold.
pub type Body = fn(&[u8]);

/// The targets by name.
#[must_use]
pub fn targets() -> BTreeMap<&'static str, Body> {
    BTreeMap::from([("guard", guard as Body), ("page", page), ("wire", wire), ("gpx", gpx)])
}

/// The guard: bytes are a change for a visit that somebody else writes in too. The honest change beside it goes in whatever the bytes are,
/// and what comes out can be saved and opened again.
pub fn guard(bytes: &[u8]) {
    static SCENE: OnceLock<corpus::Visit> = OnceLock::new();
    let scene = SCENE.get_or_init(corpus::visit);
    for bytes in [bytes.to_vec(), repaired(bytes)] {
        let incoming = |bytes| Incoming {
            bytes,
            settles: false,
            actors: None,
        };
        let all = [incoming(&bytes), incoming(&scene.honest)];
        let report = guard::check(&scene.document, &all, Unknown::Refuse);
        assert_eq!(report.outcomes.len(), 2, "one outcome for each change");
        let honest = &report.outcomes[1];
        let is_same = bytes == scene.honest;
        assert!(
            is_same || matches!(honest, Outcome::Admitted { .. }),
            "an honest change was kept out by another: {honest:?}"
        );
        if let Outcome::Admitted { .. } = report.outcomes[0] {
            assert!(bytes.len() <= CHANGE_BYTES_MAX, "a change over the limit went in");
            let saved = report.document.save();
            let kind = corpus::visit_kind();
            let again = Document::open(
                &kind,
                DocumentName::Facts,
                ActorId::from_bytes([3; 16]),
                Some(&saved),
                &[] as &[&[u8]],
            );
            let again = again.unwrap_or_else(|fault| panic!("what was admitted does not open again: {fault}"));
            assert_eq!(again.heads(), report.document.heads());
        }
    }
}

/// A page, its entries, and the leaf they would make.
pub fn page(bytes: &[u8]) {
    let key = BookKey::from_secret(&[5; 32]).map(|key| key.public_key());
    if let (Ok(page), Ok(key)) = (codec::from_bytes::<SealedPage>("page", bytes), key)
        && let Ok(verified) = page.verify(&key)
    {
        assert!(verified.entries().count() <= PAGE_ENTRIES_MAX);
        for (entry, _) in verified.entries() {
            entry_holds(entry);
        }
        let tip = Tip {
            incarnation: verified.header().incarnation,
            next: 1,
            last: verified.hash(),
        };
        assert!(verified.check_follows(&tip).is_err() || verified.header().sequence == 1);
    }
    entry_holds(bytes);
    let _ = codec::from_bytes::<Leaf>("leaf", bytes);
}

/// Every message, packed or not, every file, and the signed notes.
pub fn wire(bytes: &[u8]) {
    if let Ok(unpacked) = wire::unpack(bytes) {
        assert!(unpacked.len() <= EXCHANGE_BYTES_MAX, "more came out than may");
        messages(&unpacked);
    }
    messages(bytes);
    let (origin, sealing) = ("beatbook/1", SealingKey::from_bytes(&[17; 32]));
    let station = StationKey::from_bytes(&[14; 32]).verifying_key();
    if let Ok(parcel) = Parcel::parse(bytes) {
        let _ = parcel.open(origin, &sealing);
    }
    if let Ok(answer) = Answer::parse(bytes) {
        let _ = answer.open(&SealingKey::from_bytes(&[18; 32]), &station);
    }
    if let Ok(note) = std::str::from_utf8(bytes) {
        let _ = Checkpoint::verify(note, origin, &station);
    }
}

/// A GPX file: as many fixes come out as the summary says, and never more than the bytes could name.
pub fn gpx(bytes: &[u8]) {
    let mut fixes = 0_u64;
    let read = read_gpx(Bytes::new(bytes), "fuzz.gpx", |_| fixes += 1);
    let summary = match &read {
        Ok(summary) => summary,
        Err(fault) => &fault.summary,
    };
    assert_eq!(summary.fixes, fixes, "as many fixes as are told");
    assert!(fixes <= bytes.len() as u64 / 10, "{fixes} fixes in {} bytes", bytes.len());
}

fn entry_holds(bytes: &[u8]) {
    if let Ok(entry) = Entry::parse(bytes) {
        let again = entry.to_bytes();
        if !matches!(entry, Entry::Other(_) | Entry::Registry(_)) {
            assert_eq!(
                Entry::parse(&again).ok().as_ref(),
                Some(&entry),
                "an entry reads back as it was written"
            );
        }
    }
}

fn messages(bytes: &[u8]) {
    fn reads<T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()>>(bytes: &[u8]) {
        if let Ok(message) = wire::read::<T>("message", bytes) {
            let again = codec::to_bytes(&message);
            assert!(codec::check(&again).is_ok(), "what we write is deterministic");
            assert!(
                wire::read::<T>("message", &again).is_ok(),
                "a message reads back as it was written"
            );
        }
    }
    reads::<EnrolRequest>(bytes);
    reads::<EnrolResponse>(bytes);
    reads::<ExchangeRequest>(bytes);
    reads::<ExchangeResponse>(bytes);
    reads::<DeliverRequest>(bytes);
    reads::<DeliverResponse>(bytes);
    reads::<WipedRequest>(bytes);
    reads::<UnlockRequest>(bytes);
    reads::<NotesRequest>(bytes);
    reads::<StandingRequest>(bytes);
    reads::<Challenged>(bytes);
    reads::<Cursor>(bytes);
    reads::<Refusal>(bytes);
}

/// The bytes as a chunk of automerge with length and checksum as they must be, so that mutations get behind the first gate.
#[must_use]
pub fn repaired(bytes: &[u8]) -> Vec<u8> {
    let body = bytes.get(9..).unwrap_or_default();
    // The length is LEB128; whatever it says, it is written anew.
    let skipped = body.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let body = body.get(skipped..).unwrap_or_default();
    chunk(bytes.get(8).copied().unwrap_or(1), body)
}

/// A chunk of automerge's file format: magic, checksum, type, length, body.
#[must_use]
pub fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut framed = vec![kind];
    let mut length = body.len();
    while length >= 0x80 {
        framed.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    framed.push(u8::try_from(length).unwrap_or(0));
    framed.extend_from_slice(body);
    let hash = Sha256::digest(&framed);
    [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &framed].concat()
}

/// The newest of a kind that is built in.
pub(crate) fn builtin(code: &str) -> CheckedKind {
    let newest = Catalogue::builtin()
        .ok()
        .and_then(|catalogue| catalogue.newest(code).cloned());
    newest.unwrap_or_else(|| panic!("there is no kind {code}"))
}
