//! Rows of accounts, recovery codes, invitations, known places, failures and links to a provider. Secrets come here sealed or as hashes only.

use beatbook_protocol::id::{Hash, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, int, uint};
use super::{ReadTx, StoreError, WriteTx};

/// How a person signs in.
#[derive(Debug, Clone)]
pub(crate) struct AccountRow {
    /// Whose.
    pub(crate) user: UserId,
    /// By what name.
    pub(crate) name: String,
    /// Sealed hash of the password; none when he comes by the provider alone.
    pub(crate) password: Option<Vec<u8>>,
    /// Whether it is long enough to stand alone.
    pub(crate) is_long: bool,
    /// Sealed secret of the second factor.
    pub(crate) totp: Option<Vec<u8>>,
    /// A sealed secret that no code has confirmed.
    pub(crate) totp_next: Option<Vec<u8>>,
}

/// What lets a person set his password.
#[derive(Debug, Clone)]
pub(crate) struct InvitationRow {
    /// Who.
    pub(crate) user: UserId,
    /// By what name he is to sign in.
    pub(crate) account: String,
    /// When it runs out.
    pub(crate) expires_at: UnixMillis,
    /// A sealed secret that was shown to him.
    pub(crate) totp_next: Option<Vec<u8>>,
}

const ACCOUNT: &str = "SELECT user, name, password, is_long, totp, totp_next FROM account";

fn read_account(row: &Row<'_>) -> rusqlite::Result<AccountRow> {
    Ok(AccountRow {
        user: id!(row, 0, UserId),
        name: row.get(1)?,
        password: row.get(2)?,
        is_long: row.get(3)?,
        totp: row.get(4)?,
        totp_next: row.get(5)?,
    })
}

impl ReadTx<'_> {
    /// The account of a name.
    pub(crate) fn account(&self, name: &str) -> Result<Option<AccountRow>, StoreError> {
        self.one(&format!("{ACCOUNT} WHERE name = ?1"), [name], read_account)
    }

    /// The account of a person.
    pub(crate) fn account_of(&self, user: UserId) -> Result<Option<AccountRow>, StoreError> {
        self.one(&format!("{ACCOUNT} WHERE user = ?1"), [user.as_bytes()], read_account)
    }

    /// An invitation by its hash.
    pub(crate) fn invitation(&self, hash: &Hash) -> Result<Option<InvitationRow>, StoreError> {
        self.one(
            "SELECT user, account, expires_at, totp_next FROM invitation WHERE hash = ?1",
            [hash.as_bytes()],
            |row| {
                Ok(InvitationRow {
                    user: id!(row, 0, UserId),
                    account: row.get(1)?,
                    expires_at: UnixMillis(row.get(2)?),
                    totp_next: row.get(3)?,
                })
            },
        )
    }

    /// How many recovery codes a person has left.
    pub(crate) fn recovery_codes(&self, user: UserId) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM recovery_code WHERE user = ?1", [user.as_bytes()])
    }

    /// Whether a person has signed in from this place before.
    pub(crate) fn knows_place(&self, user: UserId, hash: &Hash, now: UnixMillis) -> Result<bool, StoreError> {
        let found = self.one(
            "SELECT 1 FROM known_place WHERE user = ?1 AND hash = ?2 AND expires_at > ?3",
            params![user.as_bytes(), hash.as_bytes(), now.0],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Failures that were counted, by account.
    pub(crate) fn sign_in_failures(&self) -> Result<Vec<(Hash, u64, UnixMillis)>, StoreError> {
        self.all(
            "SELECT account, failures, last_at FROM sign_in_failure ORDER BY account",
            [],
            |row| Ok((Hash::from_bytes(row.get(0)?), uint(row.get(1)?), UnixMillis(row.get(2)?))),
        )
    }

    /// Who somebody at a provider is here.
    pub(crate) fn provider_link(&self, issuer: &str, subject: &str) -> Result<Option<UserId>, StoreError> {
        self.one(
            "SELECT user FROM provider_link WHERE issuer = ?1 AND subject = ?2",
            [issuer, subject],
            |row| Ok(id!(row, 0, UserId)),
        )
    }

    /// Whether a person is linked to somebody at a provider.
    pub(crate) fn has_provider_link(&self, issuer: &str, user: UserId) -> Result<bool, StoreError> {
        let found = self.one(
            "SELECT 1 FROM provider_link WHERE issuer = ?1 AND user = ?2",
            params![issuer, user.as_bytes()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }
}

impl WriteTx<'_> {
    /// Gives a person an account, or another name for it.
    pub(crate) fn put_account(&self, user: UserId, name: &str) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO account (user, name, password_at, is_long, totp_step) VALUES (?1, ?2, 0, 0, 0)
             ON CONFLICT (user) DO UPDATE SET name = excluded.name",
            params![user.as_bytes(), name],
        )?;
        Ok(())
    }

    /// Sets the password of an account.
    pub(crate) fn put_password(&self, user: UserId, sealed: &[u8], is_long: bool, at: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "UPDATE account SET password = ?2, is_long = ?3, password_at = ?4 WHERE user = ?1",
            params![user.as_bytes(), sealed, is_long, at.0],
        )?;
        Ok(())
    }

    /// Takes password and second factor away: the person comes by the provider.
    pub(crate) fn drop_password(&self, user: UserId) -> Result<(), StoreError> {
        self.run(
            "UPDATE account SET password = NULL, is_long = 0, totp = NULL, totp_next = NULL WHERE user = ?1",
            [user.as_bytes()],
        )?;
        Ok(())
    }

    /// Sets the second factor of an account, whose first code was of this step; none takes it away.
    pub(crate) fn put_factor(&self, user: UserId, sealed: Option<&[u8]>, step: u64) -> Result<(), StoreError> {
        self.run(
            "UPDATE account SET totp = ?2, totp_step = ?3, totp_next = NULL WHERE user = ?1",
            params![user.as_bytes(), sealed, int(step)],
        )?;
        Ok(())
    }

    /// Notes a secret that was shown and is to be confirmed.
    pub(crate) fn put_next_factor(&self, user: UserId, sealed: &[u8]) -> Result<(), StoreError> {
        self.run(
            "UPDATE account SET totp_next = ?2 WHERE user = ?1",
            params![user.as_bytes(), sealed],
        )?;
        Ok(())
    }

    /// Takes a step; whether no code of it or a later one was used before.
    pub(crate) fn take_step(&self, user: UserId, step: u64) -> Result<bool, StoreError> {
        let taken = self.run(
            "UPDATE account SET totp_step = ?2 WHERE user = ?1 AND totp_step < ?2",
            params![user.as_bytes(), int(step)],
        )?;
        Ok(taken == 1)
    }

    /// Puts recovery codes in the place of those that were.
    pub(crate) fn put_recovery_codes(&self, user: UserId, hashes: &[Hash]) -> Result<(), StoreError> {
        self.run("DELETE FROM recovery_code WHERE user = ?1", [user.as_bytes()])?;
        for hash in hashes {
            self.run(
                "INSERT INTO recovery_code (hash, user) VALUES (?1, ?2)",
                params![hash.as_bytes(), user.as_bytes()],
            )?;
        }
        Ok(())
    }

    /// Takes a recovery code away; whether it was there.
    pub(crate) fn take_recovery_code(&self, user: UserId, hash: &Hash) -> Result<bool, StoreError> {
        let taken = self.run(
            "DELETE FROM recovery_code WHERE hash = ?1 AND user = ?2",
            params![hash.as_bytes(), user.as_bytes()],
        )?;
        Ok(taken == 1)
    }

    /// Puts an invitation in the place of the person's last one, and takes away those that ran out.
    pub(crate) fn put_invitation(&self, hash: &Hash, row: &InvitationRow, now: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM invitation WHERE user = ?1 OR expires_at < ?2",
            params![row.user.as_bytes(), now.0],
        )?;
        self.run(
            "INSERT INTO invitation (hash, user, account, expires_at) VALUES (?1, ?2, ?3, ?4)",
            params![hash.as_bytes(), row.user.as_bytes(), row.account, row.expires_at.0],
        )?;
        Ok(())
    }

    /// Notes the secret that was shown to who holds the invitation.
    pub(crate) fn put_invitation_factor(&self, hash: &Hash, sealed: &[u8]) -> Result<(), StoreError> {
        self.run(
            "UPDATE invitation SET totp_next = ?2 WHERE hash = ?1",
            params![hash.as_bytes(), sealed],
        )?;
        Ok(())
    }

    /// Takes an invitation away; whether it was there.
    pub(crate) fn take_invitation(&self, hash: &Hash) -> Result<bool, StoreError> {
        Ok(self.run("DELETE FROM invitation WHERE hash = ?1", [hash.as_bytes()])? == 1)
    }

    /// Notes a place from which a person signed in; of one person only the newest are kept.
    pub(crate) fn put_known_place(
        &self,
        user: UserId,
        hash: &Hash,
        expires_at: UnixMillis,
        places_max: u32,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO known_place (user, hash, expires_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (user, hash) DO UPDATE SET expires_at = excluded.expires_at",
            params![user.as_bytes(), hash.as_bytes(), expires_at.0],
        )?;
        self.run(
            "DELETE FROM known_place WHERE user = ?1 AND (expires_at < ?2 OR hash NOT IN (
               SELECT hash FROM known_place WHERE user = ?1 ORDER BY expires_at DESC, hash LIMIT ?3))",
            params![user.as_bytes(), now.0, places_max],
        )?;
        Ok(())
    }

    /// Forgets from where a person signed in.
    pub(crate) fn drop_known_places(&self, user: UserId) -> Result<(), StoreError> {
        self.run("DELETE FROM known_place WHERE user = ?1", [user.as_bytes()])?;
        Ok(())
    }

    /// Notes how often an account was failed at.
    pub(crate) fn put_sign_in_failures(&self, account: &Hash, failures: u64, at: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO sign_in_failure (account, failures, last_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (account) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at",
            params![account.as_bytes(), int(failures), at.0],
        )?;
        Ok(())
    }

    /// Links somebody at a provider to a person.
    pub(crate) fn put_provider_link(&self, issuer: &str, subject: &str, user: UserId, at: UnixMillis) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO provider_link (issuer, subject, user, at) VALUES (?1, ?2, ?3, ?4)",
            params![issuer, subject, user.as_bytes(), at.0],
        )?;
        Ok(())
    }

    /// Takes a person's links to providers away; how many there were.
    pub(crate) fn drop_provider_links(&self, user: UserId) -> Result<usize, StoreError> {
        self.run("DELETE FROM provider_link WHERE user = ?1", [user.as_bytes()])
    }
}
