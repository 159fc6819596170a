//! What is done around every call: a request id, a line in the log, the counters, an end to calls that take too long, and a 500 for those
//! that panic. Logs the route's pattern, sizes and times; never bodies, tokens, paths or names of people.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::app::Shared;
use super::fault::Fault;
use super::metrics::{Finished, Metrics, UNKNOWN_ROUTE};
use super::sync::{Refused, ToPhone};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs a call and writes down how it went.
pub(crate) async fn observe(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| UNKNOWN_ROUTE.to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let bytes_up = length(request.headers());
    let span = tracing::info_span!("request", id);
    let _running = Running::begin(&app.metrics);
    let mut response = guarded(&route, app.limits.request_max, next.run(request))
        .instrument(span.clone())
        .await;
    let took = begun.elapsed();
    let bytes_down = response.body().size_hint().exact().unwrap_or(0);
    let status = response.status().as_u16();
    app.metrics.finished(Finished {
        route: &route,
        status,
        bytes_up,
        bytes_down,
        took,
    });
    span.in_scope(|| {
        tracing::info!(%method, route, status, bytes_up, bytes_down, ms = millis(took), "answered");
    });
    let is_to_phone = response.extensions().get::<ToPhone>().is_some();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    dress(headers, is_to_phone);
    response
}

/// What answers say to caches and browsers, whatever they hold.
fn dress(headers: &mut HeaderMap, is_to_phone: bool) {
    // Replies hold what people wrote about people: no cache on the way may keep them.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A message to a phone has a form of its own, which no browser shows or runs. What these are told would be half of what a phone pays for
    // when there is nothing to do.
    if is_to_phone {
        return;
    }
    for (name, value) in [
        // Two years of TLS alone; browsers take it from answers over TLS alone (RFC 6797, 7.2).
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A page of the console says itself what it may load.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
}

/// Runs a call to its end, its time's end, or its panic.
async fn guarded(route: &str, request_max: Duration, call: impl Future<Output = Response>) -> Response {
    let mut call = std::pin::pin!(call);
    // A panicked future is never polled again, so nothing half-changed in it can be seen.
    let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
        Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(Fault::Internal)),
    });
    match tokio::time::timeout(request_max, caught).await {
        Ok(Ok(response)) => response,
        Ok(Err(fault)) => answer(route, fault),
        Err(_) => answer(route, Fault::Overdue),
    }
}

/// A fault in the form that the caller reads: phones a refusal, others a problem.
fn answer(route: &str, fault: Fault) -> Response {
    if route.starts_with("/sync/") {
        Refused(fault.refusal()).into_response()
    } else {
        fault.into_response()
    }
}

/// Counts a call as running until it is dropped: a client that hangs up drops it in the middle.
struct Running<'a>(&'a Metrics);

impl<'a> Running<'a> {
    fn begin(metrics: &'a Metrics) -> Self {
        metrics.begun();
        Self(metrics)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.ended();
    }
}

fn request_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness requests go on; only their lines in the log are harder to tell apart.
    let _ = getrandom::fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}

fn length(headers: &HeaderMap) -> u64 {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use beatbook_protocol::wire::{self, Refusal, RefusalCode};

    const LONG: Duration = Duration::from_secs(60);

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_problem_that_tells_nothing_of_it() {
        let response = guarded("/api/v1/records", LONG, async { panic!("张三") }).await;
        assert_eq!(response.status().as_u16(), 500);
        let text = String::from_utf8(body(response).await).unwrap();
        assert!(text.contains("\"code\":\"internal\"") && !text.contains("张三"), "{text}");
    }

    #[tokio::test]
    async fn a_phone_is_told_of_a_panic_by_a_refusal() {
        let response = guarded("/sync/v1/exchange", LONG, async { panic!("x") }).await;
        assert_eq!(response.status().as_u16(), 500);
        let bytes = wire::unpack(&body(response).await).unwrap();
        let refusal: Refusal = wire::read("refusal", &bytes).unwrap();
        assert_eq!(refusal.code(), RefusalCode::Internal);
    }

    #[tokio::test]
    async fn a_call_that_does_not_end_is_ended_and_said_to_be_repeatable() {
        let response = guarded("/sync/v1/exchange", Duration::from_millis(1), std::future::pending()).await;
        assert_eq!(response.status().as_u16(), 503);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        let bytes = wire::unpack(&body(response).await).unwrap();
        let refusal: Refusal = wire::read("refusal", &bytes).unwrap();
        assert_eq!(refusal.code(), RefusalCode::TryLater);
        assert!(refusal.retry_after_ms.is_some());
    }
}
