//! How types of the protocol look in JSON, for the description of the calls. Nothing is made of these.

use utoipa::ToSchema;

/// A text in both languages.
#[derive(Debug, ToSchema)]
#[schema(as = Label)]
pub(crate) struct LabelShape {
    #[expect(dead_code, reason = "describes a JSON field")]
    zh: String,
    #[expect(dead_code, reason = "describes a JSON field")]
    en: String,
}

/// A place in the ledger.
#[derive(Debug, ToSchema)]
#[schema(as = Position)]
pub(crate) struct PositionShape {
    /// Restores so far.
    #[expect(dead_code, reason = "describes a JSON field")]
    epoch: u64,
    /// Leaves.
    #[expect(dead_code, reason = "describes a JSON field")]
    size: u64,
    /// Root over them, hexadecimal.
    #[expect(dead_code, reason = "describes a JSON field")]
    root: String,
}
