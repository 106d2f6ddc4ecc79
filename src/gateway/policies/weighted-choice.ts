// A choice by weight.

/** One of some, by weight; where all weigh nothing, the first. Undefined if there are none. */
export function chooseByWeight<Item extends { readonly weight: number }>(items: readonly Item[], random: () => number): Item | undefined {
  if (items.length <= 1) return items[0];
  let total = 0;
  for (const { weight } of items) total += weight;
  let left = random() * total;
  for (const item of items) {
    left -= item.weight;
    if (left < 0) return item;
  }
  // Rounding, or no weight at all: never one that weighs nothing while another one does.
  return items.findLast(({ weight }) => weight > 0) ?? items[0];
}
