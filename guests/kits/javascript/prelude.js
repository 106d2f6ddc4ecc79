// The objects that Extism's JavaScript kit gives a script, on top of the functions that engine.c provides.
(() => {
  const { input, output, config, varGet, varSet, http, log, memory, invoke, encode, decode } = __host;
  const bytesOf = (data) => (typeof data === "string" ? encode(data) : data);

  class MemoryHandle {
    constructor(offset, len) {
      this.offset = offset;
      this.len = len;
    }
    readBytes() {
      return memory.read(this.offset);
    }
    readString() {
      return decode(this.readBytes());
    }
    readJsonObject() {
      return JSON.parse(this.readString());
    }
    readUInt32() {
      return new DataView(this.readBytes()).getUint32(0, true);
    }
    readUInt64() {
      return new DataView(this.readBytes()).getBigUint64(0, true);
    }
    readFloat32() {
      return new DataView(this.readBytes()).getFloat32(0, true);
    }
    readFloat64() {
      return new DataView(this.readBytes()).getFloat64(0, true);
    }
    free() {
      memory.free(this.offset);
    }
  }

  const stored = (bytes) => new MemoryHandle(memory.store(bytes), bytes.byteLength);
  const number = (length, write) => {
    const view = new DataView(new ArrayBuffer(length));
    write(view);
    return stored(view.buffer);
  };

  globalThis.MemoryHandle = MemoryHandle;
  globalThis.Memory = {
    fromString: (text) => stored(encode(text)),
    fromBuffer: stored,
    fromJsonObject: (value) => stored(encode(JSON.stringify(value))),
    allocUInt32: (value) => number(4, (view) => view.setUint32(0, value, true)),
    allocUInt64: (value) => number(8, (view) => view.setBigUint64(0, value, true)),
    allocFloat32: (value) => number(4, (view) => view.setFloat32(0, value, true)),
    allocFloat64: (value) => number(8, (view) => view.setFloat64(0, value, true)),
    find: (offset) => new MemoryHandle(offset, memory.length(offset)),
  };

  globalThis.Host = {
    inputBytes: input,
    inputString: () => decode(input()),
    outputBytes: (bytes) => (output(bytes), true),
    outputString: (text) => (output(encode(text)), true),
    getFunctions: () => Object.fromEntries(__host.functions.map((name, index) => [name, (...values) => invoke(index, ...values)])),
  };

  const text = (bytes) => (bytes === null ? null : decode(bytes));
  globalThis.Config = { get: (key) => text(config(key)) };
  globalThis.Var = {
    getBytes: varGet,
    getString: (name) => text(varGet(name)),
    set: (name, value) => varSet(name, bytesOf(value)),
  };

  globalThis.Http = {
    request({ url, method = "GET", headers = {} }, body) {
      const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
      const answer = http(encode(JSON.stringify({ url, method, headers: sent })), body === undefined ? null : bytesOf(body));
      return { status: answer.status, body: text(answer.body) ?? "", headers: JSON.parse(text(answer.headers) ?? "{}") };
    },
  };

  const written = (value) => (typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)));
  const writer = (level) => (...values) => log(level, encode(values.map(written).join(" ")));
  globalThis.console = { trace: writer(0), debug: writer(1), log: writer(2), info: writer(2), warn: writer(3), error: writer(4) };

  globalThis.module = { exports: {} };
  globalThis.exports = module.exports;
})();
