//! A track as a reader sees it: lines, legs, gaps and distance, out of the segments of a document. Reads what others wrote, so that it
//! passes over what it cannot read, and says so, instead of failing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fix, GAP_MS, GapReason, Segment, metres_between};
use crate::time::UnixMillis;

/// The track of one record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrackView {
    /// What was walked. One line, unless two phones recorded at the same time or a clock was set back: each then has its own.
    pub lines: Vec<Line>,
    /// Every stretch of a minute or more in which no line has a fix, in order.
    pub gaps: Vec<Gap>,
    /// Metres along all lines: the sum over legs between fixes that follow each other, the straight way across gaps included (a lower
    /// bound of what was walked there), pauses left out.
    pub distance_m: f64,
    /// The part of `distance_m` that lies across gaps, where nobody saw the way.
    pub across_gaps_m: f64,
    /// Keys of segments that cannot be read here: damaged, or of a newer version.
    pub unread: Vec<String>,
    after: BTreeMap<UnixMillis, GapReason>,
    before: BTreeMap<UnixMillis, GapReason>,
}

/// Fixes of one phone in order of time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// The fixes.
    pub fixes: Vec<Fix>,
    /// The ways between them: leg `i` joins fix `i` and fix `i + 1`.
    pub legs: Vec<Leg>,
}

/// The way from one fix to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg {
    /// Straight metres on the ellipsoid.
    pub metres: f64,
    /// What is known of the way.
    pub kind: LegKind,
}

/// What is known of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegKind {
    /// Less than a minute: this was walked.
    Tracked,
    /// A minute or more without a fix: somewhere along here.
    AcrossGap,
    /// The patrol was paused: not looked at, and no distance.
    Paused,
}

/// A minute or more without a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last fix before it.
    pub from: UnixMillis,
    /// The first fix after it.
    pub to: UnixMillis,
    /// Why, as far as the phone knew.
    pub reason: GapReason,
}

impl TrackView {
    /// Reads the segments of a document in any order. A fix that stands in two segments counts once.
    pub fn from_segments<K: AsRef<str>, B: AsRef<[u8]>>(segments: impl IntoIterator<Item = (K, B)>) -> Self {
        let mut view = Self::default();
        let mut read = Vec::new();
        for (key, bytes) in segments {
            match Segment::decode(bytes.as_ref()) {
                Ok(segment) => read.push(segment),
                Err(_) => view.unread.push(key.as_ref().to_owned()),
            }
        }
        read.sort_by_key(|segment| segment.fixes().first().map(|fix| fix.at));
        let mut seen = BTreeSet::new();
        for segment in read {
            view.note_breaks(&segment);
            let mut fixes = segment.fixes().to_vec();
            fixes.retain(|fix| seen.insert((fix.at, fix.lat_e6, fix.lon_e6)));
            view.lay(fixes);
        }
        view.measure();
        view.gaps = view.gaps_between(None, None);
        view
    }

    /// Fixes in all lines.
    #[must_use]
    pub fn fixes_kept(&self) -> usize {
        self.lines.iter().map(|line| line.fixes.len()).sum()
    }

    /// Fixes that an app made up, by the platform's own word.
    #[must_use]
    pub fn fixes_mocked(&self) -> usize {
        self.lines
            .iter()
            .flat_map(|line| &line.fixes)
            .filter(|fix| fix.is_mock)
            .count()
    }

    /// The gaps of a patrol that began and ended when it did: a track that starts late or stops early has gaps there too.
    #[must_use]
    pub fn gaps_between(&self, began: Option<UnixMillis>, ended: Option<UnixMillis>) -> Vec<Gap> {
        let mut times: Vec<_> = self
            .lines
            .iter()
            .flat_map(|line| line.fixes.iter().map(|fix| fix.at))
            .collect();
        times.sort_unstable();
        let bounds = times.first().copied().zip(times.last().copied());
        if let (Some(began), Some((first, _))) = (began, bounds) {
            times.insert(0, began.min(first));
        }
        if let (Some(ended), Some((_, last))) = (ended, bounds) {
            times.push(ended.max(last));
        }
        if let (Some(began), Some(ended), None) = (began, ended, bounds) {
            times.extend([began, ended]);
        }
        let wide = times.windows(2).filter(|pair| pair[1].since(pair[0]) >= GAP_MS);
        wide.map(|pair| Gap {
            from: pair[0],
            to: pair[1],
            reason: self.reason(pair[0], pair[1]).unwrap_or(GapReason::NoFix),
        })
        .collect()
    }

    pub(super) fn reason(&self, from: UnixMillis, to: UnixMillis) -> Option<GapReason> {
        self.after.get(&from).or_else(|| self.before.get(&to)).copied()
    }

    fn note_breaks(&mut self, segment: &Segment) {
        let fixes = segment.fixes();
        for one in segment.breaks() {
            if let Some(fix) = one.position.checked_sub(1).and_then(|index| fixes.get(index)) {
                self.after.entry(fix.at).or_insert(one.reason);
            }
            if let Some(fix) = fixes.get(one.position) {
                self.before.entry(fix.at).or_insert(one.reason);
            }
        }
    }

    /// Puts a run of fixes behind the line that ended last before it; opens a line when all are still under way at that time.
    fn lay(&mut self, fixes: Vec<Fix>) {
        let Some(start) = fixes.first().map(|fix| fix.at) else {
            return;
        };
        let ended = |line: &Line| line.fixes.last().map(|fix| fix.at).filter(|end| *end < start);
        match self
            .lines
            .iter_mut()
            .filter(|line| ended(line).is_some())
            .max_by_key(|line| ended(line))
        {
            Some(line) => line.fixes.extend(fixes),
            None => self.lines.push(Line { fixes, legs: Vec::new() }),
        }
    }

    fn measure(&mut self) {
        let mut lines = std::mem::take(&mut self.lines);
        for line in &mut lines {
            line.legs = line.fixes.windows(2).map(|pair| self.leg(&pair[0], &pair[1])).collect();
            for leg in &line.legs {
                match leg.kind {
                    LegKind::Tracked => self.distance_m += leg.metres,
                    LegKind::AcrossGap => {
                        self.distance_m += leg.metres;
                        self.across_gaps_m += leg.metres;
                    }
                    LegKind::Paused => {}
                }
            }
        }
        self.lines = lines;
    }

    fn leg(&self, from: &Fix, to: &Fix) -> Leg {
        let kind = if self.reason(from.at, to.at) == Some(GapReason::Paused) {
            LegKind::Paused
        } else if to.at.since(from.at) >= GAP_MS {
            LegKind::AcrossGap
        } else {
            LegKind::Tracked
        };
        Leg {
            metres: metres_between(from, to),
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::{Break, segment_key};

    /// Fixes at these seconds, each 10 millionths of a degree (1.11 m) further north.
    fn fixes(seconds: impl IntoIterator<Item = i64>, lon_e6: i32) -> Vec<Fix> {
        let at = |second: i64| UnixMillis(1_700_000_000_000 + second * 1_000);
        let fix = |second: i64| Fix {
            lat_e6: 39_900_000 + second as i32 * 10,
            lon_e6,
            ..Fix::check(at(second), 0.0, 0.0, None).unwrap()
        };
        seconds.into_iter().map(fix).collect()
    }

    fn stored(fixes: Vec<Fix>, breaks: &[(usize, GapReason)]) -> (String, Vec<u8>) {
        let breaks = breaks
            .iter()
            .map(|(position, reason)| Break {
                position: *position,
                reason: *reason,
            })
            .collect();
        let bytes = Segment::check(fixes, breaks).unwrap().encode();
        (segment_key(&bytes).unwrap(), bytes)
    }

    fn seconds(gap: &Gap) -> (i64, i64) {
        (
            (gap.from.0 - 1_700_000_000_000) / 1_000,
            (gap.to.0 - 1_700_000_000_000) / 1_000,
        )
    }

    #[test]
    fn a_minute_without_a_fix_is_a_gap_and_less_is_none() {
        let view = TrackView::from_segments([stored(fixes([0, 59, 119, 120, 600], 0), &[(4, GapReason::BatterySaver)])]);
        let gaps: Vec<_> = view.gaps.iter().map(|gap| (seconds(gap), gap.reason)).collect();
        assert_eq!(gaps, [((59, 119), GapReason::NoFix), ((120, 600), GapReason::BatterySaver)]);
    }

    #[test]
    fn the_way_across_a_gap_counts_and_the_way_of_a_pause_does_not() {
        let track = fixes([0, 10, 100, 110, 130], 0);
        let open = TrackView::from_segments([stored(track.clone(), &[])]);
        let paused = TrackView::from_segments([stored(track, &[(4, GapReason::Paused)])]);
        assert!((open.distance_m - 1.1103 * 130.0).abs() < 0.1, "{}", open.distance_m);
        assert!((open.across_gaps_m - 1.1103 * 90.0).abs() < 0.1);
        assert!((open.distance_m - paused.distance_m - 1.1103 * 20.0).abs() < 0.1);
        let of_legs: f64 = open.lines[0].legs.iter().map(|leg| leg.metres).sum();
        assert!((of_legs - open.distance_m).abs() < 1e-9);
    }

    #[test]
    fn a_reason_given_at_the_end_of_a_segment_or_at_the_start_of_the_next_explains_the_gap_between() {
        for (first, second) in [
            (vec![(2, GapReason::PermissionOff)], vec![]),
            (vec![], vec![(0, GapReason::PermissionOff)]),
        ] {
            let view = TrackView::from_segments([stored(fixes([0, 10], 0), &first), stored(fixes([300, 310], 0), &second)]);
            assert_eq!(view.gaps.len(), 1);
            assert_eq!(
                (seconds(&view.gaps[0]), view.gaps[0].reason),
                ((10, 300), GapReason::PermissionOff)
            );
            assert_eq!(view.lines.len(), 1);
        }
    }

    #[test]
    fn segments_may_come_in_any_order() {
        let parts = [
            stored(fixes(0..50, 0), &[]),
            stored(fixes(50..80, 0), &[]),
            stored(fixes(300..350, 0), &[]),
        ];
        let forward = TrackView::from_segments(parts.clone());
        let backward = TrackView::from_segments(parts.into_iter().rev());
        assert_eq!(forward, backward);
        assert_eq!((forward.fixes_kept(), forward.lines.len(), forward.gaps.len()), (130, 1, 1));
    }

    #[test]
    fn two_phones_at_once_make_two_lines_and_cover_each_others_gaps() {
        let left = stored(fixes((0..50).chain(200..250), 0), &[]);
        let right = stored(fixes(20..220, 1_000), &[]);
        let view = TrackView::from_segments([right, left]);
        assert_eq!(view.lines.iter().map(|line| line.fixes.len()).collect::<Vec<_>>(), [100, 200]);
        assert!(view.gaps.is_empty());
        assert!(
            (view.distance_m - 1.1103 * (249.0 + 199.0)).abs() < 0.5,
            "{}",
            view.distance_m
        );
    }

    #[test]
    fn a_fix_in_two_segments_counts_once() {
        let once = TrackView::from_segments([stored(fixes(0..100, 0), &[])]);
        let twice = TrackView::from_segments([
            stored(fixes(0..60, 0), &[]),
            stored(fixes(30..100, 0), &[]),
            stored(fixes(0..10, 0), &[]),
        ]);
        assert_eq!(once.lines, twice.lines);
        assert_eq!(once.distance_m.to_bits(), twice.distance_m.to_bits());
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_is_shown() {
        let (key, bytes) = stored(fixes(0..10, 0), &[]);
        let view = TrackView::from_segments([
            (key, bytes.clone()),
            ("newer".to_owned(), vec![9, 9]),
            ("cut".to_owned(), bytes[..9].to_vec()),
        ]);
        assert_eq!(view.unread, ["newer", "cut"]);
        assert_eq!(view.fixes_kept(), 10);
    }

    #[test]
    fn a_track_that_starts_late_or_stops_early_has_gaps_there() {
        let view = TrackView::from_segments([stored(fixes(100..150, 0), &[(50, GapReason::ProviderOff)])]);
        let at = |second: i64| Some(UnixMillis(1_700_000_000_000 + second * 1_000));
        let gaps: Vec<_> = view
            .gaps_between(at(0), at(400))
            .iter()
            .map(|gap| (seconds(gap), gap.reason))
            .collect();
        assert_eq!(gaps, [((0, 100), GapReason::NoFix), ((149, 400), GapReason::ProviderOff)]);
        assert!(view.gaps_between(at(60), at(190)).is_empty());
        assert!(view.gaps_between(at(120), at(130)).is_empty());
        assert_eq!(TrackView::default().gaps_between(at(0), at(400)).len(), 1);
    }
}
