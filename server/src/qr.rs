//! Lines of text as QR codes, for who scans a screen. Knows not what they say, nor who is shown them.

use qrcode::QrCode;
use qrcode::render::{svg, unicode};

use crate::error::StationError;

/// Pixels that a code is wide at least: a phone of any age reads it from a desk's screen.
const PIXELS_MIN: u32 = 240;

/// A line as a picture, in SVG.
///
/// # Errors
/// When it is too long for any code.
pub(crate) fn as_svg(text: &str) -> Result<String, StationError> {
    let picture = drawn(text)?
        .render::<svg::Color<'_>>()
        .min_dimensions(PIXELS_MIN, PIXELS_MIN)
        .build();
    Ok(picture)
}

/// A line in blocks of text, for a terminal.
///
/// # Errors
/// When it is too long for any code.
pub(crate) fn as_text(text: &str) -> Result<String, StationError> {
    Ok(drawn(text)?.render::<unicode::Dense1x2>().build())
}

fn drawn(text: &str) -> Result<QrCode, StationError> {
    QrCode::new(text).map_err(|fault| StationError::Invalid(format!("this does not fit a QR code: {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_drawn_both_ways_and_one_too_long_is_refused() {
        assert!(as_svg("beatbook").unwrap().contains("<svg"));
        assert!(as_text("beatbook").unwrap().contains('█'));
        let long = "x".repeat(3_000);
        for refused in [as_svg(&long), as_text(&long)] {
            assert!(matches!(refused, Err(StationError::Invalid(_))));
        }
    }
}
