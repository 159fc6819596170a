//! Tokens and challenges: random, short-lived, kept as hashes only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use beatbook_protocol::id::{BookId, Hash, UserId};
use beatbook_protocol::time::UnixMillis;

use crate::environment::Environment;
use crate::error::StationError;
use crate::station::Station;
use crate::store::{ReadTx, TokenRow, WriteTx};

const DOMAIN: &[u8] = b"beatbook/secret/1\0";

/// A phone's token: a day, renewed by the hour while the phone is in touch.
const PHONE_TOKEN_MS: i64 = 24 * 60 * 60 * 1000;
/// A token of the API: three months; the operator issues the next.
const API_TOKEN_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// A challenge is answered at once or not at all.
const CHALLENGE_MS: i64 = 5 * 60 * 1000;

/// The hash under which a secret is kept.
pub(crate) fn hash(secret: &[u8]) -> Hash {
    Hash::of(&[DOMAIN, secret])
}

/// A token that is in force.
pub(crate) fn find(tx: &ReadTx<'_>, token: &str, now: UnixMillis) -> Result<Option<TokenRow>, StationError> {
    Ok(tx.token(&hash(token.as_bytes()))?.filter(|row| row.expires_at > now))
}

/// Issues a token.
pub(crate) fn issue(station: &Station, user: UserId, book: Option<BookId>) -> Result<String, StationError> {
    station.store.write(|tx| issue_in(tx, &station.env, user, book))
}

/// Issues a token within a step.
pub(crate) fn issue_in(tx: &WriteTx<'_>, env: &Environment, user: UserId, book: Option<BookId>) -> Result<String, StationError> {
    let lease = if book.is_some() { PHONE_TOKEN_MS } else { API_TOKEN_MS };
    issue_for(tx, env, user, book, lease)
}

/// Issues a token that lives for so many milliseconds, within a step.
pub(crate) fn issue_for(
    tx: &WriteTx<'_>,
    env: &Environment,
    user: UserId,
    book: Option<BookId>,
    lease: i64,
) -> Result<String, StationError> {
    let token = URL_SAFE_NO_PAD.encode(random::<32>(env)?);
    let issued_at = env.clock.now();
    tx.put_token(
        &hash(token.as_bytes()),
        &TokenRow {
            user,
            book,
            issued_at,
            expires_at: issued_at.plus(lease),
        },
    )?;
    Ok(token)
}

/// Draws a challenge for a book.
pub(crate) fn challenge(station: &Station, book: BookId) -> Result<[u8; 32], StationError> {
    let challenge = random::<32>(&station.env)?;
    let now = station.env.clock.now();
    station
        .store
        .write(|tx| Ok::<_, StationError>(tx.put_challenge(&hash(&challenge), book, now, now.plus(CHALLENGE_MS))?))?;
    Ok(challenge)
}

/// Random bytes.
pub(crate) fn random<const N: usize>(env: &Environment) -> Result<[u8; N], StationError> {
    env.bytes::<N>()
        .map_err(|fault| StationError::Keys(format!("no randomness: {fault}")))
}
