//! What a record's documents say, as far as a sight reaches: the official view, what waits behind it, conflicts, every write, the track.
//! Knows no rows: it is given open documents and names.

use std::collections::BTreeMap;

use beatbook_protocol::document::{Claim, Document, FieldPath, Said, View};
use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::Hash;
use beatbook_protocol::kind::{CheckedKind, DocumentName, FieldType};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::TrackView;

use super::mask::{Mask, masked};
use super::page::Names;
use super::view::{ChangedField, ClaimView, ConflictView, FileLine, TrackGap, TrackReport, WriteLine};
use crate::error::StationError;
use crate::kinds::damaged;
use crate::policy::Sight;
use crate::projection::reading::{self, Documents, json, places};
use crate::projection::record::RecordState;

/// What a record's documents say, as far as somebody sees it.
pub(super) struct Written<'a> {
    pub(super) official: Facts,
    segments: BTreeMap<String, Vec<u8>>,
    pub(super) private: Option<Facts>,
    pub(super) pending: Vec<ChangedField>,
    pub(super) conflicts: Vec<ConflictView>,
    pub(super) history: Vec<WriteLine>,
    pub(super) history_shown: Vec<String>,
    pub(super) files: Vec<FileLine>,
    pub(super) masked: Vec<String>,
    pub(super) mask: Mask<'a>,
}

impl<'a> Written<'a> {
    /// Reads the documents of a record.
    pub(super) fn of(
        kind: &'a CheckedKind,
        state: &RecordState,
        documents: &Documents,
        names: &Names,
        sight: &'a Sight,
    ) -> Result<Self, StationError> {
        let broken = |fault| damaged(state, &fault);
        let (mut mask, mut past) = (Mask::new(kind, sight), Mask::new(kind, sight));
        let now = documents.facts.view().map_err(broken)?;
        let official = reading::official(kind, state, &documents.facts, &now)?;
        let pending = match state.official(kind) {
            Some(_) => changed(&documents.facts, &official, &now, names, state, &mut mask)?,
            None => Vec::new(),
        };
        let mut written = history(&documents.facts, DocumentName::Facts, names, state, &mut past)?;
        let mut conflicts = conflicts(&now, DocumentName::Facts, names, &mut mask);
        let mut files: Vec<FileLine> = files(&now.facts).collect();
        let mut masked = Vec::new();
        let mut private = None;
        if let Some(document) = &documents.private {
            if sight.works || sight.glass {
                let view = document.view().map_err(broken)?;
                written.extend(history(document, DocumentName::Private, names, state, &mut past)?);
                conflicts.extend(self::conflicts(&view, DocumentName::Private, names, &mut mask));
                files.extend(self::files(&view.facts));
                private = Some(mask.facts(DocumentName::Private, "private", view.facts));
            } else {
                // That there is something is all that he learns.
                masked.push("private".to_owned());
            }
        }
        let mut official = official.into_owned().facts;
        let segments = official.track.clone();
        official = mask.facts(DocumentName::Facts, "official", official);
        Ok(Self {
            official,
            segments,
            private,
            pending,
            conflicts,
            history: written,
            history_shown: past.shown(),
            files,
            masked,
            mask,
        })
    }

    /// The track, its lines only for who sees them; and what the log must say of that.
    pub(super) fn track(&self, kind: &CheckedKind, sight: &Sight) -> (Option<TrackReport>, Vec<String>) {
        let has_track = kind.fields.iter().any(|field| field.field_type == FieldType::Track);
        if !has_track {
            return (None, Vec::new());
        }
        let mut mask = Mask::new(kind, sight);
        let is_shown = self.segments.is_empty() || mask.lets_track(DocumentName::Facts);
        (Some(track(&self.segments, is_shown)), mask.shown())
    }
}

/// The files that a document names. What has arrived, the station says beside it: here nothing but the ledger is known.
fn files(facts: &Facts) -> impl Iterator<Item = FileLine> {
    facts.files.iter().map(|(hash, file)| FileLine {
        hash: *hash,
        field: file.field.clone(),
        media_type: file.media_type.clone(),
        bytes: file.bytes,
        arrived: false,
        thumbnail: file.thumbnail,
        thumbnail_arrived: false,
        removed: file.removed,
    })
}

/// The places that differ between two views, with the newest value, and who wrote it.
pub(crate) fn changed(
    document: &Document,
    before: &View,
    now: &View,
    names: &Names,
    state: &RecordState,
    mask: &mut Mask<'_>,
) -> Result<Vec<ChangedField>, StationError> {
    let old = places(&before.facts);
    let differing: Vec<_> = places(&now.facts)
        .into_iter()
        .filter(|(path, value)| old.get(path) != Some(value))
        .collect();
    let mut written: BTreeMap<String, (Hash, UnixMillis)> = now
        .written
        .iter()
        .map(|(path, written)| (path.to_string(), (written.change, written.at)))
        .collect();
    if differing.iter().any(|(path, _)| !written.contains_key(path)) {
        // Notes are woven by many: the last to write in one stands for it.
        for write in document.history().map_err(|fault| damaged(state, &fault))? {
            if matches!(write.value, Said::Text { .. }) {
                written.insert(write.path.to_string(), (write.change, write.at));
            }
        }
    }
    Ok(differing
        .into_iter()
        .map(|(path, value)| {
            let (change, at) = written
                .get(&path)
                .copied()
                .unwrap_or((Hash::from_bytes([0; 32]), state.last_at));
            // A place that cannot be read is shown to nobody.
            let value = match path.parse::<FieldPath>() {
                Ok(place) => mask.value(DocumentName::Facts, &place, value),
                Err(_) => masked(),
            };
            ChangedField {
                author: names.author(&change),
                path,
                value,
                at,
            }
        })
        .collect())
}

fn conflicts(view: &View, document: DocumentName, names: &Names, mask: &mut Mask<'_>) -> Vec<ConflictView> {
    view.conflicts
        .iter()
        .map(|found| ConflictView {
            path: found.path.to_string(),
            claims: found
                .claims
                .iter()
                .map(|claim: &Claim| ClaimView {
                    value: mask.value(document, &found.path, said(&claim.value)),
                    author: names.author(&claim.change),
                    at: claim.at,
                })
                .collect(),
        })
        .collect()
}

fn history(
    document: &Document,
    name: DocumentName,
    names: &Names,
    state: &RecordState,
    mask: &mut Mask<'_>,
) -> Result<Vec<WriteLine>, StationError> {
    let writes = document.history().map_err(|fault| damaged(state, &fault))?;
    Ok(writes
        .into_iter()
        .map(|write| WriteLine {
            path: write.path.to_string(),
            value: mask.value(name, &write.path, said(&write.value)),
            author: names.author(&write.change),
            at: write.at,
            change: write.change,
        })
        .collect())
}

fn said(said: &Said) -> serde_json::Value {
    match said {
        Said::Value(value) => json(value),
        Said::Bytes(bytes) => serde_json::json!({ "bytes": bytes.len() }),
        Said::Text { inserted, deleted } => serde_json::json!({ "inserted": inserted, "deleted": deleted }),
    }
}

fn track(segments: &BTreeMap<String, Vec<u8>>, is_shown: bool) -> TrackReport {
    let track = TrackView::from_segments(segments);
    TrackReport {
        geojson: if is_shown {
            track.geojson()
        } else {
            // A foreign member (RFC 7946, 6.1) says why there are no lines.
            serde_json::json!({ "type": "FeatureCollection", "features": [], "masked": true })
        },
        fixes: track.fixes_kept(),
        distance_m: track.distance_m,
        gaps: track
            .gaps
            .iter()
            .map(|gap| TrackGap {
                from: gap.from,
                to: gap.to,
                reason: gap.reason.word(),
            })
            .collect(),
    }
}
