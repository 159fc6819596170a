//! The station's door, continued: how phones come and go. Enrolment, the end of a book, what came after it.

use std::net::IpAddr;
use std::sync::Arc;

use beatbook_protocol::id::{BookId, EnrolmentId, UserId};
use beatbook_protocol::wire::{EnrolRequest, EnrolResponse, Refusal, WipedRequest, WipedResponse};

use super::{
    AttestationVerifier, BookView, DecidedLine, EnrolmentCode, EnrolmentView, HeldChoice, QuarantineView, Session, Station,
};
use crate::config::EnrolmentRules;
use crate::ended::{self, decide, quarantine, wiped};
use crate::error::StationError;
use crate::parcels;
use crate::refused::refusal_of;
use crate::registry::{enrol, enrolments};

impl Station {
    /// Lets phones in by these rules.
    #[must_use]
    pub fn enrolling_by(mut self, rules: EnrolmentRules) -> Self {
        self.door.rules = rules;
        self
    }

    /// Verifies attestations of one more form.
    #[must_use]
    pub fn verifying_by(mut self, verifier: Arc<dyn AttestationVerifier>) -> Self {
        self.door.verifiers.push(verifier);
        self
    }

    /// A parcel that one phone carries for another: packed request in, packed reply out.
    ///
    /// # Errors
    /// What the carrier is to be told; nothing of the parcel was stored.
    pub fn deliver(&self, packed: &[u8], token: Option<&str>) -> Result<Vec<u8>, Refusal> {
        let reply = match self.keep_time() {
            Ok(_) => parcels::deliver(self, packed, token),
            Err(fault) => Err(refusal_of(&fault)),
        };
        self.count(if reply.is_ok() { "parcels" } else { "parcels_refused" });
        reply
    }

    /// A one-time code becomes a book, for a caller at this address.
    ///
    /// # Errors
    /// What the phone is to be told.
    pub fn enrol_from(&self, request: &EnrolRequest, from: Option<IpAddr>) -> Result<EnrolResponse, Refusal> {
        enrol::enrol(self, request, from)
    }

    /// A one-time code for a person's phone.
    ///
    /// # Errors
    /// When there is no such person, he is blocked, or `by` may not.
    pub fn enrolment_code(&self, by: Option<&Session>, user: UserId) -> Result<EnrolmentCode, StationError> {
        enrolments::issue(self, by, user)
    }

    /// What came of a code.
    ///
    /// # Errors
    /// When there is no such enrolment for this person.
    pub fn enrolment(&self, session: &Session, id: EnrolmentId) -> Result<EnrolmentView, StationError> {
        enrolments::enrolment(self, session, id)
    }

    /// A book: whose, how it was enrolled, whether and why it ended.
    ///
    /// # Errors
    /// When there is no such book for this person.
    pub fn book(&self, session: &Session, book: BookId) -> Result<BookView, StationError> {
        enrolments::book(self, session, book)
    }

    /// Lets a book's pages in whose check digits were read on the phone. `by` is none for the operator at the machine.
    ///
    /// # Errors
    /// When the digits are others, nobody waits for them, or `by` may not.
    pub fn confirm_enrolment(&self, by: Option<&Session>, book: BookId, digits: &str) -> Result<(), StationError> {
        enrolments::confirm(self, by, book, digits)
    }

    /// Ends a book: `lost`, `retired`, `transferred` or `blocked`. `by` is none for the operator at the machine.
    ///
    /// # Errors
    /// When there is no such book, it has ended, or `by` may not.
    pub fn end_book(&self, by: Option<&Session>, book: BookId, why: &str) -> Result<(), StationError> {
        ended::end(self, by, book, why)
    }

    /// Ends every book of a person: he is blocked. Tells how many were written in. `by` is none for the operator at the machine.
    ///
    /// # Errors
    /// When there is no such person, or `by` may not.
    pub fn end_books(&self, by: Option<&Session>, user: UserId) -> Result<u64, StationError> {
        ended::end_all(self, by, user)
    }

    /// Looks whether another process wrote into the ledger, as a command beside the server does, and tells the streams of hints: one of a
    /// book that has ended then ends, too. Called every half second while the station is served.
    ///
    /// # Errors
    /// Those of the store.
    pub fn notice_others(&self) -> Result<(), StationError> {
        Ok(self.store.notice_others()?)
    }

    /// What books sent after their end, at most 512 pages of it, after the place that the answer before said; what is decided only when it is
    /// asked for. The audit log says first which records the person is shown.
    ///
    /// # Errors
    /// When `after` is no place, the log cannot be written, or those of the store.
    pub fn quarantine(
        &self,
        session: &Session,
        decided: bool,
        after: Option<&str>,
        limit: u32,
    ) -> Result<QuarantineView, StationError> {
        quarantine::quarantine(self, session, decided, after, limit)
    }

    /// Takes in what a book sent after its end, as far as its author might have written it; a line for each entry.
    ///
    /// # Errors
    /// When nothing of it is there for this person, or there is no reason.
    pub fn admit_held(&self, session: &Session, choice: &HeldChoice) -> Result<Vec<DecidedLine>, StationError> {
        decide::admit(self, session, choice)
    }

    /// Refuses what a book sent after its end; it stays, with the reason.
    ///
    /// # Errors
    /// When nothing of it is there for this person, or there is no reason.
    pub fn refuse_held(&self, session: &Session, choice: &HeldChoice) -> Result<Vec<DecidedLine>, StationError> {
        decide::refuse(self, session, choice)
    }

    /// The last word of a phone that parted with its records.
    ///
    /// # Errors
    /// What the phone is to be told.
    pub fn wiped(&self, request: &WipedRequest) -> Result<WipedResponse, Refusal> {
        wiped::take(self, request)
    }
}
