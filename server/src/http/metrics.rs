//! Counters and durations as Prometheus reads them (text format 0.0.4). Knows numbers only: no bodies, no names, no tokens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use beatbook_protocol::wire::RefusalCode;

use crate::station::StationStatus;

/// Upper ends of the histogram's buckets, milliseconds: from one read to a first sync on a bad line.
const BUCKETS_MS: [u64; 11] = [1, 2, 5, 10, 25, 100, 250, 1_000, 5_000, 30_000, 120_000];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The route of requests that no route takes.
pub(crate) const UNKNOWN_ROUTE: &str = "unknown";

/// One finished request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished<'a> {
    /// The route's pattern, never the path: paths hold identifiers.
    pub(crate) route: &'a str,
    pub(crate) status: u16,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    pub(crate) took: Duration,
}

/// All counters of one station.
#[derive(Debug)]
pub(crate) struct Metrics {
    routes: BTreeMap<&'static str, RouteCounters>,
    refusals: BTreeMap<String, AtomicU64>,
    running: AtomicI64,
}

#[derive(Debug, Default)]
struct RouteCounters {
    classes: [AtomicU64; CLASSES.len()],
    buckets: [AtomicU64; BUCKETS_MS.len()],
    count: AtomicU64,
    micros: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

impl Metrics {
    /// Counters at zero for these routes: a series exists from the start, so that the first fault shows as an increase.
    pub(crate) fn new(routes: impl Iterator<Item = &'static str>) -> Self {
        Self {
            routes: routes
                .chain([UNKNOWN_ROUTE])
                .map(|route| (route, RouteCounters::default()))
                .collect(),
            refusals: refusal_codes()
                .map(|code| (code.as_str().to_owned(), AtomicU64::new(0)))
                .collect(),
            running: AtomicI64::new(0),
        }
    }

    pub(crate) fn begun(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends what [`Self::begun`] began, however it ended.
    pub(crate) fn ended(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn finished(&self, request: Finished<'_>) {
        let Some(counters) = self.routes.get(request.route).or_else(|| self.routes.get(UNKNOWN_ROUTE)) else {
            return;
        };
        let class = usize::from(request.status / 100).saturating_sub(1);
        if let Some(count) = counters.classes.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(request.took.as_micros()).unwrap_or(u64::MAX);
        if let Some(at) = BUCKETS_MS.iter().position(|end| micros <= end * 1000) {
            counters.buckets.get(at).map(|bucket| bucket.fetch_add(1, Ordering::Relaxed));
        }
        counters.count.fetch_add(1, Ordering::Relaxed);
        counters.micros.fetch_add(micros, Ordering::Relaxed);
        counters.bytes_up.fetch_add(request.bytes_up, Ordering::Relaxed);
        counters.bytes_down.fetch_add(request.bytes_down, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, code: &RefusalCode) {
        if let Some(count) = self.refusals.get(code.as_str()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All of it in Prometheus' text format. What the station itself counts comes from its status.
    pub(crate) fn text(&self, status: &StationStatus, connections: i64) -> String {
        let mut page = Page::default();
        page.family("beatbook_ledger_size", "gauge", "Leaves in the ledger.");
        page.line("", status.ledger.size);
        page.family("beatbook_backed_up_to", "gauge", "Leaves in the newest backup.");
        page.line("", status.backed_up_to);
        page.family("beatbook_records", "gauge", "Records known.");
        page.line("", status.records);
        page.family("beatbook_records_in_review", "gauge", "Records waiting for review.");
        page.line("", status.in_review);
        page.family("beatbook_conflicted_records", "gauge", "Records with conflicts.");
        page.line("", status.conflicts);
        page.family(
            "beatbook_recovered_records",
            "gauge",
            "Records that rest on a colleague's word since a restore.",
        );
        page.line("", status.recovered);
        page.family(
            "beatbook_history_alarm",
            "gauge",
            "1 when the history is in doubt and nothing is signed.",
        );
        page.line("", u64::from(status.alarm.is_some()));
        if let Some(tls) = &status.tls {
            page.family("beatbook_certificate_days_left", "gauge", "Days until the certificate's end.");
            page.line("", tls.days_left);
            page.family(
                "beatbook_certificate_fault",
                "gauge",
                "1 when the certificate's files are not in order and the one before is shown on.",
            );
            page.line("", u64::from(tls.fault.is_some()));
        }
        page.family("beatbook_pages_total", "counter", "Pages by what became of them.");
        page.line("outcome=\"taken\"", status.pages);
        page.line("outcome=\"quarantined\"", status.quarantined);
        page.family(
            "beatbook_entries_total",
            "counter",
            "Entries by verdict; the station's other counters have the verdicts without a leaf.",
        );
        page.line("verdict=\"accepted\"", status.entries);
        page.line("verdict=\"refused\"", status.refused);
        page.family(
            "beatbook_events_total",
            "counter",
            "What the station counts: exchanges, enrolments, acts and others.",
        );
        for (event, count) in &status.counters {
            page.line(&format!("event=\"{event}\""), count);
        }
        page.family("beatbook_connections", "gauge", "Open connections.");
        page.line("", connections);
        page.family("beatbook_requests_running", "gauge", "Requests at work.");
        page.line("", self.running.load(Ordering::Relaxed));
        page.family(
            "beatbook_refusals_total",
            "counter",
            "Requests of phones refused as a whole, by code.",
        );
        for (code, count) in &self.refusals {
            page.line(&format!("code=\"{code}\""), count.load(Ordering::Relaxed));
        }
        self.write_routes(&mut page);
        page.text
    }

    fn write_routes(&self, page: &mut Page) {
        page.family("beatbook_requests_total", "counter", "Requests by route and class of status.");
        for (route, counters) in &self.routes {
            for (class, count) in CLASSES.iter().zip(&counters.classes) {
                page.line(&format!("route=\"{route}\",class=\"{class}\""), count.load(Ordering::Relaxed));
            }
        }
        page.family("beatbook_bytes_up_total", "counter", "Bytes of request bodies.");
        for (route, counters) in &self.routes {
            page.line(&format!("route=\"{route}\""), counters.bytes_up.load(Ordering::Relaxed));
        }
        page.family("beatbook_bytes_down_total", "counter", "Bytes of reply bodies.");
        for (route, counters) in &self.routes {
            page.line(&format!("route=\"{route}\""), counters.bytes_down.load(Ordering::Relaxed));
        }
        page.family("beatbook_request_seconds", "histogram", "Time from headers to reply.");
        for (route, counters) in &self.routes {
            let mut below = 0;
            for (end, count) in BUCKETS_MS.iter().zip(&counters.buckets) {
                below += count.load(Ordering::Relaxed);
                page.sample("_bucket", &format!("route=\"{route}\",le=\"{}\"", seconds(end * 1000)), below);
            }
            let count = counters.count.load(Ordering::Relaxed);
            page.sample("_bucket", &format!("route=\"{route}\",le=\"+Inf\""), count);
            page.sample(
                "_sum",
                &format!("route=\"{route}\""),
                seconds(counters.micros.load(Ordering::Relaxed)),
            );
            page.sample("_count", &format!("route=\"{route}\""), count);
        }
    }
}

#[derive(Default)]
struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    fn family(&mut self, name: &'static str, sort: &str, help: &str) {
        self.family = name;
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {sort}");
    }

    fn line(&mut self, labels: &str, value: impl std::fmt::Display) {
        self.sample("", labels, value);
    }

    fn sample(&mut self, suffix: &str, labels: &str, value: impl std::fmt::Display) {
        let name = self.family;
        let _ = if labels.is_empty() {
            writeln!(self.text, "{name}{suffix} {value}")
        } else {
            writeln!(self.text, "{name}{suffix}{{{labels}}} {value}")
        };
    }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn refusal_codes() -> impl Iterator<Item = RefusalCode> {
    [
        RefusalCode::Malformed,
        RefusalCode::TooLarge,
        RefusalCode::SignIn,
        RefusalCode::UnknownBook,
        RefusalCode::EnrolmentCode,
        RefusalCode::Blocked,
        RefusalCode::Attestation,
        RefusalCode::AwaitingConfirmation,
        RefusalCode::Version,
        RefusalCode::TryLater,
        RefusalCode::Internal,
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use beatbook_protocol::id::Hash;
    use beatbook_protocol::ledger::Position;

    fn value(text: &str, series: &str) -> f64 {
        let line = text
            .lines()
            .find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
        line.unwrap_or_else(|| panic!("{series} in {text}"))
            .rsplit_once(' ')
            .unwrap()
            .1
            .parse()
            .unwrap()
    }

    fn status() -> StationStatus {
        StationStatus {
            station: "s".into(),
            origin: "o".into(),
            ledger: Position {
                epoch: 0,
                size: 7,
                root: Hash::of(&[b"root"]),
            },
            records: 3,
            in_review: 2,
            entries: 11,
            refused: 1,
            pages: 5,
            quarantined: 0,
            recovered: 0,
            alarm: None,
            due: 0,
            conflicts: 1,
            backed_up_to: 4,
            tls: None,
            books: Vec::new(),
            counters: [("exchanges".to_owned(), 9)].into(),
        }
    }

    #[test]
    fn a_slow_request_is_in_the_buckets_above_it_only() {
        let metrics = Metrics::new(["/a"].into_iter());
        metrics.finished(Finished {
            route: "/a",
            status: 200,
            bytes_up: 10,
            bytes_down: 20,
            took: Duration::from_millis(7),
        });
        let text = metrics.text(&status(), 2);
        assert!((value(&text, "beatbook_request_seconds_bucket{route=\"/a\",le=\"0.005000\"}")).abs() < f64::EPSILON);
        assert!((value(&text, "beatbook_request_seconds_bucket{route=\"/a\",le=\"0.010000\"}") - 1.0).abs() < f64::EPSILON);
        assert!((value(&text, "beatbook_request_seconds_count{route=\"/a\"}") - 1.0).abs() < f64::EPSILON);
        assert!((value(&text, "beatbook_bytes_down_total{route=\"/a\"}") - 20.0).abs() < f64::EPSILON);
        assert!((value(&text, "beatbook_requests_total{route=\"/a\",class=\"2xx\"}") - 1.0).abs() < f64::EPSILON);
        assert!((value(&text, "beatbook_ledger_size") - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    fn what_the_station_counts_is_shown_beside_what_http_counts() {
        let metrics = Metrics::new(["/a"].into_iter());
        metrics.refused(&RefusalCode::TooLarge);
        let text = metrics.text(&status(), 2);
        for (series, expected) in [
            ("beatbook_entries_total{verdict=\"accepted\"}", 11.0),
            ("beatbook_entries_total{verdict=\"refused\"}", 1.0),
            ("beatbook_events_total{event=\"exchanges\"}", 9.0),
            ("beatbook_refusals_total{code=\"too_large\"}", 1.0),
            ("beatbook_refusals_total{code=\"sign_in\"}", 0.0),
        ] {
            assert!((value(&text, series) - expected).abs() < f64::EPSILON, "{series}");
        }
    }

    #[test]
    fn a_path_that_is_no_route_makes_no_series_of_its_own() {
        let metrics = Metrics::new(["/a"].into_iter());
        metrics.finished(Finished {
            route: "/etc/passwd",
            status: 404,
            bytes_up: 0,
            bytes_down: 0,
            took: Duration::ZERO,
        });
        let text = metrics.text(&status(), 2);
        assert!(!text.contains("passwd"));
        assert!((value(&text, "beatbook_requests_total{route=\"unknown\",class=\"4xx\"}") - 1.0).abs() < f64::EPSILON);
    }
}
