//! Draws the table of pinyin initials. Search wants a letter of each Chinese character and no more; whole readings are 0.2 MB in an app, and
//! pack half as well.

use std::path::PathBuf;
use std::{env, fs, io};

use pinyin::ToPinyin;

#[expect(dead_code, reason = "it draws the table, and has no use for places in it")]
#[path = "src/query/han.rs"]
mod han;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/query/han.rs");
    let table: Vec<u8> = han::BLOCKS.iter().cloned().flatten().map(initial).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(out.join("initials.bin"), table)
}

/// The first letter of a character's reading; 0 where it has none.
fn initial(code: u32) -> u8 {
    char::from_u32(code)
        .and_then(|character| character.to_pinyin())
        .and_then(|reading| reading.plain().bytes().next())
        .filter(u8::is_ascii_lowercase)
        .unwrap_or(0)
}
