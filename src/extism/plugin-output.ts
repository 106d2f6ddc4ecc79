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
