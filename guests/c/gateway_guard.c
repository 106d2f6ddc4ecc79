/* A plugin for an LLM gateway: refuses prompts with phrases that are not wanted, however they are written. */
#include "guard_phrases.h"
#include "heap.h"

#define MAX_DEPTH 128
#define MAX_SKIPPED 8

static int status = 403;
static uint64_t max_chars = UINT64_MAX;
/* Roles whose messages are not looked at, as in the configuration. */
static slice skipped_roles[MAX_SKIPPED];
static int skipped_count;
static char role_bytes[256];

static char out[1024];

EXPORT(malloc) void *guest_malloc(size_t length) {
  if (heap_next == 0) heap_reset();
  return length == 0 ? 0 : heap_take(length);
}

EXPORT(plugin_reset) void plugin_reset(void) {
  heap_reset();
}

EXPORT(get_name) uint64_t get_name(void) {
  return packed_text("gateway-guard");
}

/* ---- the configuration */

/* The elements of an array of texts, one by one; 0 at its end, -1 for anything else. */
static int next_text(slice list, size_t *at, slice *text) {
  if (*at < list.length && (list.at[*at] == '[' || list.at[*at] == ',')) (*at)++;
  if (*at >= list.length || list.at[*at] == ']') return 0;
  if (list.at[*at] != '"') return -1;
  size_t end = string_end(list, *at);
  *text = (slice){list.at + *at + 1, end - *at - 2};
  *at = end;
  return 1;
}

static int read_list(slice list, int (*take)(slice text, int number)) {
  size_t at = 0;
  slice text;
  int found;
  if (list.length == 0 || list.at[0] != '[') return 0;
  for (int number = 1; (found = next_text(list, &at, &text)) == 1; number++)
    if (!take(text, number)) return 0;
  return found == 0;
}

static int take_phrase(slice text, int number) {
  return add_phrase(text, number, 0);
}

static int take_role(slice text, int number) {
  static size_t used;
  if (number > MAX_SKIPPED || text.length > sizeof role_bytes - used - 1) return 0;
  append_bytes(role_bytes + used, text.at, text.length);
  skipped_roles[skipped_count++] = (slice){role_bytes + used, text.length};
  used += text.length + 1;
  return 1;
}

static int is_whole(slice value) {
  for (size_t i = 0; i < value.length; i++)
    if (value.at[i] < '0' || value.at[i] > '9') return 0;
  return value.length > 0 && value.length < 16;
}

/* 1 for a configuration that is none: a guard that misunderstands what it is to guard must not run. */
EXPORT(init) int32_t init(const char *at, size_t length) {
  slice config = {at, length};
  int built_in = 1;
  member here;
  if (length == 0 || at[0] != '{') return 1;
  for (size_t next = 1; member_at(config, next, &here); next = next_member(config, &here)) {
    slice value = {here.rest.at, value_end(here.rest, 0)};
    if (slice_is(here.name, "deny")) {
      if (!read_list(value, take_phrase)) return 1;
    } else if (slice_is(here.name, "skip_roles")) {
      if (!read_list(value, take_role)) return 1;
    } else if (slice_is(here.name, "builtin")) {
      if (!slice_is(value, "true") && !slice_is(value, "false")) return 1;
      built_in = slice_is(value, "true");
    } else if (slice_is(here.name, "max_chars")) {
      if (!is_whole(value)) return 1;
      max_chars = json_number(value);
    } else if (slice_is(here.name, "status")) {
      if (!is_whole(value) || json_number(value) < 400 || json_number(value) > 599) return 1;
      status = (int)json_number(value);
    } else return 1;
  }
  for (size_t i = 0; built_in && i < sizeof BUILT_IN / sizeof BUILT_IN[0]; i++)
    if (!add_phrase((slice){BUILT_IN[i], text_size(BUILT_IN[i])}, (int)i + 1, 1)) return 1;
  index_phrases();
  return 0;
}

/* ---- what a request says, folded */

typedef struct {
  char *to;
  uint64_t chars;
} folder;

/* Sixteen characters of ASCII, folded. */
static inline v128_t fold_block(v128_t bytes) {
  v128_t lower = wasm_v128_or(bytes, wasm_i8x16_splat(32));
  v128_t letters = wasm_u8x16_le(wasm_i8x16_sub(lower, wasm_i8x16_splat('a')), wasm_u8x16_splat(25));
  v128_t digits = wasm_u8x16_le(wasm_i8x16_sub(bytes, wasm_i8x16_splat('0')), wasm_u8x16_splat(9));
  v128_t words = wasm_v128_bitselect(lower, bytes, letters);
  return wasm_v128_bitselect(words, wasm_i8x16_splat(' '), wasm_v128_or(letters, digits));
}

/* Bytes that are no plain characters of a JSON string: quotes, backslashes, and those beyond ASCII. */
static inline uint32_t not_plain(v128_t bytes) {
  v128_t ends = wasm_v128_or(wasm_i8x16_eq(bytes, wasm_i8x16_splat('"')), wasm_i8x16_eq(bytes, wasm_i8x16_splat('\\')));
  return wasm_i8x16_bitmask(wasm_v128_or(ends, bytes));
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
    uint32_t c = fold(*from == '\\' ? read_escape(&from, end) : read_utf8(&from, end));
    if (c != DROP) to = append_point(to, c);
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

/* Members that are no text: names of kinds and calls, and files in base64. */
static const char *const NOT_TEXT[] = {"role", "type", "id", "tool_call_id", "call_id", "file_data", "signature", "encrypted_content", 0};
/* Kinds of objects whose `data` is no text; documents that are text have another one, and audio has none. */
static const char *const NOT_TEXT_DATA[] = {"\"base64\"", "\"redacted_thinking\"", "\"reasoning.encrypted\"", 0};

static int is_text_data(slice object) {
  slice type = rest_of(object, "type");
  if (type.length == 0) return 0;
  type.length = value_end(type, 0);
  return !is_one_of(type, NOT_TEXT_DATA);
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

/* Folds all texts of a value; the parts of one message are read as one text. 0 if it is nested too deeply, or does not end. */
static int fold_value(folder *f, slice json, int is_input) {
  uint8_t objects[MAX_DEPTH];
  size_t starts[MAX_DEPTH];
  int depth = 0;
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
        at++;
        is_value = 1;
        continue;
      }
      slice head = {json.at + start, json.length - start < 5 ? json.length - start : 5};
      int is_file = (slice_is(key, "url") || slice_is(key, "image_url")) && slice_is(head, "data:");
      int is_data = slice_is(key, "data") && depth > 0 && !is_text_data((slice){json.at + starts[depth - 1], json.length - starts[depth - 1]});
      if (is_one_of(key, NOT_TEXT) || is_file || is_data) at = string_end(json, at);
      else {
        at = fold_string(f, json, start);
        put(f, ' ');
      }
      if (depth == 0) return 1;
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
    } else if (c == '}' || c == ']') {
      if (--depth <= 0) return depth == 0;
      key = (slice){json.at, 0};
    } else if (c == ',') {
      if (depth == 0) return 1;
      is_value = !objects[depth - 1];
    }
    at++;
  }
  return 0;
}

/* ---- the hook */

static uint64_t refuse(const char *rule, uint64_t number) {
  char *to = append_text(out, "{\"short_circuit\":{\"error\":{\"status_code\":");
  to = append_decimal(to, (uint64_t)status);
  to = append_text(to, ",\"allow_fallbacks\":false,\"type\":\"prompt_blocked\",\"error\":{\"message\":\"The prompt was blocked by rule ");
  to = append_text(to, rule);
  if (number > 0) to = append_decimal(append_text(to, " "), number);
  to = append_text(to, "\",\"type\":\"prompt_blocked\",\"code\":\"prompt_blocked\"}}}}");
  return packed(out, (size_t)(to - out));
}

static uint64_t fail(void) {
  return packed_text("{\"error\":\"the request is not one that can be looked at\"}");
}

EXPORT(pre_hook) uint64_t pre_hook(const char *at, size_t length) {
  slice fields = request_fields((slice){at, length});
  if (fields.length == 0) return fail();
  // Folded, no text is longer than it was as JSON.
  char *text = heap_take(length + 64);
  *text = BREAK;
  folder f = {text + 1, 0};
  int has_input = 0;
  member here;
  for (size_t next = 1; member_at(fields, next, &here); next = next_member(fields, &here)) {
    int is_input = slice_is(here.name, "input");
    int is_params = slice_is(here.name, "params");
    if (!is_input && !is_params && !slice_is(here.name, "provider") && !slice_is(here.name, "model")) break;
    if (!is_input && !is_params) continue;
    put(&f, BREAK);
    if (!fold_value(&f, here.rest, is_input)) return fail();
    has_input |= is_input;
    if (f.chars > max_chars) return refuse("max_chars", 0);
  }
  if (!has_input) return fail();
  *f.to = BREAK;
  const phrase *found = find_phrase(text + 1, f.to);
  return found == 0 ? 0 : refuse(found->built_in ? "builtin" : "deny", found->number);
}
