//! Documents that do not drift: links lead somewhere, every test that a document names exists, the invariants of `docs/architecture.md` and
//! the hazards of `docs/simulation.md` name some, the codes of refused entries are told, and nothing in the tree knows on whose machine it was
//! written. Whether a document is true beyond that is for its readers.

use std::collections::BTreeSet;

use crate::code::code_of;
use crate::tree;

/// Names of the test functions in a Rust file.
pub(crate) fn tests_in(text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut names = Vec::new();
    let mut is_test = false;
    for line in code.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.contains("::test");
        } else if let Some((_, rest)) = line.split_once("fn ") {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            names.extend(is_test.then_some(name));
            is_test = false;
        }
    }
    names
}

/// The last column of the table under a heading, a row each, without the head.
fn cells_under<'m>(heading: &str, markdown: &'m str) -> Vec<&'m str> {
    let lines = markdown
        .lines()
        .skip_while(|line| !(line.starts_with('#') && line.ends_with(heading)));
    let section = lines.skip(1).take_while(|line| !line.starts_with('#'));
    let rows = section.filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
    rows.skip(2).filter_map(|row| row.rsplit('|').next()).map(str::trim).collect()
}

/// What a cell names that is no test. A cell is `-`, or tests in backquotes with commas between.
fn unknown_tests(cell: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let names = cell.split(',').map(str::trim).filter(|name| *name != "-");
    let unknown = names.filter(|name| {
        !name
            .strip_prefix('`')
            .and_then(|name| name.strip_suffix('`'))
            .is_some_and(|n| tests.contains(n))
    });
    unknown.map(str::to_owned).collect()
}

/// Targets of the relative links in a page, without those to other hosts and to places in the page itself.
fn relative_links(markdown: &str) -> Vec<&str> {
    let mut in_code = false;
    let prose = markdown.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    });
    let targets = prose
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next());
    let targets = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    targets
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|path| !path.is_empty())
        .collect()
}

/// Lines that hold an absolute path of somebody's machine.
fn machine_paths(text: &str) -> Vec<&str> {
    // Put together here, so that this file does not find itself.
    let homes = ["work", "root", "home", "Users"].map(|name| format!("/{name}/"));
    let starts_path = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || "/._-~)}".contains(c));
    let has_home = |line: &str| {
        homes
            .iter()
            .any(|home| line.match_indices(home).any(|(at, _)| starts_path(&line[..at])))
    };
    text.lines().filter(|line| has_home(line)).collect()
}

#[test]
fn every_invariant_names_tests_that_exist() {
    let tests: BTreeSet<String> = tree::files(".rs").iter().flat_map(|file| tests_in(&file.text)).collect();
    let architecture = tree::file("docs/architecture.md");
    let cells = cells_under("Invariants", &architecture.text);
    assert!(
        !cells.is_empty(),
        "docs/architecture.md has no table under its heading Invariants"
    );
    let found: Vec<String> = cells.into_iter().flat_map(|cell| unknown_tests(cell, &tests)).collect();
    assert!(found.is_empty(), "no such test: {found:#?}");
}

#[test]
fn every_hazard_of_sync_names_tests_that_exist() {
    let tests: BTreeSet<String> = tree::files(".rs").iter().flat_map(|file| tests_in(&file.text)).collect();
    let simulation = tree::file("docs/simulation.md");
    let cells = cells_under("Hazards", &simulation.text);
    assert!(!cells.is_empty(), "docs/simulation.md has no table under its heading Hazards");
    let found: Vec<String> = cells.into_iter().flat_map(|cell| unknown_tests(cell, &tests)).collect();
    assert!(
        found.is_empty() && !simulation.text.contains("| - |"),
        "no such test: {found:#?}"
    );
}

/// What a page names like a test and is none: words in backquotes of small letters, digits and underscores, three underscores or more. Codes,
/// settings and permissions have fewer.
fn invented_tests<'m>(markdown: &'m str, tests: &BTreeSet<String>) -> Vec<&'m str> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let in_quotes = markdown.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let like_tests = in_quotes.filter(|name| name.matches('_').count() >= 3 && name.chars().all(is_part));
    like_tests.filter(|name| !tests.contains(*name)).collect()
}

#[test]
fn every_test_that_a_document_names_exists() {
    let tests: BTreeSet<String> = tree::files(".rs").iter().flat_map(|file| tests_in(&file.text)).collect();
    let mut found = Vec::new();
    // The change log tells what was; a test that it names may be gone.
    for file in tree::files(".md").iter().filter(|file| file.path != "CHANGELOG.md") {
        let invented = invented_tests(&file.text, &tests);
        found.extend(invented.into_iter().map(|name| format!("{}: {name}", file.path)));
    }
    assert!(found.is_empty(), "no such test: {found:#?}");
}

/// Codes by which the station refuses single entries, as its source says them.
fn refusal_codes() -> BTreeSet<String> {
    let word = |text: &str| -> Option<String> { Some(text.trim_start().strip_prefix('"')?.split('"').next()?.to_owned()) };
    let mut codes = BTreeSet::new();
    for file in tree::files(".rs") {
        let judges = ["server/src/intake/", "server/src/recovered"];
        if judges.iter().any(|place| file.path.starts_with(place)) {
            codes.extend(file.text.split("refused(").skip(1).filter_map(word));
        }
        if file.path == "server/src/destruction/refusal.rs" {
            codes.extend(file.text.split(": &str = ").skip(1).filter_map(word));
        }
        if file.path == "protocol/src/document/guard/fault.rs" {
            codes.extend(file.text.split(" => ").skip(1).filter_map(word));
        }
    }
    codes
}

#[test]
fn every_code_of_a_refused_entry_stands_in_the_protocol() {
    let codes = refusal_codes();
    for known in ["out_of_scope", "unit_closed", "private_destroyed", "settles_unmarked"] {
        assert!(codes.contains(known), "the search finds what is there: {known} in {codes:?}");
    }
    let page = tree::file("docs/protocol.md").text;
    let lacking: Vec<&String> = codes.iter().filter(|code| !page.contains(&format!("`{code}`"))).collect();
    assert!(lacking.is_empty(), "docs/protocol.md says nothing of {lacking:?}");
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let mut found = Vec::new();
    for file in tree::files(".md") {
        let folder = tree::root().join(&file.path).with_file_name("");
        let dead = relative_links(&file.text)
            .into_iter()
            .filter(|target| !folder.join(target).exists());
        found.extend(dead.map(|target| format!("{}: {target}", file.path)));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_tells_on_whose_machine_it_was_written() {
    let mut found = Vec::new();
    for file in tree::files("") {
        found.extend(
            machine_paths(&file.text)
                .into_iter()
                .map(|line| format!("{}: {line}", file.path)),
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn an_invariant_without_its_test_is_found() {
    let tests: BTreeSet<String> = tests_in(
        "/// fn in_prose\n#[test]\nfn first() {}\n#[tokio::test]\n#[ignore]\nasync fn second() { x }\nfn helper() {}\n#[derive(Debug)]\npub fn third() {}",
    )
    .into_iter()
    .collect();
    assert_eq!(tests, ["first", "second"].map(str::to_owned).into());
    let page = "## Invariants\n\n| invariant | test |\n| --- | --- |\n| a | `first`, `second` |\n| b | - |\n| c | `helper` |\n| d | first |\n\n\
                ## Next\n| e | f |\n| - | - |\n| g | `h` |";
    let found: Vec<String> = cells_under("Invariants", page)
        .into_iter()
        .flat_map(|cell| unknown_tests(cell, &tests))
        .collect();
    assert_eq!(found, ["`helper`", "first"]);
}

#[test]
fn a_test_that_only_a_document_knows_is_found() {
    let tests: BTreeSet<String> = ["one_that_is_there".to_owned()].into();
    let page = "| held by `one_that_is_there`, `one_that_is_gone` |\nthe setting `lease_days`, `Core::one_of_its_ways`\n`another_that_was_renamed`";
    assert_eq!(invented_tests(page, &tests), ["one_that_is_gone", "another_that_was_renamed"]);
}

#[test]
fn links_are_read_as_a_reader_follows_them() {
    let page = "[a](b.md) and ![c](d/e.png \"f\"), [g](https://h.i/j), [k](#l), [m](n.md#o)\n```\n[p](q)\n```\n[r](../s)";
    assert_eq!(relative_links(page), ["b.md", "d/e.png", "n.md", "../s"]);
}

#[test]
fn a_path_of_a_machine_is_found() {
    let home = format!("/{}/", "home");
    for line in [
        format!("see {home}ada/x"),
        format!("\"{home}ada\""),
        format!("{home}ada"),
        format!("file://a ={home}b"),
    ] {
        assert_eq!(machine_paths(&line).len(), 1, "{line}");
    }
    for line in [
        format!("https://example.org{home}"),
        format!("docs{home}page"),
        format!("${{X}}{home}"),
    ] {
        assert_eq!(machine_paths(&line).len(), 0, "{line}");
    }
}
