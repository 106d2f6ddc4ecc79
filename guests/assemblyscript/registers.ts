// A plugin that registers another one, calls it by number, and frees it, for the interface of `extism:host/user`.
import { Message, succeedWithBlock } from "./message";

// @ts-ignore: decorator
@external("extism:host/user", "register_plugin")
declare function registerPlugin(name: u64): i64;
// @ts-ignore: decorator
@external("extism:host/user", "call_plugin")
declare function callPlugin(id: i64, fn: u64, input: u64): u64;
// @ts-ignore: decorator
@external("extism:host/user", "free_plugin")
declare function freePlugin(id: i64): void;

/** "plugin\nfunction\ninput": what the plugin's function gives. */
export function call(): i32 {
  const message = new Message();
  const id = registerPlugin(message.next());
  const fn = message.next();
  const output = callPlugin(id, fn, message.rest());
  freePlugin(id);
  return succeedWithBlock(output);
}
