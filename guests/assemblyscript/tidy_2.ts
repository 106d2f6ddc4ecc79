// The next version of tidy.ts: the text also begins with a capital letter and ends with a full stop.
import { note, succeedWithText, tidyText } from "./note";

export function before_save(): i32 {
  const value = note();
  const text = tidyText(value);
  if (text.length == 0) return succeedWithText(value, text);
  const first = text.charCodeAt(0);
  const begin = first >= 0x61 && first <= 0x7a ? String.fromCharCode(first - 32) : text.charAt(0);
  const last = text.charAt(text.length - 1);
  const end = last == "." || last == "!" || last == "?" ? "" : ".";
  return succeedWithText(value, begin + text.substring(1) + end);
}
