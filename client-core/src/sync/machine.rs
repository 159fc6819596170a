//! The sync state machine: what to send next, and what a reply means. It may be dropped and begun anew at any point, since all that
//! lasts is in the store: pages keep their bytes, and any request may be repeated.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::codec::{CodecError, to_bytes};
use beatbook_protocol::id::IncarnationId;
use beatbook_protocol::page::Signer;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{self, Challenged, ExchangeResponse, Refusal, RefusalCode, exchange_message};

use super::apply::{self, Applied};
use super::ask::{self, Asked, Said, Wish};
use super::load::Load;
use super::report::ask_again;
use super::rounds::Next;
use super::verify::{self, Known, Standing, read_refusal};
use super::{Budget, KeyVault, SyncError, SyncEvent, SyncFault, SyncReport, WaitReason};
use crate::core::Core;
use crate::store::sync_state::{self, OwnBook};
use crate::store::{digests, pages};
use crate::transport::{Outcome, OutgoingRequest, TransportFault};

/// Where exchanges go.
const PATH: &str = "/sync/v1/exchange";
/// The refusal of a station that does not know the history our cursor is of.
const UNKNOWN_HISTORY: &str = "unknown_history";
/// And of one that knows that its own is in doubt.
const HISTORY_ALARM: &str = "history_alarm";
/// The first wait after a failure; doubled with each further one.
const BACKOFF_MS: i64 = 1_000;
/// The longest wait of our own.
const BACKOFF_MS_MAX: i64 = 60_000;
/// Pages sealed anew in a row before the phone slows down.
const RESEALED_MAX: u32 = 3;
/// The longest wait that a station may ask for: a broken clock there must not silence a phone for days.
const ASKED_MS_MAX: i64 = 3_600_000;

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this, and give what comes of it to [`SyncMachine::receive`].
    Send(OutgoingRequest),
    /// Come again at this time.
    Wait {
        /// When, by the clock that `now` is of.
        until: UnixMillis,
        /// Why.
        why: WaitReason,
    },
    /// Nothing more to do now.
    Done(SyncReport),
}

/// One sync of a core with its station.
pub struct SyncMachine<'c> {
    core: &'c Core,
    book: OwnBook,
    signer: Box<dyn Signer + Send>,
    budget: Budget,
    state: State,
    failures: u32,
    load: Load,
    answered: u32,
    resealed: u32,
    next: Next,
    report: SyncReport,
}

#[derive(Debug, Clone)]
enum State {
    Ready,
    Waiting { until: UnixMillis, why: WaitReason },
    Asked(Asked),
    Done,
}

impl std::fmt::Debug for SyncMachine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("SyncMachine");
        shown.field("book", &self.book.book).field("report", &self.report);
        shown.finish_non_exhaustive()
    }
}

impl<'c> SyncMachine<'c> {
    /// Begins a sync.
    ///
    /// # Errors
    /// When the phone is not enrolled, or the book's key is gone.
    pub fn open(core: &'c Core, vault: &dyn KeyVault, budget: Budget) -> Result<Self, SyncError> {
        let book = core.read(sync_state::own_book)?.ok_or(SyncError::NotEnrolled)?;
        let signer = vault.load(&book.key_handle)?;
        let (exchanged, agreement) = core.read(|tx| Ok((sync_state::exchanged(tx)?, digests::agreement(tx)?)))?;
        let state = match exchanged.not_before {
            Some(until) => State::Waiting {
                until,
                why: WaitReason::Station(exchanged.fault.map(|(_, text)| text).unwrap_or_default()),
            },
            None => State::Ready,
        };
        Ok(Self {
            core,
            book,
            signer,
            budget,
            state,
            failures: 0,
            load: Load::whole(),
            answered: 0,
            resealed: 0,
            next: Next::begin(digests::is_due(&agreement, core.platform().clock.wall())),
            report: SyncReport::default(),
        })
    }

    /// What to do next. Asked again before anything was received, it says the same again.
    ///
    /// # Errors
    /// When pages cannot be sealed, or of the store.
    pub fn next(&mut self, now: UnixMillis) -> Result<Step, SyncError> {
        if let State::Waiting { until, why } = &self.state {
            let until = *until;
            // Further off than a station may ask for: stored under a clock that was ahead. Cut down, it would move on with each call.
            if until <= now || until > now.plus(ASKED_MS_MAX) {
                self.state = State::Ready;
            } else if self.budget.deadline.is_none_or(|deadline| until < deadline) {
                return Ok(Step::Wait { until, why: why.clone() });
            } else {
                let fault = SyncFault::TryLater(why.clone());
                self.finish(now, Some(fault))?;
            }
        }
        if matches!(self.state, State::Ready) {
            if self.answered >= self.budget.requests_max || self.budget.deadline.is_some_and(|deadline| now >= deadline) {
                self.finish(now, Some(SyncFault::BudgetUsed))?;
            } else {
                self.state = State::Asked(self.ask(now)?);
            }
        }
        Ok(match &self.state {
            State::Asked(asked) => {
                self.report.requests += 1;
                self.report.bytes_up += asked.packed.len() as u64;
                Step::Send(OutgoingRequest {
                    path: PATH,
                    token: asked.token.clone(),
                    signature: asked.signature.clone(),
                    body: asked.packed.clone(),
                })
            }
            State::Ready | State::Waiting { .. } | State::Done => Step::Done(self.report.clone()),
        })
    }

    /// Takes in what came of the request. Without a request nothing happens, so a reply that comes twice is harmless.
    ///
    /// # Errors
    /// When the reply cannot be believed or applied; nothing of it was stored then, and the sync is over.
    pub fn receive(&mut self, now: UnixMillis, outcome: Outcome) -> Result<Vec<SyncEvent>, SyncError> {
        let State::Asked(asked) = std::mem::replace(&mut self.state, State::Done) else {
            return Ok(Vec::new());
        };
        let events = match outcome {
            Outcome::Reply(packed) => self.take_reply(now, &packed, &asked.said),
            Outcome::Refused { status, bytes } => {
                self.report.bytes_down += bytes.len() as u64;
                self.take_refusal(now, asked, status, &bytes).map(|()| Vec::new())
            }
            // The same certificate would be shown again: not a line to be tried until it holds.
            Outcome::Failed(TransportFault::Untrusted(why)) => {
                self.finish(now, Some(SyncFault::Untrusted(why))).map(|()| Vec::new())
            }
            Outcome::Failed(fault) => {
                self.load.broke(asked.pages);
                self.retry(now, WaitReason::Network(fault), None).map(|()| Vec::new())
            }
        };
        if let Err(fault) = &events {
            let text = fault.to_string();
            self.log(now, &text, None)?;
        }
        events
    }

    fn ask(&mut self, now: UnixMillis) -> Result<Asked, SyncError> {
        let (compares, recounts) = self.next.comparison(self.answered == 0);
        if recounts {
            self.core.write(|records| records.count_all())?;
        }
        let mut wish = Wish {
            load: self.load,
            budget: self.budget,
            compares,
            gives: self.next.has_caught_up,
            shows_witness: self.next.shows_witness,
        };
        let asked = ask::ask(self.core, &self.book, self.signer.as_ref(), &mut wish, now)?;
        self.load = wish.load;
        Ok(asked)
    }

    fn take_reply(&mut self, now: UnixMillis, packed: &[u8], said: &Said) -> Result<Vec<SyncEvent>, SyncError> {
        self.report.bytes_down += packed.len() as u64;
        let unbelievable = |fault: CodecError| SyncError::Reply(fault.to_string());
        let bytes = wire::unpack(packed).map_err(unbelievable)?;
        let reply: ExchangeResponse = wire::read("reply", &bytes).map_err(unbelievable)?;
        if let Some(order) = &reply.wipe {
            // Nothing is stored from here on but by the parting.
            crate::ended::hear(self.core, &self.book, order, &reply, now)?;
            self.answered += 1;
            (self.state, self.report.fault) = (State::Done, Some(SyncFault::Ended { why: order.why.clone() }));
            return Ok(Vec::new());
        }
        if reply.renew == Some(true) {
            return self.renew(now);
        }
        let exchanged = self.core.read(sync_state::exchanged)?;
        let known = Known {
            book: &self.book,
            cursor: exchanged.cursor.as_ref(),
            checkpoint: exchanged.checkpoint.as_deref(),
        };
        let standing = verify::check(&reply, &known)?;
        apply::check_answers(self.core, &reply.answers)?;
        self.answered += 1;
        self.report.ask_again_ms = reply.next_ms.map(ask_again);
        self.next.shows_witness = false;
        self.load.held();
        let applied = match standing {
            Standing::GoesOn => apply::apply(self.core, &self.book, &reply, said, now)?,
            Standing::Restored { epoch, common } => {
                apply::begin_again(self.core, &self.book, &reply, common, now)?;
                self.next.compare_all();
                Applied {
                    moved: true,
                    to_send: true,
                    events: vec![SyncEvent::StationRestored { epoch }],
                    ..Applied::default()
                }
            }
        };
        let more = reply.more == Some(true) || reply.cursor.fill.is_some();
        self.count(now, applied, more, said)
    }

    /// This file is an old copy of itself: it goes on in a new life. Nothing of the request was taken in.
    fn renew(&mut self, now: UnixMillis) -> Result<Vec<SyncEvent>, SyncError> {
        let next = IncarnationId::from_parts(now, self.core.platform().bytes());
        self.core.write(|records| pages::renew(records.tx(), next))?;
        self.answered += 1;
        self.report.events.push(SyncEvent::OldCopy);
        self.resealed += 1;
        if self.resealed <= RESEALED_MAX {
            self.state = State::Ready;
        } else {
            self.retry(now, WaitReason::NoProgress, None)?;
        }
        Ok(vec![SyncEvent::OldCopy])
    }

    fn count(&mut self, now: UnixMillis, mut applied: Applied, more: bool, said: &Said) -> Result<Vec<SyncEvent>, SyncError> {
        // A station that takes no page at all would have them sealed anew for ever.
        self.resealed = if applied.pages > 0 {
            0
        } else {
            self.resealed + applied.resealed
        };
        let moved = applied.moved || (applied.resealed > 0 && self.resealed <= RESEALED_MAX);
        if moved {
            self.failures = 0;
        }
        let has_caught_up = !more && !applied.to_send;
        self.next.has_caught_up = has_caught_up;
        let goes_on = has_caught_up && self.next.go_on(&mut applied, said);
        let report = &mut self.report;
        report.pages += applied.pages;
        report.entries += applied.entries;
        report.accepted += applied.accepted;
        report.refused += applied.refused;
        report.feed_entries += applied.feed_entries;
        report.events.extend(applied.events.iter().cloned());
        if goes_on {
            self.state = State::Ready;
        } else if has_caught_up {
            self.report.complete = applied.complete;
            self.finish(now, None)?;
        } else if moved {
            self.state = State::Ready;
        } else {
            self.retry(now, WaitReason::NoProgress, None)?;
        }
        Ok(applied.events)
    }

    fn take_refusal(&mut self, now: UnixMillis, asked: Asked, status: u16, bytes: &[u8]) -> Result<(), SyncError> {
        let Some(refusal) = read_refusal(bytes) else {
            // Not the station's own word: a proxy that is busy may be asked again, anything else is reported.
            let text = format!("status {status}, and not by the station itself");
            return match status {
                408 | 425 | 429 | 500..=599 => self.retry(now, WaitReason::Station(text), None),
                _ => {
                    let code = status.to_string();
                    self.finish(now, Some(SyncFault::Refused { code, text }))
                }
            };
        };
        let asked_ms = refusal.retry_after_ms.and_then(|millis| i64::try_from(millis).ok());
        match refusal.code() {
            RefusalCode::SignIn => match refusal.challenge.filter(|_| asked.signature.is_none()) {
                Some(challenge) => self.answer_challenge(asked, challenge),
                None => self.finish(now, Some(SyncFault::SignInAgain)),
            },
            RefusalCode::TryLater | RefusalCode::Internal => self.retry(now, WaitReason::Station(refusal.text), asked_ms),
            RefusalCode::TooLarge if asked.pages > 1 => {
                self.load.pages = asked.pages / 2;
                self.state = State::Ready;
                Ok(())
            }
            RefusalCode::UnknownBook => self.finish(now, Some(SyncFault::UnknownBook)),
            RefusalCode::AwaitingConfirmation => self.finish(now, Some(SyncFault::AwaitingConfirmation)),
            RefusalCode::Version => self.finish(now, Some(SyncFault::UpgradeRequired)),
            // Its own word that our cursor is on no ledger of its: what `verify` would say of its reply.
            RefusalCode::Other(code) if code == UNKNOWN_HISTORY => {
                // It is shown its own signature once, so that whoever runs it is told.
                self.next.shows_witness = !asked.said.witness;
                if asked.said.witness {
                    return Err(SyncError::StationChanged(refusal.text));
                }
                self.state = State::Ready;
                Ok(())
            }
            // Others have proved it to the station: it takes nothing from anybody until its operator has looked.
            RefusalCode::Other(code) if code == HISTORY_ALARM => Err(SyncError::StationChanged(refusal.text)),
            RefusalCode::Malformed
            | RefusalCode::TooLarge
            | RefusalCode::EnrolmentCode
            | RefusalCode::Blocked
            | RefusalCode::Attestation
            | RefusalCode::Other(_) => {
                let Refusal { code, text, .. } = refusal;
                self.finish(now, Some(SyncFault::Refused { code, text }))
            }
        }
    }

    /// The same bytes once more, signed by the book together with the station's challenge.
    fn answer_challenge(&mut self, asked: Asked, challenge: Vec<u8>) -> Result<(), SyncError> {
        let signature = self.signer.sign(&exchange_message(&challenge, &asked.packed))?;
        let challenged = Challenged { challenge, signature };
        self.state = State::Asked(Asked {
            token: None,
            signature: Some(STANDARD.encode(to_bytes(&challenged))),
            ..asked
        });
        Ok(())
    }

    /// Waits before the next try, longer each time and never in step with other phones; or gives up for this time.
    fn retry(&mut self, now: UnixMillis, why: WaitReason, asked_ms: Option<i64>) -> Result<(), SyncError> {
        self.failures += 1;
        let until = asked_ms.map(|millis| now.plus(millis.clamp(0, ASKED_MS_MAX)));
        if self.failures >= self.budget.failures_max {
            self.state = State::Done;
            let fault = SyncFault::TryLater(why);
            let text = fault.to_string();
            self.report.fault = Some(fault);
            return self.log(now, &text, until);
        }
        self.log(now, &why.to_string(), until)?;
        let full = (BACKOFF_MS << (self.failures - 1).min(16)).min(BACKOFF_MS_MAX);
        let jitter = i64::from(u16::from_be_bytes(self.core.platform().bytes()));
        let own = now.plus(full / 2 + (full / 2) * jitter / i64::from(u16::MAX));
        self.state = State::Waiting {
            until: until.map_or(own, |until| until.max(own)),
            why,
        };
        Ok(())
    }

    fn finish(&mut self, now: UnixMillis, fault: Option<SyncFault>) -> Result<(), SyncError> {
        self.state = State::Done;
        // Whoever waits goes on waiting, and the log says since when.
        if let Some(fault) = fault.as_ref().filter(|fault| !matches!(fault, SyncFault::TryLater(_))) {
            self.log(now, &fault.to_string(), None)?;
        }
        self.report.fault = fault;
        Ok(())
    }

    fn log(&self, now: UnixMillis, text: &str, until: Option<UnixMillis>) -> Result<(), SyncError> {
        self.core
            .write(|records| sync_state::log_fault(records.tx(), now, text, until))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
