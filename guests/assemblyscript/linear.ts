// What plugins over an exported memory need: packed results, and looking into JSON.

/** Address and length in one number; 0 for nothing. */
export function packed(text: string): u64 {
  const bytes = String.UTF8.encode(text);
  if (bytes.byteLength == 0) return 0;
  return ((<u64>changetype<usize>(bytes)) << 32) | (<u64>bytes.byteLength);
}

export function textAt(at: usize, length: i32): string {
  return length == 0 ? "" : String.UTF8.decodeUnsafe(at, length);
}

/** The value of a key of a JSON object as JSON, or an empty text. Keys with escapes are not found. */
export function jsonGet(json: string, key: string): string {
  let at = json.indexOf("{") + 1;
  if (at == 0) return "";
  while (at < json.length) {
    at = json.indexOf('"', at);
    if (at < 0) return "";
    const end = stringEnd(json, at);
    const name = json.substring(at + 1, end - 1);
    at = json.indexOf(":", end) + 1;
    const after = valueEnd(json, at);
    if (name == key) return json.substring(at, after).trim();
    at = after;
    if (at < json.length && json.charCodeAt(at) == 0x7d) return "";
  }
  return "";
}

/** What is between the quotes of a JSON string, escapes as they are. */
export function jsonText(value: string): string {
  return value.length >= 2 && value.charCodeAt(0) == 0x22 ? value.substring(1, value.length - 1) : "";
}

/** A text as JSON. */
export function quoted(text: string): string {
  let out = '"';
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code == 0x22 || code == 0x5c) out += "\\";
    out += code < 0x20 ? " " : text.charAt(i);
  }
  return out + '"';
}

/** The position behind the string that begins at `at`. */
function stringEnd(json: string, at: i32): i32 {
  for (let i = at + 1; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code == 0x5c) i++;
    else if (code == 0x22) return i + 1;
  }
  return json.length;
}

/** The position behind the value that begins at `at`: brackets as deep as they go. */
function valueEnd(json: string, at: i32): i32 {
  let depth = 0;
  for (let i = at; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code == 0x22) i = stringEnd(json, i) - 1;
    else if (code == 0x7b || code == 0x5b) depth++;
    else if (code == 0x7d || code == 0x5d) {
      if (depth == 0) return i;
      depth--;
    } else if (code == 0x2c && depth == 0) return i;
  }
  return json.length;
}
