// What the plugin exports and imports, in the form that Extism's JavaScript kit reads.
declare module "main" {
  export function greet(): I32;
  export function count(): I32;
  export function fetch(): I32;
  export function post(): I32;
  export function ask_host(): I32;
  export function fail(): I32;
  export function log_levels(): I32;
}

declare module "extism:host" {
  interface user {
    reverse(text: PTR): PTR;
  }
}
