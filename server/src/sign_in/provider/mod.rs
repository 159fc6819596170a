//! Single sign-on by OpenID Connect: the authorization code flow with PKCE, state and nonce. What a flow needs to know at its end it keeps in the
//! browser, sealed: a flood of flows fills nothing here. People are linked by an invitation, or by a claim that is equal to their account's
//! name where the operator says so; nobody is made by a provider's word.

mod carry;
mod client;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use beatbook_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::enter::{Begun, remember};
use super::invitation::{end_all, held, take};
use super::session::{Begin, begin};
use super::source::Source;
use super::{SignInError, account_name, needs_factor, person};
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::registry::tokens::random;
use crate::station::Station;
use crate::store::{InvitationRow, UserRow, WriteTx};

pub use client::Provider;

/// Where a provider sends people back to.
const CALLBACK_PATH: &str = "/api/v1/sign-in/provider/callback";
/// Time for a person at the provider.
const FLOW_MS: i64 = 10 * 60 * 1000;
const FLOW_COLUMN: &str = "provider-flow";

/// A flow that was begun.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct ProviderStart {
    /// Where the person goes on, in his browser.
    pub location: String,
    /// What the browser keeps until he comes back; sealed.
    #[serde(skip)]
    pub flow: String,
}

impl std::fmt::Debug for ProviderStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderStart(..)")
    }
}

/// What a flow needs to know at its end.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Flow {
    state: String,
    nonce: String,
    verifier: String,
    invitation: Option<String>,
    until: i64,
}

/// What a provider says of a person, verified.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// What the configured claim says.
    pub(crate) account: Option<String>,
    /// Whether he showed the provider a second factor that counts here.
    pub(crate) has_factor: bool,
}

/// Draws what a flow needs; the flow, and itself sealed for the browser.
pub(crate) fn begin_flow(station: &Station, invitation: Option<String>) -> Result<(Flow, String), SignInError> {
    let draw = || random::<32>(&station.env).map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let flow = Flow {
        state: draw()?,
        nonce: draw()?,
        verifier: draw()?,
        invitation: invitation.map(|text| text.chars().take(64).collect()),
        until: station.env.clock.now().plus(FLOW_MS).0,
    };
    let text = serde_json::to_vec(&flow).map_err(|fault| SignInError::Provider(fault.to_string()))?;
    let sealed = station.keys.column.seal(&station.env, FLOW_COLUMN, b"browser", &text)?;
    Ok((flow, URL_SAFE_NO_PAD.encode(sealed)))
}

/// Opens the flow that a browser kept, for the state that the provider sent back.
pub(crate) fn open_flow(station: &Station, sealed: &str, state: &str) -> Result<Flow, SignInError> {
    let other = || SignInError::Provider("this is not the browser in which it was begun".into());
    let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| other())?;
    let text = station
        .keys
        .column
        .open(FLOW_COLUMN, b"browser", &sealed)
        .map_err(|_| other())?;
    let flow: Flow = serde_json::from_slice(&text).map_err(|_| other())?;
    if !bool::from(flow.state.as_bytes().ct_eq(state.as_bytes())) {
        return Err(other());
    }
    if flow.until <= station.env.clock.now().0 {
        return Err(SignInError::Provider("it took too long".into()));
    }
    Ok(flow)
}

/// What a person's coming back led to. Not an error: it is written down in the same step.
enum Outcome {
    Begun(Box<Begun>),
    Refused(SignInError),
}

/// Signs in who comes back from the provider.
pub(crate) fn enter_by_provider(
    station: &Station,
    identity: &Identity,
    flow: &Flow,
    source: &Source,
) -> Result<Begun, SignInError> {
    let invited = flow
        .invitation
        .as_ref()
        .map(|code| Ok::<_, SignInError>((code, held(station, code, source)?)));
    let invited = invited.transpose()?;
    let outcome = station.store.write(|tx| {
        let found = match &invited {
            Some((code, (row, user))) => link_invited(tx, station, identity, code, row, user)?,
            None => linked(tx, station, identity)?,
        };
        let user = match found {
            Ok(user) => user,
            Err(refused) => return refuse(tx, station, source, refused),
        };
        if !identity.has_factor && needs_factor(station, tx, &user)? {
            return refuse(tx, station, source, SignInError::FactorMissing);
        }
        let mut begun = begin(
            tx,
            &station.env,
            &station.sign_in.config,
            &Begin {
                user: &user,
                via: "provider",
                factor: identity.has_factor.then_some("provider"),
                source,
            },
        )?;
        begun.device = remember(tx, station, &user, source, None)?;
        Ok::<_, StationError>(Outcome::Begun(Box::new(begun)))
    })?;
    match outcome {
        Outcome::Begun(begun) => {
            station.count("sign_ins");
            Ok(*begun)
        }
        Outcome::Refused(refused) => {
            station.count("sign_ins_refused");
            Err(refused)
        }
    }
}

fn refuse(tx: &WriteTx<'_>, station: &Station, source: &Source, refused: SignInError) -> Result<Outcome, StationError> {
    let detail = format!("by the provider, from {source}");
    audit::append(tx, &station.env, &Line::of(None, "session.refused", detail))?;
    Ok(Outcome::Refused(refused))
}

/// Links the person of an invitation. From then on he comes by the provider alone: what he had before ends.
fn link_invited(
    tx: &WriteTx<'_>,
    station: &Station,
    identity: &Identity,
    code: &str,
    row: &InvitationRow,
    user: &UserRow,
) -> Result<Result<UserRow, SignInError>, StationError> {
    let other = tx.provider_link(&identity.issuer, &identity.subject)?;
    if other.is_some_and(|other| other != user.user) {
        return Ok(Err(SignInError::NotLinked));
    }
    // Before the invitation is taken: it stays good for who comes back with the factor that his roles need.
    if !identity.has_factor && needs_factor(station, tx, user)? {
        return Ok(Err(SignInError::FactorMissing));
    }
    let Some(name) = take(tx, code, row)? else {
        return Ok(Err(SignInError::Invitation));
    };
    tx.put_account(user.user, &name)?;
    tx.drop_password(user.user)?;
    tx.put_recovery_codes(user.user, &[])?;
    end_all(tx, user.user)?;
    link(tx, station, identity, user)?;
    Ok(Ok(user.clone()))
}

/// Who is linked to an identity; by the configured claim, for the first time, whose account has that name.
fn linked(tx: &WriteTx<'_>, station: &Station, identity: &Identity) -> Result<Result<UserRow, SignInError>, StationError> {
    let not_linked = || Ok(Err(SignInError::NotLinked));
    if let Some(known) = tx.provider_link(&identity.issuer, &identity.subject)? {
        return Ok(person(tx, known)?.ok_or(SignInError::NotLinked));
    }
    let Some(name) = identity.account.as_deref().and_then(account_name) else {
        return not_linked();
    };
    let Some(account) = tx.account(&name)? else {
        return not_linked();
    };
    let Some(user) = person(tx, account.user)? else {
        return not_linked();
    };
    if tx.has_provider_link(&identity.issuer, user.user)? {
        // Somebody else at the provider is this person already.
        return not_linked();
    }
    link(tx, station, identity, &user)?;
    Ok(Ok(user))
}

fn link(tx: &WriteTx<'_>, station: &Station, identity: &Identity, user: &UserRow) -> Result<(), StationError> {
    let now: UnixMillis = station.env.clock.now();
    tx.put_provider_link(&identity.issuer, &identity.subject, user.user, now)?;
    audit::append(
        tx,
        &station.env,
        &Line::of(Some(user.user), "provider.linked", identity.issuer.clone()),
    )
}
