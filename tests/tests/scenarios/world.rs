//! The simulated world in every test run: three hundred seeds, and every seed that once failed.

use std::fs;
use std::path::Path;

use beatbook_tests::world::many::{Ended, Many, run_all};

fn run(seeds: Vec<u64>) -> Ended {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let ended = run_all(&Many {
        seeds,
        jobs,
        is_told: false,
    })
    .unwrap();
    let told: Vec<String> = ended.failures.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n\n"));
    ended
}

/// The seeds of the files under `tests/seeds`, one a line, each with the reason why it is kept.
fn kept() -> Vec<u64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let mut seeds = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            let (seed, why) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?} gives no reason"));
            assert!(!why.trim().is_empty());
            seeds.push(seed.parse().unwrap());
        }
    }
    seeds.sort_unstable();
    seeds.dedup();
    seeds
}

#[test]
fn three_hundred_worlds_heal_without_loss_and_without_divergence() {
    let ended = run((1..=300).collect());
    assert!(
        ended.captured > 2_000 && ended.acknowledged > 2_000 && ended.refused > 0,
        "{ended:?}"
    );
    assert_eq!(ended.compared, 3);
}

#[test]
fn worlds_that_once_failed_hold_now() {
    let kept = kept();
    assert!(!kept.is_empty());
    run(kept);
}
