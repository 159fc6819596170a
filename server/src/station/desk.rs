//! The station's door, continued: hints for phones, what phones owe and are told of the certificate, records that may be one thing,
//! and what it counts.

use std::sync::Arc;

use beatbook_protocol::id::BookId;
use beatbook_protocol::wire::{AppVersion, PageAnswer, PinsOffer};

use super::{DuplicatePair, PhoneStatus, Session, Station};
use crate::error::StationError;
use crate::news::Reach;
use crate::registry::tokens;
use crate::retention::RetentionSettings;
use crate::scope::Scope;
use crate::tls::Shown;
use crate::{phones, review};

impl Station {
    /// The book that a phone's token lets listen for hints, and by what records reach it; none without a valid one.
    pub(crate) fn hint_scope(&self, token: &str) -> Option<(BookId, Reach)> {
        let now = self.env.clock.now();
        let found = self.store.read(|tx| {
            let Some((book, user)) = tokens::find(tx, token, now)?.and_then(|row| Some((row.book?, row.user))) else {
                return Ok::<_, StationError>(None);
            };
            let scope = Scope::now(tx, user)?;
            let reach = Reach {
                grantees: scope.grantees().into_iter().collect(),
                units: scope.units,
            };
            Ok(Some((book, reach)))
        });
        found.unwrap_or_else(|fault| {
            tracing::error!(%fault, "a token could not be looked up");
            None
        })
    }

    /// Ends the streams of hints, which would hold up a station that stops.
    pub fn end_hints(&self) {
        self.store.news.close();
    }

    /// Pairs of records in the person's scope that may be one thing, for him to decide on.
    ///
    /// # Errors
    /// Those of the store.
    pub fn duplicates(&self, session: &Session) -> Result<Vec<DuplicatePair>, StationError> {
        review::merges::duplicates(self, session)
    }

    /// The phones of the person's units and what each still owes, those that were silent longest first.
    ///
    /// # Errors
    /// When the person may not see them, or those of the store.
    pub fn phones(&self, session: &Session) -> Result<Vec<PhoneStatus>, StationError> {
        phones::phones(self, session)
    }

    /// Says what certificate it shows, for its status and for its phones.
    pub(crate) fn showing(self, shown: Arc<Shown>) -> Self {
        Self { shown, ..self }
    }

    /// What phones are told of the keys of the station's certificate; none when they are told nothing.
    pub(crate) fn pins_offer(&self) -> Option<PinsOffer> {
        let pins = self.shown.announced()?;
        Some(PinsOffer::sign(&pins, &self.origin, self.env.clock.now(), &self.keys.receipt))
    }

    /// Puts the station's own settings about retention in force.
    ///
    /// # Errors
    /// When they would keep something shorter than its kind says, or give no ground.
    pub fn keeping(self, retention: RetentionSettings) -> Result<Self, StationError> {
        retention.check(&self.kinds)?;
        Ok(Self { retention, ..self })
    }

    /// Asks phones for at least this version of the app; none asks for nothing. What older ones send is taken all the same.
    #[must_use]
    pub fn asking_for_app(self, app_min: Option<AppVersion>) -> Self {
        Self { app_min, ..self }
    }

    /// Asks phones to ask again of themselves after so long, while no hint reaches them; none leaves it to their apps.
    #[must_use]
    pub fn asked_again_after(self, ask_again_ms: Option<u64>) -> Self {
        Self { ask_again_ms, ..self }
    }

    pub(crate) fn count_answers(&self, answers: &[PageAnswer]) {
        for answer in answers {
            self.count(if answer.fault.is_some() { "pages_set_aside" } else { "pages" });
            for run in &answer.verdicts {
                let name = match run.verdict {
                    0 => "entries_accepted",
                    1 => "entries_duplicate",
                    2 => "entries_refused",
                    3 => "entries_needing",
                    4 => "entries_offered",
                    _ => "entries_other",
                };
                self.counters.add(name, run.count.into());
            }
        }
    }
}
