//! Lines for the app's own log: what the core did and could not do, never what it was told. As a second wall, whatever looks like a secret or a
//! person's number is blotted out of each line.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::blot::blotted;
use crate::error::BeatbookError;
use crate::observe::ListenerError;
use crate::work::{Awake, caught, resting};

/// Lines that wait for a slow sink; what comes beyond is dropped, and counted in the next line.
const WAITING_MAX: usize = 1024;

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, uniffi::Enum)]
pub enum LogLevel {
    /// For developers.
    Debug,
    /// What happened.
    Info,
    /// What should be looked at.
    Warn,
    /// What failed.
    Error,
}

/// Where lines go.
#[uniffi::export(with_foreign)]
pub trait LogSink: Send + Sync {
    /// Takes one line, in order, on a thread of its own.
    fn log(&self, level: LogLevel, target: String, line: String) -> Result<(), ListenerError>;
}

/// Sends lines from this level on to a sink, as long as the process lives. The first call alone counts.
///
/// # Errors
/// `InvalidInput` at `sink` when there is one already.
#[uniffi::export]
pub fn set_log_sink(sink: Arc<dyn LogSink>, level: LogLevel) -> Result<(), BeatbookError> {
    caught(|| {
        let (lines, waiting) = sync_channel::<(LogLevel, String, String)>(WAITING_MAX);
        let writer = std::thread::Builder::new().name("beatbook-log".into());
        let taken = BeatbookError::InvalidInput { field: "sink".into() };
        tracing::subscriber::set_global_default(Lines {
            level,
            lines,
            dropped: std::sync::atomic::AtomicU64::new(0),
        })
        .map_err(|_| taken)?;
        let resting = resting();
        let spawned = writer.spawn(move || {
            for (level, target, line) in waiting {
                let _awake = Awake::new();
                if *resting.borrow() {
                    return;
                }
                // A sink that throws misses this line, and is handed the next.
                let _ = sink.log(level, target, line);
            }
        });
        spawned.map(|_| ()).map_err(|fault| BeatbookError::Internal {
            report: format!("threads cannot be started: {fault}"),
        })
    })
}

/// A text in which whatever looks like a secret, a person's number or a position is blotted out: for reports that an app sends.
///
/// # Errors
/// None today.
#[uniffi::export]
pub fn redact(text: String) -> Result<String, BeatbookError> {
    caught(|| Ok(blotted(&text)))
}

struct Lines {
    level: LogLevel,
    lines: SyncSender<(LogLevel, String, String)>,
    dropped: std::sync::atomic::AtomicU64,
}

fn level_of(level: Level) -> Option<LogLevel> {
    match level {
        Level::ERROR => Some(LogLevel::Error),
        Level::WARN => Some(LogLevel::Warn),
        Level::INFO => Some(LogLevel::Info),
        Level::DEBUG => Some(LogLevel::Debug),
        // Libraries trace bytes.
        _ => None,
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Of other libraries only what should be looked at: they say at lower levels what goes over the wire.
        let least = if metadata.target().starts_with("beatbook") {
            self.level
        } else {
            self.level.max(LogLevel::Warn)
        };
        metadata.is_event() && level_of(*metadata.level()).is_some_and(|level| level >= least)
    }

    fn event(&self, event: &Event<'_>) {
        use std::sync::atomic::Ordering;
        let Some(level) = level_of(*event.metadata().level()) else {
            return;
        };
        let mut words = Words(String::new());
        event.record(&mut words);
        let missed = self.dropped.swap(0, Ordering::Relaxed);
        if missed > 0 {
            let _ = write!(words.0, " ({missed} lines before this were dropped)");
        }
        let line = (level, event.metadata().target().to_owned(), blotted(&words.0));
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.dropped.fetch_add(missed + 1, Ordering::Relaxed);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let space = if self.0.is_empty() { "" } else { " " };
        let _ = match field.name() {
            "message" => write!(self.0, "{space}{value:?}"),
            name => write!(self.0, "{space}{name}={value:?}"),
        };
    }
}
