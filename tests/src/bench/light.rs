//! A phone without a database: enrols like any other, seals pages, sends them packed, and reads the answers. For benchmarks of the
//! station, where hundreds of whole phones would measure themselves.

use std::time::Duration;

use beatbook_protocol::entry::{ActEntry, ChangeEntry, Entry, Opens};
use beatbook_protocol::id::{ActorId, BookId, Hash, IncarnationId, RecordId, UnitId};
use beatbook_protocol::kind::{Catalogue, DocumentName};
use beatbook_protocol::limits::{PAGE_BYTES_SEAL, PAGE_ENTRIES_MAX};
use beatbook_protocol::page::{BookKey, Draft, P256_SHA256, SealedPage, Signer, header_hash};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire::{
    self, Cursor, EnrolRequest, EnrolResponse, ExchangeRequest, ExchangeResponse, MEDIA_TYPE, WIRE_VERSION, enrol_message,
};

use super::BenchError;
use crate::seeded::Seeded;

/// The phone.
#[derive(Debug)]
pub struct LightPhone {
    http: reqwest::Client,
    url: String,
    key: BookKey,
    book: BookId,
    incarnation: IncarnationId,
    /// The author mark of its changes.
    pub actor: ActorId,
    /// The unit of its user.
    pub unit: UnitId,
    token: String,
    next: u64,
    previous: Hash,
    /// How far it is.
    pub cursor: Option<Cursor>,
}

/// What a phone was told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// Entries accepted or offered.
    pub accepted: u64,
    /// Entries with any other verdict, and pages that were not taken in.
    pub others: u64,
    /// Entries that came down.
    pub fed: u64,
    /// Whether there is more to come down.
    pub more: bool,
}

fn wrong(fault: impl std::fmt::Display) -> BenchError {
    BenchError::Wrong(fault.to_string())
}

impl LightPhone {
    /// Enrols by a one-time code.
    ///
    /// # Errors
    /// When the station refuses.
    pub async fn enrol(url: &str, code: &str, seeded: &mut Seeded) -> Result<Self, BenchError> {
        let mut bytes = || {
            let mut bytes = [0; 16];
            seeded.fill(&mut bytes);
            bytes
        };
        let (book, incarnation, actor) = (BookId::from_bytes(bytes()), bytes(), bytes());
        let secret = Hash::of(&[&bytes(), &bytes()]);
        let key = BookKey::from_secret(secret.as_bytes()).map_err(wrong)?;
        let public = key.public_key().to_bytes();
        let proof = key.sign(&enrol_message(code, book, &public)).map_err(wrong)?;
        let request = EnrolRequest {
            version: WIRE_VERSION,
            code: code.to_owned(),
            book,
            suite: P256_SHA256,
            key: public,
            proof,
            device: "bench".into(),
            app: "bench".into(),
            attestation: None,
        };
        // A day's work of 300 phones may wait for its turn longer than a person would.
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(Duration::from_secs(120))
            .build()?;
        let packed = wire::pack(&request).map_err(wrong)?;
        let reply = send(&http, &format!("{url}/sync/v1/enrol"), None, packed).await?;
        let enrolled: EnrolResponse = wire::read("enrolment", &wire::unpack(&reply).map_err(wrong)?).map_err(wrong)?;
        Ok(Self {
            http,
            url: url.to_owned(),
            key,
            book,
            incarnation: IncarnationId::from_bytes(incarnation),
            actor: ActorId::from_bytes(actor),
            unit: enrolled.unit,
            token: enrolled.token,
            next: 0,
            previous: Hash::from_bytes([0; 32]),
            cursor: None,
        })
    }

    /// A request that carries these entries up, sealed into pages as a phone does.
    ///
    /// # Errors
    /// When it cannot be sealed or packed.
    pub fn request(&mut self, entries: Vec<Vec<u8>>, feed_bytes_max: Option<u32>) -> Result<Vec<u8>, BenchError> {
        let mut request = ExchangeRequest::plain(self.book, self.incarnation, self.cursor.clone());
        request.kinds = Some(Catalogue::builtin().map_err(wrong)?.digest());
        request.feed_bytes_max = feed_bytes_max;
        let (mut page, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            if page.len() == PAGE_ENTRIES_MAX || bytes > PAGE_BYTES_SEAL {
                request.pages.push(self.seal(std::mem::take(&mut page))?);
                bytes = 0;
            }
            bytes += entry.len();
            page.push(entry);
        }
        if !page.is_empty() {
            request.pages.push(self.seal(page)?);
        }
        wire::pack(&request).map_err(wrong)
    }

    fn seal(&mut self, entries: Vec<Vec<u8>>) -> Result<SealedPage, BenchError> {
        let seed = *Hash::of(&[b"bench/seed\0", self.book.as_bytes(), &self.next.to_be_bytes()]).as_bytes();
        let header = Draft {
            suite: P256_SHA256,
            book: self.book,
            incarnation: self.incarnation,
            sequence: self.next,
            previous: self.previous,
            stamp: Stamp {
                wall: UnixMillis(1_795_000_000_000),
                boot: 1,
                monotonic: 1,
                checkpoint: self.cursor.as_ref().map(|cursor| cursor.position),
            },
            follows: None,
            seed,
            entries: &entries,
        }
        .header();
        self.next += 1;
        self.previous = header_hash(&header);
        SealedPage::seal(header, seed, entries, &self.key).map_err(wrong)
    }

    /// Sends a packed request and takes in what the answer says of verdicts and cursor.
    ///
    /// # Errors
    /// When the answer is no reply.
    pub async fn exchange(&mut self, packed: Vec<u8>) -> Result<Told, BenchError> {
        let url = format!("{}/sync/v1/exchange", self.url);
        let reply = send(&self.http, &url, Some(&self.token), packed).await?;
        let bytes = wire::unpack(&reply).map_err(wrong)?;
        let reply: ExchangeResponse = wire::read("reply", &bytes).map_err(wrong)?;
        let mut told = Told {
            more: reply.more == Some(true),
            fed: reply.feed.iter().map(|leaf| leaf.entries.len() as u64).sum(),
            ..Told::default()
        };
        for answer in &reply.answers {
            told.others += u64::from(answer.fault.is_some());
            for run in &answer.verdicts {
                let count = u64::from(run.count);
                // 0 accepted, 4 offered.
                let is_in = matches!(run.verdict, 0 | 4);
                *(if is_in { &mut told.accepted } else { &mut told.others }) += count;
            }
        }
        self.cursor = Some(reply.cursor);
        Ok(told)
    }
}

async fn send(http: &reqwest::Client, url: &str, token: Option<&str>, packed: Vec<u8>) -> Result<Vec<u8>, BenchError> {
    let mut request = http.post(url).header("content-type", MEDIA_TYPE).body(packed);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await?;
    let status = response.status();
    let body = response.bytes().await?;
    if status.is_success() {
        return Ok(body.to_vec());
    }
    let refusal = wire::unpack(&body).and_then(|bytes| wire::read::<wire::Refusal>("refusal", &bytes));
    Err(match refusal {
        Ok(wire::Refusal {
            retry_after_ms: Some(wait),
            ..
        }) => BenchError::TryLater(Duration::from_millis(wait)),
        Ok(refusal) => wrong(format!("{status}: {} ({})", refusal.code, refusal.text)),
        Err(_) => wrong(format!("{status}")),
    })
}

/// A change as an entry; with a unit, it opens the record.
#[must_use]
pub fn change_entry(record: RecordId, change: &[u8], opens: Option<(&str, UnitId)>, at: UnixMillis) -> Vec<u8> {
    Entry::Change(ChangeEntry {
        record,
        document: DocumentName::Facts.into(),
        change: change.to_vec(),
        at,
        settles: None,
        opens: opens.map(|(kind, unit)| Opens {
            kind: kind.to_owned(),
            version: 1,
            unit,
        }),
        on_behalf: None,
    })
    .to_bytes()
}

/// An act as an entry.
#[must_use]
pub fn act_entry(record: RecordId, code: &str, heads: Vec<Hash>, at: UnixMillis) -> Vec<u8> {
    Entry::Act(ActEntry {
        record,
        code: code.to_owned(),
        heads,
        last_act: None,
        at,
        comment: None,
        values: None,
        private_heads: None,
        on_behalf: None,
        nonce: None,
    })
    .to_bytes()
}
