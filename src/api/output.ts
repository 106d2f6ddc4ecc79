// What a plugin call returns.

import { MortiseError } from "./errors.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The output of one call: a private copy of the bytes, decoded on request. */
export class PluginOutput {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #plugin: string;
  readonly #function: string;
  /** False if the plugin set none; then it is empty. */
  readonly isSet: boolean;

  constructor(bytes: Uint8Array<ArrayBuffer>, plugin: string, fn: string, isSet: boolean = true) {
    this.isSet = isSet;
    this.#bytes = bytes;
    this.#plugin = plugin;
    this.#function = fn;
  }

  /** Size in bytes. */
  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves; they belong to the caller. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /**
   * The output as UTF-8 text.
   *
   * @throws MortiseError MORTISE_BAD_TEXT if it is not valid UTF-8
   */
  text(): string {
    try {
      return strict.decode(this.#bytes);
    } catch {
      throw new MortiseError("MORTISE_BAD_TEXT", { plugin: this.#plugin, function: this.#function, what: "the output" });
    }
  }

  /**
   * The output as JSON, for the caller to check.
   *
   * @throws MortiseError MORTISE_BAD_TEXT or MORTISE_BAD_JSON
   */
  json(): unknown {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new MortiseError("MORTISE_BAD_JSON", { plugin: this.#plugin, function: this.#function, reason: (error as Error).message });
    }
  }
}
