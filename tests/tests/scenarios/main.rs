//! Scenarios through public doors: what a user could rely on, each as a sentence.

mod tracks;
