//! Making a station and opening one: keys, database, the first words of the ledger, and the refusal of what does not belong together.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use beatbook_protocol::entry::{BookEvent, KindEvent, RegistryEvent, UnitEvent, UserEvent};
use beatbook_protocol::id::{BookId, IncarnationId, UnitId, UserId};
use beatbook_protocol::kind::{Catalogue, CheckedKind, Who};
use beatbook_protocol::page::P256_SHA256;

use crate::destruction;
use crate::ended;
use crate::environment::Environment;
use crate::error::StationError;
use crate::keys::{Keys, io, refuse_filled, refuse_nested, sync_dir};
use crate::kinds::Kinds;
use crate::ledger;
use crate::rebuild;
use crate::registry::{names, tokens, write_events};
use crate::station::{DATABASE, InitOptions, Initialised};
use crate::store::{EpochRow, ReadTx, StationRow, Store, holds_sealed};

/// Makes a station.
pub(crate) fn init(data: &Path, keys_dir: &Path, options: &InitOptions, env: &Environment) -> Result<Initialised, StationError> {
    refuse_nested(data, keys_dir)?;
    refuse_filled(data)?;
    refuse_filled(keys_dir)?;
    for (what, name) in [
        ("station", &options.station_name),
        ("unit", &options.unit_name),
        ("chief", &options.chief_name),
    ] {
        names::check(&format!("the {what}"), name)?;
    }
    let kinds = Kinds::of(Catalogue::builtin().map_err(|fault| StationError::Kind(fault.to_string()))?)?;
    let keys = Keys::create(keys_dir, env)?;
    fs::create_dir_all(data).map_err(io(data))?;
    let store = Store::create(&data.join(DATABASE), Arc::clone(&keys.column))?;
    let now = env.clock.now();
    let first = First {
        unit: UnitId::from_parts(now, tokens::random(env)?),
        chief: UserId::from_parts(now, tokens::random(env)?),
        station: UserId::from_parts(now, tokens::random(env)?),
        book: BookId::from_parts(now, tokens::random(env)?),
    };
    let mark = u32::from_be_bytes(tokens::random(env)?);
    let row = StationRow {
        name: options.station_name.trim().to_owned(),
        origin: format!("beatbook/station-{mark:08x}"),
        book: first.book,
        incarnation: IncarnationId::from_parts(now, tokens::random(env)?),
        backed_up_to: 0,
    };
    let chief_token = store.write(|tx| {
        tx.put_epoch(&EpochRow {
            epoch: 0,
            size: 0,
            follows: None,
        })?;
        tx.put_station(&row)?;
        write_events(tx, &keys, env, &kinds, first.events(options, &keys, &kinds))?;
        tokens::issue_in(tx, env, first.chief, None)
    })?;
    store.read(|tx| ledger::note(tx, &keys))?;
    sync_dir(data)?;
    Ok(Initialised {
        chief_token,
        origin: row.origin,
        chief: first.chief,
        unit: first.unit,
    })
}

struct First {
    unit: UnitId,
    chief: UserId,
    station: UserId,
    book: BookId,
}

impl First {
    fn events(&self, options: &InitOptions, keys: &Keys, kinds: &Kinds) -> Vec<RegistryEvent> {
        let unit = UnitEvent {
            unit: self.unit,
            name: options.unit_name.trim().to_owned(),
            parent: None,
            level: None,
            closed: None,
            on_behalf: None,
        };
        let user = |user, name: &str, who: Who| {
            RegistryEvent::User(UserEvent {
                user,
                name: name.trim().to_owned(),
                roles: vec![who.code().to_owned()],
                unit: self.unit,
                blocked: None,
                on_behalf: None,
            })
        };
        let book = BookEvent {
            book: self.book,
            user: self.station,
            suite: P256_SHA256,
            key: keys.book_key(),
            device: options.station_name.trim().to_owned(),
            attested: None,
        };
        let mut events = vec![
            RegistryEvent::Book(book),
            RegistryEvent::Unit(unit),
            user(self.station, &options.station_name, Who::Station),
            user(self.chief, &options.chief_name, Who::Chief),
        ];
        events.extend(kinds.files().into_iter().map(|file| {
            RegistryEvent::Kind(KindEvent {
                kind: file.kind,
                version: file.version,
                source: file.source,
            })
        }));
        events
    }
}

/// What a station consists of, once it is open.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    pub(crate) kinds: Kinds,
    pub(crate) row: StationRow,
}

/// Opens a station, and puts new kinds in force.
pub(crate) fn open(data: &Path, keys_dir: &Path, files: &[(String, String)], env: &Environment) -> Result<Parts, StationError> {
    refuse_nested(data, keys_dir)?;
    let file = data.join(DATABASE);
    if !file.is_file() {
        return Err(StationError::NoStation(data.to_owned()));
    }
    Keys::complete(keys_dir, env, || Ok(holds_sealed(&file)?))?;
    let keys = Keys::open(keys_dir)?;
    let store = Store::open(&file, Some(Arc::clone(&keys.column)))?;
    let (row, kinds, new) = store.read(|tx| {
        let row = tx.station()?.ok_or_else(|| StationError::NoStation(data.to_owned()))?;
        refuse_other_history(tx, &keys)?;
        if tx.book(row.book)?.is_none_or(|book| book.key != keys.book_key()) {
            return Err(StationError::Keys("they are not the keys of this station".into()));
        }
        let known: BTreeSet<(String, u32)> = tx.kinds()?.into_iter().map(|(kind, version, _)| (kind, version)).collect();
        let kinds = Kinds::of(catalogue(tx, files)?)?;
        let new: Vec<_> = kinds
            .files()
            .into_iter()
            .filter(|file| !known.contains(&(file.kind.clone(), file.version)))
            .collect();
        Ok((row, kinds, new))
    })?;
    freshen(&store, &kinds)?;
    if !new.is_empty() {
        let event = |file: beatbook_protocol::wire::KindFile| {
            RegistryEvent::Kind(KindEvent {
                kind: file.kind,
                version: file.version,
                source: file.source,
            })
        };
        store.write(|tx| write_events(tx, &keys, env, &kinds, new.into_iter().map(event).collect()))?;
    }
    ended::replay(&store, &keys, env, &kinds)?;
    // A restore that died before its end leaves what was destroyed in the copy: nobody is answered before it is gone again.
    let hand = destruction::Hand {
        keys: &keys,
        kinds: &kinds,
        env,
    };
    destruction::again(hand, &store)?;
    // A crash between commit and log leaves the log behind: it catches up here.
    let destroyed = store.read(|tx| {
        ledger::note(tx, &keys)?;
        Ok::<_, StationError>(tx.destructions(None, u32::MAX)?)
    })?;
    keys.destroyed.catch_up(&destroyed)?;
    Ok(Parts { store, keys, kinds, row })
}

/// The kinds that an existing database is read by.
pub(crate) fn kinds_of(store: &Store) -> Result<Kinds, StationError> {
    store.read(|tx| Kinds::of(catalogue(tx, &[])?))
}

/// Seals what an earlier version wrote in the clear, and folds again what it folded otherwise.
pub(crate) fn freshen(store: &Store, kinds: &Kinds) -> Result<(), StationError> {
    if store.read(|tx| Ok::<_, StationError>(tx.has_unsealed()?))? {
        tracing::info!("sealing what an earlier version wrote in the clear");
        while store.write(|tx| Ok::<_, StationError>(tx.seal_some()?))? {}
    }
    if store.read(|tx| Ok::<_, StationError>(tx.is_stale()?))? {
        tracing::info!("the projections were made by an older version: folding them again");
        store.write(|tx| {
            rebuild::rebuild(tx, kinds)?;
            Ok::<_, StationError>(tx.clear_stale()?)
        })?;
    }
    Ok(())
}

/// The kinds of the ledger, those of this program, and the station's own files.
pub(crate) fn catalogue(tx: &ReadTx<'_>, files: &[(String, String)]) -> Result<Catalogue, StationError> {
    let faulty = |fault: beatbook_protocol::kind::KindError| StationError::Kind(fault.to_string());
    let stored = tx.kinds()?;
    let named: Vec<(String, &str)> = stored
        .iter()
        .map(|(kind, version, source)| (format!("ledger/{kind}-{version}.toml"), source.as_str()))
        .collect();
    let ledger = Catalogue::default()
        .with(named.iter().map(|(name, source)| (name.as_str(), *source)))
        .map_err(faulty)?;
    let builtin = Catalogue::builtin().map_err(faulty)?;
    // What is in force stays as it is; this program brings newer versions only.
    let is_new = |kind: &&CheckedKind| ledger.get(&kind.code, kind.version).is_none();
    let newer: Vec<(String, &str)> = builtin
        .iter()
        .filter(is_new)
        .map(|kind| (format!("kinds/{}.toml", kind.code), kind.source()))
        .collect();
    ledger
        .with(newer.iter().map(|(name, source)| (name.as_str(), *source)))
        .and_then(|all| all.with(files.iter().map(|(name, source)| (name.as_str(), source.as_str()))))
        .map_err(faulty)
}

/// Refuses a database that is not the one whose history these keys have signed, or an old copy of it.
fn refuse_other_history(tx: &ReadTx<'_>, keys: &Keys) -> Result<(), StationError> {
    let Some(signed) = keys.signed() else { return Ok(()) };
    let epoch = tx.epoch()?;
    let size = tx.size()?;
    if epoch.epoch == signed.epoch {
        if size < signed.size {
            return Err(StationError::Behind {
                found: size,
                signed: signed.size,
            });
        }
        let same = ledger::position_at(tx, signed.size)?.root == signed.root;
        return if same { Ok(()) } else { Err(StationError::OtherHistory) };
    }
    if epoch.epoch < signed.epoch {
        return Err(StationError::Behind {
            found: size,
            signed: signed.size,
        });
    }
    // A restore whose first position was not noted yet.
    if epoch.follows == Some(signed) {
        Ok(())
    } else {
        Err(StationError::OtherHistory)
    }
}
