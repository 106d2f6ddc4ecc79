//! The characters of a text as they are looked at: escapes of JSON, also in JSON inside of JSON, are what they stand for,
//! full-width letters are plain ones, and characters that cannot be seen are not there.

/// The characters of a text, and where each begins in it: an unseen one belongs to what follows.
pub struct Units {
    pub chars: Vec<char>,
    /// One more than there are characters: behind them, there is what cannot be seen, or cannot be told yet.
    pub starts: Vec<usize>,
    /// Of JSON: whether each character stands inside of a string.
    pub quotes: Vec<bool>,
    /// The end stands inside of a string.
    pub quoted: bool,
}

/// Unseen characters in a row that are passed over, and backslashes that are read as one escape.
const UNSEEN: usize = 4;
const SLASHES: usize = 16;

/// Of JSON with `json`, beginning inside of a string with `quoted`; without `ends`, more may follow.
pub fn units(text: &str, json: bool, mut quoted: bool, ends: bool) -> Units {
    let bytes = text.as_bytes();
    let mut chars = Vec::with_capacity(text.len());
    let mut starts = Vec::with_capacity(text.len() + 1);
    let mut quotes = Vec::with_capacity(if json { text.len() } else { 0 });
    let mut unseen = 0;
    let mut start = 0;
    let mut at = 0;
    while at < bytes.len() {
        let (c, length) = match bytes[at] {
            b'\\' => match escape(&bytes[at..], json && quoted) {
                Escape::Is(c, length) => (c, length),
                Escape::Cut if !ends => break,
                Escape::Cut => ('\\', 1),
            },
            byte if byte < 0x80 => (char::from(byte), 1),
            _ => text[at..].chars().next().map_or(('\0', 1), |c| (c, c.len_utf8())),
        };
        at += length;
        let c = if c < '\u{80}' { c } else { fold(c) };
        if c == UNSEEN_CHAR && unseen < UNSEEN {
            unseen += 1;
            continue;
        }
        unseen = 0;
        chars.push(c);
        starts.push(start);
        start = at;
        if json {
            quotes.push(quoted);
            if c == '"' && length == 1 {
                quoted = !quoted;
            }
        }
    }
    starts.push(start);
    Units { chars, starts, quotes, quoted }
}

/// What stands for all characters that cannot be seen.
const UNSEEN_CHAR: char = '\u{200b}';

fn fold(c: char) -> char {
    match c {
        '\u{ff10}'..='\u{ff19}' | '\u{ff20}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => char::from((c as u32 - 0xfee0) as u8),
        '\u{ff08}' | '\u{ff09}' | '\u{ff0b}' | '\u{ff0d}'..='\u{ff0f}' | '\u{ff3f}' => char::from((c as u32 - 0xfee0) as u8),
        '\u{fe6b}' => '@',
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}' => UNSEEN_CHAR,
        _ => c,
    }
}

/// What separates the parts of numbers, on one line.
pub fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '/' | '(' | ')')
        || (c > '\u{7f}' && matches!(c, '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{2010}'..='\u{2015}' | '\u{202f}' | '\u{205f}' | '\u{2212}' | '\u{3000}'))
}

enum Escape {
    /// A character, and the bytes that stand for it.
    Is(char, usize),
    /// It takes more bytes to know.
    Cut,
}

/// What begins with a backslash. `exact`: the bytes are inside of a string of JSON, where an even number of backslashes in
/// front of a quote does not escape it.
fn escape(bytes: &[u8], exact: bool) -> Escape {
    let count = bytes.iter().take(SLASHES).take_while(|byte| **byte == b'\\').count();
    let next = match bytes.get(count) {
        None => return Escape::Cut,
        Some(next) => *next,
    };
    let odd = count % 2 == 1;
    match next {
        b'\\' => Escape::Is('\\', count),
        b'"' if exact && !odd => Escape::Is('\\', count),
        b'"' | b'/' => Escape::Is(char::from(next), count + 1),
        b'n' => Escape::Is('\n', count + 1),
        b'r' => Escape::Is('\r', count + 1),
        b't' => Escape::Is('\t', count + 1),
        // Not in other texts: what follows a backslash there is rather a name.
        b'b' | b'f' if exact && odd => Escape::Is('\u{8}', count + 1),
        b'u' => code(bytes, count),
        _ => Escape::Is('\\', count),
    }
}

/// `\u0040`, or a pair of them, each with so many backslashes.
fn code(bytes: &[u8], slashes: usize) -> Escape {
    let length = slashes + 5;
    let high = match hex(&bytes[slashes + 1..]) {
        Hex::Is(high) => high,
        Hex::Cut => return Escape::Cut,
        Hex::No => return Escape::Is('\\', slashes),
    };
    if (0xd800..0xdc00).contains(&high) {
        let rest = &bytes[length..];
        let begins = rest.iter().take(slashes).all(|byte| *byte == b'\\');
        match rest.get(slashes) {
            None if begins => return Escape::Cut,
            Some(b'u') if begins => match hex(&rest[slashes + 1..]) {
                Hex::Is(low) if (0xdc00..0xe000).contains(&low) => {
                    return Escape::Is(char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or('\u{fffd}'), 2 * length);
                }
                Hex::Cut => return Escape::Cut,
                _ => {}
            },
            _ => {}
        }
    }
    Escape::Is(char::from_u32(high).unwrap_or('\u{fffd}'), length)
}

enum Hex {
    Is(u32),
    Cut,
    No,
}

fn hex(bytes: &[u8]) -> Hex {
    let mut sum = 0;
    for index in 0..4 {
        match bytes.get(index).map(|byte| char::from(*byte).to_digit(16)) {
            None => return Hex::Cut,
            Some(None) => return Hex::No,
            Some(Some(digit)) => sum = sum * 16 + digit,
        }
    }
    Hex::Is(sum)
}
