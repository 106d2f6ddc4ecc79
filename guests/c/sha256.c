/* Tour plugin: the SHA-256 digest of the input, as JSON {"sha256":"…"}. */
#include "extism.h"
#include "sha256_digest.h"
#include "text.h"

EXPORT(sha256) int32_t sha256(void) {
  uint64_t length = extism_input_length();
  sha256_digest digest;
  sha256_start(&digest);
  uint64_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word = extism_input_load_u64(at);
    sha256_update(&digest, (const uint8_t *)&word, 8);
  }
  for (; at < length; at++) sha256_byte(&digest, (uint8_t)extism_input_load_u8(at));
  sha256_finish(&digest);

  char json[96];
  char *end = append_text(json, "{\"sha256\":\"");
  for (int i = 0; i < 8; i++) end = append_hex(end, digest.state[i], 8);
  end = append_text(end, "\"}");
  return succeed_with(json, (size_t)(end - json));
}
