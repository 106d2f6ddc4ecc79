// Bytes as text, and back.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(*group.get(index).unwrap_or(&0));
        let value = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for index in 0..4 {
            let digit = ALPHABET[(value >> (18 - 6 * index)) as usize & 63];
            text.push(if index > group.len() { '=' } else { digit as char });
        }
    }
    text
}

/// Both alphabets are read; none for what is in neither.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut value, mut bits) = (0u32, 0);
    for char in text.trim_end_matches('=').bytes() {
        let digit = match char {
            b'-' => 62,
            b'_' => 63,
            _ => ALPHABET.iter().position(|one| *one == char)? as u32,
        };
        value = (value << 6) | digit;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((value >> bits) as u8);
        }
    }
    Some(bytes)
}
