// The configuration: a table of keys, which is its schema, the check of what comes, and the list of what is sent on.
use std::collections::BTreeMap;

use serde_json::{json, Map, Value};

use crate::exchange::RequestHead;
use crate::faults::Fault;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    /// A text, or a list of texts.
    Texts,
    Number,
    /// A whole number, 0 or more.
    Count,
    Flag,
    /// An object of texts.
    Record,
    Object,
    List,
    Any,
}
use Kind::*;

/// One key of a configuration.
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// The field of the server's request body that it becomes as it is; empty for what the provider itself reads.
    pub field: &'static str,
    pub about: &'static str,
}

pub const fn own(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, field: "", about }
}

/// A key that is sent on under its own name.
pub const fn sent(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, field: name, about: "sent as it is" }
}

/// A key that is sent on under another name.
pub const fn renamed(name: &'static str, kind: Kind, field: &'static str) -> Key {
    Key { name, kind, field, about: "sent under the server's name" }
}

pub fn schema(keys: &[Key]) -> String {
    let properties: Map<String, Value> = keys.iter().map(|key| (key.name.to_string(), property(key))).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties}).to_string()
}

fn property(key: &Key) -> Value {
    let text = json!({"type": "string"});
    let mut property = match key.kind {
        Text => text,
        Texts => json!({"type": ["string", "array"], "items": text}),
        Number => json!({"type": "number"}),
        Count => json!({"type": "integer", "minimum": 0}),
        Flag => json!({"type": "boolean"}),
        Record => json!({"type": "object", "additionalProperties": text}),
        Object => json!({"type": "object"}),
        List => json!({"type": "array"}),
        Any => json!({}),
    };
    property["description"] = json!(key.about);
    property
}

/// A configuration that was checked.
pub struct Settings {
    values: Map<String, Value>,
}

impl Settings {
    /// Null counts as absent. Messages name keys and never values.
    pub fn read(mut values: Map<String, Value>, keys: &[Key]) -> Result<Settings, Fault> {
        values.retain(|_, value| !value.is_null());
        for (name, value) in &values {
            let key = keys.iter().find(|key| key.name == name);
            let key = key.ok_or_else(|| Fault::invalid(format!("The configuration has an unknown key \"{name}\"")))?;
            if !fits(key.kind, value) {
                return Err(Fault::invalid(format!("\"{name}\" of the configuration must be {}", wanted(key.kind))));
            }
        }
        let settings = Settings { values };
        settings.check_url()?;
        settings.check_headers()?;
        Ok(settings)
    }

    fn check_url(&self) -> Result<(), Fault> {
        let Some(url) = self.text("base_url") else { return Ok(()) };
        let known = url.starts_with("https://") || url.starts_with("http://");
        if known && url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@' | b'\\')) {
            return Ok(());
        }
        Err(Fault::invalid("\"base_url\" of the configuration must be a URL of http or https, without a user, a query and a fragment"))
    }

    fn check_headers(&self) -> Result<(), Fault> {
        let named = self.record("headers").chain(self.text("api_key_header").map(|name| (name, "")));
        for (name, value) in named {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
                return Err(Fault::invalid("The configuration names a header that is no header"));
            }
            if !printable(value) {
                return Err(Fault::invalid(format!("The header \"{name}\" of the configuration has characters that no header has")));
            }
        }
        // Read from a file, a key often ends in a line end.
        if self.key().is_some_and(|key| !printable(key)) {
            return Err(Fault::invalid("\"api_key\" of the configuration has characters that no header has"));
        }
        Ok(())
    }

    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.values.get(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.values.get(name).and_then(Value::as_bool)
    }

    pub fn count(&self, name: &str) -> Option<u64> {
        self.values.get(name).and_then(Value::as_u64)
    }

    pub fn record(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.values.get(name).and_then(Value::as_object).into_iter().flatten();
        entries.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    pub fn key(&self) -> Option<&str> {
        self.text("api_key").map(str::trim).filter(|key| !key.is_empty())
    }

    /// What this configuration must not have in an error.
    pub fn secret(&self) -> String {
        self.key().unwrap_or_default().to_string()
    }

    pub fn model(&self) -> Result<&str, Fault> {
        self.text("model").ok_or_else(|| Fault::invalid("The configuration names no model"))
    }

    /// The part of a request's body that keys become as they are.
    pub fn sent(&self, keys: &[Key]) -> Map<String, Value> {
        let named = keys.iter().filter(|key| !key.field.is_empty());
        named.filter_map(|key| Some((key.field.to_string(), self.values.get(key.name)?.clone()))).collect()
    }

    /// The head of a request: base URL, path, the configuration's query and headers, and the key in its header.
    pub fn head(&self, method: &'static str, base: &str, path: &str, key_header: &str) -> RequestHead {
        let base = self.text("base_url").unwrap_or(base);
        let mut uri = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
        for (name, value) in self.record("query") {
            uri.push(if uri.contains('?') { '&' } else { '?' });
            uri += &format!("{}={}", encoded(name, ""), encoded(value, ""));
        }
        let mut headers = BTreeMap::new();
        if let Some(key) = self.key() {
            let name = self.text("api_key_header").unwrap_or(key_header).to_ascii_lowercase();
            let value = if name == "authorization" { format!("Bearer {key}") } else { key.to_string() };
            headers.insert(name, value);
        }
        if method == "POST" {
            headers.insert("content-type".to_string(), "application/json".to_string());
        }
        let mut head = RequestHead { method, uri, headers, version: "HTTP/1.1" };
        for (name, value) in self.record("headers") {
            head.headers.insert(name.to_ascii_lowercase(), value.to_string());
        }
        head
    }
}

fn printable(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic())
}

/// Percent-encodes what a URL's path or query cannot have, but for what is `kept`.
pub fn encoded(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let char = byte as char;
        if byte.is_ascii_alphanumeric() || "-._~".contains(char) || (byte.is_ascii() && kept.contains(char)) {
            encoded.push(char);
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Text => value.is_string(),
        Texts => value.is_string() || value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        Number => value.is_number(),
        Count => value.is_u64(),
        Flag => value.is_boolean(),
        Record => value.as_object().is_some_and(|fields| fields.values().all(Value::is_string)),
        Object => value.is_object(),
        List => value.is_array(),
        Any => true,
    }
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Text => "text",
        Texts => "a text or a list of texts",
        Number => "a number",
        Count => "a whole number, 0 or more",
        Flag => "true or false",
        Record => "an object of texts",
        Object => "an object",
        List => "a list",
        Any => "JSON",
    }
}
