// Suggests what a user may have meant.

/** Names that are compared; a module can have any number of them. */
const MAX_NAMES = 500;

/** Names within a small edit distance of `wanted`, nearest first, three at most. */
export function nearNames(wanted: string, names: Iterable<string>): string[] {
  const word = wanted.slice(0, 64);
  const limit = Math.max(2, Math.floor(word.length / 3));
  const scored: { name: string; distance: number }[] = [];
  let left = MAX_NAMES;
  for (const name of names) {
    if (left-- === 0) break;
    if (name.length > 64 || Math.abs(name.length - word.length) > limit) continue;
    const distance = name.toLowerCase() === word.toLowerCase() ? 0 : editDistance(word, name);
    if (distance <= limit) scored.push({ name, distance });
  }
  return scored
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_unused, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] as number) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[column] as number) + 1, (current[column - 1] as number) + 1));
    }
    previous = current;
  }
  return previous[b.length] as number;
}

/** `; did you mean "x" or "y"?`, or nothing. */
export function didYouMean(wanted: string, names: Iterable<string>): string {
  const near = nearNames(wanted, names).map((name) => `"${name}"`);
  return near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`;
}
