//! The values of a request that have numbers. They are in its attributes, one in a line: `EMAIL_1 ann@example.com`; without
//! `restore` a digest of it. They are read when they are needed first, once a call.
use crate::gateway_json::{members, string_at};
use crate::pii_match::{Kind, KINDS};

/// Bytes of one attribute with values, and how many of them there may be: below what a request can have.
const PART_BYTES: usize = 4000;
const PARTS: usize = 16;
const VALUES: &str = "pii.v";

/// A line: its part, where its value begins and ends in it, and its number.
#[derive(Clone, Copy)]
struct Line {
    part: usize,
    from: usize,
    to: usize,
    kind: Kind,
    number: usize,
}

pub struct Values<'a> {
    /// The request's attributes, as the host's JSON.
    context: &'a [u8],
    read: bool,
    parts: Vec<String>,
    /// The first part that is not as it was given.
    changed: usize,
    /// There is no room for another.
    full: bool,
    lines: Vec<Line>,
    /// By kind and number, and by digest, a line's place and one; 0 for none.
    numbers: [Vec<usize>; KINDS.len()],
    slots: Vec<usize>,
}

impl<'a> Values<'a> {
    pub fn of(context: &'a [u8]) -> Values<'a> {
        const NONE: Vec<usize> = Vec::new();
        Values { context, read: false, parts: Vec::new(), changed: usize::MAX, full: false, lines: Vec::new(), numbers: [NONE; KINDS.len()], slots: Vec::new() }
    }

    /// The number of a value, the same for the same one; none if there is no room for another.
    pub fn number(&mut self, kind: Kind, value: &str, restore: bool) -> Option<usize> {
        self.read();
        let digested;
        let kept = if restore {
            value
        } else {
            digested = format!("{:016x}", digest(value));
            &digested
        };
        let slot = match self.slot(kind, kept) {
            Ok(index) => return Some(self.lines[index].number),
            Err(slot) => slot,
        };
        if self.full {
            return None;
        }
        let number = self.numbers[kind as usize].len() + 1;
        let name = format!("{}_{} ", kind.label(), number);
        let length = name.len() + kept.len() + 1;
        if self.parts.last().map_or(true, |part| part.len() + length > PART_BYTES) {
            if self.parts.len() == PARTS {
                self.full = true;
                return None;
            }
            self.parts.push(String::new());
        }
        let part = self.parts.len() - 1;
        let text = &mut self.parts[part];
        text.push_str(&name);
        let from = text.len();
        text.push_str(kept);
        text.push('\n');
        self.changed = self.changed.min(part);
        self.add(Line { part, from, to: from + kept.len(), kind, number }, slot);
        Some(number)
    }

    /// What a placeholder stands for.
    pub fn value(&mut self, kind: Kind, number: usize) -> Option<&str> {
        self.read();
        let index = *self.numbers[kind as usize].get(number.checked_sub(1)?)?;
        Some(self.text_of(&self.lines[index]))
    }

    /// The attributes that changed.
    pub fn to_keep(&self) -> impl Iterator<Item = (String, &str)> {
        self.parts.iter().enumerate().skip(self.changed).map(|(index, part)| (format!("{}{}", VALUES, index), part.as_str()))
    }

    fn text_of(&self, line: &Line) -> &str {
        &self.parts[line.part][line.from..line.to]
    }

    fn read(&mut self) {
        if self.read {
            return;
        }
        self.read = true;
        let mut all = members(self.context);
        while let Some((name, at)) = all.name() {
            if name.starts_with(VALUES.as_bytes()) {
                if let Some((part, _)) = string_at(self.context, at) {
                    self.parts.push(part.into_owned());
                }
            }
            if all.value().is_none() {
                break;
            }
        }
        for part in 0..self.parts.len() {
            let mut at = 0;
            while let Some((line, next)) = self.line(part, at) {
                self.lines.push(line);
                self.numbers[line.kind as usize].push(self.lines.len() - 1);
                at = next;
            }
        }
        self.grow();
    }

    /// The line that begins at a place of a part, and where the next begins.
    fn line(&self, part: usize, at: usize) -> Option<(Line, usize)> {
        let text = &self.parts[part][at..];
        let end = text.find('\n')?;
        let space = text[..end].find(' ')?;
        let (kind, number) = placeholder_of(&text[..space])?;
        Some((Line { part, from: at + space + 1, to: at + end, kind, number }, at + end + 1))
    }

    /// Where a value is, or where there is room for it.
    fn slot(&mut self, kind: Kind, kept: &str) -> Result<usize, usize> {
        if self.slots.len() < 2 * (self.lines.len() + 1) {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = slot_of(kind, kept) & mask;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                index => {
                    let line = &self.lines[index - 1];
                    if line.kind == kind && self.text_of(line) == kept {
                        return Ok(index - 1);
                    }
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = (4 * (self.lines.len() + 1)).next_power_of_two().max(64);
        let mut slots = vec![0; size];
        for (index, line) in self.lines.iter().enumerate() {
            let mut slot = slot_of(line.kind, self.text_of(line)) & (size - 1);
            while slots[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            slots[slot] = index + 1;
        }
        self.slots = slots;
    }

    fn add(&mut self, line: Line, slot: usize) {
        self.lines.push(line);
        self.slots[slot] = self.lines.len();
        self.numbers[line.kind as usize].push(self.lines.len() - 1);
    }
}

fn slot_of(kind: Kind, kept: &str) -> usize {
    let hash = digest(kept) ^ kind as u64;
    (hash ^ hash >> 32) as usize
}

/// `EMAIL_1`, without its brackets: numbers are written in one way.
pub fn placeholder_of(name: &str) -> Option<(Kind, usize)> {
    let (label, number) = name.split_once('_')?;
    let (kind, _, _) = KINDS.iter().find(|(_, _, known)| *known == label)?;
    if number.starts_with('0') || number.starts_with('+') {
        return None;
    }
    Some((*kind, number.parse().ok()?))
}

/// FNV-1a in 64 bits: to tell values apart, not to hide them.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ byte as u64).wrapping_mul(0x100_0000_01b3))
}
