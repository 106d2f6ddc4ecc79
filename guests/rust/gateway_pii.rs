//! A plugin for an LLM gateway: takes personal data out of requests and answers, and can put it back into answers. What it
//! has to remember is in the request's attributes, so that instances and requests do not mix.
mod gateway_arena;
mod gateway_json;
mod pii_match;
mod pii_numbers;
mod pii_redact;
mod pii_scan;

use gateway_arena::Arena;
use gateway_json::{member, member_at, members, request_fields, response_of, Value};
use pii_match::KINDS;
use pii_redact::{Channel, Redactor, Settings, Values, VALUES};
use pii_scan::{nothing_until, Looks};

#[global_allocator]
static ARENA: Arena = Arena;

static mut SETTINGS: Settings = Settings { wants: [true; 7], numbered: false, restore: false, answers: true };

/// Attributes with what is held back of streams, by the index of the choice; most of them that a request can have.
const STREAM: &str = "pii.s";
const MAX_CHOICES: usize = 32;
/// Members whose text is no speech: changed, it would no longer do what it is for.
const SKIPPED: [&str; 17] = [
    "role",
    "type",
    "id",
    "index",
    "name",
    "tool_call_id",
    "call_id",
    "signature",
    "data",
    "url",
    "image_url",
    "file_id",
    "file_data",
    "detail",
    "format",
    "media_type",
    "encrypted_content",
];
/// Parameters that may name people.
const PARAMS: [&str; 4] = ["user", METADATA, "safety_identifier", "prediction"];
const METADATA: &str = "metadata";

#[no_mangle]
pub extern "C" fn malloc(size: usize) -> *mut u8 {
    gateway_arena::block(size)
}

#[no_mangle]
pub extern "C" fn plugin_reset() {
    gateway_arena::forget();
}

#[no_mangle]
pub extern "C" fn get_name() -> u64 {
    gateway_arena::packed(b"gateway-pii".to_vec())
}

/// # Safety
///
/// As for every export: address and length are those of an input.
#[no_mangle]
pub unsafe extern "C" fn init(at: *const u8, length: usize) -> i32 {
    let read = match Value::parse(gateway_arena::input(at, length)) {
        Some(config @ Value::Object(_)) => settings(&config),
        _ => None,
    };
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

fn settings(config: &Value) -> Option<Settings> {
    let known = ["kinds", "placeholder", "restore", "answers"];
    if config.entries().iter().any(|(key, _)| !known.contains(&key.as_str())) {
        return None;
    }
    let mut wants = [true; 7];
    match config.get("kinds") {
        Value::Null => {}
        Value::List(kinds) => {
            wants = [false; 7];
            for kind in kinds {
                let (kind, _, _) = KINDS.iter().find(|(_, name, _)| Some(*name) == kind.as_text())?;
                wants[*kind as usize] = true;
            }
        }
        _ => return None,
    }
    let restore = match config.get("restore") {
        Value::Null => false,
        Value::Bool(restore) => *restore,
        _ => return None,
    };
    let numbered = match config.get("placeholder") {
        Value::Null => restore,
        // A placeholder without a number stands for more than one value.
        Value::Text(text) if text == "[KIND]" && !restore => false,
        Value::Text(text) if text == "[KIND_N]" => true,
        _ => return None,
    };
    let answers = match config.get("answers") {
        Value::Null => true,
        Value::Text(text) if text == "redact" => true,
        Value::Text(text) if text == "leave" => false,
        _ => return None,
    };
    Some(Settings { wants, numbered, restore, answers })
}

/// Runs a hook; what goes wrong becomes its own error, so that nothing passes that was not looked at.
unsafe fn answer(at: *const u8, length: usize, error_key: &str, work: impl FnOnce(&[u8], &Settings) -> Option<String>) -> u64 {
    let output = match work(gateway_arena::input(at, length), &*std::ptr::addr_of!(SETTINGS)) {
        Some(output) => output,
        None => Value::object(vec![(error_key, Value::text("the message is not one that can be looked at"))]).write(),
    };
    gateway_arena::packed(output.into_bytes())
}

#[no_mangle]
pub unsafe extern "C" fn pre_hook(at: *const u8, length: usize) -> u64 {
    answer(at, length, "error", |message, settings| {
        let fields = request_fields(message)?;
        // What is left of an attempt that failed.
        let context = member(message, "context")?;
        let stale = holds(context, STREAM);
        if !stale && is_clean(fields) {
            return Some(String::new());
        }
        let context = Value::parse(context)?;
        let mut values = values_of(&context);
        let mut changes: Vec<(&str, Value)> = Vec::new();
        let mut redactor = Redactor { settings, values: &mut values, restores: false, redacts: true };
        let mut input = Value::parse(member(fields, "input")?)?;
        if redact(&mut input, "", &mut redactor) {
            changes.push(("input", input));
        }
        if let Some(params) = member(fields, "params") {
            let mut params = Value::parse(params)?;
            let mut changed = false;
            for name in PARAMS {
                changed |= params.get_mut(name).map_or(false, |value| redact(value, name, &mut redactor));
            }
            if changed {
                changes.push(("params", params));
            }
        }
        let mut attributes = values_to_keep(&values);
        for (name, _) in context.entries().iter().filter(|(name, _)| name.starts_with(STREAM)) {
            attributes.push((name.clone(), Value::Null));
        }
        let request = if changes.is_empty() { None } else { Some(("request", Value::object(changes))) };
        Some(output(attributes, request))
    })
}

/// True if nothing of a request could be personal data.
fn is_clean(fields: &[u8]) -> bool {
    let mut all = members(fields);
    let mut seen = false;
    while let Some((name, value)) = all.name() {
        match name {
            b"provider" | b"model" => {
                if all.value().is_none() {
                    return false;
                }
            }
            b"input" | b"params" => match nothing_until(fields, value, Looks { data: true, brackets: false }) {
                Some(end) => {
                    seen |= name == b"input";
                    all.skip_to(end);
                }
                None => return false,
            },
            // Behind the parameters comes nothing that is said, or another spelling of the same.
            _ => break,
        }
    }
    seen
}

#[no_mangle]
pub unsafe extern "C" fn post_hook(at: *const u8, length: usize) -> u64 {
    answer(at, length, "hook_error", |message, settings| {
        let looks = Looks { data: settings.answers, brackets: settings.restore };
        if !looks.data && !looks.brackets {
            return Some(String::new());
        }
        let response = match response_of(message) {
            Some(response) => response,
            // An error has no answer.
            None if message[member_at(message, "response")?..].starts_with(b"null") => return Some(String::new()),
            None => return None,
        };
        let context = member(message, "context")?;
        let is_chunk = member(response, "object") == Some(b"\"chat.completion.chunk\"");
        if !is_chunk && nothing_until(response, 0, looks).is_some() {
            return Some(String::new());
        }
        let context = Value::parse(context)?;
        let mut values = values_of(&context);
        let mut redactor = Redactor { settings, values: &mut values, restores: settings.restore, redacts: settings.answers };
        let end = gateway_json::value_end(response, 0)?;
        let mut response = Value::parse(&response[..end])?;
        let mut streams = Vec::new();
        let mut changed = false;
        if let Some(Value::List(choices)) = response.get_mut("choices") {
            for choice in choices {
                if is_chunk {
                    changed |= piece(choice, &context, &mut redactor, &mut streams)?;
                } else if let Some(message) = choice.get_mut("message") {
                    changed |= redact(message, "", &mut redactor);
                }
            }
        }
        let mut attributes = values_to_keep(&values);
        attributes.append(&mut streams);
        Some(output(attributes, if changed { Some(("response", response)) } else { None }))
    })
}

fn output(attributes: Vec<(String, Value)>, part: Option<(&str, Value)>) -> String {
    let mut members = Vec::new();
    if !attributes.is_empty() {
        members.push(("context".to_string(), Value::Object(attributes)));
    }
    if let Some((name, value)) = part {
        members.push((name.to_string(), value));
    }
    if members.is_empty() {
        return String::new();
    }
    Value::Object(members).write()
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|part| part == word.as_bytes())
}

// ---- what the request's attributes remember

fn values_of(context: &Value) -> Values {
    let mut parts = Vec::new();
    while let Some(part) = context.get(&format!("{}{}", VALUES, parts.len())).as_text() {
        parts.push(part.to_string());
    }
    Values::of(parts)
}

fn values_to_keep(values: &Values) -> Vec<(String, Value)> {
    let changed = values.parts.iter().enumerate().skip(values.changed);
    changed.map(|(index, part)| (format!("{}{}", VALUES, index), Value::text(part))).collect()
}

// ---- whole texts

/// Changes all texts in the value of a member; true if there was something to change.
fn redact(value: &mut Value, key: &str, redactor: &mut Redactor) -> bool {
    match value {
        Value::Text(text) if !SKIPPED.contains(&key) => match redactor.whole(text, key == "arguments") {
            Some(changed) => {
                *text = changed;
                true
            }
            None => false,
        },
        Value::List(values) => values.iter_mut().fold(false, |changed, each| redact(each, key, redactor) | changed),
        Value::Object(entries) => {
            // The names in metadata are the client's own, and `data` of a document that is text is speech.
            let own = key == METADATA;
            let is_text = entries.iter().any(|(name, each)| name == "type" && each.as_text() == Some("text"));
            entries.iter_mut().fold(false, |changed, (name, each)| {
                let name = if own || (is_text && name == "data") { "" } else { name.as_str() };
                redact(each, name, redactor) | changed
            })
        }
        _ => false,
    }
}

// ---- pieces of streams

/// A text of a choice that comes in pieces, by a name such as `content` or `tool_calls.0`.
type Open = (String, Channel);

/// One choice of a piece. What could be the beginning of something is held back until the next piece of the same text, one of
/// another text, or the end.
fn piece(choice: &mut Value, context: &Value, redactor: &mut Redactor, streams: &mut Vec<(String, Value)>) -> Option<bool> {
    let index = position(choice);
    if index >= MAX_CHOICES {
        return None;
    }
    let attribute = format!("{}{}", STREAM, index);
    let known = context.get(&attribute).as_text();
    let mut open = match known {
        Some(text) => Value::parse(text.as_bytes())?.as_list().iter().map(read_channel).collect::<Option<Vec<Open>>>()?,
        None => Vec::new(),
    };
    let ends = !choice.get("finish_reason").is_null();
    if !matches!(choice.get("delta"), Value::Object(_)) {
        if !ends || open.is_empty() {
            return Some(false);
        }
        choice.set("delta", Value::Object(Vec::new()));
    }
    let delta = choice.get_mut("delta")?;
    let mut spoken: Vec<String> = Vec::new();
    let mut changed = speak(delta, &mut open, ends, redactor, &mut spoken);
    if ends || !spoken.is_empty() {
        let (over, going): (Vec<Open>, Vec<Open>) = open.into_iter().partition(|(name, _)| ends || !spoken.contains(name));
        open = going;
        for (name, mut channel) in over {
            let rest = redactor.push(&mut channel, "", true);
            if !rest.is_empty() {
                release(delta, &name, &rest);
                changed = true;
            }
        }
    }
    let state = if open.is_empty() { Value::Null } else { Value::text(&Value::List(open.iter().map(write_channel).collect()).write()) };
    if state.as_text() != known {
        streams.push((attribute, state));
    }
    Some(changed)
}

/// All texts of a delta.
fn speak(delta: &mut Value, open: &mut Vec<Open>, ends: bool, redactor: &mut Redactor, spoken: &mut Vec<String>) -> bool {
    let mut changed = false;
    for name in ["reasoning", "content", "refusal"] {
        if let Some(Value::Text(text)) = delta.get_mut(name) {
            changed |= say(text, name.to_string(), open, ends, redactor, spoken);
        }
    }
    if let Some(Value::List(details)) = delta.get_mut("reasoning_details") {
        for detail in details {
            let name = format!("reasoning_details.{}", position(detail));
            if let Some(Value::Text(text)) = detail.get_mut("text") {
                changed |= say(text, name, open, ends, redactor, spoken);
            }
        }
    }
    if let Some(Value::List(calls)) = delta.get_mut("tool_calls") {
        for call in calls {
            let name = format!("tool_calls.{}", position(call));
            if let Some(Value::Text(text)) = call.get_mut("function").and_then(|function| function.get_mut("arguments")) {
                changed |= say(text, name, open, ends, redactor, spoken);
            }
        }
    }
    changed
}

fn position(value: &Value) -> usize {
    value.get("index").as_whole().unwrap_or(0)
}

fn say(text: &mut String, name: String, open: &mut Vec<Open>, ends: bool, redactor: &mut Redactor, spoken: &mut Vec<String>) -> bool {
    if text.is_empty() {
        return false;
    }
    let at = match open.iter().position(|(known, _)| *known == name) {
        Some(at) => at,
        None => {
            open.push((name.clone(), Channel::new(name.starts_with("tool_calls"))));
            open.len() - 1
        }
    };
    let out = redactor.push(&mut open[at].1, text, ends);
    spoken.push(name);
    let changed = out != *text;
    *text = out;
    changed
}

/// Adds what was held back to a delta: behind what it has of the same text, or in front of what it has of others.
fn release(delta: &mut Value, name: &str, rest: &str) {
    let (list, index) = match name.find('.') {
        Some(dot) => (&name[..dot], name[dot + 1..].parse().unwrap_or(0)),
        None => {
            let whole = format!("{}{}", delta.get(name).as_text().unwrap_or_default(), rest);
            return delta.set(name, Value::text(&whole));
        }
    };
    let entry = if list == "tool_calls" {
        Value::object(vec![("index", Value::number(index)), ("function", Value::object(vec![("arguments", Value::text(rest))]))])
    } else {
        Value::object(vec![("type", Value::text("reasoning.text")), ("text", Value::text(rest)), ("index", Value::number(index))])
    };
    let mut entries = vec![entry];
    entries.extend(delta.get(list).as_list().iter().cloned());
    delta.set(list, Value::List(entries));
}

fn read_channel(value: &Value) -> Option<Open> {
    let parts = value.as_list();
    let text = |index: usize| parts.get(index).and_then(Value::as_text).map(str::to_string);
    let flags = text(3)?;
    let has = |flag: char| flags.contains(flag);
    Some((text(0)?, Channel { before: text(1)?, held: text(2)?, json: has('j'), quoted: has('q'), long: has('l') }))
}

fn write_channel((name, channel): &Open) -> Value {
    let flags: String = [(channel.json, 'j'), (channel.quoted, 'q'), (channel.long, 'l')].iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
    Value::List([name.as_str(), &channel.before, &channel.held, &flags].iter().map(|text| Value::text(text)).collect())
}
