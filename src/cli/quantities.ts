// Numbers with their units, as people read them.

const KIB = 1024;

/** A whole number with separators: `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** `1 function`, `2 functions`. */
export function plural(value: number, noun: string, nouns = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : nouns}`;
}

/** Bytes in binary units: `512 bytes`, `11.7 KiB`, `1.54 MiB`. */
export function bytes(value: number): string {
  if (value < KIB) return plural(value, "byte");
  return value < KIB * KIB ? `${digits(value / KIB)} KiB` : `${digits(value / KIB / KIB)} MiB`;
}

/** Milliseconds: `0.07 ms`, `50.1 ms`, `1,234 ms`. */
export function milliseconds(value: number): string {
  return `${digits(value)} ms`;
}

/** A large number in short: `955 k`, `3.42 M`, `1.2 G`. */
export function short(value: number): string {
  if (value < 10_000) return count(value);
  if (value < 1e6) return `${digits(value / 1e3)} k`;
  return value < 1e9 ? `${digits(value / 1e6)} M` : `${digits(value / 1e9)} G`;
}

/** Three significant digits below 1000, and no decimals where the value has none. */
function digits(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return count(value);
  return value.toFixed(value < 10 ? 2 : 1);
}
