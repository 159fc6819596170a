//! A patrol: one tap to start, fixes while it lasts, and it goes on after the process died. Every fix is on the disk before the call
//! returns; segments become changes of the record when they are full, at a pause and at the end. Filters are the recorder's business.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Fix, GapReason, TrackError};

use super::recorder::{Cut, RecorderCounts, RecorderSettings, TrackEvent, TrackRecorder};
use crate::core::Core;
use crate::error::{CoreError, Fault};
use crate::store::patrols::{self, PatrolRow};
use crate::store::records::Records;
use crate::store::write::{ActOrder, Seen};

/// The kind, and the acts on it that belong to buttons of this room. All else about it is in its file.
const KIND: &str = "patrol";
const PAUSE: &str = "pause";
const RESUME: &str = "resume";
const END: &str = "end";

/// The recorder of the patrol that is going on.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    record: RecordId,
    started_at: UnixMillis,
    recorder: TrackRecorder,
}

/// The patrol that is going on.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivePatrol {
    /// Its record.
    pub record: RecordId,
    /// When it started.
    pub started_at: UnixMillis,
    /// Whether it is paused.
    pub is_paused: bool,
    /// What became of the fixes so far.
    pub counts: RecorderCounts,
    /// The newest fix worth showing.
    pub newest: Option<Fix>,
}

impl Core {
    /// Starts a patrol and its record. Unless the edit says otherwise, it starts now and this user leads it.
    ///
    /// # Errors
    /// When a patrol is going on already, or the values do not fit.
    pub fn patrol_start(&self, edit: &Edit) -> Result<RecordId, CoreError> {
        let record = self.platform().record_id();
        let mut recorder = self.recorder();
        let started_at = self.write(|records| {
            if patrols::active(records.tx())?.is_some() {
                let why = "a patrol is going on; finish it first".into();
                return Err(CoreError::InvalidInput {
                    field: "patrol".into(),
                    why,
                }
                .into());
            }
            let mut edit = edit.clone();
            edit.fields.entry("started_at".into()).or_insert(records.now().0.into());
            edit.fields
                .entry("leader".into())
                .or_insert(records.me()?.user.to_string().into());
            records.open_record(record, KIND, &edit, None)?;
            patrols::start(records.tx(), record, records.now())?;
            Ok::<_, Fault>(records.now())
        })?;
        *recorder = Some(Recording {
            record,
            started_at,
            recorder: TrackRecorder::new(RecorderSettings::default()),
        });
        Ok(record)
    }

    /// The patrol that is going on, if one is; also after the process died in the middle of it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn patrol_active(&self) -> Result<Option<ActivePatrol>, CoreError> {
        let mut kept = self.recorder();
        Ok(self.recording(&mut kept)?.map(|recording| ActivePatrol {
            record: recording.record,
            started_at: recording.started_at,
            is_paused: recording.recorder.is_paused(),
            counts: recording.recorder.counts(),
            newest: recording.recorder.newest(),
        }))
    }

    /// Takes fixes; they are on the disk when this returns. A batch may be handed over again: a time that is here already is passed over.
    /// Returns what became of all fixes of the patrol so far.
    ///
    /// # Errors
    /// When no patrol is going on, or storage is full: then nothing of this batch was taken, and all before is safe.
    pub fn patrol_add(&self, fixes: &[Fix]) -> Result<RecorderCounts, CoreError> {
        let events: Vec<TrackEvent> = fixes.iter().copied().map(TrackEvent::Fix).collect();
        let mut kept = self.recorder();
        let mut next = self.recording(&mut kept)?.ok_or_else(none)?;
        self.write(|records| tell(records, &mut next, &events))?;
        *kept = Some(next.clone());
        if next.recorder.is_full() {
            // Should the record not take the segment now, the fixes stay where they are, and the next cut tries again.
            match self.write(|records| cut(records, &mut next, false, Edit::new())) {
                Ok(()) => *kept = Some(next),
                Err(error) => tracing::warn!(%error, "the track's segment could not be written yet"),
            }
        }
        Ok(kept.as_ref().map(|recording| recording.recorder.counts()).unwrap_or_default())
    }

    /// Positions will not come, for a reason. `Paused` is the officer's own pause: it is an act on the record, and nothing is recorded
    /// until [`Core::patrol_resume`]. Any other reason only explains the gap that may follow.
    ///
    /// # Errors
    /// When no patrol is going on, or storage is full.
    pub fn patrol_pause(&self, reason: GapReason) -> Result<(), CoreError> {
        let mut kept = self.recorder();
        let mut next = self.recording(&mut kept)?.ok_or_else(none)?;
        self.write(|records| {
            tell(records, &mut next, &[TrackEvent::Broke(reason)])?;
            if reason == GapReason::Paused {
                cut(records, &mut next, false, Edit::new())?;
                act(records, next.record, PAUSE)?;
            }
            Ok::<_, Fault>(())
        })?;
        *kept = Some(next);
        Ok(())
    }

    /// The officer goes on after a pause.
    ///
    /// # Errors
    /// When no patrol is going on, or storage is full.
    pub fn patrol_resume(&self) -> Result<(), CoreError> {
        let mut kept = self.recorder();
        let mut next = self.recording(&mut kept)?.ok_or_else(none)?;
        self.write(|records| {
            tell(records, &mut next, &[TrackEvent::Resumed])?;
            act(records, next.record, RESUME)
        })?;
        *kept = Some(next);
        Ok(())
    }

    /// Ends the patrol with its last values; unless they say otherwise, it ends now. Its record is ready to be submitted.
    ///
    /// # Errors
    /// When no patrol is going on, the values do not fit, or storage is full; the patrol goes on then.
    pub fn patrol_finish(&self, edit: &Edit) -> Result<(RecordId, RecorderCounts), CoreError> {
        let mut kept = self.recorder();
        let mut next = self.recording(&mut kept)?.ok_or_else(none)?;
        self.write(|records| {
            let mut edit = edit.clone();
            edit.fields.entry("ended_at".into()).or_insert(records.now().0.into());
            cut(records, &mut next, true, edit)?;
            act(records, next.record, END)?;
            Ok::<_, Fault>(patrols::finish(records.tx())?)
        })?;
        *kept = None;
        Ok((next.record, next.recorder.counts()))
    }

    /// The book has ended: what was recorded of the track becomes part of the record, and nothing more is recorded. No act says that the
    /// officer ended it, since he did not.
    pub(crate) fn patrol_stop_past_end(&self) -> Result<(), CoreError> {
        let mut kept = self.recorder();
        let Some(mut next) = self.recording_past_end(&mut kept)? else {
            return Ok(());
        };
        self.write_past_end(|records| {
            cut(records, &mut next, true, Edit::new())?;
            Ok::<_, Fault>(patrols::finish(records.tx())?)
        })?;
        *kept = None;
        Ok(())
    }

    /// The recording in memory; after a start of the process, the one that the file holds.
    fn recording(&self, kept: &mut Option<Recording>) -> Result<Option<Recording>, CoreError> {
        self.refuse_over()?;
        self.recording_past_end(kept)
    }

    fn recording_past_end(&self, kept: &mut Option<Recording>) -> Result<Option<Recording>, CoreError> {
        if kept.is_none() && self.read_past_end(|tx| Ok(patrols::active(tx)?.is_some()))? {
            *kept = self.write_past_end(|records| {
                let Some(row) = patrols::active(records.tx())? else {
                    return Ok(None);
                };
                let PatrolRow {
                    record,
                    started_at,
                    cut,
                    state,
                } = row;
                let told = patrols::told_since(records.tx(), cut)?;
                let recorder = TrackRecorder::restore(RecorderSettings::default(), state, told);
                // Written down as well: the process may die again before anything else happens.
                patrols::tell(records.tx(), &TrackEvent::Broke(GapReason::AppKilled))?;
                Ok::<_, Fault>(Some(Recording {
                    record,
                    started_at,
                    recorder,
                }))
            })?;
        }
        Ok(kept.clone())
    }
}

fn tell(records: &Records<'_>, recording: &mut Recording, events: &[TrackEvent]) -> Result<(), Fault> {
    for event in events {
        if patrols::tell(records.tx(), event)? {
            recording.recorder.apply(*event);
        }
    }
    Ok(())
}

/// Writes what is decided of the track into the record, together with other values.
fn cut(records: &mut Records<'_>, recording: &mut Recording, is_end: bool, mut edit: Edit) -> Result<(), Fault> {
    let cut = if is_end {
        recording.recorder.finish()
    } else {
        recording.recorder.cut()
    };
    let fault = |error: TrackError| CoreError::Internal(format!("the track makes no segment: {error}"));
    if let Some(Cut { segments, state }) = cut.map_err(fault)? {
        edit.segments.extend(segments);
        patrols::cut(records.tx(), &state)?;
    }
    records.edit(recording.record, &edit, Seen::Now)?;
    Ok(())
}

fn act(records: &mut Records<'_>, record: RecordId, code: &str) -> Result<(), Fault> {
    let version = records.head(record)?.version;
    records.act(
        record,
        &ActOrder {
            code: code.to_owned(),
            version,
            ..ActOrder::default()
        },
    )?;
    Ok(())
}

fn none() -> CoreError {
    CoreError::Unknown {
        what: "patrol that is going on".into(),
    }
}
