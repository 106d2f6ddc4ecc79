/* A plugin that calls others by name: `call` takes "plugin\nfunction\ninput" and gives what the other one gives. */
#include "message.h"

IMPORT("mortise:host", "plugin_call") extern uint64_t plugin_call(uint64_t name, uint64_t function, uint64_t input);

EXPORT(call) int32_t call(void) {
  Part message = input_message();
  uint64_t name = block_of(next_part(&message));
  uint64_t function = block_of(next_part(&message));
  return succeed_with_block(plugin_call(name, function, block_of(message)));
}

/* Calls another plugin as many times as the decimal number says that comes first: "times\nplugin\nfunction\ninput". */
EXPORT(repeat) int32_t repeat(void) {
  Part message = input_message();
  Part digits = next_part(&message);
  uint32_t times = 0;
  for (size_t at = 0; at < digits.length; at++) times = times * 10 + (digits.bytes[at] - '0');
  uint64_t name = block_of(next_part(&message));
  uint64_t function = block_of(next_part(&message));
  uint64_t input = block_of(message);
  uint64_t output = 0;
  for (; times > 0; times--) {
    if (output != 0) extism_free(output);
    output = plugin_call(name, function, input);
  }
  return succeed_with_block(output);
}
