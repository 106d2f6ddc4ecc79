// A native plugin in Rust, an addon through napi-rs: text in capitals, a digest on a thread, a failure, a count.

use std::sync::atomic::{AtomicU32, Ordering};

use napi::bindgen_prelude::{AsyncTask, Uint8Array};
use napi::{Env, Error, Result, Task};
use napi_derive::napi;

/// Text in capitals.
#[napi(js_name = "shout")]
pub fn shout(input: Uint8Array) -> Result<String> {
    match std::str::from_utf8(&input) {
        Ok(text) => Ok(text.to_uppercase()),
        Err(_) => Err(Error::from_reason("the input is not UTF-8")),
    }
}

/// The input backwards, as bytes.
#[napi(js_name = "backwards")]
pub fn backwards(input: Uint8Array) -> Uint8Array {
    input.iter().rev().copied().collect::<Vec<u8>>().into()
}

/// How often it was called in this process.
#[napi(js_name = "count")]
pub fn count(_input: Uint8Array) -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    (CALLS.fetch_add(1, Ordering::Relaxed) + 1).to_string()
}

pub struct Sum(Vec<u8>);

impl Task for Sum {
    type Output = u32;
    type JsValue = String;

    fn compute(&mut self) -> Result<u32> {
        if self.0.is_empty() {
            return Err(Error::from_reason("there is nothing to add up"));
        }
        Ok(self.0.iter().map(|&byte| u32::from(byte)).sum())
    }

    fn resolve(&mut self, _env: Env, output: u32) -> Result<String> {
        Ok(output.to_string())
    }
}

/// The sum of all bytes, added up on another thread.
#[napi(js_name = "sum_on_a_thread")]
pub fn sum_on_a_thread(input: Uint8Array) -> AsyncTask<Sum> {
    AsyncTask::new(Sum(input.to_vec()))
}
