//! Capture: tracks and drafts.
