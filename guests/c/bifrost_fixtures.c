/* For the host's tests of the Bifrost interface: `malloc` and `free` with a size, a heap that is emptied when all is free. */
#include "heap.h"

static uint32_t blocks;

static void *take(size_t length) {
  if (heap_next == 0) heap_reset();
  blocks++;
  /* One byte more, for the zero behind a text. */
  return heap_take(length + 1);
}

#include "linear_fixtures.h"

EXPORT(malloc) void *guest_malloc(size_t length) {
  return length == 0 ? 0 : take(length);
}

EXPORT(free) void guest_free(void *block, size_t length) {
  (void)block, (void)length;
  if (blocks > 0 && --blocks == 0) heap_reset();
}

static slice config;
static uint32_t cleaned;

EXPORT(init) int32_t init(const char *json, size_t length) {
  static char copy[4096];
  if (length >= sizeof copy) return 1;
  append_bytes(copy, json, length);
  config = (slice){copy, length};
  slice refused = json_get(config, "refuse");
  return (int32_t)json_number(refused);
}

EXPORT(get_name) uint64_t get_name(void) {
  return packed_text("bifrost-fixtures");
}

EXPORT(cleanup) int32_t cleanup(void) {
  host_log(2, "cleaned up", 10);
  return (int32_t)++cleaned - 1;
}

/* The configuration that init was given, value by value. */
EXPORT(config_echo) uint64_t config_echo(const char *input, size_t length) {
  char key[64];
  if (length >= sizeof key) return 0;
  append_bytes(key, input, length);
  slice value = json_get(config, key);
  return packed(value.at, value.length);
}
