//! A track as GeoJSON (RFC 7946), for maps in the console and in apps. Decides nothing that [`super::TrackView`] has not decided.

use serde_json::{Value, json};

use super::{Fix, LegKind, Line, TrackView};

impl TrackView {
    /// A `FeatureCollection`: a `stretch` for each unbroken run of fixes (a line with `times` in milliseconds, one for each position;
    /// a point when it has one fix), and a `gap` or `pause` for each leg between two runs. Stretches and gaps together have the length
    /// `distance_m`.
    #[must_use]
    pub fn geojson(&self) -> Value {
        let features: Vec<Value> = self
            .lines
            .iter()
            .enumerate()
            .flat_map(|(index, line)| self.features(index, line))
            .collect();
        json!({ "type": "FeatureCollection", "features": features })
    }

    fn features(&self, index: usize, line: &Line) -> Vec<Value> {
        let mut features = Vec::new();
        let mut start = 0;
        for (position, pair) in line.fixes.windows(2).enumerate() {
            let name = match line.legs.get(position).map(|leg| leg.kind) {
                None | Some(LegKind::Tracked) => continue,
                Some(LegKind::AcrossGap) => "gap",
                Some(LegKind::Paused) => "pause",
            };
            features.push(stretch(index, &line.fixes[start..=position]));
            let reason = self.reason(pair[0].at, pair[1].at).map(super::GapReason::word);
            features.push(json!({
                "type": "Feature",
                "geometry": { "type": "LineString", "coordinates": [place(&pair[0]), place(&pair[1])] },
                "properties": { "kind": name, "line": index, "from": pair[0].at, "to": pair[1].at, "reason": reason.unwrap_or("no_fix") },
            }));
            start = position + 1;
        }
        features.push(stretch(index, &line.fixes[start..]));
        features
    }
}

fn stretch(index: usize, fixes: &[Fix]) -> Value {
    let places: Vec<_> = fixes.iter().map(place).collect();
    let times: Vec<_> = fixes.iter().map(|fix| fix.at.0).collect();
    let mocked = fixes.iter().filter(|fix| fix.is_mock).count();
    let geometry = match &places[..] {
        [only] => json!({ "type": "Point", "coordinates": only }),
        _ => json!({ "type": "LineString", "coordinates": places }),
    };
    json!({ "type": "Feature", "geometry": geometry, "properties": { "kind": "stretch", "line": index, "times": times, "mocked": mocked } })
}

/// Longitude first (RFC 7946, 3.1.1).
fn place(fix: &Fix) -> [f64; 2] {
    [fix.lon(), fix.lat()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;
    use crate::track::{Break, GapReason, Segment};

    #[test]
    fn stretches_and_gaps_follow_each_other_and_meet() {
        let at = [0, 5, 200, 210, 220, 225];
        let fix = |second: i64| Fix::check(UnixMillis(second * 1_000), 39.9 + second as f64 * 1e-5, 116.4, None).unwrap();
        let breaks = vec![
            Break {
                position: 2,
                reason: GapReason::AppKilled,
            },
            Break {
                position: 5,
                reason: GapReason::Paused,
            },
        ];
        let bytes = Segment::check(at.into_iter().map(fix).collect(), breaks).unwrap().encode();
        let shown = TrackView::from_segments([("k", bytes)]).geojson();
        let features = shown["features"].as_array().unwrap();
        let kinds: Vec<_> = features
            .iter()
            .map(|one| one["properties"]["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["stretch", "gap", "stretch", "pause", "stretch"]);
        assert_eq!(features[1]["properties"]["reason"], "app_killed");
        assert_eq!(
            features[0]["geometry"]["coordinates"][1],
            features[1]["geometry"]["coordinates"][0]
        );
        assert_eq!(features[0]["geometry"]["coordinates"][0], json!([116.4, 39.9]));
        assert_eq!(features[2]["properties"]["times"], json!([200_000, 210_000, 220_000]));
        assert_eq!(features[4]["geometry"]["type"], "Point");
    }

    #[test]
    fn an_empty_track_is_an_empty_collection() {
        assert_eq!(
            TrackView::default().geojson(),
            json!({ "type": "FeatureCollection", "features": [] })
        );
    }
}
