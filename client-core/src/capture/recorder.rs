//! The track recorder: fixes in, segments out. Decides what is worth keeping and where the track broke off. Knows no clock, no database
//! and no positioning service: the app tells it every event, and the caller writes down what it says.
//!
//! ```text
//! fix ─► in range, accurate, later? ─► a jump? ──► near the last kept? ──► kept ─► segment
//!            │        │                 waits for    waits, for a gap
//!         dropped   late: waits         the next     begins at the last fix
//!                   for two more        fix          and not at the last kept
//! ```
//!
//! After a crash the track goes on as if nothing had happened: the caller writes each [`TrackEvent`] down as it comes, and at each
//! [`Cut`] replaces what it wrote so far by the cut's state, in the transaction that stores the segments.

mod event;

pub use event::{Added, DropReason, RecorderCounts, TrackEvent};

use beatbook_protocol::limits::SEGMENT_FIXES_MAX;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Break, Fix, GAP_MS, GapReason, Segment, TrackError, metres_between, segment_key};
use serde::{Deserialize, Serialize};

/// What the recorder keeps and drops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecorderSettings {
    /// Metres within which a fix says no more than the last kept one. The track promises 5 m; a receiver on foot is no better.
    pub near_m: f64,
    /// A fix is kept after this long however near, milliseconds: standing still is a fact too. Must stay below the minute of a gap.
    pub heartbeat_ms: i64,
    /// Fixes vaguer than this are dropped, metres: one street from the next is about 100 m, and beyond it a fix names no street.
    pub accuracy_m_max: u16,
    /// Speed from which a fix is suspected to be a jump, metres a second: faster than traffic in a town (108 km/h).
    pub jump_mps: f64,
    /// How many times the speed of the leg before a jump must have: on a train the next fix is fast and no jump.
    pub jump_speedup: f64,
    /// How many times longer the way over the suspected fix must be than the way without it: out and back again, not onward.
    pub jump_detour: f64,
}

impl Default for RecorderSettings {
    fn default() -> Self {
        Self {
            near_m: 4.0,
            heartbeat_ms: 30_000,
            accuracy_m_max: 100,
            jump_mps: 30.0,
            jump_speedup: 3.0,
            jump_detour: 3.0,
        }
    }
}

/// All that a recorder must remember beside the segments it has given out. To be stored as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RecorderState {
    counts: RecorderCounts,
    /// The last kept fix and the one before it, since the last pause.
    anchor: Option<Fix>,
    before: Option<Fix>,
    /// The newest fix near the anchor.
    near: Option<Fix>,
    /// A fix that may be a jump.
    suspect: Option<Fix>,
    /// Fixes of earlier times than the newest, rising among themselves.
    late: Vec<Fix>,
    /// The time of the last kept fix of the running segment.
    kept_until: Option<UnixMillis>,
    broke: Option<GapReason>,
    is_paused: bool,
}

/// Segments to be stored, and the state that replaces all events written down before.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// Key and bytes of each, for the document's track. One, but for clocks that were set back.
    pub segments: Vec<(String, Vec<u8>)>,
    /// The recorder's state after them.
    pub state: RecorderState,
}

/// Late fixes in a row, rising among themselves, from which on the clock was set back rather than a fix delayed.
const LATE_FIXES: usize = 3;

/// Records one track.
#[derive(Debug, Clone, Default)]
pub struct TrackRecorder {
    settings: RecorderSettings,
    state: RecorderState,
    fixes: Vec<Fix>,
    breaks: Vec<Break>,
    full: Vec<(Vec<Fix>, Vec<Break>)>,
}

impl TrackRecorder {
    /// A recorder for a new track.
    #[must_use]
    pub fn new(settings: RecorderSettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// The recorder of a track that a dead process left: the state of its last cut (or the default) and the events since then.
    #[must_use]
    pub fn restore(settings: RecorderSettings, state: RecorderState, since: impl IntoIterator<Item = TrackEvent>) -> Self {
        let mut recorder = Self {
            settings,
            state,
            ..Self::default()
        };
        for event in since {
            recorder.apply(event);
        }
        // If the next fix comes within the minute, this is forgotten.
        recorder.apply(TrackEvent::Broke(GapReason::AppKilled));
        recorder
    }

    /// Takes any event; tells what became of a fix.
    pub fn apply(&mut self, event: TrackEvent) -> Option<Added> {
        match event {
            TrackEvent::Fix(fix) => return Some(self.add(fix)),
            TrackEvent::Broke(reason) => self.interrupt(reason),
            TrackEvent::Resumed => self.resume(),
        }
        None
    }

    /// Takes a fix.
    pub fn add(&mut self, fix: Fix) -> Added {
        let counts = &mut self.state.counts;
        counts.fixes_in += 1;
        if self.state.is_paused {
            counts.while_paused += 1;
            return Added::Dropped(DropReason::Paused);
        }
        if fix.check_ranges().is_err() {
            counts.out_of_range += 1;
            return Added::Dropped(DropReason::OutOfRange);
        }
        if fix.accuracy_m.is_some_and(|metres| metres > self.settings.accuracy_m_max) {
            counts.inaccurate += 1;
            return Added::Dropped(DropReason::Inaccurate);
        }
        match self.newest_at() {
            Some(newest) if fix.at <= newest => self.add_late(fix, newest),
            Some(_) | None => {
                self.forget_late();
                self.add_in_order(fix)
            }
        }
    }

    /// Positions will not come, for a reason. A pause takes effect at once; any other reason is noted when a minute passes without a fix.
    pub fn interrupt(&mut self, reason: GapReason) {
        if reason != GapReason::Paused {
            self.state.broke.get_or_insert(reason);
            return;
        }
        if self.state.is_paused {
            return;
        }
        self.settle();
        self.note_break(reason);
        self.state = RecorderState {
            is_paused: true,
            broke: None,
            anchor: None,
            before: None,
            ..std::mem::take(&mut self.state)
        };
    }

    /// The officer goes on after a pause.
    pub fn resume(&mut self) {
        self.state.is_paused = false;
    }

    /// Whether a segment is full, so that [`Self::cut`] is due.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.full.is_empty() || self.fixes.len() >= SEGMENT_FIXES_MAX
    }

    /// Takes out what is decided so far as segments; none when nothing is. What is held stays held, in the state.
    ///
    /// # Errors
    /// When the fixes make no segment, which the checks on the way in exclude; then nothing was taken out.
    pub fn cut(&mut self) -> Result<Option<Cut>, TrackError> {
        self.close();
        let mut segments = Vec::with_capacity(self.full.len());
        for (fixes, breaks) in &self.full {
            let bytes = Segment::check(fixes.clone(), breaks.clone())?.encode();
            segments.push((segment_key(&bytes)?, bytes));
        }
        self.full.clear();
        Ok((!segments.is_empty()).then(|| Cut {
            segments,
            state: self.state.clone(),
        }))
    }

    /// Ends the track: what is held is kept, since nothing will come to speak against it. None when nothing is left to store.
    ///
    /// # Errors
    /// As [`Self::cut`].
    pub fn finish(&mut self) -> Result<Option<Cut>, TrackError> {
        self.settle();
        if let Some(reason) = self.state.broke.take() {
            self.note_break(reason);
        }
        self.cut()
    }

    /// What became of the fixes so far.
    #[must_use]
    pub fn counts(&self) -> RecorderCounts {
        self.state.counts
    }

    /// Whether the patrol is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.state.is_paused
    }

    /// The newest fix that is neither dropped nor suspect, for showing where the officer is.
    #[must_use]
    pub fn newest(&self) -> Option<Fix> {
        self.state.near.or(self.state.anchor)
    }

    fn newest_at(&self) -> Option<UnixMillis> {
        self.state
            .suspect
            .or(self.state.near)
            .map(|fix| fix.at)
            .or(self.state.kept_until)
    }

    fn add_late(&mut self, fix: Fix, newest: UnixMillis) -> Added {
        let late_until = self.state.late.last().map(|late| late.at);
        if fix.at == newest || Some(fix.at) == late_until {
            self.state.counts.same_time += 1;
            return Added::Dropped(DropReason::SameTime);
        }
        if late_until.is_some_and(|until| fix.at < until) {
            self.forget_late();
        }
        self.state.late.push(fix);
        if self.state.late.len() < LATE_FIXES {
            return Added::Held;
        }
        // The clock was set back. A segment's times rise, so that what follows needs one of its own.
        let late = std::mem::take(&mut self.state.late);
        self.settle();
        self.close();
        self.state = RecorderState {
            anchor: None,
            before: None,
            kept_until: None,
            ..std::mem::take(&mut self.state)
        };
        late.into_iter()
            .map(|fix| self.add_in_order(fix))
            .last()
            .unwrap_or(Added::Held)
    }

    fn forget_late(&mut self) {
        self.state.counts.out_of_order += self.state.late.len() as u64;
        self.state.late.clear();
    }

    fn add_in_order(&mut self, fix: Fix) -> Added {
        if let Some(suspect) = self.state.suspect.take() {
            if self.is_jump(&suspect, &fix) {
                self.state.counts.jumps += 1;
            } else {
                self.place(suspect);
            }
        }
        if self.newest().is_some_and(|newest| self.is_jump_speed(&newest, &fix)) {
            self.state.suspect = Some(fix);
            return Added::Held;
        }
        self.place(fix)
    }

    /// A jump is a fix that the track leaves for at once, at a speed out of all proportion, and comes back from at once. Two fixes that
    /// agree are a run and stay, however fast; so does a fix beside a gap, where nobody can tell.
    fn is_jump(&self, suspect: &Fix, next: &Fix) -> bool {
        let Some(from) = self.newest() else { return false };
        let over = metres_between(&from, suspect) + metres_between(suspect, next);
        self.is_jump_speed(suspect, next) && over >= self.settings.jump_detour * metres_between(&from, next)
    }

    fn is_jump_speed(&self, from: &Fix, to: &Fix) -> bool {
        let leg_before = self.state.before.as_ref().zip(self.state.anchor.as_ref());
        let speed_before = leg_before.and_then(|(before, anchor)| speed(before, anchor)).unwrap_or(0.0);
        let suspicious = self.settings.jump_mps.max(self.settings.jump_speedup * speed_before);
        speed(from, to).is_some_and(|speed| speed >= suspicious)
    }

    /// Puts a fix that is no jump where it belongs: on the track, or near its end.
    fn place(&mut self, fix: Fix) -> Added {
        let broke = self.state.broke.take();
        if self.state.anchor.is_some_and(|anchor| fix.at.since(anchor.at) >= GAP_MS) {
            // The last fix seen before the gap marks where it begins; and it may show that there is none.
            self.keep_near();
        }
        let Some(anchor) = self.state.anchor else {
            broke.into_iter().for_each(|reason| self.note_break(reason));
            return self.keep(fix);
        };
        let newest_at = self.state.near.map_or(anchor.at, |near| near.at);
        if fix.at.since(newest_at) >= GAP_MS {
            broke.into_iter().for_each(|reason| self.note_break(reason));
        }
        let is_near =
            metres_between(&anchor, &fix) <= self.settings.near_m && fix.at.since(anchor.at) < self.settings.heartbeat_ms;
        self.state.counts.represented += u64::from(self.state.near.take().is_some());
        if is_near {
            self.state.near = Some(fix);
            return Added::Held;
        }
        self.keep(fix)
    }

    fn keep(&mut self, fix: Fix) -> Added {
        if self.fixes.len() >= SEGMENT_FIXES_MAX {
            self.close();
        }
        self.fixes.push(fix);
        self.state.before = self.state.anchor.replace(fix);
        self.state.kept_until = Some(fix.at);
        self.state.counts.kept += 1;
        Added::Kept
    }

    fn keep_near(&mut self) {
        if let Some(near) = self.state.near.take() {
            self.keep(near);
        }
    }

    /// Decides all that is held, as if nothing came after.
    fn settle(&mut self) {
        self.forget_late();
        if let Some(suspect) = self.state.suspect.take() {
            self.place(suspect);
        }
        self.keep_near();
    }

    /// One reason for one place; a pause outdoes others, for what it hides is nobody's business.
    fn note_break(&mut self, reason: GapReason) {
        let position = self.fixes.len();
        match self.breaks.last_mut() {
            Some(last) if last.position == position && reason == GapReason::Paused => last.reason = reason,
            Some(last) if last.position == position => {}
            Some(_) | None => self.breaks.push(Break { position, reason }),
        }
    }

    /// Ends the running segment. Breaks without a fix wait for the first of the next.
    fn close(&mut self) {
        if !self.fixes.is_empty() {
            self.full
                .push((std::mem::take(&mut self.fixes), std::mem::take(&mut self.breaks)));
        }
    }
}

/// Metres a second from one fix to a later one; none across a gap.
fn speed(from: &Fix, to: &Fix) -> Option<f64> {
    let millis = to.at.since(from.at);
    (1..GAP_MS)
        .contains(&millis)
        .then(|| metres_between(from, to) * 1000.0 / millis as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use beatbook_protocol::track::{LegKind, TrackView};

    const START: i64 = 1_700_000_000_000;
    /// Millionths of a degree to the north in one metre.
    const METRE: f64 = 9.006;

    /// A fix some seconds after the start, some metres north and east of it.
    fn fix(second: i64, north_m: f64, east_m: f64) -> Fix {
        let lat_e6 = 39_900_000 + (north_m * METRE) as i32;
        let lon_e6 = 116_400_000 + (east_m * METRE * 1.3) as i32;
        Fix {
            lat_e6,
            lon_e6,
            ..Fix::check(UnixMillis(START + second * 1_000), 0.0, 0.0, Some(6.0)).unwrap()
        }
    }

    /// An hour on foot with everything in it: standing, jumps, equal and late times, silence, a pause, a drive.
    fn hour(seed: u64) -> Vec<TrackEvent> {
        let mut state = seed;
        let mut roll = move |sides: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % sides
        };
        let (mut second, mut north, mut east) = (0, 0.0, 0.0);
        let mut events = Vec::new();
        for _ in 0..1_500 {
            second += 1 + roll(4) as i64;
            let pace = [0.0, 0.3, 1.5, 1.5, 12.0][(second / 200 % 5) as usize];
            north += pace * roll(3) as f64;
            east += pace * roll(3) as f64 - 1.0;
            match roll(120) {
                0 => events.push(TrackEvent::Fix(fix(second, north + 3_000.0, east))),
                1 => events.extend([
                    TrackEvent::Fix(fix(second, north, east)),
                    TrackEvent::Fix(fix(second, north + 2.0, east)),
                ]),
                2 => events.push(TrackEvent::Fix(fix(second - 9, north, east))),
                3 => second += 45 + roll(300) as i64,
                4 => {
                    events.extend([
                        TrackEvent::Broke(GapReason::ProviderOff),
                        TrackEvent::Fix(fix(second, north, east)),
                    ]);
                    second += roll(200) as i64;
                }
                5 => {
                    events.extend([
                        TrackEvent::Broke(GapReason::Paused),
                        TrackEvent::Fix(fix(second, north, east)),
                        TrackEvent::Resumed,
                    ]);
                    second += roll(100) as i64;
                }
                _ => events.push(TrackEvent::Fix(fix(second, north, east))),
            }
        }
        events
    }

    fn recorded(events: impl IntoIterator<Item = TrackEvent>) -> (TrackView, RecorderCounts) {
        let mut recorder = TrackRecorder::new(RecorderSettings::default());
        let mut segments = Vec::new();
        for event in events {
            recorder.apply(event);
            if recorder.is_full() {
                segments.extend(recorder.cut().unwrap().unwrap().segments);
            }
        }
        segments.extend(recorder.finish().unwrap().into_iter().flat_map(|cut| cut.segments));
        let counts = recorder.counts();
        let view = TrackView::from_segments(segments);
        assert_eq!(view.fixes_kept() as u64, counts.kept);
        let decided = counts.kept + counts.represented + counts.jumps + counts.same_time + counts.out_of_order;
        assert_eq!(
            counts.fixes_in,
            decided + counts.inaccurate + counts.out_of_range + counts.while_paused
        );
        (view, counts)
    }

    fn of_fixes(fixes: impl IntoIterator<Item = Fix>) -> (TrackView, RecorderCounts) {
        recorded(fixes.into_iter().map(TrackEvent::Fix))
    }

    #[test]
    fn a_walk_keeps_a_fix_every_few_metres_and_stands_for_the_rest() {
        let walk: Vec<_> = (0..600).map(|second| fix(second, second as f64 * 1.4, 0.0)).collect();
        let (view, counts) = of_fixes(walk.clone());
        assert_eq!(counts.kept + counts.represented, 600);
        let kept = &view.lines[0].fixes;
        for fix in &walk {
            assert!(kept.iter().any(|one| metres_between(one, fix) <= 5.0));
        }
        assert!((view.distance_m - 599.0 * 1.4).abs() < 8.4, "{}", view.distance_m);
        assert_eq!(kept.last().map(|fix| fix.at), walk.last().map(|fix| fix.at));
    }

    #[test]
    fn standing_still_leaves_a_heartbeat_and_no_gap() {
        let (view, counts) = of_fixes((0..600).map(|second| fix(second, (second % 3) as f64, 0.0)));
        assert_eq!((counts.kept, counts.represented), (21, 579));
        assert!(view.gaps.is_empty());
    }

    #[test]
    fn sparse_fixes_of_one_standing_make_no_gap_that_was_none() {
        let (view, _) = of_fixes([0, 29, 84, 113, 170].map(|second| fix(second, 0.0, 0.0)));
        assert!(view.gaps.is_empty(), "{:?}", view.gaps);
    }

    #[test]
    fn a_gap_runs_from_the_last_fix_seen_to_the_next() {
        for silence in [59, 60, 61, 4_000] {
            let seconds = (0..=20).chain((0..20).map(|second| 20 + silence + second));
            let (view, _) = of_fixes(seconds.map(|second| fix(second, 0.0, 0.0)));
            let gaps: Vec<_> = view.gaps.iter().map(|gap| (gap.from.0 - START, gap.to.0 - START)).collect();
            let expected = if silence < 60 {
                vec![]
            } else {
                vec![(20_000, (20 + silence) * 1_000)]
            };
            assert_eq!(gaps, expected);
        }
    }

    #[test]
    fn a_lone_jump_is_dropped_wherever_it_falls() {
        for place in 1..59 {
            for (metres, step) in [(100.0, 1), (500.0, 2), (5_000.0, 5), (80_000.0, 5)] {
                let at = |index: i64| fix(index * step, index as f64 * 6.0, if index == place { metres } else { 0.0 });
                let (view, counts) = of_fixes((0..60).map(at));
                assert_eq!((counts.jumps, counts.kept), (1, 59), "{place} {metres}");
                assert!(view.distance_m < 360.0);
            }
        }
    }

    #[test]
    fn a_jump_beside_a_train_is_dropped_and_the_train_is_not() {
        let (_, counts) =
            of_fixes((0..60).map(|second| fix(second, second as f64 * 60.0, if second == 30 { 900.0 } else { 0.0 })));
        assert_eq!((counts.jumps, counts.kept), (1, 59));
    }

    #[test]
    fn a_sustained_fast_run_is_never_dropped() {
        for speed in [31.0, 50.0, 97.0, 250.0, 900.0] {
            for step in [1, 2, 7, 30] {
                let run = |index: i64| {
                    fix(
                        index * step,
                        (index.clamp(20, 40) - 20) as f64 * speed * step as f64,
                        index as f64 * 5.0,
                    )
                };
                let (_, counts) = of_fixes((0..60).map(run));
                assert_eq!((counts.kept, counts.jumps), (60, 0), "{speed} {step}");
            }
        }
    }

    #[test]
    fn two_fixes_that_agree_on_a_far_place_are_kept() {
        let away = |second: i64| {
            fix(
                second,
                second as f64 * 5.0,
                if (30..32).contains(&second) { 2_000.0 } else { 0.0 },
            )
        };
        let (_, counts) = of_fixes((0..60).map(away));
        assert_eq!((counts.kept, counts.jumps), (60, 0));
    }

    #[test]
    fn a_jump_beside_a_gap_or_at_the_end_is_kept_for_nobody_can_tell() {
        let (view, counts) = of_fixes([
            fix(0, 0.0, 0.0),
            fix(5, 5.0, 0.0),
            fix(100, 0.0, 9_000.0),
            fix(200, 0.0, 0.0),
            fix(202, 0.0, 9_000.0),
        ]);
        assert_eq!((counts.kept, counts.jumps, view.gaps.len()), (5, 0, 2));
    }

    #[test]
    fn equal_times_are_dropped_and_the_first_stays() {
        let (view, counts) = of_fixes([
            fix(0, 0.0, 0.0),
            fix(0, 50.0, 0.0),
            fix(5, 10.0, 0.0),
            fix(5, 10.0, 0.0),
            fix(9, 20.0, 0.0),
        ]);
        assert_eq!((counts.kept, counts.same_time), (3, 2));
        assert_eq!(view.lines[0].fixes[0], fix(0, 0.0, 0.0));
    }

    #[test]
    fn fixes_that_come_late_are_dropped() {
        let order = [0, 10, 20, 15, 30, 22, 25, 40];
        let (view, counts) = of_fixes(order.map(|second| fix(second, second as f64 * 5.0, 0.0)));
        assert_eq!((counts.kept, counts.out_of_order, view.lines.len()), (5, 3, 1));
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let before = (600..700).map(|second| fix(second, second as f64 * 5.0, 0.0));
        let after = (50..150).map(|second| fix(second, (650 + second) as f64 * 5.0, 0.0));
        let (view, counts) = of_fixes(before.chain(after));
        assert_eq!((counts.kept, counts.out_of_order), (200, 0));
        assert!(
            (view.distance_m - 2.0 * 99.0 * 5.0).abs() < 2.0 + view.across_gaps_m,
            "{}",
            view.distance_m
        );
    }

    #[test]
    fn vague_and_impossible_fixes_are_dropped_and_mocked_ones_marked() {
        let vague = Fix {
            accuracy_m: Some(101),
            ..fix(10, 50.0, 0.0)
        };
        let off = Fix {
            lat_e6: 90_000_001,
            ..fix(20, 0.0, 0.0)
        };
        let mocked = Fix {
            is_mock: true,
            ..fix(30, 60.0, 0.0)
        };
        let (view, counts) = of_fixes([fix(0, 0.0, 0.0), vague, off, mocked, fix(40, 80.0, 0.0)]);
        assert_eq!((counts.kept, counts.inaccurate, counts.out_of_range), (3, 1, 1));
        assert_eq!(view.fixes_mocked(), 1);
    }

    #[test]
    fn nothing_is_recorded_in_a_pause_and_the_way_of_it_does_not_count() {
        let walk = |from: i64, to: i64| (from..to).map(|second| TrackEvent::Fix(fix(second, second as f64 * 5.0, 0.0)));
        let pause = [TrackEvent::Broke(GapReason::Paused)];
        let events = walk(0, 50)
            .chain(pause)
            .chain(walk(50, 300))
            .chain([TrackEvent::Resumed])
            .chain(walk(300, 350));
        let (view, counts) = recorded(events);
        assert_eq!((counts.kept, counts.while_paused), (100, 250));
        assert_eq!(
            view.gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(),
            [GapReason::Paused]
        );
        assert_eq!(view.lines[0].legs.iter().filter(|leg| leg.kind == LegKind::Paused).count(), 1);
        assert!((view.distance_m - 98.0 * 5.0).abs() < 1.0, "{}", view.distance_m);
    }

    #[test]
    fn a_gap_ends_with_its_reason_and_a_short_silence_needs_none() {
        let walk = |from: i64, to: i64| (from..to).map(|second| TrackEvent::Fix(fix(second, second as f64 * 5.0, 0.0)));
        let broke = |reason| [TrackEvent::Broke(reason)];
        let events = walk(0, 50).chain(broke(GapReason::ProviderOff)).chain(walk(90, 100));
        let events = events
            .chain(broke(GapReason::PermissionOff))
            .chain(walk(200, 250))
            .chain(walk(400, 450));
        let (view, _) = recorded(events.chain(broke(GapReason::BatterySaver)));
        assert_eq!(
            view.gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(),
            [GapReason::PermissionOff, GapReason::NoFix]
        );
        let ended = view.gaps_between(None, Some(UnixMillis(START + 900_000)));
        assert_eq!(ended.last().map(|gap| gap.reason), Some(GapReason::BatterySaver));
    }

    #[test]
    fn a_track_killed_at_any_event_goes_on_as_if_it_had_not_been() {
        for seed in 1..4 {
            let events = hour(seed);
            let (whole, counts) = recorded(events.clone());
            assert!(counts.jumps > 0 && counts.same_time > 0 && counts.represented > 0 && whole.gaps.len() > 3);
            for killed_at in (0..events.len()).step_by(7) {
                assert_eq!(
                    killed(&events, killed_at),
                    (whole.distance_m, kept(&whole), counts),
                    "{seed} {killed_at}"
                );
            }
        }
    }

    /// Records with a phone that writes events down, cuts now and then, and dies after some events (and at every 500th).
    fn killed(events: &[TrackEvent], killed_at: usize) -> (f64, Vec<Vec<Fix>>, RecorderCounts) {
        let settings = RecorderSettings::default();
        let mut recorder = TrackRecorder::new(settings);
        let (mut segments, mut written, mut stored) = (
            Vec::new(),
            Vec::new(),
            serde_json::to_string(&RecorderState::default()).unwrap(),
        );
        for (index, event) in events.iter().enumerate() {
            written.push(*event);
            recorder.apply(*event);
            let cut = if recorder.is_full() || index % 97 == 96 {
                recorder.cut().unwrap()
            } else {
                None
            };
            if let Some(cut) = cut {
                segments.extend(cut.segments);
                written.clear();
                stored = serde_json::to_string(&cut.state).unwrap();
            }
            if index == killed_at || index % 500 == 499 {
                recorder = TrackRecorder::restore(settings, serde_json::from_str(&stored).unwrap(), written.clone());
            }
        }
        segments.extend(recorder.finish().unwrap().into_iter().flat_map(|cut| cut.segments));
        let view = TrackView::from_segments(segments);
        (view.distance_m, kept(&view), recorder.counts())
    }

    fn kept(view: &TrackView) -> Vec<Vec<Fix>> {
        view.lines.iter().map(|line| line.fixes.clone()).collect()
    }

    #[test]
    fn a_long_silence_after_the_app_was_killed_says_so() {
        let events: Vec<_> = (0..50)
            .map(|second| TrackEvent::Fix(fix(second, second as f64 * 5.0, 0.0)))
            .collect();
        let mut recorder = TrackRecorder::restore(RecorderSettings::default(), RecorderState::default(), events);
        recorder.add(fix(500, 300.0, 0.0));
        let view = TrackView::from_segments(recorder.finish().unwrap().unwrap().segments);
        assert_eq!(
            view.gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(),
            [GapReason::AppKilled]
        );
    }

    #[test]
    fn fixes_in_any_order_make_segments_that_can_be_read() {
        let mut state = 7_u64;
        let fixes = (0..20_000).map(|index| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            Fix {
                lon_e6: index,
                ..fix((state >> 40) as i64 % 4_000, (state >> 55) as f64, 0.0)
            }
        });
        let (view, counts) = of_fixes(fixes);
        assert!(counts.kept > 1_000 && counts.out_of_order > 1_000 && view.unread.is_empty());
    }

    #[test]
    fn a_recorder_that_is_never_cut_still_makes_segments_that_fit() {
        let mut recorder = TrackRecorder::new(RecorderSettings::default());
        for second in 0..2_000 {
            recorder.add(fix(second, second as f64 * 5.0, 0.0));
        }
        let cut = recorder.finish().unwrap().unwrap();
        assert_eq!(cut.segments.len(), 3);
        assert_eq!(TrackView::from_segments(cut.segments).fixes_kept(), 2_000);
        assert_eq!(recorder.finish().unwrap(), None);
    }
}
