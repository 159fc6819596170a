//! Who may read a blob: whoever holds a record that names it. What a scope is, others decide; here it is asked after.

use std::path::PathBuf;

use beatbook_protocol::blob::check_media_type;
use beatbook_protocol::id::{BookId, Hash, RecordId};

use crate::error::StationError;
use crate::registry::{people, tokens};
use crate::scope::{About, Scope};
use crate::station::{Session, Station};
use crate::store::ReadTx;

/// What a thumbnail is: phones write no other.
const THUMBNAIL_TYPE: &str = "image/jpeg";
/// A media type that no browser runs.
const PLAIN_TYPE: &str = "application/octet-stream";

/// A book that a token lets in, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    /// The book.
    pub(crate) book: BookId,
    /// Its person.
    pub(crate) session: Session,
}

/// Whose phone's token this is; none for tokens of the API, which upload nothing.
pub(crate) fn bearer_of(station: &Station, token: &str) -> Result<Option<Bearer>, StationError> {
    let now = station.env.clock.now();
    station.keep_time()?;
    station.store.read(|tx| {
        let Some(row) = tokens::find(tx, token, now)? else {
            return Ok(None);
        };
        let Some(book) = row.book.filter(|book| *book != station.book) else {
            return Ok(None);
        };
        let session = tx.user(row.user)?.filter(|user| !user.blocked).map(people::session_of);
        Ok(session.map(|session| Bearer { book, session }))
    })
}

/// A blob that somebody may read.
#[derive(Debug)]
pub(crate) struct Readable {
    /// Its file.
    pub(crate) path: PathBuf,
    /// Its media type, as the record says that shows it to the reader.
    pub(crate) media_type: String,
}

/// A blob that has arrived and that a record in the reader's scope names.
pub(crate) fn readable(station: &Station, session: &Session, hash: &Hash) -> Result<Option<Readable>, StationError> {
    if station.blobs.arrived(hash).is_none() {
        return Ok(None);
    }
    let media_type = station.store.read(|tx| {
        for (record, private, media_type) in tx.naming(hash)? {
            if shows(station, tx, session, record, private)? {
                return Ok(Some(media_type.unwrap_or_else(|| THUMBNAIL_TYPE.to_owned())));
            }
        }
        Ok::<_, StationError>(None)
    })?;
    Ok(media_type.map(|media_type| Readable {
        path: station.blobs.file(hash),
        media_type: check_media_type(&media_type).map_or(PLAIN_TYPE, |known| known).to_owned(),
    }))
}

fn shows(station: &Station, tx: &ReadTx<'_>, session: &Session, record: RecordId, private: bool) -> Result<bool, StationError> {
    let Some(state) = tx.record(record)? else { return Ok(false) };
    let (opening, scope) = (&state.opening, Scope::now(tx, session.user)?);
    if !scope.holds(tx, record, opening.opens.unit)? {
        return Ok(false);
    }
    let about = About {
        record,
        unit: opening.opens.unit,
        kind: &(opening.opens.kind.clone(), opening.opens.version),
        opener: opening.user,
    };
    Ok(!private || scope.reads(tx, &station.kinds, &about)?)
}
