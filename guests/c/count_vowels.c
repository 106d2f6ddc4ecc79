/* Benchmark guest: counts the vowels of the input straight from Extism memory, output {"count":N}. */
#include "extism.h"
#include "text.h"

static inline uint32_t is_vowel(uint8_t byte) {
  switch (byte | 0x20) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
      return 1;
    default:
      return 0;
  }
}

EXPORT(count_vowels) int32_t count_vowels(void) {
  uint64_t length = extism_input_length();
  uint64_t at = 0;
  uint32_t count = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word = extism_input_load_u64(at);
    for (int i = 0; i < 8; i++) count += is_vowel((uint8_t)(word >> (i * 8)));
  }
  for (; at < length; at++) count += is_vowel((uint8_t)extism_input_load_u8(at));

  char json[32];
  char *end = append_text(json, "{\"count\":");
  end = append_text(append_decimal(end, count), "}");
  return succeed_with(json, (size_t)(end - json));
}
