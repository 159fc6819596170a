//! A simulated street grid: walks over it as a phone's GPS would see them, with noise, lone jumps, tunnels and equal times.

use crate::seeded::Seeded;

/// Where the grid's corner lies (Haidian, Beijing), degrees of WGS-84.
const CORNER: (f64, f64) = (39.975, 116.305);
/// Length of a block, metres.
const BLOCK_M: f64 = 120.0;
/// Blocks in each direction.
const BLOCKS: i64 = 12;
/// Metres in a degree of latitude.
const DEGREE_M: f64 = 111_195.0;
/// Walking speed, metres a second.
const SPEED_M_S: f64 = 1.3;

/// One position as the GPS gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting {
    /// Seconds since the walk began.
    pub after_s: i64,
    /// Latitude, degrees.
    pub lat: f64,
    /// Longitude, degrees.
    pub lon: f64,
    /// Accuracy that the receiver claims, metres.
    pub accuracy_m: f64,
}

/// A walk of `seconds` along the streets, one sighting every `every_s` seconds: turns at corners, stops at doors, loses the sky in a
/// tunnel once, jumps now and then, and sometimes says the same second twice.
#[must_use]
pub fn walk(seeded: &mut Seeded, seconds: i64, every_s: i64) -> Vec<Sighting> {
    let mut walker = Walker::at_corner(seeded);
    let tunnel_from = seconds / 2;
    let tunnel_s = 80 + i64::try_from(seeded.below(60)).unwrap_or(0);
    let mut sightings = Vec::new();
    let mut rest_s = 0;
    for after_s in (0..seconds).step_by(usize::try_from(every_s.max(1)).unwrap_or(1)) {
        if rest_s > 0 {
            rest_s -= every_s;
        } else {
            walker.step(seeded, every_s);
            if seeded.below(90) == 0 {
                rest_s = 60 + i64::try_from(seeded.below(180)).unwrap_or(0);
            }
        }
        if (tunnel_from..tunnel_from + tunnel_s).contains(&after_s) {
            continue;
        }
        let mut sighting = walker.sighting(seeded, after_s);
        if seeded.below(400) == 0 {
            sighting.lat += 0.02;
        }
        sightings.push(sighting);
        if seeded.below(200) == 0 {
            sightings.push(sighting);
        }
    }
    sightings
}

/// A point at a corner of the grid, for records that have a place.
#[must_use]
pub fn corner(seeded: &mut Seeded) -> (f64, f64) {
    let mut walker = Walker::at_corner(seeded);
    walker.heading = 0;
    degrees(walker.east_m, walker.north_m)
}

struct Walker {
    east_m: f64,
    north_m: f64,
    /// 0 north, 1 east, 2 south, 3 west.
    heading: u64,
    to_corner_m: f64,
}

impl Walker {
    #[expect(clippy::cast_precision_loss, reason = "a few blocks")]
    fn at_corner(seeded: &mut Seeded) -> Self {
        let mut block = || seeded.below(BLOCKS.unsigned_abs()) as f64 * BLOCK_M;
        let (east_m, north_m) = (block(), block());
        Self {
            east_m,
            north_m,
            heading: seeded.below(4),
            to_corner_m: BLOCK_M,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds of one step and a few blocks")]
    fn step(&mut self, seeded: &mut Seeded, seconds: i64) {
        let mut left = SPEED_M_S * seconds as f64 * (0.8 + 0.4 * seeded.unit());
        while left > 0.0 {
            let ahead = left.min(self.to_corner_m);
            match self.heading {
                0 => self.north_m += ahead,
                1 => self.east_m += ahead,
                2 => self.north_m -= ahead,
                _ => self.east_m -= ahead,
            }
            left -= ahead;
            self.to_corner_m -= ahead;
            if self.to_corner_m <= 0.0 {
                self.to_corner_m = BLOCK_M;
                self.turn(seeded);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a few blocks")]
    fn turn(&mut self, seeded: &mut Seeded) {
        let edge = BLOCKS as f64 * BLOCK_M;
        self.heading = match seeded.below(4) {
            0 => (self.heading + 1) % 4,
            1 => (self.heading + 3) % 4,
            _ => self.heading,
        };
        // At the edge of the grid there is only the way back in.
        if self.north_m >= edge {
            self.heading = 2;
        } else if self.north_m <= 0.0 {
            self.heading = 0;
        } else if self.east_m >= edge {
            self.heading = 3;
        } else if self.east_m <= 0.0 {
            self.heading = 1;
        }
    }

    fn sighting(&self, seeded: &mut Seeded, after_s: i64) -> Sighting {
        let accuracy_m = 3.0 + 6.0 * seeded.unit();
        let (lat, lon) = degrees(self.east_m + 1.5 * seeded.normal(), self.north_m + 1.5 * seeded.normal());
        Sighting {
            after_s,
            lat,
            lon,
            accuracy_m,
        }
    }
}

fn degrees(east_m: f64, north_m: f64) -> (f64, f64) {
    let lat = CORNER.0 + north_m / DEGREE_M;
    (lat, CORNER.1 + east_m / (DEGREE_M * CORNER.0.to_radians().cos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_stays_on_the_grid_and_shows_its_tunnel() {
        let sightings = walk(&mut Seeded::new(3), 3_600, 3);
        assert!(sightings.len() > 1_000);
        assert!(
            sightings
                .iter()
                .all(|s| (39.97..40.02).contains(&s.lat) && (116.30..116.33).contains(&s.lon))
        );
        assert!(sightings.windows(2).any(|pair| pair[1].after_s - pair[0].after_s >= 60));
        assert!(sightings.windows(2).any(|pair| pair[1].after_s == pair[0].after_s));
    }
}
