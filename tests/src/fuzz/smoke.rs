//! The fuzz targets' bodies with mutations that a seed decides: a bounded number of inputs on a stable compiler. `FUZZ_INPUTS` and
//! `FUZZ_SEED` ask for others; a failing input is told by its number.

use super::*;
use crate::seeded::Seeded;

/// Inputs longer than this find nothing that shorter ones do not, and cost more.
const INPUT_BYTES_MAX: usize = 64 * 1024;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// One mutation or a few: bits, bytes, numbers that sit on edges, pieces cut, doubled, moved, or taken from another input.
fn mutated(seeded: &mut Seeded, corpus: &Corpus) -> Vec<u8> {
    let pick = |seeded: &mut Seeded| seeded.pick(corpus).cloned().unwrap_or_default();
    let mut bytes = pick(seeded);
    for _ in 0..=seeded.below(4) {
        let at = usize::try_from(seeded.below(bytes.len() as u64)).unwrap();
        let rest = (bytes.len() - at) as u64;
        let length = usize::try_from(seeded.below(rest.min(64) + 1)).unwrap();
        match seeded.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << seeded.below(8),
            1 if at < bytes.len() => {
                bytes[at] = [0, 1, 0x17, 0x18, 0x7f, 0x80, 0x9f, 0xff][usize::try_from(seeded.below(8)).unwrap()]
            }
            2 => drop(bytes.drain(at..at + length)),
            3 => bytes.splice(at..at, bytes[at..at + length].to_vec()).for_each(drop),
            4 => bytes.truncate(at),
            5 => {
                let edge: &[u8] = [
                    &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
                    &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                    &[0xff, 0xff, 0xff, 0xff, 0x0f],
                    &[0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81],
                    b"99999999999999999999",
                ][usize::try_from(seeded.below(5)).unwrap()];
                drop(bytes.splice(at..at + length, edge.iter().copied()));
            }
            6 => {
                let other = pick(seeded);
                let from = usize::try_from(seeded.below(other.len() as u64)).unwrap();
                drop(bytes.splice(at.., other[from..].iter().copied()));
            }
            _ => {
                let mut noise = [0; 8];
                seeded.fill(&mut noise);
                drop(bytes.splice(at..at + length.min(8), noise));
            }
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

/// Panics inside automerge are caught by the guard, and need no report each.
fn silence_automerge() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let file = info.location().map_or("", std::panic::Location::file);
        if !file.contains("automerge-") && !file.contains("hexane-") {
            usual(info);
        }
    }));
}

fn smoke(target: &str, usual: u64) {
    let body = targets()[target];
    let corpus = corpus(target);
    assert!(!corpus.is_empty());
    for bytes in &corpus {
        body(bytes);
    }
    let seed = number("FUZZ_SEED", 1);
    for input in 0..number("FUZZ_INPUTS", usual) {
        let mut seeded = Seeded::new(seed.wrapping_mul(1_000_003).wrapping_add(input));
        let bytes = mutated(&mut seeded, &corpus);
        let held = std::panic::catch_unwind(|| body(&bytes));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(held.is_ok(), "{target}: seed {seed}, input {input}: {hex}");
    }
}

#[test]
fn no_bytes_get_past_the_guard_that_it_would_not_open_again() {
    silence_automerge();
    smoke("guard", 1_500);
}

#[test]
fn no_bytes_make_a_page_or_an_entry_misbehave() {
    smoke("page", 20_000);
}

#[test]
fn no_bytes_make_a_message_or_a_parcel_misbehave() {
    smoke("wire", 20_000);
}

#[test]
fn no_bytes_make_gpx_misbehave() {
    smoke("gpx", 5_000);
}

/// No stable compiler links libFuzzer: what its targets say is held here, so that they do not rot unseen.
#[test]
fn each_body_has_a_target_of_cargo_fuzz_that_runs_it_and_nothing_else() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let mut files: Vec<String> = std::fs::read_dir(folder.join("fuzz_targets"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let expected: Vec<String> = targets().keys().map(|name| format!("{name}.rs")).collect();
    assert_eq!(files, expected);
    for name in targets().keys() {
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")));
        let text = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        let code: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("//"))
            .collect();
        let body = format!("libfuzzer_sys::fuzz_target!(|bytes: &[u8]| beatbook_tests::fuzz::{name}(bytes));");
        assert_eq!(code, ["#![no_main]", body.as_str()], "{name}");
    }
}

#[test]
fn mutations_of_changes_get_behind_the_first_gate() {
    silence_automerge();
    let visit = corpus::visit();
    assert!(visit.changes.len() >= 3, "the sample has real changes");
    let mut seeded = Seeded::new(3);
    let corpus = visit.changes.clone();
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..400 {
        let bytes = repaired(&mutated(&mut seeded, &corpus));
        let incoming = [Incoming {
            bytes: &bytes,
            settles: false,
            actors: None,
        }];
        if let Outcome::Refused(fault) = &guard::check(&visit.document, &incoming, Unknown::Refuse).outcomes[0] {
            codes.insert(fault.code());
        }
    }
    // `unseen` is found only by whoever has parsed the change and looked at its operations.
    assert!(codes.contains("unseen") && codes.len() >= 4, "only {codes:?} were met");
    assert!(!codes.contains("checksum_wrong"));
}
