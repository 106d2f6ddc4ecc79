/* Exports for the host's tests: each makes one thing happen that a host must get right. */
#include "extism.h"
#include "heap.h"
#include "text.h"

#define NOINLINE __attribute__((noinline))

IMPORT("extism:host/user", "host_reflect") extern uint64_t user_host_reflect(uint64_t handle);

/* A new block with the input's bytes; 0 for an empty input. */
static NOINLINE uint64_t input_block(void) {
  uint64_t length = extism_input_length();
  uint64_t handle = extism_alloc(length);
  for (uint64_t at = 0; at < length; at++) extism_store_u8(handle + at, extism_input_load_u8(at));
  return handle;
}

/* The input read as a decimal number; stops at the first byte that is no digit. */
static NOINLINE uint64_t input_number(void) {
  uint64_t length = extism_input_length();
  uint64_t value = 0;
  for (uint64_t at = 0; at < length; at++) {
    uint32_t digit = extism_input_load_u8(at) - '0';
    if (digit > 9) break;
    value = value * 10 + digit;
  }
  return value;
}

static NOINLINE int32_t succeed_with_number(uint64_t value) {
  char text[24];
  append_decimal(text, value);
  return succeed_with_text(text);
}

/* Outputs the configuration value whose key is the input. */
EXPORT(config_echo) int32_t config_echo(void) {
  uint64_t value = extism_config_get(input_block());
  if (value == 0) return fail_with("no such config key");
  extism_output_set(value, extism_length(value));
  return 0;
}

/* Adds one to the variable `count` (8 bytes, little-endian) and outputs it in decimal. */
EXPORT(var_bump) int32_t var_bump(void) {
  uint64_t old = extism_var_get(block_from_text("count"));
  uint64_t count = old == 0 ? 0 : extism_load_u64(old);
  if (old != 0) extism_free(old);
  count++;
  extism_var_set(block_from_text("count"), block_from(&count, sizeof count));
  return succeed_with_number(count);
}

/* Sets the variable `fill` to as many bytes as the input says. */
EXPORT(var_fill) int32_t var_fill(void) {
  uint64_t length = input_number();
  uint64_t value = extism_alloc(length);
  if (value == 0) return fail_with("out of Extism memory");
  extism_var_set(block_from_text("fill"), value);
  return succeed_with_number(length);
}

/* One line a level, least severe first. */
EXPORT(log_all) int32_t log_all(void) {
  extism_log_trace(block_from_text("a trace line"));
  extism_log_debug(block_from_text("a debug line"));
  extism_log_info(block_from_text("an info line"));
  extism_log_warn(block_from_text("a warn line"));
  extism_log_error(block_from_text("an error line"));
  return 0;
}

EXPORT(fail) int32_t fail(void) {
  return fail_with("something went wrong");
}

EXPORT(exit_code) int32_t exit_code(void) {
  return 7;
}

/* Three frames with names, so that a test can look for them in a trap's stack. */
static NOINLINE int32_t inner_function(uint32_t value) {
  if (value != 0xffffffff) __builtin_trap();
  return 0;
}

static NOINLINE int32_t middle_function(uint32_t value) {
  return inner_function(value) + 1;
}

EXPORT(trap) int32_t trap(void) {
  return middle_function((uint32_t)extism_input_length()) + 1;
}

/* Gives the input to the user's host function and outputs the block that it returns. */
EXPORT(host_reflect) int32_t host_reflect(void) {
  uint64_t handle = user_host_reflect(input_block());
  extism_output_set(handle, extism_length(handle));
  return 0;
}

static volatile uint32_t calls_seen;

/* Counts the calls in guest memory: shows whether an instance is kept, reset or new. */
EXPORT(globals) int32_t globals(void) {
  calls_seen = calls_seen + 1;
  return succeed_with_number(calls_seen);
}

/* Grows the memory by as many pages as the input says; outputs the size before, or -1 on refusal. */
EXPORT(grow) int32_t grow(void) {
  size_t before = __builtin_wasm_memory_grow(0, (size_t)input_number());
  if (before == (size_t)-1) return succeed_with_text("-1");
  return succeed_with_number(before);
}

static NOINLINE uint32_t same_by_address(uint64_t length) {
  uint64_t start = extism_input_offset();
  uint32_t same = 1;
  for (uint64_t at = 0; at < length; at++) {
    same &= extism_load_u8(start + at) == extism_input_load_u8(at);
  }
  return same;
}

/* Reads the input at its first byte, at odd offsets, across its end and past it; outputs JSON. */
EXPORT(input_at_offsets) int32_t input_at_offsets(void) {
  uint64_t length = extism_input_length();
  char json[256];
  char *end = append_decimal(append_text(json, "{\"length\":"), length);
  end = append_decimal(append_text(end, ",\"u8_first\":"), extism_input_load_u8(0));
  end = append_decimal(append_text(end, ",\"u8_last\":"), extism_input_load_u8(length - 1));
  end = append_decimal(append_text(end, ",\"u8_past_end\":"), extism_input_load_u8(length));
  end = append_hex(append_text(end, ",\"u64_first\":\""), extism_input_load_u64(0), 16);
  end = append_hex(append_text(end, "\",\"u64_at_1\":\""), extism_input_load_u64(1), 16);
  end = append_hex(append_text(end, "\",\"u64_across_end\":\""), extism_input_load_u64(length - 7), 16);
  end = append_text(end, "\",\"same_by_address\":");
  end = append_text(append_text(end, same_by_address(length) ? "true" : "false"), "}");
  return succeed_with(json, (size_t)(end - json));
}

static volatile uint32_t turns;

/* Never returns: for time and fuel limits. */
EXPORT(spin) int32_t spin(void) {
  for (;;) turns = turns + 1;
}

/* Calls itself until the host's stack ends. */
static NOINLINE uint32_t endless_recursion(uint32_t depth) {
  turns = depth;
  if (depth == 0xffffffff) return 0;
  return endless_recursion(depth + 1) ^ turns;
}

EXPORT(recurse) int32_t recurse(void) {
  return (int32_t)endless_recursion(0);
}
