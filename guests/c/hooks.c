/* A plugin for hooks. `before_save` masks digits, `check` and `audit` look for a word; each reads all of its input. */
#include "extism.h"
#include "heap.h"

static const char CONTINUE[] = "{\"action\":\"continue\"}";
static const char INPUT[] = "{\"input\":";
static const char CONTEXT[] = ",\"context\":";
static const char REPLACE[] = "{\"action\":\"replace\",\"value\":";
static const char REJECT[] = "{\"action\":\"reject\",\"reason\":\"it has the word that is not allowed\"}";

typedef struct {
  const uint8_t *bytes;
  size_t length;
} Text;

static Text input_text(void) {
  size_t length = (size_t)extism_input_length();
  heap_reset();
  uint8_t *bytes = heap_take(length);
  copy_input(bytes, length);
  return (Text){bytes, length};
}

static int same(const uint8_t *bytes, const uint8_t *other, size_t length) {
  for (size_t at = 0; at < length; at++) {
    if (bytes[at] != other[at]) return 0;
  }
  return 1;
}

/* The value between `{"input":` and the last `,"context":`; no bytes if there is none. */
static Text input_value(Text message) {
  const size_t head = sizeof INPUT - 1, tail = sizeof CONTEXT - 1;
  if (message.length < head + tail || !same(message.bytes, (const uint8_t *)INPUT, head)) return (Text){0, 0};
  size_t at = message.length - tail;
  while (at > head && !same(message.bytes + at, (const uint8_t *)CONTEXT, tail)) at--;
  return (Text){message.bytes + head, at - head};
}

/* Every digit inside of a text becomes `#`; `{"action":"continue"}` if there was none. */
EXPORT(before_save) int32_t before_save(void) {
  Text value = input_value(input_text());
  const size_t head = sizeof REPLACE - 1;
  uint8_t *answer = heap_take(head + value.length + 1);
  for (size_t at = 0; at < head; at++) answer[at] = (uint8_t)REPLACE[at];
  int quoted = 0, escaped = 0, changed = 0;
  for (size_t at = 0; at < value.length; at++) {
    uint8_t byte = value.bytes[at];
    if (escaped) {
      /* The digits of \u0041 are no digits. */
      if (byte == 'u') {
        for (int count = 0; count < 5 && at < value.length; count++, at++) answer[head + at] = value.bytes[at];
        at--;
        escaped = 0;
        continue;
      }
      escaped = 0;
    } else if (quoted && byte == '\\') {
      escaped = 1;
    } else if (byte == '"') {
      quoted = !quoted;
    } else if (quoted && byte >= '0' && byte <= '9') {
      byte = '#';
      changed = 1;
    }
    answer[head + at] = byte;
  }
  answer[head + value.length] = '}';
  if (!changed) return succeed_with_text(CONTINUE);
  return succeed_with(answer, head + value.length + 1);
}

/* The config value `deny`, copied into guest memory; no bytes without one. */
static Text denied_word(void) {
  uint64_t handle = extism_config_get(block_from_text("deny"));
  size_t length = handle == 0 ? 0 : (size_t)extism_length(handle);
  uint8_t *bytes = heap_take(length);
  for (size_t at = 0; at < length; at++) bytes[at] = (uint8_t)extism_load_u8(handle + at);
  return (Text){bytes, length};
}

/* Rejects a message that has the word in config `deny`. */
EXPORT(check) int32_t check(void) {
  Text message = input_text();
  Text word = denied_word();
  for (size_t at = 0; word.length > 0 && at + word.length <= message.length; at++) {
    if (same(message.bytes + at, word.bytes, word.length)) return succeed_with_text(REJECT);
  }
  return succeed_with_text(CONTINUE);
}

/* Reads the message and answers nothing. */
EXPORT(audit) int32_t audit(void) {
  Text message = input_text();
  uint32_t sum = 0;
  for (size_t at = 0; at < message.length; at++) sum += message.bytes[at];
  extism_log_debug(block_from_text(sum == 0 ? "nothing" : "something"));
  return 0;
}
