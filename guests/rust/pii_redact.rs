//! Puts placeholders in the place of personal data, and back; in texts, in JSON inside of texts, whole or in pieces.
use crate::pii_match::{is_key_char, Found, Kind, Window, BEFORE, KINDS};
use crate::pii_text::{units, Units};
use crate::pii_values::{placeholder_of, Values};

/// What `init` was given.
pub struct Settings {
    pub wants: [bool; 7],
    pub numbered: bool,
    pub restore: bool,
    pub answers: bool,
}

/// Where a text that comes in pieces stands.
#[derive(Clone, Default)]
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
        Channel { json, ..Channel::default() }
    }

    /// True if what comes next is judged as if it were the beginning.
    pub fn is_new(&self) -> bool {
        self.before.is_empty() && self.held.is_empty() && !self.quoted && !self.long
    }
}

/// What takes personal data out of texts, and puts it back.
pub struct Redactor<'a, 'b> {
    pub settings: &'a Settings,
    pub values: &'a mut Values<'b>,
    /// Placeholders become what they stand for.
    pub restores: bool,
    /// Personal data becomes placeholders.
    pub redacts: bool,
}

impl Redactor<'_, '_> {
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
            joined = [channel.held.as_str(), piece].concat();
            &joined
        };
        let Units { chars, starts, quotes, quoted } = units(text, channel.json, channel.quoted, ends);
        let mut before = ['\0'; BEFORE];
        for (slot, c) in before.iter_mut().rev().zip(channel.before.chars().rev()) {
            *slot = c;
        }
        let mut window = Window { chars: &chars, before, ends, run: None, plain: [(0, 0); 3] };
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
                    let value = chars[at..at + length].iter().map(|c| if c.is_ascii_control() { ' ' } else { *c }).collect::<String>();
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
        // Nothing is held back behind the end.
        let rest = if ends { text.len() } else { starts[at] };
        out.push_str(&text[starts[plain]..rest]);
        channel.quoted = quotes.get(at).copied().unwrap_or(quoted);
        // Of what is in front of a space, nothing depends.
        let mut last = [&window.before[..], &chars[at.saturating_sub(BEFORE)..at]].concat();
        last.drain(..last.len() - BEFORE);
        let from = last.iter().rposition(|c| *c == '\0' || c.is_whitespace()).map_or(0, |space| space + 1);
        channel.before = last[from..].iter().collect();
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
    fn placeholder(&mut self, chars: &[char], ends: bool) -> Restored {
        let mut name = String::new();
        for c in chars.iter().skip(1).take(14) {
            if *c == ']' {
                return match placeholder_of(&name).and_then(|(kind, number)| self.values.value(kind, number)) {
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
