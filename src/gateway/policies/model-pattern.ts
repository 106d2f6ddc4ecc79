// Names of models, and patterns of them: `*` stands for any characters, also none.

/** True for a pattern, false for a name. */
export function isPattern(text: string): boolean {
  return text.includes("*");
}

/** Matches without going back more than to the last `*`, so that no name takes long. */
export function matchesPattern(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let place = 0;
  while (at < name.length) {
    if (pattern[place] === "*") {
      star = place++;
      resume = at;
    } else if (place < pattern.length && pattern[place] === name[at]) {
      place++;
      at++;
    } else if (star === -1) {
      return false;
    } else {
      place = star + 1;
      at = ++resume;
    }
  }
  while (pattern[place] === "*") place++;
  return place === pattern.length;
}
