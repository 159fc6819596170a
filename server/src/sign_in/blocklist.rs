//! Passwords that are tried first: those of a file that the operator names, and what follows from a few rules. Knows no accounts: the words of
//! the case are given.

use beatbook_protocol::id::Hash;

use super::password::normal;

/// Fewer characters than these beside words and runs are no password.
const REST_CHARS_MIN: usize = 5;
/// Shorter words are part of too much to be taken out of it.
const WORD_CHARS_MIN: usize = 2;
/// A run or a repetition shorter than this may be part of anything.
const RUN_CHARS_MIN: usize = 4;
/// The longest piece whose repetition is looked for.
const PIECE_CHARS_MAX: usize = 6;

/// Words that stand in passwords everywhere, and in those of police stations.
const EVERYWHERE: &[&str] = &[
    "password",
    "passw0rd",
    "passwort",
    "administrator",
    "admin",
    "welcome",
    "letmein",
    "iloveyou",
    "woaini",
    "monkey",
    "dragon",
    "master",
    "sunshine",
    "football",
    "princess",
    "superman",
    "batman",
    "secret",
    "login",
    "hello",
    "police",
    "beatbook",
    "station",
    "chief",
    "jingcha",
    "paichusuo",
    "gongan",
    "mima",
    "zhongguo",
    "beijing",
    "密码",
    "警察",
    "民警",
    "公安",
    "派出所",
    "所长",
    "中国",
    "北京",
    "我爱你",
    "5201314",
    "1314520",
    "110110",
];

/// Rows of a keyboard, read in either direction.
const KEYBOARD: &[&str] = &[
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qazwsxedcrfvtgbyhnujm",
    "1qaz2wsx3edc4rfv5tgb6yhn",
    "1q2w3e4r5t6y7u8i9o0p",
];

/// Words of the case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words<'a> {
    /// The station's name.
    pub(crate) station: &'a str,
    /// The person's name.
    pub(crate) person: &'a str,
    /// The account's name.
    pub(crate) account: &'a str,
}

/// Common passwords.
#[derive(Debug, Default)]
pub(crate) struct Blocklist {
    /// The first eight bytes of each one's hash, sorted: a million of them take 8 MB, and a stranger is taken for one of them once in 10^13.
    marks: Vec<u64>,
}

impl Blocklist {
    /// Takes the lines of a file. Spaces at the ends and the case of letters do not count.
    pub(crate) fn of(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("#!comment"));
        let mut marks: Vec<u64> = lines.map(|line| mark(&folded(line))).collect();
        marks.sort_unstable();
        marks.dedup();
        Self { marks }
    }

    /// Whether a password is one that is tried first.
    pub(crate) fn holds(&self, password: &str, words: &Words<'_>) -> bool {
        let password = folded(password.trim());
        self.marks.binary_search(&mark(&password)).is_ok() || is_person_number(&password) || is_thin(&password, words)
    }
}

/// Whether nothing much is left of it beside words and runs.
fn is_thin(password: &str, words: &Words<'_>) -> bool {
    let of_case = [words.station, words.person, words.account];
    let mut known: Vec<String> = EVERYWHERE.iter().map(|word| (*word).to_owned()).collect();
    known.extend(of_case.iter().map(|word| folded(word.trim())));
    known.extend(of_case.iter().flat_map(|words| words.split_whitespace()).map(folded));
    // Longer words first: "administrator" is no "admin" with an ending.
    known.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rest = password.to_owned();
    for word in known.iter().filter(|word| word.chars().count() >= WORD_CHARS_MIN) {
        // A space in its place: what stood apart does not become a run.
        rest = rest.replace(word.as_str(), " ");
    }
    let chars: Vec<char> = rest.chars().filter(|c| c.is_alphanumeric()).collect();
    without_runs(&chars) < REST_CHARS_MIN
}

/// Characters that stand in no run, repetition or row of the keyboard, plus one for each of these.
fn without_runs(chars: &[char]) -> usize {
    let (mut at, mut left) = (0, 0);
    while let Some(rest) = chars.get(at..).filter(|rest| !rest.is_empty()) {
        let run = run_len(rest).max(repetition_len(rest)).max(row_len(rest));
        at += run.max(1);
        left += 1;
    }
    left
}

/// Length of the run of neighbours that begins here (`3456`, `dcba`, `aaaa`); 0 when it is short.
fn run_len(chars: &[char]) -> usize {
    let steps = [-1_i64, 0, 1].map(|step| {
        let follows = |pair: &[char]| matches!(pair, [a, b] if i64::from(u32::from(*b)) - i64::from(u32::from(*a)) == step);
        1 + chars.windows(2).take_while(|pair| follows(pair)).count()
    });
    long_enough(steps.into_iter().max().unwrap_or(0))
}

/// Length of the repetition of one piece that begins here (`abcabc`, `520520`); 0 when there is none.
fn repetition_len(chars: &[char]) -> usize {
    let of_piece = |piece: usize| {
        let same = chars.iter().zip(chars.iter().skip(piece)).take_while(|(a, b)| a == b).count();
        if same >= piece { piece + same } else { 0 }
    };
    long_enough((1..=PIECE_CHARS_MAX).map(of_piece).max().unwrap_or(0))
}

/// Length of what is read off the keyboard here; 0 when it is short.
fn row_len(chars: &[char]) -> usize {
    let longest = |row: &[char]| {
        let from = |at: usize| row.iter().skip(at).zip(chars).take_while(|(a, b)| a == b).count();
        (0..row.len()).map(from).max().unwrap_or(0)
    };
    let both = |row: &&str| {
        let there: Vec<char> = row.chars().collect();
        let back: Vec<char> = row.chars().rev().collect();
        longest(&there).max(longest(&back))
    };
    long_enough(KEYBOARD.iter().map(both).max().unwrap_or(0))
}

const fn long_enough(len: usize) -> usize {
    if len >= RUN_CHARS_MIN { len } else { 0 }
}

/// A date, a mobile number, or an identity number: anybody at the station has it at hand.
fn is_person_number(password: &str) -> bool {
    let plain: String = password.chars().filter(|c| !matches!(c, '-' | '.' | '/' | ' ')).collect();
    let Some((last, front)) = plain.as_bytes().split_last() else {
        return false;
    };
    if !front.iter().all(u8::is_ascii_digit) || !(last.is_ascii_digit() || *last == b'x') {
        return false;
    }
    let number = |from: usize, to: usize| plain.get(from..to).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let is_date =
        |year: u32, month: u32, day: u32| (1900..=2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    match plain.len() {
        8 => is_date(number(0, 4), number(4, 6), number(6, 8)) || is_date(number(4, 8), number(2, 4), number(0, 2)),
        11 => plain.starts_with('1'),
        18 => is_date(number(6, 10), number(10, 12), number(12, 14)),
        _ => false,
    }
}

fn folded(text: &str) -> String {
    normal(text).to_lowercase()
}

fn mark(text: &str) -> u64 {
    let hash = Hash::of(&[b"beatbook/blocklist/1\0", text.as_bytes()]);
    hash.as_bytes()
        .iter()
        .take(8)
        .fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words<'_> = Words {
        station: "朝阳派出所",
        person: "Wang Xiaoming",
        account: "wxm081234",
    };

    #[test]
    fn what_is_tried_first_is_refused() {
        let list = Blocklist::of("#!comment: the most common\ncorrecthorse\n  TrustNo1  \n\n");
        for password in [
            "correcthorse",
            "CorrectHorse",
            "ｃｏｒｒｅｃｔｈｏｒｓｅ",
            "trustno1",
            "aaaaaaaaaaaaaaaa",
            "1234567890123456",
            "9876543210abcdefg",
            "abcabcabcabcabc",
            "password12345678",
            "P@ssword1234567".replace('@', "a").as_str(),
            "qwertyuiopasdfghjkl",
            "1qaz2wsx3edc",
            "朝阳派出所2024",
            "朝阳派出所朝阳派出所",
            "wangxiaoming123",
            "Wang.Xiaoming.!",
            "WXM081234wxm081234",
            "beatbook beatbook",
            "19870312",
            "12-03-1987",
            "13812345678",
            "11010519491231002X",
            "110105194912310021",
            "administrator1234",
            "密码密码密码密码12",
            "1q2w3e4r5t6y",
            "20242024202420",
            "!!!!!!!!!!!!!!!",
            "               ",
        ] {
            assert!(list.holds(password, &WORDS), "{password}");
        }
    }

    #[test]
    fn what_a_person_made_up_is_taken() {
        let list = Blocklist::of("correcthorse\n");
        for password in [
            "correcthorse battery",
            "seven kettles on the roof",
            "雨夜里卖糖葫芦的老人",
            "gT7#kd93",
            "my dog eats 3 police hats",
            "朝阳桥下第三棵柳树开花",
            "zh4o-bIr9x",
        ] {
            assert!(!list.holds(password, &WORDS), "{password}");
        }
    }
}
