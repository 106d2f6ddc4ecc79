use std::cell::RefCell;
use std::collections::BTreeMap;

use extism_pdk::*;
use serde::Deserialize;
use serde_json::{json, Value};

/// A key that is not here is not in the schema either, and never arrives: the host leaves it out and reports it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    api_key: Option<String>,
    base_url: Option<String>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct ChatInput {
    cfg: Config,
    messages: Vec<Value>,
}

#[derive(Deserialize)]
struct ConfigInput {
    cfg: Config,
}

#[derive(Deserialize)]
struct HttpResponse {
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct ResponseBox {
    resp: HttpResponse,
}

#[derive(Deserialize)]
struct ParseInput {
    resp: ResponseBox,
}

#[derive(Deserialize)]
struct ParserInput {
    parser_id: u32,
    chunk: Vec<u8>,
}

/// An error as the host reads it: JSON as the error's text, and the return code 1.
fn fault(kind: &str, message: impl ToString) -> WithReturnCode<Error> {
    let payload = json!({"payload": {"type": kind, "message": message.to_string()}});
    WithReturnCode::new(Error::msg(payload.to_string()), 1)
}

fn parsed(body: &[u8]) -> FnResult<Value> {
    serde_json::from_slice(body).map_err(|error| fault("response_format_error", error))
}

fn request(cfg: &Config, method: &str, path: &str, body: Option<Value>) -> FnResult<Json<Value>> {
    let Some(key) = &cfg.api_key else { return Err(fault("auth_error", "Missing API key")) };
    let base = cfg.base_url.as_deref().unwrap_or("https://models.example/v1");
    let head = json!({
        "method": method,
        "uri": format!("{}/{path}", base.trim_end_matches('/')),
        "headers": {"authorization": format!("Bearer {key}"), "content-type": "application/json"},
        "version": "HTTP/1.1",
    });
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    Ok(Json(json!({"req": {"head": head, "body": body}})))
}

fn chat(input: ChatInput, stream: bool) -> FnResult<Json<Value>> {
    let mut said = Vec::new();
    for message in &input.messages {
        for part in message["content"].as_array().into_iter().flatten() {
            if part["type"] != "text" {
                return Err(fault("invalid_request", format!("Content of the type {} cannot be sent", part["type"])));
            }
            said.push(json!({"who": message["role"], "text": part["text"]}));
        }
    }
    let Some(model) = &input.cfg.model else { return Err(fault("invalid_request", "The configuration names no model")) };
    request(&input.cfg, "POST", "talk", Some(json!({"model": model, "said": said, "stream": stream})))
}

#[plugin_fn]
pub fn name() -> FnResult<String> {
    Ok("minimal".to_string())
}

#[plugin_fn]
pub fn init_logging(_level: String) -> FnResult<()> {
    Ok(())
}

#[plugin_fn]
pub fn config_schema() -> FnResult<String> {
    let text = json!({"type": "string"});
    Ok(json!({"type": "object", "properties": {"api_key": text, "base_url": text, "model": text}}).to_string())
}

#[plugin_fn]
pub fn from_config(text: String) -> FnResult<String> {
    serde_json::from_str::<Config>(&text).map_err(|error| fault("invalid_request", error))?;
    Ok("null".to_string())
}

#[plugin_fn]
pub fn list_models_request(Json(input): Json<ConfigInput>) -> FnResult<Json<Value>> {
    request(&input.cfg, "GET", "models", None)
}

#[plugin_fn]
pub fn parse_list_models_response(Json(input): Json<ResponseBox>) -> FnResult<Json<Value>> {
    Ok(Json(parsed(&input.resp.body)?["models"].take()))
}

#[plugin_fn]
pub fn chat_request(Json(input): Json<ChatInput>) -> FnResult<Json<Value>> {
    chat(input, false)
}

#[plugin_fn]
pub fn parse_chat_response(Json(input): Json<ParseInput>) -> FnResult<Json<Value>> {
    let answer = parsed(&input.resp.resp.body)?;
    let usage = json!({"input_tokens": answer["tokens"][0], "output_tokens": answer["tokens"][1]});
    Ok(Json(json!({"text": answer["text"], "tool_calls": null, "thinking": null, "usage": usage, "finish_reason": "Stop"})))
}

#[plugin_fn]
pub fn chat_stream_request(Json(input): Json<ChatInput>) -> FnResult<Json<Value>> {
    chat(input, true)
}

thread_local! {
    /// Of each stream that is open, the line that has begun.
    static PARSERS: RefCell<BTreeMap<u32, Vec<u8>>> = RefCell::default();
}

fn item(chunk: Value) -> Value {
    json!({"chunk": chunk, "usage": null})
}

#[plugin_fn]
pub fn chat_stream_parser_start(_config: String) -> FnResult<Json<u32>> {
    PARSERS.with_borrow_mut(|parsers| {
        let id = parsers.last_key_value().map_or(1, |(last, _)| last + 1);
        parsers.insert(id, Vec::new());
        Ok(Json(id))
    })
}

#[plugin_fn]
pub fn chat_stream_parser_parse(Json(input): Json<ParserInput>) -> FnResult<Json<Vec<Value>>> {
    PARSERS.with_borrow_mut(|parsers| {
        let line = parsers.get_mut(&input.parser_id).ok_or_else(|| fault("invalid_request", "There is no such parser"))?;
        let mut items = Vec::new();
        for byte in input.chunk {
            line.push(byte);
            if byte != b'\n' {
                continue;
            }
            let whole = std::mem::take(line);
            let Some(data) = whole.trim_ascii().strip_prefix(b"data:") else { continue };
            let event = parsed(data)?;
            if event["text"].is_string() {
                items.push(item(json!({"text": event["text"]})));
            }
        }
        Ok(Json(items))
    })
}

#[plugin_fn]
pub fn chat_stream_parser_finish(Json(id): Json<u32>) -> FnResult<Json<Vec<Value>>> {
    PARSERS.with_borrow_mut(|parsers| parsers.remove(&id));
    Ok(Json(vec![item(json!({"done": {"finish_reason": "Stop"}}))]))
}

#[plugin_fn]
pub fn chat_stream_parser_close(Json(id): Json<u32>) -> FnResult<()> {
    PARSERS.with_borrow_mut(|parsers| parsers.remove(&id));
    Ok(())
}
