//! Samples of enrolments that are compared, and of books that ended.

use beatbook_protocol::wire::{Attestation, Held, NotHeld, WipeOrder, WipeReceipt, WipedRequest, WipedResponse};

use super::*;

/// Each by its rule and the name of its vector.
pub(crate) fn ended_forms() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let station = StationKey::from_bytes(&[14; 32]);
    let book = BookId::from_bytes([9; 16]);
    let (plain, mut response) = enrolment();
    response.sealing = None;
    response.awaits = Some(true);
    response.sign(&plain, [26; 16], &station);
    let attested = EnrolRequest {
        attestation: Some(Attestation {
            format: "android-key".into(),
            statement: vec![27; 8],
        }),
        ..plain
    };
    let refused = NotHeld {
        page: Hash::from_bytes([2; 32]),
        code: "full".into(),
        text: "no room".into(),
    };
    let reply = ExchangeResponse {
        wipe: Some(WipeOrder::sign(book, "lost", AT, "beatbook/1", &station)),
        held: Some(Held::sign(
            vec![Hash::from_bytes([1; 32])],
            vec![refused],
            book,
            "beatbook/1",
            &station,
        )),
        ..ExchangeResponse::plain(
            AT,
            Cursor {
                position: position(),
                fill: None,
            },
        )
    };
    let receipt = WipeReceipt {
        book,
        why: "lost".into(),
        wiped_at: AT,
        held_pages: 1,
        held_entries: 12,
        lost_entries: 3,
        lost_blobs: 2,
        lost_drafts: 1,
        left_notes: None,
    };
    let leaves_notes = WipeReceipt {
        left_notes: Some(2),
        ..receipt.clone()
    };
    let wiped = WipedRequest::sign(&receipt, "beatbook/1", &key()).unwrap();
    let heard = WipedResponse {
        version: WIRE_VERSION,
        server_time: AT,
    };
    vec![
        ("enrol-request", "enrol-request-attested", codec::to_bytes(&attested)),
        ("enrol-response", "enrol-response-awaiting", codec::to_bytes(&response)),
        ("exchange-response", "exchange-response-wipe", codec::to_bytes(&reply)),
        ("wipe-receipt", "wipe-receipt", wiped.receipt.clone()),
        ("wipe-receipt", "wipe-receipt-notes", codec::to_bytes(&leaves_notes)),
        ("wiped-request", "wiped-request", codec::to_bytes(&wiped)),
        ("wiped-response", "wiped-response", codec::to_bytes(&heard)),
    ]
}
