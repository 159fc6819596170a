//! One sample of every wire form, made of fixed bytes.

use beatbook_protocol::codec;
use beatbook_protocol::digest::{Buckets, RecordDigest, SetDigest};
use beatbook_protocol::entry::{
    ActEntry, BookEvent, ChangeEntry, Entry, GrantEvent, KindEvent, Opens, RecoveredEntry, RegistryEvent, UnitEvent, UserEvent,
};
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{BookId, Hash, IncarnationId, RecordId, UnitId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::ledger::{Checkpoint, Leaf, Position, StationKey};
use beatbook_protocol::page::{BookKey, Break, Draft, P256_SHA256, SealedPage, Signer};
use beatbook_protocol::parcel::{
    ANSWER_MAGIC, Answer, AnswerContent, PARCEL_MAGIC, Parcel, ParcelContent, SealingKey, parcel_hash,
};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire::{
    BlobStanding, BucketRecords, Challenged, Cursor, DeliverRequest, DeliverResponse, EnrolRequest, EnrolResponse,
    ExchangeRequest, ExchangeResponse, FeedEntry, FeedLeaf, Fill, GivenEntry, KindFile, Owes, PageAnswer, Receipt, RecordState,
    Refusal, RefusalCode, SealingOffer, StandingRequest, StandingResponse, Verdict, WIRE_VERSION, enrol_message,
    exchange_message, receipt_root, runs,
};

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

pub(crate) fn registry() -> [Entry; 4] {
    let unit = UnitId::from_bytes([2; 16]);
    let user = UserId::from_bytes([8; 16]);
    [
        RegistryEvent::Unit(UnitEvent {
            unit,
            name: "中关村派出所".into(),
            parent: None,
        }),
        RegistryEvent::User(UserEvent {
            user,
            name: "王".into(),
            roles: vec!["chief".into()],
            unit,
        }),
        RegistryEvent::Book(BookEvent {
            book: BookId::from_bytes([9; 16]),
            user,
            suite: P256_SHA256,
            key: key().public_key().to_bytes(),
            device: "phone".into(),
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
    let [unit, user, book, kind] = registry();
    vec![
        ("entry", "change", change().to_bytes()),
        ("entry", "settlement", settlement().to_bytes()),
        ("entry", "act", act().to_bytes()),
        ("entry", "registry-unit", unit.to_bytes()),
        ("entry", "registry-user", user.to_bytes()),
        ("entry", "registry-book", book.to_bytes()),
        ("entry", "registry-kind", kind.to_bytes()),
        ("entry", "registry-grant", grant().to_bytes()),
        ("entry", "act-with-nonce", act_with_nonce().to_bytes()),
        ("entry", "recovered", recovered().to_bytes()),
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
    .collect()
}

fn replies() -> [(&'static str, &'static str, Vec<u8>); 2] {
    let rule = "exchange-response";
    [
        (rule, rule, codec::to_bytes(&exchange_response())),
        (rule, "exchange-response-full", codec::to_bytes(&exchange_response_full())),
    ]
}

/// What parcels add, by the names of their rules.
fn parcel_forms() -> [(&'static str, &'static str, Vec<u8>); 8] {
    let offer = || {
        let key = station_sealing_key().public_key();
        SealingOffer::sign(&key, ORIGIN, &StationKey::from_bytes(&[14; 32]))
    };
    let enrolled = EnrolResponse {
        sealing: Some(offer()),
        ..enrolment().1
    };
    let asks = ExchangeRequest {
        app: "1.0".into(),
        sealing: Some(true),
        ..ExchangeRequest::plain(BookId::from_bytes([9; 16]), IncarnationId::from_bytes([10; 16]), None)
    };
    let told = ExchangeResponse {
        sealing: Some(offer()),
        ..exchange_response()
    };
    let file = parcel_file();
    let deliver = DeliverRequest {
        version: WIRE_VERSION,
        parcel: file.clone(),
    };
    let delivered = DeliverResponse {
        version: WIRE_VERSION,
        answer: answer_file(),
    };
    [
        ("enrol-response", "enrol-response-sealing", codec::to_bytes(&enrolled)),
        ("exchange-request", "exchange-request-sealing", codec::to_bytes(&asks)),
        ("exchange-response", "exchange-response-sealing", codec::to_bytes(&told)),
        ("deliver-request", "deliver-request", codec::to_bytes(&deliver)),
        ("deliver-response", "deliver-response", codec::to_bytes(&delivered)),
        ("parcel", "parcel", file[PARCEL_MAGIC.len()..].to_vec()),
        ("parcel-answer", "parcel-answer", answer_file()[ANSWER_MAGIC.len()..].to_vec()),
        ("parcel-content", "parcel-content", codec::to_bytes(&parcel_content())),
    ]
}

pub(crate) const ORIGIN: &str = "beatbook/1";

/// The station's key, which parcels are sealed to.
pub(crate) fn station_sealing_key() -> SealingKey {
    SealingKey::from_bytes(&[17; 32])
}

/// The key of one parcel, which its answer is sealed to.
pub(crate) fn answer_key() -> SealingKey {
    SealingKey::from_bytes(&[18; 32])
}

pub(crate) fn parcel_content() -> ParcelContent {
    ParcelContent {
        book: BookId::from_bytes([9; 16]),
        incarnation: IncarnationId::from_bytes([10; 16]),
        pages: vec![page()],
        answer_key: *answer_key().public_key().as_bytes(),
        made_at: AT,
        app: "1.0".into(),
    }
}

pub(crate) fn parcel_file() -> Vec<u8> {
    frozen("parcel", PARCEL_MAGIC, || {
        let to = station_sealing_key().public_key();
        Parcel::seal(&parcel_content(), ORIGIN, &key(), &to, &[19; 32]).unwrap()
    })
}

/// What is compressed before it is sealed depends on zstd's version: the bytes of the vector stand, and must be read for ever.
fn frozen(name: &str, magic: &[u8; 8], make: impl Fn() -> Vec<u8>) -> Vec<u8> {
    match std::fs::read_to_string(crate::vector(name)) {
        Ok(text) => [magic.as_slice(), &crate::unhex(&text)].concat(),
        Err(_) => make(),
    }
}

pub(crate) fn answer_content() -> AnswerContent {
    let reply = exchange_response();
    AnswerContent {
        parcel: parcel_hash(&parcel_file()),
        server_time: AT,
        receipt: Receipt::sign(receipt_root(&reply.answers, &[], &[]), &StationKey::from_bytes(&[14; 32])),
        answers: reply.answers,
        checkpoint: reply.checkpoint.unwrap(),
        backed_up_to: Some(200),
    }
}

pub(crate) fn answer_file() -> Vec<u8> {
    frozen("parcel-answer", ANSWER_MAGIC, || {
        let station = StationKey::from_bytes(&[14; 32]);
        Answer::seal(&answer_content(), ORIGIN, &station, &answer_key().public_key(), &[20; 32]).unwrap()
    })
}
