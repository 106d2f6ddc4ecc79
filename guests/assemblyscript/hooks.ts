// A plugin for hooks: `check` rejects what has the word in config `deny`, `greet` answers with a greeting.
import { config, input, succeedWith } from "./extism";

const CONTINUE = '{"action":"continue"}';

export function check(): i32 {
  const word = config("deny");
  if (word == null || word.length == 0) return succeedWith(CONTINUE);
  const message = input();
  for (let at = 0; at + word.length <= message.length; at++) {
    if (memory.compare(changetype<usize>(message) + at, changetype<usize>(word), word.length) == 0) {
      return succeedWith('{"action":"reject","reason":"it has the word that is not allowed"}');
    }
  }
  return succeedWith(CONTINUE);
}

/** Answers with `{"greeting": "Hello, <name>!"}` if the input is a text, in the JSON of the generic wire. */
export function greet(): i32 {
  const bytes = input();
  const message = String.UTF8.decodeUnsafe(changetype<usize>(bytes), bytes.length);
  const start = '{"input":"'.length;
  const end = message.indexOf('"', start);
  if (!message.startsWith('{"input":"') || end < 0) return succeedWith(CONTINUE);
  return succeedWith('{"action":"answer","value":{"greeting":"Hello, ' + message.substring(start, end) + '!"}}');
}
