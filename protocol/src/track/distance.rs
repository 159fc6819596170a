//! Metres between two fixes on the WGS-84 ellipsoid. Knows no tracks.

use super::Fix;

/// Semi-major axis of WGS-84, metres (NIMA TR8350.2, table 3.1).
const AXIS_M: f64 = 6_378_137.0;
/// First eccentricity of WGS-84, squared (NIMA TR8350.2, table 3.3).
const ECCENTRICITY_SQUARED: f64 = 6.694_379_990_14e-3;
/// Mean radius, metres (R1 of IUGG 1980): good to 0.6 %, for legs where the plane no longer holds.
const MEAN_RADIUS_M: f64 = 6_371_008.8;

/// Metres between two fixes.
///
/// Up to half a degree apart and away from the poles, on the plane that touches the ellipsoid halfway (radii of curvature in the
/// meridian and the prime vertical): within 0.01 % of the geodesic, where a sphere is off by up to 0.6 %. Further apart, by haversine.
#[must_use]
pub fn metres_between(from: &Fix, to: &Fix) -> f64 {
    let north = (to.lat() - from.lat()).to_radians();
    // The short way round: two fixes on either side of the date line are neighbours.
    let east_degrees = to.lon() - from.lon();
    let east = (east_degrees - 360.0 * (east_degrees / 360.0).round()).to_radians();
    let halfway = from.lat().midpoint(to.lat()).to_radians();
    if north.abs().max(east.abs()) > 0.5_f64.to_radians() || halfway.abs() > 85.0_f64.to_radians() {
        return haversine(from.lat().to_radians(), to.lat().to_radians(), north, east);
    }
    let curvature = 1.0 - ECCENTRICITY_SQUARED * halfway.sin().powi(2);
    let prime_vertical = AXIS_M / curvature.sqrt();
    let meridian = prime_vertical * (1.0 - ECCENTRICITY_SQUARED) / curvature;
    (meridian * north).hypot(prime_vertical * halfway.cos() * east)
}

fn haversine(from_lat: f64, to_lat: f64, north: f64, east: f64) -> f64 {
    let chord = (north / 2.0).sin().powi(2) + from_lat.cos() * to_lat.cos() * (east / 2.0).sin().powi(2);
    2.0 * MEAN_RADIUS_M * chord.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    fn fix(lat: f64, lon: f64) -> Fix {
        Fix::check(UnixMillis(0), lat, lon, None).unwrap()
    }

    /// Two places in degrees, the geodesic between them in metres by GeographicLib (Karney 2013), and how far off we may be.
    const GEODESICS: [[f64; 6]; 8] = [
        [39.971743, 116.441827, 39.971935, 116.442139, 34.1307, 1e-4],
        [39.9, 116.4, 40.0, 116.4, 11103.3672, 1e-4],
        [39.9, 116.4, 39.9, 116.5, 8551.8289, 1e-4],
        [0.0, 10.0, 0.01, 10.01, 1569.0347, 1e-4],
        [70.0, -20.0, 70.2, -20.3, 25056.6414, 1e-4],
        [-17.0, 179.999, -17.001, -179.999, 240.0091, 1e-4],
        [39.9, 116.4, 31.2, 121.5, 1069819.4508, 6e-3],
        [89.0, 0.0, 89.5, 90.0, 124876.2885, 6e-3],
    ];

    #[test]
    fn distances_agree_with_geodesics_by_another_library() {
        for [from_lat, from_lon, to_lat, to_lon, geodesic, tolerance] in GEODESICS {
            let metres = metres_between(&fix(from_lat, from_lon), &fix(to_lat, to_lon));
            assert!((metres / geodesic - 1.0).abs() < tolerance, "{metres} for {geodesic}");
        }
    }

    #[test]
    fn the_same_place_is_no_distance_apart() {
        assert_eq!(metres_between(&fix(39.9, 116.4), &fix(39.9, 116.4)), 0.0);
        assert_eq!(metres_between(&fix(90.0, 10.0), &fix(90.0, 10.0)), 0.0);
    }
}
