//! A Bifrost plugin of the third generation. Requests in the spelling with underscores (`chat_request`), `malloc` and
//! `free` with a size. It keeps clients out by path, models out by name, and words out of answers.
mod json;
mod linear;

use json::Value;
use std::cell::RefCell;

/// What `init` was given.
#[derive(Default)]
struct Settings {
    denied_model: String,
    secret: String,
}

thread_local! {
    static SETTINGS: RefCell<Settings> = RefCell::new(Settings::default());
}

#[no_mangle]
pub extern "C" fn malloc(size: usize) -> *mut u8 {
    if size == 0 {
        std::ptr::null_mut()
    } else {
        linear::block(size)
    }
}

/// # Safety
///
/// The block must be one of `malloc`, of this size.
#[no_mangle]
pub unsafe extern "C" fn free(at: *mut u8, size: usize) {
    if !at.is_null() && size > 0 {
        linear::give_back(at, size);
    }
}

#[no_mangle]
pub extern "C" fn get_name() -> u64 {
    linear::packed(b"bifrost-guard")
}

/// # Safety
///
/// As for every export: address and length are those of an input.
#[no_mangle]
pub unsafe extern "C" fn init(at: *const u8, length: usize) -> i32 {
    let config = match Value::parse(linear::input(at, length)) {
        Some(config) => config,
        None => return 1,
    };
    let text = |key: &str| config.get(key).as_text().unwrap_or_default().to_string();
    SETTINGS.with(|settings| *settings.borrow_mut() = Settings { denied_model: text("denied_model"), secret: text("secret") });
    0
}

#[no_mangle]
pub extern "C" fn cleanup() -> i32 {
    SETTINGS.with(|settings| *settings.borrow_mut() = Settings::default());
    0
}

/// The input as JSON; what goes wrong becomes an output of its own.
unsafe fn answer(at: *const u8, length: usize, error_key: &str, work: impl FnOnce(Value) -> Value) -> u64 {
    let output = match Value::parse(linear::input(at, length)) {
        Some(input) => work(input),
        None => Value::object(&[(error_key, Value::text("the input is not JSON"))]),
    };
    linear::packed(output.write().as_bytes())
}

/// Notes in the context that it was here.
fn context(input: &Value, note: &str) -> Value {
    let mut context = match input.get("context") {
        object @ Value::Object(_) => object.clone(),
        _ => Value::Object(Vec::new()),
    };
    context.set("bifrost-guard", Value::text(note));
    context
}

#[no_mangle]
pub unsafe extern "C" fn http_pre_hook(at: *const u8, length: usize) -> u64 {
    answer(at, length, "error", |input| {
        let request = input.get("request");
        if request.get("path").as_text() == Some("/forbidden") {
            let headers = Value::object(&[("content-type", Value::text("text/plain"))]);
            let response = Value::object(&[("status_code", Value::Number("403".to_string())), ("headers", headers), ("body", Value::text("bm8="))]);
            return Value::object(&[
                ("context", context(&input, "refused")),
                ("request", Value::Null),
                ("response", response),
                ("has_response", Value::Bool(true)),
                ("error", Value::text("")),
            ]);
        }
        let mut changed = request.clone();
        let mut headers = match request.get("headers") {
            object @ Value::Object(_) => object.clone(),
            _ => Value::Object(Vec::new()),
        };
        headers.set("x-guard", Value::text("seen"));
        changed.set("headers", headers);
        Value::object(&[
            ("context", context(&input, "passed")),
            ("request", changed),
            ("response", Value::Null),
            ("has_response", Value::Bool(false)),
            ("error", Value::text("")),
        ])
    })
}

#[no_mangle]
pub unsafe extern "C" fn http_post_hook(at: *const u8, length: usize) -> u64 {
    answer(at, length, "error", |input| Value::object(&[("context", context(&input, "done")), ("error", Value::text(""))]))
}

/// Drops chunks that hold the secret.
#[no_mangle]
pub unsafe extern "C" fn http_stream_chunk_hook(at: *const u8, length: usize) -> u64 {
    answer(at, length, "error", |input| {
        let chunk = input.get("chunk").clone();
        let secret = SETTINGS.with(|settings| settings.borrow().secret.clone());
        let skip = !secret.is_empty() && chunk.write().contains(&secret);
        Value::object(&[
            ("context", input.get("context").clone()),
            ("chunk", if skip { Value::Null } else { chunk }),
            ("has_chunk", Value::Bool(!skip)),
            ("skip", Value::Bool(skip)),
            ("error", Value::text("")),
        ])
    })
}

/// Keeps the denied model out, with an error that no fallback is tried for; sets the temperature of all others to 0.
#[no_mangle]
pub unsafe extern "C" fn pre_hook(at: *const u8, length: usize) -> u64 {
    answer(at, length, "error", |input| {
        let chat = input.get("request").get("chat_request");
        let denied = SETTINGS.with(|settings| settings.borrow().denied_model.clone());
        let none = ("error", Value::text(""));
        if !denied.is_empty() && chat.get("model").as_text() == Some(&denied) {
            let error = Value::object(&[("message", Value::text("this model is not allowed")), ("type", Value::text("denied"))]);
            let failure = Value::object(&[
                ("error", error),
                ("status_code", Value::Number("403".to_string())),
                ("allow_fallbacks", Value::Bool(false)),
            ]);
            let circuit = Value::object(&[("error", failure)]);
            return Value::object(&[
                ("context", context(&input, "denied")),
                ("request", Value::Null),
                ("short_circuit", circuit),
                ("has_short_circuit", Value::Bool(true)),
                none,
            ]);
        }
        let mut chat = chat.clone();
        let mut params = match chat.get("params") {
            object @ Value::Object(_) => object.clone(),
            _ => Value::Object(Vec::new()),
        };
        params.set("temperature", Value::Number("0".to_string()));
        chat.set("params", params);
        Value::object(&[
            ("context", context(&input, "passed")),
            ("request", Value::object(&[("chat_request", chat)])),
            ("short_circuit", Value::Null),
            ("has_short_circuit", Value::Bool(false)),
            none,
        ])
    })
}

/// Puts stars in place of the secret, wherever an answer has it.
#[no_mangle]
pub unsafe extern "C" fn post_hook(at: *const u8, length: usize) -> u64 {
    answer(at, length, "hook_error", |input| {
        let secret = SETTINGS.with(|settings| settings.borrow().secret.clone());
        let mut response = input.get("response").clone();
        if !secret.is_empty() {
            hide(&mut response, &secret);
        }
        Value::object(&[
            ("context", context(&input, "answered")),
            ("response", response),
            ("error", input.get("error").clone()),
            ("has_error", input.get("has_error").clone()),
            ("hook_error", Value::text("")),
        ])
    })
}

fn hide(value: &mut Value, secret: &str) {
    match value {
        Value::Text(text) => *text = text.replace(secret, "***"),
        Value::List(values) => values.iter_mut().for_each(|each| hide(each, secret)),
        Value::Object(entries) => entries.iter_mut().for_each(|(_, each)| hide(each, secret)),
        _ => {}
    }
}
