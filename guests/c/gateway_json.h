/* Looking into the JSON of a gateway's messages, which the host wrote: no spaces, no key with an escape that it does not need. */
#ifndef GUEST_GATEWAY_JSON_H
#define GUEST_GATEWAY_JSON_H

#include "linear.h"

/* The position behind the string that begins at `at`; the length if it does not end. */
static inline size_t string_end(slice json, size_t at) {
  for (at++; at < json.length; at++) {
    if (json.at[at] == '"') return at + 1;
    if (json.at[at] == '\\') at++;
  }
  return json.length;
}

/* The position behind the value that begins at `at`. */
static inline size_t value_end(slice json, size_t at) {
  size_t depth = 0;
  while (at < json.length) {
    char c = json.at[at];
    if (c == '"') {
      at = string_end(json, at);
      if (depth == 0) return at;
      continue;
    }
    if (c == '{' || c == '[') depth++;
    else if (c == '}' || c == ']') {
      if (depth <= 1) return at + depth;
      depth--;
    } else if (c == ',' && depth == 0) return at;
    at++;
  }
  return json.length;
}

/* A member of an object: its name as it is written, and all that follows from its value on. */
typedef struct {
  slice name;
  slice rest;
} member;

/* The member at a position, which is behind the bracket or at a comma; 0 if there is none. */
static inline int member_at(slice json, size_t at, member *found) {
  if (at < json.length && json.at[at] == ',') at++;
  if (at >= json.length || json.at[at] != '"') return 0;
  size_t end = string_end(json, at);
  if (end >= json.length || json.at[end] != ':') return 0;
  found->name = (slice){json.at + at + 1, end - at - 2};
  found->rest = (slice){json.at + end + 1, json.length - end - 1};
  return 1;
}

/* Where the member behind this one begins. */
static inline size_t next_member(slice json, const member *here) {
  return (size_t)(here->rest.at - json.at) + value_end(here->rest, 0);
}

/* A member by its name, with all that follows from its value on; empty if there is none. */
static inline slice rest_of(slice json, const char *name) {
  member here;
  if (json.length > 0 && json.at[0] == '{')
    for (size_t at = 1; member_at(json, at, &here); at = next_member(json, &here))
      if (slice_is(here.name, name)) return here.rest;
  return (slice){json.at, 0};
}

static inline int ends_with(slice s, const char *text) {
  size_t size = text_size(text);
  return s.length >= size && slice_is((slice){s.at + s.length - size, size}, text);
}

/* The object with the fields of a request, whichever spelling it has; empty if there is none. */
static inline slice request_fields(slice message) {
  slice request = rest_of(message, "request");
  member here;
  if (request.length > 0 && request.at[0] == '{')
    for (size_t at = 1; member_at(request, at, &here); at = next_member(request, &here)) {
      if (slice_is(here.name, "provider") || slice_is(here.name, "model") || slice_is(here.name, "input")) return request;
      if (ends_with(here.name, "_request") || ends_with(here.name, "Request")) return here.rest;
    }
  return (slice){message.at, 0};
}

/* The value of a hexadecimal digit; 16 if it is none. */
static inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
}

/* The value of four hexadecimal digits; more than 0xffff if they are none. */
static inline uint32_t hex_digits(const char *at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit > 15) return 0x10000;
    value = value << 4 | (uint32_t)digit;
  }
  return value;
}

/* Reads four hexadecimal digits behind an escape's letter, if they are there. */
static inline uint32_t read_unit(const char *at, const char *end) {
  return end - at < 4 ? 0x10000 : hex_digits(at);
}

static inline uint32_t joined(uint32_t high, uint32_t low) {
  return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Reads an escape, which begins at `*at` with a backslash, and goes behind it. Halves of pairs are what they are. */
static inline uint32_t read_escape(const char **at, const char *end) {
  const char *from = *at;
  if (end - from < 2) {
    *at = end;
    return 0xfffd;
  }
  *at = from + 2;
  switch (from[1]) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'u': break;
    default: return (uint8_t)from[1];
  }
  uint32_t unit = read_unit(from + 2, end);
  if (unit > 0xffff) return 0xfffd;
  *at = from + 6;
  if (unit < 0xd800 || unit > 0xdbff || end - from < 12 || from[6] != '\\' || from[7] != 'u') return unit;
  uint32_t low = hex_digits(from + 8);
  if (low < 0xdc00 || low > 0xdfff) return unit;
  *at = from + 12;
  return joined(unit, low);
}

/* Behind all escaped backslashes at a position. */
static inline const char *skip_backslashes(const char *at, const char *end) {
  while (end - at >= 2 && at[0] == '\\' && at[1] == '\\') at += 2;
  return at;
}

/* True for letters of escapes that stand for something else than themselves. */
static inline int is_escape(const char *at, const char *end) {
  return at < end && (*at == 'n' || *at == 't' || *at == 'r' || *at == 'b' || *at == 'f' || *at == 'u');
}

/* Reads an escape of JSON that is in a text of JSON, of however many levels: its first backslash is in front of `*at`, escaped.
   Any other backslash is a backslash. */
static inline uint32_t read_inner_escape(const char **at, const char *end) {
  const char *from = *at = skip_backslashes(*at, end);
  if (!is_escape(from, end)) return '\\';
  if (*from != 'u') {
    *at = from + 1;
    return *from == 'b' || *from == 'f' ? '\b' : '\n';
  }
  uint32_t unit = read_unit(from + 1, end);
  if (unit > 0xffff) return '\\';
  *at = from + 5;
  if (unit < 0xd800 || unit > 0xdbff) return unit;
  const char *second = skip_backslashes(from + 5, end);
  if (second == from + 5 || second == end || *second != 'u') return unit;
  uint32_t low = read_unit(second + 1, end);
  if (low < 0xdc00 || low > 0xdfff) return unit;
  *at = second + 5;
  return joined(unit, low);
}

/* Reads a character, and goes behind it; bytes that are none are U+FFFD. */
static inline uint32_t read_utf8(const char **at, const char *end) {
  uint32_t lead = (uint8_t)*(*at)++;
  if (lead < 0x80) return lead;
  if (lead < 0xc0) return 0xfffd;
  int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  uint32_t point = more == 3 ? lead & 7 : more == 2 ? lead & 15 : lead & 31;
  for (; more > 0 && *at < end && ((uint8_t)**at & 0xc0) == 0x80; more--) point = point << 6 | ((uint8_t)*(*at)++ & 63);
  return more > 0 ? 0xfffd : point;
}

#endif
