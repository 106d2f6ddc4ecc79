/* A plugin for an LLM gateway: refuses prompts with phrases that are not wanted, however they are written. */
#include "guard_texts.h"

static int status = 403;
static uint64_t max_chars = UINT64_MAX;

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
  return number <= MAX_SKIPPED && skip_role(text);
}

static int is_whole(slice value) {
  for (size_t i = 0; i < value.length; i++)
    if (value.at[i] < '0' || value.at[i] > '9') return 0;
  return value.length > 0 && value.length < 16;
}

/* 1 for a configuration that is none: a guard that misunderstands what it is to guard must not run. */
/** Says that requests and answers are read in the flat spelling: others need not be sent. */
EXPORT(reads_flat) uint64_t reads_flat(const char *at, size_t length) {
  (void)at;
  (void)length;
  return 0;
}

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
  note_keywords();
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
  folder f = {text + 1, 0, 0, 0, 0, 0};
  for (;;) {
    if (!fold_request(&f, fields)) return fail();
    if (f.chars > max_chars) return refuse("max_chars", 0);
    const phrase *found = find_phrase(text + 1, f.to);
    if (found != 0) return refuse(found->built_in ? "builtin" : "deny", found->number);
    // What can be read in several ways is read in each: as it is, as JSON in a text, with spaces for what may be one.
    int inner = f.has_inner || f.inner;
    if (f.inner == inner && f.spaces == f.has_spaces) return 0;
    f = f.inner == inner ? (folder){text + 1, 0, inner, 1, 0, f.has_spaces} : (folder){text + 1, 0, 1, 0, 0, f.has_spaces};
  }
}
