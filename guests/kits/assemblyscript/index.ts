// The kits' common plugin with AssemblyScript's kit, the package @extism/as-pdk.
import { Config, Host, LogLevel, Memory, Var } from "@extism/as-pdk";
// The kit uses these itself, or leaves them to its users.
import { error_set, http_request, length } from "@extism/as-pdk/lib/env";

// @ts-ignore: decorator
@external("extism:host/env", "http_status_code")
declare function http_status_code(): i32;
// @ts-ignore: decorator
@external("extism:host/env", "http_headers")
declare function http_headers(): u64;
// @ts-ignore: decorator
@external("extism:host/env", "log_trace")
declare function log_trace(message: u64): void;
// @ts-ignore: decorator
@external("extism:host/user", "reverse")
declare function reverse(text: u64): u64;

export function greet(): i32 {
  const configured = Config.get("greeting");
  const greeting = configured === null ? "Hello" : configured;
  return output(`${greeting}, ${Host.inputString()}!`);
}

export function count(): i32 {
  const before = Var.getString("count");
  const next = (before === null ? 0 : I32.parseInt(before)) + 1;
  Var.set("count", Uint8Array.wrap(String.UTF8.encode(next.toString())));
  return output(next.toString());
}

export function fetch(): i32 {
  return send(`{"url":${quoted(Host.inputString())}}`, 0);
}

export function post(): i32 {
  const request = `{"url":${quoted(Host.inputString())},"method":"POST","headers":{"x-plugin":"kit"}}`;
  return send(request, Memory.allocateString("knock, knock").offset);
}

function send(request: string, body: u64): i32 {
  const answer = http_request(Memory.allocateString(request).offset, body);
  const text = answer == 0 ? "" : new Memory(answer, length(answer)).toString();
  return output(`{"status":${http_status_code()},"body":${quoted(text)},"header":${headerNamed("x-kit")}}`);
}

/** The header's value as the host wrote it, in quotes, or null; for values without escapes. */
function headerNamed(name: string): string {
  const block = http_headers();
  if (block == 0) return "null";
  const text = new Memory(block, length(block)).toString();
  const key = `"${name}":`;
  const at = text.indexOf(key);
  if (at < 0) return "null";
  const from = text.indexOf('"', at + key.length);
  return text.slice(from, text.indexOf('"', from + 1) + 1);
}

export function ask_host(): i32 {
  const answer = reverse(Memory.allocateString(Host.inputString()).offset);
  Host.outputMemory(new Memory(answer, length(answer)));
  return 0;
}

export function fail(): i32 {
  error_set(Memory.allocateString("no good").offset);
  return 1;
}

export function log_levels(): i32 {
  log_trace(Memory.allocateString("a trace line").offset);
  Host.log(LogLevel.Debug, "a debug line");
  Host.log(LogLevel.Info, "an info line");
  Host.log(LogLevel.Warn, "a warn line");
  Host.log(LogLevel.Error, "an error line");
  return 0;
}

/** As bytes: the kit's own `outputString` allocates a byte for each UTF-16 unit, too few for most text. */
function output(text: string): i32 {
  Host.output(Uint8Array.wrap(String.UTF8.encode(text)));
  return 0;
}

/** The text as a JSON string. */
function quoted(text: string): string {
  let result = '"';
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit == 0x22 || unit == 0x5c) result += "\\" + text.charAt(index);
    else if (unit < 0x20) result += "\\u00" + unit.toString(16).padStart(2, "0");
    else result += text.charAt(index);
  }
  return result + '"';
}

export function abort(_message: string | null, _file: string | null, _line: u32, _column: u32): void {
  unreachable();
}
