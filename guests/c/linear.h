/* What plugins over an exported memory need: an allocator that the host calls, packed results, and looking into JSON. */
#ifndef GUEST_LINEAR_H
#define GUEST_LINEAR_H

#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

/* Address and length of an output in one number; 0 is none. */
static inline uint64_t packed(const void *bytes, size_t length) {
  return length == 0 ? 0 : (uint64_t)(uintptr_t)bytes << 32 | (uint32_t)length;
}

static inline size_t text_size(const char *text) {
  size_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

static inline uint64_t packed_text(const char *text) {
  return packed(text, text_size(text));
}

static inline char *append_bytes(char *to, const char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) *to++ = bytes[i];
  *to = 0;
  return to;
}

/* A part of a text. */
typedef struct {
  const char *at;
  size_t length;
} slice;

static inline int slice_is(slice s, const char *text) {
  if (s.length != text_size(text)) return 0;
  for (size_t i = 0; i < s.length; i++)
    if (s.at[i] != text[i]) return 0;
  return 1;
}

/* Where a text begins inside of another; the length if nowhere. */
static inline size_t slice_find(slice s, const char *text) {
  size_t size = text_size(text);
  for (size_t i = 0; i + size <= s.length; i++) {
    size_t k = 0;
    while (k < size && s.at[i + k] == text[k]) k++;
    if (k == size) return i;
  }
  return s.length;
}

/* The end of the JSON value that begins at `at`: strings, and brackets as deep as they go. */
static inline size_t json_end(slice json, size_t at) {
  int depth = 0;
  int quoted = 0;
  for (; at < json.length; at++) {
    char c = json.at[at];
    if (quoted) {
      if (c == '\\') at++;
      else if (c == '"') quoted = 0;
    } else if (c == '"') quoted = 1;
    else if (c == '{' || c == '[') depth++;
    else if (c == '}' || c == ']') {
      if (depth-- == 0) return at;
    } else if (c == ',' && depth == 0) return at;
  }
  return json.length;
}

/* The value of a key of a JSON object, as JSON; empty if there is none. Keys with escapes are not found. */
static inline slice json_get(slice json, const char *key) {
  size_t at = 0;
  slice none = {json.at, 0};
  while (at < json.length && json.at[at] != '{') at++;
  for (at++; at < json.length;) {
    while (at < json.length && json.at[at] != '"' && json.at[at] != '}') at++;
    if (at >= json.length || json.at[at] == '}') return none;
    size_t start = ++at;
    while (at < json.length && json.at[at] != '"') at += json.at[at] == '\\' ? 2 : 1;
    slice name = {json.at + start, at - start};
    while (at < json.length && json.at[at] != ':') at++;
    at++;
    while (at < json.length && json.at[at] == ' ') at++;
    size_t end = json_end(json, at);
    if (slice_is(name, key)) return (slice){json.at + at, end - at};
    at = end;
  }
  return none;
}

/* What is between the quotes of a JSON string, escapes as they are; empty for any other value. */
static inline slice json_text(slice value) {
  if (value.length < 2 || value.at[0] != '"') return (slice){value.at, 0};
  return (slice){value.at + 1, value.length - 2};
}

static inline uint64_t json_number(slice value) {
  uint64_t number = 0;
  for (size_t i = 0; i < value.length && value.at[i] >= '0' && value.at[i] <= '9'; i++) number = number * 10 + (uint64_t)(value.at[i] - '0');
  return number;
}

#endif
