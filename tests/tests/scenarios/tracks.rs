//! Tracks against another library: the distance that a patrol shows is the geodesic length (Karney 2013, by GeographicLib) of its
//! kept fixes, every gap shows, and what was dropped is represented.

use std::io::BufReader;

use beatbook_client_core::capture::gpx::read_gpx;
use beatbook_client_core::capture::recorder::{RecorderSettings, TrackRecorder};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Fix, GAP_MS, TrackView};
use beatbook_tests::seeded::Seeded;
use beatbook_tests::street::{Sighting, walk};
use geographiclib_rs::{Geodesic, InverseGeodesic};

const BEGAN: i64 = 1_790_000_000_000;

fn fixes(sightings: &[Sighting]) -> Vec<Fix> {
    let fix = |s: &Sighting| Fix::check(UnixMillis(BEGAN + s.after_s * 1000), s.lat, s.lon, Some(s.accuracy_m)).unwrap();
    sightings.iter().map(fix).collect()
}

fn recorded(fixes: &[Fix]) -> (TrackView, usize) {
    let mut recorder = TrackRecorder::new(RecorderSettings::default());
    let mut segments = Vec::new();
    for fix in fixes {
        recorder.add(*fix);
        if recorder.is_full() {
            segments.extend(recorder.cut().unwrap().unwrap().segments);
        }
    }
    segments.extend(recorder.finish().unwrap().unwrap().segments);
    let bytes = segments.iter().map(|(_, bytes)| bytes.len()).sum();
    (TrackView::from_segments(segments), bytes)
}

fn geodesic_metres(from: &Fix, to: &Fix) -> f64 {
    Geodesic::wgs84().inverse(from.lat(), from.lon(), to.lat(), to.lon())
}

#[test]
fn the_distance_of_a_walk_is_the_geodesic_length_of_its_kept_fixes() {
    for seed in 0..20 {
        let (view, _) = recorded(&fixes(&walk(&mut Seeded::new(seed), 4 * 3_600, 5)));
        let kept: Vec<&Fix> = view.lines.iter().flat_map(|line| &line.fixes).collect();
        let geodesic: f64 = kept.windows(2).map(|pair| geodesic_metres(pair[0], pair[1])).sum();
        assert!(geodesic > 1_000.0);
        assert!(
            (view.distance_m - geodesic).abs() < 0.01 * geodesic,
            "seed {seed}: {} against {geodesic}",
            view.distance_m
        );
    }
}

#[test]
fn every_minute_without_a_fix_shows_as_a_gap() {
    for seed in 0..20 {
        let seen = fixes(&walk(&mut Seeded::new(seed), 2 * 3_600, 4));
        let (view, _) = recorded(&seen);
        let silences = seen.windows(2).filter(|pair| pair[1].at.since(pair[0].at) >= GAP_MS);
        let expected: Vec<_> = silences.map(|pair| (pair[0].at, pair[1].at)).collect();
        let shown: Vec<_> = view.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
        assert_eq!(shown, expected, "seed {seed}");
        assert!(!expected.is_empty());
    }
}

#[test]
fn nearly_every_fix_is_kept_or_within_five_metres_of_a_kept_one_and_lone_jumps_are_not() {
    for seed in 0..10 {
        let sightings = walk(&mut Seeded::new(seed), 2 * 3_600, 4);
        let (view, bytes) = recorded(&fixes(&sightings));
        let kept: Vec<Fix> = view.lines.iter().flat_map(|line| line.fixes.clone()).collect();
        let near = |fix: &Fix| {
            kept.iter()
                .filter(|k| k.at.since(fix.at).abs() <= 40_000)
                .any(|k| k.at == fix.at || geodesic_metres(k, fix) <= 5.0)
        };
        let all = fixes(&sightings);
        let represented = all.iter().filter(|fix| near(fix)).count();
        assert!(
            represented * 10 >= all.len() * 9,
            "seed {seed}: {represented} of {}",
            all.len()
        );
        let jumped = kept
            .windows(3)
            .any(|t| geodesic_metres(&t[0], &t[1]) > 1_500.0 && geodesic_metres(&t[1], &t[2]) > 1_500.0);
        assert!(!jumped, "seed {seed}: a jump of 2 km was kept");
        assert!(bytes <= 5 * all.len(), "seed {seed}: {bytes} bytes for {} fixes", all.len());
    }
}

#[test]
fn what_was_good_in_a_broken_gpx_file_is_a_patrol() {
    let sightings = walk(&mut Seeded::new(1), 1_800, 5);
    let points: String = sightings
        .iter()
        .map(|s| {
            format!(
                "<trkpt lat=\"{:.6}\" lon=\"{:.6}\"><time>{}</time></trkpt>\n",
                s.lat,
                s.lon,
                rfc3339(s.after_s)
            )
        })
        .collect();
    let whole = format!("<gpx version=\"1.1\"><trk><trkseg>\n{points}</trkseg></trk></gpx>");
    let cut = &whole[..whole.len() * 2 / 3];
    let mut good = Vec::new();
    let error = read_gpx(BufReader::new(cut.as_bytes()), "beat.gpx", |fix| good.push(fix)).unwrap_err();
    assert!(error.to_string().contains("beat.gpx, line "), "{error}");
    assert!(good.len() * 2 > sightings.len());
    assert!(recorded(&good).0.distance_m > 100.0);
}

fn rfc3339(after_s: i64) -> String {
    format!(
        "2026-09-21T{:02}:{:02}:{:02}Z",
        8 + after_s / 3_600,
        after_s / 60 % 60,
        after_s % 60
    )
}
