// Requests and responses of HTTP as they cross to the host, and what the functions that get them are given.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::faults::Fault;

#[derive(Serialize)]
pub struct RequestHead {
    pub method: &'static str,
    pub uri: String,
    pub headers: BTreeMap<String, String>,
    pub version: &'static str,
}

#[derive(Serialize)]
pub struct HttpRequest {
    pub head: RequestHead,
    pub body: Vec<u8>,
}

#[derive(Serialize)]
pub struct RequestBox {
    pub req: HttpRequest,
}

impl HttpRequest {
    /// With what kind of answer is wanted, unless the configuration says.
    pub fn accepting(mut self, stream: bool) -> HttpRequest {
        let kind = if stream { "text/event-stream" } else { "application/json" };
        self.head.headers.entry("accept".to_string()).or_insert_with(|| kind.to_string());
        self
    }
}

/// Values of a header that is there more than once come as a list.
#[derive(Deserialize)]
pub struct ResponseHead {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub struct HttpResponse {
    pub head: ResponseHead,
    pub body: Vec<u8>,
}

impl HttpResponse {
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.head.headers.get(name)?;
        value.as_str().or_else(|| value[0].as_str())
    }

    /// The body as JSON; null for what is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

#[derive(Deserialize)]
pub struct ResponseBox {
    pub resp: HttpResponse,
}

/// `resp` twice: of the input, and of the box.
#[derive(Deserialize)]
pub struct ParseInput {
    pub cfg: Map<String, Value>,
    pub resp: ResponseBox,
}

#[derive(Deserialize)]
pub struct ConfigInput {
    pub cfg: Map<String, Value>,
}

#[derive(Deserialize)]
pub struct EmbedInput {
    pub cfg: Map<String, Value>,
    pub inputs: Vec<String>,
}

/// A request in a client's own wire is to be passed on: which wire, and whether the answer is a stream.
#[derive(Deserialize)]
pub struct PassInput {
    pub cfg: Map<String, Value>,
    pub api: String,
    #[serde(default)]
    pub stream: bool,
}

#[derive(Deserialize)]
pub struct ParserInput {
    pub parser_id: u32,
    pub chunk: Vec<u8>,
}

/// The body of a response as JSON.
pub fn body_of(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::bad_response(format!("The answer is no JSON: {error}"), body))
}

/// A list at a key of an object.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A text at a key of an object, unless it is empty.
pub fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value[key].as_str().filter(|text| !text.is_empty())
}

/// A count, of whatever a server has there: 0 for what is no number, and at most what the host takes.
pub fn count(value: &Value) -> u32 {
    let wide = value.as_u64().or_else(|| value.as_f64().map(|number| number.max(0.0) as u64));
    wide.unwrap_or(0).min(u64::from(u32::MAX)) as u32
}

/// Vectors of numbers, as many as texts went out.
pub fn vectors<'a>(rows: impl Iterator<Item = &'a Value>, body: &[u8]) -> Result<Vec<Value>, Fault> {
    rows.map(|row| match row.as_array() {
        Some(numbers) if numbers.iter().all(Value::is_number) => Ok(row.clone()),
        _ => Err(Fault::bad_response("An embedding is no list of numbers", body)),
    })
    .collect()
}

/// What a function was called with. The reason is not told: it would quote what was said.
pub fn input<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Fault> {
    let wrong = |error: serde_json::Error| Fault::invalid(format!("The input has a wrong shape at column {}", error.column()));
    serde_json::from_slice(json).map_err(wrong)
}
