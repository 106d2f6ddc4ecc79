/* What a request says as one text, folded: which of its members are texts, and how they are read. */
#ifndef GUEST_GUARD_TEXTS_H
#define GUEST_GUARD_TEXTS_H

#include "guard_phrases.h"
#include "heap.h"

typedef struct {
  char *to;
  uint64_t chars;
  /* How texts are read: also escapes of JSON inside of them; and a space for what may be one, and is dropped otherwise. */
  int inner;
  int spaces;
  /* There is something that is to be read that way, too. */
  int has_inner;
  int has_spaces;
} folder;

/* Sixteen characters of ASCII, folded. */
static inline v128_t fold_block(v128_t bytes) {
  v128_t lower = wasm_v128_or(bytes, wasm_i8x16_splat(32));
  v128_t letters = wasm_u8x16_le(wasm_i8x16_sub(lower, wasm_i8x16_splat('a')), wasm_u8x16_splat(25));
  v128_t digits = wasm_u8x16_le(wasm_i8x16_sub(bytes, wasm_i8x16_splat('0')), wasm_u8x16_splat(9));
  v128_t words = wasm_v128_bitselect(lower, bytes, letters);
  return wasm_v128_bitselect(words, wasm_i8x16_splat(' '), wasm_v128_or(letters, digits));
}

/* Bytes that are no plain characters of a JSON string: quotes, backslashes, U+007F, and those beyond ASCII. */
static inline uint32_t not_plain(v128_t bytes) {
  v128_t ends = wasm_v128_or(wasm_i8x16_eq(bytes, wasm_i8x16_splat('"')), wasm_i8x16_eq(bytes, wasm_i8x16_splat('\\')));
  // One more than U+007F has the highest bit, as those beyond have.
  return wasm_i8x16_bitmask(wasm_v128_or(ends, wasm_i8x16_add(bytes, wasm_i8x16_splat(1))));
}

/* Folds the text of a JSON string that begins behind its quote, and gives the position behind it; the length if it does not end. */
static size_t fold_string(folder *f, slice json, size_t at) {
  const char *from = json.at + at;
  const char *end = json.at + json.length;
  char *to = f->to;
  while (from < end) {
    if (end - from >= 16) {
      // What is written too much is written again, or behind the end of the text, where there is room for it.
      v128_t bytes = wasm_v128_load(from);
      wasm_v128_store(to, fold_block(bytes));
      uint32_t stops = not_plain(bytes);
      int plain = stops == 0 ? 16 : __builtin_ctz(stops);
      from += plain;
      to += plain;
      f->chars += (uint64_t)plain;
      if (stops == 0) continue;
    }
    if (*from == '"') {
      from++;
      break;
    }
    f->chars++;
    uint32_t c = *from == '\\' ? read_escape(&from, end) : read_utf8(&from, end);
    if (c == '\\') {
      if (f->inner) c = read_inner_escape(&from, end);
      else f->has_inner |= is_escape(from, end);
    }
    uint32_t folded = fold(c);
    if (folded != DROP) to = append_point(to, folded);
    else if (may_be_space(c)) {
      f->has_spaces = 1;
      if (f->spaces) *to++ = ' ';
    }
  }
  f->to = to;
  return (size_t)(from - json.at);
}

static void put(folder *f, char c) {
  if (f->to[-1] != c) *f->to++ = c;
}

static int is_one_of(slice name, const char *const *names) {
  for (; *names != 0; names++)
    if (slice_is(name, *names)) return 1;
  return 0;
}

/* ---- what is no text */

/* Members that are names of kinds and calls. */
static const char *const NAMES[] = {"role", "type", "id", "tool_call_id", "call_id", 0};
/* Members that are files, or sealed, in base64; what is in them and is no base64 is a text. */
static const char *const BASE64[] = {"data", "file_data", "signature", "encrypted_content", 0};

/* Bytes that base64 has not, in both of its alphabets. */
static inline uint32_t not_base64(v128_t bytes) {
  v128_t letters = wasm_u8x16_le(wasm_i8x16_sub(wasm_v128_or(bytes, wasm_i8x16_splat(32)), wasm_i8x16_splat('a')), wasm_u8x16_splat(25));
  // From the slash to the nine.
  v128_t digits = wasm_u8x16_le(wasm_i8x16_sub(bytes, wasm_i8x16_splat('/')), wasm_u8x16_splat(10));
  v128_t signs = wasm_v128_or(wasm_i8x16_eq(bytes, wasm_i8x16_splat('+')), wasm_i8x16_eq(bytes, wasm_i8x16_splat('=')));
  v128_t others = wasm_v128_or(wasm_i8x16_eq(bytes, wasm_i8x16_splat('-')), wasm_i8x16_eq(bytes, wasm_i8x16_splat('_')));
  v128_t known = wasm_v128_or(wasm_v128_or(letters, digits), wasm_v128_or(signs, others));
  return ~(uint32_t)wasm_i8x16_bitmask(known) & 0xffff;
}

/* The position behind a string if all that is left of it is base64, with ends of lines or without; else 0. Behind the host's JSON
   there is memory that may be read. */
static size_t base64_end(slice json, size_t at) {
  while (at < json.length) {
    uint32_t stops = not_base64(wasm_v128_load(json.at + at));
    if (stops == 0) {
      at += 16;
      continue;
    }
    at += (size_t)__builtin_ctz(stops);
    if (at >= json.length) return 0;
    if (json.at[at] == '"') return at + 1;
    char next = at + 1 < json.length ? json.at[at + 1] : 0;
    if (json.at[at] != '\\' || (next != 'n' && next != 'r' && next != '/')) return 0;
    at += 2;
  }
  return 0;
}

/* Whether a text of JSON begins with another one of small letters, whatever its case. */
static int begins(slice json, size_t at, const char *text) {
  for (; *text != 0; text++, at++)
    if (at >= json.length || ((uint8_t)json.at[at] | 32) != (uint8_t)*text) return 0;
  return 1;
}

/* Folds what is behind the comma of a URL with `data:`, whose characters may be written with a percent sign. */
static void fold_percent(folder *f, slice json, size_t at) {
  uintptr_t mark = heap_next;
  size_t end = string_end(json, at - 1);
  char *copy = heap_take(end - at + 1);
  size_t length = 0;
  while (at < end) {
    char c = json.at[at++];
    int high = c == '%' && end - at > 2 ? hex_digit(json.at[at]) : 16;
    int low = high < 16 ? hex_digit(json.at[at + 1]) : 16;
    if (low < 16) {
      c = (char)(high << 4 | low);
      if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t') c = ' ';
      at += 2;
    }
    copy[length++] = c;
  }
  fold_string(f, (slice){copy, length}, 0);
  heap_next = mark;
}

/* Goes behind a member that is a file, or the text of a URL with `data:`; 0 for one that is to be read as it is. */
static size_t file_end(folder *f, slice json, slice key, size_t at, slice object) {
  int is_url = slice_is(key, "url") || slice_is(key, "image_url");
  if (!is_url && !is_one_of(key, BASE64)) return 0;
  if (begins(json, at, "data:")) {
    size_t comma = at;
    while (comma < json.length && json.at[comma] != ',' && json.at[comma] != '"') comma += json.at[comma] == '\\' ? 2 : 1;
    if (comma >= json.length || json.at[comma] == '"') return 0;
    if (begins(json, comma - 7, ";base64")) return base64_end(json, comma + 1);
    fold_percent(f, json, comma + 1);
    return string_end(json, at);
  }
  if (is_url) return 0;
  size_t end = base64_end(json, at);
  // A document that is text may be a single word.
  if (end == 0 || !slice_is(key, "data")) return end;
  slice type = rest_of(object, "type");
  type.length = type.length == 0 ? 0 : value_end(type, 0);
  return slice_is(type, "\"text\"") ? 0 : end;
}

/* ---- messages that are not looked at */

#define MAX_SKIPPED 8

/* Their roles, as in the configuration. */
static slice skipped_roles[MAX_SKIPPED];
static int skipped_count;
static char role_bytes[256];

static int skip_role(slice role) {
  static size_t used;
  if (role.length > sizeof role_bytes - used - 1) return 0;
  append_bytes(role_bytes + used, role.at, role.length);
  skipped_roles[skipped_count++] = (slice){role_bytes + used, role.length};
  used += role.length + 1;
  return 1;
}

static int is_skipped(slice message) {
  slice role = rest_of(message, "role");
  if (skipped_count == 0 || role.length == 0 || role.at[0] != '"') return 0;
  slice name = {role.at + 1, string_end(role, 0) - 2};
  for (int i = 0; i < skipped_count; i++) {
    size_t k = 0;
    while (k < name.length && k < skipped_roles[i].length && name.at[k] == skipped_roles[i].at[k]) k++;
    if (k == name.length && k == skipped_roles[i].length) return 1;
  }
  return 0;
}

/* ---- schemas, whose names are texts too */

/* Members that are a schema, with all that is in them. */
static const char *const SCHEMAS[] = {"parameters", "schema", "json_schema", "input_schema", 0};
/* What a schema says in names that are not its own. */
static const char *const KEYWORDS[] = {
    "type",          "properties",    "required",      "description",   "items",         "enum",          "const",         "anyOf",
    "oneOf",         "allOf",         "not",           "$ref",          "$defs",         "$schema",       "$id",           "definitions",
    "title",         "default",       "examples",      "format",        "pattern",       "minimum",       "maximum",       "multipleOf",
    "minLength",     "maxLength",     "minItems",      "maxItems",      "uniqueItems",   "prefixItems",   "contains",      "nullable",
    "if",            "then",          "else",          "name",          "schema",        "strict",        "deprecated",    "readOnly",
    "writeOnly",     "$comment",      "$anchor",       "additionalProperties",           "patternProperties",              "propertyNames",
    "minProperties", "maxProperties", "exclusiveMinimum",               "exclusiveMaximum",               "dependentRequired",
    "dependentSchemas",
};
#define SLOTS 256
static slice slots[SLOTS];

static inline uint32_t slot_of(slice name) {
  if (name.length < 2) return 0;
  uint32_t sum = (uint32_t)name.length * 7 + (uint8_t)name.at[0] * 3 + (uint8_t)name.at[1] * 13 + (uint8_t)name.at[name.length - 1] * 5;
  return sum % SLOTS;
}

static void note_keywords(void) {
  for (size_t i = 0; i < sizeof KEYWORDS / sizeof KEYWORDS[0]; i++) {
    slice name = {KEYWORDS[i], text_size(KEYWORDS[i])};
    uint32_t slot = slot_of(name);
    while (slots[slot].length > 0) slot = (slot + 1) % SLOTS;
    slots[slot] = name;
  }
}

static int is_keyword(slice name) {
  for (uint32_t slot = slot_of(name); slots[slot].length > 0; slot = (slot + 1) % SLOTS) {
    if (slots[slot].length != name.length) continue;
    size_t k = 0;
    while (k < name.length && slots[slot].at[k] == name.at[k]) k++;
    if (k == name.length) return 1;
  }
  return 0;
}

/* ---- all texts of a value */

#define MAX_DEPTH 128

/* Folds them, and gives the position behind the value; the parts of one message are read as one text. 0 if it is nested too
   deeply, or does not end. */
static size_t fold_value(folder *f, slice json, int is_input) {
  uint8_t objects[MAX_DEPTH];
  size_t starts[MAX_DEPTH];
  int depth = 0;
  // Brackets around the schema that this is in; 0 for none.
  int schema = 0;
  int is_value = 1;
  slice key = {json.at, 0};
  size_t at = 0;
  while (at < json.length) {
    char c = json.at[at];
    if (c == '"') {
      size_t start = at + 1;
      if (!is_value) {
        at = string_end(json, at);
        key = (slice){json.at + start, at - start - 1};
        if (schema > 0 && !is_keyword(key)) {
          fold_string(f, json, start);
          put(f, ' ');
        }
        at++;
        is_value = 1;
        continue;
      }
      slice object = depth == 0 ? key : (slice){json.at + starts[depth - 1], json.length - starts[depth - 1]};
      size_t end = schema > 0 ? 0 : is_one_of(key, NAMES) ? string_end(json, at) : file_end(f, json, key, start, object);
      at = end > 0 ? end : fold_string(f, json, start);
      put(f, ' ');
      if (depth == 0) return at;
      continue;
    }
    if (c == '{' || c == '[') {
      if (depth == MAX_DEPTH) return 0;
      if (is_input && depth == 1) {
        put(f, BREAK);
        slice message = {json.at + at, json.length - at};
        if (c == '{' && is_skipped(message)) {
          at += value_end(message, 0);
          continue;
        }
      }
      starts[depth] = at;
      objects[depth++] = c == '{';
      is_value = c == '[';
      if (schema == 0 && !is_input && is_one_of(key, SCHEMAS)) schema = depth;
    } else if (c == '}' || c == ']') {
      if (--depth <= 0) return depth == 0 ? at + 1 : at;
      if (depth < schema) schema = 0;
      key = (slice){json.at, 0};
    } else if (c == ',') {
      if (depth == 0) return at;
      is_value = !objects[depth - 1];
    }
    at++;
  }
  return 0;
}

/* Folds what a request says. 0 if it cannot be read. */
static int fold_request(folder *f, slice fields) {
  int has_input = 0;
  member here;
  for (size_t next = 1; member_at(fields, next, &here);) {
    int is_input = slice_is(here.name, "input");
    int is_params = slice_is(here.name, "params");
    if (!is_input && !is_params) {
      if (!slice_is(here.name, "provider") && !slice_is(here.name, "model")) break;
      next = next_member(fields, &here);
      continue;
    }
    put(f, BREAK);
    size_t end = fold_value(f, here.rest, is_input);
    if (end == 0) return 0;
    next = (size_t)(here.rest.at - fields.at) + end;
    has_input |= is_input;
  }
  *f->to = BREAK;
  return has_input;
}

#endif
