// A provider of QueryMT's third generation for servers with OpenAI's wire: it builds requests and reads responses, and the
// host sends them. With Rust's kit, the crate extism-pdk.
mod wire;

use std::cell::RefCell;
use std::collections::HashMap;

use extism_pdk::*;
use serde::Deserialize;
use serde_json::{json, Value};
use wire::{bad_response, failure, invalid, ChatRequest, Config, Parser, RequestBox, ResponseBox};

#[derive(Deserialize)]
struct WithConfig {
    cfg: Config,
}

#[derive(Deserialize)]
struct ParseRequest {
    resp: ResponseBox,
}

#[derive(Deserialize)]
struct EmbedRequest {
    cfg: Config,
    inputs: Vec<String>,
}

#[derive(Deserialize)]
struct ParserInput {
    parser_id: u32,
    chunk: Vec<u8>,
}

#[derive(Default)]
struct Parsers {
    last: u32,
    by_id: HashMap<u32, Parser>,
}

thread_local! {
    static PARSERS: RefCell<Parsers> = RefCell::default();
}

#[plugin_fn]
pub fn name() -> FnResult<String> {
    Ok("openai-like".to_string())
}

#[plugin_fn]
pub fn init_logging(Json(_level): Json<u8>) -> FnResult<()> {
    Ok(())
}

#[plugin_fn]
pub fn base_url() -> FnResult<String> {
    Ok(wire::DEFAULT_BASE_URL.to_string())
}

#[plugin_fn]
pub fn api_key_name() -> FnResult<String> {
    Ok("OPENAI_API_KEY".to_string())
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
pub fn list_models_request(Json(input): Json<WithConfig>) -> FnResult<Json<RequestBox>> {
    Ok(Json(RequestBox { req: wire::request(&input.cfg, "GET", "models", None)? }))
}

#[plugin_fn]
pub fn parse_list_models_response(Json(input): Json<ResponseBox>) -> FnResult<Json<Value>> {
    let body: Value = serde_json::from_slice(&input.resp.body).map_err(|error| bad_response(error, &input.resp.body))?;
    let models = body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Json(models.iter().map(|model| model["id"].clone()).collect()))
}

#[plugin_fn]
pub fn chat_request(Json(input): Json<ChatRequest>) -> FnResult<Json<RequestBox>> {
    Ok(Json(RequestBox { req: wire::chat_request(&input, false)? }))
}

#[plugin_fn]
pub fn chat_stream_request(Json(input): Json<ChatRequest>) -> FnResult<Json<RequestBox>> {
    if input.cfg.stream == Some(false) {
        Err(failure(json!({"type": "not_implemented", "message": "Streaming is switched off"})))?;
    }
    Ok(Json(RequestBox { req: wire::chat_request(&input, true)? }))
}

#[plugin_fn]
pub fn parse_chat_response(Json(input): Json<ParseRequest>) -> FnResult<Json<Value>> {
    Ok(Json(wire::parse_chat(&input.resp.resp)?))
}

#[plugin_fn]
pub fn classify_chat_error(Json(input): Json<ParseRequest>) -> FnResult<Json<Value>> {
    Ok(Json(json!({ "payload": wire::classify(&input.resp.resp) })))
}

#[plugin_fn]
pub fn chat_stream_parser_start(_config: String) -> FnResult<Json<u32>> {
    PARSERS.with_borrow_mut(|parsers| {
        parsers.last += 1;
        parsers.by_id.insert(parsers.last, Parser::default());
        Ok(Json(parsers.last))
    })
}

#[plugin_fn]
pub fn chat_stream_parser_parse(Json(input): Json<ParserInput>) -> FnResult<Json<Vec<Value>>> {
    PARSERS.with_borrow_mut(|parsers| {
        let parser = parsers.by_id.get_mut(&input.parser_id).ok_or_else(|| invalid("there is no such parser"))?;
        Ok(Json(parser.parse(&input.chunk)?))
    })
}

#[plugin_fn]
pub fn chat_stream_parser_finish(Json(id): Json<u32>) -> FnResult<Json<Vec<Value>>> {
    let mut items = Vec::new();
    let parser = PARSERS.with_borrow_mut(|parsers| parsers.by_id.remove(&id));
    parser.ok_or_else(|| invalid("there is no such parser"))?.finish(&mut items);
    Ok(Json(items))
}

#[plugin_fn]
pub fn chat_stream_parser_close(Json(id): Json<u32>) -> FnResult<()> {
    PARSERS.with_borrow_mut(|parsers| parsers.by_id.remove(&id));
    Ok(())
}

#[plugin_fn]
pub fn embed_request(Json(input): Json<EmbedRequest>) -> FnResult<Json<RequestBox>> {
    let body = json!({"model": input.cfg.model, "input": input.inputs});
    Ok(Json(RequestBox { req: wire::request(&input.cfg, "POST", "embeddings", Some(body))? }))
}

#[plugin_fn]
pub fn parse_embed_response(Json(input): Json<ParseRequest>) -> FnResult<Json<Value>> {
    let body = &input.resp.resp.body;
    let parsed: Value = serde_json::from_slice(body).map_err(|error| bad_response(error, body))?;
    let rows = parsed["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Json(rows.iter().map(|row| row["embedding"].clone()).collect()))
}

/// As providers do that have no such thing: it aborts.
#[plugin_fn]
pub fn complete_request(_input: String) -> FnResult<String> {
    unimplemented!()
}

#[plugin_fn]
pub fn parse_complete_response(_input: String) -> FnResult<String> {
    unimplemented!()
}
