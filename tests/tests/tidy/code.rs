//! Rust text without its comments, strings and characters, so that a rule about code is not met by a word in prose.
//! It is not a parser: it knows tokens, not meaning.

/// The code of a file: comments and literals blanked, lines and columns kept.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        let follows_word = at > 0 && is_word(code[at - 1]);
        match opaque_len(&text.as_bytes()[at..], follows_word) {
            0 => at += 1,
            len => {
                code[at..at + len]
                    .iter_mut()
                    .filter(|byte| **byte != b'\n')
                    .for_each(|byte| *byte = b' ');
                at += len;
            }
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// Whether code has `word` as a whole word.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    whole_words(code, word).next().is_some()
}

/// Whether code names the crate `name`: as the head of a path, or in a `use` or `extern crate`.
pub(crate) fn names_crate(code: &str, name: &str) -> bool {
    whole_words(code, name).any(|(before, after)| {
        let last = before.trim_end().rsplit(|c: char| c.is_whitespace()).next();
        after.trim_start().starts_with("::") || matches!(last, Some("use" | "crate")) || after.trim_start().starts_with("as ")
    })
}

/// The insides of every attribute, `#[...]` and `#![...]`.
pub(crate) fn attributes(code: &str) -> Vec<&str> {
    let starts = code.match_indices('#').filter_map(|(at, _)| {
        let rest = code[at + 1..].trim_start();
        let rest = rest.strip_prefix('!').unwrap_or(rest).trim_start();
        rest.strip_prefix('[')
    });
    starts.map(|rest| &rest[..closing(rest)]).collect()
}

/// Each place where `word` stands as a whole word: the text before it and after it.
fn whole_words<'t>(code: &'t str, word: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
    code.match_indices(word)
        .map(move |(at, _)| (&code[..at], &code[at + word.len()..]))
        .filter(|(before, after)| !before.bytes().next_back().is_some_and(is_word) && !after.bytes().next().is_some_and(is_word))
}

fn closing(rest: &str) -> usize {
    let mut depth = 1;
    for (at, c) in rest.char_indices() {
        depth += match c {
            '[' => 1,
            ']' => -1,
            _ => 0,
        };
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Length of the comment or literal that starts here; 0 when none does.
fn opaque_len(rest: &[u8], follows_word: bool) -> usize {
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_len(rest),
        [b'"', ..] => string_len(rest),
        [b'\'', ..] => char_len(rest),
        [b'r', b'"' | b'#', ..] if !follows_word => raw_string_len(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !follows_word => raw_string_len(rest, 2),
        _ => 0,
    }
}

fn block_comment_len(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn string_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal; a lifetime is none.
fn char_len(rest: &[u8]) -> usize {
    if let [_, b'\\', _, tail @ ..] = rest {
        return tail.iter().position(|byte| *byte == b'\'').map_or(rest.len(), |at| at + 4);
    }
    let first = String::from_utf8_lossy(&rest[1..rest.len().min(5)]).chars().next();
    match first {
        Some(c) if rest.get(1 + c.len_utf8()) == Some(&b'\'') => c.len_utf8() + 2,
        _ => 0,
    }
}

/// A raw string; `r#word` is none.
fn raw_string_len(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return 0;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = &rest[open + 1..];
    body.windows(close.len())
        .position(|window| window == close)
        .map_or(rest.len(), |at| open + 1 + at + close.len())
}

#[test]
fn prose_and_literals_are_not_code() {
    let text =
        "a // sql\n/* sql /* sql */ sql */ b \"sql\\\" sql\" r#\"sql \" sql\"# '\\'' '\"' c 'd' '字' &'life e sql2 br\"sql\" f";
    let code = code_of(text);
    assert!(!has_word(&code, "sql"), "{code}");
    for word in ["a", "b", "c", "life", "e", "f", "sql2"] {
        assert!(has_word(&code, word), "{word} in {code}");
    }
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn a_crate_is_named_by_paths_and_uses_and_not_by_variables() {
    for code in [
        "automerge::Change",
        "use automerge;",
        "extern crate automerge;",
        "use {automerge as am}",
        "&automerge ::Change",
    ] {
        assert!(names_crate(code, "automerge"), "{code}");
    }
    for code in [
        "let automerge = 1;",
        "my_automerge::x()",
        "automerge_of::x()",
        "entry.automerge",
    ] {
        assert!(!names_crate(code, "automerge"), "{code}");
    }
}

#[test]
fn attributes_are_found_with_their_brackets() {
    assert_eq!(attributes("#![a] fn f() {} #[b([1], c)] x[1] # [d]"), ["a", "b([1], c)", "d"]);
}
