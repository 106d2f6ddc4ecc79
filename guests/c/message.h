/* Messages of the guests that call plugins: parts divided by line feeds, the last of which may hold anything. */
#ifndef GUEST_MESSAGE_H
#define GUEST_MESSAGE_H

#include "extism.h"
#include "heap.h"

typedef struct {
  const uint8_t *bytes;
  size_t length;
} Part;

/* Takes the part in front of the next line feed from a message; all of it if there is none. */
static inline Part next_part(Part *message) {
  size_t at = 0;
  while (at < message->length && message->bytes[at] != '\n') at++;
  Part part = {message->bytes, at};
  size_t used = at < message->length ? at + 1 : at;
  message->bytes += used;
  message->length -= used;
  return part;
}

static inline Part input_message(void) {
  size_t length = (size_t)extism_input_length();
  heap_reset();
  uint8_t *bytes = heap_take(length);
  copy_input(bytes, length);
  return (Part){bytes, length};
}

static inline uint64_t block_of(Part part) {
  return block_from(part.bytes, part.length);
}

/* Ends a call: the block becomes its output, as it is. */
static inline int32_t succeed_with_block(uint64_t block) {
  extism_output_set(block, block == 0 ? 0 : extism_length(block));
  return 0;
}

#endif
