//! The description of all calls (OpenAPI 3.1), generated from the handlers and their types; a test holds it against the table of routes.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{about, blobs, download, hints, keeping, merges, moves, records, registry, review, sync};

#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Beatbook station", description = "What phones, the console and operators call."),
    modifiers(&Token),
    paths(
        sync::enrol,
        sync::exchange,
        hints::hints,
        sync::deliver,
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
        moves::grants,
        moves::grant,
        moves::units,
        moves::add_unit,
        moves::move_unit,
        moves::move_user,
        registry::users,
        registry::add_user,
        registry::enrolment_code,
        registry::issue_token,
        registry::phones,
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
