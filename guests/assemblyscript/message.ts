// Messages of the guests that call plugins: parts divided by line feeds, the last of which may hold anything.
import { blockFrom, input } from "./extism";

// @ts-ignore: decorator
@external("extism:host/env", "length")
declare function length(handle: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "output_set")
declare function output_set(address: u64, length: u64): void;

export class Message {
  private bytes: StaticArray<u8> = input();
  private at: i32 = 0;

  /** A block with what comes before the next line feed. */
  next(): u64 {
    let end = this.at;
    while (end < this.bytes.length && this.bytes[end] != 10) end++;
    const part = blockFrom(changetype<usize>(this.bytes) + this.at, end - this.at);
    this.at = min(end + 1, this.bytes.length);
    return part;
  }

  /** A block with all that is left. */
  rest(): u64 {
    return blockFrom(changetype<usize>(this.bytes) + this.at, this.bytes.length - this.at);
  }
}

/** Ends a call: the block becomes its output, as it is. */
export function succeedWithBlock(block: u64): i32 {
  output_set(block, block == 0 ? 0 : length(block));
  return 0;
}
