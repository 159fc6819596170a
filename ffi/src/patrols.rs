//! Patrols: one tap to start, points while it lasts, and it goes on after the process died.

use std::sync::Arc;

use beatbook_client_core::capture::gpx::read_gpx;
use beatbook_client_core::capture::patrol::ActivePatrol as CoreActive;
use beatbook_client_core::capture::recorder::RecorderCounts;
use beatbook_client_core::protocol::time::UnixMillis;
use beatbook_client_core::protocol::track::{Fix, GapReason, Source};

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::observe::{ListenerError, Subscription, observe};
use crate::values::RecordEdit;
use crate::work::{blocking, caught};

/// Points that one call takes: a day on foot at one a second.
const POINTS_MAX: usize = 100_000;

/// The patrols of an open book: at most one goes on.
#[derive(Debug, uniffi::Object)]
pub struct Patrols {
    desk: Arc<Desk>,
}

/// One position, as the platform reports it.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct TrackPoint {
    /// When, milliseconds since 1970.
    pub at: i64,
    /// Latitude, degrees, WGS-84.
    pub lat: f64,
    /// Longitude, degrees, WGS-84.
    pub lon: f64,
    /// Radius of uncertainty, metres.
    #[uniffi(default = None)]
    pub accuracy_m: Option<f64>,
    /// Where it came from.
    pub source: PointSource,
    /// Whether the platform says that an app made it up. It is kept and shown.
    #[uniffi(default = false)]
    pub is_mock: bool,
}

/// Where a point came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum PointSource {
    /// A satellite receiver, or the platform's fusion around one.
    Gps,
    /// Cell towers or Wi-Fi.
    Network,
    /// Set on the map by hand.
    Manual,
    /// Read from a file.
    Imported,
}

/// Why positions will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum PauseReason {
    /// The officer pauses: nothing is recorded until he resumes.
    Paused,
    /// The receiver finds nothing.
    NoFix,
    /// The permission to read positions was taken away.
    PermissionOff,
    /// Positioning was switched off in the phone's settings.
    ProviderOff,
    /// The system ended the app.
    AppKilled,
    /// The system holds positions back to save the battery.
    BatterySaver,
}

/// What became of all points of a patrol so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, uniffi::Record)]
pub struct TrackCounts {
    /// All that came in.
    pub points: u64,
    /// On the track.
    pub kept: u64,
    /// Not on it: too near to others, lone jumps, late, vague, doubled, impossible, or while paused.
    pub dropped: u64,
}

/// The patrol that is going on.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ActivePatrol {
    /// Its record.
    pub record: String,
    /// When it started, milliseconds since 1970.
    pub started_at: i64,
    /// Whether it is paused.
    pub is_paused: bool,
    /// What became of the points.
    pub counts: TrackCounts,
    /// The newest point worth showing.
    pub newest: Option<TrackPoint>,
}

/// Told when the patrol looks different.
#[uniffi::export(with_foreign)]
pub trait PatrolListener: Send + Sync {
    /// How it stands now; none when none goes on.
    fn on_patrol(&self, patrol: Option<ActivePatrol>) -> Result<(), ListenerError>;
}

impl Patrols {
    pub(crate) fn of(desk: &Arc<Desk>) -> Arc<Self> {
        Arc::new(Self { desk: Arc::clone(desk) })
    }
}

#[uniffi::export]
impl Patrols {
    /// Starts a patrol and its record. Gives the record's name.
    ///
    /// # Errors
    /// `InvalidInput` at `patrol` when one goes on, or at a value.
    pub async fn start(&self, edit: RecordEdit) -> Result<String, BeatbookError> {
        self.desk
            .capture(move |core| {
                let edit = edit.into_core(|| core.new_item())?;
                Ok(core.patrol_start(&edit)?.to_string())
            })
            .await
    }

    /// The patrol that goes on, also after the process died in the middle of it.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn active(&self) -> Result<Option<ActivePatrol>, BeatbookError> {
        self.desk.work(|core| Ok(core.patrol_active()?.map(ActivePatrol::from))).await
    }

    /// Takes points; they are on the disk when this returns. A batch may be handed over again. Hand over some seconds' worth at a time.
    ///
    /// # Errors
    /// `InvalidInput` at `patrol` when none goes on, at `points` when one cannot be (then none of the batch was taken), `StorageFull`.
    pub async fn add_points(&self, points: Vec<TrackPoint>) -> Result<TrackCounts, BeatbookError> {
        let wrong = || BeatbookError::InvalidInput { field: "points".into() };
        if points.len() > POINTS_MAX {
            return Err(wrong());
        }
        let fixes: Vec<Fix> = points
            .into_iter()
            .map(|point| point.fix().ok_or_else(wrong))
            .collect::<Result<_, _>>()?;
        self.desk.work(move |core| Ok(core.patrol_add(&fixes)?.into())).await
    }

    /// Positions will not come, for a reason. Any reason but `Paused` only explains the gap that may follow.
    ///
    /// # Errors
    /// `InvalidInput` at `patrol` when none goes on.
    pub async fn pause(&self, reason: PauseReason) -> Result<(), BeatbookError> {
        let reason = match reason {
            PauseReason::Paused => GapReason::Paused,
            PauseReason::NoFix => GapReason::NoFix,
            PauseReason::PermissionOff => GapReason::PermissionOff,
            PauseReason::ProviderOff => GapReason::ProviderOff,
            PauseReason::AppKilled => GapReason::AppKilled,
            PauseReason::BatterySaver => GapReason::BatterySaver,
        };
        self.desk.capture(move |core| Ok(core.patrol_pause(reason)?)).await
    }

    /// The officer goes on after a pause.
    ///
    /// # Errors
    /// `InvalidInput` at `patrol` when none goes on.
    pub async fn resume(&self) -> Result<(), BeatbookError> {
        self.desk.capture(|core| Ok(core.patrol_resume()?)).await
    }

    /// Ends the patrol with its last values. Gives the record's name.
    ///
    /// # Errors
    /// `InvalidInput`; the patrol goes on then.
    pub async fn finish(&self, edit: RecordEdit) -> Result<String, BeatbookError> {
        self.desk
            .capture(move |core| {
                let edit = edit.into_core(|| core.new_item())?;
                Ok(core.patrol_finish(&edit)?.0.to_string())
            })
            .await
    }

    /// Tells a listener how the patrol stands: now, and whenever that changes.
    ///
    /// # Errors
    /// When no threads can be had.
    pub fn observe(&self, listener: Arc<dyn PatrolListener>) -> Result<Arc<Subscription>, BeatbookError> {
        caught(|| {
            observe(
                &self.desk,
                |core| Ok(core.patrol_active()?.map(ActivePatrol::from)),
                move |patrol| listener.on_patrol(patrol),
            )
        })
    }
}

/// The points of a GPX file, in its order: a recorded walk in the place of a receiver, for desktops and tests.
///
/// # Errors
/// `InvalidInput` at `path` when it cannot be read as GPX.
#[uniffi::export]
pub async fn gpx_points(path: String) -> Result<Vec<TrackPoint>, BeatbookError> {
    blocking(move || {
        let wrong = |_| BeatbookError::InvalidInput { field: "path".into() };
        let file = std::fs::File::open(&path).map_err(wrong)?;
        let mut points = Vec::new();
        read_gpx(std::io::BufReader::new(file), "gpx", |fix| points.push(TrackPoint::from(fix)))
            .map_err(|_| BeatbookError::InvalidInput { field: "path".into() })?;
        Ok(points)
    })
    .await
}

impl TrackPoint {
    fn fix(self) -> Option<Fix> {
        let fix = Fix::check(UnixMillis(self.at), self.lat, self.lon, self.accuracy_m).ok()?;
        let source = match self.source {
            PointSource::Gps => Source::Gps,
            PointSource::Network => Source::Network,
            PointSource::Manual => Source::Manual,
            PointSource::Imported => Source::Imported,
        };
        Some(Fix {
            is_mock: self.is_mock,
            ..fix.from_source(source)
        })
    }
}

impl From<Fix> for TrackPoint {
    fn from(fix: Fix) -> Self {
        Self {
            at: fix.at.0,
            lat: fix.lat(),
            lon: fix.lon(),
            accuracy_m: fix.accuracy_m.map(f64::from),
            source: match fix.source {
                Source::Gps => PointSource::Gps,
                Source::Manual => PointSource::Manual,
                Source::Imported => PointSource::Imported,
                Source::Network | Source::Other(_) => PointSource::Network,
            },
            is_mock: fix.is_mock,
        }
    }
}

impl From<RecorderCounts> for TrackCounts {
    fn from(counts: RecorderCounts) -> Self {
        Self {
            points: counts.fixes_in,
            kept: counts.kept,
            dropped: counts.represented
                + counts.jumps
                + counts.same_time
                + counts.out_of_order
                + counts.inaccurate
                + counts.out_of_range
                + counts.while_paused,
        }
    }
}

impl From<CoreActive> for ActivePatrol {
    fn from(active: CoreActive) -> Self {
        Self {
            record: active.record.to_string(),
            started_at: active.started_at.0,
            is_paused: active.is_paused,
            counts: active.counts.into(),
            newest: active.newest.map(TrackPoint::from),
        }
    }
}
