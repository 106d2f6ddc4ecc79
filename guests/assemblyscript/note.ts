// What plugins for notes have in common: a note is `{"author": "…", "text": "…"}`, in the generic JSON of hooks.
import { input, succeedWith } from "./extism";
import { jsonGet } from "./linear";

/** The note, as JSON. */
export function note(): string {
  const bytes = input();
  return jsonGet(String.UTF8.decodeUnsafe(changetype<usize>(bytes), bytes.length), "input");
}

/** The text of a note between its quotes, without spaces and line breaks at its ends, and with one space between words. */
export function tidyText(note: string): string {
  const text = jsonGet(note, "text");
  const words: string[] = [];
  let start = 1;
  let at = 1;
  while (at < text.length - 1) {
    const escape = text.charCodeAt(at) == 0x5c;
    const size = escape ? 2 : 1;
    const next = escape ? text.charCodeAt(at + 1) : 0;
    if (text.charCodeAt(at) == 0x20 || next == 0x6e || next == 0x72 || next == 0x74) {
      if (at > start) words.push(text.substring(start, at));
      start = at + size;
    }
    at += size;
  }
  if (at > start) words.push(text.substring(start, at));
  return words.join(" ");
}

/** Ends a call: the note gets another text, as JSON without quotes. */
export function succeedWithText(note: string, text: string): i32 {
  // Inside of a string quotes have a backslash before them, so that this is found nowhere else.
  return succeedWithNote(note.replace('"text":' + jsonGet(note, "text"), '"text":"' + text + '"'));
}

/** Ends a call: another note takes the place of the one that came. */
export function succeedWithNote(note: string): i32 {
  return succeedWith('{"action":"replace","value":' + note + "}");
}
