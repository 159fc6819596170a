//! Every route on one page: method, path, who may call, and what answers.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::app::{App, Shared};
use super::fault::Fault;
use super::listen::OpenConnections;
use super::metrics::Metrics;
use super::{about, access, blobs, download, hints, keeping, merges, moves, observe, openapi, records, registry, review, sync};
use crate::config::HttpConfig;
use crate::station::Station;

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody: health.
    Open,
    /// A phone: the call itself reads the book's token, since its refusal carries the challenge.
    Book,
    /// A person with a token.
    Person,
}

/// One route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path, with `{names}`.
    pub path: &'static str,
    /// Who may call.
    pub access: Access,
    answer: MethodRouter<Shared>,
}

/// All routes.
#[must_use]
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    use Access::{Book, Open, Person};
    vec![
        // Phones
        send("/sync/v1/enrol",                        Book,   sync::enrol),
        send("/sync/v1/exchange",                     Book,   sync::exchange),
        read("/sync/v1/hints",                        Book,   hints::hints),
        send("/sync/v1/parcels",                      Book,   sync::deliver),
        // Blobs: uploads are tus 1.0.0
        call(Method::OPTIONS, "/sync/v1/blobs",          Open, blobs::capabilities),
        call(Method::POST,    "/sync/v1/blobs",          Book, blobs::create),
        call(Method::POST,    "/sync/v1/blobs/standing", Book, blobs::standing),
        call(Method::HEAD,    "/sync/v1/blobs/{sha256}", Book, blobs::progress),
        call(Method::PATCH,   "/sync/v1/blobs/{sha256}", Book, blobs::append),
        call(Method::DELETE,  "/sync/v1/blobs/{sha256}", Book, blobs::terminate),
        call(Method::GET,     "/sync/v1/blobs/{sha256}", Book, download::fetch),
        // Review
        read("/api/v1/review",                        Person, review::queue),
        send("/api/v1/review/approve",                Person, review::approve),
        send("/api/v1/records/{id}/acts",             Person, review::act),
        send("/api/v1/records/{id}/settle",           Person, review::settle),
        // Two records of one thing
        read("/api/v1/duplicates",                    Person, merges::duplicates),
        send("/api/v1/records/{id}/merge",            Person, merges::merge),
        send("/api/v1/records/{id}/unmerge",          Person, merges::unmerge),
        send("/api/v1/records/{id}/not-duplicate",    Person, merges::not_duplicate),
        // Records
        read("/api/v1/records",                       Person, records::list),
        read("/api/v1/records/{id}",                  Person, records::page),
        read("/api/v1/records/{id}/history",          Person, records::history),
        read("/api/v1/records/{id}/entries",          Person, records::entries),
        read("/api/v1/records/{id}/track",            Person, records::track),
        read("/api/v1/search",                        Person, records::search),
        read("/api/v1/records/{id}/grants",           Person, moves::grants),
        send("/api/v1/records/{id}/grants",           Person, moves::grant),
        read("/api/v1/blobs/{sha256}",                Person, download::show),
        // What is kept and what goes
        read("/api/v1/retention",                     Person, keeping::retention),
        read("/api/v1/destructions",                  Person, keeping::destructions),
        read("/api/v1/destructions.csv",              Person, keeping::destructions_csv),
        read("/api/v1/records/{id}/hold",             Person, keeping::held),
        send("/api/v1/records/{id}/hold",             Person, keeping::hold),
        send("/api/v1/records/{id}/release",          Person, keeping::release),
        send("/api/v1/records/{id}/destroy",          Person, keeping::destroy),
        read("/api/v1/records/{id}/extract",          Person, keeping::extract),
        // Registry
        read("/api/v1/units",                         Person, moves::units),
        send("/api/v1/units",                         Person, moves::add_unit),
        send("/api/v1/units/{id}/move",               Person, moves::move_unit),
        send("/api/v1/users/{id}/move",               Person, moves::move_user),
        read("/api/v1/users",                         Person, registry::users),
        send("/api/v1/users",                         Person, registry::add_user),
        send("/api/v1/users/{id}/enrolment-code",     Person, registry::enrolment_code),
        send("/api/v1/users/{id}/token",              Person, registry::issue_token),
        read("/api/v1/phones",                        Person, registry::phones),
        // The station about itself
        read("/api/v1/status",                        Person, about::status),
        read("/api/v1/kinds",                         Person, about::kinds),
        read("/api/v1/checkpoint",                    Person, about::checkpoint),
        read("/api/v1/openapi.json",                  Person, openapi::openapi),
        read("/metrics",                              Person, about::metrics),
        read("/healthz",                              Open,   about::healthz),
        read("/readyz",                               Open,   about::readyz),
    ]
}

/// The routes over a station, ready to be served.
pub fn router(station: Arc<Station>, limits: &HttpConfig, connections: OpenConnections) -> Router {
    let routes = routes();
    let metrics = Metrics::new(routes.iter().map(|route| route.path));
    let app = Arc::new(App::new(station, limits.clone(), metrics, connections));
    let mut router = Router::new();
    for route in routes {
        let answer = match route.access {
            Access::Open | Access::Book => route.answer,
            Access::Person => route.answer.route_layer(from_fn_with_state(Arc::clone(&app), access::person)),
        };
        router = router.route(route.path, answer);
    }
    router
        .fallback(|| async { Fault::NoRoute })
        .method_not_allowed_fallback(|| async { Fault::NoMethod })
        .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
        .with_state(app)
}

fn read<H: Handler<T, Shared>, T: 'static>(path: &'static str, access: Access, answer: H) -> Route {
    call(Method::GET, path, access, answer)
}

fn send<H: Handler<T, Shared>, T: 'static>(path: &'static str, access: Access, answer: H) -> Route {
    call(Method::POST, path, access, answer)
}

fn call<H: Handler<T, Shared>, T: 'static>(method: Method, path: &'static str, access: Access, answer: H) -> Route {
    // The methods of the table are those that axum knows; any other would answer nobody, and the test of the table would say so.
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::TRACE);
    Route {
        method,
        path,
        access,
        answer: on(filter, answer),
    }
}
