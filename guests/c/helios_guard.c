/* A HeliosProxy plugin: refuses statements that would change a whole table, asks who connects, says where queries go, and
   keeps a chain of digests of everything that was done. Results in the spelling of its kit (`kind`). */
#include "heap.h"
#include "linear.h"

IMPORT("env", "kv_get") extern int32_t kv_get(const char *key, size_t key_length, char *out, size_t room);
IMPORT("env", "kv_set") extern int32_t kv_set(const char *key, size_t key_length, const char *value, size_t length);
IMPORT("env", "sha256_hex") extern int32_t sha256_hex(const char *data, size_t length, char *out);

EXPORT(alloc) void *guest_alloc(size_t length) {
  if (heap_next == 0) heap_reset();
  return heap_take(length);
}

EXPORT(dealloc) void guest_dealloc(void *block, size_t length) {
  (void)block, (void)length;
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* A word of SQL anywhere in a statement, outside of strings. */
static int has_word(slice sql, const char *word) {
  size_t size = text_size(word);
  int inside = 0;
  int quoted = 0;
  for (size_t i = 0; i < sql.length; i++) {
    char c = lower(sql.at[i]);
    if (c == '\'') quoted = !quoted;
    int letter = (c >= 'a' && c <= 'z') || c == '_';
    if (!quoted && letter && !inside && i + size <= sql.length) {
      size_t k = 0;
      while (k < size && lower(sql.at[i + k]) == word[k]) k++;
      char after = i + size < sql.length ? lower(sql.at[i + size]) : ' ';
      if (k == size && !((after >= 'a' && after <= 'z') || after == '_')) return 1;
    }
    inside = letter;
  }
  return 0;
}

EXPORT(pre_query) uint64_t pre_query(const char *input, size_t length) {
  slice sql = json_text(json_get((slice){input, length}, "query"));
  if ((has_word(sql, "delete") || has_word(sql, "update")) && !has_word(sql, "where"))
    return packed_text("{\"kind\":\"block\",\"reason\":\"a statement that changes a whole table needs a WHERE\"}");
  if (has_word(sql, "drop") || has_word(sql, "truncate")) return packed_text("{\"kind\":\"block\",\"reason\":\"not here\"}");
  return packed_text("{\"kind\":\"continue\"}");
}

EXPORT(authenticate) uint64_t authenticate(const char *input, size_t length) {
  slice user = json_text(json_get((slice){input, length}, "username"));
  if (slice_is(user, "mallory")) return packed_text("{\"action\":\"denied\",\"message\":\"you know why\"}");
  if (slice_is(user, "alice"))
    return packed_text("{\"action\":\"success\",\"identity\":{\"user_id\":\"u1\",\"username\":\"alice\",\"roles\":[\"reader\"]}}");
  return 0;
}

EXPORT(route) uint64_t route(const char *input, size_t length) {
  slice json = {input, length};
  if (slice_is(json_get(json, "is_read_only"), "true")) return packed_text("{\"action\":\"standby\"}");
  slice sql = json_text(json_get(json, "query"));
  if (slice_find(sql, "/* node:") < sql.length) return packed_text("{\"action\":\"node\",\"target\":\"replica-2\"}");
  return packed_text("{\"action\":\"primary\"}");
}

/* Key "chain": the digest of the one before and of what was done now. In the form without a result. */
EXPORT(post_query) void post_query(const char *input, size_t length) {
  char *link = guest_alloc(64 + length);
  int32_t before = kv_get("chain", 5, link, 64);
  size_t at = before > 0 ? (size_t)before : 0;
  append_bytes(link + at, input, length);
  char digest[65];
  if (sha256_hex(link, at + length, digest) == 64) kv_set("chain", 5, digest, 64);
}
