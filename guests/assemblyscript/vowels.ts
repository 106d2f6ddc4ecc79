// Tour plugin: counts the vowels of a text, and over all calls, as Extism's well-known sample does.
import { config, failWith, input, setVariable, succeedWith, variable } from "./extism";
import { codePoints } from "./utf8";

const DEFAULT_VOWELS = "aeiouAEIOU";

export function count_vowels(): i32 {
  const text = codePoints(input());
  if (text == null) return failWith("the input is not valid UTF-8");
  const configured = config("vowels");
  let vowels = DEFAULT_VOWELS;
  if (configured != null) vowels = String.UTF8.decodeUnsafe(changetype<usize>(configured), configured.length);

  const count = countIn(text, pointsOf(vowels));
  const total = variable("total") + count;
  setVariable("total", total);
  const counts = '{"count":' + count.toString() + ',"total":' + total.toString();
  return succeedWith(counts + ',"vowels":"' + escapeJson(vowels) + '"}');
}

function pointsOf(text: string): Set<i32> {
  const points = new Set<i32>();
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i);
    points.add(point);
    if (point > 0xffff) i++;
  }
  return points;
}

function countIn(text: Array<i32>, wanted: Set<i32>): i32 {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    if (wanted.has(text[i])) count++;
  }
  return count;
}

function escapeJson(text: string): string {
  let escaped = "";
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20) escaped += "\\u00" + (unit < 0x10 ? "0" : "1") + (unit & 15).toString(16);
    else if (unit == 0x22 || unit == 0x5c) escaped += "\\" + String.fromCharCode(unit);
    else escaped += String.fromCharCode(unit);
  }
  return escaped;
}
