//! A place as one value: an RFC 5870 `geo:` URI in WGS-84, so that two people who move a pin make one conflict and not two halves.

use crate::time::UnixMillis;

/// A position with what is known of its quality.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Latitude, degrees, WGS-84.
    pub lat: f64,
    /// Longitude, degrees, WGS-84.
    pub lon: f64,
    /// Radius of uncertainty, metres.
    pub accuracy_m: Option<f64>,
    /// When the position was fixed.
    pub fixed_at: Option<UnixMillis>,
    /// Whether the platform said that an app had made it up.
    pub is_mock: bool,
}

/// A text that is not a place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a place: write geo:LATITUDE,LONGITUDE in degrees of WGS-84, as geo:39.971743,116.441827;u=12")]
pub struct PlaceError(String);

impl Place {
    /// Reads a `geo:` URI. Parameters other than ours are passed over, as the RFC asks.
    ///
    /// # Errors
    /// When the coordinates are missing, malformed or out of range, or another reference system is named.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let wrong = || PlaceError(text.chars().take(80).collect());
        let mut parts = text.strip_prefix("geo:").ok_or_else(wrong)?.split(';');
        let (lat, lon) = parts.next().and_then(|pair| pair.split_once(',')).ok_or_else(wrong)?;
        let mut place = Self {
            lat: lat.parse().map_err(|_| wrong())?,
            lon: lon.parse().map_err(|_| wrong())?,
            accuracy_m: None,
            fixed_at: None,
            is_mock: false,
        };
        if !(-90.0..=90.0).contains(&place.lat) || !(-180.0..=180.0).contains(&place.lon) {
            return Err(wrong());
        }
        for part in parts {
            match part.split_once('=').unwrap_or((part, "")) {
                ("crs", system) if !system.eq_ignore_ascii_case("wgs84") => return Err(wrong()),
                ("u", metres) => {
                    let metres: f64 = metres.parse().map_err(|_| wrong())?;
                    if !metres.is_finite() || metres < 0.0 {
                        return Err(wrong());
                    }
                    place.accuracy_m = Some(metres);
                }
                ("t", millis) => place.fixed_at = Some(UnixMillis(millis.parse().map_err(|_| wrong())?)),
                ("mock", _) => place.is_mock = true,
                _ => {}
            }
        }
        Ok(place)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Six decimals are 11 cm: finer than any fix, and the same text for the same fix everywhere.
        write!(f, "geo:{:.6},{:.6}", self.lat, self.lon)?;
        if let Some(metres) = self.accuracy_m {
            write!(f, ";u={metres:.0}")?;
        }
        if let Some(at) = self.fixed_at {
            write!(f, ";t={}", at.0)?;
        }
        if self.is_mock {
            write!(f, ";mock")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_text() {
        let text = "geo:39.971743,116.441827;u=12;t=1700000000000;mock";
        assert_eq!(Place::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn places_off_the_earth_or_in_other_systems_are_refused() {
        for text in [
            "39,116",
            "geo:91,0",
            "geo:0,181",
            "geo:1",
            "geo:NaN,1",
            "geo:1,1;crs=gcj02",
            "geo:1,1;u=-4",
            "geo:1,1;u=inf",
        ] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }
}
