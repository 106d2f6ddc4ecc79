// Errors as the host states them, what a response without success means, and how long it asks to wait.
use extism_pdk::{Error, WithReturnCode};
use serde_json::{json, Value};

use crate::exchange::HttpResponse;

const MAX_MESSAGE_CHARS: usize = 2000;
const MAX_RAW_BYTES: usize = 500;
/// A week, in seconds.
const MAX_WAIT: f64 = 604_800.0;

/// An error: the payload that the host reads.
#[derive(Debug)]
pub struct Fault(Value);

impl Fault {
    pub fn new(kind: &str, message: impl ToString) -> Fault {
        Fault(json!({"type": kind, "message": clean(&message.to_string())}))
    }

    /// Something of the server behind the provider; `kind` is one of the kinds of `provider_error`.
    pub fn server(kind: &str, message: impl ToString) -> Fault {
        Fault(json!({"type": "provider_error", "kind": kind, "message": clean(&message.to_string())}))
    }

    pub fn bad_response(message: impl ToString, raw: &[u8]) -> Fault {
        let raw = String::from_utf8_lossy(&raw[..raw.len().min(MAX_RAW_BYTES)]);
        Fault(json!({"type": "response_format_error", "message": clean(&message.to_string()), "raw_response": raw}))
    }

    /// A stream that ended before the model had stopped: what came of it is not the whole answer.
    pub fn cut() -> Fault {
        Fault(json!({"type": "transport", "kind": "connection_closed", "message": "The stream ended before the model had stopped"}))
    }

    pub fn invalid(message: impl ToString) -> Fault {
        Fault::new("invalid_request", message)
    }

    pub fn unsupported(message: impl ToString) -> Fault {
        Fault::server("unsupported_operation", message)
    }

    /// With `name` set, unless there is nothing to set.
    pub fn with(mut self, name: &str, value: Option<Value>) -> Fault {
        if let (Some(fields), Some(value)) = (self.0.as_object_mut(), value) {
            fields.insert(name.to_string(), value);
        }
        self
    }

    /// Without a secret, wherever a server may have repeated it.
    pub fn without(mut self, secret: &str) -> Fault {
        if secret.len() >= 4 {
            for text in self.0.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
                if let Value::String(text) = text {
                    *text = text.replace(secret, "[key]");
                }
            }
        }
        self
    }

    pub fn payload(self) -> Value {
        json!({"payload": self.0})
    }
}

impl From<Fault> for WithReturnCode<Error> {
    fn from(fault: Fault) -> Self {
        WithReturnCode::new(Error::msg(fault.payload().to_string()), 1)
    }
}

/// A text for messages: of bounded length, and on one line.
fn clean(text: &str) -> String {
    text.chars().take(MAX_MESSAGE_CHARS).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// What a server said about an error, in the words of its wire.
#[derive(Default)]
pub struct Said {
    pub message: Option<String>,
    pub code: Option<String>,
    pub error_type: Option<String>,
    pub request_id: Option<String>,
    /// Seconds.
    pub wait: Option<f64>,
    /// What it means, where the status alone does not tell.
    pub kind: Option<&'static str>,
}

/// What a status means where the body says nothing better.
pub fn kind_of(status: u16) -> &'static str {
    match status {
        400 | 413 | 422 => "invalid_request",
        401 | 403 => "authentication",
        402 => "quota_exceeded",
        405 | 501 => "unsupported_operation",
        408 | 425 => "unknown_transient",
        429 => "rate_limited",
        503 | 529 => "server_overloaded",
        500.. => "unknown_transient",
        _ => "unknown_permanent",
    }
}

/// The error for a response without success.
pub fn refused(response: &HttpResponse, said: Said) -> Fault {
    let status = response.head.status;
    let message = said.message.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| body_text(response));
    let wait = said.wait.or_else(|| wait_of(response)).filter(|seconds| *seconds >= 0.0);
    let kind = said.kind.unwrap_or_else(|| kind_of(status));
    // Where the kind says little, the status says more than the server's word: there is one place for both.
    let code = said.code.filter(|_| !kind.starts_with("unknown")).unwrap_or_else(|| status.to_string());
    Fault::server(kind, message)
        .with("code", Some(json!(code)))
        .with("error_type", said.error_type.map(Value::String))
        .with("request_id", said.request_id.map(Value::String))
        .with("retry_after_secs", wait.map(|seconds| json!(seconds.min(MAX_WAIT).ceil() as u64)))
}

/// What a body says that is not in the wire's shape: plain text, but no page of a proxy.
fn body_text(response: &HttpResponse) -> String {
    let status = response.head.status;
    let text = String::from_utf8_lossy(&response.body[..response.body.len().min(MAX_RAW_BYTES)]);
    match text.trim() {
        "" => format!("HTTP {status}"),
        page if page.starts_with('<') => format!("HTTP {status}"),
        text => format!("HTTP {status}: {text}"),
    }
}

/// Seconds, from `retry-after` (a number, or a date that the header `date` makes a time of) or `retry-after-ms`.
fn wait_of(response: &HttpResponse) -> Option<f64> {
    let header = |name: &str| response.header(name);
    if let Some(text) = header("retry-after") {
        let date = || Some(seconds_of_date(text)? - seconds_of_date(header("date")?)?);
        if let Some(seconds) = seconds_of(text).or_else(|| date().map(|seconds| seconds.max(0.0))) {
            return Some(seconds);
        }
    }
    header("retry-after-ms").and_then(seconds_of).map(|ms| ms / 1000.0)
}

/// A number of digits, with a fraction or without.
pub fn seconds_of(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = !text.is_empty() && text.len() <= 24 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain)
}

/// Seconds since a day in the past for a date of RFC 9110's first form, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_of_date(text: &str) -> Option<f64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next().filter(|name| name.len() == 3).and_then(|name| MONTHS.find(name))? as i64 / 3 + 1;
    let year: i64 = words.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (time.next()??, time.next()??, time.next()??);
    // Days of the Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds) as f64)
}
