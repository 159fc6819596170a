//! How phones come and go, as the chief handles it: what came of a code, comparing check digits, ending a book, and what was sent after its
//! end. Decodes, calls, encodes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use beatbook_protocol::id::{BookId, EnrolmentId, Hash};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::Shared;
use super::decode::{Asked, Named, Sent};
use super::fault::Fault;
use super::problem::Problem;
use crate::ended::preview::FACTS;
use crate::ended::quarantine::PAGES_SHOWN;
use crate::review::mask::sign;
use crate::station::{BookView, DecidedLine, EnrolmentView, HeldChoice, QuarantineView, Session};

/// Digits that were read on a phone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DigitsBody {
    /// Twelve digits; spaces do not count.
    check_digits: String,
}

/// Why a book ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndBody {
    /// `lost`, `retired`, `transferred` or `blocked`.
    why: String,
}

/// What of the quarantine is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuarantineQuery {
    /// Also what is decided.
    #[serde(default)]
    decided: bool,
    /// Go on after this place: `next` of the answer before.
    after: Option<String>,
    /// Pages of books at most, 1 to 512; 512 unless said.
    limit: Option<u32>,
}

/// A held entry by its place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldPlace {
    /// Its page.
    #[schema(value_type = String)]
    page: Hash,
    /// Number within it.
    position: u32,
}

/// What is decided on, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChoiceBody {
    /// Whole pages: all that is open of them.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pages: Vec<Hash>,
    /// Single entries.
    #[serde(default)]
    entries: Vec<HeldPlace>,
    /// Why; it stays beside the entries.
    reason: String,
}

/// What became of what was decided on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Decided {
    /// A line for each entry.
    entries: Vec<DecidedLine>,
}

impl From<ChoiceBody> for HeldChoice {
    fn from(body: ChoiceBody) -> Self {
        Self {
            pages: body.pages,
            entries: body.entries.into_iter().map(|place| (place.page, place.position)).collect(),
            reason: body.reason,
        }
    }
}

/// What came of an enrolment code.
#[utoipa::path(get, path = "/api/v1/enrolment-codes/{id}", tag = "registry", security(("token" = [])),
    params(("id" = String, Path, description = "The enrolment, as issuing its code named it")),
    responses((status = 200, body = EnrolmentView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn enrolment(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(id): Named<EnrolmentId>,
) -> Result<Json<EnrolmentView>, Fault> {
    let view = app.call(move |station| station.enrolment(&session, id)).await??;
    Ok(Json(view))
}

/// A book: whose, how it was enrolled, whether and why it ended.
#[utoipa::path(get, path = "/api/v1/books/{id}", tag = "registry", security(("token" = [])),
    params(("id" = String, Path, description = "The book")),
    responses((status = 200, body = BookView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn book(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(book): Named<BookId>,
) -> Result<Json<BookView>, Fault> {
    let view = app.call(move |station| station.book(&session, book)).await??;
    Ok(Json(view))
}

/// Lets a book's pages in whose check digits were read on the phone.
#[utoipa::path(post, path = "/api/v1/books/{id}/confirm", tag = "registry", request_body = DigitsBody, security(("token" = [])),
    params(("id" = String, Path, description = "The book")),
    responses((status = 204, description = "They are the station's"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn confirm(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(book): Named<BookId>,
    Sent(body): Sent<DigitsBody>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.confirm_enrolment(Some(&session), book, &body.check_digits))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a book: its phone was lost, retired or passed on, or its person blocked. It never comes back.
#[utoipa::path(post, path = "/api/v1/books/{id}/end", tag = "registry", request_body = EndBody, security(("token" = [])),
    params(("id" = String, Path, description = "The book")),
    responses((status = 204, description = "It has ended"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(book): Named<BookId>,
    Sent(body): Sent<EndBody>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.end_book(Some(&session), book, &body.why))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// What books sent after their end, as it would read once it is admitted. Each record that is shown is on the audit log.
#[utoipa::path(get, path = "/api/v1/quarantine", tag = "registry", security(("token" = [])), params(QuarantineQuery),
    responses((status = 200, body = QuarantineView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn quarantine(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(query): Asked<QuarantineQuery>,
) -> Result<Json<serde_json::Value>, Fault> {
    let limit = query.limit.unwrap_or(PAGES_SHOWN);
    if !(1..=PAGES_SHOWN).contains(&limit) {
        return Err(Fault::Malformed(format!("limit is 1 to {PAGES_SHOWN}")));
    }
    let view = app
        .call(move |station| station.quarantine(&session, query.decided, query.after.as_deref(), limit))
        .await??;
    Ok(Json(signed(&view)))
}

/// The view as JSON, with the sign of a mask where something is masked.
fn signed(view: &QuarantineView) -> serde_json::Value {
    let mut json = serde_json::to_value(view).unwrap_or_default();
    for (number, record) in view.records.iter().enumerate() {
        if let Some(facts) = json.pointer_mut(&format!("/records/{number}/{FACTS}")) {
            sign(facts, FACTS, &record.masked);
        }
    }
    json
}

/// Takes in what a book sent after its end, as far as its author might have written it.
#[utoipa::path(post, path = "/api/v1/quarantine/admit", tag = "registry", request_body = ChoiceBody, security(("token" = [])),
    responses((status = 200, body = Decided), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn admit(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Sent(body): Sent<ChoiceBody>,
) -> Result<Json<Decided>, Fault> {
    let entries = app.call(move |station| station.admit_held(&session, &body.into())).await??;
    Ok(Json(Decided { entries }))
}

/// Refuses what a book sent after its end; it stays, with the reason.
#[utoipa::path(post, path = "/api/v1/quarantine/refuse", tag = "registry", request_body = ChoiceBody, security(("token" = [])),
    responses((status = 200, body = Decided), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn refuse(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Sent(body): Sent<ChoiceBody>,
) -> Result<Json<Decided>, Fault> {
    let entries = app.call(move |station| station.refuse_held(&session, &body.into())).await??;
    Ok(Json(Decided { entries }))
}
