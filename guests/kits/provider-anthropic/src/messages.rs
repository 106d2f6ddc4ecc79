// Messages as Anthropic's wire has them: blocks of a user and of the model by turns.
use serde_json::{json, Map, Value};

use crate::base64;
use crate::conversation::{data_url, Content, Message};
use crate::faults::Fault;
use crate::settings::Settings;
use crate::wire::REDACTED;

/// A text stays one; of a list, texts become blocks and blocks stay as they are.
pub fn system(settings: &Settings) -> Result<Option<Value>, Fault> {
    match settings.value("system") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(json!(text)).filter(|_| !text.is_empty())),
        Some(Value::Array(items)) => {
            let blocks = items.iter().filter(|item| *item != "").map(|item| match item {
                Value::String(text) => Ok(json!({"type": "text", "text": text})),
                block if block.is_object() => Ok(block.clone()),
                _ => Err(Fault::invalid("\"system\" of the configuration must be texts and blocks")),
            });
            let blocks = blocks.collect::<Result<Vec<Value>, Fault>>()?;
            Ok(Some(blocks).filter(|blocks| !blocks.is_empty()).map(Value::Array))
        }
        Some(_) => Err(Fault::invalid("\"system\" of the configuration must be a text or a list")),
    }
}

/// All results of parallel calls have to be in one message, so that messages of the same side become one.
pub fn messages(said: &[Message]) -> Result<Value, Fault> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in said {
        let role = if message.is_assistant() { "assistant" } else { "user" };
        let mut blocks = blocks(&message.content)?;
        if let (Some(cache), Some(Value::Object(last))) = (&message.cache, blocks.last_mut()) {
            last.entry("cache_control").or_insert_with(|| cache_control(cache));
        }
        match turns.last_mut() {
            Some((last, turn)) if *last == role => turn.append(&mut blocks),
            _ if blocks.is_empty() => {}
            _ => turns.push((role, blocks)),
        }
    }
    Ok(turns.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect())
}

/// The server keeps things for five minutes, or for an hour.
fn cache_control(cache: &Value) -> Value {
    let seconds = cache["ephemeral"]["ttl_seconds"].as_f64().unwrap_or(0.0);
    if seconds > 300.0 { json!({"type": "ephemeral", "ttl": "1h"}) } else { json!({"type": "ephemeral"}) }
}

fn blocks(parts: &[Content]) -> Result<Vec<Value>, Fault> {
    let mut blocks = Vec::new();
    for part in parts {
        let Some(mut block) = block(part)? else { continue };
        if let (Some(control), Some(fields)) = (&part.cache_control, block.as_object_mut()) {
            fields.insert("cache_control".to_string(), control.clone());
        }
        blocks.push(block);
    }
    Ok(blocks)
}

/// None for what the server does not take: texts without text, and thoughts that it did not sign.
fn block(part: &Content) -> Result<Option<Value>, Fault> {
    Ok(Some(match part.kind.as_str() {
        "text" if part.text.is_empty() => return Ok(None),
        "text" => json!({"type": "text", "text": part.text}),
        "resource_link" => json!({"type": "text", "text": part.link_text()}),
        "image" => json!({"type": "image", "source": bytes(part.mime("image/png"), &base64::encode(&part.data))}),
        "image_url" => json!({"type": "image", "source": source(&part.url)}),
        "pdf" => json!({"type": "document", "source": bytes("application/pdf", &base64::encode(&part.data))}),
        "thinking" => return Ok(thinking(part)),
        "tool_use" => json!({"type": "tool_use", "id": part.id, "name": part.name(), "input": part.arguments_object()?}),
        "tool_result" => {
            let inner = blocks(&part.content)?;
            let mut result = Map::from_iter([("type".to_string(), json!("tool_result")), ("tool_use_id".to_string(), json!(part.id))]);
            if !inner.is_empty() {
                result.insert("content".to_string(), Value::Array(inner));
            }
            if part.is_error {
                result.insert("is_error".to_string(), json!(true));
            }
            Value::Object(result)
        }
        _ => return Err(part.unsupported()),
    }))
}

fn thinking(part: &Content) -> Option<Value> {
    let signature = part.signature.as_deref().filter(|signature| !signature.is_empty())?;
    match signature.split_once(':') {
        None => Some(json!({"type": "thinking", "thinking": part.text, "signature": signature})),
        Some(("redacted", _)) => Some(json!({"type": "redacted_thinking", "data": signature.trim_start_matches(REDACTED)})),
        // Another server's.
        Some(_) => None,
    }
}

fn source(url: &str) -> Value {
    match data_url(url) {
        Some((mime, data)) => bytes(mime, data),
        None => json!({"type": "url", "url": url}),
    }
}

fn bytes(mime: &str, data: &str) -> Value {
    json!({"type": "base64", "media_type": mime, "data": data})
}
