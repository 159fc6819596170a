//! A small picture of a photo: JPEG, without the metadata of the large one (a photo's EXIF knows where it was taken). What cannot be
//! decoded, or is too large to decode on a small phone, has none. Knows bytes only.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

/// Pixels of the longer side: a row of a list on a dense screen.
const SIDE_MAX: u32 = 320;
/// JPEG quality: 10-25 KB a picture.
const QUALITY: u8 = 70;
/// Pixels of a side that is decoded.
const SIDE_DECODED_MAX: u32 = 16_384;
/// Bytes of memory for decoding: 50 million pixels of three bytes.
const MEMORY_MAX: u64 = 160 * 1024 * 1024;
/// Bytes of a photo that is decoded at all.
pub(super) const PHOTO_BYTES_MAX: u64 = 24 * 1024 * 1024;
/// What it is.
pub(super) const MEDIA_TYPE: &str = "image/jpeg";

/// Whether a blob of this type may be a photo that is decoded.
pub(super) fn is_photo(media_type: &str, bytes: u64) -> bool {
    matches!(media_type, "image/jpeg" | "image/png") && bytes <= PHOTO_BYTES_MAX
}

/// The small picture; none when the bytes are no photo. A photo that breaks the decoder must not lose the capture.
pub(super) fn thumbnail(photo: &[u8]) -> Option<Vec<u8>> {
    let drawn = catch_unwind(AssertUnwindSafe(|| draw(photo)));
    match drawn {
        Ok(Ok(small)) => Some(small),
        Ok(Err(fault)) => {
            tracing::info!(%fault, "a photo has no small picture");
            None
        }
        Err(_) => {
            tracing::warn!("a photo broke its decoder and has no small picture");
            None
        }
    }
}

fn draw(photo: &[u8]) -> image::ImageResult<Vec<u8>> {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(SIDE_DECODED_MAX);
    limits.max_image_height = Some(SIDE_DECODED_MAX);
    limits.max_alloc = Some(MEMORY_MAX);
    let mut reader = ImageReader::new(Cursor::new(photo)).with_guessed_format()?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    // The pixels themselves, beside what the decoder needs.
    limits.reserve(decoder.total_bytes())?;
    let orientation = decoder.orientation()?;
    let mut small = DynamicImage::from_decoder(decoder)?.thumbnail(SIDE_MAX, SIDE_MAX);
    small.apply_orientation(orientation);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&small.into_rgb8())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    fn photo(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let image = RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x % 251) as u8, (y % 241) as u8, ((x * y) % 239) as u8])
        });
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_photo_gets_a_small_picture_of_its_shape() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let small = thumbnail(&photo(1_600, 1_200, format)).unwrap();
            let drawn = image::load_from_memory_with_format(&small, ImageFormat::Jpeg).unwrap();
            assert_eq!((drawn.width(), drawn.height()), (320, 240));
            assert!(small.len() < 60_000, "{}", small.len());
        }
    }

    #[test]
    fn what_is_no_photo_has_none_and_harms_nobody() {
        let whole = photo(64, 64, ImageFormat::Png);
        assert_eq!(thumbnail(b"no photo at all"), None);
        assert_eq!(thumbnail(&[]), None);
        assert_eq!(thumbnail(&whole[..whole.len() / 2]), None);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            drop(thumbnail(&changed));
        }
    }

    #[test]
    fn a_photo_of_few_bytes_and_many_pixels_is_not_decoded() {
        // 16,000 by 16,000 pixels, said in a PNG's head, and no more.
        let mut bomb = photo(8, 8, ImageFormat::Png);
        bomb[16..24].copy_from_slice(&[0, 0, 0x3e, 0x80, 0, 0, 0x3e, 0x80]);
        let crc = crc(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(thumbnail(&bomb), None);
    }

    /// CRC-32 as PNG has it.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }
}
