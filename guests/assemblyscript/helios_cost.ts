// A HeliosProxy plugin: adds up what the queries of each client cost, and stops a client whose budget is used up. Counts in
// the host's store, through its services; the budget, in microseconds, through a documented function.
import { jsonGet, jsonText, packed, quoted, textAt } from "./linear";

// @ts-ignore: decorator
@external("helios", "get_config")
declare function get_config(key: usize, length: i32): i32;
// @ts-ignore: decorator
@external("mortise:host", "kv_increment")
declare function kv_increment(key: usize, length: i32, delta: i64, ttlMs: i64): i64;
// @ts-ignore: decorator
@external("mortise:host", "metric_add")
declare function metric_add(name: usize, nameLength: i32, labels: usize, labelsLength: i32, value: f64): void;

const HOUR_MS: i64 = 3600 * 1000;

export function alloc(size: i32): usize {
  return heap.alloc(size);
}

export function dealloc(block: usize, _size: i32): void {
  heap.free(block);
}

function budget(): i64 {
  const key = String.UTF8.encode("budget_us");
  const record = get_config(changetype<usize>(key), key.byteLength);
  return record <= 0 ? i64.MAX_VALUE : I64.parseInt(textAt(record + 4, load<i32>(record)));
}

function add(client: string, cost: i64): i64 {
  const key = String.UTF8.encode("cost:" + client);
  return kv_increment(changetype<usize>(key), key.byteLength, cost, HOUR_MS);
}

function clientOf(query: string): string {
  return jsonText(jsonGet(jsonGet(query, "hook_context"), "client_id"));
}

export function pre_query(at: usize, length: i32): u64 {
  const client = clientOf(textAt(at, length));
  const used = add(client, 0);
  if (used < budget()) return 0;
  return packed('{"action":"block","value":' + quoted("client " + client + " has used " + used.toString() + " us") + "}");
}

/** An array of two: the query, and what came of it. */
export function post_query(at: usize, length: i32): void {
  const input = textAt(at, length);
  const outcome = input.substring(input.lastIndexOf('{"success"'));
  const cost = I64.parseInt(jsonGet(outcome, "elapsed_us"));
  add(clientOf(input), cost);
  const name = String.UTF8.encode("query_microseconds");
  metric_add(changetype<usize>(name), name.byteLength, 0, 0, <f64>cost);
}
