//! Every route on one page: method, path, who may call, and what answers. A route for people names the permission that it takes; there is
//! no way to write one that names none.

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
use super::{
    about, access, account, audit, blobs, books, download, hints, imports, keeping, members, merges, moves, observe, openapi,
    provider, records, registry, review, sign_in, sync, unlock,
};
use crate::config::HttpConfig;
use crate::policy::Permission;
use crate::station::Station;

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody: health, and who signs in.
    Open,
    /// A phone: the call itself reads the book's token, since its refusal carries the challenge.
    Book,
    /// A signed-in person who has this permission over some unit; what it is over, the door behind decides.
    Person(Permission),
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
pub fn routes() -> Vec<Route> {
    [for_phones(), for_records(), for_the_registry(), for_everybody()].concat()
}

/// What phones call.
#[rustfmt::skip]
fn for_phones() -> Vec<Route> {
    use Access::{Book, Open};
    vec![
        // Phones
        send("/sync/v1/enrol",                                      Book,                      sync::enrol),
        send("/sync/v1/exchange",                                   Book,                      sync::exchange),
        read("/sync/v1/hints",                                      Book,                      hints::hints),
        send("/sync/v1/parcels",                                    Book,                      sync::deliver),
        send("/sync/v1/unlock",                                     Book,                      unlock::unlock),
        send("/sync/v1/notes",                                      Book,                      unlock::take_notes),
        send("/sync/v1/wiped",                                      Book,                      sync::wiped),
        // Blobs: uploads are tus 1.0.0
        call(Method::OPTIONS, "/sync/v1/blobs",                     Open,                      blobs::capabilities),
        call(Method::POST,    "/sync/v1/blobs",                     Book,                      blobs::create),
        call(Method::POST,    "/sync/v1/blobs/standing",            Book,                      blobs::standing),
        call(Method::HEAD,    "/sync/v1/blobs/{sha256}",            Book,                      blobs::progress),
        call(Method::PATCH,   "/sync/v1/blobs/{sha256}",            Book,                      blobs::append),
        call(Method::DELETE,  "/sync/v1/blobs/{sha256}",            Book,                      blobs::terminate),
        call(Method::GET,     "/sync/v1/blobs/{sha256}",            Book,                      download::fetch),
    ]
}

/// Records, their review, and the log of who read them.
#[rustfmt::skip]
fn for_records() -> Vec<Route> {
    use Access::Person;
    use Permission as P;
    vec![
        // Review
        read("/api/v1/review",                                      Person(P::ReadRecords),    review::queue),
        send("/api/v1/review/approve",                              Person(P::Act),            review::approve),
        send("/api/v1/records/{id}/acts",                           Person(P::Act),            review::act),
        send("/api/v1/records/{id}/settle",                         Person(P::Write),          review::settle),
        // Two records of one thing
        read("/api/v1/duplicates",                                  Person(P::ReadRecords),    merges::duplicates),
        send("/api/v1/records/{id}/merge",                          Person(P::Act),            merges::merge),
        send("/api/v1/records/{id}/unmerge",                        Person(P::Act),            merges::unmerge),
        send("/api/v1/records/{id}/not-duplicate",                  Person(P::Act),            merges::not_duplicate),
        // Records
        read("/api/v1/records",                                     Person(P::ReadRecords),    records::list),
        read("/api/v1/records/{id}",                                Person(P::ReadRecords),    records::page),
        read("/api/v1/records/{id}/history",                        Person(P::ReadRecords),    records::history),
        read("/api/v1/records/{id}/entries",                        Person(P::ReadRecords),    records::entries),
        read("/api/v1/records/{id}/track",                          Person(P::ReadRecords),    records::track),
        read("/api/v1/search",                                      Person(P::ReadRecords),    records::search),
        read("/api/v1/records/{id}/grants",                         Person(P::ReadRecords),    moves::grants),
        send("/api/v1/records/{id}/grants",                         Person(P::Grant),          moves::grant),
        read("/api/v1/blobs/{sha256}",                              Person(P::ReadRecords),    download::show),
        send("/api/v1/records/{id}/break-glass",                    Person(P::ReadRecords),    audit::break_glass),
        // The log of who read what
        read("/api/v1/audit",                                       Person(P::ReadAudit),      audit::lines),
        read("/api/v1/audit/export",                                Person(P::ReadAudit),      audit::export),
        read("/api/v1/audit/glass",                                 Person(P::ReadAudit),      audit::glass),
        // What is kept and what goes
        read("/api/v1/retention",                                   Person(P::SeeKeeping),     keeping::retention),
        read("/api/v1/destructions",                                Person(P::SeeKeeping),     keeping::destructions),
        read("/api/v1/destructions.csv",                            Person(P::SeeKeeping),     keeping::destructions_csv),
        read("/api/v1/records/{id}/hold",                           Person(P::SeeKeeping),     keeping::held),
        send("/api/v1/records/{id}/hold",                           Person(P::Keep),           keeping::hold),
        send("/api/v1/records/{id}/release",                        Person(P::Keep),           keeping::release),
        send("/api/v1/records/{id}/destroy",                        Person(P::Keep),           keeping::destroy),
        read("/api/v1/records/{id}/extract",                        Person(P::Keep),           keeping::extract),
    ]
}

/// The registry, and how phones come and go.
#[rustfmt::skip]
fn for_the_registry() -> Vec<Route> {
    use Access::Person;
    use Permission as P;
    vec![
        // Registry
        read("/api/v1/units",                                       Person(P::SeeDirectory),   moves::units),
        send("/api/v1/units",                                       Person(P::Register),       moves::add_unit),
        send("/api/v1/units/{id}/move",                             Person(P::Register),       moves::move_unit),
        send("/api/v1/units/{id}/change",                           Person(P::Register),       members::change_unit),
        send("/api/v1/units/{id}/close",                            Person(P::Register),       members::close_unit),
        send("/api/v1/users/{id}/move",                             Person(P::Register),       moves::move_user),
        send("/api/v1/users/{id}/change",                           Person(P::Register),       members::change_user),
        send("/api/v1/users/{id}/block",                            Person(P::Register),       members::block),
        read("/api/v1/users/{id}/devices",                          Person(P::SeePhones),      members::devices),
        read("/api/v1/memberships",                                 Person(P::SeeDirectory),   members::memberships),
        send("/api/v1/memberships",                                 Person(P::Register),       members::add_membership),
        send("/api/v1/memberships/{id}/end",                        Person(P::Register),       members::end_membership),
        send("/api/v1/import",                                      Person(P::Register),       imports::import),
        read("/api/v1/export/units",                                Person(P::Register),       imports::units),
        read("/api/v1/export/people",                               Person(P::Register),       imports::people),
        read("/api/v1/users",                                       Person(P::SeeDirectory),   registry::users),
        send("/api/v1/users",                                       Person(P::Register),       registry::add_user),
        send("/api/v1/users/{id}/enrolment-code",                   Person(P::IssueCodes),     registry::enrolment_code),
        send("/api/v1/users/{id}/unlock-code",                      Person(P::IssueCodes),     unlock::unlock_code),
        read("/api/v1/notes",                                       Person(P::ReadNotes),      unlock::notes),
        read("/api/v1/phones",                                      Person(P::SeePhones),      registry::phones),
        // How phones come and go
        read("/api/v1/enrolment-codes/{id}",                        Person(P::IssueCodes),     books::enrolment),
        read("/api/v1/books/{id}",                                  Person(P::OwnSession),     books::book),
        send("/api/v1/books/{id}/confirm",                          Person(P::IssueCodes),     books::confirm),
        send("/api/v1/books/{id}/end",                              Person(P::OwnSession),     books::end),
        read("/api/v1/quarantine",                                  Person(P::AdmitSetAside),  books::quarantine),
        send("/api/v1/quarantine/admit",                            Person(P::AdmitSetAside),  books::admit),
        send("/api/v1/quarantine/refuse",                           Person(P::AdmitSetAside),  books::refuse),
    ]
}

/// How people sign in, and what the station says about itself.
#[rustfmt::skip]
fn for_everybody() -> Vec<Route> {
    use Access::{Open, Person};
    use Permission as P;
    vec![
        // Signing in. Whose sessions and tokens beside his own somebody may see to, the doors say
        send("/api/v1/sign-in",                                     Open,                      sign_in::sign_in),
        send("/api/v1/sign-in/provider",                            Open,                      provider::start),
        read("/api/v1/sign-in/provider/callback",                   Open,                      provider::callback),
        send("/api/v1/invitations/look",                            Open,                      sign_in::look),
        send("/api/v1/invitations/factor",                          Open,                      sign_in::factor),
        send("/api/v1/invitations/accept",                          Open,                      sign_in::accept),
        read("/api/v1/session",                                     Person(P::OwnSession),     sign_in::present),
        send("/api/v1/session/renew",                               Person(P::OwnSession),     sign_in::renew),
        send("/api/v1/session/end",                                 Person(P::OwnSession),     sign_in::end),
        send("/api/v1/account/password",                            Person(P::OwnSession),     account::password),
        send("/api/v1/account/factor",                              Person(P::OwnSession),     account::factor),
        send("/api/v1/account/factor/confirm",                      Person(P::OwnSession),     account::confirm_factor),
        send("/api/v1/account/recovery-codes",                      Person(P::OwnSession),     account::recovery_codes),
        send("/api/v1/users/{id}/invitation",                       Person(P::IssueCodes),     account::invite),
        read("/api/v1/users/{id}/sessions",                         Person(P::OwnSession),     account::sessions),
        send("/api/v1/users/{id}/sessions/end",                     Person(P::OwnSession),     account::end_sessions),
        send("/api/v1/users/{id}/token",                            Person(P::OwnSession),     account::issue_token),
        read("/api/v1/users/{id}/tokens",                           Person(P::OwnSession),     account::tokens),
        send("/api/v1/users/{id}/tokens/revoke",                    Person(P::OwnSession),     account::revoke_token),
        // The station about itself
        read("/api/v1/status",                                      Person(P::SeeStatus),      about::status),
        read("/api/v1/kinds",                                       Person(P::SeeStation),     about::kinds),
        read("/api/v1/checkpoint",                                  Person(P::SeeStation),     about::checkpoint),
        read("/api/v1/openapi.json",                                Person(P::SeeStation),     openapi::openapi),
        read("/metrics",                                            Person(P::SeeMetrics),     about::metrics),
        read("/healthz",                                            Open,                      about::healthz),
        read("/readyz",                                             Open,                      about::readyz),
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
            // What is layered last is asked first: who he is, then what he may.
            Access::Person(permission) => route
                .answer
                .route_layer(from_fn_with_state(permission, access::permitted))
                .route_layer(from_fn_with_state(Arc::clone(&app), access::person)),
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
