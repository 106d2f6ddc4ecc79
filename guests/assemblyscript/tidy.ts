// A plugin for notes: `before_save` leaves one space between words.
import { note, succeedWithText, tidyText } from "./note";

export function before_save(): i32 {
  const value = note();
  return succeedWithText(value, tidyText(value));
}
