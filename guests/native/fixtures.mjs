// For the host's tests of what all interfaces have in common: the functions of guests/c/linear_fixtures.h.

const text = (bytes) => new TextDecoder().decode(bytes);

let calls = 0;

export const echo = (input) => input.slice();
export const same = (input) => input;
export const noop = () => {};
export const count = () => String(++calls);
export const many = (input) => "x".repeat(Number(text(input)));
export const sink = (input, { services }) => services.log(2, text(input));
export const clock = (_input, { services }) => String(services.time_ms());

export function fail(input) {
  throw new Error(text(input));
}

/** Waits only where the host does, so that it can be called in both ways. */
function then(value, next) {
  return value instanceof Promise ? value.then(next) : next(value);
}

export const kv_read = (input, { services }) => then(services.kv_get(text(input)), (value) => value ?? "nothing");

export function kv_bump(_input, { services }) {
  return then(services.kv_get("count"), (value) => {
    const next = String(Number(value === undefined ? 0 : text(value)) + 1);
    return then(services.kv_set("count", next, 0), () => next);
  });
}
