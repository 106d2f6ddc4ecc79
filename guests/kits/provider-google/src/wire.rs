// Gemini's wire: what goes to the server, and what comes back as a whole.
use serde_json::{json, Map, Value};

use crate::answers::{Answer, ToolCall, Usage};
use crate::conversation::{function_of, Message};
pub use crate::events::Events;
use crate::exchange::{body_of, count, list, text, vectors, HttpRequest, HttpResponse, ResponseHead};
use crate::faults::{refused, seconds_of, Fault, Said};
use crate::messages::contents;
use crate::schemas::plain_schema;
use crate::settings::{encoded, own, renamed, sent, Key, Kind::*, Settings};

pub const NAME: &str = "google";
pub const BASE_URL: &str = "https://generativelanguage.googleapis.com/v1beta/";
pub const KEY_NAME: &str = "GEMINI_API_KEY";
const KEY_HEADER: &str = "x-goog-api-key";
/// In front of the server's signatures, so that another server's are not taken for them.
pub const SIGNED: &str = "google:";

/// Fields are those of `generationConfig`.
pub const KEYS: &[Key] = &[
    own("api_key", Text, "the key; needed unless base_url names another server"),
    own("base_url", Text, "the server, with the path that all requests have in common; https://generativelanguage.googleapis.com/v1beta if absent"),
    own("model", Text, "the model: its name, or a path such as tunedModels/mine"),
    own("system", Texts, "what the model is told before the conversation"),
    own("headers", Record, "further headers of each request"),
    own("query", Record, "a query that each URL gets"),
    own("api_key_header", Text, "the header that has the key, after Bearer if it is authorization; x-goog-api-key if absent"),
    own("stream", Flag, "false: the server does not stream"),
    own("max_tokens", Count, "tokens of an answer at most"),
    own("max_completion_tokens", Count, "the same"),
    own("stop", Any, "becomes stopSequences"),
    own("tool_choice", Any, "auto, none, required, or a function; sent where there are tools"),
    own("json_schema", Object, "name, description, schema and strict of the answer's JSON; the schema becomes responseSchema"),
    own("response_format", Object, "the same, in OpenAI's form; or json_object"),
    own("reasoning_effort", Text, "none, minimal, low, medium, high, xhigh or max: becomes thinkingConfig, in the way that the model knows"),
    own("reasoning_budget_tokens", Count, "tokens for thinking; becomes thinkingConfig"),
    own("include_thoughts", Flag, "thoughts are told; true if absent and one of the two before is there"),
    own("generation_config", Object, "further fields of generationConfig"),
    own("safety_settings", List, "becomes safetySettings"),
    own("cached_content", Text, "becomes cachedContent"),
    own("dimensions", Count, "numbers of each embedding"),
    own("embedding_dimensions", Count, "the same"),
    own("task_type", Text, "becomes taskType of embeddings"),
    sent("temperature", Number),
    renamed("top_p", Number, "topP"),
    renamed("top_k", Count, "topK"),
    renamed("stop_sequences", List, "stopSequences"),
    sent("seed", Number),
    renamed("presence_penalty", Number, "presencePenalty"),
    renamed("frequency_penalty", Number, "frequencyPenalty"),
];

pub fn settings(values: Map<String, Value>) -> Result<Settings, Fault> {
    Settings::read(values, KEYS)
}

fn request(settings: &Settings, method: &'static str, path: &str, body: Option<Value>) -> Result<HttpRequest, Fault> {
    let is_own = settings.text("base_url").is_none_or(|url| url.starts_with("https://generativelanguage.googleapis.com"));
    if settings.key().is_none() && is_own {
        return Err(Fault::new("auth_error", "Missing API key"));
    }
    let head = settings.head(method, BASE_URL, path, KEY_HEADER);
    Ok(HttpRequest { head, body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default() })
}

/// The model's path, which is a part of URLs.
fn model_path(settings: &Settings) -> Result<String, Fault> {
    let model = settings.model()?;
    if model.split('/').any(|part| matches!(part, "" | "." | "..")) || model.chars().any(char::is_control) {
        return Err(Fault::invalid("The model's name is no path"));
    }
    let path = if model.contains('/') { model.to_string() } else { format!("models/{model}") };
    Ok(encoded(&path, "/@"))
}

pub fn chat_request(settings: &Settings, said: &[Message], tools: &[Value], stream: bool) -> Result<HttpRequest, Fault> {
    let mut body = Map::new();
    body.insert("contents".to_string(), contents(settings, said)?);
    let system: Vec<Value> = settings.texts("system").into_iter().filter(|text| !text.is_empty()).map(|text| json!({"text": text})).collect();
    if !system.is_empty() {
        body.insert("systemInstruction".to_string(), json!({"parts": system}));
    }
    if !tools.is_empty() {
        let declared = tools.iter().map(declaration).collect::<Result<Vec<Value>, Fault>>()?;
        body.insert("tools".to_string(), json!([{"functionDeclarations": declared}]));
        if let Some(choice) = tool_choice(settings)? {
            body.insert("toolConfig".to_string(), json!({"functionCallingConfig": choice}));
        }
    }
    let config = generation_config(settings)?;
    if !config.is_empty() {
        body.insert("generationConfig".to_string(), Value::Object(config));
    }
    for (name, field) in [("safety_settings", "safetySettings"), ("cached_content", "cachedContent")] {
        if let Some(value) = settings.value(name) {
            body.insert(field.to_string(), value.clone());
        }
    }
    let call = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    Ok(request(settings, "POST", &format!("{}:{call}", model_path(settings)?), Some(Value::Object(body)))?.accepting(stream))
}

fn declaration(tool: &Value) -> Result<Value, Fault> {
    let function = function_of(tool)?;
    let mut made = Map::from_iter([("name".to_string(), function["name"].clone())]);
    if let Some(description) = text(function, "description") {
        made.insert("description".to_string(), json!(description));
    }
    // An object without properties is refused; a function without parameters is not.
    let has_some = function["parameters"]["properties"].as_object().is_some_and(|properties| !properties.is_empty());
    if has_some {
        made.insert("parameters".to_string(), plain_schema(&function["parameters"]));
    }
    Ok(Value::Object(made))
}

fn tool_choice(settings: &Settings) -> Result<Option<Value>, Fault> {
    let mode = match settings.value("tool_choice") {
        None => return Ok(None),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => "AUTO",
            "none" => "NONE",
            "required" | "any" => "ANY",
            _ => return Err(Fault::invalid("\"tool_choice\" must be auto, none, required, or a function")),
        },
        Some(choice) => {
            let name = text(&choice["function"], "name").ok_or_else(|| Fault::invalid("\"tool_choice\" names no function"))?;
            return Ok(Some(json!({"mode": "ANY", "allowedFunctionNames": [name]})));
        }
    };
    Ok(Some(json!({"mode": mode})))
}

fn generation_config(settings: &Settings) -> Result<Map<String, Value>, Fault> {
    let mut config = settings.sent(KEYS);
    if let Some(limit) = settings.value("max_completion_tokens").or(settings.value("max_tokens")) {
        config.insert("maxOutputTokens".to_string(), limit.clone());
    }
    let stops = settings.texts("stop");
    if !stops.is_empty() {
        config.insert("stopSequences".to_string(), json!(stops));
    }
    let format = settings.value("response_format");
    let schema = settings.value("json_schema").or_else(|| Some(&format?["json_schema"])).map(|asked| &asked["schema"]);
    if let Some(schema) = schema.filter(|schema| schema.is_object()) {
        config.insert("responseSchema".to_string(), plain_schema(schema));
    }
    let is_json = config.contains_key("responseSchema") || format.is_some_and(|format| format["type"] == "json_object");
    if is_json {
        config.insert("responseMimeType".to_string(), json!("application/json"));
    }
    if let Some(thinking) = thinking_config(settings)? {
        config.insert("thinkingConfig".to_string(), thinking);
    }
    if let Some(Value::Object(further)) = settings.value("generation_config") {
        config.extend(further.clone());
    }
    Ok(config)
}

/// From the third generation on models think by levels; the one before has a number of tokens.
fn thinking_config(settings: &Settings) -> Result<Option<Value>, Fault> {
    let effort = settings.text("reasoning_effort");
    let mut config = match (settings.count("reasoning_budget_tokens"), effort) {
        (Some(budget), _) => json!({"thinkingBudget": budget}),
        (None, Some(effort)) if is_third(settings.model()?) => json!({"thinkingLevel": match effort {
            "none" | "minimal" => "minimal",
            "low" => "low",
            "medium" => "medium",
            _ => "high",
        }}),
        (None, Some(effort)) => json!({"thinkingBudget": match effort {
            "none" => 0,
            "minimal" | "low" => 1024,
            "medium" => 8192,
            _ => 24_576,
        }}),
        (None, None) => json!({}),
    };
    let has_some = config.as_object().is_some_and(|fields| !fields.is_empty()) && effort != Some("none");
    if settings.flag("include_thoughts").unwrap_or(has_some) {
        config["includeThoughts"] = json!(true);
    }
    Ok(Some(config).filter(|config| config.as_object().is_some_and(|fields| !fields.is_empty())))
}

/// True for Gemini 3 and what follows.
pub fn is_third(model: &str) -> bool {
    let number = model.rsplit('/').next().and_then(|name| name.strip_prefix("gemini-")).unwrap_or_default();
    number.split(['.', '-']).next().and_then(|number| number.parse::<u32>().ok()).is_some_and(|number| number >= 3)
}

pub fn models_request(settings: &Settings) -> Result<HttpRequest, Fault> {
    request(settings, "GET", "models?pageSize=1000", None)
}

pub fn models(body: &[u8]) -> Result<Vec<String>, Fault> {
    let value = body_of(body)?;
    let rows = value["models"].as_array().ok_or_else(|| Fault::bad_response("The answer has no list of models", body))?;
    let names = rows.iter().filter_map(|row| text(row, "name"));
    Ok(names.map(|name| name.strip_prefix("models/").unwrap_or(name).to_string()).collect())
}

pub fn embed_request(settings: &Settings, inputs: &[String]) -> Result<HttpRequest, Fault> {
    let path = model_path(settings)?;
    let requests = inputs.iter().map(|input| {
        let mut one = json!({"model": path, "content": {"parts": [{"text": input}]}});
        let dimensions = settings.value("dimensions").or(settings.value("embedding_dimensions"));
        for (field, value) in [("outputDimensionality", dimensions), ("taskType", settings.value("task_type"))] {
            if let Some(value) = value {
                one[field] = value.clone();
            }
        }
        one
    });
    let body = json!({"requests": requests.collect::<Vec<_>>()});
    request(settings, "POST", &format!("{path}:batchEmbedContents"), Some(body))
}

pub fn embeddings(body: &[u8]) -> Result<Vec<Value>, Fault> {
    let value = body_of(body)?;
    let rows = value["embeddings"].as_array().ok_or_else(|| Fault::bad_response("The answer has no embeddings", body))?;
    vectors(rows.iter().map(|row| &row["values"]), body)
}

pub fn answer(body: &[u8]) -> Result<Answer, Fault> {
    let value = body_of(body)?;
    if let Some(fault) = error_in(&value) {
        return Err(fault);
    }
    let mut answer = Answer { usage: usage(&value), ..Answer::default() };
    let Some(candidate) = list(&value, "candidates").first() else {
        if !is_blocked(&value) {
            return Err(Fault::bad_response("The answer has no candidate", body));
        }
        answer.finish_reason = Some("ContentFilter");
        return Ok(answer);
    };
    for part in list(&candidate["content"], "parts") {
        if part["functionCall"].is_object() {
            let call = tool_call(&value, answer.tool_calls.len(), &part["functionCall"]);
            answer.tool_calls.push(call.ok_or_else(|| Fault::bad_response("A call of a tool has no name", body))?);
            if answer.thinking_signature.is_empty() {
                answer.thinking_signature = signature(part).unwrap_or_default();
            }
        } else if part["thought"] == true {
            answer.thinking += text(part, "text").unwrap_or_default();
        } else {
            answer.text += text(part, "text").unwrap_or_default();
        }
    }
    answer.finish_reason = Some(finish_reason(text(candidate, "finishReason"), !answer.tool_calls.is_empty()));
    Ok(answer)
}

/// The model's signature of what it thought before a call, which it wants back with the call.
pub fn signature(part: &Value) -> Option<String> {
    text(part, "thoughtSignature").map(|signature| format!("{SIGNED}{signature}"))
}

/// The server has ids for some models only; one that is made up has to differ from those of other answers.
pub fn tool_call(response: &Value, index: usize, call: &Value) -> Option<ToolCall> {
    let name = text(call, "name")?;
    let id = text(call, "id").map(str::to_string);
    let id = id.unwrap_or_else(|| format!("call_{}_{index}", text(response, "responseId").unwrap_or("gemini")));
    let arguments = if call["args"].is_object() { call["args"].to_string() } else { String::new() };
    Some(ToolCall::new(id, name.to_string(), arguments))
}

pub fn is_blocked(response: &Value) -> bool {
    text(&response["promptFeedback"], "blockReason").is_some()
}

pub fn finish_reason(reason: Option<&str>, has_calls: bool) -> &'static str {
    match reason {
        Some("STOP") if has_calls => "ToolCalls",
        Some("STOP") => "Stop",
        Some("MAX_TOKENS") => "Length",
        Some("SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR") => "ContentFilter",
        Some(reason) if reason.starts_with("IMAGE_") => "ContentFilter",
        Some("MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "MISSING_THOUGHT_SIGNATURE") => "Error",
        Some("FINISH_REASON_UNSPECIFIED") | None => "Unknown",
        Some(_) => "Other",
    }
}

/// Thoughts are counted apart from what is said.
pub fn usage(response: &Value) -> Option<Usage> {
    let usage = Some(&response["usageMetadata"]).filter(|usage| usage.is_object())?;
    let thoughts = count(&usage["thoughtsTokenCount"]);
    Some(Usage {
        input_tokens: count(&usage["promptTokenCount"]).saturating_add(count(&usage["toolUsePromptTokenCount"])),
        output_tokens: count(&usage["candidatesTokenCount"]).saturating_add(thoughts),
        reasoning_tokens: thoughts,
        cache_read: count(&usage["cachedContentTokenCount"]),
        cache_write: 0,
    })
}

/// The error that stands where an answer should.
pub fn error_in(value: &Value) -> Option<Fault> {
    let value = if value.is_array() { &value[0] } else { value };
    if !value["error"].is_object() {
        return None;
    }
    let status = value["error"]["code"].as_u64().filter(|code| (400..600).contains(code)).unwrap_or(500) as u16;
    let head = ResponseHead { status, headers: Default::default() };
    Some(refusal(&HttpResponse { head, body: value.to_string().into_bytes() }))
}

pub fn refusal(response: &HttpResponse) -> Fault {
    let body = response.value();
    // Answers that would have been a list have a list around the error.
    let error = if body.is_array() { &body[0]["error"] } else { &body["error"] };
    let detail = |kind: &str| list(error, "details").iter().find(|detail| text(detail, "@type").is_some_and(|name| name.ends_with(kind)));
    let reason = detail("google.rpc.ErrorInfo").and_then(|info| text(info, "reason"));
    let delay = detail("google.rpc.RetryInfo").and_then(|info| text(info, "retryDelay"));
    let (status, message) = (text(error, "status"), text(error, "message"));
    refused(
        response,
        Said {
            message: message.map(str::to_string),
            code: reason.or(status).map(str::to_string),
            error_type: status.map(str::to_string),
            request_id: None,
            wait: delay.and_then(|delay| seconds_of(delay.strip_suffix('s')?)),
            kind: kind(status.unwrap_or_default(), reason.unwrap_or_default(), message.unwrap_or_default()),
        },
    )
}

fn kind(status: &str, reason: &str, message: &str) -> Option<&'static str> {
    match (status, reason) {
        (_, "API_KEY_INVALID" | "API_KEY_SERVICE_BLOCKED") | ("UNAUTHENTICATED" | "PERMISSION_DENIED", _) => Some("authentication"),
        ("RESOURCE_EXHAUSTED", _) => Some("rate_limited"),
        ("UNAVAILABLE", _) => Some("server_overloaded"),
        ("UNIMPLEMENTED", _) => Some("unsupported_operation"),
        ("INTERNAL" | "DEADLINE_EXCEEDED" | "UNKNOWN" | "ABORTED", _) => Some("unknown_transient"),
        ("INVALID_ARGUMENT", _) if message.contains("input token count") || message.contains("exceeds the maximum number of tokens") => {
            Some("context_window_exceeded")
        }
        _ => None,
    }
}
