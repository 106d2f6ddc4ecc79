//! A plugin for an LLM gateway: takes personal data out of requests and answers, and can put it back into answers. What it
//! has to remember is in the request's attributes, so that instances and requests do not mix.
mod gateway_arena;
mod gateway_json;
mod pii_match;
mod pii_numbers;
mod pii_redact;
mod pii_scan;
mod pii_stream;
mod pii_text;
mod pii_values;
mod pii_whole;

use gateway_arena::Arena;
use gateway_json::{member, member_at, members, request_fields, response_of, value_end, write_text, Value};
use pii_match::KINDS;
use pii_redact::{Redactor, Settings};
use pii_scan::{nothing_until, Looks};
use pii_stream::{choices, edited, STREAM};
use pii_values::Values;
use pii_whole::{redact, redact_messages, redact_own};

#[global_allocator]
static ARENA: Arena = Arena;

static mut SETTINGS: Settings = Settings { wants: [true; 7], numbered: false, restore: false, answers: true };

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

/// Says that requests and answers are read in the flat spelling: others need not be sent.
#[no_mangle]
pub extern "C" fn reads_flat(_at: usize, _length: usize) -> u64 {
    0
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
        let context = member(message, "context")?;
        let mut states = stale(context);
        if is_clean(fields) {
            return Some(output(states.into_iter(), None));
        }
        let mut values = Values::of(context);
        let mut changes: Vec<(&str, Value)> = Vec::new();
        let mut redactor = Redactor { settings, values: &mut values, restores: false, redacts: true };
        let mut input = Value::parse(member(fields, "input")?)?;
        if redact_messages(&mut input, &mut redactor) {
            changes.push(("input", input));
        }
        if let Some(params) = member(fields, "params") {
            let mut params = Value::parse(params)?;
            let mut changed = false;
            for name in PARAMS {
                changed |= params.get_mut(name).map_or(false, |value| match name {
                    METADATA => redact_own(value, &mut redactor),
                    _ => redact(value, name, &mut redactor),
                });
            }
            if changed {
                changes.push(("params", params));
            }
        }
        states.extend(values.to_keep().map(|(name, value)| (name, Some(value.to_string()))));
        let request = if changes.is_empty() { None } else { Some(("request", Value::object(changes).write())) };
        Some(output(states.into_iter(), request))
    })
}

/// What is left of an attempt that failed, to be taken away.
fn stale(context: &[u8]) -> Vec<(String, Option<String>)> {
    let mut states = Vec::new();
    let mut all = members(context);
    while let Some((name, _)) = all.name() {
        if let (true, Ok(name)) = (name.starts_with(STREAM.as_bytes()), std::str::from_utf8(name)) {
            states.push((name.to_string(), None));
        }
        if all.value().is_none() {
            break;
        }
    }
    states
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
            b"input" | b"params" => match nothing_until(fields, value, Looks { data: true, brackets: false, numbers: name == b"params" }) {
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
        let looks = Looks { data: settings.answers, brackets: settings.restore, numbers: false };
        if !looks.data && !looks.brackets {
            return Some(String::new());
        }
        let response = match response_of(message) {
            Some(response) => response,
            // An error has no answer.
            None if message[member_at(message, "response")?..].starts_with(b"null") => return Some(String::new()),
            None => return None,
        };
        // Vectors have none.
        let at = match member_at(response, "choices") {
            Some(at) => at,
            None => return Some(String::new()),
        };
        let context = member(message, "context")?;
        let mut values = Values::of(context);
        let mut redactor = Redactor { settings, values: &mut values, restores: settings.restore, redacts: settings.answers };
        let changes = choices(response, at, context, looks, &mut redactor)?;
        let changed = if changes.edits.is_empty() {
            None
        } else {
            let mut text = String::with_capacity(2 * response.len());
            edited(response, 0, value_end(response, 0)?, &changes.edits, &mut text);
            Some(("response", text))
        };
        let kept = values.to_keep().map(|(name, value)| (name, Some(value.to_string())));
        Some(output(kept.chain(changes.states), changed))
    })
}

/// What the host is told: attributes, of which none is taken away, and a part of the message as JSON.
fn output(attributes: impl Iterator<Item = (String, Option<String>)>, part: Option<(&str, String)>) -> String {
    let mut out = String::with_capacity(64 + part.as_ref().map_or(0, |(_, json)| json.len()));
    for (index, (name, value)) in attributes.enumerate() {
        out.push_str(if index == 0 { "{\"context\":{" } else { "," });
        write_text(&name, &mut out);
        out.push(':');
        match value {
            Some(value) => write_text(&value, &mut out),
            None => out.push_str("null"),
        }
    }
    let begun = !out.is_empty();
    if begun {
        out.push('}');
    }
    if let Some((name, json)) = &part {
        out.push(if begun { ',' } else { '{' });
        write_text(name, &mut out);
        out.push(':');
        out.push_str(json);
    }
    if !out.is_empty() {
        out.push('}');
    }
    out
}
