//! How text becomes words, the same for what is indexed and for what is asked: each Chinese character is a word of its own, so that a
//! phrase of two finds any two that stand together; everything else is words of letters and digits in lower case. Beside them stand
//! the pinyin initials of each run of Chinese characters, in overlapping pairs. Knows no table.

use std::fmt::Write;

use super::han;

/// The first letter of each Chinese character's reading, by its place; 0 where it has none.
static INITIALS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/initials.bin"));
/// Stands between fields, so that no phrase reaches over their border. A private-use character: nobody types it.
pub(crate) const BARRIER: char = '\u{e000}';

/// Terms of a question that are looked for; more only make it slower.
const TERMS_MAX: usize = 8;
/// Words of one term.
const WORDS_MAX: usize = 64;

/// The words of a text with one space between.
pub(crate) fn words(text: &str) -> String {
    tokens(text).join(" ")
}

/// The pinyin initials of each run of Chinese characters: `中关村` gives `zg gc`. Pairs, since single letters are in every text.
pub(crate) fn initials(text: &str) -> String {
    let mut pairs = String::new();
    let mut before: Option<char> = None;
    for character in text.chars() {
        let letter = if is_han(character) { initial(character) } else { None };
        match (before, letter) {
            (Some(one), Some(other)) => {
                if !pairs.is_empty() && !pairs.ends_with(' ') {
                    pairs.push(' ');
                }
                pairs.push(one);
                pairs.push(other);
            }
            (Some(_), None) if !pairs.is_empty() && !pairs.ends_with(BARRIER) => {
                let _ = write!(pairs, " {BARRIER}");
            }
            _ => {}
        }
        before = letter;
    }
    pairs
}

/// The question in the index's own language; none when the text holds no word. Whatever somebody types, it is only words here.
pub(crate) fn question(text: &str) -> Option<String> {
    let terms: Vec<String> = text.split_whitespace().filter_map(term).take(TERMS_MAX).collect();
    (!terms.is_empty()).then(|| terms.join(" AND "))
}

fn term(text: &str) -> Option<String> {
    let mut tokens = tokens(text);
    tokens.retain(|token| !token.contains(BARRIER));
    tokens.truncate(WORDS_MAX);
    let last = tokens.last()?;
    // The last word may still be half typed; a Chinese character is whole.
    let half = if last.chars().all(is_han) { "" } else { "*" };
    let phrase = format!("words : \"{}\" {half}", tokens.join(" "));
    let [word] = tokens.as_slice() else {
        return Some(format!("({phrase})"));
    };
    let letters: Vec<char> = word.chars().collect();
    if letters.len() < 2 || !letters.iter().all(char::is_ascii_lowercase) {
        return Some(format!("({phrase})"));
    }
    let pairs: Vec<String> = letters.windows(2).map(|pair| pair.iter().collect()).collect();
    Some(format!("({phrase} OR initials : \"{}\")", pairs.join(" ")))
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    for character in text.chars().map(narrow) {
        if character.is_alphanumeric() && !is_han(character) {
            word.extend(character.to_lowercase().filter(|lower| lower.is_alphanumeric()));
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if is_han(character) || character == BARRIER {
            tokens.push(character.to_string());
        }
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

/// Full-width letters and digits (`Ａ１`), which Chinese keyboards write, as the plain ones.
fn narrow(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character),
        _ => character,
    }
}

fn is_han(character: char) -> bool {
    han::place(character).is_some()
}

fn initial(character: char) -> Option<char> {
    let letter = *INITIALS.get(han::place(character)?)?;
    (letter != 0).then(|| char::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_characters_are_words_and_latin_words_stay_whole() {
        assert_eq!(
            words("中关村大街27号 Fire-Safety ＡＢ１"),
            "中 关 村 大 街 27 号 fire safety ab1"
        );
        assert_eq!(words("  ,.!'\"  "), "");
    }

    #[test]
    fn initials_stand_in_pairs_and_do_not_reach_over_gaps() {
        assert_eq!(initials("中关村"), "zg gc");
        assert_eq!(initials("中"), "");
        // The first and the last character of several blocks, and one without a reading.
        assert_eq!(initials("〇㐀一龥"), "lq qy yy");
        assert_eq!(initials("中\u{20000}\u{323af}关"), format!("zh {BARRIER}"));
        assert_eq!(initials("中关1号楼"), format!("zg {BARRIER} hl"));
    }

    #[test]
    fn a_question_is_only_ever_words() {
        assert_eq!(question("中关").as_deref(), Some("(words : \"中 关\" )"));
        assert_eq!(
            question("ZGC").as_deref(),
            Some("(words : \"zgc\" * OR initials : \"zg gc\")")
        );
        assert_eq!(question("\" OR * NEAR("), question("or near"));
        for nothing in ["", "   ", "\"'*^:(){}", "\u{e000}", "😀"] {
            assert_eq!(question(nothing), None, "{nothing:?}");
        }
    }
}
