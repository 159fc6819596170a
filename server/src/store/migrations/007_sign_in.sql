-- How people sign in: passwords, second factors, sessions. None of it is in the ledger: it is this installation's own.

-- By what name a person signs in. `password` and the secrets of the second factor are sealed; `totp_step` is the last step of which a code
-- was used; `totp_next` is a secret that was shown and that no code has confirmed yet.
CREATE TABLE account (
  user BLOB PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  password BLOB,
  password_at INTEGER NOT NULL,
  is_long INTEGER NOT NULL,
  totp BLOB,
  totp_step INTEGER NOT NULL,
  totp_next BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_code (hash BLOB PRIMARY KEY, user BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX recovery_code_user ON recovery_code (user);

-- What lets a person set his password once. One at a time.
CREATE TABLE invitation (
  hash BLOB PRIMARY KEY,
  user BLOB NOT NULL UNIQUE,
  account TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  totp_next BLOB
) STRICT, WITHOUT ROWID;

-- `proved_at`: when the person last showed what he knows and has. `factor`: by what he showed that he has it; none when he did not.
CREATE TABLE session (
  hash BLOB PRIMARY KEY,
  user BLOB NOT NULL,
  via TEXT NOT NULL,
  factor TEXT,
  source TEXT NOT NULL,
  begun_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  proved_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_user ON session (user);
CREATE INDEX session_expires ON session (expires_at);

-- Devices and addresses from which a person has signed in, by hash: who throttles his account does not throttle him there.
CREATE TABLE known_place (
  user BLOB NOT NULL,
  hash BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (user, hash)
) STRICT, WITHOUT ROWID;

-- Attempts since the last success, by hash of the account's name; names that are none share a few rows.
CREATE TABLE sign_in_failure (account BLOB PRIMARY KEY, failures INTEGER NOT NULL, last_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Who a person is at the single sign-on provider.
CREATE TABLE provider_link (
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  user BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

-- What a token of a program is for. Tokens from before have no row.
CREATE TABLE program_token (hash BLOB PRIMARY KEY, name TEXT NOT NULL, roles TEXT, issued_by BLOB) STRICT, WITHOUT ROWID;
