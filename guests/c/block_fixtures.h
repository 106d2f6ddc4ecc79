/* Functions of the fixtures for the interfaces with blocks, Extism's and QueryMT's; the same as in linear_fixtures.h. */
#ifndef GUEST_BLOCK_FIXTURES_H
#define GUEST_BLOCK_FIXTURES_H

#include "extism.h"
#include "heap.h"
#include "text.h"

/* Services of the host: text and bytes are blocks. */
#define HOST(name) __attribute__((import_module("mortise:host"), import_name(#name)))
HOST(kv_get) extern uint64_t kv_get(uint64_t key);
HOST(kv_set) extern void kv_set(uint64_t key, uint64_t value, int64_t ttl_ms);
HOST(time_ms) extern int64_t time_ms(void);
HOST(log) extern void host_log(int32_t level, uint64_t message);

static uint64_t input_number(void) {
  uint64_t number = 0;
  uint64_t length = extism_input_length();
  for (uint64_t i = 0; i < length; i++) {
    uint32_t digit = extism_input_load_u8(i) - '0';
    if (digit > 9) break;
    number = number * 10 + digit;
  }
  return number;
}

/* A block with the input. */
static uint64_t input_block(void) {
  size_t length = (size_t)extism_input_length();
  heap_reset();
  uint8_t *bytes = heap_take(length);
  copy_input(bytes, length);
  return block_from(bytes, length);
}

static int32_t succeed_with_number(uint64_t number) {
  char digits[24];
  return succeed_with(digits, (size_t)(append_decimal(digits, number) - digits));
}

EXPORT(echo) int32_t echo(void) {
  extism_output_set(input_block(), extism_input_length());
  return 0;
}

/* The input itself as output. */
EXPORT(same) int32_t same(void) {
  extism_output_set(extism_input_offset(), extism_input_length());
  return 0;
}

EXPORT(noop) int32_t noop(void) {
  return 0;
}

/* How often it was called in this instance. */
EXPORT(count) int32_t count(void) {
  static uint32_t calls = 0;
  return succeed_with_number(++calls);
}

/* As many bytes as the input says. */
EXPORT(many) int32_t many(void) {
  size_t size = (size_t)input_number();
  heap_reset();
  char *bytes = heap_take(size);
  for (size_t i = 0; i < size; i++) bytes[i] = 'x';
  return succeed_with(bytes, size);
}

/* The number in the input as address, and 4 bytes there. */
EXPORT(anywhere) int32_t anywhere(void) {
  extism_output_set(input_number(), 4);
  return 0;
}

/* Grows the memory by the pages in the input, until that fails; traps then. */
EXPORT(grow) int32_t grow(void) {
  size_t pages = (size_t)input_number();
  while (__builtin_wasm_memory_grow(0, pages) != (size_t)-1);
  __builtin_trap();
}

EXPORT(trap) int32_t trap(void) {
  __builtin_trap();
}

EXPORT(spin) int32_t spin(void) {
  for (volatile uint32_t turns = 0;; turns++);
}

/* A return code: the number in the input. */
EXPORT(status) int32_t status(void) {
  return (int32_t)input_number();
}

EXPORT(fail) int32_t fail(void) {
  extism_error_set(input_block());
  return 1;
}

/* Adds one to key "count" and outputs it. */
EXPORT(kv_bump) int32_t kv_bump(void) {
  uint64_t value = kv_get(block_from_text("count"));
  uint64_t number = 0;
  uint64_t length = value == 0 ? 0 : extism_length(value);
  for (uint64_t i = 0; i < length; i++) number = number * 10 + extism_load_u8(value + i) - '0';
  char digits[24];
  size_t size = (size_t)(append_decimal(digits, number + 1) - digits);
  uint64_t block = block_from(digits, size);
  kv_set(block_from_text("count"), block, 0);
  extism_output_set(block, size);
  return 0;
}

/* The value of the key in the input, or "nothing". */
EXPORT(kv_read) int32_t kv_read(void) {
  uint64_t value = kv_get(input_block());
  if (value == 0) return succeed_with_text("nothing");
  extism_output_set(value, extism_length(value));
  return 0;
}

EXPORT(clock) int32_t clock(void) {
  return succeed_with_number((uint64_t)time_ms());
}

EXPORT(sink) int32_t sink(void) {
  host_log(2, input_block());
  return 0;
}

#endif
