/* A plugin that registers others and calls them by number, for the interface of `extism:host/user`. */
#include "message.h"

IMPORT("extism:host/user", "register_plugin") extern int64_t register_plugin(uint64_t name);
IMPORT("extism:host/user", "call_plugin") extern uint64_t call_plugin(int64_t id, uint64_t function, uint64_t input);
IMPORT("extism:host/user", "free_plugin") extern void free_plugin(int64_t id);

/* "plugin\nfunction\ninput": registers the plugin, calls it once, and frees it. */
EXPORT(call) int32_t call(void) {
  Part message = input_message();
  int64_t id = register_plugin(block_of(next_part(&message)));
  uint64_t function = block_of(next_part(&message));
  uint64_t output = call_plugin(id, function, block_of(message));
  free_plugin(id);
  return succeed_with_block(output);
}

/* Registers the plugin that the input names, and gives its number as eight bytes. */
EXPORT(hold) int32_t hold(void) {
  int64_t id = register_plugin(block_of(input_message()));
  return succeed_with(&id, sizeof id);
}

static int64_t take_id(Part *message) {
  int64_t id = 0;
  if (message->length < sizeof id) return 0;
  __builtin_memcpy(&id, message->bytes, sizeof id);
  message->bytes += sizeof id;
  message->length -= sizeof id;
  return id;
}

/* Eight bytes of a number, and "function\ninput": calls the plugin of that number. */
EXPORT(use) int32_t use(void) {
  Part message = input_message();
  int64_t id = take_id(&message);
  uint64_t function = block_of(next_part(&message));
  return succeed_with_block(call_plugin(id, function, block_of(message)));
}

/* Frees the plugin whose number the eight bytes of the input are. */
EXPORT(release) int32_t release(void) {
  Part message = input_message();
  free_plugin(take_id(&message));
  return 0;
}

/* Registers the plugin that the input names again and again. */
EXPORT(flood) int32_t flood(void) {
  uint64_t name = block_of(input_message());
  for (;;) register_plugin(name);
}
