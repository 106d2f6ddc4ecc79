// Messages as Gemini's wire has them: contents of a user and of the model by turns, made of parts.
use std::collections::BTreeMap;

use serde_json::{json, Value};

use crate::base64;
use crate::conversation::{data_url, Content, Message};
use crate::faults::Fault;
use crate::settings::Settings;
use crate::wire::{is_third, SIGNED};

/// Tells the server not to look for a signature: the call is of another model.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// All results of parallel calls have to be in one turn, so that messages of the same side become one.
pub fn contents(settings: &Settings, said: &[Message]) -> Result<Value, Fault> {
    let needs_signature = is_third(settings.model()?);
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    // Results are told by the name of the function, which their messages need not have.
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for message in said {
        names.extend(message.content.iter().filter(|part| part.kind == "tool_use").map(|part| (part.id.as_str(), part.name())));
        let mut parts = if message.is_assistant() { of_model(&message.content, needs_signature)? } else { of_user(&message.content, &names)? };
        let role = if message.is_assistant() { "model" } else { "user" };
        match turns.last_mut() {
            Some((last, turn)) if *last == role => turn.append(&mut parts),
            _ if parts.is_empty() => {}
            _ => turns.push((role, parts)),
        }
    }
    Ok(turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect())
}

/// Thoughts stay away; their signature goes with the first call that follows.
fn of_model(content: &[Content], needs_signature: bool) -> Result<Vec<Value>, Fault> {
    let mut parts = Vec::new();
    let mut signature = None;
    let mut calls = 0;
    for part in content {
        match part.kind.as_str() {
            "thinking" => signature = part.signature.as_deref().and_then(|signature| signature.strip_prefix(SIGNED)).or(signature),
            "tool_use" => {
                let mut call = json!({"functionCall": {"name": part.name(), "args": part.arguments_object()?}});
                let unsigned = Some(UNSIGNED).filter(|_| needs_signature && calls == 0);
                if let Some(signature) = signature.take().or(unsigned) {
                    call["thoughtSignature"] = json!(signature);
                }
                calls += 1;
                parts.push(call);
            }
            _ => parts.extend(plain(part)?),
        }
    }
    Ok(parts)
}

fn of_user(content: &[Content], names: &BTreeMap<&str, &str>) -> Result<Vec<Value>, Fault> {
    let mut parts = Vec::new();
    let mut seen = Vec::new();
    for part in content {
        match part.kind.as_str() {
            "thinking" => {}
            "tool_result" => {
                let known = names.get(part.id.as_str()).copied();
                let name = part.name.as_deref().filter(|name| !name.is_empty()).or(known);
                let name = name.ok_or_else(|| Fault::invalid("The result of a tool belongs to no call"))?;
                parts.push(json!({"functionResponse": {"name": name, "response": result(part)}}));
                for inner in part.content.iter().filter(|inner| !matches!(inner.kind.as_str(), "text" | "resource_link")) {
                    seen.extend(plain(inner)?);
                }
            }
            _ => seen.extend(plain(part)?),
        }
    }
    parts.append(&mut seen);
    Ok(parts)
}

/// An object, as the server wants it.
fn result(part: &Content) -> Value {
    let text = part.result_text();
    if part.is_error {
        return json!({"error": text});
    }
    serde_json::from_str(&text).ok().filter(Value::is_object).unwrap_or_else(|| json!({"output": text}))
}

/// None for a text without text, which the server refuses.
fn plain(part: &Content) -> Result<Option<Value>, Fault> {
    Ok(Some(match part.kind.as_str() {
        "text" if part.text.is_empty() => return Ok(None),
        "text" => json!({"text": part.text}),
        "resource_link" => json!({"text": part.link_text()}),
        "image" => inline(part.mime("image/png"), &base64::encode(&part.data)),
        "pdf" => inline("application/pdf", &base64::encode(&part.data)),
        "audio" => inline(part.mime("audio/wav"), &base64::encode(&part.data)),
        "image_url" => match data_url(&part.url) {
            Some((mime, data)) => inline(mime, data),
            None => file(&part.url),
        },
        _ => return Err(part.unsupported()),
    }))
}

fn inline(mime: &str, data: &str) -> Value {
    json!({"inlineData": {"mimeType": mime, "data": data}})
}

/// The server wants to know the type before it fetches the file.
fn file(url: &str) -> Value {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let types = [(".png", "image/png"), (".webp", "image/webp"), (".gif", "image/gif"), (".heic", "image/heic"), (".pdf", "application/pdf")];
    let mime = types.iter().find(|(end, _)| path.ends_with(end)).map_or("image/jpeg", |(_, mime)| mime);
    json!({"fileData": {"mimeType": mime, "fileUri": url}})
}
