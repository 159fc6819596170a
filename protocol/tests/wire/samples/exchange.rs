//! Samples of exchanges: the plain reply, and request and reply with everything that they may say.

use beatbook_protocol::digest::{Buckets, RecordDigest, SetDigest};
use beatbook_protocol::wire::{BucketRecords, Fill, GivenEntry, Owes, RecordState};

use super::*;

/// A request with everything that a phone may say.
pub(crate) fn exchange_request_full(plain: ExchangeRequest) -> ExchangeRequest {
    let digest = RecordDigest::from_bytes([19; 16]);
    let mut buckets = Buckets::default();
    buckets.add(RecordId::from_bytes([1; 16]), digest);
    ExchangeRequest {
        digest: Some(SetDigest::default().with(digest)),
        given: Some(vec![GivenEntry {
            entry: change().to_bytes().into(),
            book: BookId::from_bytes([13; 16]),
            received: AT,
        }]),
        next: Some(8),
        buckets: Some(buckets.to_bytes()),
        wanted: Some(vec![RecordId::from_bytes([1; 16])]),
        witness: Some("a signed note".into()),
        owes: Some(Owes {
            entries: 3,
            since: Some(AT),
            blobs: 1,
            blob_bytes: 70_000,
            came_back: 2,
        }),
        ..plain
    }
}

/// A reply with what the plain one does not have.
pub(crate) fn exchange_response_full() -> ExchangeResponse {
    let plain = exchange_response();
    let digest = RecordDigest::from_bytes([19; 16]);
    let station = StationKey::from_bytes(&[14; 32]);
    let fill = plain.feed.clone();
    ExchangeResponse {
        receipt: Some(Receipt::sign(receipt_root(&plain.answers, &plain.feed, &fill), &station)),
        digest: Some(SetDigest::default().with(digest)),
        fill: Some(fill),
        left: Some(vec![RecordId::from_bytes([1; 16])]),
        buckets: Some(vec![BucketRecords {
            bucket: 1,
            records: vec![RecordState {
                record: RecordId::from_bytes([1; 16]),
                digest,
            }],
        }]),
        renew: Some(true),
        app_min: Some("1.2.0".into()),
        given: Some(runs(&[Verdict::Accepted])),
        ..plain
    }
}

pub(crate) fn exchange_response() -> ExchangeResponse {
    let answers = vec![
        PageAnswer {
            page: Hash::from_bytes([1; 32]),
            leaf: Some(299),
            verdicts: runs(&verdicts()),
            fault: None,
            expected: None,
        },
        PageAnswer {
            page: Hash::from_bytes([2; 32]),
            leaf: None,
            verdicts: vec![],
            fault: Some("page_chain".into()),
            expected: Some(7),
        },
    ];
    let entry = |position, entry: Entry, offered| FeedEntry {
        position,
        entry: entry.to_bytes().into(),
        offered,
    };
    let feed = vec![FeedLeaf {
        leaf: 298,
        book: BookId::from_bytes([13; 16]),
        received: AT,
        entries: vec![entry(0, change(), None), entry(3, act(), Some(true))],
    }];
    let station = StationKey::from_bytes(&[14; 32]);
    let checkpoint = Checkpoint {
        origin: "beatbook/1".into(),
        position: position(),
        follows: Some(position()),
    };
    ExchangeResponse {
        version: WIRE_VERSION,
        server_time: AT,
        receipt: Some(Receipt::sign(receipt_root(&answers, &feed, &[]), &station)),
        answers,
        feed,
        cursor: Cursor {
            position: position(),
            fill: Some(Fill { token: vec![1, 2] }),
        },
        more: Some(true),
        checkpoint: Some(checkpoint.sign(&station)),
        consistency: Some(vec![Hash::from_bytes([15; 32])]),
        cursor_consistency: Some(vec![]),
        kinds: Some(vec![KindFile {
            kind: "visit".into(),
            version: 1,
            source: "…".into(),
        }]),
        token: Some("secret".into()),
        next_ms: Some(60_000),
        backed_up_to: Some(200),
        digest: None,
        fill: None,
        left: None,
        buckets: None,
        renew: None,
        app_min: None,
        given: None,
        sealing: None,
        pins: None,
        share: None,
        lease_ms: None,
        wipe: None,
        held: None,
    }
}
