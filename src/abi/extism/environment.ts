// The functions of `extism:host/env` that JavaScript provides: configuration, variables, logs and HTTP.

import { MortiseError, printable } from "../../api/errors.ts";
import { LOG_LEVELS, type LogBudget, type LogLevel, MAX_LOG_CHARS, admitLine, writeLine } from "../../api/guest-log.ts";
import type { HttpResponse } from "../../api/http.ts";
import { permissionDenied } from "../../api/permissions.ts";
import type { Meter } from "../../wasm/meter.ts";
import type { HostValue, PluginState } from "../guest.ts";
import type { ExtismHeap } from "./heap.ts";
import type { HostCalls } from "../host-calls.ts";

/** Bytes that a variable counts beyond its name and value, as the Extism runtime has it. */
const VARIABLE_OVERHEAD = 48;
const LOG_LEVEL_OFF = 0x7fff_ffff;

const lossy = new TextDecoder();

/** What one instance's environment keeps during a call. */
export class Environment {
  readonly #state: PluginState;
  readonly #heap: ExtismHeap;
  readonly #calls: HostCalls;
  readonly #meter: Meter;
  readonly #logged: LogBudget = { bytes: 0, noticed: false };
  #httpStatus = 0;
  #httpHeaders: HttpResponse["headers"] | undefined;

  constructor(state: PluginState, heap: ExtismHeap, calls: HostCalls, meter: Meter) {
    this.#state = state;
    this.#heap = heap;
    this.#calls = calls;
    this.#meter = meter;
  }

  beginCall(): void {
    this.#logged.bytes = 0;
    this.#logged.noticed = false;
    this.#httpStatus = 0;
    this.#httpHeaders = undefined;
  }

  config(key: bigint): bigint {
    const name = this.#heap.text(key, "a config key");
    this.#heap.release(key);
    const value = this.#state.config.get(name);
    return value === undefined ? 0n : this.#heap.store(value);
  }

  getVariable(key: bigint): bigint {
    const name = this.#heap.text(key, "a variable name");
    this.#heap.release(key);
    const value = this.#state.variables.get(name);
    return value === undefined ? 0n : this.#heap.store(value);
  }

  putVariable(key: bigint, value: bigint): void {
    const name = this.#heap.text(key, "a variable name");
    this.setVariable(name, value === 0n ? undefined : this.#heap.block(value).slice());
    this.#heap.release(key);
    this.#heap.release(value);
  }

  /** Sets or deletes a variable. @throws MortiseError MORTISE_VAR_LIMIT */
  setVariable(name: string, value: Uint8Array<ArrayBuffer> | undefined): void {
    const state = this.#state;
    const key = Buffer.byteLength(name, "utf8") + VARIABLE_OVERHEAD;
    const old = state.variables.get(name);
    const without = state.variableBytes - (old === undefined ? 0 : key + old.length);
    if (value === undefined) {
      state.variables.delete(name);
      state.variableBytes = without;
      return;
    }
    const size = without + key + value.length;
    const limit = state.limits.varBytes;
    if (size > limit) {
      throw new MortiseError("MORTISE_VAR_LIMIT", { plugin: state.name, function: this.#calls.function, name: printable(name), size, limit });
    }
    this.#heap.charge(value.length);
    state.variables.set(name, value);
    state.variableBytes = size;
  }

  log(level: LogLevel, address: bigint): void {
    const state = this.#state;
    if (state.logger === undefined || LOG_LEVELS.indexOf(level) < state.logLevel) {
      this.#heap.release(address);
      return;
    }
    const block = this.#heap.block(address);
    const target = { plugin: state.name, function: this.#calls.function, logger: state.logger, limitBytes: state.limits.logBytes };
    if (admitLine(target, this.#logged, block.length)) writeLine(state.logger, level, lossy.decode(block.subarray(0, MAX_LOG_CHARS * 4)));
    else state.droppedLogs++;
    this.#heap.release(address);
  }

  logLevel(): number {
    return this.#state.logger === undefined ? LOG_LEVEL_OFF : this.#state.logLevel;
  }

  /** Performs a request, and answers with the block of the response's body once it is there. */
  httpRequest(request: bigint, body: bigint): Promise<bigint> {
    const state = this.#state;
    const { function: fn, signal } = this.#calls;
    if (state.http === undefined) throw permissionDenied(state.name, fn, "an HTTP request", "hosts", '["HOST"]');
    if (!this.#calls.mayWait) throw this.#calls.cannotWait("http_request");
    const json = this.#heap.text(request, "an HTTP request");
    const bytes = body === 0n ? undefined : this.#heap.block(body).slice();
    this.#heap.release(request);
    this.#heap.release(body);
    this.#httpStatus = 0;
    this.#httpHeaders = undefined;
    const call = { plugin: state.name, function: fn, timeoutMs: this.#meter.timeLeftMs, statedMs: this.#calls.statedMs, signal };
    return this.#receive(state.http.request(json, bytes, call), signal);
  }

  async #receive(promised: Promise<HttpResponse>, signal: AbortSignal): Promise<bigint> {
    const response = await promised;
    // The call may be over by now; then nothing may touch the instance.
    signal.throwIfAborted();
    this.#httpStatus = response.status;
    this.#httpHeaders = response.headers;
    return this.#heap.store(response.body);
  }

  httpStatus(): number {
    return this.#httpStatus;
  }

  /** The headers of the last response as JSON, if the operator lets plugins see them. */
  httpHeaders(): bigint {
    if (this.#httpHeaders === undefined || this.#state.http?.showsHeaders !== true) return 0n;
    return this.#heap.store(JSON.stringify(this.#httpHeaders));
  }
}

type EnvironmentFunction = (environment: Environment, ...values: HostValue[]) => unknown;

/** Functions of `extism:host/env` that are not built into the guest, by name. */
export const ENVIRONMENT: Readonly<Record<string, EnvironmentFunction>> = {
  config_get: (environment, key) => environment.config(key as bigint),
  var_get: (environment, key) => environment.getVariable(key as bigint),
  var_set: (environment, key, value) => environment.putVariable(key as bigint, value as bigint),
  log_trace: (environment, message) => environment.log("trace", message as bigint),
  log_debug: (environment, message) => environment.log("debug", message as bigint),
  log_info: (environment, message) => environment.log("info", message as bigint),
  log_warn: (environment, message) => environment.log("warn", message as bigint),
  log_error: (environment, message) => environment.log("error", message as bigint),
  get_log_level: (environment) => environment.logLevel(),
  http_request: (environment, request, body) => environment.httpRequest(request as bigint, body as bigint),
  http_status_code: (environment) => environment.httpStatus(),
  http_headers: (environment) => environment.httpHeaders(),
};
