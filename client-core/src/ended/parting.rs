//! Handing in what waits: a state machine without IO, like that of a sync. It sends pages under the book's signature until the station has
//! said of each that it holds it or why not; then the last word is signed. May be dropped and begun anew at any point.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::codec;
use beatbook_protocol::id::{Hash, IncarnationId};
use beatbook_protocol::limits::EXCHANGE_PAGES_MAX;
use beatbook_protocol::page::Signer;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    self, Challenged, Cursor, ExchangeRequest, ExchangeResponse, RefusalCode, WipeReceipt, WipedRequest, exchange_message,
};

use super::hear::{answered, check, settle, without_room};
use super::note::Farewelled;
use crate::core::Core;
use crate::error::CoreError;
use crate::store::ended::{self, EndedRow};
use crate::store::sync_state::{self, OwnBook};
use crate::store::{StoreError, outbox, pages, sending};
use crate::sync::{APP, Budget, KeyVault, SyncError, WaitReason, read_refusal, restored_to, seal};
use crate::transport::{Outcome, OutgoingRequest};

/// Where pages go; the same call as ever, answered otherwise.
const PATH: &str = "/sync/v1/exchange";
/// How long a phone that is lost, or whose person is blocked, waits for its station before it parts with what it could not hand in. One
/// that is retired or passed on waits for as long as it takes: it is in good hands.
const PATIENCE_MS: i64 = 24 * 60 * 60 * 1000;
/// Failures in a row after which it is left to the next start.
const FAILURES_MAX: u32 = 4;
const BACKOFF_MS: i64 = 1_000;
/// Why a phone keeps what its station would hold if it could.
const NO_ROOM: &str = "the station has no room for all that this phone holds: tell the chief; what it does not have is kept here";
/// Why a phone waits that can hand nothing in.
const KEY_LOST: &str =
    "the key of this phone's book is gone, and nothing can be handed in without it: tell the chief; after a day the phone parts";
const BACKOFF_MS_MAX: i64 = 60_000;

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartingStep {
    /// Send this, and give what comes of it to [`Parting::receive`].
    Send(OutgoingRequest),
    /// Come again at this time.
    Wait {
        /// When, by the clock that `now` is of.
        until: UnixMillis,
        /// Why.
        why: WaitReason,
    },
    /// The station has said of everything whether it holds it, or was waited for long enough: sign the last word, then shred.
    Ready,
    /// Not now: go on at the next start.
    Later(WaitReason),
}

/// What a parting did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartingReport {
    /// Requests sent.
    pub requests: u32,
    /// Pages settled: held, known, or refused.
    pub pages: u64,
}

/// What the phone says last, signed, if its key was there; it may go now.
#[derive(Debug, Clone)]
pub struct LastWord {
    pub(super) note: Farewelled,
    /// None where no key was left to sign it with.
    pub(super) packed: Option<Vec<u8>>,
    pub(super) key_handles: Vec<String>,
}

/// One parting of a core whose book has ended.
pub struct Parting<'c> {
    core: &'c Core,
    book: OwnBook,
    /// None once the keystore has lost the book's key.
    signer: Option<Box<dyn Signer + Send>>,
    ended: EndedRow,
    state: State,
    failures: u32,
    report: PartingReport,
    left_notes: u64,
    /// Pages that the station had no room for: of those that are not settled they are the first.
    passed: usize,
    /// Pages that the station had when this parting began. It may have been restored since to a time before it had them, so it is asked
    /// once more before they are destroyed here.
    unconfirmed: Vec<Hash>,
    /// Whether the station has answered this parting: also who has nothing to hand in asks once, since a station that was restored may
    /// have lost what it had taken in before the end.
    is_answered: bool,
}

#[derive(Debug, Clone)]
enum State {
    Open,
    Asked { packed: Vec<u8>, signature: Option<String> },
    Waiting { until: UnixMillis, why: WaitReason },
    Later(WaitReason),
    Ready,
}

impl std::fmt::Debug for Parting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parting")
            .field("book", &self.book.book)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl<'c> Parting<'c> {
    /// Begins, or goes on; none when the book is written in.
    ///
    /// # Errors
    /// When the file cannot be read, or the keystore fails. A key that it has lost is no error: the phone waits, and parts unsigned.
    pub fn open(core: &'c Core, vault: &dyn KeyVault) -> Result<Option<Self>, SyncError> {
        let Some(ended) = core.read_past_end(ended::ended)? else {
            return Ok(None);
        };
        let book = core.read_past_end(sync_state::own_book)?.ok_or(SyncError::NotEnrolled)?;
        let unconfirmed = core.read_past_end(ended::settled_pages)?;
        let signer = match vault.load(&book.key_handle) {
            Ok(signer) => Some(signer),
            Err(SyncError::KeyLost) => {
                tracing::warn!(book = %book.book, "the key of an ended book is gone: nothing of it can be handed in");
                None
            }
            Err(fault) => return Err(fault),
        };
        Ok(Some(Self {
            core,
            book,
            signer,
            ended,
            state: State::Open,
            failures: 0,
            report: PartingReport::default(),
            left_notes: 0,
            passed: 0,
            unconfirmed,
            is_answered: false,
        }))
    }

    /// Emergency notes that the station would not have, or was not there to take: the last word counts them.
    #[must_use]
    pub fn with_notes_left(self, left_notes: u64) -> Self {
        Self { left_notes, ..self }
    }

    /// Whether the station was waited for as long as this phone waits for it: then it tries once more, and parts with what it could not hand in.
    #[must_use]
    pub fn has_waited_enough(&self, now: UnixMillis) -> bool {
        // A clock that was set back does not prolong the wait by more than once that time. Without the key waiting longer brings nothing in.
        let is_in_good_hands = matches!(self.ended.why.as_str(), "retired" | "transferred") && self.signer.is_some();
        let waited = now.since(self.ended.heard_at);
        !is_in_good_hands && !(-PATIENCE_MS..PATIENCE_MS).contains(&waited)
    }

    /// What to do next. Asked again before anything was received, it says the same again.
    ///
    /// # Errors
    /// When pages cannot be sealed, or of the store.
    pub fn next(&mut self, now: UnixMillis) -> Result<PartingStep, SyncError> {
        if let State::Waiting { until, .. } = &self.state
            && (*until <= now || until.since(now) > BACKOFF_MS_MAX)
        {
            self.state = State::Open;
        }
        if matches!(self.state, State::Open) {
            self.stop_patrol();
            self.state = match self.ask(now)? {
                State::Later(_) if self.has_waited_enough(now) => State::Ready,
                state => state,
            };
        }
        Ok(match &self.state {
            State::Asked { packed, signature } => {
                self.report.requests += 1;
                PartingStep::Send(OutgoingRequest {
                    path: PATH,
                    token: None,
                    signature: signature.clone(),
                    body: packed.clone(),
                })
            }
            State::Waiting { until, why } => PartingStep::Wait {
                until: *until,
                why: why.clone(),
            },
            State::Later(why) => PartingStep::Later(why.clone()),
            State::Ready | State::Open => PartingStep::Ready,
        })
    }

    /// Takes in what came of the request.
    ///
    /// # Errors
    /// When the reply cannot be believed; nothing of it was stored then.
    pub fn receive(&mut self, now: UnixMillis, outcome: Outcome) -> Result<(), SyncError> {
        let State::Asked { packed, signature } = std::mem::replace(&mut self.state, State::Open) else {
            return Ok(());
        };
        match outcome {
            Outcome::Reply(bytes) => self.take_reply(now, &bytes),
            Outcome::Failed(fault) => {
                self.retry(now, WaitReason::Network(fault));
                Ok(())
            }
            Outcome::Refused { status, bytes } => {
                let Some(refusal) = read_refusal(&bytes) else {
                    self.retry(
                        now,
                        WaitReason::Station(format!("status {status}, and not by the station itself")),
                    );
                    return Ok(());
                };
                match refusal
                    .challenge
                    .filter(|_| signature.is_none() && refusal.code == RefusalCode::SignIn.as_str())
                {
                    Some(challenge) => {
                        let signer = self.signer.as_ref().ok_or(SyncError::KeyLost)?;
                        let signature = signer.sign(&exchange_message(&challenge, &packed))?;
                        let challenged = Challenged { challenge, signature };
                        let signature = Some(STANDARD.encode(codec::to_bytes(&challenged)));
                        self.state = State::Asked { packed, signature };
                    }
                    None if refusal.code == RefusalCode::UnknownBook.as_str() => self.wait_for_chief(now)?,
                    None => self.retry(now, WaitReason::Station(refusal.text)),
                }
                Ok(())
            }
        }
    }

    /// What it did so far.
    #[must_use]
    pub const fn report(&self) -> PartingReport {
        self.report
    }

    /// The last word, signed by the book's key; unsigned, and for the note alone, where that is lost. Call it once the parting is ready, and
    /// shred then.
    ///
    /// # Errors
    /// When the key does not sign, or of the store.
    pub fn last_word(&self, now: UnixMillis) -> Result<LastWord, SyncError> {
        let (leavings, key_handles) = self
            .core
            .read_past_end(|tx| Ok((ended::leavings(tx)?, ended::key_handles(tx)?)))?;
        let receipt = WipeReceipt {
            book: self.book.book,
            why: self.ended.why.clone(),
            wiped_at: now,
            held_pages: leavings.held_pages,
            held_entries: leavings.held_entries,
            lost_entries: leavings.lost_entries,
            lost_blobs: leavings.lost_blobs,
            lost_drafts: leavings.lost_drafts,
            left_notes: Some(self.left_notes).filter(|left| *left > 0),
        };
        let sign = |signer: &(dyn Signer + Send)| {
            let said = WipedRequest::sign(&receipt, &self.book.origin, signer)?;
            Ok::<_, SyncError>(wire::pack(&said).map_err(|fault| CoreError::Internal(fault.to_string()))?)
        };
        let packed = self.signer.as_deref().map(sign).transpose()?;
        Ok(LastWord {
            note: Farewelled {
                is_unsigned: packed.is_none(),
                ..Farewelled::of(&receipt)
            },
            packed,
            key_handles,
        })
    }

    /// A track that cannot become part of its record is counted as lost; all else is handed in.
    fn stop_patrol(&self) {
        if let Err(error) = self.core.patrol_stop_past_end() {
            tracing::warn!(%error, "the track of the patrol that was going on could not be written into its record");
        }
    }

    fn ask(&mut self, now: UnixMillis) -> Result<State, SyncError> {
        let Some(signer) = &self.signer else {
            return Ok(State::Later(WaitReason::Station(KEY_LOST.to_owned())));
        };
        self.core.write_past_end(|records| outbox::release(records.tx()))?;
        seal(self.core, &self.book, signer.as_ref(), now)?;
        let bytes_max = Budget::default().bytes_up_max;
        let (pages, life, cursor) = self.core.read_past_end(|tx| {
            let mut pages = sending::to_send_after(tx, self.passed, EXCHANGE_PAGES_MAX, bytes_max)?;
            if pages.is_empty() {
                pages = sending::to_send_again(tx, &self.unconfirmed, EXCHANGE_PAGES_MAX, bytes_max)?;
            }
            Ok((pages, pages::incarnation(tx)?, sync_state::exchanged(tx)?.cursor))
        })?;
        let Some((incarnation, _)) = life.filter(|_| !pages.is_empty() || !self.is_answered) else {
            return Ok(if self.passed == 0 {
                State::Ready
            } else {
                State::Later(WaitReason::Station(NO_ROOM.to_owned()))
            });
        };
        let request = ExchangeRequest {
            pages,
            app: APP.to_owned(),
            feed_bytes_max: Some(0),
            ..ExchangeRequest::plain(self.book.book, incarnation, cursor)
        };
        Ok(State::Asked {
            packed: wire::pack(&request).map_err(|fault| CoreError::Internal(fault.to_string()))?,
            signature: None,
        })
    }

    fn take_reply(&mut self, now: UnixMillis, packed: &[u8]) -> Result<(), SyncError> {
        let unbelievable = |fault: codec::CodecError| SyncError::Reply(fault.to_string());
        let bytes = wire::unpack(packed).map_err(unbelievable)?;
        let reply: ExchangeResponse = wire::read("reply", &bytes).map_err(unbelievable)?;
        let order = reply
            .wipe
            .as_ref()
            .ok_or_else(|| SyncError::Reply("this book has ended, and yet the station answers as if it had not".to_owned()))?;
        check(&self.book, order, &reply)?;
        let common = restored_to(self.core, &self.book, &reply)?;
        let fresh = IncarnationId::from_parts(now, self.core.platform().bytes());
        let settled = self.core.write_past_end(|records| {
            let settled = settle(records.tx(), &reply)?;
            ended::set_unknown(records.tx(), false)?;
            if let Some(common) = common {
                // What it lost of this book's pages goes up again, as it was; the cursor says that this was heard.
                records.send_again_from(common.map_or(0, |common| common.size), fresh)?;
                let cursor = common.map(|position| Cursor { position, fill: None });
                sync_state::set_cursor(records.tx(), cursor.as_ref())?;
            }
            Ok::<_, StoreError>(settled)
        })?;
        let passed = without_room(&reply);
        let answered: BTreeSet<&Hash> = answered(&reply).collect();
        self.unconfirmed.retain(|page| !answered.contains(page));
        self.report.pages += settled as u64;
        // What was lost stands before what found no room: all is offered again.
        self.passed = if common.is_some() { 0 } else { self.passed + passed };
        let moved = settled + passed > 0 || !self.is_answered || common.is_some();
        self.is_answered = true;
        if moved {
            self.failures = 0;
        } else {
            self.retry(now, WaitReason::NoProgress);
        }
        Ok(())
    }

    /// A station that was restored to before this book's enrolment does not learn of it by being asked again: that takes a chief.
    fn wait_for_chief(&mut self, now: UnixMillis) -> Result<(), SyncError> {
        self.core.write_past_end(|records| ended::set_unknown(records.tx(), true))?;
        self.failures = FAILURES_MAX;
        self.retry(now, WaitReason::UnknownBook);
        Ok(())
    }

    fn retry(&mut self, now: UnixMillis, why: WaitReason) {
        self.failures += 1;
        self.state = if self.failures >= FAILURES_MAX {
            if self.has_waited_enough(now) {
                State::Ready
            } else {
                State::Later(why)
            }
        } else {
            let wait = (BACKOFF_MS << (self.failures - 1).min(16)).min(BACKOFF_MS_MAX);
            State::Waiting {
                until: now.plus(wait),
                why,
            }
        };
    }
}
