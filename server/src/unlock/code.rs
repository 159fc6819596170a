//! One-time unlock codes: issued for a person, good for a few minutes, for one phone and one request. Kept as hashes only.

use beatbook_protocol::id::UserId;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::code_letters;
use serde::Serialize;

use crate::audit::{self, Line};
use crate::error::StationError;
use crate::policy::Permission;
use crate::registry::people::{check_not_blocked, his, letters};
use crate::registry::tokens;
use crate::station::{Session, Station};

/// Long enough to read ten letters over the telephone.
const CODE_MS: i64 = 15 * 60 * 1000;

/// A one-time code that lets a person into his phone again.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct UnlockCode {
    /// The code; shown once, kept only as a hash.
    pub code: String,
    /// When it runs out.
    #[schema(value_type = i64)]
    pub expires_at: UnixMillis,
}

/// Draws a code for a person in the units of who asks.
pub(crate) fn issue(station: &Station, by: Option<&Session>, user: UserId) -> Result<UnlockCode, StationError> {
    let letters = letters::<10>(&station.env)?;
    let (front, back) = letters.split_at_checked(5).unwrap_or_default();
    let code = format!("{front}-{back}");
    let now = station.env.clock.now();
    let expires_at = now.plus(CODE_MS);
    station.store.write(|tx| {
        check_not_blocked(&his(tx, by, user, Permission::IssueCodes)?)?;
        tx.put_unlock_code(&tokens::hash(code_letters(&code).as_bytes()), user, expires_at, now)?;
        let line = Line::of(by.map(|by| by.user), "unlock.code", format!("for {user}"));
        audit::append(tx, &station.env, &line)
    })?;
    Ok(UnlockCode { code, expires_at })
}
