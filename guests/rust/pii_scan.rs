//! One pass over JSON that says whether there could be personal data in its texts: most of the time there is nothing, and
//! then nothing has to be read, changed and written. It says yes too often rather than too rarely.
use crate::pii_numbers::iban_length;

/// Bytes at which something is looked at more closely: of those whose upper four bits are the index, which have which lower
/// four bits. Sixteen are looked at in one step.
const MARKS: &[u8] = b"\"-0123456789:@IJ[\\_\xc2\xe2\xef";
const UPPER: [u8; 16] = [0, 0, 1, 2, 4, 8, 0, 0, 0, 0, 0, 0, 16, 0, 32, 64];
const LOWER: [u8; 16] = lower();

const fn lower() -> [u8; 16] {
    let mut table = [0; 16];
    let mut index = 0;
    while index < MARKS.len() {
        table[(MARKS[index] & 15) as usize] |= UPPER[(MARKS[index] >> 4) as usize];
        index += 1;
    }
    table
}

fn is_marked(byte: u8) -> bool {
    LOWER[(byte & 15) as usize] & UPPER[(byte >> 4) as usize] != 0
}

/// The next of these bytes; the end if there is none.
#[inline]
fn next_mark(json: &[u8], mut at: usize) -> usize {
    use std::arch::wasm32::*;
    while at + 16 <= json.len() {
        // The sixteen bytes are inside of the slice, and such a load needs no alignment.
        let marked = unsafe {
            let bytes = v128_load(json.as_ptr().add(at) as *const v128);
            let upper = i8x16_swizzle(v128_load(UPPER.as_ptr() as *const v128), u8x16_shr(bytes, 4));
            let lower = i8x16_swizzle(v128_load(LOWER.as_ptr() as *const v128), v128_and(bytes, u8x16_splat(15)));
            u8x16_bitmask(u8x16_ne(v128_and(upper, lower), u8x16_splat(0)))
        };
        if marked != 0 {
            return at + marked.trailing_zeros() as usize;
        }
        at += 16;
    }
    while at < json.len() && !is_marked(json[at]) {
        at += 1;
    }
    at
}

/// What is looked for.
#[derive(Clone, Copy)]
pub struct Looks {
    pub data: bool,
    /// Placeholders.
    pub brackets: bool,
    /// Numbers that are no texts.
    pub numbers: bool,
}

/// Where the value ends that begins at `at`; none as soon as there could be something, or if the value does not end.
pub fn nothing_until(json: &[u8], mut at: usize, looks: Looks) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match *json.get(at)? {
            b'"' => {
                at = nothing_in_text(json, at + 1, looks)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                if depth <= 1 {
                    return Some(at + depth);
                }
                depth -= 1;
            }
            b',' if depth == 0 => return Some(at),
            // The number of a card: others cannot be without quotes.
            b'0'..=b'9' if looks.numbers && json[at..].iter().take(13).filter(|byte| byte.is_ascii_digit()).count() == 13 => return None,
            _ => {}
        }
        at += 1;
    }
}

fn nothing_in_text(json: &[u8], mut at: usize, looks: Looks) -> Option<usize> {
    loop {
        at = next_mark(json, at);
        match *json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                // An escape that could be anything, also in JSON inside of the text.
                let slashes = json[at..].iter().take_while(|byte| **byte == b'\\').count();
                if *json.get(at + slashes)? == b'u' {
                    return None;
                }
                at += slashes + slashes % 2;
            }
            b'[' if looks.brackets => return None,
            // Letters and digits of full width, and what cannot be seen.
            0xc2 | 0xe2 | 0xef => {
                if looks.data && is_folded(&json[at..]) {
                    return None;
                }
                at += 1;
            }
            b'0'..=b'9' if looks.data => at = nothing_in_number(json, at)?,
            b'[' => at += 1,
            _ if looks.data && is_mark(json, at) => return None,
            _ => at += 1,
        }
    }
}

/// The end of a run of digits and what separates them; none if it could be a number of the kinds looked for.
fn nothing_in_number(json: &[u8], from: usize) -> Option<usize> {
    if could_be_iban(json, from) {
        return None;
    }
    let mut digits = 0;
    let mut dots = 0;
    let mut at = from;
    loop {
        match *json.get(at)? {
            b'0'..=b'9' => digits += 1,
            0xc2 | 0xe2 | 0xef if is_folded(&json[at..]) => return None,
            b'.' | 0xef => dots += 1,
            b' ' | b'(' | b')' | b'/' | b'-' | 0x80..=0xff => {}
            // What breaks a line, and escapes in JSON inside of the text; a quote may be the end.
            b'\\' => {
                let slashes = json[at..].iter().take_while(|byte| **byte == b'\\').count();
                match *json.get(at + slashes)? {
                    b'n' | b'r' | b't' | b'/' => at += slashes,
                    _ => break,
                }
            }
            _ => break,
        }
        at += 1;
    }
    if digits > 6 || dots > 2 {
        return None;
    }
    Some(at)
}

fn is_folded(json: &[u8]) -> bool {
    match json {
        [0xc2, 0xad, ..] | [0xe2, 0x80, 0x8b..=0x8f | 0xaa..=0xae, ..] | [0xe2, 0x81, 0xa0..=0xaf, ..] | [0xef, 0xbb, 0xbf, ..] => true,
        [0xef, 0xbc, 0x90..=0x99 | 0xa0..=0xba, ..] | [0xef, 0xbd, 0x81..=0x9a, ..] | [0xef, 0xb9, 0xab, ..] => true,
        _ => false,
    }
}

fn could_be_iban(json: &[u8], at: usize) -> bool {
    if at < 3 || !json.get(at + 1).map_or(false, u8::is_ascii_digit) {
        return false;
    }
    let country = [char::from(json[at - 2]).to_ascii_uppercase(), char::from(json[at - 1]).to_ascii_uppercase()];
    let inside = json[at - 3].is_ascii_alphanumeric() && (at < 4 || json[at - 4] != b'\\');
    !inside && iban_length(country).is_some()
}

fn is_mark(json: &[u8], at: usize) -> bool {
    let before = &json[..at];
    let next = json.get(at + 1).copied().unwrap_or(0);
    match json[at] {
        b'@' => true,
        // The next colon of an address is four digits away at most.
        b':' => next == b':' || (next.is_ascii_hexdigit() && json[at + 2..].iter().take(4).any(|byte| *byte == b':')),
        b'_' => before.ends_with(b"github") || (before.len() > 2 && before[..before.len() - 1].ends_with(b"gh")),
        b'-' => before.ends_with(b"sk") || (before.len() > 3 && before[..before.len() - 1].ends_with(b"xox")),
        b'I' => next == b'A' || next == b'z',
        b'J' => before.ends_with(b"ey"),
        _ => false,
    }
}
