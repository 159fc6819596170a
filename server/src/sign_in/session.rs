//! Sessions of people: begun, found by their token, idle and over, listed and ended. Tokens are random and kept as hashes. Knows no passwords.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use beatbook_protocol::id::{Hash, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::enter::Begun;
use super::source::Source;
use super::{SignInError, needs_factor, person, subject};
use crate::audit::{self, Line};
use crate::config::SignInConfig;
use crate::environment::Environment;
use crate::error::StationError;
use crate::registry::people::session_of;
use crate::registry::tokens::{self, random};
use crate::station::{Session, Station};
use crate::store::{ReadTx, SessionRow, UserRow, WriteTx};

/// Sessions of one person at once: desk, spare room, home; of more the one that was silent longest ends.
const SESSIONS_MAX: u32 = 20;
/// A session's last call is noted to the minute: one write a minute, not one a call.
const SEEN_MS: i64 = 60_000;
/// For this long after a person showed what he knows and has, he is believed in what is dangerous.
const FRESH_MS: i64 = 10 * 60_000;

/// A person who calls, and by what he was known.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub session: Session,
    /// By what.
    pub login: Login,
}

/// By what a caller was known.
#[derive(Debug, Clone)]
pub enum Login {
    /// By a session.
    Session(SessionView),
    /// By a token of a program.
    Program {
        /// What it is called; none for one from before tokens had names.
        name: Option<String>,
    },
}

/// A session, as its person and his chief see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SessionView {
    /// By what it is named; opens nothing.
    #[schema(value_type = String)]
    pub id: Hash,
    /// `password` or `provider`.
    pub via: String,
    /// What the person showed that he has: `totp`, `recovery`, `provider`.
    pub factor: Option<String>,
    /// From where it was begun.
    pub source: String,
    /// When it was begun.
    #[schema(value_type = i64)]
    pub begun_at: UnixMillis,
    /// Its last call, to the minute.
    #[schema(value_type = i64)]
    pub seen_at: UnixMillis,
    /// When the person last showed what he knows and has.
    #[schema(value_type = i64)]
    pub proved_at: UnixMillis,
    /// When it ends in any case.
    #[schema(value_type = i64)]
    pub expires_at: UnixMillis,
}

impl From<SessionRow> for SessionView {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.hash,
            via: row.via,
            factor: row.factor,
            source: row.source,
            begun_at: row.begun_at,
            seen_at: row.seen_at,
            proved_at: row.proved_at,
            expires_at: row.expires_at,
        }
    }
}

impl SignedIn {
    /// The session; a program has none.
    pub(crate) fn own_session(&self) -> Result<&SessionView, SignInError> {
        match &self.login {
            Login::Session(session) => Ok(session),
            Login::Program { .. } => Err(SignInError::SessionNeeded),
        }
    }

    /// Holds who did not show a second factor within the last minutes. A program shows none: its token was issued by who did.
    pub(crate) fn must_be_fresh(&self, now: UnixMillis) -> Result<(), SignInError> {
        match &self.login {
            Login::Session(session) if session.factor.is_none() || !is_fresh(session, now) => Err(SignInError::ProveAgain),
            Login::Session(_) | Login::Program { .. } => Ok(()),
        }
    }
}

/// Whether the person showed who he is within the last minutes.
pub(super) fn is_fresh(session: &SessionView, now: UnixMillis) -> bool {
    (0..FRESH_MS).contains(&(now.0 - session.proved_at.0))
}

/// How a session is begun.
#[derive(Debug)]
pub(super) struct Begin<'a> {
    pub(super) user: &'a UserRow,
    pub(super) via: &'static str,
    pub(super) factor: Option<&'static str>,
    pub(super) source: &'a Source,
}

/// Begins a session within a step. Its token is new, whatever the caller brought along.
pub(super) fn begin(
    tx: &WriteTx<'_>,
    env: &Environment,
    config: &SignInConfig,
    begin: &Begin<'_>,
) -> Result<Begun, StationError> {
    let now = env.clock.now();
    let row = SessionRow {
        hash: Hash::from_bytes([0; 32]),
        user: begin.user.user,
        via: begin.via.to_owned(),
        factor: begin.factor.map(str::to_owned),
        source: begin.source.to_string(),
        begun_at: now,
        seen_at: now,
        proved_at: now,
        expires_at: now.plus(millis(config.session_max)),
    };
    let begun = put(tx, env, config, begin.user, row)?;
    let detail = format!(
        "{}, {}, from {}",
        begin.via,
        begin.factor.unwrap_or("no second factor"),
        begin.source
    );
    audit::append(tx, env, &Line::of(Some(begin.user.user), "session.begin", detail))?;
    Ok(begun)
}

/// Goes on with a session under a new token, after the person showed again who he is; its end stays.
pub(super) fn renew(
    tx: &WriteTx<'_>,
    env: &Environment,
    config: &SignInConfig,
    user: &UserRow,
    old: &SessionView,
    factor: Option<&'static str>,
) -> Result<Begun, StationError> {
    let now = env.clock.now();
    tx.drop_session(&old.id)?;
    let row = SessionRow {
        hash: old.id,
        user: user.user,
        via: old.via.clone(),
        factor: factor.map(str::to_owned).or_else(|| old.factor.clone()),
        source: old.source.clone(),
        begun_at: old.begun_at,
        seen_at: now,
        proved_at: now,
        expires_at: old.expires_at,
    };
    let begun = put(tx, env, config, user, row)?;
    audit::append(
        tx,
        env,
        &Line::of(Some(user.user), "session.renew", factor.unwrap_or("password")),
    )?;
    Ok(begun)
}

fn put(
    tx: &WriteTx<'_>,
    env: &Environment,
    config: &SignInConfig,
    user: &UserRow,
    row: SessionRow,
) -> Result<Begun, StationError> {
    let token = URL_SAFE_NO_PAD.encode(random::<32>(env)?);
    let row = SessionRow {
        hash: tokens::hash(token.as_bytes()),
        ..row
    };
    tx.put_session(&row, SESSIONS_MAX)?;
    Ok(Begun {
        csrf: csrf(&token),
        token,
        session: session_of(tx, user.clone())?,
        factor: row.factor,
        expires_at: row.expires_at,
        idle_ms: millis(config.idle_max),
        device: None,
        recovery_codes_left: tx.recovery_codes(user.user)?,
    })
}

/// What a page that holds the cookie must send along with what changes anything: only who can read the station's answers knows it.
pub(crate) fn csrf(token: &str) -> String {
    Hash::of(&[b"beatbook/csrf/1\0", token.as_bytes()]).to_string()
}

/// Who calls with a token, of a session or of a program.
pub(crate) fn find(station: &Station, token: &str) -> Result<Option<SignedIn>, StationError> {
    let now = station.env.clock.now();
    let hash = tokens::hash(token.as_bytes());
    let idle_ms = millis(station.sign_in.config.idle_max);
    station.keep_time()?;
    let (found, is_over) = station.store.read(|tx| match tx.session(&hash)? {
        Some(row) => {
            let found = of_session(station, tx, row, idle_ms, now)?;
            let is_over = found.is_none();
            Ok::<_, StationError>((found, is_over))
        }
        None => Ok((of_program(tx, &hash, now)?, false)),
    })?;
    if is_over {
        // For good: a clock that is set back brings nothing back that was seen to be over.
        noted(
            station
                .store
                .write(|tx| Ok::<_, StationError>(tx.drop_session(&hash).map(drop)?)),
        );
    }
    if let Some(SignedIn {
        login: Login::Session(session),
        ..
    }) = &found
        && now.0 - session.seen_at.0 >= SEEN_MS.min(idle_ms / 2)
    {
        noted(station.store.write(|tx| Ok::<_, StationError>(tx.touch_session(&hash, now)?)));
    }
    Ok(found)
}

/// What a full disk must not make of a call that only reads: nobody is signed out because his session could not be noted.
fn noted(outcome: Result<(), StationError>) {
    if let Err(fault) = outcome {
        tracing::error!(%fault, "a session could not be noted");
    }
}

fn of_session(
    station: &Station,
    tx: &ReadTx<'_>,
    row: SessionRow,
    idle_ms: i64,
    now: UnixMillis,
) -> Result<Option<SignedIn>, StationError> {
    if row.expires_at <= now || now.0 - row.seen_at.0 >= idle_ms {
        return Ok(None);
    }
    let Some(user) = person(tx, row.user)? else {
        return Ok(None);
    };
    // Who became more than he was when he signed in proves himself again.
    if row.factor.is_none() && needs_factor(station, tx, &user)? {
        return Ok(None);
    }
    Ok(Some(SignedIn {
        session: session_of(tx, user)?,
        login: Login::Session(row.into()),
    }))
}

fn of_program(tx: &ReadTx<'_>, hash: &Hash, now: UnixMillis) -> Result<Option<SignedIn>, StationError> {
    let Some(token) = tx.token(hash)?.filter(|row| row.expires_at > now && row.book.is_none()) else {
        return Ok(None);
    };
    let Some(user) = person(tx, token.user)? else {
        return Ok(None);
    };
    let row = tx.program_token(hash)?;
    let limit = row.as_ref().and_then(|row| row.roles.clone());
    let mut session = session_of(tx, user)?;
    if let Some(limit) = limit {
        session.roles.retain(|role| limit.contains(role));
        session.elsewhere.retain(|role| limit.contains(role));
    }
    Ok(Some(SignedIn {
        session,
        login: Login::Program {
            name: row.and_then(|row| row.name),
        },
    }))
}

/// The sessions of a person that are not over, newest first.
pub(crate) fn sessions(station: &Station, by: Option<&SignedIn>, user: UserId) -> Result<Vec<SessionView>, SignInError> {
    let now = station.env.clock.now();
    let idle_ms = millis(station.sign_in.config.idle_max);
    let rows = station.store.read(|tx| {
        subject(tx, by.map(|by| &by.session), user)?;
        Ok::<_, StationError>(tx.sessions(user)?)
    })?;
    let alive = |row: &SessionRow| row.expires_at > now && now.0 - row.seen_at.0 < idle_ms;
    Ok(rows.into_iter().filter(alive).map(SessionView::from).collect())
}

/// Ends one session of a person, or all; how many ended.
pub(crate) fn end(station: &Station, by: Option<&SignedIn>, user: UserId, id: Option<Hash>) -> Result<usize, SignInError> {
    Ok(station.store.write(|tx| {
        subject(tx, by.map(|by| &by.session), user)?;
        let ended = match id {
            Some(id) if tx.session(&id)?.is_some_and(|row| row.user == user) => usize::from(tx.drop_session(&id)?),
            Some(id) => return Err(StationError::NotFound(format!("session {id} of this person"))),
            None => tx.drop_sessions(user)?,
        };
        let detail = format!("{ended} of {user}");
        audit::append(
            tx,
            &station.env,
            &Line::of(by.map(|by| by.session.user), "session.end", detail),
        )?;
        Ok(ended)
    })?)
}

/// Ends the session that calls.
pub(crate) fn end_own(station: &Station, by: &SignedIn) -> Result<(), SignInError> {
    let session = by.own_session()?;
    Ok(station.store.write(|tx| {
        if tx.drop_session(&session.id)? {
            audit::append(
                tx,
                &station.env,
                &Line::of(Some(by.session.user), "session.end", "signed out"),
            )?;
        }
        Ok::<_, StationError>(())
    })?)
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
