/* Functions of the fixtures for both interfaces over an exported memory; whoever includes this has defined `take`. */
#ifndef GUEST_LINEAR_FIXTURES_H
#define GUEST_LINEAR_FIXTURES_H

#include "linear.h"

/* Services of the host: text and bytes are address and length, bytes come back packed. */
IMPORT("mortise:host", "kv_get") extern uint64_t kv_get(const char *key, size_t key_length);
IMPORT("mortise:host", "kv_set")
extern void kv_set(const char *key, size_t key_length, const void *value, size_t value_length, int64_t ttl_ms);
IMPORT("mortise:host", "time_ms") extern int64_t time_ms(void);
IMPORT("mortise:host", "log") extern void host_log(int32_t level, const char *message, size_t length);

EXPORT(echo) uint64_t echo(const char *input, size_t length) {
  char *out = take(length);
  append_bytes(out, input, length);
  return packed(out, length);
}

/* The input itself as output. */
EXPORT(same) uint64_t same(const char *input, size_t length) {
  return packed(input, length);
}

EXPORT(noop) uint64_t noop(const char *input, size_t length) {
  (void)input, (void)length;
  return 0;
}

/* How often it was called in this instance. */
EXPORT(count) uint64_t count(const char *input, size_t length) {
  static uint32_t calls = 0;
  (void)input, (void)length;
  char *out = take(16);
  return packed(out, (size_t)(append_decimal(out, ++calls) - out));
}

/* As many bytes as the input says. */
EXPORT(many) uint64_t many(const char *input, size_t length) {
  size_t size = json_number((slice){input, length});
  char *out = take(size);
  for (size_t i = 0; i < size; i++) out[i] = 'x';
  return packed(out, size);
}

/* The number in the input as address, and 4 bytes there. */
EXPORT(anywhere) uint64_t anywhere(const char *input, size_t length) {
  return packed((const void *)(uintptr_t)json_number((slice){input, length}), 4);
}

/* Grows the memory by the pages in the input, until that fails; traps then. */
EXPORT(grow) uint64_t grow(const char *input, size_t length) {
  size_t pages = json_number((slice){input, length});
  while (__builtin_wasm_memory_grow(0, pages) != (size_t)-1);
  __builtin_trap();
}

EXPORT(trap) uint64_t trap(const char *input, size_t length) {
  (void)input, (void)length;
  __builtin_trap();
}

EXPORT(spin) uint64_t spin(const char *input, size_t length) {
  (void)input, (void)length;
  for (volatile uint32_t turns = 0;; turns++);
}

/* A status instead of an output: the number in the input. */
EXPORT(status) int32_t status(const char *input, size_t length) {
  return (int32_t)json_number((slice){input, length});
}

/* Neither output nor status. */
EXPORT(sink) void sink(const char *input, size_t length) {
  host_log(2, input, length);
}

/* Adds one to key "count" and outputs it. */
EXPORT(kv_bump) uint64_t kv_bump(const char *input, size_t length) {
  (void)input, (void)length;
  uint64_t value = kv_get("count", 5);
  uint64_t number = json_number((slice){(const char *)(uintptr_t)(value >> 32), (uint32_t)value}) + 1;
  char *out = take(24);
  size_t size = (size_t)(append_decimal(out, number) - out);
  kv_set("count", 5, out, size, 0);
  return packed(out, size);
}

/* The value of the key in the input, or "nothing". */
EXPORT(kv_read) uint64_t kv_read(const char *input, size_t length) {
  uint64_t value = kv_get(input, length);
  return value == 0 ? packed_text("nothing") : value;
}

EXPORT(clock) uint64_t clock(const char *input, size_t length) {
  (void)input, (void)length;
  char *out = take(24);
  return packed(out, (size_t)(append_decimal(out, (uint64_t)time_ms()) - out));
}

#endif
