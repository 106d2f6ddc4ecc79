// Patterns over host names with `*`, `?` and `[…]`: hostile names cost no more than their length times that of the pattern.

/** What one place of a pattern stands for: any characters, or one for which the test holds. */
type Place = "*" | ((character: string) => boolean);

const PLACE = /\*+|\?|\[([^\]]+)\]|[^]/gu;
const RANGE = /([^])-([^])|([^])/gu;

/** Reads a pattern; what it gives tells whether a whole name matches. */
export function hostGlob(pattern: string): (name: string) => boolean {
  const places = [...pattern.matchAll(PLACE)].map(([text, inside]) => placeOf(text, inside));
  return (name) => matches(places, name);
}

function placeOf(text: string, inside: string | undefined): Place {
  if (text.startsWith("*")) return "*";
  if (text === "?") return () => true;
  if (inside === undefined) return (character) => character === text;
  const ranges = [...inside.matchAll(RANGE)].map(([, first, last, only]) => [first ?? only ?? "", last ?? only ?? ""] as const);
  return (character) => ranges.some(([first, last]) => first <= character && character <= last);
}

/** On a mismatch the last star takes one character more. No earlier star has to be tried again: this one can take what that one would. */
function matches(places: readonly Place[], name: string): boolean {
  let place = 0;
  let at = 0;
  let star: { readonly next: number; at: number } | undefined;
  while (at < name.length) {
    const wanted = places[place];
    if (wanted === "*") {
      star = { next: ++place, at };
    } else if (wanted?.(name.charAt(at)) === true) {
      place++;
      at++;
    } else if (star !== undefined) {
      place = star.next;
      at = ++star.at;
    } else {
      return false;
    }
  }
  return places.slice(place).every((wanted) => wanted === "*");
}
