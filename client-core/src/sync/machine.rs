//! The sync state machine: what to send next, and what a reply means. It may be dropped and begun anew at any point, since all that
//! lasts is in the store: pages keep their bytes, and any request may be repeated.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::codec::{CodecError, to_bytes};
use beatbook_protocol::id::IncarnationId;
use beatbook_protocol::limits::EXCHANGE_PAGES_MAX;
use beatbook_protocol::page::Signer;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{self, Challenged, ExchangeResponse, Refusal, RefusalCode, exchange_message};

use super::apply::{self, Applied};
use super::ask::{self, Asked, Said, Wish};
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
    pages_max: usize,
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
            pages_max: EXCHANGE_PAGES_MAX,
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
            Outcome::Reply(packed) => {
                self.report.bytes_down += packed.len() as u64;
                self.take_reply(now, &packed, &asked.said)
            }
            Outcome::Refused { status, bytes } => {
                self.report.bytes_down += bytes.len() as u64;
                self.take_refusal(now, asked, status, &bytes).map(|()| Vec::new())
            }
            // The same certificate would be shown again: not a line to be tried until it holds.
            Outcome::Failed(TransportFault::Untrusted(why)) => {
                self.finish(now, Some(SyncFault::Untrusted(why))).map(|()| Vec::new())
            }
            Outcome::Failed(fault) => {
                // A line that breaks may carry less at a time.
                self.pages_max = (asked.pages / 2).max(1);
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
            pages_max: self.pages_max,
            budget: self.budget,
            compares,
            gives: self.next.has_caught_up,
            shows_witness: self.next.shows_witness,
        };
        let asked = ask::ask(self.core, &self.book, self.signer.as_ref(), &mut wish, now)?;
        self.pages_max = wish.pages_max;
        Ok(asked)
    }

    fn take_reply(&mut self, now: UnixMillis, packed: &[u8], said: &Said) -> Result<Vec<SyncEvent>, SyncError> {
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
        self.next.shows_witness = false;
        self.pages_max = self.pages_max.saturating_mul(2).min(EXCHANGE_PAGES_MAX);
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
                self.pages_max = asked.pages / 2;
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
        if let Some(fault) = &fault {
            let keeps_waiting = matches!(fault, SyncFault::TryLater(_));
            if !keeps_waiting {
                self.log(now, &fault.to_string(), None)?;
            }
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
mod tests {
    use beatbook_protocol::id::Hash;
    use beatbook_protocol::page::{BookPublicKey, KeyError};
    use beatbook_protocol::wire::{EnrolRequest, Verdict};

    use super::super::testing::{Phone, Station, opened, refuse};
    use super::super::{EnrolError, Enrolment, StoreVault, WaitingBecause, status};
    use super::*;
    use crate::store::outbox;

    fn failed() -> Outcome {
        Outcome::Failed(TransportFault::TimedOut)
    }

    fn sent(step: Step) -> OutgoingRequest {
        match step {
            Step::Send(request) => request,
            other => panic!("expected a request, not {other:?}"),
        }
    }

    #[test]
    fn a_day_goes_up_in_one_request_and_then_nothing_waits() {
        let mut station = Station::new();
        station.write("of another");
        let phone = Phone::enrolled(&mut station);
        assert!(!status(&phone.core).unwrap().synced);
        let written: Vec<Hash> = (0..20).map(|_| phone.write(100)).collect();
        let report = phone.sync(&mut station).unwrap();
        assert_eq!((report.requests, report.pages, report.entries), (1, 1, 20));
        assert_eq!((report.accepted, report.refused, report.feed_entries), (20, 0, 1));
        assert!(report.complete && report.fault.is_none());
        assert_eq!(station.accepted(), written);
        assert!(status(&phone.core).unwrap().synced);
        let idle = phone.sync(&mut station).unwrap();
        assert_eq!((idle.requests, idle.pages, idle.complete), (1, 0, true));
        phone.write(1);
        assert!(!status(&phone.core).unwrap().synced);
    }

    #[test]
    fn a_lost_request_or_reply_costs_a_repetition_and_nothing_else() {
        for reaches in [false, true] {
            let mut station = Station::new();
            let phone = Phone::enrolled(&mut station);
            let written = phone.write(10);
            let mut lost = false;
            let report = phone.sync_by(|request| {
                if std::mem::replace(&mut lost, true) {
                    return station.exchange(request);
                }
                if reaches {
                    station.exchange(request);
                }
                failed()
            });
            let report = report.unwrap();
            assert_eq!((report.requests, report.accepted, report.complete), (2, 1, true));
            assert_eq!(station.accepted(), [written]);
            assert_eq!(station.size(), 1);
        }
    }

    #[test]
    fn a_phone_killed_between_request_and_reply_sends_the_same_page_again() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        let first = sent(phone.machine().next(phone.now()).unwrap());
        station.exchange(&first);
        phone.write(10);
        let second = sent(phone.machine().next(phone.now()).unwrap());
        assert_eq!(opened(&second).pages[..1], opened(&first).pages[..]);
        phone.sync(&mut station).unwrap();
        assert_eq!(station.size(), 2);
    }

    #[test]
    fn a_reply_that_comes_twice_changes_nothing() {
        let mut station = Station::new();
        station.write("of another");
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        let mut machine = phone.machine();
        let reply = station.exchange(&sent(machine.next(phone.now()).unwrap()));
        machine.receive(phone.now(), reply.clone()).unwrap();
        let before = phone.core.read(sync_state::exchanged).unwrap();
        assert_eq!(machine.receive(phone.now(), reply.clone()).unwrap(), []);
        let mut machine = phone.machine();
        sent(machine.next(phone.now()).unwrap());
        machine.receive(phone.now(), reply).unwrap();
        assert_eq!(phone.core.read(sync_state::exchanged).unwrap(), before);
        let Step::Done(report) = machine.next(phone.now()).unwrap() else {
            panic!("done")
        };
        assert_eq!((report.entries, report.feed_entries), (0, 0));
        assert!(report.complete);
    }

    #[test]
    fn the_word_of_another_station_is_not_believed() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        station.key = beatbook_protocol::ledger::StationKey::from_bytes(&[8; 32]);
        assert!(matches!(phone.sync(&mut station), Err(SyncError::Reply(_))));
        assert!(matches!(
            phone.sync_by(|_| Outcome::Reply(b"<html>".to_vec())),
            Err(SyncError::Reply(_))
        ));
        let status = status(&phone.core).unwrap();
        assert_eq!(status.waiting, 1);
        assert!(matches!(status.why, Some(WaitingBecause::Failed { .. })));
        station.key = beatbook_protocol::ledger::StationKey::from_bytes(&[7; 32]);
        assert!(phone.sync(&mut station).unwrap().complete);
    }

    #[test]
    fn a_ledger_that_was_rewritten_or_rolled_back_is_noticed_and_nothing_is_taken_over() {
        for rewritten in [false, true] {
            let mut station = Station::new();
            station.write("one");
            station.write("two");
            let phone = Phone::enrolled(&mut station);
            phone.sync(&mut station).unwrap();
            station.restore(1, false);
            if rewritten {
                station.write("another two");
                station.write("three");
            }
            phone.write(10);
            let before = phone.core.read(sync_state::exchanged).unwrap().cursor;
            assert!(matches!(phone.sync(&mut station), Err(SyncError::StationChanged(_))));
            assert_eq!(phone.core.read(sync_state::exchanged).unwrap().cursor, before);
            let unknown = Refusal::new(&RefusalCode::Other("unknown_history".into()), "not ours");
            assert!(matches!(
                phone.sync_by(|_| refuse(&unknown)),
                Err(SyncError::StationChanged(_))
            ));
            assert_eq!(status(&phone.core).unwrap().waiting, 1);
        }
    }

    #[test]
    fn a_restored_station_gets_back_what_it_lost_of_ours_as_it_was() {
        for (kept, whole) in [(1, false), (3, true)] {
            let mut station = Station::new();
            station.write("of another");
            let phone = Phone::enrolled(&mut station);
            let mut written = vec![phone.write(10)];
            phone.sync(&mut station).unwrap();
            written.push(phone.write(10));
            phone.sync(&mut station).unwrap();
            let pages = station.pages();
            station.restore(kept, true);
            station.write("after");
            written.push(phone.write(10));
            let report = phone.sync(&mut station).unwrap();
            assert!(report.complete, "{report:?}");
            assert!(report.events.contains(&SyncEvent::StationRestored { epoch: 1 }));
            assert_eq!(station.accepted(), written);
            assert_eq!(station.pages()[..2], pages);
            assert_eq!(report.pages, if whole { 1 } else { 3 });
            assert_eq!(phone.sync(&mut station).unwrap().requests, 1);
        }
    }

    #[test]
    fn a_page_that_cannot_be_taken_in_is_sealed_again_in_a_new_incarnation() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let first = phone.write(10);
        phone.sync(&mut station).unwrap();
        let written: Vec<Hash> = (0..300).map(|_| phone.write(10)).collect();
        station.fault = Some("page_signature");
        let mut seen = Vec::new();
        let report = phone.sync_by(|request| {
            seen.push(opened(request));
            station.exchange(request)
        });
        let report = report.unwrap();
        assert!(report.complete && report.accepted == 300, "{report:?}");
        assert_ne!(seen[0].incarnation, seen[1].incarnation);
        let header = seen[1].pages[0].header().unwrap();
        let follows = header.follows.unwrap();
        assert_eq!(
            (header.sequence, follows.incarnation, follows.sequence),
            (0, seen[0].incarnation, 1)
        );
        assert_eq!(follows.reason, "page_signature");
        assert_eq!(station.accepted(), [vec![first], written].concat());
    }

    #[test]
    fn a_station_that_takes_no_page_at_all_ends_the_sync() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        let report = phone.sync_by(|request| {
            station.fault = Some("page_signature");
            station.exchange(request)
        });
        let report = report.unwrap();
        assert_eq!(report.fault, Some(SyncFault::TryLater(WaitReason::NoProgress)));
        assert_eq!(status(&phone.core).unwrap().waiting, 1);
        assert!(phone.sync(&mut station).unwrap().complete);
    }

    #[test]
    fn a_token_that_ran_out_is_renewed_by_a_signed_challenge() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        station.token = "token-2".into();
        let report = phone.sync(&mut station).unwrap();
        assert_eq!((report.requests, report.accepted, report.complete), (2, 1, true));
        let stubborn = phone.sync_by(|_| {
            refuse(&Refusal {
                challenge: Some(b"other".to_vec()),
                ..Refusal::new(&RefusalCode::SignIn, "no")
            })
        });
        assert_eq!(stubborn.unwrap().fault, Some(SyncFault::SignInAgain));
    }

    #[test]
    fn what_needs_something_is_held_and_sent_again_in_a_later_page() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let waits = phone.write(10);
        let needs = Verdict::Needs {
            changes: vec![Hash::of(&[b"x"])],
        };
        station.verdicts.insert(waits, needs);
        let report = phone.sync(&mut station).unwrap();
        assert_eq!((report.requests, report.accepted, report.complete), (1, 0, false));
        assert_eq!(status(&phone.core).unwrap().why, Some(WaitingBecause::StationLacks));
        assert_eq!(phone.sync(&mut station).unwrap().pages, 0);
        station.verdicts.clear();
        station.write("news");
        let report = phone.sync(&mut station).unwrap();
        assert!(report.complete, "{report:?}");
        assert_eq!(station.accepted(), [waits]);
    }

    #[test]
    fn what_needed_something_that_was_accepted_beside_it_goes_again_at_once() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let (waits, other) = (phone.write(10), phone.write(10));
        station.verdicts.insert(waits, Verdict::Needs { changes: vec![other] });
        let mut is_first = true;
        let report = phone.sync_by(|request| {
            let outcome = station.exchange(request);
            // Now it has what was lacking.
            if std::mem::take(&mut is_first) {
                station.verdicts.clear();
            }
            outcome
        });
        let report = report.unwrap();
        assert_eq!((report.requests, report.accepted, report.complete), (2, 2, true));
        assert_eq!(station.accepted(), [other, waits]);
    }

    #[test]
    fn what_needs_something_is_tried_again_after_a_while_even_without_news() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let waits = phone.write(10);
        station.verdicts.insert(waits, Verdict::Needs { changes: Vec::new() });
        phone.sync(&mut station).unwrap();
        phone.pass(60_000);
        assert_eq!(phone.sync(&mut station).unwrap().pages, 1);
        phone.pass(60_000);
        assert_eq!(phone.sync(&mut station).unwrap().pages, 0);
    }

    #[test]
    fn a_verdict_of_a_later_version_leaves_the_entry_waiting() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let waits = phone.write(10);
        station.verdicts.insert(waits, Verdict::Other(99));
        assert!(!phone.sync(&mut station).unwrap().complete);
        let told = status(&phone.core).unwrap();
        assert_eq!((told.waiting, told.synced), (1, false));
        station.verdicts.clear();
        station.write("news");
        assert!(phone.sync(&mut station).unwrap().complete);
        assert_eq!(station.accepted(), [waits]);
    }

    #[test]
    fn what_a_restored_station_refuses_is_parked() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let edit = |address: &str| beatbook_protocol::document::Edit::new().field("address", address);
        let record = phone.core.begin("household", &edit("1")).unwrap();
        phone.sync(&mut station).unwrap();
        phone.core.edit(record, &edit("2"), None).unwrap();
        // So many that they are in a snapshot.
        for number in 3..80 {
            phone.core.edit(record, &edit(&number.to_string()), None).unwrap();
        }
        phone.sync(&mut station).unwrap();
        assert_eq!(phone.core.record(record).unwrap().row.waiting, 0);
        let sent: Vec<Hash> = station.accepted().split_off(1);
        station.restore(1, true);
        station.write("after");
        for entry in sent {
            let refused = Verdict::Refused {
                code: "forbidden".into(),
                text: "no longer".into(),
                state_met: None,
            };
            station.verdicts.insert(entry, refused);
        }
        let report = phone.sync(&mut station).unwrap();
        assert!(report.complete, "{report:?}");
        let view = phone.core.record(record).unwrap();
        assert_eq!((view.row.waiting, view.row.refused), (0, 78));
        assert_eq!(view.facts.fields["address"], beatbook_protocol::facts::Value::from("1"));
    }

    #[test]
    fn what_is_refused_comes_back_and_blocks_nothing() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let (bad, good) = (phone.write(10), phone.write(10));
        let refused = Verdict::Refused {
            code: "forbidden".into(),
            text: "no".into(),
            state_met: None,
        };
        station.verdicts.insert(bad, refused);
        let report = phone.sync(&mut station).unwrap();
        assert_eq!((report.accepted, report.refused, report.complete), (1, 1, true));
        let came_back = |event: &SyncEvent| matches!(event, SyncEvent::CameBack { entry, .. } if *entry == bad);
        assert!(report.events.iter().any(came_back));
        assert_eq!(station.accepted(), [good]);
    }

    /// A keystore that is locked.
    struct Locked(BookPublicKey);

    impl Signer for Locked {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, KeyError> {
            Err(KeyError::Refused("locked".into()))
        }

        fn public_key(&self) -> BookPublicKey {
            self.0
        }
    }

    impl KeyVault for Locked {
        fn store(&self, _: &str, _: &[u8; 32]) -> Result<Box<dyn Signer + Send>, SyncError> {
            Err(SyncError::KeyLost)
        }

        fn load(&self, _: &str) -> Result<Box<dyn Signer + Send>, SyncError> {
            Ok(Box::new(Self(self.0)))
        }
    }

    #[test]
    fn a_crash_between_header_and_signature_gives_the_same_page() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        let key = StoreVault(&phone.core)
            .load(&phone.core.read(sync_state::own_book).unwrap().unwrap().key_handle)
            .unwrap()
            .public_key();
        let mut locked = SyncMachine::open(&phone.core, &Locked(key), Budget::default()).unwrap();
        assert!(matches!(locked.next(phone.now()), Err(SyncError::Key(_))));
        let stored = phone.core.read(pages::unsigned).unwrap();
        phone.write(10);
        phone.pass(5_000);
        let request = opened(&sent(phone.machine().next(phone.now()).unwrap()));
        assert_eq!(request.pages[0].header, stored[0].header);
        let header = request.pages[0].header().unwrap();
        assert_eq!((header.sequence, header.entries), (0, 1));
        assert_eq!(request.pages[1].header().unwrap().sequence, 1);
        assert!(phone.sync(&mut station).unwrap().complete);
    }

    #[test]
    fn a_page_holds_256_entries_or_128_kib() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        for _ in 0..257 {
            phone.write(10);
        }
        for _ in 0..4 {
            phone.write(50_000);
        }
        let request = opened(&sent(phone.machine().next(phone.now()).unwrap()));
        let counts: Vec<usize> = request.pages.iter().map(|page| page.entries.len()).collect();
        assert_eq!(counts, [256, 4, 1]);
        assert_eq!(phone.sync(&mut station).unwrap().accepted, 261);
    }

    #[test]
    fn pages_are_dated_before_the_phone_learns_what_others_did() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.sync(&mut station).unwrap();
        station.write("of another");
        let mut machine = phone.machine();
        let request = sent(machine.next(phone.now()).unwrap());
        phone.write(10);
        machine.receive(phone.now(), station.exchange(&request)).unwrap();
        let next = opened(&sent(machine.next(phone.now()).unwrap()));
        assert_eq!(next.pages[0].header().unwrap().stamp.checkpoint.unwrap().size, 0);
        assert_eq!(next.cursor.unwrap().position.size, 1);
    }

    #[test]
    fn a_long_feed_comes_in_parts_and_goes_on_where_it_stopped() {
        let mut station = Station::new();
        (0..25).for_each(|leaf| station.write(&leaf.to_string()));
        station.leaves_in_reply = 10;
        let phone = Phone::enrolled(&mut station);
        let mut machine = phone.machine();
        let request = sent(machine.next(phone.now()).unwrap());
        machine.receive(phone.now(), station.exchange(&request)).unwrap();
        assert!(!status(&phone.core).unwrap().synced);
        let report = phone.sync(&mut station).unwrap();
        assert_eq!((report.requests, report.feed_entries, report.complete), (2, 15, true));
    }

    #[test]
    fn a_budget_ends_a_sync_and_the_next_one_goes_on() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        (0..3).for_each(|_| _ = phone.write(90_000));
        let budget = Budget {
            bytes_up_max: 1,
            requests_max: 1,
            ..Budget::default()
        };
        let mut machine = SyncMachine::open(&phone.core, &StoreVault(&phone.core), budget).unwrap();
        let request = sent(machine.next(phone.now()).unwrap());
        assert_eq!(opened(&request).pages.len(), 1);
        machine.receive(phone.now(), station.exchange(&request)).unwrap();
        let Step::Done(report) = machine.next(phone.now()).unwrap() else {
            panic!("done")
        };
        assert_eq!((report.fault, report.complete), (Some(SyncFault::BudgetUsed), false));
        assert_eq!(phone.sync(&mut station).unwrap().accepted, 1);
        assert!(status(&phone.core).unwrap().synced);
    }

    #[test]
    fn a_busy_station_is_left_alone_as_long_as_it_asks() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        let busy = Refusal {
            retry_after_ms: Some(90_000),
            ..Refusal::new(&RefusalCode::TryLater, "busy")
        };
        let mut machine = phone.machine();
        sent(machine.next(phone.now()).unwrap());
        machine.receive(phone.now(), refuse(&busy)).unwrap();
        for step in [machine.next(phone.now()).unwrap(), phone.machine().next(phone.now()).unwrap()] {
            let Step::Wait { until, why } = step else {
                panic!("it must wait")
            };
            assert_eq!((until.since(phone.now()), why), (90_000, WaitReason::Station("busy".into())));
        }
        assert!(phone.sync(&mut station).unwrap().complete);
    }

    #[test]
    fn a_wait_that_was_stored_under_a_clock_that_was_ahead_silences_nobody() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        let year = 31_536_000_000;
        phone.pass(year);
        let busy = Refusal {
            retry_after_ms: Some(90_000),
            ..Refusal::new(&RefusalCode::TryLater, "busy")
        };
        let mut machine = phone.machine();
        sent(machine.next(phone.now()).unwrap());
        machine.receive(phone.now(), refuse(&busy)).unwrap();
        phone.pass(-year);
        for mut machine in [machine, phone.machine()] {
            sent(machine.next(phone.now()).unwrap());
        }
        assert!(phone.sync(&mut station).unwrap().complete);
    }

    #[test]
    fn refusals_say_what_to_do_and_keep_everything() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        for (code, fault) in [
            (RefusalCode::UnknownBook, SyncFault::UnknownBook),
            (RefusalCode::Version, SyncFault::UpgradeRequired),
        ] {
            let report = phone.sync_by(|_| refuse(&Refusal::new(&code, "no"))).unwrap();
            assert_eq!((report.requests, report.fault), (1, Some(fault)));
        }
        let report = phone
            .sync_by(|_| refuse(&Refusal::new(&RefusalCode::Malformed, "no")))
            .unwrap();
        assert!(matches!(report.fault, Some(SyncFault::Refused { .. })));
        let report = phone.sync_by(|_| failed()).unwrap();
        assert_eq!(report.requests, 4);
        assert!(matches!(report.fault, Some(SyncFault::TryLater(WaitReason::Network(_)))));
        assert_eq!(status(&phone.core).unwrap().waiting, 1);
        assert!(phone.sync(&mut station).unwrap().complete);
    }

    #[test]
    fn a_request_that_is_too_large_is_sent_in_parts() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        (0..8).for_each(|_| _ = phone.write(90_000));
        let report = phone.sync_by(|request| {
            if opened(request).pages.len() > 1 {
                return refuse(&Refusal::new(&RefusalCode::TooLarge, "too large"));
            }
            station.exchange(request)
        });
        let report = report.unwrap();
        assert_eq!((report.accepted, report.complete), (8, true));
    }

    #[test]
    fn entries_leave_the_phone_only_when_the_station_has_them_in_a_backup() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        phone.sync(&mut station).unwrap();
        phone.write(10);
        phone.sync(&mut station).unwrap();
        let held = |hash: &Hash| phone.core.read(|tx| pages::entries_in(tx, hash)).unwrap().is_some();
        let pages = station.pages();
        assert_eq!(pages.iter().map(held).collect::<Vec<_>>(), [true, true]);
        station.backed_up_to = Some(1);
        phone.sync(&mut station).unwrap();
        assert_eq!(pages.iter().map(held).collect::<Vec<_>>(), [false, true]);
        phone.write(10);
        assert!(phone.sync(&mut station).unwrap().complete);
        assert_eq!(phone.core.read(outbox::waiting).unwrap(), outbox::Waiting::default());
    }

    #[test]
    fn a_backup_counts_no_further_than_the_ledger_that_was_shown() {
        let mut station = Station::new();
        (0..3).for_each(|leaf| station.write(&leaf.to_string()));
        let phone = Phone::enrolled(&mut station);
        phone.write(10);
        station.leaves_in_reply = 1;
        station.backed_up_to = Some(1_000);
        let mut machine = phone.machine();
        let reply = station.exchange(&sent(machine.next(phone.now()).unwrap()));
        machine.receive(phone.now(), reply).unwrap();
        let page = station.pages()[0];
        let held = || phone.core.read(|tx| pages::entries_in(tx, &page)).unwrap().is_some();
        assert!(held());
        assert!(phone.sync(&mut station).unwrap().complete);
        assert!(!held());
    }

    #[test]
    fn an_enrolment_whose_answer_was_lost_is_repeated_with_the_same_key() {
        let mut station = Station::new();
        let phone = Phone::new();
        assert!(matches!(
            SyncMachine::open(&phone.core, &StoreVault(&phone.core), Budget::default()),
            Err(SyncError::NotEnrolled)
        ));
        let begin = || Enrolment::begin(&phone.core, &StoreVault(&phone.core), "code", "test").unwrap();
        let first = begin();
        station.enrol(&first.request());
        first.clone().finish(&phone.core, failed()).unwrap_err();
        let second = begin();
        assert_eq!(second.request(), first.request());
        let enrolled = second.finish(&phone.core, station.enrol(&first.request())).unwrap();
        assert_eq!(enrolled.station, "Test");
        phone.write(10);
        assert!(phone.sync(&mut station).unwrap().complete);
    }

    #[test]
    fn a_phone_whose_code_was_refused_begins_another_book() {
        let mut station = Station::new();
        let phone = Phone::new();
        let begin = |code: &str| Enrolment::begin(&phone.core, &StoreVault(&phone.core), code, "test").unwrap();
        let book = |enrolment: &Enrolment| {
            let bytes = wire::unpack(&enrolment.request().body).unwrap();
            wire::read::<EnrolRequest>("enrolment request", &bytes).unwrap().book
        };
        // Its answer is lost, and the chief ends that book before the phone has heard of it.
        let lost = begin("code");
        lost.clone().finish(&phone.core, failed()).unwrap_err();
        let again = begin("code-2");
        assert_eq!(book(&again), book(&lost));
        let outcome = refuse(&Refusal::new(&RefusalCode::EnrolmentCode, "used"));
        assert!(matches!(again.finish(&phone.core, outcome), Err(EnrolError::Code(_))));
        let anew = begin("code-2");
        assert_ne!(book(&anew), book(&lost));
        let outcome = station.enrol(&anew.request());
        assert_eq!(anew.clone().finish(&phone.core, outcome).unwrap().book, book(&anew));
        phone.write(10);
        assert!(phone.sync(&mut station).unwrap().complete);
    }

    #[test]
    fn a_phone_that_is_enrolled_again_takes_along_what_the_old_book_could_not_deliver() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        let written = phone.write(10);
        sent(phone.machine().next(phone.now()).unwrap());
        let enrolment = Enrolment::begin(&phone.core, &StoreVault(&phone.core), "code-2", "test").unwrap();
        let outcome = station.enrol(&enrolment.request());
        enrolment.finish(&phone.core, outcome).unwrap();
        assert!(phone.sync(&mut station).unwrap().complete);
        assert_eq!(station.accepted(), [written]);
    }
}
