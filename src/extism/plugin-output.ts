// What calls and blocks are read with: a DataView that cannot be written through.

const decoder = new TextDecoder();

function refuse(): never {
  // The text is part of the interface: it is how code for the SDK tells.
  throw new Error("Cannot set values on output");
}

/** Bytes of a plugin, as a copy. The one class here that inherits, since code for the SDK reads outputs as DataViews. */
export class PluginOutput extends DataView<ArrayBuffer> {
  /** The bytes as JSON, for the caller to check. @throws SyntaxError */
  // oxlint-disable-next-line typescript/no-explicit-any -- as JSON.parse, and code for the SDK relies on it
  json(): any {
    return JSON.parse(this.text());
  }

  /** The bytes in a buffer of their own. */
  arrayBuffer(): ArrayBuffer {
    const { buffer, byteOffset, byteLength } = this;
    return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
  }

  /** The bytes as UTF-8 text; what is not UTF-8 is replaced, and a byte order mark is left out. */
  text(): string {
    return decoder.decode(this);
  }

  /** As {@link PluginOutput.text}. */
  string(): string {
    return this.text();
  }

  /** The bytes. */
  bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.buffer, this.byteOffset, this.byteLength);
  }

  override setInt8(_byteOffset: number, _value: number): void {
    refuse();
  }

  override setInt16(_byteOffset: number, _value: number, _littleEndian?: boolean): void {
    refuse();
  }

  override setInt32(_byteOffset: number, _value: number, _littleEndian?: boolean): void {
    refuse();
  }

  override setUint8(_byteOffset: number, _value: number): void {
    refuse();
  }

  override setUint16(_byteOffset: number, _value: number, _littleEndian?: boolean): void {
    refuse();
  }

  override setUint32(_byteOffset: number, _value: number, _littleEndian?: boolean): void {
    refuse();
  }

  override setFloat16(_byteOffset: number, _value: number, _littleEndian?: boolean): void {
    refuse();
  }

  override setFloat32(_byteOffset: number, _value: number, _littleEndian?: boolean): void {
    refuse();
  }

  override setFloat64(_byteOffset: number, _value: number, _littleEndian?: boolean): void {
    refuse();
  }

  override setBigInt64(_byteOffset: number, _value: bigint, _littleEndian?: boolean): void {
    refuse();
  }

  override setBigUint64(_byteOffset: number, _value: bigint, _littleEndian?: boolean): void {
    refuse();
  }
}

/** Bytes as an output; they are not copied. */
export function toOutput({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): PluginOutput {
  return new PluginOutput(buffer, byteOffset, byteLength);
}

/** Largest output that shares a buffer, and bytes of such a buffer. */
const SMALL_BYTES = 64;
const SHARED_BYTES = 1024;

/** An output in a buffer that others share. What looks at its buffer gets one of its own. */
class SmallOutput extends PluginOutput {
  #own: ArrayBuffer | undefined;

  static {
    // oxlint-disable-next-line typescript/unbound-method -- called with the view that it is asked of
    const shared = Object.getOwnPropertyDescriptor(DataView.prototype, "buffer")?.get as (this: DataView) => ArrayBuffer;
    // oxlint-disable-next-line typescript/unbound-method -- as above
    const offset = Object.getOwnPropertyDescriptor(DataView.prototype, "byteOffset")?.get as (this: DataView) => number;
    Object.defineProperty(SmallOutput.prototype, "buffer", {
      get(this: SmallOutput) {
        const at = offset.call(this);
        return (this.#own ??= shared.call(this).slice(at, at + this.byteLength));
      },
    });
    Object.defineProperty(SmallOutput.prototype, "byteOffset", { get: () => 0 });
  }

  override bytes(): Uint8Array<ArrayBuffer> {
    if (this.#own !== undefined) return super.bytes();
    const bytes = new Uint8Array(this.byteLength);
    for (let index = 0; index < bytes.length; index++) bytes[index] = this.getUint8(index);
    return bytes;
  }
}

/** Makes the outputs of one plugin. A buffer costs more than a small call, so that small outputs share some. */
export class OutputMaker {
  #shared = new Uint8Array(0);
  #used = 0;

  make(bytes: Uint8Array<ArrayBuffer>): PluginOutput {
    const { length } = bytes;
    if (length > SMALL_BYTES) return toOutput(bytes);
    if (this.#used + length > this.#shared.length) {
      this.#shared = new Uint8Array(SHARED_BYTES);
      this.#used = 0;
    }
    const at = this.#used;
    const shared = this.#shared;
    for (let index = 0; index < length; index++) shared[at + index] = bytes[index] as number;
    this.#used = at + length;
    return new SmallOutput(shared.buffer, at, length);
  }
}
