//! Tracks: what a fix is, why a track may break off, and how runs of fixes become bytes and come back as a line with gaps.
//!
//! Knows nothing of phones, files or documents: the recorder that decides which fixes to keep is the phone's, and a document holds
//! segments as bytes that it does not look into.

mod distance;
mod geojson;
mod segment;
mod view;

pub use distance::metres_between;
pub use segment::{Break, Segment, TrackError, segment_key};
pub use view::{Gap, Leg, LegKind, Line, TrackView};

use crate::time::UnixMillis;

/// A minute or more without a fix is a gap, and is shown as one. Below that, tunnels, courtyards and slow receivers are everyday.
pub const GAP_MS: i64 = 60_000;

/// The newest time a fix may bear, the end of the year 9999: later ones are a broken clock, and no longer fit a key of 12 hex digits.
pub const FIX_AT_MAX: UnixMillis = UnixMillis(253_402_300_799_999);

/// One position of the phone, as kept: a millionth of a degree (11 cm) is finer than any receiver, so that rounding adds nothing to the
/// length of a slow walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fix {
    /// When the position was fixed.
    pub at: UnixMillis,
    /// Latitude, millionths of a degree, WGS-84.
    pub lat_e6: i32,
    /// Longitude, millionths of a degree, WGS-84.
    pub lon_e6: i32,
    /// Radius of uncertainty, whole metres rounded up; none when the source said nothing.
    pub accuracy_m: Option<u16>,
    /// Where the position came from.
    pub source: Source,
    /// Whether the platform said that an app had made the position up. Kept and shown, never hidden: that is for the chief to judge.
    pub is_mock: bool,
}

impl Fix {
    /// A fix by a receiver, from what platforms report.
    ///
    /// # Errors
    /// When the place is not on the earth, the time not between 1970 and 9999, or the accuracy negative or not a number (iOS marks an
    /// invalid position by a negative accuracy).
    pub fn check(at: UnixMillis, lat: f64, lon: f64, accuracy_m: Option<f64>) -> Result<Self, TrackError> {
        if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lon) {
            return Err(TrackError::OffTheEarth);
        }
        if accuracy_m.is_some_and(|metres| metres.is_nan() || metres < 0.0) {
            return Err(TrackError::Accuracy);
        }
        let fix = Self {
            at,
            lat_e6: (lat * 1e6).round() as i32,
            lon_e6: (lon * 1e6).round() as i32,
            accuracy_m: accuracy_m.map(|metres| metres.ceil().min(f64::from(ACCURACY_M_MAX)) as u16),
            source: Source::Gps,
            is_mock: false,
        };
        fix.check_ranges()?;
        Ok(fix)
    }

    /// The same fix from another source.
    #[must_use]
    pub const fn from_source(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// Latitude in degrees.
    #[must_use]
    pub fn lat(&self) -> f64 {
        f64::from(self.lat_e6) / 1e6
    }

    /// Longitude in degrees.
    #[must_use]
    pub fn lon(&self) -> f64 {
        f64::from(self.lon_e6) / 1e6
    }

    /// Whether a segment may hold this fix.
    ///
    /// # Errors
    /// When the place, the time or the accuracy is out of range.
    pub fn check_ranges(&self) -> Result<(), TrackError> {
        if self.lat_e6.unsigned_abs() > 90_000_000 || self.lon_e6.unsigned_abs() > 180_000_000 {
            return Err(TrackError::OffTheEarth);
        }
        if self.at.0 < 0 || self.at > FIX_AT_MAX {
            return Err(TrackError::OutOfTime);
        }
        if self.accuracy_m.is_some_and(|metres| metres > ACCURACY_M_MAX) {
            return Err(TrackError::Accuracy);
        }
        Ok(())
    }
}

/// Metres of accuracy at most; whatever is vaguer counts as this.
const ACCURACY_M_MAX: u16 = u16::MAX - 1;

/// Where a position came from. Codes are part of the segment format; a newer one survives as `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Source {
    /// A satellite receiver (any constellation), or the platform's fusion around one.
    Gps,
    /// Cell towers or Wi-Fi.
    Network,
    /// Set on the map by hand.
    Manual,
    /// Read from a file.
    Imported,
    /// A source that this version does not know, by its code.
    Other(u8),
}

impl Source {
    /// The source of a code.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Gps,
            1 => Self::Network,
            2 => Self::Manual,
            3 => Self::Imported,
            other => Self::Other(other),
        }
    }

    /// The code in a segment.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Gps => 0,
            Self::Network => 1,
            Self::Manual => 2,
            Self::Imported => 3,
            Self::Other(code) => code,
        }
    }
}

/// Why a track breaks off. Codes are part of the segment format; a newer one survives as `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum GapReason {
    /// The receiver was on and found nothing, or nobody said why.
    NoFix,
    /// The officer paused the patrol. What lies between is nobody's business and counts for no distance.
    Paused,
    /// The permission to read positions was taken away.
    PermissionOff,
    /// Positioning was switched off in the phone's settings.
    ProviderOff,
    /// The platform or the battery ended the app.
    AppKilled,
    /// The platform held positions back to save the battery.
    BatterySaver,
    /// A reason that this version does not know, by its code.
    Other(u8),
}

impl GapReason {
    /// The reason of a code.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::NoFix,
            1 => Self::Paused,
            2 => Self::PermissionOff,
            3 => Self::ProviderOff,
            4 => Self::AppKilled,
            5 => Self::BatterySaver,
            other => Self::Other(other),
        }
    }

    /// The code in a segment.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::NoFix => 0,
            Self::Paused => 1,
            Self::PermissionOff => 2,
            Self::ProviderOff => 3,
            Self::AppKilled => 4,
            Self::BatterySaver => 5,
            Self::Other(code) => code,
        }
    }

    /// The word for it in views and GeoJSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoFix => "no_fix",
            Self::Paused => "paused",
            Self::PermissionOff => "permission_off",
            Self::ProviderOff => "provider_off",
            Self::AppKilled => "app_killed",
            Self::BatterySaver => "battery_saver",
            Self::Other(_) => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_off_the_earth_or_out_of_time_is_refused() {
        let at = UnixMillis(1_700_000_000_000);
        for (lat, lon) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Fix::check(at, lat, lon, None), Err(TrackError::OffTheEarth));
        }
        assert_eq!(Fix::check(UnixMillis(-1), 1.0, 1.0, None), Err(TrackError::OutOfTime));
        assert_eq!(Fix::check(UnixMillis(i64::MAX), 1.0, 1.0, None), Err(TrackError::OutOfTime));
    }

    #[test]
    fn an_accuracy_is_rounded_up_and_an_invalid_one_refused() {
        let at = UnixMillis(0);
        assert_eq!(Fix::check(at, 1.0, 1.0, Some(4.1)).unwrap().accuracy_m, Some(5));
        assert_eq!(
            Fix::check(at, 1.0, 1.0, Some(f64::INFINITY)).unwrap().accuracy_m,
            Some(65_534)
        );
        assert_eq!(Fix::check(at, 1.0, 1.0, Some(-1.0)), Err(TrackError::Accuracy));
        assert_eq!(Fix::check(at, 1.0, 1.0, Some(f64::NAN)), Err(TrackError::Accuracy));
    }

    #[test]
    fn codes_name_one_source_and_one_reason_each() {
        for code in 0..=u8::MAX {
            assert_eq!(Source::from_code(code).code(), code);
            assert_eq!(GapReason::from_code(code).code(), code);
        }
    }
}
