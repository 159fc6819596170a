//! Golden vectors: the bytes of every wire form, frozen in `vectors/` and held against the grammar in `wire.cddl`.
//!
//! A vector that changes breaks phones in the field. `BLESS=1` writes vectors for new forms; it never rewrites an old one.

use std::path::{Path, PathBuf};

use beatbook_protocol::codec;
use beatbook_protocol::entry::{
    ActEntry, BookEvent, ChangeEntry, Entry, KindEvent, Opens, RegistryEvent, UnitEvent, UserEvent, identity,
};
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{BookId, Hash, IncarnationId, RecordId, UnitId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::ledger::{Checkpoint, Leaf, Position, StationKey};
use beatbook_protocol::page::{BookKey, Break, Draft, Header, P256_SHA256, SealedPage, Signer};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire::{
    Challenged, Cursor, EnrolRequest, EnrolResponse, ExchangeRequest, ExchangeResponse, FeedEntry, FeedLeaf, Fill, KindFile,
    PageAnswer, Receipt, Refusal, RefusalCode, Verdict, WIRE_VERSION, enrol_message, exchange_message, receipt_root, runs,
};

const AT: UnixMillis = UnixMillis(1_795_000_000_000);

fn key() -> BookKey {
    BookKey::from_secret(&[5; 32]).unwrap()
}

fn position() -> Position {
    Position {
        epoch: 1,
        size: 300,
        root: Hash::from_bytes([6; 32]),
    }
}

fn change() -> Entry {
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

fn settlement() -> Entry {
    let Entry::Change(change) = change() else { unreachable!() };
    Entry::Change(ChangeEntry {
        document: DocumentName::Private.into(),
        settles: Some(true),
        opens: None,
        ..change
    })
}

fn act() -> Entry {
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
    })
}

fn registry() -> [Entry; 4] {
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

fn page() -> SealedPage {
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

fn verdicts() -> Vec<Verdict> {
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

fn leaf() -> Leaf {
    let page = page();
    Leaf {
        version: 1,
        header: page.header,
        signature: page.signature,
        verdicts: runs(&verdicts()),
        received: AT,
    }
}

fn exchange_response() -> ExchangeResponse {
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
        receipt: Some(Receipt::sign(receipt_root(&answers, &feed), &station)),
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
    }
}

fn enrolment() -> (EnrolRequest, EnrolResponse) {
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
    };
    (request, response)
}

/// Every form by the name of its rule in the grammar, with the bytes this version writes.
fn forms() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (enrol_request, enrol_response) = enrolment();
    let request = |pages, cursor| ExchangeRequest {
        version: WIRE_VERSION,
        book: BookId::from_bytes([9; 16]),
        incarnation: IncarnationId::from_bytes([10; 16]),
        cursor,
        pages,
        kinds: Some(Hash::from_bytes([16; 32])),
        app: "1.0".into(),
        feed_bytes_max: Some(100_000),
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
        ("header", "header", page().header),
        ("page", "page", codec::to_bytes(&page())),
        ("leaf", "leaf", leaf().to_bytes()),
        ("cursor", "cursor", codec::to_bytes(&empty_cursor)),
        ("enrol-request", "enrol-request", codec::to_bytes(&enrol_request)),
        ("enrol-response", "enrol-response", codec::to_bytes(&enrol_response)),
        (
            "exchange-request",
            "exchange-request",
            codec::to_bytes(&request(vec![page()], Some(empty_cursor))),
        ),
        (
            "exchange-request",
            "exchange-request-first",
            codec::to_bytes(&request(vec![], None)),
        ),
        (
            "exchange-response",
            "exchange-response",
            codec::to_bytes(&exchange_response()),
        ),
        ("receipt", "receipt", codec::to_bytes(&exchange_response().receipt.unwrap())),
        ("challenged", "challenged", codec::to_bytes(&challenge)),
        ("refusal", "refusal", codec::to_bytes(&refusal)),
    ]
}

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(format!("{name}.hex"))
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits
        .as_bytes()
        .chunks(128)
        .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

#[test]
fn every_form_has_the_bytes_of_its_golden_vector() {
    for (_, name, bytes) in forms() {
        let path = vector(name);
        if std::env::var_os("BLESS").is_some() && !path.exists() {
            std::fs::write(&path, hex(&bytes)).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{name}: no vector; BLESS=1 writes it"));
        assert_eq!(hex(&bytes), golden, "{name} changed: phones in the field speak the old form");
    }
}

#[test]
fn every_vector_obeys_the_grammar_and_is_deterministic() {
    let grammar = include_str!("../wire.cddl");
    for (rule, name, _) in forms() {
        let bytes = unhex(&std::fs::read_to_string(vector(name)).unwrap());
        codec::check(&bytes).unwrap();
        cddl_cat::validate_cbor_bytes(rule, grammar, &bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

#[test]
fn the_grammar_refuses_what_is_not_of_its_form() {
    let grammar = include_str!("../wire.cddl");
    for (rule, bytes) in [
        ("header", change().to_bytes()),
        ("page", page().header),
        ("leaf", codec::to_bytes(&page())),
    ] {
        assert!(cddl_cat::validate_cbor_bytes(rule, grammar, &bytes).is_err(), "{rule}");
    }
}

#[test]
fn vectors_read_back_to_what_they_say() {
    let read = |name: &str| unhex(&std::fs::read_to_string(vector(name)).unwrap());
    for (name, entry) in [("change", change()), ("settlement", settlement()), ("act", act())] {
        assert_eq!(Entry::parse(&read(name)).unwrap(), entry);
    }
    for (name, entry) in ["registry-unit", "registry-user", "registry-book", "registry-kind"]
        .into_iter()
        .zip(registry())
    {
        assert_eq!(Entry::parse(&read(name)).unwrap(), entry);
    }
    assert_eq!(
        codec::from_bytes::<ExchangeResponse>("reply", &read("exchange-response")).unwrap(),
        exchange_response()
    );
    assert_eq!(codec::from_bytes::<Leaf>("leaf", &read("leaf")).unwrap(), leaf());
    let sealed = codec::from_bytes::<SealedPage>("page", &read("page")).unwrap();
    assert_eq!(sealed.verify(&key().public_key()).unwrap().header().sequence, 0);
    let reply = exchange_response();
    let station = StationKey::from_bytes(&[14; 32]).verifying_key();
    assert!(reply.receipt.as_ref().unwrap().holds(&reply.answers, &reply.feed, &station));
    assert!(
        !reply
            .receipt
            .as_ref()
            .unwrap()
            .holds(&reply.answers[..1], &reply.feed, &station)
    );
    assert_eq!(
        identity(&read("change")).to_string(),
        "5df1daaa8c86c44a7850693fa62beb388c7ef659aeed5434ddf9f689fc854ac1",
        "the identity of entries never changes"
    );
}

#[test]
fn unknown_keys_sorts_and_codes_pass() {
    let mut header: Vec<u8> = page().header;
    header[0] += 1; // one pair more
    header.extend_from_slice(&[0x18, 99, 0xf6]);
    assert_eq!(codec::from_bytes::<Header>("header", &header).unwrap().sequence, 0);
    assert_eq!(Entry::parse(&[0x82, 0x18, 50, 0xa0]).unwrap(), Entry::Other(50));
    assert_eq!(
        Entry::parse(&[0x82, 0x02, 0x82, 0x18, 50, 0xa0]).unwrap(),
        Entry::Registry(RegistryEvent::Other(50))
    );
    assert_eq!(RefusalCode::from("later"), RefusalCode::Other("later".into()));
}

#[test]
fn entries_with_disorder_inside_are_refused() {
    let Entry::Act(act) = act() else { unreachable!() };
    let mut heads = act.clone();
    heads.heads.reverse();
    assert!(Entry::parse(&Entry::Act(heads).to_bytes()).is_err());
    let mut values = act.clone();
    values.values.as_mut().unwrap().reverse();
    assert!(Entry::parse(&Entry::Act(values).to_bytes()).is_err());
    let mut many = act;
    many.heads = (0..=255).map(|n| Hash::from_bytes([n; 32])).collect();
    assert!(Entry::parse(&Entry::Act(many).to_bytes()).is_err());
}
