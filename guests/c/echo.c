/* Benchmark guests: `echo` copies the input into guest memory and out again, `noop` does nothing. */
#include "extism.h"
#include "heap.h"

EXPORT(echo) int32_t echo(void) {
  size_t length = (size_t)extism_input_length();
  heap_reset();
  uint8_t *bytes = heap_take(length);
  copy_input(bytes, length);
  return succeed_with(bytes, length);
}

EXPORT(noop) int32_t noop(void) {
  return 0;
}
