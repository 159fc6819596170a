//! Rows of sessions of people, and of what the tokens of programs are for. Tokens come here as hashes only.

use beatbook_protocol::id::{Hash, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, maybe_id};
use super::{ReadTx, StoreError, WriteTx};

/// A session.
#[derive(Debug, Clone)]
pub(crate) struct SessionRow {
    /// Hash of its token.
    pub(crate) hash: Hash,
    /// Whose.
    pub(crate) user: UserId,
    /// `password` or `provider`.
    pub(crate) via: String,
    /// What the person showed that he has: `totp`, `recovery`, `provider`; none when he showed nothing.
    pub(crate) factor: Option<String>,
    /// From where it was begun.
    pub(crate) source: String,
    /// When.
    pub(crate) begun_at: UnixMillis,
    /// Its last call, to the minute.
    pub(crate) seen_at: UnixMillis,
    /// When the person last showed what he knows and has.
    pub(crate) proved_at: UnixMillis,
    /// When it ends in any case.
    pub(crate) expires_at: UnixMillis,
}

/// A token of a program.
#[derive(Debug, Clone)]
pub(crate) struct ProgramTokenRow {
    /// Its hash.
    pub(crate) hash: Hash,
    /// What it is for; none for one from before tokens had names.
    pub(crate) name: Option<String>,
    /// The roles that it is limited to; none when it has all of its person's.
    pub(crate) roles: Option<Vec<String>>,
    /// Who issued it; none for the operator.
    pub(crate) issued_by: Option<UserId>,
    /// When.
    pub(crate) issued_at: UnixMillis,
    /// When it runs out.
    pub(crate) expires_at: UnixMillis,
}

const SESSION: &str = "SELECT hash, user, via, factor, source, begun_at, seen_at, proved_at, expires_at FROM session";
const PROGRAM_TOKEN: &str = "SELECT t.hash, p.name, p.roles, p.issued_by, t.issued_at, t.expires_at
    FROM token AS t LEFT JOIN program_token AS p ON p.hash = t.hash WHERE t.book IS NULL";

fn read_session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        hash: id!(row, 0, Hash),
        user: id!(row, 1, UserId),
        via: row.get(2)?,
        factor: row.get(3)?,
        source: row.get(4)?,
        begun_at: UnixMillis(row.get(5)?),
        seen_at: UnixMillis(row.get(6)?),
        proved_at: UnixMillis(row.get(7)?),
        expires_at: UnixMillis(row.get(8)?),
    })
}

fn read_program_token(row: &Row<'_>) -> rusqlite::Result<ProgramTokenRow> {
    let roles: Option<String> = row.get(2)?;
    Ok(ProgramTokenRow {
        hash: id!(row, 0, Hash),
        name: row.get(1)?,
        roles: roles.map(|roles| roles.split_whitespace().map(str::to_owned).collect()),
        issued_by: maybe_id!(row, 3, UserId),
        issued_at: UnixMillis(row.get(4)?),
        expires_at: UnixMillis(row.get(5)?),
    })
}

impl ReadTx<'_> {
    /// A session by its token's hash.
    pub(crate) fn session(&self, hash: &Hash) -> Result<Option<SessionRow>, StoreError> {
        self.one(&format!("{SESSION} WHERE hash = ?1"), [hash.as_bytes()], read_session)
    }

    /// A person's sessions, newest first.
    pub(crate) fn sessions(&self, user: UserId) -> Result<Vec<SessionRow>, StoreError> {
        let sql = format!("{SESSION} WHERE user = ?1 ORDER BY begun_at DESC, hash");
        self.all(&sql, [user.as_bytes()], read_session)
    }

    /// What a token of a program is for.
    pub(crate) fn program_token(&self, hash: &Hash) -> Result<Option<ProgramTokenRow>, StoreError> {
        self.one(
            &format!("{PROGRAM_TOKEN} AND t.hash = ?1"),
            [hash.as_bytes()],
            read_program_token,
        )
    }

    /// A person's tokens for programs, newest first.
    pub(crate) fn program_tokens(&self, user: UserId, now: UnixMillis) -> Result<Vec<ProgramTokenRow>, StoreError> {
        let sql = format!("{PROGRAM_TOKEN} AND t.user = ?1 AND t.expires_at > ?2 ORDER BY t.issued_at DESC, t.hash");
        self.all(&sql, params![user.as_bytes(), now.0], read_program_token)
    }
}

impl WriteTx<'_> {
    /// Puts a session and takes away those that ran out; of one person only the newest are kept.
    pub(crate) fn put_session(&self, row: &SessionRow, sessions_max: u32) -> Result<(), StoreError> {
        self.run("DELETE FROM session WHERE expires_at < ?1", [row.begun_at.0])?;
        self.run(
            "INSERT INTO session (hash, user, via, factor, source, begun_at, seen_at, proved_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                row.hash.as_bytes(),
                row.user.as_bytes(),
                row.via,
                row.factor,
                row.source,
                row.begun_at.0,
                row.seen_at.0,
                row.proved_at.0,
                row.expires_at.0
            ],
        )?;
        self.run(
            "DELETE FROM session WHERE user = ?1 AND hash NOT IN (
               SELECT hash FROM session WHERE user = ?1 ORDER BY seen_at DESC, hash LIMIT ?2)",
            params![row.user.as_bytes(), sessions_max],
        )?;
        Ok(())
    }

    /// Notes a session's call.
    pub(crate) fn touch_session(&self, hash: &Hash, at: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "UPDATE session SET seen_at = ?2 WHERE hash = ?1 AND seen_at < ?2",
            params![hash.as_bytes(), at.0],
        )?;
        Ok(())
    }

    /// Ends a session; whether there was one.
    pub(crate) fn drop_session(&self, hash: &Hash) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM session WHERE hash = ?1", [hash.as_bytes()])? == 1)
    }

    /// Ends all sessions of a person; how many there were.
    pub(crate) fn drop_sessions(&self, user: UserId) -> Result<usize, StoreError> {
        self.run("DELETE FROM session WHERE user = ?1", [user.as_bytes()])
    }

    /// Ends every session and invitation that there is, as after a restore.
    pub(crate) fn drop_all_sessions(&self) -> Result<(), StoreError> {
        self.run("DELETE FROM session", [])?;
        self.run("DELETE FROM invitation", [])?;
        Ok(())
    }

    /// Notes what a token is for, and forgets this of tokens that are no more.
    pub(crate) fn put_program_token(
        &self,
        hash: &Hash,
        name: &str,
        roles: Option<&[String]>,
        issued_by: Option<UserId>,
    ) -> Result<(), StoreError> {
        self.run("DELETE FROM program_token WHERE hash NOT IN (SELECT hash FROM token)", [])?;
        self.run(
            "INSERT INTO program_token (hash, name, roles, issued_by) VALUES (?1, ?2, ?3, ?4)",
            params![
                hash.as_bytes(),
                name,
                roles.map(|roles| roles.join(" ")),
                issued_by.map(|user| *user.as_bytes())
            ],
        )?;
        Ok(())
    }

    /// Ends a token of a program; whether there was one of this person.
    pub(crate) fn drop_program_token(&self, hash: &Hash, user: UserId) -> Result<bool, StoreError> {
        let dropped = self.run(
            "DELETE FROM token WHERE hash = ?1 AND user = ?2 AND book IS NULL",
            params![hash.as_bytes(), user.as_bytes()],
        )?;
        self.run("DELETE FROM program_token WHERE hash = ?1", [hash.as_bytes()])?;
        Ok(dropped == 1)
    }
}
