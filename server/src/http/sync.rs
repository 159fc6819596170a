//! The phones' calls: packed messages in, packed messages out, every fault a packed `Refusal` under its HTTP status. Reads no entry and
//! knows no verdict.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::codec::CodecError;
use beatbook_protocol::limits::EXCHANGE_WIRE_BYTES_MAX;
use beatbook_protocol::wire::{self, Challenged, EnrolRequest, MEDIA_TYPE, Refusal, WipedRequest};

use super::access::bearer;
use super::app::{App, Shared};
use super::bodies::Held;
use super::decode::{is_media_type, read_body};
use super::fault::Fault;
use crate::station::Source;
use crate::strangers::unpack_short;

/// The header in which a book answers a challenge.
const SIGNATURE: &str = "beatbook-signature";
/// An enrolment is a code, a key and a signature: some hundred bytes.
const ENROL_BYTES_MAX: usize = 16 * 1024;
/// The same unpacked. Anybody may send one, so that it unpacks to no more than real ones do.
const ENROL_UNPACKED_MAX: usize = 4 * ENROL_BYTES_MAX;
/// Characters of an answered challenge in base64.
const SIGNATURE_CHARS_MAX: usize = 4 * 1024;

/// What a response bears that is a message to a phone, so that it is not known by its media type: whoever uploads a photo chooses that one's.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToPhone;

/// A packed message to a phone.
pub(super) fn message(status: StatusCode, packed: Vec<u8>) -> Response {
    let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], packed).into_response();
    response.extensions_mut().insert(ToPhone);
    response
}

/// A reply that refuses.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Refusal);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = wire::pack(&self.0).unwrap_or_default();
        let mut response = message(status, body);
        if let Some(ms) = self.0.retry_after_ms {
            response.headers_mut().insert(header::RETRY_AFTER, ms.div_ceil(1000).into());
        }
        response
    }
}

/// A one-time code becomes a book.
#[utoipa::path(
    post,
    path = "/sync/v1/enrol",
    tag = "phones",
    request_body(content = Vec<u8>, content_type = MEDIA_TYPE, description = "EnrolRequest of protocol/wire.cddl, packed"),
    responses(
        (status = 200, content_type = MEDIA_TYPE, body = Vec<u8>, description = "EnrolResponse, packed"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed"),
    )
)]
pub(crate) async fn enrol(State(app): State<Shared>, source: Source, request: Request) -> Response {
    let reply = async {
        let packed = receive(&app, request, ENROL_BYTES_MAX).await?;
        let request = unpack_short(&packed, ENROL_UNPACKED_MAX)
            .and_then(|bytes| wire::read::<EnrolRequest>("enrolment", &bytes))
            .map_err(|error| of_codec(&error))?;
        let reply = app
            .call(move |station| station.enrol_from(&request, source.address()))
            .await
            .map_err(|fault| fault.refusal())??;
        packed_reply(&reply)
    };
    answer(&app, reply.await)
}

/// The last word of a phone whose book has ended, signed by the book's key before it was destroyed.
#[utoipa::path(
    post,
    path = "/sync/v1/wiped",
    tag = "phones",
    request_body(content = Vec<u8>, content_type = MEDIA_TYPE, description = "WipedRequest of protocol/wire.cddl, packed"),
    responses(
        (status = 200, content_type = MEDIA_TYPE, body = Vec<u8>, description = "WipedResponse, packed"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed"),
    )
)]
pub(crate) async fn wiped(State(app): State<Shared>, request: Request) -> Response {
    let reply = async {
        let packed = receive(&app, request, ENROL_BYTES_MAX).await?;
        let request = unpack_short(&packed, ENROL_UNPACKED_MAX)
            .and_then(|bytes| wire::read::<WipedRequest>("last word", &bytes))
            .map_err(|error| of_codec(&error))?;
        let reply = app
            .call(move |station| station.wiped(&request))
            .await
            .map_err(|fault| fault.refusal())??;
        packed_reply(&reply)
    };
    answer(&app, reply.await)
}

fn packed_reply<T: minicbor::Encode<()>>(reply: &T) -> Result<Vec<u8>, Refusal> {
    wire::pack(reply).map_err(|error| {
        tracing::error!(%error, "a reply could not be packed");
        Fault::Internal.refusal()
    })
}

/// Pages up, verdicts and the feed down.
#[utoipa::path(
    post,
    path = "/sync/v1/exchange",
    tag = "phones",
    params(
        ("Authorization" = Option<String>, Header, description = "Bearer token of the book, as enrolment or a reply gave it"),
        ("Beatbook-Signature" = Option<String>, Header, description = "Answer to a challenge: Challenged of protocol/wire.cddl, CBOR in base64"),
    ),
    request_body(content = Vec<u8>, content_type = MEDIA_TYPE, description = "ExchangeRequest of protocol/wire.cddl, packed"),
    responses(
        (status = 200, content_type = MEDIA_TYPE, body = Vec<u8>, description = "ExchangeResponse, packed"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed; nothing was stored"),
    )
)]
pub(crate) async fn exchange(State(app): State<Shared>, request: Request) -> Response {
    let reply = async {
        let token = bearer(request.headers()).map(str::to_owned);
        let challenged = challenged(request.headers()).map_err(|fault| fault.refusal())?;
        let packed = receive(&app, request, EXCHANGE_WIRE_BYTES_MAX).await?;
        app.call(move |station| station.exchange(&packed, token.as_deref(), challenged.as_ref()))
            .await
            .map_err(|fault| fault.refusal())?
    };
    answer(&app, reply.await)
}

/// A parcel of another phone, delivered by this one.
#[utoipa::path(
    post,
    path = "/sync/v1/parcels",
    tag = "phones",
    params(("Authorization" = String, Header, description = "Bearer token of the carrier's own book")),
    request_body(content = Vec<u8>, content_type = MEDIA_TYPE, description = "DeliverRequest of protocol/wire.cddl, packed"),
    responses(
        (status = 200, content_type = MEDIA_TYPE, body = Vec<u8>, description = "DeliverResponse, packed: the answer, sealed to the author"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed; nothing was stored"),
    )
)]
pub(crate) async fn deliver(State(app): State<Shared>, request: Request) -> Response {
    let reply = async {
        let token = bearer(request.headers()).map(str::to_owned);
        let packed = receive(&app, request, EXCHANGE_WIRE_BYTES_MAX).await?;
        app.call(move |station| station.deliver(&packed, token.as_deref()))
            .await
            .map_err(|fault| fault.refusal())?
    };
    answer(&app, reply.await)
}

pub(super) async fn receive(app: &App, request: Request, bytes_max: usize) -> Result<Held, Refusal> {
    if !is_media_type(request.headers(), MEDIA_TYPE) {
        return Err(Fault::MediaType(MEDIA_TYPE).refusal());
    }
    read_body(app, request, bytes_max).await.map_err(|fault| fault.refusal())
}

fn challenged(headers: &HeaderMap) -> Result<Option<Challenged>, Fault> {
    let Some(value) = headers.get(SIGNATURE) else {
        return Ok(None);
    };
    let wrong = || Fault::Malformed("Beatbook-Signature takes an answered challenge, CBOR in base64".into());
    let bytes = STANDARD
        .decode(value.as_bytes())
        .ok()
        .filter(|bytes| bytes.len() <= SIGNATURE_CHARS_MAX)
        .ok_or_else(wrong)?;
    wire::read("answered challenge", &bytes).map(Some).map_err(|_| wrong())
}

fn of_codec(error: &CodecError) -> Refusal {
    match error {
        CodecError::TooLong { max, .. } => Fault::TooLarge(*max).refusal(),
        CodecError::Malformed { .. } | CodecError::NotDeterministic { .. } | CodecError::TooDeep { .. } => {
            Fault::Malformed(error.to_string()).refusal()
        }
    }
}

pub(super) fn answer(app: &App, reply: Result<Vec<u8>, Refusal>) -> Response {
    match reply {
        Ok(packed) => message(StatusCode::OK, packed),
        Err(refusal) => {
            app.metrics.refused(&refusal.code());
            tracing::info!(code = refusal.code, "refused");
            Refused(refusal).into_response()
        }
    }
}
