/* A heap that only grows and is forgotten as a whole: all that a guest call needs. */
#ifndef GUEST_HEAP_H
#define GUEST_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define WASM_PAGE 65536u

extern uint8_t __heap_base;
static uintptr_t heap_next;

/* Every export that takes memory starts with this, so that repeated calls do not grow the memory. */
static inline void heap_reset(void) {
  heap_next = ((uintptr_t)&__heap_base + 7) & ~(uintptr_t)7;
}

/* Uninitialised bytes; traps when the host refuses more memory. */
static inline void *heap_take(size_t length) {
  uintptr_t start = heap_next;
  uint64_t end = (uint64_t)start + (((uint64_t)length + 7) & ~(uint64_t)7);
  uint64_t size = (uint64_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
  if (end > size) {
    uint64_t pages = (end - size + WASM_PAGE - 1) / WASM_PAGE;
    if (pages > WASM_PAGE || __builtin_wasm_memory_grow(0, (size_t)pages) == (size_t)-1) __builtin_trap();
  }
  heap_next = (uintptr_t)end;
  return (void *)start;
}

#endif
