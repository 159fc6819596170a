//! One-time unlock codes: issued for a person, good for a few minutes, for one phone and one request. Kept as hashes only.

use beatbook_protocol::id::UserId;
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use crate::audit::{self, Line};
use crate::error::StationError;
use crate::registry::people::{may_register, plain};
use crate::registry::tokens;
use crate::station::{Session, Station};

/// Long enough to read ten letters over the telephone.
const CODE_MS: i64 = 15 * 60 * 1000;
/// Letters and digits that nobody confuses (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

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
    may_register(by)?;
    let letters: String = tokens::random::<10>(&station.env)?
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect();
    let (front, back) = letters.split_at_checked(5).unwrap_or_default();
    let code = format!("{front}-{back}");
    let now = station.env.clock.now();
    let expires_at = now.plus(CODE_MS);
    station.store.write(|tx| {
        let nobody = || StationError::NotFound(format!("person {user}"));
        let person = tx.user(user)?.ok_or_else(nobody)?;
        if let Some(by) = by
            && !tx.units_below(by.unit)?.contains(&person.unit)
        {
            return Err(nobody());
        }
        tx.put_unlock_code(&tokens::hash(plain(&code).as_bytes()), user, expires_at, now)?;
        let line = Line::of(by.map(|by| by.user), "unlock.code", format!("for {user}"));
        audit::append(tx, &station.env, &line)
    })?;
    Ok(UnlockCode { code, expires_at })
}
