//! What a person changes about how he signs in: password, second factor, recovery codes; and showing again who he is. Each asks for something fresh,
//! and ends the sessions that were begun by what is no more.

use beatbook_protocol::id::UserId;
use beatbook_protocol::wire::code_letters;
use serde::Serialize;

use super::blocklist::Words;
use super::enter::{Begun, hash_of, set_password, use_code};
use super::factor::{FactorOffer, FactorSecret, RECOVERY_CODES};
use super::invitation::written;
use super::limits::Attempt;
use super::password::{CHARS_MIN_ALONE, CHARS_MIN_WITH_FACTOR, Password};
use super::session::{SessionView, SignedIn, is_fresh, renew};
use super::source::Source;
use super::{SignInError, account_key, someone};
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::registry::tokens;
use crate::station::Station;
use crate::store::{AccountRow, WriteTx};

/// Letters of a recovery code, 120 bits.
const RECOVERY_LETTERS: usize = 24;

/// Recovery codes; shown once.
#[derive(Clone, Default, Serialize, utoipa::ToSchema)]
pub struct RecoveryCodes {
    /// Each signs in once in the place of the authenticator's code. Earlier ones are void.
    pub recovery_codes: Vec<String>,
}

impl std::fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecoveryCodes").finish_non_exhaustive()
    }
}

/// A second factor that was set.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FactorSet {
    /// The session goes on under a new token; the person's others have ended.
    #[serde(flatten)]
    pub begun: Begun,
    /// Recovery codes, to be kept on paper.
    pub recovery_codes: Vec<String>,
}

/// Shows again who one is: by a code where there is a second factor, else by the password.
pub(crate) fn prove_again(
    station: &Station,
    by: &SignedIn,
    password: Option<&str>,
    code: Option<&str>,
    source: &Source,
) -> Result<Begun, SignInError> {
    let (session, account) = own(station, by)?;
    let (attempt, is_right) = match (&account.totp, password) {
        (Some(_), _) if code.is_none() => return Err(SignInError::FactorNeeded),
        (Some(_), _) => (admitted(station, &account, session, source)?, true),
        (None, Some(password)) => checked(station, &account, session, password, source)?,
        (None, None) => return Err(SignInError::Wrong),
    };
    let begun = station.store.write(|tx| {
        let user = someone(tx, account.user)?;
        let factor = match code.filter(|_| is_right && account.totp.is_some()) {
            Some(code) => use_code(tx, station, &account, code)?,
            None => None,
        };
        // Ended meanwhile by its person or his chief: it does not come back.
        let is_alive = tx.session(&session.id)?.is_some();
        if !is_alive || !is_right || (account.totp.is_some() && factor.is_none()) {
            return refused(tx, station, &account, source).map(|()| None);
        }
        Ok(Some(renew(
            tx,
            &station.env,
            &station.sign_in.config,
            &user,
            session,
            factor,
        )?))
    })?;
    let begun = begun.ok_or(SignInError::Wrong)?;
    station.sign_in.limits.succeeded(&attempt);
    Ok(begun)
}

/// Changes the password with the old one; all sessions end, and this one goes on under a new token.
pub(crate) fn change_password(
    station: &Station,
    by: &SignedIn,
    old: &str,
    new: &str,
    source: &Source,
) -> Result<Begun, SignInError> {
    let (session, account) = own(station, by)?;
    let new = Password::typed(new)?;
    let words = Words {
        station: &station.name,
        person: &by.session.name,
        account: &account.name,
    };
    let chars_min = if account.totp.is_some() {
        CHARS_MIN_WITH_FACTOR
    } else {
        CHARS_MIN_ALONE
    };
    new.check(chars_min, &words, &station.sign_in.blocklist)?;
    let (attempt, is_right) = checked(station, &account, session, old, source)?;
    if !is_right {
        station.store.write(|tx| refused(tx, station, &account, source))?;
        return Err(SignInError::Wrong);
    }
    let hash = station.sign_in.hashing.hash(&station.env, &new)?;
    let begun = station.store.write(|tx| {
        let user = someone(tx, account.user)?;
        let is_same = tx
            .account_of(account.user)?
            .is_some_and(|now| now.password == account.password);
        if !is_same || tx.session(&session.id)?.is_none() {
            return Ok(None);
        }
        set_password(tx, station, account.user, &hash, new.is_long())?;
        tx.drop_sessions(account.user)?;
        tx.drop_known_places(account.user)?;
        audit::append(
            tx,
            &station.env,
            &Line::of(Some(account.user), "password.set", "with the old one"),
        )?;
        Ok::<_, StationError>(Some(renew(tx, &station.env, &station.sign_in.config, &user, session, None)?))
    })?;
    station.sign_in.limits.succeeded(&attempt);
    begun.ok_or(SignInError::Wrong)
}

/// Shows a second factor to who has none, or is to get another one.
pub(crate) fn offer_own_factor(station: &Station, by: &SignedIn) -> Result<FactorOffer, SignInError> {
    let (session, account) = own(station, by)?;
    must_be_recent(station, session, &account)?;
    let secret = FactorSecret::draw(&station.env)?;
    let sealed = secret.seal(&station.keys.column, &station.env, account.user.as_bytes())?;
    station
        .store
        .write(|tx| Ok::<_, StationError>(tx.put_next_factor(account.user, &sealed)?))?;
    Ok(secret.offer(&account.name, &station.name)?)
}

/// Puts the second factor that was shown in force, by its first code.
pub(crate) fn confirm_own_factor(station: &Station, by: &SignedIn, code: &str) -> Result<FactorSet, SignInError> {
    let (session, account) = own(station, by)?;
    must_be_recent(station, session, &account)?;
    let sealed = account.totp_next.as_deref().ok_or(SignInError::Code)?;
    let secret = FactorSecret::open(&station.keys.column, account.user.as_bytes(), sealed)?;
    let step = secret.step_of(code, station.env.clock.now().0)?.ok_or(SignInError::Code)?;
    let set = station.store.write(|tx| {
        let user = someone(tx, account.user)?;
        let is_same = tx
            .account_of(account.user)?
            .is_some_and(|now| now.totp_next == account.totp_next);
        if !is_same || tx.session(&session.id)?.is_none() {
            return Ok(None);
        }
        tx.put_factor(account.user, Some(sealed), step)?;
        tx.drop_sessions(account.user)?;
        let codes = draw_recovery_codes(tx, station, account.user)?;
        audit::append(tx, &station.env, &Line::of(Some(account.user), "factor.set", "totp"))?;
        let begun = renew(tx, &station.env, &station.sign_in.config, &user, session, Some("totp"))?;
        Ok::<_, StationError>(Some(FactorSet {
            begun,
            recovery_codes: codes.recovery_codes,
        }))
    })?;
    set.ok_or(SignInError::Code)
}

/// Draws new recovery codes.
pub(crate) fn new_recovery_codes(station: &Station, by: &SignedIn) -> Result<RecoveryCodes, SignInError> {
    let (session, account) = own(station, by)?;
    if account.totp.is_none() {
        return Err(StationError::Invalid("recovery codes stand in for a second factor, and there is none".into()).into());
    }
    must_be_recent(station, session, &account)?;
    Ok(station.store.write(|tx| draw_recovery_codes(tx, station, account.user))?)
}

/// Draws recovery codes in the place of those that were.
pub(super) fn draw_recovery_codes(tx: &WriteTx<'_>, station: &Station, user: UserId) -> Result<RecoveryCodes, StationError> {
    let codes = (0..RECOVERY_CODES).map(|_| written(&station.env, RECOVERY_LETTERS));
    let codes = codes.collect::<Result<Vec<_>, _>>()?;
    let hashes: Vec<_> = codes.iter().map(|code| tokens::hash(code_letters(code).as_bytes())).collect();
    tx.put_recovery_codes(user, &hashes)?;
    audit::append(
        tx,
        &station.env,
        &Line::of(Some(user), "factor.codes", format!("{RECOVERY_CODES} drawn")),
    )?;
    Ok(RecoveryCodes { recovery_codes: codes })
}

/// The session and the account of who calls.
fn own<'s>(station: &Station, by: &'s SignedIn) -> Result<(&'s SessionView, AccountRow), SignInError> {
    let session = by.own_session()?;
    let account = station
        .store
        .read(|tx| Ok::<_, StationError>(tx.account_of(by.session.user)?))?;
    let account =
        account.ok_or_else(|| StationError::Invalid("this person has no account here: ask for an invitation".into()))?;
    Ok((session, account))
}

/// Holds who did not show within the last minutes what he has to show: with a second factor, that one.
fn must_be_recent(station: &Station, session: &SessionView, account: &AccountRow) -> Result<(), SignInError> {
    let lacks_factor = account.totp.is_some() && session.factor.is_none();
    if lacks_factor || !is_fresh(session, station.env.clock.now()) {
        return Err(SignInError::ProveAgain);
    }
    Ok(())
}

/// Counts an attempt within a session at a place of its own: nobody else can fill that count.
fn admitted(station: &Station, account: &AccountRow, session: &SessionView, source: &Source) -> Result<Attempt, SignInError> {
    let attempt = Attempt {
        account: account_key(&account.name),
        source: source.key(),
        device: Some(session.id),
        is_known_source: true,
        has_code: true,
        is_account: true,
    };
    match station.sign_in.limits.admit(&attempt, station.env.clock.now()) {
        Ok(_) => Ok(attempt),
        Err(retry_after_ms) => Err(SignInError::Throttled { retry_after_ms }),
    }
}

fn checked(
    station: &Station,
    account: &AccountRow,
    session: &SessionView,
    password: &str,
    source: &Source,
) -> Result<(Attempt, bool), SignInError> {
    let password = Password::typed(password)?;
    let hash = hash_of(station, account)?;
    let attempt = admitted(station, account, session, source)?;
    let hash = hash.as_ref().map(|hash| hash.as_str());
    match station.sign_in.hashing.verify(true, &password, hash) {
        Ok(is_right) => Ok((attempt, is_right)),
        Err(fault) => {
            station.sign_in.limits.forgive(&attempt);
            Err(fault)
        }
    }
}

fn refused(tx: &WriteTx<'_>, station: &Station, account: &AccountRow, source: &Source) -> Result<(), StationError> {
    let key = account_key(&account.name);
    let failures = station.sign_in.limits.failures(&key);
    tx.put_sign_in_failures(&key, failures.into(), station.env.clock.now())?;
    let detail = format!("{}, within a session, from {source}", account.name);
    audit::append(tx, &station.env, &Line::of(Some(account.user), "session.refused", detail))
}
