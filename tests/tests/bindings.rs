//! The packages for Python and Kotlin as their users have them: generated from the library that was built here, tried by their own tests on
//! real stations, and by the two example programs, which work as separate processes and merge with each other. `make test` installs what
//! they need (`.ci/needs`, `.ci/python`); without it this says loudly what did not run, and on a build machine it fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what is skipped is for the person who reads the output")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use beatbook_protocol::id::Hash;
use beatbook_tests::station::program;

/// One package is put together at a time.
static PACKING: Mutex<()> = Mutex::new(());

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folder that cargo builds in.
fn target() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    here.ancestors().nth(3).unwrap().to_owned()
}

/// The library that was built with this test: it depends on it for this alone.
fn library() -> PathBuf {
    let version = beatbook_ffi::version().unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let name = format!("{}beatbook_ffi{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let here = std::env::current_exe().unwrap();
    here.parent().unwrap().join(name)
}

fn passed(what: &str, output: &Output) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{what}:\n{}", String::from_utf8_lossy(&said));
}

/// Says that a part does not run here; on a build machine that is a fault.
fn skipped(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}: {why}");
    eprintln!("SKIPPED: {what} did NOT run: {why}");
}

/// Puts a package together.
fn packed(language: &str) -> PathBuf {
    let made = Command::new(root().join("ffi/package"))
        .arg(language)
        .arg(library())
        .env("CARGO_TARGET_DIR", target())
        .output()
        .unwrap();
    passed(&format!("ffi/package {language}"), &made);
    target().join("ffi").join(language)
}

/// The interpreter of the environment that `.ci/python` makes beside the build.
fn python() -> Option<PathBuf> {
    let made = target().join("python/installed.txt").exists();
    made.then(|| target().join("python/bin/python"))
}

/// The wheel of the Python package, built, and installed into a folder of its own.
fn installed(python: &Path, package: &Path) -> PathBuf {
    let (wheels, place) = (target().join("ffi/wheels"), target().join("ffi/installed"));
    for old in [&wheels, &place, &package.join("build")] {
        drop(std::fs::remove_dir_all(old));
    }
    let pip = |words: &[&str]| {
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]).args(words);
        pip
    };
    let built = pip(&["wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir"])
        .args([wheels.as_path(), package])
        .output()
        .unwrap();
    passed("pip wheel", &built);
    let wheel = std::fs::read_dir(&wheels).unwrap().next().unwrap().unwrap().path();
    let put = pip(&["install", "--no-deps", "--no-index", "--target"])
        .args([&place, &wheel])
        .output()
        .unwrap();
    passed("pip install", &put);
    place
}

#[test]
fn the_python_package_holds_on_a_real_station() {
    let _one = PACKING.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(python) = python() else {
        return skipped("the Python package", "`.ci/python` makes its environment");
    };
    let package = packed("python");
    let place = installed(&python, &package);
    let in_python = |words: &[&str]| {
        Command::new(&python)
            .args(words)
            // Where nothing of the package lies but what the wheel brought.
            .current_dir(package.join("tests"))
            .env_remove("LD_LIBRARY_PATH")
            .env("PYTHONPATH", &place)
            .env("MYPYPATH", package.join("tests"))
            .env("BEATBOOK_SERVER", program().unwrap())
            .output()
            .unwrap()
    };
    let typed = in_python(&["-m", "mypy", "--strict", "--cache-dir", "../mypy", "../examples", "."]);
    passed("mypy", &typed);
    let told = in_python(&["-m", "mypy.stubtest", "beatbook._core", "--ignore-missing-stub"]);
    passed("stubtest", &told);
    let tried = in_python(&["-X", "faulthandler", "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]);
    passed("pytest", &tried);
}

#[test]
fn the_kotlin_package_holds_and_merges_with_the_python_one() {
    let _one = PACKING.lock().unwrap_or_else(PoisonError::into_inner);
    if Command::new("mvn").arg("-v").output().is_err() {
        return skipped("the Kotlin package", "it needs a JDK of version 17 or later, and Maven");
    }
    let mut tried = Command::new("mvn");
    tried
        .args(["-q", "-B", "-ntp", "test"])
        .arg(format!("-Dbeatbook.generated={}", packed("kotlin").display()))
        .current_dir(root().join("ffi/kotlin"))
        // Cargo puts its own folders there, and JNA looks in them before it looks into the package.
        .env_remove("LD_LIBRARY_PATH")
        .env("BEATBOOK_SERVER", program().unwrap());
    // The example in Python is what the one in Kotlin merges with.
    match python() {
        Some(python) => {
            tried.env("BEATBOOK_PYTHON", python).env("PYTHONPATH", packed("python"));
        }
        None => skipped(
            "the merge of the two examples",
            "`.ci/python` makes the environment of the one in Python",
        ),
    }
    passed("mvn test", &tried.output().unwrap());
}

#[test]
fn the_surface_is_as_it_was_written_down() {
    let _one = PACKING.lock().unwrap_or_else(PoisonError::into_inner);
    packed("swift");
    let said = Command::new(target().join("bindgen/debug/beatbook-bindgen"))
        .arg("surface")
        .arg(library())
        .output()
        .unwrap();
    passed("surface", &said);
    let (now, written) = (
        String::from_utf8(said.stdout).unwrap(),
        std::fs::read_to_string(root().join("ffi/surface.json")).unwrap(),
    );
    let changed: Vec<&str> = now
        .lines()
        .filter(|line| !written.lines().any(|written| written == *line))
        .collect();
    assert!(
        now == written,
        "the surface has changed: put `make surface`'s file and a line of CHANGELOG into the same commit. New or changed: {changed:#?}"
    );
}

#[test]
fn the_changelog_speaks_of_the_surface_as_it_is() {
    let surface = std::fs::read(root().join("ffi/surface.json")).unwrap();
    let mark = &Hash::of(&[&surface]).to_string()[..12];
    let changelog = std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(
        changelog.contains(&format!("`ffi/surface.json` {mark}")),
        "the surface has changed: say in CHANGELOG.md what, and that `ffi/surface.json` is {mark} now"
    );
}

/// Files of a folder and those below it, as one text without indentation.
fn text_below(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&text_below(&path));
        } else if let Ok(content) = std::fs::read_to_string(&path) {
            text.push_str(&flat(&content));
        }
    }
    text
}

fn flat(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn samples_of_the_guide_stand_in_programs_that_run() {
    let guide = std::fs::read_to_string(root().join("docs/ffi.md")).unwrap();
    let mut found = 0;
    for (language, folder) in [
        ("kotlin", "ffi/kotlin/examples"),
        ("python", "ffi/python/examples"),
        ("swift", "ffi/swift"),
    ] {
        let programs = text_below(&root().join(folder));
        for sample in guide.split(&format!("```{language}\n")).skip(1) {
            let sample = flat(sample.split("```").next().unwrap());
            assert!(
                programs.contains(&sample),
                "no program below {folder} has this sample of docs/ffi.md:\n{sample}"
            );
            found += 1;
        }
    }
    assert!(found > 7, "only {found} samples were found");
}
