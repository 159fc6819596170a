//! Attestation: what a phone's maker says of the key that is enrolled. Whoever can verify a form of it is a verifier that the station is
//! given; none is built in, so that a station that requires attestation lets nobody in until it has one.

use std::fmt::Debug;

use beatbook_protocol::id::Hash;
use beatbook_protocol::wire::{EnrolRequest, Refusal, RefusalCode, attestation_challenge};

use crate::config::AttestationRule;
use crate::station::Station;

/// The form that says that there is no attestation.
const NONE: &str = "none";
/// Bytes of a statement: a chain of four certificates.
const STATEMENT_BYTES_MAX: usize = 12 * 1024;
/// Characters of a form's name.
const FORMAT_CHARS_MAX: usize = 40;

/// Verifies attestations of one form.
pub trait AttestationVerifier: Send + Sync + Debug {
    /// The form, as `android-key`.
    fn format(&self) -> &str;

    /// Whether the statement says that this key (suite, public key) lives in a phone's hardware, and was made over this challenge.
    ///
    /// # Errors
    /// Why it does not hold, for the log.
    fn verify(&self, statement: &[u8], key: (u8, &[u8]), challenge: &Hash) -> Result<(), String>;
}

/// The form of the attestation that holds; none where there is none. Refused when one is required.
pub(crate) fn judge(station: &Station, request: &EnrolRequest) -> Result<Option<String>, Refusal> {
    let rule = station.door.rules.attestation;
    if rule == AttestationRule::Off {
        return Ok(None);
    }
    let found = match &request.attestation {
        Some(said) if said.format != NONE => {
            if said.statement.len() > STATEMENT_BYTES_MAX || said.format.chars().count() > FORMAT_CHARS_MAX {
                return Err(Refusal::new(
                    &RefusalCode::TooLarge,
                    "the attestation is longer than one may be",
                ));
            }
            let verifier = station
                .door
                .verifiers
                .iter()
                .find(|verifier| verifier.format() == said.format);
            match verifier {
                Some(verifier) => {
                    let challenge = attestation_challenge(&request.code, request.book);
                    verifier.verify(&said.statement, (request.suite, &request.key), &challenge)
                }
                None => Err(format!("this station verifies no attestation of the form {:?}", said.format)),
            }
            .map(|()| said.format.clone())
        }
        Some(_) | None => Err("there is none".to_owned()),
    };
    match found {
        Ok(format) => Ok(Some(format)),
        Err(why) if rule == AttestationRule::Required => {
            tracing::warn!(book = %request.book, why, "an enrolment without an attestation that holds was refused");
            station.count("attestations_refused");
            Err(Refusal::new(
                &RefusalCode::Attestation,
                "this station enrols only phones whose maker attests the key: ask its operator",
            ))
        }
        Err(why) => {
            tracing::debug!(book = %request.book, why, "no attestation");
            Ok(None)
        }
    }
}
