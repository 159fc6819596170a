//! The least that is a phone: a key, a book, one visit written and submitted in one sealed page. The real one is in `client-core`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::codec;
use beatbook_protocol::document::{Document, Edit};
use beatbook_protocol::entry::{ActEntry, ChangeEntry, Entry, Opens};
use beatbook_protocol::id::{ActorId, BookId, Hash, IncarnationId, RecordId, UnitId};
use beatbook_protocol::kind::{Catalogue, DocumentName};
use beatbook_protocol::page::{BookKey, Draft, P256_SHA256, SealedPage, Signer as _};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire::{
    self, Challenged, EnrolRequest, EnrolResponse, ExchangeRequest, Verdict, WIRE_VERSION, verdict_of,
};
use beatbook_server::environment::{Clock as _, SystemClock};
use serde_json::json;

use crate::desk::Desk;

/// Words of the visit's note: 路灯 (street lamp), as a URL has them.
pub(crate) const WORDS_IN_URL: &str = "%E8%B7%AF%E7%81%AF";

/// An enrolled phone.
pub(crate) struct Phone {
    key: BookKey,
    book: BookId,
    unit: UnitId,
    pub(crate) token: String,
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

impl Phone {
    /// A new person of this role, with an enrolled phone.
    pub(crate) async fn enrolled(desk: &Desk, role: &str) -> Self {
        let added = desk
            .post("/api/v1/users", &json!({ "name": "王警官", "roles": [role] }), None)
            .await
            .json();
        let path = format!("/api/v1/users/{}/enrolment-code", added["user"].as_str().unwrap());
        let issued = desk.post(&path, &json!({}), None).await.json();
        let code = issued["code"].as_str().unwrap();
        let key = BookKey::from_secret(&random()).unwrap();
        let public = key.public_key().to_bytes();
        let book = BookId::from_parts(SystemClock.now(), random());
        let request = EnrolRequest {
            version: WIRE_VERSION,
            code: code.to_owned(),
            book,
            suite: P256_SHA256,
            key: public.clone(),
            proof: key.sign(&wire::enrol_message(code, book, &public)).unwrap(),
            device: "test phone".into(),
            app: "0".into(),
            attestation: None,
        };
        let reply = desk.sync("/sync/v1/enrol", wire::pack(&request).unwrap(), &[]).await;
        let response: EnrolResponse = wire::read("enrolment", &reply.message()).unwrap();
        Self {
            key,
            book,
            unit: response.unit,
            token: response.token,
        }
    }

    /// Writes a visit, finishes it and submits it, all accepted.
    pub(crate) async fn submitted_visit(&mut self, desk: &Desk) -> RecordId {
        self.submitted_visit_with(desk, Edit::new()).await
    }

    /// The same with more in it.
    pub(crate) async fn submitted_visit_with(&mut self, desk: &Desk, more: Edit) -> RecordId {
        let now = SystemClock.now();
        let record = RecordId::from_parts(now, random());
        let packed = self.request(vec![self.seal(self.visit(record, now, more), now)]);
        let bearer = format!("Bearer {}", self.token);
        let response = desk
            .sync("/sync/v1/exchange", packed, &[("authorization", &bearer)])
            .await
            .exchange();
        let [answer] = &response.answers[..] else {
            panic!("{response:?}")
        };
        for position in 0..3 {
            assert_eq!(verdict_of(&answer.verdicts, position), Some(Verdict::Accepted), "{answer:?}");
        }
        record
    }

    /// Its book.
    pub(crate) fn book(&self) -> BookId {
        self.book
    }

    /// A packed request with these pages.
    pub(crate) fn request(&self, pages: Vec<SealedPage>) -> Vec<u8> {
        wire::pack(&ExchangeRequest {
            pages,
            app: "0".into(),
            ..ExchangeRequest::plain(self.book, IncarnationId::from_bytes([1; 16]), None)
        })
        .unwrap()
    }

    /// The header that answers a challenge.
    pub(crate) fn answer(&self, challenge: &[u8], packed: &[u8]) -> String {
        let answered = Challenged {
            challenge: challenge.to_vec(),
            signature: self.key.sign(&wire::exchange_message(challenge, packed)).unwrap(),
        };
        STANDARD.encode(codec::to_bytes(&answered))
    }

    fn visit(&self, record: RecordId, now: UnixMillis, more: Edit) -> Vec<Entry> {
        let kinds = Catalogue::builtin().unwrap();
        let kind = kinds.newest("visit").unwrap();
        let none: [Vec<u8>; 0] = [];
        let mut facts = Document::open(kind, DocumentName::Facts, ActorId::from_bytes(random()), None, &none).unwrap();
        let edit = more
            .field("purpose", "routine")
            .field("started_at", now.0)
            .field("outcome", "done")
            .note("notes", "楼下路灯坏了");
        let change = facts.edit(&edit, now).unwrap();
        let opens = Opens {
            kind: "visit".into(),
            version: kind.version,
            unit: self.unit,
        };
        let act = |code: &str, last_act| {
            Entry::Act(ActEntry {
                record,
                code: code.into(),
                heads: facts.heads(),
                last_act,
                at: now,
                comment: None,
                values: None,
                private_heads: None,
                on_behalf: None,
                nonce: None,
            })
        };
        let finish = act("finish", None);
        let submit = act("submit", Some(beatbook_protocol::entry::identity(&finish.to_bytes())));
        let opening = Entry::Change(ChangeEntry {
            record,
            document: DocumentName::Facts.into(),
            change: change.bytes,
            at: now,
            settles: None,
            opens: Some(opens),
            on_behalf: None,
        });
        vec![opening, finish, submit]
    }

    fn seal(&self, entries: Vec<Entry>, now: UnixMillis) -> SealedPage {
        let entries: Vec<Vec<u8>> = entries.iter().map(Entry::to_bytes).collect();
        let seed = random();
        let draft = Draft {
            suite: P256_SHA256,
            book: self.book,
            incarnation: IncarnationId::from_bytes([1; 16]),
            sequence: 0,
            previous: Hash::from_bytes([0; 32]),
            stamp: Stamp {
                wall: now,
                boot: 1,
                monotonic: 1,
                checkpoint: None,
            },
            follows: None,
            seed,
            entries: &entries,
        };
        SealedPage::seal(draft.header(), seed, entries, &self.key).unwrap()
    }
}
