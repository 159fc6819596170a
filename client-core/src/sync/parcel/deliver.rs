//! Delivering what is carried, after the carrier's own exchange, under his own token: a state machine without IO like the sync's own. What
//! was carried is kept until the station has answered, and its answer until it is handed out or put down.

use std::collections::VecDeque;

use beatbook_protocol::id::Hash;
use beatbook_protocol::parcel::{Answer, ParcelFault};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{self, DeliverRequest, DeliverResponse, RefusalCode, WIRE_VERSION};

use crate::core::Core;
use crate::error::CoreError;
use crate::store::parcels::{self, Carried};
use crate::store::{StoreError, Tx, sync_state};
use crate::sync::verify::read_refusal;
use crate::transport::{Outcome, OutgoingRequest};

/// Where parcels go.
const PATH: &str = "/sync/v1/parcels";

/// What delivering did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deliveries {
    /// Parcels that the station answered.
    pub delivered: u64,
    /// Parcels that it refused for good.
    pub refused: u64,
    /// Requests sent.
    pub requests: u32,
    /// Bytes of messages sent.
    pub bytes_up: u64,
    /// Bytes of messages received.
    pub bytes_down: u64,
}

/// One round of deliveries.
#[derive(Debug)]
pub struct Delivery<'c> {
    core: &'c Core,
    token: Option<String>,
    waiting: VecDeque<Hash>,
    asked: Option<Hash>,
    /// Parcels that others had to come before, in this pass.
    early: VecDeque<Hash>,
    /// Whether the pass brought anything: only then are the early ones tried again.
    moved: bool,
    report: Deliveries,
}

impl<'c> Delivery<'c> {
    /// Begins with what waits.
    ///
    /// # Errors
    /// Those of the store.
    pub fn open(core: &'c Core) -> Result<Self, CoreError> {
        let (token, waiting) = core.read(|tx| Ok((sync_state::exchanged(tx)?.token, waiting(tx)?)))?;
        Ok(Self {
            core,
            token,
            waiting,
            asked: None,
            early: VecDeque::new(),
            moved: false,
            report: Deliveries::default(),
        })
    }

    /// What to send next, or nothing when all is done for now.
    ///
    /// # Errors
    /// Those of the store.
    pub fn next_request(&mut self) -> Result<Option<OutgoingRequest>, CoreError> {
        loop {
            if self.waiting.is_empty() && std::mem::take(&mut self.moved) {
                self.waiting = std::mem::take(&mut self.early);
            }
            let Some(parcel) = self.waiting.pop_front() else {
                return Ok(None);
            };
            let Some(file) = self.core.read(|tx| parcels::file(tx, &parcel))? else {
                continue;
            };
            let request = DeliverRequest {
                version: WIRE_VERSION,
                parcel: file,
            };
            let body = wire::pack(&request).map_err(|fault| CoreError::Internal(fault.to_string()))?;
            self.asked = Some(parcel);
            self.report.requests += 1;
            self.report.bytes_up += body.len() as u64;
            return Ok(Some(OutgoingRequest {
                path: PATH,
                token: self.token.clone(),
                signature: None,
                body,
            }));
        }
    }

    /// Takes in what came of it. What cannot be believed, or did not come, ends the round; the next sync tries again.
    ///
    /// # Errors
    /// Those of the store.
    pub fn receive(&mut self, now: UnixMillis, outcome: Outcome) -> Result<(), CoreError> {
        let Some(parcel) = self.asked.take() else { return Ok(()) };
        match outcome {
            Outcome::Reply(packed) => {
                self.report.bytes_down += packed.len() as u64;
                self.take_reply(parcel, &packed, now)
            }
            Outcome::Refused { status, bytes } => {
                self.report.bytes_down += bytes.len() as u64;
                self.take_refusal(parcel, status, &bytes)
            }
            Outcome::Failed(fault) => {
                tracing::debug!(%fault, "a parcel was not delivered");
                self.end();
                Ok(())
            }
        }
    }

    /// What was done so far.
    #[must_use]
    pub const fn report(&self) -> Deliveries {
        self.report
    }

    fn take_reply(&mut self, parcel: Hash, packed: &[u8], now: UnixMillis) -> Result<(), CoreError> {
        let answer = wire::unpack(packed)
            .and_then(|bytes| wire::read::<DeliverResponse>("delivery", &bytes))
            .ok()
            .filter(|reply| Answer::parse(&reply.answer).is_ok_and(|answer| answer.parcel == parcel));
        let Some(answer) = answer else {
            // Whoever spoke there was not the station: the parcel waits.
            self.end();
            return Ok(());
        };
        self.core
            .write(|records| parcels::put_answer(records.tx(), &parcel, &answer.answer, now))?;
        self.report.delivered += 1;
        self.moved = true;
        Ok(())
    }

    fn take_refusal(&mut self, parcel: Hash, status: u16, bytes: &[u8]) -> Result<(), CoreError> {
        let Some(refusal) = read_refusal(bytes) else {
            self.end();
            return Ok(());
        };
        let said = |is_final| {
            self.core
                .write(|records| parcels::put_refusal(records.tx(), &parcel, &refusal.code, &refusal.text, is_final))
        };
        match refusal.code() {
            RefusalCode::Other(code) if code == ParcelFault::Early.code() => {
                said(false)?;
                self.early.push_back(parcel);
            }
            RefusalCode::Other(code) if code.starts_with("parcel_") => {
                said(true)?;
                self.report.refused += 1;
            }
            RefusalCode::Malformed | RefusalCode::TooLarge if status != 404 => {
                said(true)?;
                self.report.refused += 1;
            }
            // Not about this parcel: a busy station, one that does not know parcels yet, or a token that ran out meanwhile.
            RefusalCode::Malformed
            | RefusalCode::TooLarge
            | RefusalCode::SignIn
            | RefusalCode::UnknownBook
            | RefusalCode::EnrolmentCode
            | RefusalCode::Blocked
            | RefusalCode::Attestation
            | RefusalCode::AwaitingConfirmation
            | RefusalCode::Version
            | RefusalCode::TryLater
            | RefusalCode::Internal
            | RefusalCode::Other(_) => {
                said(false)?;
                self.end();
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        self.waiting.clear();
        self.early.clear();
        self.moved = false;
    }
}

fn waiting(tx: &Tx<'_>) -> Result<VecDeque<Hash>, StoreError> {
    let rows = parcels::carried(tx)?;
    Ok(rows
        .into_iter()
        .filter(|row| row.state == Carried::Waiting)
        .map(|row| row.parcel)
        .collect())
}
