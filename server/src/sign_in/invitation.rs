//! Invitations: how a person gets an account and its password, and the only way to a new one when he lost it. Issued by who may decide on him, used
//! once. What he had before ends with it: password, second factor, sessions, remembered devices, links to a provider.

use beatbook_protocol::id::{Hash, UserId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::code_letters;
use serde::Serialize;
use zeroize::Zeroizing;

use super::blocklist::Words;
use super::enter::{Begun, remember, set_password};
use super::factor::{FactorOffer, FactorSecret};
use super::own::{RecoveryCodes, draw_recovery_codes};
use super::password::{CHARS_MIN_ALONE, CHARS_MIN_WITH_FACTOR, Password};
use super::session::{Begin, SignedIn, begin, millis};
use super::source::Source;
use super::{SignInError, account_key, account_name, decided_on, needs_factor};
use crate::audit::{self, Line};
use crate::environment::Environment;
use crate::error::StationError;
use crate::registry::people::letters;
use crate::registry::tokens;
use crate::station::Station;
use crate::store::{InvitationRow, ReadTx, UserRow, WriteTx};

/// Letters of an invitation, 120 bits: as a plain hash it cannot be found by trying (ASVS 6.5.2), and nobody types it twice.
const LETTERS: usize = 24;

/// An invitation that was issued; shown once.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct Invited {
    /// The invitation.
    pub invitation: String,
    /// By what name the person will sign in.
    pub account: String,
    /// When it runs out.
    #[schema(value_type = i64)]
    pub expires_at: UnixMillis,
    /// Whether the person's roles ask for a second factor.
    pub factor_required: bool,
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invited")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// What somebody who holds an invitation is told.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct InvitationView {
    /// The station's name.
    pub station: String,
    /// The person's name.
    pub person: String,
    /// By what name he will sign in.
    pub account: String,
    /// When it runs out.
    #[schema(value_type = i64)]
    pub expires_at: UnixMillis,
    /// Whether the person's roles ask for a second factor.
    pub factor_required: bool,
    /// Characters that the password needs beside a second factor.
    pub password_chars_min_with_factor: usize,
    /// Characters that it needs without one.
    pub password_chars_min_alone: usize,
}

/// What somebody makes of his invitation.
#[derive(Clone, Default)]
pub struct AcceptOrder {
    /// The invitation.
    pub invitation: String,
    /// The password that he takes.
    pub password: Zeroizing<String>,
    /// The code of the second factor that he was shown; none when he takes none.
    pub code: Option<String>,
    /// Where he is.
    pub source: Source,
}

impl std::fmt::Debug for AcceptOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcceptOrder")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// An invitation that was used.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// The session that was begun.
    #[serde(flatten)]
    pub begun: Begun,
    /// Recovery codes, to be kept on paper; none without a second factor.
    pub recovery_codes: Vec<String>,
    /// Tokens of programs that the person has: they go on, look whether each is still wanted.
    pub program_tokens: usize,
}

/// Issues an invitation. `account` may be left out for who has an account.
pub(crate) fn invite(
    station: &Station,
    by: Option<&SignedIn>,
    user: UserId,
    account: Option<&str>,
) -> Result<Invited, SignInError> {
    let now = station.env.clock.now();
    if let Some(by) = by {
        // Whoever invites can become who is invited: a program's token is not enough for that.
        by.own_session()?;
        by.must_be_fresh(now)?;
    }
    let invitation = written(&station.env, LETTERS)?;
    let expires_at = now.plus(millis(station.sign_in.config.invitation_max));
    let (row, factor_required) = station.store.write(|tx| {
        let person = decided_on(tx, by.map(|by| &by.session), user)?;
        let account = name_for(tx, user, account)?;
        let row = InvitationRow {
            user,
            account,
            expires_at,
            totp_next: None,
        };
        tx.put_invitation(&hash(&invitation), &row, now)?;
        let detail = format!("{} for {user}", row.account);
        audit::append(
            tx,
            &station.env,
            &Line::of(by.map(|by| by.session.user), "invitation.issued", detail),
        )?;
        let factor_required = needs_factor(station, tx, &person)?;
        Ok::<_, StationError>((row, factor_required))
    })?;
    Ok(Invited {
        invitation,
        account: row.account,
        expires_at,
        factor_required,
    })
}

/// The name of a person's account: the one that is said, or the one that he has.
fn name_for(tx: &ReadTx<'_>, user: UserId, said: Option<&str>) -> Result<String, StationError> {
    let name = match said {
        Some(said) => account_name(said)
            .ok_or_else(|| StationError::Invalid("an account's name has 1 to 64 letters and digits, also . _ - and @".into()))?,
        None => match tx.account_of(user)? {
            Some(account) => account.name,
            None => {
                return Err(StationError::Invalid(
                    "say by what name the person will sign in: `account`".into(),
                ));
            }
        },
    };
    match tx.account(&name)? {
        Some(other) if other.user != user => Err(StationError::Invalid("another person has this account's name".into())),
        Some(_) | None => Ok(name),
    }
}

/// What stands behind an invitation.
pub(crate) fn look(station: &Station, invitation: &str, source: &Source) -> Result<InvitationView, SignInError> {
    let (row, user) = held(station, invitation, source)?;
    let factor_required = station.store.read(|tx| needs_factor(station, tx, &user))?;
    Ok(InvitationView {
        station: station.name.clone(),
        person: user.name,
        account: row.account,
        expires_at: row.expires_at,
        factor_required,
        password_chars_min_with_factor: CHARS_MIN_WITH_FACTOR,
        password_chars_min_alone: CHARS_MIN_ALONE,
    })
}

/// A second factor for who holds an invitation; another one each time it is asked for.
pub(crate) fn offer_factor(station: &Station, invitation: &str, source: &Source) -> Result<FactorOffer, SignInError> {
    let (row, _) = held(station, invitation, source)?;
    let secret = FactorSecret::draw(&station.env)?;
    let sealed = secret.seal(&station.keys.column, &station.env, row.user.as_bytes())?;
    station
        .store
        .write(|tx| Ok::<_, StationError>(tx.put_invitation_factor(&hash(invitation), &sealed)?))?;
    Ok(secret.offer(&row.account, &station.name)?)
}

/// Sets password and second factor, and signs in. Whoever is second with the same invitation is refused.
pub(crate) fn accept(station: &Station, order: &AcceptOrder) -> Result<Accepted, SignInError> {
    let (row, user) = held(station, &order.invitation, &order.source)?;
    let factor_required = station.store.read(|tx| needs_factor(station, tx, &user))?;
    let now = station.env.clock.now();
    let step = match &order.code {
        Some(code) => Some(confirmed_step(station, &row, code, now)?),
        None if factor_required => return Err(SignInError::FactorMissing),
        None => None,
    };
    let password = Password::typed(&order.password)?;
    let words = Words {
        station: &station.name,
        person: &user.name,
        account: &row.account,
    };
    let chars_min = if step.is_some() {
        CHARS_MIN_WITH_FACTOR
    } else {
        CHARS_MIN_ALONE
    };
    password.check(chars_min, &words, &station.sign_in.blocklist)?;
    let hash_kept = station.sign_in.hashing.hash(&station.env, &password)?;
    let accepted = station.store.write(|tx| {
        let name = take(tx, &order.invitation, &row)?;
        let Some(name) = name else { return Ok(None) };
        tx.put_account(user.user, &name)?;
        set_password(tx, station, user.user, &hash_kept, password.is_long())?;
        tx.put_factor(
            user.user,
            row.totp_next.as_deref().filter(|_| step.is_some()),
            step.unwrap_or(0),
        )?;
        let recovery_codes = match step {
            Some(_) => draw_recovery_codes(tx, station, user.user)?,
            None => {
                tx.put_recovery_codes(user.user, &[])?;
                RecoveryCodes::default()
            }
        };
        end_all(tx, user.user)?;
        audit::append(tx, &station.env, &Line::of(Some(user.user), "password.set", "by invitation"))?;
        if step.is_some() {
            audit::append(
                tx,
                &station.env,
                &Line::of(Some(user.user), "factor.set", "totp, by invitation"),
            )?;
        }
        tx.put_sign_in_failures(&account_key(&name), 0, now)?;
        let mut begun = begin(
            tx,
            &station.env,
            &station.sign_in.config,
            &Begin {
                user: &user,
                via: "password",
                factor: step.map(|_| "totp"),
                source: &order.source,
            },
        )?;
        begun.device = remember(tx, station, &user, &order.source, None)?;
        Ok::<_, StationError>(Some(Accepted {
            begun,
            recovery_codes: recovery_codes.recovery_codes,
            program_tokens: tx.program_tokens(user.user, now)?.len(),
        }))
    })?;
    let accepted = accepted.ok_or(SignInError::Invitation)?;
    station.sign_in.limits.clear(account_key(&row.account));
    Ok(accepted)
}

/// Takes an invitation away, as it was seen; the account's name, or none when it is gone or another person got the name.
pub(super) fn take(tx: &WriteTx<'_>, invitation: &str, row: &InvitationRow) -> Result<Option<String>, StationError> {
    let hash = hash(invitation);
    let is_same = tx.invitation(&hash)?.is_some_and(|now| now.totp_next == row.totp_next);
    let is_free = tx.account(&row.account)?.is_none_or(|account| account.user == row.user);
    if !is_same || !is_free || !tx.take_invitation(&hash)? {
        return Ok(None);
    }
    Ok(Some(row.account.clone()))
}

/// Ends what let the person in before.
pub(super) fn end_all(tx: &WriteTx<'_>, user: UserId) -> Result<(), StationError> {
    tx.drop_sessions(user)?;
    tx.drop_known_places(user)?;
    tx.drop_provider_links(user)?;
    Ok(())
}

/// The invitation that somebody holds, and who it is for. Wrong ones are counted at where they come from.
pub(super) fn held(station: &Station, invitation: &str, source: &Source) -> Result<(InvitationRow, UserRow), SignInError> {
    let now = station.env.clock.now();
    let limits = &station.sign_in.limits;
    limits
        .admit_source(source.key(), now)
        .map_err(|retry_after_ms| SignInError::Throttled { retry_after_ms })?;
    let found = station.store.read(|tx| {
        let Some(row) = tx.invitation(&hash(invitation))?.filter(|row| row.expires_at > now) else {
            return Ok(None);
        };
        let user = super::person(tx, row.user)?;
        Ok::<_, StationError>(user.map(|user| (row, user)))
    })?;
    let found = found.ok_or(SignInError::Invitation)?;
    limits.forgive_source(source.key());
    Ok(found)
}

fn confirmed_step(station: &Station, row: &InvitationRow, code: &str, now: UnixMillis) -> Result<u64, SignInError> {
    let sealed = row.totp_next.as_deref().ok_or(SignInError::Code)?;
    let secret = FactorSecret::open(&station.keys.column, row.user.as_bytes(), sealed)?;
    secret.step_of(code, now.0)?.ok_or(SignInError::Code)
}

/// Letters and digits in groups of four.
pub(super) fn written(env: &Environment, count: usize) -> Result<String, StationError> {
    let drawn = letters::<LETTERS>(env)?;
    let groups: Vec<&str> = (0..count).step_by(4).filter_map(|at| drawn.get(at..at + 4)).collect();
    Ok(groups.join("-"))
}

fn hash(invitation: &str) -> Hash {
    // A long text is no invitation, and is not hashed as a whole.
    let short: String = invitation.chars().take(64).collect();
    tokens::hash(format!("invitation {}", code_letters(&short)).as_bytes())
}
