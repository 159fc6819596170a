//! The station's door, continued: how people sign in, their sessions, and the tokens of their programs.

use std::sync::Arc;

use beatbook_protocol::id::{Hash, UserId};

use super::{Session, Station};
use crate::config::SignInConfig;
use crate::error::StationError;
use crate::sign_in::{self, Flow, Identity, SignIn};

pub use crate::sign_in::{
    AcceptOrder, Accepted, Begun, FactorOffer, FactorSet, InvitationView, Invited, Login, PasswordFault, Provider, ProviderStart,
    RecoveryCodes, SessionView, SignInError, SignInOrder, SignedIn, Source, TokenOrder, TokenView,
};

impl Station {
    /// Signs people in by this configuration.
    ///
    /// # Errors
    /// When it cannot be used, or those of the store.
    pub fn signing_in_by(self, config: SignInConfig) -> Result<Self, StationError> {
        let sign_in = SignIn::open(config, &self.store)?;
        Ok(Self { sign_in, ..self })
    }

    /// Who calls with this token, of a session or of a program.
    #[must_use]
    pub fn signed_in(&self, token: &str) -> Option<SignedIn> {
        sign_in::find(self, token).unwrap_or_else(|fault| {
            tracing::error!(%fault, "a token could not be looked up");
            None
        })
    }

    /// Whose session or token this is.
    #[must_use]
    pub fn session(&self, token: &str) -> Option<Session> {
        self.signed_in(token).map(|caller| caller.session)
    }

    /// Signs somebody in with account, password and, where there is one, second factor.
    ///
    /// # Errors
    /// When he is not signed in; whatever was wrong, the work and the answer are the same.
    pub fn sign_in(&self, order: &SignInOrder) -> Result<Begun, SignInError> {
        sign_in::sign_in(self, order)
    }

    /// How often a password was hashed since the station was opened.
    #[must_use]
    pub fn password_hashings(&self) -> u64 {
        self.sign_in.hashings()
    }

    /// Issues an invitation to set a password; `by` is none for the operator at the machine itself.
    ///
    /// # Errors
    /// When there is no such person, the account's name cannot be used, or `by` may not.
    pub fn invite(&self, by: Option<&SignedIn>, user: UserId, account: Option<&str>) -> Result<Invited, SignInError> {
        sign_in::invite(self, by, user, account)
    }

    /// What stands behind an invitation.
    ///
    /// # Errors
    /// When it is none.
    pub fn invitation(&self, invitation: &str, source: &Source) -> Result<InvitationView, SignInError> {
        sign_in::look(self, invitation, source)
    }

    /// A second factor for who holds an invitation.
    ///
    /// # Errors
    /// When it is none.
    pub fn offer_factor(&self, invitation: &str, source: &Source) -> Result<FactorOffer, SignInError> {
        sign_in::offer_factor(self, invitation, source)
    }

    /// Sets password and second factor by an invitation, and signs in.
    ///
    /// # Errors
    /// When the invitation is none, the password cannot be taken, or the code does not fit.
    pub fn accept_invitation(&self, order: &AcceptOrder) -> Result<Accepted, SignInError> {
        sign_in::accept(self, order)
    }

    /// Takes the proof again that a person is who he is; the session goes on under a new token.
    ///
    /// # Errors
    /// When what he shows is not right.
    pub fn prove_again(
        &self,
        by: &SignedIn,
        password: Option<&str>,
        code: Option<&str>,
        source: &Source,
    ) -> Result<Begun, SignInError> {
        sign_in::prove_again(self, by, password, code, source)
    }

    /// Changes a password; the person's other sessions end.
    ///
    /// # Errors
    /// When the old one is not right, or the new one cannot be taken.
    pub fn change_password(&self, by: &SignedIn, old: &str, new: &str, source: &Source) -> Result<Begun, SignInError> {
        sign_in::change_password(self, by, old, new, source)
    }

    /// Shows a new second factor to a person who has just shown who he is.
    ///
    /// # Errors
    /// When he has not.
    pub fn offer_own_factor(&self, by: &SignedIn) -> Result<FactorOffer, SignInError> {
        sign_in::offer_own_factor(self, by)
    }

    /// Puts the second factor that was shown in force.
    ///
    /// # Errors
    /// When the code does not fit.
    pub fn confirm_own_factor(&self, by: &SignedIn, code: &str) -> Result<FactorSet, SignInError> {
        sign_in::confirm_own_factor(self, by, code)
    }

    /// Draws new recovery codes; earlier ones are void.
    ///
    /// # Errors
    /// When the person has no second factor, or has not just shown it.
    pub fn new_recovery_codes(&self, by: &SignedIn) -> Result<RecoveryCodes, SignInError> {
        sign_in::new_recovery_codes(self, by)
    }

    /// The sessions of a person; `by` is none for the operator at the machine itself.
    ///
    /// # Errors
    /// When there is no such person, or `by` may not.
    pub fn sessions(&self, by: Option<&SignedIn>, user: UserId) -> Result<Vec<SessionView>, SignInError> {
        sign_in::sessions(self, by, user)
    }

    /// Ends one session of a person, or all; how many ended.
    ///
    /// # Errors
    /// When there is no such person or session, or `by` may not.
    pub fn end_sessions(&self, by: Option<&SignedIn>, user: UserId, id: Option<Hash>) -> Result<usize, SignInError> {
        sign_in::end(self, by, user, id)
    }

    /// Signs out.
    ///
    /// # Errors
    /// When a program asks for it.
    pub fn sign_out(&self, by: &SignedIn) -> Result<(), SignInError> {
        sign_in::end_own(self, by)
    }

    /// A fresh token for a program of a person's, with all his roles (`init` prints the chief's first one).
    ///
    /// # Errors
    /// When there is no such person, or `by` may not.
    pub fn issue_token(&self, by: Option<&Session>, user: UserId) -> Result<String, StationError> {
        sign_in::issue(self, by, user, &TokenOrder::default())
    }

    /// A fresh token for a program; a person at his desk must have shown a second factor within the last ten minutes. `by` is none for the
    /// operator at the machine itself.
    ///
    /// # Errors
    /// When there is no such person, he has not such a role, or `by` may not.
    pub fn issue_program_token(&self, by: Option<&SignedIn>, user: UserId, order: &TokenOrder) -> Result<String, SignInError> {
        if let Some(by) = by {
            by.must_be_fresh(self.env.clock.now())?;
        }
        Ok(sign_in::issue(self, by.map(|by| &by.session), user, order)?)
    }

    /// The tokens of a person's programs.
    ///
    /// # Errors
    /// When there is no such person, or `by` may not.
    pub fn program_tokens(&self, by: &SignedIn, user: UserId) -> Result<Vec<TokenView>, SignInError> {
        sign_in::tokens(self, by, user)
    }

    /// Revokes a token of a program.
    ///
    /// # Errors
    /// When there is no such token, or `by` may not.
    pub fn revoke_program_token(&self, by: &SignedIn, user: UserId, id: Hash) -> Result<(), SignInError> {
        sign_in::revoke(self, by, user, id)
    }

    /// Single sign-on, where it is configured.
    pub(crate) fn provider(&self) -> Option<Arc<Provider>> {
        self.sign_in.provider()
    }

    /// Begins a flow at the provider.
    pub(crate) fn begin_flow(&self, invitation: Option<String>) -> Result<(Flow, String), SignInError> {
        sign_in::begin_flow(self, invitation)
    }

    /// Opens the flow that a browser kept.
    pub(crate) fn open_flow(&self, sealed: &str, state: &str) -> Result<Flow, SignInError> {
        sign_in::open_flow(self, sealed, state)
    }

    /// Signs in who comes back from the provider.
    pub(crate) fn enter_by_provider(&self, identity: &Identity, flow: &Flow, source: &Source) -> Result<Begun, SignInError> {
        sign_in::enter_by_provider(self, identity, flow, source)
    }

    /// How people sign in.
    pub(crate) fn sign_in_config(&self) -> &SignInConfig {
        &self.sign_in.config
    }

    /// What time it is here.
    pub(crate) fn now(&self) -> beatbook_protocol::time::UnixMillis {
        self.env.clock.now()
    }
}
