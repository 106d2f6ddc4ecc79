//! A plugin for an LLM gateway: checks answers against the JSON schema that a request, or the configuration, asks for. An answer
//! that does not fit becomes an error that has the model asked once more.
mod gateway_arena;
mod gateway_json;
mod schema_check;
mod schema_pattern;

use gateway_arena::Arena;
use gateway_json::{member, request_fields, response_of, value_end, Value};
use schema_check::{unsupported, Checker};

#[global_allocator]
static ARENA: Arena = Arena;

struct Settings {
    /// Of all requests that have none of their own.
    schema: Option<Value>,
    /// Streams go through without being checked.
    streams: bool,
    /// Keywords that are not known are passed over.
    ignores: bool,
}

static mut SETTINGS: Settings = Settings { schema: None, streams: false, ignores: false };

/// Attributes with the request's schema, in parts that an attribute can hold; as many as leave room for others.
const PART: &str = "schema.";
const PART_BYTES: usize = 4000;
const PARTS: usize = 16;

#[no_mangle]
pub extern "C" fn malloc(size: usize) -> *mut u8 {
    gateway_arena::block(size)
}

#[no_mangle]
pub extern "C" fn plugin_reset() {
    gateway_arena::forget();
}

/// Says that requests and answers are read in the flat spelling: others need not be sent.
#[no_mangle]
pub extern "C" fn reads_flat(_at: usize, _length: usize) -> u64 {
    0
}

#[no_mangle]
pub extern "C" fn get_name() -> u64 {
    gateway_arena::packed(b"gateway-schema".to_vec())
}

/// # Safety
///
/// As for every export: address and length are those of an input.
#[no_mangle]
pub unsafe extern "C" fn init(at: *const u8, length: usize) -> i32 {
    let read = Value::parse(gateway_arena::input(at, length)).and_then(settings);
    let status = match read {
        Some(settings) => {
            SETTINGS = settings;
            0
        }
        None => 1,
    };
    gateway_arena::keep();
    status
}

fn settings(config: Value) -> Option<Settings> {
    let mut settings = Settings { schema: None, streams: false, ignores: false };
    for (key, value) in config.entries() {
        match (key.as_str(), value.as_text()) {
            ("schema", None) => settings.schema = Some(value.clone()),
            // As text, for configurations whose tables cannot hold every schema.
            ("schema", Some(text)) => settings.schema = Some(Value::parse(text.as_bytes())?),
            ("streams", Some("pass")) => settings.streams = true,
            ("streams", Some("refuse")) => {}
            ("unsupported", Some("ignore")) => settings.ignores = true,
            ("unsupported", Some("refuse")) => {}
            _ => return None,
        }
    }
    if let (Some(schema), false) = (&settings.schema, settings.ignores) {
        if unsupported(schema).is_some() {
            return None;
        }
    }
    Some(settings)
}

/// Runs a hook; what goes wrong becomes its own error.
unsafe fn answer(at: *const u8, length: usize, error_key: &str, work: impl FnOnce(&[u8], &Settings) -> Option<String>) -> u64 {
    let output = match work(gateway_arena::input(at, length), &*std::ptr::addr_of!(SETTINGS)) {
        Some(output) => output,
        None => Value::object(vec![(error_key, Value::text("the message is not one that can be looked at"))]).write(),
    };
    gateway_arena::packed(output.into_bytes())
}

// ---- before a request: its schema is kept for the answer

#[no_mangle]
pub unsafe extern "C" fn pre_hook(at: *const u8, length: usize) -> u64 {
    answer(at, length, "error", |message, settings| {
        let fields = request_fields(message)?;
        let format = member(fields, "params").and_then(|params| member(params, "response_format"));
        let asked = match format {
            Some(format) => Value::parse(format)?,
            None => Value::Null,
        };
        let own = match asked.get("type").as_text() {
            Some("json_schema") => Some(asked.get("json_schema").get("schema")).filter(|schema| !schema.is_null()),
            _ => None,
        };
        if own.is_none() && settings.schema.is_none() {
            return Some(stale(message));
        }
        let kind = request_type(message)?;
        if kind != b"chat_completion" && kind != b"chat_completion_stream" {
            return Some(stale(message));
        }
        if kind.ends_with(b"_stream") {
            if settings.streams {
                return Some(stale(message));
            }
            return Some(refuse("schema_stream", "An answer that is to fit a schema cannot be checked while it is sent in pieces: ask for it without \"stream\""));
        }
        let schema = match own {
            // The configured schema is there when the answer comes; that it counts is noted.
            None => return Some(keep(Vec::new())),
            Some(schema) => schema,
        };
        if let (Some(reason), false) = (unsupported(schema), settings.ignores) {
            return Some(refuse("schema_unsupported", &format!("The schema cannot be checked: {}", reason)));
        }
        let text = schema.write();
        let parts = split(&text);
        if parts.len() > PARTS {
            return Some(refuse("schema_too_large", "The schema is too large to be checked"));
        }
        Some(keep(parts))
    })
}

/// The kind of a request, from in front of its spellings.
fn request_type(message: &[u8]) -> Option<&[u8]> {
    let request = member(message, "request")?;
    let quoted = member(request, "request_type").or_else(|| member(request, "RequestType"))?;
    quoted.get(1..quoted.len().checked_sub(1)?)
}

/// Takes away what an earlier attempt left.
fn stale(message: &[u8]) -> String {
    let left = member(message, "context").map_or(false, |context| member(context, "schema.count").is_some());
    if left {
        Value::object(vec![("context", Value::object(vec![("schema.count", Value::Null)]))]).write()
    } else {
        String::new()
    }
}

fn keep(parts: Vec<&str>) -> String {
    let mut attributes = vec![("schema.count".to_string(), Value::text(&parts.len().to_string()))];
    for (index, part) in parts.iter().enumerate() {
        attributes.push((format!("{}{}", PART, index), Value::text(part)));
    }
    Value::object(vec![("context", Value::Object(attributes))]).write()
}

fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(PART_BYTES);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    parts
}

fn refuse(code: &str, message: &str) -> String {
    failure(400, code, message, Vec::new(), "short_circuit")
}

fn failure(status: usize, code: &str, message: &str, retry_with: Vec<Value>, place: &str) -> String {
    let error = Value::object(vec![("message", Value::text(message)), ("type", Value::text(code)), ("code", Value::text(code))]);
    let mut members = vec![
        ("status_code", Value::number(status)),
        ("allow_fallbacks", Value::Bool(false)),
        ("type", Value::text(code)),
        ("error", error),
    ];
    if !retry_with.is_empty() {
        members.push(("extra_fields", Value::object(vec![("retry_with", Value::List(retry_with))])));
    }
    let failed = Value::object(members);
    match place {
        "short_circuit" => Value::object(vec![(place, Value::object(vec![("error", failed)]))]).write(),
        _ => Value::object(vec![("response", Value::Null), ("error", failed), ("has_error", Value::Bool(true))]).write(),
    }
}

// ---- when the answer is there

#[no_mangle]
pub unsafe extern "C" fn post_hook(at: *const u8, length: usize) -> u64 {
    answer(at, length, "hook_error", |message, settings| {
        let context = member(message, "context")?;
        let count = match member(context, "schema.count") {
            Some(count) => count,
            None => return Some(String::new()),
        };
        let response = match response_of(message) {
            Some(response) => response,
            None => return Some(String::new()),
        };
        let parsed;
        let schema = if count == b"\"0\"" {
            settings.schema.as_ref()?
        } else {
            let context = Value::parse(context)?;
            let count: usize = context.get("schema.count").as_text()?.parse().ok()?;
            let mut text = String::new();
            for index in 0..count {
                text.push_str(context.get(&format!("{}{}", PART, index)).as_text()?);
            }
            parsed = Value::parse(text.as_bytes())?;
            &parsed
        };
        let end = value_end(response, 0)?;
        let response = Value::parse(&response[..end])?;
        for choice in response.get("choices").as_list() {
            let message = choice.get("message");
            // A piece of a stream, whatever it calls itself.
            if message.is_null() && matches!(choice.get("delta"), Value::Object(_)) {
                continue;
            }
            if let Some(fault) = fault_of(choice, message, schema) {
                return Some(mismatch(message, &fault));
            }
        }
        Some(String::new())
    })
}

/// Why a choice does not fit; none for one that fits, and for one that is no answer: a refusal, or calls of tools.
fn fault_of(choice: &Value, message: &Value, schema: &Value) -> Option<String> {
    let content = text_of(message.get("content"));
    if content.is_empty() && (!message.get("tool_calls").as_list().is_empty() || message.get("refusal").as_text().is_some()) {
        return None;
    }
    let instance = match Value::parse(content.trim().as_bytes()) {
        Some(instance) => instance,
        None if choice.get("finish_reason").as_text() == Some("length") => return Some("the answer was cut off before its end".to_string()),
        None => return Some("the answer is not JSON, or has more than 64 levels".to_string()),
    };
    Checker::new(schema).check(&instance)
}

/// A content, as text or in parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::Text(text) => text.clone(),
        parts => parts.as_list().iter().filter_map(|part| part.get("text").as_text()).collect(),
    }
}

fn mismatch(message: &Value, fault: &str) -> String {
    let said = Value::object(vec![("role", Value::text("assistant")), ("content", Value::text(&text_of(message.get("content"))))]);
    let ask = format!("That does not fit the required JSON schema: {}. Answer again, with JSON that fits the schema and nothing else.", fault);
    let wish = Value::object(vec![("role", Value::text("user")), ("content", Value::text(&ask))]);
    failure(502, "schema_mismatch", &format!("The answer does not fit the JSON schema: {}", fault), vec![said, wish], "error")
}
