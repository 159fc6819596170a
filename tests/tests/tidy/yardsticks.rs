//! The tables that measure Beatbook against others' lists, OWASP's MASVS 2 and ASVS 5: every item is there once, with a verdict that is a
//! word and not a hope, and what bears it out exists: a test or a file. Whether it does bear it out is for readers.

use std::collections::BTreeSet;

use crate::documents::tests_in;
use crate::tree;

/// How many controls each group of MASVS 2 has.
const MASVS: &[(&str, u32)] = &[
    ("STORAGE", 2),
    ("CRYPTO", 2),
    ("AUTH", 3),
    ("NETWORK", 2),
    ("PLATFORM", 3),
    ("CODE", 4),
    ("RESILIENCE", 4),
    ("PRIVACY", 4),
];
/// Chapters of ASVS 5.0.
const ASVS_CHAPTERS: u32 = 17;
const VERDICTS: &[&str] = &["met", "partly", "not met", "not applicable"];

/// The rows of all tables of a page whose first cell is an item's name.
fn rows<'t>(markdown: &'t str, is_item: impl Fn(&str) -> bool) -> Vec<Vec<&'t str>> {
    let cells = |line: &'t str| -> Option<Vec<&'t str>> {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split('|').map(str::trim).collect())
    };
    let all = markdown.lines().filter_map(cells);
    all.filter(|row| row.first().is_some_and(|first| is_item(first))).collect()
}

/// What is wrong with a row: its verdict, or what it names. `| item | what it asks | verdict | how | test or file |`
fn faults(row: &[&str], known: &impl Fn(&str) -> bool) -> Vec<String> {
    let [item, _, verdict, how, evidence] = row else {
        return vec![format!("{row:?} has not five cells")];
    };
    let mut found = Vec::new();
    if !VERDICTS.contains(verdict) {
        found.push(format!("{item}: {verdict:?} is no verdict"));
    }
    if how.is_empty() {
        found.push(format!("{item} says not how or why not"));
    }
    let names: Vec<&str> = evidence.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        found.push(format!("{item} names no test and no file"));
    }
    for name in names {
        let inner = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
        if !inner.is_some_and(known) {
            found.push(format!("{item}: no test or file {name}"));
        }
    }
    found
}

fn known() -> impl Fn(&str) -> bool {
    let tests: BTreeSet<String> = tree::files(".rs").iter().flat_map(|file| tests_in(&file.text)).collect();
    move |name: &str| tests.contains(name) || tree::root().join(name).exists()
}

fn check(page: &str, expected: &BTreeSet<String>, is_item: impl Fn(&str) -> bool) {
    let text = tree::file(page).text;
    let rows = rows(&text, is_item);
    let items: Vec<String> = rows.iter().map(|row| row[0].to_owned()).collect();
    let once: BTreeSet<String> = items.iter().cloned().collect();
    assert_eq!(items.len(), once.len(), "{page}: an item stands there twice");
    let lacking: Vec<_> = expected.difference(&once).collect();
    assert!(lacking.is_empty(), "{page} lacks {lacking:?}");
    let known = known();
    let found: Vec<String> = rows.iter().flat_map(|row| faults(row, &known)).collect();
    assert!(found.is_empty(), "{page}: {found:#?}");
}

#[test]
fn every_control_of_masvs_has_a_verdict_and_what_bears_it_out() {
    let controls = MASVS
        .iter()
        .flat_map(|(group, count)| (1..=*count).map(move |number| format!("MASVS-{group}-{number}")));
    check("docs/security/masvs.md", &controls.collect(), |first| {
        first.starts_with("MASVS-")
    });
}

#[test]
fn every_chapter_of_asvs_has_a_verdict_and_each_failing_item_its_reason() {
    let is_item = |first: &str| {
        first
            .strip_prefix('V')
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
    };
    let chapters: BTreeSet<String> = (1..=ASVS_CHAPTERS).map(|number| format!("V{number}")).collect();
    check("docs/security/asvs.md", &chapters, is_item);
}

#[test]
fn a_row_without_a_verdict_or_with_an_invented_test_is_found() {
    let known = |name: &str| name == "a_test" || name == "a/file";
    let page = "| item | asks | verdict | how | by |\n| - | - | - | - | - |\n| V1 | x | met | y | `a_test`, `a/file` |\n\
                | V2 | x | hoped | y | `a_test` |\n| V3 | x | met |  | `b_test` |\n| V4 | x | met | y | |\n| V5 | x | met |";
    let rows = rows(page, |first| first.starts_with('V'));
    let found: Vec<usize> = rows.iter().map(|row| faults(row, &known).len()).collect();
    assert_eq!(found, [0, 1, 2, 1, 1]);
}
