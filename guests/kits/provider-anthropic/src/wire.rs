// Anthropic's wire: what goes to the server, and what comes back as a whole.
use serde_json::{json, Map, Value};

use crate::answers::{Answer, ToolCall, Usage};
use crate::conversation::{function_of, Message};
pub use crate::events::Events;
use crate::exchange::{body_of, count, text, HttpRequest, HttpResponse};
use crate::faults::{refused, Fault, Said};
use crate::messages::{messages, system};
use crate::settings::{own, sent, Key, Kind::*, Settings};

pub const NAME: &str = "anthropic";
pub const BASE_URL: &str = "https://api.anthropic.com/v1/";
pub const KEY_NAME: &str = "ANTHROPIC_API_KEY";
const KEY_HEADER: &str = "x-api-key";
const VERSION: &str = "2023-06-01";
/// The wire wants a limit; this one holds for every model.
const MAX_TOKENS: u64 = 4096;
/// The fewest tokens for thinking that the server takes.
const MIN_BUDGET: u64 = 1024;
/// In front of the data of thoughts that the server encrypted, where a signature is.
pub const REDACTED: &str = "redacted:";

pub const KEYS: &[Key] = &[
    own("api_key", Text, "the key; needed unless base_url names another server"),
    own("base_url", Text, "the server, with the path that all requests have in common; https://api.anthropic.com/v1 if absent"),
    own("model", Text, "the model"),
    own("system", Any, "what the model is told before the conversation: a text, or a list of texts and of the server's text blocks"),
    own("headers", Record, "further headers of each request"),
    own("query", Record, "a query that each URL gets"),
    own("version", Text, "the header anthropic-version; 2023-06-01 if absent"),
    own("betas", Texts, "become the header anthropic-beta"),
    own("api_key_header", Text, "the header that has the key, after Bearer if it is authorization; x-api-key if absent"),
    own("stream", Flag, "false: the server does not stream"),
    own("max_tokens", Count, "tokens of an answer at most; 4096 if absent"),
    own("max_completion_tokens", Count, "the same"),
    own("temperature", Number, "sent as it is, but for what is above 1, the most that the server takes"),
    own("stop", Any, "becomes stop_sequences"),
    own("tool_choice", Any, "auto, none, required, or a function; sent where there are tools"),
    own("parallel_tool_calls", Flag, "false: one call of a tool at a time"),
    own("enable_parallel_tool_use", Flag, "the same"),
    own("json_schema", Object, "name, description, schema and strict of the answer's JSON; the schema becomes output_config.format"),
    own("response_format", Object, "the same, in OpenAI's form"),
    own("reasoning_effort", Text, "none, minimal, low, medium, high, xhigh or max: becomes thinking, in the way that the model knows"),
    own("reasoning_budget_tokens", Count, "tokens for thinking; becomes thinking"),
    own("user", Text, "becomes metadata.user_id"),
    own("metadata", Object, "its user_id is sent, which is all that the server takes"),
    own("service_tier", Text, "sent if it is auto or standard_only, the server's own words"),
    sent("top_p", Number),
    sent("top_k", Count),
    sent("stop_sequences", List),
    sent("thinking", Object),
    sent("output_config", Object),
    sent("cache_control", Object),
    sent("container", Any),
    sent("context_management", Object),
    sent("mcp_servers", List),
    sent("inference_geo", Text),
    sent("speed", Text),
];

pub fn settings(values: Map<String, Value>) -> Result<Settings, Fault> {
    Settings::read(values, KEYS)
}

fn request(settings: &Settings, method: &'static str, path: &str, body: Option<Value>) -> Result<HttpRequest, Fault> {
    let is_own = settings.text("base_url").is_none_or(|url| url.starts_with("https://api.anthropic.com"));
    if settings.key().is_none() && is_own {
        return Err(Fault::new("auth_error", "Missing API key"));
    }
    let mut head = settings.head(method, BASE_URL, path, KEY_HEADER);
    let version = settings.text("version").unwrap_or(VERSION);
    head.headers.entry("anthropic-version".to_string()).or_insert_with(|| version.to_string());
    let betas = settings.texts("betas").join(",");
    if !betas.is_empty() {
        head.headers.insert("anthropic-beta".to_string(), betas);
    }
    Ok(HttpRequest { head, body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default() })
}

pub fn chat_request(settings: &Settings, said: &[Message], tools: &[Value], stream: bool) -> Result<HttpRequest, Fault> {
    let mut body = settings.sent(KEYS);
    body.insert("model".to_string(), json!(settings.model()?));
    body.insert("messages".to_string(), messages(said)?);
    if let Some(system) = system(settings)? {
        body.insert("system".to_string(), system);
    }
    let limit = settings.count("max_completion_tokens").or(settings.count("max_tokens")).unwrap_or(MAX_TOKENS);
    body.insert("max_tokens".to_string(), json!(limit));
    if let Some(temperature) = settings.value("temperature").and_then(Value::as_f64) {
        body.insert("temperature".to_string(), json!(temperature.min(1.0)));
    }
    let stops = settings.texts("stop");
    if !stops.is_empty() {
        body.insert("stop_sequences".to_string(), json!(stops));
    }
    if let Some(user) = settings.value("metadata").and_then(|metadata| text(metadata, "user_id")).or(settings.text("user")) {
        body.insert("metadata".to_string(), json!({"user_id": user}));
    }
    if let Some(tier) = settings.text("service_tier").filter(|tier| matches!(*tier, "auto" | "standard_only")) {
        body.insert("service_tier".to_string(), json!(tier));
    }
    if !tools.is_empty() {
        body.insert("tools".to_string(), tools.iter().map(tool).collect::<Result<Value, Fault>>()?);
        if let Some(choice) = tool_choice(settings)? {
            body.insert("tool_choice".to_string(), choice);
        }
    }
    if let Some(schema) = answer_schema(settings) {
        output_config(&mut body).insert("format".to_string(), json!({"type": "json_schema", "schema": schema}));
    }
    add_thinking(&mut body, settings, limit)?;
    if stream {
        body.insert("stream".to_string(), json!(true));
    }
    Ok(request(settings, "POST", "messages", Some(Value::Object(body)))?.accepting(stream))
}

fn output_config(body: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let config = body.entry("output_config").or_insert_with(|| json!({}));
    if !config.is_object() {
        *config = json!({});
    }
    config.as_object_mut().expect("it was made one")
}

fn answer_schema(settings: &Settings) -> Option<&Value> {
    let asked = settings.value("json_schema").or_else(|| Some(&settings.value("response_format")?["json_schema"]))?;
    Some(&asked["schema"]).filter(|schema| schema.is_object())
}

/// Tools of the server itself have a type of their own, and stay as they are.
fn tool(tool: &Value) -> Result<Value, Fault> {
    if text(tool, "type").is_some_and(|kind| kind != "function") {
        return Ok(tool.clone());
    }
    let function = function_of(tool)?;
    let mut made = Map::from_iter([("name".to_string(), function["name"].clone())]);
    if let Some(description) = text(function, "description") {
        made.insert("description".to_string(), json!(description));
    }
    let schema = Some(&function["parameters"]).filter(|schema| schema.is_object()).cloned();
    let mut schema = schema.unwrap_or_else(|| json!({"properties": {}}));
    if schema["type"].is_null() {
        schema["type"] = json!("object");
    }
    made.insert("input_schema".to_string(), schema);
    for (name, value) in [("strict", &function["strict"]), ("cache_control", &tool["cache_control"])] {
        if !value.is_null() {
            made.insert(name.to_string(), value.clone());
        }
    }
    Ok(Value::Object(made))
}

fn tool_choice(settings: &Settings) -> Result<Option<Value>, Fault> {
    let one_by_one = settings.flag("parallel_tool_calls").or(settings.flag("enable_parallel_tool_use")) == Some(false);
    let mut choice = match settings.value("tool_choice") {
        None if one_by_one => json!({"type": "auto"}),
        None => return Ok(None),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => json!({"type": "auto"}),
            "none" => return Ok(Some(json!({"type": "none"}))),
            "required" | "any" => json!({"type": "any"}),
            _ => return Err(Fault::invalid("\"tool_choice\" must be auto, none, required, or a function")),
        },
        Some(choice) => match text(&choice["function"], "name") {
            Some(name) => json!({"type": "tool", "name": name}),
            None => choice.clone(),
        },
    };
    if one_by_one && choice.is_object() {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    Ok(Some(choice))
}

/// How much a model is to think. The newer ones decide themselves, by an effort; the older ones get a number of tokens.
fn add_thinking(body: &mut Map<String, Value>, settings: &Settings, limit: u64) -> Result<(), Fault> {
    let model = settings.model()?;
    let effort = settings.text("reasoning_effort").filter(|effort| !matches!(*effort, "none" | "minimal"));
    let by_effort = effort.filter(|_| thinks(model) && !thinks_by_budget(model));
    let is_stated = body.contains_key("thinking");
    if let Some(effort) = by_effort.filter(|_| is_stated || settings.count("reasoning_budget_tokens").is_none()) {
        output_config(body).entry("effort").or_insert_with(|| json!(effort));
    }
    let is_forced = body.get("tool_choice").is_some_and(|choice| matches!(choice["type"].as_str(), Some("any" | "tool")));
    if is_stated || is_forced || !thinks(model) {
        return Ok(());
    }
    let budget = settings.count("reasoning_budget_tokens").or_else(|| effort.filter(|_| by_effort.is_none()).map(budget_of));
    match budget {
        Some(0) => return Ok(()),
        Some(budget) => {
            let budget = budget.max(MIN_BUDGET);
            body.insert("thinking".to_string(), json!({"type": "enabled", "budget_tokens": budget}));
            if limit <= budget {
                body.insert("max_tokens".to_string(), json!(limit.saturating_add(budget)));
            }
        }
        None if by_effort.is_some() => drop(body.insert("thinking".to_string(), json!({"type": "adaptive"}))),
        None => return Ok(()),
    }
    // The server refuses both with thinking.
    body.shift_remove("temperature");
    body.shift_remove("top_k");
    Ok(())
}

fn budget_of(effort: &str) -> u64 {
    match effort {
        "low" => 2048,
        "medium" => 8192,
        "high" => 16_384,
        _ => 32_768,
    }
}

fn thinks_by_budget(model: &str) -> bool {
    let names = ["claude-3-7", "sonnet-4-0", "sonnet-4-2", "opus-4-0", "opus-4-2", "opus-4-1", "opus-4-5", "sonnet-4-5", "haiku-4-5"];
    names.iter().any(|name| model.contains(name))
}

/// Those before 3.7 do not.
fn thinks(model: &str) -> bool {
    let names = ["claude-2", "claude-instant", "claude-3-haiku", "claude-3-sonnet", "claude-3-opus", "claude-3-5"];
    !names.iter().any(|name| model.contains(name))
}

pub fn models_request(settings: &Settings) -> Result<HttpRequest, Fault> {
    request(settings, "GET", "models?limit=1000", None)
}

pub fn models(body: &[u8]) -> Result<Vec<String>, Fault> {
    let value = body_of(body)?;
    let rows = value["data"].as_array().ok_or_else(|| Fault::bad_response("The answer has no list of models", body))?;
    Ok(rows.iter().filter_map(|row| text(row, "id").map(str::to_string)).collect())
}

pub fn pass(settings: &Settings, api: &str, stream: bool) -> Result<Option<HttpRequest>, Fault> {
    if api != "anthropic.messages" {
        return Ok(None);
    }
    Ok(Some(request(settings, "POST", "messages", None)?.accepting(stream)))
}

pub fn answer(body: &[u8]) -> Result<Answer, Fault> {
    let value = body_of(body)?;
    if value["type"] == "error" {
        return Err(error_event(&value));
    }
    let blocks = value["content"].as_array().ok_or_else(|| Fault::bad_response("The answer has no content", body))?;
    let mut answer = Answer { usage: Some(usage(&value["usage"])), ..Answer::default() };
    let mut thoughts = 0;
    for block in blocks {
        match block["type"].as_str().unwrap_or_default() {
            "text" => answer.text += text(block, "text").unwrap_or_default(),
            "thinking" => {
                thoughts += 1;
                answer.thinking += text(block, "thinking").unwrap_or_default();
                answer.thinking_signature = text(block, "signature").unwrap_or_default().to_string();
            }
            "redacted_thinking" => {
                thoughts += 1;
                answer.thinking_signature = format!("{REDACTED}{}", text(block, "data").unwrap_or_default());
            }
            "tool_use" => {
                let known = text(block, "id").zip(text(block, "name"));
                let (id, name) = known.ok_or_else(|| Fault::bad_response("A call of a tool has no id or no name", body))?;
                answer.tool_calls.push(ToolCall::new(id.to_string(), name.to_string(), input(&block["input"])));
            }
            // Of tools that the server ran itself.
            _ => {}
        }
    }
    if thoughts > 1 {
        // Each signature is of its own block, and there is one place.
        answer.thinking_signature.clear();
    }
    answer.finish_reason = Some(finish_reason(text(&value, "stop_reason")));
    Ok(answer)
}

pub fn input(value: &Value) -> String {
    if value.is_null() { String::new() } else { value.to_string() }
}

pub fn finish_reason(reason: Option<&str>) -> &'static str {
    match reason {
        Some("end_turn" | "stop_sequence") => "Stop",
        Some("max_tokens" | "model_context_window_exceeded") => "Length",
        Some("tool_use") => "ToolCalls",
        Some("refusal") => "ContentFilter",
        Some(_) => "Other",
        None => "Unknown",
    }
}

/// The server counts what its cache had apart from the rest.
pub fn usage(usage: &Value) -> Usage {
    let cache_read = count(&usage["cache_read_input_tokens"]);
    let cache_write = count(&usage["cache_creation_input_tokens"]);
    Usage {
        input_tokens: count(&usage["input_tokens"]).saturating_add(cache_read).saturating_add(cache_write),
        output_tokens: count(&usage["output_tokens"]),
        reasoning_tokens: count(&usage["output_tokens_details"]["thinking_tokens"]),
        cache_read,
        cache_write,
    }
}

/// An error in the midst of a stream, or in place of an answer.
pub fn error_event(event: &Value) -> Fault {
    let status = match event["error"]["type"].as_str().unwrap_or_default() {
        "overloaded_error" => 529,
        "rate_limit_error" => 429,
        "authentication_error" => 401,
        "permission_error" => 403,
        "invalid_request_error" => 400,
        _ => 500,
    };
    let head = crate::exchange::ResponseHead { status, headers: Default::default() };
    refusal(&HttpResponse { head, body: event.to_string().into_bytes() })
}

pub fn refusal(response: &HttpResponse) -> Fault {
    let body = response.value();
    let error = &body["error"];
    let (error_type, message) = (text(error, "type"), text(error, "message"));
    let id = response.header("request-id").or_else(|| text(&body, "request_id"));
    refused(
        response,
        Said {
            message: message.map(str::to_string),
            error_type: error_type.map(str::to_string),
            request_id: id.map(str::to_string),
            kind: kind(error_type.unwrap_or_default(), message.unwrap_or_default()),
            ..Said::default()
        },
    )
}

fn kind(error_type: &str, message: &str) -> Option<&'static str> {
    let message = message.to_ascii_lowercase();
    match error_type {
        "overloaded_error" => Some("server_overloaded"),
        "rate_limit_error" => Some("rate_limited"),
        "authentication_error" | "permission_error" => Some("authentication"),
        "billing_error" => Some("quota_exceeded"),
        "api_error" | "timeout_error" => Some("unknown_transient"),
        "invalid_request_error" if message.contains("credit balance") => Some("quota_exceeded"),
        "invalid_request_error" if ["prompt is too long", "exceed context limit"].iter().any(|words| message.contains(words)) => {
            Some("context_window_exceeded")
        }
        _ => None,
    }
}
