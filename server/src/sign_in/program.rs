//! Tokens of programs: named, limited to roles and time, listed and revoked. Issued by a person who has just shown a second factor, or by the
//! operator at the machine; a token is shown once and kept as a hash.

use beatbook_protocol::id::{Hash, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::session::SignedIn;
use super::{SignInError, subject};
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::policy;
use crate::registry::names;
use crate::registry::people::{self, check_not_blocked, check_roles};
use crate::registry::tokens;
use crate::station::{Session, Station};
use crate::store::ProgramTokenRow;

/// Days that a token lives at most, and unless said.
const DAYS_MAX: u32 = 90;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A token to be issued.
#[derive(Debug, Clone, Default)]
pub struct TokenOrder {
    /// What it is for.
    pub name: Option<String>,
    /// Roles of the person that it has; all of them, unless said.
    pub roles: Option<Vec<String>>,
    /// Days that it lives; 90 unless said, and at most.
    pub days: Option<u32>,
}

/// A token of a program, as its person and his chief see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TokenView {
    /// By what it is named; opens nothing.
    #[schema(value_type = String)]
    pub id: Hash,
    /// What it is for; none for one from before tokens had names.
    pub name: Option<String>,
    /// Roles that it is limited to; none when it has all of its person's.
    pub roles: Option<Vec<String>>,
    /// Who issued it; none for the operator at the machine.
    #[schema(value_type = Option<String>)]
    pub issued_by: Option<UserId>,
    /// When.
    #[schema(value_type = i64)]
    pub issued_at: UnixMillis,
    /// When it runs out.
    #[schema(value_type = i64)]
    pub expires_at: UnixMillis,
}

impl From<ProgramTokenRow> for TokenView {
    fn from(row: ProgramTokenRow) -> Self {
        Self {
            id: row.hash,
            name: row.name,
            roles: row.roles,
            issued_by: row.issued_by,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
        }
    }
}

/// Issues a token.
pub(crate) fn issue(station: &Station, by: Option<&Session>, user: UserId, order: &TokenOrder) -> Result<String, StationError> {
    let name = names::check("a token", order.name.as_deref().unwrap_or("unnamed"))?;
    let roles = order.roles.as_deref().map(check_roles).transpose()?;
    let days = order.days.unwrap_or(DAYS_MAX);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(StationError::Invalid(format!("a token lives 1 to {DAYS_MAX} days")));
    }
    station.store.write(|tx| {
        let row = subject(tx, by, user)?;
        let own = by.filter(|by| by.user == user);
        check_not_blocked(&row)?;
        let his = people::everywhere(tx, &row)?;
        if own.is_none() {
            policy::require_no_less(by, &his)?;
        }
        // Nobody gets more by a token than he has by what he issues it with.
        let has = own.map_or_else(|| his.clone(), |own| [own.roles.as_slice(), &own.elsewhere].concat());
        let roles = match roles {
            None if has != his => Some(has.clone()),
            roles => roles,
        };
        if let Some(role) = roles.iter().flatten().find(|role| !has.contains(role)) {
            return Err(StationError::Invalid(format!(
                "the person has no role {role:?} to give to a token"
            )));
        }
        let token = tokens::issue_for(tx, &station.env, user, None, i64::from(days) * DAY_MS)?;
        let hash = tokens::hash(token.as_bytes());
        tx.put_program_token(&hash, &name, roles.as_deref(), by.map(|by| by.user))?;
        let limit = roles.map_or_else(|| "all roles".to_owned(), |roles| roles.join(" "));
        let detail = format!("for {user}, {limit}, {days} days");
        audit::append(tx, &station.env, &Line::of(by.map(|by| by.user), "token.issued", detail))?;
        Ok(token)
    })
}

/// The tokens of a person, newest first.
pub(crate) fn tokens(station: &Station, by: &SignedIn, user: UserId) -> Result<Vec<TokenView>, SignInError> {
    let now = station.env.clock.now();
    let rows = station.store.read(|tx| {
        subject(tx, Some(&by.session), user)?;
        Ok::<_, StationError>(tx.program_tokens(user, now)?)
    })?;
    Ok(rows.into_iter().map(TokenView::from).collect())
}

/// Revokes a token.
pub(crate) fn revoke(station: &Station, by: &SignedIn, user: UserId, id: Hash) -> Result<(), SignInError> {
    Ok(station.store.write(|tx| {
        subject(tx, Some(&by.session), user)?;
        if !tx.drop_program_token(&id, user)? {
            return Err(StationError::NotFound(format!("token {id} of this person")));
        }
        let detail = format!("of {user}");
        audit::append(tx, &station.env, &Line::of(Some(by.session.user), "token.revoked", detail))
    })?)
}
