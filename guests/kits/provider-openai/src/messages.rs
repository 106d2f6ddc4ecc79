// Messages as OpenAI's wire has them: results of tools are messages of their own, images are URLs.
use serde_json::{json, Map, Value};

use crate::base64;
use crate::conversation::{Content, Message};
use crate::faults::Fault;
use crate::settings::Settings;

pub fn messages(settings: &Settings, said: &[Message]) -> Result<Value, Fault> {
    let mut sent = Vec::new();
    let role = settings.text("system_role").unwrap_or("system");
    for text in settings.texts("system") {
        sent.push(json!({"role": role, "content": text}));
    }
    for message in said {
        if message.is_assistant() {
            add_assistant(&mut sent, settings, message)?;
        } else {
            add_user(&mut sent, message)?;
        }
    }
    Ok(Value::Array(sent))
}

fn add_assistant(sent: &mut Vec<Value>, settings: &Settings, message: &Message) -> Result<(), Fault> {
    let (mut parts, mut calls, mut thoughts) = (Vec::new(), Vec::new(), String::new());
    for content in &message.content {
        match content.kind.as_str() {
            "thinking" => thoughts += &content.text,
            "tool_use" => calls.push(json!({
                "id": content.id, "type": "function",
                "function": {"name": content.name(), "arguments": content.arguments_text()},
            })),
            _ => parts.push(part(content)?),
        }
    }
    if parts.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let mut whole = Map::from_iter([("role".to_string(), json!("assistant")), ("content".to_string(), joined(parts))]);
    if let Some(field) = settings.text("thinking_field").filter(|_| !thoughts.is_empty()) {
        whole.insert(field.to_string(), json!(thoughts));
    }
    if !calls.is_empty() {
        whole.insert("tool_calls".to_string(), json!(calls));
    }
    sent.push(Value::Object(whole));
    Ok(())
}

/// Results come first: nothing may stand between them and the calls. Their images follow in a message of the user.
fn add_user(sent: &mut Vec<Value>, message: &Message) -> Result<(), Fault> {
    let mut parts = Vec::new();
    for content in &message.content {
        match content.kind.as_str() {
            "tool_result" => {
                sent.push(json!({"role": "tool", "tool_call_id": content.id, "content": content.result_text()}));
                let seen = content.content.iter().filter(|inner| !matches!(inner.kind.as_str(), "text" | "resource_link"));
                for inner in seen {
                    parts.push(part(inner)?);
                }
            }
            "thinking" => {}
            _ => parts.push(part(content)?),
        }
    }
    if !parts.is_empty() {
        sent.push(json!({"role": "user", "content": joined(parts)}));
    }
    Ok(())
}

/// One text alone is sent as text, since not every server takes parts.
fn joined(mut parts: Vec<Value>) -> Value {
    match parts.as_mut_slice() {
        [] => Value::Null,
        [Value::Object(part)] if part.len() == 2 && part.contains_key("text") => part.remove("text").unwrap_or_default(),
        _ => Value::Array(parts),
    }
}

fn part(content: &Content) -> Result<Value, Fault> {
    Ok(match content.kind.as_str() {
        "text" => json!({"type": "text", "text": content.text}),
        "resource_link" => json!({"type": "text", "text": content.link_text()}),
        "image_url" => image(&content.url, content),
        "image" => image(&data_url(content.mime("image/png"), &content.data), content),
        "pdf" => {
            let name = content.name.as_deref().unwrap_or("document.pdf");
            json!({"type": "file", "file": {"filename": name, "file_data": data_url("application/pdf", &content.data)}})
        }
        "audio" => json!({"type": "input_audio", "input_audio": {"data": base64::encode(&content.data), "format": audio_format(content)?}}),
        _ => return Err(content.unsupported()),
    })
}

fn image(url: &str, content: &Content) -> Value {
    let mut image = json!({"url": url});
    if let Some(detail) = &content.detail {
        image["detail"] = detail.clone();
    }
    json!({"type": "image_url", "image_url": image})
}

fn data_url(mime: &str, bytes: &[u8]) -> String {
    format!("data:{mime};base64,{}", base64::encode(bytes))
}

fn audio_format(content: &Content) -> Result<&'static str, Fault> {
    match content.mime("audio/wav") {
        "audio/wav" | "audio/x-wav" | "audio/wave" => Ok("wav"),
        "audio/mp3" | "audio/mpeg" => Ok("mp3"),
        _ => Err(Fault::unsupported("This provider can send audio as WAV and MP3 only")),
    }
}
