//! A phone made by hand: it writes, seals, sends and takes in as a phone does, and checks what it is told.

use std::collections::BTreeMap;

use beatbook_protocol::digest::SetDigest;
use beatbook_protocol::document::guard::{self, Incoming, Unknown};
use beatbook_protocol::document::{Document, Edit, EditError};
use beatbook_protocol::entry::{ActEntry, ChangeEntry, Entry, Opens};
use beatbook_protocol::id::{ActorId, BookId, Hash, IncarnationId, RecordId, UnitId};
use beatbook_protocol::kind::{Catalogue, DocumentName};
use beatbook_protocol::ledger::{Checkpoint, Position, StationPublicKey, merkle};
use beatbook_protocol::page::{BookKey, Draft, P256_SHA256, SealedPage, Signer, header_hash};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire::{
    Challenged, Cursor, EnrolResponse, ExchangeRequest, ExchangeResponse, Refusal, Verdict, exchange_message, pack, read, unpack,
    verdict_of,
};

use super::held::Held;
use crate::station::Station;

/// A phone, as far as a station can tell.
pub(crate) struct Phone {
    pub(crate) book: BookId,
    pub(crate) key: BookKey,
    pub(crate) enrolled: EnrolResponse,
    pub(crate) incarnation: IncarnationId,
    pub(crate) actor: ActorId,
    pub(crate) next: u64,
    pub(crate) previous: Hash,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) documents: BTreeMap<(RecordId, DocumentName), Document>,
    pub(crate) wall: i64,
    /// What it holds accepted.
    pub(crate) held: Held,
    /// Every byte that it was sent, unpacked.
    pub(crate) heard: Vec<u8>,
    /// The newest checkpoint.
    pub(crate) note: Option<String>,
    /// Kinds of records that are no visits.
    pub(crate) kinds: BTreeMap<RecordId, String>,
}

impl Phone {
    fn document(&mut self, record: RecordId, name: DocumentName) -> &mut Document {
        let (actor, kind) = (self.actor, self.kind_of(record));
        self.documents.entry((record, name)).or_insert_with(|| {
            let catalogue = super::catalogue();
            Document::open(catalogue.newest(&kind).unwrap(), name, actor, None, &[] as &[&[u8]]).unwrap()
        })
    }

    fn kind_of(&self, record: RecordId) -> String {
        self.kinds.get(&record).cloned().unwrap_or_else(|| "visit".to_owned())
    }

    /// Writes facts of a visit; with a unit, opens it.
    pub(crate) fn write(&mut self, record: RecordId, opens: Option<UnitId>, edit: Edit) -> Vec<u8> {
        self.write_in(record, DocumentName::Facts, opens, edit)
    }

    pub(crate) fn write_in(&mut self, record: RecordId, name: DocumentName, opens: Option<UnitId>, edit: Edit) -> Vec<u8> {
        self.wall += 1000;
        let (at, kind) = (UnixMillis(self.wall), self.kind_of(record));
        let document = self.document(record, name);
        let change = match document.edit(&edit, at) {
            // Whoever meets several values chooses.
            Err(EditError::Conflicted { .. }) => document.edit(&edit.settling(), at),
            made => made,
        };
        let change = change.unwrap();
        Entry::Change(ChangeEntry {
            record,
            document: name.into(),
            change: change.bytes,
            at,
            settles: change.settles.then_some(true),
            opens: opens.map(|unit| Opens {
                kind: kind.clone(),
                version: 1,
                unit,
            }),
            on_behalf: None,
        })
        .to_bytes()
    }

    pub(crate) fn act(&mut self, record: RecordId, code: &str, comment: Option<&str>) -> Vec<u8> {
        self.wall += 1000;
        Entry::Act(ActEntry {
            record,
            code: code.into(),
            heads: self.document(record, DocumentName::Facts).heads(),
            last_act: None,
            at: UnixMillis(self.wall),
            comment: comment.map(str::to_owned),
            values: None,
            private_heads: None,
            on_behalf: None,
            nonce: None,
        })
        .to_bytes()
    }

    /// Seals the next page.
    pub(crate) fn seal(&mut self, entries: Vec<Vec<u8>>) -> SealedPage {
        let seed = *Hash::of(&[b"test/seed\0", self.book.as_bytes(), &self.next.to_be_bytes()]).as_bytes();
        let header = Draft {
            suite: P256_SHA256,
            book: self.book,
            incarnation: self.incarnation,
            sequence: self.next,
            previous: self.previous,
            stamp: Stamp {
                wall: UnixMillis(self.wall),
                boot: 1,
                monotonic: 1,
                checkpoint: self.position(),
            },
            follows: None,
            seed,
            entries: &entries,
        }
        .header();
        self.next += 1;
        self.previous = header_hash(&header);
        SealedPage::seal(header, seed, entries, &self.key).unwrap()
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.cursor.as_ref().map(|cursor| cursor.position)
    }

    pub(crate) fn request(&self, pages: Vec<SealedPage>) -> ExchangeRequest {
        ExchangeRequest {
            pages,
            kinds: Some(Catalogue::builtin().unwrap().digest()),
            app: "test".into(),
            ..ExchangeRequest::plain(self.book, self.incarnation, self.cursor.clone())
        }
    }

    /// Checks a reply as a phone does, and takes in its feed.
    pub(crate) fn receive(&mut self, reply: &[u8]) -> ExchangeResponse {
        let bytes = unpack(reply).unwrap();
        self.heard.extend_from_slice(&bytes);
        let reply: ExchangeResponse = read("reply", &bytes).unwrap();
        if let Some(receipt) = &reply.receipt {
            let key = StationPublicKey::from_bytes(&self.enrolled.receipt_key.clone().try_into().unwrap()).unwrap();
            assert!(receipt.holds(&reply.answers, &reply.feed, reply.fill.as_deref().unwrap_or_default(), &key));
        }
        if let Some(note) = &reply.checkpoint {
            let key = StationPublicKey::from_bytes(&self.enrolled.checkpoint_key.clone().try_into().unwrap()).unwrap();
            let checkpoint = Checkpoint::verify(note, &self.enrolled.origin, &key).unwrap();
            let new = checkpoint.position;
            match (self.position(), &reply.consistency) {
                (Some(old), Some(proof)) => {
                    assert!(merkle::consistency_holds(old.size, old.root, new.size, new.root, proof));
                }
                (Some(old), None) => assert!(checkpoint.follows.is_some_and(|follows| follows.size >= old.size), "no proof"),
                (None, _) => {}
            }
            let reached = reply.cursor.position;
            match &reply.cursor_consistency {
                Some(proof) => assert!(merkle::consistency_holds(
                    reached.size,
                    reached.root,
                    new.size,
                    new.root,
                    proof
                )),
                None => assert_eq!(reached, new),
            }
        }
        for leaf in reply.fill.iter().flatten().chain(&reply.feed) {
            for entry in &leaf.entries {
                let entry = match Entry::parse(&entry.entry) {
                    Ok(Entry::Recovered(recovered)) => recovered.inner(),
                    other => other,
                };
                if let Ok(Entry::Change(change)) = entry {
                    if let Some(opens) = &change.opens {
                        self.kinds.insert(change.record, opens.kind.clone());
                    }
                    let document = self.document(change.record, change.document.name().unwrap());
                    let incoming = [Incoming {
                        bytes: &change.change,
                        settles: change.settles == Some(true),
                        actors: None,
                    }];
                    *document = guard::check(document, &incoming, Unknown::Keep).document;
                }
            }
        }
        self.cursor = Some(reply.cursor.clone());
        if reply.renew.is_none() {
            self.held.books.insert(self.book, self.enrolled.user);
            self.held.take(&reply);
        }
        if reply.checkpoint.is_some() {
            self.note.clone_from(&reply.checkpoint);
        }
        if let Some(token) = &reply.token {
            self.enrolled.token.clone_from(token);
        }
        reply
    }

    /// Takes own entries as accepted that the station took in.
    pub(crate) fn settle(&mut self, pages: &[SealedPage], reply: &ExchangeResponse) {
        for (page, answer) in pages.iter().zip(&reply.answers) {
            let Some(leaf) = answer.leaf else { continue };
            for (position, entry) in (0_u32..).zip(&page.entries) {
                let record = Entry::parse(entry).ok().and_then(|entry| entry.record());
                let has_left = record.is_some_and(|record| reply.left.iter().flatten().any(|left| *left == record));
                let verdict = verdict_of(&answer.verdicts, position);
                if !has_left && matches!(verdict, Some(Verdict::Accepted | Verdict::Offered)) {
                    self.held.put((leaf, position), self.book, reply.server_time, entry.to_vec());
                }
            }
        }
    }

    /// The digest of what it holds.
    pub(crate) fn digest(&self) -> SetDigest {
        self.held.digest(self.enrolled.user)
    }

    /// Whether these bytes stand anywhere in what it was sent.
    pub(crate) fn heard_of(&self, bytes: &[u8]) -> bool {
        self.heard.windows(bytes.len()).any(|window| window == bytes)
    }

    /// Sends without a token, signs the challenge, sends again.
    pub(crate) fn sign_in(&mut self, station: &Station) -> Result<ExchangeResponse, Refusal> {
        let (packed, challenged) = self.challenged(station);
        station
            .exchange(&packed, None, Some(&challenged))
            .map(|reply| self.receive(&reply))
    }

    /// A request with the answer to a challenge.
    pub(crate) fn challenged(&self, station: &Station) -> (Vec<u8>, Challenged) {
        let packed = pack(&self.request(vec![])).unwrap();
        let challenge = station.exchange(&packed, None, None).unwrap_err().challenge.unwrap();
        let signature = self.key.sign(&exchange_message(&challenge, &packed)).unwrap();
        (packed, Challenged { challenge, signature })
    }
}
