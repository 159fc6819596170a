//! Records: forms, drafts, lists, acts. Turns words; every rule is the core's.

mod submit;
mod words;

use std::sync::Arc;

use beatbook_client_core::capture::draft::DraftId;
use beatbook_client_core::protocol::id::{Hash, RecordId};
use beatbook_client_core::protocol::place::Place;
use beatbook_client_core::query::Filter;
use beatbook_client_core::{Core, sync};

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::forms::{ActNow, DraftForm, KindForm};
use crate::observe::{ListenerError, Subscription, observe};
use crate::values::{Facts, RecordEdit, parsed};
use crate::views::{RecordPage, RecordRow, RecordView};
use crate::work::caught;

pub use words::{Act, CameBack, Done, Draft, Due, Near, RecordFilter, Waiting};

/// The records of an open book.
#[derive(Debug, uniffi::Object)]
pub struct Records {
    desk: Arc<Desk>,
}

/// Told when a list looks different.
#[uniffi::export(with_foreign)]
pub trait RecordsListener: Send + Sync {
    /// How it looks now.
    fn on_page(&self, page: RecordPage) -> Result<(), ListenerError>;
}

impl Records {
    pub(crate) fn of(desk: &Arc<Desk>) -> Arc<Self> {
        Arc::new(Self { desk: Arc::clone(desk) })
    }
}

#[uniffi::export]
impl Records {
    /// The kinds that new records can be made of, with their forms.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn kinds(&self) -> Result<Vec<KindForm>, BeatbookError> {
        self.desk
            .work(|core| Ok(core.kinds_in_force().iter().map(KindForm::from).collect()))
            .await
    }

    /// The kind of a record, by code and version: older records keep theirs.
    ///
    /// # Errors
    /// `InvalidInput` at `kind` when this app cannot read it.
    pub async fn kind(&self, code: String, version: u32) -> Result<KindForm, BeatbookError> {
        self.desk
            .work(move |core| {
                let kinds = core.kinds();
                let kind = kinds.get(&code, version);
                kind.map(KindForm::from)
                    .ok_or(BeatbookError::InvalidInput { field: "kind".into() })
            })
            .await
    }

    /// A new draft, for a new record of a kind or for a record as it is now. It is on the disk from the first `save`.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such kind or record.
    pub async fn draft(&self, kind: String, record: Option<String>) -> Result<Draft, BeatbookError> {
        let record = record.as_deref().map(crate::values::record).transpose()?;
        self.desk.work(move |core| Ok(core.draft_begin(&kind, record)?.into())).await
    }

    /// Saves a draft: it is on the disk when this returns. Items without a name get one; the draft that is given back has it.
    ///
    /// # Errors
    /// `InvalidInput` at what cannot be saved, `StorageFull`.
    pub async fn save(&self, draft: Draft) -> Result<Draft, BeatbookError> {
        self.desk
            .work(move |core| {
                let draft = draft.into_core(core)?;
                core.draft_save(&draft)?;
                Ok(core.draft(draft.id)?.into())
            })
            .await
    }

    /// All drafts, the latest first.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn drafts(&self) -> Result<Vec<Draft>, BeatbookError> {
        self.desk
            .work(|core| Ok(core.drafts()?.into_iter().map(Draft::from).collect()))
            .await
    }

    /// Throws a draft away.
    ///
    /// # Errors
    /// `InvalidInput` when there is none of this name.
    pub async fn discard(&self, draft: String) -> Result<(), BeatbookError> {
        let id: DraftId = parsed("draft", &draft)?;
        self.desk.work(move |core| Ok(core.draft_drop(id)?)).await
    }

    /// How a draft stands with what is typed so far: which fields to show, and what is missing. Nothing is written.
    ///
    /// # Errors
    /// `InvalidInput` when its kind or record is not here.
    pub async fn validate(&self, draft: Draft) -> Result<DraftForm, BeatbookError> {
        self.desk
            .work(move |core| Ok(core.draft_form(&draft.into_core(core)?)?.into()))
            .await
    }

    /// Makes a saved draft an edit of its record, or opens one, and then does an act on it when a code is given (`finish`). An
    /// act that there is not, that is not open in the state the record will have, or that asks for a comment or values, is
    /// refused before anything is written: the draft stays. When the act is hindered, or comes to nothing afterwards (a full
    /// disk, an act of others in between), the values are saved all the same: `record` names them, `acted` is not set, and the
    /// findings say why (`not_done` at `act`: open the record and try again).
    ///
    /// # Errors
    /// `InvalidInput` at `draft`, at `act`, at the place that others have written meanwhile, or that cannot be taken. The draft
    /// is there still.
    pub async fn submit(&self, draft: String, act: Option<String>) -> Result<Done, BeatbookError> {
        let id: DraftId = parsed("draft", &draft)?;
        self.desk.capture(move |core| submit::submit(core, id, act)).await
    }

    /// Edits a record that its author sees as `version`. Tells whether anything was written.
    ///
    /// # Errors
    /// `InvalidInput` at `version` when it has moved: show it again; at `record` when this user may not write it in its state.
    pub async fn edit(&self, record: String, edit: RecordEdit, version: Option<String>) -> Result<bool, BeatbookError> {
        let record = crate::values::record(&record)?;
        self.desk
            .capture(move |core| {
                let edit = edit.into_core(|| core.new_item())?;
                Ok(core.edit(record, &edit, version.as_deref())?)
            })
            .await
    }

    /// How an act would stand with what is typed so far: which of its fields to show, and what hinders it. Nothing is written, and the
    /// version does not matter.
    ///
    /// # Errors
    /// `InvalidInput` at `record`, at `act` when its kind has none of that code, at a value that the act has no field for.
    pub async fn validate_act(&self, record: String, act: Act) -> Result<ActNow, BeatbookError> {
        let id = crate::values::record(&record)?;
        self.desk
            .work(move |core| Ok(core.act_form(id, &act.into_core())?.into()))
            .await
    }

    /// Acts on a record. The phone shows the state that follows; the station has the last word.
    ///
    /// # Errors
    /// `InvalidInput` at `version` when the record has moved, at `act` when there is no such act or it is not open to this user.
    pub async fn act(&self, record: String, act: Act) -> Result<Done, BeatbookError> {
        let id = crate::values::record(&record)?;
        self.desk.capture(move |core| submit::done(core, id, &act.into_core())).await
    }

    /// One record, whole.
    ///
    /// # Errors
    /// `InvalidInput` at `record` when it is not here.
    pub async fn get(&self, record: String) -> Result<RecordView, BeatbookError> {
        let record = crate::values::record(&record)?;
        self.desk.work(move |core| Ok(core.record(record)?.into())).await
    }

    /// A list of records.
    ///
    /// # Errors
    /// `InvalidInput` at `limit` when it is 0, at `after` when it is no place of a list.
    pub async fn page(&self, filter: RecordFilter) -> Result<RecordPage, BeatbookError> {
        let filter = filter.into_core()?;
        self.desk.work(move |core| page(core, &filter)).await
    }

    /// Records with these words, the last that came first: Chinese of two characters and more, words as they are typed, pinyin initials.
    ///
    /// # Errors
    /// `InvalidInput` at `limit` when it is 0.
    pub async fn search(&self, text: String, limit: u32) -> Result<Vec<RecordRow>, BeatbookError> {
        let filter = RecordFilter {
            text: Some(text),
            limit,
            ..RecordFilter::default()
        };
        let filter = filter.into_core()?;
        self.desk.work(move |core| Ok(page(core, &filter)?.rows)).await
    }

    /// What waits for the station, record by record.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, BeatbookError> {
        self.desk
            .work(|core| Ok(sync::waiting(core)?.into_iter().map(Waiting::from).collect()))
            .await
    }

    /// What came back, and why: acts of others, and what the station refused.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn refused(&self) -> Result<Vec<CameBack>, BeatbookError> {
        self.desk
            .work(|core| Ok(core.came_back()?.into_iter().map(CameBack::from).collect()))
            .await
    }

    /// Makes a draft of the values of a refused entry, to mend and submit again.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such entry.
    pub async fn offer_again(&self, entry: String) -> Result<Draft, BeatbookError> {
        let entry: Hash = parsed("entry", &entry)?;
        self.desk
            .work(move |core| {
                let id = core.offer_again(&entry)?;
                Ok(core.draft(id)?.into())
            })
            .await
    }

    /// Says that a refused entry has been dealt with. Its bytes stay.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such entry.
    pub async fn dismiss(&self, entry: String) -> Result<(), BeatbookError> {
        let entry: Hash = parsed("entry", &entry)?;
        self.desk.work(move |core| Ok(core.dismiss(&entry)?)).await
    }

    /// What must be done until when, the most pressing first.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn due(&self, limit: u32) -> Result<Vec<Due>, BeatbookError> {
        self.desk
            .work(move |core| {
                let due = core.due(limit)?.into_iter().map(|due| Due {
                    row: due.row.into(),
                    clock: due.clock,
                    label: due.label.into(),
                    until: due.until.0,
                    is_late: due.is_late,
                });
                Ok(due.collect())
            })
            .await
    }

    /// Records of a kind whose place (a `geo:` URI) lies within so many metres, the nearest first.
    ///
    /// # Errors
    /// `InvalidInput` at `place` or `kind`.
    pub async fn nearby(&self, kind: String, place: String, metres: f64, limit: u32) -> Result<Vec<Near>, BeatbookError> {
        let place = Place::parse(&place).map_err(|_| BeatbookError::InvalidInput { field: "place".into() })?;
        self.desk
            .work(move |core| {
                let near = core.nearby(&kind, &place, metres, limit)?.into_iter().map(|near| Near {
                    row: near.row.into(),
                    metres: near.metres,
                });
                Ok(near.collect())
            })
            .await
    }

    /// The values of the last record of a kind about another one that carry over to the next.
    ///
    /// # Errors
    /// `InvalidInput` at `about` when it is no record's name.
    pub async fn starting_point(&self, kind: String, about: String) -> Result<Facts, BeatbookError> {
        let about: RecordId = parsed("about", &about)?;
        self.desk
            .work(move |core| Ok(core.starting_point(&kind, about)?.into()))
            .await
    }

    /// Tells a listener how a list looks: now, and whenever it looks different.
    ///
    /// # Errors
    /// Those of `page`.
    pub fn observe(&self, filter: RecordFilter, listener: Arc<dyn RecordsListener>) -> Result<Arc<Subscription>, BeatbookError> {
        caught(|| {
            let filter = filter.into_core()?;
            observe(
                &self.desk,
                move |core| page(core, &filter),
                move |page| listener.on_page(page),
            )
        })
    }
}

fn page(core: &Core, filter: &Filter) -> Result<RecordPage, BeatbookError> {
    let page = core.list(filter)?;
    Ok(RecordPage {
        rows: page.rows.into_iter().map(RecordRow::from).collect(),
        next: page.next.map(|mark| mark.to_string()),
    })
}
