/* The kits' common plugin in C. Extism's kit for C is a header on no registry, so this stands on a header of our own with the same ABI. */
#include <stdbool.h>

#include "extism.h"
#include "heap.h"
#include "text.h"

ENV("length_unsafe") extern uint64_t extism_length_unsafe(uint64_t handle);
ENV("http_request") extern uint64_t extism_http_request(uint64_t request, uint64_t body);
ENV("http_status_code") extern int32_t extism_http_status_code(void);
ENV("http_headers") extern uint64_t extism_http_headers(void);
IMPORT("extism:host/user", "reverse") extern uint64_t reverse(uint64_t text);

/* A block's bytes in guest memory, with a zero behind them; empty for no block. */
static char *text_of(uint64_t handle) {
  size_t length = handle == 0 ? 0 : (size_t)extism_length_unsafe(handle);
  char *text = heap_take(length + 1);
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word = extism_load_u64(handle + at);
    __builtin_memcpy(text + at, &word, 8);
  }
  for (; at < length; at++) text[at] = (char)extism_load_u8(handle + at);
  text[length] = 0;
  return text;
}

static char *input_text(void) {
  size_t length = (size_t)extism_input_length();
  char *text = heap_take(length + 1);
  copy_input(text, length);
  text[length] = 0;
  return text;
}

/* Appends a JSON string; at most six characters for one. */
static char *append_quoted(char *to, const char *text) {
  *to++ = '"';
  for (; *text != 0; text++) {
    uint8_t byte = (uint8_t)*text;
    if (byte < 0x20) {
      to = append_hex(append_text(to, "\\u00"), byte, 2);
      continue;
    }
    if (byte == '"' || byte == '\\') *to++ = '\\';
    *to++ = *text;
  }
  return append_text(to, "\"");
}

EXPORT(greet) int32_t greet(void) {
  heap_reset();
  uint64_t configured = extism_config_get(block_from_text("greeting"));
  const char *greeting = configured == 0 ? "Hello" : text_of(configured);
  const char *name = input_text();
  char *output = heap_take(text_length(greeting) + text_length(name) + 4);
  append_text(append_text(append_text(append_text(output, greeting), ", "), name), "!");
  return succeed_with_text(output);
}

EXPORT(count) int32_t count(void) {
  heap_reset();
  uint64_t next = 1;
  uint64_t before = extism_var_get(block_from_text("count"));
  if (before != 0) {
    uint64_t value = 0;
    for (const char *text = text_of(before); *text != 0; text++) value = value * 10 + (uint64_t)(*text - '0');
    next = value + 1;
    extism_free(before);
  }
  char digits[21];
  append_decimal(digits, next);
  extism_var_set(block_from_text("count"), block_from_text(digits));
  return succeed_with_text(digits);
}

static bool starts_with(const char *text, const char *start) {
  while (*start != 0)
    if (*text++ != *start++) return false;
  return true;
}

/* Appends the header's value as the host wrote it, in quotes, or null; for values without escapes. */
static char *append_header(char *to, const char *headers, const char *key) {
  for (const char *at = headers; *at != 0; at++) {
    if (!starts_with(at, key)) continue;
    const char *value = at + text_length(key);
    do *to++ = *value++;
    while (*value != 0 && *value != '"');
    return append_text(to, "\"");
  }
  return append_text(to, "null");
}

static int32_t respond(const char *request, uint64_t body) {
  uint64_t answer = extism_http_request(block_from_text(request), body);
  const char *text = text_of(answer);
  const char *headers = text_of(extism_http_headers());
  char *output = heap_take(6 * text_length(text) + text_length(headers) + 64);
  char *to = append_decimal(append_text(output, "{\"status\":"), (uint64_t)extism_http_status_code());
  to = append_quoted(append_text(to, ",\"body\":"), text);
  to = append_header(append_text(to, ",\"header\":"), headers, "\"x-kit\":");
  append_text(to, "}");
  return succeed_with_text(output);
}

static int32_t send(const char *more, uint64_t body) {
  const char *url = input_text();
  char *request = heap_take(6 * text_length(url) + text_length(more) + 16);
  append_text(append_quoted(append_text(request, "{\"url\":"), url), more);
  return respond(request, body);
}

EXPORT(fetch) int32_t fetch(void) {
  heap_reset();
  return send("}", 0);
}

EXPORT(post) int32_t post(void) {
  heap_reset();
  return send(",\"method\":\"POST\",\"headers\":{\"x-plugin\":\"kit\"}}", block_from_text("knock, knock"));
}

EXPORT(ask_host) int32_t ask_host(void) {
  heap_reset();
  uint64_t answer = reverse(block_from_text(input_text()));
  extism_output_set(answer, extism_length(answer));
  return 0;
}

EXPORT(fail) int32_t fail(void) {
  return fail_with("no good");
}

EXPORT(log_levels) int32_t log_levels(void) {
  extism_log_trace(block_from_text("a trace line"));
  extism_log_debug(block_from_text("a debug line"));
  extism_log_info(block_from_text("an info line"));
  extism_log_warn(block_from_text("a warn line"));
  extism_log_error(block_from_text("an error line"));
  return 0;
}
