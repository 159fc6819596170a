//! Reads the fixes of a GPX 1.0 or 1.1 file, however large, damaged or hostile. Knows no recorder: each fix goes to the caller as soon as
//! it is read, so that what was good stays good. Expands no entities, follows no references, and holds one piece of markup at a time.

mod source;
mod time;

use std::fmt;
use std::io::BufRead;

use beatbook_protocol::limits::GPX_BYTES_MAX;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Fix, Source, TrackError};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use source::{Limit, LimitedSource};

/// Nesting of elements: GPX needs 5, extensions some more. The parser keeps every open element's name.
const DEPTH_MAX: usize = 64;
/// Bytes of one tag, text or comment: the longest description worth reading. The parser holds one whole.
const MARKUP_BYTES_MAX: usize = 64 * 1024;
/// Faults that are told one by one; of more, the number.
const FAULTS_TOLD_MAX: usize = 8;
/// Metres of accuracy for one unit of HDOP: the user equivalent range error of civil GPS, about 5 m (GPS SPS Performance Standard 2020,
/// appendix B).
const METRES_PER_HDOP: f64 = 5.0;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GpxSummary {
    /// Fixes given out.
    pub fixes: u64,
    /// Track segments begun.
    pub segments: u64,
    /// Points passed over, and times that ran backwards.
    pub faults: u64,
}

/// A file that is not all good. The fixes that could be read were given out nevertheless, also those after a bad point.
#[derive(Debug, PartialEq, Eq)]
pub struct GpxError {
    /// The file, as the caller named it.
    pub name: String,
    /// What is wrong and where, in order; the first few.
    pub faults: Vec<GpxFault>,
    /// What was read all the same.
    pub summary: GpxSummary,
}

/// One fault and its place.
#[derive(Debug, PartialEq, Eq)]
pub struct GpxFault {
    /// Line in the file, from 1.
    pub line: u64,
    /// What is wrong there.
    pub kind: GpxFaultKind,
}

/// What can be wrong with a file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GpxFaultKind {
    /// The file ends in the middle.
    #[error("the file is cut off here: export or copy it again")]
    CutOff,
    /// Not XML.
    #[error("this is not well-formed XML ({0}): nothing after it was read")]
    Malformed(String),
    /// Larger than any patrol.
    #[error("the file is larger than {} MB: split it, nothing after this was read", GPX_BYTES_MAX / 1024 / 1024)]
    TooLarge,
    /// One tag or text without end.
    #[error("a piece of markup is longer than {} KB: this is no GPX, nothing after it was read", MARKUP_BYTES_MAX / 1024)]
    MarkupTooLong,
    /// Elements in elements without end.
    #[error("elements are nested deeper than {DEPTH_MAX}: this is no GPX, nothing after it was read")]
    TooDeep,
    /// Two bytes a character.
    #[error("the file is written in UTF-16: save it as UTF-8, nothing was read")]
    Utf16,
    /// Nothing to import.
    #[error("the file holds no track point with place and time: choose a file with a recorded track, not a route or waypoints")]
    NoFixes,
    /// Latitude or longitude missing or no number.
    #[error("a track point without a readable {0} was left out")]
    Unplaced(&'static str),
    /// Latitude or longitude that cannot be.
    #[error("a track point at latitude {lat}, longitude {lon} is not on the earth and was left out")]
    OffTheEarth {
        /// As written.
        lat: String,
        /// As written.
        lon: String,
    },
    /// No time, so no place in the track.
    #[error("a track point without a time was left out")]
    Untimed,
    /// A time that is none.
    #[error("{0:?} is not a time like 2026-11-23T08:15:00Z: the track point was left out")]
    BadTime(String),
    /// Earlier than the point before.
    #[error("time runs backwards by {0} s: check the order of the points")]
    Backwards(i64),
    /// The disk or stream failed.
    #[error("reading failed: {0}")]
    Unreadable(String),
}

impl fmt::Display for GpxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            write!(f, "{}, line {}: {}; ", self.name, fault.line, fault.kind)?;
        }
        let untold = self.summary.faults.saturating_sub(self.faults.len() as u64);
        if untold > 0 {
            write!(f, "{untold} more faults; ")?;
        }
        write!(f, "{} good fixes were read and kept", self.summary.fixes)
    }
}

impl std::error::Error for GpxError {}

/// Reads a file of that name, giving each fix to `sink` as it comes. Only track points count; routes and waypoints were not walked.
///
/// Accuracy is `hdop` times 5 m, where it is given. Times without a zone are UTC, as GPX 1.1 demands. Equal times pass; a fix earlier than
/// the one before is given out too, and is a fault: the recorder decides by its own rules.
///
/// # Errors
/// When anything in the file is bad: it names the file and the lines, and counts what was read all the same.
pub fn read_gpx(reader: impl BufRead, name: &str, sink: impl FnMut(Fix)) -> Result<GpxSummary, GpxError> {
    let mut reading = Reading {
        sink,
        summary: GpxSummary::default(),
        faults: Vec::new(),
        before: None,
    };
    let mut xml = Reader::from_reader(LimitedSource::new(reader, GPX_BYTES_MAX, MARKUP_BYTES_MAX));
    if let Err(kind) = reading.read(&mut xml) {
        let line = xml.get_mut().line();
        // What ended the reading is told even after many faults.
        reading.faults.truncate(FAULTS_TOLD_MAX - 1);
        reading.note(line, kind);
    }
    if reading.summary.fixes == 0 && reading.faults.is_empty() {
        let line = xml.get_mut().line();
        reading.note(line, GpxFaultKind::NoFixes);
    }
    let Reading { summary, faults, .. } = reading;
    if faults.is_empty() {
        Ok(summary)
    } else {
        Err(GpxError {
            name: name.to_owned(),
            faults,
            summary,
        })
    }
}

struct Reading<S> {
    sink: S,
    summary: GpxSummary,
    faults: Vec<GpxFault>,
    before: Option<UnixMillis>,
}

/// A track point under way.
#[derive(Default)]
struct Point {
    line: u64,
    depth: usize,
    lat: String,
    lon: String,
    time: Option<String>,
    hdop: Option<String>,
}

impl<S: FnMut(Fix)> Reading<S> {
    fn read<R: BufRead>(&mut self, xml: &mut Reader<LimitedSource<R>>) -> Result<(), GpxFaultKind> {
        if xml
            .get_mut()
            .fill_buf()
            .is_ok_and(|start| start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]))
        {
            return Err(GpxFaultKind::Utf16);
        }
        let mut buffer = Vec::new();
        let mut depth = 0_usize;
        let mut point: Option<Point> = None;
        let mut child = Child::Other;
        loop {
            buffer.clear();
            xml.get_mut().begin_markup();
            let line = xml.get_mut().line();
            let event = xml.read_event_into(&mut buffer);
            let event = event.map_err(|error| fault_of(xml.get_mut(), &error))?;
            match event {
                Event::Start(tag) => {
                    depth += 1;
                    if depth > DEPTH_MAX {
                        return Err(GpxFaultKind::TooDeep);
                    }
                    self.summary.segments += u64::from(tag.local_name().as_ref() == b"trkseg");
                    match &mut point {
                        None if tag.local_name().as_ref() == b"trkpt" => point = Some(Point::begin(&tag, line, depth)),
                        Some(point) if depth == point.depth + 1 => child = point.begin_child(&tag),
                        Some(_) | None => child = Child::Other,
                    }
                }
                Event::Empty(tag) if point.is_none() && tag.local_name().as_ref() == b"trkpt" => {
                    self.take(&Point::begin(&tag, line, depth));
                }
                Event::Text(text) => point.iter_mut().for_each(|point| point.add_text(child, &text)),
                Event::CData(text) => point.iter_mut().for_each(|point| point.add_text(child, &text)),
                // Never expanded: a number or a time needs none, and with this in it, it is no number.
                Event::GeneralRef(_) => point.iter_mut().for_each(|point| point.add_text(child, b"&")),
                Event::End(_) => {
                    if let Some(done) = point.take_if(|point| point.depth == depth) {
                        self.take(&done);
                    }
                    depth = depth.saturating_sub(1);
                    child = Child::Other;
                }
                Event::Eof if depth > 0 => return Err(GpxFaultKind::CutOff),
                Event::Eof => return Ok(()),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    fn take(&mut self, point: &Point) {
        let fix = match point.fix() {
            Ok(fix) => fix,
            Err(kind) => return self.note(point.line, kind),
        };
        if let Some(back) = self.before.map(|before| before.since(fix.at)).filter(|back| *back > 0) {
            self.note(point.line, GpxFaultKind::Backwards((back + 999) / 1000));
        }
        self.before = Some(fix.at);
        self.summary.fixes += 1;
        (self.sink)(fix);
    }

    fn note(&mut self, line: u64, kind: GpxFaultKind) {
        self.summary.faults += 1;
        if self.faults.len() < FAULTS_TOLD_MAX {
            self.faults.push(GpxFault { line, kind });
        }
    }
}

/// Which child of a track point the reading is in.
#[derive(Clone, Copy)]
enum Child {
    Time,
    Hdop,
    Other,
}

impl Point {
    fn begin(tag: &BytesStart<'_>, line: u64, depth: usize) -> Self {
        let mut point = Self {
            line,
            depth,
            ..Self::default()
        };
        // Unchecked for doubles, which would cost the square of the attributes; the last one counts.
        for attribute in tag.attributes().with_checks(false).flatten() {
            match attribute.key.local_name().as_ref() {
                b"lat" => point.lat = excerpt(&attribute.value),
                b"lon" => point.lon = excerpt(&attribute.value),
                _ => {}
            }
        }
        point
    }

    fn begin_child(&mut self, tag: &BytesStart<'_>) -> Child {
        match tag.local_name().as_ref() {
            b"time" => {
                self.time = Some(String::new());
                Child::Time
            }
            b"hdop" => {
                self.hdop = Some(String::new());
                Child::Hdop
            }
            _ => Child::Other,
        }
    }

    fn add_text(&mut self, child: Child, text: &[u8]) {
        let held = match child {
            Child::Time => &mut self.time,
            Child::Hdop => &mut self.hdop,
            Child::Other => return,
        };
        if let Some(held) = held.as_mut().filter(|held| held.len() < EXCERPT_BYTES_MAX) {
            held.push_str(&excerpt(text));
        }
    }

    fn fix(&self) -> Result<Fix, GpxFaultKind> {
        let lat: f64 = self.lat.parse().map_err(|_| GpxFaultKind::Unplaced("latitude"))?;
        let lon: f64 = self.lon.parse().map_err(|_| GpxFaultKind::Unplaced("longitude"))?;
        let text = self
            .time
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .ok_or(GpxFaultKind::Untimed)?;
        let at = time::parse(text).ok_or_else(|| GpxFaultKind::BadTime(text.to_owned()))?;
        let hdop = self
            .hdop
            .as_deref()
            .and_then(|text| text.trim().parse().ok())
            .filter(|hdop: &f64| *hdop >= 0.0);
        let fix = Fix::check(at, lat, lon, hdop.map(|hdop| hdop * METRES_PER_HDOP)).map_err(|error| match error {
            TrackError::OutOfTime => GpxFaultKind::BadTime(text.to_owned()),
            _ => GpxFaultKind::OffTheEarth {
                lat: self.lat.clone(),
                lon: self.lon.clone(),
            },
        })?;
        Ok(fix.from_source(Source::Imported))
    }
}

/// Bytes of a number or time that are looked at, and shown where they are wrong.
const EXCERPT_BYTES_MAX: usize = 40;

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT_BYTES_MAX)])
        .trim()
        .to_owned()
}

fn fault_of<R>(source: &LimitedSource<R>, error: &quick_xml::Error) -> GpxFaultKind {
    match (source.limit(), error) {
        (Some(Limit::File), _) => GpxFaultKind::TooLarge,
        (Some(Limit::Markup), _) => GpxFaultKind::MarkupTooLong,
        (None, quick_xml::Error::Io(error)) => GpxFaultKind::Unreadable(error.to_string()),
        // At the end of the file every error is that something was not closed.
        (None, _) if source.is_at_end() => GpxFaultKind::CutOff,
        (None, error) => GpxFaultKind::Malformed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Cursor, Read};

    const HEAD: &str =
        "<?xml version=\"1.0\"?>\n<gpx version=\"1.1\" xmlns=\"http://www.topografix.com/GPX/1/1\"><trk><trkseg>\n";
    const TAIL: &str = "</trkseg></trk></gpx>\n";

    /// One point on a line of its own: the first is on line 3.
    fn point(second: i64) -> String {
        let time = format!("2026-11-23T08:{:02}:{:02}Z", second / 60, second % 60);
        format!("<trkpt lat=\"39.9{second:04}\" lon=\"116.4\"><ele>40</ele><time>{time}</time></trkpt>\n")
    }

    fn points(seconds: std::ops::Range<i64>) -> String {
        seconds.map(point).collect()
    }

    fn read(text: impl AsRef<[u8]>) -> (Vec<Fix>, Result<GpxSummary, GpxError>) {
        let mut fixes = Vec::new();
        // A small buffer, so that every piece of markup is cut by its end somewhere.
        let result = read_gpx(BufReader::with_capacity(17, text.as_ref()), "patrol.gpx", |fix| {
            fixes.push(fix)
        });
        (fixes, result)
    }

    /// The faults as (line, text), and how many fixes were good.
    fn faults(text: impl AsRef<[u8]>) -> (Vec<(u64, String)>, usize) {
        let (fixes, result) = read(text);
        let error = result.unwrap_err();
        assert_eq!(error.summary.fixes, fixes.len() as u64);
        assert!(
            error
                .to_string()
                .starts_with(&format!("patrol.gpx, line {}: ", error.faults[0].line)),
            "{error}"
        );
        (
            error
                .faults
                .iter()
                .map(|fault| (fault.line, fault.kind.to_string()))
                .collect(),
            fixes.len(),
        )
    }

    fn assert_fault(text: impl AsRef<[u8]>, line: u64, says: &str, good: usize) {
        let (faults, fixes) = faults(text);
        assert_eq!((faults.len(), faults[0].0, fixes), (1, line, good), "{faults:?}");
        assert!(faults[0].1.contains(says), "{faults:?}");
    }

    #[test]
    fn a_good_file_gives_its_fixes() {
        let (fixes, result) = read([HEAD, &points(0..100), TAIL].concat());
        assert_eq!(
            result,
            Ok(GpxSummary {
                fixes: 100,
                segments: 1,
                faults: 0
            })
        );
        assert_eq!(fixes[99].lat_e6, 39_900_990);
        assert_eq!(fixes[99].at.since(fixes[0].at), 99_000);
        assert!(
            fixes
                .iter()
                .all(|fix| fix.source == Source::Imported && fix.accuracy_m.is_none())
        );
    }

    #[test]
    fn prefixes_quotes_extensions_and_accuracies_are_understood() {
        let text = "<g:gpx xmlns:g='http://www.topografix.com/GPX/1/0'><g:wpt lat='1' lon='1'><g:time>x</g:time></g:wpt><g:trk><g:trkseg>\
            <g:trkpt lon = '116.4' lat='-39.9'><g:time> 2026-11-23T08:00:00+08:00 </g:time><g:hdop>1.5</g:hdop>\
            <g:extensions><g:time>1999</g:time><x><g:trkpt lat='5' lon='5'/></x></g:extensions></g:trkpt></g:trkseg>\
            <g:trkseg><g:trkpt lat='-39.9' lon='116.5'><g:time><![CDATA[2026-11-23T00:01:00Z]]></g:time></g:trkpt></g:trkseg></g:trk></g:gpx>";
        let (fixes, result) = read(text);
        assert_eq!(
            result,
            Ok(GpxSummary {
                fixes: 2,
                segments: 2,
                faults: 0
            })
        );
        assert_eq!(
            (fixes[0].lat_e6, fixes[0].lon_e6, fixes[0].accuracy_m),
            (-39_900_000, 116_400_000, Some(8))
        );
        assert_eq!(fixes[1].at.since(fixes[0].at), 60_000);
    }

    #[test]
    fn a_file_cut_off_anywhere_keeps_what_was_whole() {
        let text = [HEAD, &points(0..6), TAIL].concat();
        for length in 0..text.trim_end().len() {
            let (fixes, result) = read(&text[..length]);
            let whole = text[..length].matches("</trkpt>").count();
            assert_eq!(fixes.len(), whole, "{length}");
            let error = result.unwrap_err();
            let lines = text[..length].matches('\n').count() as u64 + 1;
            assert_eq!(error.faults[0].line, lines, "{length}");
            let kind = &error.faults[0].kind;
            let is_prolog = length <= "<?xml version=\"1.0\"?>\n".len();
            assert!(
                *kind == GpxFaultKind::CutOff || is_prolog && *kind == GpxFaultKind::NoFixes,
                "{length} {error}"
            );
        }
    }

    #[test]
    fn a_time_that_runs_backwards_is_named_and_the_rest_is_read() {
        let text = [HEAD, &points(20..30), &points(10..40), TAIL].concat();
        assert_fault(text, 13, "backwards by 19 s", 40);
    }

    #[test]
    fn equal_times_are_no_fault() {
        assert_eq!(
            read([HEAD, &point(5), &point(5), TAIL].concat())
                .1
                .map(|summary| summary.fixes),
            Ok(2)
        );
    }

    #[test]
    fn a_bad_point_is_named_and_left_out_and_the_rest_is_read() {
        let good = point(7);
        for (from, to, says) in [
            ("39.90007", "91.5", "latitude 91.5, longitude 116.4 is not on the earth"),
            ("116.4", "-180.01", "longitude -180.01"),
            ("39.90007", "NaN", "not on the earth"),
            ("39.90007", "thirty-nine", "without a readable latitude"),
            (" lon=\"116.4\"", "", "without a readable longitude"),
            ("<time>2026-11-23T08:00:07Z</time>", "", "without a time"),
            ("<time>2026-11-23T08:00:07Z</time>", "<time/>", "without a time"),
            ("2026-11-23T08:00:07Z", "23.11.2026 8:00", "\"23.11.2026 8:00\" is not a time"),
            ("2026-11-23T08:00:07Z", "1969-11-23T08:00:07Z", "is not a time"),
            ("2026-11-23T08:00:07Z", "2026-11-23&colon;08:00:07Z", "is not a time"),
        ] {
            assert!(good.contains(from), "{from}");
            let text = [HEAD, &points(0..7), &good.replace(from, to), &points(8..20), TAIL].concat();
            assert_fault(text, 10, says, 19);
        }
    }

    #[test]
    fn a_file_without_track_points_says_so() {
        for text in [
            "",
            "\n\n",
            "<gpx/>",
            "<gpx><rte><rtept lat='1' lon='1'><time>2026-11-23T08:00:00Z</time></rtept></rte></gpx>",
            "hello",
        ] {
            let (faults, _) = faults(text);
            assert!(faults[0].1.contains("no track point"), "{text} {faults:?}");
        }
    }

    #[test]
    fn what_is_not_xml_is_named_with_its_line() {
        assert_fault([HEAD, &points(0..4), "</trk>\n", TAIL].concat(), 7, "not well-formed", 4);
        assert_fault([HEAD, &points(0..4), "<!nonsense>\n", TAIL].concat(), 7, "not well-formed", 4);
    }

    #[test]
    fn a_file_in_utf_16_says_so_and_a_mark_of_utf_8_is_passed_over() {
        let text = [HEAD, &points(0..4), TAIL].concat();
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_fault([&[0xff, 0xfe], &wide[..]].concat(), 1, "UTF-16", 0);
        assert_eq!(read(format!("\u{feff}{text}")).0.len(), 4);
    }

    #[test]
    fn many_faults_are_counted_and_the_first_told_with_what_ended_the_reading() {
        let bad = point(3).replace("39.9", "99.9").repeat(50);
        let (_, result) = read([HEAD, &points(0..3), &bad, &points(4..9)].concat());
        let error = result.unwrap_err();
        assert_eq!(
            (error.summary.faults, error.summary.fixes, error.faults.len()),
            (51, 8, FAULTS_TOLD_MAX)
        );
        assert_eq!(error.faults[0].line, 6);
        assert_eq!(error.faults.last().map(|fault| &fault.kind), Some(&GpxFaultKind::CutOff));
        assert!(
            error.to_string().ends_with("43 more faults; 8 good fixes were read and kept"),
            "{error}"
        );
    }

    #[test]
    fn entities_are_not_expanded_and_nesting_is_bounded() {
        let bomb = "<!DOCTYPE gpx [<!ENTITY a \"2026-11-23T08:00:00Z\"><!ENTITY b \"&a;&a;&a;\">]>\n";
        let text = [
            bomb,
            HEAD,
            "<trkpt lat='1' lon='1'><time>&b;</time></trkpt>\n",
            &points(4..9),
            TAIL,
        ]
        .concat();
        let (faults, good) = faults(text.replace("<?xml version=\"1.0\"?>\n", ""));
        assert_eq!((faults[0].0, good), (3, 5));
        assert_fault(
            [HEAD, &points(0..2), &"<extensions>".repeat(100_000)].concat(),
            5,
            "nested deeper",
            2,
        );
    }

    #[test]
    fn a_piece_of_markup_without_end_is_not_read_into_memory() {
        for piece in [
            "<!-- ",
            "<trkpt lat=\"",
            "<name>",
            "<![CDATA[",
            "<!DOCTYPE gpx [",
            "<?x ",
            "&",
        ] {
            let endless = BufReader::new(Cursor::new([HEAD, &points(0..2), piece].concat()).chain(std::io::repeat(b'x')));
            let error = read_gpx(endless, "patrol.gpx", |_| {}).unwrap_err();
            assert_eq!(
                (&error.faults[0].kind, error.faults[0].line),
                (&GpxFaultKind::MarkupTooLong, 5),
                "{piece}"
            );
            assert_eq!(error.summary.fixes, 2);
        }
    }

    /// Points without end, made as they are read.
    struct Endless {
        rest: Vec<u8>,
        second: i64,
    }

    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            if self.rest.is_empty() {
                self.rest = point(self.second % 3_600)
                    .replace("T08", &format!("T{:02}", 8 + self.second / 3_600))
                    .into_bytes();
                self.rest.resize(9_000, b' ');
                self.second += 1;
            }
            let amount = out.len().min(self.rest.len());
            out[..amount].copy_from_slice(&self.rest[..amount]);
            self.rest.drain(..amount);
            Ok(amount)
        }
    }

    #[test]
    fn a_file_larger_than_any_patrol_is_stopped_and_its_fixes_stay() {
        let endless = Endless {
            rest: HEAD.into(),
            second: 0,
        };
        let mut fixes = 0;
        let error = read_gpx(BufReader::with_capacity(64 * 1024, endless), "patrol.gpx", |_| fixes += 1).unwrap_err();
        assert_eq!(error.faults[0].kind, GpxFaultKind::TooLarge);
        assert!(
            error.faults[0].line > 29_000 && fixes == error.summary.fixes && fixes > 29_000,
            "{error}"
        );
    }

    #[test]
    fn a_disk_that_fails_is_told_and_what_was_read_stays() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the card was pulled out"))
            }
        }
        let source = BufReader::new(Cursor::new([HEAD, &points(0..5)].concat()).chain(Broken));
        let error = read_gpx(source, "patrol.gpx", |_| {}).unwrap_err();
        assert_eq!(
            error.faults[0].kind,
            GpxFaultKind::Unreadable("the card was pulled out".to_owned())
        );
        assert_eq!((error.faults[0].line, error.summary.fixes), (8, 5));
    }
}
