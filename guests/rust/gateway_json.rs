//! JSON for the gateway's plugins: finding a member without reading the rest, and a value that is read, changed and written.
// Each guest includes this file and uses some of it.
#![allow(dead_code)]
use std::borrow::Cow;

/// Levels of objects and arrays that are read.
pub const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Reads a JSON text; halves of surrogate pairs become U+FFFD, since no text can hold them.
    pub fn parse(bytes: &[u8]) -> Option<Value> {
        let mut reader = Reader { text: std::str::from_utf8(bytes).ok()?, at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at == bytes.len() {
            Some(value)
        } else {
            None
        }
    }

    pub fn text(text: &str) -> Value {
        Value::Text(text.to_string())
    }

    pub fn number(number: usize) -> Value {
        Value::Number(number.to_string())
    }

    pub fn object(entries: Vec<(&str, Value)>) -> Value {
        Value::Object(entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
    }

    pub fn get(&self, key: &str) -> &Value {
        match self {
            Value::Object(entries) => entries.iter().find(|(name, _)| name == key).map_or(&Value::Null, |(_, value)| value),
            _ => &Value::Null,
        }
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        match self {
            Value::Object(entries) => entries.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn set(&mut self, key: &str, value: Value) {
        if let Value::Object(entries) = self {
            match entries.iter_mut().find(|(name, _)| name == key) {
                Some(entry) => entry.1 = value,
                None => entries.push((key.to_string(), value)),
            }
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_list(&self) -> &[Value] {
        match self {
            Value::List(values) => values,
            _ => &[],
        }
    }

    pub fn entries(&self) -> &[(String, Value)] {
        match self {
            Value::Object(entries) => entries,
            _ => &[],
        }
    }

    pub fn as_whole(&self) -> Option<usize> {
        match self {
            Value::Number(number) => number.parse().ok(),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => number.parse().ok(),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        *self == Value::Null
    }

    pub fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    pub fn write_to(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => out.push_str(number),
            Value::Text(text) => write_text(text, out),
            Value::List(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.write_to(out);
                }
                out.push(']');
            }
            Value::Object(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    value.write_to(out);
                }
                out.push('}');
            }
        }
    }
}

pub fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            _ => {
                out.push_str("\\u00");
                for shift in [4, 0] {
                    out.push(char::from(b"0123456789abcdef"[(byte as usize >> shift) & 15]));
                }
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, word: &str) -> Option<()> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Some(())
        } else {
            None
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.peek()? {
            b'n' => self.take("null").map(|()| Value::Null),
            b't' => self.take("true").map(|()| Value::Bool(true)),
            b'f' => self.take("false").map(|()| Value::Bool(false)),
            b'"' => self.string().map(Value::Text),
            b'[' => self.list(depth),
            b'{' => self.object(depth),
            _ => self.number(),
        }
    }

    /// `-? int frac? exp?`, as RFC 8259 has it.
    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        let _ = self.take("-");
        let whole = self.digits();
        if whole == 0 || (whole > 1 && self.text.as_bytes()[self.at - whole] == b'0') {
            return None;
        }
        if self.take(".").is_some() && self.digits() == 0 {
            return None;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return None;
            }
        }
        Some(Value::Number(self.text[start..self.at].to_string()))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut values = Vec::new();
        self.at += 1;
        self.space();
        if self.take("]").is_some() {
            return Some(Value::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.space();
            if self.take("]").is_some() {
                return Some(Value::List(values));
            }
            self.take(",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut entries = Vec::new();
        self.at += 1;
        self.space();
        if self.take("}").is_some() {
            return Some(Value::Object(entries));
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            self.take(":")?;
            entries.push((key, self.value(depth + 1)?));
            self.space();
            if self.take("}").is_some() {
                return Some(Value::Object(entries));
            }
            self.take(",")?;
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut out = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek()?, b'"' | b'\\' | 0..=0x1f) {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(out);
                }
                b'\\' => {
                    let (c, length) = unescape(&self.text.as_bytes()[self.at..])?;
                    out.push(c);
                    self.at += length;
                }
                _ => return None,
            }
        }
    }
}

/// The character that an escape, which begins with a backslash, stands for, and its length. None if it is none, or cut off.
pub fn unescape(bytes: &[u8]) -> Option<(char, usize)> {
    Some(match *bytes.get(1)? {
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        c @ (b'"' | b'\\' | b'/') => (char::from(c), 2),
        b'u' => {
            let high = hex(bytes.get(2..6)?)?;
            if (0xd800..0xdc00).contains(&high) && bytes.get(6) == Some(&b'\\') && bytes.get(7) == Some(&b'u') {
                let low = hex(bytes.get(8..12)?)?;
                if (0xdc00..0xe000).contains(&low) {
                    return Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 12));
                }
            }
            (char::from_u32(high).unwrap_or('\u{fffd}'), 6)
        }
        _ => return None,
    })
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

// ---- without a tree

/// Where the value ends that begins at `at`. The input is the host's own JSON; of anything else the answer is none, or wrong.
pub fn value_end(json: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match *json.get(at)? {
            b'"' => {
                at = string_end(json, at)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                if depth <= 1 {
                    // Of a value without brackets, the end is in front of the bracket around it.
                    return Some(if depth == 1 { at + 1 } else { at });
                }
                depth -= 1;
            }
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

/// The position behind the string that begins at `at`.
pub fn string_end(json: &[u8], at: usize) -> Option<usize> {
    use std::arch::wasm32::*;
    let mut at = at + 1;
    loop {
        while at + 16 <= json.len() {
            // The sixteen bytes are inside of the slice, and such a load needs no alignment.
            let bytes = unsafe { v128_load(json.as_ptr().add(at) as *const v128) };
            let ends = u8x16_bitmask(v128_or(u8x16_eq(bytes, u8x16_splat(b'"')), u8x16_eq(bytes, u8x16_splat(b'\\'))));
            if ends != 0 {
                at += ends.trailing_zeros() as usize;
                break;
            }
            at += 16;
        }
        match *json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The text that begins at `at`, and the position behind it.
pub fn string_at(json: &[u8], at: usize) -> Option<(Cow<'_, str>, usize)> {
    let end = string_end(json, at)?;
    let raw = json.get(at + 1..end - 1)?;
    if !raw.contains(&b'\\') {
        return Some((Cow::Borrowed(std::str::from_utf8(raw).ok()?), end));
    }
    match Value::parse(&json[at..end])? {
        Value::Text(text) => Some((Cow::Owned(text), end)),
        _ => None,
    }
}

/// Walks over the members of an object of the host's JSON.
pub struct Members<'a> {
    json: &'a [u8],
    at: usize,
}

pub fn members(json: &[u8]) -> Members<'_> {
    Members { json, at: if json.first() == Some(&b'{') { 1 } else { json.len() } }
}

/// Of the object that begins at `from`.
pub fn members_from(json: &[u8], from: usize) -> Members<'_> {
    Members { json, at: if json.get(from) == Some(&b'{') { from + 1 } else { json.len() } }
}

impl<'a> Members<'a> {
    /// The next member's name, as it is written, and the position of its value; the value is not looked at.
    pub fn name(&mut self) -> Option<(&'a [u8], usize)> {
        if *self.json.get(self.at)? == b',' {
            self.at += 1;
        }
        if *self.json.get(self.at)? != b'"' {
            return None;
        }
        let end = string_end(self.json, self.at)?;
        if *self.json.get(end)? != b':' {
            return None;
        }
        let name = &self.json[self.at + 1..end - 1];
        self.at = end + 1;
        Some((name, self.at))
    }

    /// Goes on behind a value whose end is known.
    pub fn skip_to(&mut self, end: usize) {
        self.at = end;
    }

    /// Where the next member begins, or the object's closing bracket is.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes to the end of the present value, and gives it.
    pub fn value(&mut self) -> Option<&'a [u8]> {
        let from = self.at;
        self.at = value_end(self.json, from)?;
        Some(&self.json[from..self.at])
    }
}

/// The value of a member as JSON.
pub fn member<'a>(json: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut all = members(json);
    while let Some((name, _)) = all.name() {
        let value = all.value()?;
        if name == key.as_bytes() {
            return Some(value);
        }
    }
    None
}

/// The object of a hook's message with the fields of a request, whichever spelling it has.
pub fn request_fields(message: &[u8]) -> Option<&[u8]> {
    let at = member_at(message, "request")?;
    let request = &message[at..];
    let mut all = members(request);
    while let Some((name, value)) = all.name() {
        match name {
            b"provider" | b"model" | b"input" => return Some(request),
            name if name.ends_with(b"_request") || name.ends_with(b"Request") => return Some(&request[value..]),
            _ => all.value()?,
        };
    }
    None
}

/// The response of a hook's message, out of its envelope; none for `null`.
pub fn response_of(message: &[u8]) -> Option<&[u8]> {
    let at = member_at(message, "response")?;
    let response = &message[at..];
    let mut all = members(response);
    let (name, value) = all.name()?;
    Some(if name.ends_with(b"_response") || name.ends_with(b"Response") { &response[value..] } else { response })
}

/// Where the value of a member begins: what is behind is not looked at.
pub fn member_at(json: &[u8], key: &str) -> Option<usize> {
    let mut all = members(json);
    while let Some((name, value)) = all.name() {
        if name == key.as_bytes() {
            return Some(value);
        }
        all.value()?;
    }
    None
}
