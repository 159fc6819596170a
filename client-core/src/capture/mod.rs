//! Capture: drafts, patrols and their tracks.
