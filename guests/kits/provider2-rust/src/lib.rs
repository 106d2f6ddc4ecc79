// A provider of QueryMT's second generation for servers with OpenAI's wire: it makes its requests itself, through the host's
// functions. With Rust's kit, the crate extism-pdk.
mod wire;

use extism_pdk::*;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use wire::{bad_response, failure, invalid, ChatRequest, Config, Parser, RequestBox, ResponseBox};

#[host_fn("extism:host/user")]
extern "ExtismHost" {
    fn qmt_http_request(request: Json<RequestBox>) -> Json<ResponseBox>;
    fn qmt_http_stream_open(request: Json<RequestBox>) -> Json<Opened>;
    fn qmt_http_stream_next(id: Json<u64>) -> Vec<u8>;
    fn qmt_http_stream_close(id: Json<u64>);
    fn qmt_yield_chunk(item: Json<Value>);
    fn qmt_log(line: Json<LogLine>);
}

#[derive(Deserialize)]
struct Opened {
    status: String,
    stream_id: Option<u64>,
    plugin_error: Option<String>,
    error_code: Option<i32>,
}

#[derive(Serialize)]
struct LogLine {
    level: u8,
    target: &'static str,
    message: String,
}

#[derive(Deserialize)]
struct EmbedRequest {
    cfg: Config,
    inputs: Vec<String>,
}

#[derive(Deserialize)]
struct SpeechRequest {
    cfg: Config,
    text: String,
    voice_config: Option<Value>,
}

#[plugin_fn]
pub fn name() -> FnResult<String> {
    Ok("openai-like-2".to_string())
}

#[plugin_fn]
pub fn init_logging(Json(level): Json<u8>) -> FnResult<()> {
    log(5, format!("logging at {level}"))
}

#[plugin_fn]
pub fn base_url() -> FnResult<String> {
    Ok(wire::DEFAULT_BASE_URL.to_string())
}

#[plugin_fn]
pub fn api_key_name() -> FnResult<String> {
    Ok(String::new())
}

#[plugin_fn]
pub fn config_schema() -> FnResult<String> {
    Ok(wire::config_schema())
}

#[plugin_fn]
pub fn from_config(text: String) -> FnResult<Json<Value>> {
    serde_json::from_str::<Config>(&text).map_err(invalid)?;
    Ok(Json(Value::Null))
}

#[plugin_fn]
pub fn supports_streaming(text: String) -> FnResult<Json<bool>> {
    let config: Config = serde_json::from_str(&text).map_err(invalid)?;
    Ok(Json(config.stream.unwrap_or(true)))
}

#[plugin_fn]
pub fn list_models(text: String) -> FnResult<Json<Value>> {
    let config: Config = serde_json::from_str(&text).map_err(invalid)?;
    let body = ask(wire::request(&config, "GET", "models", None)?)?;
    let models = body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Json(models.iter().map(|model| model["id"].clone()).collect()))
}

#[plugin_fn]
pub fn chat(Json(input): Json<ChatRequest>) -> FnResult<Json<Value>> {
    let request = wire::chat_request(&input, false)?;
    let answer = unsafe { qmt_http_request(Json(RequestBox { req: request }))? };
    Ok(Json(wire::parse_chat(&answer.0.resp)?))
}

#[plugin_fn]
pub fn chat_stream(Json(input): Json<ChatRequest>) -> FnResult<()> {
    let request = wire::chat_request(&input, true)?;
    let Json(opened) = unsafe { qmt_http_stream_open(Json(RequestBox { req: request }))? };
    let id = match (opened.status.as_str(), opened.stream_id) {
        ("ok", Some(id)) => id,
        ("cancelled", _) => return Ok(()),
        _ => {
            let text = opened.plugin_error.unwrap_or_default();
            return Err(WithReturnCode::new(Error::msg(text), opened.error_code.unwrap_or(1)));
        }
    };
    let outcome = forward(id);
    unsafe { qmt_http_stream_close(Json(id))? };
    outcome
}

/// Passes on what comes. Lines may be cut anywhere, so that what follows the last newline waits for the next piece.
fn forward(id: u64) -> FnResult<()> {
    let mut parser = Parser::default();
    let mut kept = Vec::new();
    loop {
        let piece = unsafe { qmt_http_stream_next(Json(id))? };
        let ended = piece.is_empty();
        kept.extend_from_slice(&piece);
        let whole = if ended { kept.len() } else { kept.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) };
        for line in kept[..whole].split_inclusive(|byte| *byte == b'\n') {
            pass_on(parser.parse(line)?)?;
        }
        kept.drain(..whole);
        if ended {
            let mut items = Vec::new();
            parser.finish(&mut items);
            pass_on(items)?;
        }
        if ended {
            return Ok(());
        }
    }
}

fn pass_on(items: Vec<Value>) -> FnResult<()> {
    for item in items {
        unsafe { qmt_yield_chunk(Json(item))? };
    }
    Ok(())
}

#[plugin_fn]
pub fn embed(Json(input): Json<EmbedRequest>) -> FnResult<Json<Value>> {
    let body = json!({"model": input.cfg.model, "input": input.inputs});
    let answer = ask(wire::request(&input.cfg, "POST", "embeddings", Some(body))?)?;
    let rows = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Json(rows.iter().map(|row| row["embedding"].clone()).collect()))
}

#[plugin_fn]
pub fn speech(Json(input): Json<SpeechRequest>) -> FnResult<Json<Value>> {
    let voice = input.voice_config.as_ref().and_then(|voice| voice["name"].as_str()).unwrap_or("alloy");
    let body = json!({"model": input.cfg.model, "input": input.text, "voice": voice});
    let request = wire::request(&input.cfg, "POST", "audio/speech", Some(body))?;
    let answer = ask(request)?;
    Ok(Json(json!({"audio_base64": answer["audio"], "mime_type": "audio/wav"})))
}

/// Aborts, as providers do that have no such thing.
#[plugin_fn]
pub fn transcribe(_input: String) -> FnResult<String> {
    unimplemented!()
}

/// Sends a request, and reads the JSON of its answer.
fn ask(req: wire::HttpRequest) -> FnResult<Value> {
    let Json(answer) = unsafe { qmt_http_request(Json(RequestBox { req }))? };
    let response = answer.resp;
    if !(200..300).contains(&response.head.status) {
        log(2, format!("the server answered {}", response.head.status))?;
        return Err(failure(wire::classify(&response)));
    }
    serde_json::from_slice(&response.body).map_err(|error| bad_response(error, &response.body))
}

fn log(level: u8, message: String) -> FnResult<()> {
    unsafe { qmt_log(Json(LogLine { level, target: "openai_like", message }))? };
    Ok(())
}
