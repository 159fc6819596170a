//! Who may read a blob: whoever holds a record that names it, as far as he sees the field. What scope and sight are, others decide; here
//! they are asked after, and what is sensitive is noted before it is given.

use std::path::PathBuf;

use beatbook_protocol::blob::check_media_type;
use beatbook_protocol::id::{BookId, Hash, RecordId};

use crate::audit;
use crate::error::StationError;
use crate::policy::{self, Permission, Reason, Sight, level_of, levels_of};
use crate::registry::{people, tokens};
use crate::review::glass;
use crate::scope::Scope;
use crate::station::{Session, Station, line_of};
use crate::store::{NamedBlob, ReadTx};

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
        let session = tx.user(row.user)?.filter(|user| !user.blocked);
        let session = session.map(|user| people::session_of(tx, user)).transpose()?;
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

/// Who asks for a blob.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// A phone: what its book may hold it may fetch.
    Phone,
    /// A person at the desk, with the reason that he gives.
    Person(Option<Reason>),
}

/// What becomes of asking for a blob.
#[derive(Debug)]
pub(crate) enum Answered {
    /// Here it is; what is sensitive stands in the log.
    Given(Readable),
    /// It is masked for him: he works on the record and gives a reason, or else breaks the glass before it.
    Masked {
        /// Whether a reason is enough.
        works: bool,
    },
    /// There is none that he may know of.
    Nothing,
}

/// How a record shows a blob to somebody.
struct Shown {
    record: RecordId,
    media_type: Option<String>,
    sight: Sight,
    /// Whether its bytes are for him.
    is_plain: bool,
    /// The field, where the log must say that he was shown it.
    noted: Option<String>,
}

/// A blob that has arrived and that a record in the reader's scope names. Of several records the one counts that asks least.
pub(crate) fn readable(station: &Station, session: &Session, hash: &Hash, asker: &Asker) -> Result<Answered, StationError> {
    if matches!(asker, Asker::Person(_)) {
        policy::require(Some(session), Permission::ReadRecords)?;
    }
    if station.blobs.arrived(hash).is_none() {
        return Ok(Answered::Nothing);
    }
    let mut found = station.store.read(|tx| {
        let mut found = Vec::new();
        for named in tx.naming(hash)? {
            found.extend(shows(station, tx, session, named, asker)?);
        }
        Ok::<_, StationError>(found)
    })?;
    found.sort_by_key(|shown| (!shown.is_plain, shown.noted.is_some(), !shown.sight.works));
    let Some(shown) = found.into_iter().next() else {
        return Ok(Answered::Nothing);
    };
    if !shown.is_plain {
        return Ok(Answered::Masked {
            works: shown.sight.works,
        });
    }
    if let Some(field) = &shown.noted {
        let what = match asker {
            Asker::Phone => "blob.sync",
            Asker::Person(_) => "blob.read",
        };
        let line = line_of(session, shown.record, what, &shown.sight, &format!("{field} {hash}"));
        audit::write(station, &line)?;
    }
    let media_type = shown.media_type.unwrap_or_else(|| THUMBNAIL_TYPE.to_owned());
    Ok(Answered::Given(Readable {
        path: station.blobs.file(hash),
        media_type: check_media_type(&media_type).map_or(PLAIN_TYPE, |known| known).to_owned(),
    }))
}

fn shows(
    station: &Station,
    tx: &ReadTx<'_>,
    session: &Session,
    named: NamedBlob,
    asker: &Asker,
) -> Result<Option<Shown>, StationError> {
    let Some(state) = tx.record(named.record)? else {
        return Ok(None);
    };
    let (opening, scope) = (&state.opening, Scope::of(tx, session)?);
    if !scope.holds(tx, named.record, opening.opens.unit)? {
        return Ok(None);
    }
    let Some(sight) = glass::sight(tx, &station.kinds, session, &state, station.env.clock.now())? else {
        return Ok(None);
    };
    let kind = station.kinds.kind_of(&state)?;
    let level = level_of(&levels_of(&kind.fields), &named.field);
    let (sight, is_plain) = match asker {
        Asker::Phone if named.private && !sight.works => return Ok(None),
        Asker::Phone => (sight, true),
        Asker::Person(_) if named.private && !sight.works && !sight.glass => return Ok(None),
        Asker::Person(reason) => {
            let sight = sight.because(reason.clone());
            let is_plain = if named.private { sight.sees_all() } else { sight.sees(level) };
            (sight, is_plain)
        }
    };
    Ok(Some(Shown {
        record: named.record,
        media_type: named.media_type,
        is_plain,
        noted: (named.private || Sight::is_noted(level)).then_some(named.field),
        sight,
    }))
}
