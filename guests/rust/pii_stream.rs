//! Answers, whole and in pieces, in the host's own JSON: what changes is put into it, the rest stays as it is.
use crate::gateway_json::{member_at, members_from, string_at, value_end, write_text, Value, MAX_DEPTH};
use crate::pii_redact::{Channel, Redactor};
use crate::pii_scan::{nothing_until, Looks};
use crate::pii_whole::{is_skipped, redact};

/// Attributes with what is held back of streams, by the index of the choice; most of them that a request can have.
pub const STREAM: &str = "pii.s";
const MAX_CHOICES: usize = 32;
/// Bytes of such an attribute, and of the place of a text in a delta.
const STATE_BYTES: usize = 4000;
const PATH_BYTES: usize = 100;
/// Members of a delta whose texts inside come in pieces, and their names. Others are judged each by itself.
const IN_PIECES: [&str; 5] = ["content", "tool_calls", "function_call", "audio", "reasoning_details"];
const PIECES: [&str; 5] = ["text", "summary", "arguments", "input", "transcript"];

/// A part of the JSON, and what takes its place.
pub struct Edit {
    from: usize,
    to: usize,
    text: String,
}

/// The JSON with what was changed of it.
pub fn edited(json: &[u8], from: usize, to: usize, edits: &[Edit], out: &mut String) {
    let mut at = from;
    for edit in edits {
        out.push_str(std::str::from_utf8(&json[at..edit.from]).unwrap_or_default());
        out.push_str(&edit.text);
        at = edit.to;
    }
    out.push_str(std::str::from_utf8(&json[at..to]).unwrap_or_default());
}

/// What is changed of an answer.
pub struct Changes {
    pub edits: Vec<Edit>,
    /// Attributes; none for one that is taken away.
    pub states: Vec<(String, Option<String>)>,
}

/// Looks at the choices that begin at `at`: at a delta as a piece, at messages and whatever else they have as a whole.
pub fn choices(json: &[u8], at: usize, context: &[u8], looks: Looks, redactor: &mut Redactor) -> Option<Changes> {
    let mut changes = Changes { edits: Vec::new(), states: Vec::new() };
    if json.get(at) != Some(&b'[') {
        return Some(changes);
    }
    let mut at = at + 1;
    while let Some(element) = next_element(json, at) {
        at = choice(json, element, context, looks, redactor, &mut changes)?;
    }
    Some(changes)
}

/// Where the choice ends.
fn choice(json: &[u8], from: usize, context: &[u8], looks: Looks, redactor: &mut Redactor, changes: &mut Changes) -> Option<usize> {
    let first = changes.edits.len();
    if json.get(from) != Some(&b'{') {
        let end = value_end(json, from)?;
        whole(json, from, end, "", redactor, &mut changes.edits)?;
        return Some(end);
    }
    let mut all = members_from(json, from);
    let mut index = 0;
    let (mut delta, mut ends, mut logprobs, mut judged) = (None, false, None, false);
    while let Some((name, value)) = all.name() {
        let is_null = json[value..].starts_with(b"null");
        let is_delta = name == b"delta" && json.get(value) == Some(&b'{');
        let known = is_delta || matches!(name, b"index" | b"finish_reason" | b"logprobs");
        let clean = if known { None } else { nothing_until(json, value, looks) };
        let end = match clean {
            Some(end) => end,
            None => value_end(json, value)?,
        };
        match name {
            b"index" => index = number_of(&json[value..end])?,
            b"finish_reason" => ends = !is_null,
            b"logprobs" if is_null => {}
            b"logprobs" => logprobs = Some((value, end)),
            _ if is_delta => delta = Some((value, end)),
            _ if clean.is_none() => {
                whole(json, value, end, std::str::from_utf8(name).ok()?, redactor, &mut changes.edits)?;
            }
            _ => {}
        }
        judged |= name == b"message";
        all.skip_to(end);
    }
    let end = all.position() + 1;
    let mut spoken = true;
    if delta.is_some() || ends {
        let mut piece = Piece::read(context, index, redactor, ends)?;
        piece.work(json, from, delta, &mut changes.edits)?;
        spoken = judged || !piece.spoken.is_empty();
        piece.keep(&mut changes.states)?;
    }
    let changed = changes.edits.len() > first;
    // They tell what was said, word for word.
    if let (Some((from, to)), true) = (logprobs, changed || !spoken) {
        changes.edits.push(Edit { from, to, text: "null".to_string() });
    }
    changes.edits[first..].sort_by_key(|edit| edit.from);
    Some(end)
}

/// Where the next element begins of a list of which `at` is behind the opening bracket, or behind an element.
fn next_element(json: &[u8], at: usize) -> Option<usize> {
    match *json.get(at)? {
        b']' => None,
        b',' => Some(at + 1),
        _ => Some(at),
    }
}

fn number_of(json: &[u8]) -> Option<usize> {
    match std::str::from_utf8(json).ok()? {
        "null" => Some(0),
        text => text.parse().ok(),
    }
}

/// Changes all texts of a member's value.
fn whole(json: &[u8], from: usize, to: usize, key: &str, redactor: &mut Redactor, edits: &mut Vec<Edit>) -> Option<()> {
    let mut value = Value::parse(&json[from..to])?;
    if redact(&mut value, key, redactor) {
        edits.push(Edit { from, to, text: value.write() });
    }
    Some(())
}

// ---- pieces of streams

/// A text of a choice that comes in pieces: its place in a delta, such as `tool_calls/#0/function/arguments`, the kind of the
/// entry that it is in, and where it stands.
struct Open {
    path: String,
    kind: String,
    channel: Channel,
}

/// One choice of a piece. What could be the beginning of something is held back until the next piece of the same text, one of
/// another text, or the end.
struct Piece<'a, 'b, 'c> {
    attribute: String,
    known: Option<String>,
    redactor: &'a mut Redactor<'b, 'c>,
    ends: bool,
    open: Vec<Open>,
    /// The texts that this piece has, by their place in `open`.
    spoken: Vec<usize>,
}

impl<'a, 'b, 'c> Piece<'a, 'b, 'c> {
    fn read(context: &[u8], index: usize, redactor: &'a mut Redactor<'b, 'c>, ends: bool) -> Option<Self> {
        if index >= MAX_CHOICES {
            return None;
        }
        let attribute = format!("{}{}", STREAM, index);
        let known = match member_at(context, &attribute) {
            Some(at) => Some(string_at(context, at)?.0.into_owned()),
            None => None,
        };
        let open = match &known {
            Some(state) => read_state(state)?,
            None => Vec::new(),
        };
        Some(Piece { attribute, known, redactor, ends, open, spoken: Vec::new() })
    }

    /// Changes what is said in the delta, and adds to it what is no longer held back.
    fn work(&mut self, json: &[u8], choice: usize, delta: Option<(usize, usize)>, edits: &mut Vec<Edit>) -> Option<()> {
        let first = edits.len();
        if let Some((from, _)) = delta {
            self.walk(json, from, &mut Place { path: String::new(), kind: "", key: "", depth: 0, pieces: true }, edits)?;
        }
        if !self.ends && self.spoken.is_empty() {
            return Some(());
        }
        let mut rests = Vec::new();
        for (place, open) in self.open.iter_mut().enumerate() {
            if self.ends || !self.spoken.contains(&place) {
                let rest = self.redactor.push(&mut open.channel, "", true);
                if !rest.is_empty() {
                    rests.push((open.path.as_str(), open.kind.as_str(), rest));
                }
                open.channel = Channel::default();
            }
        }
        if rests.is_empty() {
            return Some(());
        }
        let mut value = match delta {
            Some((from, to)) => {
                let mut text = String::new();
                edited(json, from, to, &edits[first..], &mut text);
                Value::parse(text.as_bytes())?
            }
            None => Value::Object(Vec::new()),
        };
        for (path, kind, rest) in rests.iter().rev() {
            release(&mut value, path, kind, rest);
        }
        let text = value.write();
        edits.truncate(first);
        edits.push(match delta {
            Some((from, to)) => Edit { from, to, text },
            // A choice that ends has other members.
            None => Edit { from: choice + 1, to: choice + 1, text: format!("\"delta\":{},", text) },
        });
        Some(())
    }

    /// All texts of a value, in the order in which they stand; gives its end.
    fn walk(&mut self, json: &[u8], from: usize, place: &mut Place, edits: &mut Vec<Edit>) -> Option<usize> {
        if place.depth > MAX_DEPTH {
            return None;
        }
        match *json.get(from)? {
            b'{' => {
                let is_text = place.depth > 0 && member_at(&json[from..], "type").map_or(false, |at| json[from + at..].starts_with(b"\"text\""));
                let mut all = members_from(json, from);
                while let Some((name, value)) = all.name() {
                    let name = std::str::from_utf8(name).ok()?;
                    let known = place.depth == 0 || PIECES.contains(&name) || matches!(name, "function" | "custom");
                    let inside = place.depth > 0 || json.get(value) == Some(&b'"') || IN_PIECES.contains(&name);
                    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
                    let length = place.enter(name);
                    let mut next = Place {
                        path: std::mem::take(&mut place.path),
                        kind: place.kind,
                        key: if is_text && name == "data" { "" } else { name },
                        depth: place.depth + 1,
                        pieces: place.pieces && known && inside && plain,
                    };
                    let end = self.walk(json, value, &mut next, edits)?;
                    place.path = next.path;
                    place.path.truncate(length);
                    all.skip_to(end);
                }
                Some(all.position() + 1)
            }
            b'[' => {
                let mut at = from + 1;
                let mut position = 0;
                while let Some(element) = next_element(json, at) {
                    let object = &json[element..];
                    let (name, kind) = if object.first() == Some(&b'{') { entry(object, position)? } else { (format!("@{}", position), "") };
                    let length = place.enter(&name);
                    let mut next = Place { path: std::mem::take(&mut place.path), kind, key: place.key, depth: place.depth + 1, pieces: place.pieces };
                    at = self.walk(json, element, &mut next, edits)?;
                    place.path = next.path;
                    place.path.truncate(length);
                    position += 1;
                }
                Some(at + 1)
            }
            b'"' => {
                let (text, end) = string_at(json, from)?;
                if !text.is_empty() && !is_skipped(place.key) {
                    if let Some(out) = self.say(&text, place)? {
                        let mut quoted = String::with_capacity(out.len() + 2);
                        write_text(&out, &mut quoted);
                        edits.push(Edit { from, to: end, text: quoted });
                    }
                }
                Some(end)
            }
            _ => value_end(json, from),
        }
    }

    /// What goes out of a text; none if it goes out as it is.
    fn say(&mut self, text: &str, place: &Place) -> Option<Option<String>> {
        let json = place.key == "arguments";
        if !place.pieces || (place.depth > 1 && !PIECES.contains(&place.key)) || place.path.len() > PATH_BYTES {
            return Some(self.redactor.whole(text, json));
        }
        let at = match self.open.iter().position(|open| open.path == place.path) {
            Some(at) => at,
            None => {
                self.open.push(Open { path: place.path.clone(), kind: place.kind.to_string(), channel: Channel::new(json) });
                self.open.len() - 1
            }
        };
        let out = self.redactor.push(&mut self.open[at].channel, text, self.ends);
        self.spoken.push(at);
        Some(if out == text { None } else { Some(out) })
    }

    /// Adds what the next piece must know, if that is something else than before.
    fn keep(self, states: &mut Vec<(String, Option<String>)>) -> Option<()> {
        let mut state = String::new();
        for Open { path, kind, channel } in self.open.iter().filter(|open| !open.channel.is_new()) {
            let Channel { before, held, quoted, long, .. } = channel;
            let flags = [(*quoted, "q"), (*long, "l")];
            state.push_str(path);
            for part in [":", kind, ":"] {
                state.push_str(part);
            }
            for (_, flag) in flags.iter().filter(|(set, _)| *set) {
                state.push_str(flag);
            }
            for length in [before.len(), held.len()] {
                state.push(':');
                state.push_str(&length.to_string());
            }
            for part in [":", before, held] {
                state.push_str(part);
            }
        }
        if state.len() > STATE_BYTES {
            return None;
        }
        let state = if state.is_empty() { None } else { Some(state) };
        if state != self.known {
            states.push((self.attribute, state));
        }
        Some(())
    }
}

/// Where a text stands in a delta.
struct Place<'a> {
    path: String,
    /// The kind of the entry that it is in.
    kind: &'a str,
    key: &'a str,
    depth: usize,
    /// Texts here may come in pieces.
    pieces: bool,
}

impl Place<'_> {
    /// Goes down to a member or an entry; gives the length of the path to come back to.
    fn enter(&mut self, name: &str) -> usize {
        let length = self.path.len();
        if length > 0 {
            self.path.push('/');
        }
        self.path.push_str(name);
        length
    }
}

/// The name of an entry in a path, by its index if it has one, and its kind.
fn entry(object: &[u8], position: usize) -> Option<(String, &str)> {
    let mut name = None;
    let mut kind = "";
    let mut all = members_from(object, 0);
    while let Some((key, _)) = all.name() {
        let value = all.value()?;
        match key {
            b"index" => name = number_of(value).map(|index| format!("#{}", index)),
            b"type" if value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'"' | b'_' | b'.' | b'-')) => {
                kind = std::str::from_utf8(value).ok()?.trim_matches('"');
            }
            _ => {}
        }
    }
    Some((name.unwrap_or_else(|| format!("@{}", position)), kind))
}

fn read_state(state: &str) -> Option<Vec<Open>> {
    let mut open = Vec::new();
    let mut rest = state;
    while !rest.is_empty() {
        let mut parts = rest.splitn(6, ':');
        let (path, kind, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let (before, held): (usize, usize) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let text = parts.next()?;
        let channel = Channel {
            before: text.get(..before)?.to_string(),
            held: text.get(before..before + held)?.to_string(),
            json: path.ends_with("arguments"),
            quoted: flags.contains('q'),
            long: flags.contains('l'),
        };
        open.push(Open { path: path.to_string(), kind: kind.to_string(), channel });
        rest = &text[before + held..];
    }
    Some(open)
}

/// Adds what was held back to a delta: behind what it has of the same text, or in front of what it has of others.
fn release(value: &mut Value, path: &str, kind: &str, rest: &str) {
    let (name, deeper) = match path.find('/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (path, ""),
    };
    if path.is_empty() {
        let whole = [value.as_text().unwrap_or_default(), rest].concat();
        *value = Value::Text(whole);
        return;
    }
    if name.starts_with(&['#', '@'][..]) {
        let mut entry = Value::Object(Vec::new());
        if let Some(index) = name.strip_prefix('#') {
            entry.set("index", Value::Number(index.to_string()));
        }
        if !kind.is_empty() {
            entry.set("type", Value::text(kind));
        }
        release(&mut entry, deeper, kind, rest);
        match value {
            Value::List(entries) => entries.insert(0, entry),
            _ => *value = Value::List(vec![entry]),
        }
        return;
    }
    if !matches!(value, Value::Object(_)) {
        *value = Value::Object(Vec::new());
    }
    if value.get(name).is_null() {
        value.set(name, Value::Null);
    }
    if let Some(inside) = value.get_mut(name) {
        release(inside, deeper, kind, rest);
    }
}
