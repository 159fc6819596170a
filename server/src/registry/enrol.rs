//! Enrolment: a one-time code and a proof of the key become a book. The same again gets the same answer, with a fresh token.

use std::net::IpAddr;
use std::sync::Arc;

use beatbook_protocol::entry::{BookEvent, RegistryEvent};
use beatbook_protocol::page::BookPublicKey;
use beatbook_protocol::wire::{
    EnrolRequest, EnrolResponse, Refusal, RefusalCode, WIRE_VERSION, check_digits, code_letters, enrol_message,
    station_fingerprint,
};

use super::attempts::Attempts;
use super::attest::{self, AttestationVerifier};
use super::{names, tokens, write_events};
use crate::audit::{self, Line};
use crate::config::EnrolmentRules;
use crate::error::StationError;
use crate::ledger;
use crate::parcels;
use crate::refused::refusal_of;
use crate::station::Station;
use crate::store::{EnrolledRow, EnrolmentRow, UserRow, WriteTx};

/// The door that phones are let in by.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// By which rules.
    pub(crate) rules: EnrolmentRules,
    /// Who verifies attestations.
    pub(crate) verifiers: Vec<Arc<dyn AttestationVerifier>>,
    /// Wrong codes of late.
    pub(crate) attempts: Attempts,
}

/// A book that was enrolled, now or by the same request before.
struct Enrolled {
    user: UserRow,
    token: String,
    /// None for books from before enrolments were kept.
    row: Option<EnrolledRow>,
}

/// Enrols a book for a caller at an address.
pub(crate) fn enrol(station: &Station, request: &EnrolRequest, from: Option<IpAddr>) -> Result<EnrolResponse, Refusal> {
    check(request)?;
    let now = station.env.clock.now();
    if let Err(wait_ms) = station.door.attempts.may_try(from, now) {
        station.count("enrolments_slowed");
        return Err(Refusal {
            retry_after_ms: Some(wait_ms),
            ..Refusal::new(&RefusalCode::TryLater, "too many wrong codes: wait, then type the code again")
        });
    }
    let attested = attest::judge(station, request)?;
    let enrolled = station
        .store
        .write(|tx| register(station, tx, request, attested.as_deref()))
        .map_err(|fault| refusal_of(&fault))?;
    let enrolled = enrolled.inspect_err(|refusal| {
        station.count("enrolments_refused");
        if refusal.code() == RefusalCode::EnrolmentCode {
            station.door.attempts.failed(from, now);
        }
    })?;
    station.env.steps.passes("book enrolled");
    station
        .store
        .read(|tx| ledger::note(tx, &station.keys))
        .map_err(|fault| refusal_of(&fault))?;
    station.count("enrolments");
    Ok(response(station, request, enrolled))
}

fn check(request: &EnrolRequest) -> Result<(), Refusal> {
    if request.version != WIRE_VERSION {
        return Err(Refusal::new(
            &RefusalCode::Version,
            "this station speaks version 1: update the app",
        ));
    }
    let malformed = |text: &str| Refusal::new(&RefusalCode::Malformed, text);
    let key = BookPublicKey::parse(request.suite, &request.key).map_err(|fault| malformed(&fault.to_string()))?;
    if key.to_bytes() != request.key {
        return Err(malformed("a key is sent as a compressed point"));
    }
    if !key.verifies(&enrol_message(&request.code, request.book, &request.key), &request.proof) {
        return Err(malformed("the proof is not signed by the key"));
    }
    if let Some(fault) = names::fault(&request.device) {
        return Err(malformed(&format!("a device's name {fault}")));
    }
    Ok(())
}

fn response(station: &Station, request: &EnrolRequest, enrolled: Enrolled) -> EnrolResponse {
    let Enrolled { user, token, row } = enrolled;
    let mut response = EnrolResponse {
        origin: station.origin.clone(),
        station: station.name.clone(),
        user: user.user,
        user_name: user.name,
        roles: user.roles,
        unit: user.unit,
        checkpoint_key: station.keys.checkpoint.verifying_key().to_bytes().to_vec(),
        receipt_key: station.keys.receipt.verifying_key().to_bytes().to_vec(),
        token,
        server_time: station.env.clock.now(),
        sealing: Some(parcels::sealing_offer(station)),
        pins: station.pins_offer(),
        awaits: None,
        nonce: None,
        signature: None,
    };
    if let Some(row) = row {
        response.awaits = row.confirmed_at.is_none().then_some(true);
        response.sign(request, row.nonce, &station.keys.receipt);
    }
    response
}

fn register(
    station: &Station,
    tx: &WriteTx<'_>,
    request: &EnrolRequest,
    attested: Option<&str>,
) -> Result<Result<Enrolled, Refusal>, StationError> {
    let hash = tokens::hash(code_letters(&request.code).as_bytes());
    let wrong = || {
        Ok(Err(Refusal::new(
            &RefusalCode::EnrolmentCode,
            "the code is wrong, used or run out: ask the station for a new one",
        )))
    };
    let Some(code) = tx.enrolment_code(&hash)? else {
        return wrong();
    };
    let row = tx.enrolment_by_code(&hash)?;
    let Some(user) = tx.user(code.user)? else { return wrong() };
    // An answer that is asked for again gives no token to a book that has ended meanwhile.
    if tx.book_end(request.book)?.is_some() || station.keys.gone.is_revoked(request.book) {
        return wrong();
    }
    if user.blocked {
        let text = "this person is blocked at the station: ask the chief";
        return Ok(Err(Refusal::new(&RefusalCode::Blocked, text)));
    }
    let row = match &code.used_by {
        Some((book, key)) if *book == request.book && *key == request.key => row.and_then(|row| row.book),
        Some(_) => return wrong(),
        None if code.expires_at < station.env.clock.now() || tx.book(request.book)?.is_some() => return wrong(),
        None => {
            write_book(station, tx, request, &user, attested)?;
            tx.use_enrolment_code(&hash, request.book, &request.key)?;
            row.map(|row| note_enrolled(station, tx, request, &row)).transpose()?
        }
    };
    let token = tokens::issue_in(tx, &station.env, user.user, Some(request.book))?;
    Ok(Ok(Enrolled { user, token, row }))
}

fn write_book(
    station: &Station,
    tx: &WriteTx<'_>,
    request: &EnrolRequest,
    user: &UserRow,
    attested: Option<&str>,
) -> Result<(), StationError> {
    let event = RegistryEvent::Book(BookEvent {
        book: request.book,
        user: user.user,
        suite: request.suite,
        key: request.key.clone(),
        device: request.device.clone(),
        attested: attested.map(str::to_owned),
    });
    write_events(tx, &station.keys, &station.env, &station.kinds, vec![event])?;
    let detail = format!(
        "book {} on {:?}, attested: {}",
        request.book,
        request.device,
        attested.unwrap_or("no")
    );
    audit::append(tx, &station.env, &Line::of(Some(user.user), "enrol.book", detail))
}

/// Draws the nonce of the check digits, and notes what they are.
fn note_enrolled(
    station: &Station,
    tx: &WriteTx<'_>,
    request: &EnrolRequest,
    row: &EnrolmentRow,
) -> Result<EnrolledRow, StationError> {
    let now = station.env.clock.now();
    let nonce = tokens::random::<16>(&station.env)?;
    let fingerprint = station_fingerprint(
        &station.origin,
        station.keys.checkpoint.verifying_key().as_bytes(),
        station.keys.receipt.verifying_key().as_bytes(),
    );
    let enrolled = EnrolledRow {
        book: request.book,
        used_at: now,
        nonce,
        digits: check_digits(&fingerprint, &nonce, &request.code, request.book, &request.key),
        confirmed_at: (!station.door.rules.confirm).then_some(now),
        confirmed_by: None,
    };
    tx.put_enrolled(row.id, &enrolled)?;
    Ok(enrolled)
}
