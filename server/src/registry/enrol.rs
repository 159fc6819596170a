//! Enrolment: a one-time code and a proof of the key become a book. The same again gets the same answer, with a fresh token.

use beatbook_protocol::entry::{BookEvent, RegistryEvent};
use beatbook_protocol::page::BookPublicKey;
use beatbook_protocol::wire::{EnrolRequest, EnrolResponse, Refusal, RefusalCode, WIRE_VERSION, enrol_message};

use super::{names, people, tokens, write_events};
use crate::error::StationError;
use crate::exchange::refusal_of;
use crate::ledger;
use crate::parcels;
use crate::policy;
use crate::station::Station;
use crate::store::{UserRow, WriteTx};

/// Enrols a book.
pub(crate) fn enrol(station: &Station, request: &EnrolRequest) -> Result<EnrolResponse, Refusal> {
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
    if !policy::is_one_line(&request.device) {
        return Err(malformed("a device's name is one line of plain text"));
    }
    let enrolled = station
        .store
        .write(|tx| register(station, tx, request))
        .map_err(|fault| refusal_of(&fault))?;
    let Some((user, token)) = enrolled else {
        station.count("enrolments_refused");
        return Err(Refusal::new(
            &RefusalCode::EnrolmentCode,
            "the code is wrong, used or run out: ask the station for a new one",
        ));
    };
    station.env.steps.passes("book enrolled");
    station
        .store
        .read(|tx| ledger::note(tx, &station.keys))
        .map_err(|fault| refusal_of(&fault))?;
    station.count("enrolments");
    Ok(EnrolResponse {
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
    })
}

fn register(station: &Station, tx: &WriteTx<'_>, request: &EnrolRequest) -> Result<Option<(UserRow, String)>, StationError> {
    let hash = tokens::hash(people::plain(&request.code).as_bytes());
    let Some(code) = tx.enrolment_code(&hash)? else {
        return Ok(None);
    };
    match &code.used_by {
        Some((book, key)) if *book == request.book && *key == request.key => {}
        Some(_) => return Ok(None),
        None if code.expires_at < station.env.clock.now() || tx.book(request.book)?.is_some() => return Ok(None),
        None => {
            let event = BookEvent {
                book: request.book,
                user: code.user,
                suite: request.suite,
                key: request.key.clone(),
                device: request.device.clone(),
                attested: None,
            };
            write_events(
                tx,
                &station.keys,
                &station.env,
                &station.kinds,
                vec![RegistryEvent::Book(event)],
            )?;
            tx.use_enrolment_code(&hash, request.book, &request.key)?;
        }
    }
    let Some(user) = tx.user(code.user)? else { return Ok(None) };
    let token = tokens::issue_in(tx, &station.env, code.user, Some(request.book))?;
    Ok(Some((user, token)))
}
