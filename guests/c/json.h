/* Reads JSON where it is, and writes JSON. Texts stay in their escaped form: what is read is what is written. */
#ifndef GUEST_JSON_H
#define GUEST_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "heap.h"

/* A value's text; no bytes for what is not there. Of a string, the text with its quotes. */
typedef struct {
  const uint8_t *bytes;
  size_t length;
} Json;

static const Json NOTHING = {0, 0};

static inline int is_blank(uint8_t byte) {
  return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline const uint8_t *skip_blank(const uint8_t *at, const uint8_t *end) {
  while (at < end && is_blank(*at)) at++;
  return at;
}

/* Where the value that begins at `at` ends. */
static inline const uint8_t *value_end(const uint8_t *at, const uint8_t *end) {
  int depth = 0, quoted = 0;
  for (; at < end; at++) {
    if (quoted) {
      if (*at == '\\') {
        if (at + 1 < end) at++;
      } else if (*at == '"') {
        quoted = 0;
        if (depth == 0) return at + 1;
      }
      continue;
    }
    if (*at == '"') quoted = 1;
    else if (*at == '{' || *at == '[') depth++;
    else if (*at == '}' || *at == ']') {
      /* The end of what a number or a word stands in. */
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (*at == ',' || *at == ':' || is_blank(*at))) return at;
  }
  return end;
}

static inline Json json_whole(const uint8_t *bytes, size_t length) {
  const uint8_t *end = bytes + length, *at = skip_blank(bytes, end);
  return (Json){at, (size_t)(value_end(at, end) - at)};
}

static inline int json_is(Json value, const char *text) {
  size_t at = 0;
  for (; text[at] != 0; at++) {
    if (at >= value.length || value.bytes[at] != (uint8_t)text[at]) return 0;
  }
  return at == value.length;
}

static inline int json_same(Json value, Json other) {
  if (value.length != other.length) return 0;
  for (size_t at = 0; at < value.length; at++) {
    if (value.bytes[at] != other.bytes[at]) return 0;
  }
  return 1;
}

static inline int json_starts(Json value, char with) {
  return value.length > 0 && value.bytes[0] == (uint8_t)with;
}

/* The next entry of a list or an object; `key` is nothing in a list. Nothing at the end. Begins with `*at` 0. */
static inline Json json_next(Json whole, size_t *at, Json *key) {
  if (key != 0) *key = NOTHING;
  if (!json_starts(whole, '[') && !json_starts(whole, '{')) return NOTHING;
  const uint8_t *end = whole.bytes + whole.length - 1, *from = whole.bytes + (*at == 0 ? 1 : *at);
  while (from < end && (is_blank(*from) || *from == ',')) from++;
  if (from >= end) return NOTHING;
  const uint8_t *to = value_end(from, end);
  if (whole.bytes[0] == '{') {
    if (key != 0) *key = (Json){from, (size_t)(to - from)};
    from = skip_blank(to, end);
    if (from < end && *from == ':') from = skip_blank(from + 1, end);
    to = value_end(from, end);
  }
  /* What is no JSON must not be read for ever. */
  if (to == from) return NOTHING;
  *at = (size_t)(to - whole.bytes);
  return (Json){from, (size_t)(to - from)};
}

/* The value of a member whose name, in quotes, is given. */
static inline Json json_get(Json object, const char *quoted) {
  size_t at = 0;
  Json key, value;
  if (!json_starts(object, '{')) return NOTHING;
  while ((value = json_next(object, &at, &key)).length > 0) {
    if (json_is(key, quoted)) return value;
  }
  return NOTHING;
}

static inline Json json_find(Json object, Json quoted) {
  size_t at = 0;
  Json key, value;
  if (!json_starts(object, '{')) return NOTHING;
  while ((value = json_next(object, &at, &key)).length > 0) {
    if (json_same(key, quoted)) return value;
  }
  return NOTHING;
}

/* A string without its quotes. */
static inline Json json_text(Json value) {
  if (!json_starts(value, '"') || value.length < 2) return NOTHING;
  return (Json){value.bytes + 1, value.length - 2};
}

/* A whole number from 0 to `most`; `other` for anything else. */
static inline uint32_t json_count(Json value, uint32_t most, uint32_t other) {
  uint32_t count = 0;
  if (value.length == 0 || value.length > 9) return other;
  for (size_t at = 0; at < value.length; at++) {
    if (value.bytes[at] < '0' || value.bytes[at] > '9') return other;
    count = count * 10 + (value.bytes[at] - '0');
  }
  return count > most ? other : count;
}

/* A text that grows. Only one at a time: it stands at the end of the heap. */
typedef struct {
  uint8_t *bytes;
  size_t length, room;
} Out;

static inline Out out_new(void) {
  return (Out){heap_take(0), 0, 0};
}

static inline void out_bytes(Out *out, const uint8_t *bytes, size_t length) {
  if (out->length + length > out->room) {
    size_t more = out->length + length - out->room;
    if (more < 4096) more = 4096;
    more = (more + 7) & ~(size_t)7;
    heap_take(more);
    out->room += more;
  }
  for (size_t at = 0; at < length; at++) out->bytes[out->length + at] = bytes[at];
  out->length += length;
}

static inline void out_text(Out *out, const char *text) {
  size_t length = 0;
  while (text[length] != 0) length++;
  out_bytes(out, (const uint8_t *)text, length);
}

static inline void out_json(Out *out, Json value) {
  out_bytes(out, value.bytes, value.length);
}

static inline void out_count(Out *out, uint32_t value) {
  uint8_t digits[10];
  int count = 0;
  do {
    digits[9 - count++] = (uint8_t)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  out_bytes(out, digits + 10 - count, (size_t)count);
}

/* JSON as the inside of a string. */
static inline void out_escaped(Out *out, Json value) {
  for (size_t at = 0; at < value.length; at++) {
    if (value.bytes[at] == '"' || value.bytes[at] == '\\') out_text(out, "\\");
    out_bytes(out, value.bytes + at, 1);
  }
}

#endif
