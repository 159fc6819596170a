//! What of others is in the tree: every crate of Cargo.lock comes from crates.io under a checksum and has a licence that `deny.toml` allows, the
//! doubles are those that are named there with their reasons, and no `unsafe` of ours stands outside `ffi`. Asks no network where the crates are on
//! this machine. Known faults in crates are cargo-deny's to look up (`make supply`): their list is not in the tree.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_tests::sbom;
use toml::Table;

use crate::code::{code_of, has_word};
use crate::tree;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Whether a licence expression (SPDX, with cargo's older `/` for OR) holds with these licences.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    either(&mut words, allowed) == Some(true) && words.is_empty()
}

fn either(words: &mut Vec<&str>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut holds = both(words, allowed)?;
    while words.last() == Some(&"OR") {
        words.pop();
        holds |= both(words, allowed)?;
    }
    Some(holds)
}

fn both(words: &mut Vec<&str>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut holds = one(words, allowed)?;
    while words.last() == Some(&"AND") {
        words.pop();
        holds &= one(words, allowed)?;
    }
    Some(holds)
}

fn one(words: &mut Vec<&str>, allowed: &BTreeSet<String>) -> Option<bool> {
    let word = words.pop()?;
    if word == "(" {
        let holds = either(words, allowed)?;
        return (words.pop() == Some(")")).then_some(holds);
    }
    if words.last() == Some(&"WITH") {
        words.pop();
        let exception = words.pop()?;
        return Some(allowed.contains(&format!("{word} WITH {exception}")));
    }
    Some(allowed.contains(word))
}

/// The crates of a lock that are not from crates.io under a checksum; ours have neither.
fn from_elsewhere(lock: &Table) -> Vec<String> {
    let strange = |package: &&toml::Value| {
        let source = package.get("source").and_then(toml::Value::as_str);
        let has_sum = package.get("checksum").is_some();
        match source {
            Some(source) => source != REGISTRY || !has_sum,
            None => !name(package).starts_with("beatbook-"),
        }
    };
    packages(lock)
        .filter(strange)
        .map(|package| name(package).to_owned())
        .collect()
}

/// `name@version` of each crate that stands in a lock beside a newer version of itself.
fn doubles(lock: &Table) -> BTreeSet<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages(lock) {
        versions.entry(name(package)).or_default().push(version(package));
    }
    let numbers = |version: &str| -> Vec<u64> {
        version
            .split(['.', '+', '-'])
            .take(3)
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    let mut found = BTreeSet::new();
    for (name, mut versions) in versions {
        versions.sort_by_key(|version| numbers(version));
        versions.pop();
        found.extend(versions.into_iter().map(|version| format!("{name}@{version}")));
    }
    found
}

/// What `deny.toml` lists under a key of a table, by one of the fields of each.
fn listed(deny: &Table, table: &str, key: &str, field: &str) -> BTreeSet<String> {
    let entries = deny
        .get(table)
        .and_then(|table| table.get(key))
        .and_then(toml::Value::as_array);
    let text = |entry: &toml::Value| {
        let named = entry.get(field).and_then(toml::Value::as_str).or(entry.as_str());
        named.map(str::to_owned)
    };
    entries.into_iter().flatten().filter_map(text).collect()
}

/// Entries of `deny.toml` that make an exception and do not say why.
fn without_reason(deny: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for (table, key) in [("bans", "skip"), ("bans", "deny"), ("advisories", "ignore")] {
        let entries = deny
            .get(table)
            .and_then(|table| table.get(key))
            .and_then(toml::Value::as_array);
        for entry in entries.into_iter().flatten() {
            let reason = entry.get("reason").and_then(toml::Value::as_str);
            if reason.is_none_or(|reason| reason.split_whitespace().count() < 3) {
                found.push(entry.to_string());
            }
        }
    }
    found
}

fn packages(lock: &Table) -> impl Iterator<Item = &toml::Value> {
    lock.get("package").and_then(toml::Value::as_array).into_iter().flatten()
}

fn name(package: &toml::Value) -> &str {
    package.get("name").and_then(toml::Value::as_str).unwrap_or_default()
}

fn version(package: &toml::Value) -> &str {
    package.get("version").and_then(toml::Value::as_str).unwrap_or_default()
}

fn table(path: &str) -> Table {
    match tree::file(path).text.parse() {
        Ok(table) => table,
        Err(fault) => panic!("{path}: {fault}"),
    }
}

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let allowed = listed(&table("deny.toml"), "licenses", "allow", "");
    let metadata = sbom::metadata(&tree::root()).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "cargo named {} crates", packages.len());
    let mut found = Vec::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        if !is_allowed(licence, &allowed) {
            found.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    assert!(found.is_empty(), "licences that deny.toml does not allow: {found:#?}");
}

#[test]
fn every_crate_comes_from_one_registry_under_a_checksum() {
    let found = from_elsewhere(&table("Cargo.lock"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_crates_of_two_versions_are_those_that_are_named_with_a_reason() {
    let (lock, deny) = (table("Cargo.lock"), table("deny.toml"));
    let named = listed(&deny, "bans", "skip", "crate");
    let differing: Vec<_> = doubles(&lock).symmetric_difference(&named).cloned().collect();
    assert!(
        differing.is_empty(),
        "double in Cargo.lock or named in deny.toml, and not both: {differing:#?}"
    );
    let silent = without_reason(&deny);
    assert!(silent.is_empty(), "exceptions without a reason: {silent:#?}");
}

#[test]
fn no_crate_is_in_the_tree_that_transit_does_without() {
    let deny = table("deny.toml");
    let denied = listed(&deny, "bans", "deny", "crate");
    assert!(denied.contains("native-tls"));
    let lock = table("Cargo.lock");
    // What some platform's verifier brings along there alone is named as its wrapper.
    let wrapped: BTreeSet<String> = ["rustls-native-certs".to_owned()].into();
    let found: Vec<&str> = packages(&lock)
        .map(name)
        .filter(|name| denied.contains(*name) && !wrapped.contains(*name))
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_bill_of_materials_names_every_crate_of_the_lock_and_is_the_same_each_time() {
    let bill = sbom::sbom(&tree::root()).unwrap();
    let read: serde_json::Value = serde_json::from_str(&bill.to_string()).unwrap();
    assert_eq!(
        (read["bomFormat"].as_str(), read["specVersion"].as_str()),
        (Some("CycloneDX"), Some("1.5"))
    );
    let components = read["components"].as_array().unwrap();
    let named: BTreeSet<String> = components
        .iter()
        .map(|component| {
            format!(
                "{}@{}",
                component["name"].as_str().unwrap(),
                component["version"].as_str().unwrap()
            )
        })
        .collect();
    let lock = table("Cargo.lock");
    let locked: BTreeSet<String> = packages(&lock)
        .map(|package| format!("{}@{}", name(package), version(package)))
        .collect();
    assert_eq!(named, locked);
    let refs: BTreeSet<&str> = components
        .iter()
        .filter_map(|component| component["bom-ref"].as_str())
        .collect();
    for dependency in read["dependencies"].as_array().unwrap() {
        for needed in dependency["dependsOn"].as_array().unwrap() {
            assert!(refs.contains(needed.as_str().unwrap()), "{needed} is no component");
        }
    }
    let of = |name: &str| components.iter().find(|component| component["name"] == name).unwrap();
    assert_eq!(of("rustls")["scope"], "required");
    assert_eq!(of("cddl-cat")["scope"], "excluded", "the tests alone need it");
    assert!(of("rustls")["hashes"][0]["content"].as_str().unwrap().len() == 64);
    assert_eq!(sbom::sbom(&tree::root()).unwrap().to_string(), bill.to_string());
}

#[test]
fn no_unsafe_code_of_ours_stands_outside_ffi() {
    let found: Vec<String> = tree::files(".rs")
        .into_iter()
        .filter(|file| !file.path.starts_with("ffi/") && has_word(&code_of(&file.text), "unsafe"))
        .map(|file| file.path)
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    let lints = table("Cargo.toml");
    assert_eq!(lints["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
}

#[test]
fn licences_are_read_as_they_are_written() {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
        .map(str::to_owned)
        .into();
    for (expression, holds) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("MIT AND ISC", true),
        ("(MIT OR GPL-3.0-only) AND ISC", true),
        ("(MIT OR Apache-2.0) AND GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT AND ISC", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH Classpath-exception-2.0", false),
        ("none", false),
        ("", false),
        ("MIT OR", false),
        ("(MIT", false),
        ("MIT MIT", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), holds, "{expression:?}");
    }
}

#[test]
fn a_strange_source_a_double_and_a_silent_exception_are_found() {
    let lock: Table = format!(
        "[[package]]\nname = 'a'\nversion = '1.2.3'\nsource = '{REGISTRY}'\nchecksum = 'x'\n\
         [[package]]\nname = 'a'\nversion = '1.10.0'\nsource = '{REGISTRY}'\nchecksum = 'x'\n\
         [[package]]\nname = 'b'\nversion = '1.0.0'\nsource = 'git+https://host.example/b'\n\
         [[package]]\nname = 'c'\nversion = '1.0.0'\nsource = '{REGISTRY}'\n\
         [[package]]\nname = 'd'\nversion = '1.0.0'\n\
         [[package]]\nname = 'beatbook-protocol'\nversion = '0.1.0'\n"
    )
    .parse()
    .unwrap();
    assert_eq!(from_elsewhere(&lock), ["b", "c", "d"]);
    assert_eq!(doubles(&lock), ["a@1.2.3".to_owned()].into());
    let deny: Table = "[bans]\nskip = [{ crate = 'a@1', reason = 'x needs the old' }, { crate = 'b@1', reason = 'old' }, 'c@1']"
        .parse()
        .unwrap();
    assert_eq!(without_reason(&deny).len(), 2);
}
