//! Benchmark guest: counts the vowels of the input straight from Extism memory, output {"count":N}.
mod extism;

#[no_mangle]
pub extern "C" fn count_vowels() -> i32 {
    let length = extism::input_length();
    let mut count: u32 = 0;
    let mut at = 0;
    while at + 8 <= length {
        for byte in extism::input_u64(at).to_le_bytes() {
            count += u32::from(is_vowel(byte));
        }
        at += 8;
    }
    while at < length {
        count += u32::from(is_vowel(extism::input_u8(at)));
        at += 1;
    }
    extism::succeed_with(format!("{{\"count\":{count}}}").as_bytes())
}

fn is_vowel(byte: u8) -> bool {
    matches!(byte | 0x20, b'a' | b'e' | b'i' | b'o' | b'u')
}
