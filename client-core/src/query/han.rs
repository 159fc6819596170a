//! Which characters are Chinese, and where the table of their pinyin initials has each. The build script, which draws that table, reads this
//! file too.

use std::ops::RangeInclusive;

/// The blocks of Unicode with Chinese characters, in the order in which the table has them.
pub(crate) const BLOCKS: [RangeInclusive<u32>; 5] = [
    0x3007..=0x3007,
    0x3400..=0x4dbf,
    0x4e00..=0x9fff,
    0xf900..=0xfaff,
    0x20000..=0x323af,
];

/// A Chinese character's place in the table; none of any other character.
pub(crate) fn place(character: char) -> Option<usize> {
    let code = u32::from(character);
    let mut before = 0;
    for block in &BLOCKS {
        if block.contains(&code) {
            return Some(before + (code - block.start()) as usize);
        }
        before += (block.end() - block.start() + 1) as usize;
    }
    None
}
