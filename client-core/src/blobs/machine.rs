//! The blob state machine: which call comes next, and what an answer means. Like the sync machine it does no IO on the network, and may be
//! dropped and begun anew at any point: how far an upload is says the station, how far a download is the database.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::id::Hash;
use beatbook_protocol::limits::{BLOB_PIECE_BYTES_MIN, BLOBS_ASKED_MAX};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{self, BlobRefusal, StandingResponse};

use super::calls::{self, Refused};
use super::folder::Folder;
use super::{BlobBudget, BlobReport, BlobSyncFault};
use crate::core::Core;
use crate::error::{CoreError, Fault};
use crate::store::{blobs, sync_state};
use crate::sync::WaitReason;
use crate::transport::{Answer, CallOutcome, OutgoingCall, TransportFault};

/// The first wait after a failure; doubled with each further one.
const BACKOFF_MS: i64 = 1_000;
/// The longest wait.
const BACKOFF_MS_MAX: i64 = 60_000;
/// A blob of others that had not arrived is asked after again after this time.
const ASK_AGAIN_MS: i64 = 10 * 60 * 1000;
/// Wrong contents of one blob in one sync, after which it is passed over.
const WRONG_MAX: u32 = 2;

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobStep {
    /// Send this, and give what comes of it to [`BlobMachine::receive`].
    Send(OutgoingCall),
    /// Come again at this time.
    Wait {
        /// When, by the clock that `now` is of.
        until: UnixMillis,
        /// Why.
        why: WaitReason,
    },
    /// Nothing more to do now.
    Done(BlobReport),
}

/// One blob sync of a core with its station.
#[derive(Debug)]
pub struct BlobMachine<'c> {
    pub(super) core: &'c Core,
    pub(super) folder: Folder,
    pub(super) budget: BlobBudget,
    pub(super) token: Option<String>,
    pub(super) piece_bytes: usize,
    pub(super) report: BlobReport,
    /// How far the station is with the upload at hand.
    pub(super) at: Option<(Hash, At)>,
    state: State,
    pub(super) failures: u32,
    is_standing_known: bool,
    passed_over: BTreeSet<Hash>,
    wrong: BTreeMap<Hash, u32>,
}

/// How far the station is with an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// It is not known any more: ask.
    Unknown,
    /// It has nothing.
    Nothing,
    /// It has so many bytes.
    Bytes(u64),
}

#[derive(Debug, Clone)]
enum State {
    Ready,
    Waiting { until: UnixMillis, why: WaitReason },
    Asked(Asked, OutgoingCall),
    Done,
}

/// What a call that is out is about.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// What the station has of these.
    Standing(Vec<Hash>),
    /// An upload of so many bytes: begun, gone on with, or asked after.
    Upload { hash: Hash, bytes: u64 },
    /// A range of a blob.
    Range { hash: Hash },
}

impl<'c> BlobMachine<'c> {
    /// Begins a blob sync. A phone that is not enrolled has nothing to do in one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(core: &'c Core, budget: BlobBudget) -> Result<Self, CoreError> {
        core.remove_left()?;
        core.doubt_restored()?;
        let exchanged = core.read(sync_state::exchanged)?;
        let state = if exchanged.token.is_some() {
            State::Ready
        } else {
            State::Done
        };
        Ok(Self {
            core,
            folder: core.blob_folder(),
            budget,
            token: exchanged.token,
            piece_bytes: budget.piece_bytes.max(1),
            report: BlobReport::default(),
            at: None,
            state,
            failures: 0,
            is_standing_known: false,
            passed_over: BTreeSet::new(),
            wrong: BTreeMap::new(),
        })
    }

    /// What to do next. Asked again before anything was received, it says the same again.
    ///
    /// # Errors
    /// When the file, or a blob's own file, cannot be read or written.
    pub fn next(&mut self, now: UnixMillis) -> Result<BlobStep, CoreError> {
        if let State::Waiting { until, why } = &self.state {
            let until = *until;
            if until <= now || until > now.plus(BACKOFF_MS_MAX) {
                self.state = State::Ready;
            } else if self.budget.deadline.is_none_or(|deadline| until < deadline) {
                return Ok(BlobStep::Wait { until, why: why.clone() });
            } else {
                let fault = BlobSyncFault::TryLater(why.clone());
                self.finish(Some(fault));
            }
        }
        if matches!(self.state, State::Ready) {
            match self.plan(now)? {
                Some(_) if self.is_budget_used(now) => self.finish(Some(BlobSyncFault::BudgetUsed)),
                Some((asked, call)) => self.state = State::Asked(asked, call),
                None => self.finish(None),
            }
        }
        Ok(match &self.state {
            State::Asked(_, call) => {
                self.report.calls += 1;
                self.report.bytes_up += call.body.len() as u64;
                BlobStep::Send(call.clone())
            }
            State::Ready | State::Waiting { .. } | State::Done => BlobStep::Done(self.report.clone()),
        })
    }

    /// Takes in what came of the call. Without a call nothing happens.
    ///
    /// # Errors
    /// When the file, or a blob's own file, cannot be read or written.
    pub fn receive(&mut self, now: UnixMillis, outcome: CallOutcome) -> Result<(), CoreError> {
        let State::Asked(asked, _) = std::mem::replace(&mut self.state, State::Ready) else {
            self.state = State::Done;
            return Ok(());
        };
        let answer = match outcome {
            CallOutcome::Answered(answer) => answer,
            CallOutcome::Failed(TransportFault::Untrusted(why)) => {
                self.finish(Some(BlobSyncFault::Untrusted(why)));
                return Ok(());
            }
            CallOutcome::Failed(fault) => {
                self.lose_sight(&asked);
                self.retry(now, WaitReason::Network(fault), None);
                return Ok(());
            }
        };
        self.report.bytes_down += answer.body.len() as u64;
        match asked {
            Asked::Standing(asked) => self.take_standing(now, &asked, &answer),
            Asked::Upload { hash, bytes } => self.take_offset(now, hash, bytes, &answer),
            Asked::Range { hash } => self.take_range(now, hash, &answer),
        }
    }

    fn plan(&mut self, now: UnixMillis) -> Result<Option<(Asked, OutgoingCall)>, CoreError> {
        if !self.is_standing_known {
            self.is_standing_known = true;
            let unsure = self
                .core
                .read(|tx| blobs::unsure(tx, now.plus(-ASK_AGAIN_MS), BLOBS_ASKED_MAX))?;
            if !unsure.is_empty() {
                let call = calls::standing(self.token.clone(), unsure.clone())
                    .map_err(|fault| CoreError::Internal(fault.to_string()))?;
                return Ok(Some((Asked::Standing(unsure), call)));
            }
        }
        for row in self.core.read(blobs::waiting)? {
            if self.budget.allows(&row)
                && !self.passed_over.contains(&row.hash)
                && let Some(planned) = self.plan_upload(&row)?
            {
                return Ok(Some(planned));
            }
        }
        for (hash, _) in self.core.read(blobs::wanted)? {
            if !self.passed_over.contains(&hash)
                && let Some(planned) = self.plan_range(now, &hash)?
            {
                return Ok(Some(planned));
            }
        }
        Ok(None)
    }

    fn is_budget_used(&self, now: UnixMillis) -> bool {
        let report = &self.report;
        report.calls >= self.budget.calls_max
            || report.bytes_up + report.bytes_down >= self.budget.bytes_max
            || self.budget.deadline.is_some_and(|deadline| now >= deadline)
    }

    fn take_standing(&mut self, now: UnixMillis, asked: &[Hash], answer: &Answer) -> Result<(), CoreError> {
        let unpacked = (answer.status == 200 && answer.broken.is_none())
            .then(|| wire::unpack(&answer.body).ok())
            .flatten();
        let said: Option<StandingResponse> = unpacked.and_then(|bytes| wire::read("standing", &bytes).ok());
        let Some(said) = said else {
            // What has arrived is good to know and nothing waits for it.
            return self.take_refusal(now, None, answer);
        };
        let arrived: BTreeSet<Hash> = said.blobs.iter().filter(|blob| blob.arrived).map(|blob| blob.blob).collect();
        self.succeed();
        // More than one call's worth: the rest in the next.
        self.is_standing_known = asked.len() < BLOBS_ASKED_MAX;
        self.core.write(|records| {
            for hash in asked {
                if arrived.contains(hash) {
                    blobs::set_arrived(records.tx(), hash, now)?;
                } else {
                    blobs::set_absent(records.tx(), hash, now)?;
                }
            }
            Ok::<_, Fault>(())
        })
    }

    /// What to do about a refusal: of a blob, or of the sync as a whole.
    pub(super) fn take_refusal(&mut self, now: UnixMillis, blob: Option<Hash>, answer: &Answer) -> Result<(), CoreError> {
        let refused = calls::refused(answer);
        match (refused, blob) {
            (Refused::SignIn, _) => self.finish(Some(BlobSyncFault::SignInAgain)),
            (Refused::Version | Refused::Blob(BlobRefusal::TusVersion), _) => {
                self.finish(Some(BlobSyncFault::UpgradeRequired));
            }
            (Refused::Later(after_ms, text), _) => self.retry(now, WaitReason::Station(text), after_ms),
            (Refused::Blob(BlobRefusal::Locked), _) => {
                self.at = blob.map(|hash| (hash, At::Unknown));
                self.retry(now, WaitReason::Station(BlobRefusal::Locked.text().to_owned()), None);
            }
            (Refused::Blob(BlobRefusal::WrongOffset), Some(hash)) => {
                self.at = Some((hash, At::Unknown));
                self.retry(now, WaitReason::NoProgress, None);
            }
            (Refused::Blob(BlobRefusal::WrongChecksum | BlobRefusal::WrongHash), Some(hash)) => return self.wrong(hash),
            (Refused::Blob(refusal), Some(hash)) => return self.pass_over(hash, refusal.text()),
            (Refused::Other(text), Some(hash)) => return self.pass_over(hash, &text),
            (Refused::Blob(_) | Refused::Other(_), None) => self.failures = 0,
        }
        Ok(())
    }

    /// The content on the other side was not what its name says: once more from the beginning, and then no more in this sync.
    pub(super) fn wrong(&mut self, hash: Hash) -> Result<(), CoreError> {
        let times = self.wrong.entry(hash).or_insert(0);
        *times += 1;
        if *times >= WRONG_MAX {
            return self.pass_over(hash, "what arrived was not what was sent, more than once");
        }
        self.at = Some((hash, At::Nothing));
        self.core.write(|records| blobs::set_sent(records.tx(), &hash, 0))
    }

    /// Leaves a blob for the next sync and goes on with others.
    pub(super) fn pass_over(&mut self, hash: Hash, why: &str) -> Result<(), CoreError> {
        tracing::info!(blob = %hash, why, "a blob is passed over");
        self.passed_over.insert(hash);
        self.report.passed_over.push(hash);
        self.at = None;
        self.core.write(|records| blobs::set_fault(records.tx(), &hash, why))
    }

    pub(super) fn succeed(&mut self) {
        self.failures = 0;
        self.piece_bytes = self.piece_bytes.saturating_mul(2).min(self.budget.piece_bytes.max(1));
    }

    pub(super) fn retry(&mut self, now: UnixMillis, why: WaitReason, after_ms: Option<u64>) {
        self.failures += 1;
        if self.failures >= self.budget.failures_max {
            return self.finish(Some(BlobSyncFault::TryLater(why)));
        }
        let doubled = BACKOFF_MS.saturating_mul(1_i64.checked_shl(self.failures - 1).unwrap_or(i64::MAX));
        let asked = after_ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
        let until = now.plus(doubled.max(asked).min(BACKOFF_MS_MAX));
        self.state = State::Waiting { until, why };
    }

    /// A line broke: what the station has of an upload must be asked, and less may be sent at a time.
    pub(super) fn lose_sight(&mut self, asked: &Asked) {
        let least = BLOB_PIECE_BYTES_MIN.min(self.budget.piece_bytes.max(1));
        self.piece_bytes = (self.piece_bytes / 2).max(least);
        if let Asked::Upload { hash, .. } = asked {
            self.at = Some((*hash, At::Unknown));
        }
    }

    fn finish(&mut self, fault: Option<BlobSyncFault>) {
        self.report.fault = fault;
        self.state = State::Done;
    }
}
