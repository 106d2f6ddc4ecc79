// A plugin that calls others by name: `call` takes "plugin\nfunction\ninput" and gives what the other one gives.
import { Message, succeedWithBlock } from "./message";

// @ts-ignore: decorator
@external("mortise:host", "plugin_call")
declare function pluginCall(name: u64, fn: u64, input: u64): u64;

export function call(): i32 {
  const message = new Message();
  const name = message.next();
  const fn = message.next();
  return succeedWithBlock(pluginCall(name, fn, message.rest()));
}
