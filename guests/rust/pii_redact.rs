//! Puts placeholders in the place of personal data, and back; in texts, in JSON inside of texts, whole or in pieces.
use crate::gateway_json::unescape;
use crate::pii_match::{is_key_char, Found, Kind, Window, BEFORE, KINDS};

/// What `init` was given.
pub struct Settings {
    pub wants: [bool; 7],
    pub numbered: bool,
    pub restore: bool,
    pub answers: bool,
}

// ---- values by number

/// Bytes of one attribute with values, and how many of them there may be: below what a request can have.
const PART_BYTES: usize = 4000;
const PARTS: usize = 16;
pub const VALUES: &str = "pii.v";

/// The values of a request that have numbers, one in a line: `EMAIL_1 ann@example.com`; without `restore` a digest of it.
pub struct Values {
    pub parts: Vec<String>,
    /// The first part that is not as it was given.
    pub changed: usize,
}

impl Values {
    pub fn of(parts: Vec<String>) -> Values {
        let changed = parts.len();
        Values { parts, changed }
    }

    /// The number of a value, the same for the same one; none if there is no room for another.
    fn number(&mut self, kind: Kind, value: &str, restore: bool) -> Option<usize> {
        let kept = if restore { value.to_string() } else { digest(value) };
        let label = kind.label();
        let mut last = 0;
        for line in self.parts.iter().flat_map(|part| part.lines()) {
            let (name, known) = split(line, ' ');
            let (other, number) = split(name, '_');
            if other != label {
                continue;
            }
            last = number.parse().unwrap_or(last);
            if known == kept {
                return Some(last);
            }
        }
        let line = format!("{}_{} {}\n", label, last + 1, kept);
        let count = self.parts.len();
        match self.parts.last_mut() {
            Some(part) if part.len() + line.len() <= PART_BYTES => part.push_str(&line),
            _ if count < PARTS => self.parts.push(line),
            _ => return None,
        }
        self.changed = self.changed.min(self.parts.len() - 1);
        Some(last + 1)
    }

    /// What a placeholder without its brackets stands for.
    fn value(&self, name: &str) -> Option<&str> {
        let lines = self.parts.iter().flat_map(|part| part.lines());
        lines.map(|line| split(line, ' ')).find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

fn split(text: &str, at: char) -> (&str, &str) {
    match text.find(at) {
        Some(index) => (&text[..index], &text[index + 1..]),
        None => (text, ""),
    }
}

/// FNV-1a in 64 bits: to tell values apart, not to hide them.
fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ byte as u64).wrapping_mul(0x100_0000_01b3));
    format!("{:016x}", hash)
}

// ---- one text

/// Where a text that comes in pieces stands.
#[derive(Clone)]
pub struct Channel {
    /// The last characters that went out.
    pub before: String,
    /// What is held back.
    pub held: String,
    /// The text is JSON, of which strings have escapes.
    pub json: bool,
    /// It stands inside of a string of that JSON.
    pub quoted: bool,
    /// It stands in a key that is longer than what is looked at.
    pub long: bool,
}

impl Channel {
    pub fn new(json: bool) -> Channel {
        Channel { before: String::new(), held: String::new(), json, quoted: false, long: false }
    }
}

/// What takes personal data out of texts, and puts it back.
pub struct Redactor<'a> {
    pub settings: &'a Settings,
    pub values: &'a mut Values,
    /// Placeholders become what they stand for.
    pub restores: bool,
    /// Personal data becomes placeholders.
    pub redacts: bool,
}

impl Redactor<'_> {
    /// A whole text; none if nothing of it changes.
    pub fn whole(&mut self, text: &str, json: bool) -> Option<String> {
        let out = self.push(&mut Channel::new(json), text, true);
        if out == text {
            None
        } else {
            Some(out)
        }
    }

    /// What goes out when a piece comes in; with `ends`, everything that was held back.
    pub fn push(&mut self, channel: &mut Channel, piece: &str, ends: bool) -> String {
        let joined;
        let text = if channel.held.is_empty() {
            piece
        } else {
            joined = format!("{}{}", channel.held, piece);
            &joined
        };
        let Units { chars, starts, quotes, quoted } = units(text, channel, ends);
        let mut before = ['\0'; BEFORE];
        for (slot, c) in before.iter_mut().rev().zip(channel.before.chars().rev()) {
            *slot = c;
        }
        let mut window = Window { chars: &chars, before, ends, run: None };
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        // Where what goes out as it is begins.
        let mut plain = 0;
        while at < chars.len() {
            if channel.long {
                if is_key_char(chars[at]) {
                    at += 1;
                    plain = at;
                    continue;
                }
                channel.long = false;
            }
            let placeholder = if self.restores && chars[at] == '[' { self.placeholder(&chars[at..], ends) } else { Restored::No };
            match placeholder {
                Restored::More => break,
                Restored::Yes(value, length) => {
                    out.push_str(&text[starts[plain]..starts[at]]);
                    out.push_str(&value);
                    at += length;
                    plain = at;
                    continue;
                }
                Restored::No => {}
            }
            let found = if self.redacts { window.look(at, &self.settings.wants) } else { Found::No };
            match found {
                Found::No => at += 1,
                Found::More => break,
                Found::Yes { kind, length, long } => {
                    out.push_str(&text[starts[plain]..starts[at]]);
                    let value: String = chars[at..at + length].iter().collect();
                    let bare = channel.json && !quotes[at];
                    if bare {
                        out.push('"');
                    }
                    self.write(kind, &value, long, &mut out);
                    if bare {
                        out.push('"');
                    }
                    at += length;
                    plain = at;
                    channel.long = long;
                }
            }
        }
        out.push_str(&text[starts[plain]..starts[at]]);
        let rest = starts[at];
        channel.quoted = quotes.get(at).copied().unwrap_or(quoted);
        let mut last: Vec<char> = channel.before.chars().collect();
        last.extend(&chars[at.saturating_sub(BEFORE)..at]);
        channel.before = last[last.len().saturating_sub(BEFORE)..].iter().collect();
        channel.held = text[rest..].to_string();
        out
    }

    fn write(&mut self, kind: Kind, value: &str, long: bool, out: &mut String) {
        let number = if self.settings.numbered && !long { self.values.number(kind, value, self.settings.restore) } else { None };
        out.push('[');
        out.push_str(kind.label());
        if let Some(number) = number {
            out.push('_');
            out.push_str(&number.to_string());
        }
        out.push(']');
    }

    /// The value of a placeholder, `[EMAIL_1]`: the longest has 16 characters.
    fn placeholder(&self, chars: &[char], ends: bool) -> Restored {
        let mut name = String::new();
        for c in chars.iter().skip(1).take(14) {
            if *c == ']' {
                return match self.values.value(&name) {
                    Some(value) => Restored::Yes(value.to_string(), name.len() + 2),
                    None => Restored::No,
                };
            }
            if !c.is_ascii() {
                return Restored::No;
            }
            name.push(*c);
            let possible = KINDS.iter().any(|(_, _, label)| {
                let shared = name.len().min(label.len());
                let mut number = name.bytes().skip(label.len());
                name[..shared] == label[..shared] && matches!(number.next(), None | Some(b'_')) && number.all(|byte| byte.is_ascii_digit())
            });
            if !possible {
                return Restored::No;
            }
        }
        if chars.len() < 15 && !ends {
            Restored::More
        } else {
            Restored::No
        }
    }
}

enum Restored {
    No,
    More,
    Yes(String, usize),
}

/// The characters of a text, where each begins in it (and the last ends), and whether it stands inside of a string.
struct Units {
    chars: Vec<char>,
    starts: Vec<usize>,
    quotes: Vec<bool>,
    /// The end stands inside of a string.
    quoted: bool,
}

fn units(text: &str, channel: &Channel, ends: bool) -> Units {
    let mut chars = Vec::with_capacity(text.len());
    let mut starts = Vec::with_capacity(text.len() + 1);
    let mut quotes = Vec::new();
    let mut quoted = channel.quoted;
    if !channel.json {
        for (at, c) in text.char_indices() {
            chars.push(c);
            starts.push(at);
        }
        starts.push(text.len());
        return Units { chars, starts, quotes, quoted };
    }
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let mut unit = (c, c.len_utf8());
        if quoted && c == '\\' {
            match unescape(&text.as_bytes()[at..]) {
                // The first half of a pair: the second may be on its way.
                Some(('\u{fffd}', 6)) if !ends && text.len() < at + 12 && is_first_half(&text[at..]) => break,
                Some(escape) => unit = escape,
                None if !ends && text.len() < at + 6 => break,
                None => {}
            }
        }
        chars.push(unit.0);
        starts.push(at);
        quotes.push(quoted);
        if c == '"' {
            quoted = !quoted;
        }
        at += unit.1;
    }
    starts.push(at);
    Units { chars, starts, quotes, quoted }
}

/// `\ud83d`, with at most the beginning of another escape behind it.
fn is_first_half(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes[3], b'8' | b'9' | b'a' | b'b' | b'A' | b'B') && (bytes.len() == 6 || bytes[6] == b'\\')
}
