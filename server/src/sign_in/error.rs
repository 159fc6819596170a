//! Why somebody was not signed in, or did not get what he asked for about signing in. Says what to do, and never which part of what he showed was
//! wrong, nor whether there is such an account.

use super::password::PasswordFault;
use crate::error::StationError;

/// Not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// What was shown is not right: the name, the password, or the code.
    #[error("the account, the password or the code is not right; a code counts once and for about a minute")]
    Wrong,
    /// The password is right, and a second factor is asked for.
    #[error("send the same with `code`: that of the authenticator, or a recovery code")]
    FactorNeeded,
    /// A role of the person's asks for a second factor, and there is none.
    #[error(
        "a role of this person needs a second factor, and there is none: ask the chief or an administrator for a new invitation"
    )]
    FactorMissing,
    /// Too many attempts.
    #[error(
        "too many attempts: wait, or sign in from where this account was signed in to before, or with the code of the authenticator"
    )]
    Throttled {
        /// Milliseconds to wait.
        retry_after_ms: u64,
    },
    /// More attempts at once than are looked at.
    #[error("many people sign in at this moment: try again")]
    Busy,
    /// The session is too old, or was begun without a second factor, for what is asked.
    #[error(
        "show again who you are, by POST /api/v1/session/renew with the code of the authenticator, then repeat this within ten minutes"
    )]
    ProveAgain,
    /// A program's token was used for what is a person's own.
    #[error("this is done by a person who is signed in, not by a token of a program")]
    SessionNeeded,
    /// The password cannot be taken.
    #[error("this password cannot be taken: {0}")]
    Password(#[from] PasswordFault),
    /// The invitation is none.
    #[error("there is no such invitation: it was used, ran out, or a newer one was issued; ask for another")]
    Invitation,
    /// The code does not fit the second factor that was shown.
    #[error(
        "the code does not fit: take the newest entry of the authenticator, and look whether the clock of the phone is right"
    )]
    Code,
    /// Single sign-on is not configured.
    #[error("this station has no single sign-on: sign in with account and password")]
    NoProvider,
    /// The provider said no, or something that is not to be believed.
    #[error("single sign-on failed: {0}; begin again")]
    Provider(String),
    /// Nobody here is known by what the provider says.
    #[error("nobody at this station is linked to this person at the provider: sign in once by an invitation")]
    NotLinked,
    /// The station's own fault or refusal.
    #[error(transparent)]
    Station(#[from] StationError),
}

impl From<crate::store::StoreError> for SignInError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Station(error.into())
    }
}
