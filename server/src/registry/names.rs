//! Names of units, people and devices as they are kept: what can be shown, found again and told apart. Knows nothing of whose they are.

use crate::error::StationError;

/// Letters and signs of a name at most.
const NAME_CHARS_MAX: usize = 80;

/// A name as it is kept, without spaces around it.
///
/// # Errors
/// When it is empty, too long, or holds what nobody sees; the text names `what` it is the name of.
pub(crate) fn check(what: &str, name: &str) -> Result<String, StationError> {
    let name = name.trim();
    match fault(name) {
        None if name.is_empty() => Err(StationError::Invalid(format!(
            "{what}'s name has 1 to {NAME_CHARS_MAX} characters"
        ))),
        None => Ok(name.to_owned()),
        Some(fault) => Err(StationError::Invalid(format!("{what}'s name {fault}"))),
    }
}

/// What is wrong with a name, to be read behind its owner; an empty one has no fault of its own.
pub(crate) fn fault(name: &str) -> Option<String> {
    if name.chars().count() > NAME_CHARS_MAX {
        return Some(format!("has 1 to {NAME_CHARS_MAX} characters"));
    }
    let unseen = name.chars().find(|letter| letter.is_control() || is_unseen(*letter))?;
    Some(format!(
        "holds U+{:04X}, which nobody sees: control, zero-width and direction characters make two names look like one",
        u32::from(unseen)
    ))
}

/// Characters without a shape: zero-width ones, marks and overrides of direction (Unicode Bidirectional Algorithm, section 2), line and
/// paragraph separators, fillers, tags, and the byte order mark.
const fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A code of another register as it is kept.
///
/// # Errors
/// When it is no code.
pub(crate) fn check_code(code: &str) -> Result<String, StationError> {
    let code = code.trim();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    if code.is_empty() || code.len() > 40 || !code.chars().all(is_plain) {
        return Err(StationError::Invalid(
            "a code has 1 to 40 letters and digits of ASCII, with - _ . / between".into(),
        ));
    }
    Ok(code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_hides_something_is_no_name() {
        for name in [
            "李\u{202e}警官",
            "李\u{200b}警官",
            "李\n警官",
            "\u{feff}李",
            "李\u{2066}x\u{2069}",
            "a\u{7}",
            "\u{3164}",
        ] {
            let fault = check("a person", name).unwrap_err().to_string();
            assert!(fault.contains("U+"), "{fault}");
        }
        assert!(check("a person", "  ").is_err() && check("a person", &"长".repeat(81)).is_err());
        assert_eq!(check("a person", " 阿不都热依木·买买提 ").unwrap(), "阿不都热依木·买买提");
        assert_eq!(check("a unit", &"长".repeat(80)).unwrap().chars().count(), 80);
    }

    #[test]
    fn a_code_is_plain() {
        assert_eq!(check_code(" 110108-001 ").unwrap(), "110108-001");
        for code in ["", "一", "a b", "=1+1", &"1".repeat(41)] {
            assert!(check_code(code).is_err(), "{code}");
        }
    }
}
