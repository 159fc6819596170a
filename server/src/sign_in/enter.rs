//! An attempt to sign in with account, password and code. A name that is none gets the same work and the same answer as one that is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::code_letters;
use serde::Serialize;
use zeroize::Zeroizing;

use super::factor::{FactorSecret, is_recovery};
use super::limits::{Attempt, Passage};
use super::password::{Password, is_outdated};
use super::session::{Begin, begin};
use super::source::Source;
use super::{PASSWORD_COLUMN, SignInError, account_key, account_name, kept_key, needs_factor, person};
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::registry::tokens::{self, random};
use crate::station::{Session, Station};
use crate::store::{AccountRow, ReadTx, UserRow, WriteTx};

/// A device is remembered for half a year, an address for a month.
const DEVICE_MS: i64 = 180 * 24 * 60 * 60 * 1000;
const ADDRESS_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// Places that are remembered of one person.
const PLACES_MAX: u32 = 20;

/// What somebody shows to be signed in.
#[derive(Clone, Default)]
pub struct SignInOrder {
    /// The account's name.
    pub account: String,
    /// The password.
    pub password: Zeroizing<String>,
    /// The authenticator's code, or a recovery code.
    pub code: Option<String>,
    /// What the device remembers of the last time.
    pub device: Option<String>,
    /// Where he is.
    pub source: Source,
}

impl std::fmt::Debug for SignInOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInOrder")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// A session that was begun. Its token is shown this once.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct Begun {
    /// The session's token.
    pub token: String,
    /// What goes with a cookie into the header `Beatbook-Csrf` of every call that changes something.
    pub csrf: String,
    /// Who is signed in.
    pub session: Session,
    /// What he showed that he has: `totp`, `recovery`, `provider`.
    pub factor: Option<String>,
    /// When the session ends in any case.
    #[schema(value_type = i64)]
    pub expires_at: UnixMillis,
    /// Milliseconds without a call after which it ends.
    pub idle_ms: i64,
    /// What the device is to remember and to show the next time, so that nobody can have the person held up there.
    pub device: Option<String>,
    /// Recovery codes that are left.
    pub recovery_codes_left: u64,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// What is known of an attempt before any work is done on it.
struct Look {
    name: String,
    account: Option<AccountRow>,
    attempt: Attempt,
}

/// What an attempt came to. Not an error: it is written down in the same step.
enum Outcome {
    Begun(Box<Begun>),
    Wrong,
    FactorNeeded,
    FactorMissing,
}

/// Signs somebody in.
pub(crate) fn sign_in(station: &Station, order: &SignInOrder) -> Result<Begun, SignInError> {
    let now = station.env.clock.now();
    let state = &station.sign_in;
    let password = Password::typed(&order.password)?;
    let look = station.store.read(|tx| look(tx, order, now))?;
    let passage = state.limits.admit(&look.attempt, now).map_err(|retry_after_ms| {
        station.count("sign_ins_throttled");
        SignInError::Throttled { retry_after_ms }
    })?;
    let hash = look
        .account
        .as_ref()
        .map(|account| hash_of(station, account))
        .transpose()?
        .flatten();
    let hash = hash.as_ref().map(|hash| hash.as_str());
    let shown = state
        .hashing
        .verify(look.attempt.is_known(), &password, hash)
        .and_then(|is_right| {
            // The password is here now; later nobody could make its hash stronger.
            let is_old = is_right && hash.is_some_and(is_outdated);
            let stronger = is_old.then(|| state.hashing.hash(&station.env, &password)).transpose()?;
            Ok((is_right, stronger))
        });
    let (is_right, stronger) = match shown {
        Ok(shown) => shown,
        Err(fault) => {
            state.limits.forgive(&look.attempt);
            return Err(fault);
        }
    };
    let outcome = station.store.write(|tx| {
        let outcome = decide(tx, station, order, &look, is_right, passage)?;
        if let (Outcome::Begun(begun), Some(stronger)) = (&outcome, &stronger) {
            set_password(tx, station, begun.session.user, stronger, password.is_long())?;
        }
        Ok::<_, StationError>(outcome)
    })?;
    match outcome {
        Outcome::Begun(begun) => {
            state.limits.succeeded(&look.attempt);
            station.count("sign_ins");
            Ok(*begun)
        }
        Outcome::Wrong => {
            station.count("sign_ins_refused");
            Err(SignInError::Wrong)
        }
        Outcome::FactorNeeded => {
            state.limits.forgive(&look.attempt);
            Err(SignInError::FactorNeeded)
        }
        Outcome::FactorMissing => {
            state.limits.forgive(&look.attempt);
            Err(SignInError::FactorMissing)
        }
    }
}

fn look(tx: &ReadTx<'_>, order: &SignInOrder, now: UnixMillis) -> Result<Look, StationError> {
    let name = account_name(&order.account);
    let account = name.as_deref().map(|name| tx.account(name)).transpose()?.flatten();
    // What cannot be a name is counted like one.
    let name = name.unwrap_or_else(|| order.account.chars().take(64).collect());
    let source = order.source.key();
    let (mut device, mut is_known_source) = (None, false);
    if let Some(account) = &account {
        is_known_source = tx.knows_place(account.user, &source, now)?;
        if let Some(shown) = &order.device {
            let hash = tokens::hash(shown.as_bytes());
            device = tx.knows_place(account.user, &hash, now)?.then_some(hash);
        }
    }
    let attempt = Attempt {
        account: account_key(&name),
        source,
        device,
        is_known_source,
        has_code: order.code.is_some(),
        is_account: account.is_some(),
    };
    Ok(Look { name, account, attempt })
}

fn decide(
    tx: &WriteTx<'_>,
    station: &Station,
    order: &SignInOrder,
    look: &Look,
    is_right: bool,
    passage: Passage,
) -> Result<Outcome, StationError> {
    let now = station.env.clock.now();
    let wrong = |tx: &WriteTx<'_>| {
        let kept = kept_key(&look.name, look.account.as_ref());
        let failures = station.sign_in.limits.failures(&look.attempt.account);
        tx.put_sign_in_failures(&kept, failures.into(), now)?;
        let who = look
            .account
            .as_ref()
            .map_or("an unknown account", |account| account.name.as_str());
        let detail = format!("{who}, from {}", order.source);
        audit::append(tx, &station.env, &Line::of(None, "session.refused", detail))?;
        Ok(Outcome::Wrong)
    };
    // As it is now: a password that was changed while this one was hashed lets nobody in.
    let account = look
        .account
        .as_ref()
        .map(|then| tx.account_of(then.user))
        .transpose()?
        .flatten();
    let account = account.filter(|now| look.account.as_ref().is_some_and(|then| then.password == now.password));
    let Some(account) = account.filter(|_| is_right) else {
        return wrong(tx);
    };
    let Some(user) = person(tx, account.user)? else {
        return wrong(tx);
    };
    let factor = match (&account.totp, order.code.as_deref()) {
        (Some(_), None) => return Ok(Outcome::FactorNeeded),
        (Some(_), Some(code)) => match use_code(tx, station, &account, code)? {
            Some(factor) => Some(factor),
            None => return wrong(tx),
        },
        (None, _) if passage == Passage::ByFactor => return wrong(tx),
        (None, _) if needs_factor(station, tx, &user)? || !account.is_long => {
            let detail = format!("{}, without a second factor, from {}", account.name, order.source);
            audit::append(tx, &station.env, &Line::of(None, "session.refused", detail))?;
            return Ok(Outcome::FactorMissing);
        }
        (None, _) => None,
    };
    let mut begun = begin(
        tx,
        &station.env,
        &station.sign_in.config,
        &Begin {
            user: &user,
            via: "password",
            factor,
            source: &order.source,
        },
    )?;
    tx.put_sign_in_failures(&look.attempt.account, 0, now)?;
    begun.device = remember(tx, station, &user, &order.source, look.attempt.device.as_ref())?;
    Ok(Outcome::Begun(Box::new(begun)))
}

/// Notes from where a person signed in; the secret for his device, unless it showed one that is known.
pub(super) fn remember(
    tx: &WriteTx<'_>,
    station: &Station,
    user: &UserRow,
    source: &Source,
    known: Option<&Hash>,
) -> Result<Option<String>, StationError> {
    let now = station.env.clock.now();
    tx.put_known_place(user.user, &source.key(), now.plus(ADDRESS_MS), PLACES_MAX, now)?;
    if let Some(hash) = known {
        tx.put_known_place(user.user, hash, now.plus(DEVICE_MS), PLACES_MAX, now)?;
        return Ok(None);
    }
    let secret = URL_SAFE_NO_PAD.encode(random::<32>(&station.env)?);
    let hash = tokens::hash(secret.as_bytes());
    tx.put_known_place(user.user, &hash, now.plus(DEVICE_MS), PLACES_MAX, now)?;
    Ok(Some(secret))
}

/// Uses a code of the person's second factor, or a recovery code, each once; what it was, none when it is wrong.
pub(super) fn use_code(
    tx: &WriteTx<'_>,
    station: &Station,
    account: &AccountRow,
    code: &str,
) -> Result<Option<&'static str>, StationError> {
    if is_recovery(code) {
        let hash = tokens::hash(code_letters(code).as_bytes());
        if !tx.take_recovery_code(account.user, &hash)? {
            return Ok(None);
        }
        let left = format!("{} left", tx.recovery_codes(account.user)?);
        audit::append(tx, &station.env, &Line::of(Some(account.user), "factor.recovery", left))?;
        return Ok(Some("recovery"));
    }
    let Some(sealed) = &account.totp else { return Ok(None) };
    let secret = FactorSecret::open(&station.keys.column, account.user.as_bytes(), sealed)?;
    match secret.step_of(code, station.env.clock.now().0)? {
        Some(step) if tx.take_step(account.user, step)? => Ok(Some("totp")),
        Some(_) | None => Ok(None),
    }
}

/// The hash of an account's password, opened.
pub(super) fn hash_of(station: &Station, account: &AccountRow) -> Result<Option<Zeroizing<String>>, StationError> {
    let Some(sealed) = &account.password else { return Ok(None) };
    let opened = station.keys.column.open(PASSWORD_COLUMN, account.user.as_bytes(), sealed)?;
    Ok(Some(Zeroizing::new(String::from_utf8_lossy(&opened).into_owned())))
}

/// Sets a password by its hash, sealed.
pub(super) fn set_password(
    tx: &WriteTx<'_>,
    station: &Station,
    user: beatbook_protocol::id::UserId,
    hash: &str,
    is_long: bool,
) -> Result<(), StationError> {
    let sealed = station
        .keys
        .column
        .seal(&station.env, PASSWORD_COLUMN, user.as_bytes(), hash.as_bytes())?;
    Ok(tx.put_password(user, &sealed, is_long, station.env.clock.now())?)
}
