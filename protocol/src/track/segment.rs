//! A segment: up to a quarter of an hour of fixes as one byte string, with the breaks among them. Reads hostile bytes; knows nothing of
//! how segments join (see [`super::TrackView`]) or where they are kept.
//!
//! ```text
//! version 1 | fixes n | unit | start millis | n-1 time steps | n latitudes | n longitudes | n accuracies
//!           | runs of marks until n | breaks b | b of (position step, reason)
//! ```
//!
//! All numbers are LEB128 varints, signed ones in zigzag. Columns stand one after the other because zstd, which follows on the wire,
//! then sees like beside like: 0.9 to 2.8 bytes a fix on real tracks, against 2.0 to 3.1 when the bits are packed here (measured
//! November 2026). Times are steps in the coarsest unit that loses nothing; positions are what a steady walk did not foretell
//! (the second difference); accuracies are steps of metres plus one, 0 for none; marks are runs of source and mock flag.

use sha2::{Digest, Sha256};

use super::{FIX_AT_MAX, Fix, GapReason, Source};
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_FIXES_MAX};
use crate::time::UnixMillis;

/// The only format so far.
const VERSION: u8 = 1;
/// Milliseconds of one time step, coarsest first; a segment uses the first that divides all its steps.
const UNITS_MS: [i64; 4] = [1000, 100, 10, 1];

/// A segment that cannot be made or read.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum TrackError {
    /// Latitude or longitude out of range.
    #[error("the place is not on the earth: give degrees of WGS-84, latitude up to 90, longitude up to 180")]
    OffTheEarth,
    /// The time is out of range.
    #[error("the time of a fix is not between 1970 and 9999: check the clock of the phone")]
    OutOfTime,
    /// The accuracy is no length.
    #[error("the accuracy of a fix is negative, not a number, or over 65534 m: leave such a fix out")]
    Accuracy,
    /// No fix at all.
    #[error("a track segment needs at least one fix")]
    Empty,
    /// More than fits.
    #[error("{0} is too large for a track segment: cut it into several")]
    TooLarge(usize),
    /// A fix that is not later than the one before.
    #[error("fix {0} of the segment is not later than the one before: start a new segment there")]
    NotRising(usize),
    /// Breaks that do not lie among the fixes, or not in order.
    #[error("the breaks of a segment must rise and lie among its fixes")]
    Breaks,
    /// A format of a newer version.
    #[error("track segment format {0} is not known here: update to read it")]
    Version(u8),
    /// Bytes that are no segment.
    #[error("damaged track segment: {0}")]
    Damaged(&'static str),
}

/// A place in a segment where the track broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// How many of the segment's fixes lie before it: 0 is before the first, the number of fixes is after the last.
    pub position: usize,
    /// Why.
    pub reason: GapReason,
}

/// A run of fixes, each later than the one before, with the breaks among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    fixes: Vec<Fix>,
    breaks: Vec<Break>,
}

impl Segment {
    /// A segment of these fixes and breaks.
    ///
    /// # Errors
    /// When there is no fix or too many, a fix is out of range or not later than the one before, or breaks are out of order.
    pub fn check(fixes: Vec<Fix>, breaks: Vec<Break>) -> Result<Self, TrackError> {
        if fixes.is_empty() {
            return Err(TrackError::Empty);
        }
        if fixes.len() > SEGMENT_FIXES_MAX {
            return Err(TrackError::TooLarge(fixes.len()));
        }
        fixes.iter().try_for_each(Fix::check_ranges)?;
        if let Some(index) = fixes.windows(2).position(|pair| pair[1].at <= pair[0].at) {
            return Err(TrackError::NotRising(index + 1));
        }
        let rising = breaks.windows(2).all(|pair| pair[0].position < pair[1].position);
        if !rising || breaks.last().is_some_and(|last| last.position > fixes.len()) {
            return Err(TrackError::Breaks);
        }
        Ok(Self { fixes, breaks })
    }

    /// The fixes in order.
    #[must_use]
    pub fn fixes(&self) -> &[Fix] {
        &self.fixes
    }

    /// The breaks in order.
    #[must_use]
    pub fn breaks(&self) -> &[Break] {
        &self.breaks
    }

    /// The segment as bytes. At most 24 bytes a fix in the worst case, hence always within `SEGMENT_BYTES_MAX`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put(&mut out, self.fixes.len() as u64);
        self.put_times(&mut out);
        put_course(&mut out, self.fixes.iter().map(|fix| fix.lat_e6));
        put_course(&mut out, self.fixes.iter().map(|fix| fix.lon_e6));
        let mut before = 0;
        for fix in &self.fixes {
            let accuracy = fix.accuracy_m.map_or(0, |metres| i64::from(metres) + 1);
            put(&mut out, zigzag(accuracy - before));
            before = accuracy;
        }
        for run in self.fixes.chunk_by(|a, b| marks(a) == marks(b)) {
            put(&mut out, run.first().map_or(0, marks));
            put(&mut out, run.len() as u64);
        }
        put(&mut out, self.breaks.len() as u64);
        let mut before = 0;
        for one in &self.breaks {
            put(&mut out, (one.position - before) as u64);
            put(&mut out, u64::from(one.reason.code()));
            before = one.position;
        }
        out
    }

    /// Reads a segment of unknown origin. What it accepts is canonical: encoded again it gives the same bytes.
    ///
    /// # Errors
    /// When the bytes are too many, of another version, damaged, or not the one way to write their content.
    pub fn decode(bytes: &[u8]) -> Result<Self, TrackError> {
        if bytes.len() > SEGMENT_BYTES_MAX {
            return Err(TrackError::TooLarge(bytes.len()));
        }
        let mut input = Input(bytes);
        let version = input.byte()?;
        if version != VERSION {
            return Err(TrackError::Version(version));
        }
        // The count is believed only up to the limit, and every fix takes at least three bytes, so nothing is reserved in vain.
        let count = input.number_up_to(SEGMENT_FIXES_MAX as u64, "too many fixes")? as usize;
        let times = input.times(count)?;
        let lats = input.course(count)?;
        let lons = input.course(count)?;
        let accuracies = input.accuracies(count)?;
        let marks = input.marks(count)?;
        let fixes = times.into_iter().zip(lats).zip(lons).zip(accuracies).zip(marks);
        let fixes = fixes.map(|((((at, lat_e6), lon_e6), accuracy_m), (source, is_mock))| Fix {
            at,
            lat_e6,
            lon_e6,
            accuracy_m,
            source,
            is_mock,
        });
        let fixes = fixes.collect();
        let breaks = input.breaks(count)?;
        if !input.0.is_empty() {
            return Err(TrackError::Damaged("bytes after the end"));
        }
        let segment = Self::check(fixes, breaks)?;
        if segment.encode() != bytes {
            return Err(TrackError::Damaged("not written in the one canonical way"));
        }
        Ok(segment)
    }

    fn put_times(&self, out: &mut Vec<u8>) {
        let steps = || self.fixes.windows(2).map(|pair| pair[1].at.since(pair[0].at));
        let unit = UNITS_MS
            .iter()
            .position(|unit| steps().all(|step| step % unit == 0))
            .unwrap_or(UNITS_MS.len() - 1);
        out.push(unit as u8);
        put(out, self.fixes.first().map_or(0, |fix| fix.at.0.unsigned_abs()));
        for step in steps() {
            put(out, (step / UNITS_MS[unit]).unsigned_abs());
        }
    }
}

/// The key of a segment in a document: start in 12 hex digits, so that keys sort in time order, and the first 8 of the SHA-256 of its
/// bytes, so that two phones that start in the same millisecond do not hide each other's segment.
///
/// # Errors
/// When the bytes are not a segment.
pub fn segment_key(bytes: &[u8]) -> Result<String, TrackError> {
    let segment = Segment::decode(bytes)?;
    let start = segment.fixes.first().ok_or(TrackError::Empty)?.at.0;
    let hash = Sha256::digest(bytes);
    Ok(format!(
        "{start:012x}-{:02x}{:02x}{:02x}{:02x}",
        hash[0], hash[1], hash[2], hash[3]
    ))
}

fn marks(fix: &Fix) -> u64 {
    u64::from(fix.source.code()) << 1 | u64::from(fix.is_mock)
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The first value, then the first step, then how each step differs from the one before.
fn put_course(out: &mut Vec<u8>, values: impl Iterator<Item = i32>) {
    let (mut before, mut step) = (0, 0);
    for (index, value) in values.map(i64::from).enumerate() {
        put(out, zigzag(value - before - step));
        step = if index == 0 { 0 } else { value - before };
        before = value;
    }
}

/// What is left to read. Every number is checked before it is used.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, TrackError> {
        let (first, rest) = self.0.split_first().ok_or(TrackError::Damaged("cut off"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, TrackError> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(TrackError::Damaged("a number of more than 63 bits"))
    }

    fn number_up_to(&mut self, max: u64, fault: &'static str) -> Result<u64, TrackError> {
        self.number().and_then(|number| {
            if number <= max {
                Ok(number)
            } else {
                Err(TrackError::Damaged(fault))
            }
        })
    }

    /// A signed step from `before`, held to 32 bits, so that no sum of two can overflow.
    fn step(&mut self, before: i64) -> Result<i64, TrackError> {
        let value = before
            .checked_add(unzigzag(self.number()?))
            .filter(|value| i32::try_from(*value).is_ok());
        value.ok_or(TrackError::Damaged("a step out of range"))
    }

    fn times(&mut self, count: usize) -> Result<Vec<UnixMillis>, TrackError> {
        let unit = UNITS_MS
            .get(usize::from(self.byte()?))
            .ok_or(TrackError::Damaged("an unknown unit of time"))?;
        let mut at = 0_i64;
        let mut times = Vec::with_capacity(count);
        for index in 0..count {
            // Bounded by the year 9999 each, so that neither product nor sum can overflow.
            let number = self
                .number_up_to(FIX_AT_MAX.0.unsigned_abs(), "a time out of range")?
                .cast_signed();
            at = if index == 0 { number } else { at + number * unit };
            if at > FIX_AT_MAX.0 {
                return Err(TrackError::OutOfTime);
            }
            times.push(UnixMillis(at));
        }
        Ok(times)
    }

    fn course(&mut self, count: usize) -> Result<Vec<i32>, TrackError> {
        let (mut before, mut step) = (0_i64, 0_i64);
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            let value = self.step(before + step)?;
            step = if index == 0 { 0 } else { value - before };
            before = value;
            values.push(i32::try_from(value).map_err(|_| TrackError::OffTheEarth)?);
        }
        Ok(values)
    }

    fn accuracies(&mut self, count: usize) -> Result<Vec<Option<u16>>, TrackError> {
        let mut before = 0;
        let mut accuracies = Vec::with_capacity(count);
        for _ in 0..count {
            before = self.step(before)?;
            let accuracy = u16::try_from(before).map_err(|_| TrackError::Accuracy)?;
            accuracies.push(accuracy.checked_sub(1));
        }
        Ok(accuracies)
    }

    fn marks(&mut self, count: usize) -> Result<Vec<(Source, bool)>, TrackError> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let marks = self.number_up_to(0x1ff, "unknown marks")?;
            let run = self.number_up_to((count - all.len()) as u64, "a run of marks beyond the fixes")?;
            if run == 0 {
                return Err(TrackError::Damaged("an empty run of marks"));
            }
            let source = Source::from_code((marks >> 1) as u8);
            all.resize(all.len() + run as usize, (source, marks & 1 == 1));
        }
        Ok(all)
    }

    fn breaks(&mut self, fixes: usize) -> Result<Vec<Break>, TrackError> {
        let count = self.number_up_to(fixes as u64 + 1, "too many breaks")?;
        let mut position = 0;
        let mut breaks = Vec::new();
        for _ in 0..count {
            position += self.number_up_to(fixes as u64, "a break beyond the fixes")? as usize;
            let code = self.number_up_to(u64::from(u8::MAX), "an unknown reason")?;
            breaks.push(Break {
                position,
                reason: GapReason::from_code(code as u8),
            });
        }
        Ok(breaks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator (xorshift64*, Vigna 2016) so that tests repeat exactly.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
        }
    }

    /// A walk of some fixes with every mark that there is.
    fn walk(seed: u64, count: usize) -> Segment {
        let mut dice = Dice(seed);
        let (mut at, mut lat_e6, mut lon_e6) = (1_700_000_000_000, 39_900_000, 116_400_000);
        let fixes = (0..count).map(|index| {
            at += 1_000 * (1 + dice.roll(4) as i64);
            lat_e6 += dice.roll(40) as i32 - 15;
            lon_e6 += dice.roll(40) as i32 - 20;
            let accuracy_m = (index % 50 != 7).then(|| 5 + dice.roll(3) as u16);
            let source = if index % 40 < 3 { Source::Network } else { Source::Gps };
            Fix {
                at: UnixMillis(at),
                lat_e6,
                lon_e6,
                accuracy_m,
                source,
                is_mock: index % 90 == 80,
            }
        });
        let breaks = (0..=count).step_by(120).map(|position| Break {
            position,
            reason: GapReason::from_code((position / 120) as u8),
        });
        Segment::check(fixes.collect(), breaks.collect()).unwrap()
    }

    #[test]
    fn a_segment_comes_back_as_it_was() {
        for seed in 1..50 {
            let segment = walk(seed, 1 + seed as usize * 18);
            assert_eq!(Segment::decode(&segment.encode()), Ok(segment));
        }
    }

    #[test]
    fn times_keep_their_milliseconds_and_the_start_its_phase() {
        for step in [1, 10, 100, 250, 1_000, 61_000, 86_400_000] {
            let mut fixes = walk(3, 40).fixes().to_vec();
            fixes
                .iter_mut()
                .enumerate()
                .for_each(|(index, fix)| fix.at = UnixMillis(1_700_000_000_123 + index as i64 * step));
            let segment = Segment::check(fixes, Vec::new()).unwrap();
            assert_eq!(Segment::decode(&segment.encode()), Ok(segment));
        }
    }

    #[test]
    fn the_worst_segment_stays_within_its_bytes() {
        let fixes = (0..SEGMENT_FIXES_MAX).map(|index| {
            let sign = if index % 2 == 0 { 1 } else { -1 };
            let at = UnixMillis(if index + 1 == SEGMENT_FIXES_MAX {
                FIX_AT_MAX.0
            } else {
                index as i64
            });
            let source = Source::Other(if index % 2 == 0 { 254 } else { 255 });
            let accuracy_m = (index % 2 == 0).then_some(65_534);
            Fix {
                at,
                lat_e6: sign * 90_000_000,
                lon_e6: sign * 180_000_000,
                accuracy_m,
                source,
                is_mock: true,
            }
        });
        let breaks = (0..=SEGMENT_FIXES_MAX).map(|position| Break {
            position,
            reason: GapReason::Other(255),
        });
        let segment = Segment::check(fixes.collect(), breaks.collect()).unwrap();
        let bytes = segment.encode();
        assert!(bytes.len() <= SEGMENT_BYTES_MAX, "{}", bytes.len());
        assert_eq!(Segment::decode(&bytes), Ok(segment));
    }

    #[test]
    fn a_walk_costs_less_than_four_bytes_a_fix_on_the_wire() {
        let bytes = walk(9, 900).encode();
        let wire = zstd::bulk::compress(&bytes, 9).unwrap();
        assert!(wire.len() < 4 * 900, "{} of {}", wire.len(), bytes.len());
    }

    #[test]
    fn what_a_newer_phone_marks_survives() {
        let mut fixes = walk(4, 5).fixes().to_vec();
        fixes[2].source = Source::Other(77);
        let segment = Segment::check(
            fixes,
            vec![Break {
                position: 5,
                reason: GapReason::Other(200),
            }],
        )
        .unwrap();
        assert_eq!(Segment::decode(&segment.encode()), Ok(segment));
    }

    #[test]
    fn a_segment_cut_off_anywhere_is_refused() {
        let bytes = walk(5, 300).encode();
        for length in 0..bytes.len() {
            assert!(Segment::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert!(Segment::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn mutated_segments_are_refused_or_canonical_and_never_panic() {
        let mut dice = Dice(11);
        let originals: Vec<_> = (0..8).map(|seed| walk(seed + 1, 1 + seed as usize * 30).encode()).collect();
        for round in 0..40_000 {
            let mut bytes = originals[round % originals.len()].clone();
            for _ in 0..=dice.roll(4) {
                let place = dice.roll(bytes.len() as u64) as usize;
                match dice.roll(4) {
                    0 => bytes[place] = dice.roll(256) as u8,
                    1 => bytes[place] ^= 1 << dice.roll(8),
                    2 => bytes.insert(place, [0x00, 0x7f, 0x80, 0xff][dice.roll(4) as usize]),
                    _ => bytes.truncate(place + 1),
                }
            }
            if let Ok(segment) = Segment::decode(&bytes) {
                assert_eq!(segment.encode(), bytes);
            }
        }
    }

    #[test]
    fn bytes_that_claim_much_and_hold_little_are_refused() {
        assert_eq!(Segment::decode(&[]), Err(TrackError::Damaged("cut off")));
        assert_eq!(Segment::decode(&[2, 1]), Err(TrackError::Version(2)));
        assert_eq!(
            Segment::decode(&vec![1; SEGMENT_BYTES_MAX + 1]),
            Err(TrackError::TooLarge(SEGMENT_BYTES_MAX + 1))
        );
        assert!(Segment::decode(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
        assert!(Segment::decode(&[&[1][..], &[0xff; 200]].concat()).is_err());
        assert!(Segment::decode(&[1, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn a_number_written_in_more_bytes_than_it_needs_is_refused() {
        let mut bytes = walk(6, 1).encode();
        assert_eq!(bytes[1], 1);
        bytes.splice(1..2, [0x81, 0x00]);
        assert_eq!(
            Segment::decode(&bytes),
            Err(TrackError::Damaged("not written in the one canonical way"))
        );
    }

    #[test]
    fn fixes_out_of_order_or_too_many_make_no_segment() {
        let fixes = walk(7, 3).fixes().to_vec();
        assert_eq!(Segment::check(Vec::new(), Vec::new()), Err(TrackError::Empty));
        assert_eq!(
            Segment::check(vec![fixes[0], fixes[2], fixes[2]], Vec::new()),
            Err(TrackError::NotRising(2))
        );
        assert_eq!(
            Segment::check(vec![fixes[0]; 901], Vec::new()),
            Err(TrackError::TooLarge(901))
        );
        let one = Break {
            position: 2,
            reason: GapReason::Paused,
        };
        assert_eq!(Segment::check(fixes.clone(), vec![one, one]), Err(TrackError::Breaks));
        assert_eq!(
            Segment::check(fixes, vec![Break { position: 4, ..one }]),
            Err(TrackError::Breaks)
        );
    }

    #[test]
    fn keys_sort_by_time_and_tell_two_writers_apart() {
        let (early, late) = (walk(1, 10), walk(1, 10));
        let later = late
            .fixes()
            .iter()
            .map(|fix| Fix {
                at: fix.at.plus(900_000),
                ..*fix
            })
            .collect();
        let late = Segment::check(later, Vec::new()).unwrap();
        let other = Segment::check(early.fixes()[..9].to_vec(), Vec::new()).unwrap();
        let key = |segment: &Segment| segment_key(&segment.encode()).unwrap();
        assert!(key(&early) < key(&late) && key(&other) < key(&late));
        assert_ne!(key(&early), key(&other));
        assert_eq!(key(&early), key(&early));
        assert_eq!(key(&early).len(), 21);
    }
}
