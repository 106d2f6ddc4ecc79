// What both generations of the provider share: the shapes that cross to the host, and the wire of an OpenAI-like server.
use std::collections::BTreeMap;

use extism_pdk::{Error, WithReturnCode};
use serde::{Deserialize, Serialize};
use serde_json::{json, Map, Value};

pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub api_key: Option<String>,
    pub base_url: Option<String>,
    pub model: String,
    #[serde(default)]
    pub system: Vec<String>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
    pub tool_choice: Option<Value>,
    pub stream: Option<bool>,
}

pub fn config_schema() -> String {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "required": ["model"],
        "properties": {
            "api_key": text, "base_url": text, "model": text,
            "system": {"type": "array", "items": text},
            "temperature": {"type": "number"}, "max_tokens": {"type": "integer"},
            "tool_choice": {}, "stream": {"type": "boolean"},
        },
    })
    .to_string()
}

#[derive(Deserialize)]
pub struct ChatRequest {
    pub cfg: Config,
    pub messages: Vec<Message>,
    pub tools: Option<Vec<Value>>,
}

#[derive(Deserialize)]
pub struct Message {
    pub role: String,
    pub content: Vec<Value>,
}

#[derive(Serialize, Deserialize)]
pub struct RequestHead {
    pub method: String,
    pub uri: String,
    pub headers: BTreeMap<String, String>,
    pub version: String,
}

#[derive(Serialize, Deserialize)]
pub struct HttpRequest {
    pub head: RequestHead,
    pub body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
pub struct RequestBox {
    pub req: HttpRequest,
}

/// Values of a header that is there more than once come as a list.
#[derive(Deserialize)]
pub struct ResponseHead {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, Value>,
    #[serde(rename = "version")]
    pub _version: String,
}

#[derive(Deserialize)]
pub struct HttpResponse {
    pub head: ResponseHead,
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
pub struct ResponseBox {
    pub resp: HttpResponse,
}

/// The host's error shape: the text of the error, with return code 1.
pub fn failure(payload: Value) -> WithReturnCode<Error> {
    WithReturnCode::new(Error::msg(json!({ "payload": payload }).to_string()), 1)
}

pub fn invalid(message: impl ToString) -> WithReturnCode<Error> {
    failure(json!({"type": "invalid_request", "message": message.to_string()}))
}

pub fn bad_response(message: impl ToString, raw: &[u8]) -> WithReturnCode<Error> {
    let raw = String::from_utf8_lossy(&raw[..raw.len().min(2000)]);
    failure(json!({"type": "response_format_error", "message": message.to_string(), "raw_response": raw}))
}

pub fn request(cfg: &Config, method: &str, path: &str, body: Option<Value>) -> Result<HttpRequest, WithReturnCode<Error>> {
    let key = cfg.api_key.as_deref().unwrap_or_default();
    if key.is_empty() {
        return Err(failure(json!({"type": "auth_error", "message": "Missing API key"})));
    }
    let base = cfg.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL);
    let mut headers = BTreeMap::from([("authorization".to_string(), format!("Bearer {key}"))]);
    if body.is_some() {
        headers.insert("content-type".to_string(), "application/json".to_string());
    }
    Ok(HttpRequest {
        head: RequestHead {
            method: method.to_string(),
            uri: format!("{}/{path}", base.trim_end_matches('/')),
            headers,
            version: "HTTP/1.1".to_string(),
        },
        body: body.map(|value| value.to_string().into_bytes()).unwrap_or_default(),
    })
}

pub fn chat_request(request_of: &ChatRequest, stream: bool) -> Result<HttpRequest, WithReturnCode<Error>> {
    let ChatRequest { cfg, messages, tools } = request_of;
    let mut sent = Vec::new();
    for text in &cfg.system {
        sent.push(json!({"role": "system", "content": text}));
    }
    for message in messages {
        add_message(&mut sent, message)?;
    }
    let mut body = Map::new();
    body.insert("model".to_string(), json!(cfg.model));
    body.insert("messages".to_string(), Value::Array(sent));
    if let Some(tools) = tools.as_ref().filter(|tools| !tools.is_empty()) {
        body.insert("tools".to_string(), json!(tools));
        body.insert("tool_choice".to_string(), cfg.tool_choice.clone().unwrap_or_else(|| json!("auto")));
    }
    if let Some(temperature) = cfg.temperature {
        body.insert("temperature".to_string(), json!(temperature));
    }
    if let Some(max_tokens) = cfg.max_tokens {
        body.insert("max_tokens".to_string(), json!(max_tokens));
    }
    if stream {
        body.insert("stream".to_string(), json!(true));
        body.insert("stream_options".to_string(), json!({"include_usage": true}));
    }
    request(cfg, "POST", "chat/completions", Some(Value::Object(body)))
}

fn add_message(sent: &mut Vec<Value>, message: &Message) -> Result<(), WithReturnCode<Error>> {
    let mut parts = Vec::new();
    let mut calls = Vec::new();
    for content in &message.content {
        let field = |name: &str| content.get(name).cloned().unwrap_or(Value::Null);
        match content["type"].as_str().unwrap_or_default() {
            "text" => parts.push(json!({"type": "text", "text": field("text")})),
            "image_url" => parts.push(json!({"type": "image_url", "image_url": {"url": field("url")}})),
            "image" => {
                let bytes: Vec<u8> = serde_json::from_value(field("data")).map_err(invalid)?;
                let mime = content["mime_type"].as_str().unwrap_or("image/png");
                parts.push(json!({"type": "image_url", "image_url": {"url": format!("data:{mime};base64,{}", base64(&bytes))}}));
            }
            "tool_use" => calls.push(json!({
                "id": field("id"), "type": "function",
                "function": {"name": field("name"), "arguments": field("arguments").to_string()},
            })),
            "tool_result" => sent.push(json!({"role": "tool", "tool_call_id": field("id"), "content": text_of(&field("content"))})),
            "thinking" => {}
            other => return Err(failure(json!({"type": "not_implemented", "message": format!("Content of the type {other}")}))),
        }
    }
    if parts.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let role = if message.role == "Assistant" { "assistant" } else { "user" };
    let mut whole = Map::from_iter([("role".to_string(), json!(role)), ("content".to_string(), json!(parts))]);
    if !calls.is_empty() {
        whole.insert("tool_calls".to_string(), json!(calls));
    }
    sent.push(Value::Object(whole));
    Ok(())
}

fn text_of(content: &Value) -> String {
    let items = content.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item["text"].as_str()).collect::<Vec<_>>().join("\n")
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let value = (u32::from(group[0]) << 16) | (u32::from(*group.get(1).unwrap_or(&0)) << 8) | u32::from(*group.get(2).unwrap_or(&0));
        for index in 0..4 {
            let digit = ALPHABET[(value >> (18 - 6 * index)) as usize & 63];
            text.push(if index > group.len() { '=' } else { digit as char });
        }
    }
    text
}

pub fn finish_reason(reason: &str) -> &'static str {
    match reason {
        "stop" => "Stop",
        "length" => "Length",
        "content_filter" => "ContentFilter",
        "tool_calls" => "ToolCalls",
        _ => "Other",
    }
}

pub fn usage(value: &Value) -> Value {
    if !value.is_object() {
        return Value::Null;
    }
    let count = |path: &str| value.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    json!({
        "input_tokens": count("/prompt_tokens"),
        "output_tokens": count("/completion_tokens"),
        "reasoning_tokens": count("/completion_tokens_details/reasoning_tokens"),
        "cache_read": count("/prompt_tokens_details/cached_tokens"),
        "cache_write": 0,
    })
}

pub fn parse_chat(response: &HttpResponse) -> Result<Value, WithReturnCode<Error>> {
    if !(200..300).contains(&response.head.status) {
        return Err(failure(classify(response)));
    }
    let body: Value = serde_json::from_slice(&response.body).map_err(|error| bad_response(error, &response.body))?;
    let choice = body.pointer("/choices/0").ok_or_else(|| bad_response("there is no choice", &response.body))?;
    let message = &choice["message"];
    Ok(json!({
        "text": message["content"],
        "tool_calls": message["tool_calls"],
        "thinking": message["reasoning_content"],
        "usage": usage(&body["usage"]),
        "finish_reason": choice["finish_reason"].as_str().map(finish_reason),
    }))
}

/// An error response as a payload that says whether trying again can help.
pub fn classify(response: &HttpResponse) -> Value {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    let status = response.head.status;
    let code = body.pointer("/error/code").and_then(Value::as_str);
    let kind = match (status, code) {
        (_, Some("context_length_exceeded")) => "context_window_exceeded",
        (_, Some("insufficient_quota")) => "quota_exceeded",
        (429, _) => "rate_limited",
        (401 | 403, _) => "authentication",
        (400 | 422, _) => "invalid_request",
        (503, _) => "server_overloaded",
        (408 | 425 | 500.., _) => "unknown_transient",
        _ => "unknown_permanent",
    };
    let message = body.pointer("/error/message").and_then(Value::as_str).map_or_else(|| format!("HTTP {status}"), str::to_string);
    let mut payload = json!({"type": "provider_error", "message": message, "kind": kind});
    let header = |name: &str| response.head.headers.get(name).and_then(Value::as_str);
    if let Some(code) = code {
        payload["code"] = json!(code);
    }
    if let Some(kind) = body.pointer("/error/type").and_then(Value::as_str) {
        payload["error_type"] = json!(kind);
    }
    if let Some(id) = header("x-request-id") {
        payload["request_id"] = json!(id);
    }
    if let Some(seconds) = header("retry-after").and_then(|text| text.parse::<u64>().ok()) {
        payload["retry_after_secs"] = json!(seconds);
    }
    payload
}

struct Call {
    id: String,
    name: String,
    arguments: String,
}

/// Reads server-sent events; a piece may have any number of whole lines.
#[derive(Default)]
pub struct Parser {
    calls: BTreeMap<u64, Call>,
    finish: Option<&'static str>,
    done: bool,
}

impl Parser {
    pub fn parse(&mut self, piece: &[u8]) -> Result<Vec<Value>, WithReturnCode<Error>> {
        let mut items = Vec::new();
        for line in piece.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(data) = line.strip_prefix(b"data:") else { continue };
            let data = data.strip_prefix(b" ").unwrap_or(data);
            if data == b"[DONE]" {
                self.finish(&mut items);
                continue;
            }
            let event: Value = serde_json::from_slice(data).map_err(|error| bad_response(error, data))?;
            if let Some(message) = event.pointer("/error/message") {
                return Err(failure(json!({"type": "provider_error", "message": message, "kind": "unknown_transient"})));
            }
            self.event(&event, &mut items);
        }
        Ok(items)
    }

    fn event(&mut self, event: &Value, items: &mut Vec<Value>) {
        let choice = &event["choices"][0];
        let delta = &choice["delta"];
        if let Some(text) = delta["reasoning_content"].as_str().filter(|text| !text.is_empty()) {
            items.push(item(json!({"thinking": text})));
        }
        if let Some(text) = delta["content"].as_str().filter(|text| !text.is_empty()) {
            items.push(item(json!({"text": text})));
        }
        for part in delta["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let index = part["index"].as_u64().unwrap_or(0);
            let function = &part["function"];
            if let Some(id) = part["id"].as_str() {
                let name = function["name"].as_str().unwrap_or_default();
                self.calls.insert(index, Call { id: id.to_string(), name: name.to_string(), arguments: String::new() });
                items.push(item(json!({"tool_use_start": {"index": index, "id": id, "name": name}})));
            }
            if let (Some(text), Some(call)) = (function["arguments"].as_str().filter(|text| !text.is_empty()), self.calls.get_mut(&index)) {
                call.arguments.push_str(text);
                items.push(item(json!({"tool_use_input_delta": {"index": index, "partial_json": text}})));
            }
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.finish = Some(finish_reason(reason));
            for (index, call) in std::mem::take(&mut self.calls) {
                let tool_call = json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}});
                items.push(item(json!({"tool_use_complete": {"index": index, "tool_call": tool_call}})));
            }
        }
        if event["usage"].is_object() {
            let usage = usage(&event["usage"]);
            items.push(json!({"chunk": {"usage": usage}, "usage": usage}));
        }
    }

    pub fn finish(&mut self, items: &mut Vec<Value>) {
        if !self.done {
            items.push(item(json!({"done": {"finish_reason": self.finish.unwrap_or("Unknown")}})));
        }
        self.done = true;
    }
}

fn item(chunk: Value) -> Value {
    json!({"chunk": chunk, "usage": null})
}
