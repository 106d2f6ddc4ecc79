//! Whole values: all texts of messages, of answers and of what names people among the parameters.
use crate::gateway_json::Value;
use crate::pii_redact::Redactor;

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

pub fn is_skipped(key: &str) -> bool {
    SKIPPED.contains(&key)
}

/// Changes all texts in the value of a member; true if there was something to change.
pub fn redact(value: &mut Value, key: &str, redactor: &mut Redactor) -> bool {
    match value {
        Value::Text(text) if !is_skipped(key) => replace(text, key == "arguments", redactor),
        Value::List(values) => values.iter_mut().fold(false, |changed, each| redact(each, key, redactor) | changed),
        Value::Object(entries) => {
            // `data` of a document that is text is speech.
            let is_text = entries.iter().any(|(name, each)| name == "type" && each.as_text() == Some("text"));
            entries.iter_mut().fold(false, |changed, (name, each)| {
                let name = if is_text && name == "data" { "" } else { name.as_str() };
                redact(each, name, redactor) | changed
            })
        }
        _ => false,
    }
}

/// Changes messages, whose names are people's.
pub fn redact_messages(input: &mut Value, redactor: &mut Redactor) -> bool {
    match input {
        Value::List(messages) => messages.iter_mut().fold(false, |changed, message| {
            let name = match message.get_mut("name") {
                Some(Value::Text(name)) => replace(name, false, redactor),
                _ => false,
            };
            redact(message, "", redactor) | name | changed
        }),
        other => redact(other, "", redactor),
    }
}

/// Changes what is the client's own: texts, names and numbers.
pub fn redact_own(value: &mut Value, redactor: &mut Redactor) -> bool {
    match value {
        Value::Text(text) => replace(text, false, redactor),
        Value::Number(number) => match redactor.whole(number, false) {
            Some(text) => {
                *value = Value::Text(text);
                true
            }
            None => false,
        },
        Value::List(values) => values.iter_mut().fold(false, |changed, each| redact_own(each, redactor) | changed),
        Value::Object(entries) => {
            let mut changed = false;
            let mut names = 0;
            for (name, each) in entries {
                changed |= redact_own(each, redactor);
                if replace(name, false, redactor) {
                    // No two may be the same.
                    names += 1;
                    if names > 1 {
                        *name = format!("{} {}", name, names);
                    }
                    changed = true;
                }
            }
            changed
        }
        _ => false,
    }
}

fn replace(text: &mut String, json: bool, redactor: &mut Redactor) -> bool {
    match redactor.whole(text, json) {
        Some(changed) => {
            *text = changed;
            true
        }
        None => false,
    }
}
