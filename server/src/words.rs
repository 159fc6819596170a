//! Words for full-text search: each CJK character stands alone, so that any two that follow each other are found as a phrase. The phone
//! does the same; a word found there is found here.

/// The text as the index takes it.
pub(crate) fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 3);
    for character in text.chars() {
        if is_cjk(character) {
            out.push(' ');
            out.push(character);
            out.push(' ');
        } else {
            out.push(character);
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What people type as a query of FTS5: every word must occur; Latin words may go on. None when nothing is asked.
pub(crate) fn query(text: &str) -> Option<String> {
    let terms: Vec<String> = text
        .split_whitespace()
        .map(|term| term.replace('"', " "))
        .filter(|term| term.chars().any(char::is_alphanumeric))
        .map(|term| {
            let prefix = if term.chars().last().is_some_and(is_cjk) { "" } else { "*" };
            format!("\"{}\"{prefix}", spaced(&term))
        })
        .collect();
    (!terms.is_empty()).then(|| terms.join(" "))
}

/// A snippet of the index as people read it.
pub(crate) fn unspaced(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    for (at, character) in characters.iter().enumerate() {
        let before = characters[..at]
            .iter()
            .rev()
            .find(|before| !matches!(before, '[' | ']' | ' '));
        let after = characters[at + 1..].iter().find(|after| !matches!(after, '[' | ']'));
        let between = before.copied().is_some_and(is_cjk) && after.copied().is_some_and(is_cjk);
        if *character != ' ' || !between {
            out.push(*character);
        }
    }
    out
}

fn is_cjk(character: char) -> bool {
    matches!(u32::from(character), 0x2e80..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chinese_character_is_a_word_of_its_own() {
        assert_eq!(spaced("朝阳路12号 Room 3"), "朝 阳 路 12 号 Room 3");
        assert_eq!(query("阳路 roo").as_deref(), Some("\"阳 路\" \"roo\"*"));
        assert_eq!(query(" \" ' "), None);
    }

    #[test]
    fn a_snippet_reads_as_it_was_written() {
        assert_eq!(unspaced("朝 [阳 路] 12 号"), "朝[阳路] 12 号");
    }
}
