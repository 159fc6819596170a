//! Signing in: how a person at a desk becomes a session, and a program a token. Phones do not pass here: their books sign.
//!
//! ```text
//!  invitation ─► password (argon2id) + factor (TOTP, recovery codes) ─► account
//!                                                                        │
//!  attempt ─► limits ─► enter ──────────────────────────────────────────┤─► session ─► Session (who, roles, unit)
//!  provider (OpenID Connect) ─► link ────────────────────────────────────┘   token of a program ─┘
//! ```
//!
//! Refuses to know HTTP and what a session may do. Everything it does stands in the audit log; no secret ever does.

mod blocklist;
mod enter;
mod error;
mod factor;
mod invitation;
mod limits;
mod own;
mod password;
mod program;
mod provider;
mod session;
mod source;

pub use enter::{Begun, SignInOrder};
pub use error::SignInError;
pub use factor::FactorOffer;
pub use invitation::{AcceptOrder, Accepted, InvitationView, Invited};
pub use own::{FactorSet, RecoveryCodes};
pub use password::PasswordFault;
pub use program::{TokenOrder, TokenView};
pub use provider::{Provider, ProviderStart};
pub use session::{Login, SessionView, SignedIn};
pub use source::Source;

pub(crate) use enter::sign_in;
#[cfg(test)]
pub(crate) use factor::{code_of, secret_of};
pub(crate) use invitation::{accept, invite, look, offer_factor};
pub(crate) use own::{change_password, confirm_own_factor, new_recovery_codes, offer_own_factor, prove_again};
pub(crate) use program::{issue, revoke, tokens};
pub(crate) use provider::{Flow, Identity, begin_flow, enter_by_provider, open_flow};
pub(crate) use session::{csrf, end, end_own, find, sessions};

use std::sync::Arc;

use beatbook_protocol::id::{Hash, UserId};
use beatbook_protocol::kind::Who;

use crate::config::SignInConfig;
use crate::error::StationError;
use crate::policy::{self, Permission};
use crate::registry::people;
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::{AccountRow, ReadTx, Store, UserRow};
use blocklist::Blocklist;
use limits::Limits;
use password::Hashing;

/// The column of which hashes of passwords are sealed: a stolen database is nothing to guess at without the keys directory.
const PASSWORD_COLUMN: &str = "password";
/// Characters of an account's name.
const ACCOUNT_CHARS_MAX: usize = 64;

/// What signing in needs beside the database.
#[derive(Debug)]
pub(crate) struct SignIn {
    pub(crate) config: SignInConfig,
    blocklist: Blocklist,
    hashing: Hashing,
    limits: Limits,
    provider: Option<Arc<Provider>>,
}

impl SignIn {
    /// Takes the configuration, and what was counted before a restart.
    pub(crate) fn open(config: SignInConfig, store: &Store) -> Result<Self, StationError> {
        let limits = Limits::default();
        for (account, failures, last_at) in store.read(|tx| Ok::<_, StationError>(tx.sign_in_failures()?))? {
            limits.remember(account, u32::try_from(failures).unwrap_or(u32::MAX), last_at);
        }
        let provider = match &config.provider {
            Some(provider) => Some(Arc::new(Provider::new(
                provider,
                config.public_url.as_deref().unwrap_or_default(),
            )?)),
            None => None,
        };
        Ok(Self {
            blocklist: Blocklist::of(&config.blocklist),
            config,
            hashing: Hashing::default(),
            limits,
            provider,
        })
    }

    /// Single sign-on, where it is configured.
    pub(crate) fn provider(&self) -> Option<Arc<Provider>> {
        self.provider.clone()
    }

    /// How often argon2 ran: the work of an attempt, whatever name it is for.
    pub(crate) fn hashings(&self) -> u64 {
        self.hashing.runs()
    }

    /// Whether a person of these roles is let in with a second factor only.
    fn requires_factor(&self, roles: &[String]) -> bool {
        roles.iter().any(|role| self.config.factor_roles.contains(role))
    }
}

/// Whether somebody signs in with a second factor only, by what he is wherever he works.
fn needs_factor(station: &Station, tx: &ReadTx<'_>, user: &UserRow) -> Result<bool, StationError> {
    Ok(station.sign_in.requires_factor(&people::everywhere(tx, user)?))
}

/// The person, if he may be signed in at all. The one place that says who may not, whatever he shows: who is blocked, and the station itself,
/// which is no person.
pub(crate) fn person(tx: &ReadTx<'_>, user: UserId) -> Result<Option<UserRow>, StationError> {
    let found = tx.user(user)?.filter(|row| !row.blocked);
    Ok(found.filter(|row| !row.roles.iter().any(|role| role == Who::Station.code())))
}

/// An account's name as it is kept and looked for; none when it cannot be one.
fn account_name(text: &str) -> Option<String> {
    let name = password::normal(text.trim().get(..ACCOUNT_CHARS_MAX * 8).unwrap_or(text.trim())).to_lowercase();
    let is_name = (1..=ACCOUNT_CHARS_MAX).contains(&name.chars().count())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'));
    is_name.then_some(name)
}

/// By what an account's attempts are counted.
fn account_key(name: &str) -> Hash {
    Hash::of(&[b"beatbook/account/1\0", name.as_bytes()])
}

/// Under what an account's attempts are kept over a restart: names that are none share 256 rows, so that nobody fills the table.
fn kept_key(name: &str, account: Option<&AccountRow>) -> Hash {
    let key = account_key(name);
    match account {
        Some(_) => key,
        None => Hash::of(&[b"beatbook/no-account/1\0", key.as_bytes().get(..1).unwrap_or_default()]),
    }
}

/// Whether somebody may decide on how another person signs in, which is to be able to sign in as him: an administrator or chief about the people
/// of his units; about who has a role that watches or registers others, only who has that role himself, or an administrator.
fn may_decide_on(tx: &ReadTx<'_>, by: Option<&Session>, user: &UserRow) -> Result<(), StationError> {
    let Some(by) = by else { return Ok(()) };
    policy::require(Some(by), Permission::IssueCodes)?;
    // Of people of other units it is not even said that they are there.
    if !Scope::of(tx, by)?.units_where(Permission::IssueCodes).contains(&user.unit) {
        return Err(StationError::NotFound(format!("person {}", user.user)));
    }
    let has = |roles: &[String], who: Who| roles.iter().any(|role| role == who.code());
    let (his, own) = (people::everywhere(tx, user)?, [by.roles.as_slice(), &by.elsewhere].concat());
    let beyond = [Who::Admin, Who::Auditor, Who::Supervisor, Who::Chief]
        .into_iter()
        .any(|who| has(&his, who) && !has(&own, who));
    if beyond && !has(&own, Who::Admin) {
        return Err(StationError::Forbidden("this is beyond the person's own roles".into()));
    }
    Ok(())
}

/// The person himself, or one on whose signing in `by` may decide.
fn subject(tx: &ReadTx<'_>, by: Option<&Session>, user: UserId) -> Result<UserRow, StationError> {
    if by.is_some_and(|by| by.user == user) {
        someone(tx, user)
    } else {
        decided_on(tx, by, user)
    }
}

/// One on whose signing in `by` may decide: of others it is not even said that they are there.
fn decided_on(tx: &ReadTx<'_>, by: Option<&Session>, user: UserId) -> Result<UserRow, StationError> {
    policy::require(by, Permission::IssueCodes)?;
    let row = someone(tx, user)?;
    may_decide_on(tx, by, &row)?;
    Ok(row)
}

/// The person, blocked or not, or that there is none.
fn someone(tx: &ReadTx<'_>, user: UserId) -> Result<UserRow, StationError> {
    people::find(tx, user)
}
