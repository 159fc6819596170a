//! Tracks: segments of fixes as bytes.
