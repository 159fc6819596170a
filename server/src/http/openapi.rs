//! The description of all calls (OpenAPI 3.1), generated from the handlers and their types; a test holds it against the table of routes.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    about, account, audit, blobs, books, download, hints, imports, keeping, members, merges, moves, provider, records, registry,
    review, sign_in, sync, unlock,
};

#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Beatbook station", description = "What phones, the console and operators call."),
    modifiers(&Token),
    paths(
        sync::enrol,
        sync::exchange,
        hints::hints,
        sync::deliver,
        unlock::unlock,
        unlock::take_notes,
        sync::wiped,
        blobs::capabilities,
        blobs::create,
        blobs::progress,
        blobs::append,
        blobs::terminate,
        blobs::standing,
        download::fetch,
        download::show,
        review::queue,
        review::approve,
        review::act,
        review::settle,
        merges::duplicates,
        merges::merge,
        merges::unmerge,
        merges::not_duplicate,
        records::list,
        records::page,
        records::history,
        records::entries,
        records::track,
        records::search,
        audit::break_glass,
        audit::lines,
        audit::export,
        audit::glass,
        moves::grants,
        moves::grant,
        moves::units,
        moves::add_unit,
        moves::move_unit,
        moves::move_user,
        members::change_unit,
        members::close_unit,
        members::change_user,
        members::block,
        members::devices,
        members::memberships,
        members::add_membership,
        members::end_membership,
        imports::import,
        imports::units,
        imports::people,
        registry::users,
        registry::add_user,
        registry::enrolment_code,
        registry::phones,
        sign_in::sign_in,
        sign_in::look,
        sign_in::factor,
        sign_in::accept,
        sign_in::present,
        sign_in::renew,
        sign_in::end,
        provider::start,
        provider::callback,
        account::password,
        account::factor,
        account::confirm_factor,
        account::recovery_codes,
        account::invite,
        account::sessions,
        account::end_sessions,
        account::issue_token,
        account::tokens,
        account::revoke_token,
        unlock::unlock_code,
        unlock::notes,
        books::enrolment,
        books::book,
        books::confirm,
        books::end,
        books::quarantine,
        books::admit,
        books::refuse,
        keeping::retention,
        keeping::destructions,
        keeping::destructions_csv,
        keeping::held,
        keeping::hold,
        keeping::release,
        keeping::destroy,
        keeping::extract,
        about::status,
        about::kinds,
        about::checkpoint,
        about::healthz,
        about::readyz,
        about::metrics,
        openapi,
    )
)]
struct Description;

struct Token;

impl Modify for Token {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        api.components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "station", security(("token" = [])), responses((status = 200, body = Object)))]
pub(crate) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
