//! One sample of every wire form, made of fixed bytes.

#[path = "samples/ended.rs"]
mod ended;
#[path = "samples/exchange.rs"]
mod exchange;
#[path = "samples/parcels.rs"]
mod parcels;
#[path = "samples/pins.rs"]
mod pins;
#[path = "samples/protection.rs"]
mod protection;
#[path = "samples/unlock.rs"]
mod unlock;

use beatbook_protocol::codec;
use beatbook_protocol::entry::{
    ActEntry, BookEvent, ChangeEntry, Entry, GrantEvent, KindEvent, Opens, RecoveredEntry, RegistryEvent, UnitEvent, UserEvent,
};
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{BookId, Hash, IncarnationId, RecordId, UnitId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::ledger::{Checkpoint, Leaf, Position, StationKey};
use beatbook_protocol::page::{BookKey, Break, Draft, P256_SHA256, SealedPage, Signer};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire::{
    BlobStanding, Challenged, Cursor, EnrolRequest, EnrolResponse, ExchangeRequest, ExchangeResponse, FeedEntry, FeedLeaf,
    KindFile, PageAnswer, Receipt, Refusal, RefusalCode, StandingRequest, StandingResponse, Verdict, WIRE_VERSION, enrol_message,
    exchange_message, receipt_root, runs,
};

pub(crate) use exchange::{exchange_request_full, exchange_response, exchange_response_full};
use parcels::parcel_forms;
pub(crate) use parcels::{ORIGIN, answer_content, answer_file, answer_key, parcel_content, parcel_file, station_sealing_key};
use pins::pin_forms;
pub(crate) use pins::pins;

pub(crate) use protection::protection;
use unlock::unlock_forms;
pub(crate) use unlock::{note_content, note_file, reply_key, unlock_request, unlock_response};

pub(crate) const AT: UnixMillis = UnixMillis(1_795_000_000_000);

pub(crate) fn key() -> BookKey {
    BookKey::from_secret(&[5; 32]).unwrap()
}

pub(crate) fn position() -> Position {
    Position {
        epoch: 1,
        size: 300,
        root: Hash::from_bytes([6; 32]),
    }
}

pub(crate) fn change() -> Entry {
    Entry::Change(ChangeEntry {
        record: RecordId::from_bytes([1; 16]),
        document: DocumentName::Facts.into(),
        change: vec![0x85, 0x6f, 0x4a, 0x83, 1, 2, 3],
        at: AT,
        settles: None,
        opens: Some(Opens {
            kind: "visit".into(),
            version: 1,
            unit: UnitId::from_bytes([2; 16]),
        }),
        on_behalf: None,
    })
}

pub(crate) fn settlement() -> Entry {
    let Entry::Change(change) = change() else { unreachable!() };
    Entry::Change(ChangeEntry {
        document: DocumentName::Private.into(),
        settles: Some(true),
        opens: None,
        ..change
    })
}

pub(crate) fn act() -> Entry {
    Entry::Act(ActEntry {
        record: RecordId::from_bytes([1; 16]),
        code: "return".into(),
        heads: vec![Hash::from_bytes([3; 32]), Hash::from_bytes([4; 32])],
        last_act: Some(Hash::from_bytes([7; 32])),
        at: AT,
        comment: Some("请补充".into()),
        values: Some(vec![
            ("a".into(), Value::Null),
            ("b".into(), Value::Bool(true)),
            ("c".into(), Value::Int(-5)),
            ("d".into(), Value::Decimal(0.5)),
            ("e".into(), Value::Text("x".into())),
        ]),
        private_heads: Some(vec![]),
        on_behalf: Some(UserId::from_bytes([8; 16])),
        nonce: None,
    })
}

pub(crate) fn act_with_nonce() -> Entry {
    let Entry::Act(act) = act() else { unreachable!() };
    Entry::Act(ActEntry {
        nonce: Some([17; 8]),
        on_behalf: None,
        ..act
    })
}

pub(crate) fn recovered() -> Entry {
    Entry::Recovered(RecoveredEntry {
        entry: change().to_bytes(),
        book: BookId::from_bytes([13; 16]),
        giver: BookId::from_bytes([9; 16]),
        received: AT,
        admitted_by: None,
    })
}

pub(crate) fn grant() -> Entry {
    Entry::Registry(RegistryEvent::Grant(GrantEvent {
        record: RecordId::from_bytes([1; 16]),
        user: Some(UserId::from_bytes([8; 16])),
        unit: None,
        reason: "assigned".into(),
        ended: None,
        on_behalf: Some(UserId::from_bytes([18; 16])),
    }))
}

pub(crate) fn registry() -> [Entry; 4] {
    let unit = UnitId::from_bytes([2; 16]);
    let user = UserId::from_bytes([8; 16]);
    [
        RegistryEvent::Unit(UnitEvent {
            unit,
            name: "中关村派出所".into(),
            parent: None,
            level: None,
            closed: None,
            on_behalf: None,
        }),
        RegistryEvent::User(UserEvent {
            user,
            name: "王".into(),
            roles: vec!["chief".into()],
            unit,
            blocked: None,
            on_behalf: None,
        }),
        RegistryEvent::Book(BookEvent {
            book: BookId::from_bytes([9; 16]),
            user,
            suite: P256_SHA256,
            key: key().public_key().to_bytes(),
            device: "phone".into(),
            attested: None,
        }),
        RegistryEvent::Kind(KindEvent {
            kind: "visit".into(),
            version: 2,
            source: "code = \"visit\"".into(),
        }),
    ]
    .map(Entry::Registry)
}

pub(crate) fn page() -> SealedPage {
    let entries = vec![change().to_bytes(), act().to_bytes()];
    let draft = Draft {
        suite: P256_SHA256,
        book: BookId::from_bytes([9; 16]),
        incarnation: IncarnationId::from_bytes([10; 16]),
        sequence: 0,
        previous: Hash::from_bytes([0; 32]),
        stamp: Stamp {
            wall: AT,
            boot: 77,
            monotonic: 1_000_000,
            checkpoint: Some(position()),
        },
        follows: Some(Break {
            incarnation: IncarnationId::from_bytes([11; 16]),
            sequence: 4,
            reason: "quarantined".into(),
        }),
        seed: [12; 32],
        entries: &entries,
    };
    SealedPage::seal(draft.header(), draft.seed, entries.clone(), &key()).unwrap()
}

pub(crate) fn verdicts() -> Vec<Verdict> {
    let refused = |code: &str, state: Option<&str>| Verdict::Refused {
        code: code.into(),
        text: "says why".into(),
        state_met: state.map(Into::into),
    };
    vec![
        Verdict::Accepted,
        Verdict::Accepted,
        Verdict::Duplicate,
        refused("forbidden", None),
        refused("state_met", Some("approved")),
        Verdict::Needs {
            changes: vec![Hash::from_bytes([3; 32])],
        },
        Verdict::Offered,
    ]
}

pub(crate) fn leaf() -> Leaf {
    let page = page();
    Leaf {
        version: 1,
        header: page.header,
        signature: page.signature,
        verdicts: runs(&verdicts()),
        received: AT,
    }
}

pub(crate) fn enrolment() -> (EnrolRequest, EnrolResponse) {
    let book = BookId::from_bytes([9; 16]);
    let public = key().public_key().to_bytes();
    let request = EnrolRequest {
        version: WIRE_VERSION,
        code: "ABCD-EFGH".into(),
        book,
        suite: P256_SHA256,
        proof: key().sign(&enrol_message("ABCD-EFGH", book, &public)).unwrap(),
        key: public,
        device: "phone".into(),
        app: "1.0".into(),
        attestation: None,
    };
    let station = StationKey::from_bytes(&[14; 32]).verifying_key().to_bytes().to_vec();
    let response = EnrolResponse {
        origin: "beatbook/1".into(),
        station: "所".into(),
        user: UserId::from_bytes([8; 16]),
        user_name: "王".into(),
        roles: vec!["officer".into()],
        unit: UnitId::from_bytes([2; 16]),
        checkpoint_key: station.clone(),
        receipt_key: station,
        token: "secret".into(),
        server_time: AT,
        sealing: None,
        pins: None,
        awaits: None,
        nonce: None,
        signature: None,
    };
    (request, response)
}

/// A phone asks after two blobs.
pub(crate) fn standing_request() -> StandingRequest {
    StandingRequest {
        version: WIRE_VERSION,
        blobs: vec![Hash::from_bytes([17; 32]), Hash::from_bytes([18; 32])],
    }
}

/// One has arrived, of the other a part.
pub(crate) fn standing_response() -> StandingResponse {
    StandingResponse {
        version: WIRE_VERSION,
        blobs: vec![
            BlobStanding {
                blob: Hash::from_bytes([17; 32]),
                bytes: 3_145_728,
                arrived: true,
            },
            BlobStanding {
                blob: Hash::from_bytes([18; 32]),
                bytes: 65_536,
                arrived: false,
            },
        ],
    }
}

/// Every form by the name of its rule in the grammar, with the bytes this version writes.
pub(crate) fn forms() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (enrol_request, enrol_response) = enrolment();
    let request = |pages, cursor| ExchangeRequest {
        pages,
        kinds: Some(Hash::from_bytes([16; 32])),
        app: "1.0".into(),
        feed_bytes_max: Some(100_000),
        ..ExchangeRequest::plain(BookId::from_bytes([9; 16]), IncarnationId::from_bytes([10; 16]), cursor)
    };
    let empty_cursor = Cursor {
        position: position(),
        fill: None,
    };
    let challenge = Challenged {
        challenge: vec![1; 32],
        signature: key().sign(&exchange_message(&[1; 32], b"packed")).unwrap(),
    };
    let refusal = Refusal {
        retry_after_ms: Some(5_000),
        challenge: Some(vec![1; 32]),
        ..Refusal::new(&RefusalCode::SignIn, "sign the challenge")
    };
    vec![
        ("header", "header", page().header),
        ("page", "page", codec::to_bytes(&page())),
        ("leaf", "leaf", leaf().to_bytes()),
        ("cursor", "cursor", codec::to_bytes(&empty_cursor)),
        ("enrol-request", "enrol-request", codec::to_bytes(&enrol_request)),
        ("enrol-response", "enrol-response", codec::to_bytes(&enrol_response)),
        (
            "exchange-request",
            "exchange-request",
            codec::to_bytes(&request(vec![page()], Some(empty_cursor.clone()))),
        ),
        (
            "exchange-request",
            "exchange-request-first",
            codec::to_bytes(&request(vec![], None)),
        ),
        (
            "exchange-request",
            "exchange-request-full",
            codec::to_bytes(&exchange_request_full(request(vec![page()], Some(empty_cursor.clone())))),
        ),
        ("receipt", "receipt", codec::to_bytes(&exchange_response().receipt.unwrap())),
        ("challenged", "challenged", codec::to_bytes(&challenge)),
        ("refusal", "refusal", codec::to_bytes(&refusal)),
        ("standing-request", "standing-request", codec::to_bytes(&standing_request())),
        (
            "standing-response",
            "standing-response",
            codec::to_bytes(&standing_response()),
        ),
    ]
    .into_iter()
    .chain(replies())
    .chain(parcel_forms())
    .chain(pin_forms())
    .chain(unlock_forms())
    .chain(ended::ended_forms())
    .chain(entries())
    .collect()
}

fn entries() -> impl Iterator<Item = (&'static str, &'static str, Vec<u8>)> {
    let [unit, user, book, kind] = registry();
    [
        ("change", change()),
        ("settlement", settlement()),
        ("act", act()),
        ("registry-unit", unit),
        ("registry-user", user),
        ("registry-book", book),
        ("registry-kind", kind),
        ("registry-grant", grant()),
        ("act-with-nonce", act_with_nonce()),
        ("recovered", recovered()),
    ]
    .into_iter()
    .chain(protection())
    .map(|(name, entry)| ("entry", name, entry.to_bytes()))
}

fn replies() -> [(&'static str, &'static str, Vec<u8>); 2] {
    let rule = "exchange-response";
    [
        (rule, rule, codec::to_bytes(&exchange_response())),
        (rule, "exchange-response-full", codec::to_bytes(&exchange_response_full())),
    ]
}
