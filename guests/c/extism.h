/* The part of the Extism guest ABI that these guests use, with copying helpers on top. */
#ifndef GUEST_EXTISM_H
#define GUEST_EXTISM_H

#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define ENV(name) IMPORT("extism:host/env", name)

ENV("alloc") extern uint64_t extism_alloc(uint64_t length);
ENV("free") extern void extism_free(uint64_t handle);
ENV("length") extern uint64_t extism_length(uint64_t handle);
ENV("load_u8") extern uint32_t extism_load_u8(uint64_t address);
ENV("load_u64") extern uint64_t extism_load_u64(uint64_t address);
ENV("store_u8") extern void extism_store_u8(uint64_t address, uint32_t value);
ENV("store_u64") extern void extism_store_u64(uint64_t address, uint64_t value);
ENV("input_offset") extern uint64_t extism_input_offset(void);
ENV("input_length") extern uint64_t extism_input_length(void);
ENV("input_load_u8") extern uint32_t extism_input_load_u8(uint64_t offset);
ENV("input_load_u64") extern uint64_t extism_input_load_u64(uint64_t offset);
ENV("output_set") extern void extism_output_set(uint64_t address, uint64_t length);
ENV("error_set") extern void extism_error_set(uint64_t handle);
ENV("config_get") extern uint64_t extism_config_get(uint64_t key);
ENV("var_get") extern uint64_t extism_var_get(uint64_t key);
ENV("var_set") extern void extism_var_set(uint64_t key, uint64_t value);
ENV("log_trace") extern void extism_log_trace(uint64_t message);
ENV("log_debug") extern void extism_log_debug(uint64_t message);
ENV("log_info") extern void extism_log_info(uint64_t message);
ENV("log_warn") extern void extism_log_warn(uint64_t message);
ENV("log_error") extern void extism_log_error(uint64_t message);

static inline size_t text_length(const char *text) {
  size_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

/* Copies guest bytes into a new Extism block; 0 when the host has no room (or for no bytes). */
static inline uint64_t block_from(const void *bytes, size_t length) {
  const uint8_t *from = bytes;
  uint64_t handle = extism_alloc(length);
  if (handle == 0) return 0;
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word;
    __builtin_memcpy(&word, from + at, 8);
    extism_store_u64(handle + at, word);
  }
  for (; at < length; at++) extism_store_u8(handle + at, from[at]);
  return handle;
}

static inline uint64_t block_from_text(const char *text) {
  return block_from(text, text_length(text));
}

/* Copies the input into guest memory; `to` must have room for all of it. */
static inline void copy_input(void *to, size_t length) {
  uint8_t *bytes = to;
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word = extism_input_load_u64(at);
    __builtin_memcpy(bytes + at, &word, 8);
  }
  for (; at < length; at++) bytes[at] = (uint8_t)extism_input_load_u8(at);
}

static inline int32_t fail_with(const char *message) {
  extism_error_set(block_from_text(message));
  return 1;
}

/* Ends a call: the bytes become its output. */
static inline int32_t succeed_with(const void *bytes, size_t length) {
  if (length == 0) {
    extism_output_set(0, 0);
    return 0;
  }
  uint64_t handle = block_from(bytes, length);
  if (handle == 0) return fail_with("out of Extism memory");
  extism_output_set(handle, length);
  return 0;
}

static inline int32_t succeed_with_text(const char *text) {
  return succeed_with(text, text_length(text));
}

#endif
