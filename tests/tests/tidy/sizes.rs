//! How long a file may be. How long a function may be is clippy's to count (`too_many_lines`); here it is held that clippy is asked
//! to, with the same figure, in every place where it looks. Traits, structs and error enums are left to review.

use crate::code::{attributes, code_of, has_word};
use crate::tree;

/// Lines of a file without its unit tests: what one reads in a sitting.
const FILE_LINES_MAX: usize = 400;

/// The languages that are counted.
const ENDINGS: &[&str] = &[".rs", ".py", ".kt", ".ts"];

/// Lines of a function: what fits a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Lines of a file, without the `#[cfg(test)] mod tests` at its end.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests {"));
    tail.unwrap_or(lines.len())
}

/// Whether the configuration asks for short functions.
fn asks_for_short_functions(clippy_toml: &str) -> bool {
    clippy_toml
        .lines()
        .any(|line| line == format!("too-many-lines-threshold = {FUNCTION_LINES_MAX}"))
}

/// Whether a file begs off from the length of functions.
fn begs_off(text: &str) -> bool {
    attributes(&code_of(text))
        .into_iter()
        .any(|inside| has_word(inside, "too_many_lines"))
}

#[test]
fn every_file_is_short_enough_to_read() {
    let mut found = Vec::new();
    for file in tree::files("")
        .iter()
        .filter(|file| ENDINGS.iter().any(|ending| file.path.ends_with(ending)))
    {
        let lines = lines_without_tests(&file.text);
        if lines > FILE_LINES_MAX {
            found.push(format!("{} has {lines} lines, {FILE_LINES_MAX} are allowed", file.path));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn clippy_counts_the_lines_of_functions_everywhere() {
    let lints: toml::Table = tree::file("Cargo.toml").text.parse().unwrap();
    assert_eq!(lints["workspace"]["lints"]["clippy"]["too_many_lines"].as_str(), Some("deny"));
    for file in tree::files("clippy.toml") {
        assert!(
            asks_for_short_functions(&file.text),
            "{}: too-many-lines-threshold = {FUNCTION_LINES_MAX}",
            file.path
        );
    }
    let found: Vec<String> = tree::files(".rs")
        .into_iter()
        .filter(|file| begs_off(&file.text))
        .map(|file| file.path)
        .collect();
    assert!(found.is_empty(), "split these functions instead: {found:#?}");
}

#[test]
fn a_long_file_is_counted_without_its_unit_tests() {
    let long = "x\n".repeat(FILE_LINES_MAX + 1);
    assert!(lines_without_tests(&long) > FILE_LINES_MAX);
    assert_eq!(
        lines_without_tests(&format!("a\nb\n#[cfg(test)]\nmod tests {{\n{long}}}\n")),
        2
    );
    assert!(
        lines_without_tests(&format!("#[cfg(test)]\nmod tests;\n{long}")) > FILE_LINES_MAX,
        "a module elsewhere ends nothing here"
    );
}

#[test]
fn a_looser_threshold_and_a_begged_exception_are_found() {
    assert!(!asks_for_short_functions("too-many-lines-threshold = 700"));
    assert!(begs_off("#[expect(clippy::too_many_lines, reason = \"long\")] fn f() {}"));
    assert!(!begs_off("// too_many_lines\n#[test] fn too_many_lines() {}"));
}
