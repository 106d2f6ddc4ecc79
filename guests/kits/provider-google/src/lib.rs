// A provider for Google's Gemini, of QueryMT's third generation: it builds requests and reads responses, and the host sends them.
// What all providers share; each uses a part of it.
#[allow(dead_code)]
mod answers;
#[allow(dead_code)]
mod base64;
#[allow(dead_code)]
mod conversation;
#[allow(dead_code)]
mod exchange;
#[allow(dead_code)]
mod settings;

mod exports;
mod faults;
mod streams;

mod events;
mod messages;
mod schemas;
mod wire;

use extism_pdk::*;
use serde_json::Value;

use answers::{Answer, Item};
use conversation::ChatInput;
use exchange::{ConfigInput, EmbedInput, ParseInput, ParserInput, RequestBox, ResponseBox};
use faults::Fault;

provider!(wire);

#[plugin_fn]
pub fn embed_request(input: Vec<u8>) -> FnResult<Json<RequestBox>> {
    let input: EmbedInput = exchange::input(&input)?;
    let settings = wire::settings(input.cfg)?;
    Ok(Json(RequestBox { req: wire::embed_request(&settings, &input.inputs)? }))
}

#[plugin_fn]
pub fn parse_embed_response(input: Vec<u8>) -> FnResult<Json<Vec<Value>>> {
    let input: ParseInput = exchange::input(&input)?;
    let settings = wire::settings(input.cfg)?;
    Ok(Json(wire::embeddings(&input.resp.resp.body).map_err(|fault| fault.without(&settings.secret()))?))
}
