//! Tour plugin: the most frequent words of a Markdown text, as JSON [{"word":…,"count":…},…].
mod extism;

use std::collections::HashMap;

const DEFAULT_LIMIT: usize = 10;

#[no_mangle]
pub extern "C" fn top_words() -> i32 {
    let text = match String::from_utf8(extism::input()) {
        Ok(text) => text,
        Err(_) => return extism::fail_with("the input is not valid UTF-8"),
    };
    match limit() {
        Some(limit) => extism::succeed_with(to_json(&most_frequent(&text, limit)).as_bytes()),
        None => extism::fail_with("the config value \"limit\" is not a whole number"),
    }
}

fn limit() -> Option<usize> {
    match extism::config("limit") {
        Some(text) => text.trim().parse().ok(),
        None => Some(DEFAULT_LIMIT),
    }
}

/// Ordered by count, then by the word itself, so that equal texts give equal answers.
fn most_frequent(text: &str, limit: usize) -> Vec<(String, u32)> {
    let mut counts: HashMap<String, u32> = HashMap::new();
    for line in prose_lines(text) {
        for word in words(&without_link_targets(line)) {
            *counts.entry(word).or_insert(0) += 1;
        }
    }
    let mut ordered: Vec<(String, u32)> = counts.into_iter().collect();
    ordered.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ordered.truncate(limit);
    ordered
}

/// The lines outside of fenced code blocks.
fn prose_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Keeps the text of `[text](target)`.
fn without_link_targets(line: &str) -> String {
    let mut parts = line.split("](");
    let mut kept = String::from(parts.next().unwrap_or(""));
    for part in parts {
        kept.push_str(part.find(')').map_or("", |end| &part[end..]));
    }
    kept
}

/// Runs of letters, in lower case; an apostrophe inside a word belongs to it.
fn words(line: &str) -> impl Iterator<Item = String> + '_ {
    line.split(|c: char| !c.is_alphabetic() && c != '\'' && c != '\u{2019}')
        .map(|word| word.trim_matches(|c: char| !c.is_alphabetic()))
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().map(lower).collect())
}

/// For Latin, Greek and Cyrillic capitals; the standard library's table alone would take 22 kB.
fn lower(c: char) -> char {
    let by = match c {
        'A'..='Z' | 'À'..='Ö' | 'Ø'..='Þ' | 'Α'..='Ρ' | 'Σ'..='Ϋ' | 'А'..='Я' => 0x20,
        'Ѐ'..='Џ' => 0x50,
        _ => 0,
    };
    char::from_u32(u32::from(c) + by).unwrap_or(c)
}

/// Words hold letters and apostrophes only, so nothing needs an escape.
fn to_json(words: &[(String, u32)]) -> String {
    let items: Vec<String> = words
        .iter()
        .map(|(word, count)| format!("{{\"word\":\"{word}\",\"count\":{count}}}"))
        .collect();
    format!("[{}]", items.join(","))
}
