//! The station as a client of the provider: discovery, the address a person is sent to, the exchange of his code, the verification of his ID
//! token. The only file that names openidconnect beside `carry`. Knows no people of the station.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use beatbook_protocol::time::UnixMillis;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthenticationContextClass, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, IssuerUrl, LogoutRequest, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _,
};
use serde::{Deserialize, Serialize};

use super::carry::Carrier;
use super::{CALLBACK_PATH, Flow, Identity};
use crate::config::ProviderConfig;
use crate::error::StationError;
use crate::sign_in::SignInError;

/// After this long the provider's description and keys are fetched again.
const KNOWN_MS: i64 = 10 * 60 * 1000;
/// Keys that do not fit are fetched again at most this often.
const AGAIN_MS: i64 = 30 * 1000;
/// Characters of what a provider names a person by (OpenID Connect Core, 2: `sub` has at most 255).
const SUBJECT_CHARS_MAX: usize = 255;

/// Claims beside the standard ones, of which one may name the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OtherClaims {
    #[serde(flatten)]
    all: BTreeMap<String, serde_json::Value>,
}

impl AdditionalClaims for OtherClaims {}

type Fields = IdTokenFields<
    OtherClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type StationClient = Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

type Token = openidconnect::IdToken<OtherClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

/// Signatures that only the provider can make. `none`, and keys that both sides hold, are not among them.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// A provider.
#[derive(Debug)]
pub struct Provider {
    config: ProviderConfig,
    public_url: String,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    carrier: Carrier,
    known: Mutex<Option<Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    metadata: ProviderMetadataWithLogout,
    fetched_at: UnixMillis,
}

impl Provider {
    /// A provider that sends people back to `public_url`. Nothing is asked of it before the first person comes.
    pub(crate) fn new(config: &ProviderConfig, public_url: &str) -> Result<Self, StationError> {
        let wrong = |fault: String| StationError::Invalid(format!("[provider] in the configuration: {fault}"));
        Ok(Self {
            carrier: Carrier::new(config)?,
            issuer: IssuerUrl::new(config.issuer.clone()).map_err(|fault| wrong(format!("issuer: {fault}")))?,
            redirect: RedirectUrl::new(format!("{public_url}{CALLBACK_PATH}"))
                .map_err(|fault| wrong(format!("public_url: {fault}")))?,
            public_url: public_url.to_owned(),
            config: config.clone(),
            known: Mutex::new(None),
        })
    }

    /// Where a person goes on with a flow.
    pub(crate) async fn location(&self, flow: &Flow, now: UnixMillis) -> Result<String, SignInError> {
        let client = self.client(&self.known(now, KNOWN_MS).await?);
        let (state, nonce) = (CsrfToken::new(flow.state.clone()), Nonce::new(flow.nonce.clone()));
        let verifier = PkceCodeVerifier::new(flow.verifier.clone());
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        for acr in &self.config.factor_acr {
            request = request.add_auth_context_value(AuthenticationContextClass::new(acr.clone()));
        }
        Ok(request.url().0.into())
    }

    /// Who came back with a code; verified. `issuer` is what the answer says of its origin (RFC 9207).
    pub(crate) async fn identity(
        &self,
        flow: &Flow,
        code: String,
        issuer: Option<String>,
        now: UnixMillis,
    ) -> Result<Identity, SignInError> {
        if issuer.is_some_and(|issuer| issuer != self.config.issuer) {
            return Err(refused("the answer is of another provider"));
        }
        let known = self.known(now, KNOWN_MS).await?;
        let client = self.client(&known);
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| refused("the provider names no place where codes are exchanged"))?
            .set_pkce_verifier(PkceCodeVerifier::new(flow.verifier.clone()));
        let response = request.request_async(&self.carrier).await.map_err(|fault| {
            tracing::warn!(kind = error_kind(&fault), "the provider gave no token for a code");
            refused("the provider gave no token for the code")
        })?;
        let token = response.id_token().ok_or_else(|| refused("the provider gave no ID token"))?;
        match self.verified(&client, token, flow, now) {
            Ok(identity) => Ok(identity),
            // The provider may have changed its keys since they were fetched.
            Err(_) => {
                let client = self.client(&self.known(now, AGAIN_MS).await?);
                self.verified(&client, token, flow, now)
            }
        }
    }

    /// Where a person's session at the provider is ended; none when the provider has no such place.
    pub(crate) async fn sign_out_location(&self, now: UnixMillis) -> Option<String> {
        let known = self.known(now, KNOWN_MS).await.ok()?;
        let place = known.metadata.additional_metadata().end_session_endpoint.clone()?;
        let back = PostLogoutRedirectUrl::new(format!("{}/", self.public_url)).ok()?;
        let request = LogoutRequest::from(place)
            .set_client_id(ClientId::new(self.config.client_id.clone()))
            .set_post_logout_redirect_uri(back);
        Some(request.http_get_url().into())
    }

    fn verified(&self, client: &StationClient, token: &Token, flow: &Flow, now: UnixMillis) -> Result<Identity, SignInError> {
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || (UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).unwrap_or(0))).into());
        let claims = token.claims(&verifier, &Nonce::new(flow.nonce.clone())).map_err(|fault| {
            tracing::warn!(%fault, "an ID token of the provider is not to be believed");
            refused("the provider's ID token is not to be believed")
        })?;
        let subject = claims.subject().as_str();
        if subject.is_empty() || subject.chars().count() > SUBJECT_CHARS_MAX {
            return Err(refused("the provider names the person by nothing, or by too much"));
        }
        let amr = claims.auth_method_refs().into_iter().flatten();
        let has_amr = amr
            .into_iter()
            .any(|method| self.config.factor_amr.iter().any(|known| known == &**method));
        let has_acr = claims
            .auth_context_ref()
            .is_some_and(|class| self.config.factor_acr.iter().any(|known| known == &**class));
        let said = |claim: &String| {
            // A standard claim is not among the others.
            let standard = (claim == "preferred_username").then(|| claims.preferred_username()).flatten();
            let other = claims.additional_claims().all.get(claim).and_then(serde_json::Value::as_str);
            standard.map(|name| name.as_str()).or(other).map(str::to_owned)
        };
        Ok(Identity {
            issuer: self.config.issuer.clone(),
            subject: subject.to_owned(),
            account: self.config.account_claim.as_ref().and_then(said),
            has_factor: has_amr || has_acr,
        })
    }

    fn client(&self, known: &Known) -> StationClient {
        let secret = self.config.client_secret.clone().map(ClientSecret::new);
        Client::from_provider_metadata(known.metadata.clone(), ClientId::new(self.config.client_id.clone()), secret)
            .set_redirect_uri(self.redirect.clone())
    }

    /// The provider's description and keys, not older than `age_ms`.
    async fn known(&self, now: UnixMillis, age_ms: i64) -> Result<Known, SignInError> {
        let kept = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| (0..age_ms).contains(&(now.0 - kept.fetched_at.0))) {
            return Ok(kept);
        }
        let metadata = ProviderMetadataWithLogout::discover_async(self.issuer.clone(), &self.carrier).await;
        let metadata = metadata.map_err(|fault| {
            tracing::warn!(%fault, "the provider could not be asked what it offers");
            refused("the provider cannot be reached, or does not say what it offers")
        })?;
        let known = Known {
            metadata,
            fetched_at: now,
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }
}

fn refused(why: &str) -> SignInError {
    SignInError::Provider(why.to_owned())
}

/// What sort of fault it was; its text may hold what the provider sent.
fn error_kind<A, B>(fault: &openidconnect::RequestTokenError<A, B>) -> &'static str
where
    A: std::error::Error + 'static,
    B: openidconnect::ErrorResponse + 'static,
{
    match fault {
        openidconnect::RequestTokenError::ServerResponse(_) => "refused",
        openidconnect::RequestTokenError::Request(_) => "not reached",
        openidconnect::RequestTokenError::Parse(..) => "not understood",
        openidconnect::RequestTokenError::Other(_) => "other",
    }
}
