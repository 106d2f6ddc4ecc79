// How services hand bytes to plugins that have a memory of their own and take one number: as a record.

/** What a service may do with the memory of the plugin that called it. Valid during the call. */
export interface LinearAccess {
  /** A copy of bytes. @throws MortiseError MORTISE_BAD_POINTER if they are not all in the memory */
  read(address: number, length: number): Uint8Array;
  /** @throws MortiseError MORTISE_BAD_POINTER if there is no room for the bytes at the address */
  write(address: number, bytes: Uint8Array): void;
  /** Asks the plugin's own allocator for memory. @throws MortiseError if it has none */
  allocate(bytes: number): number;
}

const LENGTH_BYTES = 4;

/** Writes a record, the length of the bytes as u32, little-endian, and the bytes, and gives its address. */
export function writeRecord(memory: LinearAccess, bytes: Uint8Array): number {
  const record = new Uint8Array(LENGTH_BYTES + bytes.length);
  new DataView(record.buffer).setUint32(0, bytes.length, true);
  record.set(bytes, LENGTH_BYTES);
  const address = memory.allocate(record.length);
  memory.write(address, record);
  return address;
}
