// OpenAI's wire: what goes to the server, and what comes back as a whole.
use serde_json::{json, Map, Value};

use crate::answers::{Answer, ToolCall, Usage};
use crate::base64;
use crate::conversation::Message;
pub use crate::events::Events;
use crate::exchange::{body_of, count, list, text, vectors, HttpRequest, HttpResponse};
use crate::faults::{refused, Fault, Said};
use crate::messages::messages;
use crate::settings::{own, renamed, sent, Key, Kind::*, Settings};

pub const NAME: &str = "openai";
pub const BASE_URL: &str = "https://api.openai.com/v1/";
pub const KEY_NAME: &str = "OPENAI_API_KEY";
const KEY_HEADER: &str = "authorization";

pub const KEYS: &[Key] = &[
    own("api_key", Text, "the key; needed unless base_url names another server"),
    own("base_url", Text, "the server, with the path that all requests have in common; https://api.openai.com/v1 if absent"),
    own("model", Text, "the model"),
    own("system", Texts, "what the model is told before the conversation"),
    own("headers", Record, "further headers of each request"),
    own("query", Record, "a query that each URL gets, such as api-version"),
    own("organization", Text, "becomes the header openai-organization"),
    own("project", Text, "becomes the header openai-project"),
    own("api_key_header", Text, "the header that has the key as it is; authorization, which has it after Bearer, if absent"),
    own("chat_path", Text, "chat/completions if absent"),
    own("embeddings_path", Text, "embeddings if absent"),
    own("models_path", Text, "models if absent"),
    own("responses_path", Text, "responses if absent"),
    own("responses", Flag, "the server has the responses API; only api.openai.com is thought to if absent"),
    own("stream", Flag, "false: the server does not stream"),
    own("stream_usage", Flag, "false: streams are not asked for the usage, for servers that refuse the question"),
    own("system_role", Text, "the role of what is in system; system if absent"),
    own("max_tokens_key", Text, "the server's name for the limit; max_completion_tokens for OpenAI and Azure, else max_tokens if absent"),
    own("thinking_field", Text, "the field in which earlier thinking is sent back, such as reasoning_content; not at all if absent"),
    own("extra_body", Object, "further fields of the body of requests of conversations"),
    own("max_tokens", Count, "tokens of an answer at most"),
    own("max_completion_tokens", Count, "the same"),
    own("tool_choice", Any, "auto, none, required, or a function; sent where there are tools"),
    own("parallel_tool_calls", Flag, "sent where there are tools"),
    own("enable_parallel_tool_use", Flag, "the same"),
    own("json_schema", Object, "name, description, schema and strict of the answer's JSON; becomes response_format"),
    own("stream_options", Object, "sent with requests for streams"),
    own("dimensions", Count, "numbers of each embedding"),
    own("embedding_dimensions", Count, "the same"),
    own("encoding_format", Text, "how embeddings are sent: float or base64"),
    own("embedding_encoding_format", Text, "the same"),
    own("embedding_usage", Flag, "false: embeddings come as a list alone, for hosts that do not know the form with usage"),
    sent("temperature", Number),
    sent("top_p", Number),
    sent("stop", Any),
    renamed("stop_sequences", List, "stop"),
    sent("seed", Number),
    sent("frequency_penalty", Number),
    sent("presence_penalty", Number),
    sent("logit_bias", Object),
    sent("response_format", Object),
    sent("reasoning_effort", Text),
    sent("verbosity", Text),
    sent("user", Text),
    sent("store", Flag),
    sent("safety_identifier", Text),
    sent("prediction", Object),
    sent("web_search_options", Object),
    sent("prompt_cache_key", Text),
    sent("prompt_cache_retention", Text),
    own("metadata", Object, "sent as it is; Anthropic's, which is a user_id alone, becomes user"),
    own("service_tier", Text, "sent as it is, but for Anthropic's standard_only"),
    own("top_k", Count, VENDORS),
    own("min_p", Number, VENDORS),
    own("repetition_penalty", Number, VENDORS),
    own("thinking", Object, VENDORS),
    own("reasoning", Object, VENDORS),
    own("chat_template_kwargs", Object, VENDORS),
];

const VENDORS: &str = "sent as it is, but not to OpenAI and Azure, which refuse it";
const VENDOR_KEYS: [&str; 6] = ["top_k", "min_p", "repetition_penalty", "thinking", "reasoning", "chat_template_kwargs"];

pub fn settings(values: Map<String, Value>) -> Result<Settings, Fault> {
    Settings::read(values, KEYS)
}

/// True for OpenAI's own server.
fn is_openai(settings: &Settings) -> bool {
    host_of(settings) == "api.openai.com"
}

fn host_of(settings: &Settings) -> &str {
    let url = settings.text("base_url").unwrap_or(BASE_URL);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or_default()
}

fn request(settings: &Settings, method: &'static str, path: &str, body: Option<Value>) -> Result<HttpRequest, Fault> {
    if settings.key().is_none() && is_openai(settings) {
        return Err(Fault::new("auth_error", "Missing API key"));
    }
    let mut head = settings.head(method, BASE_URL, path, KEY_HEADER);
    for name in ["organization", "project"] {
        if let Some(value) = settings.text(name) {
            head.headers.entry(format!("openai-{name}")).or_insert_with(|| value.to_string());
        }
    }
    Ok(HttpRequest { head, body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default() })
}

fn path<'a>(settings: &'a Settings, name: &str, standard: &'a str) -> &'a str {
    settings.text(name).unwrap_or(standard)
}

pub fn chat_request(settings: &Settings, said: &[Message], tools: &[Value], stream: bool) -> Result<HttpRequest, Fault> {
    let mut body = Map::new();
    body.insert("model".to_string(), json!(settings.model()?));
    body.insert("messages".to_string(), messages(settings, said)?);
    if !tools.is_empty() {
        body.insert("tools".to_string(), json!(tools));
        add(&mut body, "tool_choice", settings.value("tool_choice"));
        add(&mut body, "parallel_tool_calls", settings.value("parallel_tool_calls").or(settings.value("enable_parallel_tool_use")));
    }
    let limit = settings.value("max_completion_tokens").or(settings.value("max_tokens"));
    add(&mut body, limit_key(settings), limit);
    body.extend(settings.sent(KEYS));
    for name in VENDOR_KEYS.into_iter().filter(|_| !is_original(settings)) {
        add(&mut body, name, settings.value(name));
    }
    match settings.value("metadata").map(|metadata| (metadata, &metadata["user_id"])) {
        Some((metadata, user)) if user.is_string() && metadata.as_object().is_some_and(|fields| fields.len() == 1) => {
            body.entry("user").or_insert_with(|| user.clone());
        }
        Some((metadata, _)) => drop(body.insert("metadata".to_string(), metadata.clone())),
        None => {}
    }
    add(&mut body, "service_tier", settings.value("service_tier").filter(|tier| *tier != "standard_only"));
    if let Some(schema) = settings.value("json_schema") {
        body.insert("response_format".to_string(), json!({"type": "json_schema", "json_schema": schema}));
    }
    if stream {
        body.insert("stream".to_string(), json!(true));
        add_stream_options(&mut body, settings);
    }
    if let Some(Value::Object(extra)) = settings.value("extra_body") {
        body.extend(extra.clone());
    }
    Ok(request(settings, "POST", path(settings, "chat_path", "chat/completions"), Some(Value::Object(body)))?.accepting(stream))
}

fn add(body: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    if let Some(value) = value {
        body.insert(name.to_string(), value.clone());
    }
}

/// OpenAI's newer models refuse `max_tokens`; most other servers know nothing else.
fn limit_key(settings: &Settings) -> &str {
    path(settings, "max_tokens_key", if is_original(settings) { "max_completion_tokens" } else { "max_tokens" })
}

/// OpenAI's own server, or Azure's.
fn is_original(settings: &Settings) -> bool {
    is_openai(settings) || host_of(settings).ends_with(".openai.azure.com")
}

fn add_stream_options(body: &mut Map<String, Value>, settings: &Settings) {
    let mut options = settings.value("stream_options").and_then(Value::as_object).cloned().unwrap_or_default();
    if settings.flag("stream_usage").unwrap_or(true) {
        options.insert("include_usage".to_string(), json!(true));
    }
    if !options.is_empty() {
        body.insert("stream_options".to_string(), Value::Object(options));
    }
}

pub fn models_request(settings: &Settings) -> Result<HttpRequest, Fault> {
    request(settings, "GET", path(settings, "models_path", "models"), None)
}

/// Lists under `data` or `models`, or without an object around them; of objects with an id or a name.
pub fn models(body: &[u8]) -> Result<Vec<String>, Fault> {
    let value = body_of(body)?;
    let found = [&value["data"], &value["models"], &value].into_iter().find_map(Value::as_array);
    let rows = found.ok_or_else(|| Fault::bad_response("The answer has no list of models", body))?;
    Ok(rows.iter().filter_map(|row| text(row, "id").or_else(|| text(row, "name")).map(str::to_string)).collect())
}

pub fn embed_request(settings: &Settings, inputs: &[String]) -> Result<HttpRequest, Fault> {
    let mut body = Map::from_iter([("model".to_string(), json!(settings.model()?)), ("input".to_string(), json!(inputs))]);
    add(&mut body, "dimensions", settings.value("dimensions").or(settings.value("embedding_dimensions")));
    add(&mut body, "encoding_format", settings.value("encoding_format").or(settings.value("embedding_encoding_format")));
    add(&mut body, "user", settings.value("user"));
    request(settings, "POST", path(settings, "embeddings_path", "embeddings"), Some(Value::Object(body)))
}

/// The vectors, with the usage beside them if the server tells it.
pub fn embeddings(settings: &Settings, body: &[u8]) -> Result<Value, Fault> {
    let value = body_of(body)?;
    let rows = value["data"].as_array().ok_or_else(|| Fault::bad_response("The answer has no embeddings", body))?;
    let mut rows: Vec<&Value> = rows.iter().collect();
    // Each says which text it is for; without that they stay as they are.
    rows.sort_by_key(|row| row["index"].as_u64());
    let numbers: Vec<Value> = rows.iter().map(|row| unpacked(&row["embedding"])).collect();
    let vectors = vectors(numbers.iter(), body)?;
    let usage = usage(&value).filter(|_| settings.flag("embedding_usage").unwrap_or(true));
    Ok(usage.map_or_else(|| json!(vectors), |usage| json!({"embeddings": vectors, "usage": usage})))
}

/// Numbers from base64 of floats of 32 bits, the lowest byte first; anything else stays as it is.
fn unpacked(embedding: &Value) -> Value {
    let Some(bytes) = embedding.as_str().and_then(base64::decode) else { return embedding.clone() };
    bytes.chunks_exact(4).map(|bytes| json!(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))).collect()
}

pub fn pass(settings: &Settings, api: &str, stream: bool) -> Result<Option<HttpRequest>, Fault> {
    let path = match api {
        "openai.chat" => path(settings, "chat_path", "chat/completions"),
        "openai.embeddings" => path(settings, "embeddings_path", "embeddings"),
        "openai.responses" if settings.flag("responses").unwrap_or_else(|| is_openai(settings)) => path(settings, "responses_path", "responses"),
        _ => return Ok(None),
    };
    Ok(Some(request(settings, "POST", path, None)?.accepting(stream)))
}

pub fn answer(body: &[u8]) -> Result<Answer, Fault> {
    let value = body_of(body)?;
    // Some servers answer errors with success.
    if let Some(fault) = error_in(&value) {
        return Err(fault);
    }
    let choice = list(&value, "choices").first().ok_or_else(|| Fault::bad_response("The answer has no choice", body))?;
    let message = Some(&choice["message"]).filter(|message| message.is_object());
    let message = message.ok_or_else(|| Fault::bad_response("The answer's choice has no message", body))?;
    let (mut said, mut thought) = (String::new(), thinking(message).to_string());
    add_content(&message["content"], &mut said, &mut thought);
    let mut answer = Answer { text: said, thinking: thought, usage: usage(&value), ..Answer::default() };
    for (index, call) in list(message, "tool_calls").iter().enumerate() {
        answer.tool_calls.push(tool_call(index, call).ok_or_else(|| Fault::bad_response("A call of a tool has no name", body))?);
    }
    answer.finish_reason = Some(finish_reason(text(choice, "finish_reason"), !answer.tool_calls.is_empty()));
    if let Some(refusal) = text(message, "refusal").filter(|_| answer.text.is_empty()) {
        answer.text = refusal.to_string();
        answer.finish_reason = Some("ContentFilter");
    }
    Ok(answer)
}

/// What servers call the thoughts of a model.
pub fn thinking(message: &Value) -> &str {
    text(message, "reasoning_content").or_else(|| text(message, "reasoning")).unwrap_or_default()
}

/// A text, or a list of parts; some servers have thoughts among them.
pub fn add_content(content: &Value, said: &mut String, thought: &mut String) {
    if let Some(text) = content.as_str() {
        said.push_str(text);
    }
    for part in content.as_array().map(Vec::as_slice).unwrap_or_default() {
        said.push_str(text(part, "text").unwrap_or_default());
        thought.push_str(text(part, "thinking").unwrap_or_default());
        for piece in list(part, "thinking") {
            thought.push_str(text(piece, "text").unwrap_or_default());
        }
    }
}

/// A call with a name; a missing id is made up, and arguments that are no text become it.
fn tool_call(index: usize, call: &Value) -> Option<ToolCall> {
    let function = &call["function"];
    let id = text(call, "id").map_or_else(|| format!("call_{index}"), str::to_string);
    Some(ToolCall::new(id, text(function, "name")?.to_string(), arguments(&function["arguments"])))
}

pub fn arguments(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Models of some servers call tools and say that they stopped.
pub fn finish_reason(reason: Option<&str>, has_calls: bool) -> &'static str {
    match reason {
        Some("stop" | "eos" | "end_turn" | "tool_calls" | "function_call") if has_calls => "ToolCalls",
        Some("stop" | "eos" | "end_turn" | "stop_sequence") => "Stop",
        Some("length" | "model_length" | "max_tokens") => "Length",
        Some("content_filter") => "ContentFilter",
        Some("tool_calls" | "function_call") => "ToolCalls",
        Some("error" | "insufficient_system_resource") => "Error",
        Some(_) => "Other",
        None => "Unknown",
    }
}

/// Of a whole answer or an event.
pub fn usage(value: &Value) -> Option<Usage> {
    let usage = [&value["usage"], &value["x_groq"]["usage"]].into_iter().find(|usage| usage.is_object())?;
    let details = &usage["prompt_tokens_details"];
    Some(Usage {
        input_tokens: count(&usage["prompt_tokens"]),
        output_tokens: count(&usage["completion_tokens"]),
        reasoning_tokens: count(&usage["completion_tokens_details"]["reasoning_tokens"]),
        cache_read: count(&details["cached_tokens"]).max(count(&usage["prompt_cache_hit_tokens"])),
        cache_write: count(&details["cache_write_tokens"]),
    })
}

/// The error that stands where an answer should.
pub fn error_in(value: &Value) -> Option<Fault> {
    let said = &value["error"];
    if said.is_null() || list(value, "choices").first().is_some_and(|choice| choice.is_object()) {
        return None;
    }
    let status = said["code"].as_u64().filter(|code| (400..600).contains(code)).unwrap_or(500) as u16;
    let head = crate::exchange::ResponseHead { status, headers: Default::default() };
    Some(refusal(&HttpResponse { head, body: value.to_string().into_bytes() }))
}

pub fn refusal(response: &HttpResponse) -> Fault {
    let body = response.value();
    // A list around it, a text alone, or no object around the fields: vendors do all of it.
    let body = if body.is_array() { &body[0] } else { &body };
    let error = if body["error"].is_null() { body } else { &body["error"] };
    let message = error.as_str().or_else(|| text(error, "message")).or_else(|| text(error, "detail"));
    let code = text(error, "code").map(str::to_string).or_else(|| error["code"].as_u64().map(|code| code.to_string()));
    let (word, error_type) = (code.as_deref().unwrap_or_default(), text(error, "type").unwrap_or_default());
    let kind = kind(response.head.status, word, error_type, message.unwrap_or_default());
    refused(
        response,
        Said {
            message: message.map(str::to_string),
            error_type: text(error, "type").map(str::to_string),
            request_id: response.header("x-request-id").map(str::to_string),
            wait: error["retry_after"].as_f64(),
            code,
            kind,
        },
    )
}

fn kind(status: u16, code: &str, error_type: &str, message: &str) -> Option<&'static str> {
    match (code, error_type) {
        ("context_length_exceeded", _) => return Some("context_window_exceeded"),
        ("insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active", _) => return Some("quota_exceeded"),
        (_, "insufficient_quota") => return Some("quota_exceeded"),
        ("rate_limit_exceeded", _) => return Some("rate_limited"),
        ("invalid_api_key", _) | (_, "authentication_error") => return Some("authentication"),
        (_, "overloaded_error" | "engine_overloaded_error") => return Some("server_overloaded"),
        _ => {}
    }
    let message = message.to_ascii_lowercase();
    let too_long = ["maximum context length", "context window", "context length", "too many tokens"];
    (matches!(status, 400 | 413 | 422) && too_long.iter().any(|words| message.contains(words))).then_some("context_window_exceeded")
}
