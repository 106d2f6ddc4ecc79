/* For the host's tests of the HeliosProxy interface: `alloc` and `dealloc`, and its four linked host functions. */
#include "heap.h"

static void *take(size_t length) {
  if (heap_next == 0) heap_reset();
  return heap_take(length + 1);
}

#include "linear_fixtures.h"

IMPORT("env", "kv_get") extern int32_t env_kv_get(const char *key, size_t key_length, char *out, size_t room);
IMPORT("env", "kv_set") extern int32_t env_kv_set(const char *key, size_t key_length, const char *value, size_t length);
IMPORT("env", "kv_delete") extern int32_t env_kv_delete(const char *key, size_t key_length);
IMPORT("env", "sha256_hex") extern int32_t env_sha256_hex(const char *data, size_t length, char *out);

EXPORT(alloc) void *guest_alloc(size_t length) {
  return take(length);
}

EXPORT(dealloc) void guest_dealloc(void *block, size_t length) {
  (void)block, (void)length;
}

EXPORT(sha256) uint64_t sha256(const char *input, size_t length) {
  char *out = take(64);
  int32_t written = env_sha256_hex(input, length, out);
  return written < 0 ? packed_text("failed") : packed(out, (size_t)written);
}

static char *append_result(char *to, const char *name, int32_t result) {
  to = append_text(append_text(to, name), "=");
  if (result < 0) to = append_text(to, "-");
  return append_text(append_decimal(to, (uint64_t)(result < 0 ? -(int64_t)result : result)), " ");
}

/* What the host functions for keys and values answer, in the order in which they are asked. */
EXPORT(env_kv) uint64_t env_kv(const char *input, size_t length) {
  char *out = take(256);
  char *to = out;
  char value[8];
  to = append_result(to, "get", env_kv_get("k", 1, value, sizeof value));
  to = append_result(to, "set", env_kv_set("k", 1, input, length));
  to = append_result(to, "get", env_kv_get("k", 1, value, sizeof value));
  to = append_result(to, "negative", env_kv_get("k", (size_t)-1, value, sizeof value));
  to = append_result(to, "outside", env_kv_get("k", 1, (char *)0xfffffff0u, sizeof value));
  to = append_result(to, "delete", env_kv_delete("k", 1));
  to = append_result(to, "delete", env_kv_delete("k", 1));
  to = append_result(to, "get", env_kv_get("k", 1, value, sizeof value));
  return packed(out, (size_t)(to - out) - 1);
}

/* A hook, by which the interface is known. */
EXPORT(pre_query) uint64_t pre_query(const char *input, size_t length) {
  (void)input, (void)length;
  return packed_text("{\"action\":\"continue\"}");
}
