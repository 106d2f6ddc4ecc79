//! A HeliosProxy plugin: puts stars in place of columns that the configuration names, before a query runs. Configuration
//! and key-value store through the documented host functions, results in the spelling of the host (`action`).
mod json;
mod linear;

use json::Value;

mod helios {
    #[link(wasm_import_module = "helios")]
    extern "C" {
        pub fn get_config(key: *const u8, length: usize) -> i32;
        pub fn log(level: i32, message: *const u8, length: usize);
    }
}

mod cache {
    #[link(wasm_import_module = "cache")]
    extern "C" {
        #[link_name = "get"]
        pub fn cache_get(key: *const u8, length: usize) -> i32;
        #[link_name = "set"]
        pub fn cache_set(key: *const u8, length: usize, value: *const u8, value_length: usize, ttl_ms: i64);
    }
}

#[no_mangle]
pub extern "C" fn alloc(size: usize) -> *mut u8 {
    linear::block(size)
}

/// # Safety
///
/// The block must be one of `alloc`, of this size.
#[no_mangle]
pub unsafe extern "C" fn dealloc(at: *mut u8, size: usize) {
    linear::give_back(at, size);
}

/// What a host function gave: a length of four bytes, and as many bytes; nothing for 0 and for failures.
unsafe fn record(at: i32) -> Option<Vec<u8>> {
    if at <= 0 {
        return None;
    }
    let start = at as usize as *mut u8;
    let length = std::ptr::read_unaligned(start as *const u32) as usize;
    let bytes = linear::input(start.add(4), length).to_vec();
    linear::give_back(start, length + 4);
    Some(bytes)
}

fn config(key: &str) -> String {
    let value = unsafe { record(helios::get_config(key.as_ptr(), key.len())) };
    value.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

fn log(message: &str) {
    unsafe { helios::log(2, message.as_ptr(), message.len()) };
}

/// # Safety
///
/// As for every export: address and length are those of an input.
#[no_mangle]
pub unsafe extern "C" fn pre_query(at: *const u8, length: usize) -> u64 {
    let query = match Value::parse(linear::input(at, length)) {
        Some(query) => query,
        None => return 0,
    };
    let sql = query.get("query").as_text().unwrap_or_default();
    let columns = config("columns");
    let masked = mask(sql, &columns.split(',').map(str::trim).filter(|column| !column.is_empty()).collect::<Vec<_>>());
    let output = if masked == sql {
        Value::object(&[("action", Value::text("continue"))])
    } else {
        log("masked a query");
        Value::object(&[("action", Value::text("rewrite")), ("value", Value::text(&masked))])
    };
    linear::packed(output.write().as_bytes())
}

/// Replaces columns in the list of a SELECT: the words between it and FROM, outside of strings.
fn mask(sql: &str, columns: &[&str]) -> String {
    let lower = sql.to_ascii_lowercase();
    if !lower.trim_start().starts_with("select") {
        return sql.to_string();
    }
    let list_end = lower.find(" from ").unwrap_or(sql.len());
    let mut out = String::new();
    let mut word = String::new();
    let mut quoted = false;
    let flush = |word: &mut String, out: &mut String| {
        match columns.iter().find(|column| column.eq_ignore_ascii_case(word)) {
            Some(column) => {
                out.push_str("'***' AS ");
                out.push_str(column);
            }
            None => out.push_str(word),
        }
        word.clear();
    };
    for (at, c) in sql.char_indices() {
        if c == '\'' {
            quoted = !quoted;
        }
        if !quoted && at < list_end && (c.is_alphanumeric() || c == '_') {
            word.push(c);
            continue;
        }
        flush(&mut word, &mut out);
        out.push(c);
    }
    flush(&mut word, &mut out);
    out
}

/// Answers of the cache: the rows of a query, as they were kept.
///
/// # Safety
///
/// As for every export.
#[no_mangle]
pub unsafe extern "C" fn cache_get(at: *const u8, length: usize) -> u64 {
    let key = linear::input(at, length);
    match record(cache::cache_get(key.as_ptr(), key.len())) {
        Some(bytes) => linear::packed(&bytes),
        None => 0,
    }
}

/// Keeps `{"key","value"}` for a minute.
///
/// # Safety
///
/// As for every export.
#[no_mangle]
pub unsafe extern "C" fn cache_set(at: *const u8, length: usize) {
    let entry = match Value::parse(linear::input(at, length)) {
        Some(entry) => entry,
        None => return,
    };
    if let (Some(key), Some(value)) = (entry.get("key").as_text(), entry.get("value").as_text()) {
        cache::cache_set(key.as_ptr(), key.len(), value.as_ptr(), value.len(), 60_000);
    }
}
