//! Errors as people's programs get them: `application/problem+json` (RFC 9457) with a stable `code` and, in `detail`, what to do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use beatbook_protocol::wire::BlobRefusal;
use serde::Serialize;

use super::fault::Fault;
use crate::station::{ActError, ActLine, ChangedField, FindingView, SignInError, StationError};

/// An error (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// `urn:beatbook:problem:` and the code.
    #[serde(rename = "type")]
    problem_type: String,
    /// What sort of error it is, the same for every occurrence.
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// Stable code for programs.
    code: &'static str,
    /// What happened and what to do.
    detail: String,
    /// With `moved`, `state_met`, `findings` and `settlement`: what the next decision needs.
    #[serde(flatten)]
    #[schema(inline)]
    more: More,
}

/// What goes with some codes.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct More {
    /// `moved`: fields written since, newest value each.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Vec<ChangedField>>,
    /// `moved`: acts done since.
    #[serde(skip_serializing_if = "Option::is_none")]
    acts: Option<Vec<ActLine>>,
    /// `moved`: the version now, to be sent as If-Match once the person has seen what changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// `state_met`: the state that the act met.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// `findings`: what hinders the act.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<FindingView>>,
    /// `settlement`: the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// `try_later`: milliseconds to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let retry_after_ms = fault.retry_after_ms();
        let mut problem = match fault {
            Fault::Token => no_token(),
            Fault::NoRoute => Self::new(
                StatusCode::NOT_FOUND,
                "no_route",
                "There is no such call",
                "see /api/v1/openapi.json for the calls",
            ),
            Fault::NoMethod => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "no_method",
                "The call has another method",
                "see the Allow header, or /api/v1/openapi.json",
            ),
            Fault::Malformed(text) => Self::new(StatusCode::BAD_REQUEST, "malformed", "The request does not make sense", text),
            Fault::MediaType(expected) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media_type",
                "The body is of another type",
                format!("send the body as {expected} and say so in Content-Type"),
            ),
            Fault::TooLarge(max) => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The body is too long",
                format!("at most {max} bytes are read: send less at once"),
            ),
            Fault::Slow => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "slow",
                "The body did not come in time",
                "send the request again",
            ),
            Fault::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "try_later",
                "The station is busy",
                "try again after Retry-After",
            ),
            Fault::Overdue => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "try_later",
                "The station was not done in time",
                "look whether it was done before trying again",
            ),
            Fault::Internal => internal(),
            Fault::NoVersion => Self::new(
                StatusCode::PRECONDITION_REQUIRED,
                "version_required",
                "The version that was seen is needed",
                "send the record's ETag as it was when the person decided: If-Match: \"VERSION\"",
            ),
            Fault::NoRecord => no_record(),
            Fault::Masked { works } => masked(works),
            Fault::Station(error) => of_station(error),
            Fault::Act(error) => of_act(error),
            Fault::Blob(refusal) => of_blob(refusal),
            Fault::OtherSite => other_site(),
            Fault::SignIn(error) => of_sign_in(&error),
        };
        problem.more.retry_after_ms = retry_after_ms;
        problem
    }
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            problem_type: format!("urn:beatbook:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            detail: detail.into(),
            more: More::default(),
        }
    }

    fn with(self, more: More) -> Self {
        Self { more, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let version = self.more.version.as_deref().and_then(etag);
        let retry = self.more.retry_after_ms.map(|ms| HeaderValue::from(ms.div_ceil(1000)));
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        version.map(|version| headers.insert(header::ETAG, version));
        retry.map(|seconds| headers.insert(header::RETRY_AFTER, seconds));
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// A version as an entity tag.
pub(crate) fn etag(version: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{version}\"")).ok()
}

fn no_record() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_record",
        "There is no such record",
        "it does not exist, or lies outside this person's scope",
    )
}

fn masked(works: bool) -> Problem {
    let what_helps = if works {
        "say why you look, in 4 to 200 characters, in the header Beatbook-Reason: it stands in the audit log"
    } else {
        "break the glass before the record (`POST /api/v1/records/ID/break-glass`), saying why: the unit's auditor sees it"
    };
    Problem::new(StatusCode::FORBIDDEN, "masked", "This is masked", what_helps)
}

fn internal() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "A fault of the station",
        "the station's log says more under this reply's x-request-id",
    )
}

fn of_station(error: StationError) -> Problem {
    match error {
        StationError::NotFound(_) => Problem::new(StatusCode::NOT_FOUND, "not_found", "It is not there", error.to_string()),
        StationError::Forbidden(_) => Problem::new(StatusCode::FORBIDDEN, "forbidden", "This person may not", error.to_string()),
        StationError::Held { .. } => Problem::new(StatusCode::CONFLICT, "held", "The record is held", error.to_string()),
        StationError::Invalid(_) | StationError::Ended(_) => Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "The request does not make sense",
            error.to_string(),
        ),
        StationError::Full => Problem::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "storage_full",
            "The station's disk is full",
            error.to_string(),
        ),
        StationError::OtherHistory => {
            tracing::error!(fault = %error, "a call failed");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "history",
                "The station's history is in doubt, and it signs nothing",
                "its operator finds in `status` what was shown, and what to do",
            )
        }
        StationError::Exists(_)
        | StationError::NoStation(_)
        | StationError::Nested { .. }
        | StationError::Keys(_)
        | StationError::Behind { .. }
        | StationError::Damaged(_)
        | StationError::Kind(_)
        | StationError::Store(_)
        | StationError::Io { .. } => {
            tracing::error!(fault = %error, "a call failed");
            internal()
        }
    }
}

fn no_token() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "token",
        "A token is needed",
        "sign in by POST /api/v1/sign-in, or send `Authorization: Bearer TOKEN` with a token of this station (`beatbook-server user token` \
         issues one)",
    )
}

fn other_site() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "other_site",
        "The call was not made by a page of this station",
        "a page sends Origin and, with the cookie of a session, `Beatbook-Csrf` as GET /api/v1/session gives it; a program sends \
         `Authorization: Bearer TOKEN`",
    )
}

fn of_sign_in(error: &SignInError) -> Problem {
    let (status, code, title) = match error {
        SignInError::Wrong => (StatusCode::UNAUTHORIZED, "not_signed_in", "Not signed in"),
        SignInError::FactorNeeded => (StatusCode::UNAUTHORIZED, "factor_needed", "A second factor is needed"),
        SignInError::FactorMissing => (StatusCode::FORBIDDEN, "factor_missing", "There is no second factor"),
        SignInError::Throttled { .. } => (StatusCode::TOO_MANY_REQUESTS, "throttled", "Too many attempts"),
        SignInError::ProveAgain => (StatusCode::FORBIDDEN, "prove_again", "Show again who you are"),
        SignInError::SessionNeeded => (StatusCode::FORBIDDEN, "session_needed", "A person does this"),
        SignInError::Password(_) => (StatusCode::UNPROCESSABLE_ENTITY, "password", "The password cannot be taken"),
        SignInError::Invitation => (StatusCode::NOT_FOUND, "invitation", "There is no such invitation"),
        SignInError::Code => (StatusCode::UNPROCESSABLE_ENTITY, "code", "The code does not fit"),
        SignInError::NoProvider => (StatusCode::NOT_FOUND, "no_provider", "There is no single sign-on"),
        SignInError::Provider(_) => (StatusCode::UNAUTHORIZED, "provider", "Single sign-on failed"),
        SignInError::NotLinked => (StatusCode::FORBIDDEN, "not_linked", "Nobody here is linked to this person"),
        // These two became other faults on their way.
        SignInError::Busy | SignInError::Station(_) => return internal(),
    };
    Problem::new(status, code, title, error.to_string())
}

fn of_blob(refusal: BlobRefusal) -> Problem {
    Problem::new(
        StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::BAD_REQUEST),
        refusal.as_str(),
        "The blob was not given",
        refusal.text(),
    )
}

fn of_act(error: ActError) -> Problem {
    let detail = error.to_string();
    match error {
        ActError::Moved {
            changed, acts, version, ..
        } => Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "moved",
            "The record has changed since it was opened",
            "look at what changed, then decide again with the new version as If-Match",
        )
        .with(More {
            changed: Some(changed),
            acts: Some(acts),
            version: Some(version),
            ..More::default()
        }),
        ActError::StateMet(state) => Problem::new(
            StatusCode::CONFLICT,
            "state_met",
            "The act does not lead out of this state",
            format!("{detail}; the record's page lists the acts that can be done"),
        )
        .with(More {
            state: Some(state),
            ..More::default()
        }),
        ActError::Forbidden => Problem::new(StatusCode::FORBIDDEN, "forbidden", "This person may not", detail),
        ActError::UnknownAct(_) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_act",
            "There is no such act",
            format!("{detail}; the record's page lists the acts that can be done"),
        ),
        ActError::CommentRequired => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "comment_required",
            "The act needs a comment",
            "say in `comment` why: the other side has to know",
        ),
        ActError::Findings(findings) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "findings",
            "The facts do not fulfil what the act requires",
            format!("{detail}; see `findings`"),
        )
        .with(More {
            findings: Some(findings),
            ..More::default()
        }),
        ActError::Settlement { path, .. } => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "settlement",
            "The settlement cannot be written",
            detail,
        )
        .with(More {
            path: Some(path),
            ..More::default()
        }),
        ActError::NotFound => Problem::from(Fault::NoRecord),
        ActError::Station(error) => of_station(error),
    }
}
